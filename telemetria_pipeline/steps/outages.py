"""Which sources are down, as the lake knows it: their newest hours, and the vehicles heard lately."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from telemetria_pipeline.business_calendar import Hour
from telemetria_pipeline.core.telemetry.outages import AskedHour, unanswered
from telemetria_pipeline.core.telemetry.recapture import Owed
from telemetria_pipeline.settings import Settings
from telemetria_pipeline.steps.day_index import FLEET_NUMBER, DayIndex
from telemetria_pipeline.steps.hours import Sources, all_known, expected_hours
from telemetria_pipeline.storage.lake import Lake

LOOK_BACK = timedelta(hours=48)
_DUE = timedelta(minutes=45)  # after its end an hour was asked for, and answered
_HEARD = timedelta(days=7)


@dataclass(frozen=True)
class SourceState:
    """A source, its hours without an answer where it is down (else none), why, and its vehicles (plates)."""

    source: str
    hours: list[Hour]
    why: str = ""
    plates: tuple[str, ...] = ()


def source_states(
    lake: Lake, sources: Sources, settings: Settings, down: Collection[str], now: datetime
) -> Iterator[SourceState]:
    """Each source as it stands; `down` are those that were down before.

    It reads the index of days, and manifests only of a source whose newest hour is missing.
    """
    today = settings.calendar.day_of(now)
    index = DayIndex.read(lake, settings.calendar.day_of(now - _HEARD), today)
    for source in sources.values():
        hours = expected_hours(source, settings.calendar, now - LOOK_BACK, now - _DUE)
        published = {hour.key for hour in hours if index.hour(hour)}
        problem = source.problem()
        well = not problem and source.name not in down
        if not hours or (well and hours[-1].key in published):
            yield SourceState(source.name, [])
            continue
        known = all_known(lake, [hour for hour in hours if hour.key not in published])
        failures = {key: m.failure for key, m in known.items() if m.failure}
        asked = [
            AskedHour(
                hour.key,
                # One that cannot be asked as it is described has no hours, and yet it is down.
                asked=hour.key in published or hour.key in known or (bool(problem) and hour is hours[-1]),
                answered=hour.key in published or (hour.key in known and known[hour.key].current is not None),
                refused=bool(problem) or (hour.key in failures and failures[hour.key].permanent),
            )
            for hour in hours
        ]
        missing = set(unanswered(asked, settings.outage_hours, source.name in down))
        errors = [failure.error for failure in failures.values()]
        yield SourceState(
            source.name,
            [hour for hour in hours if hour.key in missing],
            problem or (errors[-1] if errors else ""),
            tuple(sorted(_plates(index, source.name))) if missing else (),
        )


def given_up(lake: Lake, hours: Iterable[Hour]) -> dict[str, str]:
    """Those of the hours that nothing asks for any more before a person does, each with its last error."""
    failures = {key: m.failure for key, m in all_known(lake, list(hours)).items() if m.failure}
    return {key: failure.error for key, failure in failures.items() if Owed.after(failure).given_up}


def _plates(index: DayIndex, source: str) -> set[str]:
    heard = {v for day in index.sources.values() if source in day for v in day[source].heard}
    return {v for v in heard if ":" not in v and not v.startswith(FLEET_NUMBER)}
