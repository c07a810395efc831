"""Instants as carriers write them, and as they want a window written."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from telemetria_pipeline.carriers.units import read_numbers

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_US = timedelta(microseconds=1)
# Outside of these a clock was never set (0, year 0001) or a value overflowed (9223372036854775807).
_FIRST_US = (datetime(1970, 1, 2, tzinfo=UTC) - _EPOCH) // _US
_LAST_US = (datetime(2200, 1, 1, tzinfo=UTC) - _EPOCH) // _US
_NONE = np.iinfo("int64").min  # numpy's NaT
_SHORTEST = "2026-03-10T07:00"  # a date alone is no instant
_JSON_DATE = re.compile(r"\\?/Date\((-?[0-9]{1,17})(?:[+-][0-9]{4})?\)\\?/")
_CLOCK = ("%H", "%I", "%X", "%c")


def names_a_clock(pattern: str) -> bool:
    """Whether a pattern of `strftime` writes the hour."""
    return any(code in pattern for code in _CLOCK)


def read_instants(
    values: Sequence[object], format: str, zones: Sequence[ZoneInfo | None]
) -> tuple[np.ndarray, list[int]]:
    """Values of one column (None = missing) as UTC `datetime64[us]`, and the positions not readable.

    `format` is one of a profile's, or a pattern of `strftime`. `zones` is each row's zone, used by
    `iso_local` and by patterns without %z; a value whose zone is None is not readable.
    """
    if format == "json_date":
        values, format = [_json_date(value) for value in values], "epoch_ms"
    if format in ("epoch_s", "epoch_ms"):
        numbers, _ = read_numbers(values, "")
        micros = numbers * (1e6 if format == "epoch_s" else 1e3)
        inside = (micros >= _FIRST_US) & (micros < _LAST_US)  # false for NaN; before the cast overflows
        instants = np.where(inside, np.rint(np.where(inside, micros, 0)), _NONE).astype("int64")
    else:
        if "%" in format:
            read = [_by_pattern(v, format, z) for v, z in zip(values, zones, strict=True)]
            instants = np.array(read, dtype="int64")
        else:
            instants = _iso(values, format, zones)
        instants[(instants < _FIRST_US) | (instants >= _LAST_US)] = _NONE
    missing = np.flatnonzero(instants == _NONE).tolist()
    return instants.view("datetime64[us]"), [i for i in missing if values[i] is not None]


def _json_date(value: object) -> object:
    """The milliseconds of `/Date(1773136800000-0300)/`; its offset says where it was written, no more."""
    match = _JSON_DATE.fullmatch(value.strip()) if isinstance(value, str) else None
    return int(match[1]) if match else value if value is None else "unreadable"


def _by_pattern(value: object, pattern: str, zone: tzinfo | None) -> int:
    if not isinstance(value, str):
        return _NONE
    try:
        return _micros(datetime.strptime(value.strip(), pattern), zone)
    except (ValueError, OverflowError):
        return _NONE


def _micros(instant: datetime, naive: tzinfo | None) -> int:
    if instant.tzinfo is None:
        if naive is None:
            return _NONE
        instant = instant.replace(tzinfo=naive)
    return (instant - _EPOCH) // _US


def _iso(values: Sequence[object], format: str, zones: Sequence[ZoneInfo | None]) -> np.ndarray:
    if format != "iso_local":
        # Arrow reads a clean column some ten times faster, but one bad value fails it as a whole.
        try:
            texts = pa.array(values, pa.string())
            if (pc.min(pc.utf8_length(texts)).as_py() or len(_SHORTEST)) < len(_SHORTEST):
                raise pa.ArrowInvalid("a date without a time, which Arrow reads as midnight")
            try:
                stamps = texts.cast(pa.timestamp("us", "UTC"))
            except pa.ArrowInvalid:
                if format != "iso_utc":
                    raise
                stamps = texts.cast(pa.timestamp("us"))
            return np.array(stamps.cast(pa.int64()).fill_null(_NONE))
        except (pa.ArrowInvalid, pa.ArrowTypeError, UnicodeEncodeError):
            pass
    naive: Sequence[tzinfo | None] = zones
    if format != "iso_local":
        naive = [UTC if format == "iso_utc" else None] * len(values)
    return np.array([_iso_micros(v, z) for v, z in zip(values, naive, strict=True)], dtype="int64")


def _iso_micros(value: object, naive: tzinfo | None) -> int:
    text = value.strip() if isinstance(value, str) else ""
    if len(text) < len(_SHORTEST) or text[10] in "+-":  # Python takes any sign between date and time
        return _NONE
    try:
        return _micros(datetime.fromisoformat(text), naive)
    except (ValueError, OverflowError):
        return _NONE


@dataclass(frozen=True)
class Edge:
    """An edge of the window asked, which requests write as the profile says, or by a pattern of their own."""

    instant: datetime
    format: str
    zone: str
    end: bool = False

    @property
    def value(self) -> str | int:
        """As the profile writes windows; an epoch is a number."""
        text = write_instant(self.instant, self.format, self.zone, end=self.end)
        return int(text) if self.format.startswith("epoch") else text

    def by(self, pattern: str) -> str:
        """The instant itself, by a pattern: the day of `{end:%d/%m}` is that of `{end:%H:%M}`."""
        return write_instant(self.instant, pattern, self.zone)


def write_instant(instant: datetime, format: str, zone: str, *, end: bool = False) -> str:
    """A window's edge as a request writes it; where only days are written, an `end` names the last inside."""
    if format in ("epoch_s", "epoch_ms"):
        return str((instant - _EPOCH) // timedelta(seconds=1 if format == "epoch_s" else 0.001))
    pattern = "%Y-%m-%d" if format == "date" else format
    if "%" in pattern:
        last = end and not names_a_clock(pattern)
        return (instant - _US if last else instant).astimezone(ZoneInfo(zone)).strftime(pattern)
    if format == "iso_utc":
        return instant.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds") + "Z"
    local = instant.astimezone(ZoneInfo(zone))
    return (local if format == "iso_offset" else local.replace(tzinfo=None)).isoformat(timespec="seconds")
