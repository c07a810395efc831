"""A carrier's records under our names and units: one row a record received, always.

Names, units, times, sentinels and the description's pattern are read here; what the values are worth
(plates, windows, duplicates, odometers) is core's business.
"""

import functools
import operator
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa

from telemetria_pipeline.carriers.instants import read_instants
from telemetria_pipeline.carriers.lookups import Tables, fill_from_tables
from telemetria_pipeline.carriers.paths import Names, NamesEqual, compile_path, truth
from telemetria_pipeline.carriers.plates import plate_in
from telemetria_pipeline.carriers.profile import COLUMNS, Profile
from telemetria_pipeline.carriers.units import read_numbers
from telemetria_pipeline.contracts.base import INSTANT, NUMBER
from telemetria_pipeline.contracts.telemetry import MAPPED_TRIPS

_SHOWN = 60
_PLATE = "placa_recebida"
_TEXT_DTYPE = pd.StringDtype(na_value=np.nan)


class PageLike(Protocol):
    """What the mapping needs of a page: a captured one, or one read again from raw."""

    @property
    def number(self) -> int:
        """Number of the page in its capture, from 1."""

    @property
    def records(self) -> Sequence[Any]:
        """The records, located and unwrapped."""

    @property
    def stamp(self) -> Mapping[str, str]:
        """Columns that the page's vehicle gives to all its records."""


def map_pages(profile: Profile, pages: Sequence[PageLike], tables: Tables | None = None) -> pd.DataFrame:
    """The records of all pages under `MAPPED_TRIPS`: its columns, order and dtypes.

    `tables` are what the profile's look-ups said.
    A value that cannot be read is missing and named in `ilegivel`. Never raises on what a record holds.
    """
    received = [record for page in pages for record in page.records]
    batch = _Batch(profile, [r if type(r) is dict else {} for r in received])
    unreadable: dict[int, list[str]] = {
        i: [f"registro={shown(r)}"] for i, r in enumerate(received) if type(r) is not dict
    }

    def note(column: str, rows: Iterable[int], raw: Sequence[object] | Mapping[int, object]) -> None:
        for i in rows:
            value = "***" if COLUMNS[column].personal else shown(raw[i])
            unreadable.setdefault(i, []).append(f"{column}={value}")

    texts: dict[str, list[str | None]] = {}
    for name in (c.name for c in COLUMNS.values() if c.pandas_dtype == "str"):
        raw = batch.column(name)
        texts[name], bad = _texts(raw)
        note(name, bad, raw)
    _fill_stamps(texts, pages)
    fill_from_tables(profile, tables or {}, texts)
    stood = _fill_from_description(profile, texts)
    note(_PLATE, stood, stood)
    zones, bad = _zones(texts["fuso"], profile.times.zone)
    note("fuso", bad, texts["fuso"])
    texts["fuso"] = [None if zone is None else zone.key for zone in zones]

    arrays: dict[str, Any] = {name: _text_array(values) for name, values in texts.items()}
    for column in COLUMNS.values():
        name, field = column.name, profile.fields.get(column.name)
        raw = batch.column(name) if column.type in (NUMBER, INSTANT) else []
        if column.type == NUMBER:
            said = (field.unit, field.decimal, field.factor) if field else ()
            arrays[name], bad = read_numbers(raw, name, *said)
            note(name, bad, raw)
        elif column.type == INSTANT:
            arrays[name], bad = read_instants(raw, profile.times.format, zones)
            note(name, bad, raw)

    running = batch.running(received)
    arrays["chegada_utc"][running] = np.datetime64("NaT", "us")
    for column in COLUMNS.values():
        if column.type == INSTANT:
            arrays[column.name] = pd.DatetimeIndex(arrays[column.name]).tz_localize("UTC")
    arrays["em_andamento"] = running
    arrays["transportadora"] = _text_array([profile.carrier] * len(received))
    arrays["ilegivel"] = _text_array(
        ["; ".join(unreadable[i]) if i in unreadable else None for i in range(len(received))]
    )
    sizes = [len(page.records) for page in pages]
    arrays["pagina"] = np.repeat(np.array([page.number for page in pages], dtype="int64"), sizes)
    arrays["registro"] = np.concatenate([np.arange(1, n + 1, dtype="int64") for n in sizes or [0]])
    return pd.DataFrame({name: arrays[name] for name in MAPPED_TRIPS.names}, copy=False)


class _Batch:
    """Records read a column at a time; each nested object is fetched once for all its columns."""

    def __init__(self, profile: Profile, records: list[dict[str, Any]]) -> None:
        self._profile = profile
        self._records = records
        self._cache: dict[tuple[str, ...], list[Any]] = {}

    def values(self, path: str) -> list[Any]:
        reader = compile_path(path)
        if isinstance(reader, Names):
            return self._plain(reader.names)
        if isinstance(reader, NamesEqual):
            return [type(v) is str and v == reader.text for v in self._plain(reader.names)]
        return [reader(record) for record in self._records]

    def column(self, name: str) -> list[Any]:
        """The raw values of a column, sentinels already None; all None when the profile has no such field."""
        field = self._profile.fields.get(name)
        if field is None:
            return [None] * len(self._records)
        parts = [self.values(path) for path in field.paths]
        values = parts[0] if len(parts) == 1 else [_joined(row) for row in zip(*parts, strict=True)]
        sentinels = self._profile.sentinels.get(name)
        if sentinels:
            known = set(sentinels)
            values = [None if type(v) in (str, int, float) and v in known else v for v in values]
        return values

    def running(self, received: Sequence[object]) -> np.ndarray:
        """Which trips still run: by the profile's predicate, else those without an arrival."""
        if self._profile.running is not None:
            return np.array([bool(truth(v)) for v in self.values(self._profile.running)], dtype="bool")
        arrivals = self.column("chegada_utc")
        rows = zip(arrivals, received, strict=True)
        return np.array([a is None and type(r) is dict for a, r in rows], dtype="bool")

    def _plain(self, path: tuple[str, ...]) -> list[Any]:
        if path not in self._cache:
            holders = self._plain(path[:-1]) if path[1:] else self._records
            self._cache[path] = _got(holders, path[-1])
        return self._cache[path]


