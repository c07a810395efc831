import io
import json
import re
import zipfile
from dataclasses import replace
from datetime import date, time
from pathlib import Path

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetria_pipeline.contracts.boletim_problems import KINDS
from telemetria_pipeline.core.boletim.validation import duplicate_of, validate_file
from telemetria_pipeline.reports import answer as boletim_answer
from telemetria_pipeline.reports.answer import (
    ERRORS_SHEET,
    SUMMARY_SHEET,
    answer_in_short,
    answer_json,
    answer_workbook,
    progress,
)
from telemetria_pipeline.reports.template import template_workbook
from telemetria_pipeline_tests.core.boletim.rows import RECEIVED, SOUND, csv_of, trip, trips, xlsx_of
from telemetria_pipeline_tests.rounds import examples

TYPED = [
    "17",
    "GDP4J68",
    "3803",
    date(2026, 11, 22),
    "Usina",
    time(7, 30),
    "Frente",
    time(8, 10),
    "A",
    45123,
    45150,
]
TYPED += [27, 31, "José", "Viação"]
RED, YELLOW = "FFFFC7CE", "FFFFEB9C"


def typed(**said):
    """A sound row of an Excel sheet, except for what is said."""
    return [said.get(name.replace(" ", "_"), value) for name, value in zip(SOUND, TYPED, strict=True)]


def validated(data: bytes, name: str = "boletim.csv"):
    return validate_file(data, name, received_on=RECEIVED)


def answered(data: bytes, name: str = "boletim.csv", earlier=None):
    return openpyxl.load_workbook(io.BytesIO(answer_workbook(validated(data, name), data, earlier)))


def first_link(page) -> str:
    return next(c.hyperlink.location for row in page.iter_rows() for c in row if c.hyperlink)


def words(page) -> str:
    return "\n".join(str(c.value) for row in page.iter_rows() for c in row if c.value is not None)


def test_the_json_has_the_promised_shape():
    said = json.loads(
        json.dumps(answer_json(validated(csv_of(trip(PLACA="X"), trip(HORÁRIO_CHEGADA="07:31")))))
    )
    assert list(said) == ["file", "verdict", "rows", "read", "correction", "problems", "warnings"]
    assert said["rows"] == {"received": 2, "accepted": 0, "duplicate": 0, "rejected": 2}
    keys = ["code", "severity", "sheet", "cell", "column", "value", "message", "suggestion"]
    assert [list(p) for p in said["problems"] + said["warnings"]] == [keys, keys]
    assert (said["problems"][0]["cell"], said["problems"][0]["value"]) == ("B2", "X")
    assert said["warnings"][0]["severity"] == "aviso"


def test_how_the_file_was_read_and_what_it_replaces_is_told():
    data = xlsx_of(typed(PLACA="X"), sheet="Garagem 3")
    correction = "Substitui 24 viagens de 10 a 15/11; as de 16 a 19/11 continuam valendo."
    verdict = replace(
        validated(data, "boletim.xlsx"),
        number_style="vírgula decimal",
        date_style="dd/mm/aaaa",
        correction=correction,
    )
    said = answer_json(verdict)
    assert (said["correction"], said["read"]) == (
        correction,
        {
            "sheet": "Garagem 3",
            "header_row": 1,
            "separator": None,
            "encoding": None,
            "number_style": "vírgula decimal",
            "date_style": "dd/mm/aaaa",
        },
    )
    book = openpyxl.load_workbook(io.BytesIO(answer_workbook(verdict, data)))
    summary = words(book[SUMMARY_SHEET])
    assert "aba Garagem 3; títulos na linha 1; vírgula decimal; datas dd/mm/aaaa" in summary
    assert f"Correção\n{correction}" in summary
    assert "com o nome boletim.xlsx" in summary
    verdict = validated(csv_of(trip(PLACA="X")))
    verdict = replace(verdict, sheet=replace(verdict.sheet, separator=";", encoding="Windows-1252"))
    summary = words(openpyxl.load_workbook(io.BytesIO(answer_workbook(verdict, b"")))[SUMMARY_SHEET])
    assert "CSV; separador ponto e vírgula (;); letras em Windows-1252; títulos na linha 1" in summary
    assert "um CSV não tem formatação" in summary
    assert answer_json(validated(b""))["read"] is None


def test_senders_are_told_of_no_command_line():
    said = [text for kind in KINDS.values() for text in (kind.title, kind.message, kind.suggestion)]
    page = (Path(__file__).parents[2] / "docs" / "boletins.md").read_text()
    assert not [
        text for text in (*said, page) if re.search(r"telemetria (template|validate)|`telemetria", text)
    ]


def test_the_template_of_the_docs_is_the_one_that_the_command_writes():
    kept = (Path(__file__).parents[2] / "docs" / "modelo.xlsx").read_bytes()

    def parts(data: bytes) -> dict[str, bytes]:
        archive = zipfile.ZipFile(io.BytesIO(data))
        return {name: archive.read(name) for name in archive.namelist() if name.startswith("xl/")}

    assert parts(kept) == parts(template_workbook())  # `telemetria template docs/modelo.xlsx`


