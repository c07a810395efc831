"""The contracts file: what a table is made of, and what refuses it."""

import io
from datetime import date, datetime
from decimal import Decimal

import openpyxl
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetria_pipeline.contracts.reference import CONTRACTS
from telemetria_pipeline.core.reference import read_contracts
from telemetria_pipeline_tests.rounds import examples

COLUMNS = {
    "CONTRATO": "4600123",
    "CLÁUSULA": "4.1",
    "REGIME": "",
    "MODALIDADE": "",
    "PLACA": "",
    "TIPO": "",
    "TRANSPORTADORA": "",
    "OPERAÇÃO": "",
    "TARIFA": "2,73",
    "CUSTO FIXO": "40.314,14",
    "FRANQUIA": "",
    "DE": "16/10/2026",
    "ATÉ": "",
}


def row(**said: object) -> dict[str, object]:
    return COLUMNS | {"TIPO": "" if "PLACA" in said else "Ônibus"} | said


def csv(*rows: dict[str, object]):
    lines = [";".join(COLUMNS), *(";".join(map(str, r.values())) for r in rows)]
    return read_contracts("\n".join(lines).encode() + b"\n", "contracts.csv")


def xlsx(*rows: dict[str, object]):
    book, out = openpyxl.Workbook(), io.BytesIO()
    book.active.title = "Tarifas"
    for line in (list(COLUMNS), *(list(r.values()) for r in rows)):
        book.active.append([None if cell == "" else cell for cell in line])
    book.save(out)
    return read_contracts(out.getvalue(), "contracts.xlsx")


def plain(found) -> list[dict[str, object]]:
    frame = found.frame.astype(object)
    return frame.where(frame.notna(), None).to_dict("records")


def test_a_sound_table_of_contracts():
    found = csv(
        row(REGIME="Intermunicipal", TRANSPORTADORA="Viação Glória", OPERAÇÃO="agrícola", ATÉ="15/11/2026"),
        row(MODALIDADE="Spot", PLACA="abc-1234", TARIFA="R$ 3,1/km", **{"CUSTO FIXO": ""}),
        row(TIPO="Van", FRANQUIA="1500,5", DE="2026-10-16", ATÉ="31/12/2026"),
    )
    assert (found.problems, found.notes) == ([], [])
    assert CONTRACTS.broken_by(found.frame) is None
    first, second, third = plain(found)
    assert first == {
        "contrato": "4600123",
        "clausula": "4.1",
        "contrato_linha": 2,
        "regime": "intermunicipal",
        "modalidade": "contrato",
        "placa": None,
        "tipo": "Ônibus",
        "transportadora": "Viação Glória",
        "operacao": "AGR",
        "tarifa_brl_km": Decimal("2.7300"),
        "custo_fixo_mensal_brl": Decimal("40314.14"),
        "franquia_km": Decimal("0.000"),
        "tolerancia_pct": None,
        "tolerancia_km": None,
        "paga_sem_boletim": False,
        "vigencia_inicio": "2026-10-16",
        "vigencia_fim": "2026-11-15",
    }
    assert (second["placa"], second["modalidade"], second["contrato_linha"]) == ("ABC1C34", "spot", 3)
    assert (second["tarifa_brl_km"], second["custo_fixo_mensal_brl"]) == (Decimal("3.1"), Decimal(0))
    assert (third["franquia_km"], third["vigencia_fim"]) == (Decimal("1500.5"), "2026-12-31")


def test_a_contract_may_pay_what_nobody_declared():
    head, cells = "CONTRATO;CLÁUSULA;TIPO;TARIFA;CUSTO FIXO;DE;PAGA SEM BOLETIM", "1;1;Van;2;0;01/01/2026;"
    answers = {"Sim": True, "n": False, "não": False, "": False}
    for said, pays in answers.items():
        found = read_contracts(f"{head}\n{cells}{said}\n".encode(), "contracts.csv")
        assert found.problems == []
        assert found.frame["paga_sem_boletim"].tolist() == [pays]
    (problem,) = read_contracts(f"{head}\n{cells}talvez\n".encode(), "contracts.csv").problems
    assert "talvez não é uma resposta; escreva SIM ou NÃO" in problem


def test_excel_gives_the_same_table_to_the_last_decimal():
    as_text = csv(row(FRANQUIA="1234,5", ATÉ="15/11/2026"), row(TIPO="Van", TARIFA="2,731"))
    as_cells = xlsx(
        row(
            TARIFA=2.73,
            FRANQUIA=1234.5,
            DE=datetime(2026, 10, 16),
            ATÉ=date(2026, 11, 15),
            **{"CUSTO FIXO": 40314.14},
        ),
        row(TIPO="Van", TARIFA=2.731, DE=46311, **{"CUSTO FIXO": "R$ 40.314,14"}),
    )
    assert as_cells.problems == []
    assert as_cells.frame.equals(as_text.frame)


