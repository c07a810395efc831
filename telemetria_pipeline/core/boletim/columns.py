"""Which column of a sheet is which: exact and alias headers are read, a near miss is a question."""

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from telemetria_pipeline.contracts.boletim import (
    HEADER_NAMES,
    IGNORED_HEADERS,
    REQUIRED,
)
from telemetria_pipeline.contracts.boletim_problems import Problem, problem
from telemetria_pipeline.core.sheets.header import normalise_header
from telemetria_pipeline.core.sheets.text import SheetText

_LIKENESS = 0.8
_CANONICAL = {normalise_header(said): name for name, names in HEADER_NAMES.items() for said in names}
_IGNORED = frozenset(map(normalise_header, IGNORED_HEADERS))


@dataclass(frozen=True)
class MatchedColumns:
    """Canonical column -> its letter, and what the sender should know of the other columns."""

    letters: dict[str, str]
    problems: list[Problem]


def match_columns(sheet: SheetText) -> MatchedColumns:
    """Match a sheet's headers; a required column that is missing or stands there twice is an error."""
    found: dict[str, list[str]] = {}
    unknown: dict[str, str] = {}
    for letter, header in sheet.headers.items():
        plain = normalise_header(header)
        if plain in _CANONICAL:
            found.setdefault(_CANONICAL[plain], []).append(letter)
        elif plain and plain not in _IGNORED:
            unknown[letter] = plain
    problems = _twice(sheet, found)
    meant = _near_misses(unknown, found)
    for name in REQUIRED:
        if name not in found:
            asked = [f"{sheet.headers[at]} (coluna {at})" for at, near in meant.items() if near == name]
            problems.append(
                problem(
                    "COLUNA_OBRIGATORIA_AUSENTE",
                    sheet=sheet.sheet,
                    column=HEADER_NAMES[name][0],
                    hint=f" Seria a coluna {' ou '.join(asked)}?" if asked else "",
                )
            )
    for letter in unknown:
        near_name = meant.get(letter)
        problems.append(
            problem(
                "COLUNA_PARECIDA" if near_name else "COLUNA_DESCONHECIDA",
                sheet=sheet.sheet,
                cell=f"{letter}{sheet.header_row}",
                column=sheet.headers[letter],
                letter=letter,
                meant=HEADER_NAMES[near_name][0] if near_name else None,
            )
        )
    return MatchedColumns({name: letters[0] for name, letters in found.items()}, problems)


def _near_misses(unknown: Mapping[str, str], found: Mapping[str, list[str]]) -> dict[str, str]:
    missing = {alias: name for alias, name in _CANONICAL.items() if name not in found}
    near = {at: get_close_matches(plain, missing, n=1, cutoff=_LIKENESS) for at, plain in unknown.items()}
    return {letter: missing[close[0]] for letter, close in near.items() if close}


def _twice(sheet: SheetText, found: Mapping[str, list[str]]) -> list[Problem]:
    problems = []
    for name, (kept, *others) in found.items():
        title = HEADER_NAMES[name][0]
        for other in others:
            if sheet.cells[kept].equals(sheet.cells[other]):
                continue
            if name in REQUIRED:
                headers = " e ".join(dict.fromkeys(sheet.headers[at] for at in (kept, other)))
                problems.append(
                    problem(
                        "COLUNAS_EM_CONFLITO",
                        sheet=sheet.sheet,
                        column=sheet.headers[other],
                        letters=f"{kept} e {other}",
                        headers=headers,
                        meant=title,
                    )
                )
            else:
                problems.append(
                    problem(
                        "COLUNA_PRETERIDA",
                        sheet=sheet.sheet,
                        cell=f"{other}{sheet.header_row}",
                        column=sheet.headers[other],
                        letter=other,
                        kept=kept,
                        meant=title,
                    )
                )
    return problems
