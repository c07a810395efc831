"""What a source still owes: expected hours that are missing or open, from the first that was ever asked for.

The index of days says which hours were published, a small object a day; manifests are read only of the hours
that it does not settle, and of the last two days, where a run may have died between a capture and its tables.
An hour whose manifest calls it published and that the index does not know is missing: the audit goes by the
index, and the hour's next run writes its entry again.

Carriers amend trips, so that a day is captured again at certain ages. Where that night passed without it (the
carrier was down, or all stood still), its hours are `unamended`, and owed as well.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from telemetria_pipeline.business_calendar import Calendar, Hour
from telemetria_pipeline.carriers.sources import Source
from telemetria_pipeline.contracts.raw import HourManifest
from telemetria_pipeline.core.telemetry.recapture import Owed, last_night
from telemetria_pipeline.steps.day_index import HourEntry, hours_of_source
from telemetria_pipeline.steps.hours import RAW, all_known, expected_hours
from telemetria_pipeline.storage.lake import Lake

_LOOKED_AT = timedelta(hours=48)
_UNSETTLED = ("missing", "open")


@dataclass(frozen=True)
class Backlog:
    """The owed hours, oldest first, and their states by key (`missing`, `open`, `unamended`).

    `answered_at`: when the carrier last answered for any hour; `last_hour`: the newest that was captured;
    `error`: of the newest hour that was asked for, if that failed; `refused`: for good.
    """

    owed: list[Owed] = field(default_factory=list)
    states: Mapping[str, str] = field(default_factory=dict)
    answered_at: datetime | None = None
    last_hour: str | None = None
    error: str | None = None
    refused: bool = False

    @property
    def begun(self) -> bool:
        """Whether any hour was ever asked for: before the first one nothing is owed."""
        return bool(self.owed or self.last_hour)


def backlog(
    lake: Lake, source: Source, calendar: Calendar, now: datetime, back: timedelta, ages: Sequence[int] = ()
) -> Backlog:
    """What the source owes of the hours that are over, `back` before now at most.

    Args:
        ages: in days, at which a day is captured again; without them no hour is `unamended`.
    """
    began = _first_asked(lake, source, calendar, now)
    hours = expected_hours(source, calendar, max(now - back, began), now)
    if not hours:
        return Backlog()
    published = hours_of_source(lake, source.name, hours[0].day, hours[-1].day)
    nights = {day: last_night(calendar, day, ages, now) for day in {hour.day for hour in hours}}
    unamended = {h.key for h in hours if _captured_before(published.get(h.key), nights[h.day])}
    asked = [
        h
        for h in hours
        if h.end > now - _LOOKED_AT or not _settled(published.get(h.key), now) or h.key in unamended
    ]
    known = all_known(lake, asked)
    states = {
        h.key: known[h.key].standing(now) if h.key in known and h.key in published else "missing"
        for h in asked
    }
    states = {
        key: state if state in _UNSETTLED else "unamended"
        for key, state in states.items()
        if state in _UNSETTLED or key in unamended
    }
    # On its first day the pipeline began with some hour.
    first = hours[0].key if began < hours[0].start else min([*known, *published], default=hours[0].key)
    owed = [
        _owed(h, place, states[h.key], known.get(h.key))
        for place, h in enumerate(hours)
        if h.key in states and h.key >= first
    ]
    answers = [m.current.captured_at for m in known.values() if m.current]
    captured = [key for key, m in known.items() if m.current]
    failure = known[max(known)].failure if known else None
    return Backlog(
        owed,
        {hour.key: states[hour.key] for hour in owed},
        max([*answers, *(e.captured_at for e in published.values() if e.captured_at)], default=None),
        max([*captured, *published], default=None),
        failure.error if failure else None,
        bool(failure and failure.permanent),
    )


def _first_asked(lake: Lake, source: Source, calendar: Calendar, now: datetime) -> datetime:
    """The beginning of the first day that any hour was asked for of; now where none was."""
    days = lake.store.folders(f"{RAW}/fonte={source.name}")
    return calendar.day_named(days[0].removeprefix("data="))[0] if days else now


def _settled(entry: HourEntry | None, now: datetime) -> bool:
    return entry is not None and entry.standing(now) not in _UNSETTLED


def _captured_before(entry: HourEntry | None, night: datetime | None) -> bool:
    """What an earlier version published does not say when it was captured: nothing is owed of it."""
    return bool(entry and entry.captured_at and night and entry.captured_at < night)


def _owed(hour: Hour, place: int, state: str, manifest: HourManifest | None) -> Owed:
    if manifest is None:
        return Owed(hour.key, place)
    if failure := manifest.failure:
        return Owed.after(failure, hour.key, place, again=state == "unamended")
    if left := manifest.unpublished:  # killed before its tables were written, or these were refused
        return Owed(hour.key, place, len(left), left[-1].captured_at)
    captured_at = manifest.current.captured_at if manifest.current and state == "open" else None
    return Owed(hour.key, place, captured_at=captured_at, again=state == "unamended")
