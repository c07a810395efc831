"""A cycle in a lake as the audit leaves it, for the tests of what comes after."""

import tempfile
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Any

import pandas as pd

from telemetria_pipeline.business_calendar import Cycle
from telemetria_pipeline.contracts import Contract
from telemetria_pipeline.contracts.audit import DAILY_KM, VALIDATED_TRIPS
from telemetria_pipeline.contracts.closing import Closing
from telemetria_pipeline.contracts.reference import CONTRACTS, VEHICLES
from telemetria_pipeline.core.audit.trips import DECLARED, SEGMENTS, AuditedTrips, AuditInputs
from telemetria_pipeline.settings import Settings
from telemetria_pipeline.steps.closed_cycles import read_log
from telemetria_pipeline.steps.staleness import Snapshot, make_state, write_state
from telemetria_pipeline.storage.lake import Lake
from telemetria_pipeline_tests.core.audit.rows import ZONE, frame_of, hours, segments, trips
from telemetria_pipeline_tests.core.billing.bills import CYCLE, DAYS, on, terms, vehicle

SETTINGS = Settings.load(inbox="file:./there-is-no-inbox")
AFTER = datetime(2026, 3, 17, 12, tzinfo=UTC)
LATER = AFTER + timedelta(days=32)


def put(lake: Lake, contract: Contract, *rows: dict[str, Any]) -> None:
    lake.write_table(contract.name, {}, contract.table(frame_of(contract, rows)))


def drove(day: str, km: Any, **said: Any) -> dict[str, Any]:
    """A trip that both sides agree on."""
    return on(day, viagem_id=f"{day}-{km}", km_declarado=km, km_medido=km, **said)


def audited(lake: Lake, cycle: Cycle, *rows: dict[str, Any], days: Iterable[date] | None = None) -> None:
    """The cycle's days (or these) as the audit leaves them, with these trips."""
    snapshot = Snapshot.read(lake, cycle.first, cycle.last, SETTINGS)
    for day in cycle.days if days is None else days:
        of_day = [row for row in rows if row["saida_utc"].astimezone(ZONE).date() == day]
        frame = trips(*of_day)
        written = lake.write_table(VALIDATED_TRIPS.name, {"data": str(day)}, VALIDATED_TRIPS.table(frame))
        lake.write_table(DAILY_KM.name, {"data": str(day)}, DAILY_KM.table(DAILY_KM.empty()))
        found = AuditedTrips(frame, segments(), leans=False, swaps=pd.DataFrame(), devices_in_doubt=False)
        inputs = AuditInputs(DECLARED.empty(), SEGMENTS.empty(), hours(day))
        write_state(lake, make_state(day, found, inputs, snapshot, written.sha256))


def lose(lake: Lake, day: str) -> None:
    """The day as if it had never been audited."""
    for contract in (VALIDATED_TRIPS, DAILY_KM):
        lake.store.delete(lake.table_key(contract.name, {"data": day}))
    lake.store.delete(f"audited_days/data={day}.json")


def closing_of(lake: Lake, cycle: Cycle = CYCLE) -> Closing | None:
    """How the log says that the cycle was closed, if it is sound."""
    return read_log(lake, SETTINGS).closing(cycle)


def filled(lake: Lake) -> Lake:
    """The lake with one bus, one tariff, and two trips in the cycle."""
    for key, data in _filled().items():
        lake.store.put(key, data)
    return lake


@cache
def _filled() -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake.open(f"file:{folder}")
        put(lake, VEHICLES, vehicle())
        put(lake, CONTRACTS, terms())
        audited(lake, CYCLE, drove(DAYS[0], 10), drove(DAYS[9], 20))
        return {info.key: lake.store.get(info.key) for info in lake.store.list()}
