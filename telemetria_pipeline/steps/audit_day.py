"""One business day, from the lake to its audited tables.

`audit_day` reads tables only, and writes in this order: `trip_segments`, `daily_km`, `divergences`,
`validated_trips`, the day's state. Whatever is cut short leaves the earlier state, which says that the day
was made from something else: the day is audited again, and a second time gives the same.

The index of days is read before any table (see `day_index`): rows that are newer than the entries that were
seen make the day stale. Where a table holds another number of rows than its entry says, somebody is writing
both, or rows were lost: they would leave the bill without a word, so the day waits until they are back.
"""

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa

from telemetria_pipeline.business_calendar import Hour
from telemetria_pipeline.contracts.audit import DAILY_KM, DIVERGENCES, TRIP_SEGMENTS, VALIDATED_TRIPS
from telemetria_pipeline.contracts.boletim import BOLETIM_TRIPS
from telemetria_pipeline.contracts.reference import DRIVERS
from telemetria_pipeline.contracts.telemetry import TRIPS
from telemetria_pipeline.core.audit.daily import daily_km
from telemetria_pipeline.core.audit.days import business_days
from telemetria_pipeline.core.audit.divergences import find_divergences
from telemetria_pipeline.core.audit.trips import (
    DECLARED,
    FILE_DAYS,
    HOUR_DAYS,
    SEGMENTS,
    UNHEARD,
    AuditInputs,
    validate_trips,
)
from telemetria_pipeline.core.exact import units
from telemetria_pipeline.errors import PipelineError
from telemetria_pipeline.settings import Settings
from telemetria_pipeline.steps.boletim_files import partition_of
from telemetria_pipeline.steps.day_index import DayIndex, HourEntry, UnheardVehicle
from telemetria_pipeline.steps.hours import publishing, read_manifest
from telemetria_pipeline.steps.people import People
from telemetria_pipeline.steps.publish import TablesRefused
from telemetria_pipeline.steps.staleness import Snapshot, days_around, make_state, write_state
from telemetria_pipeline.storage.lake import Lake, Written
from telemetria_pipeline.storage.lock import locked

_READERS = 8  # S3 answers each in its own time


class RowsLost(PipelineError):
    """A table does not hold the rows that were written to it."""

    def __init__(self, where: str, counts: str, asset: str, partition: str) -> None:
        super().__init__(
            f"{where} does not hold the trips that were written to it ({counts}): materialise {asset} "
            f"for {partition}, which makes it again from what was received, then {VALIDATED_TRIPS.name} for "
            "the day"
        )


@dataclass(frozen=True)
class AuditedDay:
    """What was written of a day, for metadata and checks; `hours_missing` of its own hours."""

    day: date
    trips: pd.DataFrame
    segments: pd.DataFrame
    km: pd.DataFrame
    divergences: pd.DataFrame
    hours_missing: int
    vehicles_known: bool
    unknown_sources: list[str]  # that the register names
    written: dict[str, Written]
    digest: str


@dataclass(frozen=True)
class _HourRead:
    hour: Hour
    state: str
    trips: pa.Table
    pages: list[tuple[str, int, str, str]]  # capture, page, key, hash
    evidence: str
    unheard: list[UnheardVehicle] = field(default_factory=list)


def read_day(lake: Lake, day: date, snapshot: Snapshot) -> AuditInputs:
    """All that the day's trips may depend on.

    An hour is what its tables say, whatever may have been captured since and not been published. An hour
    that was never published is missing.

    Raises:
        RowsLost: of an hour or a file there are more rows in the index of days than in its table, or fewer.
    """
    calendar, reference = snapshot.settings.calendar, snapshot.reference
    people = People(lake, snapshot.settings.pseudonyms)
    days = days_around(day, HOUR_DAYS)
    around = days_around(day, FILE_DAYS)
    earliest, latest = calendar.day(around[0])[0], calendar.day(around[-1])[1]
    expected = [
        hour
        for at in days
        for source in snapshot.expected(at)
        for hour in calendar.hours(*calendar.day(at), source)
    ]
    with ThreadPoolExecutor(_READERS) as readers:
        hours = list(readers.map(lambda hour: _read_hour(lake, hour, snapshot.index), expected))
        files = snapshot.index.files_of(around)
        declared = list(
            readers.map(lambda f: _read_file(lake, f, around, snapshot.index, calendar.zone), files)
        )
    # Tables that an earlier version wrote may hold names: these go no further.
    known = people.hidden(DRIVERS, reference.drivers) if reference.drivers is not None else None
    measured, said = people.hidden(SEGMENTS, _segments(hours)), _between(declared, earliest, latest)
    return AuditInputs(
        declared=people.hidden(DECLARED, said),
        segments=measured,
        hours=_hours_frame(hours),
        vehicles=reference.vehicles,
        drivers=known,
        contracts=reference.contracts,
        substitutions=reference.substitutions,
        acceptances=reference.acceptances,
        heard=_heard_frame(snapshot.heard(day)),
        unheard=_unheard_frame(hours),
        names=people.names(),
    )


