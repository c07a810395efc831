"""The validated trips of audited days, held against what the audit wrote."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date

import pyarrow as pa

from telemetria_pipeline.contracts.audit import VALIDATED_TRIPS
from telemetria_pipeline.core.audit.staleness import DayState
from telemetria_pipeline.core.digests import table_digest
from telemetria_pipeline.steps.staleness import read_state, read_states, state_key
from telemetria_pipeline.storage.lake import Lake
from telemetria_pipeline.storage.lock import locked

_READERS = 8  # S3 answers each in its own time
_ALTERED = (
    "{} não é o que a auditoria escreveu ({}): materialize `validated_trips` desse dia, que o faz de novo do "
    "que foi recebido."
)


@dataclass(frozen=True)
class AuditedDay:
    """A day's trips, contract VALIDATED_TRIPS, and their digest; None where it was never audited.

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
    table = _table(lake, day)
    if not _holds(table, state):
        with locked(lake, f"audit-{day}"):  # an audit may be replacing both
            state, table = read_state(lake, day), _table(lake, day)
    key = lake.table_key(VALIDATED_TRIPS.name, {"data": str(day)})
    problem = None if _holds(table, state) else _ALTERED.format(key, state_key(day))
    return AuditedDay(day, table, state.digest if state else None, problem)


def _table(lake: Lake, day: date) -> pa.Table | None:
    return lake.read_table(VALIDATED_TRIPS.name, {"data": str(day)})


def _holds(table: pa.Table | None, state: DayState | None) -> bool:
    if table is None or state is None:
        return table is state is None
    return table_digest(table) == state.digest
