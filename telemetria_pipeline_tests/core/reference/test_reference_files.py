"""Reference files: what a table is made of, and what refuses it."""

import io
import string

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetria_pipeline.contracts.reference import (
    ACCEPTANCE_HEADERS,
    ACCEPTANCES,
    CONTRACT_HEADERS,
    CONTRACTS,
    DRIVER_HEADERS,
    DRIVERS,
    SUBSTITUTION_HEADERS,
    SUBSTITUTIONS,
    VEHICLE_HEADERS,
    VEHICLES,
)
from telemetria_pipeline.core.boletim.settings import Reference
from telemetria_pipeline.core.boletim.validation import validate_file
from telemetria_pipeline.core.plates import canonical_plates
from telemetria_pipeline.core.reference import (
    read_acceptances,
    read_contracts,
    read_drivers,
    read_substitutions,
    read_vehicles,
)
from telemetria_pipeline.core.sheets.header import normalise_header
from telemetria_pipeline_tests.core.boletim.rows import RECEIVED, csv_of, trip
from telemetria_pipeline_tests.rounds import examples

FULL = """Placa;Frota;Fuso horário;Empresa;Tipo do veículo;Garagem;Rota;Rastreador;Operação;Entrada;Saída
GDP-4J68;3803;America/Sao_Paulo;Viação  Glória;Ônibus;Glória;Norte;sol_2;AGR;16/10/2026;2026-11-15
abc 1234;3804;America/Cuiaba;Viação Glória;Micro-ônibus;-;;;administrativa;;
XYZ1A23;;;;;;;;;;
"""


def vehicles(text: str, **more):
    return read_vehicles(text.encode(more.get("encoding", "utf-8")), "vehicles.csv")


def drivers(text: str):
    return read_drivers(text.encode(), "drivers.csv")


def book(rows: list[list], **sheets: list[list]) -> bytes:
    workbook, out = openpyxl.Workbook(), io.BytesIO()
    workbook.worksheets[0].title = "Cadastro"
    pages = {workbook.worksheets[0]: rows} | {workbook.create_sheet(n): r for n, r in sheets.items()}
    for page, table in pages.items():
        for row in table:
            page.append(row)
    workbook.save(out)
    return out.getvalue()


def test_a_sound_table_of_vehicles():
    found = vehicles(FULL)
    assert (found.problems, found.notes) == ([], [])
    assert VEHICLES.broken_by(found.frame) is None
    rows = found.frame.astype(object).where(found.frame.notna(), None).values.tolist()
    assert rows[0] == [
        *("GDP4J68", "GDP-4J68", "3803", "America/Sao_Paulo", "Viação Glória", "Ônibus", "Glória", "Norte"),
        *("sol_2", "AGR", "2026-10-16", "2026-11-15"),
    ]
    assert rows[1][:2] == ["ABC1C34", "abc 1234"]
    assert rows[1][6:10] == [None, None, None, "IND"]
    assert rows[2] == ["XYZ1A23", "XYZ1A23", *[None] * 10]


@pytest.mark.parametrize("said", ["Sol", "2sol", "sol lua", "sol-2", "_sol", "sól"])
def test_a_source_is_a_slug(said):
    found = vehicles(f"PLACA;FONTE\nGDP-4J68;{said}\n")
    assert found.problems == [f"B2: {said} não é o nome de uma fonte; escreva um como sol, ou lua_2."]


