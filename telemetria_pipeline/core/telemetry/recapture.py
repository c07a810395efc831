"""Which hours have to be captured again."""

from collections.abc import Mapping, Sequence


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
