from datetime import date
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetria_pipeline.contracts.boletim import BOLETIM_QUARANTINE, BOLETIM_TRIPS, HEADER_NAMES, REQUIRED
from telemetria_pipeline.contracts.boletim_problems import problem
from telemetria_pipeline.core.boletim.findings import LISTED_CELLS, group_counts, grouped, listed
from telemetria_pipeline.core.boletim.period import period_of_days, period_of_name
from telemetria_pipeline.core.boletim.rules import validate_rows
from telemetria_pipeline.core.boletim.settings import EarlierTrips, Reference, RowCounts, RuleSettings
from telemetria_pipeline.core.sheets.reader import read_sheet
from telemetria_pipeline.core.sheets.text import DATE, EMPTY, NUMBER, TEXT
from telemetria_pipeline_tests.core.boletim.rows import RECEIVED, codes, csv_of, judged, sheet_of, trip, trips
from telemetria_pipeline_tests.rounds import examples

PARTIAL = RuleSettings(partial=True)


def test_a_sound_row_becomes_a_trip():
    result = judged(trip())
    assert result.counts == RowCounts(1, 1, 0, 0)
    assert codes(result) == []
    assert BOLETIM_TRIPS.broken_by(result.accepted) is None
    row = result.accepted.iloc[0].to_dict()
    assert row == {
        "numero_ata": "0017",
        "placa": "GDP4J68",
        "placa_recebida": "GDP-4J68",
        "equipamento": "3803",
        "data": "2026-11-22",
        "local_saida": "Usina",
        "horario_saida": "07:30:00",
        "local_chegada": "Frente 3",
        "horario_chegada": "08:10:00",
        "turno": "A",
        "km_saida": 45123.0,
        "km_chegada": 45150.0,
        "km_rota": 27.0,
        "qtde_pessoas": 31.0,
        "motorista": "JOSÉ DA SILVA",
        "empresa": "Viação Teste",
        "saida_utc": pd.Timestamp("2026-11-22 10:30", tz="UTC"),
        "chegada_utc": pd.Timestamp("2026-11-22 11:10", tz="UTC"),
        "fuso": "America/Sao_Paulo",
        "km_declarado": 27.0,
        "arquivo": "boletim.csv",
        "aba": row["aba"],
        "placa_substituta": row["placa_substituta"],
        "linha": 2,
    }
    assert pd.isna([row["aba"], row["placa_substituta"]]).all()


def test_optional_columns_may_be_absent_or_empty():
    required = ("PLACA", "DATA", "HORÁRIO SAÍDA", "HORÁRIO CHEGADA", "KM SAÍDA", "KM CHEGADA")
    bare = judged({name: trip()[name] for name in required})
    empty = judged({name: text if name in required else "" for name, text in trip().items()})
    for result in (bare, empty):
        assert result.counts.accepted == 1
        assert result.accepted[["km_rota", "turno", "motorista", "qtde_pessoas"]].isna().all(axis=None)


def test_headers_in_another_order_and_under_other_names():
    names = {
        "KM SAÍDA": "Hodômetro\nInicial",
        "NUMERO ATA": "nº ata",
        "LOCAL SAÍDA": "Origem",
        "DATA": "data da viagem",
    }
    row = {names.get(k, k.lower()): v for k, v in reversed(trip().items())}
    result = judged(row)
    assert result.whole == []
    assert result.accepted["km_saida"].tolist() == [45123]
    assert result.accepted["numero_ata"].tolist() == ["0017"]


