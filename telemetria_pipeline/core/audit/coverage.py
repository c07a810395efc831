"""How much of a window lies in hours whose telemetry is known."""

import numpy as np
import pandas as pd

from telemetria_pipeline.core.audit.timeline import microseconds

KNOWN = ("captured", "confirmed_empty")


def covered_share(hours: pd.DataFrame, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """The share (float64, 0 to 1) of each window [start, end] in known hours; an hour not listed is not.

    Args:
        hours: `inicio_utc`, `fim_utc`, `estado`, one row an hour.
        start, end: int64 microseconds; each window has a length.
    """
    known = hours[hours["estado"].isin(KNOWN)].sort_values("inicio_utc")
    if known.empty:
        return np.zeros(len(start))
    begins, ends = microseconds(known["inicio_utc"]), microseconds(known["fim_utc"])
    # Hours that follow each other are one stretch: mostly there is a single one.
    opens = np.flatnonzero(np.append(True, begins[1:] > ends[:-1]))
    begins, ends = begins[opens], ends[np.append(opens[1:], len(ends)) - 1]
    before = np.append(0, np.cumsum(ends - begins))

    def known_until(instant: np.ndarray) -> np.ndarray:
        stretch = np.searchsorted(begins, instant, side="right") - 1
        within = np.minimum(instant, ends[stretch]) - begins[stretch]
        return np.where(stretch < 0, 0, before[stretch] + within)

    return (known_until(end) - known_until(start)) / (end - start)
