from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetria_pipeline.core.boletim.values import (
    EMPTY_TOKENS,
    NO_CLOCK,
    NO_DAY,
    NUMBER_BAD,
    NUMBER_GROUPED,
    NUMBER_OK,
    NUMBER_OPEN,
    NumberStyle,
    _number,
    clock_repair,
    clock_text,
    coded,
    date_style,
    is_made_up,
    iso_day,
    number_style,
    parse_clocks,
    parse_dates,
    parse_numbers,
    parse_plates,
    plate_from_date,
    plate_repair,
)


@pytest.mark.parametrize(
    "text",
    [
        "22/11/2026",
        "22-11-2026",
        "22.11.26",
        "22 11 2026",
        "2026-11-22",
        "2026-11-22 07:30:00",
        "22/11/2026 07:30",
        "46348",
        "46348.3125",
        "22 nov 2026",
        "22-nov.-26",
        "22 de novembro de 2026",
        "domingo, 22 de novembro de 2026",
        "dom., 22/11/2026",
        "Domingo - 22/11/2026",
        "22/11/2026 (dom)",
        "22/11/2026, domingo",
        "2026-11-22 dom",
    ],
)
def test_a_date_in_any_of_its_forms(text):
    assert iso_day(parse_dates([text]).day[0]) == "2026-11-22"


@pytest.mark.parametrize(
    "text",
    [
        "31/02/2026",
        "22/11",
        "22/11/206",
        "obs., 22/11/2026",
        "22º/11",
        "seg.",
        "22/11/2026 ou 23",
        "7499-02-01",
        "0.5",
        "ontem",
        "22/11/1926",
        "nan",
        "22/13/2026",
    ],
)
def test_what_is_no_date_here(text):
    assert parse_dates([text]).day[0] == NO_DAY


def test_month_first_is_seen_but_never_taken():
    dates = parse_dates(["11/22/2026", "05/06/2026"])
    assert dates.day[0] == NO_DAY
    assert [iso_day(d) for d in dates.us_day] == ["2026-11-22", "2026-05-06"]
    assert iso_day(dates.day[1]) == "2026-06-05"


@given(st.dates(date(2000, 1, 1), date(2099, 12, 31)))
def test_every_day_comes_back(day):
    serial = str((day - date(1899, 12, 30)).days)
    texts = [day.isoformat(), day.strftime("%d/%m/%Y"), f"{day:%d/%m/}{day.year}", serial]
    assert {iso_day(d) for d in parse_dates(texts).day} == {day.isoformat()}


@pytest.mark.parametrize(
    ("text", "clock"),
    [
        ("07:30", "07:30:00"),
        ("7:30:15", "07:30:15"),
        ("7h30", "07:30:00"),
        ("7h", "07:00:00"),
        ("07h30min", "07:30:00"),
        ("07:30 hs", "07:30:00"),
        ("07:30h", "07:30:00"),
        ("7h30min", "07:30:00"),
        ("07.30", "07:30:00"),
        ("7.30 h", "07:30:00"),
        ("00.45", "00:45:00"),
        ("0730", "07:30:00"),
        ("0045", "00:45:00"),
        ("7:30 PM", "19:30:00"),
        ("12:05 am", "00:05:00"),
        ("00:00", "00:00:00"),
        ("24:00", "24:00:00"),
        ("0.3125", "07:30:00"),
        ("0,3125", "07:30:00"),
        ("0", "00:00:00"),
        ("1899-12-31 07:30:00", "07:30:00"),
        ("2026-11-22 07:30:00", "07:30:00"),
    ],
)
def test_a_clock_in_any_of_its_forms(text, clock):
    assert clock_text(parse_clocks([text]).second[0]) == clock


@pytest.mark.parametrize(
    "text",
    ["24:01", "25:00", "26:10:00", "7:60", "730", "7", "1", "7.3", "2460", "13:00 pm", "-1:00", "x", "7:5"],
)
def test_what_is_no_clock(text):
    assert parse_clocks([text]).second[0] == NO_CLOCK


def test_a_clock_with_a_date_names_its_day():
    clocks = parse_clocks(["2026-11-23 06:10:00", "23/11/2026 06:10", "06:10", "1899-12-30 06:10:00"])
    assert [iso_day(d) if d != NO_DAY else None for d in clocks.day] == ["2026-11-23"] * 2 + [None] * 2


@given(st.integers(0, 24 * 60 - 1))
def test_every_minute_comes_back_however_it_is_written(minute):
    hour, of_hour = divmod(minute, 60)
    plain = [f"{hour:02d}{sign}{of_hour:02d}" for sign in (":", "h", ".", "")]
    assert set(parse_clocks(plain).second) == {60 * minute}
    assert not parse_clocks(plain).fraction.any()
    eaten = f"{hour}{of_hour:02d}" if hour else f"{hour:02d},{of_hour:02d}"
    assert clock_repair(eaten) == f"{hour:02d}:{of_hour:02d}"


