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
    rows, whole = trips.take(at), acceptances["hora_saida"].isna()
    day = rows["veiculo"] + " " + days.take(at)
    moment = day + " " + rows["saida_utc"].dt.tz_convert(zone).dt.strftime("%H:%M")
    named = acceptances["placa"] + " " + acceptances["data"]
    moments = (named + " " + acceptances["hora_saida"])[~whole]
    found[at] = day.isin(named[whole]) | moment.isin(moments)
    return found
