"""One business day, from the lake to its audited tables. The steps behind the assets, without Dagster.

`audit_day` reads tables only, and writes in this order: `trip_segments`, `daily_km`, `divergences`,
`validated_trips`, the day's state. Whatever is cut short leaves the earlier state, which has not seen the
marks of what changed: the day is audited again, and a second time gives the same.

Whoever changes an hour or a file writes its tables first and its mark after them; here the marks are listed
before anything is read. So a mark that the day has seen stands for rows that it has read.
"""

import hashlib
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from io import BytesIO

import dagster as dg
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pc

from telemetria_pipeline.contracts.audit import DAILY_KM, DIVERGENCES, TRIP_SEGMENTS, VALIDATED_TRIPS
from telemetria_pipeline.contracts.boletim import BOLETIM_TRIPS
from telemetria_pipeline.contracts.telemetry import LEDGER, TRIPS
from telemetria_pipeline.core.audit.daily import daily_km
from telemetria_pipeline.core.audit.divergences import find_divergences
from telemetria_pipeline.core.audit.rules import AuditRules
from telemetria_pipeline.core.audit.trips import DECLARED, SEGMENTS, AuditInputs, validate_trips
from telemetria_pipeline.core.billing.tariffs import tariffs_version
from telemetria_pipeline.core.changed_days import DayState, Mark, rests_on_neighbours, touches
from telemetria_pipeline.core.exact import units
from telemetria_pipeline.core.telemetry.hours import Hour
from telemetria_pipeline.defs.partitions import HOURLY, day_window, hour_of
from telemetria_pipeline.defs.reference.assets import read_tables
from telemetria_pipeline.settings import Settings
from telemetria_pipeline.steps.changed_days import pending_marks, write_state
from telemetria_pipeline.steps.hour_ingest import read_manifest
from telemetria_pipeline.steps.intake import files_declaring, partition_of
from telemetria_pipeline.storage.lake import Lake, Written

_SOURCE = "telemetria"
_READERS = 8  # S3 answers each in its own time
_DAY = timedelta(days=1)


class DayRefused(Exception):
    """The day's tables were not written, and `check` says which promise they would have broken."""

    def __init__(self, check: str, problem: str) -> None:
        super().__init__(f"{check}: {problem}")
        self.check, self.problem = check, problem


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
    written: dict[str, Written]


@dataclass(frozen=True)
class _HourRead:
    hour: Hour
    state: str
    trips: pa.Table
    pages: list[tuple[str, int, str, str]]  # capture, page, key, hash
    evidence: str


def read_day(lake: Lake, day: date, settings: Settings) -> AuditInputs:
    """All that the day's trips may depend on: a day of telemetry and two of boletins on each side.

    An hour is what its tables say, whatever may have been captured since and not been published. An hour
    without tables is missing.
    """
    earliest, latest = day_window(day - _DAY)[0], day_window(day + _DAY)[1]
    keys = HOURLY.get_partition_keys_in_time_window(dg.TimeWindow(earliest, latest))
    around = [day + n * _DAY for n in range(-2, 3)]
    with ThreadPoolExecutor(_READERS) as readers:
        hours = list(readers.map(lambda key: _read_hour(lake, hour_of(key)), keys))
        declared = list(readers.map(_reader(lake), files_declaring(lake, around)))
    reference = read_tables(lake)
    return AuditInputs(
        declared=_between(declared, earliest - _DAY, latest + _DAY),
        segments=_segments(hours),
        hours=_hours_frame(hours),
        vehicles=reference.vehicles,
        drivers=reference.drivers,
        contracts=reference.contracts,
    )


def audit_day(lake: Lake, day: date, settings: Settings) -> AuditedDay:
    """Audit the day and replace its tables.

    Raises:
        DayRefused: the tables would break a contract or lose kilometres; nothing was replaced.
    """
    marks = pending_marks(lake)
    inputs, rules, zone = read_day(lake, day, settings), AuditRules.of(settings), settings.timezone
    key = settings.pseudonym_key.get_secret_value() if settings.pseudonym_key else ""
    start, end = day_window(day)
    audited = validate_trips(inputs, start, end, rules, zone, key)
    trips, segments, sources = audited.trips, audited.segments, inputs.sources
    missing, known = sum(sources.missing(start, end).values()), inputs.vehicles is not None
    km = daily_km(trips, segments, sources, day, zone)
    found = find_divergences(trips, segments, sources, rules, day, zone)
    tables = {TRIP_SEGMENTS: segments, DAILY_KM: km, DIVERGENCES: found, VALIDATED_TRIPS: trips}
    for contract, frame in tables.items():
        if problem := contract.broken_by(frame):
            raise DayRefused("contract_holds", f"{contract.name}: {problem}")
    if problem := lost_kilometres(trips, segments, km):
        raise DayRefused("km_conserved", problem)
    written = {
        contract.name: lake.write_table(contract.name, {"data": str(day)}, contract.table(frame))
        for contract, frame in tables.items()
    }
    write_state(lake, _state(day, trips, marks, rules, inputs, settings))
    return AuditedDay(day, trips, segments, km, found, missing, known, written)


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