@pytest.mark.parametrize(
    ("column", "text", "value"),
    [
        ("TARIFA", "2,73", "2.73"),
        ("TARIFA", "2.73", "2.73"),
        ("TARIFA", "R$2,7301", "2.7301"),
        ("TARIFA", "0.125", "0.125"),  # no thousand begins with a zero
        ("TARIFA", "0", "0"),
        ("CUSTO FIXO", "R$ 40.314,14", "40314.14"),
        ("CUSTO FIXO", "40.314", "40314"),  # money has two decimals: these are thousands
        ("CUSTO FIXO", "1.234.567,8", "1234567.8"),
        ("FRANQUIA", "1500 km", "1500"),
        ("FRANQUIA", "-", "0"),
    ],
)
def test_amounts_are_read_as_brazil_writes_them(column, text, value):
    found = csv(row(**{column: text}))
    name = {"TARIFA": "tarifa_brl_km", "CUSTO FIXO": "custo_fixo_mensal_brl", "FRANQUIA": "franquia_km"}
    assert found.problems == []
    assert plain(found)[0][name[column]] == Decimal(value)


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ({"TARIFA": ""}, "I2: falta TARIFA; preencha a célula, ou apague a linha."),
        ({"TARIFA": "2.730"}, "I2: 2.730 se lê de dois jeitos; escreva 2,73 ou 2730."),
        ({"FRANQUIA": "1.500"}, "K2: 1.500 se lê de dois jeitos; escreva 1,5 ou 1500."),
        (
            {"TARIFA": "2,73456"},
            "I2: 2,73456 não cabe aqui; escreva até 6 algarismos antes da vírgula e 4 depois.",
        ),
        (
            {"CUSTO FIXO": "40,314"},
            "J2: 40,314 não cabe aqui; escreva até 12 algarismos antes da vírgula e 2",
        ),
        ({"TARIFA": "1234567"}, "I2: 1234567 não cabe aqui"),
        ({"TARIFA": "-2,73"}, "I2: -2,73 não é um valor que se possa ler; escreva só o número, como 1234,5."),
        ({"TARIFA": "a combinar"}, "I2: a combinar não é um valor"),
        ({"CUSTO FIXO": ""}, "J2: falta CUSTO FIXO; escreva 0 se não há (só em SPOT pode ficar vazio)."),
        ({"TIPO": ""}, "E2: falta PLACA ou TIPO; diga para que veículos a linha vale."),
        ({"PLACA": "ABCO234", "TIPO": "Van"}, "E2: ABCO234 não é uma placa; seria ABC0234?"),
        ({"MODALIDADE": "diária"}, "D2: diária não é uma modalidade; escreva CONTRATO ou SPOT."),
        ({"REGIME": "estadual"}, "C2: estadual não é um regime; escreva MUNICIPAL ou INTERMUNICIPAL."),
        ({"OPERAÇÃO": "X"}, "H2: X não é uma operação; escreva AGR ou IND."),
        ({"DE": ""}, "L2: falta VIGÊNCIA INÍCIO; preencha a célula, ou apague a linha."),
        ({"DE": "10/16/2026"}, "L2: 10/16/2026 não é uma data; escreva dd/mm/aaaa."),
        (
            {"ATÉ": "31/12/9999"},
            "M2: 31/12/9999 não é uma data; escreva dd/mm/aaaa, ou deixe vazia se não há",
        ),
        ({"ATÉ": "15/10/2026"}, "M2: 15/10/2026 é antes de VIGÊNCIA INÍCIO; corrija uma das duas."),
    ],
)
def test_each_problem_names_its_cell_and_refuses_the_table(said, problem):
    found = csv(row(**said), row(TIPO="Van"))
    (text,) = found.problems
    assert text.startswith(problem)
    assert found.frame.empty
    assert list(found.frame.columns) == CONTRACTS.names


def test_decimals_that_excel_does_not_show_are_not_rounded_away():
    (problem,) = xlsx(row(TARIFA=2.73 + 1e-9)).problems
    assert problem.startswith("Tarifas!I2: 2.730000001 não cabe aqui; escreva até 6 algarismos")


