"""The validated trips of audited days, held against what the audit wrote."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date

import pyarrow as pa

from telemetria_pipeline.contracts.audit import VALIDATED_TRIPS
from telemetria_pipeline.core.audit.staleness import DayState
from telemetria_pipeline.steps.staleness import read_state, read_states, state_key
from telemetria_pipeline.storage.lake import Lake, Written
from telemetria_pipeline.storage.lock import locked

_READERS = 8  # S3 answers each in its own time
_ALTERED = (
    "{} não é o que a auditoria escreveu ({}): materialize `validated_trips` desse dia, que o faz de novo do "
    "que foi recebido."
)


@dataclass(frozen=True)
class AuditedDay:
    """A day's trips, contract VALIDATED_TRIPS, and a digest of what they say; None where there are none.

    `problem` says, in Portuguese, that they are not what the audit wrote, and names the object.
    """

    day: date
    trips: pa.Table | None
    digest: str | None
    problem: str | None


def read_days(lake: Lake, days: Sequence[date]) -> list[AuditedDay]:
    """The trips of these days (in order), each held against the day's state. A LIST, and two GETs a day."""
    states = read_states(lake, list(days))
    with ThreadPoolExecutor(_READERS) as readers:
        return list(readers.map(lambda day: _read(lake, day, states.get(day)), days))


def _read(lake: Lake, day: date, state: DayState | None) -> AuditedDay:
    partition = {"data": str(day)}
    found = lake.read_written(VALIDATED_TRIPS.name, partition)
    if _differ(found, state):
        with locked(lake, f"audit-{day}"):  # an audit may be replacing both
            state, found = read_state(lake, day), lake.read_written(VALIDATED_TRIPS.name, partition)
    problem = None
    if _differ(found, state):
        problem = _ALTERED.format(lake.table_key(VALIDATED_TRIPS.name, partition), state_key(day))
    return AuditedDay(day, found[0] if found else None, state.digest if state else None, problem)


def _differ(found: tuple[pa.Table, Written] | None, state: DayState | None) -> bool:
    return (found[1].sha256 if found else None) != (state.file if state else None)
