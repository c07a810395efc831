"""The trips of a window: both sides in one row, each kilometre once, whatever order it came in."""

import random
from datetime import timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetria_pipeline.contracts.audit import TRIP_SEGMENTS, VALIDATED_TRIPS
from telemetria_pipeline.contracts.reference import CONTRACTS
from telemetria_pipeline.core.audit.trips import validate_trips
from telemetria_pipeline_tests.core.audit.rows import PLATE, frame_of
from telemetria_pipeline_tests.core.audit.sides import (
    RULES,
    at,
    audit,
    declared,
    drivers,
    frames,
    measured,
    metres,
    one,
    parked,
    vehicles,
)
from telemetria_pipeline_tests.core.audit.worlds import said, seen
from telemetria_pipeline_tests.rounds import examples

MORNING = declared(at("07:00"), at("08:00"), 20)
DRIVEN = measured(at("07:00"), at("08:00"), 20)


def in_order(rows: list[dict], key: tuple[str, ...]) -> list[dict]:
    return sorted(rows, key=lambda row: [row[name] for name in key])


def rows_of(frame: pd.DataFrame) -> list[dict]:
    return frame.astype(object).where(frame.notna(), None).to_dict("records")


def test_a_trip_on_which_both_sides_agree():
    result = audit([MORNING], [DRIVEN])
    trip = result.trips.iloc[0]
    assert VALIDATED_TRIPS.broken_by(result.trips) is None
    assert TRIP_SEGMENTS.broken_by(result.segments) is None
    expected = {
        "viagem_id": "964f1c771af3c4e8",  # closed cycles know their trips by it: it never changes
        "fonte": "ambos",
        "veiculo": PLATE,
        "placa": PLATE,
        "transportadora": "Viação Teste",
        "garagem": "Centro",
        "veiculo_conhecido": False,
        "saida_utc": at("07:00"),
        "chegada_utc": at("08:00"),
        "km_declarado": Decimal("20.000"),
        "km_saida": 1_000.0,
        "empresa_declarada": "Viação Teste",
        "declaracoes": 1,
        "arquivo_id": "arquivo-1",
        "arquivo": "boletim.csv",
        "linha": 2,
        "segmentos": 1,
        "km_medido": Decimal("20.000"),
        "fonte_distancia": "odometro",
        "situacao_odometro": "ok",
        "sobreposicao": 1.0,
        "dif_saida_min": 0.0,
        "cobertura": 1.0,
        "sinal": "presente",
        "km_sem_sinal": Decimal("0.000"),
        "veredito": "ok",
        "km_auditado": Decimal("20.000"),
        "versao_regras": RULES.version,
    }
    assert {name: trip[name] for name in expected} == expected
    assert pd.isna(trip[["aba", "tipo", "tarifa_brl_km", "versao_tarifas"]]).all()
    segment = result.segments.iloc[0]
    assert segment["viagem_id"] == trip["viagem_id"]
    assert (segment["raw_key"], segment["raw_sha256"]) == ("raw/pagina-00001.json.zst", "ab" * 32)


def test_times_apart_and_the_share_of_the_window_that_is_filled():
    trip = one([MORNING], [measured(at("07:06"), at("07:36"), 10), measured(at("07:48"), at("08:15"), 10)])
    assert (trip["dif_saida_min"], trip["dif_chegada_min"]) == (6.0, 15.0)
    assert trip["sobreposicao"] == pytest.approx(0.7)


def test_two_devices_of_one_plate_fill_the_window_once():
    second = {**DRIVEN, "veiculo_id": "v-2"}
    once, again = audit([MORNING], [DRIVEN, second]), audit([MORNING], [second, DRIVEN])
    assert once.trips["sobreposicao"].tolist() == [1.0]
    assert once.segments["veiculo_id"].tolist() == again.segments["veiculo_id"].tolist() == ["v-1", "v-2"]


def test_segments_of_both_sources_are_mixed_and_flags_are_joined():
    by_gps = {"fonte_distancia": "telemetria", "distancia_km": 9.9995}
    trip = one(
        [MORNING],
        [
            measured(at("07:00"), at("07:10"), 5),
            measured(at("07:10"), at("07:20"), 9, situacao_odometro="salto", **by_gps),
            measured(at("07:20"), at("07:30"), 9, situacao_odometro="ausente", **by_gps),
            measured(at("07:30"), at("07:40"), 9, situacao_odometro="salto", **by_gps),
        ],
    )
    assert (trip["fonte_distancia"], trip["situacao_odometro"]) == ("mista", "ausente;salto")
    assert trip["km_medido"] == Decimal("35.000")  # each rounded half up to the metre, then added