def _got(holders: Sequence[Any], name: str) -> list[Any]:
    """One key of every holder; None where there is no such key, or no object."""
    try:
        return list(map(operator.itemgetter(name), holders))  # half the time, while nothing is missing
    except (KeyError, TypeError):
        return [holder.get(name) if type(holder) is dict else None for holder in holders]


def seen_fields(records: Iterable[object]) -> set[str]:
    """Names that occur at the records' first two levels, as `driver` and `driver.id`."""
    objects = [record for record in records if type(record) is dict]
    tops = set(map(tuple, objects))  # a page has few different rows of names
    nested = {(n, tuple(v)) for record in objects for n, v in record.items() if type(v) is dict}
    return {n for names in tops for n in names} | {f"{n}.{m}" for n, names in nested for m in names}


def _joined(parts: Sequence[object]) -> object:
    present = [part for part in parts if part is not None]
    if any(isinstance(part, dict | list) for part in present):
        return present
    return " ".join(str(part) for part in present) if present else None


def _texts(values: Sequence[Any]) -> tuple[list[str | None], list[int]]:
    types = set(map(type, values))
    if types == {str} and all(map(str.strip, values)):
        return list(values), []
    if types <= {str, type(None)}:
        return [v if v and not v.isspace() else None for v in values], []
    texts = [_text(v) for v in values]
    return texts, [
        i
        for i, (text, v) in enumerate(zip(texts, values, strict=True))
        if text is None and v is not None and not isinstance(v, str)
    ]


def _text(value: object) -> str | None:
    if isinstance(value, str):
        return value if value.strip() else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, float):
        if not np.isfinite(value):
            return None
        if abs(value) >= 2**53:
            return None  # its last digits are lost (an integer beyond 64 bits arrives so): two ids could meet
        if value.is_integer():
            return str(int(value))  # an id that some JSON writer turned into 12.0
    return str(value)


def _text_array(values: Sequence[str | None]) -> pd.api.extensions.ExtensionArray:
    try:
        array = pa.array(values, pa.large_string())
    except UnicodeEncodeError:  # half of a surrogate pair, which no UTF-8 can hold
        array = pa.array(
            [v if v is None else v.encode("utf-8", "replace").decode() for v in values], pa.large_string()
        )
    return pd.array(array, dtype=_TEXT_DTYPE)


def _fill_stamps(texts: dict[str, list[str | None]], pages: Sequence[PageLike]) -> None:
    for name in sorted({column for page in pages for column in page.stamp}):
        stamps = [page.stamp.get(name) for page in pages for _ in page.records]
        texts[name] = [s if t is None else t for t, s in zip(texts[name], stamps, strict=True)]


def _fill_from_description(profile: Profile, texts: dict[str, list[str | None]]) -> dict[int, str]:
    """What stood, by row, where the pattern found something that is no plate for sure."""
    if profile.description_pattern is None:
        return {}
    pattern = re.compile(profile.description_pattern)
    descriptions = texts["descricao"]
    found = {d: m for d in set(descriptions) if d is not None and (m := list(pattern.finditer(d)))}
    stood: dict[int, str] = {}
    for name in pattern.groupindex:
        given = {d: (first[name] or "").strip() or None for d, (first, *_) in found.items()}
        if name == _PLATE:
            seen = {d: " or ".join(m[name].strip() for m in ms if m[name]) for d, ms in found.items()}
            given = {d: plate_in(d, [m.span(name) for m in ms]) for d, ms in found.items()}
            rows = zip(texts[name], descriptions, strict=True)
            stood = {
                i: seen[d]
                for i, (t, d) in enumerate(rows)
                if t is None and d is not None and given.get(d) is None and seen.get(d)
            }
        texts[name] = [
            t if t is not None or d is None else given.get(d)
            for t, d in zip(texts[name], descriptions, strict=True)
        ]
    return stood


def _zones(names: Sequence[str | None], default: str) -> tuple[list[ZoneInfo | None], list[int]]:
    known = {name: _zone(default if name is None else name) for name in set(names)}
    zones = [known[name] for name in names]
    return zones, [i for i, zone in enumerate(zones) if zone is None] if None in known.values() else []


@functools.lru_cache(maxsize=4096)
def _zone(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # unknown, malformed, or the name of a folder of zones
        return None


def shown(value: object) -> str:
    """A value for people: what an object or array holds is not repeated, it may be personal."""
    if isinstance(value, dict | list):
        return "(object)" if isinstance(value, dict) else "(array)"
    if isinstance(value, bool):
        return "true" if value else "false"
    return " ".join(str(value).replace(";", ",").split())[:_SHOWN]
