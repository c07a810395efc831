"""The plate in a text that a carrier runs together from other things: found, or not; never guessed."""

import re

# A word of its own, joined or with a hyphen. With a blank, or in mixed case, the letters and digits of an old
# plate are as well a word and a number (`Van 1020`, `Bus3803`); a Mercosul one has a letter among its digits.
_PLATE = re.compile(
    r"(?<![^\W_])(?:[A-Z]{3}-?[0-9]{4}|[A-Za-z]{3}-?[0-9][A-Za-z][0-9]{2}|[A-Z]{3} [0-9][A-Z][0-9]{2})"
    r"(?![^\W_]|-?[0-9])"
)


def plate_in(text: str, places: list[tuple[int, int]]) -> str | None:
    """The only plate within these places of a text; None where there is none, or more than one."""
    found = [
        match[0]
        for match in _PLATE.finditer(text)
        if any(start <= match.start() and match.end() <= end for start, end in places)
    ]
    different = {re.sub("[- ]", "", plate).upper() for plate in found}
    return found[0] if len(different) == 1 else None
