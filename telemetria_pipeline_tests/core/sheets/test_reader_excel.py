"""Excel: values as a spreadsheet shows them, sheets, and what calamine alone would hide."""

import datetime as dt
import io

import openpyxl
import pytest

from benchmarks.boletim_files import HEADERS, Error, Formula, Serial, sheet_xml, typed_trip, xlsx
from telemetria_pipeline.contracts.boletim import HEADER_NAMES, OWN_SHEETS, REQUIRED
from telemetria_pipeline.core.sheets.reader import read_sheet
from telemetria_pipeline.core.sheets.text import (
    BOOLEAN,
    DATE,
    DATETIME,
    DURATION,
    EMPTY,
    NUMBER,
    TEXT,
    TIME,
    Limits,
    SheetText,
    Unreadable,
)

ROWS = [list(HEADERS), *map(typed_trip, range(20))]
FIRST_TRIP = [
    *("100", "ABC1A10", "3800", "2026-11-01", "FAZENDA SÃO JOÃO 0", "USINA", "05:15:00", "06:05:00", "A"),
    *("10000.5", "10025.5", "25", "0", "JOSÉ CONCEIÇÃO 0", "VIAÇÃO TESTE"),
]


def read(data: bytes, **more) -> SheetText:
    more = {"known_headers": HEADER_NAMES, "required": REQUIRED, "ignored_sheets": OWN_SHEETS} | more
    return read_sheet(data, file_name="boletim.xlsx", **more)


def refused(data: bytes, **more) -> str:
    with pytest.raises(Unreadable) as refusal:
        read(data, **more)
    return refusal.value.problems[0].code


def codes(sheet: SheetText) -> list[str]:
    return [p.code for p in (*sheet.notes, *sheet.problems)]


def changed(**cells) -> list[list]:
    """The rows with other values at addresses like E5."""
    rows = [row[:] for row in ROWS]
    for at, value in cells.items():
        rows[int(at[1:]) - 1][ord(at[0]) - 65] = value
    return rows


def test_a_typed_sheet_as_text():
    sheet = read(xlsx({"BOLETIM": sheet_xml(ROWS)}))
    assert sheet.sheet == "BOLETIM"
    assert list(sheet.headers.values()) == list(HEADERS)
    assert sheet.cells.index.tolist() == list(range(2, 22))
    assert str(sheet.cells.index.dtype) == "int64"
    assert set(map(str, sheet.cells.dtypes)) == {"str"}
    assert sheet.cells.loc[2].tolist() == FIRST_TRIP
    kinds = [int(sheet.kinds[at][0]) for at in sheet.headers]
    assert kinds == [*(TEXT, TEXT, NUMBER, DATE, TEXT, TEXT, TIME, TIME, TEXT), *[NUMBER] * 4, TEXT, TEXT]
    assert codes(sheet) == []


@pytest.mark.parametrize("from_1904", [False, True])
@pytest.mark.parametrize(
    ("serial", "style", "text", "kind"),
    [
        (46327, 1, "2026-11-01", DATE),
        (46327.3125, 5, "2026-11-01 07:30:00", DATETIME),
        (2044991, 4, "7498-12-28", DATE),
        (0, 2, "00:00:00", TIME),
        (0.3333333, 2, "08:00:00", TIME),
        (0.99999999, 2, "24:00:00", TIME),
        (1, 2, "24:00:00", DATE),
        (1.0902777, 2, "26:10:00", DATETIME),
        (1.0902777, 3, "26:10:00", DURATION),
        (-0.5, 3, "-12:00:00", DURATION),
    ],
)
def test_dates_clocks_and_durations(from_1904, serial, style, text, kind):
    if from_1904 and serial > 2:
        serial -= 1462
    sheet = read(xlsx({"B": sheet_xml(changed(G2=Serial(serial, style)))}, from_1904=from_1904))
    assert sheet.cells.loc[2, "G"] == text
    assert sheet.kinds["G"][0] == kind