def test_a_phantom_between_two_readings_is_not_proven():
    trip = one([MORNING], parked())
    assert (trip["fonte"], trip["segmentos"], trip["sinal"]) == ("boletim", 0, "presente")
    assert (trip["veredito"], trip["base_auditoria"]) == ("divergente", "nao_comprovado")
    assert trip[["km_medido", "saida_medida_utc", "situacao_odometro", "dif_saida_min"]].isna().all()


def test_a_segment_that_nobody_declared_is_a_trip_of_its_own_day():
    alone = measured(at("15:00"), at("16:00"), 30)
    trips = audit([MORNING], [DRIVEN, alone]).trips
    assert trips["fonte"].tolist() == ["ambos", "telemetria"]
    unclaimed = trips.iloc[1]
    assert (unclaimed["veredito"], unclaimed["km_auditado"]) == ("divergente", 0)
    assert (unclaimed["declaracoes"], unclaimed["transportadora"]) == (0, "API")
    assert unclaimed[["km_declarado", "arquivo", "linha", "cobertura", "sinal", "km_sem_sinal"]].isna().all()
    assert one([], [alone])["base_auditoria"] == "a_declarar"


def test_an_overnight_trip_keeps_the_segment_that_departs_after_midnight():
    night = declared(at("23:50"), at("00:40", 1), 20)
    after = measured(at("00:05", 1), at("00:38", 1), 20)
    assert one([night], [after])["fonte"] == "ambos"
    assert audit([night], [after], days=(1, 2)).trips.empty
    before = measured(at("23:58", -1), at("00:30"), 20)
    early = declared(at("00:02"), at("00:30"), 20)
    assert one([early], [before])["fonte"] == "ambos"
    assert audit([early], [before], days=(-1, 0)).trips.empty


@pytest.mark.parametrize(("clock", "owned"), [("00:00", True), ("23:59", True), ("24:00", False)])
def test_a_day_owns_its_first_midnight_but_not_the_next(clock, owned):
    departure = at(clock)
    arrival = departure + timedelta(minutes=20)
    assert len(audit([declared(departure, arrival, 9)], []).trips) == owned
    assert len(audit([], [measured(departure, arrival, 9)]).trips) == owned


def test_days_are_cut_in_the_contracts_zone():
    western = ZoneInfo("America/Cuiaba")  # an hour behind: there it is still 23:30 of the day before
    inputs = frames([declared(at("00:30"), at("00:50"), 9)], [measured(at("00:30"), at("00:50"), 9)])
    start = at("01:00", -1)
    there = validate_trips(inputs, start, start + timedelta(days=1), RULES, western).trips
    assert len(there) == 1
    assert validate_trips(inputs, at("01:00"), at("01:00", 1), RULES, western).trips.empty


def test_a_row_in_several_files_is_one_trip_of_the_first_file():
    again = {**MORNING, "arquivo": "b.csv", "arquivo_id": "arquivo-2", "turno": "B"}
    sheet = {**MORNING, "arquivo": "boletim.csv", "aba": "Plan1", "linha": 1, "arquivo_id": "arquivo-3"}
    trip = one([MORNING, again, sheet], [DRIVEN])
    assert (trip["declaracoes"], trip["arquivo_id"], trip["turno"]) == (3, "arquivo-2", "B")
    assert pd.isna(one([sheet, MORNING], [])["aba"])  # of one file the rows without sheet come first
    others = [{**MORNING, "km_saida": 999.0}, {**MORNING, "km_chegada": 1_021.0}]
    others.append({**MORNING, "chegada_utc": at("08:01")})
    ids = audit([MORNING, *others], []).trips["viagem_id"]
    assert ids.nunique() == 4
    assert ids.is_monotonic_increasing  # they depart at once


