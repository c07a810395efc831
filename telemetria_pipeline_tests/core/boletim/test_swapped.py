"""Dates whose day and month changed places: proven, possible, and never said of an honest file."""

from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetria_pipeline.core.boletim.findings import grouped
from telemetria_pipeline.core.boletim.settings import RuleSettings
from telemetria_pipeline.core.sheets.text import DATE, TEXT
from telemetria_pipeline_tests.core.boletim.rows import judged, trip

SWAP_CODES = {"DATA_TROCADA", "DATA_TALVEZ_TROCADA"}


def daily(days: list[date], texts: list[str], km_a_day: int = 60) -> list[dict[str, str]]:
    """A trip on each of these days under these texts; the odometer goes on with the days."""
    rows = []
    for day, text in zip(days, texts, strict=True):
        km = 45_000 + km_a_day * (day - min(days)).days
        rows.append(trip(DATA=text, KM_SAÍDA=str(km), KM_CHEGADA=str(km + 27)))
    return rows


def november(first: int, last: int) -> list[date]:
    return [date(2026, 11, day) for day in range(first, last + 1)]


def typed_abroad(days: list[date]) -> list[str]:
    """What an American Excel keeps of dd/mm/yyyy: a date of it where it is one, else the text."""
    return [f"{d.year}-{d.day:02d}-{d.month:02d}" if d.day <= 12 else f"{d:%d/%m/%Y}" for d in days]


def kinds_of(texts: list[str]) -> dict[str, np.ndarray]:
    return {"D": np.array([DATE if text[4] == "-" else TEXT for text in texts], np.uint8)}


def date_codes(result) -> dict[str, list[int]]:
    return {f.code: f.positions.tolist() for f in result.findings if f.code.startswith("DATA_")}


@pytest.mark.parametrize("received", [date(2026, 11, 14), date(2026, 12, 16)])
def test_days_that_became_months_are_an_error_and_nothing_else_is_said(received):
    days = november(5, 14)
    texts = typed_abroad(days)
    result = judged(*daily(days, texts), kinds=kinds_of(texts), received_on=received)
    assert date_codes(result) == {"DATA_TROCADA": [0, 1, 2, 3, 4, 5, 7]}  # 11/11 is itself
    assert result.counts.accepted == 0
    first = next(f for f in result.findings if f.code == "DATA_TROCADA").problems()[0]
    assert (first.cell, first.severity) == ("D2", "erro")
    assert first.message.startswith("11/05/2026 está com o dia e o mês trocados: só como 05/11/2026 combina")
    assert first.suggestion.startswith("Escreva 05/11/2026.")
    group = grouped(result.findings, result.whole, np.arange(2, 12))[0]
    assert str(group) == "7 linhas: DATA: Dia e mês trocados (D2 a D7, D9)"
    assert "05/11" not in group.example.suggestion  # of all, not of the first


def test_the_sound_rows_come_in_where_good_rows_are_taken():
    days = november(5, 14)
    result = judged(*daily(days, typed_abroad(days)), settings=RuleSettings(partial=True))
    assert result.accepted["data"].tolist() == ["2026-11-11", "2026-11-13", "2026-11-14"]


def test_a_column_of_exchanged_dates_only_is_proven_by_the_day_of_arrival():
    days = november(5, 8)
    assert date_codes(judged(*daily(days, typed_abroad(days)))) == {"DATA_TROCADA": [0, 1, 2, 3]}
    # 11 October lies in one period with the others as it stands, and is 10 November all the same.
    week = november(6, 10)
    assert date_codes(judged(*daily(week, typed_abroad(week)))) == {"DATA_TROCADA": [0, 1, 2, 3, 4]}
    # A year later nothing is near: read as they stand they are merely old.
    late = judged(*daily(days, typed_abroad(days)), received_on=date(2027, 11, 9))
    assert date_codes(late) == {"DATA_LONGE_DO_RECEBIMENTO": [0, 1, 2, 3]}


def test_an_old_month_is_proven_by_the_dates_that_cannot_be_exchanged():
    days = november(5, 14)
    late = judged(*daily(days, typed_abroad(days)), received_on=date(2027, 11, 9))
    assert date_codes(late)["DATA_TROCADA"] == [0, 1, 2, 3, 4, 5, 7]
    assert date_codes(late)["DATA_LONGE_DO_RECEBIMENTO"] == [6, 8, 9]


def test_a_wild_date_among_many_exchanged_ones_hides_nothing():
    days = november(1, 12)
    rows = [*daily(days, typed_abroad(days)), trip(PLACA="ABC1D23", DATA="22/11/2006")]
    result = judged(*rows)
    assert date_codes(result) == {
        "DATA_TROCADA": [*range(10), 11],
        "DATA_LONGE_DO_RECEBIMENTO": [12],
    }


def test_the_odometer_proves_a_single_date():
    days = november(9, 13)
    texts = [f"{d:%d/%m/%Y}" for d in days]
    texts[1] = "11/10/2026"
    assert date_codes(judged(*daily(days, texts))) == {"DATA_TROCADA": [1]}
    # Of another vehicle it says nothing, and it may only be.
    rows = daily(days, texts)
    rows[1]["PLACA"] = "ABC1D23"
    asked = judged(*rows)
    assert date_codes(asked) == {"DATA_TALVEZ_TROCADA": [1]}
    assert asked.counts.accepted == 5
    said = next(f for f in asked.findings if f.code == "DATA_TALVEZ_TROCADA").problems()[0]
    assert said.message.startswith("A viagem de 11/10/2026 está longe das outras")
    assert "se é 10/11/2026, corrija" in said.suggestion


