"""When a telemetry source counts as down, and when as back: a rule over its newest hours."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import dropwhile, takewhile


@dataclass(frozen=True)
class AskedHour:
    """What is known of an hour: whether it was ever asked for, answered, or refused for good."""

    key: str
    asked: bool = False
    answered: bool = False
    refused: bool = False


def unanswered(hours: Sequence[AskedHour], least: int, down: bool) -> list[str]:
    """The hours that an outage left without an answer, oldest first; none where the source is not down.

    A source is down once its newest `least` hours are all without an answer; at once where it refuses for
    good. It is back when its newest hour is answered and no gap is left, or its newest `least` all are. Hours
    from before the first one that was ever asked for count for nothing: the pipeline did not run.

    Args:
        hours: the hours that are due, oldest first.
        least: how many hours.
        down: whether it counted as down before.
    """
    known = list(dropwhile(lambda hour: not hour.asked, hours))
    silent = list(takewhile(lambda hour: not hour.answered, reversed(known)))
    gaps = [hour.key for hour in known if not hour.answered]
    if down:
        back = not silent and (not gaps or all(hour.answered for hour in known[-least:]))
        return [] if back else gaps
    refused = any(hour.refused for hour in silent[:1])
    return gaps[-len(silent) :] if refused or len(silent) >= least else []
