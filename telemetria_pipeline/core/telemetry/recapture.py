"""Which of the hours that a source owes are asked for now: a pure plan.

Failures make an hour wait, longer each time, and in the end it is given up until a person asks; so hours
that fail for good never stand in the way of the others.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Self

from telemetria_pipeline.business_calendar import Calendar
from telemetria_pipeline.contracts.raw import Failure

MOST_HOURS = 48  # of a run: what a weekend left is one run, and a killed one is soon repeated
MOST_TRIES = 40  # failed runs; with the pauses between them some nine days
MOST_REFUSALS = 5  # failed runs, where the last said that it will not pass by itself

AMENDMENTS_AT = 3  # o'clock: buses rest, and the audit of the morning sees them
_SPREAD = timedelta(hours=1)  # over which the sources begin, each at a minute of its own

_FIRST_PAUSE, _LONGEST_PAUSE = timedelta(minutes=5), timedelta(hours=6)
# Where the carrier has answered for another hour meanwhile, nothing speaks for waiting longer than this.
_PAUSE_AFTER_AN_ANSWER = timedelta(minutes=15)
_BUS_DRIVES_ON = timedelta(hours=1)  # how soon an open hour is worth another look


@dataclass(frozen=True)
class Owed:
    """An expected hour that is not settled; `place` is its number among the expected hours.

    `tries` counts the runs in a row that failed to get it, the last one at `failed_at`; `refused` says that
    this failure will not pass by itself. `captured_at` is when it was captured, if it is open still; of one
    that is to be captured `again`, only what the carrier amended since may be missing.
    """

    key: str
    place: int
    tries: int = 0
    failed_at: datetime | None = None
    refused: bool = False
    captured_at: datetime | None = None
    again: bool = False

    @classmethod
    def after(cls, failure: Failure, key: str = "", place: int = 0, *, again: bool = False) -> Self:
        """An hour whose last runs failed."""
        return cls(key, place, failure.attempts, failure.at, failure.permanent, again=again)

    @property
    def given_up(self) -> bool:
        """Whether only a person's run asks for it again."""
        return self.tries >= (MOST_REFUSALS if self.refused else MOST_TRIES)

    def due_at(self, answered_at: datetime | None) -> datetime | None:
        """From when on it may be asked for again; None: now. `answered_at`: the carrier's last answer."""
        if self.failed_at is None:
            return self.captured_at + _BUS_DRIVES_ON if self.captured_at else None
        pause = min(_FIRST_PAUSE * 2 ** min(max(self.tries, 1) - 1, 10), _LONGEST_PAUSE)
        if answered_at and answered_at > self.failed_at:
            pause = min(pause, _PAUSE_AFTER_AN_ANSWER)
        return self.failed_at + pause


def last_night(calendar: Calendar, day: date, ages: Sequence[int], now: datetime) -> datetime | None:
    """The last instant from which on the hours of a day were to be captured again, once that is over.

    `ages` are in days; None where the day has not come to the first of them.
    """
    nights = (calendar.day(day + timedelta(days=age))[0] + timedelta(hours=AMENDMENTS_AT) for age in ages)
    return max((night for night in nights if night + _SPREAD <= now), default=None)


@dataclass(frozen=True)
class RecapturePlan:
    """What to ask for now: hours that follow each other, in order; and what of the rest becomes.

    `next_at` is when the first of the waiting hours may be asked for.
    """

    ask: list[str] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    given_up: list[str] = field(default_factory=list)
    next_at: datetime | None = None


def plan_recapture(
    owed: Sequence[Owed], now: datetime, answered_at: datetime | None, newest: bool
) -> RecapturePlan:
    """Choose hours for one run: the newest that are due, or the oldest, in turn.

    Every second run at least is of hours that never failed, if there are any: retries at both ends of a long
    gap would else keep everyone from its middle.

    Args:
        owed: the hours that are not settled and on nobody's way, oldest first.
        answered_at: when the carrier last answered for any hour.
        newest: whose turn it is.
    """
    given_up = [hour for hour in owed if hour.given_up]
    others = [hour for hour in owed if not hour.given_up]
    due_at = {hour.key: hour.due_at(answered_at) for hour in others}
    due = [hour for hour in others if (at := due_at[hour.key]) is None or at <= now]
    due = [hour for hour in due if not hour.again] or due
    following = list(_following((newest and [hour for hour in due if not hour.tries]) or due))
    ask = (following[-1][-MOST_HOURS:] if newest else following[0][:MOST_HOURS]) if following else []
    later = [at for hour in others if (at := due_at[hour.key]) and at > now]
    asked = {hour.key for hour in ask}
    return RecapturePlan(
        [hour.key for hour in ask],
        [hour.key for hour in others if hour.key not in asked],
        [hour.key for hour in given_up],
        min(later, default=None),
    )


def _following(hours: Sequence[Owed]) -> Iterator[list[Owed]]:
    """The hours in groups that follow each other without a gap."""
    group: list[Owed] = []
    for hour in hours:
        if group and hour.place != group[-1].place + 1:
            yield group
            group = []
        group.append(hour)
    if group:
        yield group
