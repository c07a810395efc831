from datetime import timedelta

from telemetria_pipeline.contracts.telemetry import CHANGES
from telemetria_pipeline.core.telemetry.changes import compare_trips, count_changes
from telemetria_pipeline.core.telemetry.cleaning import clean_trips
from telemetria_pipeline_tests.core.conftest import CAPTURED, END, START, mapped_frame


def trips(*records, capture="c1"):
    return clean_trips(
        mapped_frame(*records), start=START, end=END, captured_at=CAPTURED, capture=capture
    ).trips


def test_nothing_changed_whatever_the_lineage_says():
    before, after = trips({}), trips({"pagina": 3, "atualizado_utc": END}, capture="c2")
    assert compare_trips(before, after, earlier="c1", capture="c2").empty


def test_new_gone_and_altered_trips_are_told_apart():
    kept, gone, new = {"veiculo_id": "kept"}, {"veiculo_id": "gone"}, {"veiculo_id": "new"}
    amended = {**kept, "odometro_chegada_km": 1_030.0, "chegada_utc": START + timedelta(minutes=50)}
    found = compare_trips(trips(kept, gone), trips(amended, new), earlier="c1", capture="c2")
    assert count_changes(found) == {"new": 1, "gone": 1, "altered": 1}
    assert CHANGES.broken_by(found) is None
    km = found[found["coluna"] == "distancia_km"].iloc[0]
    assert (km["mudanca"], km["antes"], km["depois"]) == ("alterada", "20.1", "30.0")
    assert set(found["captura_anterior"]) == {"c1"}


def test_the_first_trips_of_an_empty_hour_are_new():
    assert count_changes(compare_trips(trips(), trips({}), earlier="c1", capture="c2"))["new"] == 1


def test_a_value_that_appears_or_vanishes_is_a_change():
    found = compare_trips(trips({"garagem": None}), trips({"garagem": "Glória"}), earlier="a", capture="b")
    assert found["coluna"].tolist() == ["garagem"]
    assert found["antes"].isna().all()
    assert found["depois"].tolist() == ["Glória"]


def test_a_trip_under_a_new_id_of_the_carrier_is_a_change():
    found = compare_trips(trips({"id_origem": "a"}), trips({"id_origem": "b"}), earlier="c1", capture="c2")
    assert found[["mudanca", "coluna", "antes", "depois"]].to_numpy().tolist() == [
        ["alterada", "id_origem", "a", "b"]
    ]
