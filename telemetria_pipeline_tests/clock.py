"""A clock that a test sets, for the processes that it starts: clock.c, compiled and preloaded."""

import shutil
import struct
import subprocess
from pathlib import Path

SOURCE = Path(__file__).with_name("clock.c")


class NoCompiler(Exception):
    """gcc is not here, which the simulated clock is compiled with."""


class Clock:
    """The real clock, so many seconds ahead; `environment` has a process look at it.

    Raises `NoCompiler`.
    """

    def __init__(self, folder: Path) -> None:
        library, self._file = folder / "clock.so", folder / "ahead"
        if not library.exists():
            if not (gcc := shutil.which("gcc")):
                raise NoCompiler(NoCompiler.__doc__)
            subprocess.run([gcc, "-O2", "-shared", "-fPIC", "-o", library, SOURCE], check=True)
        self.environment = {"LD_PRELOAD": str(library), "SIMULATED_CLOCK": str(self._file)}
        self._file.write_bytes(bytes(16))
        self.ahead_s = 0

    def set(self, ahead_s: int, glance_ms: int = 0) -> None:
        """Let it be so many seconds ahead of the real one, or behind it.

        A process with `SIMULATED_WAITS` cuts its waits to `glance_ms`, if that is not 0.
        """
        self.ahead_s = ahead_s
        with self._file.open("r+b") as file:  # in place: the processes have it mapped
            file.write(struct.pack("qq", ahead_s, glance_ms))
