from datetime import timedelta

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetria_pipeline.contracts.telemetry import QUARANTINE, TRIPS
from telemetria_pipeline.core.telemetry.cleaning import clean_trips, driver_names
from telemetria_pipeline_tests.core.conftest import CAPTURED, END, START, mapped_frame
from telemetria_pipeline_tests.rounds import examples


def clean(frame):
    return clean_trips(frame, start=START, end=END, captured_at=CAPTURED, capture="c1")


def fates(cleaned):
    return list(zip(cleaned.quarantine["situacao"], cleaned.quarantine["motivo"], strict=True))


def test_a_sound_record_becomes_a_trip_under_contract():
    cleaned = clean(mapped_frame({"motorista": "  josé   da\nsilva ", "placa_recebida": "abc-1234"}))
    trip = cleaned.trips.iloc[0]
    assert trip["placa"] == "ABC1C34"
    assert trip["placa_recebida"] == "abc-1234"
    assert trip["motorista"] == "JOSÉ DA SILVA"
    assert trip["distancia_km"] == pytest.approx(20.1)
    assert trip["captura"] == "c1"
    assert TRIPS.broken_by(cleaned.trips) is None
    assert cleaned.ledger.counts()["accepted"] == cleaned.ledger.received == 1


@pytest.mark.parametrize(
    ("said", "situacao", "motivo"),
    [
        ({"veiculo_id": None}, "rejeitada", "veiculo_ausente"),
        ({"saida_utc": None, "chegada_utc": None}, "rejeitada", "saida_ausente"),
        ({"saida_utc": START.replace(year=2099)}, "rejeitada", "no_futuro"),
        ({"chegada_utc": CAPTURED + timedelta(minutes=5, seconds=1)}, "rejeitada", "no_futuro"),
        ({"saida_utc": END}, "fora_da_janela", "saida_fora_da_hora"),
        ({"saida_utc": START - timedelta(seconds=1)}, "fora_da_janela", "saida_fora_da_hora"),
        ({"chegada_utc": None}, "rejeitada", "chegada_ausente"),
        ({"chegada_utc": START}, "rejeitada", "chegada_antes_da_saida"),
        ({"chegada_utc": None, "em_andamento": True}, "em_andamento", "sem_chegada"),
        (
            {"distancia_telemetria_km": None, "odometro_saida_km": 0.0},
            "rejeitada",
            "distancia_ausente",
        ),
        (
            {"distancia_telemetria_km": 2_001.0, "odometro_saida_km": None},
            "rejeitada",
            "distancia_implausivel",
        ),
    ],
)
def test_every_other_row_is_in_quarantine_with_its_reason(said, situacao, motivo):
    cleaned = clean(mapped_frame({}, said))
    assert len(cleaned.trips) == 1
    assert fates(cleaned) == [(situacao, motivo)]
    row = cleaned.quarantine.iloc[0]
    assert (row["captura"], row["pagina"], row["registro"]) == ("c1", 1, 2)
    assert QUARANTINE.broken_by(cleaned.quarantine) is None


@pytest.mark.parametrize("said", [{"saida_utc": START}, {"saida_utc": END - timedelta(seconds=1)}])
def test_the_hour_owns_its_first_instant_and_not_its_end(said):
    assert len(clean(mapped_frame(said)).trips) == 1


def test_five_minutes_of_a_carriers_fast_clock_are_forgiven():
    assert len(clean(mapped_frame({"chegada_utc": CAPTURED + timedelta(minutes=5)})).trips) == 1


def test_a_copy_is_dropped_once():
    same = {"veiculo_id": "v", "id_origem": "t"}
    cleaned = clean(mapped_frame(same, same))
    assert len(cleaned.trips) == 1
    assert fates(cleaned) == [("duplicada", "copia")]


def test_the_last_version_wins_under_whatever_id_and_in_whatever_order():
    old = {"veiculo_id": "v", "id_origem": "a", "atualizado_utc": START, "odometro_chegada_km": 1_019.0}
    new = {"veiculo_id": "v", "id_origem": "b", "atualizado_utc": END, "odometro_chegada_km": 1_021.0}
    for records in ((old, new), (new, old)):
        cleaned = clean(mapped_frame(*records))
        assert cleaned.trips["distancia_km"].tolist() == [pytest.approx(21.0)]
        assert fates(cleaned) == [("duplicada", "versao_anterior")]


def test_a_carriers_own_key_finds_the_version_whose_departure_was_amended():
    old = {"veiculo_id": "v", "id_origem": "t", "atualizado_utc": START}
    new = {**old, "atualizado_utc": END, "saida_utc": START + timedelta(minutes=7)}
    assert len(clean(mapped_frame(old, new)).trips) == 2
    by_id = clean_trips(
        mapped_frame(old, new, {"id_origem": None}, {"id_origem": None}),
        start=START, end=END, captured_at=CAPTURED, capture="c1", natural_key=["id_origem"],
    )  # fmt: skip
    assert fates(by_id) == [("duplicada", "versao_anterior")]
    assert len(by_id.trips) == 3


