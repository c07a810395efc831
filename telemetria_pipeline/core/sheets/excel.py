"""From the bytes of an Excel file to a grid of text: calamine's values, in the words of a spreadsheet."""

import datetime as dt
import io
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import pyarrow as pa
import python_calamine as calamine

from telemetria_pipeline.contracts.boletim_problems import Problem, problem
from telemetria_pipeline.core.sheets.header import Header, find_header, normalise_header
from telemetria_pipeline.core.sheets.ooxml import SheetFacts, look_into, open_package
from telemetria_pipeline.core.sheets.text import (
    BOOLEAN,
    DATE,
    DATETIME,
    DURATION,
    EMPTY,
    NUMBER,
    TEXT,
    TIME,
    Grid,
    Limits,
    Unreadable,
    column_number,
    letter,
    refuse,
)

TOP_ROWS = 100
_CONTROL = re.compile(r"[\x01-\x08\x0b\x0c\x0e-\x1f]")
_T = TypeVar("_T")

_KIND = {
    str: TEXT,
    float: NUMBER,
    int: NUMBER,
    bool: BOOLEAN,
    dt.date: DATE,
    dt.datetime: DATETIME,
    dt.time: TIME,
    dt.timedelta: DURATION,
}


def read_xlsx(
    data: bytes,
    known: Mapping[str, str],
    required: Collection[str],
    ignored_sheets: Collection[str],
    limits: Limits,
) -> Grid:
    """The grid of the workbook's visible sheet whose header names most of the known columns.

    Raises `Unreadable` also where another sheet holds such a table, with rows in it: they would be lost.
    """
    package = open_package(data, limits)
    book = _asked(lambda: calamine.load_workbook(io.BytesIO(data)))
    worksheets = [m for m in book.sheets_metadata if m.typ == calamine.SheetTypeEnum.WorkSheet]
    visible = [m.name for m in worksheets if m.visible == calamine.SheetVisibleEnum.Visible]
    if not visible:
        raise refuse("SEM_PLANILHA_VISIVEL")
    parts = package.sheets()
    day_zero = dt.date(1904, 1, 1) if package.counts_from_1904() else dt.date(1899, 12, 31)
    sheets = []
    for name in visible:
        if name not in parts:
            raise refuse("ARQUIVO_CORROMPIDO")
        facts = look_into(parts[name], limits)
        sheet = _asked(lambda name=name: book.get_sheet_by_name(name))  # type: ignore[misc]
        if sheet.start is not None:
            sheets.append(_Sheet(sheet, name, facts, _header_of(sheet, known, day_zero)))
    if not sheets:
        raise refuse("ARQUIVO_VAZIO")
    with_header = [s for s in sheets if s.header] or sheets
    # Of the sheets that come back with a boletim, a template counts once somebody has filled it in.
    likely = [s for s in with_header if s.name not in ignored_sheets or _holds_table(s, known, required)]
    chosen = max(likely or with_header, key=lambda s: s.header.known if s.header else 0)
    full = [s.name for s in sheets if s is chosen or _holds_table(s, known, required)]
    if len(full) > 1:
        raise refuse("DUAS_PLANILHAS", sheets=f"{', '.join(full[:-1])} e {full[-1]}")
    grid = _grid(chosen, day_zero, limits)
    others = [s.name for s in sheets if s is not chosen and s.name not in ignored_sheets]
    grid.notes += _sheet_notes(chosen.name, others, [m.name for m in worksheets if m.name not in visible])
    return grid


def refusal_of_ole(data: bytes) -> Unreadable:
    """Why an OLE container is refused: a workbook with a password, a true .xls, or no workbook at all.

    calamine reads .xls, but follows a circular container until memory ends, and shows error cells as
    empty with nothing beside it to tell: a sender saves as .xlsx in less time than that would cost.
    """
    if "EncryptedPackage".encode("utf-16-le") in data:
        return refuse("ARQUIVO_COM_SENHA")
    if any(stream.encode("utf-16-le") in data for stream in ("Workbook", "Book")):
        return refuse("ARQUIVO_XLS")
    return refuse("FORMATO_NAO_ACEITO", format="um documento antigo, que não é do Excel")


@dataclass
class _Sheet:
    sheet: Any  # calamine's; its type is final and has no public constructor
    name: str
    facts: SheetFacts
    header: Header | None


def _asked(question: Callable[[], _T]) -> _T:
    """calamine's answer; what it cannot read is refused, also where its Rust code panics."""
    try:
        return question()
    except calamine.PasswordError:
        raise refuse("ARQUIVO_COM_SENHA") from None
    except Exception:
        raise refuse("ARQUIVO_CORROMPIDO") from None
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise refuse("ARQUIVO_CORROMPIDO") from None


def _header_of(sheet: Any, known: Mapping[str, str], day_zero: dt.date) -> Header | None:
    rows = _asked(lambda: sheet.to_python(nrows=min(TOP_ROWS, sheet.height)))
    top = [(sheet.start[0] + 1 + i, [_text(v, day_zero) for v in row]) for i, row in enumerate(rows)]
    return find_header(top, known, _merged(sheet), sheet.start[1] + 1)


