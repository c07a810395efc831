from datetime import timedelta
from decimal import ROUND_HALF_UP, Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from telemetria_pipeline.contracts.audit import DIVERGENCES
from telemetria_pipeline.contracts.reference import VEHICLES
from telemetria_pipeline.core.audit.coverage import Sources
from telemetria_pipeline.core.audit.divergences import find_divergences
from telemetria_pipeline.core.audit.phrases import km_text, money_text, window_text
from telemetria_pipeline.core.audit.rules import AuditRules
from telemetria_pipeline_tests.core.audit.rows import (
    DAY,
    DEPARTURE,
    PLATE,
    ZONE,
    hours,
    segment,
    segments,
    trip,
    trip_id,
    trips,
)
from telemetria_pipeline_tests.core.audit.strategies import audited_days
from telemetria_pipeline_tests.rounds import examples

PHANTOM = {"km_declarado": 48, "km_medido": None, "veredito": "divergente", "km_auditado": 0}
TOO_MUCH = {"km_declarado": 48, "km_medido": "31.2", "veredito": "divergente", "km_auditado": "31.2"}
UNDECLARED = {"km_declarado": None, "km_medido": 4, "veredito": "divergente"}


def found(*rows: dict, measured=(), states=None, vehicles_known=True) -> pd.DataFrame:
    sources = Sources(hours(states=states), VEHICLES.empty() if vehicles_known else None)
    frame = find_divergences(trips(*rows), segments(*measured), sources, AuditRules(), DAY, ZONE)
    assert DIVERGENCES.broken_by(frame) is None
    return frame


def only(*rows: dict, **more) -> pd.Series:
    frame = found(*rows, **more)
    assert len(frame) == 1
    return frame.iloc[0]


@pytest.mark.parametrize(
    ("said", "kind", "verdict", "value"),
    [
        (TOO_MUCH, "km_divergente", "divergente", "45.86"),
        (TOO_MUCH | {"km_declarado": "14.4"}, "km_divergente", "divergente", "45.86"),
        (TOO_MUCH | {"veredito": "inconclusivo"}, "km_divergente", "inconclusivo", "45.86"),
        (PHANTOM, "sem_telemetria", "divergente", "131.04"),
        (UNDECLARED, "nao_declarada", "divergente", "10.92"),
        ({"dif_saida_min": -30.5}, "horario_divergente", "a_esclarecer", "0.00"),
        ({"dif_chegada_min": 30.5}, "horario_divergente", "a_esclarecer", "0.00"),
        ({"dif_saida_min": 31.0, "cobertura": 0.9}, "horario_divergente", "inconclusivo", "0.00"),
        ({"dif_saida_min": 31.0, "cobertura_busca": 0.9}, "horario_divergente", "inconclusivo", "0.00"),
        ({"dif_saida_min": 31.0, "sinal": "desconhecido"}, "horario_divergente", "inconclusivo", "0.00"),
        ({"dif_saida_min": 31.0, "sinal": "perdido"}, "horario_divergente", "inconclusivo", "0.00"),
        ({"motorista_confere": False}, "motorista_divergente", "a_esclarecer", "0.00"),
        ({"motorista_confere": False, "cobertura": 0.5}, "motorista_divergente", "inconclusivo", "0.00"),
        ({"motorista_confere": False, "sinal": "perdido"}, "motorista_divergente", "inconclusivo", "0.00"),
        ({"veiculo_conhecido": False, "cobertura": 0.0}, "veiculo_desconhecido", "a_esclarecer", None),
    ],
)
def test_each_kind_has_its_verdict_and_its_price(said, kind, verdict, value):
    row = only(trip(**said))
    assert (row["tipo"], row["veredito"]) == (kind, verdict)
    assert row["valor_brl"] is pd.NA if value is None else str(row["valor_brl"]) == value


def test_what_agrees_is_no_divergence():
    exactly = {"dif_saida_min": 30.0, "dif_chegada_min": -30.0}
    assert found(trip(), trip(**exactly), trip(**UNDECLARED | {"veredito": "ok"})).empty
    assert found(trip(veiculo_conhecido=False), vehicles_known=False).empty
    assert found().empty