@pytest.mark.parametrize(
    ("said", "code", "cell"),
    [
        ({"PLACA": ""}, "CELULA_VAZIA", "B2"),
        ({"KM_CHEGADA": "-"}, "CELULA_VAZIA", "K2"),
        ({"PLACA": "ABCO234"}, "PLACA_INVALIDA", "B2"),
        ({"PLACA": "7499-02-01"}, "PLACA_VIROU_DATA", "B2"),
        ({"DATA": "31/02/2026"}, "DATA_INVALIDA", "D2"),
        ({"DATA": "24/11/2026"}, "DATA_NO_FUTURO", "D2"),
        ({"DATA": "46348"}, "DATA_EM_NUMERO", "D2"),
        ({"HORÁRIO_SAÍDA": "26:10:00"}, "HORARIO_INVALIDO", "F2"),
        ({"HORÁRIO_CHEGADA": "2026-11-20 08:10:00"}, "DATA_DIFERE_DO_HORARIO", "H2"),
        ({"HORÁRIO_CHEGADA": "07:20"}, "VIAGEM_LONGA", "H2"),
        ({"HORÁRIO_CHEGADA": "19:31"}, "VIAGEM_DEMORADA", "H2"),
        ({"KM_SAÍDA": "nan"}, "NUMERO_INVALIDO", "J2"),
        ({"KM_SAÍDA": "-5", "KM_CHEGADA": "22"}, "NUMERO_NEGATIVO", "J2"),
        ({"KM_CHEGADA": "45122"}, "KM_CHEGADA_MENOR", "K2"),
        ({"KM_SAÍDA": "99980,5", "KM_CHEGADA": "7,5", "KM_ROTA": ""}, "ODOMETRO_VIROU", "K2"),
        ({"KM_SAÍDA": "999980", "KM_CHEGADA": "7", "KM_ROTA": ""}, "ODOMETRO_VIROU", "K2"),
        ({"KM_SAÍDA": "99980", "KM_CHEGADA": "7", "KM_ROTA": "28,1"}, "KM_CHEGADA_MENOR", "K2"),
        ({"KM_SAÍDA": "99980", "KM_CHEGADA": "91,7", "KM_ROTA": ""}, "KM_CHEGADA_MENOR", "K2"),
        ({"KM_SAÍDA": "145123", "KM_CHEGADA": "45150"}, "KM_CHEGADA_MENOR", "K2"),
        ({"KM_CHEGADA": "451500", "KM_ROTA": ""}, "KM_IMPLAUSIVEL", "K2"),
        ({"KM_ROTA": "28,1"}, "KM_ROTA_DIFERE", "L2"),
        ({"QTDE_PESSOAS": "12,5"}, "NUMERO_INTEIRO", "M2"),
        ({"QTDE_PESSOAS": "muitas"}, "NUMERO_INVALIDO", "M2"),
        ({"HORÁRIO_CHEGADA": "07:31"}, "VELOCIDADE_IMPLAUSIVEL", "H2"),
        ({"HORÁRIO_CHEGADA": "07:30"}, "VELOCIDADE_IMPLAUSIVEL", "H2"),
        ({"KM_CHEGADA": "45123,6", "KM_ROTA": ""}, "VELOCIDADE_BAIXA", "K2"),
        ({"KM_CHEGADA": "45123", "KM_ROTA": ""}, "KM_ZERO", "K2"),
        ({"PLACA": "AAA-0000"}, "PLACA_FICTICIA", "B2"),
        ({"PLACA": "zzz0000"}, "PLACA_FICTICIA", "B2"),
        ({"HORÁRIO_SAÍDA": "0,3125"}, "HORARIO_EM_NUMERO", "F2"),
        ({"HORÁRIO_SAÍDA": "730"}, "HORARIO_INVALIDO", "F2"),
        # What follows from a mistake in the same row is not a second one.
        ({"KM_SAÍDA": "4512O", "KM_ROTA": "#VALOR!"}, "NUMERO_INVALIDO", "J2"),
        ({"KM_CHEGADA": "", "KM_ROTA": "-45123"}, "CELULA_VAZIA", "K2"),
        ({"KM_SAÍDA": "45150", "KM_CHEGADA": "45123", "KM_ROTA": "-27"}, "KM_CHEGADA_MENOR", "K2"),
        ({"KM_SAÍDA": "-45123", "KM_CHEGADA": "45150"}, "NUMERO_NEGATIVO", "J2"),
        (
            {"HORÁRIO_SAÍDA": "2026-11-21 07:30:00", "HORÁRIO_CHEGADA": "2026-11-21 08:10:00"},
            "DATA_DIFERE_DO_HORARIO",
            "F2",
        ),
        ({"DATA": "22/11/2027", "HORÁRIO_SAÍDA": "2026-11-22 07:30:00"}, "DATA_NO_FUTURO", "D2"),
    ],
)
def test_one_mistake_is_one_problem_at_its_cell(said, code, cell):
    result = judged(trip(**said))
    assert codes(result) == [(code, cell)]
    found = result.findings[0].problems()[0]
    assert found.severity == result.findings[0].severity
    assert "{" not in found.message + found.suggestion
    assert "None" not in found.message + found.suggestion
    assert result.counts.accepted == (found.severity == "aviso")


@pytest.mark.parametrize(
    "said",
    [
        {"KM_ROTA": "28"},
        {"KM_ROTA": "26"},
        {"HORÁRIO_CHEGADA": "19:30"},
        {"QTDE_PESSOAS": "0"},
        {"HORÁRIO_CHEGADA": "08:30", "KM_CHEGADA": "45124", "KM_ROTA": ""},  # 1 km/h
        {"HORÁRIO_CHEGADA": "07:44", "KM_CHEGADA": "45123,1", "KM_ROTA": ""},  # not 15 minutes
        {"PLACA": "3272 - GDP4J68"},
        {"DATA": "dom., 22/11/2026", "HORÁRIO_SAÍDA": "0730", "HORÁRIO_CHEGADA": "08.10"},
    ],
)
def test_what_lies_on_the_limit_is_within_it(said):
    assert codes(judged(trip(**said))) == []


@pytest.mark.parametrize(("out", "arrived", "km"), [("99980,5", "7,5", 27), ("999990", "0", 10)])
def test_an_odometer_that_rolled_over_counts_what_was_driven_and_the_route_confirms_it(out, arrived, km):
    turned = trip(KM_SAÍDA=out, KM_CHEGADA=arrived, KM_ROTA=str(km))
    later = trip(
        HORÁRIO_SAÍDA="09:00", HORÁRIO_CHEGADA="09:20", KM_SAÍDA=arrived, KM_CHEGADA="20", KM_ROTA=""
    )
    result = judged(turned, later)
    assert codes(result) == []
    assert result.accepted["km_declarado"].tolist()[0] == km
    assert BOLETIM_TRIPS.broken_by(result.accepted) is None
    asked = judged(trip(KM_SAÍDA=out, KM_CHEGADA=arrived, KM_ROTA="")).findings[0].problems()[0]
    assert f"a viagem foi contada com {km} km" in asked.message
    assert f"escreva {km} em L2" in asked.suggestion


