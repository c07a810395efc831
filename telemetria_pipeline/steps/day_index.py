"""What the lake holds of each day, in one small object a source and a file: the audit's table of contents.

Whoever changes an hour or a file writes its tables first and its entry here after them; an audit lists the
entries before it reads any table. So a day whose entries are still those that its audit saw has read all
there is, and whatever was cut short between a table and its entry is made again by whoever was cut short.

    telemetry_days/data=2026-11-22/fonte=alfa.json      the hours of a source, and the vehicles that it heard
    boletim_days/data=2026-11-22/<file>.json            the trips that a file declares
"""

import re
import uuid
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from pathlib import PurePosixPath
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import pandas as pd
from pydantic import BaseModel, ValidationError

from telemetria_pipeline.business_calendar import Hour
from telemetria_pipeline.contracts.boletim import BOLETIM_TRIPS
from telemetria_pipeline.contracts.raw import standing
from telemetria_pipeline.core.audit.days import business_days
from telemetria_pipeline.core.digests import rows_digest
from telemetria_pipeline.storage.lake import Lake
from telemetria_pipeline.storage.object_store import ObjectDamaged, ObjectInfo

HOURS, FILES = "telemetry_days", "boletim_days"
FLEET_NUMBER = "#"
"""Before the fleet number of a vehicle that was heard without its plate."""

_AT_ONCE = 8  # S3 answers each in its own time
_DAY = timedelta(days=1)


class UnheardVehicle(BaseModel):
    """A vehicle that could not be asked, as far as the carrier names it."""

    placa: str | None
    equipamento: str | None
    veiculo_id: str


class HourEntry(BaseModel):
    """A published hour: its state, its trips' digest and number, their capture and their last arrival.

    `unheard` are the vehicles that the source was asked for in vain: of them the hour is not known.
    `settles_at` is when a capture holds every trip of the hour, `captured_at` when this one was taken.
    """

    state: str
    digest: str
    rows: int
    capture: str
    until: datetime | None
    unheard: list[UnheardVehicle] = []
    captured_at: datetime | None = None
    settles_at: datetime | None = None

    def standing(self, now: datetime) -> str:
        """The state as a recapture sees it; see `contracts.raw.standing`."""
        return standing(self.state, self.captured_at, self.settles_at, now)

    @property
    def version(self) -> str:
        """Another text where the audit would read something else."""
        unheard = [f"{v.placa or ''} {v.equipamento or ''} {v.veiculo_id}" for v in self.unheard]
        return " ".join([self.state, self.digest, *sorted(unheard)])


class SourceDay(BaseModel):
    """A source's day: its hours by name, the vehicles heard in it, and when trips were last taken back.

    `heard` are plates; of a vehicle without one, `source:id` and its fleet number (see `FLEET_NUMBER`).
    `taken_back` is another text each time that a trip which stood is gone or altered; empty while none was.
    """

    hours: dict[str, HourEntry] = {}
    heard: list[str] = []
    taken_back: str = ""


class FileDay(BaseModel):
    """The trips of a file that depart on a day: their digest and number, first departure and last arrival.

    There is one where at least one trip does.
    """

    digest: str
    rows: int | None = None  # of entries that were written earlier nobody counted
    start: datetime
    end: datetime


_Entry = TypeVar("_Entry", bound=BaseModel)


def record_hour(lake: Lake, hour: Hour, entry: HourEntry, heard: Iterable[str], only_new: str | None) -> None:
    """Say what the hour's tables hold, once they are written.

    A damaged entry of the day is put aside, and with it what it said of other hours: they are owed then.

    Args:
        heard: the vehicles of its trips.
        only_new: the digest of the trips that stood before, if all of them still stand; else None.
    """

    def change(found: Any) -> Any:
        day = SourceDay.model_validate(found or {})
        before = day.hours.get(hour.name)
        if before and before.digest not in (entry.digest, only_new):
            day.taken_back = uuid.uuid4().hex[:12]
        if before != entry or not set(heard) <= set(day.heard):
            day.hours[hour.name] = entry
            day.heard = sorted({*day.heard, *heard})
            return day.model_dump(mode="json")
        return None

    key = _hours_key(hour.day, hour.source)
    try:
        lake.update_json(key, change)
    except (ObjectDamaged, ValidationError):
        lake.replace_damaged(key, SourceDay().model_dump(mode="json"))
        lake.update_json(key, change)


def hour_entry(lake: Lake, hour: Hour) -> HourEntry | None:
    """What the index says of the hour; None where it was never published, or where nobody can tell."""
    try:
        day = lake.read_model(_hours_key(hour.day, hour.source), SourceDay)
    except ObjectDamaged:
        return None
    return day.hours.get(hour.name) if day else None


def days_of(trips: pd.DataFrame, zone: ZoneInfo) -> dict[date, pd.DataFrame]:
    """Declared trips (contract BOLETIM_TRIPS) by the business day of their departure."""
    days = business_days(trips["saida_utc"], zone)
    return {date.fromisoformat(str(day)): rows for day, rows in trips.groupby(days.to_numpy())}


