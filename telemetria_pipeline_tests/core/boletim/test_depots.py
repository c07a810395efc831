"""Boletins as depots send them: no trip is lost in silence, and no good file refused for how it looks."""

import io
from datetime import date

import pytest
from openpyxl import load_workbook
from xlsxwriter import Workbook

from benchmarks.boletim_files import (
    HEADERS,
    Error,
    Formula,
    Serial,
    csv_text,
    sheet_xml,
    trip,
    typed_trip,
    xlsx,
)
from telemetria_pipeline.core.boletim.validation import FileVerdict, validate_file
from telemetria_pipeline.reports.answer import answer_workbook

ROWS = [list(HEADERS), *map(trip, range(20))]
TYPED = [list(HEADERS), *map(typed_trip, range(20))]
BLANK = [""] * 15
# Titles that nobody knows, one for each column.
OTHER_TITLES = [
    *("Nr.", "Veículo", "Nº interno", "Dt.", "De", "Para", "Saiu", "Chegou", "Per."),
    *("Odo. ini", "Odo. fim", "Rodou", "Lot.", "Quem", "Firma"),
]


def judged(data: bytes | list[list[str]], name: str = "boletim") -> FileVerdict:
    data = csv_text(data).encode() if isinstance(data, list) else data
    return validate_file(data, name, received_on=date(2026, 12, 1))


def errors(verdict: FileVerdict) -> list[str]:
    assert verdict.verdict == "rejected"
    assert len(verdict.accepted) == 0
    return [p.code for p in verdict.problems]


def notes(verdict: FileVerdict, rows: int = 20) -> dict[str, str]:
    """What is told of an accepted file of so many trips."""
    assert (verdict.verdict, verdict.rows.accepted) == ("accepted", rows), verdict.problems
    return {p.code: p.message for p in verdict.warnings}


def row(**cells: str) -> list[str]:
    """A row with texts under some titles: `row(KM_ROTA="0")`."""
    return [cells.get(title.replace(" ", "_"), "") for title in HEADERS]


# --- several trips in one row ---------------------------------------------------------------------------


def with_columns(titles: list[str], values: list[str]) -> list[list[str]]:
    return [ROWS[0] + titles, *(r + values for r in ROWS[1:])]


@pytest.mark.parametrize(
    "title",
    [
        "KM SAÍDA 2",
        "km saida2",
        "KM SAÍDA (2)",
        "2ª KM SAÍDA",
        "2º TURNO KM SAÍDA",
        "KM SAÍDA II",
        "KM_SAIDA_02",
        "KM SAÍDA VOLTA",
        "SEGUNDA KM SAÍDA",
        "KM INICIAL T2",
        "HORÁRIO CHEGADA 2",
        "PLACA 2",
        "KM ROTA 2",
    ],
)
def test_a_known_title_with_a_number_is_an_error_that_says_one_row_a_trip(title):
    verdict = judged(with_columns(["OBS", title], ["x", "20000"]))
    assert errors(verdict) == ["COLUNAS_NUMERADAS"]
    (said,) = verdict.problems
    assert f"Q ({title})" in said.message
    assert "cada viagem em sua linha" in said.suggestion


def test_the_columns_of_a_second_trip_are_one_error():
    titles = ["HORÁRIO SAÍDA 2", "HORÁRIO CHEGADA 2", "KM SAÍDA 2", "KM CHEGADA 2"]
    rows = with_columns(titles, ["", "", "", ""])
    rows[7][-4:] = ["14:00", "15:00", "20000", "20025"]  # one second trip is enough
    (said,) = judged(rows).problems
    assert said.code == "COLUNAS_NUMERADAS"
    assert "P, Q, R, S" in said.message


def test_trips_that_are_all_numbered_are_the_same_error_and_no_missing_column():
    asked = {"HORÁRIO SAÍDA", "HORÁRIO CHEGADA", "KM SAÍDA", "KM CHEGADA"}
    first = [f"{t} 1" if t in asked else t for t in HEADERS]
    second = [f"{t} 2" for t in HEADERS if t in asked]
    rows = [first + second, *([*r, "14:00", "15:00", "20000", "20025"] for r in ROWS[1:])]
    assert errors(judged(rows)) == ["COLUNAS_NUMERADAS"]