def test_an_odometer_that_is_about_to_roll_over_within_the_time_and_speed_of_a_bus():
    most = 160 * 40 / 60 + 5  # forty minutes
    fast = {"HORÁRIO_CHEGADA": "08:10", "KM_SAÍDA": "99950", "KM_ROTA": ""}
    within = judged(trip(**fast, KM_CHEGADA=f"{most - 50.01:.2f}".replace(".", ",")))
    assert [code for code, _ in codes(within)] == ["ODOMETRO_VIROU", "VELOCIDADE_IMPLAUSIVEL"]
    beyond = judged(trip(**fast, KM_CHEGADA=f"{most - 49.98:.2f}".replace(".", ",")))
    assert codes(beyond) == [("KM_CHEGADA_MENOR", "K2")]
    without_clock = judged(trip(**fast | {"HORÁRIO_CHEGADA": "x"}, KM_CHEGADA="20"))
    assert ("KM_CHEGADA_MENOR", "K2") in codes(without_clock)


def test_an_odometer_may_roll_over_between_two_trips_but_not_fall():
    first = trip(KM_SAÍDA="99970", KM_CHEGADA="99997")
    second = {"HORÁRIO_SAÍDA": "09:00", "HORÁRIO_CHEGADA": "09:40"}
    assert codes(judged(first, trip(**second, KM_SAÍDA="3", KM_CHEGADA="30"))) == []
    fallen = judged(first, trip(**second, KM_SAÍDA="9999", KM_CHEGADA="10026"))
    assert codes(fallen) == [("ODOMETRO_VOLTOU", "J3")]


def test_a_row_may_say_which_vehicle_ran_in_place_of_its_plate():
    known = Reference(VEHICLES)
    ours = {"PLACA": "GDP-4J68", "EQUIPAMENTO": "3803"}
    spare = trip(**ours) | {"Substituído por": "abc-1234"}  # another fleet number beside it is no mistake
    empty = trip(**ours, HORÁRIO_SAÍDA="09:00", HORÁRIO_CHEGADA="09:40") | {"Substituído por": "-"}
    result = judged(spare | {"EQUIPAMENTO": "77"}, empty, reference=known)
    assert codes(result) == []
    assert result.accepted["placa"].tolist() == ["GDP4J68"] * 2
    assert result.accepted["placa_substituta"].fillna("").tolist() == ["ABC1C34", ""]
    assert BOLETIM_TRIPS.broken_by(result.accepted) is None
    strange = judged(trip() | {"Substituto": "XYZ1A23"}, reference=known)
    assert codes(strange) == [("PLACA_DESCONHECIDA", "P2")]
    assert codes(judged(trip() | {"Substituto": "XYZ1A2"})) == [("PLACA_INVALIDA", "P2")]


def test_odometers_and_clocks_are_those_of_the_vehicle_that_ran():
    """A spare runs between two trips of the bus, with an odometer of its own, while the bus is under way."""
    first = trip(HORÁRIO_CHEGADA="09:00", KM_CHEGADA="45183", KM_ROTA="60")
    spare = trip(
        HORÁRIO_SAÍDA="08:30", HORÁRIO_CHEGADA="09:10", KM_SAÍDA="812", KM_CHEGADA="839", KM_ROTA="27"
    )
    last = trip(
        HORÁRIO_SAÍDA="10:00", HORÁRIO_CHEGADA="10:40", KM_SAÍDA="45183", KM_CHEGADA="45210", KM_ROTA="27"
    )
    none, by_abc = {"SUBSTITUTO": ""}, {"SUBSTITUTO": "ABC1C34"}
    assert codes(judged(first | none, spare | by_abc, last | none)) == []
    as_one = [code for code, _ in codes(judged(first, spare, last, settings=PARTIAL))]
    assert as_one == ["VEICULO_EM_DOIS_LUGARES", "ODOMETRO_SALTOU"]
    twice = judged(spare | by_abc, spare | {"PLACA": "ABC1C34"} | none)
    assert [code for code, _ in codes(twice)] == ["LINHA_REPETIDA"]

    def earlier(*_):
        return judged(spare | by_abc).accepted

    again = judged(spare | {"PLACA": "ABC-1234"} | none, earlier=earlier)
    assert [code for code, _ in codes(again)] == ["LINHA_JA_ENVIADA"]
    backwards = judged(
        trip(PLACA="ABC1C34", HORÁRIO_SAÍDA="11:00", HORÁRIO_CHEGADA="11:40", KM_SAÍDA="800",
             KM_CHEGADA="827"),
        earlier=earlier,
    )  # fmt: skip
    assert [code for code, _ in codes(backwards)] == ["ODOMETRO_VOLTOU"]