def test_excel_and_other_encodings_give_the_same_table():
    rows = [line.split(";") for line in FULL.splitlines()]
    expected = vehicles(FULL).frame
    excel = read_vehicles(book([["Cadastro de veículos"], [], *rows]), "vehicles.xlsx")
    assert excel.problems == []
    assert any("linha" in note for note in excel.notes)  # the title above the header is said
    assert excel.frame.equals(expected)
    assert vehicles(FULL, encoding="cp1252").frame.equals(expected)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("ABC-12;1;;", "A3: ABC-12 não é uma placa; escreva"),
        ("ABCO234;1;;", "A3: ABCO234 não é uma placa; seria ABC0234?"),
        ("7499-02-01;1;;", "A3: 7499-02-01 era uma placa que o Excel transformou em data; seria FEV7499?"),
        (";1;;", "A3: falta PLACA; preencha a célula, ou apague a linha"),
        ("GDP4968;1;;", "A3: GDP4968 é o mesmo veículo que GDP-4J68, na linha 2"),
        ("gdp 4j68;1;;", "A3: gdp 4j68 é o mesmo veículo que GDP-4J68, na linha 2"),
        ("ABC1D23;1;Brasilia;", "C3: Brasilia não é um fuso horário; escreva um como America/Cuiaba"),
        ("ABC1D23;1;america;", "C3: america não é um fuso"),
        ("ABC1D23;1;../etc/passwd;", "não é um fuso"),
        ("ABC1D23;1;;XXX", "D3: XXX não é uma operação; escreva AGR ou IND"),
        ("ABC1D23;1;;AGR;;", "A linha 3 tem"),
        ("ABC1D23;1;;AGR;x", "A linha 3 tem 5 células e o cabeçalho tem 4"),
    ],
)
def test_each_problem_of_a_vehicle_names_its_cell_and_refuses_the_table(row, said):
    head = "PLACA;FROTA;FUSO;OPERAÇÃO\nGDP-4J68;3803;;\n"
    found = vehicles(head + row + "\nABC9D99;7;;\n")
    if said == "A linha 3 tem":  # empty cells beyond the header are nobody's mistake
        assert len(found.frame) == 3
        return
    (problem,) = found.problems
    assert said in problem
    assert found.frame.empty
    assert list(found.frame.columns) == VEHICLES.names


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("30/02/2026;", "B2: 30/02/2026 não é uma data; escreva dd/mm/aaaa."),
        (
            ";13/31/2026",
            "C2: 13/31/2026 não é uma data; escreva dd/mm/aaaa, ou deixe vazia se não há último dia.",
        ),
        ("16/10/2026;15/10/2026", "C2: 15/10/2026 é antes de ENTRADA; corrija uma das duas."),
    ],
)
def test_the_days_of_a_vehicle_under_contract_are_days_in_order(row, said):
    assert vehicles(f"PLACA;ENTRADA;SAÍDA\nABC1D23;{row}\n").problems == [said]


def test_a_vehicle_may_be_under_contract_for_one_day():
    found = vehicles("PLACA;DESDE;ATÉ\nABC1D23;16/10/2026;16/10/2026\n")
    assert found.frame[["entrada", "saida"]].values.tolist() == [["2026-10-16", "2026-10-16"]]


def test_all_problems_are_named_from_top_to_bottom():
    found = vehicles("PLACA;FUSO\nX;Lua\nABC1D23;\nABC1323;\n;Marte\n")
    assert [p.split(":")[0] for p in found.problems] == ["A2", "B2", "A4", "A5", "B5"]


def test_problems_of_excel_name_the_sheet():
    found = read_vehicles(book([["PLACA", "FROTA"], ["ABC1D23", 3803], ["X", 3804]]), "vehicles.xlsx")
    assert found.problems == ["Cadastro!A3: X não é uma placa; escreva ABC1234 ou ABC1D23."]


def test_a_number_in_excel_is_a_fleet_number_as_it_is_read():
    found = read_vehicles(book([["PLACA", "FROTA"], ["ABC1D23", 3803], ["XYZ1A23", 3804.0]]), "v.xlsx")
    assert found.frame["equipamento"].tolist() == ["3803", "3804"]


def test_columns_missing_twice_and_unknown():
    assert vehicles("FROTA;GARAGEM\n1;Glória\n").problems == ["Falta a coluna PLACA; inclua-a."]
    assert vehicles("PLACA;FROTA;PREFIXO\nABC1D23;1;2\n").problems == [
        "As colunas B e C querem dizer EQUIPAMENTO; deixe só uma."
    ]
    found = vehicles("PLACA;CHASSI\nABC1D23;9BW\n")
    assert (len(found.frame), found.problems) == (1, [])
    assert found.notes == ["A coluna B, CHASSI, não é conhecida e não foi lida."]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "vazio"),
        (b"PLACA;FROTA\n", "nenhuma linha"),
        (b"%PDF-1.4", "PDF"),
        (b"PLACA\x00", "binário"),
        (b"uma frase\nsem tabela\n", "títulos das colunas (PLACA, EQUIPAMENTO, FUSO"),
    ],
)
def test_what_is_no_table_is_refused_with_the_readers_words(data, said):
    found = read_vehicles(data, "vehicles.csv")
    assert found.frame.empty
    assert said in found.problems[0]