@pytest.mark.parametrize(
    ("value", "text", "kind"),
    [
        (1020.1, "1020.1", NUMBER),
        (0.1 + 0.2, "0.30000000000000004", NUMBER),
        (123456789012.0, "123456789012", NUMBER),
        (-5.0, "-5", NUMBER),
        (-0.0, "0", NUMBER),
        (True, "VERDADEIRO", BOOLEAN),
        (False, "FALSO", BOOLEAN),
        ("  GARAGEM\n ", "GARAGEM", TEXT),
        ("a_x0007_b", "ab", TEXT),
        ("   ", "", EMPTY),
        ("=1+1", "=1+1", TEXT),
        ("00123", "00123", TEXT),
    ],
)
def test_numbers_booleans_and_text(value, text, kind):
    sheet = read(xlsx({"B": sheet_xml(changed(L3=value, L4=1.0, L5=0.0))}))
    assert sheet.cells.loc[3, "L"] == text
    assert sheet.kinds["L"][1] == kind
    assert sheet.cells.loc[[4, 5], "L"].tolist() == ["1", "0"]


def test_a_plate_that_excel_made_a_date_of_is_handed_on_as_that_date():
    serial = (dt.date(7499, 2, 1) - dt.date(1899, 12, 30)).days
    sheet = read(xlsx({"B": sheet_xml(changed(B4=Serial(serial, 4)))}))
    assert sheet.cells.loc[4, "B"] == "7499-02-01"
    assert sheet.kinds["B"].tolist()[1:4] == [TEXT, DATE, TEXT]


def test_error_cells_and_formulas_without_a_result_are_named():
    rows = changed(
        J5=Error("#REF!"),
        L6=Formula("K6-J6", 25.0),
        L7=Formula("K7-J7", None),
        N8=Formula('"JO"&"SÉ"', "JOSÉ"),
    )
    sheet = read(xlsx({"B": sheet_xml(rows)}))
    assert [(p.code, p.sheet, p.cell, p.column, p.value, p.row) for p in sheet.problems] == [
        ("CELULA_COM_ERRO", "B", "J5", "KM SAÍDA", "#REF!", 5),
        ("FORMULA_SEM_VALOR", "B", "L7", "KM ROTA", "=K7-J7", 7),
    ]
    assert sheet.cells.loc[5, "J"] == "#REF!"
    assert sheet.cells.loc[6, "L"] == "25"
    assert sheet.cells.loc[7, "L"] == ""
    assert sheet.cells.loc[8, "N"] == "JOSÉ"


def test_what_openpyxl_writes_of_a_formula_has_no_result():
    book = openpyxl.Workbook()
    book.active.append(list(HEADERS))
    book.active.append([*FIRST_TRIP[:11], "=K2-J2", *FIRST_TRIP[12:]])
    saved = io.BytesIO()
    book.save(saved)
    assert [p.cell for p in read(saved.getvalue()).problems] == ["L2"]


def test_error_cells_outside_the_table_do_not_reject():
    rows = [*changed(), ["Total", Error("#DIV/0!")]]
    for row in rows[1:3]:
        row += ["", "", Error("#N/A")]
    sheet = read(xlsx({"B": sheet_xml(rows)}))
    assert sheet.problems == []
    assert len(sheet.cells) == 20


def test_every_error_shows_when_there_is_no_table_at_all():
    with pytest.raises(Unreadable) as refusal:
        read(xlsx({"B": sheet_xml([[Error("#DIV/0!")], [Error("#REF!")]])}))
    assert [(p.code, p.cell) for p in refusal.value.problems] == [
        ("CABECALHO_NAO_ENCONTRADO", None),
        ("CELULA_COM_ERRO", "A1"),
        ("CELULA_COM_ERRO", "A2"),
    ]


def test_hidden_rows_are_read_and_said():
    sheet = read(xlsx({"B": sheet_xml(ROWS, hidden_rows=[4, 5, 9])}))
    assert len(sheet.cells) == 20
    assert codes(sheet) == ["LINHAS_OCULTAS"]
    assert "4 a 5, 9" in sheet.notes[0].message


def test_merged_cells_keep_their_value_in_the_first_and_it_is_said():
    sheet = read(xlsx({"B": sheet_xml(changed(N4="", N5=""), merged=["N3:N5"])}))
    assert sheet.cells.loc[3:5, "N"].tolist() == ["JOSÉ CONCEIÇÃO 1", "", ""]
    assert codes(sheet) == ["CELULAS_MESCLADAS"]
    assert "N3:N5" in sheet.notes[0].message


def test_a_table_away_from_a1_keeps_its_addresses():
    rows = changed(J5=Error("#REF!"))
    sheet = read(xlsx({"B": sheet_xml(rows, at=(7, 4))}))
    assert list(sheet.headers)[:2] == ["D", "E"]
    assert list(sheet.headers)[-1] == "R"
    assert sheet.header_row == 7
    assert sheet.cells.index[0] == 8
    assert sheet.problems[0].cell == "M11"


