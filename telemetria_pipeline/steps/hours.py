"""What is known of an hour: its manifest beside the raw pages."""

from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any

from telemetria_pipeline.business_calendar import Calendar, Hour
from telemetria_pipeline.carriers.sources import Source
from telemetria_pipeline.contracts.raw import HourManifest
from telemetria_pipeline.storage.lake import Lake
from telemetria_pipeline.storage.lock import locked
from telemetria_pipeline.storage.object_store import StorageError

RAW = "raw_telemetry"
PROFILE, CAPTURE = "profile.json", "capture.json"
"""Beside a capture's pages: the profile that they were asked with, and what the manifest says of them."""

_READERS = 8  # S3 answers each in its own time

Sources = Mapping[str, Source]
"""All sources by name."""


def expected_hours(source: Source, calendar: Calendar, start: datetime, end: datetime) -> list[Hour]:
    """The hours in [start, end) that the source is to give: none from before its first day."""
    return calendar.hours(max(start, calendar.day(source.start)[0]), end, source.name)


def raw_folder(hour: Hour) -> str:
    """Where the hour's pages and manifest lie in the lake."""
    return "/".join([RAW, *(f"{name}={value}" for name, value in hour.partition.items())])


def manifest_key(hour: Hour) -> str:
    """Where the hour's manifest lies in the lake."""
    return f"{raw_folder(hour)}/manifest.json"


def read_manifest(lake: Lake, hour: Hour) -> HourManifest | None:
    """What is known of the hour; None where it was never asked for."""
    return lake.read_model(manifest_key(hour), HourManifest)


def update_manifest(lake: Lake, hour: Hour, change: Callable[[HourManifest], None]) -> HourManifest:
    """Change what is known of the hour; what is known then.

    Whatever instances do so at once, none loses what another wrote: `change` may be called several times,
    also on its own result.
    """

    def changed(found: Any) -> Any:
        manifest = HourManifest.model_validate(found or {"hour": hour.key})
        change(manifest)
        return manifest.model_dump(mode="json")

    return HourManifest.model_validate(lake.update_json(manifest_key(hour), changed))


def publishing(lake: Lake, source: str) -> AbstractContextManager[Lake]:
    """The lock of whoever replaces tables of the source's hours, whatever instances share the lake."""
    return locked(lake, f"hours-{source}")


def last_known(lake: Lake, hour: Hour) -> HourManifest | None:
    """The manifest, or one that says `missing` where it cannot be read: its run then says what to do."""
    try:
        return read_manifest(lake, hour)
    except StorageError:
        return HourManifest(hour=hour.key)


def all_known(lake: Lake, hours: Collection[Hour]) -> dict[str, HourManifest]:
    """The manifests of those hours that were ever asked for, by key."""
    with ThreadPoolExecutor(_READERS) as readers:
        manifests = readers.map(lambda hour: last_known(lake, hour), hours)
        return {hour.key: m for hour, m in zip(hours, manifests, strict=True) if m}
