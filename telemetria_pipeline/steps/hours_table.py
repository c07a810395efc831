"""The hours and the sources as a person asks for them: what is known of each, and where its rows went."""

from collections.abc import Iterable
from datetime import datetime, timedelta

import pandas as pd

from telemetria_pipeline.business_calendar import Calendar, Hour
from telemetria_pipeline.carriers.sources import Source
from telemetria_pipeline.contracts.telemetry import LEDGER
from telemetria_pipeline.errors import PipelineError
from telemetria_pipeline.settings import Settings
from telemetria_pipeline.steps.backlog import backlog
from telemetria_pipeline.steps.hours import Sources, expected_hours, read_manifest
from telemetria_pipeline.storage.lake import Lake
from telemetria_pipeline.storage.object_store import ObjectDamaged

COUNTS = ["received", "accepted", "duplicate", "rejected", "out_of_window", "in_progress"]
COLUMNS = ["hour", "state", "requests", "retries", *COUNTS]


class NoSuchHours(PipelineError):
    """The keys name no hours."""


def hours_named(calendar: Calendar, first: str, last: str, source: Source, now: datetime) -> list[Hour]:
    """The hours that the source is to give from `first` to `last` and that are over: days (`2026-03-10`) or
    hours' keys.

    Raises `NoSuchHours`.
    """
    try:
        begin = calendar.day_named(first)[0] if len(first) == 10 else calendar.hour(first, source.name).start
        end = calendar.day_named(last)[1] if len(last) == 10 else calendar.hour(last, source.name).end
    except ValueError:
        begin = end = calendar.day(calendar.start)[0]
    found = expected_hours(source, calendar, begin, min(end, now))
    if not found:
        raise NoSuchHours(
            f"no hour from {first} to {last}; write a day (2026-03-10) or an hour (2026-03-10-07:00), not "
            f"before {max(calendar.start, source.start)} and not one that is still to come"
        )
    return found


def hours_table(lake: Lake, hours: Iterable[Hour]) -> pd.DataFrame:
    """One row an hour with `COLUMNS`, counts missing where the hour has no tables yet."""
    return pd.DataFrame([_row(lake, hour) for hour in hours], columns=COLUMNS).astype(
        dict.fromkeys(COLUMNS[2:], "Int64")
    )


def sources_table(lake: Lake, sources: Sources, settings: Settings, now: datetime) -> pd.DataFrame:
    """One row a source: its last answer and the gaps of its last `recapture_days`.

    Columns: `source`, `profile`, `last_answer` (when an hour was last captured), `last_hour` (the newest one
    that was), `missing`, `open` and `given_up` (hours; the last are missing too), `oldest_gap` (the first of
    them), `problem` (why it cannot be asked, or what it last refused).
    """
    rows = []
    for source in sources.values():
        found = backlog(lake, source, settings.calendar, now, timedelta(days=settings.recapture_days))
        states, last = [*found.states.values()], found.answered_at
        rows.append(
            {
                "source": source.name,
                "profile": source.profile,
                "last_answer": f"{last.astimezone(settings.timezone):%Y-%m-%d %H:%M}" if last else None,
                "last_hour": found.last_hour,
                "missing": states.count("missing"),
                "open": states.count("open"),
                "given_up": sum(hour.given_up for hour in found.owed),
                "oldest_gap": min(found.states, default=None),
                "problem": source.problem() or found.error,
            }
        )
    return pd.DataFrame(rows)


def as_text(table: pd.DataFrame) -> str:
    """The table for a terminal, a dash where nothing is known."""
    return (
        table.astype(object)
        .where(table.notna(), "-")
        .rename(columns=lambda c: c.replace("_", " "))
        .to_string(index=False)
    )


def _row(lake: Lake, hour: Hour) -> dict[str, object]:
    try:
        manifest = read_manifest(lake, hour)
        ledger = lake.read_table(LEDGER.name, hour.partition)
    except ObjectDamaged:
        return {"hour": hour.key, "state": "damaged"}
    # Raw expires after two years and the manifest with it; the ledger still knows the hour.
    told = ledger.select(COLUMNS[1:]).to_pylist()[0] if ledger is not None else {}
    known = {"state": manifest.state} if manifest else {}
    return {"hour": hour.key, "state": "missing", **told, **known}
