"""Parsers of the boletim's cells: text in, typed arrays out, nothing guessed where two readings are possible.

A column is parsed once for each different text (`Coded`): a boletim has a month of dates, a day of minutes
and a fleet of plates. Odometers differ in every row and are parsed as a whole.
"""

import re
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from telemetria_pipeline.core.plates import canonical_plates

EMPTY_TOKENS = frozenset({"", "-", "--", "---", "–", "—", "N/A", "n/a", "NULL", "null"})
"""Texts that mean "nothing here". `NA` is not one of them: it may be a place."""

NO_DAY = np.iinfo(np.int32).min
NO_CLOCK = -1
DAY_S = 86_400
_EPOCH = date(1970, 1, 1)
_EXCEL_EPOCH = date(1899, 12, 30)
_FIRST_YEAR, _LAST_YEAR = 2000, 2099
_MONTHS = ("jan", "fev", "mar", "abr", "mai", "jun", "jul", "ago", "set", "out", "nov", "dez")
_CLOCK_TAIL = r"(?:[t ]+\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?)?"


@dataclass(frozen=True)
class Coded:
    """A text column as its different texts and, for each row, which one; -1 where the cell is empty."""

    texts: list[str]
    codes: np.ndarray

    def rows(self, of_texts: np.ndarray, empty: object) -> np.ndarray:
        """Values known for each different text, spread over the rows; `empty` where the cell is."""
        values = np.append(np.asarray(of_texts), np.asarray([empty], dtype=np.asarray(of_texts).dtype))
        return values[self.codes]

    def column(self, of_texts: list[str | None] | None = None) -> pd.Series:
        """The texts (or what `of_texts` makes of them) as a `str` Series, one value a row."""
        values = pd.array(self.texts if of_texts is None else of_texts, dtype="str")
        return pd.Series(values.take(self.codes, allow_fill=True))


def coded(cells: pd.Series) -> Coded:
    """Encode a column of texts; empty cells and the words for "nothing" become code -1."""
    codes, different = pd.factorize(cells)
    texts = different.tolist()
    empty = np.array([text in EMPTY_TOKENS for text in texts], bool)
    return Coded(texts, np.where(np.append(empty, True)[codes], -1, codes).astype(np.int32))


# --- dates ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Dates:
    """What each different text of a date column says.

    `day` is days since 1970 (`NO_DAY`: no date), read as dd/mm; `us_day` what it is with day and month
    exchanged, where that is a date. `iso` marks YYYY-MM-DD, `serial` Excel's bare day numbers.
    """

    day: np.ndarray
    us_day: np.ndarray
    iso: np.ndarray
    serial: np.ndarray


_ISO = re.compile(rf"(\d{{4}})[-/](\d{{1,2}})[-/](\d{{1,2}}){_CLOCK_TAIL}", re.ASCII)
_SLASHED = re.compile(rf"(\d{{1,2}})([/.\- ])(\d{{1,2}})\2(\d{{4}}|\d{{2}}){_CLOCK_TAIL}", re.ASCII)
_NAMED = re.compile(r"(\d{1,2})[/.\- ]+(?:de )?([a-zç]{3,9})\.?[/.\- ]+(?:de )?(\d{4}|\d{2})", re.ASCII)
_SERIAL = re.compile(r"\d{5}(?:\.\d+)?", re.ASCII)
_WEEKDAY = (
    r"(?:dom(?:ingo)?|seg(?:unda)?|ter(?:[cç]a)?|qua(?:rta)?|qui(?:nta)?|sex(?:ta)?|s[aá]b(?:ado)?)"
    r"(?:[- ]feira)?\.?"
)
_BESIDE_THE_DATE = re.compile(rf"^{_WEEKDAY},?(?: -)? +(?=\d)|(?<=\d)(?:,? +(?:- )?| ?\(){_WEEKDAY}\)?$")
_FIRST_OF_MONTH = re.compile(r"^(\d{1,2})(?:[ºª°]|o(?=[/.\- ]))")  # 1º/11/2026