def test_a_finished_version_beats_a_running_one():
    running = {"veiculo_id": "v", "em_andamento": True, "chegada_utc": None, "atualizado_utc": END}
    cleaned = clean(mapped_frame(running, {"veiculo_id": "v", "atualizado_utc": START}))
    assert len(cleaned.trips) == 1
    assert cleaned.ledger.state == "captured"


def test_a_bad_row_never_replaces_a_good_one_of_the_same_trip():
    bad = {"veiculo_id": "v", "chegada_utc": START, "atualizado_utc": END}
    cleaned = clean(mapped_frame({"veiculo_id": "v", "atualizado_utc": START}, bad))
    assert len(cleaned.trips) == 1
    assert fates(cleaned) == [("rejeitada", "chegada_antes_da_saida")]


def unheard(*records):
    found = clean(mapped_frame(*records)).unheard
    return list(found["veiculo_id"])


def test_a_vehicle_whose_trip_could_not_be_read_is_not_heard():
    bad = {"veiculo_id": "v", "distancia_telemetria_km": None, "odometro_saida_km": None, "ilegivel": "x=?"}
    assert unheard({"veiculo_id": "w"}, bad) == ["v"]
    assert unheard({"veiculo_id": "w"}, {**bad, "ilegivel": None}) == []  # it was read, and is no trip
    assert unheard({"veiculo_id": "v"}, bad) == []  # another of its trips was under way at the time
    elsewhen = {"saida_utc": START + timedelta(minutes=50), "chegada_utc": END}
    assert unheard({"veiculo_id": "v"}, {**bad, **elsewhen}) == ["v"]
    assert unheard({**bad, "veiculo_id": None}) == [""]  # it may be anyone's


def test_a_row_of_another_time_than_was_asked_for_says_so():
    long_ago = {"saida_utc": START - timedelta(days=9), "chegada_utc": START - timedelta(days=9)}
    before = {"saida_utc": START - timedelta(minutes=30), "chegada_utc": START + timedelta(minutes=1)}
    cleaned = clean(
        mapped_frame({"veiculo_id": "v"}, {"veiculo_id": "v", **long_ago}, {"veiculo_id": "w", **before})
    )
    reasons = [("fora_da_janela", "fora_do_pedido"), ("fora_da_janela", "saida_fora_da_hora")]
    assert fates(cleaned) == reasons and cleaned.unheard.empty
    assert unheard({"veiculo_id": "v"}, {"veiculo_id": "w", **long_ago}) == ["w"]


def test_a_negative_measure_is_set_aside_and_said():
    cleaned = clean(mapped_frame({"distancia_telemetria_km": -3.0, "ilegivel": "motorista_id=?"}))
    trip = cleaned.trips.iloc[0]
    assert pd.isna(trip["distancia_telemetria_km"])
    assert trip["distancia_km"] == pytest.approx(20.1)
    assert trip["ilegivel"] == "motorista_id=?; distancia_telemetria_km=-3"


@pytest.mark.parametrize(
    ("records", "state"),
    [
        ([], "confirmed_empty"),
        ([{"saida_utc": END}], "confirmed_empty"),
        ([{}], "captured"),
        ([{"veiculo_id": None}], "captured"),
        ([{}, {"em_andamento": True, "chegada_utc": None}], "open"),
    ],
)
def test_the_state_of_the_hour(records, state):
    assert clean(mapped_frame(*records)).ledger.state == state


def test_driver_names_keep_accents_in_one_form():
    decomposed = "Joa\u0303o  Conceic\u0327a\u0303o"
    assert driver_names(pd.Series([decomposed, None], dtype="str")).tolist()[0] == "JOÃO CONCEIÇÃO"


instants = st.one_of(st.none(), st.integers(-90, 200).map(lambda m: START + timedelta(minutes=m)))
numbers = st.one_of(st.none(), st.floats(-10, 3_000), st.sampled_from([0.0, 1e12]))
records = st.fixed_dictionaries(
    {
        "veiculo_id": st.sampled_from([None, "a", "b"]),
        "id_origem": st.sampled_from([None, "t1", "t2"]),
        "saida_utc": instants,
        "chegada_utc": instants,
        "em_andamento": st.booleans(),
        "distancia_telemetria_km": numbers,
        "odometro_saida_km": numbers,
        "odometro_chegada_km": numbers,
        "velocidade_maxima_kmh": numbers,
        "atualizado_utc": instants,
        "placa_recebida": st.one_of(st.none(), st.text(max_size=8)),
    }
)


@examples(60)
@given(st.lists(records, max_size=12))
def test_whatever_comes_every_row_is_accounted_for_and_the_contracts_hold(rows):
    cleaned = clean(mapped_frame(*rows))
    assert cleaned.ledger.unaccounted == 0
    assert cleaned.ledger.received == len(rows)
    assert len(cleaned.trips) == cleaned.ledger.accepted
    assert TRIPS.broken_by(cleaned.trips) is None
    assert QUARANTINE.broken_by(cleaned.quarantine) is None
    lines = [*cleaned.trips["registro"], *cleaned.quarantine["registro"]]
    assert sorted(lines) == list(range(1, len(rows) + 1))


