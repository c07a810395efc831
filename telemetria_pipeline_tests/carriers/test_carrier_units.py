"""Numbers, units, durations and instants: every form reads back, and nothing else is read."""

import math
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetria_pipeline.carriers.instants import read_instants, write_instant
from telemetria_pipeline.carriers.units import UNITS, read_numbers

KM, KMH, S = "distancia_telemetria_km", "velocidade_maxima_kmh", "tempo_conducao_s"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


def read_number(value: object, *more: str | None) -> float | None:
    number = read_numbers([value], *more)[0][0]
    return None if math.isnan(number) else float(number)


@pytest.mark.parametrize(
    ("value", "column", "unit", "expected"),
    [
        (42160, KM, "m", 42.16), (42.16, KM, None, 42.16), (10, KM, "mi", 16.09344), (0, KM, "m", 0),
        ("42.2 mi", KM, "text", 67.9143168), ("42.2mi", KM, "text", 67.9143168),
        ("7 Miles", KM, "text", 11.265408), ("1,234.5 km", KM, "text", 1234.5), ("900 m", KM, "km", 0.9),
        ("12.5", KM, "km", 12.5), ("1e3", KM, "m", 1), (100, KMH, "mph", 160.9344),
        (10, KMH, "knots", 18.52), (10, KMH, "m/s", 36), ("80 km/h", KMH, "text", 80),
        (2840000, S, "ms", 2840), (5, S, "min", 300), (1, S, "h", 3600), ("90 min", S, "text", 5400),
        ("00:47:20", S, "clock", 2840), ("36:00:01", S, "clock", 129601), ("1:05", S, "clock", 3900),
        ("1.02:03:04.5", S, "clock", 93784.5), ("PT47M20S", S, "iso", 2840), ("P1DT2H", S, "iso", 93600),
        ("PT0.5S", S, "iso", 0.5), (-3.5, KM, "km", -3.5),
    ],
)  # fmt: skip
def test_values_are_read_in_their_unit(value, column, unit, expected):
    assert read_number(value, column, unit) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("value", "column", "unit"),
    [
        (True, KM, "m"), (False, S, "s"), ("abc", KM, "m"), ("", KM, "m"), ("42,2", KM, "km"),
        ("1,23.4", KM, "km"), ("12 bananas", KM, "m"), ("42.2", KM, "text"), (42.2, KM, "text"),
        ("80 km", KMH, "text"), ({}, KM, "m"), ([1], KM, "m"), (math.nan, KM, "m"), (math.inf, KM, "m"),
        ("nan", KM, "m"), ("inf", KM, "m"), (10**400, KM, "m"), ("1e999", KM, "m"),
        ("00:61:00", S, "clock"), ("::", S, "clock"), (30, S, "clock"), ("P", S, "iso"), ("PT", S, "iso"),
        ("P1M", S, "iso"), ("٣", KM, "m"), ("--1", KM, "m"),
    ],
)  # fmt: skip
def test_what_is_no_value_of_the_unit_is_not_read(value, column, unit):
    assert read_number(value, column, unit) is None
    assert read_numbers([1.0, value, None], column, unit)[1][-1:] == [1]


@pytest.mark.parametrize(
    ("text", "unsaid", "point", "comma"),
    [
        ("0,850", None, None, 0.85), ("1,234", None, 1234, 1.234), ("1,234 km", None, 1234, 1.234),
        ("-1,234", None, -1234, -1.234), ("1.234", 1.234, 1.234, 1234), ("0.850", 0.85, 0.85, None),
        ("1,234.5", 1234.5, 1234.5, None), ("1,234,567", 1234567, 1234567, None), ("12,5", None, None, 12.5),
        ("850", 850, 850, 850), ("1,2345", None, None, 1.2345), ("0,850.5", None, None, None),
    ],
)  # fmt: skip
def test_a_text_that_reads_two_ways_is_read_once_the_mark_is_named(text, unsaid, point, comma):
    read = [read_number(text, KM, "km", decimal) for decimal in (None, ".", ",")]
    assert read == [None if v is None else pytest.approx(v) for v in (unsaid, point, comma)]


def test_a_decimal_comma_is_read_where_the_profile_says_so():
    assert read_number("1.234,5", KM, "km", ",") == 1234.5
    assert read_number("42,2 mi", KM, "text", ",") == pytest.approx(67.9143168)
    assert read_number("1,234.5", KM, "km", ",") is None


@given(st.floats(0, 1e7), st.sampled_from(["km", "m", "mi"]))
def test_a_number_and_its_text_are_the_same_distance(number, unit):
    as_text = f"{number:.3f} {unit}"
    assert read_number(as_text, KM, "text") == pytest.approx(read_number(float(f"{number:.3f}"), KM, unit))


@given(st.integers(0, 10**7))
def test_durations_read_back_in_every_form(seconds):
    hours, rest = divmod(seconds, 3600)
    days, left = divmod(hours, 24)
    minutes, secs = divmod(rest, 60)
    assert read_number(f"{hours:02d}:{minutes:02d}:{secs:02d}", S, "clock") == seconds
    assert read_number(f"{days}.{left:02d}:{minutes:02d}:{secs:02d}.0000000", S, "clock") == seconds
    assert read_number(f"P{days}DT{left}H{minutes}M{secs}S", S, "iso") == seconds


COLUMN_UNITS = [(c, u) for c, d in ((KM, "km"), (KMH, "kmh"), (S, "s")) for u in UNITS[d]]