def record_file(lake: Lake, file: str, by_day: dict[date, pd.DataFrame], before: Iterable[date]) -> None:
    """Say what the file's table holds, once it is written.

    `before` are all days that it may have an entry of.
    """
    for day, trips in by_day.items():
        entry = FileDay(
            digest=rows_digest(BOLETIM_TRIPS, trips),
            rows=len(trips),
            start=trips["saida_utc"].min().to_pydatetime(),
            end=trips["chegada_utc"].max().to_pydatetime(),
        )
        if _stored(lake, key := _file_key(day, file)) != (new := entry.model_dump(mode="json")):
            lake.write_json(key, new)
    for day in set(before) - set(by_day):
        lake.store.delete(_file_key(day, file))


def _stored(lake: Lake, key: str) -> Any:
    """The entry of a file; None where there is none, or one that is damaged: its table says all of it."""
    try:
        return lake.read_json(key)
    except ObjectDamaged:
        return None


def hours_of_source(lake: Lake, source: str, first: date, last: date) -> dict[str, HourEntry]:
    """The published hours of a source on these days, by key; none of a day whose entry is damaged.

    It costs what `DayIndex.read` costs of hours.
    """
    index = DayIndex()
    index._take(lake, HOURS, SourceDay, index.sources, first, last, source, forgiving=True)
    return {
        f"{day}-{name[:2]}:00{name[2:]}": entry
        for day, sources in index.sources.items()
        for name, entry in (sources[source].hours.items() if source in sources else ())
    }


def files_declaring(lake: Lake, days: Iterable[date]) -> list[str]:
    """The files that declare trips of these days, sorted."""
    found = (info.key for day in days for info in lake.store.list(f"{FILES}/data={day}"))
    return sorted({PurePosixPath(key).stem for key in found})


class DayIndex:
    """The entries of some days, as they were when they were listed."""

    def __init__(self) -> None:
        self.sources: dict[date, dict[str, SourceDay]] = {}
        self.files: dict[date, dict[str, FileDay]] = {}
        self.modified: dict[date, datetime] = {}

    @classmethod
    def read(cls, lake: Lake, first: date, last: date) -> "DayIndex":
        """List the entries of these days, and read those that this process has not read yet.

        On S3 two LISTs for up to 1,000 entries each, and a GET for each entry that is new or has changed.
        """
        index = cls()
        index._take(lake, HOURS, SourceDay, index.sources, first, last)
        index._take(lake, FILES, FileDay, index.files, first, last)
        return index

    def _take(
        self,
        lake: Lake,
        folder: str,
        model: type[_Entry],
        into: dict[date, dict[str, _Entry]],
        first: date,
        last: date,
        only: str = "",
        forgiving: bool = False,
    ) -> None:
        end, named_so = f"{folder}/data={last + _DAY}", f"/fonte={only}.json" if only else ""
        found = lake.store.list(folder, after=f"{folder}/data={first}")
        listed = [i for i in found if i.key < end and i.key.endswith(named_so)]

        def read(info: ObjectInfo) -> _Entry | None:
            try:  # None where it was deleted since it was listed
                return cached(lake, info, lambda: lake.read_model(info.key, model))
            except ObjectDamaged:
                if forgiving:
                    return None
                raise

        with ThreadPoolExecutor(_AT_ONCE) as readers:
            entries = readers.map(read, listed)
            for info, entry in zip(listed, entries, strict=True):
                named = _NAMED.fullmatch(info.key)
                if not named:
                    continue
                day, changed = date.fromisoformat(named[1]), info.modified or datetime.now(UTC)
                self.modified[day] = max(changed, self.modified.get(day, changed))
                if entry:
                    into.setdefault(day, {})[named[2]] = entry

    def hour(self, hour: Hour) -> HourEntry | None:
        """What the hour's tables hold; None where it was never published."""
        day = self.sources.get(hour.day, {}).get(hour.source)
        return day.hours.get(hour.name) if day else None

    def files_of(self, days: Iterable[date]) -> list[str]:
        """The files that declare trips of these days, sorted."""
        return sorted({file for day in days for file in self.files.get(day, ())})

    def heard(self, days: Iterable[date]) -> dict[str, set[str]]:
        """Each vehicle → the sources that heard it on one of these days."""
        by_source: dict[str, set[str]] = {}
        for day in days:
            for source, found in self.sources.get(day, {}).items():
                by_source.setdefault(source, set()).update(found.heard)
        heard: dict[str, set[str]] = {}
        for source, vehicles in by_source.items():
            for vehicle in vehicles:
                heard.setdefault(vehicle, set()).add(source)
        return heard


_NAMED = re.compile(r"[^/]+/data=(\d{4}-\d\d-\d\d)/(?:fonte=)?([^/]+)\.json")
_read: dict[tuple[str, str], tuple[str, Any]] = {}
"""What this process has read: (lake, key) → (ETag, entry). Saves requests, and decides nothing."""


def cached(lake: Lake, info: ObjectInfo, parse: Callable[[], Any]) -> Any:
    """`parse()`, or what it gave for the same object of the same ETag."""
    place = (lake.store.uri(), info.key)
    known = _read.get(place)
    if known and known[0] == info.etag:
        return known[1]
    value = parse()
    _read[place] = (info.etag, value)
    return value


def _hours_key(day: date, source: str) -> str:
    return f"{HOURS}/data={day}/fonte={source}.json"


def _file_key(day: date, file: str) -> str:
    return f"{FILES}/data={day}/{file}.json"
