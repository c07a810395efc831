"""Which audited days are stale and to be audited again: by what they were made from, and nothing else.

A tick of the sensor costs two LISTs of the index and one of the states (each for up to 1,000 objects), five
requests about the reference tables, and a GET for each of these that changed since this process last looked.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cached_property

import pandas as pd

from telemetria_pipeline.carriers.sources import load_sources
from telemetria_pipeline.contracts import Contract
from telemetria_pipeline.contracts.audit import VALIDATED_TRIPS
from telemetria_pipeline.core.audit.rules import AuditRules
from telemetria_pipeline.core.audit.staleness import (
    DaysPlan,
    DayState,
    Fingerprint,
    Piece,
    Reach,
    Surroundings,
    digest,
    fingerprint,
    touching,
)
from telemetria_pipeline.core.audit.trips import FILE_DAYS, HOUR_DAYS, AuditedTrips, AuditInputs
from telemetria_pipeline.core.digests import rows_digest
from telemetria_pipeline.settings import Settings
from telemetria_pipeline.steps.day_index import FLEET_NUMBER, DayIndex, cached
from telemetria_pipeline.steps.hours import Sources
from telemetria_pipeline.steps.reference import TABLES, ReferenceTables
from telemetria_pipeline.storage.lake import Lake
from telemetria_pipeline.storage.object_store import ObjectNotFound, StorageError

STATES = "audited_days"
HEARD_DAYS = 21
"""For so many days before its own, a day asks which sources heard a vehicle."""

_AT_ONCE = 8
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Snapshot:
    """What is there of some days, as it was when it was looked at; `read` before any table of theirs is."""

    index: DayIndex
    sources: Sources
    reference: ReferenceTables
    versions: Mapping[str, str]
    changed_at: datetime | None  # when a reference table was last written
    rules: AuditRules
    settings: Settings
    _pieces: dict[date, list[Piece]] = field(default_factory=dict, repr=False)  # made once for five days

    @classmethod
    def read(cls, lake: Lake, first: date, last: date, settings: Settings) -> "Snapshot":
        """All that the days from `first` to `last` may be made from."""
        index = DayIndex.read(lake, first - HEARD_DAYS * _DAY, last + FILE_DAYS * _DAY)
        tables = {c.name: _reference(lake, c) for c in TABLES}
        return cls(
            index=index,
            sources=load_sources(settings),
            reference=ReferenceTables(**{name: frame for name, (frame, _, _) in tables.items()}),
            versions={name: version for name, (_, version, _) in tables.items()},
            changed_at=max((at for _, _, at in tables.values() if at), default=None),
            rules=AuditRules.of(settings),
            settings=settings,
        )

    def heard(self, day: date) -> dict[str, set[str]]:
        """Each vehicle → the sources that heard it in the weeks up to the day; nothing where one is all.

        One whose plate a source does not know is also heard by its fleet number, where only one has it.
        """
        lately = [day - n * _DAY for n in range(HEARD_DAYS + 1)]
        if len({*self.sources, *(name for at in lately for name in self.index.sources.get(at, ()))}) < 2:
            return {}
        heard = self.index.heard(lately)
        for fleet_number, plate in self._fleet_numbers.items():
            if by := heard.get(f"{FLEET_NUMBER}{fleet_number}"):
                heard.setdefault(plate, set()).update(by)
        return heard

    @cached_property
    def _fleet_numbers(self) -> dict[str, str]:
        vehicles = self.reference.vehicles
        if vehicles is None:
            return {}
        alone = vehicles.dropna(subset="equipamento").drop_duplicates("equipamento", keep=False)
        return dict(zip(alone["equipamento"], alone["placa"], strict=True))

    def expected(self, day: date) -> list[str]:
        """The sources whose hours of a day count: those that are to give them, and all that ever gave one.

        What a source told stays true when it is taken out of `sources.yaml`, or gets another name.
        """
        due = (source.name for source in self.sources.values() if source.start <= day)
        return sorted({*due, *self.index.sources.get(day, ())})

    def around(self, day: date) -> Surroundings:
        """What is there around a day."""
        days = days_around(day, HOUR_DAYS)
        beside = {
            (at - day).days: {
                f"{at} {source}": found.taken_back for source, found in self.index.sources.get(at, {}).items()
            }
            for at in days
            if at != day
        }
        expected = [self.expected(at) for at in days]
        common = f"{self.rules.version} {expected}"
        return Surroundings(
            pieces=[
                *(piece for at in days for piece in self._hours(at)),
                *self._files(days_around(day, FILE_DAYS)),
            ],
            taken_back=beside,
            heard=self.heard(day),
            vehicles=self.reference.vehicles,
            drivers=self.reference.drivers,
            contracts=self.reference.contracts,
            substitutions=self.reference.substitutions,
            acceptances=self.reference.acceptances,
            versions=self.versions,
            rules=hashlib.blake2b(common.encode(), digest_size=8).hexdigest(),
        )

    def fingerprint(self, day: date, reach: Reach, known: DayState | None = None) -> Fingerprint:
        """What the day would be made from."""
        settings = self.settings
        window, tolerance = settings.calendar.day(day), timedelta(minutes=self.rules.match_minutes)
        return fingerprint(day, window, reach, self.around(day), tolerance, known)

    def own_pieces(self, day: date) -> list[Piece]:
        """What there is to audit of a day that never was."""
        window, tolerance = self.settings.calendar.day(day), timedelta(minutes=self.rules.match_minutes)
        return touching(self.around(day).pieces, window, None, tolerance)

    def modified(self, day: date) -> datetime | None:
        """When something around the day was last written."""
        around = [self.index.modified.get(at) for at in days_around(day, FILE_DAYS)]
        return max((at for at in (*around, self.changed_at) if at), default=None)

    def _hours(self, day: date) -> list[Piece]:
        if day not in self._pieces:
            calendar, found = self.settings.calendar, self.index.sources.get(day, {})
            known = [(source, of_source.hours) for source, of_source in found.items()]
            self._pieces[day] = [
                Piece(
                    f"{source} {hour.key}",
                    hour.start,
                    max(entry.until, hour.end) if entry.until else hour.end,
                    True,
                    entry.version,
                )
                for hour in calendar.hours(*calendar.day(day), "")  # once for all sources: thousands a tick
                for source, hours in known
                if (entry := hours.get(hour.name))
            ]
        return self._pieces[day]

    def _files(self, days: Iterable[date]) -> Iterator[Piece]:
        for day in days:
            for file, found in self.index.files.get(day, {}).items():
                yield Piece(f"{day} {file}", found.start, found.end, False, found.digest)


def days_around(day: date, days: int) -> list[date]:
    """The day, and so many before and after it, in order."""
    return [day + n * _DAY for n in range(-days, days + 1)]


def plan_days(lake: Lake, settings: Settings, now: datetime) -> DaysPlan:
    """The days of the last `audit_days` that are over and are to be audited, whatever made them stale."""
    today, oldest = settings.calendar.day_of(now), _oldest(settings, now)
    days = [oldest + n * _DAY for n in range((today - oldest).days)]
    plan, rest = DaysPlan(), timedelta(seconds=settings.audit_rest_s)
    if not days:
        return plan
    snapshot, states = Snapshot.read(lake, days[0], days[-1], settings), read_states(lake, days)
    for day in days:
        why, version = _stale(snapshot, states.get(day), day)
        if not why:
            continue
        changed = snapshot.modified(day)
        if rest and changed and now - changed < rest:
            plan.resting.append(day)
        else:
            plan.due[day], plan.why[day] = version, why
    return plan


def days_too_old(settings: Settings, days: Iterable[date], now: datetime) -> list[date]:
    """Those of the days that are not looked at any more."""
    return [day for day in days if day < _oldest(settings, now)]


def _oldest(settings: Settings, now: datetime) -> date:
    return max(settings.start, settings.calendar.day_of(now) - settings.audit_days * _DAY)


def stale_days(lake: Lake, days: list[date], settings: Settings) -> list[date]:
    """Those of the days that were audited and would be another by now."""
    snapshot, states = Snapshot.read(lake, days[0], days[-1], settings), read_states(lake, days)
    return [day for day in days if day in states and _stale(snapshot, states[day], day)[0]]


def _stale(snapshot: Snapshot, state: DayState | None, day: date) -> tuple[list[str], str]:
    """In what the day is stale (nothing where it is not), and a digest of what is around it now."""
    if state is None:
        own = snapshot.own_pieces(day)
        return (["never audited"] if own else []), digest(f"{p.name}={p.digest}" for p in own)
    made_from = snapshot.fingerprint(day, state.reach, state)
    return state.made_from.differs_in(made_from), made_from.digest


def make_state(
    day: date, audited: AuditedTrips, inputs: AuditInputs, snapshot: Snapshot, file: str
) -> DayState:
    """The state of a day that was audited from what the snapshot shows.

    Args:
        audited: what came of it.
        inputs: all that was looked at.
        file: the SHA-256 of the object that the trips were written to.
    """
    settings = snapshot.settings
    window, tolerance = settings.calendar.day(day), timedelta(minutes=snapshot.rules.match_minutes)
    reach = Reach.of(audited, inputs, window, tolerance, settings.timezone)
    return DayState(
        day=day,
        made_from=snapshot.fingerprint(day, reach),
        versions=dict(snapshot.versions),
        reach=reach,
        rows=len(audited.trips),
        digest=rows_digest(VALIDATED_TRIPS, audited.trips),
        file=file,
        audited_at=datetime.now(UTC),
    )


def write_state(lake: Lake, state: DayState) -> None:
    """Say what is known of the day, in place of what was."""
    lake.write_json(state_key(state.day), state.model_dump(mode="json"))


def read_state(lake: Lake, day: date) -> DayState | None:
    """What is known of the day; None where it was never audited, or where nobody can tell any more."""
    try:
        return lake.read_model(state_key(day), DayState)
    except StorageError:
        return None


def read_states(lake: Lake, days: list[date]) -> dict[date, DayState]:
    """The states of those of these days (in order) that were ever audited."""
    wanted = {state_key(day): day for day in days}
    listed = lake.store.list(STATES, after=f"{STATES}/data={days[0] - _DAY}.json")
    found = [info for info in listed if info.key in wanted]
    with ThreadPoolExecutor(_AT_ONCE) as readers:
        states = readers.map(
            lambda info: cached(lake, info, lambda: read_state(lake, wanted[info.key])), found
        )
    return {state.day: state for state in states if state}


def _reference(lake: Lake, contract: Contract) -> tuple[pd.DataFrame | None, str, datetime | None]:
    """A reference table, a digest of all that it says, and when it was written."""
    try:
        info = lake.store.info(lake.table_key(contract.name, {}))
    except ObjectNotFound:
        return None, "", None

    def parse() -> tuple[pd.DataFrame | None, str]:
        table = lake.read_table(contract.name, {})
        frame = None if table is None else contract.frame(table)
        return frame, "" if frame is None else rows_digest(contract, frame)

    return *cached(lake, info, parse), info.modified


def state_key(day: date) -> str:
    """Where the state of a day lies in the lake."""
    return f"{STATES}/data={day}.json"