def audit_day(lake: Lake, day: date, settings: Settings) -> AuditedDay:
    """Audit the day and replace its tables; one at a time, whatever instances share the lake.

    Of two audits of a day, the one that read first must not be the one that writes last.

    Raises:
        TablesRefused: the tables would break a contract or lose kilometres; nothing was replaced.
        RowsLost: see `read_day`.
    """
    with locked(lake, f"audit-{day}") as held:
        return _audit_day(held, day, settings)


def _audit_day(lake: Lake, day: date, settings: Settings) -> AuditedDay:
    snapshot = Snapshot.read(lake, day, day, settings)
    inputs, rules, zone = read_day(lake, day, snapshot), snapshot.rules, settings.timezone
    start, end = settings.calendar.day(day)
    audited = validate_trips(inputs, start, end, rules, zone)
    trips, segments, sources = audited.trips, audited.segments, inputs.sources
    missing, known = sum(sources.missing(start, end).values()), inputs.vehicles is not None
    km = daily_km(trips, segments, sources, day, zone)
    found = find_divergences(trips, segments, sources, rules, day, zone, audited.swaps)
    tables = {TRIP_SEGMENTS: segments, DAILY_KM: km, DIVERGENCES: found, VALIDATED_TRIPS: trips}
    for contract, frame in tables.items():
        if problem := contract.broken_by(frame):
            raise TablesRefused("contract_holds", f"{contract.name}: {problem}")
    if problem := lost_kilometres(trips, segments, km):
        raise TablesRefused("km_conserved", problem)
    written = {
        contract.name: lake.write_table(contract.name, {"data": str(day)}, contract.table(frame))
        for contract, frame in tables.items()
    }
    state = make_state(day, audited, inputs, snapshot, written[VALIDATED_TRIPS.name].sha256)
    write_state(lake, state)
    unknown = sorted({*sources.registered().values()} - {*snapshot.sources, *sources.hours["fonte"]})
    return AuditedDay(day, trips, segments, km, found, missing, known, unknown, written, state.digest)


def lost_kilometres(trips: pd.DataFrame, segments: pd.DataFrame, km: pd.DataFrame) -> str | None:
    """Where kilometres would be lost between a day's tables, in words and to the metre; None: nowhere."""
    sums = {
        "measured, segments against trips": (segments["km_medido"], trips["km_medido"]),
        "measured, trips against vehicles": (trips["km_medido"], km["km_medido"]),
        "declared, trips against vehicles": (trips["km_declarado"], km["km_declarado"]),
        "audited, trips against vehicles": (trips["km_auditado"], km["km_auditado"]),
    }
    metres = {what: (int(units(one).sum()), int(units(other).sum())) for what, (one, other) in sums.items()}
    said = [f"{what}: {one} m and {other} m" for what, (one, other) in metres.items() if one != other]
    return "; ".join(said) or None


def _read_hour(lake: Lake, hour: Hour, index: DayIndex) -> _HourRead:
    entry, trips = _hour_trips(lake, hour, index)
    if entry and trips.num_rows != entry.rows:
        with publishing(lake, hour.source):  # somebody may be replacing both
            entry, trips = _hour_trips(lake, hour, DayIndex.read(lake, hour.day, hour.day))
    if entry is None:
        return _HourRead(hour, "missing", trips, [], "")
    if trips.num_rows != entry.rows:
        where = lake.store.uri(lake.table_key(TRIPS.name, hour.partition))
        raise RowsLost(where, f"{trips.num_rows} of {entry.rows}", f"{hour.source}/{TRIPS.name}", hour.key)
    # Read last: it knows every capture that the tables may hold. It is gone where raw has expired.
    manifest = read_manifest(lake, hour)
    captures = manifest.captures if manifest else []
    pages = [(c.id, p.number, p.key, p.sha256) for c in captures for p in c.pages if p.kind == "trips"]
    evidence = "; ".join(f"{key} sha256={sha}" for capture, _, key, sha in pages if capture == entry.capture)
    return _HourRead(hour, entry.state, trips, pages, evidence, entry.unheard)