def test_an_arrival_on_the_next_day():
    result = judged(trip(HORÁRIO_SAÍDA="23h30", HORÁRIO_CHEGADA="00:20"))
    assert codes(result) == []
    assert result.accepted["chegada_utc"].tolist() == [pd.Timestamp("2026-11-23 03:20", tz="UTC")]


def test_midnight_is_the_end_of_a_day_or_its_beginning():
    until, begin = (
        trip(HORÁRIO_SAÍDA="23:10", HORÁRIO_CHEGADA="24:00"),
        trip(HORÁRIO_SAÍDA="24:00", HORÁRIO_CHEGADA="00:30", KM_SAÍDA="45150", KM_CHEGADA="45177"),
    )
    result = judged(until, begin)
    assert codes(result) == []
    midnight = pd.Timestamp("2026-11-23 03:00", tz="UTC")
    assert result.accepted["chegada_utc"].tolist()[0] == midnight == result.accepted["saida_utc"].tolist()[1]
    assert result.accepted["horario_chegada"].tolist()[0] == "24:00:00"


def test_a_clock_may_carry_the_day_that_it_means():
    result = judged(
        trip(
            HORÁRIO_SAÍDA="2026-11-22 23:30:00",
            HORÁRIO_CHEGADA="2026-11-23 00:20:00",
            DATA="2026-11-22 00:00:00",
        )
    )
    assert codes(result) == []


def test_a_file_with_an_error_is_refused_whole_and_every_row_says_why():
    result = judged(trip(), trip(PLACA="X"), trip())
    assert result.counts == RowCounts(3, 0, 1, 2)
    assert result.accepted.empty
    assert BOLETIM_QUARANTINE.broken_by(result.rejected) is None
    assert result.rejected[["linha", "situacao", "codigo"]].values.tolist() == [
        [2, "rejeitada", "LINHA_DE_ARQUIVO_DEVOLVIDO"],
        [3, "rejeitada", "PLACA_INVALIDA"],
        [4, "duplicada", "LINHA_REPETIDA"],
    ]


def test_in_part_the_good_rows_come_in():
    result = judged(trip(), trip(PLACA="X", KM_ROTA="99"), trip(), settings=PARTIAL)
    assert result.counts == RowCounts(3, 1, 1, 1)
    assert result.accepted["linha"].tolist() == [2]
    assert result.rejected[["linha", "codigo"]].values.tolist() == [
        [3, "PLACA_INVALIDA"],
        [3, "KM_ROTA_DIFERE"],
        [4, "LINHA_REPETIDA"],
    ]


def test_a_missing_column_is_named_and_a_near_miss_is_a_question():
    row = {("PLCA" if k == "PLACA" else k): v for k, v in trip().items()}
    result = judged(row)
    assert [p.code for p in result.whole] == ["COLUNA_OBRIGATORIA_AUSENTE", "COLUNA_PARECIDA"]
    assert "PLCA (coluna B)" in result.whole[0].suggestion
    assert "você quis dizer PLACA?" in result.whole[1].message
    assert result.counts == RowCounts(1, 0, 0, 1)


def test_columns_that_nobody_knows_are_said_and_noise_is_not():
    result = judged({**trip(), "OBS": "x", "CÓDIGO2": "0", "TAXA LOTAÇÃO": "0"})
    assert [(p.code, p.cell) for p in result.whole] == [("COLUNA_DESCONHECIDA", "P1")]
    assert result.counts.accepted == 1


def test_a_required_column_twice_is_refused_and_an_optional_one_is_said():
    assert [p.code for p in judged({**trip(), "KM INICIAL": "1"}).whole] == ["COLUNAS_EM_CONFLITO"]
    assert judged({**trip(), "KM INICIAL": "45123"}).whole == []
    said = judged({**trip(), "TRANSPORTADORA": "Outra"})
    assert [p.code for p in said.whole] == ["COLUNA_PRETERIDA"]
    assert said.accepted["empresa"].tolist() == ["Viação Teste"]


def us_rows(*texts):
    return [{**row, "DATA": text} for row, text in zip(trips(len(texts)), texts, strict=True)]


def test_month_first_is_one_cause_for_the_whole_column():
    result = judged(*us_rows("11/22/2026", "11/05/2026", "05/06/2026"), received_on=date(2026, 12, 1))
    assert [(f.code, len(f.positions)) for f in result.findings] == [("DATA_MM_DD", 3)]
    assert "06/05/2026" in result.findings[0].problems()[2].suggestion
    group = grouped(result.findings, result.whole, np.array([2, 3, 4]))[0]
    assert str(group) == "3 linhas: DATA: Data em mm/dd/aaaa (D2 a D4)"


def test_a_column_with_days_first_makes_a_month_first_one_a_single_mistake():
    result = judged(*us_rows("11/22/2026", "21/11/2026", "05/11/2026"))
    assert [(f.code, f.positions.tolist()) for f in result.findings if f.severity == "erro"] == [
        ("DATA_MM_DD", [0])
    ]