def test_a_lying_dimension_loses_nothing():
    sheet = read(xlsx({"B": sheet_xml(ROWS, dimension="A1")}))
    assert len(sheet.cells) == 20


def test_the_sheet_that_is_a_boletim_is_read_wherever_it_stands():
    pivot = sheet_xml([["Rótulos de Linha", "Soma de KM"], ["ABC1A10", 25.0], ["Total Geral", 25.0]])
    book = {"RESUMO": pivot, "OCULTA": sheet_xml(ROWS[:5]), "DADOS": sheet_xml(ROWS), "VAZIA": sheet_xml([])}
    sheet = read(xlsx(book, states={"OCULTA": "veryHidden"}))
    assert sheet.sheet == "DADOS"
    assert len(sheet.cells) == 20
    assert codes(sheet) == ["PLANILHA_ESCOLHIDA", "PLANILHAS_OCULTAS"]
    assert "RESUMO" in sheet.notes[0].message
    assert "OCULTA" in sheet.notes[1].message


def test_no_visible_sheet_and_empty_sheets():
    data = xlsx({"B": sheet_xml(ROWS)}, states={"B": "hidden"})
    assert refused(data) == "SEM_PLANILHA_VISIVEL"
    assert refused(xlsx({"B": sheet_xml([])})) == "ARQUIVO_VAZIO"


def test_headers_in_two_rows_are_joined_with_merged_groups():
    over = ["PLACA", "DATA", "SAÍDA", "", "", "CHEGADA", "", "", "PESSOAS"]
    under = ["", "", "LOCAL", "HORÁRIO", "KM", "LOCAL", "HORÁRIO", "KM", ""]
    trips = [
        ["ABC1D23", Serial(46327, 1), "A", "07:00", 10.0, "B", "08:00", float(20 + i), 3.0] for i in range(4)
    ]
    expected = [
        *("PLACA", "DATA", "LOCAL SAÍDA", "HORÁRIO SAÍDA", "KM SAÍDA"),
        *("LOCAL CHEGADA", "HORÁRIO CHEGADA", "KM CHEGADA", "PESSOAS"),
    ]
    for merged in ([], ["A1:A2", "B1:B2", "C1:E1", "F1:H1", "I1:I2"]):
        sheet = read(xlsx({"B": sheet_xml([over, under, *trips], merged=merged)}))
        assert list(sheet.headers.values()) == expected
        assert sheet.header_row == 2
        assert sheet.cells.index.tolist() == [3, 4, 5, 6]
        assert codes(sheet) == ["CABECALHO_EM_VARIAS_LINHAS"]


@pytest.mark.parametrize("merged", [[], ["A1:O1"]])
@pytest.mark.parametrize("first", ["NUMERO ATA", "RESPONSÁVEL"])
@pytest.mark.parametrize("more", [[], [["DIÁRIO"]], [[]]])
def test_a_title_above_the_header_is_part_of_no_header(merged, first, more):
    over = [first, "PLACA", "DATA", "SAÍDA", "", "", "CHEGADA", "", "", *[""] * 5, ""]
    under = ["", "", "", "LOCAL", "HORÁRIO", "KM", "LOCAL", "HORÁRIO", "KM", *[""] * 5, "OBS"]
    trips = [
        [*("1", "ABC1D23", "01/11/2026", "A", "07:00", 10.0, "B", "08:00", float(20 + i)), *[""] * 5, "x"]
        for i in range(4)
    ]
    sheet = read(xlsx({"B": sheet_xml([["VIAÇÃO X DIÁRIO"], *more, over, under, *trips], merged=merged)}))
    assert (sheet.headers["A"], sheet.headers["O"]) == (first, "OBS")
    assert [sheet.headers[at] for at in "FI"] == ["KM SAÍDA", "KM CHEGADA"]


def test_a_title_that_stands_in_the_row_of_groups_is_part_of_no_header():
    over = ["VIAÇÃO X DIÁRIO", "", "", "", "", "", "KM"]
    under = ["OBS", "PLACA", "DATA", "HORA SAÍDA", "HORA CHEGADA", "NOTA", "INICIAL", "FINAL", "VISTO"]
    trip = ["x", "ABC1D23", "01/11/2026", "07:00", "08:00", "y", 10.0, 20.0, "z"]
    sheet = read(xlsx({"B": sheet_xml([over, under, trip, trip])}))
    assert sheet.headers["A"] == "VIAÇÃO X DIÁRIO OBS"  # nothing tells a title from a group's name here
    assert list(sheet.headers.values())[1:] == [*under[1:6], "KM INICIAL", "KM FINAL", "VISTO"]


