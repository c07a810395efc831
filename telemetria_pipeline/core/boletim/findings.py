"""Problems by their root cause: one finding is one code in one column with all its rows, told lazily.

A column typed in the wrong format is one mistake in 50,000 cells. Records for the sender are made only for
the cells that are shown, and every list that is cut says how many there are.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from telemetria_pipeline.contracts.boletim_problems import KINDS, Problem, Severity, problem
from telemetria_pipeline.core.sheets.text import SheetText

Words = Callable[[int], Mapping[str, object]]
"""Gives the placeholders of a row's record by its position."""

LISTED_CELLS = 100
"""How many cells of one root cause an answer lists; a last entry then says how many there are."""


@dataclass(frozen=True)
class Finding:
    """One code in one column. `positions` are rows of the sheet's `cells`, by place, in the sheet's order."""

    code: str
    severity: Severity
    letter: str | None
    column: str | None
    positions: np.ndarray
    make: Callable[[int], Problem]

    def problems(self, limit: int | None = None) -> list[Problem]:
        """The records of the first `limit` rows (all of them when None)."""
        return [self.make(int(position)) for position in self.positions[:limit]]


def per_row(problems: Iterable[Problem], rows: np.ndarray) -> tuple[list[Finding], list[Problem]]:
    """Finished records (the reader's) as findings, and those that belong to no row of the sheet."""
    problems = list(problems)
    if not problems:
        return [], []
    asked = {p.row for p in problems if p.row is not None}
    place = {int(rows[at]): int(at) for at in np.flatnonzero(np.isin(rows, list(asked)))}
    groups: dict[tuple[str, str | None, str | None], list[tuple[int, Problem]]] = {}
    whole = []
    for said in problems:
        if said.row is None or said.row not in place:
            whole.append(said)
            continue
        letter = said.cell.rstrip("0123456789") if said.cell else None
        groups.setdefault((said.code, letter, said.column), []).append((place[said.row], said))
    findings = []
    for (code, letter, column), members in groups.items():
        members.sort(key=lambda member: member[0])
        positions, known = np.array([at for at, _ in members]), dict(members)
        findings.append(
            Finding(code, members[0][1].severity, letter, column, np.unique(positions), known.__getitem__)
        )
    return findings, whole


@dataclass(frozen=True)
class Group:
    """A root cause as a person reads it: `812 linhas: DATA em mm/dd/aaaa`."""

    code: str
    severity: Severity
    title: str
    column: str | None
    count: int
    cells: str
    example: Problem

    def __str__(self) -> str:
        if self.count == 1 and self.example.cell is None:
            return self.example.message
        what = self.title if self.column is None else f"{self.column}: {self.title}"
        return f"{self.count} {'linha' if self.count == 1 else 'linhas'}: {what} ({self.cells})"


def grouped(findings: Sequence[Finding], whole: Sequence[Problem], rows: np.ndarray) -> list[Group]:
    """Root causes: those of the whole file first, then errors before warnings, the most frequent first."""
    groups = [
        Group(p.code, p.severity, KINDS[p.code].title, p.column, 1, p.cell or "arquivo", p) for p in whole
    ]
    in_rows = [
        Group(
            f.code,
            f.severity,
            KINDS[f.code].title,
            f.column,
            len(f.positions),
            cell_ranges(f.letter, rows[f.positions]),
            _of_all(f.make(int(f.positions[0])), len(f.positions)),
        )
        for f in findings
    ]
    in_rows.sort(key=lambda g: -g.count)
    return sorted([*groups, *in_rows], key=lambda g: g.severity != "erro")


def _of_all(example: Problem, count: int) -> Problem:
    """The record of one of so many cells, whose suggestion fits all of them."""
    several = KINDS[example.code].several
    return replace(example, suggestion=several) if count > 1 and several else example


def cell_ranges(letter: str | None, rows: np.ndarray, limit: int = 4) -> str:
    """Addresses as a person reads them: `C2 a C40, C52 e mais 3 trechos`."""
    breaks = np.flatnonzero(np.diff(rows) != 1)
    starts, ends = rows[np.append(0, breaks + 1)], rows[np.append(breaks, len(rows) - 1)]
    name = letter or "linha "
    said = [
        f"{name}{a}" if a == b else f"{name}{a} a {letter or ''}{b}"
        for a, b in zip(starts[:limit], ends[:limit], strict=True)
    ]
    rest = len(starts) - limit
    tail = f" e mais {rest} {'trecho' if rest == 1 else 'trechos'}" if rest > 0 else ""
    return ", ".join(said) + tail


def listed(findings: Sequence[Finding], whole: Sequence[Problem], severity: Severity) -> list[Problem]:
    """The records that an answer lists: whole-file ones, then `LISTED_CELLS` cells of each root cause.

    A root cause with more cells ends with an entry without a cell whose value is how many there are.
    """
    found = [p for p in whole if p.severity == severity]
    for finding in sorted(
        (f for f in findings if f.severity == severity), key=lambda f: (int(f.positions[0]), f.letter or "")
    ):
        found += finding.problems(LISTED_CELLS)
        total = len(finding.positions)
        if total > LISTED_CELLS:
            title = KINDS[finding.code].title
            example = _of_all(found[-1], total)
            where = f"{finding.column}: {title}" if finding.column else title
            found.append(
                replace(
                    example,
                    cell=None,
                    row=None,
                    value=str(total),
                    message=f"{total} linhas: {where}. Só as primeiras {LISTED_CELLS} estão nesta lista.",
                )
            )
    return found


def group_counts(problems: Sequence[Mapping[str, str | None]]) -> dict[tuple[str, str], int]:
    """How many cells each root cause has, from the list of an answer (`listed`, as JSON)."""
    counts: dict[tuple[str, str], int] = {}
    for entry in problems:
        key = (entry["code"] or "", entry["column"] or "")
        value = entry["value"] or ""
        if entry["cell"] is None and counts.get(key) == LISTED_CELLS and value.isdigit():
            counts[key] = int(value)
        else:
            counts[key] = counts.get(key, 0) + 1
    return counts


class Findings:
    """Collects what the rules find in one sheet."""

    def __init__(
        self, sheet: SheetText, severities: Mapping[str, Severity], told: Sequence[Finding] = ()
    ) -> None:
        self.found: list[Finding] = list(told)
        self.bad = np.zeros(len(sheet.cells), bool)
        self._sheet, self._severities = sheet, severities
        self._rows = sheet.cells.index.to_numpy()
        self._texts: dict[str, list[str]] = {}
        self._told: dict[str | None, set[int]] = {}
        for finding in told:
            self.bad[finding.positions] = True
            self._told.setdefault(finding.letter, set()).update(finding.positions.tolist())

    def noted(self, letter: str | None, code: str | None = None) -> np.ndarray:
        """The rows whose cell in this column (None: the row itself) has this code, or any error: a mask."""
        mask = np.zeros(len(self.bad), bool)
        for finding in self.found:
            if finding.letter == letter and (finding.code == code if code else finding.severity == "erro"):
                mask[finding.positions] = True
        return mask

    def take_back(self, letter: str, caused: np.ndarray, follows: Callable[[int, Problem], bool]) -> None:
        """Forget what was noted of a column's cells in the rows `caused` (a mask: another error of theirs is
        noted), where `follows` says so of a position and its record; the rows stay bad."""
        kept = []
        for finding in self.found:
            if finding.letter == letter:
                stays = [not (caused[p] and follows(int(p), finding.make(int(p)))) for p in finding.positions]
                finding = replace(finding, positions=finding.positions[stays])
            if len(finding.positions):
                kept.append(finding)
        self.found = kept

    def cell(self, letter: str, position: int) -> str:
        """The Excel address of a cell."""
        return f"{letter}{self._rows[position]}"

    def _text(self, letter: str, position: int) -> str | None:
        if letter not in self._texts:  # a column that is wrong throughout asks for all of its cells
            self._texts[letter] = self._sheet.cells[letter].tolist()
        return self._texts[letter][position] or None

    def add(
        self,
        code: str,
        letter: str | None,
        where: np.ndarray,
        said: Words = lambda _: {},
    ) -> None:
        """Note `code` in column `letter` for the rows in `where` (a mask, or positions).

        `said` gives the placeholders of a row by its position, when its record is made. A cell, or a
        whole row, that the reader has already spoken of gets no second record.
        """
        positions = np.flatnonzero(where) if where.dtype == bool else np.sort(where)
        if self._told:
            told = self._told.get(letter, set()) | self._told.get(None, set())
            positions = positions[~np.isin(positions, list(told))]
        if not len(positions):
            return
        severity = self._severities.get(code, KINDS[code].severity)
        column = self._sheet.headers[letter] if letter else None

        def make(position: int) -> Problem:
            row = int(self._rows[position])
            value = self._text(letter, position) if letter else None
            made = problem(
                code,
                sheet=self._sheet.sheet,
                cell=f"{letter}{row}" if letter else None,
                column=column,
                row=row,
                **{"value": value, **said(position)},  # type: ignore[arg-type]
            )
            return made if made.severity == severity else replace(made, severity=severity)

        self.found.append(Finding(code, severity, letter, column, positions, make))
        if severity == "erro":
            self.bad[positions] = True