def parse_dates(texts: list[str]) -> Dates:
    """Read dates: dd/mm/yyyy, dd/mm/yy, ISO, `22 nov 2026`, an Excel day number; a clock is dropped, and so
    is the name of the weekday before or after the date."""
    day = np.full(len(texts), NO_DAY, np.int32)
    us_day, iso, serial = day.copy(), np.zeros(len(texts), bool), np.zeros(len(texts), bool)
    for i, text in enumerate(texts):
        bare = _FIRST_OF_MONTH.sub(r"\1", _BESIDE_THE_DATE.sub("", text.lower()))
        if found := _ISO.fullmatch(bare):
            year, month, of_month = found.groups()
            day[i], us_day[i] = _day(year, month, of_month), _day(year, of_month, month)
            iso[i] = day[i] != NO_DAY
            us_day[i] = us_day[i] if iso[i] else NO_DAY
        elif found := _SLASHED.fullmatch(bare):
            first, _, second, year = found.groups()
            day[i], us_day[i] = _day(year, second, first), _day(year, first, second)
        elif _SERIAL.fullmatch(bare):
            day[i] = _checked(_EXCEL_EPOCH + timedelta(days=int(float(bare))))
            serial[i] = day[i] != NO_DAY
        elif (found := _NAMED.fullmatch(bare)) and found[2][:3] in _MONTHS:
            day[i] = _day(found[3], str(_MONTHS.index(found[2][:3]) + 1), found[1])
    return Dates(day, us_day, iso, serial)


def _day(year: str, month: str, day: str) -> int:
    try:
        return _checked(date(int(year) + (2000 if len(year) == 2 else 0), int(month), int(day)))
    except ValueError:
        return NO_DAY


def _checked(found: date) -> int:
    return day_number(found) if _FIRST_YEAR <= found.year <= _LAST_YEAR else NO_DAY


def date_style(dates: Dates, rows: np.ndarray, us: np.ndarray, in_excel: bool) -> str | None:
    """How a date column is written, the most frequent way first; None where it holds no date.

    Args:
        dates: its different texts.
        rows: how many rows each has.
        us: which are in mm/dd.
        in_excel: whether the file is a workbook, where a date is one of Excel's own.
    """
    known = ((dates.day != NO_DAY) | us) & (rows > 0)
    slashed = ~dates.iso & ~dates.serial & ~us
    ways = {
        "data do Excel" if in_excel else "aaaa-mm-dd": dates.iso & ~us,
        "dd/mm/aaaa": slashed,
        "mm/dd/aaaa": us,
        "número de dia do Excel": dates.serial,
    }
    counts = {way: int(rows[known & mask].sum()) for way, mask in ways.items()}
    return ", ".join(sorted((way for way in counts if counts[way]), key=lambda way: -counts[way])) or None


def day_number(day: date) -> int:
    """A date as days since 1970."""
    return (day - _EPOCH).days


def as_date(day: int) -> date:
    """Days since 1970 as a date."""
    return _EPOCH + timedelta(days=int(day))


def iso_day(day: int) -> str:
    """Days since 1970 as YYYY-MM-DD."""
    return as_date(day).isoformat()


def br_day(day: int) -> str:
    """Days since 1970 as dd/mm/aaaa, as messages say it."""
    return as_date(day).strftime("%d/%m/%Y")


# --- clocks --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Clocks:
    """What each different text of a clock column says: seconds since midnight (`NO_CLOCK`: none; 24:00 is
    86,400), the day that a cell with date and time names beside it (`NO_DAY`: none), and whether it is a
    fraction of a day, as Excel writes a clock that lost its format."""

    second: np.ndarray
    day: np.ndarray
    fraction: np.ndarray


