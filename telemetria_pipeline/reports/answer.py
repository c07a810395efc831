"""The answer to the sender of a boletim: a workbook that a person reads, and the same for machines."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from telemetria_pipeline.contracts.boletim import ERRORS_SHEET, SUMMARY_SHEET
from telemetria_pipeline.contracts.boletim_problems import Problem
from telemetria_pipeline.core.boletim.findings import Group, group_counts
from telemetria_pipeline.core.boletim.validation import FileVerdict
from telemetria_pipeline.core.sheets.excel import open_book
from telemetria_pipeline.core.sheets.text import SheetText, letter
from telemetria_pipeline.reports.workbook import (
    BOLD,
    GREEN,
    RED,
    SENDERS_HEADER,
    YELLOW,
    Column,
    Link,
    Workbook,
)

MOST_ROWS, MOST_MARKS = 5_000, 2_000
"""A sheet with more rows, or more bad cells, comes back as a list of its errors instead of in full."""

_NAMES = {"erro": "Erro", "aviso": "Aviso"}
_FILLS = {"erro": RED, "aviso": YELLOW}
_FILL_OF_NAME = {_NAMES[severity]: fill for severity, fill in _FILLS.items()}
_WIDEST = 36
_TAKEN_NAMES = {SUMMARY_SHEET.lower(), "history"}  # Excel keeps the latter for itself


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
    marks = sum(len(f.positions) for f in verdict.findings)
    listed = marks > MOST_MARKS or len(verdict.row_numbers) > MOST_ROWS
    own = _sheet_name(verdict.sheet) if verdict.sheet and verdict.findings and not listed else None
    better = progress(verdict, earlier_answer) if earlier_answer else None
    book = Workbook()
    _summary(book, verdict, better, own)
    if own:
        _own_sheet(book, own, verdict, original)
    elif verdict.findings:
        _error_list(book, verdict)
    return book.save()


# --- the summary ---------------------------------------------------------------------------------------


def _summary(book: Workbook, verdict: FileVerdict, better: Progress | None, own: str | None) -> None:
    page = book.page(SUMMARY_SHEET)
    page.hide_gridlines(2)
    title, fill, advice = _headline(verdict, own)
    page.set_row(0, 30)
    page.set_tab_color(fill)
    headline = {"bold": True, "font_size": 16, "bg_color": fill, "valign": "vcenter", "indent": 1}
    book.merge(page, "A1:G1", title, headline)
    rows = verdict.rows
    facts = {
        "Arquivo": verdict.file_name,
        "Linhas": f"{rows.received} recebidas = {rows.accepted} aceitas + {rows.duplicate} repetidas + "
        f"{rows.rejected} não aceitas",
    }
    if verdict.verdict == "rejected" and verdict.rows_with_errors:
        facts["Com erro"] = f"{verdict.rows_with_errors} de {rows.received} linhas"
    if better:
        facts["Desde o envio anterior"] = str(better)
    facts["O que fazer"] = advice
    for row, (name, text) in enumerate(facts.items(), start=2):
        book.merge(page, f"A{row}:B{row}", name, BOLD, {"indent": 1})
        book.merge(page, f"C{row}:G{row}", text, {"align": "left"})
    page.set_column("A:G", 20)
    groups = verdict.groups
    if not groups:
        return
    columns = [
        Column("Gravidade", [_NAMES[g.severity] for g in groups], width=13, fills=_FILL_OF_NAME),
        Column("Linhas", [g.count for g in groups], "count", 10),
        Column("O que foi encontrado", [g.title for g in groups], "long", 34),
        Column("Coluna", [g.column for g in groups], "long", 18),
        Column("Onde", [_place(g, own) for g in groups], "long", 24),
        Column("Exemplo", [_example(g) for g in groups], "long", 52),
        Column("Como corrigir", [g.example.suggestion for g in groups], "long", 52),
    ]
    book.table(page, len(facts) + 3, columns)


def _headline(verdict: FileVerdict, own: str | None) -> tuple[str, str, str]:
    """Title, its colour, and what the sender should do."""
    errors = sum(g.count for g in verdict.groups if g.severity == "erro")
    several = "1 erro" if errors == 1 else f"{errors} erros"
    if verdict.verdict == "duplicate":
        return "Boletim já recebido", YELLOW, "Nada a fazer: o conteúdo já foi contado."
    if verdict.verdict == "accepted" and not errors:
        return "Boletim aceito", GREEN, "Confira os avisos abaixo." if verdict.groups else "Nada a fazer."
    if own:
        fix = f"Corrija as células em vermelho da aba {own}"
    elif verdict.findings:
        fix = f"Corrija as células da aba {ERRORS_SHEET}"
    else:
        fix = "Veja abaixo como corrigir"
    fix += " e envie o arquivo de novo, inteiro e com o mesmo nome."
    if verdict.verdict == "accepted":
        return f"Boletim aceito em parte: {several}", YELLOW, fix
    return f"Boletim devolvido: {several}", RED, f"{fix} Nenhuma linha foi contada."


def _example(group: Group) -> str:
    example = group.example
    return example.message if group.count == 1 or not example.cell else f"{example.cell}: {example.message}"


def _place(group: Group, own: str | None) -> str | Link:
    """Where a group's cells are, with a link to the first of them where their sheet is in the answer."""
    example = group.example
    if own and example.row and (example.cell or group.cells.startswith("linha")):
        return Link(group.cells, own, example.cell or f"A{example.row}")
    return group.cells