def test_two_sheets_of_vehicles_are_refused_and_a_sheet_beside_them_is_not():
    table = [["PLACA", "FROTA"], ["ABC1D23", "1"]]
    assert "Cadastro e Outra" in read_vehicles(book(table, Outra=table), "v.xlsx").problems[0]
    assert read_vehicles(book(table, Notas=[["Feito em", "março"]]), "v.xlsx").problems == []


def test_a_row_that_looks_like_a_remark_is_not_lost():
    found = vehicles("PLACA;FROTA;TIPO\nABC1D23;1;x\nXYZ 1A23;;\nQWE1A23;2;y\n")
    assert len(found.problems) == 1
    assert "4" not in found.problems[0]
    assert "3" in found.problems[0]


def test_a_sound_table_of_drivers():
    found = drivers(
        "Nome;Matrícula;Empresa\nJosé  da Conceição;17;Glória\n"
        "MARIA SOUZA;;Glória\nMaria Souza;;Sul\nAna;;Sul\n"
    )
    assert found.problems == []
    assert DRIVERS.broken_by(found.frame) is None
    assert found.frame["motorista"].tolist() == ["JOSÉ DA CONCEIÇÃO", *["MARIA SOUZA"] * 2, "ANA"]
    assert found.frame["motorista_chave"].tolist() == ["JOSE DA CONCEICAO", *["MARIA SOUZA"] * 2, "ANA"]
    assert found.frame["motorista_id"].tolist()[0] == "17"


def test_a_list_of_names_alone_is_a_table_of_drivers():
    found = drivers("MOTORISTA\nJosé Conceição\nMaria Souza\n")
    assert (found.problems, len(found.frame)) == ([], 2)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("JOSE CONCEICAO;17;Sul", "A3: este motorista já está na linha 2; apague uma das duas."),
        ("Maria Souza;17;Sul", "B3: a linha 2 dá este número a outro nome; corrija uma das duas."),
        ("123;18;Sul", "A3: não é um nome; escreva o nome."),
        (";18;Sul", "A3: falta MOTORISTA; preencha a célula, ou apague a linha."),
    ],
)
def test_each_problem_of_a_driver_names_its_cell_and_no_person(row, said):
    found = drivers(f"MOTORISTA;ID;EMPRESA\nJosé Conceição;17;Sul\n{row}\n")
    assert found.problems == [said]


def test_two_people_of_one_name_differ_by_id_or_carrier():
    found = drivers("MOTORISTA;ID;EMPRESA\nJosé Silva;17;Sul\nJosé Silva;18;Sul\nJosé Silva;17;Norte\n")
    assert (found.problems, len(found.frame)) == ([], 3)


def test_no_header_means_two_columns():
    sure = (VEHICLE_HEADERS, DRIVER_HEADERS, CONTRACT_HEADERS)
    for names in (*sure, SUBSTITUTION_HEADERS, ACCEPTANCE_HEADERS):
        plain = [normalise_header(n) for said in names.values() for n in said]
        assert len(plain) == len(set(plain))
        assert all(plain)
    assert set(VEHICLE_HEADERS) <= set(VEHICLES.names)
    assert set(DRIVER_HEADERS) <= set(DRIVERS.names)
    assert set(ACCEPTANCE_HEADERS) == set(ACCEPTANCES.names)
    assert set(SUBSTITUTION_HEADERS) == set(SUBSTITUTIONS.names)
    assert set(CONTRACT_HEADERS) | {"contrato_linha"} == set(CONTRACTS.names)