_CLOCK = re.compile(
    r"(\d{1,2})(?::(\d{2})(?::(\d{2})(?:\.\d+)?)?)? ?(h(?:s|rs|oras)?\.?|am|pm)?", re.IGNORECASE
)
_HOURS = re.compile(r"(\d{1,2}) ?(?:h|hs|hrs) ?(\d{2}) ?(?:m|min)?", re.IGNORECASE | re.ASCII)
_FRACTION = re.compile(r"0?[.,]\d+|0(?:[.,]0+)?", re.ASCII)
_DOTTED = re.compile(r"(\d{1,2})\.(\d{2})(?:\.(\d{2}))? ?(?:h|hs|hrs)?", re.IGNORECASE | re.ASCII)
_CLOSED = re.compile(r"(\d{2})(\d{2}) ?(?:h|hs|hrs)?", re.IGNORECASE | re.ASCII)
_STAMP = re.compile(r"(\d{4}-\d{2}-\d{2})[ T](\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?)", re.ASCII)
_BR_STAMP = re.compile(r"(\d{1,2}/\d{1,2}/\d{4}) +(\d{1,2}:\d{2}(?::\d{2})?)", re.ASCII)


def parse_clocks(texts: list[str]) -> Clocks:
    """Read clocks: HH:MM[:SS], `7h30`, `7h`, `07.30`, `0730`, am/pm, 24:00, an Excel day fraction, a date
    with its time."""
    second = np.full(len(texts), NO_CLOCK, np.int32)
    day = np.full(len(texts), NO_DAY, np.int32)
    fraction = np.array([_FRACTION.fullmatch(text) is not None for text in texts], bool)
    for i, text in enumerate(texts):
        if stamp := _STAMP.fullmatch(text) or _BR_STAMP.fullmatch(text):
            second[i] = _clock(stamp[2])
            # Excel writes a bare time as day 0, 30 or 31/12/1899; that names no day.
            day[i] = parse_dates([stamp[1]]).day[0]
            if day[i] == NO_DAY and not stamp[1].startswith("1899"):
                second[i] = NO_CLOCK
        else:
            second[i] = _clock(text)
    return Clocks(second, day, fraction)


def _clock(text: str) -> int:
    if _FRACTION.fullmatch(text):
        return round(float(text.replace(",", ".")) * DAY_S)
    if found := _HOURS.fullmatch(text) or _CLOSED.fullmatch(text):
        return _seconds(int(found[1]), int(found[2]), 0)
    if found := _DOTTED.fullmatch(text):
        return _seconds(int(found[1]), int(found[2]), int(found[3] or 0))
    found = _CLOCK.fullmatch(text)
    if not found or not (found[2] or found[4]):
        return NO_CLOCK
    hour, suffix = int(found[1]), (found[4] or "").lower()
    if suffix in ("am", "pm"):
        if not 1 <= hour <= 12:
            return NO_CLOCK
        hour = hour % 12 + (12 if suffix == "pm" else 0)
    return _seconds(hour, int(found[2] or 0), int(found[3] or 0))


def _seconds(hour: int, minute: int, second: int) -> int:
    total = hour * 3600 + minute * 60 + second
    return total if minute < 60 and second < 60 and total <= DAY_S else NO_CLOCK


def clock_text(second: int) -> str:
    """Seconds since midnight as HH:MM:SS."""
    return f"{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}"


def clock_repair(text: str) -> str | None:
    """What the sender may have meant by `730`, `7.3` (Excel drops the zero of 7.30) or `07,30`, or None.
    Never applied."""
    found = re.fullmatch(r"(\d{1,2})[^\d]?(\d{2})|(\d{1,2})\.(\d)", text, re.ASCII)
    if not found:
        return None
    second = _seconds(int(found[1] or found[3]), int(found[2] or f"{found[4]}0"), 0)
    return clock_text(second)[:5] if second != NO_CLOCK else None


# --- numbers -------------------------------------------------------------------------------------------

NUMBER_OK, NUMBER_BAD, NUMBER_OPEN, NUMBER_GROUPED = 0, 1, 2, 3


