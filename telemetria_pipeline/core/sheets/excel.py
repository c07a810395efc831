"""From the bytes of an Excel file to a grid of text: calamine's values, in the words of a spreadsheet."""

import datetime as dt
import io
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
from telemetria_pipeline.core.sheets.header import TOP_ROWS, Header, find_header, normalise_header
from telemetria_pipeline.core.sheets.ooxml import SheetFacts, look_into, open_package
from telemetria_pipeline.core.sheets.text import (
    BOOLEAN,
    DATE,
    DATETIME,
    DURATION,
    EMPTY,
    LIMITS,
    NUMBER,
    TEXT,
    TIME,
    Grid,
    Limits,
    Unreadable,
    column_number,
    joined,
    letter,
    refuse,
    says_nothing,
    visible,
)

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
    also_a_table: Callable[[pd.DataFrame], bool],
    limits: Limits,
) -> Grid:
    """The grid of the workbook's visible sheet whose header names most of the known columns.

    Raises `Unreadable` also where another sheet holds such a table, with rows in it, or what `also_a_table`
    says is one by its texts: its rows would be lost.
    """
    book = open_book(data, limits)
    sheets = []
    for name, facts in book.visible.items():
        sheet = book.sheet(name)
        if sheet.start is not None:
            sheets.append(_Sheet(sheet, name, facts, _header_of(sheet, known, book.day_zero)))
    if not sheets:
        raise refuse("ARQUIVO_VAZIO")
    with_header = [s for s in sheets if s.header] or sheets
    # Of the sheets that come back with a boletim, a template counts once somebody has filled it in.
    likely = [s for s in with_header if s.name not in ignored_sheets or _holds_table(s, known, required)]
    chosen = max(likely or with_header, key=lambda s: s.header.known if s.header else 0)
    others = [s for s in sheets if s is not chosen]
    full = [s for s in others if _holds_table(s, known, required)]
    full += [
        s
        for s in others
        if s not in full and s.name not in ignored_sheets and also_a_table(_top_texts(s.sheet, book.day_zero))
    ]
    if full:
        names = [s.name for s in sheets if s is chosen or s in full]
        raise refuse("DUAS_PLANILHAS", sheets=joined(names))
    grid = _grid(chosen, book.day_zero, limits)
    unread = [s.name for s in others if s.name not in ignored_sheets]
    grid.notes += _sheet_notes(chosen.name, unread, book.hidden)
    return grid


@dataclass
class Book:
    """A workbook that calamine may open: what it does not tell of each visible sheet, the hidden ones' names,
    and the day from which its dates count."""

    visible: dict[str, SheetFacts]
    hidden: list[str]
    day_zero: dt.date
    _calamine: Any

    @property
    def names(self) -> list[str]:
        """The names of all sheets, charts too."""
        return list(self._calamine.sheet_names)

    def sheet(self, name: str) -> Any:
        """calamine's sheet of this name; its type is final and has no public constructor."""
        return _asked(lambda: self._calamine.get_sheet_by_name(name))


def open_book(data: bytes, limits: Limits = LIMITS) -> Book:
    """The workbook, once all that calamine would stumble over is looked at; else raises `Unreadable`."""
    package = open_package(data, limits)
    book = _asked(lambda: calamine.load_workbook(io.BytesIO(data)))
    worksheets = [m for m in book.sheets_metadata if m.typ == calamine.SheetTypeEnum.WorkSheet]
    visible_ones = [m.name for m in worksheets if m.visible == calamine.SheetVisibleEnum.Visible]
    if not visible_ones:
        raise refuse("SEM_PLANILHA_VISIVEL")
    paths = package.sheets()
    if any(name not in paths for name in visible_ones):
        raise refuse("ARQUIVO_CORROMPIDO")
    before = dict(package.parts)
    facts = {name: look_into(package, paths[name], limits) for name in visible_ones}
    if package.parts != before:
        book = _asked(lambda: calamine.load_workbook(io.BytesIO(package.as_archive())))
    day_zero = dt.date(1904, 1, 1) if package.counts_from_1904() else dt.date(1899, 12, 31)
    return Book(facts, [m.name for m in worksheets if m.name not in visible_ones], day_zero, book)


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
    sheet: Any
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


def _top_texts(sheet: Any, day_zero: dt.date) -> pd.DataFrame:
    rows = _asked(lambda: sheet.to_python(nrows=min(TOP_ROWS, sheet.height)))
    columns = {letter(i): _column(values, day_zero)[0] for i, values in enumerate(zip(*rows, strict=True), 1)}
    return pd.DataFrame(columns)


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
    if sheet.width > limits.columns:
        raise refuse("COLUNAS_DEMAIS", limit=limits.columns, last=letter(sheet.end[1] + 1))
    rows = _asked(sheet.to_python)
    first_row, first_column = sheet.start[0] + 1, sheet.start[1] + 1
    if len(rows) > limits.rows + TOP_ROWS:
        while rows and all(isinstance(value, str) and says_nothing(value) for value in rows[-1]):
            rows.pop()
        if len(rows) > limits.rows + TOP_ROWS:
            raise refuse("LINHAS_DEMAIS", limit=limits.rows, last=first_row + len(rows) - 1)
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
    kinds = np.fromiter(map(_KIND.__getitem__, map(type, values)), np.uint8, len(values))
    different = set(kinds.tolist())
    if len(different) == 1:
        said = _texts_of(different.pop(), values, day_zero)
    else:
        cells, mixed = np.empty(len(values), object), np.empty(len(values), object)
        cells[:] = values
        for kind in different:
            mixed[kinds == kind] = _texts_of(kind, cells[kinds == kind].tolist(), day_zero)
        said = mixed.tolist()
    texts = pd.Series(pa.array(said, pa.string()), dtype="str")
    kinds[texts == ""] = EMPTY
    return texts, kinds


def _texts_of(kind: int, values: Sequence[Any], day_zero: dt.date) -> list[str]:
    """The texts of values of one kind, at a fraction of what `_text` costs for each."""
    if kind == TEXT:
        return list(map(str.strip if all(map(str.isprintable, values)) else visible, values))
    if kind == NUMBER:
        numbers = np.array(values, float) + 0.0  # no minus before a zero
        sizes = np.abs(numbers)
        # Here Arrow writes a number as Python does, and a whole one without decimals.
        if bool(((sizes == 0) | ((sizes >= 1e-4) & (sizes < 1e9))).all()):
            return pa.array(numbers).cast(pa.string()).to_pylist()
    said = {value: _text(value, day_zero) for value in set(values)}
    return list(map(said.__getitem__, values))


def _text(value: Any, day_zero: dt.date) -> str:
    """A value as a spreadsheet shows it: ISO dates, clocks to the second, the shortest number."""
    if isinstance(value, str):
        return visible(value)
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
