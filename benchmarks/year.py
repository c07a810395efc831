"""A year of hours with next to no data: what an hour costs when there is nothing to do in it."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from measure import expect, rows_in, serving, timed
from server import rows_of_hour

ROWS_A_DAY = 8  # a trip in every third hour
START = datetime(2025, 3, 10, 3, tzinfo=UTC)  # 00:00 in São Paulo
HOURS_A_RUN = 480  # what the asset's backfill policy gives a run


@dataclass(frozen=True)
class Year:
    """Milliseconds an hourly partition, in three ways of running it."""

    hours: int
    in_ranges_ms: float
    run_an_hour_ms: float
    run_an_hour_warm_ms: float
    sample: int


def year(folder: Path, hours: int = 8760, sample: int = 10) -> Year:
    """Backfill `hours` in ranges, one process a range, then `sample` hours a run each, in two ways.

    "A run an hour" is a process an hour, as Dagster's launcher has it; "warm" are runs of one hour in one
    process that has already imported everything.
    """
    with serving(ROWS_A_DAY) as url:
        ranges, done = 0.0, 0
        while done < hours:
            span = min(HOURS_A_RUN, hours - done)
            ranges += timed("ours", url, folder / "ranges", START + timedelta(hours=done), span).seconds
            done += span
        expect("objects and rows of the year", rows_in(_trips(folder / "ranges")), (hours, _rows(hours)))
        single = sum(
            timed("ours", url, folder / "single", START + timedelta(hours=hour), 1).seconds
            for hour in range(sample)
        )
        expect("objects and rows, a run an hour", rows_in(_trips(folder / "single")), (sample, _rows(sample)))
        warm = timed("ours", url, folder / "warm", START, sample, "--hours-a-run", "1").work_seconds
        expect("objects and rows, warm", rows_in(_trips(folder / "warm")), (sample, _rows(sample)))
    return Year(hours, ranges / hours * 1e3, single / sample * 1e3, warm / sample * 1e3, sample)


def _trips(out: Path) -> Path:
    return out / "lake" / "telemetry_trips"


def _rows(hours: int) -> int:
    return sum(rows_of_hour(ROWS_A_DAY, (START.hour + hour) % 24) for hour in range(hours))