def _holds_table(sheet: _Sheet, known: Mapping[str, str], required: Collection[str]) -> bool:
    """Whether the sheet has rows under a header with the required columns; of many, one may be misspelt."""
    if sheet.header is None:
        return False
    named = {known.get(normalise_header(text)) for text in sheet.header.texts.values()}
    if 3 * len(named.intersection(required)) <= 2 * len(required):
        return False
    below = _asked(sheet.sheet.to_python)[sheet.header.last - sheet.sheet.start[0] :]
    return any(value != "" for row in below for value in row)


def _merged(sheet: Any) -> list[tuple[int, int, int, int]]:
    ranges = _asked(lambda: sheet.merged_cell_ranges) or []
    return [(r0 + 1, c0 + 1, r1 + 1, c1 + 1) for (r0, c0), (r1, c1) in ranges]


def _sheet_notes(chosen: str, others: Sequence[str], hidden: Sequence[str]) -> list[Problem]:
    notes = []
    if others:
        notes.append(
            problem("PLANILHA_ESCOLHIDA", sheet=chosen, count=len(others) + 1, others=", ".join(others))
        )
    if hidden:
        notes.append(problem("PLANILHAS_OCULTAS", sheet=chosen, others=", ".join(hidden)))
    return notes


def _grid(chosen: _Sheet, day_zero: dt.date, limits: Limits) -> Grid:
    sheet = chosen.sheet
    if sheet.height > limits.rows + TOP_ROWS:
        raise refuse("LINHAS_DEMAIS", limit=limits.rows)
    if sheet.width > limits.columns:
        raise refuse("COLUNAS_DEMAIS", limit=limits.columns, last=letter(sheet.end[1] + 1))
    rows = _asked(sheet.to_python)
    first_row, first_column = sheet.start[0] + 1, sheet.start[1] + 1
    for found in chosen.facts.problems:
        i, j = found.row - first_row, column_number(found.letter) - first_column
        if found.code == "CELULA_COM_ERRO" and 0 <= i < len(rows) and 0 <= j < len(rows[i]):
            rows[i][j] = found.value  # as Excel shows it, so that the row does not look blank
    letters = [letter(first_column + i) for i in range(sheet.width)]
    texts, kinds = {}, {}
    for name, values in zip(letters, zip(*rows, strict=True), strict=True):
        texts[name], kinds[name] = _column(values, day_zero)
    index = pd.RangeIndex(first_row, first_row + len(rows))
    return Grid(
        chosen.name,
        pd.DataFrame(texts).set_axis(index),
        kinds,
        merged=_merged(sheet),
        cell_problems=chosen.facts.problems,
        hidden_rows=chosen.facts.hidden_rows,
    )


def _column(values: Sequence[Any], day_zero: dt.date) -> tuple[pd.Series, np.ndarray]:
    """A column's texts and kinds (uint8)."""
    kinds = np.array([_KIND[type(value)] for value in values], np.uint8)
    texts = pd.Series(pa.array([_text(value, day_zero) for value in values], pa.string()), dtype="str")
    kinds[texts == ""] = EMPTY
    return texts, kinds


def _text(value: Any, day_zero: dt.date) -> str:
    """A value as a spreadsheet shows it: ISO dates, clocks to the second, the shortest number."""
    if isinstance(value, str):
        return (value if value.isprintable() else _CONTROL.sub("", value)).strip()
    if isinstance(value, bool):
        return "VERDADEIRO" if value else "FALSO"
    if isinstance(value, float | int):
        return str(int(value)) if abs(value) < 1e15 and value == int(value) else repr(value)
    return _moment(value, day_zero)


@lru_cache(maxsize=4096)  # a month has few days, and a day few minutes
def _moment(value: dt.date | dt.time | dt.timedelta, day_zero: dt.date) -> str:
    if isinstance(value, dt.time):
        return _clock(value.hour * 3600 + value.minute * 60 + value.second + value.microsecond / 1e6)
    if isinstance(value, dt.timedelta):
        return _clock(value.total_seconds())
    # Nobody drove in January 1900: these are the hours past midnight of a cell with a clock's format.
    days = ((value.date() if isinstance(value, dt.datetime) else value) - day_zero).days
    if not isinstance(value, dt.datetime):
        return _clock(days * 86400) if 0 <= days < 31 else value.isoformat()
    if 0 <= days < 31:
        return _clock((value - dt.datetime.combine(day_zero, dt.time())).total_seconds())
    with suppress(OverflowError):
        value += dt.timedelta(microseconds=500_000)
    return value.replace(microsecond=0).isoformat(sep=" ")


def _clock(seconds: float) -> str:
    sign, whole = "-" if seconds < 0 else "", round(abs(seconds))
    return f"{sign}{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}"