def substitutions(*rows: str):
    text = "PLACA;SUBSTITUÍDO POR;DE;ATÉ;MOTIVO\n" + "".join(f"{row};quebrou\n" for row in rows)
    return read_substitutions(text.encode(), "substitutions.csv")


def test_a_sound_table_of_substitutions():
    found = substitutions("GDP-4J68;abc 1234;10/03/2026;", "XYZ1A23;ABC1C34;10/03/2026;2026-03-12")
    assert (found.problems, found.notes) == ([], [])
    assert SUBSTITUTIONS.broken_by(found.frame) is None
    assert found.frame.fillna("").values.tolist() == [
        ["GDP4J68", "ABC1C34", "2026-03-10", "", "quebrou"],
        ["XYZ1A23", "ABC1C34", "2026-03-10", "2026-03-12", "quebrou"],
    ]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (["GDP4J68;GDP-4968;10/03/2026;"], ["B2: é o próprio veículo; escreva a placa do que rodou."]),
        (["GDP4J68;ABC;10/03/2026;"], ["B2: ABC não é uma placa; escreva ABC1234 ou ABC1D23."]),
        (["GDP4J68;ABC1C34;2/3/2026;1/3/2026"], ["D2: 1/3/2026 é antes de INÍCIO; corrija uma das duas."]),
        (["GDP4J68;ABC1C34;;"], ["C2: falta INÍCIO; preencha a célula, ou apague a linha."]),
        (
            ["GDP4J68;ABC1C34;10/03/2026;12/03/2026", "GDP4J68;XYZ1A23;12/03/2026;"],
            [
                "C3: a linha 2 já substitui GDP4J68 em dias desta linha; uma das duas precisa terminar antes "
                "de a outra começar."
            ],
        ),
        (
            ["GDP4J68;ABC1C34;10/03/2026;", "ABC1C34;GDP4J68;20/03/2026;"],
            [
                "A2: GDP4J68 não rodou, e na linha 3 rodou no lugar de outro, em dias em comum; corrija uma "
                "das duas.",
                "A3: ABC1C34 não rodou, e na linha 2 rodou no lugar de outro, em dias em comum; corrija uma "
                "das duas.",
            ],
        ),
        (
            ["GDP4J68;ABC1C34;10/03/2026;", "ABC1C34;XYZ1A23;20/03/2026;21/03/2026"],
            [
                "A3: ABC1C34 não rodou, e na linha 2 rodou no lugar de outro, em dias em comum; corrija uma "
                "das duas."
            ],
        ),
        (["GDP4J68;ABC1C34;10/03/2026;12/03/2026", "GDP4J68;XYZ1A23;13/03/2026;"], []),
        (["GDP4J68;ABC1C34;10/03/2026;12/03/2026", "ABC1C34;XYZ1A23;13/03/2026;"], []),
    ],
)  # fmt: skip
def test_nobody_has_two_substitutes_and_who_is_replaced_replaces_nobody(rows, said):
    assert substitutions(*rows).problems == said


def acceptances(*rows: str):
    text = "PLACA;DATA;HORA SAÍDA;MOTIVO\n" + "".join(f"{row}\n" for row in rows)
    return read_acceptances(text.encode(), "acceptances.csv")


def test_a_sound_table_of_acceptances_and_one_without_rows():
    found = acceptances("GDP-4J68;10/03/2026;7h10;ata perdida", "gdp4j68;2026-03-10;;ata perdida")
    assert (found.problems, found.notes) == ([], [])
    assert ACCEPTANCES.broken_by(found.frame) is None
    assert found.frame.fillna("").values.tolist() == [
        ["GDP4J68", "2026-03-10", "07:10", "ata perdida"],
        ["GDP4J68", "2026-03-10", "", "ata perdida"],
    ]
    for empty in (acceptances(), substitutions()):
        assert (empty.problems, len(empty.frame)) == ([], 0)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("GDP4J68;10/03/2026;24:00;x", "C3: 24:00 não é um horário; escreva hh:mm, como 07:10."),
        ("GDP4J68;10/03/2026;cedo;x", "C3: cedo não é um horário; escreva hh:mm, como 07:10."),
        ("GDP4J68;31/02/2026;;x", "B3: 31/02/2026 não é uma data; escreva dd/mm/aaaa."),
        ("GDP4J68;10/03/2026;07:10;", "D3: falta MOTIVO; preencha a célula, ou apague a linha."),
        ("GDP-4968;10/03/2026;07:10:30;x", "A3: este aceite já está na linha 2; apague uma das duas."),
    ],
)
def test_each_problem_of_an_acceptance_names_its_cell_and_refuses_the_table(row, said):
    found = acceptances("GDP4J68;10/03/2026;07:10;ata perdida", row)
    assert (found.problems, len(found.frame)) == ([said], 0)


