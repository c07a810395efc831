"""One hour, from the carrier's pages to its tables. The steps behind the assets, without Dagster.

`capture_hour` asks the carrier and keeps what it said; `publish_hour` turns what was kept into the hour's
tables, and needs no API. The manifest between them says what is known of the hour.
"""

import gc
import uuid
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import ValidationError

from telemetria_pipeline.steps.changed_days import leave_marks
from telemetria_pipeline.carriers.client import CarrierClient
from telemetria_pipeline.carriers.decoding import decode_page
from telemetria_pipeline.carriers.errors import CarrierError, PermanentError
from telemetria_pipeline.carriers.mapping import map_pages, seen_fields
from telemetria_pipeline.carriers.profile import Profile
from telemetria_pipeline.contracts.raw import Capture, Failure, HourManifest, RawPage
from telemetria_pipeline.contracts.telemetry import CHANGES, LEDGER, MAPPED_TRIPS, QUARANTINE, TRIPS
from telemetria_pipeline.core.telemetry import quality
from telemetria_pipeline.core.changed_days import hour_window
from telemetria_pipeline.core.telemetry.changes import NO_CHANGES, compare_trips, count_changes
from telemetria_pipeline.core.telemetry.cleaning import CleanedHour, clean_trips
from telemetria_pipeline.core.telemetry.hours import Hour
from telemetria_pipeline.core.telemetry.ledger import Ledger
from telemetria_pipeline.storage.lake import Lake, Written
from telemetria_pipeline.storage.object_store import StorageError

RAW = "raw_telemetry"
EARLIER_DAYS = 7
# Enough records for the vectorised mapping to pay, few enough that memory does not grow with the hour.
_BATCH_RECORDS = 4_000
_DRIFT_RECORDS = 250  # of a large page, so many are asked which fields they have


class HourRefused(Exception):
    """The hour's tables were not written, and `check` says which promise they would have broken."""

    def __init__(self, check: str, problem: str) -> None:
        super().__init__(f"{check}: {problem}")
        self.check, self.problem = check, problem


class NoCapture(Exception):
    """There is nothing to read: no capture of the hour was kept."""


@dataclass(frozen=True)
class _Records:
    """The records of one page with its place in the capture; what the mapping reads."""

    number: int
    records: list
    stamp: Mapping[str, str]


@dataclass(frozen=True)
class PublishedHour:
    """What was written of an hour, for metadata and checks."""

    hour: Hour
    state: str
    ledger: Ledger
    capture: Capture
    trips: pd.DataFrame
    changes: dict[str, int]
    written: Written
    problems: dict[str, str | None]


def manifest_key(hour: Hour) -> str:
    """Where the hour's manifest lies in the lake."""
    return f"{_raw_folder(hour)}/manifest.json"


def read_manifest(lake: Lake, hour: Hour) -> HourManifest | None:
    """What is known of the hour; None where it was never asked for."""
    found = lake.read_json(manifest_key(hour))
    return HourManifest.model_validate(found) if found else None


def last_known(lake: Lake, hour: Hour) -> HourManifest | None:
    """The manifest, or one that says `missing` where it cannot be read: its run then says what to do."""
    try:
        return read_manifest(lake, hour)
    except (StorageError, ValidationError):
        return HourManifest(hour=hour.key)