# --- the sender's own sheet, or the list of its errors --------------------------------------------------


def _sheet_name(sheet: SheetText) -> str:
    """The sender's name for the sheet, as far as Excel accepts it; other programs allow more."""
    name = re.sub(r"[\\*?:/\[\]\x00-\x1f]", "_", sheet.sheet or "")[:31].strip("'") or "Boletim"
    return f"{name} (2)" if name.lower() in _TAKEN_NAMES else name


def _own_sheet(book: Workbook, name: str, verdict: FileVerdict, original: bytes) -> None:
    sheet = verdict.sheet
    assert sheet is not None
    page = book.page(name)
    values, marks = _values(sheet, original), _marks(verdict, next(iter(sheet.headers)))
    widths: dict[str, int] = {}
    for row, column in dict.fromkeys([*values, *marks]):
        cell, problems = f"{column}{row}", marks.get((row, column), [])
        value = values.get((row, column), problems[0].value if problems else None)
        styles = [SENDERS_HEADER] if row == sheet.header_row and column in sheet.headers else []
        if problems:
            worst = "erro" if any(p.severity == "erro" for p in problems) else "aviso"
            styles.append({"bg_color": _FILLS[worst]})
            text = "\n\n".join(f"{p.message}\n{p.suggestion}" for p in problems)
            book.comment(page, cell, "Boletins", text)
        book.write(page, cell, value, *styles)
        if row >= sheet.header_row:
            widths[column] = max(widths.get(column, 0), min(len(str(value)), _WIDEST))
    for column, width in widths.items():
        page.set_column(f"{column}:{column}", width + 3)
    page.freeze_panes(f"A{sheet.header_row + 1}")
    page.repeat_rows(sheet.header_row - 1)


def _marks(verdict: FileVerdict, first_column: str) -> dict[tuple[int, str], list[Problem]]:
    """(row, column) -> what is said of the cell; what is said of a row stands at its first column."""
    marks: dict[tuple[int, str], list[Problem]] = {}
    of_rows = [problem for finding in verdict.findings for problem in finding.problems()]
    for problem in (*of_rows, *(p for p in verdict.whole if p.cell)):
        cell = problem.cell or f"{first_column}{problem.row}"
        column = cell.rstrip("0123456789")
        marks.setdefault((int(cell.removeprefix(column)), column), []).append(problem)
    return marks


def _values(sheet: SheetText, original: bytes) -> dict[tuple[int, str], Any]:
    """(row, column) -> value of every cell of the sender's sheet that is not empty."""
    if sheet.sheet is not None:
        page = open_book(original).sheet(sheet.sheet)
        return {
            (row, letter(column)): value
            for row, values in enumerate(page.to_python(skip_empty_area=False), start=1)
            for column, value in enumerate(values, start=1)
            if value != ""
        }
    found: dict[tuple[int, str], Any] = {(sheet.header_row, at): text for at, text in sheet.headers.items()}
    for column in map(str, sheet.cells):
        for row, text in zip(sheet.cells.index.tolist(), sheet.cells[column].tolist(), strict=True):
            if text:
                # Plain whole numbers come back as numbers; all else exactly as it was typed.
                whole = text.isascii() and text.isdigit() and len(text) <= 15 and str(int(text)) == text
                found[row, column] = int(text) if whole else text
    return found


def _error_list(book: Workbook, verdict: FileVerdict) -> None:
    said = [*verdict.problems, *verdict.warnings]
    book.add(
        ERRORS_SHEET,
        ["Erros e avisos, célula por célula", verdict.file_name],
        [
            Column("Gravidade", [_NAMES[p.severity] for p in said], width=12, fills=_FILL_OF_NAME),
            Column("Linha", [p.row for p in said], width=9),
            Column("Célula", [p.cell for p in said], width=10),
            Column("Coluna", [p.column for p in said], "long", 20),
            Column("Valor", [p.value for p in said], "long", 24),
            Column("O que está errado", [p.message for p in said], "long", 60),
            Column("Como corrigir", [p.suggestion for p in said], "long", 60),
        ],
    )
