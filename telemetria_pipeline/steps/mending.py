"""What can be made again of an hour's raw, and what nobody needs: damaged manifests, and captures cut short.

raw_telemetry/fonte=…/data=…/hora=…/<capture>/pagina-00001.json.zst   as received
raw_telemetry/fonte=…/data=…/hora=…/<capture>/profile.json            once every page is kept
raw_telemetry/fonte=…/data=…/hora=…/<capture>/capture.json            what the manifest says of it
raw_telemetry/fonte=…/data=…/hora=…/manifest.json                     all captures
"""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath

from telemetria_pipeline.business_calendar import Hour
from telemetria_pipeline.contracts.raw import Capture, HourManifest
from telemetria_pipeline.steps.day_index import hour_entry
from telemetria_pipeline.steps.hours import (
    CAPTURE,
    PROFILE,
    RAW,
    manifest_key,
    raw_folder,
    read_manifest,
)
from telemetria_pipeline.storage.lake import Lake
from telemetria_pipeline.storage.object_store import ObjectDamaged, ObjectInfo

_READERS = 8  # S3 answers each in its own time
_AT_WORK = timedelta(days=1)  # no capture of an hour takes so long


@dataclass(frozen=True)
class Orphan:
    """The folder of a capture that no manifest names; `complete`: every page of it was kept."""

    folder: str
    objects: list[ObjectInfo]
    complete: bool

    @property
    def bytes(self) -> int:
        """What it takes up."""
        return sum(info.size for info in self.objects)


def mended_manifest(lake: Lake, hour: Hour) -> HourManifest | None:
    """What is known of the hour; None where it was never asked for.

    A damaged manifest is put aside and made again of what every capture says of itself. Of those that an
    earlier version took nobody can tell: without any the hour is as if it had never been asked for.
    """
    try:
        return read_manifest(lake, hour)
    except ObjectDamaged:
        lake.replace_damaged(manifest_key(hour), _made_again(lake, hour).model_dump(mode="json"))
    return read_manifest(lake, hour)


def _made_again(lake: Lake, hour: Hour) -> HourManifest:
    captures = sorted(_captures(lake, hour), key=lambda capture: capture.captured_at)
    if not captures:
        return HourManifest(hour=hour.key)
    state = "captured" if captures[-1].rows else "confirmed_empty"
    manifest = HourManifest(hour=hour.key, state=state, captures=captures)
    entry = hour_entry(lake, hour)  # written after the tables
    if entry and entry.capture in {capture.id for capture in captures}:
        manifest.published, manifest.accepted = entry.capture, entry.rows
        if captures[-1].id == entry.capture or captures[-1].captured_at == entry.captured_at:
            manifest.state = entry.state
            manifest.confirmed = None if captures[-1].id == entry.capture else captures[-1].id
    return manifest


def orphans(lake: Lake, now: datetime | None = None) -> list[Orphan]:
    """The captures that no manifest names and that nobody is at any more, sorted by folder.

    Those of an hour whose manifest is damaged are none: its next capture names them again. Raw is listed
    whole, and each hour's manifest read.
    """
    folders: dict[str, dict[str, list[ObjectInfo]]] = {}
    for info in lake.store.list(RAW):
        path = PurePosixPath(info.key)
        if len(path.parts) == 6:  # raw_telemetry, fonte, data, hora, capture, object
            folders.setdefault(str(path.parents[1]), {}).setdefault(path.parts[4], []).append(info)

    def of_hour(folder: str) -> list[Orphan]:
        try:
            manifest = lake.read_model(f"{folder}/manifest.json", HourManifest)
        except ObjectDamaged:
            return []
        named = {capture.id for capture in manifest.captures} if manifest else set()
        return [
            Orphan(f"{folder}/{capture}", objects, _complete(objects))
            for capture, objects in folders[folder].items()
            if capture not in named and _left(objects, now or datetime.now(UTC))
        ]

    with ThreadPoolExecutor(_READERS) as readers:
        return [orphan for found in readers.map(of_hour, sorted(folders)) for orphan in found]


def sweep(lake: Lake, found: list[Orphan]) -> None:
    """Remove the captures that were cut short; whole ones are evidence, and stay."""
    keys = [info.key for orphan in found if not orphan.complete for info in orphan.objects]
    with ThreadPoolExecutor(_READERS) as writers:
        list(writers.map(lake.store.delete, keys))


def _captures(lake: Lake, hour: Hour) -> list[Capture]:
    found = []
    for info in lake.store.list(raw_folder(hour)):
        if PurePosixPath(info.key).name == CAPTURE:
            with suppress(ObjectDamaged):
                found.append(lake.read_model(info.key, Capture))
    return [capture for capture in found if capture]


def _complete(objects: list[ObjectInfo]) -> bool:
    return any(PurePosixPath(info.key).name in (CAPTURE, PROFILE) for info in objects)


def _left(objects: list[ObjectInfo], now: datetime) -> bool:
    return all(info.modified and now - info.modified > _AT_WORK for info in objects)
