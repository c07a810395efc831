"""Whether an answer is one to what was asked: its rows lie in the window that was asked for."""

from datetime import datetime, timedelta

import numpy as np
import pandas as pd

EDGE = timedelta(minutes=5)
"""How far beyond the window a row may lie: clocks differ, and edges are rounded."""
LONGEST_RUNNING = timedelta(days=31)
"""How long ago a trip that still runs may have departed."""


def outside_window(rows: pd.DataFrame, since: datetime, until: datetime) -> np.ndarray:
    """Which rows (bool) belong to another time than [since, until]; one without a departure to none.

    Args:
        rows: `saida_utc`, `chegada_utc`, `em_andamento`.
        since: first instant that was asked for, the padding in it; `until`: the last one.
    """
    departure, running = rows["saida_utc"], rows["em_andamento"]
    ends = rows["chegada_utc"].fillna(departure.where(~running, departure + LONGEST_RUNNING))
    touches = (departure <= pd.Timestamp(until) + EDGE) & (ends >= pd.Timestamp(since) - EDGE)
    return (departure.notna() & ~touches).to_numpy(dtype=bool)


def not_what_was_asked(rows: pd.DataFrame, outside: np.ndarray, start: datetime, end: datetime) -> str | None:
    """Why the rows do not say that no trip departs in [start, end), or None where they may.

    A trip of the hour proves that window and times are read right; without one, a page whose rows are all
    `outside` is an answer to another question.

    Args:
        rows: under contract `MAPPED_TRIPS`, all rows of a capture.
    """
    departure = rows["saida_utc"]
    if not outside.any() or ((departure >= pd.Timestamp(start)) & (departure < pd.Timestamp(end))).any():
        return None
    dated = rows.assign(outside=outside)[departure.notna().to_numpy()]
    astray = dated.groupby("pagina")["outside"].all()
    if not astray.any():
        return None
    page = astray.index[astray][0]
    departures = dated["saida_utc"][dated["pagina"] == page]
    first = f"{departures.iloc[0]:%Y-%m-%dT%H:%MZ}"
    return f"all {len(departures)} rows of page {page} (the first departs at {first})"