TWO_ROWS = [
    ({"PLACA": "ABC1234"}, {"PLACA": "abc1c34"}, True),
    ({"PLACA": "ABC1234"}, {"PLACA": "ABC1D23"}, False),
    ({"PLACA": "ABC1234", "TIPO": "Ônibus"}, {}, False),  # the plate's row goes before its type's
    ({}, {"TIPO": "ONIBUS"}, True),
    ({}, {"TIPO": "Van"}, False),
    ({}, {"TRANSPORTADORA": "Glória"}, True),
    ({"OPERAÇÃO": "AGR"}, {"TRANSPORTADORA": "Glória"}, True),
    ({"OPERAÇÃO": "AGR"}, {"OPERAÇÃO": "IND"}, False),
    ({"TRANSPORTADORA": "Glória"}, {"TRANSPORTADORA": "GLORIA"}, True),
    ({"TRANSPORTADORA": "Glória"}, {"TRANSPORTADORA": "Sul"}, False),
    ({"ATÉ": "31/10/2026"}, {"DE": "31/10/2026"}, True),
    ({"ATÉ": "30/10/2026"}, {"DE": "31/10/2026"}, False),
    ({"DE": "01/12/2026"}, {"ATÉ": "30/11/2026"}, False),
]


@pytest.mark.parametrize(("one", "two", "clash"), TWO_ROWS)
def test_two_rows_for_one_vehicle_and_day_are_refused_and_both_are_named(one, two, clash):
    for pair in ((one, two), (two, one)):
        found = csv(row(TIPO="Trator"), *(row(**said) for said in pair))
        assert len(found.problems) == clash
        if clash:
            assert found.problems[0].startswith(
                "L4: a linha 3 já vale para os mesmos veículos em dias desta vigência; uma das duas"
            )


def test_a_file_without_optional_columns_is_enough_for_spot():
    head = "CONTRATO;CLÁUSULA;MODALIDADE;TIPO;TARIFA;DE\n"
    spot = read_contracts(f"{head}1;2;SPOT;Van;3,1;16/10/2026\n".encode(), "c.csv")
    assert (spot.problems, len(spot.frame)) == ([], 1)
    other = read_contracts(f"{head}1;2;CONTRATO;Van;3,1;16/10/2026\n".encode(), "c.csv")
    assert other.problems == [
        "linha 2: falta CUSTO FIXO; escreva 0 se não há (só em SPOT pode ficar vazio)."
    ]  # fmt: skip
    nothing = read_contracts(b"CONTRATO;TIPO\n1;Van\n", "c.csv")
    assert [p.split(";")[0] for p in nothing.problems] == [
        "Falta a coluna CLÁUSULA",
        "Falta a coluna TARIFA",
        "Falta a coluna VIGÊNCIA INÍCIO",
    ]


def test_a_file_of_absurd_length_is_refused_before_its_rows_are_compared():
    found = csv(*[row(PLACA="ABC1234")] * 5_001)
    assert "5000 linhas" in found.problems[0]


@examples(10)
@given(st.lists(st.decimals(0, 999_999, places=4), min_size=1, max_size=30))
def test_what_brazil_writes_is_read_back_exactly(amounts):
    for written in (
        lambda amount: str(amount),
        lambda amount: str(amount).replace(".", ","),
        lambda amount: "R$ " + f"{amount:,}".translate(str.maketrans(",.", ".,")),
    ):
        found = csv(*(row(TIPO=f"T{i}", TARIFA=written(amount)) for i, amount in enumerate(amounts)))
        assert [r["tarifa_brl_km"] for r in plain(found)] == amounts


@pytest.mark.parametrize(
    ("percent", "km", "said"),
    [
        ("5", "0,5", None),
        ("8,5 %", "1 km", None),
        ("0", "0", None),
        ("", "", None),
        ("0,05", "1", "0,05 se lê de dois jeitos; escreva a porcentagem, como 5"),  # as Excel holds 5 %
        ("101", "1", "101 é mais que 100 %"),
        ("5", "", "falta TOLERÂNCIA KM; preencha as duas tolerâncias, ou deixe as duas vazias"),
        ("", "1", "falta TOLERÂNCIA; preencha as duas tolerâncias"),
        ("-5", "1", "-5 não é um valor que se possa ler"),
    ],
)
def test_tolerances_are_both_or_neither_and_never_a_share(percent, km, said):
    head = "CONTRATO;CLÁUSULA;TIPO;TARIFA;CUSTO FIXO;DE;TOLERÂNCIA %;TOLERÂNCIA MÍNIMA KM"
    text = f"{head}\n1;1;Ônibus;2,73;0;01/01/2026;{percent};{km}\n"
    found = read_contracts(text.encode(), "contracts.csv")
    if said is None:
        assert found.problems == []
        read = found.frame[["tolerancia_pct", "tolerancia_km"]].iloc[0].tolist()
        expected = [Decimal(t.rstrip(" %km").replace(",", ".")) if t else None for t in (percent, km)]
        assert [None if pd.isna(value) else value for value in read] == expected
    else:
        assert len(found.problems) == 1
        assert said in found.problems[0]