def test_the_senders_own_excel_sheet_comes_back_marked():
    data = xlsx_of(typed(), typed(PLACA="ABCO234", HORÁRIO_CHEGADA=time(7, 31)), sheet="Garagem 3")
    book = answered(data, "boletim.xlsx")
    assert book.sheetnames == [SUMMARY_SHEET, "Garagem 3"]
    page = book["Garagem 3"]
    assert [c.value for c in page[1]] == list(SOUND)
    assert (page["J2"].value, page["F2"].value, page["D2"].value.date()) == (
        45123,
        time(7, 30),
        date(2026, 11, 22),
    )
    assert (page["B3"].fill.fgColor.rgb, page["H3"].fill.fgColor.rgb) == (RED, YELLOW)
    assert "Seria ABC0234?" in page["B3"].comment.text
    assert page["B2"].comment is None
    summary = words(book[SUMMARY_SHEET])
    assert "Boletim devolvido: 1 erro" in summary
    assert "2 recebidas = 0 aceitas + 0 repetidas + 2 não aceitas" in summary
    assert first_link(book[SUMMARY_SHEET]) == "'Garagem 3'!B3"


def test_a_csv_comes_back_at_the_addresses_that_the_messages_name():
    data = csv_of(trip(), trip(KM_CHEGADA="45.1x", NUMERO_ATA="0042"))
    page = answered(data)["Boletim"]
    assert (page["B1"].value, page["A3"].value, page["J3"].value) == ("PLACA", "0042", 45123)
    assert (page["K3"].value, page["K3"].fill.fgColor.rgb) == ("45.1x", RED)


def test_a_corrected_answer_can_be_sent_back():
    data = xlsx_of(typed(), typed(PLACA="ABCO234"))
    book = answered(data, "boletim.xlsx")
    book["Boletim"]["B3"] = "ABC0234"
    out = io.BytesIO()
    book.save(out)
    assert validated(out.getvalue(), "boletim.xlsx").verdict == "accepted"


INJECTIONS = [
    "=1+1",
    '=HYPERLINK("http://x","y")',
    "+1+1",
    "-1+1",
    "@SUM(A1)",
    "=cmd|' /C calc'!A0",
    "\t=1+1",
]


@pytest.mark.parametrize("form", ["csv", "xlsx", "large", "headers"])
def test_nothing_of_the_file_is_ever_a_formula(form, monkeypatch):
    if form == "large":
        monkeypatch.setattr(boletim_answer, "MOST_ROWS", 0)
    if form == "xlsx":
        rows = [typed(PLACA=text, MOTORISTA=text, LOCAL_SAÍDA=text) for text in INJECTIONS]
        data, name = xlsx_of(*rows, sheet="=1+1"), "=1+1.xlsx"
    else:
        extra = {"=1+1": "1", "@SUM(A1)": "2"} if form == "headers" else {}
        rows = [trip(PLACA=text, MOTORISTA=text, DATA=text, KM_SAÍDA=text) | extra for text in INJECTIONS]
        data, name = csv_of(*rows), "=1+1.csv"
    verdict = validated(data, name)
    answer = answer_workbook(verdict, data)
    parts = zipfile.ZipFile(io.BytesIO(answer))
    sheets = [parts.read(n).decode() for n in parts.namelist() if n.startswith("xl/worksheets/sheet")]
    assert not any(re.search(r"<f[ >/]", text) for text in sheets)
    book = openpyxl.load_workbook(io.BytesIO(answer))
    assert {c.data_type for page in book for row in page.iter_rows() for c in row} <= {"s", "n", "d"}
    own = book.worksheets[1]
    odd = [c for row in own.iter_rows() for c in row if isinstance(c.value, str) and c.value[:1] in "=+@\t"]
    assert odd
    if form != "xlsx":  # of an Excel file it is the sender's own sheet, with the cells as they were
        assert all(c.quotePrefix for c in odd)


def test_a_large_sheet_comes_back_as_the_list_of_its_errors():
    rows = [{**row, "PLACA": f"X{i}"} for i, row in enumerate(trips(90) * 60)]
    book = answered(csv_of(*rows))
    assert book.sheetnames == [SUMMARY_SHEET, ERRORS_SHEET]
    assert "5400 linhas" in words(book[ERRORS_SHEET])
    assert book[ERRORS_SHEET].max_row < 400
    assert "da aba Erros" in words(book[SUMMARY_SHEET])


@pytest.mark.parametrize(
    ("data", "title"),
    [
        (b"", "Boletim devolvido: 1 erro"),
        (csv_of(*trips(2)), "Boletim aceito"),
    ],
)
def test_files_without_bad_cells_get_the_summary_only(data, title):
    book = answered(data)
    assert book.sheetnames == [SUMMARY_SHEET]
    assert book[SUMMARY_SHEET]["A1"].value.startswith(title)


