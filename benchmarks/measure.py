"""What every timing shares: the server beside it, a process of its own, its wall time and its peak memory."""

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryFile
from time import perf_counter

import psutil
import pyarrow.parquet as pq

HERE = Path(__file__).parent
# A shell that forbids bytecode files would have every process compile Dagster anew, and time that.
ENVIRON = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
_MAXRSS_BYTES = 1 if sys.platform == "darwin" else 1024


@dataclass(frozen=True)
class Timing:
    """One process: seconds from its start to its exit, seconds of work after its imports, peak MB."""

    seconds: float
    work_seconds: float
    peak_mb: float


@contextlib.contextmanager
def serving(rows_a_day: int) -> Iterator[str]:
    """The address of a server of its own process that has rendered `rows_a_day` trips a day."""
    command = [sys.executable, HERE / "server.py", "--rows", str(rows_a_day)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=ENVIRON) as server:
        try:
            assert server.stdout
            yield server.stdout.readline().strip()
        finally:
            server.terminate()


def timed(script: str, url: str, out: Path, start: datetime, hours: int, *more: str) -> Timing:
    """Run one contender over `hours` from `start` into the folder `out`; see `process`."""
    span = ["--url", url, "--out", str(out), "--start", start.isoformat(), "--hours", str(hours)]
    return process([str(HERE / f"{script}.py"), *span, *more], out)


def process(arguments: Sequence[str], out: Path) -> Timing:
    """Run a script, beside others perhaps, whose last word on stdout is its seconds of work; it writes into
    `out`.

    Peak memory is that of all its processes together: the kernel's own figure where there is one process,
    sampled where there are more. Raises RuntimeError with the end of its output when the contender fails.
    """
    out.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, *arguments]
    with TemporaryFile("w+") as stdout, TemporaryFile("w+") as stderr:
        began = perf_counter()
        running = subprocess.Popen(command, stdout=stdout, stderr=stderr, env=ENVIRON)
        sampled = _Sampler(running.pid)
        _, status, usage = os.wait4(running.pid, 0)
        seconds = perf_counter() - began
        running.returncode = os.waitstatus_to_exitcode(status)
        tree_bytes = sampled.stop()
        stdout.seek(0), stderr.seek(0)
        said, complained = stdout.read().split(), stderr.read()
    if running.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {running.returncode}:\n{complained[-3000:]}")
    return Timing(seconds, float(said[-1]), max(tree_bytes, usage.ru_maxrss * _MAXRSS_BYTES) / 1e6)


def rows_in(folder: Path) -> tuple[int, int]:
    """Parquet files below the folder and the rows that they hold."""
    files = list(folder.rglob("*.parquet"))
    return len(files), sum(pq.read_metadata(file).num_rows for file in files)


def expect(what: str, found: object, expected: object) -> None:
    """A contender that wrote something else has no time worth printing."""
    if found != expected:
        raise RuntimeError(f"{what}: expected {expected}, found {found}")


class _Sampler:
    """Samples the resident memory of a process and its descendants until it is stopped."""

    def __init__(self, pid: int) -> None:
        self._peak = 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, args=(pid,), daemon=True)
        self._thread.start()

    def _watch(self, pid: int) -> None:
        with contextlib.suppress(psutil.NoSuchProcess):
            root = psutil.Process(pid)
            while not self._done.wait(0.1):
                self._peak = max(self._peak, sum(map(_rss, [root, *root.children(recursive=True)])))

    def stop(self) -> int:
        """The highest sum seen, in bytes."""
        self._done.set()
        self._thread.join()
        return self._peak


def _rss(process: psutil.Process) -> int:
    try:
        return process.memory_info().rss
    except psutil.NoSuchProcess:
        return 0


def best(timings: Sequence[Timing]) -> Timing:
    """The fastest of several timings of the same work; noise only ever adds."""
    return min(timings, key=lambda timing: timing.seconds)
