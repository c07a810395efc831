"""Declared and measured trips that were left over, and are one journey under a wrong date or hour.

A declared and a measured trip are one if each is to the other the most alike of those that were left over
around it: one with the same odometers, else one of like kilometres that departs within hours, or a day apart
at the same hour. None looks further than the day before and after, so that both days' audits tell the same.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from telemetria_pipeline.core.audit.sides import Side
from telemetria_pipeline.core.audit.tolerances import ALIKE_M, alike

NEAR_HOURS = 3
_HOUR = 3_600_000_000
_DAY = 24 * _HOUR


@dataclass(frozen=True)
class Readings:
    """The odometers of a side's trips at departure and arrival, in metres, and whether both are there."""

    start_m: np.ndarray
    end_m: np.ndarray
    known: np.ndarray


def find_misplaced(
    declared: Side,
    segments: Side,
    readings: tuple[Readings, Readings],
    days: tuple[np.ndarray, np.ndarray],
    chosen: np.ndarray,
    takes_part: np.ndarray,
    tolerance: int,
) -> np.ndarray:
    """What each segment chose (positions in `declared`, -1 none), those included that found their trip here.

    Args:
        readings: of the declared side and of the segments.
        days: the number of the business day on which the trips of each side depart.
        chosen: what each segment chose.
        takes_part: whether each declared trip is judged in a group.
        tolerance: how far from exactly a day apart, in microseconds, a wrong date may be.
    """
    day, segment_day = days
    own = chosen >= 0
    # Who competes must be known wherever a day looks, so that only segments of its own day settle a trip.
    settled = np.zeros(len(declared), bool)
    settled[chosen[own & (segment_day == np.append(day, -1)[chosen])]] = True
    has_own = takes_part.copy()
    has_own[chosen[own]] = True
    left = pd.DataFrame({"vehicle": declared.times.vehicle, "day": day, "trip": np.arange(len(day))})[
        ~settled
    ]
    over = pd.DataFrame(
        {"vehicle": segments.times.vehicle, "day": segment_day, "segment": np.arange(len(chosen))}
    )[~own]
    pairs = pd.concat(
        [left.assign(day=left["day"] + apart).merge(over, on=["vehicle", "day"]) for apart in (-1, 0, 1)]
    )
    pairs = _alike(pairs, declared, segments, *readings, tolerance)
    pairs = pairs.sort_values([*_RANK, "segment", "trip"])
    best_segment = pairs.drop_duplicates("trip")
    best_trip = pairs.drop_duplicates("segment")
    mutual = best_segment.merge(best_trip, on=["trip", "segment"])
    mutual = mutual[~has_own[mutual["trip"].to_numpy()]]
    found = chosen.copy()
    found[mutual["segment"].to_numpy()] = mutual["trip"].to_numpy()
    return found


_RANK = ["by_km", "a_day", "apart"]


def _alike(
    pairs: pd.DataFrame,
    declared: Side,
    segments: Side,
    said: Readings,
    read: Readings,
    tolerance: int,
) -> pd.DataFrame:
    """The pairs that may be one journey, with what ranks them."""
    trip, segment = pairs["trip"].to_numpy(np.int64), pairs["segment"].to_numpy(np.int64)
    apart = np.abs(declared.times.start[trip] - segments.times.start[segment])
    same_odometer = (
        said.known[trip]
        & read.known[segment]
        & (np.abs(said.start_m[trip] - read.start_m[segment]) <= ALIKE_M)
        & (np.abs(said.end_m[trip] - read.end_m[segment]) <= ALIKE_M)
    )
    near, a_day = apart <= NEAR_HOURS * _HOUR, np.abs(apart - _DAY) <= tolerance
    claimed, measured = declared.metres[trip], segments.metres[segment]
    # Trips as short as what likeness forgives are like any other of them.
    tell = (claimed > ALIKE_M) & (measured > ALIKE_M)
    fits = tell & alike(claimed, measured) & (same_odometer | near | a_day)
    ranked = pairs.assign(
        by_km=~same_odometer, a_day=~near, apart=np.where(near, apart, np.abs(apart - _DAY))
    )
    return ranked[fits]
