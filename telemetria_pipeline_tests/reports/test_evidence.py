"""The evidence page: both sides, the steps, the money, escaped and alone."""

import re
from datetime import timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pandas as pd
import pytest

from telemetria_pipeline.contracts.reference import CONTRACTS
from telemetria_pipeline.core.audit.rules import AuditRules
from telemetria_pipeline.reports.evidence import Evidence, evidence_page
from telemetria_pipeline.reports.timeline import day_timeline
from telemetria_pipeline_tests.core.audit.rows import (
    DEPARTURE,
    ZONE,
    frame_of,
    hours,
    segment,
    segments,
    trip,
    trip_id,
    trips,
)
from telemetria_pipeline_tests.reports.html import assert_alone, parsed, text_of
from telemetria_pipeline_tests.reports.rows import FORMULA, HOSTILE, divergence, divergences

RULES = AuditRules()
HOUR = timedelta(hours=1)
TERMS = {
    "contrato": "C-1", "clausula": "4.1", "contrato_linha": 3, "modalidade": "contrato", "tipo": "ONIBUS",
    "tarifa_brl_km": "2.73", "custo_fixo_mensal_brl": 0, "franquia_km": 0, "vigencia_inicio": "2026-01-01",
}  # fmt: skip
INFLATED = {
    "km_declarado": 48,
    "km_medido": "31.2",
    "km_auditado": "31.2",
    "veredito": "divergente",
    "base_auditoria": "medido",
    "segmentos": 2,
}


def terms(**said) -> pd.Series:
    return frame_of(CONTRACTS, [TERMS | said]).iloc[0]


def evidence(of: dict | None = None, about: dict | None = None, **said) -> Evidence:
    """Of a trip declared too long, whose 31.2 km lie in two segments, on a day with another trip."""
    facts = {
        "divergence": divergences(divergence(**(about or {}))).iloc[0],
        "trips": trips(trip(**INFLATED | (of or {})), trip(saida_utc=DEPARTURE + 3 * HOUR)),
        "segments": segments(
            segment(saida_utc=DEPARTURE + HOUR / 3, km_medido="16.1", registro=2),
            segment(chegada_utc=DEPARTURE + HOUR / 4, km_medido="15.1", situacao_odometro="salto"),
            segment(viagem_id=trip_id(2), saida_utc=DEPARTURE + 3 * HOUR, raw_key="another/page"),
        ),
        "hours": hours(),
        "terms": terms(),
        "rules": RULES.as_json(),
        "rules_version": RULES.version,
        "zone": ZONE,
        "declared_zone": ZONE,
    }
    return Evidence(**facts | said)


def test_both_sides_stand_on_the_page_with_where_they_come_from():
    said = text_of(evidence_page(evidence(of={"aba": "Plan1", "linha": 17, "declaracoes": 2})))
    assert "boletim.csv, Plan1, linha 17 0017 A 07:00 07:45 1.000,000 km 1.048,000 km 48,000 km" in said
    assert "em 2 linhas de boletim" in said
    measured = said.partition("O que foi medido")[2]
    assert measured.index("15,100 km Odômetro Saltou") < measured.index("16,100 km Odômetro Bom")
    assert "Total 31,200 km" in measured
    assert said.count("raw_telemetry/data=2026-03-10/hora=07/c1/pagina-00001.json.zst sha256=abab") == 2
    assert "another/page" not in said


def test_the_decision_is_told_step_by_step():
    steps = [
        li.text.replace("\N{NO-BREAK SPACE}", " ")
        for li in parsed(evidence_page(evidence(of={"divergencia": 0.5385}))).iter("li")
    ]
    assert steps == [
        "Busca até 30 min em torno da viagem declarada: 2 viagens medidas do veículo.",
        "Declarados 48,000 km, medidos 31,200 km (fonte: odômetro): diferença de +16,800 km (+53,9 %), fora "
        "da tolerância de 10 % e 1 km.",
        "100 % da viagem declarada está em horas com telemetria recebida (mínimo de 100 %; abaixo disso não "
        "se conclui).",
        "O equipamento foi ouvido antes e depois da viagem.",
        "Contam 31,200 km na medição: vale o que a telemetria comprova.",
    ]


