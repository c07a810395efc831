"""A year of hours with next to no data: what an hour costs when there is nothing to do in it."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter

import yaml
from measure import expect, rows_in, serving, timed
from server import rows_of_hour

ROWS_A_DAY = 8  # a trip in every third hour
START = datetime(2025, 3, 10, 3, tzinfo=UTC)  # 00:00 in São Paulo
HOURS_A_RUN = 480  # what the asset's backfill policy gives a run


@dataclass(frozen=True)
class Year:
    """Milliseconds an hourly partition, in four ways of running it."""

    hours: int
    in_ranges_ms: float
    two_at_once_ms: float
    run_an_hour_ms: float
    run_an_hour_warm_ms: float
    sample: int


def year(folder: Path, hours: int = 8760, sample: int = 10) -> Year:
    """Backfill `hours` in ranges, one process a range, then `sample` hours a run each, in two ways.

    "Two at once" are two processes over half of the hours each, of a source each: a carrier is asked by one
    run at a time. "A run an hour" is a process an hour, as Dagster's launcher has it; "warm" are runs of one
    hour in one process that has already imported everything.
    """
    with serving(ROWS_A_DAY) as url:
        ranges = _in_ranges(url, folder / "ranges", 0, hours)
        expect("objects and rows of the year", rows_in(_trips(folder / "ranges")), (hours, _rows(hours)))
        together = _two_at_once(url, folder / "together", hours)
        expect("objects and rows, two at once", rows_in(_trips(folder / "together")), (hours, _rows(hours)))
        single = sum(
            timed("ours", url, folder / "single", START + timedelta(hours=hour), 1).seconds
            for hour in range(sample)
        )
        expect("objects and rows, a run an hour", rows_in(_trips(folder / "single")), (sample, _rows(sample)))
        warm = timed("ours", url, folder / "warm", START, sample, "--hours-a-run", "1").work_seconds
        expect("objects and rows, warm", rows_in(_trips(folder / "warm")), (sample, _rows(sample)))
    found = (ranges / hours, together / hours, single / sample, warm / sample)
    return Year(hours, *(seconds * 1e3 for seconds in found), sample)


def _in_ranges(url: str, out: Path, first: int, hours: int, *more: str) -> float:
    """Seconds of processes that follow each other, one a range."""
    began = perf_counter()
    for done in range(first, first + hours, HOURS_A_RUN):
        span = min(HOURS_A_RUN, first + hours - done)
        timed("ours", url, out, START + timedelta(hours=done), span, *more)
    return perf_counter() - began


def _two_at_once(url: str, out: Path, hours: int) -> float:
    """Seconds until two workers are done, on one instance and one lake."""
    source = {"url": url, "profile": "simulator", "secrets": {"token": "BENCH_TOKEN"}, "start": START.date()}
    out.mkdir(parents=True)
    (out / "sources.yaml").write_text(yaml.safe_dump({"one": source, "two": source}))
    began, half = perf_counter(), hours // 2
    with ThreadPoolExecutor() as workers:
        both = [
            workers.submit(_in_ranges, url, out, 0, half, "--source", "one"),
            workers.submit(_in_ranges, url, out, half, hours - half, "--source", "two"),
        ]
        for worker in both:
            worker.result()
    return perf_counter() - began


def _trips(out: Path) -> Path:
    return out / "lake" / "telemetry_trips"


def _rows(hours: int) -> int:
    return sum(rows_of_hour(ROWS_A_DAY, (START.hour + hour) % 24) for hour in range(hours))
