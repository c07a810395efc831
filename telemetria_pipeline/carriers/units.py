"""Numbers, distances, speeds and durations as carriers write them, in our units: km, km/h, s."""

import contextlib
import math
import re
from collections.abc import Sequence
from typing import TypeVar

import numpy as np

_N = TypeVar("_N", float, np.ndarray)

# unit -> (multiply by, divide by): metres / 1000 is exact where metres * 0.001 is not.
_Factor = tuple[float, float]
_MILE_KM = 1.609344
_KM: dict[str, _Factor] = {"km": (1, 1), "m": (1, 1000), "mi": (_MILE_KM, 1)}
_KMH: dict[str, _Factor] = {"km/h": (1, 1), "mph": (_MILE_KM, 1), "knots": (1.852, 1), "m/s": (3.6, 1)}
_S: dict[str, _Factor] = {"s": (1, 1), "ms": (1, 1000), "min": (60, 1), "h": (3600, 1)}
_FACTORS = {"km": _KM, "kmh": _KMH, "s": _S}
_SPELLINGS = {"mile": "mi", "miles": "mi", "kmh": "km/h", "kph": "km/h", "kn": "knots", "sec": "s"}
_TEXTS = ("text", "clock", "iso")  # units of values that are never bare numbers
#: The unit that a column of each dimension has.
OWN_UNIT = {"km": "km", "kmh": "km/h", "s": "s"}

#: What a profile may say as a field's `unit`, by the dimension of its column.
UNITS: dict[str, dict[str, str]] = {
    "km": {"km": "", "m": "", "mi": "", "text": "a number with its unit, as `42.2 mi`"},
    "kmh": {"km/h": "", "mph": "", "knots": "", "m/s": "", "text": "a number with its unit, as `80 km/h`"},
    "s": {
        "s": "",
        "ms": "",
        "min": "",
        "h": "",
        "clock": "`HH:MM:SS`, hours above 24 too, or a .NET TimeSpan `[d.]hh:mm:ss[.fff]`",
        "iso": "an ISO 8601 duration, as `PT47M20S`",
        "text": "a number with its unit, as `90 min`",
    },
}

# A group of thousands never begins with a zero: `0,850` is no 850.
_NUMBERS = {
    ".": re.compile(r"([+-]?(?:[1-9][0-9]{0,2}(?:,[0-9]{3})+|[0-9]+))(\.[0-9]+)?(?:[eE]([+-]?[0-9]{1,3}))?"),
    ",": re.compile(r"([+-]?(?:[1-9][0-9]{0,2}(?:\.[0-9]{3})+|[0-9]+))(,[0-9]+)?(?:[eE]([+-]?[0-9]{1,3}))?"),
}
# One comma and three digits: 1.234 to some, 1234 to others.
_EITHER_WAY = re.compile(r"[+-]?[0-9]{1,3},[0-9]{3}(?![0-9,.])")
_CLOCK = re.compile(r"(?:([0-9]+)\.)?([0-9]+):([0-5]?[0-9])(?::([0-5]?[0-9](?:\.[0-9]+)?))?")
_ISO = re.compile(r"P(?=.)(?:([0-9]+)D)?(?:T(?=.)(?:([0-9]+)H)?(?:([0-9]+)M)?(?:([0-9]+(?:[.,][0-9]+)?)S)?)?")


def dimension(column: str) -> str:
    """`km`, `kmh` or `s`, from the column's name; empty for a column without unit."""
    return next((d for d in ("kmh", "km", "s") if column.endswith("_" + d)), "")


def read_numbers(
    values: Sequence[object],
    column: str,
    unit: str | None = None,
    decimal: str | None = None,
    factor: float = 1,
) -> tuple[np.ndarray, list[int]]:
    """Values of one column (None = missing) in its own unit, as float64, and the positions not readable.

    `decimal` is the mark in numbers that come as text; None is a point that nobody vouched for: `1,234` is
    then not readable. Each value is multiplied by `factor`.
    """
    kind = dimension(column)
    unit = unit or OWN_UNIT.get(kind, "")
    numbers = _plain_numbers(values) if unit not in _TEXTS else None
    if numbers is None:
        numbers = np.array([_number(v, kind, unit, decimal) * factor for v in values], dtype="float64")
    else:
        with np.errstate(over="ignore"):  # what overflows counts as not readable below
            numbers = _scaled(numbers * factor, kind, unit)
    numbers[np.isinf(numbers)] = np.nan
    missing = np.flatnonzero(np.isnan(numbers)).tolist()
    return numbers, [i for i in missing if values[i] is not None]


def _plain_numbers(values: Sequence[object]) -> np.ndarray | None:
    """All values at once, when each is a number or missing."""
    if set(map(type, values)) <= {int, float, type(None)}:
        with contextlib.suppress(OverflowError):  # an integer beyond any float
            return np.array(values, dtype="float64")
    return None


def reads_either_way(value: object) -> bool:
    """Whether a text is one number with a decimal comma, and another without."""
    return isinstance(value, str) and _EITHER_WAY.match(value.strip()) is not None


def _number(value: object, kind: str, unit: str, decimal: str | None) -> float:
    if isinstance(value, str):
        text = value.strip()
        seconds = _clock(text) if unit == "clock" else _iso_duration(text) if unit == "iso" else None
        return _quantity(text, kind, unit, decimal) if seconds is None else seconds
    if isinstance(value, bool) or not isinstance(value, int | float) or unit in _TEXTS:
        return math.nan
    try:
        return _scaled(float(value), kind, unit)
    except OverflowError:  # an integer beyond any float
        return math.nan


def _scaled(number: _N, kind: str, unit: str) -> _N:
    multiply, divide = _FACTORS.get(kind, {}).get(unit, (1, 1))
    return number * multiply / divide


def _quantity(text: str, kind: str, unit: str, decimal: str | None) -> float:
    """`42.2 mi`, `1.234,5`: a unit in the text goes before the profile's."""
    if decimal is None and reads_either_way(text):
        return math.nan
    match = _NUMBERS[decimal or "."].match(text)
    if match is None:
        return math.nan
    suffix = text[match.end() :].strip().lower()
    suffix = _SPELLINGS.get(suffix, suffix)
    if suffix and suffix not in _FACTORS.get(kind, {}):
        return math.nan
    if not suffix and unit in _TEXTS:
        return math.nan
    whole, fraction, exponent = match.groups()
    digits = whole.replace("." if decimal == "," else ",", "") + (fraction or "").replace(",", ".")
    return _scaled(float(digits + (f"e{exponent}" if exponent else "")), kind, suffix or unit)


def _clock(text: str) -> float | None:
    match = _CLOCK.fullmatch(text)
    if match is None:
        return None
    days, hours, minutes, seconds = (float(part or 0) for part in match.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def _iso_duration(text: str) -> float | None:
    match = _ISO.fullmatch(text)
    if match is None:
        return None
    days, hours, minutes, seconds = (float((part or "0").replace(",", ".")) for part in match.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds
