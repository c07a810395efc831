"""How time is cut: hours, business days and billing cycles in the contract's zone. Knows no Dagster."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Self
from zoneinfo import ZoneInfo

FIRST_DAY_OF_CYCLE = 16
Window = tuple[datetime, datetime]
"""A first instant and the first one after it."""

_KEY = "%Y-%m-%d-%H:%M"
_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)


@dataclass(frozen=True)
class Hour:
    """One hourly partition of one source: its key (`2026-11-22-07:00`, local) and its window (aware)."""

    source: str
    key: str
    start: datetime
    end: datetime

    @property
    def day(self) -> date:
        """The business day that it lies in."""
        return date.fromisoformat(self.key[:10])

    @property
    def name(self) -> str:
        """Its place in the day: `07`.

        The hour that a zone lives twice when its clocks go back has an offset in its key, and so in its
        name (`01-0500`): the two never share a place.
        """
        return self.key[11:13] + self.key[16:]

    @property
    def partition(self) -> dict[str, str]:
        """Where it lies in a table: `fonte=alfa/data=2026-11-22/hora=07`."""
        return {"fonte": self.source, "data": self.key[:10], "hora": self.name}

    def days_before(self, days: int) -> "Hour":
        """The same hour by the clock, that many days earlier."""
        shift = timedelta(days=days)  # of aware instants in one zone: moves the date, keeps the clock
        return Hour(self.source, f"{self.day - shift}{self.key[10:16]}", self.start - shift, self.end - shift)


@dataclass(frozen=True)
class Calendar:
    """The contract's zone, and the first day that is looked at."""

    zone: ZoneInfo
    start: date

    def hour(self, key: str, source: str) -> Hour:
        """The hour of a partition key. Raises ValueError for a key that names none."""
        try:
            start = datetime.strptime(key[:16], _KEY).replace(tzinfo=self.zone)
            if key[16:]:  # the second of two hours of one name
                start = datetime.strptime(key, f"{_KEY}%z").astimezone(self.zone)
        except ValueError:
            start = None
        if start is None or start.minute or self._key(start.astimezone(UTC)) != key:
            raise ValueError(f"{key!r} is not an hour of {self.zone}; write one like 2026-11-22-07:00")
        return self._hour(start.astimezone(UTC), source)

    def hours(self, start: datetime, end: datetime, source: str) -> list[Hour]:
        """The hours that lie in [start, end) as a whole, in order; none from before the first day."""
        return list(self._hours(max(start, self.day(self.start)[0]), end, source))

    def hours_of(self, day: date, source: str) -> list[Hour]:
        """The hours of a business day, in order: 24, but for days on which clocks change."""
        return list(self._hours(*self.day(day), source))

    def day(self, day: date) -> Window:
        """The first instant of a business day and the first after it."""
        return self._midnight(day), self._midnight(day + _DAY)

    def day_named(self, text: str) -> Window:
        """The same of a day written as YYYY-MM-DD; raises ValueError for another text."""
        return self.day(date.fromisoformat(text))

    def day_of(self, instant: datetime) -> date:
        """The business day of an instant."""
        return instant.astimezone(self.zone).date()

    def _midnight(self, day: date) -> datetime:
        return datetime.combine(day, time(), tzinfo=self.zone)

    def _hours(self, start: datetime, end: datetime, source: str) -> Iterator[Hour]:
        at, end = start.astimezone(UTC), end.astimezone(UTC)
        whole = at.replace(minute=0, second=0, microsecond=0)
        at = whole if whole == at else whole + _HOUR
        while at + _HOUR <= end:
            yield self._hour(at, source)
            at += _HOUR

    def _hour(self, start: datetime, source: str) -> Hour:
        """The hour that begins at `start`, in UTC."""
        return Hour(
            source, self._key(start), start.astimezone(self.zone), (start + _HOUR).astimezone(self.zone)
        )

    def _key(self, start: datetime) -> str:
        local = start.astimezone(self.zone)
        return local.strftime(f"{_KEY}%z" if local.fold else _KEY)


@dataclass(frozen=True)
class Cycle:
    """One billing cycle: its first and last day, both in it. Its key is the first day, `2026-10-16`."""

    first: date
    last: date

    @classmethod
    def of(cls, day: date) -> Self:
        """The cycle that a day belongs to."""
        month = day if day.day >= FIRST_DAY_OF_CYCLE else day.replace(day=1) - _DAY
        first = month.replace(day=FIRST_DAY_OF_CYCLE)
        following = (first.replace(day=1) + timedelta(days=32)).replace(day=FIRST_DAY_OF_CYCLE)
        return cls(first, following - _DAY)

    @classmethod
    def from_key(cls, key: str) -> Self:
        """The cycle that begins on the day `key`; raises ValueError for another day."""
        first = date.fromisoformat(key)
        if first.day != FIRST_DAY_OF_CYCLE:
            begins = cls.of(first).key
            raise ValueError(f"a cycle begins on the 16th: {key} lies in the cycle {begins}")
        return cls.of(first)

    @property
    def key(self) -> str:
        """Its partition key."""
        return self.first.isoformat()

    @property
    def partition(self) -> dict[str, str]:
        """Where it lies in a table."""
        return {"ciclo": self.key}

    @property
    def days(self) -> list[date]:
        """Its days, in order."""
        return [self.first + timedelta(days=n) for n in range((self.last - self.first).days + 1)]

    @property
    def before(self) -> Self:
        """The cycle before."""
        return self.of(self.first - _DAY)

    @property
    def after(self) -> Self:
        """The cycle after."""
        return self.of(self.last + _DAY)
