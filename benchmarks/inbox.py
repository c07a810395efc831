"""The inbox when many files wait: one tick of its sensor beside the bare listing, and a run of many files.

    python benchmarks/inbox.py [--files 2000]

By itself it takes so many small boletins in runs of a hundred, a process each, and prints their pace; it ends
with 1 where one of them has no verdict.
"""

import argparse
import os
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from boletins import trips, write_csv
from measure import HERE, Timing, expect, process

AIM_TICK, AIM_FILES_A_MINUTE = 6.0, 100.0
ROWS, TICKS = 20, 5  # rows of a boletim; ticks of which the median counts


@dataclass(frozen=True)
class Size:
    """Files that wait for the tick, and files that a run takes."""

    waiting: int
    taken: int


FULL, SMALL = Size(waiting=10_000, taken=100), Size(waiting=500, taken=5)


@dataclass(frozen=True)
class Inbox:
    """Seconds of a tick and of the listing alone; seconds of a run of many files, its process included."""

    size: Size
    tick_s: float
    floor_s: float
    run_s: float

    @property
    def files_a_minute(self) -> float:
        """The pace of runs that follow each other."""
        return 60 * self.size.taken / self.run_s


def inbox(folder: Path, size: Size) -> Inbox:
    """Measure both; raises where a file has no verdict."""
    waiting = folder / "waiting"
    (waiting / "inbox").mkdir(parents=True)
    hour_ago = time.time() - 3600
    for number in range(size.waiting):
        file = waiting / f"inbox/garagem-{number:05d}.csv"
        file.write_bytes(b"x")
        os.utime(file, (hour_ago, hour_ago + number / 100))
    tick = _script("tick", waiting).work_seconds
    floors = []
    for _ in range(TICKS):
        began = time.perf_counter()
        found = [entry.stat(follow_symlinks=False) for entry in os.scandir(waiting / "inbox")]
        floors.append(time.perf_counter() - began)
        expect("files listed", len(found), size.waiting)
    taken = folder / "taken"
    drop(taken, range(size.taken))
    run = _script("run", taken).seconds
    expect("files with a verdict", _verdicts(taken), size.taken)
    return Inbox(size, tick, median(floors), run)


def drop(folder: Path, numbers: range) -> None:
    """Small boletins, no two of which declare the same trip."""
    (folder / "inbox").mkdir(parents=True, exist_ok=True)
    for number in numbers:
        write_csv(folder / f"inbox/garagem-{number:05d}.csv", trips(ROWS, first=ROWS * number))


def print_inbox(found: Inbox) -> None:
    """The table, and the ratio."""
    size = found.size
    print(
        f"\nInbox: a tick of the sensor with {size.waiting:,} files waiting {found.tick_s * 1e3:.0f} ms, "
        f"their bare listing {found.floor_s * 1e3:.0f} ms\n"
        f"tick / listing {found.tick_s / found.floor_s:.2f}\n"
        f"A run of {size.taken} boletins of {ROWS} rows, from its process's start to its exit "
        f"{found.run_s:.1f} s: {found.files_a_minute:.0f} files a minute"
    )


def inbox_aims(found: Inbox) -> list[tuple[str, float, float, bool]]:
    """What is aimed at: what, the figure, the aim, and whether the aim is a maximum."""
    return [
        ("tick / bare listing of the inbox", found.tick_s / found.floor_s, AIM_TICK, True),
        ("boletins a minute in runs of many", found.files_a_minute, AIM_FILES_A_MINUTE, False),
    ]


def _verdicts(folder: Path) -> int:
    return len(list((folder / "inbox/archive").rglob("*_resposta.json")))


def _script(what: str, folder: Path) -> Timing:
    return process([str(HERE / "inbox.py"), f"--{what}", str(folder)], folder / what)


# --- in a process of its own ----------------------------------------------------------------------------


def tick(folder: Path) -> float:
    """Median seconds of a tick, after a first one that imports."""
    import dagster as dg

    from telemetria_pipeline.defs.boletins.automation import boletim_inbox_sensor
    from telemetria_pipeline.defs.resources import PipelineResource

    times = []
    with dg.DagsterInstance.ephemeral(tempdir=str(folder)) as instance:
        for _ in range(TICKS + 1):
            with dg.build_sensor_context(
                instance=instance, resources={"pipeline": PipelineResource()}
            ) as context:
                began = time.perf_counter()
                boletim_inbox_sensor(context)
                times.append(time.perf_counter() - began)
    return median(times[1:])


def run(folder: Path) -> float:
    """Take what the sensor would put into one run; the seconds of it."""
    import dagster as dg

    from telemetria_pipeline.core.boletim.inbox import FILES_A_RUN
    from telemetria_pipeline.definitions import build_definitions
    from telemetria_pipeline.defs.partitions import BOLETIM_FILES
    from telemetria_pipeline.defs.runs import FIRST_TAG, LAST_TAG
    from telemetria_pipeline.steps.intake import landed_files
    from telemetria_pipeline.storage import ObjectStore

    shutil.copy(HERE.parent / "dagster.yaml", os.environ["DAGSTER_HOME"])
    landed = landed_files(ObjectStore.open(os.environ["TELEMETRIA_INBOX"]))[: FILES_A_RUN[0]]
    files = [file.file_id for file in landed]
    with dg.DagsterInstance.get() as instance:
        instance.add_dynamic_partitions(BOLETIM_FILES.name or "", files)
        began = time.perf_counter()
        build_definitions().resolve_job_def("boletim_job").execute_in_process(
            instance=instance, tags={FIRST_TAG: files[0], LAST_TAG: files[-1]}
        )
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--tick", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--run", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if folder := options.tick or options.run:
        home = folder / "home"
        home.mkdir(exist_ok=True)
        os.environ |= {
            "DAGSTER_HOME": str(home),
            "TELEMETRIA_INBOX": f"file:{folder / 'inbox'}",
            "TELEMETRIA_LAKE": f"file:{folder / 'lake'}",
        }
        print(tick(folder) if options.tick else run(folder))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        drop(folder, range(options.files))
        began = time.perf_counter()
        while (done := _verdicts(folder)) < options.files:
            _script("run", folder)
            if _verdicts(folder) == done:
                sys.exit(f"{options.files - done} files have no verdict")
            seconds = time.perf_counter() - began
            print(f"  {_verdicts(folder)} files, {60 * _verdicts(folder) / seconds:.0f} a minute", flush=True)


if __name__ == "__main__":
    main()
