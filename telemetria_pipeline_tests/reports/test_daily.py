"""Yesterday's report: page, workbook and Markdown say the same, to the cent."""

from datetime import UTC, datetime
from decimal import Decimal

import pandas as pd

from telemetria_pipeline.reports.daily import DailyFacts, daily_markdown, daily_page, daily_workbook
from telemetria_pipeline_tests.core.audit.rows import DAY, ZONE, trip, trip_id, trips
from telemetria_pipeline_tests.reports.html import assert_alone, text_of
from telemetria_pipeline_tests.reports.rows import (
    FORMULA,
    HOSTILE,
    divergence,
    divergences,
    vehicle_day,
    vehicle_days,
)
from telemetria_pipeline_tests.reports.sheets import Sheets

OTHER = {"veiculo": "ABC1C34", "placa": "ABC1C34", "transportadora": "OUTRA"}


def hours_of_day(**said) -> pd.DataFrame:
    rows = [
        {"fonte": "alfa", "hora": f"{n:02d}:00", "estado": "captured", "tentativas": 0, "erro": None}
        for n in range(24)
    ]
    rows[13] |= said
    return pd.DataFrame(rows)


def boletins_of_day(*rows: tuple[str, str]) -> pd.DataFrame:
    landed = pd.Timestamp(datetime(2026, 3, 11, 9, 30, tzinfo=UTC))
    counts = {"recebidas": 40, "aceitas": 0, "repetidas": 0, "rejeitadas": 40}
    columns = ["arquivo", "veredito", "recebido_utc", *counts]
    found = pd.DataFrame(
        [{"arquivo": f, "veredito": v, "recebido_utc": landed, **counts} for f, v in rows], columns=columns
    )
    return found.astype({"recebido_utc": "datetime64[us, UTC]"})


def facts(**said) -> DailyFacts:
    """Two vehicles, 20 km at R$ 2.73 and 10.5 km at R$ 3.01 of 12 declared; one hour without an answer."""
    found = {
        "trips": trips(
            trip(), trip(**OTHER, km_declarado=12, km_medido="10.5", km_auditado="10.5", tarifa_brl_km="3.01")
        ),
        "km": vehicle_days(
            vehicle_day(),
            vehicle_day(**OTHER, km_declarado=12, km_medido="10.5", km_auditado="10.5", saltos=1),
        ),
        "divergences": divergences(divergence(**OTHER, valor_brl="4.52")),
        "hours": hours_of_day(estado="missing", tentativas=4, erro="the carrier answered 503"),
        "boletins": boletins_of_day(("depot.xlsx", "accepted"), (HOSTILE, "rejected")),
    }
    return DailyFacts(DAY, ZONE, **found | said)


def test_the_day_in_numbers():
    assert dict(facts().headline()) == {
        "Gasto variável": "R$ 86,21",  # 54.60 + 31.605, half up
        "Pelos km declarados": "R$ 90,72",
        "Viagens": "2",
        "Km declarados": "32,000 km",
        "Km medidos": "30,500 km",
        "Km auditados": "30,500 km",
        "Em jogo, divergente": "R$ 4,52",
        "Em jogo, inconclusivo": "R$ 0,00",
        "A declarar, retido": "R$ 0,00",
        "Horas incompletas ou sem resposta": "1",
        "Boletins devolvidos": "1 de 2",
        "Rodaram sem boletim": "0",
    }


def test_page_workbook_and_markdown_agree():
    day = facts()
    sheets = Sheets(daily_workbook(day))
    assert sheets.book.sheetnames == [
        *("Resumo", "Veículos", "Divergências", "Cadastro", "Horas", "Boletins")
    ]
    for sheet in ("Resumo", "Veículos"):
        assert sheets.total(sheet, "Gasto variável") == day.spent == Decimal("86.21")
        assert sheets.total(sheet, "Km auditado") == Decimal("30.5")
    assert sheets.total("Resumo", "Em jogo, divergente") == Decimal("4.52")
    assert all(sheets.value(s, c) == sheets.stored(s, c) for s, c in sheets.formulas())
    for said in (text_of(daily_page(day)), daily_markdown(day)):
        assert "R$ 86,21" in said
        assert "R$ 4,52" in said