def test_dates_that_excel_exchanged_while_they_were_typed_are_seen():
    rows = us_rows("11/22/2026", "2026-05-11", "2026-06-11")
    kinds = {"D": np.array([TEXT, DATE, DATE], np.uint8)}
    assert [f.code for f in judged(*rows, kinds=kinds).findings] == ["DATA_MM_DD"]
    assert judged(*rows, kinds=kinds).findings[0].positions.tolist() == [0, 1, 2]
    sound = us_rows("11/22/2026", "2026-11-20", "2026-06-11")
    assert judged(*sound, kinds=kinds).findings[0].positions.tolist() == [0]


def test_numbers_held_as_text_beside_numbers():
    rows = trips(2)
    kinds = {
        "J": np.array([NUMBER, TEXT], np.uint8),
        "K": np.array([NUMBER] * 2, np.uint8),
        "D": np.array([EMPTY] * 2),
    }
    result = judged(*rows, kinds=kinds)
    assert codes(result) == [("NUMERO_COMO_TEXTO", "J3")]
    assert result.counts.accepted == 2


def test_a_thousands_point_is_read_as_brazil_writes_it_and_said():
    result = judged(trip(KM_SAÍDA="45.123", KM_CHEGADA="45.150"))
    assert codes(result) == [("NUMERO_COM_PONTO_DE_MILHAR", "J2"), ("NUMERO_COM_PONTO_DE_MILHAR", "K2")]
    assert result.accepted["km_declarado"].tolist() == [27]


def test_a_number_with_two_readings_is_asked_about():
    result = judged(trip(), trip(KM_SAÍDA="45.123", KM_CHEGADA="45123,5", KM_ROTA="7.55"))
    found = next(f for f in result.findings if f.code == "NUMERO_AMBIGUO").problems()[0]
    assert "45123 ou 45,123" in found.message


def test_the_same_trip_twice_counts_once_whatever_stands_between():
    other = trip(
        KM_SAÍDA="45150", KM_CHEGADA="45160", KM_ROTA="10", HORÁRIO_SAÍDA="09:00", HORÁRIO_CHEGADA="09:20"
    )
    result = judged(trip(), other, trip(PLACA="gdp4j68", HORÁRIO_SAÍDA="7h30"), trip(MOTORISTA="Outro"))
    assert result.counts == RowCounts(4, 2, 2, 0)
    said = [p.message for f in result.findings for p in f.problems()]
    assert [m.split(" (")[0] for m in said] == ["A linha 4 repete a linha 2", "A linha 5 repete a linha 2"]


def test_two_trips_that_differ_in_km_are_no_duplicates():
    result = judged(trip(), trip(KM_CHEGADA="45151"))
    assert result.counts.duplicate == 0
    assert [c for c, _ in codes(result)] == ["VEICULO_EM_DOIS_LUGARES"]


def test_one_vehicle_in_two_places():
    first = trip(HORÁRIO_SAÍDA="06:00", HORÁRIO_CHEGADA="09:00")
    inside = trip(
        HORÁRIO_SAÍDA="06:30", HORÁRIO_CHEGADA="07:00", KM_SAÍDA="45150", KM_CHEGADA="45160", KM_ROTA="10"
    )
    after = trip(
        HORÁRIO_SAÍDA="08:59", HORÁRIO_CHEGADA="09:30", KM_SAÍDA="45160", KM_CHEGADA="45170", KM_ROTA="10"
    )
    result = judged(after, inside, first)
    found = next(f for f in result.findings if f.code == "VEICULO_EM_DOIS_LUGARES").problems()
    assert [(p.cell, p.severity) for p in found] == [("F3", "erro")]
    assert "linha 4 só chega às 09:00 de 22/11/2026" in found[0].message
    # A long trip is still under way after a short one inside it has ended.
    late = {**after, "HORÁRIO SAÍDA": "08:30"}
    again = judged(first, inside, late)
    found = next(f for f in again.findings if f.code == "VEICULO_EM_DOIS_LUGARES").problems()
    assert [p.cell for p in found] == ["F3", "F4"]
    assert "linha 2 só chega" in found[1].message
    other = judged({**first, "PLACA": "ABC1D23"}, inside)
    assert codes(other) == []


def test_an_odometer_that_does_not_continue_names_both_cells():
    first, second = trips(2)
    back = judged({**second, "KM SAÍDA": "900", "KM CHEGADA": "910"}, first)
    assert codes(back) == [("ODOMETRO_VOLTOU", "J2")]
    assert "(1010, célula K3)" in back.findings[0].problems()[0].message
    jump = judged(first, {**second, "KM SAÍDA": "3011", "KM CHEGADA": "3021"})
    assert codes(jump) == [("ODOMETRO_SALTOU", "J3")]
    assert codes(judged(first, {**second, "KM SAÍDA": "3010", "KM CHEGADA": "3020"})) == []
    assert jump.counts.accepted == 2


