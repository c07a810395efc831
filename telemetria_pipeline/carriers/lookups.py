"""What lists of vehicles or drivers say of a trip that names them by an id only."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from telemetria_pipeline.carriers.paths import search
from telemetria_pipeline.carriers.profile import Lookup, Profile, Stamp, Vehicles

#: Look-up -> id -> column -> text; None where two entries of one id contradict each other.
Tables = dict[str, dict[str, dict[str, str | None]]]


def add_entries(profile: Profile, tables: Tables, name: str, entries: Iterable[Any]) -> None:
    """Add the entries of a look-up's page; those without an id join nothing."""
    lookup = profile.joins[name]
    table = tables.setdefault(name, {})
    for entry in entries:
        key = id_of(lookup, entry)
        if key is None:
            continue
        found: dict[str, str | None] = dict(stamped(lookup.stamp, entry))
        before = table.get(str(key), found)
        columns = {**before, **found}
        table[str(key)] = {c: v if before.get(c, v) == found.get(c, v) else None for c, v in columns.items()}


def fill_from_tables(profile: Profile, tables: Tables, texts: dict[str, list[str | None]]) -> None:
    """Fill in what the records do not give, look-up by look-up in the profile's order."""
    nothing: Mapping[str, str | None] = {}
    for name, lookup in profile.joins.items():
        table = tables.get(name, {})
        rows = [nothing if key is None else table.get(key, nothing) for key in texts[lookup.by]]
        for column in lookup.stamp:
            texts[column] = [
                row.get(column) if text is None else text
                for text, row in zip(texts[column], rows, strict=True)
            ]


def id_of(listing: Lookup | Vehicles, entry: Any) -> str | int | None:
    """The id of a vehicle or of another entry of a list; None where it holds none."""
    key = search(listing.id, entry)
    return key if isinstance(key, str | int) and not isinstance(key, bool) and key != "" else None


def stamped(stamp: Stamp, entry: Any) -> dict[str, str]:
    """The columns that an entry gives; of several paths the texts found, joined by spaces."""
    found = {column: _text(paths, entry) for column, paths in stamp.items()}
    return {column: text for column, text in found.items() if text}


def _text(paths: str | Sequence[str], entry: Any) -> str:
    values = [search(path, entry) for path in ([paths] if isinstance(paths, str) else paths)]
    return " ".join(
        str(v) for v in values if isinstance(v, str | int) and not isinstance(v, bool) and v != ""
    )
