"""Billing cycles: from the 16th to the 15th."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Self

FIRST_DAY_OF_CYCLE = 16


@dataclass(frozen=True)
class Cycle:
    """One cycle: its first and its last day, both in it. Its key is the first day, `2026-10-16`."""

    first: date
    last: date

    @classmethod
    def of(cls, day: date) -> Self:
        """The cycle that a day belongs to."""
        month = day if day.day >= FIRST_DAY_OF_CYCLE else day.replace(day=1) - timedelta(days=1)
        first = month.replace(day=FIRST_DAY_OF_CYCLE)
        following = (first.replace(day=1) + timedelta(days=32)).replace(day=FIRST_DAY_OF_CYCLE)
        return cls(first, following - timedelta(days=1))

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
        return self.of(self.first - timedelta(days=1))

    @property
    def after(self) -> Self:
        """The cycle after."""
        return self.of(self.last + timedelta(days=1))
