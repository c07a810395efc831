"""An hour of the contract's zone, and which hours have to be captured again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta


@dataclass(frozen=True)
class Hour:
    """One hourly partition: its key (`2026-11-22-07:00`, local) and its window (aware instants)."""

    key: str
    start: datetime
    end: datetime

    @property
    def partition(self) -> dict[str, str]:
        """Where the hour lies in a table: `data=2026-11-22/hora=07`.

        The hour that a zone lives twice when its clocks go back has an offset in its key, and so in
        `hora` (`01-0500`): the two never share a place.
        """
        return {"data": self.key[:10], "hora": self.key[11:13] + self.key[16:]}

    def days_before(self, days: int) -> "Hour":
        """The same hour by the clock, that many days earlier."""
        shift = timedelta(days=days)  # of aware instants in one zone: moves the date, keeps the clock
        day = date.fromisoformat(self.key[:10]) - shift
        return Hour(f"{day}{self.key[10:16]}", self.start - shift, self.end - shift)


def hours_to_recapture(
    states: Mapping[str, str | None], newest_first: Sequence[str], since: str | None = None
) -> list[str]:
    """The hours to ask for again: open ones, missing ones, and gaps that were never asked for.

    A gap counts only after the first hour that was ever asked for: before it the pipeline did not run.

    Args:
        states: hour key → state, or None where nothing is known of the hour.
        newest_first: keys of the hours to look at, newest first.
        since: key of the first hour that was ever captured, where it lies before those.
    """
    known = [key for key in newest_first if states.get(key) is not None]
    first = min([*known[-1:], *([since] if since else [])], default=None)
    if first is None:
        return []
    asked = [key for key in newest_first if key >= first]
    return [key for key in asked if states.get(key) in (None, "missing", "open")]
