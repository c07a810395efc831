"""Trips of many vehicles as whole numbers in order of vehicle and departure, so that a search finds them.

One search over all vehicles needs one order of all instants. An `Axis` lays the vehicles' spans of time one
after another, so that vehicle 1 at its first instant comes after vehicle 0 at its last:

    instants       07:00 ... 19:00   07:00 ... 19:00   07:00 ... 19:00
    vehicle       |       0        |        1        |        2
    at(...)        1 ... span - 2    span + 1 ...      2 * span + 1 ...

Instants before or after the span of time stay with their vehicle, at that end, so that a search for "since
yesterday" never finds the vehicle before.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Self

import numpy as np
import pandas as pd

MISSING = np.iinfo(np.int64).min
"""The microseconds of a missing instant."""


def microseconds(instants: pd.Series) -> np.ndarray:
    """Instants (`datetime64[us, UTC]`) as int64 microseconds of the epoch; none may be missing."""
    return instants.to_numpy("datetime64[us]").view(np.int64)


def microsecond(instant: datetime) -> int:
    """An aware instant, of whole seconds, as microseconds of the epoch."""
    return round(instant.timestamp()) * 1_000_000


def instants(microseconds: np.ndarray) -> pd.DatetimeIndex:
    """The inverse: int64 microseconds of the epoch as instants; `MISSING` is missing."""
    return pd.DatetimeIndex(microseconds.view("datetime64[us]")).tz_localize("UTC")


def sorting(key: np.ndarray, frame: pd.DataFrame, ties: list[str]) -> np.ndarray:
    """Positions that sort rows by `key`, and rows of one key by the columns `ties` of `frame`, missing first.

    Few rows are tied, so only those pay for the comparison of texts.
    """
    order = np.argsort(key, kind="stable")
    ordered = key[order]
    same = ordered[1:] == ordered[:-1]
    tied = np.flatnonzero(np.append(same, False) | np.append(False, same))
    if len(tied):
        rows = frame[ties].take(order[tied]).reset_index(drop=True).assign(_key=ordered[tied])
        rows = rows.sort_values(["_key", *ties], na_position="first")
        order[tied] = order[tied][rows.index]
    return order


class Axis:
    """Vehicle and instant as one int64: vehicle after vehicle, each with room for the whole span of time."""

    def __init__(self, *instants: np.ndarray) -> None:
        every = [i for i in instants if len(i)] or [np.zeros(1, np.int64)]
        self._origin = min(int(i.min()) for i in every) - 1
        self._span = max(int(i.max()) for i in every) - self._origin + 2

    def at(self, vehicle: np.ndarray, instants: np.ndarray) -> np.ndarray:
        """Where they lie; an instant beyond the span stays with its vehicle, at that end."""
        place = instants - self._origin
        np.clip(place, 0, self._span - 1, out=place)
        place += vehicle * self._span
        return place


@dataclass(frozen=True)
class Timeline:
    """Trips in order of vehicle and departure; each an int64 array: vehicle's number, microseconds."""

    vehicle: np.ndarray
    start: np.ndarray
    end: np.ndarray

    def __len__(self) -> int:
        return len(self.vehicle)

    def take(self, positions: np.ndarray) -> Self:
        """Some of its trips."""
        return type(self)(self.vehicle[positions], self.start[positions], self.end[positions])

    def capped(self, hours: int) -> Self:
        """The same trips, none longer than so many hours."""
        longest = hours * 3_600_000_000
        return type(self)(self.vehicle, self.start, np.minimum(self.end, self.start + longest))
