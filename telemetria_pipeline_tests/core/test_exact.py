from decimal import ROUND_HALF_UP, Decimal

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from telemetria_pipeline.core.exact import metres


@given(st.lists(st.integers(0, 9_999_999_999)))
def test_half_metres_are_rounded_up_though_floats_cannot_hold_them(tenths: list[int]) -> None:
    exact = [int(Decimal(t).scaleb(-1).quantize(Decimal(1), ROUND_HALF_UP)) for t in tenths]
    assert metres(np.array(tenths, np.float64) / 10 / 1_000).tolist() == exact


def test_a_half_metre_that_a_float_makes_less_of() -> None:
    assert metres(np.array([16.2675, np.nan])).tolist() == [16_268, 0]