def test_a_title_with_a_number_that_stands_there_alone_is_asked_about():
    verdict = judged([[f"{t} 1" if t == "KM SAÍDA" else t for t in HEADERS], *ROWS[1:]])
    assert errors(verdict) == ["COLUNA_OBRIGATORIA_AUSENTE"]
    assert "Seria a coluna KM SAÍDA 1 (coluna J)?" in verdict.problems[0].suggestion


@pytest.mark.parametrize("values", [["", ""], ["0", "00:00"], ["-", "-"]])
def test_columns_for_a_second_trip_that_nobody_filled_are_only_told(values):
    said = notes(judged(with_columns(["KM SAÍDA 2", "HORÁRIO SAÍDA 2"], values)))
    assert said.keys() == {"COLUNA_DESCONHECIDA"}


def test_a_second_driver_and_years_are_no_second_trip():
    rows = with_columns(["MOTORISTA 2", "2024", "2025", "KM ROTA 2024", "2024"], ["ZÉ", "1", "2", "3", "4"])
    assert notes(judged(rows)).keys() == {"COLUNA_DESCONHECIDA"}


# --- rows that are trips, and rows that are none --------------------------------------------------------


def test_a_trip_whose_first_cell_reads_total_is_a_trip():
    rows = [r[:] for r in ROWS]
    rows[5][0] = "Total Logística"
    assert notes(judged(rows)) == {}
    # Also where it has few of the cells that are usual.
    _, plate, _, day, _, _, left, came, _, out, back, *_ = trip(50)
    few = row(NUMERO_ATA="Total Logística", PLACA=plate, DATA=day, HORÁRIO_SAÍDA=left, HORÁRIO_CHEGADA=came)
    few[9:11] = [out, back]
    assert notes(judged([*ROWS, few]), 21) == {}
    few[3] = few[6] = few[7] = ""  # a plate and both odometers: what is missing is asked for
    assert errors(judged([*ROWS, few])) == ["CELULA_VAZIA"] * 3


@pytest.mark.parametrize(
    "total",
    [
        row(NUMERO_ATA="Subtotal", PLACA="ABC1A10", KM_ROTA="500"),
        row(
            NUMERO_ATA="Total", PLACA="ABC1A10", DATA="01/11/2026", LOCAL_SAÍDA="x", EMPRESA="y", KM_ROTA="5"
        ),
        ["Total", "ABC1A10", "3800", "", "x", "x", "", "", "A", "", "", "500", "80", "x", "x"],
        row(PLACA="Total ABC1A10", KM_ROTA="500"),
        row(PLACA="ABC1A10 Total", KM_ROTA="500", QTDE_PESSOAS="80"),
        row(PLACA="Total Geral", KM_SAÍDA="200000", KM_CHEGADA="200500", KM_ROTA="500"),
    ],
)
def test_a_subtotal_that_carries_a_plate_is_noted(total):
    said = notes(judged([*ROWS[:11], total, *ROWS[11:]]))
    assert said == {"LINHA_DE_TOTAL": "Linhas de total não foram lidas: 12."}


def test_lines_that_are_numbered_and_not_filled_in_are_no_trips():
    rows = [*ROWS[:11], *(row(NUMERO_ATA=str(i)) for i in range(11, 51))]
    said = "Linhas sem nenhum valor nas colunas obrigatórias não foram lidas: 12 a 51."
    assert notes(judged(rows), 10) == {"LINHA_SEM_VIAGEM": said}
    signed = notes(judged([*rows, row(PLACA="Motorista", HORÁRIO_SAÍDA="Encarregado")]), 10)
    assert signed.keys() == {"LINHA_SEM_VIAGEM", "LINHA_DE_TEXTO"}