@pytest.mark.parametrize(
    ("of", "about", "says"),
    [
        (
            {"km_medido": None, "segmentos": 0, "km_auditado": 0, "base_auditoria": "nao_comprovado"},
            {"tipo": "sem_telemetria", "km_medido": None, "valor_brl": "131.04"},
            ["nenhuma viagem medida do veículo.", "48,000 km × R$ 2,7300/km = R$ 131,04", "contam 0,000 km"],
        ),
        (
            {"sinal": "perdido", "km_sem_sinal": "12.5", "base_auditoria": "boletim_substitui"},
            {"veredito": "inconclusivo"},
            ["O odômetro andou 12,500 km sem que", "não há prova suficiente em contrário: vale o boletim"],
        ),
        (
            {"km_declarado": None, "km_medido": 20, "fonte": "telemetria", "base_auditoria": "a_declarar"},
            {"tipo": "nao_declarada", "km_declarado": None, "km_medido": 20, "valor_brl": "54.60"},
            ["Nenhum boletim declara esta viagem", "20,000 km × R$ 2,7300/km = R$ 54,60"],
        ),
        (
            {"dif_saida_min": 41.0, "dif_chegada_min": -3.0},
            {"tipo": "horario_divergente", "valor_brl": 0},
            ["difere da declarada em +41 min e a chegada em -3 min", "não muda o valor a pagar"],
        ),
        (
            {"motorista_medido": "M-ffffffff"},
            {"tipo": "motorista_divergente", "valor_brl": 0},
            ["o motorista M-0a1b2c3d, e a telemetria identificou M-ffffffff"],
        ),
        (
            {"placa_declarada": "ABC1C34"},
            {},
            ["o boletim a traz na placa ABC1C34; GDP4J68 a substituiu"],
        ),
        (
            {"aparelho_trocado": True},
            {"tipo": "aparelhos_trocados", "valor_brl": None},
            ["os aparelhos dos dois estavam trocados", "não muda o valor a pagar"],
        ),
        (
            {"cobertura": 0.5, "base_auditoria": "boletim_substitui"},
            {"tipo": "veiculo_desconhecido", "valor_brl": None, "tarifa_brl_km": None},
            ["50 % da viagem", "GDP4J68 não está no cadastro", "sem tarifa em vigor para o veículo"],
        ),
    ],
)
def test_each_kind_says_what_it_rests_on(of, about, says):
    said = text_of(evidence_page(evidence(of, about)))
    assert [part for part in says if part.lower() not in said.lower()] == []


PHANTOM = {
    "km_medido": None,
    "segmentos": 0,
    "km_auditado": 0,
    "veredito": "divergente",
    "base_auditoria": "nao_comprovado",
}


def read(hours: float, odometer: float, **said) -> dict:
    """Another trip's segment of 45 minutes and 20 km, so many hours after DEPARTURE."""
    return segment(
        viagem_id=trip_id(2),
        saida_utc=DEPARTURE + hours * HOUR,
        odometro_saida_km=odometer,
        odometro_chegada_km=odometer + 20,
        **said,
    )


def test_what_the_odometer_read_before_and_after_is_shown_where_it_accuses():
    around = [read(-3, 900), read(-1.5, 950), read(-1, 1, situacao_odometro="salto"), read(2, 970.3)]
    page = evidence_page(evidence(of=PHANTOM, segments=segments(*around, read(4, 990.3))))
    table = text_of(page).partition("Antes e depois, pelo odômetro")[2].partition(" Como se chegou")[0]
    assert table.endswith(
        "Antes 10/03/2026 05:30 06:15 950,000 km 970,000 km 20,000 km "
        "Depois 10/03/2026 09:00 09:45 970,300 km 990,300 km 20,000 km "
        "Da chegada de uma à saída da outra o odômetro andou 0,300 km; nesse intervalo há 1 viagem "
        "declarada, de 48,000 km ao todo."
    )
    assert "As leituras do odômetro antes e depois não mostram esse percurso." in text_of(page)
    half = text_of(evidence_page(evidence(of=PHANTOM, segments=segments(read(-1, 950)))))
    assert "Antes 10/03/2026 06:00" in half
    assert "O equipamento foi ouvido antes e depois da viagem." in half
    assert "pelo odômetro" not in text_of(evidence_page(evidence()))


