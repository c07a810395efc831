"""What a later capture of the same partition changed."""

import pandas as pd

from telemetria_pipeline.contracts.telemetry import CHANGES, TRIPS

# Where a row came from is no property of the trip.
_LINEAGE = {"captura", "pagina", "registro", "atualizado_utc"}
_KINDS = {"new": "nova", "gone": "sumida", "altered": "alterada"}
NO_CHANGES = dict.fromkeys(_KINDS, 0)
_VALUES = [name for name in TRIPS.names if name not in _LINEAGE and name not in TRIPS.key]
COMPARED = [*TRIPS.key, *_VALUES]
"""What two captures of a trip are compared by."""


def compare_trips(before: pd.DataFrame, after: pd.DataFrame, *, earlier: str, capture: str) -> pd.DataFrame:
    """New, gone and altered trips between two captures of an hour.

    Args:
        before: trips of the earlier capture, contract `TRIPS`; `after`: of the later one.
        earlier: id of the earlier capture; `capture`: of the later one.

    Returns:
        Contract `CHANGES`: one row a new or gone trip, one row a changed value of an altered trip.
    """
    key = list(TRIPS.key)
    if before[COMPARED].equals(after[COMPARED]):
        return CHANGES.empty()  # as nearly always, and many times faster than to ask what differs
    old, new = before.set_index(key).sort_index(), after.set_index(key).sort_index()
    both = old.index.intersection(new.index)
    parts = [
        old.index.difference(both).to_frame(index=False).assign(mudanca="sumida"),
        new.index.difference(both).to_frame(index=False).assign(mudanca="nova"),
    ]
    old, new = old.loc[both], new.loc[both]
    for column in _VALUES:
        was, now = old[column], new[column]
        differs = ((was != now) & ~(was.isna() & now.isna())).to_numpy(dtype=bool)
        if differs.any():
            parts.append(
                both[differs]
                .to_frame(index=False)
                .assign(
                    mudanca="alterada",
                    coluna=column,
                    antes=was[differs].astype("str").to_numpy(),
                    depois=now[differs].astype("str").to_numpy(),
                )
            )
    found = pd.concat([p for p in parts if len(p)] or [CHANGES.empty()], ignore_index=True)
    found = found.assign(captura_anterior=earlier, captura=capture).reindex(columns=CHANGES.names)
    return found.astype({c.name: c.pandas_dtype for c in CHANGES.columns})


def count_changes(changes: pd.DataFrame) -> dict[str, int]:
    """How many trips are new, gone and altered in rows of contract `CHANGES`."""
    trips = changes.drop_duplicates(["mudanca", *TRIPS.key])["mudanca"].value_counts()
    return {name: int(trips.get(kind, 0)) for name, kind in _KINDS.items()}
