"""Measured trips that nobody declared, and that the contract's people accept to pay."""

from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd


def accepted(
    trips: pd.DataFrame, days: pd.Series, acceptances: pd.DataFrame | None, zone: ZoneInfo
) -> np.ndarray:
    """Whether each trip is one that the acceptances name; a declared one never is.

    Args:
        trips: `fonte`, `veiculo` (text), `saida_utc`.
        days: the business day (text) on which each trip departs.
        acceptances: under contract ACCEPTANCES; None where there is no such table.
        zone: the contract's; departures are read on its clock.
    """
    found = np.zeros(len(trips), bool)
    if acceptances is None or acceptances.empty:
        return found
    at = np.flatnonzero(trips["fonte"] == "telemetria")
    day, moment = _keys(trips.take(at), days.take(at), zone)
    named = _names(acceptances)
    found[at] = day.isin(named) | moment.isin(named)
    return found


def idle(trips: pd.DataFrame, days: pd.Series, acceptances: pd.DataFrame | None, zone: ZoneInfo) -> list[str]:
    """The acceptances that name no trip which nobody declared, as `GDP4J68 10/03 05:54`; likewise."""
    if acceptances is None or acceptances.empty:
        return []
    alone = trips["fonte"] == "telemetria"
    day, moment = _keys(trips[alone], days[alone], zone)
    nothing = acceptances[~_names(acceptances).isin({*day, *moment})]
    when = pd.to_datetime(nothing["data"]).dt.strftime(" %d/%m")
    return (nothing["placa"] + when + (" " + nothing["hora_saida"]).fillna("")).tolist()


def _keys(trips: pd.DataFrame, days: pd.Series, zone: ZoneInfo) -> tuple[pd.Series, pd.Series]:
    """What names all of each trip's vehicle and day, and what names the trip."""
    day = trips["veiculo"] + " " + days
    return day, day + " " + trips["saida_utc"].dt.tz_convert(zone).dt.strftime("%H:%M")


def _names(acceptances: pd.DataFrame) -> pd.Series:
    """What each acceptance names."""
    day = acceptances["placa"] + " " + acceptances["data"]
    return day + (" " + acceptances["hora_saida"]).fillna("")
