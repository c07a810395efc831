"""Which days to audit now: a pure plan from what changed and what each day has already looked at.

Whoever changes an hour or a file leaves a mark whose key says which instants it touched. A day that is
audited notes the marks that it found before it read anything. What a day has not seen, it has to look at.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Self
from zoneinfo import ZoneInfo

import pandas as pd
from pydantic import BaseModel

from telemetria_pipeline.business_calendar import Window
from telemetria_pipeline.core.audit.days import business_days

PENDING = "changes_pending"
_STAMP = "%Y%m%dT%H%M%SZ"
_KEY = re.compile(rf"{PENDING}/(\d{{8}}T\d{{6}}Z)_(\d{{8}}T\d{{6}}Z)_(hour|file)-.+_[0-9a-f]+")
_SECOND, _DAY = timedelta(seconds=1), timedelta(days=1)


@dataclass(frozen=True)
class Mark:
    """A change: its first departure and last arrival, and whether it is the telemetry's or a boletim's.

    `left_at` is when it was left; a change that is being written rests until then.
    """

    key: str
    start: datetime
    end: datetime
    telemetry: bool
    left_at: datetime

    @classmethod
    def from_key(cls, key: str, left_at: datetime) -> Self | None:
        """What the key says; None for a key that is no mark."""
        said = _KEY.fullmatch(key)
        if not said:
            return None
        start, end = (datetime.strptime(said[n], _STAMP).replace(tzinfo=UTC) for n in (1, 2))
        return cls(key, start, end, said[3] == "hour", left_at)


def mark_key(window: Window, source: str, token: str) -> str:
    """The key of a mark. `source` begins with `hour-` or `file-`; `token` makes each mark one of its own.

    Whole seconds, outwards: a mark never says less than what changed.
    """
    start, end = (instant.astimezone(UTC) for instant in window)
    if end.microsecond:
        end += _SECOND
    return f"{PENDING}/{start:{_STAMP}}_{end:{_STAMP}}_{source}_{token}"


def hour_window(start: datetime, end: datetime, arrivals: pd.Series, took_back: bool) -> Window:
    """What a publication of the hour [start, end) touches.

    Args:
        arrivals: of the trips that the hour had and has.
        took_back: trips that stood are gone or altered. The signal of trips on the days beside it may rest
            on their odometers.
    """
    last = max([end, *([arrivals.max().to_pydatetime()] if len(arrivals) else [])])
    return (start - _DAY, last + _DAY) if took_back else (start, last)


def spans(trips: pd.DataFrame, zone: ZoneInfo) -> list[Window]:
    """First departure and last arrival of declared trips, for each run of consecutive business days.

    Args:
        trips: `saida_utc`, `chegada_utc`.
        zone: the contract's; days are cut in it.
    """
    rows = trips.sort_values("saida_utc")
    days = pd.to_datetime(business_days(rows["saida_utc"], zone))
    runs = rows.groupby((days.diff() > _DAY).cumsum())
    windows = runs.agg(first=("saida_utc", "min"), last=("chegada_utc", "max"))
    return [(first.to_pydatetime(), last.to_pydatetime()) for first, last in windows.itertuples(index=False)]


def rests_on_neighbours(trips: pd.DataFrame, segments: pd.DataFrame) -> bool:
    """Whether an hour of the day before or after may change what is known of some trip's signal.

    Where good readings enclose a trip, or its segments fill it, more of them change nothing. Where only some
    of a vehicle's readings are good, the next one may contradict what a heartbeat said.

    Args:
        trips: the day's, under contract VALIDATED_TRIPS.
        segments: `placa`, `saida_utc`, `chegada_utc`, `situacao_odometro` of all that was looked at.
    """
    good = segments[segments["situacao_odometro"] == "ok"].groupby("placa")
    first, last = (
        found.reindex(trips["placa"]).set_axis(trips.index)
        for found in (good["saida_utc"].min(), good["chegada_utc"].max())
    )
    enclosed = (first <= trips["saida_utc"]) & (last >= trips["chegada_utc"])
    heartbeat = (trips["sinal"] == "presente") & first.notna() & ~enclosed & ~(trips["sobreposicao"] >= 1)
    return bool((heartbeat | trips["sinal"].isin(["perdido", "desconhecido"])).any())


class DayState(BaseModel):
    """What is known of an audited day; stored beside its tables, after all of them."""

    day: date
    seen: list[str]  # keys of the marks that were there before its inputs were read, and touch it
    reach: datetime  # the last arrival of its trips, on either side
    wide: bool  # the signal of some trip rests on what its neighbours' odometers say, or do not say
    rules: str  # versions
    tariffs: str | None
    rows: int
    digest: str  # of its validated trips
    audited_at: datetime


def touches(mark: Mark, day: Window, state: DayState | None, tolerance: timedelta) -> bool:
    """Whether what the mark says may change the day.

    Args:
        day: its first instant and the first after it.
        state: what is known of the day; None where it was never audited.
        tolerance: how far apart a declared and a measured trip may be and still be one.
    """
    start, end = day
    if state:
        end = max(end, state.reach)
        if state.wide and mark.telemetry:
            start, end = start - _DAY, max(end, day[1] + _DAY)
    return mark.start - tolerance <= end and mark.end + tolerance >= start


@dataclass(frozen=True)
class DaysPlan:
    """What to do now.

    `due` maps each day to run to its unseen marks, oldest day first; `resting` are days whose last change is
    too fresh; `settled` are the marks that every day has seen, and `let_go` those that only touch days too
    old to be audited again.
    """

    due: dict[date, list[Mark]] = field(default_factory=dict)
    resting: list[date] = field(default_factory=list)
    settled: list[Mark] = field(default_factory=list)
    let_go: list[Mark] = field(default_factory=list)


def plan_days(
    marks: Iterable[Mark],
    states: Mapping[date, DayState],
    *,
    days: Iterable[date],
    window_of: Callable[[date], Window],
    now: datetime,
    rest: timedelta,
    tolerance: timedelta,
) -> DaysPlan:
    """Decide which days to audit again, and which marks are done with.

    A mark is settled when every day that it touches has seen it. A day that is not over waits, and so do its
    marks.

    Args:
        marks: all that are pending.
        states: of the days that were ever audited.
        days: those that may be audited again, oldest first, today and tomorrow among them.
        rest: how long a day's last change has to rest, so that a burst of changes is one run.
    """
    plan, needed, touching = DaysPlan(), set[str](), set[str]()
    marks = list(marks)
    for day in days:
        window, state = window_of(day), states.get(day)
        mine = [m for m in marks if touches(m, window, state, tolerance)]
        unseen = [m for m in mine if not state or m.key not in state.seen]
        touching.update(m.key for m in mine)
        needed.update(m.key for m in unseen)
        if not unseen or window[1] > now:
            continue
        if now - max(m.left_at for m in unseen) < rest:
            plan.resting.append(day)
        else:
            plan.due[day] = unseen
    for mark in marks:
        if mark.key not in touching and mark.end < now:
            plan.let_go.append(mark)
        elif mark.key in touching - needed:
            plan.settled.append(mark)
    return plan
