"""The answer to the sender of a boletim: a workbook that a person reads, and the same for machines.

Whatever comes from the file is written as text or as a value of its own type, never as a formula.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime, time, timedelta
from io import BytesIO
from typing import Any

from openpyxl import Workbook
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE, Cell
from openpyxl.comments import Comment
from openpyxl.styles import Alignment, Border, Font, PatternFill, Side
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.hyperlink import Hyperlink
from openpyxl.worksheet.worksheet import Worksheet
from python_calamine import CalamineWorkbook

from telemetria_pipeline.contracts.boletim import ERRORS_SHEET, SUMMARY_SHEET
from telemetria_pipeline.contracts.boletim_problems import Problem
from telemetria_pipeline.core.boletim.findings import Group, group_counts
from telemetria_pipeline.core.boletim.validation import FileVerdict
from telemetria_pipeline.core.sheets.text import column_number

MOST_ROWS, MOST_MARKS = 5_000, 2_000
"""A sheet with more rows, or more bad cells, comes back as a list of its errors instead of in full."""

_EXCEL_ROWS = 1_048_576  # a CSV may count blank lines beyond them
_RED, _YELLOW, _GREEN = (PatternFill("solid", fgColor=c) for c in ("FFC7CE", "FFEB9C", "C6EFCE"))
_DARK, _GREY = PatternFill("solid", fgColor="1F3864"), PatternFill("solid", fgColor="D9E1F2")
_THIN = Side(style="thin", color="BFBFBF")
_BOX = Border(left=_THIN, right=_THIN, top=_THIN, bottom=_THIN)
_WRAP = Alignment(wrap_text=True, vertical="top")
_FORMATS = {datetime: "dd/mm/yyyy hh:mm", date: "dd/mm/yyyy", time: "hh:mm:ss", timedelta: "[h]:mm:ss"}
_FILL = {"erro": _RED, "aviso": _YELLOW}


def answer_json(verdict: FileVerdict) -> dict[str, Any]:
    """The answer for machines, as `telemetria validate --json` prints it."""
    return {
        "file": verdict.file_name,
        "verdict": verdict.verdict,
        "rows": asdict(verdict.rows),
        "problems": [p.as_json() for p in verdict.problems],
        "warnings": [p.as_json() for p in verdict.warnings],
    }


@dataclass(frozen=True)
class Progress:
    """What a corrected file did to the errors of the answer before it."""

    before: int
    fixed: int
    new: int

    def __str__(self) -> str:
        said = f"{self.fixed} de {self.before} {'corrigido' if self.before == 1 else 'corrigidos'}"
        left = self.before - self.fixed
        said += f"; {'falta' if left == 1 else 'faltam'} {left}" if left else ""
        return said + (f"; {self.new} {'novo' if self.new == 1 else 'novos'}" if self.new else "")


def progress(verdict: FileVerdict, earlier_answer: Mapping[str, Any]) -> Progress:
    """Compare with the JSON answer to the earlier version, root cause by root cause."""
    before, now = group_counts(earlier_answer["problems"]), group_counts(answer_json(verdict)["problems"])
    return Progress(
        sum(before.values()),
        sum(max(0, count - now.get(key, 0)) for key, count in before.items()),
        sum(max(0, count - before.get(key, 0)) for key, count in now.items()),
    )


def answer_workbook(
    verdict: FileVerdict, original: bytes, earlier_answer: Mapping[str, Any] | None = None
) -> bytes:
    """The workbook for the sender: a summary, then their own sheet with the bad cells marked.

    A large sheet comes back as a list of its errors; an unreadable file and a duplicate as the summary only.

    Args:
        verdict: what became of the file.
        original: the file's bytes.
        earlier_answer: the JSON answer to the version that this file corrects, if there is one.
    """
    book = Workbook()
    summary = book.worksheets[0]
    summary.title = SUMMARY_SHEET
    marks = sum(len(f.positions) for f in verdict.findings)
    sheet_name = None
    if verdict.sheet is not None and verdict.findings:
        last_row = int(verdict.row_numbers[-1])
        if len(verdict.sheet.cells) <= MOST_ROWS and marks <= MOST_MARKS and last_row <= _EXCEL_ROWS:
            sheet_name = _own_sheet(book, verdict, original)
        else:
            _error_list(book, verdict)
    better = progress(verdict, earlier_answer) if earlier_answer else None
    _summary(summary, verdict, better, sheet_name)
    out = BytesIO()
    book.save(out)
    return out.getvalue()


def write_value(cell: Cell, value: Any) -> None:
    """Write a value that came from a file: text stays text, whatever it begins with."""
    if isinstance(value, str):
        text = ILLEGAL_CHARACTERS_RE.sub("", value)[:32_767]
        cell.value = text
        cell.data_type = "s"
        # Else Excel makes a formula of it once somebody edits the cell.
        cell.quotePrefix = text.startswith(("=", "+", "-", "@", "\t", "\r"))
        return
    if isinstance(value, float) and not math.isfinite(value):
        return
    cell.value = value
    for kind, number_format in _FORMATS.items():
        if type(value) is kind:
            cell.number_format = number_format
    if isinstance(value, time) and not value.second:
        cell.number_format = "hh:mm"


# --- the summary ---------------------------------------------------------------------------------------

_COLUMNS = (
    ("Gravidade", 13),
    ("Linhas", 10),
    ("O que foi encontrado", 34),
    ("Coluna", 18),
    ("Onde", 24),
    ("Exemplo", 52),
    ("Como corrigir", 52),
)


def _summary(page: Worksheet, verdict: FileVerdict, better: Progress | None, sheet_name: str | None) -> None:
    errors = sum(g.count for g in verdict.groups if g.severity == "erro")
    title, fill, advice = _headline(verdict, errors, sheet_name)
    page["A1"] = title
    page["A1"].font = Font(name="Calibri", size=16, bold=True)
    page.merge_cells("A1:G1")
    page["A1"].fill = fill
    page.row_dimensions[1].height = 30
    page["A1"].alignment = Alignment(vertical="center")
    rows = verdict.rows
    facts = [
        ("Arquivo", verdict.file_name),
        (
            "Linhas",
            f"{rows.received} recebidas = {rows.accepted} aceitas + {rows.duplicate} repetidas + "
            f"{rows.rejected} não aceitas",
        ),
    ]
    if verdict.verdict == "rejected" and verdict.rows_with_errors:
        facts.append(("Com erro", f"{verdict.rows_with_errors} de {rows.received} linhas"))
    if better:
        facts.append(("Desde o envio anterior", str(better)))
    facts.append(("O que fazer", advice))
    for number, (name, said) in enumerate(facts, start=2):
        page.cell(number, 1, name).font = Font(name="Calibri", bold=True)
        page.merge_cells(start_row=number, start_column=1, end_row=number, end_column=2)
        page.merge_cells(start_row=number, start_column=3, end_row=number, end_column=7)
        write_value(page.cell(number, 3), said)
    top = len(facts) + 3
    for column, (name, width) in enumerate(_COLUMNS, start=1):
        page.column_dimensions[get_column_letter(column)].width = width
        if verdict.groups:
            _head(page.cell(top, column), name)
    for at, group in enumerate(verdict.groups, start=top + 1):
        _group_row(page, at, group, sheet_name)
    page.sheet_view.showGridLines = False
    _fit_to_print(page)


def _fit_to_print(page: Worksheet) -> None:
    page.page_setup.orientation = "landscape"
    page.page_setup.fitToHeight = 0
    page.sheet_properties.pageSetUpPr.fitToPage = True


def _headline(verdict: FileVerdict, errors: int, sheet_name: str | None) -> tuple[str, PatternFill, str]:
    several = "1 erro" if errors == 1 else f"{errors} erros"
    if verdict.verdict == "duplicate":
        return "Boletim já recebido", _YELLOW, "Nada a fazer: o conteúdo já foi contado."
    if verdict.verdict == "accepted" and not errors:
        warned = "Confira os avisos abaixo." if verdict.groups else "Nada a fazer."
        return "Boletim aceito", _GREEN, warned
    if sheet_name:
        fix = f"Corrija as células em vermelho da aba {sheet_name}"
    elif verdict.findings:
        fix = f"Corrija as células da aba {ERRORS_SHEET}"
    else:
        fix = "Veja abaixo como corrigir"
    fix += " e envie o arquivo de novo, inteiro e com o mesmo nome."
    if verdict.verdict == "accepted":
        return f"Boletim aceito em parte: {several}", _YELLOW, fix
    return f"Boletim devolvido: {several}", _RED, f"{fix} Nenhuma linha foi contada."


def _head(cell: Cell, name: str) -> None:
    cell.value = name
    cell.font = Font(name="Calibri", bold=True, color="FFFFFF")
    cell.fill, cell.border = _DARK, _BOX


def _group_row(page: Worksheet, at: int, group: Group, sheet_name: str | None) -> None:
    example = group.example
    said = example.message if group.count == 1 or not example.cell else f"{example.cell}: {example.message}"
    values = (
        "Erro" if group.severity == "erro" else "Aviso",
        group.count,
        group.title,
        group.column or "",
        group.cells,
        said,
        example.suggestion,
    )
    for column, value in enumerate(values, start=1):
        cell = page.cell(at, column)
        write_value(cell, value)
        cell.alignment, cell.border, cell.font = _WRAP, _BOX, Font(name="Calibri")
    page.cell(at, 1).fill = _FILL[group.severity]
    page.cell(at, 2).alignment = Alignment(horizontal="center", vertical="top")
    if sheet_name and example.row and (example.cell or group.cells.startswith("linha")):
        target = example.cell or f"A{example.row}"
        quoted = sheet_name.replace("'", "''")
        page.cell(at, 5).hyperlink = Hyperlink(ref=f"E{at}", location=f"'{quoted}'!{target}")
        page.cell(at, 5).font = Font(name="Calibri", color="0563C1", underline="single")
    widest = max(len(str(v)) / w for v, (_, w) in zip(values, _COLUMNS, strict=True))
    page.row_dimensions[at].height = 15 * (math.floor(widest * 1.1) + 1)


# --- the sender's own sheet, or the list of its errors --------------------------------------------------


def _own_sheet(book: Workbook, verdict: FileVerdict, original: bytes) -> str:
    sheet = verdict.sheet
    assert sheet is not None
    # Other programs write names that Excel, and openpyxl with it, would refuse.
    page = book.create_sheet(re.sub(r"[\\*?:/\[\]\x00-\x1f]", "_", sheet.sheet or "Boletim")[:31])
    widths: dict[int, int] = {}
    for row, column, value in _values(verdict, original):
        write_value(page.cell(row, column), value)
        if row >= sheet.header_row:
            widths[column] = max(widths.get(column, 0), min(len(str(value)), 36))
    for letter in sheet.headers:
        head = page[f"{letter}{sheet.header_row}"]
        head.font, head.fill = Font(name="Calibri", bold=True), _GREY
    for column, width in widths.items():
        page.column_dimensions[get_column_letter(column)].width = width + 3
    page.freeze_panes = f"A{sheet.header_row + 1}"
    _fit_to_print(page)
    told: dict[str, list[Problem]] = {}
    first_letter = next(iter(sheet.headers))
    for finding in verdict.findings:
        for said in finding.problems():
            told.setdefault(said.cell or f"{first_letter}{said.row}", []).append(said)
    for said in verdict.whole:
        if said.cell:
            told.setdefault(said.cell, []).append(said)
    for address, problems in told.items():
        cell = page[address]
        worst = "erro" if any(p.severity == "erro" for p in problems) else "aviso"
        cell.fill = _FILL[worst]
        if cell.value is None and problems[0].value:
            write_value(cell, problems[0].value)
        text = "\n\n".join(f"{p.message}\n{p.suggestion}" for p in problems)
        lines = sum(math.ceil((len(line) or 1) / 44) for line in text.split("\n"))
        cell.comment = Comment(ILLEGAL_CHARACTERS_RE.sub("", text), "Boletins", 20 + 18 * lines, 320)
    return page.title


def _values(verdict: FileVerdict, original: bytes) -> list[tuple[int, int, Any]]:
    """(row, column, value) of every cell of the sender's sheet, at the addresses that Excel shows."""
    sheet = verdict.sheet
    assert sheet is not None
    if sheet.sheet is not None:
        page = CalamineWorkbook.from_filelike(BytesIO(original)).get_sheet_by_name(sheet.sheet)
        return [
            (row, column, int(value) if isinstance(value, float) and value.is_integer() else value)
            for row, values in enumerate(page.to_python(skip_empty_area=False), start=1)
            for column, value in enumerate(values, start=1)
            if value != ""
        ]
    found: list[tuple[int, int, Any]] = [
        (sheet.header_row, column_number(letter), header) for letter, header in sheet.headers.items()
    ]
    for letter in sheet.cells:
        column = column_number(str(letter))
        for row, text in zip(sheet.cells.index.tolist(), sheet.cells[letter].tolist(), strict=True):
            if text:
                # Plain whole numbers come back as numbers; all else exactly as it was typed.
                whole = text.isascii() and text.isdigit() and len(text) <= 15 and str(int(text)) == text
                found.append((row, column, int(text) if whole else text))
    return found


def _error_list(book: Workbook, verdict: FileVerdict) -> None:
    page = book.create_sheet(ERRORS_SHEET)
    columns = (("Gravidade", 11), ("Linha", 9), ("Célula", 10), ("Coluna", 20), ("Valor", 24))
    for column, (name, width) in enumerate(
        (*columns, ("O que está errado", 60), ("Como corrigir", 60)), start=1
    ):
        _head(page.cell(1, column), name)
        page.column_dimensions[get_column_letter(column)].width = width
    for at, said in enumerate((*verdict.problems, *verdict.warnings), start=2):
        severity = "Erro" if said.severity == "erro" else "Aviso"
        values = (severity, said.row, said.cell, said.column, said.value, said.message, said.suggestion)
        for column, value in enumerate(values, start=1):
            write_value(page.cell(at, column), value)
            page.cell(at, column).alignment = _WRAP
        page.cell(at, 1).fill = _FILL[said.severity]
    page.freeze_panes = "A2"
    page.auto_filter.ref = page.dimensions
    _fit_to_print(page)