def before(trips: pd.DataFrame) -> EarlierTrips:
    """Earlier trips, for a file that is asked about with the vehicles and days that it declares."""

    def around(pairs: pd.DataFrame) -> pd.DataFrame:
        assert list(pairs) == ["placa", "data"]
        assert (pairs["data"] == "2026-11-22").all()
        assert not pairs.duplicated().any()
        return trips

    return around


def test_earlier_files_take_part():
    earlier = before(judged(*trips(2), file_name="ontem.csv").accepted)
    again, follows = trips(2)[1], trips(3)[2]
    result = judged(again, {**follows, "KM SAÍDA": "900", "KM CHEGADA": "910"}, earlier=earlier)
    assert result.counts == RowCounts(2, 1, 1, 0)
    assert codes(result) == [("LINHA_JA_ENVIADA", None), ("ODOMETRO_VOLTOU", "J3")]
    said = [p.message for f in result.findings for p in f.problems()]
    assert "linha 3 do arquivo ontem.csv" in said[0]
    assert "linha 3 do arquivo ontem.csv" in said[1]
    crossing = judged(
        {**again, "HORÁRIO SAÍDA": "00:20", "HORÁRIO CHEGADA": "00:40", "KM CHEGADA": "1021"}, earlier=earlier
    )
    assert ("VEICULO_EM_DOIS_ARQUIVOS", "F2") in codes(crossing)
    assert crossing.counts.accepted == 1


@pytest.mark.parametrize(
    ("ours", "theirs", "clash"),
    [
        (("07:30", "08:10"), ("08:00", "09:00"), True),  # theirs departs after our last departure
        (("07:30", "10:00"), ("08:00", "09:00"), True),
        (("07:30", "08:10"), ("07:00", "07:40"), True),
        (("07:30", "08:10"), ("08:10", "09:00"), False),
        (("07:30", "08:10"), ("08:09", "09:00"), False),  # a minute is none
        (("07:30", "08:10"), ("07:00", "07:30"), False),
    ],
)
def test_a_trip_and_one_of_another_file_overlap_whichever_departs_first(ours, theirs, clash):
    other = trip(HORÁRIO_SAÍDA=theirs[0], HORÁRIO_CHEGADA=theirs[1], KM_ROTA="")
    earlier = before(judged(other, file_name="ontem.csv").accepted)
    result = judged(
        trip(HORÁRIO_SAÍDA=ours[0], HORÁRIO_CHEGADA=ours[1], KM_CHEGADA="45151", KM_ROTA=""), earlier=earlier
    )
    found = [p for f in result.findings for p in f.problems() if f.code == "VEICULO_EM_DOIS_ARQUIVOS"]
    assert [(p.cell, p.severity) for p in found] == [("F2", "aviso")] * clash
    when = f"que sai às {theirs[0]} de 22/11/2026 e chega às {theirs[1]} de 22/11/2026."
    assert not found or found[0].message.endswith(f"a da linha 2 do arquivo ontem.csv, {when}")
    assert result.counts.accepted == 1


def test_earlier_trips_of_other_plates_do_not_matter():
    earlier = before(judged(*[{**t, "PLACA": "XYZ1A23"} for t in trips(2)]).accepted)
    assert codes(judged(*trips(2), earlier=earlier)) == []


VEHICLES = pd.DataFrame(
    {
        "placa": ["GDP4J68", "ABC1C34"],
        "equipamento": ["03803", "77"],
        "fuso": ["America/Cuiaba", None],
    },
    dtype="str",
)


def test_what_the_reference_tables_know():
    known = Reference(VEHICLES, pd.DataFrame({"motorista": ["Jose da Silva"]}, dtype="str"))
    rows = [
        trip(),
        trip(PLACA="ABC-1234"),
        trip(PLACA="XYZ1A23", MOTORISTA="Fulano", EQUIPAMENTO=""),
    ]
    result = judged(*rows, reference=known, settings=PARTIAL)
    assert codes(result) == [
        ("EQUIPAMENTO_DIVERGENTE", "C3"),
        ("PLACA_DESCONHECIDA", "B4"),
        ("MOTORISTA_DESCONHECIDO", "N4"),
    ]
    assert result.accepted["fuso"].tolist() == ["America/Cuiaba", "America/Sao_Paulo"]
    assert result.accepted["saida_utc"].dt.hour.tolist() == [11, 10]


def test_a_drivers_name_is_in_no_message():
    known = Reference(drivers=pd.DataFrame({"motorista": ["Outro"]}, dtype="str"))
    found = judged(trip(), reference=known).findings[0].problems()[0]
    assert "jos" not in (found.message + found.suggestion).lower()


def test_one_plate_with_two_fleet_numbers():
    rows = trips(3)
    rows[1]["EQUIPAMENTO"] = "9"
    assert codes(judged(*rows)) == [("EQUIPAMENTO_VARIA", "C3")]


