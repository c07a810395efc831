import pandas as pd
import pyarrow as pa
import pytest

from telemetria_pipeline.contracts import Column, Contract
from telemetria_pipeline.contracts.base import FLAG, INSTANT, INTEGER, NUMBER, TEXT

THINGS = Contract(
    "things",
    "A table of the test.",
    (
        Column("name", TEXT, "", required=True, pattern="^[a-z]+$"),
        Column("kind", TEXT, "", isin=("a", "b")),
        Column("km", NUMBER, "", ge=0, le=10),
        Column("at", INSTANT, ""),
        Column("n", INTEGER, "", required=True),
        Column("on", FLAG, "", required=True),
        Column("free", TEXT, ""),
    ),
    key=("name",),
)


def things(**said) -> pd.DataFrame:
    row = {
        "name": "x",
        "kind": "a",
        "km": 1.0,
        "at": pd.Timestamp("2026-01-01", tz="UTC"),
        "n": 1,
        "on": True,
    }
    frame = pd.DataFrame([row | said], columns=THINGS.names)
    return frame.astype({c.name: c.pandas_dtype for c in THINGS.columns})


def test_a_sound_frame_and_an_empty_one_hold():
    assert THINGS.broken_by(things()) is None
    assert THINGS.broken_by(THINGS.empty()) is None
    assert THINGS.broken_by(things(kind=None, km=None, at=None)) is None


@pytest.mark.parametrize(
    ("said", "column"),
    [
        ({"name": None}, "name"),
        ({"name": "X"}, "name"),
        ({"kind": "c"}, "kind"),
        ({"km": -1.0}, "km"),
        ({"km": 11.0}, "km"),
    ],
)
def test_a_value_that_breaks_a_rule_is_told_by_its_column_and_not_shown(said, column):
    problem = THINGS.broken_by(things(**said))
    assert f"rows of {column}" in problem
    assert str(next(iter(said.values()))) not in problem.replace("None", "").replace("greater", "")


def test_a_key_twice_breaks_it():
    assert "name" in THINGS.broken_by(pd.concat([things(), things()], ignore_index=True))


def test_another_column_order_or_dtype_breaks_it():
    assert "km is object" in THINGS.broken_by(things().astype({"km": object}))
    assert "at is" in THINGS.broken_by(things().astype({"at": "datetime64[ns, UTC]"}))
    assert "free" in THINGS.broken_by(things().drop(columns="free"))
    assert "another order" in THINGS.broken_by(things()[THINGS.names[::-1]])


def test_arrow_there_and_back_is_the_same_frame():
    frame = things(at=None, kind=None)
    table = THINGS.table(frame)
    assert table.schema.remove_metadata() == THINGS.arrow_schema
    pd.testing.assert_frame_equal(THINGS.frame(table), frame)
    assert THINGS.frame(THINGS.table(THINGS.empty())).dtypes.equals(THINGS.empty().dtypes)
    assert THINGS.arrow_schema.field("at").type == pa.timestamp("us", tz="UTC")
