"""What reports are made of, gathered from the lake. Without Dagster.

A report shows tables as they were written; it computes nothing that a table already says.
"""

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from telemetria_pipeline.business_calendar import Cycle, Hour, Window
from telemetria_pipeline.carriers.sources import load_sources
from telemetria_pipeline.contracts import Contract
from telemetria_pipeline.contracts.audit import DAILY_KM, DIVERGENCES, TRIP_SEGMENTS, VALIDATED_TRIPS
from telemetria_pipeline.contracts.billing import ADJUSTMENTS, BILLING, PATTERNS, PRICED_TRIPS
from telemetria_pipeline.contracts.boletim import BOLETIM_TRIPS
from telemetria_pipeline.contracts.raw import FileManifest
from telemetria_pipeline.contracts.reference import CONTRACTS, VEHICLES
from telemetria_pipeline.contracts.telemetry import LEDGER
from telemetria_pipeline.core.audit.rules import AuditRules
from telemetria_pipeline.core.billing.bill import left_out, make_bill
from telemetria_pipeline.core.billing.franchise import after_franchise, left_of_franchise
from telemetria_pipeline.core.billing.tariffs import terms_in_force
from telemetria_pipeline.errors import PipelineError
from telemetria_pipeline.reports.daily import DailyFacts
from telemetria_pipeline.reports.evidence import Evidence, readings_around
from telemetria_pipeline.reports.measurement import Measurement
from telemetria_pipeline.reports.text import brl, day_of, missing, word
from telemetria_pipeline.settings import Settings
from telemetria_pipeline.steps.audit_day import read_day
from telemetria_pipeline.steps.boletim_files import (
    files_received,
    manifests_of,
    partition_of,
    read_file_manifest,
)
from telemetria_pipeline.steps.closed_cycles import read_log
from telemetria_pipeline.steps.day_index import files_declaring
from telemetria_pipeline.steps.hours import expected_hours, read_manifest
from telemetria_pipeline.steps.reference import read_tables
from telemetria_pipeline.steps.staleness import Snapshot
from telemetria_pipeline.storage.lake import Lake

_READERS = 8  # S3 answers each in its own time
_DAY = timedelta(days=1)
_NEAREST = 5
_FAR_DAYS = 31  # so far away a reading still says something of a trip
_ROWS = {"recebidas": "received", "aceitas": "accepted", "repetidas": "duplicate", "rejeitadas": "rejected"}


class NothingToReport(PipelineError):
    """A table that the report is made of was never written; the message says what to materialise."""


class UnknownDivergence(PipelineError):
    """There is no such divergence; the message names those of highest value of its day."""


def measurement_of(lake: Lake, cycle: Cycle, settings: Settings) -> Measurement:
    """The cycle's tables, and the divergences of those of its days that are audited.

    Raises `NothingToReport` where the cycle was never billed, `CycleRefused` where the log of closings is not
    what was written.
    """
    billing, priced, adjustments, patterns = (
        _table(lake, contract, cycle.partition) for contract in (BILLING, PRICED_TRIPS, ADJUSTMENTS, PATTERNS)
    )
    days = [{"data": str(day)} for day in cycle.days]
    found = [DIVERGENCES.arrow_schema.empty_table()]
    found += [table for _, table in lake.read_tables(DIVERGENCES.name, days)]
    return Measurement(
        first=cycle.first,
        last=cycle.last,
        zone=settings.timezone,
        billing=billing,
        priced=priced,
        adjustments=adjustments,
        divergences=DIVERGENCES.frame(pa.concat_tables(found, promote_options="default")),
        patterns=patterns,
        closing=read_log(lake, settings).closing(cycle),
        left_out=left_out(priced),
    )


def daily_facts(lake: Lake, day: date, settings: Settings) -> DailyFacts:
    """The day's tables, what is known of its hours, and the boletins that are about it.

    Raises `NothingToReport` where the day was never audited.
    """
    trips, km, divergences = (
        _table(lake, contract, {"data": str(day)}) for contract in (VALIDATED_TRIPS, DAILY_KM, DIVERGENCES)
    )
    window = settings.calendar.day(day)
    sources = load_sources(settings).values()
    expected = [h for source in sources for h in expected_hours(source, settings.calendar, *window)]
    with ThreadPoolExecutor(_READERS) as readers:
        hours = list(readers.map(lambda hour: _hour(lake, hour), expected))
    return DailyFacts(
        day=day,
        zone=settings.timezone,
        trips=trips,
        km=km,
        divergences=divergences,
        hours=pd.DataFrame(hours, columns=["fonte", "hora", "estado", "tentativas", "erro"]),
        boletins=_boletins(lake, day, window),
        franchise=_franchise(lake, day, trips, settings),
    )


