"""`45,230`, and the 45.23 that Excel makes of 45.230: thousands or decimals, as the witnesses say."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetria_pipeline.contracts.boletim import BOLETIM_TRIPS
from telemetria_pipeline.core.boletim.thousands import small, three_decimals
from telemetria_pipeline.core.sheets.text import NUMBER
from telemetria_pipeline_tests.core.boletim.rows import codes, judged, trip


def trips_of(*odometers: tuple[str, str], route: str = "", hours: int = 1) -> list[dict[str, str]]:
    """Trips of 40 minutes, one after the other, with these odometers."""
    return [
        trip(
            HORÁRIO_SAÍDA=f"{5 + n * hours:02d}:00",
            HORÁRIO_CHEGADA=f"{5 + n * hours:02d}:40",
            KM_SAÍDA=out,
            KM_CHEGADA=into,
            KM_ROTA=route,
        )
        for n, (out, into) in enumerate(odometers)
    ]


def grouped_as(sign: str, first: int = 45_230, count: int = 10) -> list[tuple[str, str]]:
    """Odometers of trips of 27 km with a thousands separator."""
    return [
        (f"{first + 30 * n:,}".replace(",", sign), f"{first + 30 * n + 27:,}".replace(",", sign))
        for n in range(count)
    ]


def eaten(count: int = 10) -> list[tuple[str, str]]:
    """What Excel keeps of them where the point is a decimal one: 45.23, 45.257."""
    return [(str(float(out)), str(float(into))) for out, into in grouped_as(".", count=count)]


def held(count: int) -> dict[str, np.ndarray]:
    return {letter: np.full(count, NUMBER, np.uint8) for letter in "JK"}


def knows(*km: float):
    """Readings of the vehicle, as a lake gives them that is asked for those before the file's first day."""

    def readings(plates, day):
        assert list(plates) == ["GDP4J68"]
        assert day == date(2026, 11, 22)
        when = pd.Timestamp("2026-11-21", tz="UTC")
        return pd.DataFrame(
            [("GDP4J68", when, k) for k in km], columns=["placa", "instante_utc", "odometro_km"]
        )

    return readings


def told(result) -> dict[str, str]:
    return {f.code: f.severity for f in result.findings}


def test_one_trip_with_commas_is_asked_about():
    result = judged(*trips_of(("45,230", "45,257")))
    assert codes(result) == [("NUMERO_AMBIGUO", "J2"), ("NUMERO_AMBIGUO", "K2")]
    assert result.counts.accepted == 0
    said = result.findings[0].problems()[0]
    assert said.message == (
        "45,230 pode ser 45230 ou 45,230: nada no arquivo diz se a vírgula separa os decimais ou os milhares."
    )
    assert said.suggestion.endswith("45230 ou 45,230.")
    assert result.number_style is None


@pytest.mark.parametrize(
    ("rows", "readings"),
    [
        (trips_of(*grouped_as(",")), None),  # ten trips at 40 km/h, or of 27 m each
        (trips_of(*grouped_as(",", count=1), route="27"), None),
        (trips_of(*grouped_as(",", count=1)), knows(45_200)),
        (trips_of(*grouped_as(",", count=1)), knows(45_200, 45_180)),
    ],
)
def test_commas_are_thousands_where_a_witness_says_so_and_the_sender_is_told(rows, readings):
    result = judged(*rows, readings=readings)
    assert told(result) == {"NUMERO_COM_PONTO_DE_MILHAR": "aviso"}
    assert set(result.accepted["km_declarado"]) == {27}
    assert result.accepted["km_saida"].tolist()[0] == 45_230
    said = result.findings[0].problems()[0]
    assert said.message == "45,230 foi lido como 45230: a vírgula conta como separador de milhar."
    assert result.number_style == "vírgula de milhar"


@pytest.mark.parametrize(
    ("odometers", "readings"), [(("812,345", "839,345"), None), (("812,345", "812,357"), knows(810))]
)
def test_commas_are_decimals_where_a_witness_says_so(odometers, readings):
    result = judged(*trips_of(odometers), readings=readings)
    assert not told(result).keys() & {
        "NUMERO_AMBIGUO",
        "NUMERO_COM_PONTO_DE_MILHAR",
        "ODOMETRO_TALVEZ_SEM_MILHAR",
    }
    assert result.accepted["km_saida"].tolist() == [812.345]
    assert result.number_style == "vírgula decimal"


@pytest.mark.parametrize("readings", [knows(45_200, 45), knows(3), knows()])
def test_readings_that_contradict_each_other_or_fit_neither_settle_nothing(readings):
    assert told(judged(*trips_of(("45,230", "45,257")), readings=readings)) == {"NUMERO_AMBIGUO": "erro"}


def test_a_witness_for_each_reading_settles_nothing():
    torn = judged(*trips_of(("812,345", "839,345"), route="27"), readings=knows(812_000))
    assert told(torn) == {"NUMERO_AMBIGUO": "erro"}
    rows = trips_of(*grouped_as(",", count=4), ("812,345", "839,345"))
    assert told(judged(*rows))["NUMERO_AMBIGUO"] == "erro"


