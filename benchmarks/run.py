"""`make bench`: ours beside bare scripts and beside peers, over the same local server, in one sitting.

    python benchmarks/run.py [--small] [--only ingestion year launched boletins inbox audit]

Every contender is a process of its own and is timed from its start to its exit; the timings alternate and
the best of each counts. What each wrote is counted before its time is believed. A part prints its table as
soon as it is measured; one that fails says so, and the others go on. Ends with the aims, each met or missed
by how much.
"""

import argparse
import importlib.metadata
import importlib.util
import math
import os
import platform
import sys
import tempfile
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from time import perf_counter

import psutil
from audit import SIZES, SMALL_SIZES, audit, audit_aims, print_audit
from boletins import FULL as FULL_BOLETINS
from boletins import SMALL as SMALL_BOLETINS
from boletins import aims, boletins, print_boletins
from inbox import FULL as FULL_INBOX
from inbox import SMALL as SMALL_INBOX
from inbox import inbox, inbox_aims, print_inbox
from launched import launched, launched_aims, print_launched
from measure import Timing, best, expect, rows_in, serving, timed
from server import PAGE_ROWS, rows_of_hour
from year import Year, year

START = datetime(2026, 3, 10, 3, tzinfo=UTC)  # 00:00 in São Paulo
TABLES = {"bare": ".", "ours": "lake/telemetry_trips", "dlt_peer": "lake/bench/trips"}
FLAT = 1.15  # peak memory at four times the rows over that at one time, to be called flat
AIM_BARE, AIM_HOUR_MS = 2.0, 45.0


@dataclass(frozen=True)
class Size:
    """How much is measured."""

    rows_a_day: int
    hours: int
    repeats: int
    year_hours: int
    year_sample: int
    launches: int


FULL = Size(rows_a_day=500_000, hours=24, repeats=2, year_hours=8760, year_sample=10, launches=5)
SMALL = Size(rows_a_day=20_000, hours=2, repeats=1, year_hours=12, year_sample=1, launches=1)
LAUNCHED_ROWS_A_DAY = 20_000  # some 800 an hour, as one carrier has them


def contest(url: str, folder: Path, name: str, size: Size, times: int = 1) -> Timing:
    """One timing of one contender over `times` the hours; raises when it did not write what it was served."""
    hours = size.hours * times
    timing = timed(name, url, folder, START, hours)
    served = [rows_of_hour(size.rows_a_day, (START.hour + hour) % 24) for hour in range(hours)]
    expect(f"rows of {name}", rows_in(folder / TABLES[name])[1], sum(served))
    if name == "ours":
        pages = sum(max(1, math.ceil(rows / PAGE_ROWS)) for rows in served)
        expect("raw pages kept", len(list((folder / "lake/raw_telemetry").rglob("*.json.zst"))), pages)
    return timing


Aims = list[tuple[str, float, float, bool]]  # what, the figure, the aim, and whether the aim is a maximum


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--small", action="store_true", help="half a minute's version, for its shape only")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), help="these parts")
    args = parser.parse_args()
    size = SMALL if args.small else FULL
    reached: Aims = []
    failed = []
    with tempfile.TemporaryDirectory() as temporary:
        print(_machine(Path(temporary)), flush=True)
        for part in args.only:
            try:
                reached += PARTS[part](Path(temporary) / part, size)
            except Exception:  # an hour's measurements are not lost to the last of them
                print(f"\n{part} FAILED\n{traceback.format_exc()}")
                failed.append(part)
            sys.stdout.flush()
    _print_aims(reached)
    if size is SMALL:
        print("  (--small shows the shape of the table; its figures judge nothing)")
    if failed:
        sys.exit(f"Not measured: {', '.join(failed)}")


def ingestion(folder: Path, size: Size) -> Aims:
    """Trips from the API to Parquet, ours beside a bare script and a peer, and its memory as rows grow."""
    names = ["bare", "ours"]
    if importlib.util.find_spec("dlt"):
        names.append("dlt_peer")
    else:
        print("The peers are not installed here, so they are left out; `make bench` installs them.")
    with serving(size.rows_a_day) as url:
        if size is FULL:  # bytecode compiled and files in the page cache before anything counts
            for name in names:
                timed(name, url, folder / "warm-up" / name, START, 1)
        timings = {name: list[Timing]() for name in names}
        for repeat in range(size.repeats):
            for name in names:
                timings[name].append(contest(url, folder / f"{name}-{repeat}", name, size))
                print(f"  {name}: {timings[name][-1].seconds:.1f} s", flush=True)
        fastest = {name: best(found) for name, found in timings.items()}
        _print_contest(fastest, size)
        peaks = {1: fastest["ours"].peak_mb}
        for times in (2, 4) if size is FULL else (4,):
            peaks[times] = contest(url, folder / f"ours-{times}x", "ours", size, times).peak_mb
    _print_memory(peaks)
    return [
        ("ours / bare, all", fastest["ours"].seconds / fastest["bare"].seconds, AIM_BARE, True),
        ("memory at 4x / 1x the rows", peaks[4] / peaks[1], FLAT, True),
    ]


def a_year(folder: Path, size: Size) -> Aims:
    """A year of hours with next to no data, by one worker, by two, and a run an hour."""
    found = year(folder, size.year_hours, size.year_sample)
    _print_year(found)
    return [("ms an hour of a year in ranges", found.in_ranges_ms, AIM_HOUR_MS, True)]


