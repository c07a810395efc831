import string

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetria_pipeline.core.plates import canonical_plates


@pytest.mark.parametrize(
    ("received", "canonical"),
    [
        ("ABC-1234", "ABC1C34"),
        ("abc 1c34", "ABC1C34"),
        ("GDP-4J68", "GDP4J68"),
        ("ABC1034", "ABC1A34"),
        ("ABC1934", "ABC1J34"),
        (" fev.7499 ", "FEV7E99"),
    ],
)
def test_one_vehicle_many_spellings(received, canonical):
    assert canonical_plates(pd.Series([received], dtype="str")).tolist() == [canonical]


@pytest.mark.parametrize(
    "received", ["ABCO234", "AB1234", "ABC12345", "", "7499-02-01", "ABC-123A", "ÁBC1234"]
)
def test_what_is_no_plate_is_never_repaired(received):
    assert canonical_plates(pd.Series([received], dtype="str")).isna().all()


def test_missing_stays_missing_and_the_index_is_kept():
    got = canonical_plates(pd.Series([None, "ABC1234"], index=[7, 9], dtype="str"))
    assert got.index.tolist() == [7, 9]
    assert got.isna().tolist() == [True, False]
    assert canonical_plates(pd.Series([], dtype="str")).dtype == "str"


letters, digits = st.sampled_from(string.ascii_uppercase), st.sampled_from(string.digits)


@given(st.tuples(letters, letters, letters, digits, digits, digits, digits))
def test_the_old_form_and_its_mercosul_form_meet(parts):
    old = "".join(parts)
    mercosul = old[:4] + "ABCDEFGHIJ"[int(old[4])] + old[5:]
    got = canonical_plates(pd.Series([old, mercosul, f"{old[:3]}-{old[3:]}".lower()], dtype="str"))
    assert got.tolist() == [mercosul] * 3
