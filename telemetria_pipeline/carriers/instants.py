"""Instants as carriers write them, and as they want a window written."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa

from telemetria_pipeline.carriers.units import read_numbers

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_US = timedelta(microseconds=1)
# Outside of these a clock was never set (0, year 0001) or a value overflowed (9223372036854775807).
_FIRST_US = (datetime(1970, 1, 2, tzinfo=UTC) - _EPOCH) // _US
_LAST_US = (datetime(2200, 1, 1, tzinfo=UTC) - _EPOCH) // _US
_NONE = np.iinfo("int64").min  # numpy's NaT


def read_instants(
    values: Sequence[object], format: str, zones: Sequence[ZoneInfo | None]
) -> tuple[np.ndarray, list[int]]:
    """Values of one column (None = missing) as UTC `datetime64[us]`, and the positions not readable.

    `zones` is each row's zone, used by `iso_local` only; a value whose zone is None is not readable.
    """
    if format in ("epoch_s", "epoch_ms"):
        numbers, _ = read_numbers(values, "")
        micros = numbers * (1e6 if format == "epoch_s" else 1e3)
        inside = (micros >= _FIRST_US) & (micros < _LAST_US)  # false for NaN; before the cast overflows
        instants = np.where(inside, np.rint(np.where(inside, micros, 0)), _NONE).astype("int64")
    else:
        instants = _iso(values, format, zones)
        instants[(instants < _FIRST_US) | (instants >= _LAST_US)] = _NONE
    missing = np.flatnonzero(instants == _NONE).tolist()
    return instants.view("datetime64[us]"), [i for i in missing if values[i] is not None]


def _iso(values: Sequence[object], format: str, zones: Sequence[ZoneInfo | None]) -> np.ndarray:
    if format != "iso_local":
        # Arrow reads a clean column some ten times faster, but one bad value fails it as a whole.
        try:
            texts = pa.array(values, pa.string())
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
    if not isinstance(value, str) or len(value) < len("2026-03-10T07:00"):
        return _NONE
    try:
        instant = datetime.fromisoformat(value.strip())
        if instant.tzinfo is None:
            if naive is None:
                return _NONE
            instant = instant.replace(tzinfo=naive)
        return (instant - _EPOCH) // _US
    except (ValueError, OverflowError):
        return _NONE


def write_instant(instant: datetime, format: str, zone: str, *, end: bool = False) -> str:
    """A window's edge as a request writes it; of `format: date`, an `end` names the last day inside."""
    if format in ("epoch_s", "epoch_ms"):
        return str((instant - _EPOCH) // timedelta(seconds=1 if format == "epoch_s" else 0.001))
    if format == "date":
        return (instant - _US if end else instant).astimezone(ZoneInfo(zone)).date().isoformat()
    if format == "iso_utc":
        return instant.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds") + "Z"
    local = instant.astimezone(ZoneInfo(zone))
    return (local if format == "iso_offset" else local.replace(tzinfo=None)).isoformat(timespec="seconds")
