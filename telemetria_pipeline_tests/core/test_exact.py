from decimal import ROUND_HALF_UP, Decimal

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from telemetria_pipeline.core.exact import apportioned, metres


@given(st.lists(st.integers(0, 9_999_999_999)))
def test_half_metres_are_rounded_up_though_floats_cannot_hold_them(tenths: list[int]) -> None:
    exact = [int(Decimal(t).scaleb(-1).quantize(Decimal(1), ROUND_HALF_UP)) for t in tenths]
    assert metres(np.array(tenths, np.float64) / 10 / 1_000).tolist() == exact


def test_a_half_metre_that_a_float_makes_less_of() -> None:
    assert metres(np.array([16.2675, np.nan])).tolist() == [16_268, 0]


@given(st.lists(st.tuples(st.integers(0, 10**12), st.integers(-1, 3))), st.integers(1, 100_000))
def test_parts_add_up_to_their_rounded_sum_and_none_is_a_unit_away(given: list, divisor: int) -> None:
    exact, group = np.array(given, np.int64).reshape(-1, 2).T
    parts = apportioned(exact, divisor, group)
    assert (np.abs(parts * divisor - exact) < divisor).all()
    for label in np.unique(group):
        of = group == label
        assert parts[of].sum() == (2 * int(exact[of].sum()) + divisor) // (2 * divisor)
        lost = exact[of] % divisor
        one_more = parts[of] > exact[of] // divisor
        assert lost[one_more].min(initial=divisor) >= lost[~one_more].max(initial=0)


def test_among_equals_the_first_gets_the_unit_that_is_left() -> None:
    assert apportioned(np.array([5, 15, 5, 7]), 10, np.array([0, 0, 0, 1])).tolist() == [1, 2, 0, 1]