def evidence_of(lake: Lake, divergence_id: str, settings: Settings) -> Evidence:
    """All that a divergence rests on. Raises `UnknownDivergence`."""
    day = _day_of(divergence_id)
    partition = {"data": str(day)}
    try:
        every = _table(lake, DIVERGENCES, partition)
    except NothingToReport:
        raise UnknownDivergence(f"O dia {day_of(day)} ainda não foi auditado: não há divergências") from None
    found = every[every["divergencia_id"] == divergence_id]
    if found.empty:
        raise UnknownDivergence(f"{divergence_id} não existe. {_highest(every, day)}")
    divergence = found.iloc[0]
    trips, segments = (_table(lake, contract, partition) for contract in (VALIDATED_TRIPS, TRIP_SEGMENTS))
    rules, snapshot = AuditRules.of(settings), Snapshot.read(lake, day, day, settings)
    segments = segments[segments["veiculo"] == divergence["veiculo"]]
    boletim = (
        None if missing(divergence["arquivo_id"]) else read_file_manifest(lake, divergence["arquivo_id"])
    )
    around = _readings_around(lake, divergence, segments, day)
    free = _franchise(lake, day, trips[trips["veiculo"] == divergence["veiculo"]], settings)
    beyond = after_franchise(found, free).iloc[0]
    return Evidence(
        divergence=divergence,
        trips=trips[trips["veiculo"] == divergence["veiculo"]],
        segments=segments,
        around=around,
        between=_between(lake, divergence["veiculo"], around, day, settings),
        beyond=(beyond["valor_brl"], beyond["franquia_brl"]),
        boletim_sha256=boletim.sha256 if boletim else None,
        hours=read_day(lake, day, snapshot).sources.of_vehicle(divergence["veiculo"]),
        terms=_terms(lake, trips[trips["viagem_id"] == divergence["viagem_id"]], day),
        rules=rules.as_json(),
        rules_version=rules.version,
        zone=settings.timezone,
        declared_zone=_declared_zone(lake, divergence) or settings.timezone,
    )


def _readings_around(lake: Lake, divergence: pd.Series, segments: pd.DataFrame, day: date) -> pd.DataFrame:
    """The vehicle's segments of the nearest days with a good odometer before and after the trip, where its
    own day has none; a bus may stand, or be silent, for weeks."""
    found = [TRIP_SEGMENTS.empty()]
    for step, of_day in zip((-_DAY, _DAY), readings_around(segments, divergence), strict=True):
        days = [] if len(of_day) else [day + n * step for n in range(1, _FAR_DAYS + 1)]
        for partition in ({"data": str(d)} for d in days):
            table = lake.read_table(TRIP_SEGMENTS.name, partition)
            if table is None:
                continue
            own = TRIP_SEGMENTS.frame(table.filter(pc.field("veiculo") == divergence["veiculo"]))
            if (own["situacao_odometro"] == "ok").any():
                found.append(own)
                break
    return pd.concat(found, ignore_index=True)


def _between(lake: Lake, vehicle: str, around: pd.DataFrame, day: date, settings: Settings) -> pd.DataFrame:
    """The vehicle's trips from the day of the reading before to the day of the one after."""
    days = {day, *around["saida_utc"].dt.tz_convert(settings.timezone).dt.date}
    every = [{"data": str(min(days) + n * _DAY)} for n in range((max(days) - min(days)).days + 1)]
    found = [
        VALIDATED_TRIPS.frame(table.filter(pc.field("veiculo") == vehicle))
        for _, table in lake.read_tables(VALIDATED_TRIPS.name, every)
    ]
    return pd.concat([VALIDATED_TRIPS.empty(), *found], ignore_index=True)


def _table(lake: Lake, contract: Contract, partition: dict[str, str]) -> pd.DataFrame:
    table = lake.read_table(contract.name, partition)
    if table is None:
        (when,) = partition.values()
        made_with = BILLING.name if "ciclo" in partition else VALIDATED_TRIPS.name
        raise NothingToReport(f"{contract.name} has nothing of {when}: materialise {made_with} for it first")
    return contract.frame(table)


def _franchise(lake: Lake, day: date, trips: pd.DataFrame, settings: Settings) -> pd.Series:
    """Free metres left when each trip of the day departs, by its id: what earlier trips of the cycle used.

    Only of vehicles that drove under a contract with a franchise: most days read no other day.
    """
    reference, cycle = read_tables(lake), Cycle.of(day)
    contracts = CONTRACTS.empty() if reference.contracts is None else reference.contracts
    with_one = contracts.loc[contracts["franquia_km"] > 0, "contrato"]
    vehicles = trips.loc[trips["contrato"].isin(with_one), "veiculo"].unique()
    if not len(vehicles):
        return pd.Series(dtype="int64")
    so_far = [d for d in cycle.days if d <= day]
    found = [VALIDATED_TRIPS.empty().assign(data="")]
    for partition, table in lake.read_tables(VALIDATED_TRIPS.name, [{"data": str(d)} for d in so_far]):
        own = table.filter(pc.field("veiculo").isin(list(vehicles)))
        found.append(VALIDATED_TRIPS.frame(own).assign(data=partition["data"]))
    ran = pd.concat(found, ignore_index=True).astype({"data": "str"})
    registered = VEHICLES.empty() if reference.vehicles is None else reference.vehicles
    registered = registered[registered["placa"].isin(vehicles)]
    bill = make_bill(ran, registered, contracts, cycle, AuditRules.of(settings))
    return left_of_franchise(bill.billing, bill.priced)