@pytest.mark.parametrize(
    "rest",
    [
        row(KM_ROTA="0"),
        row(KM_ROTA="0", EMPRESA="VIAÇÃO TESTE", TURNO="A"),
        row(PLACA="-", DATA="__/__/____", HORÁRIO_SAÍDA="__:__", KM_ROTA="0"),
    ],
)
def test_what_was_dragged_down_below_the_trips_is_no_trip(rest):
    assert notes(judged([*ROWS, *[rest] * 30])).keys() == {"LINHA_SEM_VIAGEM"}
    formulas = [[Formula("K9-J9", 0.0) if cell == "0" else cell for cell in rest]] * 30
    assert notes(judged(xlsx({"B": sheet_xml([*TYPED, *formulas])}))).keys() == {"LINHA_SEM_VIAGEM"}


def test_a_table_of_lines_without_trips_says_which_they_are():
    verdict = judged([ROWS[0], *(row(NUMERO_ATA=str(i)) for i in range(1, 11))])
    assert errors(verdict) == ["SEM_LINHAS"]
    assert [p.code for p in verdict.warnings] == ["LINHA_SEM_VIAGEM"]


@pytest.mark.parametrize(
    "line",
    [
        row(PLACA="Assinatura do motorista: ________", HORÁRIO_SAÍDA="Visto do encarregado: ______"),
        row(NUMERO_ATA="Motorista", HORÁRIO_SAÍDA="Encarregado"),
        row(HORÁRIO_CHEGADA="Responsável"),
        row(DATA="Motorista: ______", PLACA="Empresa: ______", KM_SAÍDA="Data: __/__/____"),
        row(NUMERO_ATA="_______________", HORÁRIO_SAÍDA="_______________"),
    ],
)
def test_a_signature_below_the_trips_is_noted(line):
    for rows in ([*ROWS, BLANK, line], [*ROWS[:9], line, *ROWS[9:]]):
        said = notes(judged(rows)).keys()
        assert said - {"LINHAS_EM_BRANCO"} <= {"LINHA_DE_TEXTO", "LINHA_SEM_VIAGEM"}


@pytest.mark.parametrize(
    "unfinished",
    [
        row(PLACA="ABC1D23"),
        row(PLACA="ABC 1D23"),
        row(DATA="01/11/2026"),
        row(KM_CHEGADA="10500"),
        row(PLACA="ABC1D23", DATA="01/11/2026", MOTORISTA="JOSÉ"),
        row(LOCAL_SAÍDA="USINA", HORÁRIO_SAÍDA="05:00"),
    ],
)
def test_a_row_with_some_required_values_is_still_an_error(unfinished):
    assert set(errors(judged([*ROWS, unfinished]))) == {"CELULA_VAZIA"}


def test_a_row_of_errors_or_of_formulas_without_a_result_is_no_unfilled_one():
    for cell, code in ((Error("#N/A"), "CELULA_COM_ERRO"), (Formula("A1", None), "FORMULA_SEM_VALOR")):
        rest = [cell if title in ("PLACA", "DATA", "KM SAÍDA") else "" for title in HEADERS]
        rest[0] = 21.0
        assert code in errors(judged(xlsx({"B": sheet_xml([*TYPED, rest])})))


def test_a_file_that_was_cut_after_the_first_cell_of_a_row_is_no_whole_one():
    text = csv_text(ROWS)
    cut = text[: text.rindex("119;") + 4]
    assert "LINHA_COM_CELULAS_A_MENOS" in errors(judged(cut.encode()))


def test_a_space_in_the_last_row_of_the_sheet_harms_nobody():
    xml = sheet_xml(TYPED)
    for row_number in (30, 60_000, 1_048_576):
        space = (
            f'<row r="{row_number}"><c r="A{row_number}" t="inlineStr">'
            '<is><t xml:space="preserve"> </t></is></c></row></sheetData>'
        ).encode()
        assert notes(judged(xlsx({"B": xml.replace(b"</sheetData>", space)}))) == {}
        said = judged(xlsx({"B": xml.replace(b"</sheetData>", space.replace(b"> <", b">x<"))}))
        if row_number > 50_000:
            assert errors(said) == ["LINHAS_DEMAIS"]
            assert f"até a linha {row_number}" in said.problems[0].message