@given(st.dates(date(2000, 1, 1), date(2099, 12, 31)), st.booleans())
def test_a_weekday_beside_a_date_changes_nothing(day, abbreviated):
    names = ("segunda-feira", "terça-feira", "quarta", "quinta-feira", "sexta", "sábado", "domingo")
    name = names[day.weekday()][: 3 if abbreviated else None]
    plain = f"{day:%d/%m/}{day.year}"
    texts = [
        f"{name}, {plain}",
        f"{name}., {plain}",
        f"{plain} {name}",
        f"{plain} ({name})",
        f"{plain}, {name}",
    ]
    texts += [f"{day.day}º/{day.month}/{day.year}"]
    assert {iso_day(d) for d in parse_dates(texts).day} == {day.isoformat()}


@given(st.integers(0, 86_399))
def test_a_day_fraction_is_the_second_that_excel_shows(second):
    assert parse_clocks([repr(second / 86_400)]).second[0] in (second, NO_CLOCK)
    assert parse_clocks([f"{second / 86_400:.10f}"]).second[0] == second


def numbers(*texts):
    column = pd.Series(texts, dtype="str")
    values, state = parse_numbers(column, number_style([column]), None)
    return values.tolist(), state.tolist()


@pytest.mark.parametrize(
    ("texts", "values"),
    [
        (["45123", "45150"], [45123, 45150]),
        (["45123,5", "45150"], [45123.5, 45150]),
        (["45123.5", "45150"], [45123.5, 45150]),
        (["45.123,5", "45.150"], [45123.5, 45150]),
        (["45,123.5", "45,150"], [45123.5, 45150]),
        (["45.123", "45123,5"], [45123, 45123.5]),
        (["45.123", "45123.5"], [45.123, 45123.5]),
        (["1.045.123", "1 045 150"], [1045123, 1045150]),
        (["12 km", "0,5"], [12, 0.5]),
        (["-5", "7"], [-5, 7]),
        (["+5", "7,5", "1.234,5"], [5, 7.5, 1234.5]),
        (["0.250", "1.5"], [0.25, 1.5]),
    ],
)
def test_numbers_as_the_file_proves_them(texts, values):
    assert numbers(*texts) == (values, [NUMBER_OK] * len(texts))


def test_a_thousands_point_without_proof_is_said():
    assert numbers("45.123", "45.150", "900") == ([45123, 45150, 900], [NUMBER_GROUPED] * 2 + [NUMBER_OK])


def test_a_number_with_two_readings_stays_open():
    values, state = numbers("45.123", "45123,5", "45123.5")
    assert values[0] == 45.123  # to be settled by whoever knows more
    assert state == [NUMBER_OPEN, NUMBER_OK, NUMBER_OK]


def test_a_comma_before_three_digits_stays_open_unless_the_file_proves_its_signs():
    assert numbers("45,230", "45,257")[1] == [NUMBER_OPEN] * 2
    assert numbers("45,230", "45257,5") == ([45.23, 45257.5], [NUMBER_OK] * 2)
    assert numbers("45,230", "45257.5") == ([45230, 45257.5], [NUMBER_OK] * 2)
    assert numbers("0,230", "1045,257") == ([0.23, 1045.257], [NUMBER_OK] * 2)


@pytest.mark.parametrize(
    ("texts", "thousands", "said"),
    [
        (["45230,5", "45.230"], None, "vírgula decimal, ponto de milhar"),
        (["45230,5", "45230"], None, "vírgula decimal"),
        (["45230.5", "45,230"], None, "ponto decimal, vírgula de milhar"),
        (["45230.5"], None, "ponto decimal"),
        (["45230.5", "45230,5"], None, "vírgula e ponto decimais"),
        (["45.230"], None, "ponto de milhar"),
        (["45.230"], False, "ponto decimal"),
        (["45,230"], True, "vírgula de milhar"),
        (["45,230"], False, "vírgula decimal"),
        (["45,230"], None, None),
        (["45,230", "45.230"], True, None),
        (["45230"], None, "inteiros, sem separador"),
    ],
)
def test_how_numbers_were_read_is_said(texts, thousands, said):
    assert number_style([pd.Series(texts, dtype="str")]).said(thousands, in_excel=False) == said


def test_how_dates_were_read_is_said_the_most_frequent_way_first():
    texts = ["22/11/2026", "2026-11-23", "46348", "11/24/2026", "x"]
    dates = parse_dates(texts)
    us = np.array([False, False, False, True, False])
    rows = np.array([2, 9, 1, 3, 7])
    in_csv = "aaaa-mm-dd, mm/dd/aaaa, dd/mm/aaaa, número de dia do Excel"
    assert date_style(dates, rows, us, in_excel=False) == in_csv
    assert date_style(dates, rows, us, in_excel=True) == in_csv.replace("aaaa-mm-dd", "data do Excel")
    assert date_style(parse_dates(["x"]), np.array([1]), np.array([False]), in_excel=False) is None


