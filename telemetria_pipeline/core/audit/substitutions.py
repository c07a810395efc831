"""Whose a declared trip is where one vehicle ran in place of another."""

from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from telemetria_pipeline.core.audit.days import business_days
from telemetria_pipeline.core.audit.rules import AuditRules

_TRIP = ["placa", "saida_utc", "chegada_utc", "km_saida", "km_chegada"]


def recorded(declared: pd.DataFrame, substitutions: pd.DataFrame | None, zone: ZoneInfo) -> pd.Series:
    """The plate that is said to have run in place of the declared one: by the row or another that declares
    the same trip, else by the register on the day of departure; missing where none is.

    Args:
        declared: `placa`, `placa_substituta` (text), `saida_utc`, and what else tells trips of a plate apart.
        substitutions: under contract SUBSTITUTIONS; None where there is no such table.
        zone: the contract's; days are cut in it.
    """
    by_row = _in_rows(declared)
    ran = by_row.where(by_row != declared["placa"])
    if substitutions is None or substitutions.empty:
        return ran
    asked = np.flatnonzero(by_row.isna() & declared["placa"].isin(substitutions["placa"]))
    rows = declared[["placa", "saida_utc"]].take(asked).assign(row=asked)
    rows = rows.assign(day=business_days(rows["saida_utc"], zone)).merge(substitutions, on="placa")
    rows = rows[(rows["inicio"] <= rows["day"]) & ~(rows["fim"] < rows["day"])]
    found = ran.array.copy()
    found[rows["row"].to_numpy()] = rows["substituta"].array
    return pd.Series(found, index=declared.index)


def _in_rows(declared: pd.DataFrame) -> pd.Series:
    """The substitute that the row of each trip names, or another row that declares the same."""
    by_row = declared["placa_substituta"]
    if by_row.isna().all():
        return by_row
    named = declared[[*_TRIP, "placa_substituta"]].dropna(subset="placa_substituta")
    named = named.sort_values("placa_substituta").drop_duplicates(_TRIP)
    return declared[_TRIP].merge(named, how="left", on=_TRIP)["placa_substituta"].set_axis(by_row.index)


def who_ran(
    declared: pd.DataFrame, instead: pd.Series, segments: pd.DataFrame, heard: pd.Series, rules: AuditRules
) -> pd.Series:
    """The plate that each declared trip is taken to be of: the substitute. Where only the register names it,
    the declared vehicle keeps a trip of which its own segments fill more than the substitute's.

    Args:
        declared: as `recorded` takes it, and `chegada_utc`.
        instead: `recorded` of it.
        segments: `fonte`, `saida_utc`, `chegada_utc`, whatever overlaps the trips among them.
        heard: the vehicle of each segment.
        rules: how long a trip is at most.
    """
    ran = instead.fillna(declared["placa"])
    at = np.flatnonzero(instead.notna() & _in_rows(declared).isna())
    if not len(at):
        return ran
    trips, other = declared.take(at), instead.take(at)
    windows = trips[["saida_utc", "chegada_utc"]].assign(row=np.arange(len(at)))
    seen = segments[["saida_utc", "chegada_utc", "fonte"]].assign(vehicle=heard)

    def filled(plates: pd.Series) -> np.ndarray:
        """Seconds of each window that the segments of these vehicles fill, by the source that heard most."""
        pairs = windows.assign(vehicle=plates).merge(seen, on="vehicle", suffixes=("", "_seen"))
        seconds = seconds_in_common(pairs, rules)
        most = seconds.groupby([pairs["row"], pairs["fonte"]]).sum().groupby(level=0).max()
        return most.reindex(windows["row"], fill_value=0).to_numpy()

    itself = filled(trips["placa"]) > filled(other)
    found = ran.array.copy()
    found[at[itself]] = trips["placa"].array[itself]
    return pd.Series(found, index=declared.index)


def seconds_in_common(pairs: pd.DataFrame, rules: AuditRules) -> pd.Series:
    """How long both of each pair last, neither longer than a trip can be.

    Args:
        pairs: `saida_utc`, `chegada_utc` of the one, `saida_utc_seen`, `chegada_utc_seen` of the other.
        rules: how long a trip is at most.
    """
    longest = pd.Timedelta(hours=rules.max_trip_hours)
    ends = [pairs[f"chegada_utc{of}"].clip(upper=pairs[f"saida_utc{of}"] + longest) for of in ("", "_seen")]
    start = pairs["saida_utc"].clip(lower=pairs["saida_utc_seen"])
    return (ends[0].clip(upper=ends[1]) - start).dt.total_seconds().clip(lower=0)
