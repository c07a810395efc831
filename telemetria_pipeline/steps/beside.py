"""The days beside a cycle, read as far as its odometers ask for them: a vehicle that fell silent before the
cycle ended may be read again days later, and tells then what it moved."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from telemetria_pipeline.business_calendar import Cycle
from telemetria_pipeline.contracts.audit import VALIDATED_TRIPS
from telemetria_pipeline.core.audit.rules import AuditRules
from telemetria_pipeline.core.billing.reconciliation import not_enclosed
from telemetria_pipeline.settings import Settings
from telemetria_pipeline.steps.audited_days import AuditedDay, read_days
from telemetria_pipeline.steps.closed_cycles import refuse
from telemetria_pipeline.storage.lake import Lake

_AT_ONCE = 8  # days
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Beside:
    """Trips of the vehicles that were asked about, with their day in `data`; `digests` of all days that were
    looked for, empty where a day is not audited."""

    trips: pd.DataFrame
    digests: dict[date, str]


def frame_of(days: Sequence[AuditedDay], vehicles: set[str] | None = None) -> pd.DataFrame:
    """The trips of these days, contract VALIDATED_TRIPS, with their day in `data` (text); `vehicles`: theirs
    alone. Raises `CycleRefused` where a day is not what was written."""
    refuse([day.problem for day in days if day.problem])
    tables = {str(day.day): day.trips for day in days if day.trips is not None}
    if vehicles is not None:
        theirs = pa.array(sorted(vehicles))
        tables = {d: t.filter(pc.is_in(t["veiculo"], value_set=theirs)) for d, t in tables.items()}
    every = [VALIDATED_TRIPS.arrow_schema.empty_table(), *tables.values()]
    trips = VALIDATED_TRIPS.frame(pa.concat_tables(every, promote_options="default"))
    dates = np.repeat(np.array(list(tables), object), [len(table) for table in tables.values()])
    trips["data"] = pd.Series(dates, dtype="str")
    return trips


def read_beside(
    lake: Lake, cycle: Cycle, trips: pd.DataFrame, rules: AuditRules, settings: Settings
) -> Beside:
    """What the cycle's trips (as `frame_of` gives them) need of the days before and after it.

    It looks at most one cycle far; a vehicle that is silent for longer tells nothing.
    """
    found, digests = [frame_of([])], dict[date, str]()
    first, last = cycle.first, cycle.last

    def sought() -> tuple[set[str], set[str]]:
        # A trip of the next day that is not read may lie across a reading of the last one.
        since, until = settings.calendar.day(first + _DAY)[0], settings.calendar.day(last)[0]
        return not_enclosed(trips, pd.concat(found, ignore_index=True), rules, since, until)

    def look(days: Sequence[date], vehicles: Callable[[], set[str]]) -> None:
        nonlocal first, last
        for n in range(0, len(days), _AT_ONCE):
            if not (missing := vehicles()):
                return
            read = read_days(lake, days[n : n + _AT_ONCE])
            found.append(frame_of(read, missing))
            digests.update({day.day: day.digest or "" for day in read})
            first, last = min(first, read[-1].day), max(last, read[-1].day)

    look(cycle.before.days[::-1], lambda: sought()[0])
    look(cycle.after.days, lambda: sought()[1])
    return Beside(pd.concat(found, ignore_index=True), digests)