def test_the_answer_to_a_duplicate():
    verdict = duplicate_of("copia.csv", "boletim.csv", 7)
    book = openpyxl.load_workbook(io.BytesIO(answer_workbook(verdict, b"")))
    assert book[SUMMARY_SHEET]["A1"].value == "Boletim já recebido"
    assert "boletim.csv" in words(book[SUMMARY_SHEET])


def test_a_correction_says_what_got_better():
    many = [{**row, "PLACA": "X"} for row in trips(15)]
    earlier = json.loads(json.dumps(answer_json(validated(csv_of(*many)))))
    better = csv_of(*trips(12), *many[12:])
    assert str(progress(validated(better), earlier)) == "12 de 15 corrigidos; faltam 3"
    assert "12 de 15 corrigidos" in words(answered(better, earlier=earlier)[SUMMARY_SHEET])
    worse = csv_of(*trips(15), trip(DATA="ontem"))
    assert str(progress(validated(worse), earlier)) == "15 de 15 corrigidos; 1 novo"


def test_progress_counts_what_a_cut_list_does_not_show():
    many = [{**row, "PLACA": "X"} for row in trips(90) * 3]
    earlier = answer_json(validated(csv_of(*many)))
    assert len(earlier["problems"]) < 270
    assert str(progress(validated(csv_of(*many[:20])), earlier)) == "250 de 270 corrigidos; faltam 20"


def test_control_characters_and_long_texts_do_not_break_the_answer():
    data = csv_of(trip(PLACA="x" * 40_000, LOCAL_SAÍDA="\x01\x1f"))
    assert answered(data)["Boletim"]["B2"].fill.fgColor.rgb == RED


def test_the_template_is_read_as_it_is_filled_in():
    book = openpyxl.load_workbook(io.BytesIO(template_workbook()))
    page = book["Boletim"]
    assert [c.value for c in page[1]] == [*SOUND, "PLACA SUBSTITUTA"]
    assert any(
        "A,B,C,ADM" in rule.formula1 for rule in page.data_validations.dataValidation if rule.type == "list"
    )
    for column, value in enumerate(TYPED, start=1):
        page.cell(2, column, value)
    out = io.BytesIO()
    book.save(out)
    verdict = validated(out.getvalue(), "modelo.xlsx")
    assert (verdict.verdict, verdict.rows.accepted, verdict.problems) == ("accepted", 1, [])
    assert verdict.warnings == []
    empty = validated(template_workbook(), "modelo.xlsx")
    assert [p.code for p in empty.problems] == ["SEM_LINHAS"]


def test_the_examples_of_the_template_are_a_sound_trip():
    page = openpyxl.load_workbook(io.BytesIO(template_workbook()))["Como preencher"]
    shown = {row[0]: row[2] for row in page.iter_rows(min_row=8, values_only=True) if row[0] in SOUND}
    assert set(shown) == set(SOUND)
    assert validated(csv_of(shown)).verdict == "accepted"


@pytest.mark.parametrize("name", ["a/b [c]: *?", "Resumo", "x" * 40, "'"])
def test_a_sheet_of_any_name_comes_back(name):
    data = xlsx_of(typed(PLACA="X"))
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
        for part in old.namelist():
            text = old.read(part)
            new.writestr(part, text.replace(b'name="Boletim"', f'name="{name}"'.encode()))
    book = answered(out.getvalue(), "boletim.xlsx")
    assert len({title.lower() for title in book.sheetnames}) == 2
    assert book.worksheets[1]["B2"].fill.fgColor.rgb == RED
    assert first_link(book.worksheets[0]).endswith("'!B2")


@examples(25)
@given(st.data())
def test_mutated_bytes_get_an_answer(data):
    good = data.draw(st.sampled_from([csv_of(trip(PLACA="X"), trip()), xlsx_of(typed(PLACA="X"), typed())]))
    broken = bytearray(good)
    # Not bounded by the length: a workbook's differs with the second in which it was made.
    for at in data.draw(st.lists(st.integers(0, 100_000), min_size=1, max_size=6)):
        broken[at % len(good)] = data.draw(st.integers(0, 255))
    assert answered(bytes(broken)).sheetnames[0] == SUMMARY_SHEET


def test_the_short_answer_names_what_to_mend_and_where_and_no_value():
    rows = [trip(PLACA="?", MOTORISTA="JOSÉ DA SILVA"), *[trip(PLACA=f"X{n}") for n in range(9)]]
    verdict = validated(csv_of(*rows), "novembro.csv")
    said = answer_in_short(answer_json(verdict), "archive/rejected/novembro_resposta.json")
    assert "• PLACA: Placa inválida (B2, B3, B4, B5 …)" in said
    assert "archive/rejected/novembro_resposta.xlsx" in said
    assert "JOSÉ" not in said
    assert "X7" not in said