def _read_hour(lake: Lake, hour: Hour) -> _HourRead:
    ledger = lake.read_table(LEDGER.name, hour.partition, ["state", "capture"])
    trips = lake.read_table(TRIPS.name, hour.partition) if ledger is not None else None
    if ledger is None or trips is None:
        return _HourRead(hour, "missing", TRIPS.arrow_schema.empty_table(), [], "")
    (row,) = ledger.to_pylist()
    # Read last: it knows every capture that the tables may hold. It is gone where raw has expired.
    manifest = read_manifest(lake, hour)
    captures = manifest.captures if manifest else []
    pages = [(c.id, p.number, p.key, p.sha256) for c in captures for p in c.pages if p.kind == "trips"]
    evidence = "; ".join(f"{key} sha256={sha}" for capture, _, key, sha in pages if capture == row["capture"])
    return _HourRead(hour, row["state"], trips, pages, evidence)


def _segments(hours: list[_HourRead]) -> pd.DataFrame:
    trips = SEGMENTS.frame(pa.concat_tables([h.trips for h in hours], promote_options="default"))
    pages = pd.DataFrame(
        [page for h in hours for page in h.pages], columns=["captura", "pagina", "raw_key", "raw_sha256"]
    ).astype({"captura": "str", "pagina": "int64", "raw_key": "str", "raw_sha256": "str"})
    return trips.merge(pages, how="left", on=["captura", "pagina"]).assign(fonte=_source_column(len(trips)))


def _hours_frame(hours: list[_HourRead]) -> pd.DataFrame:
    frame = pd.DataFrame(
        [(h.hour.start, h.hour.end, h.state, h.evidence) for h in hours],
        columns=["inicio_utc", "fim_utc", "estado", "evidencia"],
    ).astype({"estado": "str", "evidencia": "str"})
    frame["fonte"] = _source_column(len(frame))
    for name in ("inicio_utc", "fim_utc"):
        frame[name] = pd.to_datetime(frame[name], utc=True).astype("datetime64[us, UTC]")
    return frame


def _source_column(rows: int) -> pd.Series:
    return pd.Series([_SOURCE] * rows, dtype="str")


def _reader(lake: Lake) -> Callable[[str], pd.DataFrame]:
    def read(file: str) -> pd.DataFrame:
        table = lake.read_table(BOLETIM_TRIPS.name, partition_of(file))
        frame = DECLARED.empty() if table is None else DECLARED.frame(table)
        return frame.assign(arquivo_id=pd.Series(file, index=frame.index, dtype="str"))

    return read


def _between(declared: Iterable[pd.DataFrame], start: datetime, end: datetime) -> pd.DataFrame:
    """The rows that depart in [start, end): a file may declare a whole cycle."""
    empty = DECLARED.empty().assign(arquivo_id=pd.Series(dtype="str"))
    rows = pd.concat([f for f in declared if len(f)] or [empty], ignore_index=True)
    return rows[(rows["saida_utc"] >= start) & (rows["saida_utc"] < end)].reset_index(drop=True)


def _state(
    day: date,
    trips: pd.DataFrame,
    marks: Iterable[Mark],
    rules: AuditRules,
    inputs: AuditInputs,
    settings: Settings,
) -> DayState:
    window = day_window(day)
    arrivals = pd.concat([trips["chegada_utc"], trips["chegada_medida_utc"]]).dropna()
    state = DayState(
        day=day,
        seen=[],
        reach=max([window[1], *([arrivals.max().to_pydatetime()] if len(arrivals) else [])]),
        wide=rests_on_neighbours(trips, inputs.segments),
        rules=rules.version,
        tariffs=None if inputs.contracts is None else tariffs_version(inputs.contracts),
        rows=len(trips),
        digest=_digest(trips),
        audited_at=datetime.now(UTC),
    )
    tolerance = timedelta(minutes=rules.match_minutes)
    seen = [mark.key for mark in marks if touches(mark, window, state, tolerance)]
    return state.model_copy(update={"seen": seen})


def _digest(trips: pd.DataFrame) -> str:
    """A hash of what the rows say, whatever their bytes in Parquet are."""
    sink = BytesIO()
    pc.write_csv(VALIDATED_TRIPS.table(trips), sink)
    return hashlib.sha256(sink.getvalue()).hexdigest()