@given(st.lists(JSON, max_size=6), st.sampled_from(COLUMN_UNITS))
def test_any_json_gives_one_finite_number_or_is_named(values, column_unit):
    numbers, bad = read_numbers(values, *column_unit)
    assert len(numbers) == len(values) and not np.isinf(numbers).any()
    assert bad == [i for i, v in enumerate(values) if v is not None and np.isnan(numbers[i])]


INSTANTS = st.datetimes(datetime(1970, 1, 3), datetime(2199, 12, 30))
OFFSETS = st.integers(-14 * 60, 14 * 60).map(lambda m: timezone(timedelta(minutes=m)))


def read(values, format, zone="America/Sao_Paulo"):
    return read_instants(values, format, [ZoneInfo(zone)] * len(values))


def micros(instant):
    return np.datetime64(instant.astimezone(UTC).replace(tzinfo=None), "us")


@given(st.lists(st.tuples(INSTANTS, OFFSETS), min_size=1, max_size=5), st.booleans())
def test_iso_with_an_offset_reads_back_with_and_without_bad_neighbours(pairs, spoiled):
    instants = [moment.replace(tzinfo=offset) for moment, offset in pairs]
    values = [i.isoformat() for i in instants] + ([None, "yesterday"] if spoiled else [])
    found, bad = read(values, "iso")
    assert list(found[: len(instants)]) == [micros(i) for i in instants]
    assert bad == ([len(values) - 1] if spoiled else [])


@given(INSTANTS)
def test_iso_without_an_offset_is_utc_local_or_not_readable(moment):
    text = moment.isoformat()
    assert read([text], "iso")[1] == [0]
    assert read([text], "iso_utc")[0][0] == micros(moment.replace(tzinfo=UTC))
    assert read([text, "?"], "iso_utc")[0][0] == micros(moment.replace(tzinfo=UTC))
    local = moment.replace(tzinfo=ZoneInfo("America/Cuiaba"))
    assert read([text], "iso_local", "America/Cuiaba")[0][0] == micros(local)
    assert read_instants([text], "iso_local", [None])[1] == [0]
    for format in ("iso_utc", "iso_local"):
        assert read([text + "+00:00"], format)[0][0] == micros(moment.replace(tzinfo=UTC))


@given(INSTANTS.map(lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000, tzinfo=UTC)))
def test_epochs_read_back(instant):
    millis = (instant - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    for value in (millis, float(millis), str(millis)):
        assert read([value], "epoch_ms")[0][0] == micros(instant)
    assert read([millis // 1000], "epoch_s")[0][0] == micros(instant.replace(microsecond=0))


@pytest.mark.parametrize(
    ("value", "format"),
    [
        (9223372036854775807, "epoch_ms"), (9223372036854775807, "epoch_s"), (-1, "epoch_ms"),
        (10413792000000, "epoch_ms"), (0, "epoch_ms"), (True, "epoch_s"), (math.nan, "epoch_s"),
        (math.inf, "epoch_ms"), ("soon", "epoch_s"), ({}, "epoch_s"), ("0001-01-01T00:00:00Z", "iso"),
        ("0001-01-01T00:00:00+14:00", "iso"), ("9999-12-31T23:59:59Z", "iso"),
        ("2026-02-30T10:00:00Z", "iso"), ("2026-03-10", "iso_utc"), ("2026", "iso_utc"), (2026, "iso"),
        ([], "iso"), ("2026-03-10T25:00:00Z", "iso"), ("10/03/2026 10:00", "iso_utc"),
        ("\ud800" * 20, "iso"),
    ],
)  # fmt: skip
def test_what_is_no_instant_is_not_read(value, format):
    good = "2026-03-10T10:00:00Z" if format.startswith("iso") else 1773136800
    found, bad = read([good, value, None], format)
    assert bad[-1:] == [1] and np.isnat(found[1]) and np.isnat(found[2])


@pytest.mark.parametrize(
    "text",
    ["2026-03-10", "2026-03-10 ", "2026-03-10      ", "2026-03-10+00:00", "2026-03-10-03:00", "2026-03-10Z"],
)
@pytest.mark.parametrize(
    "beside", [[], ["2026-03-10T07:00:00Z"], ["2026-03-10T07:00:00"], ["garbage"], [None]]
)
@pytest.mark.parametrize("format", ["iso", "iso_utc", "iso_local"])
def test_a_date_without_a_time_is_no_instant_whatever_stands_beside_it(text, beside, format):
    found, bad = read([text, *beside], format)
    assert 0 in bad and np.isnat(found[0])


@pytest.mark.parametrize(
    "text",
    ["2026-03-10T07:03:12.1234567Z", "2026-03-10T04:03:12.123456-03:00", "2026-03-10 07:03:12.123456Z"],
)
def test_fractions_spaces_and_offsets(text):
    assert read([text], "iso")[0][0] == np.datetime64("2026-03-10T07:03:12.123456")


@given(st.lists(JSON, max_size=5), st.sampled_from(["iso", "iso_utc", "iso_local", "epoch_s", "epoch_ms"]))
def test_any_json_gives_an_instant_or_is_named(values, format):
    found, bad = read(values, format)
    assert len(found) == len(values)
    assert bad == [i for i, v in enumerate(values) if v is not None and np.isnat(found[i])]


WHOLE_SECONDS = INSTANTS.map(lambda moment: moment.replace(microsecond=0, tzinfo=UTC))


@given(WHOLE_SECONDS, st.sampled_from(["iso_utc", "iso_offset", "iso_local"]))
def test_a_window_is_written_so_that_it_reads_back(instant, format):
    text = write_instant(instant, format, "America/Cuiaba")
    assert read([text], "iso_local", "America/Cuiaba")[0][0] == micros(instant)