def test_a_space_that_another_program_shares_among_its_strings_harms_nobody():
    saved = io.BytesIO()
    with Workbook(saved) as book:
        page = book.add_worksheet()
        for number, cells in enumerate(ROWS):
            page.write_row(number, 0, cells)
        page.write_string(1_048_575, 2, "\u00a0")
    verdict = judged(saved.getvalue())
    assert (verdict.verdict, verdict.rows.accepted) == ("accepted", 20)


def test_the_answer_is_made_without_all_those_rows():
    space = (
        b'<row r="1048576"><c r="XFD1048576" t="inlineStr"><is><t xml:space="preserve"> </t></is></c></row>'
        b"</sheetData>"
    )
    wrong = [*TYPED, ["121", "ABC", *TYPED[20][2:]]]
    data = xlsx({"B": sheet_xml(wrong).replace(b"</sheetData>", space)})
    answer = load_workbook(io.BytesIO(answer_workbook(judged(data), data)))
    assert answer["B"].max_row == 22


def test_lines_of_separators_below_the_trips_harm_nobody():
    assert notes(judged(csv_text(ROWS).encode() + b";;;;;;;;;;;;;;;;\r\n" * 60_000)) == {}


# --- another sheet, another table -----------------------------------------------------------------------


@pytest.mark.parametrize("trips", [[TYPED[1]], TYPED[1:], ROWS[1:9]])
@pytest.mark.parametrize("above", [[], [OTHER_TITLES], [["VIAÇÃO"], [t[:3] for t in HEADERS]]])
def test_trips_under_other_titles_on_a_second_sheet_are_not_ignored(trips, above):
    for book in ({"Dia": TYPED, "Noite": [*above, *trips]}, {"Dia": [*above, *trips], "Noite": TYPED}):
        verdict = judged(xlsx({name: sheet_xml(rows) for name, rows in book.items()}))
        assert errors(verdict) == ["DUAS_PLANILHAS"]
        assert "Dia e Noite" in verdict.problems[0].message


def test_registers_rosters_and_summaries_are_no_second_boletim():
    plates = [f"ABC1D{i}" for i in range(10, 40)]
    day, five, six = Serial(46327, 1), Serial(0.25, 2), Serial(0.5, 2)
    vehicles = ["PLACA", "FROTA", "COMPRA", "ANO", "MODELO", "KM", "KM REVISÃO"]
    book = {
        "Dados": TYPED,
        "Veículos": [vehicles, *([p, 3800.0, day, 2019.0, 2020.0, 45000.0, 46000.0] for p in plates)],
        "Escala": [
            ["PLACA", "DATA", "INÍCIO", "FIM", "QUEM"],
            *([p, day, five, six, "JOSÉ"] for p in plates),
        ],
        "Por dia": [["PLACA", "DATA", "KM INICIAL", "KM FINAL"], *([p, day, 10.0, 210.0] for p in plates)],
        "Motoristas": [["NOME", "CNH"], ["JOSÉ", 1.0], ["MARIA", 2.0]],
        "Pivô": [["PLACA", "2024", "2025"], *([p, 100.0, 200.0] for p in plates)],
        "Listas": [["A"], ["B"], ["C"]],
    }
    said = notes(judged(xlsx({name: sheet_xml(rows) for name, rows in book.items()})))
    assert said.keys() == {"PLANILHA_ESCOLHIDA"}


def exchanged(rows: list[list[str]]) -> list[list[str]]:
    """The rows with their columns in another order."""
    return [[r[10], r[9], r[3], r[1], r[6], r[7], *BLANK[6:]] for r in rows]