def test_readings_of_other_days_and_what_was_declared_between_them_are_shown():
    before = read(-75, 900)
    after = read(50, 935)
    other = trip(viagem_id="another", saida_utc=DEPARTURE - 24 * HOUR, km_declarado=12, km_medido=None)
    outside = trip(viagem_id="outside", saida_utc=DEPARTURE - 90 * HOUR)
    found = evidence(
        of=PHANTOM,
        segments=segments(),
        around=segments(before, after),
        between=trips(other, outside, trip(viagem_id=trip_id(1), **PHANTOM, km_declarado=48)),
    )
    said = text_of(evidence_page(found))
    assert "Antes 07/03/2026 04:00 04:45" in said
    assert "Depois 12/03/2026 09:00 09:45" in said
    assert (
        "o odômetro andou 15,000 km; nesse intervalo há 3 viagens declaradas, de 80,000 km ao todo." in said
    )


def test_a_trip_that_the_odometer_pays_shows_its_readings_although_it_was_measured():
    chain = [segment(situacao_odometro="parado"), read(-1.5, 950), read(2, 970.3)]
    page = text_of(evidence_page(evidence(of={"base_auditoria": "odometro"}, segments=segments(*chain))))
    assert "Antes 10/03/2026 05:30" in page
    assert "vale o que o odômetro andou entre as leituras antes e depois dela" in page


def test_the_boletims_bytes_are_named_by_their_hash():
    said = text_of(evidence_page(evidence(boletim_sha256="cd" * 32)))
    assert f"arquivo-1 sha256={'cd' * 32}" in said


def test_trips_that_were_judged_together_stand_together():
    alone = evidence_page(evidence())
    assert "Julgadas em conjunto" not in text_of(alone)
    shared = {"grupo": trip_id(1), **INFLATED}
    both = trips(
        trip(**shared | {"km_declarado": 30, "km_medido": "19.5", "km_auditado": "19.5"}),
        trip(
            saida_utc=DEPARTURE + HOUR,
            **shared | {"km_declarado": 18, "km_medido": "11.7", "km_auditado": "11.7"},
        ),
        trip(saida_utc=DEPARTURE + 5 * HOUR),
    )
    whole = {"chegada_utc": DEPARTURE + 2 * HOUR}
    parts = [
        segment(viagem_id=trip_id(n), km_medido=km, **whole) for n, km in enumerate(("19.5", "11.7"), start=1)
    ]
    found = evidence(
        about={"viagens": 2}, trips=both, segments=segments(*parts, read(5, 1000) | {"viagem_id": trip_id(3)})
    )
    page = evidence_page(found)
    said = text_of(page)
    told = said.partition("Julgadas em conjunto")[2].partition("O que foi medido")[0]
    assert "07:00 07:45 boletim.csv, linha 2 30,000 km 19,500 km 19,500 km" in told
    assert "Conjunto 48,000 km 31,200 km 31,200 km" in told
    assert "12:00" not in told
    measured = said.partition("O que foi medido")[2].partition("Como se chegou")[0]
    assert measured.count("09:00") == 1 and "31,200 km" in measured  # the segment stands there once, whole
    assert "uma viagem medida do veículo" in said
    assert "Declarados 48,000 km, medidos 31,200 km" in said
    assert {"07:00 às 09:00, 31,2 km", "12:00 às 12:45, 20,0 km"} <= {said for _, _, said in bars(page)}


def test_there_is_a_place_to_answer_and_to_sign():
    said = text_of(evidence_page(evidence()))
    assert "Resposta da transportadora De acordo Em desacordo, pelo motivo abaixo" in said
    assert "Pela transportadora Nome e cargo: Data: Pela contratante Nome e cargo: Data:" in said


def test_clocks_name_their_zone_and_the_boletims_own_stand_beside_them():
    said = text_of(evidence_page(evidence()))
    assert "Horários em America/Sao_Paulo, o fuso do contrato." in said
    assert "no boletim" not in said
    west = text_of(evidence_page(evidence(declared_zone=ZoneInfo("America/Cuiaba"))))
    assert "07:00 no boletim: 06:00 07:45 no boletim: 06:45" in west


def test_without_segments_the_hours_that_were_searched_are_the_proof():
    found = evidence(
        of={"km_medido": None, "segmentos": 0},
        about={"evidencia_telemetria": "hora/07 sha256=aa; hora/08 sha256=bb"},
        segments=segments(),
    )
    said = text_of(evidence_page(found))
    assert "Telemetria da hora hora/07 sha256=aa Telemetria da hora hora/08 sha256=bb" in said


