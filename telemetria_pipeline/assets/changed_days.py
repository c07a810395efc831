"""Marks of what changed, and what each audited day has seen of them. See `core/changed_days.py`.

A mark is an object of its own, never written twice: two that leave marks at once do not know of each other,
and what one of them lost by a crash is left by its next try.
"""

import uuid
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime

from telemetria_pipeline.core.changed_days import PENDING, DayState, Mark, Window, mark_key
from telemetria_pipeline.storage.lake import Lake

STATES = "audited_days"
_READERS = 8


def leave_marks(lake: Lake, windows: Iterable[Window], source: str) -> None:
    """Say that something changed in these windows. To be called after all tables are written."""
    for window in sorted(set(windows)):
        key = mark_key(window, source, uuid.uuid4().hex[:12])
        lake.write_json(key, {"source": source, "from": window[0], "until": window[1]})


def pending_marks(lake: Lake) -> list[Mark]:
    """The marks that no sensor has cleared away yet."""
    return [Mark.from_key(i.key, i.modified or datetime.now(UTC)) for i in lake.store.list(PENDING)]


def clear_marks(lake: Lake, marks: Iterable[Mark]) -> None:
    """Remove marks that nobody needs any more."""
    for mark in marks:
        lake.store.delete(mark.key)


def write_state(lake: Lake, state: DayState) -> None:
    """Say what is known of the day, in place of what was."""
    lake.write_json(_state_key(state.day), state.model_dump(mode="json"))


def read_state(lake: Lake, day: date) -> DayState | None:
    """What is known of the day; None where it was never audited."""
    found = lake.read_json(_state_key(day))
    return DayState.model_validate(found) if found else None


def read_states(lake: Lake, days: Iterable[date]) -> dict[date, DayState]:
    """The states of those days that were ever audited."""
    with ThreadPoolExecutor(_READERS) as readers:
        found = readers.map(lambda day: read_state(lake, day), days)
    return {state.day: state for state in found if state}


def _state_key(day: date) -> str:
    return f"{STATES}/data={day}.json"
