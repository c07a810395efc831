"""Dates whose day and month changed places: typed as 05/11 into an Excel of another region, kept as 11 May.

Such a date is a date like any other. What tells is the column: read as they stand, its dates lie months
apart; with day and month exchanged they lie together, near the day on which the file came.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from telemetria_pipeline.core.boletim.values import NO_DAY
from telemetria_pipeline.core.telemetry.odometer import rolled_over

FAR_DAYS = 62
"""A trip that is older than this when its file comes is asked about."""

_PERIOD_DAYS = 31  # a billing cycle or a month
_ALONE_DAYS = 14  # a date this far from all others, and from the file's arrival, may be a mistake
_PROOF_DAYS = 3  # so many different dates do not fall into one period by chance
_MOST_KM_A_DAY = 500  # between two trips of one vehicle: a file declares most of what it drives


@dataclass(frozen=True)
class Swapped:
    """Of each different date, whether day and month are exchanged: `proven` by the column, or `possible`."""

    proven: np.ndarray
    possible: np.ndarray


def find_swapped(
    day: np.ndarray,
    us_day: np.ndarray,
    rows: np.ndarray,
    received: int,
    contradictions: Callable[[np.ndarray], int],
) -> Swapped:
    """Look for dates that belong to the others only with day and month exchanged.

    It is proven by three different dates that come together, or by one where the odometers, out of order as
    the dates stand, are in order after it; and never against the odometers.

    Args:
        day: each different date as it is read, days since 1970 (`NO_DAY`: none).
        us_day: the same with day and month exchanged (`NO_DAY`: no date).
        rows: how many rows each has.
        received: the day on which the file came.
        contradictions: how often odometers contradict the dates that it is given, one for each of `day`.
    """
    nothing = np.zeros(len(day), bool)
    known = day != NO_DAY
    open_ = known & (us_day != NO_DAY) & (us_day != day) & (us_day <= received)
    if not open_.any():
        return Swapped(nothing, nothing)
    first = _period(day, us_day, rows, received, known, open_)

    def within(days: np.ndarray) -> np.ndarray:
        return (days >= first) & (days < first + _PERIOD_DAYS)

    here = known & within(day)
    fits = open_ & ~here & within(us_day)
    recent = (day <= received) & (day >= received - _ALONE_DAYS)
    alone = fits & (_distance(day, day[here]) > _ALONE_DAYS) & ~recent
    count = len(np.unique(us_day[alone]))
    others = len(np.unique(day[known & ~here & ~fits]))
    near = (us_day[alone] >= received - FAR_DAYS).any() or (here & ~open_).any()
    if not count or others * _PROOF_DAYS > count or not near:
        return Swapped(nothing, nothing)
    # In the same period lie 11 October, as it stands, and the 10 November that belongs to the others.
    sure = np.concatenate([us_day[fits], day[here & ~open_]])
    joins = here & open_ & within(us_day) & (_distance(day, sure) > _ALONE_DAYS)
    joins &= _distance(us_day, sure) <= _ALONE_DAYS
    fits, alone = fits | joins, alone | (joins & ~recent)
    read, exchanged = contradictions(day), contradictions(np.where(fits, us_day, day))
    if (count >= _PROOF_DAYS and exchanged <= read) or (exchanged == 0 < read):
        return Swapped(fits, nothing)
    return Swapped(nothing, alone)


def _distance(days: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Of each day, how far the nearest of the others is; far where there are none."""
    return np.abs(days[:, None] - np.unique(others)).min(axis=1, initial=FAR_DAYS)


def _period(
    day: np.ndarray,
    us_day: np.ndarray,
    rows: np.ndarray,
    received: int,
    known: np.ndarray,
    open_: np.ndarray,
) -> int:
    """First day of the period that holds most rows by either reading; of equal ones that in which most of
    them are recent, then that in which most stand as they are, then the latest."""
    lowest = int(min(day[known].min(), us_day[open_].min())) - _PERIOD_DAYS
    highest = int(max(day[known].max(), us_day[open_].max()))
    reach = _PERIOD_DAYS - 1

    def holding(low: np.ndarray, high: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Rows by the first day of a period, where it holds a date if it begins on a day of [low, high]."""
        steps = np.zeros(highest - lowest + 2)
        np.add.at(steps, low - lowest, weights)
        np.add.at(steps, high + 1 - lowest, -weights)
        return np.cumsum(steps)[:-1]

    def either(as_read: np.ndarray, exchanged: np.ndarray) -> np.ndarray:
        """Rows by the first day of a period that holds one of their dates, of these readings."""
        a, b = np.minimum(day, us_day), np.maximum(day, us_day)
        both = as_read & exchanged & (b - a <= reach)
        return (
            holding(day[as_read] - reach, day[as_read], rows[as_read])
            + holding(us_day[exchanged] - reach, us_day[exchanged], rows[exchanged])
            - holding(b[both] - reach, a[both], rows[both])
        )

    def recent(days: np.ndarray) -> np.ndarray:
        return (days <= received) & (days >= received - FAR_DAYS)

    nothing = np.zeros(len(day), bool)
    starts = np.arange(lowest, highest + 1)
    order = np.lexsort(
        (
            starts,
            either(known, nothing),
            either(known & recent(day), open_ & recent(us_day)),
            either(known, open_),
        )
    )
    return int(starts[order[-1]])


def odometer_contradictions(
    vehicle: np.ndarray, day: np.ndarray, km_out: np.ndarray, km_in: np.ndarray, tolerance_km: float
) -> int:
    """How often, from one day of a vehicle to its next in the file, the odometer goes back, or on by more
    than 500 km a day that no row declares. Rows without vehicle (-1), day or a sound pair of readings tell
    nothing."""
    with np.errstate(invalid="ignore"):
        tells = (vehicle >= 0) & (day != NO_DAY) & (km_in >= km_out)
    if not tells.any():
        return 0
    place = vehicle[tells].astype(np.int64) << 32 | (day[tells].astype(np.int64) + 2**31)
    days, at = np.unique(place, return_inverse=True)
    begun, ended = np.full(len(days), np.inf), np.full(len(days), -np.inf)
    np.minimum.at(begun, at, km_out[tells])
    np.maximum.at(ended, at, km_in[tells])
    same = days[1:] >> 32 == days[:-1] >> 32
    before, after, between = ended[:-1][same], begun[1:][same], np.diff(days)[same]
    back = (after < before - tolerance_km) & (rolled_over(before, after, _MOST_KM_A_DAY * between) == 0)
    return int((back | (after - before > _MOST_KM_A_DAY * between)).sum())