def test_unknown_columns_of_one_name_are_told_apart_by_their_groups():
    over = ["PLACA", "DATA", "KM", "", "", "HORA", "", ""]
    under = ["", "", "INICIAL", "FINAL", "FISCAL", "INICIAL", "FINAL", "FISCAL"]
    trip = ["ABC1D23", "01/11/2026", 10.0, 20.0, "x", "07:00", "08:00", "y"]
    sheet = read(xlsx({"B": sheet_xml([over, under, trip, trip])}))
    assert (sheet.headers["E"], sheet.headers["H"]) == ("KM FISCAL", "HORA FISCAL")


def test_two_sheets_that_both_hold_a_boletim_are_refused_by_name():
    week = {"SEMANA 1": sheet_xml(ROWS), "SEMANA 2": sheet_xml(ROWS[:3])}
    with pytest.raises(Unreadable) as refusal:
        read(xlsx(week))
    (said,) = refusal.value.problems
    assert said.code == "DUAS_PLANILHAS"
    assert "SEMANA 1 e SEMANA 2" in said.message
    # One misspelt header does not make it another table.
    misspelt = sheet_xml([["PLCA" if h == "PLACA" else h for h in HEADERS], *ROWS[1:3]])
    assert refused(xlsx({"A": sheet_xml(ROWS), "B": misspelt})) == "DUAS_PLANILHAS"


def test_a_boletim_without_rows_and_a_summary_are_no_second_boletim():
    summary = sheet_xml([["PLACA", "DATA", "KM INICIAL", "KM FINAL"], ["ABC1A10", "01/11/2026", 1.0, 2.0]])
    book = {"A": sheet_xml(ROWS), "B": sheet_xml([["VIAÇÃO"], list(HEADERS)]), "DIÁRIA": summary}
    sheet = read(xlsx(book))
    assert (sheet.sheet, codes(sheet)) == ("A", ["PLANILHA_ESCOLHIDA"])


@pytest.mark.parametrize(
    "odd",
    [
        b'<row r="900000"><c r="A900000"><v>1</v></c></row>',
        b'<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>',
        b'<row r="30"><c r="XFD30"><v>1</v></c></row>',
        b"<row r='1048576'><c r='XFD1048576'><v>1</v></c></row>",
        b'<row\tr="1048576"><c\nr="XFD1048576"><v>1</v></c></row>',
        b'<x:row r="1048576"><x:c r="XFD1048576"><v>1</v></x:c></x:row>',
        b'<row r="1048576"><c r="xfd1048576"><v>1</v></c></row>',
    ],
)
def test_a_cell_at_the_end_of_the_world_is_refused_before_its_rectangle_is_allocated(odd):
    xml = sheet_xml(ROWS).replace(b"</sheetData>", odd + b"</sheetData>")
    xml = xml.replace(b"<worksheet ", b'<worksheet xmlns:x="y" ')
    assert refused(xlsx({"B": xml})) in ("LINHAS_DEMAIS", "COLUNAS_DEMAIS")


def test_a_styled_empty_cell_at_the_end_of_the_world_harms_nobody():
    odd = b'<row r="1048576"><c r="XFD1048576" s="1"/></row></sheetData>'
    sheet = read(xlsx({"B": sheet_xml(ROWS).replace(b"</sheetData>", odd)}))
    assert len(sheet.cells) == 20


def test_too_many_rows():
    data = xlsx({"B": sheet_xml(ROWS)})
    assert refused(data, limits=Limits(rows=19)) == "LINHAS_DEMAIS"
    assert len(read(data, limits=Limits(rows=20)).cells) == 20
    many = xlsx({"B": sheet_xml([ROWS[0], *(ROWS[1:] * 100)])})
    assert refused(many, limits=Limits(rows=1000)) == "LINHAS_DEMAIS"


def test_positions_that_are_left_out_follow_from_the_cell_before():
    import re

    xml = re.sub(rb' r="[A-Z]*[0-9]+"', b"", sheet_xml(changed(J5=Error("#REF!"))))
    # Without positions an empty cell cannot be told from none, so this sheet has none.
    sheet = read(xlsx({"B": xml}))
    assert sheet.cells.loc[2].tolist() == FIRST_TRIP
    assert sheet.problems[0].cell == "J5"
