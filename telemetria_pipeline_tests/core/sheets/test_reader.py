"""What is no boletim is refused, each with its own message; the table is found among the rest."""

import io
import struct
import zipfile
import zlib
from pathlib import Path

import pytest

from benchmarks.boletim_files import HEADERS, csv_text, sheet_xml, trip, typed_trip, xlsx
from telemetria_pipeline.contracts.boletim import HEADER_NAMES, REQUIRED
from telemetria_pipeline.core.sheets.reader import read_sheet
from telemetria_pipeline.core.sheets.text import Limits, SheetText, Unreadable

ROWS = [list(HEADERS), *map(trip, range(20))]
GOOD = xlsx({"BOLETIM": sheet_xml([list(HEADERS), *map(typed_trip, range(20))])})
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504)
SAMPLES = Path(__file__).parents[4] / "shared" / "samples" / "files"


def read(data: bytes, file_name: str = "boletim", **more) -> SheetText:
    return read_sheet(
        data, file_name=file_name, **{"known_headers": HEADER_NAMES, "required": REQUIRED} | more
    )


def refused(data: bytes, file_name: str = "boletim", **more) -> str:
    with pytest.raises(Unreadable) as refusal:
        read(data, file_name, **more)
    first = refusal.value.problems[0]
    assert first.severity == "erro"
    assert first.message and first.suggestion
    return first.code


def notes(rows: list[list[str]]) -> dict[str, str]:
    return {p.code: p.message for p in read(csv_text(rows).encode()).notes}