@dataclass(frozen=True)
class NumberStyle:
    """What a file's numbers prove about its signs: a comma, or a point, that can only be a decimal one; and
    whether commas, or points, stand in it at all."""

    comma: bool
    point: bool
    commas: bool = False
    points: bool = False

    def said(self, thousands: bool | None, in_excel: bool) -> str | None:
        """How the file's numbers were read, for their sender; None where that is open.

        Args:
            thousands: what was found of signs that prove nothing (`1.234`): thousands, decimals, or neither.
            in_excel: whether some cells held numbers.
        """
        if self.comma and self.point:
            return "vírgula e ponto decimais"
        if self.comma:
            return "vírgula decimal, ponto de milhar" if self.points else "vírgula decimal"
        if self.point:
            return "ponto decimal, vírgula de milhar" if self.commas else "ponto decimal"
        if self.commas and (self.points or thousands is None):
            return None
        if self.commas or self.points:
            sign = "vírgula" if self.commas else "ponto"
            return f"{sign} decimal" if thousands is False else f"{sign} de milhar"
        return "números do Excel" if in_excel else "inteiros, sem separador"


def number_style(columns: list[pd.Series]) -> NumberStyle:
    """Look for proof in all columns of kilometres together: one sender writes all of them alike."""

    def proven(sign: str, other: str) -> tuple[bool, bool]:
        # Decimal beyond doubt: not three digits behind a single sign, or behind the other sign.
        proof = rf"(?:-?(?:[0-9]+|[0-9]{{1,3}}(?:\{other}[0-9]{{3}})+)\{sign}(?:[0-9]{{1,2}}|[0-9]{{4,}})"
        proof += rf"|-?(?:[0-9]{{4,}}|0|[0-9]{{1,3}}(?:\{other}[0-9]{{3}})+)\{sign}[0-9]{{3}})"
        marked = [texts[texts.str.contains(sign, regex=False)] for texts in columns]
        return any(texts.str.fullmatch(proof).any() for texts in marked), any(map(len, marked))

    (comma, commas), (point, points) = proven(",", "."), proven(".", ",")
    return NumberStyle(comma, point, commas, points)