def test_a_trip_may_diverge_in_several_ways_and_each_has_its_name():
    row = trip(**TOO_MUCH, dif_saida_min=45.0, motorista_confere=False, veiculo_conhecido=False)
    several = found(row)
    assert set(several["tipo"]) == {
        "km_divergente",
        "horario_divergente",
        "motorista_divergente",
        "veiculo_desconhecido",
    }
    assert several["divergencia_id"].is_unique
    assert several["divergencia_id"].str.fullmatch("20260310-[0-9a-f]{10}").all()
    with_others = found(trip(**PHANTOM, viagem_id="f" * 16), row | {"viagem_id": trip_id(1)})
    assert set(several["divergencia_id"]) < set(with_others["divergencia_id"])


def test_an_unknown_vehicle_is_one_row_a_day_however_many_trips_it_has():
    hour = timedelta(hours=1)
    stranger, other = {"veiculo_conhecido": False}, {"veiculo": "ABC1C34", "placa": "ABC1C34"}
    frame = found(
        trip(**stranger, saida_utc=DEPARTURE + hour),
        trip(**stranger, saida_utc=DEPARTURE, km_medido="18.9"),
        trip(**stranger, **UNDECLARED | {"veredito": "ok", "saida_utc": DEPARTURE + 2 * hour}),
        trip(**stranger, **other),
        trip(),
    ).set_index("veiculo")
    assert frame["tipo"].tolist() == ["veiculo_desconhecido"] * 2
    assert frame.loc[PLATE, "viagem_id"] == trip_id(2)
    assert "O veículo GDP4J68 (3 viagens, 44,0 km em 10/03) não consta" in frame.loc[PLATE, "frase"]
    assert "O veículo ABC1C34 (1 viagem, 20,0 km em 10/03) não consta" in frame.loc["ABC1C34", "frase"]
    earlier = found(trip(**stranger, saida_utc=DEPARTURE - hour), trip(**stranger))
    assert earlier["divergencia_id"].tolist() == [frame.loc[PLATE, "divergencia_id"]]


def test_money_is_rounded_once_half_up_and_missing_without_a_tariff():
    half_a_cent = {"km_declarado": "20.5", "km_medido": 20, "veredito": "divergente", "km_auditado": 20}
    assert str(only(trip(**half_a_cent, tarifa_brl_km="0.01"))["valor_brl"]) == "0.01"
    row = only(trip(**PHANTOM, tarifa_brl_km=None))
    assert (row["valor_brl"], row["severidade"]) == (pd.NA, "media")


def test_the_dearest_and_surest_come_first_and_what_has_no_price_last():
    ranked = found(
        trip(**PHANTOM, tarifa_brl_km=None),
        trip(**PHANTOM | {"km_declarado": 100, "veredito": "inconclusivo"}),
        trip(**PHANTOM | {"km_declarado": 30}),
        trip(**PHANTOM | {"km_declarado": 31}),
        trip(veiculo_conhecido=False),
    )
    assert ranked["posicao"].tolist() == [1, 2, 3, 4, 5]
    assert ranked["viagem_id"].tolist()[:3] == [trip_id(4), trip_id(3), trip_id(2)]
    assert ranked["valor_brl"].isna().tolist() == [False, False, False, True, True]
    assert ranked["severidade"].tolist()[:3] == ["media", "media", "alta"]
    unpriced = ranked["divergencia_id"].tolist()[3:]
    assert unpriced == sorted(unpriced)


def test_confidence_follows_the_evidence():
    def sure(said: dict, **more) -> float:
        return only(trip(**said), **more)["confianca"]

    by_odometer = sure(TOO_MUCH)
    assert by_odometer > sure(TOO_MUCH | {"fonte_distancia": "mista"})
    assert by_odometer > sure(TOO_MUCH | {"fonte_distancia": "telemetria"})
    assert by_odometer > sure(TOO_MUCH | {"sobreposicao": 0.3})
    hour = timedelta(hours=1)
    around = (segment(saida_utc=DEPARTURE - hour), segment(saida_utc=DEPARTURE + hour))
    other = tuple(row | {"veiculo": "ABC1C34"} for row in around)
    flagged = tuple(row | {"situacao_odometro": "ausente"} for row in around)
    assert sure(PHANTOM, measured=around) > sure(PHANTOM, measured=around[:1])
    assert sure(PHANTOM, measured=other) == sure(PHANTOM, measured=flagged) == sure(PHANTOM)
    assert sure(TOO_MUCH | {"veredito": "inconclusivo"}) < sure(PHANTOM)