def test_an_operator_may_turn_a_warning_into_an_error_and_back():
    known = Reference(VEHICLES)
    strict = RuleSettings(severities={"PLACA_DESCONHECIDA": "erro", "KM_ROTA_DIFERE": "aviso"})
    unknown = judged(trip(PLACA="XYZ1A23"), reference=known, settings=strict)
    assert unknown.counts.rejected == 1
    assert unknown.findings[0].problems()[0].severity == "erro"
    assert judged(trip(KM_ROTA="99"), settings=strict).counts.accepted == 1
    with pytest.raises(ValueError, match="PLACA_INVALIDA=aviso cannot be set"):
        RuleSettings(severities={"PLACA_INVALIDA": "aviso"})


def test_dates_outside_the_files_period():
    rows = trips(30)
    rows[4]["DATA"] = "22/10/2026"
    by_majority = judged(*rows)
    assert ("DATA_FORA_DO_PERIODO", "D6") in codes(by_majority)
    by_name = judged(*trips(2), file_name="boletim 20-11-2026.csv")
    assert [c for c, _ in codes(by_name)] == ["DATA_FORA_DO_PERIODO"] * 2
    assert by_name.counts.accepted == 2


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [
        ("boletim_2026-11-22.xlsx", "2026-11-21", "2026-11-23"),
        ("BOLETIM 22.11.2026 a 24.11.2026.csv", "2026-11-21", "2026-11-25"),
        ("20261122.csv", "2026-11-21", "2026-11-23"),
        ("garagem 2026-11.csv", "2026-10-16", "2026-11-30"),
        ("garagem 12-2026.csv", "2026-11-16", "2026-12-31"),
        ("Novembro 2026.xlsx", "2026-10-16", "2026-11-30"),
        ("nov26.xlsx", "2026-10-16", "2026-11-30"),
        ("jan_2026.xlsx", "2025-12-16", "2026-01-31"),
    ],
)
def test_the_period_in_a_files_name(name, first, last):
    days = period_of_name(name)
    assert days is not None
    assert [str(np.datetime64(d, "D")) for d in days] == [first, last]


@pytest.mark.parametrize("name", ["boletim.csv", "frota 3803.csv", "99999999.csv", "mes 13-2026.csv"])
def test_a_name_without_a_period(name):
    assert period_of_name(name) is None


def test_two_halves_of_a_file_are_nobodys_mistake():
    assert period_of_days(np.array([1] * 10 + [40] * 10)) is None
    assert period_of_days(np.array([1, 2, 3] * 10 + [40])) == (1, 3)
    assert period_of_days(np.array([], int)) is None


def test_small_files_have_strays_too():
    week = [20, 21, 22, 23, 24] * 2
    assert period_of_days(np.array([*week, -9])) == (20, 24)
    assert period_of_days(np.array([*week, 5, 5])) == (20, 24)
    assert period_of_days(np.array([*week, 6])) == (20, 24)  # less than a tenth, four days away suffice
    assert period_of_days(np.array([20, 21, 22, 7])) is None  # a fortnight is no mistake by itself
    assert period_of_days(np.array([20, 21, 5, 6])) is None
    assert period_of_days(np.array([20] * 7 + [1, 2, 3, 4])) is None  # four rows are not few
    assert period_of_days(np.arange(0, 200, 10)) is None


def test_a_clock_that_excel_wrote_as_a_number_is_told_and_one_without_colon_is_hinted_at():
    told = judged(trip(HORÁRIO_SAÍDA="0.3125")).findings[0].problems()[0]
    assert told.message == "0.3125 foi lido como 07:30 (fração de um dia, como o Excel guarda as horas)."
    assert judged(trip(HORÁRIO_SAÍDA="730")).findings[0].problems()[0].suggestion.endswith("Seria 07:30?")
    assert judged(trip(HORÁRIO_SAÍDA="x")).findings[0].problems()[0].suggestion.endswith("exemplo 07:30.")


@pytest.mark.parametrize(
    ("odometer", "route", "told"),
    [
        ("#VALUE!", "#VALUE!", 1),
        ("#REF!", "#REF!", 1),  # handed on by the formula
        ("#REF!", "#NAME?", 2),  # a fault of its own
        ("", "#VALUE!", 2),  # nothing is wrong with the odometer
    ],
)
def test_an_error_that_a_formula_hands_on_is_the_first_cells_alone(odometer, route, told):
    sheet = sheet_of(trip(KM_ROTA=""), trip(HORÁRIO_SAÍDA="09:00", HORÁRIO_CHEGADA="09:40", KM_SAÍDA="45150",
                     KM_CHEGADA="45177"))  # fmt: skip
    for letter, column, value in (("J", "KM SAÍDA", odometer), ("L", "KM ROTA", route)):
        if value:
            cell = problem("CELULA_COM_ERRO", cell=f"{letter}2", column=column, value=value, row=2)
            sheet.problems.append(cell)
            sheet.cells.loc[2, letter] = ""
    result = validate_rows(sheet, file_name="b.xlsx", received_on=RECEIVED, settings=PARTIAL)
    cells = [("CELULA_COM_ERRO", "J2"), ("CELULA_COM_ERRO", "L2")]
    assert codes(result) == (cells[:told] if odometer else cells[1:])
    assert result.accepted["linha"].tolist() == [3]
    assert set(result.rejected["linha"]) == {2}


