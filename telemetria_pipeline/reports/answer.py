"""The answer to the sender of a boletim: a workbook that a person reads, and the same for machines.

The workbook is the sender's own, marked (`copies/`), with a summary in front. Where that cannot be, as
for a CSV, their sheet is written anew, or a list of its errors where it is large.
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from telemetria_pipeline.contracts.boletim import (
    ERRORS_SHEET,
    EXPLANATION_SHEET,
    SUMMARY_SHEET,
    TEMPLATE_SHEET,
)
from telemetria_pipeline.contracts.boletim_problems import KINDS, Problem, Severity
from telemetria_pipeline.core.boletim.findings import Group, group_counts
from telemetria_pipeline.core.boletim.validation import FileVerdict
from telemetria_pipeline.core.sheets.excel import Book, open_book
from telemetria_pipeline.core.sheets.text import SheetText, letter
from telemetria_pipeline.reports.copies.marked import Mark, marked_copy
from telemetria_pipeline.reports.copies.package import CannotCopy
from telemetria_pipeline.reports.copies.styles import MARKS
from telemetria_pipeline.reports.template import add_template
from telemetria_pipeline.reports.workbook import (
    BOLD,
    GREEN,
    RED,
    SENDERS_HEADER,
    YELLOW,
    Column,
    Link,
    Workbook,
    lines,
)

MOST_ROWS, MOST_MARKS = 5_000, 2_000
"""A sheet that is written anew and has more rows, or more bad cells, comes back as a list of its errors."""

MOST_COMMENTS = 2_000
"""Further bad cells of a copy have the colour only."""

_NEED_A_TEMPLATE = frozenset({"CABECALHO_NAO_ENCONTRADO", "COLUNA_OBRIGATORIA_AUSENTE"})
_OUR_PAGES = {SUMMARY_SHEET: "Boletim (aceito|devolvido|já recebido)", ERRORS_SHEET: "Erros e avisos, célula"}
"""Pages of an answer, and how their first cell begins: the sender may have a sheet of that name too."""

_NAMES = {"erro": "Erro", "aviso": "Aviso"}
_FILLS = {"erro": RED, "aviso": YELLOW}
_FILL_OF_NAME = {_NAMES[severity]: fill for severity, fill in _FILLS.items()}
_WIDEST = 36
_SHORT = 4  # root causes, and cells of each, that the short answer names
_SEPARATORS = {"\t": "tabulação", ";": "ponto e vírgula (;)", ",": "vírgula (,)", "|": "barra (|)"}
_TAKEN_NAMES = {SUMMARY_SHEET.lower(), "history"}  # Excel keeps the latter for itself


def answer_json(verdict: FileVerdict) -> dict[str, Any]:
    """The answer for machines, as `telemetria validate --json` prints it."""
    return {
        "file": verdict.file_name,
        "verdict": verdict.verdict,
        "rows": asdict(verdict.rows),
        "read": _read(verdict),
        "correction": verdict.correction,
        "problems": [p.as_json() for p in verdict.problems],
        "warnings": [p.as_json() for p in verdict.warnings],
    }


def answer_in_short(answer: Mapping[str, Any], key: str) -> str:
    """The JSON answer to a rejected boletim in a few lines, for an e-mail: what to mend and where, no values.

    `key` is where it lies; the marked workbook lies beside it.
    """
    causes: dict[tuple[str, str | None], list[Mapping[str, Any]]] = {}
    for said in answer["problems"]:
        causes.setdefault((said["code"], said["column"]), []).append(said)
    lines = []
    for (code, column), found in list(causes.items())[:_SHORT]:
        cells = [one["cell"] for one in found if one["cell"]]
        where = f" ({', '.join(cells[:_SHORT])}{' …' if len(cells) > _SHORT else ''})" if cells else ""
        lines.append(f"• {f'{column}: ' if column else ''}{KINDS[code].title}{where}")
    if len(causes) > _SHORT:
        lines.append(f"• … e mais {len(causes) - _SHORT}")
    marked = key.removesuffix(".json") + ".xlsx"
    return "\n".join(
        [
            "Nenhuma linha foi contada. O que corrigir:",
            *lines,
            f"A resposta completa está em {marked}.",
            "Depois de corrigir, envie o boletim de novo, inteiro e com o mesmo nome.",
        ]
    )


def _read(verdict: FileVerdict) -> dict[str, Any] | None:
    """How the file was read; None where it was not."""
    sheet = verdict.sheet
    if sheet is None:
        return None
    return {
        "sheet": sheet.sheet,
        "header_row": sheet.header_row,
        "separator": sheet.separator,
        "encoding": sheet.encoding,
        "number_style": verdict.number_style,
        "date_style": verdict.date_style,
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
    """The workbook for the sender: a summary, then their own with the bad cells marked.

    An unreadable file and a duplicate get the summary only, and a template to fill in where the titles of
    columns are missing.

    Args:
        verdict: what became of the file.
        original: the file's bytes.
        earlier_answer: the JSON answer to the version that this file corrects, if there is one.
    """
    better = progress(verdict, earlier_answer) if earlier_answer else None
    needs_template = any(problem.code in _NEED_A_TEMPLATE for problem in verdict.whole)
    needs_fixing = verdict.findings or verdict.verdict == "rejected"
    if needs_fixing and verdict.sheet and verdict.sheet.sheet is not None:
        with suppress(CannotCopy):
            return _marked_original(verdict, original, better, needs_template)
    marks = sum(len(f.positions) for f in verdict.findings)
    listed = marks > MOST_MARKS or len(verdict.row_numbers) > MOST_ROWS
    own = _sheet_name(verdict.sheet) if verdict.sheet and verdict.findings and not listed else None
    book = Workbook()
    _summary(book, SUMMARY_SHEET, verdict, better, own, _written_anew(verdict, own), needs_template)
    if own:
        _own_sheet(book, own, verdict, original)
    elif verdict.findings:
        _error_list(book, verdict)
    if needs_template:
        add_template(book, TEMPLATE_SHEET)
    return book.save()


def _marked_original(
    verdict: FileVerdict, original: bytes, better: Progress | None, needs_template: bool
) -> bytes:
    """The sender's own workbook, marked; raises CannotCopy."""
    sheet = verdict.sheet
    assert sheet is not None and sheet.sheet is not None
    workbook = open_book(original)
    names = [name for name in workbook.names if name != sheet.sheet]
    replaced = frozenset(name for name in names if _is_ours(workbook, name))
    taken = {name.lower() for name in workbook.names if name not in replaced}
    book = Workbook()
    summary = SUMMARY_SHEET if SUMMARY_SHEET.lower() not in taken else f"{SUMMARY_SHEET} (2)"
    marks = _marks(verdict, next(iter(sheet.headers)), MOST_COMMENTS)
    bare = sum(not mark.comment for mark in marks.values())
    note = f"{bare} células têm só a cor: {MOST_COMMENTS} comentários é o máximo." if bare else None
    _summary(book, summary, verdict, better, sheet.sheet, note, needs_template)
    if needs_template and TEMPLATE_SHEET.lower() not in taken:
        add_template(book, TEMPLATE_SHEET, explained=EXPLANATION_SHEET.lower() not in taken)
    return marked_copy(original, sheet.sheet, marks, book.save(), replaced)


