"""How often a test is tried: a little by `make test`, and all the rest of it by `make long`."""

from typing import Any

import pytest
from hypothesis import settings

MOST_EXAMPLES = 100  # of a property that says no number of its own


def and_long(*values: Any, quick: int = 1) -> list[Any]:
    """Values of a parameter: the first (or the first `quick`) for `make test`, the others for `make long`.

    A value of several parameters is a tuple.
    """
    left = (value if isinstance(value, tuple) else (value,) for value in values[quick:])
    return [*values[:quick], *(pytest.param(*each, marks=pytest.mark.long) for each in left)]


def examples(most: int, **said: Any) -> settings:
    """So many examples by the profile of `make long`, and a fifth of them by that of `make test`."""
    return settings(max_examples=most * settings.default.max_examples // MOST_EXAMPLES, **said)