def test_a_groups_hint_is_about_the_group():
    rows = [{**row, "PLACA": "ABCO234"} for row in trips(3)]
    result = judged(*rows)
    group = grouped(result.findings, result.whole, np.array([2, 3, 4]))[0]
    assert "Seria" in result.findings[0].problems()[0].suggestion
    assert group.example.suggestion.startswith("Escreva três letras")
    assert "Seria" not in group.example.suggestion
    alone = judged(rows[0])
    assert "Seria ABC0234?" in grouped(alone.findings, alone.whole, np.array([2]))[0].example.suggestion
    many = judged(*[{**row, "PLACA": "ABCO234"} for row in trips(90)], *[trip(PLACA="ABCO234")] * 60)
    assert "Seria" not in listed(many.findings, many.whole, "erro")[-1].suggestion


def test_what_the_reader_said_of_a_cell_is_said_once_and_counts():
    sheet = sheet_of(trip(PLACA=""), trip(KM_SAÍDA="1", KM_CHEGADA="28"))
    sheet.problems.append(problem("CELULA_COM_ERRO", cell="B2", column="PLACA", value="#REF!", row=2))
    result = validate_rows(sheet, file_name="b.xlsx", received_on=RECEIVED, settings=PARTIAL)
    assert codes(result) == [("CELULA_COM_ERRO", "B2")]
    assert result.counts == RowCounts(2, 1, 0, 1)
    assert result.rejected["codigo"].tolist() == ["CELULA_COM_ERRO"]


def test_a_ragged_row_is_one_problem_and_not_one_a_cell():
    lines = csv_of(trip(), trip(HORÁRIO_SAÍDA="09:00", HORÁRIO_CHEGADA="10:00")).decode().splitlines()
    lines[2] = ";".join(lines[2].split(";")[:5])
    sheet = read_sheet(
        "\n".join(lines).encode(), file_name="b.csv", known_headers=HEADER_NAMES, required=REQUIRED
    )
    result = validate_rows(sheet, file_name="b.csv", received_on=RECEIVED, settings=PARTIAL)
    assert codes(result) == [("LINHA_COM_CELULAS_A_MENOS", None)]
    assert result.counts == RowCounts(2, 1, 0, 1)


def test_a_problem_of_the_whole_sheet_refuses_it_even_in_part():
    sheet = sheet_of(trip())
    sheet.problems.append(problem("CABECALHO_REPETIDO", letters="A e B", column="X"))
    result = validate_rows(sheet, file_name="b.xlsx", received_on=RECEIVED, settings=PARTIAL)
    assert result.counts == RowCounts(1, 0, 0, 1)


def test_a_long_list_is_cut_and_says_how_many_there_are():
    rows = [{**row, "PLACA": "X"} for row in trips(90)] + [trip(PLACA="Y")] * 60
    result = judged(*rows)
    shown = listed(result.findings, result.whole, "erro")
    assert len(shown) == LISTED_CELLS + 1
    assert (shown[-1].cell, shown[-1].value) == (None, "150")
    assert shown[-1].message.startswith("150 linhas: PLACA: Placa inválida")
    assert group_counts([p.as_json() for p in shown]) == {("PLACA_INVALIDA", "PLACA"): 150}


def test_clocks_are_read_in_their_zone_also_where_they_were_changed():
    summer = judged(trip(DATA="20/01/2019"), received_on=RECEIVED).accepted
    assert summer["saida_utc"].tolist() == [pd.Timestamp("2019-01-20 09:30", tz="UTC")]
    west = RuleSettings(timezone=ZoneInfo("America/Campo_Grande"))
    assert judged(trip(), settings=west).accepted["fuso"].tolist() == ["America/Campo_Grande"]


words = st.sampled_from(
    [
        "",
        "-",
        "GDP-4J68",
        "ABCO234",
        "7499-02-01",
        "22/11/2026",
        "11/22/2026",
        "31/12/2025",
        "07:30",
        "23:50",
        "00:10",
        "24:00",
        "7h30",
        "45123",
        "45.123",
        "45150,5",
        "-1",
        "nan",
        "27",
        "999999999999",
        "=1+1",
        "{x}",
        "x" * 300,
    ]
)


@examples(60)
@given(
    st.lists(
        st.fixed_dictionaries({name: st.one_of(st.just(text), words) for name, text in trip().items()}),
        min_size=1,
        max_size=8,
    ),
    st.booleans(),
)
def test_every_row_meets_one_fate(rows, partial):
    result = judged(*rows, settings=RuleSettings(partial=partial))
    counts = result.counts
    assert counts.received == len(rows) == counts.accepted + counts.duplicate + counts.rejected
    assert len(result.accepted) == counts.accepted
    assert result.rejected["linha"].nunique() == counts.duplicate + counts.rejected
    assert not set(result.accepted["linha"]) & set(result.rejected["linha"])
    assert BOLETIM_TRIPS.broken_by(result.accepted) is None
    assert BOLETIM_QUARANTINE.broken_by(result.rejected) is None
    if result.has_errors and not partial:
        assert counts.accepted == 0