def _is_ours(workbook: Book, name: str) -> bool:
    """Whether the sheet is a page of an earlier answer, that came back with the sender's own."""
    first_cell = _OUR_PAGES.get(name.removesuffix(" (2)"))
    rows = workbook.sheet(name).to_python(nrows=1) if first_cell else []
    return bool(rows and rows[0] and first_cell and re.match(first_cell, str(rows[0][0])))


def _written_anew(verdict: FileVerdict, own: str | None) -> str | None:
    """Why the answer does not look like the sender's file, for them; None where it need not."""
    if not verdict.findings or not verdict.sheet:
        return None
    what = f"A aba {own} traz só os valores" if own else f"A aba {ERRORS_SHEET} traz só as células com erro"
    if verdict.sheet.sheet is None:
        return f"{what}: um CSV não tem formatação."
    return f"{what}: a planilha não pôde ser copiada com a sua formatação."


# --- the summary ---------------------------------------------------------------------------------------


def _summary(
    book: Workbook,
    name: str,
    verdict: FileVerdict,
    better: Progress | None,
    own: str | None,
    note: str | None,
    needs_template: bool,
) -> None:
    page = book.page(name)
    page.hide_gridlines(2)
    title, fill, advice = _headline(verdict, own)
    if needs_template:
        advice += f" Se preferir, preencha a aba {TEMPLATE_SHEET} desta resposta e envie-a."
    page.set_row(0, 30)
    page.set_tab_color(fill)
    headline = {"bold": True, "font_size": 16, "bg_color": fill, "valign": "vcenter", "indent": 1}
    book.merge(page, "A1:G1", title, headline)
    rows = verdict.rows
    facts = {
        "Arquivo": verdict.file_name,
        "Lido": _how_it_was_read(verdict),
        "Linhas": f"{rows.received} recebidas = {rows.accepted} aceitas + {rows.duplicate} repetidas + "
        f"{rows.rejected} não aceitas",
    }
    if verdict.verdict == "rejected" and verdict.rows_with_errors:
        facts["Com erro"] = f"{verdict.rows_with_errors} de {rows.received} linhas"
    if verdict.correction:
        facts["Correção"] = verdict.correction
    if better:
        facts["Desde o envio anterior"] = str(better)
    if note:
        facts["Sobre a resposta"] = note
    facts["O que fazer"] = advice
    facts = {name: text for name, text in facts.items() if text}
    for row, (name, text) in enumerate(facts.items(), start=2):
        page.set_row(row - 1, 18 * lines(text, 170))
        book.merge(page, f"A{row}:B{row}", name, BOLD, {"align": "left", "indent": 1, "valign": "vcenter"})
        book.merge(page, f"C{row}:G{row}", text, {"align": "left", "valign": "vcenter", "text_wrap": True})
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
        Column("Como corrigir", [g.example.suggestion for g in groups], "long", 56),
    ]
    book.table(page, len(facts) + 3, columns)


