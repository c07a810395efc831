"""Which column of a sheet is which: exact and alias headers are read, a near miss is a question."""

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import combinations

import pandas as pd

from telemetria_pipeline.contracts.boletim import (
    HEADER_NAMES,
    IGNORED_HEADERS,
    REQUIRED,
)
from telemetria_pipeline.contracts.boletim_problems import Problem, problem
from telemetria_pipeline.core.sheets.header import nearest_titles, normalise_header, not_found
from telemetria_pipeline.core.sheets.text import SheetText

_LIKENESS = 0.8
_CANONICAL = {normalise_header(said): name for name, names in HEADER_NAMES.items() for said in names}
_IGNORED = frozenset(map(normalise_header, IGNORED_HEADERS))
_NUMBERED = frozenset({*REQUIRED, "km_rota"})
"""What a second trip in a row would bring; a second driver or stop is none."""
# Which trip of a row a title means. A year is no such number.
_WHICH_TRIP = re.compile(
    r"\d{1,2}|I{2,3}|IV|IDA|VOLTA|RETORNO|VIAGEM|TURNO|(PRIMEIR|SEGUND|TERCEIR|QUART)[AO]"
)
_PLATE = re.compile(r"[A-Za-z]{3}[- ]?\d[A-Za-z0-9]\d{2}")
_DATE = re.compile(r"(\d{4}-\d\d-\d\d|\d{1,2}[/.-]\d{1,2}[/.-](\d{4}|\d\d))\b")
_CLOCK = re.compile(r"(^|[ T])\d{1,2}[:h]\d{2}(:\d{2})?$")
_KM = re.compile(r"\d[\d.]{0,11}(,\d+)?", re.ASCII)
_LEAST_ODOMETER = 1_000  # below it stand people, turns and rows
_LONGEST_KM = 2_000


@dataclass(frozen=True)
class MatchedColumns:
    """Canonical column -> its letter, and what the sender should know of the other columns."""

    letters: dict[str, str]
    problems: list[Problem]


def is_drivers(title: str) -> bool:
    """Whether the column of this title holds drivers' names."""
    return _CANONICAL.get(normalise_header(title)) == "motorista"


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
    missing = [name for name in REQUIRED if name not in found]
    numbered = _numbered(sheet, unknown, found)
    if numbered:
        problems.append(
            problem(
                "COLUNAS_NUMERADAS",
                sheet=sheet.sheet,
                letters=", ".join(numbered),
                headers=", ".join(sheet.headers[at] for at in numbered),
            )
        )
        missing = [name for name in missing if name not in numbered.values()]
    elif len(missing) == len(REQUIRED):
        titles = list(sheet.headers.values())
        said = not_found(sheet.sheet, sheet.header_row, titles, HEADER_NAMES, REQUIRED)
        return MatchedColumns({}, [said])
    meant = _near_misses(unknown, found)
    asked = {sheet.headers[at]: at for at in unknown}
    likest = nearest_titles(asked, {name: HEADER_NAMES[name] for name in missing})
    for name in missing:
        near = likest.get(name)
        problems.append(
            problem(
                "COLUNA_OBRIGATORIA_AUSENTE",
                sheet=sheet.sheet,
                column=HEADER_NAMES[name][0],
                hint=f" Seria a coluna {near} (coluna {asked[near]})?" if near else "",
            )
        )
    for letter in unknown:
        if letter in numbered:
            continue
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


def _numbered(sheet: SheetText, unknown: Mapping[str, str], found: Mapping[str, list[str]]) -> dict[str, str]:
    """The columns that bring another trip of the row, by letter: a known title with a number, and values.

    A title with a number that stands there alone is only another name.
    """
    named = {at: name for at in unknown if (name := _without_number(sheet.headers[at])) in _NUMBERED}
    several = [*found, *(name for name, uses in Counter(named.values()).items() if uses > 1)]
    return {
        at: name
        for at, name in named.items()
        if name in several and sheet.cells[at].str.contains(r"[^\W0_]", regex=True).any()
    }


def _without_number(title: str) -> str | None:
    """The canonical column of a title that tells which trip of a row it means; None for every other title."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", title) if not unicodedata.combining(c)).upper()
    plain = re.sub(r"(?<=\d)[AO]\b|\b[TV](?=\d)", "", plain)  # 2ª, T2
    words = re.findall(r"[A-Z]+|\d+", plain)
    rest = [word for word in words if not _WHICH_TRIP.fullmatch(word)]
    return _CANONICAL.get("".join(rest)) if len(rest) < len(words) else None


def look_like_trips(texts: pd.DataFrame) -> bool:
    """Whether the texts of a sheet's first rows hold a trip, whatever its titles say.

    A trip has a plate, a date, two clocks and two odometers; a row of a register of vehicles, of a roster or
    of a summary lacks one or another.
    """
    return any(_is_trip([text for text in row if text]) for row in texts.to_numpy(object).tolist())


def _is_trip(texts: list[str]) -> bool:
    km = [_km(text) for text in texts if _KM.fullmatch(text)]
    return (
        any(map(_PLATE.fullmatch, texts))
        and any(map(_DATE.match, texts))
        and sum(map(bool, map(_CLOCK.search, texts))) >= 2
        and any(_LEAST_ODOMETER <= a < b <= a + _LONGEST_KM for a, b in combinations(km, 2))
    )


def _km(text: str) -> float:
    decimal_point = re.fullmatch(r"\d+\.\d{1,2}", text)
    return float(text if decimal_point else text.replace(".", "").replace(",", "."))


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