def capture_hour(
    lake: Lake, client: CarrierClient, profile: Profile, hour: Hour, run_id: str
) -> tuple[HourManifest, CleanedHour]:
    """Ask the carrier for the hour, keep every page as received, and say so in the manifest.

    An earlier capture is never touched: each has a folder of its own. Without an answer the manifest
    keeps the failure, and the earlier capture stays current.

    Returns:
        The manifest, and the capture's rows judged.

    Raises:
        CarrierError: the carrier gave no answer that can be used.
    """
    manifest = read_manifest(lake, hour) or HourManifest(hour=hour.key)
    _refuse_another_carrier(manifest, profile)
    started, before = datetime.now(UTC), replace(client.stats)
    capture_id = f"{started:%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:6]}"
    pages: list[RawPage] = []
    fields: set[str] = set()

    def kept(writer: Executor) -> Iterator[_Records]:
        # A page is stored while the next one is fetched and read; never more than one waits.
        storing: Future[int] | None = None
        for page in client.pages(hour.start, hour.end):
            key = f"{_raw_folder(hour)}/{capture_id}/pagina-{page.number:05d}.json.zst"
            if storing:
                storing.result()
            storing = writer.submit(lake.put_raw, key, page.body)
            fields.update(seen_fields(page.records[:: 1 + len(page.records) // _DRIFT_RECORDS]))
            pages.append(
                RawPage(
                    number=page.number,
                    kind=page.kind,
                    key=key,
                    path=page.path,
                    rows=len(page.records),
                    bytes=len(page.body),
                    sha256=page.sha256,
                    fetched_at=page.fetched_at,
                    stamp=page.stamp,
                )
            )
            if page.kind == "trips":
                yield _Records(page.number, page.records, page.stamp)
        if storing:
            storing.result()

    try:
        with ThreadPoolExecutor(1) as writer:
            mapped = _map_in_batches(profile, kept(writer))
    except Exception as error:
        manifest.failure = Failure(
            run_id=run_id,
            attempts=(manifest.failure.attempts if manifest.failure else 0) + 1,
            error=str(error) if isinstance(error, CarrierError | StorageError) else type(error).__name__,
            at=datetime.now(UTC),
            permanent=isinstance(error, PermanentError),
        )
        _write_manifest(lake, hour, manifest)
        raise
    lake.put_raw(_profile_key(hour, capture_id), profile.model_dump_json().encode())
    capture = Capture(
        id=capture_id,
        run_id=run_id,
        profile=profile.name,
        captured_at=datetime.now(UTC),
        requests=client.stats.requests - before.requests,
        retries=client.stats.retries - before.retries,
        bytes=client.stats.bytes - before.bytes,
        fields=sorted(fields),
        carrier=profile.carrier,
        settles_at=hour.end + timedelta(minutes=profile.window.settle_min),
        pages=pages,
    )
    manifest.captures.append(capture)
    manifest.failure, manifest.state = None, "captured" if capture.rows else "confirmed_empty"
    _write_manifest(lake, hour, manifest)  # before the rules look at it: what came is kept whatever they say
    cleaned = _clean(mapped, hour, capture, profile)
    if cleaned.ledger.state != manifest.state:
        manifest.state = cleaned.ledger.state
        _write_manifest(lake, hour, manifest)
    return manifest, cleaned


def read_capture(lake: Lake, profile: Profile, hour: Hour, capture: Capture) -> CleanedHour:
    """A kept capture's rows judged again, with the API switched off.

    It is read with its own profile, when the carrier has changed since.
    """
    if capture.profile != profile.name:
        profile = Profile.model_validate_json(lake.get_raw(_profile_key(hour, capture.id)))
    mapped = _map_in_batches(
        profile,
        (
            _Records(page.number, decode_page(profile, lake.get_raw(page.key), page.kind), page.stamp)
            for page in capture.pages
            if page.kind == "trips"
        ),
    )
    return _clean(mapped, hour, capture, profile)


def publish_hour(
    lake: Lake,
    hour: Hour,
    manifest: HourManifest,
    cleaned: CleanedHour,
) -> PublishedHour:
    """Replace the hour's tables by the current capture's rows.

    The trips are written last: until then readers see the earlier partition. Where anything changed, the
    manifest says so first, and a mark is left after the tables: whatever a killed publication began, the next
    one ends with its mark.

    Args:
        cleaned: the current capture's rows.

    Raises:
        HourRefused: the rows would break the contract or the ledger; nothing was replaced.
    """
    capture = manifest.current
    if capture is None:
        raise NoCapture(f"{hour.key} has no capture; materialise raw_telemetry for it first")
    _refuse_unless_sound(cleaned, capture.rows)
    # Asked before anything is replaced: it reads other hours' manifests, and that may fail.
    doubts = _sceptics_answers(lake, cleaned.trips, cleaned.ledger, hour, manifest)
    stored = lake.read_table(TRIPS.name, hour.partition)
    before = TRIPS.frame(stored) if stored is not None else TRIPS.empty()
    # Where the table is gone, it is made again, and nobody knows of a change.
    earlier = manifest.published if stored is not None else None
    changes = _record_changes(lake, hour, before, cleaned, earlier, capture.id)
    if not earlier or any(changes.values()) or _stored_state(lake, hour) != cleaned.ledger.state:
        arrivals = pd.concat([before["chegada_utc"], cleaned.trips["chegada_utc"]])
        took_back = bool(changes["gone"] or changes["altered"])
        manifest.changing.append(hour_window(hour.start, hour.end, arrivals, took_back))
        _write_manifest(lake, hour, manifest)
    lake.write_table(QUARANTINE.name, hour.partition, QUARANTINE.table(cleaned.quarantine))
    lake.write_table(LEDGER.name, hour.partition, _ledger_table(cleaned.ledger, capture, changes))
    written = lake.write_table(TRIPS.name, hour.partition, TRIPS.table(cleaned.trips))
    leave_marks(lake, manifest.changing, "hour-" + "-".join(hour.partition.values()))
    manifest.state, manifest.accepted = cleaned.ledger.state, cleaned.ledger.accepted
    manifest.published, manifest.changing = capture.id, []
    _write_manifest(lake, hour, manifest)
    return PublishedHour(
        hour,
        cleaned.ledger.state,
        cleaned.ledger,
        capture,
        cleaned.trips,
        changes,
        written,
        {"ledger_balances": None, "contract_holds": None, **doubts},
    )


def recheck_hour(lake: Lake, hour: Hour, manifest: HourManifest) -> dict[str, str | None]:
    """Ask every check of an hour's stored tables: check name → problem in words, or None."""
    stored, rest, counts = (lake.read_table(c.name, hour.partition) for c in (TRIPS, QUARANTINE, LEDGER))
    if stored is None or rest is None or counts is None:
        raise NoCapture(f"{hour.key} was never published; materialise {TRIPS.name} for it first")
    trips, row = TRIPS.frame(stored), counts.to_pylist()[0]
    ledger = Ledger(**{field: row[field] for field in Ledger.__dataclass_fields__})
    return {
        "ledger_balances": _imbalance(ledger, len(trips), rest.num_rows),
        "contract_holds": TRIPS.broken_by(trips),
        **_sceptics_answers(lake, trips, ledger, hour, manifest),
    }


def _clean(mapped: pd.DataFrame, hour: Hour, capture: Capture, profile: Profile) -> CleanedHour:
    return clean_trips(
        mapped,
        start=hour.start,
        end=hour.end,
        captured_at=capture.captured_at,
        capture=capture.id,
        natural_key=profile.natural_key,
    )


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Decoded JSON holds no cycles: looking for some doubles the time that decoding takes."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _map_in_batches(profile: Profile, pages: Iterable[_Records]) -> pd.DataFrame:
    frames, batch, size = [], [], 0
    with _no_garbage_collection():
        for page in pages:
            batch.append(page)
            size += len(page.records)
            if size >= _BATCH_RECORDS:
                frames.append(map_pages(profile, batch))
                batch, size = [], 0
        if size:
            frames.append(map_pages(profile, batch))
    if not frames:
        return MAPPED_TRIPS.empty()
    return frames[0] if len(frames) == 1 else pd.concat(frames, ignore_index=True)


def _refuse_another_carrier(manifest: HourManifest, profile: Profile) -> None:
    kept = manifest.current.carrier if manifest.current else None
    if kept not in (None, profile.carrier):
        raise PermanentError(
            f"{manifest.hour} holds trips of {kept}, and {profile.name} would replace them by those of "
            f"{profile.carrier}: name a lake of its own in TELEMETRIA_LAKE"
        )


def _refuse_unless_sound(cleaned: CleanedHour, kept: int) -> None:
    """The last gate before anything is replaced; `kept` is the number of rows in raw."""
    if cleaned.ledger.received != kept:
        raise HourRefused(
            "ledger_balances", f"{kept} rows lie in raw, and {cleaned.ledger.received} were judged"
        )
    imbalance = _imbalance(cleaned.ledger, len(cleaned.trips), len(cleaned.quarantine))
    if imbalance:
        raise HourRefused("ledger_balances", imbalance)
    for contract, frame in ((TRIPS, cleaned.trips), (QUARANTINE, cleaned.quarantine)):
        problem = contract.broken_by(frame)
        if problem:
            raise HourRefused("contract_holds", f"{contract.name}: {problem}")


def _imbalance(ledger: Ledger, trips: int, quarantined: int) -> str | None:
    if ledger.unaccounted:
        return f"{ledger.unaccounted} of {ledger.received} rows unaccounted for"
    if (trips, quarantined) != (ledger.accepted, ledger.received - ledger.accepted):
        return f"{trips} trips and {quarantined} rows in quarantine against {ledger}"
    return None


def _stored_state(lake: Lake, hour: Hour) -> str | None:
    table = lake.read_table(LEDGER.name, hour.partition, ["state"])
    return None if table is None else table["state"][0].as_py()


def _record_changes(
    lake: Lake, hour: Hour, before: pd.DataFrame, cleaned: CleanedHour, earlier: str | None, capture: str
) -> dict[str, int]:
    if earlier is None:
        return dict(NO_CHANGES)
    found = compare_trips(before, cleaned.trips, earlier=earlier, capture=capture)
    if len(found):
        known = lake.read_table(CHANGES.name, hour.partition)
        if known is not None and earlier != capture:
            # A try that was killed before its trips were written has told the same changes.
            told = pc.and_(
                pc.equal(known["captura_anterior"], earlier), pc.not_equal(known["captura"], earlier)
            )
            known = known.filter(pc.invert(told))
        table = CHANGES.table(found)
        lake.write_table(
            CHANGES.name, hour.partition, pa.concat_tables([known, table]) if known is not None else table
        )
    return count_changes(found)


def _ledger_table(ledger: Ledger, capture: Capture, changes: Mapping[str, int]) -> pa.Table:
    row = {
        "state": ledger.state,
        **ledger.counts(),
        "requests": capture.requests,
        "retries": capture.retries,
        "raw_bytes": capture.bytes,
        **changes,
        "capture": capture.id,
        "captured_at_utc": capture.captured_at,
        "profile": capture.profile,
    }
    return pa.Table.from_pylist([row], schema=LEDGER.arrow_schema)


def _sceptics_answers(
    lake: Lake, trips: pd.DataFrame, ledger: Ledger, hour: Hour, manifest: HourManifest
) -> dict[str, str | None]:
    days = (hour.days_before(n) for n in range(1, EARLIER_DAYS + 1))
    known = [m for day in days if (m := last_known(lake, day)) and m.current]
    before = [*manifest.captures[:-1][-1:], *(m.current for m in known)]
    return {
        "nulls_and_formats": quality.nulls_and_formats(
            trips, received=ledger.received, rejected=ledger.rejected
        ),
        "ids_well_formed": quality.ids_well_formed(trips),
        "plausible_movement": quality.plausible_movement(trips),
        "volume_like_earlier_days": quality.volume_like_earlier_days(
            len(trips), [m.accepted for m in known if m.accepted is not None]
        ),
        "schema_drift": quality.schema_drift(
            manifest.captures[-1].fields, next((c.fields for c in before if c and c.fields), [])
        ),
    }


def _profile_key(hour: Hour, capture: str) -> str:
    return f"{_raw_folder(hour)}/{capture}/profile.json"


def _raw_folder(hour: Hour) -> str:
    return "/".join([RAW, *(f"{name}={value}" for name, value in hour.partition.items())])


def _write_manifest(lake: Lake, hour: Hour, manifest: HourManifest) -> None:
    lake.write_json(manifest_key(hour), manifest.model_dump(mode="json"))