def test_the_vehicles_table_says_whose_a_vehicle_is():
    fleet = vehicles(
        {
            "transportadora": "VIAÇÃO SOL",
            "tipo": "ONIBUS",
            "operacao": "AGR",
            "rota": "R1",
            "equipamento": "38",
        }
    )
    trip = one([MORNING], [DRIVEN], vehicles=fleet)
    assert trip[["transportadora", "tipo", "operacao", "rota", "equipamento", "garagem"]].tolist() == [
        *("VIAÇÃO SOL", "ONIBUS", "AGR", "R1", "38", "Centro")
    ]
    assert trip["veiculo_conhecido"]
    stranger = one([{**MORNING, "placa": "ABC1C34", "equipamento": "99"}], [], vehicles=fleet)
    assert not stranger["veiculo_conhecido"]
    assert stranger[["transportadora", "equipamento"]].tolist() == ["Viação Teste", "99"]


def test_a_tariff_is_that_of_the_day():
    terms = {
        "contrato": "C-1",
        "clausula": "1",
        "contrato_linha": 2,
        "modalidade": "contrato",
        "placa": PLATE,
        "custo_fixo_mensal_brl": 0,
        "franquia_km": 0,
    }
    contracts = frame_of(
        CONTRACTS,
        [
            {**terms, "tarifa_brl_km": "2.73", "vigencia_inicio": "2026-01-01", "vigencia_fim": "2026-03-10"},
            {**terms, "tarifa_brl_km": "3.00", "vigencia_inicio": "2026-03-11", "contrato_linha": 3},
        ],
    )
    night = declared(at("23:59"), at("00:30", 1), 20)
    trips = audit(
        [MORNING, night, declared(at("00:00", 1), at("01:00", 1), 9)], [], days=(0, 2), contracts=contracts
    )
    assert trips.trips["tarifa_brl_km"].tolist() == [Decimal("2.7300"), Decimal("2.7300"), Decimal("3.0000")]


@pytest.mark.parametrize(
    ("said", "seen", "same"),
    [
        ("JOSÉ DA SILVA", ["JOSE SILVA"], True),  # all words of one are in the other
        ("José  da Silva", ["JOSE DA SILVA"], True),
        ("JOSÉ DA SILVA", ["ANA LIMA"], False),
        ("JOSÉ DA SILVA", ["JOSE SANTOS"], False),
        ("JOSÉ DA SILVA", ["ANA LIMA", "JOSE SILVA"], True),
        ("JOSÉ DA SILVA", [None], True),
        (None, ["ANA LIMA"], True),
        ("JOSÉ DA SILVA", [None, "ANA LIMA"], False),
    ],
)
def test_drivers_differ_only_where_both_are_known_and_no_segments_is_the_declared(said, seen, same):
    segments = [
        measured(
            at("07:00") + timedelta(minutes=9 * n), at("07:09") + timedelta(minutes=9 * n), 5, motorista=name
        )
        for n, name in enumerate(seen)
    ]
    assert one([{**MORNING, "motorista": said}], segments)["motorista_confere"] == same


def test_a_driver_without_name_is_looked_up_by_id_if_one_driver_has_it():
    segment = {**DRIVEN, "motorista": None, "motorista_id": "7"}
    ana = {"motorista": "ANA LIMA", "motorista_chave": "ANA LIMA", "motorista_id": "7"}
    rui = {"motorista": "RUI", "motorista_chave": "RUI", "motorista_id": "7"}
    assert not one([MORNING], [segment], drivers=drivers(ana))["motorista_confere"]
    assert one([MORNING], [segment], drivers=drivers(ana, rui))["motorista_confere"]
    assert one([MORNING], [segment], drivers=None)["motorista_confere"]


def test_who_was_erased_differs_from_nobody_and_names_go_no_further():
    said, seen = {**MORNING, "motorista": "M-1"}, {**DRIVEN, "motorista": "M-2"}
    known = {"M-1": "JOSÉ DA SILVA", "M-2": "ANA LIMA"}
    trip = one([said], [seen], names=known)
    assert trip[["motorista_declarado", "motorista_medido", "motorista_confere"]].tolist() == [
        "M-1",
        "M-2",
        False,
    ]
    assert "SILVA" not in audit([said], [seen], names=known).trips.to_csv()
    assert one([said], [seen], names={"M-1": "JOSÉ DA SILVA"})["motorista_confere"]
    assert one([said], [seen], names={**known, "M-2": "JOSE SILVA"})["motorista_confere"]


