"""What a profile makes of a page, value by value: for the person who writes the profile."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from telemetria_pipeline.carriers.lookups import Tables
from telemetria_pipeline.carriers.mapping import PageLike, map_pages, seen_fields, shown
from telemetria_pipeline.carriers.paths import search
from telemetria_pipeline.carriers.profile import COLUMNS, Profile
from telemetria_pipeline.carriers.units import reads_either_way
from telemetria_pipeline.contracts.base import NUMBER

_LATITUDE, _LONGITUDE = {"lat", "latitude"}, {"lon", "lng", "long", "longitude"}


@dataclass(frozen=True)
class _Few:
    """The first records of a page, as a page."""

    number: int
    records: Sequence[Any]
    stamp: Mapping[str, str]


def inspect(
    profile: Profile, page: PageLike, most: int, tables: Tables | None = None
) -> list[dict[str, Any]]:
    """One entry a column of each of the first `most` records; `tables` are what look-ups said.

    Keys: `record` (from 1), `column`, `path` (JMESPath), `received`, `mapped` (None = missing), `note`.
    Drivers' names are among them, so that a person sees whether they are right: not for a log.
    """
    few = _Few(page.number, page.records[:most], page.stamp)
    frame = map_pages(profile, [few], tables)
    entries = []
    for i, record in enumerate(few.records):
        row = frame.iloc[i]
        for name, column in COLUMNS.items():
            field = profile.fields.get(name)
            parts = [search(path, record) for path in field.paths] if field else []
            received = parts[0] if len(parts) == 1 else [p for p in parts if p is not None] or None
            mapped = None if pd.isna(row[name]) else row[name]
            if isinstance(mapped, pd.Timestamp):
                mapped = mapped.isoformat().replace("+00:00", "Z")
            elif column.type == NUMBER and mapped is not None:
                mapped = float(mapped)
            note = _note(profile, name, page, received, mapped)
            if name == "placa_recebida" and mapped is None and name in (profile.description_pattern or ""):
                note = f"no plate for sure in {shown(row['descricao'])!r}"
            elif note == "cannot be read" and field and not field.decimal and reads_either_way(received):
                note = f"one number or another: set fields.{name}.decimal to '.' or ','"
            entries.append(
                {
                    "record": i + 1,
                    "column": name,
                    "path": ", ".join(field.paths) if field else "",
                    "received": shown(received) if isinstance(received, str | dict | list) else received,
                    "mapped": mapped,
                    "note": note,
                }
            )
        entries.append(
            {
                "record": i + 1,
                "column": "em_andamento",
                "path": profile.running or "",
                "received": search(profile.running, record) if profile.running else None,
                "mapped": bool(row["em_andamento"]),
                "note": "" if profile.running else "running where the arrival is missing",
            }
        )
    return entries


def names_a_place(paths: Iterable[str]) -> bool:
    """Whether a latitude and a longitude are among the paths of a record."""
    seen = {path.rpartition(".")[2].lower() for path in paths}
    return bool(seen & _LATITUDE and seen & _LONGITUDE)


def positions_only(profile: Profile, page: PageLike) -> str | None:
    """What to say where the records are positions (a place, one instant) and no trips; None where not."""
    if not names_a_place(seen_fields(page.records)):
        return None
    frame = map_pages(profile, [page])
    if bool((frame["chegada_utc"] > frame["saida_utc"]).any()):
        return None
    return (
        "these look like positions, not trips: each has a place, and none an arrival after its departure. "
        "Look for the API's list of trips; a carrier that lists positions only cannot be read yet"
    )


def _note(profile: Profile, name: str, page: PageLike, received: object, mapped: object) -> str:
    """Why the mapped value is what it is, where that is not plain."""
    sentinels = profile.sentinels.get(name, [])
    is_sentinel = isinstance(received, str | int | float) and received in sentinels
    if mapped is None:
        joined = any(name in lookup.stamp for lookup in profile.joins.values())
        if name not in profile.fields and name not in page.stamp and not joined:
            return "not in the profile"
        if is_sentinel:
            return "means none (sentinels)"
        return "missing in the record" if received in (None, "", [], {}) else "cannot be read"
    if received is None or is_sentinel:
        given = [lookup for lookup, of in profile.joins.items() if name in of.stamp]
        if name in page.stamp:
            given = ["the vehicles' list"]
        if name == "fuso":
            given += ["the profile's zone"]
        return f"from {', else '.join(given) or 'the description'}"
    return ""