def by_the_daemon(folder: Path, size: Size) -> Aims:
    """Runs as the daemon launches them."""
    found = launched(folder, LAUNCHED_ROWS_A_DAY, size.launches)
    print_launched(found)
    return launched_aims(found)


def of_boletins(folder: Path, size: Size) -> Aims:
    """Boletins beside bare readers and a peer."""
    found = boletins(folder, FULL_BOLETINS if size is FULL else SMALL_BOLETINS)
    print_boletins(found)
    return list(aims(found))


def waiting(folder: Path, size: Size) -> Aims:
    """A tick over a full inbox, and the runs that empty it."""
    found = inbox(folder, FULL_INBOX if size is FULL else SMALL_INBOX)
    print_inbox(found)
    return inbox_aims(found)


def a_month(folder: Path, size: Size) -> Aims:
    """A month from Parquet to its bill, beside DuckDB."""
    found = audit(folder, *((SIZES,) if size is FULL else (SMALL_SIZES, 1)))
    print_audit(found)
    return audit_aims(found)


PARTS: dict[str, Callable[[Path, Size], Aims]] = {
    "ingestion": ingestion,
    "year": a_year,
    "launched": by_the_daemon,
    "boletins": of_boletins,
    "inbox": waiting,
    "audit": a_month,
}


def _machine(folder: Path) -> str:
    versions = ", ".join(
        f"{name} {importlib.metadata.version(name)}"
        for name in ("dagster", "pandas", "pyarrow", "orjson", "requests", "dlt", "frictionless")
        if importlib.util.find_spec(name)
    )
    memory = psutil.virtual_memory().total / 1e9
    return (
        f"Machine: {os.cpu_count()} cores ({platform.machine()}), {memory:.0f} GB, {platform.system()}, "
        f"Python {platform.python_version()}; {versions}.\n"
        f"Before the start: load {os.getloadavg()[0]:.1f}, an fsync {_fsync_ms(folder):.1f} ms "
        "(Dagster's event database waits for several at every event)"
    )


def _fsync_ms(folder: Path) -> float:
    """Median time of a small write that waits for the disk."""
    times = []
    with (folder / "fsync").open("wb", buffering=0) as file:
        for _ in range(50):
            began = perf_counter()
            file.write(b"x" * 4096)
            os.fsync(file.fileno())
            times.append(perf_counter() - began)
    return median(times) * 1e3


def _print_contest(fastest: dict[str, Timing], size: Size) -> None:
    rows = sum(rows_of_hour(size.rows_a_day, (START.hour + hour) % 24) for hour in range(size.hours))
    print(
        f"\n{rows:,} trips in {size.hours} hours, pages of {PAGE_ROWS:,}; best of {size.repeats} in turn."
        "\n`all` is from the process's start to its exit, `work` leaves out its imports.\n"
        f"\n{'':10}{'all, s':>10}{'work, s':>10}{'rows/s':>10}{'peak, MB':>10}"
    )
    for name, t in fastest.items():
        print(f"{name:10}{t.seconds:10.2f}{t.work_seconds:10.2f}{rows / t.seconds:10,.0f}{t.peak_mb:10.0f}")
    print(f"\n{'ratios':10}{'all':>10}{'work':>10}{'':10}{'peak':>10}")
    for one, other in (("ours", "bare"), ("dlt_peer", "ours")):
        if one in fastest:
            a, b = fastest[one], fastest[other]
            print(
                f"{one + ' / ' + other:16}{a.seconds / b.seconds:4.2f}{a.work_seconds / b.work_seconds:10.2f}"
                f"{'':10}{a.peak_mb / b.peak_mb:10.2f}"
            )


def _print_memory(peaks: dict[int, float]) -> None:
    shown = ", ".join(f"{times}x {peak:.0f} MB" for times, peak in peaks.items())
    print(f"\nours, peak memory as rows grow (over more hours): {shown}; 4x / 1x {peaks[4] / peaks[1]:.2f}")


def _print_year(found: Year) -> None:
    sample = f"(sample of {found.sample})"
    print(
        f"\n{found.hours:,} hours with next to no data, ms an hour:"
        f"\n  in ranges, a process a range        {found.in_ranges_ms:8.1f}"
        f"   ({1e3 / found.in_ranges_ms:.1f} hours a second)"
        f"\n  the same, two of two sources at once {found.two_at_once_ms:8.1f}"
        f"\n  a run an hour, a process a run      {found.run_an_hour_ms:8.1f}   {sample}"
        f"\n  a run an hour, in one warm process  {found.run_an_hour_warm_ms:8.1f}   {sample}"
        f"\n  ratio, process a run / in ranges    {found.run_an_hour_ms / found.in_ranges_ms:8.1f}"
        f"\n  ratio, two at once / in ranges      {found.two_at_once_ms / found.in_ranges_ms:8.2f}"
    )


def _print_aims(reached: Aims) -> None:
    print("\nAims")
    for what, figure, aim, at_most in reached:
        over = figure / aim if at_most else aim / figure
        verdict = "met" if over <= 1 else f"MISSED by {(over - 1) * 100:.0f} %"
        print(f"  {what}: {figure:.2f}, aim at {'most' if at_most else 'least'} {aim:g}: {verdict}")


if __name__ == "__main__":
    main()