@pytest.mark.parametrize(
    "text", ["nan", "NaN", "inf", "-INF", "1e5", "1E5", "0x10", "12a", "1,2,3", "1..2", "+-5", "١٢"]
)
def test_what_is_no_number(text):
    values, state = numbers(text, "5")
    assert state == [NUMBER_BAD, NUMBER_OK]
    assert np.isnan(values[0])


def test_a_cell_that_excel_held_as_a_number_has_a_decimal_point():
    column = pd.Series(["123.456", "45.123", ""], dtype="str")
    held = np.array([True, False, False])
    values, state = parse_numbers(column, number_style([column[~held]]), held)
    assert values[:2].tolist() == [123.456, 45123]
    assert np.isnan(values[2])
    assert state.tolist() == [NUMBER_OK, NUMBER_GROUPED, NUMBER_OK]


@given(st.from_regex(r"-?[0-9]{0,16}[.,]?[0-9]{0,16}", fullmatch=True), st.booleans(), st.booleans())
def test_what_is_read_at_once_is_read_as_each_cell_by_itself(text, comma, point):
    style = NumberStyle(comma, point)
    values, state = parse_numbers(pd.Series([text], dtype="str"), style, None)
    alone = _number(text, style) if text not in EMPTY_TOKENS else (np.nan, NUMBER_OK)
    np.testing.assert_equal((values[0], state[0]), alone)


def test_the_proof_of_a_sign_may_stand_far_down_the_file():
    values, state = numbers(*["1.234"] * 2000, "45123,5")
    assert (values[0], values[-1]) == (1234, 45123.5)
    assert set(state) == {NUMBER_OK}


@given(st.lists(st.integers(0, 2_000_000).map(lambda n: n / 10), min_size=1, max_size=20))
def test_kilometres_written_in_brazil_come_back(values):
    plain = [f"{v:.1f}".replace(".", ",") for v in values]
    grouped = [f"{v:,.1f}".translate(str.maketrans(",.", ".,")) for v in values]
    assert numbers(*plain)[0] == values
    assert numbers(*grouped)[0] == values


@given(st.text(max_size=12))
def test_no_text_breaks_a_parser(text):
    parse_dates([text])
    parse_clocks([text])
    numbers(text)
    parse_plates([text])
    plate_repair(text)
    plate_from_date(text)
    clock_repair(text)


def test_plates():
    assert parse_plates(["abc-1234", "ABC1C34", "ABCO234"]) == ["ABC1C34", "ABC1C34", None]


@pytest.mark.parametrize(
    ("text", "plate"),
    [
        ("3272 - ABC1D23", "ABC1D23"),
        ("abc-1234 (reserva)", "ABC1C34"),
        ("Glória|3803|GDP-4J68-DVR", "GDP4J68"),
        ("ABC1D23 ABC1D23", "ABC1D23"),
        ("ABC1D23 / XYZ1A23", None),
        ("3272ABC1D23", None),
        ("3272 - ABC1D234", None),
        ("3272 - ABCO234", None),
    ],
)
def test_a_plate_among_other_words(text, plate):
    assert parse_plates([text]) == [plate]


def test_plates_that_only_fill_a_cell():
    filled = parse_plates(["AAA-0000", "zzz0000", "AAA0A00"])
    assert [is_made_up(p) for p in filled] == [True] * 3
    assert not any(is_made_up(p) for p in parse_plates(["AAA-0001", "ABC-0000", "ABC1234", "AAA1111"]))


@pytest.mark.parametrize(
    ("text", "plate"),
    [
        ("7499-02-01", "FEV7499"),
        ("7499-02-01 00:00:00", "FEV7499"),
        ("01/05/2034", "MAI2034"),
        ("fev/99", ""),
        ("2026-11-22", ""),
        ("ABC1234", None),
        ("7499-13-01", ""),
    ],
)
def test_a_plate_that_excel_made_a_date(text, plate):
    assert plate_from_date(text) == plate


@pytest.mark.parametrize(
    ("text", "plate"),
    [
        ("ABCO234", "ABC0234"),
        ("ABC1234I", "ABC1234"),
        ("ABC-123I", "ABC1231"),
        ("0BC1D23", "OBC1D23"),
        ("AB1234", None),
        ("XYZ", None),
    ],
)
def test_a_repair_is_only_suggested(text, plate):
    assert plate_repair(text) == plate
    assert parse_plates([text]) == [None]


def test_empty_cells_and_words_for_nothing():
    cells = pd.Series(["", "A", "-", "A", "N/A", "NA"], dtype="str")
    got = coded(cells)
    assert got.codes[[0, 2, 4]].tolist() == [-1, -1, -1]
    assert got.column().fillna("∅").tolist() == ["∅", "A", "∅", "A", "∅", "NA"]
    assert got.rows(np.zeros(len(got.texts), int), 7).tolist() == [7, 0, 7, 0, 7, 0]


def test_days_are_counted_from_1970():
    assert iso_day(0) == "1970-01-01"
    assert iso_day((date(2026, 11, 22) - date(1970, 1, 1)) // timedelta(days=1)) == "2026-11-22"
