"""What several sources heard of one vehicle is counted once: in each movement one source's segments count.

        10:00            11:00            12:00
    sol   |--s1--| |-----s2-----|           |--s3--|
    lua   |----------m1---------|                      |--m2--|

s1 and m1 overlap for at least half of the shorter one, and so do s2 and m1: the three are one group. If sol
wins it, m1 is set aside, and its kilometres are what lua measured of s1 and s2. s3 and m2 were heard once,
and stay.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from telemetria_pipeline.core.audit.timeline import Axis, Timeline

ALIKE = 0.9  # two segments that share so much of the longer one are each other's and nobody else's
UNIQUE, BY_REGISTER, BY_ODOMETER, BY_TIME, BY_NAME = range(5)  # positions in SOURCE_REASONS


@dataclass(frozen=True)
class Movements:
    """Which segments count (`stays`: their positions), and for each of these:

    `reason`, why its source does; `other_m`, by other source, what that one measured of it, in metres, or -1
    where it heard nothing of it.
    """

    stays: np.ndarray
    reason: np.ndarray
    other_m: dict[int, np.ndarray]


def count_once(
    times: Timeline, metres: np.ndarray, good: np.ndarray, source: np.ndarray, registered: np.ndarray
) -> Movements:
    """The segments that count, where several sources heard the same.

    The order in which segments of one departure stand changes nothing, nor does what lies beyond the time in
    which a group's segments follow each other without a pause.

    Args:
        times: the segments in order; none is longer than a trip can be.
        metres: that they measured.
        good: whether their odometers were.
        source: which source heard each; sources are numbered in order of their names.
        registered: for each vehicle the source of the register, -1: none.
    """
    left, right, common = _heard_twice(times, source)
    twice = np.unique(np.append(left, right))
    reason, rank = np.zeros((2, len(times)), np.int64)
    reason[twice], rank[twice] = _ranked(times.take(twice), good[twice], source[twice], registered)

    # From the best source on: a segment stays if none that stays before it heard the same.
    better, worse = np.where(rank[left] < rank[right], (left, right), (right, left))
    stays = np.ones(len(times), bool)
    for place in range(1, rank.max(initial=0) + 1):
        beaten = worse[(rank[worse] == place) & stays[better]]
        stays[beaten] = False
    kept = np.flatnonzero(stays)

    # What was set aside is what its source measured of those that stay and were heard with it.
    told = stays[left] != stays[right]
    stay, aside = np.where(stays[left], (left, right), (right, left))[:, told]
    share = _shares(times, metres, stay, aside, common[told])
    other_m = {}
    for other in np.unique(source[aside]).tolist():
        its = source[aside] == other
        of_segments = np.bincount(stay[its], (metres[aside] * share)[its], len(times))
        heard = np.bincount(stay[its], share[its] > 0, len(times)) > 0
        other_m[other] = np.where(heard, np.rint(of_segments), -1).astype(np.int64)[kept]
    return Movements(kept, reason[kept], other_m)


def _shares(
    times: Timeline, metres: np.ndarray, stay: np.ndarray, aside: np.ndarray, common: np.ndarray
) -> np.ndarray:
    """For each pair, how much of what was set aside is of the one that stays: all of it if the two are alike,
    else in proportion to the kilometres that those that stay drove while both were heard."""
    lengths = _lengths(times)
    alike = common / np.maximum(lengths[stay], lengths[aside])
    most_alike = np.zeros(len(times))
    np.maximum.at(most_alike, aside, alike)
    its = (alike == most_alike[aside]) | (most_alike[aside] < ALIKE)
    driven = metres[stay] * (common / lengths[stay]) + common * 1e-15  # where nobody drove, by time
    weight = np.where(its, driven, 0)
    return weight / np.bincount(aside, weight, len(times))[aside]


def _lengths(times: Timeline) -> np.ndarray:
    """Microseconds, both ends included: one that lasts no time is an instant that others may share."""
    return times.end - times.start + 1


def _heard_twice(times: Timeline, source: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs of segments that are one movement (two arrays of positions), and how long both lasted."""
    of_vehicle = np.flatnonzero(np.diff(times.vehicle, prepend=-1))
    several = np.zeros(len(times), bool)
    if len(times):  # few vehicles are heard by several sources, so that few look at all
        least, most = (fold.reduceat(source, of_vehicle) for fold in (np.minimum, np.maximum))
        several = np.repeat(least != most, np.diff(np.append(of_vehicle, len(times))))
    look = np.flatnonzero(several)
    some, heard_by = times.take(look), source[look]

    axis = Axis(some.start, some.end)
    departures, arrivals = axis.at(some.vehicle, some.start), axis.at(some.vehicle, some.end)
    here = np.arange(len(some))
    # Those that follow each one and depart before it arrives.
    following = np.searchsorted(departures, arrivals, side="right") - here - 1
    left = np.repeat(here, following)
    first = np.cumsum(following) - following
    right = left + 1 + np.arange(len(left)) - np.repeat(first, following)
    lengths = _lengths(some)
    common = np.minimum(some.end[left], some.end[right]) - some.start[right] + 1
    same = (heard_by[left] != heard_by[right]) & (2 * common >= np.minimum(lengths[left], lengths[right]))
    return look[left[same]], look[right[same]], common[same]


def _ranked(
    times: Timeline, good: np.ndarray, source: np.ndarray, registered: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """For each segment that was heard twice: why the source that wins its group does, and the place of its
    own source in that group, from 0."""
    if not len(times):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    axis = Axis(times.start, times.end)
    reached = np.maximum.accumulate(axis.at(times.vehicle, times.end))
    group = np.cumsum(np.append(0, axis.at(times.vehicle, times.start)[1:] > reached[:-1]))
    sources = pd.DataFrame(
        {
            "group": group,
            "unregistered": source != registered[times.vehicle],
            "source": source,
            "good": good.astype(np.int64),
            "heard": times.end - times.start,
        }
    )
    sources = sources.groupby(["group", "unregistered", "source"], as_index=False).sum()
    sources[["good", "heard"]] *= -1  # most first
    criteria = ["unregistered", "good", "heard", "source"]
    sources = sources.sort_values(["group", *criteria], ignore_index=True)
    place = sources.groupby("group").cumcount()
    first, second = (sources[place == n].set_index("group")[criteria] for n in (0, 1))
    decides = (first != second).to_numpy().argmax(axis=1) + BY_REGISTER  # the first criterion that differs
    places = pd.Series(place.array, index=pd.MultiIndex.from_frame(sources[["group", "source"]]))
    return decides[group], places[pd.MultiIndex.from_arrays([group, source])].to_numpy()


def disagreements(trips: pd.DataFrame) -> list[str]:
    """A sentence for each vehicle of which two sources tell different kilometres, for a warning.

    Args:
        trips: under contract VALIDATED_TRIPS.
    """
    apart = trips[trips["fontes_discordam"]]
    found = apart.groupby("veiculo").agg(
        trips=("viagem_id", "size"),
        source=("fonte_telemetria", lambda names: ", ".join(sorted(set(names)))),
        km=("km_medido", "sum"),
        other_km=("km_outra_fonte", "sum"),
    )
    return [
        f"{row.Index}: {row.trips} trips of {row.km} km by {row.source}, {row.other_km} km by another source"
        for row in found.itertuples()
    ]