def _segments(hours: list[_HourRead]) -> pd.DataFrame:
    tables = [TRIPS.arrow_schema.empty_table(), *(h.trips for h in hours)]
    trips = SEGMENTS.frame(pa.concat_tables(tables, promote_options="default"))
    heard_by = np.repeat([h.hour.source for h in hours], [len(h.trips) for h in hours])
    pages = pd.DataFrame(
        [page for h in hours for page in h.pages], columns=["captura", "pagina", "raw_key", "raw_sha256"]
    ).astype({"captura": "str", "pagina": "int64", "raw_key": "str", "raw_sha256": "str"})
    return trips.merge(pages, how="left", on=["captura", "pagina"]).assign(
        fonte=pd.Series(heard_by, index=trips.index, dtype="str")
    )


def _hours_frame(hours: list[_HourRead]) -> pd.DataFrame:
    frame = pd.DataFrame(
        [(h.hour.source, h.hour.start, h.hour.end, h.state, h.evidence) for h in hours],
        columns=["fonte", "inicio_utc", "fim_utc", "estado", "evidencia"],
    ).astype({"fonte": "str", "estado": "str", "evidencia": "str"})
    for name in ("inicio_utc", "fim_utc"):
        frame[name] = pd.to_datetime(frame[name], utc=True).astype("datetime64[us, UTC]")
    return frame


def _heard_frame(heard: Mapping[str, Iterable[str]]) -> pd.DataFrame:
    pairs = [(vehicle, source) for vehicle, sources in sorted(heard.items()) for source in sorted(sources)]
    return pd.DataFrame(pairs, columns=["veiculo", "fonte"], dtype="str")


def _unheard_frame(hours: list[_HourRead]) -> pd.DataFrame:
    rows = [
        (h.hour.source, v.placa, v.equipamento, v.veiculo_id, h.hour.start) for h in hours for v in h.unheard
    ]
    frame = pd.DataFrame(rows, columns=UNHEARD)
    texts = frame.astype(dict.fromkeys(UNHEARD[:-1], "str"))
    return texts.assign(
        inicio_utc=pd.to_datetime(frame["inicio_utc"], utc=True).astype("datetime64[us, UTC]")
    )


def _hour_trips(lake: Lake, hour: Hour, index: DayIndex) -> tuple[HourEntry | None, pa.Table]:
    """What the index says of the hour, and the trips that its table holds."""
    entry = index.hour(hour)
    trips = lake.read_table(TRIPS.name, hour.partition) if entry else None
    return entry, TRIPS.arrow_schema.empty_table() if trips is None else trips


def _read_file(lake: Lake, file: str, days: list[date], index: DayIndex, zone: ZoneInfo) -> pd.DataFrame:
    """The trips that the file declares, with the file in `arquivo_id`, if none is lost of these days."""
    frame = _file_trips(lake, file)
    if _lost(frame, file, days, index, zone):
        with locked(lake, "intake"):  # somebody may be replacing both
            frame = _file_trips(lake, file)
            lost = _lost(frame, file, days, DayIndex.read(lake, days[0], days[-1]), zone)
        if lost:
            where = lake.store.uri(lake.table_key(BOLETIM_TRIPS.name, partition_of(file)))
            raise RowsLost(where, lost, BOLETIM_TRIPS.name, file)
    return frame.assign(arquivo_id=pd.Series(file, index=frame.index, dtype="str"))


def _file_trips(lake: Lake, file: str) -> pd.DataFrame:
    table = lake.read_table(BOLETIM_TRIPS.name, partition_of(file))
    return DECLARED.empty() if table is None else DECLARED.frame(table)


def _lost(frame: pd.DataFrame, file: str, days: list[date], index: DayIndex, zone: ZoneInfo) -> str:
    """The days of which the file's table holds another number of trips than the index says, in words."""
    held = business_days(frame["saida_utc"], zone).value_counts()
    said = {day: entry for day in days if (entry := index.files.get(day, {}).get(file))}
    found = {day: int(held.get(str(day), 0)) for day in said}
    wrong = [day for day in said if found[day] != (said[day].rows or max(found[day], 1))]
    return ", ".join(f"{found[day]} of {said[day].rows or 'some'} of {day}" for day in wrong)


def _between(declared: Iterable[pd.DataFrame], start: datetime, end: datetime) -> pd.DataFrame:
    """The rows that depart in [start, end): a file may declare a whole cycle."""
    empty = DECLARED.empty().assign(arquivo_id=pd.Series(dtype="str"))
    rows = pd.concat([f for f in declared if len(f)] or [empty], ignore_index=True)
    return rows[(rows["saida_utc"] >= start) & (rows["saida_utc"] < end)].reset_index(drop=True)