@pytest.mark.parametrize("gap", [[], [BLANK]])
def test_a_second_table_below_or_above_the_first_is_named_as_such(gap):
    for rows, row_number in (
        ([*ROWS, *gap, *exchanged(ROWS)], 22 + len(gap)),
        ([*exchanged(ROWS), *gap, *ROWS], 1),
        ([*exchanged(ROWS[:2]), *gap, *ROWS], 1),
        ([*ROWS, *gap, OTHER_TITLES, *ROWS[1:]], 22 + len(gap)),
        # The same titles, two of them exchanged.
        ([*ROWS, *gap, [*HEADERS[:9], "KM CHEGADA", "KM SAÍDA", *HEADERS[11:]], *ROWS[1:]], 22 + len(gap)),
    ):
        verdict = judged(rows)
        assert errors(verdict) == ["SEGUNDA_TABELA"]
        assert f"Na linha {row_number} começa outra tabela" in verdict.problems[0].message


@pytest.mark.parametrize("titles", [["PLACA", "KM TOTAL"], ["Placa", "Soma"], ["Motorista", "Viagens"]])
def test_a_summary_below_the_trips_is_one_error_and_not_many(titles):
    summary = [titles + BLANK[2:], ["ABC1A10", "250", *BLANK[2:]], ["ABC1B11", "300", *BLANK[2:]]]
    assert errors(judged([*ROWS, BLANK, *summary])) == ["SEGUNDA_TABELA"]


def test_the_same_titles_once_more_are_no_second_table():
    for again in (ROWS[0], [t.lower() for t in HEADERS], [t.replace("Á", "A") for t in HEADERS]):
        assert notes(judged([*ROWS[:11], BLANK, again, *ROWS[11:]])).keys() == {
            "CABECALHO_DE_PAGINA",
            "LINHAS_EM_BRANCO",
        }


def test_a_block_of_labels_above_the_table_is_no_table():
    block = [
        ["PLACA", "DATA", "KM SAÍDA", *BLANK[3:]],
        ["ABC1D23", "01/11/2026", "10000", *BLANK[3:]],
    ]
    assert notes(judged([*block, BLANK, *ROWS])).keys() == {"LINHAS_ACIMA_DO_CABECALHO"}


# --- titles that are not found --------------------------------------------------------------------------


def test_unknown_titles_are_told_beside_the_nearest_expected_ones():
    verdict = judged([["Relatório", *BLANK[1:]], OTHER_TITLES, *ROWS[1:]])
    assert errors(verdict) == ["CABECALHO_NAO_ENCONTRADO"]
    (said,) = verdict.problems
    assert "na linha 2 li 'Nr.', 'Veículo', 'Nº interno', 'Dt.'" in said.message
    assert "esperava PLACA (seria 'Veículo'?), DATA (seria 'Dt.'?), HORÁRIO SAÍDA" in said.message
    assert "a aba Modelo da resposta" in said.suggestion
    assert "telemetria" not in said.message + said.suggestion


def test_a_title_that_is_missing_is_told_with_the_nearest_that_was_read():
    names = {"PLACA": "Veículo", "DATA": "Dt."}
    verdict = judged([[names.get(t, t) for t in HEADERS], *ROWS[1:]])
    assert errors(verdict) == ["COLUNA_OBRIGATORIA_AUSENTE"] * 2
    assert [p.suggestion.split("título. ")[-1] for p in verdict.problems] == [
        "Seria a coluna Veículo (coluna B)?",
        "Seria a coluna Dt. (coluna D)?",
    ]


def test_trips_without_titles_tell_the_first_row_that_was_read():
    verdict = judged(ROWS[1:])
    assert errors(verdict) == ["CABECALHO_NAO_ENCONTRADO"]
    assert "na linha 1 li '100', 'ABC1A10', '3800'" in verdict.problems[0].message


def test_two_columns_of_one_unknown_title_harm_nobody():
    rows = with_columns(["OBS", "OBS"], ["a", "b"])
    assert notes(judged(rows)).keys() == {"COLUNA_DESCONHECIDA"}


# --- what other programs leave behind -------------------------------------------------------------------

_ZERO_WIDTH = ["\u200b", "\u200e", "\u200f", "\u2060", "\ufeff", "\u00ad", "\u202a"]


