"""One hour from the carrier: ask for it, keep every page as received, and say so in its manifest.

`read_capture` reads what was kept again, with the API switched off.
"""

import gc
import hashlib
import uuid
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pandas as pd

from telemetria_pipeline.business_calendar import Hour
from telemetria_pipeline.carriers.client import CarrierClient
from telemetria_pipeline.carriers.decoding import decode_page
from telemetria_pipeline.carriers.errors import OutsideWindow, PermanentError
from telemetria_pipeline.carriers.lookups import Tables, add_entries
from telemetria_pipeline.carriers.mapping import map_pages, seen_fields
from telemetria_pipeline.carriers.profile import Profile
from telemetria_pipeline.contracts.raw import Capture, Failure, HourManifest, RawPage
from telemetria_pipeline.contracts.telemetry import MAPPED_TRIPS
from telemetria_pipeline.core.telemetry.cleaning import CleanedHour, clean_trips, unheard_vehicles
from telemetria_pipeline.core.telemetry.window import not_what_was_asked, outside_window
from telemetria_pipeline.errors import shown_text
from telemetria_pipeline.steps.hours import CAPTURE, PROFILE, raw_folder, update_manifest
from telemetria_pipeline.steps.mending import mended_manifest
from telemetria_pipeline.storage.lake import Lake

# Enough records for the vectorised mapping to pay, few enough that memory does not grow with the hour.
_BATCH_RECORDS = 4_000
_DRIFT_RECORDS = 250  # of a large page, so many are asked which fields they have


@dataclass(frozen=True)
class _Records:
    """The records of one page with its place in the capture; what the mapping reads."""

    number: int
    records: list
    stamp: Mapping[str, str]


