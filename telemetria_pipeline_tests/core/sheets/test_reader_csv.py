"""CSV: encodings, separators, rows as a spreadsheet counts them."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.boletim_files import HEADERS, csv_text, trip
from telemetria_pipeline.contracts.boletim import HEADER_NAMES, REQUIRED
from telemetria_pipeline.core.sheets import delimited
from telemetria_pipeline.core.sheets.reader import read_sheet
from telemetria_pipeline.core.sheets.text import Limits, SheetText, Unreadable

ROWS = [list(HEADERS), *map(trip, range(40))]


def read(data: bytes, **more) -> SheetText:
    return read_sheet(data, file_name="boletim.csv", known_headers=HEADER_NAMES, required=REQUIRED, **more)


def refused(data: bytes, **more) -> str:
    with pytest.raises(Unreadable) as refusal:
        read(data, **more)
    assert all(p.severity in ("erro", "aviso") for p in refusal.value.problems)
    return refusal.value.problems[0].code


def codes(sheet: SheetText) -> list[str]:
    return [p.code for p in (*sheet.notes, *sheet.problems)]


def assert_is_the_boletim(sheet: SheetText, first_row: int = 2) -> None:
    assert list(sheet.headers.values()) == list(HEADERS)
    assert list(sheet.headers) == list("ABCDEFGHIJKLMNO")
    assert sheet.cells.to_numpy().tolist() == ROWS[1:]
    assert sheet.cells.index.tolist() == list(range(first_row, first_row + 40))
    assert str(sheet.cells.index.dtype) == "int64"
    assert set(map(str, sheet.cells.dtypes)) == {"str"}
    assert sheet.sheet is None


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16", "utf-16-le", "utf-16-be", "utf-32"]
)
@pytest.mark.parametrize("separator", [";", ",", "\t", "|"])
def test_every_encoding_and_separator_gives_the_same_cells(encoding, separator):
    sheet = read(csv_text(ROWS, separator).encode(encoding))
    assert_is_the_boletim(sheet)
    marked = {"utf-16": "utf-16-le", "utf-32": "utf-32-le"}  # by a byte order mark
    assert (sheet.separator, sheet.encoding) == (separator, marked.get(encoding, encoding))
    presumed = encoding in ("cp1252", "utf-16-le", "utf-16-be")
    assert codes(sheet) == ["CODIFICACAO_PRESUMIDA"] * presumed


def test_byte_order_mark_written_twice_is_no_part_of_the_first_header():
    quoted = csv_text(ROWS).replace("NUMERO ATA", '"NUMERO ATA"')
    for encoding in ("utf-8", "utf-16-le"):
        assert_is_the_boletim(read(("\ufeff" * 2 + quoted).encode(encoding)))


@pytest.mark.parametrize("hint", ["sep=;", "SEP=;", '"sep=;"', "sep=;;;;;"])
def test_a_separator_hint_is_honoured_and_is_no_row(hint):
    assert_is_the_boletim(read(f"{hint}\r\n{csv_text(ROWS)}".encode()))


def test_separator_hint_beats_what_the_rows_look_like():
    text = "sep=|\nPLACA,X|DATA\nABC,1D23|01/11/2026\n"
    sheet = read(text.encode())
    assert sheet.headers == {"A": "PLACA,X", "B": "DATA"}
    assert sheet.cells.to_numpy().tolist() == [["ABC,1D23", "01/11/2026"]]


def test_mixed_line_ends():
    lines = csv_text(ROWS, end="\n").split("\n")
    ends = ["\r", "\n", "\r\n"]
    assert_is_the_boletim(read("".join(line + ends[i % 3] for i, line in enumerate(lines[:-1])).encode()))


def test_a_quoted_line_break_starts_no_row_and_a_blank_line_is_one():
    rows = [ROWS[0], [*ROWS[1][:13], "JOSÉ\r\nDA SILVA", "VIAÇÃO"], ROWS[2]]
    text = csv_text(rows).replace("101;", "\r\n101;", 1)
    sheet = read(text.encode())
    assert sheet.cells.index.tolist() == [2, 4]
    assert sheet.cells.loc[2, "N"] == "JOSÉ\r\nDA SILVA"
    assert codes(sheet) == ["LINHAS_EM_BRANCO"]


def test_outer_whitespace_goes_and_nothing_else():
    sheet = read("PLACA;DATA;MOTORISTA\n abc 1d23\t;\u00a001/11/2026;NULL\nX;NaN;'=1+1\n".encode())
    assert sheet.cells.to_numpy().tolist() == [["abc 1d23", "01/11/2026", "NULL"], ["X", "NaN", "'=1+1"]]


def test_control_characters_vanish_in_even_and_uneven_files():
    for tail in ("", ";\r\n1;2;3;4"):
        text = f"PLACA;DATA;MOTORISTA\r\nABC1D23;01/11/2026;JO\x07SE\x1b[31m{tail}"
        assert read(text.encode()).cells.loc[2, "C"] == "JOSE[31m"


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("ПЛАКА;ДАТА;ВОДИТЕЛЬ\nABC1D23;01/11/2026;Иванов Пётр\n", "cp1251"),
        ("ΠΙΝΑΚΙΔΑ;DATA\nABC1D23;οδηγός Γιώργος\n", "cp1253"),
        ("車番;日付;運転手\nABC1D23;01/11/2026;山田太郎\n", "shift_jis"),
        ("車號;日期;司機\nABC1D23;01/11/2026;王小明\n", "gb18030"),
        ("PLACA;LOCAL SAÍDA;HORÁRIO SAÍDA;OBSERVAÇÃO\nABC1D23;SÃO JOSÉ;7:00;NÃO É\n", "cp850"),
        ("PLACA;LOCAL SAÍDA;HORÁRIO SAÍDA;OBSERVAÇÃO\nABC1D23;SÃO JOSÉ;7:00;NÃO É\n", "mac_roman"),
    ],
)
def test_other_scripts_are_refused_and_not_read_as_mojibake(text, encoding):
    assert refused(text.encode(encoding)) == "CODIFICACAO_DESCONHECIDA"


def test_two_encodings_in_one_file_are_refused_with_the_line():
    data = csv_text(ROWS[:3]).encode() + csv_text(ROWS[3:]).encode("cp1252")
    with pytest.raises(Unreadable) as refusal:
        read(data)
    assert "mistura duas codificações (veja a linha 4)" in refusal.value.problems[0].message


def test_short_cp1252_text_is_read_by_rule():
    sheet = read("PLACA;DATA;MOTORISTA\nABC1D23;01/11/2026;JOSÉ\n".encode("cp1252"))
    assert sheet.cells.loc[2, "C"] == "JOSÉ"


def test_an_open_quote_names_its_row():
    text = csv_text(ROWS[:6]) + '105;"ABC1A15;3805\r\n' + csv_text(ROWS[7:])
    with pytest.raises(Unreadable) as refusal:
        read(text.encode())
    assert refusal.value.problems[0].code == "ASPAS_ABERTAS"
    assert "linha 7" in refusal.value.problems[0].message


def test_an_open_quote_in_the_last_cell_is_seen_too():
    # Here all rows have the same number of cells, so that Arrow alone would let it pass.
    text = csv_text(ROWS).rstrip("\r\n").removesuffix("VIAÇÃO TESTE") + '"VIAÇÃO TESTE'
    assert refused(text.encode()) == "ASPAS_ABERTAS"


def test_a_cell_as_long_as_a_book():
    for more, code in ((";", "ARQUIVO_CORROMPIDO"), (';"', "ASPAS_ABERTAS")):
        assert refused((csv_text(ROWS) + more + "x" * 200_000).encode()) == code


def test_rows_too_long_or_short_are_one_problem_each_and_never_shifted():
    rows = [row[:] for row in ROWS]
    rows[3] = [*rows[3], "a mais"]
    rows[5] = rows[5][:12]
    sheet = read(csv_text(rows).encode())
    assert [(p.code, p.row) for p in sheet.problems] == [
        ("LINHA_COM_CELULAS_A_MAIS", 4),
        ("LINHA_COM_CELULAS_A_MENOS", 6),
    ]
    assert "tem 16 células" in sheet.problems[0].message
    assert "tem 12 células" in sheet.problems[1].message
    assert sheet.cells.loc[4].tolist() == ROWS[3]
    assert sheet.cells.loc[6].tolist() == [*ROWS[5][:12], "", "", ""]


def test_padding_beyond_the_header_is_no_problem():
    sheet = read(csv_text([[*row, "", ""] for row in ROWS]).encode())
    assert_is_the_boletim(sheet)
    assert codes(sheet) == []


def test_a_value_beyond_the_header_is_an_error_in_a_padded_file_too():
    rows = [[*row, "", ""] for row in ROWS]
    rows[2][16] = "x"
    assert [(p.code, p.row) for p in read(csv_text(rows).encode()).problems] == [
        ("LINHA_COM_CELULAS_A_MAIS", 3)
    ]


def test_blocks_of_sixteen_that_excel_cuts_short_are_a_warning():
    rows = [[*row, ""] for row in ROWS[:17]]
    rows[0][15] = "OBSERVAÇÃO"
    rows = rows[:16] + ROWS[16:]  # rows 17 to 32 and 33 to 41 end before the empty last column
    sheet = read(csv_text(rows).encode())
    assert codes(sheet) == ["LINHAS_CORTADAS_PELO_EXCEL"]
    assert "17 a 41" in sheet.notes[0].message
    rows[20] = rows[20][:9]
    assert "LINHA_COM_CELULAS_A_MENOS" in codes(read(csv_text(rows).encode()))


def test_an_upload_cut_in_the_middle_of_its_last_row_is_an_error():
    text = csv_text(ROWS).rstrip("\r\n")
    assert "LINHA_COM_CELULAS_A_MENOS" in codes(read(text[: text.rindex(";J")].encode()))


def test_too_many_rows_and_columns():
    assert refused(csv_text(ROWS).encode(), limits=Limits(rows=39)) == "LINHAS_DEMAIS"
    assert_is_the_boletim(read(csv_text(ROWS).encode(), limits=Limits(rows=40)))
    assert refused(csv_text([ROWS[0]] + ROWS[1:] * 10).encode(), limits=Limits(rows=200)) == "LINHAS_DEMAIS"
    assert refused(csv_text([[*row, *["x"] * 250] for row in ROWS]).encode()) == "COLUNAS_DEMAIS"
    uneven = [ROWS[0], *([*row, *["x"] * (250 + i % 3)] for i, row in enumerate(ROWS[1:]))]
    assert refused(csv_text(uneven).encode()) == "COLUNAS_DEMAIS"
    wide = csv_text(ROWS[:-1]) + ";".join([*ROWS[-1], *["x"] * 5000])
    assert codes(read(wide.encode())) == ["LINHA_COM_CELULAS_A_MAIS"]


CELL = st.text(st.sampled_from('ab1 ;,"\n\r\tã'), max_size=6)


@given(st.lists(st.lists(CELL, min_size=2, max_size=2), min_size=1, max_size=12), st.sampled_from(";,|"))
def test_arrow_and_the_slow_way_read_the_same_rows(rows, separator):
    out = io.StringIO()
    csv.writer(out, delimiter=separator).writerows(rows)
    data = out.getvalue().rstrip("\r\n").encode()
    table = delimited._even_rows(data, separator, Limits())
    slow = delimited._uneven_rows(data, separator, Limits())
    if table is not None:
        assert [list(row.values()) for row in table.to_pylist()] == [row or ["", ""] for row in slow]


@given(st.text(st.sampled_from('ab;,"\n\r\t |x'), max_size=60))
def test_arrow_never_reads_what_the_slow_way_reads_otherwise(text):
    data = text.rstrip("\r\n").encode()
    table = delimited._even_rows(data, ";", Limits())
    if table is not None:
        slow = delimited._uneven_rows(data, ";", Limits())
        width = table.num_columns
        assert [list(row.values()) for row in table.to_pylist()] == [row or [""] * width for row in slow]