def test_vehicles_are_listed_with_what_is_odd_about_them():
    idle = vehicle_day(
        veiculo="ZZZ1A11", km_auditado=0, sem_dados=True, sem_telemetria=True, sem_boletim=True
    )
    day = facts(km=vehicle_days(vehicle_day(), vehicle_day(**OTHER, saltos=1), idle))
    sheets = Sheets(daily_workbook(day))
    assert sheets.column("Veículos", "Veículo") == ["GDP4J68", "ABC1C34", "ZZZ1A11"]
    assert sheets.column("Veículos", "Observações") == [
        None,
        "odômetro saltou",
        "sem dados, sem telemetria, sem boletim",
    ]
    assert sheets.column("Veículos", "Gasto variável")[2] == 0
    assert "ZZZ1A11" in text_of(daily_page(day))


def test_hours_without_an_answer_are_told_with_tries_and_error():
    page = text_of(daily_page(facts()))
    assert "13:00 Sem resposta 4 the carrier answered 503" in page
    assert "12:00" not in page
    assert "Horários em America/Sao_Paulo, o fuso do contrato." in page
    assert "Nenhuma viagem neste dia" not in page
    whole = text_of(daily_page(facts(hours=hours_of_day())))
    assert "todas as horas do dia foram recebidas" in whole
    assert len(Sheets(daily_workbook(facts())).column("Horas", "Hora")) == 24


def test_boletins_are_told_with_their_verdict_and_the_zones_clock():
    page = text_of(daily_page(facts()))
    assert f"{HOSTILE} Devolvido 11/03 06:30 40 0 0 40" in page
    assert_alone(daily_page(facts()))
    assert "Nenhum boletim declara este dia" in text_of(daily_page(facts(boletins=boletins_of_day())))


def test_names_that_senders_gave_stay_text():
    day = facts(boletins=boletins_of_day((FORMULA, "rejected")))
    assert Sheets(daily_workbook(day)).column("Boletins", "Arquivo") == [FORMULA]
    assert FORMULA in text_of(daily_page(day))


def test_trips_without_a_tariff_are_counted_not_guessed():
    day = facts(trips=trips(trip(tarifa_brl_km=None)), km=vehicle_days(vehicle_day()))
    assert day.spent == 0
    assert "Viagens sem tarifa, fora do gasto: 1." in text_of(daily_page(day))


def test_the_dearest_come_first_and_the_rest_is_counted():
    many = divergences(*(divergence(valor_brl=100 - n, frase=f"frase {n:02d}") for n in range(23)))
    page = text_of(daily_page(facts(divergences=many)))
    assert page.index("frase 00") < page.index("frase 19")
    assert "frase 20" not in page
    assert "Outras 3 estão na planilha" in page
    said = daily_markdown(facts(divergences=many))
    assert "5. R$ 96,00, quilometragem divergente, GDP4J68" in said
    assert "\n6. " not in said
    assert said.count("](data:image/png;base64,") == 2


def test_a_day_without_anything_is_a_report_too():
    nothing = facts(trips=trips(), km=vehicle_days(), divergences=divergences(), boletins=boletins_of_day())
    page = daily_page(nothing)
    assert "Nenhuma divergência" in text_of(page)
    assert "Nenhuma viagem neste dia, declarada ou medida." in text_of(page)
    assert "data:image" not in page + daily_markdown(nothing)
    assert Sheets(daily_workbook(nothing)).total("Resumo", "Gasto variável") == 0
    assert "R$ 0,00" in daily_markdown(nothing)


def test_only_the_vehicles_whose_hours_are_missing_and_whose_boletim_did_not_come_are_asked_for():
    km = vehicle_days(
        vehicle_day(horas_sem_telemetria=3, sem_boletim=True),
        vehicle_day(**OTHER, horas_sem_telemetria=3, sem_boletim=False),
        vehicle_day(veiculo="XYZ9J99", placa="XYZ9J99", sem_boletim=True),
    )
    found = facts(km=km)
    request = "VIAÇÃO TESTE: envie os boletins de 10/03/2026 de GDP4J68."
    assert found.asked_for == [request]
    assert request in text_of(daily_page(found))
    assert facts().asked_for == []