@pytest.mark.parametrize("char", _ZERO_WIDTH)
def test_invisible_characters_are_no_part_of_titles_or_cells(char):
    rows = [[f"{char}{t[:2]}{char}{t[2:]}{char}" for t in r] for r in ROWS]
    for verdict in (judged(rows), judged(xlsx({"B": sheet_xml(rows)}))):
        assert verdict.verdict == "accepted"
        assert verdict.sheet.cells.to_numpy().tolist() == ROWS[1:]
        assert list(verdict.sheet.headers.values()) == ROWS[0]
        assert verdict.accepted["motorista"].tolist() == [r[13] for r in ROWS[1:]]


@pytest.mark.parametrize("inner", [";", ",", "\t"])
@pytest.mark.parametrize("tail", ["", ";;", ",,,"])
@pytest.mark.parametrize("header_too", [True, False])
def test_lines_that_are_wholly_inside_quotes(inner, tail, header_too):
    lines = csv_text(ROWS, inner).splitlines()
    wrapped = ['"' + line.replace('"', '""') + '"' + tail for line in lines]
    if not header_too:
        wrapped[0] = lines[0]
    for encoding in ("utf-8", "cp1252"):
        verdict = judged("\r\n".join(wrapped).encode(encoding))
        assert "LINHAS_ENTRE_ASPAS" in notes(verdict)
        assert verdict.sheet.separator == inner
        assert verdict.sheet.cells.to_numpy().tolist() == ROWS[1:]


def test_a_quoted_remark_is_no_line_inside_quotes():
    text = '"Garagem; dia; e noite"\r\n' + csv_text(ROWS)
    said = notes(judged(text.encode()))
    assert said.keys() == {"LINHAS_ACIMA_DO_CABECALHO"}


def test_a_workbook_with_everything_in_its_first_column_tells_the_repair():
    for separator in ";,":
        rows = [[line] for line in csv_text(ROWS, separator).splitlines()]
        verdict = judged(xlsx({"B": sheet_xml([["VIAÇÃO TESTE"], *rows])}))
        assert errors(verdict) == ["TUDO_NUMA_COLUNA"]
        assert "linha 2" in verdict.problems[0].message
        assert "Texto para Colunas" in verdict.problems[0].suggestion


def test_text_that_sap_and_totvs_write_as_a_formula_is_text():
    text = csv_text([ROWS[0], *([f"={t}" for t in r] for r in ROWS[1:])])
    for start, end in (('="', '"'), ('"=""', '"""')):
        lines = [
            ";".join(f"{start}{cell[1:]}{end}" for cell in line.split(";")) for line in text.splitlines()[1:]
        ]
        verdict = judged("\r\n".join([text.splitlines()[0], *lines]).encode())
        assert notes(verdict) == {}
        assert verdict.sheet.cells.to_numpy().tolist() == ROWS[1:]


def test_a_list_that_sap_prints():
    rule = "-" * 90
    lines = ["|" + "|".join(cell.ljust(20) for cell in r) + "|" for r in ROWS]
    text = "\r\n".join([rule, lines[0], rule, *lines[1:], rule])
    verdict = judged(text.encode("cp1252"), "lista.txt")
    assert notes(verdict).keys() == {
        "CODIFICACAO_PRESUMIDA",
        "LINHAS_ACIMA_DO_CABECALHO",
        "LINHA_FORA_DA_TABELA",
    }
    assert (verdict.sheet.separator, verdict.sheet.encoding, verdict.sheet.header_row) == ("|", "cp1252", 2)


def test_text_under_the_name_of_a_workbook_is_read_as_text():
    verdict = judged(csv_text(ROWS, "\t").encode("utf-16"), "boletim.xls")
    assert notes(verdict) == {}
    assert (verdict.sheet.separator, verdict.sheet.encoding) == ("\t", "utf-16-le")


def test_parts_that_nobody_reads_break_no_workbook():
    junk = {
        "[trash]/0000.dat": b"\0" * 500,
        "customXml/item1.xml": "<?xml version='1.0' encoding='utf-16'?><a/>".encode("utf-16"),
        "docProps/custom.xml": b"<broken",
        "xl/media/image1.dat": b"\0\xff" * 50,
    }
    assert notes(judged(xlsx({"B": sheet_xml(TYPED)}, more=junk))) == {}