TOLERANCE = "tolerância de 10 % e 1 km"
NOTHING_MEASURED = (
    "Declarados 48,0 km das 07:00 às 07:45; nenhuma viagem da telemetria corresponde a eles "
    f"(até 30 min de distância; {TOLERANCE})."
)


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        (
            TOO_MUCH,
            "Declarados 48,0 km das 07:00 às 07:45; a telemetria mediu 31,2 km "
            f"(+53,8 %; {TOLERANCE}). Contam 31,2 km.",
        ),
        (
            TOO_MUCH | {"km_declarado": "14.4", "km_auditado": "14.4", "fonte_distancia": "mista"},
            "Declarados 14,4 km das 07:00 às 07:45; a telemetria mediu 31,2 km "
            f"(-53,8 %; {TOLERANCE}). Parte da distância é a do rastreador, sem leitura boa do odômetro. "
            "Contam 14,4 km.",
        ),
        (
            TOO_MUCH | {"km_medido": 0, "km_auditado": 3, "km_sem_sinal": 3, "fonte_distancia": "telemetria"},
            f"Declarados 48,0 km das 07:00 às 07:45; a telemetria mediu 0,0 km ({TOLERANCE}). "
            "A distância é a do rastreador, sem leitura boa do odômetro. "
            "O odômetro avançou só 3,0 km sem sinal nesse intervalo. Contam 3,0 km.",
        ),
        (
            TOO_MUCH | {"veredito": "inconclusivo", "sinal": "perdido", "km_sem_sinal": "16.8"},
            "Declarados 48,0 km das 07:00 às 07:45; a telemetria mediu 31,2 km "
            f"(+53,8 %; {TOLERANCE}). O odômetro avançou 16,8 km sem sinal nesse intervalo. Vale o boletim.",
        ),
        (PHANTOM, f"{NOTHING_MEASURED} Contam 0,0 km."),
        (
            PHANTOM | {"placa_declarada": "ABC1C34"},
            f"{NOTHING_MEASURED} Foi declarada para a placa ABC1C34, que este veículo substituiu. "
            "Contam 0,0 km.",
        ),
        (
            PHANTOM | {"veredito": "inconclusivo", "cobertura": 0.5},
            f"{NOTHING_MEASURED} Faltam horas de telemetria (06h, 07h). Vale o boletim.",
        ),
        (
            PHANTOM | {"veredito": "inconclusivo", "sinal": "desconhecido"},
            f"{NOTHING_MEASURED} Faltam leituras boas do odômetro em volta desse intervalo. Vale o boletim.",
        ),
        (
            UNDECLARED | {"saida_utc": DEPARTURE + timedelta(hours=16, minutes=30)},
            "A telemetria mediu 4,0 km das 23:30 às 00:15 de 11/03; nenhuma viagem declarada corresponde "
            f"a eles ({TOLERANCE}). A declarar: por ora não entra na medição.",
        ),
        (
            UNDECLARED | {"veredito": "inconclusivo", "base_auditoria": "telemetria_substitui"},
            "A telemetria mediu 4,0 km das 07:00 às 07:45; nenhuma viagem declarada corresponde a eles "
            f"({TOLERANCE}). Sem declaração, vale a telemetria.",
        ),
        (
            {"dif_saida_min": -31.0, "saida_medida_utc": DEPARTURE - timedelta(minutes=31)},
            "Viagem declarada das 07:00 às 07:45; a telemetria a mediu das 06:29 às 07:45 "
            "(tolerância de 30 min).",
        ),
        (
            {"motorista_confere": False, "motorista_medido": "M-99999999"},
            "Na viagem das 07:00 às 07:45, o boletim informa o motorista M-0a1b2c3d e a telemetria "
            "identificou M-99999999.",
        ),
        (
            {"veiculo_conhecido": False},
            "O veículo GDP4J68 (1 viagem, 20,0 km em 10/03) não consta do cadastro; se a placa estiver "
            "certa, falta incluí-lo.",
        ),
    ],
)
def test_a_sentence_says_what_by_how_much_and_why(said, sentence):
    states = {6: "open", 7: "missing", 9: "missing"}
    assert only(trip(**said), states=states)["frase"] == sentence


def test_a_phantom_between_two_readings_of_the_odometer_says_so():
    hour = timedelta(hours=1)
    around = (segment(saida_utc=DEPARTURE - hour), segment(saida_utc=DEPARTURE + hour))
    remark = "As leituras do odômetro antes e depois não mostram esse percurso."
    assert remark in only(trip(**PHANTOM), measured=around)["frase"]
    assert remark not in only(trip(**PHANTOM, km_sem_sinal=3), measured=around)["frase"]


def test_the_evidence_of_a_measured_trip_is_its_pages_each_once():
    row = only(
        trip(**TOO_MUCH),
        measured=(
            segment(raw_key="b", raw_sha256="2"),
            segment(raw_key="a", raw_sha256="1", veiculo_id="v-2"),
            segment(raw_key="b", raw_sha256="2", veiculo_id="v-3"),
            segment(raw_key="c", raw_sha256="3", veiculo_id="v-4", viagem_id=trip_id(2)),
        ),
    )
    assert row["evidencia_telemetria"] == "a sha256=1; b sha256=2"


@pytest.mark.parametrize(
    ("minutes", "seen"),
    [
        (0, "hora+06 sha256=00; hora+07 sha256=00"),  # from half past six on: a segment may depart then
        (30, "hora+07 sha256=00; hora+08 sha256=00"),
        (15, "hora+06 sha256=00; hora+07 sha256=00"),  # arrives at eight: the hour before
    ],
)
def test_the_evidence_of_a_phantom_is_the_hours_that_show_nothing(minutes, seen):
    row = only(trip(**PHANTOM, saida_utc=DEPARTURE + timedelta(minutes=minutes)))
    assert row["evidencia_telemetria"] == seen


def test_hours_without_a_page_and_hours_that_nobody_knows_are_no_evidence():
    nothing = hours().assign(evidencia=pd.Series([None] * 72, dtype="str"))
    for known in (nothing, nothing.iloc[:0]):
        frame = find_divergences(trips(trip(**PHANTOM)), segments(), Sources(known), AuditRules(), DAY, ZONE)
        assert DIVERGENCES.broken_by(frame) is None
        assert frame["evidencia_telemetria"].isna().all()


def test_numbers_are_written_as_in_brazil():
    assert km_text(np.array([0, 1, 48_000, 31_200, 1_234_567, 20_050])).tolist() == [
        "0,0",
        "0,001",
        "48,0",
        "31,2",
        "1.234,567",
        "20,05",
    ]
    assert money_text(np.array([5, 123_456_7])).tolist() == ["R$ 0,05", "R$ 12.345,67"]
    late = pd.Series([DEPARTURE + timedelta(hours=17)]).dt.as_unit("us")
    assert window_text(late - timedelta(hours=1), late, ZONE).tolist() == ["das 23:00 às 00:00 de 11/03"]


@examples(25)
@given(audited_days(), st.randoms(use_true_random=False))
def test_every_verdict_has_its_row_at_its_exact_price_in_whatever_order_the_rows_come(day, random):
    trips, segments = day
    rules = AuditRules()
    frame = find_divergences(trips, segments, Sources(hours(), VEHICLES.empty()), rules, DAY, ZONE)
    assert DIVERGENCES.broken_by(frame) is None
    of_km = frame[frame["tipo"].isin(["km_divergente", "sem_telemetria", "nao_declarada"])]
    assert sorted(of_km["viagem_id"]) == sorted(trips.loc[trips["veredito"] != "ok", "viagem_id"])
    for row in of_km.fillna({"km_declarado": Decimal(0), "km_medido": Decimal(0)}).itertuples():
        if row.tarifa_brl_km is not pd.NA:
            price = abs(row.km_declarado - row.km_medido) * row.tarifa_brl_km
            assert row.valor_brl == price.quantize(Decimal("0.01"), ROUND_HALF_UP)
        else:
            assert row.valor_brl is pd.NA

    def shuffled(frame):
        return frame.iloc[random.sample(range(len(frame)), len(frame))].reset_index(drop=True)

    sources = Sources(shuffled(hours()), VEHICLES.empty())
    again = find_divergences(shuffled(trips), shuffled(segments), sources, rules, DAY, ZONE)
    assert_frame_equal(again, frame)