def _how_it_was_read(verdict: FileVerdict) -> str:
    """In one line, so that a sender sees what was taken for what."""
    sheet = verdict.sheet
    if sheet is None:
        return ""
    said = [
        f"aba {sheet.sheet}" if sheet.sheet is not None else "CSV",
        f"separador {_SEPARATORS.get(sheet.separator, sheet.separator)}" if sheet.separator else "",
        f"letras em {sheet.encoding}" if sheet.encoding else "",
        f"títulos na linha {sheet.header_row}",
        verdict.number_style or "",
        f"datas {verdict.date_style}" if verdict.date_style else "",
    ]
    return "; ".join(text for text in said if text)


def _headline(verdict: FileVerdict, own: str | None) -> tuple[str, str, str]:
    """Title, its colour, and what the sender should do."""
    errors = sum(g.count for g in verdict.groups if g.severity == "erro")
    several = "1 erro" if errors == 1 else f"{errors} erros"
    if verdict.verdict == "duplicate":
        return "Boletim já recebido", YELLOW, "Nada a fazer: o conteúdo já foi contado."
    if verdict.verdict == "accepted" and not errors:
        return "Boletim aceito", GREEN, "Confira os avisos abaixo." if verdict.groups else "Nada a fazer."
    if own and any(g.severity == "erro" and g.example.cell for g in verdict.groups):
        fix = f"Corrija as células em vermelho da aba {own}"
    elif own:
        fix = f"Corrija a aba {own} como está abaixo"
    elif verdict.findings:
        fix = f"Corrija as células da aba {ERRORS_SHEET}"
    else:
        fix = "Veja abaixo como corrigir"
    name = "o mesmo nome"
    if own and verdict.sheet and verdict.sheet.sheet is not None:  # the answer has another name than the file
        fix, name = f"{fix}, aqui ou no seu arquivo,", f"o nome {verdict.file_name}"
    fix += f" e envie o arquivo de novo, inteiro e com {name}."
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
    values, marks = _values(sheet, original), _marks(verdict, next(iter(sheet.headers)), MOST_MARKS)
    widths: dict[str, int] = {}
    for row, column in dict.fromkeys([*values, *marks]):
        cell, mark, value = f"{column}{row}", marks.get((row, column)), values.get((row, column))
        styles = [SENDERS_HEADER] if row == sheet.header_row and column in sheet.headers else []
        if mark:
            fill, colour = MARKS[mark.severity]
            styles.append({"bg_color": fill, "font_color": colour})
            book.comment(page, cell, "Boletins", mark.comment)
        book.write(page, cell, value, *styles)
        if row >= sheet.header_row:
            widths[column] = max(widths.get(column, 0), min(len(str(value)), _WIDEST))
    for column, width in widths.items():
        page.set_column(f"{column}:{column}", width + 3)
    page.freeze_panes(f"A{sheet.header_row + 1}")
    page.repeat_rows(sheet.header_row - 1)


def _marks(verdict: FileVerdict, first_column: str, most_comments: int) -> dict[tuple[int, str], Mark]:
    """(row, column) -> what is said of the cell; what is said of a row stands at its first column.

    Only the first `most_comments` records, errors before warnings, are made into comments.
    """
    severities: dict[tuple[int, str], Severity] = {}
    texts: dict[tuple[int, str], list[str]] = {}

    def say(problem: Problem) -> None:
        cell = problem.cell or f"{first_column}{problem.row}"
        column = cell.rstrip("0123456789")
        place = (int(cell.removeprefix(column)), column)
        severities[place] = "erro" if severities.get(place) == "erro" else problem.severity
        texts.setdefault(place, []).append(f"{problem.message}\n{problem.suggestion}")

    for problem in verdict.whole:
        if problem.cell:
            say(problem)
    for finding in sorted(verdict.findings, key=lambda f: f.severity != "erro"):
        for problem in finding.problems(max(most_comments, 0)):
            say(problem)
        for row in verdict.row_numbers[finding.positions[max(most_comments, 0) :]].tolist():
            place = (row, finding.letter or first_column)
            severities[place] = "erro" if severities.get(place) == "erro" else finding.severity
        most_comments -= len(finding.positions)
    return {place: Mark(s, "\n\n".join(texts.get(place, ()))) for place, s in severities.items()}


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
