"""What the reader of sheets hands on: text cells with their addresses, and how a file is refused."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from telemetria_pipeline.contracts.boletim_problems import Problem, problem

# What an Excel cell was before it became text; a CSV has nothing but text.
EMPTY, TEXT, NUMBER, DATE, DATETIME, TIME, DURATION, BOOLEAN = range(8)

# Control characters are invisible, never meant, and no workbook can hold them in an answer.
CONTROL_BYTES = bytes(b for b in range(1, 32) if b not in b"\t\n\r")
# So are these, which chats, web pages and other programs leave behind: the soft hyphen, spaces of no width,
# joiners, marks of direction, byte order marks.
INVISIBLE = "".join(
    map(chr, (0xAD, *range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x206A), 0xFEFF))
)
_INVISIBLE_TEXT = re.compile(f"[{INVISIBLE}\x01-\x08\x0b\x0c\x0e-\x1f]")


def visible(text: str) -> str:
    """The text without characters that nobody sees, and without space around it."""
    return (text if text.isprintable() else _INVISIBLE_TEXT.sub("", text)).strip()


def says_nothing(text: str) -> bool:
    """Whether a cell of this text looks empty."""
    return not visible(text)


class Unreadable(Exception):
    """The file as a whole is refused; `problems` says why, for its sender."""

    def __init__(self, *problems: Problem):
        super().__init__("; ".join(p.code for p in problems))
        self.problems: list[Problem] = list(problems)


def refuse(code: str, **words: object) -> Unreadable:
    """The refusal of a file for the catalogue's `code`, to be raised."""
    return Unreadable(problem(code, **words))  # type: ignore[arg-type]


@dataclass(frozen=True)
class Limits:
    """How much of a file is read at most. Sizes in bytes; `ratio` is unzipped over zipped."""

    size: int = 10_000_000
    rows: int = 50_000
    columns: int = 256
    unzipped: int = 300_000_000
    ratio: int = 200


LIMITS = Limits()


@dataclass
class SheetText:
    """A table as text.

    `headers` maps each column's letter to its header as in the sheet; `cells` has those letters as columns,
    the spreadsheet's row numbers as index (int64) and text as values ("" is empty, dtype `str`), data rows
    only. `kinds` holds, for Excel, a uint8 array a letter in the order of `cells` (EMPTY, TEXT, NUMBER …
    above); it is empty for CSV. `notes` are warnings; `problems` are errors that only the reader can see:
    their rows stay in `cells` and must not be accepted, their cells need no second message. What the reader
    chose is in `sheet` (a workbook's), `header_row` (its last row, where it has several), and, for CSV,
    `separator` (the character) and `encoding` (Python's name of it; `utf-8-sig` has a byte order mark).
    """

    sheet: str | None
    headers: dict[str, str]
    header_row: int
    cells: pd.DataFrame
    kinds: dict[str, np.ndarray] = field(default_factory=dict)
    notes: list[Problem] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    separator: str | None = None
    encoding: str | None = None


@dataclass(frozen=True)
class CellProblem:
    """A problem of one cell, found before it is known whether the cell belongs to the table."""

    code: str
    row: int
    letter: str
    value: str


@dataclass
class Grid:
    """A whole sheet as text, before its table is found in it.

    `texts` has letters as columns and row numbers as index. `lengths` is how many cells each row really
    has, where rows differ (CSV). `merged` holds (first row, first column, last row, last column), from 1.
    """

    sheet: str | None
    texts: pd.DataFrame
    kinds: dict[str, np.ndarray] = field(default_factory=dict)
    lengths: np.ndarray | None = None
    merged: list[tuple[int, int, int, int]] = field(default_factory=list)
    separator: str | None = None
    encoding: str | None = None
    notes: list[Problem] = field(default_factory=list)
    cell_problems: list[CellProblem] = field(default_factory=list)
    hidden_rows: Sequence[int] = ()

    def top(self, rows: int) -> list[tuple[int, list[str]]]:
        """The first `rows` rows as (row number, texts)."""
        head = self.texts.head(rows)
        return list(zip(head.index.tolist(), head.to_numpy(object).tolist(), strict=True))


def letter(column: int) -> str:
    """The letter of a column counted from 1: 1 is A, 27 is AA."""
    text = ""
    while column:
        column, rest = divmod(column - 1, 26)
        text = chr(65 + rest) + text
    return text


def column_number(letters: str) -> int:
    """The number of a column letter, from 1; at most three letters are meant."""
    number = 0
    for char in letters:
        number = number * 26 + ord(char) - 64
    return number


def joined(texts: Sequence[str]) -> str:
    """Texts for a sentence: `A`, `A e B`, `A, B e C`."""
    *others, last = texts
    return f"{', '.join(others)} e {last}" if others else last


def listed(rows: Iterable[int], most: int = 8) -> str:
    """Row numbers for a sentence: `3, 7 a 9, 12 … (40 linhas)`."""
    ordered = sorted(rows)
    runs: list[list[int]] = []
    for row in ordered:
        if runs and row == runs[-1][1] + 1:
            runs[-1][1] = row
        else:
            runs.append([row, row])
    said = ", ".join(str(a) if a == b else f"{a} a {b}" for a, b in runs[:most])
    return said if len(runs) <= most else f"{said} … ({len(ordered)} linhas)"


_DIGITS = re.compile(r"\d+")


def signature(texts: Iterable[str]) -> str:
    """A row as it is compared with other pages' rows: page numbers and hours differ, the words do not."""
    return _DIGITS.sub("0", "\x1f".join(t.strip() for t in texts).rstrip("\x1f")).upper()
