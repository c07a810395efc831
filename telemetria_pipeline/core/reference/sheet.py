"""A reference file's cells by canonical column, and how they become a table or a list of problems."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from telemetria_pipeline.contracts import Contract
from telemetria_pipeline.core.boletim.values import EMPTY_TOKENS
from telemetria_pipeline.core.sheets.header import normalise_header
from telemetria_pipeline.core.sheets.reader import read_sheet
from telemetria_pipeline.core.sheets.text import LIMITS, NUMBER, Limits, SheetText, Unreadable

# Rows that the reader takes for remarks of a boletim may be entries here: nobody loses one unawares.
_LEFT_OUT = frozenset({"LINHA_DE_TEXTO", "LINHA_FORA_DA_TABELA"})

Headers = Mapping[str, Sequence[str]]
"""Canonical column -> the headers that it may have; the first is the one that messages use."""


@dataclass(frozen=True)
class ReferenceTable:
    """A reference file as read: `frame` is under its contract, and without rows where there are problems.

    `notes` say what the reader noticed or left out, and reject nothing.
    """

    frame: pd.DataFrame
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class Sheet:
    """A reference file's cells by canonical column, and what is wrong with them."""

    def __init__(self, sheet: SheetText, names: Headers) -> None:
        self._sheet, self._names = sheet, names
        self._problems = [(p.row or 0, p.message) for p in sheet.problems]
        self._problems += [(0, n.message) for n in sheet.notes if n.code in _LEFT_OUT]
        self.notes = [n.message for n in sheet.notes if n.code not in _LEFT_OUT]
        self.letters: dict[str, str] = {}
        canonical = {normalise_header(n): column for column, said in names.items() for n in said}
        for letter, header in sheet.headers.items():
            column = canonical.get(normalise_header(header))
            if column is None:
                self.notes.append(f"A coluna {letter}, {header}, não é conhecida e não foi lida.")
            elif column in self.letters:
                both = f"As colunas {self.letters[column]} e {letter} querem dizer {names[column][0]}"
                self._problems.append((0, f"{both}; deixe só uma."))
            else:
                self.letters[column] = letter

    @property
    def problems(self) -> list[str]:
        """What is wrong, from the top of the sheet to its end."""
        return [said for _, said in sorted(self._problems, key=lambda problem: problem[0])]

    @property
    def sound_rows(self) -> pd.Index:
        """The rows in which nothing was found wrong so far."""
        return self._sheet.cells.index.difference([row for row, _ in self._problems])

    def header(self, name: str) -> str:
        """The column as messages call it."""
        return self._names[name][0]

    def column(self, name: str) -> pd.Series:
        """A column's texts with single spaces, by row; missing where the cell is empty or says "nothing"."""
        cells = self._sheet.cells
        if name not in self.letters:
            return pd.Series(index=cells.index, dtype="str")
        texts = cells[self.letters[name]].str.normalize("NFC").str.split().str.join(" ")
        return texts.mask(texts.isin(EMPTY_TOKENS))

    def numbers(self, name: str) -> pd.Index:
        """The rows whose cell of a column Excel itself held as a number; none of a CSV's."""
        kinds = self._sheet.kinds.get(self.letters.get(name, ""))
        return self._sheet.cells.index[:0] if kinds is None else self._sheet.cells.index[kinds == NUMBER]

    def wrong(self, column: str, rows: pd.Series | Iterable[int], said: Callable[[int], str]) -> None:
        """Note the cells of a column that are wrong: the rows of a mask, or those given."""
        place = f"{self._sheet.sheet}!" if self._sheet.sheet else ""
        letter = self.letters.get(column, "linha ")
        for row in rows.index[rows] if isinstance(rows, pd.Series) else rows:
            self._problems.append((row, f"{place}{letter}{row}: {said(row)}."))


def read_table(
    data: bytes,
    file_name: str,
    contract: Contract,
    names: Headers,
    judge: Callable[[Sheet], dict[str, pd.Series]],
    optional: Collection[str] = (),
    limits: Limits = LIMITS,
    may_be_empty: bool = False,
) -> ReferenceTable:
    """The file under its contract.

    Args:
        data: the file.
        file_name: its name.
        contract: the table's.
        names: the headers of its columns.
        judge: makes columns of the sheet's cells and notes in it what is wrong; a column that it does not
            make is taken as it stands.
        optional: columns that the contract requires and that `judge` makes where the file has none.
        limits: how much is read at most.
        may_be_empty: titles without a row below them are a table without rows, and no problem.
    """
    required = [c.name for c in contract.columns if c.required and c.name in names.keys() - set(optional)]
    try:
        text = read_sheet(
            data,
            file_name=file_name,
            known_headers=names,
            required=required,
            incomplete_rows_count=True,
            limits=limits,
        )
    except Unreadable as refusal:
        if may_be_empty and {p.code for p in refusal.problems} == {"SEM_LINHAS"}:
            return ReferenceTable(contract.empty())
        columns = ", ".join(said[0] for said in names.values())
        no_header = f"Nenhuma das primeiras linhas tem os títulos das colunas ({columns})."
        said = [no_header if p.code == "CABECALHO_NAO_ENCONTRADO" else p.message for p in refusal.problems]
        return ReferenceTable(contract.empty(), said)
    sheet = Sheet(text, names)
    missing = [f"Falta a coluna {names[c][0]}; inclua-a." for c in required if c not in sheet.letters]
    if missing:
        return ReferenceTable(contract.empty(), [*missing, *sheet.problems], sheet.notes)
    for name in required:
        empty = f"falta {names[name][0]}; preencha a célula, ou apague a linha"
        sheet.wrong(name, sheet.column(name).isna(), lambda _, said=empty: said)  # type: ignore[misc]
    made = judge(sheet)
    if sheet.problems:
        return ReferenceTable(contract.empty(), sheet.problems, sheet.notes)
    frame = pd.DataFrame({n: made[n] if n in made else sheet.column(n) for n in contract.names})
    frame = frame.reset_index(drop=True).astype({c.name: c.pandas_dtype for c in contract.columns})
    if broken := contract.broken_by(frame):
        # Not the keeper's mistake but ours: a rule let something through.
        raise AssertionError(f"rows without problems break the contract {contract.name}: {broken}")
    return ReferenceTable(frame, notes=sheet.notes)