@examples(30)
@given(
    st.lists(records, max_size=8).flatmap(
        lambda rows: st.tuples(st.just(rows), st.permutations(range(len(rows))))
    )
)
def test_the_order_of_rows_that_say_when_they_changed_does_not_matter(case):
    rows, order = case
    rows = [{**row, "atualizado_utc": START + timedelta(seconds=n)} for n, row in enumerate(rows)]
    compared = [n for n in TRIPS.names if n != "registro"]
    first, second = (clean(mapped_frame(*(rows[i] for i in at))) for at in (range(len(rows)), order))
    pd.testing.assert_frame_equal(first.trips[compared], second.trips[compared])


@pytest.mark.parametrize(
    ("first", "second", "kept"),
    [
        # A version that does not say when it changed never replaces one that does.
        ({"atualizado_utc": END}, {"atualizado_utc": None}, "first"),
        ({"atualizado_utc": None}, {"atualizado_utc": END}, "second"),
        # Of versions that changed at the same time the last received counts: by page, then within it.
        ({"pagina": 1, "registro": 9}, {"pagina": 2, "registro": 1}, "second"),
        ({"pagina": 2, "registro": 1}, {"pagina": 1, "registro": 9}, "first"),
        ({"pagina": 1, "registro": 2}, {"pagina": 1, "registro": 1}, "first"),
    ],
)
def test_which_of_two_versions_is_the_last(first, second, kept):
    rows = ({"id_origem": "first", **first}, {"id_origem": "second", **second})
    cleaned = clean(mapped_frame(*({"veiculo_id": "v", **row} for row in rows)))
    assert cleaned.trips["id_origem"].tolist() == [kept]


@pytest.mark.parametrize(
    "said",
    [
        {"distancia_telemetria_km": 2_001.0, "odometro_saida_km": None},
        {"distancia_telemetria_km": None, "odometro_saida_km": None},
        {"chegada_utc": START},
    ],
)
def test_what_a_running_trip_measures_so_far_does_not_matter(said):
    """Rejected it would let the hour be final before its bus has arrived."""
    cleaned = clean(mapped_frame({}, {"chegada_utc": None, "em_andamento": True, **said}))
    assert fates(cleaned) == [("em_andamento", "sem_chegada")]
    assert cleaned.ledger.state == "open"


def test_trips_lie_in_the_order_of_departure_then_of_vehicle():
    late, early = START + timedelta(minutes=9), START + timedelta(minutes=3)
    rows = [("b", late), ("c", early), ("a", late), ("a", early)]
    cleaned = clean(mapped_frame(*({"veiculo_id": v, "saida_utc": at} for v, at in rows)))
    found = list(zip(cleaned.trips["veiculo_id"], cleaned.trips["saida_utc"], strict=True))
    assert found == [("a", early), ("c", early), ("a", late), ("b", late)]


def clean_by_id(*records):
    return clean_trips(
        mapped_frame(*records),
        start=START, end=END, captured_at=CAPTURED, capture="c1", natural_key=["id_origem"],
    )  # fmt: skip


def test_a_vehicle_departs_once_whatever_the_carriers_own_key_says():
    rows = ({"id_origem": n, "veiculo_id": "v", "atualizado_utc": at} for n, at in (("a", END), ("b", START)))
    cleaned = clean_by_id(*rows)
    assert cleaned.trips["id_origem"].tolist() == ["a"]
    assert fates(cleaned) == [("duplicada", "versao_anterior")]
    assert TRIPS.broken_by(cleaned.trips) is None


def test_a_departure_amended_into_another_hour_is_a_trip_of_one_of_them_only():
    """Each hour sees both versions, because its window is padded."""
    here = {"id_origem": "t", "veiculo_id": "v", "saida_utc": END - timedelta(minutes=3)}
    there = {**here, "saida_utc": END + timedelta(minutes=3)}
    old, new = {"atualizado_utc": START}, {"atualizado_utc": END}
    left = clean_by_id(here | old, there | new)
    assert fates(left) == [("duplicada", "versao_anterior"), ("fora_da_janela", "saida_fora_da_hora")]
    came = clean_by_id(there | old, here | new)
    assert fates(came) == [("fora_da_janela", "saida_fora_da_hora")]
    assert len(came.trips) == 1
    away = clean_by_id(there | old, there | new)
    assert fates(away) == [("fora_da_janela", "saida_fora_da_hora")] * 2


@pytest.mark.parametrize(
    "said", [{"distancia_telemetria_km": 35.0, "odometro_saida_km": None}, {"chegada_utc": END}]
)
def test_a_row_that_measured_something_else_is_no_copy(said):
    same = {"veiculo_id": "v", "id_origem": None}
    assert fates(clean(mapped_frame(same, same | said))) == [("duplicada", "versao_anterior")]