def test_points_are_thousands_in_brazil_unless_a_witness_says_otherwise():
    assert judged(*trips_of(("45.230", "45.257"))).accepted["km_declarado"].tolist() == [27]
    decimals = judged(*trips_of(("812.345", "839.345"), route="27"))
    assert decimals.accepted["km_declarado"].tolist() == [27]
    assert (told(decimals), decimals.number_style) == ({}, "ponto decimal")


def test_a_route_with_three_decimals_is_settled_by_plain_odometers():
    result = judged(*trips_of(("45230", "45257"), route="27,300"))
    assert told(result) == {}
    assert result.accepted["km_rota"].tolist() == [27.3]


@pytest.mark.parametrize(
    ("rows", "readings"),
    [(10, None), (3, None), (1, knows(45_200))],
)
def test_odometers_that_excel_has_eaten_are_an_error(rows, readings):
    result = judged(*trips_of(*eaten(rows)), kinds=held(rows), readings=readings)
    assert told(result) == {"ODOMETRO_SEM_MILHAR": "erro"}
    assert [f.letter for f in result.findings] == ["J", "K"]
    assert result.counts.accepted == 0
    said = result.findings[0].problems()[0]
    assert said.message.startswith("45.23 deve ser 45230: ")
    assert said.suggestion.startswith("Escreva 45230, sem ponto nem vírgula.")


def test_a_route_that_was_calculated_from_eaten_odometers_proves_nothing_and_hides_nothing():
    calculated = judged(*trips_of(*eaten(4), route="0.027"), kinds=held(4))
    assert told(calculated) == {"ODOMETRO_SEM_MILHAR": "erro"}
    rounded = judged(*trips_of(*eaten(4), route="0"), kinds=held(4))
    assert told(rounded) == {"ODOMETRO_SEM_MILHAR": "erro"}
    typed = judged(*trips_of(*eaten(1), route="27"), kinds=held(1))
    assert told(typed) == {"ODOMETRO_SEM_MILHAR": "erro"}


def test_an_odometer_that_was_a_round_thousand_is_eaten_as_well():
    result = judged(
        *trips_of(*[("45", "45.027")] * 1, ("45.03", "45.057"), ("45.06", "45.087")), kinds=held(3)
    )
    assert codes(result) == [("ODOMETRO_SEM_MILHAR", f"{at}{row}") for row in (2, 3, 4) for at in "JK"]


def test_one_eaten_trip_is_asked_about_and_its_slowness_is_not_said_again():
    result = judged(*trips_of(*eaten(1)), kinds=held(1))
    assert codes(result) == [("ODOMETRO_TALVEZ_SEM_MILHAR", "K2")]
    assert result.counts.accepted == 1
    assert result.findings[0].problems()[0].message == "45.257 foi lido como 45,257 km; seria 45257?"


@pytest.mark.parametrize("odometers", [("812.5", "839.5"), ("812.345", "839.345"), ("0.4", "27.4")])
def test_a_new_vehicle_is_honest(odometers):
    assert told(judged(*trips_of(odometers), kinds=held(1))) == {}


def test_known_readings_are_asked_for_only_where_there_is_a_doubt():
    def nobody(plates, day):
        raise AssertionError

    assert told(judged(*trips_of(("45230", "45257"), ("45260,5", "45287,5")), readings=nobody)) == {}


def test_which_odometers_may_have_been_thousands():
    odometers = np.array([45.23, 45.257, 45, 999.5, 1000.5, 45.2301, -4.5, 0, np.nan])
    assert small(odometers).tolist() == [True, True, False, True, *[False] * 5]
    assert three_decimals(odometers).tolist() == [False, True, *[False] * 7]


@given(st.integers(1_000, 999_000), st.integers(20, 60), st.integers(3, 8), st.sampled_from(",."))
def test_whatever_is_grouped_comes_back(first, km, count, sign):
    """The inverse: trips of a bus, written with a thousands separator, are read as what they were."""
    numbers = [(first + 70 * n, first + 70 * n + km) for n in range(count)]
    texts = [tuple(f"{v:,}".replace(",", sign) for v in pair) for pair in numbers]
    result = judged(*trips_of(*texts))
    assert BOLETIM_TRIPS.broken_by(result.accepted) is None
    assert result.accepted[["km_saida", "km_chegada"]].values.tolist() == [
        list(map(float, p)) for p in numbers
    ]


@given(st.integers(100, 900_000), st.integers(20, 60), st.integers(3, 8))
def test_plain_odometers_are_never_said_to_be_eaten(tenths, km, count):
    numbers = [(tenths / 10 + 70 * n, tenths / 10 + 70 * n + km) for n in range(count)]
    result = judged(*trips_of(*[(f"{a:.1f}", f"{b:.1f}") for a, b in numbers]), kinds=held(count))
    assert told(result) == {}
