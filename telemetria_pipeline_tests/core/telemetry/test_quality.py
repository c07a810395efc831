from datetime import timedelta

import pytest

from telemetria_pipeline.core.telemetry import quality
from telemetria_pipeline.core.telemetry.cleaning import clean_trips
from telemetria_pipeline_tests.core.conftest import CAPTURED, END, START, mapped_frame


def trips(*records):
    return clean_trips(mapped_frame(*records), start=START, end=END, captured_at=CAPTURED, capture="c").trips


def test_sound_trips_and_empty_hours_have_no_problem():
    for sound in (trips({"motorista_id": "d-1"}, {"motorista_id": "d-2"}), trips()):
        assert quality.nulls_and_formats(sound) is None
        assert quality.ids_well_formed(sound) is None
        assert quality.plausible_movement(sound) is None


def test_vehicles_that_were_not_heard_are_counted_and_some_are_named():
    assert quality.all_vehicles_heard([]) is None
    said = quality.all_vehicles_heard(["ABC1C34", *map(str, range(41, 49))])
    assert said.startswith("9 vehicles could not be asked")
    assert "ABC1C34, 41, 42, 43, 44 and 4 more" in said


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"placa_recebida": "ABCO234"}, "1 plates that are no plates"),
        ({"motorista_id": None}, "empty: motorista_id 100%"),
        ({"ilegivel": "garagem=[]"}, "could not be read"),
    ],
)
def test_nulls_and_formats(said, words):
    assert words in quality.nulls_and_formats(trips({"motorista_id": "d-1", **said}))


def test_an_id_with_a_space_is_no_id():
    assert "1 values of veiculo_id" in quality.ids_well_formed(trips({"veiculo_id": "bus 7"}, {}))


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"chegada_utc": START + timedelta(minutes=10)}, "average speed above 110"),
        ({"velocidade_maxima_kmh": 180.0}, "top speed above 160"),
        ({"odometro_chegada_km": 2_001.0, "distancia_telemetria_km": 1_001.0,
          "saida_utc": START, "chegada_utc": CAPTURED}, "above 1000 km"),
        ({"chegada_utc": START + timedelta(minutes=5)}, "distance without duration"),
    ],
)  # fmt: skip
def test_what_a_bus_cannot_drive(said, words):
    assert words in quality.plausible_movement(trips(said))


def test_volume_against_earlier_days():
    assert quality.volume_like_earlier_days(40, [38, 41, 44]) is None
    assert quality.volume_like_earlier_days(2, [38, 41]) is None
    assert "2 trips where the last 3 days had 41" in quality.volume_like_earlier_days(2, [38, 41, 44])
    assert quality.volume_like_earlier_days(120, [38, 41, 44]) is not None
    assert quality.volume_like_earlier_days(0, [3, 2, 4]) is not None
    assert quality.volume_like_earlier_days(0, [0, 2, 4]) is None


def test_schema_drift_names_what_appeared_and_went():
    assert quality.schema_drift(["a", "b"], ["a", "c"]) == "appeared: b; went: c"
    assert quality.schema_drift(["a"], ["a"]) is None
    assert quality.schema_drift([], ["a"]) is None
    assert quality.schema_drift(["a"], []) is None


def test_a_name_in_place_of_the_drivers_id_is_no_id():
    assert quality.ids_well_formed(trips({"motorista_id": "Ana Lima"}, {"motorista_id": "d-1"})) == (
        "1 values of motorista_id that are no id"
    )


def test_an_hour_whose_rows_were_mostly_rejected_is_told_though_it_has_no_trips():
    assert "49 of 49 rows rejected" in quality.nulls_and_formats(trips(), received=49, rejected=49)
    assert quality.nulls_and_formats(trips(), received=49, rejected=2) is None