def archive(**parts: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as new:
        for name, part in parts.items():
            new.writestr(name.replace("__", "/"), part)
    return packed.getvalue()


# --- guards ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "ARQUIVO_VAZIO"),
        (b" \r\n\t\r\n", "ARQUIVO_VAZIO"),
        (b"\xef\xbb\xbf", "ARQUIVO_VAZIO"),
        (b"\xff\xfe", "ARQUIVO_VAZIO"),
        (OLE + "EncryptedPackage".encode("utf-16-le"), "ARQUIVO_COM_SENHA"),
        (OLE + "Workbook".encode("utf-16-le"), "ARQUIVO_XLS"),
        (OLE + "WordDocument".encode("utf-16-le"), "FORMATO_NAO_ACEITO"),
        (b"<html><table><tr><td>PLACA</td></tr></table></html>", "ARQUIVO_HTML"),
        (b"\xef\xbb\xbf\r\n <!DOCTYPE html>\n<html>", "ARQUIVO_HTML"),
        ("<html><meta charset=utf-16><table>".encode("utf-16"), "ARQUIVO_HTML"),
        (b'<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><table>', "ARQUIVO_HTML"),
        (b"<!-- <viagens> -->\n<table><tr><td>PLACA</td></tr></table>", "ARQUIVO_HTML"),
        (b"<TABLE border=1><TR><TD>PLACA", "ARQUIVO_HTML"),
        (b"MIME-Version: 1.0\nContent-Type: multipart/related\n", "ARQUIVO_HTML"),
        (
            b'<?xml version="1.0"?><Workbook xmlns="urn:schemas-microsoft-com:office:spreadsheet"/>',
            "ARQUIVO_XML",
        ),
        # Elements of XML that have the names of HTML's.
        (
            b'<?xml version="1.0"?><?mso-application progid="Excel.Sheet"?><Workbook xmlns="urn:x"><Styles>'
            b'<Style ID="a"/></Styles><Worksheet><Table><Row/></Table></Worksheet></Workbook>',
            "ARQUIVO_XML",
        ),
        (b'<?xml version="1.0"?><viagens><head/><table/></viagens>', "ARQUIVO_XML"),
        (b"%PDF-1.7 x", "FORMATO_NAO_ACEITO"),
        (b"\x89PNG\r\n\x1a\n", "FORMATO_NAO_ACEITO"),
        (b"PLACA;DATA\nABC\x00D23;1\n", "FORMATO_NAO_ACEITO"),
        (archive(word__document_xml=b"<w/>"), "FORMATO_NAO_ACEITO"),
        (archive(xl__workbook_bin=b"x").replace(b"workbook_bin", b"workbook.bin"), "FORMATO_NAO_ACEITO"),
        (archive(boletim_csv=b"PLACA;DATA"), "FORMATO_NAO_ACEITO"),
        (archive(), "FORMATO_NAO_ACEITO"),
        (archive(xl__workbook_xml=b"<workbook/>"), "ARQUIVO_CORROMPIDO"),
        (b"PK\x03\x04 and nothing else", "ARQUIVO_CORROMPIDO"),
        (GOOD[: len(GOOD) // 2], "ARQUIVO_CORROMPIDO"),
        (GOOD[:-30], "ARQUIVO_CORROMPIDO"),
    ],
)
def test_what_is_no_boletim_is_refused_with_its_own_message(data, code):
    for name in ("b.csv", "b.xlsx", "b.xls", "b"):
        assert refused(data, name) == code


def test_lock_files_and_size():
    assert refused(GOOD, "~$boletim.xlsx") == "ARQUIVO_DE_TRAVA"
    assert refused(GOOD, "inbox/~$boletim.xlsx") == "ARQUIVO_DE_TRAVA"
    assert refused(b"PLACA;DATA\n" * 200, limits=Limits(size=2000)) == "ARQUIVO_GRANDE"


def test_the_bytes_decide_and_not_the_name():
    assert len(read(GOOD, "boletim.csv").cells) == 20
    assert len(read(csv_text(ROWS).encode(), "boletim.xlsx").cells) == 20


@pytest.mark.parametrize(
    "part", ["xl/workbook.xml", "xl/sharedStrings.xml", "xl/worksheets/sheet9.xml", "x.xml"]
)
def test_entities_are_never_expanded(part):
    bomb = b'<?xml version="1.0"?>' + b" " * 9000 + b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'
    assert refused(xlsx({"B": sheet_xml(ROWS)}, more={part: bomb})) == "ARQUIVO_INSEGURO"
    assert refused(xlsx({"B": sheet_xml(ROWS)}, more={part: bomb.decode().encode("utf-16")})) in (
        "ARQUIVO_INSEGURO",
        "ARQUIVO_CORROMPIDO",
    )


def test_a_bomb_is_refused_at_the_limit():
    bomb = xlsx({"B": sheet_xml(ROWS)}, more={"xl/sharedStrings.xml": b" " * 30_000_000})
    assert len(bomb) < 40_000
    assert refused(bomb) == "ARQUIVO_INSEGURO"


def test_a_bomb_that_lies_about_its_size_is_refused_too():
    zeros = b" " * 30_000_000
    data = bytearray(xlsx({"B": sheet_xml(ROWS)}, more={"xl/sharedStrings.xml": zeros}))
    told = struct.pack("<I", len(zeros))
    assert data.count(told) == 2
    lie = bytes(data).replace(told, struct.pack("<I", 10))
    lie = lie.replace(struct.pack("<I", zlib.crc32(zeros)), struct.pack("<I", zlib.crc32(zeros[:10])))
    assert refused(lie) == "ARQUIVO_INSEGURO"


def test_a_part_twice_and_an_encrypted_part():
    packed = io.BytesIO(GOOD)
    with zipfile.ZipFile(packed, "a") as doubled, pytest.warns(UserWarning, match="Duplicate"):
        doubled.writestr("xl/workbook.xml", b"<workbook/>")
    assert refused(packed.getvalue()) == "ARQUIVO_CORROMPIDO"
    central = GOOD.index(b"PK\x01\x02")
    locked = bytearray(GOOD)
    locked[central + 8] |= 1
    assert refused(bytes(locked)) == "ARQUIVO_COM_SENHA"


# --- the table among the rest ---------------------------------------------------------------------------


def test_titles_page_banners_totals_and_blank_rows_are_told_from_trips():
    banner = ["VIAÇÃO TESTE", *[""] * 6, "Página 1", *[""] * 7]
    second = ["VIAÇÃO TESTE", *[""] * 6, "Página 2", *[""] * 7]
    blank = [""] * 15
    rows = [
        *(banner, blank, *ROWS[:11], blank, second, ROWS[0], *ROWS[11:]),
        *(["Subtotal", *[""] * 9, "250", *[""] * 4], ["Total Geral", *[""] * 9, "500", *[""] * 4]),
        *(["Emitido em 22/11/2026", *[""] * 14], ["Observação: carro reserva", *[""] * 14], blank),
    ]
    sheet = read(csv_text(rows).encode())
    assert sheet.header_row == 3
    assert sheet.cells.to_numpy().tolist() == ROWS[1:]
    assert sheet.cells.index.tolist() == [*range(4, 14), *range(17, 27)]
    assert {p.code: p.message.split("(")[-1].split(":")[-1].strip(" .)") for p in sheet.notes} == {
        "LINHAS_ACIMA_DO_CABECALHO": "1",
        "LINHAS_EM_BRANCO": "14",
        "CABECALHO_DE_PAGINA": "15 a 16, 29",
        "LINHA_DE_TOTAL": "27 a 28",
        "LINHA_DE_TEXTO": "30",
    }
    assert sheet.problems == []


def test_an_unfinished_trip_is_no_banner():
    rows = [
        *ROWS,
        ["", "ABC1D23", *[""] * 13],
        ["", *ROWS[1][1:4], *[""] * 11],
        ["TOTAL ENERGIA", *ROWS[1][1:]],
    ]
    sheet = read(csv_text(rows).encode())
    assert len(sheet.cells) == 23
    assert sheet.notes == []


def test_columns_without_a_title_are_said():
    rows = [[*row[:2], "", *row[2:4], "", *row[4:]] for row in ROWS]
    rows[4][5] = "rabisco"
    sheet = read(csv_text(rows).encode())
    assert "C" not in sheet.headers and "F" not in sheet.headers
    assert list(sheet.headers)[2] == "D"
    found = {p.code: p.message for p in sheet.notes}
    assert found["COLUNAS_EM_BRANCO"].endswith(": C.")
    assert found["COLUNA_SEM_TITULO"].endswith(": F.")


def test_notes_beside_the_table_are_no_trips():
    rows = [[*row, "", ""] for row in [list(HEADERS), *map(typed_trip, range(5))]]
    rows[2][16] = "anotação"
    rows.append([""] * 16 + ["outra"])
    sheet = read(xlsx({"B": sheet_xml(rows)}))
    assert len(sheet.cells) == 5
    assert {p.code for p in sheet.notes} == {"COLUNA_SEM_TITULO", "LINHA_FORA_DA_TABELA"}


def test_two_columns_of_one_title_are_refused_with_both_letters():
    rows = [row[:] for row in ROWS]
    rows[0][14] = " k.m.  saida"
    with pytest.raises(Unreadable) as refusal:
        read(csv_text(rows).encode())
    assert refusal.value.problems[0].code == "CABECALHO_REPETIDO"
    assert "J e O" in refusal.value.problems[0].message


def test_header_alone_and_no_header():
    assert refused(csv_text(ROWS[:1]).encode()) == "SEM_LINHAS"
    assert refused(csv_text([["1", "2"], ["3", "4"]]).encode()) == "CABECALHO_NAO_ENCONTRADO"
    assert refused(b"uma frase sem tabela nenhuma\n" * 5) == "CABECALHO_NAO_ENCONTRADO"


def test_the_header_is_looked_for_in_a_hundred_rows_with_content():
    titles = [[f"Aviso {i}", *[""] * 14] for i in range(99)]
    blank = [[""] * 15] * 30
    assert read(csv_text([*titles, *blank, *ROWS]).encode()).header_row == 130
    assert refused(csv_text([*titles, ["Aviso", *[""] * 14], *ROWS]).encode()) == "CABECALHO_NAO_ENCONTRADO"
    over = sheet_xml([*titles, *blank, list(HEADERS), *map(typed_trip, range(20))])
    assert read(xlsx({"B": over})).header_row == 130


def test_labels_above_the_table_are_not_its_header():
    above = [["EMPRESA", "VIAÇÃO TESTE", "DATA", "22/11/2026", *[""] * 11]]
    assert read(csv_text([*above, *ROWS]).encode()).header_row == 2


def test_unknown_columns_are_read_by_the_row_of_names():
    rows = [["Relatório", "", ""], ["Chapa", "Dia", "Rodados"], ["ABC1D23", "01/11/2026", "25"]]
    sheet = read(csv_text(rows).encode())
    assert sheet.header_row == 2
    assert list(sheet.headers.values()) == ["Chapa", "Dia", "Rodados"]


def test_a_list_has_one_column_under_a_known_name():
    known = {"motorista": ["motorista"]}
    sheet = read("Motorista\nMARIA\nJOSÉ\n".encode(), known_headers=known)
    assert (sheet.headers, sheet.cells["A"].tolist()) == ({"A": "Motorista"}, ["MARIA", "JOSÉ"])
    assert refused(b"CONDUTORA\nMARIA\n", known_headers=known) == "CABECALHO_NAO_ENCONTRADO"


def test_other_tables_are_found_by_their_own_headers():
    rows = [["PLACA", "DATA"], ["VEICULO", "GARAGEM"], ["ABC1D23", "GLÓRIA"]]
    known = {"placa": ["Veículo"], "garagem": ["garagem"]}
    assert read(csv_text(rows).encode(), known_headers=known).header_row == 2
    assert read(csv_text(rows).encode()).header_row == 1


# --- the real files -------------------------------------------------------------------------------------

# Header row, rows, separator, encoding, sheet; or why it is refused.
_REAL = {
    "csv/csvlint_mixed_eol.csv": (1, 2, ",", "utf-8", None),
    "csv/csvlint_title_row.csv": (2, 2, ",", "utf-8", None),
    "csv/fric_bom.csv": (1, 2, ",", "utf-8-sig", None),
    "csv/fric_duplicate_headers.csv": "CABECALHO_REPETIDO",
    "csv/fric_latin1.csv": (1, 2, ",", "cp1252", None),
    "csv/fric_nan_inf_tokens.csv": (1, 13, ",", "utf-8", None),
    "csv/fric_preamble.csv": (2, 2, ",", "utf-8", None),
    "csv/fric_structure_errors.csv": (1, 3, ",", "utf-8", None),
    "csv/messy_null_tokens.csv": "CABECALHO_NAO_ENCONTRADO",
    "csv/messy_utf16le.csv": (1, 327, ",", "utf-16-le", None),
    "csv/phpss_sep_hint.csv": (1, 1, ";", "utf-8", None),
    "csv/phpss_win1252.csv": (1, 1, ",", "cp1252", None),
    "csv/pollock_preamble.csv": (3, 83, ",", "utf-8", None),
    "csv/spectrum_quotes_newlines.csv": (1, 2, ",", "utf-8", None),
    "xlsx/calamine_date_1904.xlsx": "CABECALHO_NAO_ENCONTRADO",
    "xlsx/calamine_error_cells.xlsx": "CABECALHO_NAO_ENCONTRADO",
    "xlsx/calamine_hidden_sheets.xlsx": "CABECALHO_NAO_ENCONTRADO",
    "xlsx/calamine_merged.xlsx": (2, 2, None, None, "Sheet1"),
    "xlsx/calamine_table_offset.xlsx": (4, 2, None, None, "Sheet1"),
    "xlsx/fastexcel_durations.xlsx": (11, 2, None, None, "Sheet1"),
    "xlsx/fric_multirow_header.xlsx": (5, 1, None, None, "Лист1"),
    "xlsx/msoffcrypto_password.xlsx": "ARQUIVO_COM_SENHA",
    "xlsx/poi_bad_dimension.xlsx": (3, 7, None, None, "balance"),
    "xlsx/poi_corrupted.xlsx": "ARQUIVO_CORROMPIDO",
    "xlsx/poi_formula_nocache.xlsx": "CABECALHO_REPETIDO",
    "xlsx/poi_xmlbomb.xlsx": "ARQUIVO_INSEGURO",
    "xlsx/pycalamine_zero_bytes.xlsx": "ARQUIVO_VAZIO",
    "xlsx/sheetjs_text_numbers.xlsx": (1, 2, None, None, "Sheet1"),
    "xlsx/sheetjs_true_xls.xls": "ARQUIVO_XLS",
    "brasil/antt_nova381.csv": (1, 566, ";", "cp1252", None),
    "brasil/bhtrans_periodo.csv": (1, 355, ";", "utf-8", None),
    "brasil/manutencao_lookup_sheet.xlsx": (1, 82, None, None, "BASE_DE_DADOS"),
    "brasil/multas_faker_mercosul.csv": (1, 1000, ",", "utf-8", None),
    "brasil/usina_despacho_head600.csv": (7, 339, ";", "utf-8-sig", None),
}


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="the real files are not beside this checkout")
@pytest.mark.parametrize(("path", "expected"), _REAL.items())
def test_real_files(path, expected):
    data = (SAMPLES / path).read_bytes()
    if isinstance(expected, str):
        assert refused(data, path) == expected
    else:
        sheet = read(data, path)
        read_so = (sheet.header_row, len(sheet.cells), sheet.separator, sheet.encoding, sheet.sheet)
        assert read_so == expected