def parse_numbers(
    cells: pd.Series, style: NumberStyle, held: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Read numbers with decimal comma or point and thousands separators.

    Args:
        cells: the column's texts.
        style: see `number_style`. In doubt `1.234` is one thousand two hundred and thirty-four, as Brazil
            writes it; `1,234`, and either where the same file proves both signs, is left open.
        held: rows that Excel itself held as numbers; their point is decimal.

    Returns:
        The values (NaN where empty or bad; where open, that with the sign as a decimal one) and, for each
        row, `NUMBER_OK` (also where empty), `NUMBER_BAD`, `NUMBER_OPEN` (two readings) or `NUMBER_GROUPED`
        (read as thousands without proof).
    """
    values, state = np.full(len(cells), np.nan), np.zeros(len(cells), np.uint8)
    sure = cells.str.fullmatch(_ONE_READING).to_numpy(bool)
    sure = sure if held is None else sure | held
    values[sure] = pc.cast(pc.replace_substring(pa.array(cells[sure]), ",", "."), pa.float64())
    rest = coded(cells[~sure])
    read = [_number(text, style) for text in rest.texts]
    values[~sure] = rest.rows(np.array([value for value, _ in read], float), np.nan)
    state[~sure] = rest.rows(np.array([found for _, found in read], np.uint8), NUMBER_OK)
    return values, state


# Whole, or with a sign that can group no thousands. `_number` reads these alike, and all others by itself.
_ONE_READING = (
    r"(?:-?[0-9]{1,15}(?:[.,](?:[0-9]{1,2}|[0-9]{4,15}))?|-?(?:[0-9]{4,15}|0[0-9]{0,2})[.,][0-9]{3})"
)
_INTEGER = re.compile(r"[-+]?\d{1,15}", re.ASCII)
_SIGNED = re.compile(r"([-+]?\d{1,15})([.,])(\d+)", re.ASCII)
_GROUPS = re.compile(r"[-+]?[1-9]\d{0,2}(?:([., ])\d{3})(?:\1\d{3})*(?:[.,]\d+)?", re.ASCII)


def _number(text: str, style: NumberStyle) -> tuple[float, int]:
    bare = re.sub(r"\s*(?i:km)$", "", text.replace("\xa0", " ")).strip()
    if _INTEGER.fullmatch(bare):
        return float(bare), NUMBER_OK
    if found := _SIGNED.fullmatch(bare):
        whole, sign, decimals = found.groups()
        proven, other = (style.comma, style.point) if sign == "," else (style.point, style.comma)
        could_group = len(decimals) == 3 and len(whole.lstrip("+-")) <= 3 and whole.lstrip("+-")[0] != "0"
        if not could_group or (proven and not other):
            return float(f"{whole}.{decimals}"), NUMBER_OK
        if other and not proven:
            return float(whole + decimals), NUMBER_OK
        if proven or sign == ",":
            return float(f"{whole}.{decimals}"), NUMBER_OPEN
        return float(whole + decimals), NUMBER_GROUPED
    if found := _GROUPS.fullmatch(bare):
        group = found[1]
        decimal = "," if group in ". " else "."
        whole, _, decimals = bare.partition(decimal)
        if group not in decimals:
            return float(whole.replace(group, "") + (f".{decimals}" if decimals else "")), NUMBER_OK
    return np.nan, NUMBER_BAD


# --- plates --------------------------------------------------------------------------------------------

_TO_DIGIT = str.maketrans("OQIL", "0011")
_TO_LETTER = str.maketrans("01", "OI")
_MONTH_YEAR = re.compile(r"([a-z]{3})[/\-. ](?:de )?(\d{2}|\d{4})", re.ASCII)


_PLATE_AMONG_WORDS = re.compile(r"(?<![A-Z0-9])[A-Z]{3}[- ]?[0-9][A-Z0-9][0-9]{2}(?![A-Z0-9])", re.ASCII)


def parse_plates(texts: list[str]) -> list[str | None]:
    """The Mercosul form of each plate, None where it is no plate; of a cell with other words (the fleet
    number, `3272 - ABC1D23`) that of the one plate in it."""

    def alone(text: str) -> str:
        among = set(_PLATE_AMONG_WORDS.findall(text.upper()))
        return among.pop() if len(among) == 1 else text

    found = canonical_plates(pd.Series([alone(text) for text in texts], dtype="str"))
    return found.astype(object).where(found.notna(), None).tolist()


def is_made_up(plate: str) -> bool:
    """Whether a canonical plate only fills the cell: AAA-0000, ZZZ-0000 and the like."""
    return plate[3:] == "0A00" and len(set(plate[:3])) == 1


def plate_from_date(text: str) -> str | None:
    """The plate that Excel turned into this date (`7499-02-01` → `FEV7499`), or "" where only the fact is
    known (`fev/99`); None where the text is no date."""
    if found := re.fullmatch(r"(\d{4})-(\d{2})-01(?: 00:00:00)?", text):
        return f"{_MONTHS[int(found[2]) - 1].upper()}{found[1]}" if 1 <= int(found[2]) <= 12 else ""
    if found := re.fullmatch(r"01/(\d{2})/(\d{4})", text):
        return f"{_MONTHS[int(found[1]) - 1].upper()}{found[2]}" if 1 <= int(found[1]) <= 12 else ""
    if (found := _MONTH_YEAR.fullmatch(text.lower())) and found[1] in _MONTHS:
        return f"{found[1].upper()}{found[2]}" if len(found[2]) == 4 else ""
    dated = re.fullmatch(r"\d{4}-\d{2}-\d{2}(?: \d{2}:\d{2}:\d{2})?|\d{1,2}/\d{1,2}/\d{4}", text)
    return "" if dated else None


def plate_repair(text: str) -> str | None:
    """What the sender may have meant (O for 0, I for 1, a stray I at the end), or None. Never applied."""
    bare = re.sub(r"[^A-Z0-9]", "", text.upper())
    if len(bare) == 8 and bare[-1] in "I1L":
        bare = bare[:7]
    if len(bare) != 7:
        return None
    tail = bare[5:].translate(_TO_DIGIT)
    head = bare[:3].translate(_TO_LETTER) + bare[3].translate(_TO_DIGIT)
    for middle in (bare[4], bare[4].translate(_TO_DIGIT)):
        if parse_plates([head + middle + tail])[0]:
            return head + middle + tail
    return None