def test_odometers_that_contradict_the_exchange_leave_a_question():
    """A trip on the 11th of each month: a bus that drives 2,000 km meanwhile drove them on no single day."""
    days = [date(2026, month, 11) for month in range(6, 11)]
    texts = [f"{d:%d/%m/%Y}" for d in days]
    honest = judged(*daily(days, texts), received_on=date(2026, 11, 20))
    assert date_codes(honest) == {"DATA_TALVEZ_TROCADA": [0, 1, 2, 3, 4]}
    assert honest.counts.accepted == 5


def test_two_dates_are_no_proof():
    days = november(9, 10)
    assert date_codes(judged(*daily(days, typed_abroad(days)))) == {"DATA_TALVEZ_TROCADA": [0, 1]}


def test_the_boletim_of_one_day():
    day = [date(2026, 11, 5)] * 3
    texts = typed_abroad(day)
    rows = [
        trip(PLACA=plate, DATA=text)
        for plate, text in zip(("ABC1D23", "GDP4J68", "XYZ1A23"), texts, strict=True)
    ]
    assert date_codes(judged(*rows, received_on=date(2026, 11, 6))) == {"DATA_TALVEZ_TROCADA": [0, 1, 2]}


def test_a_future_date_is_an_error_with_what_it_may_be():
    days = november(9, 13)
    texts = [f"{d:%d/%m/%Y}" for d in days]
    texts[3] = "11/12/2026"
    rows = daily(days, texts)
    rows[3]["PLACA"] = "ABC1D23"
    result = judged(*rows, received_on=date(2026, 11, 14))
    assert date_codes(result) == {"DATA_NO_FUTURO": [3]}
    assert result.findings[0].problems()[0].suggestion.endswith("o ano. Seria 12/11/2026?")
    alone = judged(trip(DATA="24/12/2026"), received_on=date(2026, 11, 14))
    assert alone.findings[0].problems()[0].suggestion == "Corrija o dia, o mês ou o ano."


def test_no_date_is_thought_to_be_one_that_has_not_come():
    rows = daily([date(2026, 10, 12), date(2026, 12, 13)], ["12/10/2026", "13/12/2026"])
    assert date_codes(judged(*rows)) == {"DATA_NO_FUTURO": [1]}


@pytest.mark.parametrize("day", ["22/11/2025", "22/11/2006", "21/09/2026"])
def test_a_file_from_long_ago_is_asked_about_and_taken(day):
    result = judged(trip(DATA=day))
    assert date_codes(result) == {"DATA_LONGE_DO_RECEBIMENTO": [0]}
    assert result.counts.accepted == 1
    said = result.findings[0].problems()[0]
    assert (said.severity, said.cell) == ("aviso", "D2")
    assert f"A viagem de {day} é de " in said.message
    assert "dias antes do recebimento (23/11/2026)" in said.message


def test_sixty_two_days_are_no_long_time():
    assert date_codes(judged(trip(DATA="22/09/2026"))) == {}


def test_a_month_that_is_sent_late_on_purpose_is_only_asked_about():
    days = [date(2025, 3, 1) + timedelta(days=n) for n in range(31)]
    result = judged(*daily(days, [f"{d:%d/%m/%Y}" for d in days]))
    assert date_codes(result) == {"DATA_LONGE_DO_RECEBIMENTO": list(range(31))}


def test_one_row_a_month_early_is_seen_in_a_small_file():
    days = november(18, 22)
    texts = [f"{d:%d/%m/%Y}" for d in days]
    texts[2] = "20/10/2026"
    assert date_codes(judged(*daily(days, texts)))["DATA_FORA_DO_PERIODO"] == [2]


starts = st.dates(date(2020, 1, 1), date(2030, 12, 31))


@given(starts, st.integers(1, 62), st.integers(0, 62))
def test_an_honest_period_is_never_said_to_be_exchanged(first, length, late):
    """Consecutive days, whatever they are, sent within two months: nothing at all is said of their dates."""
    days = [first + timedelta(days=n) for n in range(length)]
    texts = [f"{d:%d/%m/}{d.year}" for d in days]
    result = judged(*daily(days, texts), received_on=days[-1] + timedelta(days=late))
    told = date_codes(result)
    assert not told.keys() & SWAP_CODES
    assert length + late > 62 or not told


@given(starts, st.integers(1, 62), st.integers(0, 4000))
def test_an_honest_period_is_never_an_error_however_late_it_comes(first, length, late):
    days = [first + timedelta(days=n) for n in range(length)]
    texts = [f"{d:%d/%m/}{d.year}" for d in days]
    result = judged(*daily(days, texts), received_on=days[-1] + timedelta(days=late))
    assert result.counts.accepted == length


@given(
    st.integers(2021, 2029), st.integers(1, 12), st.sets(st.integers(1, 12), min_size=4), st.integers(0, 20)
)
def test_days_typed_abroad_are_found_whatever_month_they_are_of(year, month, numbers, late):
    """The inverse: of days up to the 12th that come within three weeks, each is found or is its own."""
    days = [date(year, month, n) for n in sorted(numbers)]
    texts = [f"{d.year}-{d.day:02d}-{d.month:02d}" for d in days]
    received = days[-1] + timedelta(days=late)
    told = date_codes(judged(*daily(days, texts), received_on=received))
    found = {n for code in (*SWAP_CODES, "DATA_NO_FUTURO") for n in told.get(code, [])}
    assert {n for n, d in enumerate(days) if d.day != d.month} <= found
