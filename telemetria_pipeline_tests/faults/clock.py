"""A clock that a fault sets, for processes that it starts: benchmarks/clock.c, preloaded."""

import shutil
import struct
import subprocess
from pathlib import Path

from telemetria_pipeline_tests.faults.world import NotTried

SOURCE = Path(__file__).parents[2] / "benchmarks" / "clock.c"


def compiler() -> str:
    """What the clock is compiled with."""
    if gcc := shutil.which("gcc"):
        return gcc
    raise NotTried("gcc is not here, which the simulated clock is compiled with")


class Clock:
    """The real clock, so many seconds ahead; `environment` has a process look at it."""

    def __init__(self, folder: Path) -> None:
        library, self._file = folder / "clock.so", folder / "ahead"
        if not library.exists():
            subprocess.run([compiler(), "-O2", "-shared", "-fPIC", "-o", library, SOURCE], check=True)
        self.environment = {"LD_PRELOAD": str(library), "SIMULATED_CLOCK": str(self._file)}
        self._file.write_bytes(bytes(16))
        self.set(0)

    def set(self, ahead_s: int) -> None:
        """Let it be so many seconds ahead of the real one, or behind it."""
        self.ahead_s = ahead_s
        with self._file.open("r+b") as file:  # in place: the processes have it mapped
            file.write(struct.pack("q", self.ahead_s))