def capture_hour(
    lake: Lake, client: CarrierClient, profile: Profile, hour: Hour, run_id: str, by_hand: bool = False
) -> tuple[HourManifest, CleanedHour]:
    """Ask the carrier for the hour, keep every page as received, and say so in the manifest.

    An earlier capture is never touched: each has a folder of its own. Without an answer the manifest
    keeps the failure, and the earlier capture stays current; its failures are counted, `by_hand` anew. Of
    several instances that capture the hour at once, none forgets what another one kept.

    Returns:
        The manifest, and the rows of its current capture judged.

    Raises:
        CarrierError: the carrier gave no answer that can be used.
    """
    manifest = mended_manifest(lake, hour) or HourManifest(hour=hour.key)
    _refuse_another_carrier(hour, manifest, profile)
    started, before = datetime.now(UTC), replace(client.stats)
    capture_id = f"{started:%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:6]}"
    folder = f"{raw_folder(hour)}/{capture_id}"
    pages: list[RawPage] = []
    fields: set[str] = set()
    tables: Tables = {}

    def kept(writer: Executor) -> Iterator[_Records]:
        # A page is stored while the next one is fetched and read; never more than one waits.
        storing: Future[int] | None = None
        for page in client.pages(hour.start, hour.end):
            key = f"{folder}/pagina-{page.number:05d}.json.zst"
            if storing:
                storing.result()
            storing = writer.submit(lake.put_raw, key, page.body)
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
                    status=page.status,
                    left_out=page.left_out,
                )
            )
            if page.kind in profile.joins:
                add_entries(profile, tables, page.kind, page.records)
            if page.kind == "trips":
                fields.update(seen_fields(page.records[:: 1 + len(page.records) // _DRIFT_RECORDS]))
                yield _Records(page.number, page.records, page.stamp)
        if storing:
            storing.result()

    try:
        with ThreadPoolExecutor(1) as writer:
            mapped = _map_in_batches(profile, kept(writer), tables)
        _refuse_another_window(mapped, hour, profile)
    except Exception as error:
        failure = Failure(
            run_id=run_id,
            attempts=_attempts(manifest.failure, run_id, by_hand),
            error=shown_text(error),
            at=datetime.now(UTC),
            permanent=isinstance(error, PermanentError),
        )
        update_manifest(lake, hour, lambda known: setattr(known, "failure", failure))
        raise
    kept_profile = profile.kept()
    lake.put_raw(f"{folder}/{PROFILE}", kept_profile)
    capture = Capture(
        id=capture_id,
        run_id=run_id,
        profile=profile.name,
        profile_sha256=hashlib.sha256(kept_profile).hexdigest(),
        captured_at=datetime.now(UTC),
        requests=client.stats.requests - before.requests,
        retries=client.stats.retries - before.retries,
        bytes=client.stats.bytes - before.bytes,
        fields=sorted(fields),
        carrier=profile.carrier,
        settles_at=hour.end + timedelta(minutes=profile.window.settle_min),
        pages=pages,
        skipped=client.skipped,
    )
    lake.write_json(f"{folder}/{CAPTURE}", capture.model_dump(mode="json"))

    def add(known: HourManifest) -> None:
        if capture not in known.captures:
            known.captures.append(capture)
        known.failure = None
        known.say_of(capture, "captured" if capture.rows else "confirmed_empty")

    manifest = update_manifest(lake, hour, add)  # before the rules look at it: what came is kept anyhow
    cleaned = _clean(mapped, hour, capture, profile, tables)
    if cleaned.ledger.state != manifest.state:
        manifest = update_manifest(lake, hour, lambda known: known.say_of(capture, cleaned.ledger.state))
    if manifest.current and manifest.current != capture:  # somebody has captured it since
        return manifest, read_capture(lake, profile, hour, manifest.current)
    return manifest, cleaned


def _attempts(last: Failure | None, run_id: str, by_hand: bool) -> int:
    """How many runs in a row have failed; a person's is the first of them."""
    if last and last.run_id == run_id:  # the same run, tried again
        return last.attempts
    return 1 if last is None or by_hand else last.attempts + 1


def read_capture(lake: Lake, profile: Profile, hour: Hour, capture: Capture) -> CleanedHour:
    """A kept capture's rows judged again, with the API switched off.

    It is read with its own profile, when the carrier has changed since. Raises `ObjectDamaged` where a page
    is not what was received.
    """
    if capture.profile != profile.name:
        kept_profile = lake.get_raw(f"{raw_folder(hour)}/{capture.id}/{PROFILE}", capture.profile_sha256)
        profile = Profile.model_validate_json(kept_profile)
    tables: Tables = {}

    def records(page: RawPage) -> list:
        return decode_page(profile, lake.get_raw(page.key, page.sha256), page.kind, page.status)

    for page in capture.pages:
        if page.kind in profile.joins:
            add_entries(profile, tables, page.kind, records(page))
    trips = (page for page in capture.pages if page.kind == "trips")
    mapped = _map_in_batches(
        profile, (_Records(page.number, records(page), page.stamp) for page in trips), tables
    )
    _refuse_another_window(mapped, hour, profile)
    return _clean(mapped, hour, capture, profile, tables)


def _refuse_another_window(mapped: pd.DataFrame, hour: Hour, profile: Profile) -> None:
    """An answer to another question says nothing of the hour: it is no confirmation that nobody drove."""
    since, until = profile.asked_window(hour.start, hour.end)
    found = not_what_was_asked(mapped, outside_window(mapped, since, until), hour.start, hour.end)
    if found:
        asked = " to ".join(f"{edge.astimezone(UTC):%Y-%m-%dT%H:%MZ}" for edge in (since, until))
        raise OutsideWindow(
            f"{found} lie outside of the window that was asked, {asked}, so nothing is known of the hour. "
            "Look at times.format and times.zone in the profile (are seconds read as milliseconds, or local "
            "times as UTC?), and at window: format, zone, and by how much the answers exceed it "
            "(pad_before_min, pad_after_min)"
        )


def _refuse_another_carrier(hour: Hour, manifest: HourManifest, profile: Profile) -> None:
    """A source may change its profile, or what its carrier is called; with both it is another carrier."""
    kept = manifest.current
    if kept and kept.carrier and kept.profile != profile.name and kept.carrier != profile.carrier:
        raise PermanentError(
            f"{hour.key} of {hour.source} holds trips of {kept.carrier}, and {profile.name} would replace "
            f"them by those of {profile.carrier}: describe it as a source of its own in sources.yaml"
        )


def _clean(
    mapped: pd.DataFrame, hour: Hour, capture: Capture, profile: Profile, tables: Tables
) -> CleanedHour:
    cleaned = clean_trips(
        mapped,
        start=hour.start,
        end=hour.end,
        captured_at=capture.captured_at,
        capture=capture.id,
        asked=profile.asked_window(hour.start, hour.end),
        natural_key=profile.natural_key,
    )
    if not capture.skipped:
        return cleaned
    unheard = [frame for frame in (cleaned.unheard, _unheard(profile, capture, tables)) if frame is not None]
    return replace(cleaned, unheard=pd.concat(unheard, ignore_index=True))


def _unheard(profile: Profile, capture: Capture, tables: Tables) -> pd.DataFrame:
    """The vehicles that were skipped, named as a trip of theirs would name them."""
    trips = [_Records(0, [{}], {**v.stamp, "veiculo_id": v.id}) for v in capture.skipped]
    return unheard_vehicles(map_pages(profile, trips, tables))


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


def _map_in_batches(profile: Profile, pages: Iterable[_Records], tables: Tables) -> pd.DataFrame:
    frames, batch, size = [], [], 0
    with _no_garbage_collection():
        for page in pages:
            batch.append(page)
            size += len(page.records)
            if size >= _BATCH_RECORDS:
                frames.append(map_pages(profile, batch, tables))
                batch, size = [], 0
        if size:
            frames.append(map_pages(profile, batch, tables))
    if not frames:
        return MAPPED_TRIPS.empty()
    return frames[0] if len(frames) == 1 else pd.concat(frames, ignore_index=True)
