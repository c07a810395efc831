"""Marks of what changed, and what each audited day has seen of them. See `core/changed_days.py`.

A mark is an object of its own, never written twice: two that leave marks at once do not know of each other,
and what one of them lost by a crash is left by its next try.
"""

import uuid
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta

from telemetria_pipeline.core.changed_days import (
    PENDING,
    DaysPlan,
    DayState,
    Mark,
    Window,
    mark_key,
    plan_days,
)
from telemetria_pipeline.settings import Settings
from telemetria_pipeline.storage.lake import Lake

STATES = "audited_days"
_AT_ONCE = 8
_DAY = timedelta(days=1)


def leave_marks(lake: Lake, windows: Iterable[Window], source: str) -> None:
    """Say that something changed in these windows. To be called after all tables are written."""
    for window in sorted(set(windows)):
        key = mark_key(window, source, uuid.uuid4().hex[:12])
        lake.write_json(key, {"source": source, "from": window[0], "until": window[1]})


def pending_marks(lake: Lake) -> list[Mark]:
    """The marks that no sensor has cleared away yet."""
    found = (Mark.from_key(i.key, i.modified or datetime.now(UTC)) for i in lake.store.list(PENDING))
    return [mark for mark in found if mark]


def clear_marks(lake: Lake, marks: Iterable[Mark]) -> None:
    """Remove marks that nobody needs any more."""
    with ThreadPoolExecutor(_AT_ONCE) as workers:  # a backfill leaves thousands
        list(workers.map(lambda mark: lake.store.delete(mark.key), marks))


def days_to_audit(lake: Lake, settings: Settings, now: datetime) -> tuple[list[Mark], DaysPlan]:
    """The pending marks, and the days to audit for them; those that are done with are cleared away.

    The marks and the days' states say all; nothing else is remembered from time to time.
    """
    marks = pending_marks(lake)
    if not marks:
        return [], DaysPlan()
    today = now.astimezone(settings.timezone).date()
    oldest = max(settings.start, today - settings.audit_days * _DAY)
    days = [oldest + n * _DAY for n in range((today - oldest).days + 2)]
    plan = plan_days(
        marks,
        read_states(lake, days),
        days=days,
        window_of=settings.calendar.day,
        now=now,
        rest=timedelta(seconds=settings.audit_rest_s),
        tolerance=timedelta(minutes=settings.match_minutes),
    )
    clear_marks(lake, [*plan.settled, *plan.let_go])
    return marks, plan


def write_state(lake: Lake, state: DayState) -> None:
    """Say what is known of the day, in place of what was."""
    lake.write_json(_state_key(state.day), state.model_dump(mode="json"))


def read_state(lake: Lake, day: date) -> DayState | None:
    """What is known of the day; None where it was never audited."""
    found = lake.read_json(_state_key(day))
    return DayState.model_validate(found) if found else None


def read_states(lake: Lake, days: Iterable[date]) -> dict[date, DayState]:
    """The states of those days that were ever audited."""
    with ThreadPoolExecutor(_AT_ONCE) as workers:
        found = workers.map(lambda day: read_state(lake, day), days)
    return {state.day: state for state in found if state}


def _state_key(day: date) -> str:
    return f"{STATES}/data={day}.json"