def test_what_the_franchise_covers_is_not_at_stake_and_comes_last():
    free = pd.Series([100_000], [trip_id(1)])
    day = facts(
        divergences=divergences(
            divergence(frase="coberta", valor_brl="45.86"),
            divergence(**OTHER, viagem_id=trip_id(2), frase="cara"),
        ),
        franchise=free,
    )
    page = text_of(daily_page(day))
    assert page.index("cara") < page.index("coberta")
    assert "na franquia R$ 45,86 Quilometragem divergente" in page
    assert dict(day.headline())["Em jogo, divergente"] == "R$ 45,86"
    sheets = Sheets(daily_workbook(day))
    assert sheets.column("Divergências", "R$ em jogo") == [Decimal("45.86"), 0]
    assert sheets.column("Divergências", "Na franquia") == [0, Decimal("45.86")]
    assert sheets.total("Resumo", "Em jogo, divergente") == Decimal("45.86")


def test_a_carrier_that_always_declares_a_little_more_is_told_in_money():
    more = [trip(km_declarado="21.5", km_medido=20, km_auditado="21.5") for _ in range(3)]
    less = trip(km_declarado=19, km_medido=20, km_auditado=19)
    unmeasured = trip(km_declarado=50, km_medido=None, km_auditado=50)
    judged = trip(km_declarado=90, km_medido=20, km_auditado=20, veredito="divergente")
    day = facts(trips=trips(*more, less, unmeasured, judged, trip(**OTHER)))
    row = day.carriers.set_index("transportadora").loc["VIAÇÃO TESTE"]
    assert (row["excesso_brl"], row["a_mais"], row["aceitas"]) == (Decimal("9.56"), 3, 4)  # 3.5 km at 2.73
    assert "R$ 9,56 3 de 4 a mais" in text_of(daily_page(day))
    assert "R$ 0,00 0 de 1 a mais" in text_of(daily_page(day))
    sheets = Sheets(daily_workbook(day))
    assert sheets.total("Resumo", "A mais, dentro da tolerância") == Decimal("9.56")
    assert (
        sheets.total("Resumo", "Delas, a mais"),
        sheets.total("Resumo", "Viagens dentro da tolerância"),
    ) == (3, 5)


def test_boletins_that_were_returned_or_never_sent_are_told():
    km = vehicle_days(
        vehicle_day(sem_boletim=True, km_medido="31.2"),
        vehicle_day(**OTHER, sem_boletim=True, km_medido=0),
        vehicle_day(veiculo="XYZ9J99", sem_boletim=True),  # under no contract
    )
    sent = boletins_of_day(("a.xlsx", "rejected"), ("b.xlsx", "rejected"), ("b.xlsx", "accepted"))
    day = facts(
        km=km, trips=trips(trip(km_declarado=None), trip(veiculo="XYZ9J99", contrato=None)), boletins=sent
    )
    said = [
        "a.xlsx: devolvido, e ainda não voltou corrigido.",
        "VIAÇÃO TESTE: rodaram e não têm boletim de 10/03/2026: GDP4J68 (31,200 km).",
    ]
    assert day.boletins_due == said
    assert dict(day.headline())["Rodaram sem boletim"] == "1"
    assert " ".join(said) in text_of(daily_page(day))
    page = Sheets(daily_workbook(day)).book["Boletins"]
    assert set(said) <= {row[0].value for row in page.iter_rows()}
    assert facts().boletins_due == [f"{HOSTILE}: devolvido, e ainda não voltou corrigido."]


def test_a_vehicle_that_is_not_registered_is_one_line_however_often_it_drove():
    strange = {"veiculo": "XYZ9J99", "contrato": None, "tarifa_brl_km": None}
    driven = [trip(**strange), trip(**strange), trip(**OTHER, tarifa_brl_km=None), trip()]
    found = divergences(
        divergence(), *(divergence(**strange, tipo="veiculo_desconhecido", valor_brl=None) for _ in range(2))
    )
    day = facts(trips=trips(*driven), divergences=found)
    assert list(zip(day.register_gaps["veiculo"], day.register_gaps["falta"], strict=True)) == [
        ("ABC1C34", "tarifa em vigor"),
        ("XYZ9J99", "linha no cadastro de veículos e tarifa em vigor"),
    ]
    page = text_of(daily_page(day))
    assert page.count("XYZ9J99") == 1
    assert "linha no cadastro de veículos e tarifa em vigor 2 40,000 km 40,000 km" in page
    sheets = Sheets(daily_workbook(day))
    assert sheets.column("Divergências", "Tipo") == ["Quilometragem divergente"]
    assert sheets.column("Cadastro", "Veículo") == ["ABC1C34", "XYZ9J99"]
    assert "Cadastro a completar" not in text_of(daily_page(facts()))
