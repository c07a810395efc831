"""Numbers as a Brazilian reader writes them."""

from datetime import UTC, datetime
from decimal import Decimal

import pandas as pd
import pytest

from telemetria_pipeline.contracts.audit import KINDS, SITUATIONS, VERDICTS
from telemetria_pipeline.contracts.billing import ADJUSTMENTS, PATTERNS
from telemetria_pipeline.reports import text
from telemetria_pipeline_tests.core.audit.rows import ZONE


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (text.brl(Decimal("40314.14")), "R$ 40.314,14"),
        (text.brl(Decimal("-0.30")), "-R$ 0,30"),
        (text.brl(Decimal("2.675")), "R$ 2,68"),  # half up, where half even says 2,67 or 2,68 by chance
        (text.brl(Decimal("2.665")), "R$ 2,67"),
        (text.tariff(Decimal("2.7300")), "R$ 2,7300/km"),
        (text.tariff(Decimal("2.7325")), "R$ 2,7325/km"),
        (text.km(1234.56), "1.234,560 km"),
        (text.number(0.25, 1), "0,3"),
        (text.signed(Decimal("16.8")), "+16,8"),
        (text.signed(-16.8), "-16,8"),
        (text.percent(0.538, 1), "53,8 %"),
        (text.percent(1.0), "100 %"),
        (text.clock(datetime(2026, 3, 10, 2, 59, tzinfo=UTC), ZONE), "23:59"),
        (text.word("sem_telemetria"), "Declarada sem telemetria"),
    ],
)
def test_numbers_clocks_and_words(said, expected):
    assert said == expected


@pytest.mark.parametrize("nothing", [None, float("nan"), pd.NA, pd.NaT])
def test_nothing_is_a_dash(nothing):
    shown = (text.brl, text.tariff, text.km, text.number, text.signed, text.percent, text.word, text.odometer)
    assert {show(nothing) for show in shown} == {"–"}
    assert text.clock(nothing, ZONE) == "–"


def test_every_code_that_people_see_has_a_name():
    codes = {*KINDS, *VERDICTS}
    for contract in (ADJUSTMENTS, PATTERNS):
        codes |= {code for c in contract.columns for code in c.isin or ()}
    assert codes <= set(text.WORDS)
    assert set(SITUATIONS) == set(text.ODOMETER)