def test_the_measured_driver_is_the_first_that_is_known():
    nobody = measured(at("07:00"), at("07:10"), 5, motorista=None)
    trip = one([MORNING], [nobody, measured(at("07:10"), at("07:20"), 5, motorista="JOSÉ DA SILVA")])
    assert trip["motorista_medido"] == "JOSÉ DA SILVA"


@pytest.mark.parametrize("fleet", [None, vehicles()])
def test_nothing_in_nothing_out(fleet):
    result = audit([], [], vehicles=fleet, drivers=drivers())
    assert VALIDATED_TRIPS.broken_by(result.trips) is None
    assert TRIP_SEGMENTS.broken_by(result.segments) is None
    assert result.trips.empty


worlds = examples(30)


@worlds
@given(said(), seen())
def test_every_segment_belongs_to_one_trip_and_no_kilometre_is_lost(said, seen):
    result = audit(said, seen, days=(-2, 5))
    trips, segments = result.trips, result.segments
    assert VALIDATED_TRIPS.broken_by(trips) is None
    assert TRIP_SEGMENTS.broken_by(segments) is None
    key = ["veiculo_id", "saida_utc"]
    assert len(segments.drop_duplicates(key)) == len(seen)
    assert trips["segmentos"].sum() == len(segments)
    shared = segments[segments.duplicated(key, keep=False)].merge(trips[["viagem_id", "grupo"]])
    assert (shared.groupby(key)["grupo"].nunique(dropna=False) == 1).all()
    assert shared["grupo"].notna().all()
    of_trips = trips.set_index("viagem_id")["km_medido"].dropna().to_dict()
    assert of_trips == segments.groupby("viagem_id")["km_medido"].sum().to_dict()
    assert sum(of_trips.values(), Decimal(0)) * 1_000 == sum(metres(row["distancia_km"]) for row in seen)
    assert trips["declaracoes"].sum() == len(said)


@worlds
@given(said(), seen(), st.randoms(use_true_random=False))
def test_the_order_in_which_rows_come_changes_nothing(said, seen, chance: random.Random):
    once = audit(said, seen, days=(-2, 5))
    chance.shuffle(said)
    chance.shuffle(seen)
    again = audit(said, seen, days=(-2, 5))
    pd.testing.assert_frame_equal(once.trips, again.trips)
    pd.testing.assert_frame_equal(once.segments, again.segments)


@worlds
@given(said(), seen())
def test_day_by_day_gives_what_the_days_give_together(said, seen):
    def loaded(day: int) -> tuple[list[dict], list[dict]]:
        near = [row for row in said if at("00:00", day - 4) <= row["saida_utc"] < at("00:00", day + 5)]
        return near, [row for row in seen if at("00:00", day - 3) <= row["saida_utc"] < at("00:00", day + 4)]

    together = audit(said, seen, days=(0, 3))
    days = [audit(*loaded(day), days=(day, day + 1)) for day in range(3)]
    assert rows_of(pd.concat([day.trips for day in days])) == rows_of(together.trips)
    alone = [row for day in days for row in rows_of(day.segments)]
    key = ("veiculo", "saida_utc", "veiculo_id", "viagem_id")
    assert in_order(alone, key) == in_order(rows_of(together.segments), key)


def test_the_odometer_as_a_trip_begins_and_ends_and_what_the_tracker_says():
    first = measured(at("07:00"), at("07:20"), 8, odometro=1_000.0)
    last = measured(at("07:30"), at("08:00"), 12, odometro=1_009.0, distancia_telemetria_km=11.5)
    names = ["aparelho", "leitura_saida_km", "leitura_chegada_km", "km_telemetria"]
    assert one([MORNING], [first, last])[names].tolist() == ["sol:v-1", 1_000.0, 1_021.0, Decimal("19.500")]

    bad = {"situacao_odometro": "regressao", "fonte_distancia": "telemetria"}
    trip = one([MORNING], [first | bad, last | {"distancia_telemetria_km": None}])
    assert pd.isna(trip["leitura_saida_km"]) and pd.isna(trip["km_telemetria"])
    assert trip["leitura_chegada_km"] == 1_021.0
    assert pd.isna(one([MORNING], [first, last | {"veiculo_id": "v-2"}])["aparelho"])
    assert one([MORNING], parked())[names].isna().all()