def _hour(lake: Lake, hour: Hour) -> dict[str, Any]:
    """The hour as the audit sees it: what its tables say; and what the last tries without an answer met."""
    ledger = lake.read_table(LEDGER.name, hour.partition, ["state"])
    manifest = read_manifest(lake, hour)
    failure = manifest.failure if manifest else None
    return {
        "fonte": hour.source,
        "hora": hour.key[11:],
        "estado": "missing" if ledger is None else ledger["state"][0].as_py(),
        "tentativas": failure.attempts if failure else 0,
        "erro": failure.error if failure else None,
    }


def _boletins(lake: Lake, day: date, window: Window) -> pd.DataFrame:
    """The files that declare the day or came on it, and those of the day after of which nothing was taken.

    Depots send a day's boletim in its evening or in the next morning; one that is sent back says no day.
    """
    start, end = window
    declaring = files_declaring(lake, [day])
    landed = files_received(lake, start, end + _DAY)
    manifests = manifests_of(lake, sorted({*declaring, *landed}))
    about = [m for m in manifests if m.file in declaring or m.received_at < end or not m.days]
    found = pd.DataFrame(
        [_boletin(m) for m in sorted(about, key=lambda m: m.received_at)],
        columns=["arquivo", "veredito", "recebido_utc", *_ROWS],
    )
    found["recebido_utc"] = pd.to_datetime(found["recebido_utc"], utc=True).astype("datetime64[us, UTC]")
    return found


def _boletin(manifest: FileManifest) -> dict[str, Any]:
    return {
        "arquivo": manifest.name,
        "veredito": _standing(manifest),
        "recebido_utc": manifest.received_at,
        **{name: manifest.rows.get(row, 0) for name, row in _ROWS.items()},
    }


def _standing(manifest: FileManifest) -> str | None:
    """The file's verdict, or what became of all its trips since."""
    if manifest.withdrawn:
        return "withdrawn"
    return "replaced" if manifest.replaced_by and not manifest.counted else manifest.verdict


def _day_of(divergence_id: str) -> date:
    found = re.fullmatch(r"(\d{8})-[0-9a-f]{10}", divergence_id)
    try:
        return datetime.strptime(found[1] if found else "", "%Y%m%d").date()
    except ValueError:
        raise UnknownDivergence(
            f"{divergence_id!r} não é o número de uma divergência; escreva um como 20261122-0a1b2c3d4e"
        ) from None


def _highest(every: pd.DataFrame, day: date) -> str:
    highest = every.sort_values("posicao").head(_NEAREST)
    if highest.empty:
        return f"O dia {day_of(day)} não tem divergências."
    columns = (highest[name] for name in ("divergencia_id", "valor_brl", "veiculo", "tipo"))
    said = [f"  {i}  {brl(value):>12}  {v}  {word(kind)}" for i, value, v, kind in zip(*columns, strict=True)]
    return "\n".join([f"As mais caras de {day_of(day)}:", *said])


def _declared_zone(lake: Lake, divergence: pd.Series) -> ZoneInfo | None:
    """The zone in which the boletim's clocks were read; None where nothing was declared (any more)."""
    if missing(divergence["arquivo_id"]):
        return None
    declared = lake.read_table(BOLETIM_TRIPS.name, partition_of(divergence["arquivo_id"]), ["placa", "fuso"])
    zones = [] if declared is None else declared.filter(pc.field("placa") == divergence["veiculo"])["fuso"]
    return ZoneInfo(zones[0].as_py()) if len(zones) else None


def _terms(lake: Lake, trip: pd.DataFrame, day: date) -> pd.Series | None:
    """The contracts row that gave the trip its price; None where there is none, or it reads otherwise now."""
    contracts, priced = read_tables(lake).contracts, trip.iloc[0]
    if contracts is None or missing(priced["contrato"]):
        return None
    (at,) = terms_in_force(trip.assign(data=str(day)), contracts)
    if at < 0:
        return None
    terms = contracts.iloc[at]
    return terms if all(terms[name] == priced[name] for name in ("contrato", "tarifa_brl_km")) else None