def test_boletins_are_held_against_the_tables_as_they_are_read():
    known = Reference(
        vehicles=vehicles("PLACA;FROTA;FUSO\nABC-1234;3803;America/Cuiaba\n").frame,
        drivers=drivers("MOTORISTA\nJosé Conceição\n").frame,
    )

    def validated(**said: str):
        return validate_file(csv_of(trip(**said)), "b.csv", received_on=RECEIVED, reference=known)

    verdict = validated(PLACA="ABC1C34", EQUIPAMENTO="3803", MOTORISTA="jose conceição")
    assert (verdict.verdict, [p.code for p in verdict.warnings]) == ("accepted", [])
    assert verdict.accepted["fuso"].tolist() == ["America/Cuiaba"]
    strange = validated(PLACA="XYZ1A23", EQUIPAMENTO="3803", MOTORISTA="Maria")
    assert {p.code for p in strange.warnings} == {"PLACA_DESCONHECIDA", "MOTORISTA_DESCONHECIDO"}


OPTIONAL = (SUBSTITUTIONS, ACCEPTANCES)  # may have no rows
_PLATES = st.from_regex(r"[A-C]{3}-?[0-1][A-B0-1][0-1]{2}", fullmatch=True)


@examples(60)
@given(st.lists(_PLATES, min_size=1, max_size=8))
def test_a_table_is_taken_with_every_plate_or_refused_for_its_repeats(plates):
    found = vehicles("PLACA;FROTA\n" + "".join(f"{plate};{i}\n" for i, plate in enumerate(plates)))
    canonical = canonical_plates(found.frame["placa_recebida"]).tolist()
    different = {p[:4] + p[4].translate(str.maketrans("01", "AB")) + p[5:] for p in (
        plate.replace("-", "") for plate in plates)}  # fmt: skip
    repeats = len(plates) - len(different)
    assert len(found.problems) == repeats
    assert found.frame["placa"].tolist() == canonical
    assert set(canonical) == (set() if repeats else different)


@examples(30)
@given(
    st.lists(
        st.tuples(*[st.text(string.ascii_uppercase[:4] + "0123-/ .,é\t", max_size=8)] * 5),
        min_size=1,
        max_size=6,
    )
)
def test_any_cells_give_a_table_under_contract_or_problems(rows):
    for names, read, contract in (
        (("PLACA", "FUSO", "OPERAÇÃO", "FROTA"), read_vehicles, VEHICLES),
        (("MOTORISTA", "ID", "EMPRESA", "OBS"), read_drivers, DRIVERS),
        (("PLACA", "ENTRADA", "SAÍDA", "OBS"), read_vehicles, VEHICLES),
        (("PLACA", "DATA", "HORA SAÍDA", "MOTIVO"), read_acceptances, ACCEPTANCES),
        (("PLACA", "SUBSTITUTA", "INÍCIO", "FIM", "MOTIVO"), read_substitutions, SUBSTITUTIONS),
        (("CONTRATO", "CLÁUSULA", "TARIFA", "VIGÊNCIA INÍCIO", "TIPO"), read_contracts, CONTRACTS),
    ):
        text = "\n".join(";".join(row) for row in (names, *(row[: len(names)] for row in rows))) + "\n"
        found = read(text.encode(), "x.csv")
        assert contract.broken_by(found.frame) is None
        assert found.frame.empty if found.problems else len(found.frame) or contract in OPTIONAL