def test_the_money_names_clause_and_validity():
    assert (
        "contrato C-1, cláusula 4.1 (linha 3 do arquivo de contratos), em vigor desde 01/01/2026, sem data"
        in text_of(evidence_page(evidence()))
    )
    assert "até 30/06/2026" in text_of(evidence_page(evidence(terms=terms(vigencia_fim="2026-06-30"))))
    assert "a tabela de contratos mudou" in text_of(evidence_page(evidence(terms=None)))
    unpriced = evidence(about={"contrato": None, "tarifa_brl_km": None, "valor_brl": None}, terms=None)
    assert "nenhum contrato em vigor" in text_of(evidence_page(unpriced))


def test_a_franchise_is_told_beside_the_money_at_stake():
    told = (
        "Além da franquia R$ 12,00 o contrato tem franquia de 500,000 km por mês, gasta na ordem das "
        "partidas; R$ 33,86 deste valor ficam nela"
    )
    free = terms(franquia_km=500)
    partly = evidence(terms=free, beyond=(Decimal("12.00"), Decimal("33.86")))
    assert told in text_of(evidence_page(partly))
    assert "franquia" not in text_of(evidence_page(evidence()))
    late = evidence(about={"tipo": "horario_divergente", "valor_brl": 0}, terms=free)
    assert "franquia" not in text_of(evidence_page(late))


def test_units_stay_beside_their_numbers():
    page = evidence_page(evidence())
    for said in ("R$ 45,86", "48,000 km", "10 %", "30 min"):
        assert said.replace(" ", "\N{NO-BREAK SPACE}") in page
        assert said not in page


def test_other_rules_than_todays_are_told():
    told = "As tolerâncias citadas no passo a passo são as de hoje"
    assert told in text_of(evidence_page(evidence()))
    assert told not in text_of(evidence_page(evidence(about={"versao_regras": RULES.version})))


@pytest.mark.parametrize("hostile", [HOSTILE, FORMULA, "{{ 7 * 7 }}", "</td></table>"])
def test_what_senders_wrote_is_text_and_nothing_is_fetched(hostile):
    page = evidence_page(
        evidence(
            of={"arquivo": hostile, "numero_ata": hostile, "turno": hostile, "aba": hostile},
            about={"arquivo": hostile, "transportadora": hostile, "frase": hostile, "equipamento": hostile},
        )
    )
    assert_alone(page)
    assert text_of(page).count(hostile) == 9


def bars(svg: str) -> list[tuple[float, float, str]]:
    """Left edge, width and tooltip of every bar."""
    svg = svg.replace("\N{NO-BREAK SPACE}", " ")
    found = re.findall(r'<title>([^<]*km)</title><rect x="([\d.]+)" y="\d+" width="([\d.]+)"', svg)
    return [(float(x), float(width), said) for said, x, width in found]


def test_the_timeline_is_to_scale():
    facts = evidence()
    svg = day_timeline(facts.trips, facts.segments, facts.hours, {trip_id(1)}, ZONE)
    parsed(f"<html>{svg}</html>")
    drawn = {said: (x, width) for x, width, said in bars(svg)}
    assert set(drawn) == {
        "07:00 às 07:45, 48,0 km",
        "10:00 às 10:45, 20,0 km",
        "07:20 às 08:05, 16,1 km",
        "07:00 às 07:15, 15,1 km",
    }
    hour = (drawn["10:00 às 10:45, 20,0 km"][0] - drawn["07:00 às 07:45, 48,0 km"][0]) / 3
    assert drawn["07:00 às 07:45, 48,0 km"][1] == pytest.approx(hour * 0.75, abs=0.2)
    assert drawn["07:20 às 08:05, 16,1 km"][0] == pytest.approx(
        drawn["07:00 às 07:15, 15,1 km"][0] + hour / 3, abs=0.2
    )


def test_hours_without_telemetry_are_shaded_and_a_trip_past_midnight_is_drawn():
    late = trips(trip(saida_utc=DEPARTURE + 16 * HOUR, chegada_utc=DEPARTURE + 18 * HOUR))
    states = {23: "missing", 24: "open", 3: "missing"}
    svg = day_timeline(late, segments(), hours(states=states), {trip_id(1)}, ZONE)
    assert svg.count("<title>Hora sem telemetria</title>") == 2
    assert [said for _, _, said in bars(svg)] == ["23:00 às 01:00, 20,0 km"]
    assert "Listrado" in svg
    assert "Listrado" not in day_timeline(late, segments(), hours(), {trip_id(1)}, ZONE)
