"""Whether a vehicle's device was heard: the odometer keeps running while the device is silent.

    segment with good readings      gap           segment with good readings
    06:00 |-- 1,000 to 1,020 km --| 07:00   11:00 |-- 1,060 to 1,080 km --| 12:00
    declared                           08:00 |--- 40 km ---| 09:00

In the gap the odometer ran 40 km that no segment shows: a trip declared in it may have been driven
(`perdido`, 40 km unseen). Had it run none, the vehicle stood still (`presente`). Had it run back, were the
two readings of different sources, or were there none, nobody knows (`desconhecido`): silence proves nothing
where no odometer speaks.
"""

from dataclasses import dataclass

import numpy as np

from telemetria_pipeline.core.audit.timeline import Axis, Timeline
from telemetria_pipeline.core.telemetry.odometer import MAX_KMH, SLACK_KM

NOISE_M = 1_000
"""What odometers read coarsely, and parking, may show between two trips; a claim of no more may be that."""
HEARD, LOST, UNKNOWN = range(3)
SIGNALS = ("presente", "perdido", "desconhecido")


@dataclass(frozen=True)
class Odometers:
    """The readings of a timeline's trips: whose, whether both are good, in metres; what was measured."""

    source: np.ndarray
    good: np.ndarray
    start_m: np.ndarray
    end_m: np.ndarray
    measured_m: np.ndarray


def hear(
    declared: Timeline,
    segments: Timeline,
    odometers: Odometers,
    since: np.ndarray,
    until: np.ndarray,
    covered: np.ndarray,
    claimed_m: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """The signal during each declared trip (position in SIGNALS), and the metres that moved unseen.

    Between two good readings of a vehicle the odometer tells what no segment does; where it ran back, or too
    far, or where good readings do not enclose the trip, it tells nothing. A trip that its own segments with
    good readings fill (`covered`) needs no others.

    Args:
        declared, segments: the two sides.
        odometers: of the segments.
        since, until: for each declared trip the departures (int64 microseconds) of the segments it may look
            at, the last not included: so that a trip's signal does not depend on what else is loaded.
        covered: whether segments with good readings fill the declared window.
        claimed_m: the declared metres.
    """
    axis = Axis(declared.start, declared.end, segments.start, segments.end)
    good = np.flatnonzero(odometers.good)
    heard = segments.take(good)
    gaps = _Gaps.of(heard, odometers, good)

    # Day by day, not trip by trip: all trips of a vehicle's day look at the same segments.
    fresh = np.append(True, (np.diff(declared.vehicle) != 0) | (np.diff(since) != 0))[: len(declared)]
    days = np.flatnonzero(fresh)
    trips_a_day = np.diff(np.append(days, len(declared)))
    oldest, newest = (axis.at(declared.vehicle[days], bound[days]) for bound in (since, until))

    def of_the_day(departures: np.ndarray, bound: np.ndarray) -> np.ndarray:
        return np.repeat(np.searchsorted(departures, bound), trips_a_day)

    gap_start, gap_end = axis.at(gaps.vehicle, gaps.start), axis.at(gaps.vehicle, gaps.end)
    first = np.maximum(
        np.searchsorted(gap_end, axis.at(declared.vehicle, declared.start), side="right"),
        of_the_day(axis.at(gaps.vehicle, gaps.departure_before), oldest),
    )
    after = np.minimum(
        np.searchsorted(gap_start, axis.at(declared.vehicle, declared.end)), of_the_day(gap_end, newest)
    )
    after = np.maximum(first, after)
    beyond_noise = np.where(gaps.moved_m > NOISE_M, gaps.moved_m, 0)
    unseen = np.where(
        claimed_m > NOISE_M, _sums(beyond_noise, first, after), _sums(gaps.moved_m, first, after)
    )
    broken = _sums(gaps.broken, first, after) > 0

    departures = axis.at(heard.vehicle, heard.start)
    low, high = of_the_day(departures, oldest), of_the_day(departures, newest)
    enclosed = low < high
    enclosed[enclosed] = (heard.start[low[enclosed]] <= declared.start[enclosed]) & (
        heard.end[high[enclosed] - 1] >= declared.end[enclosed]
    )
    signal = np.select([covered, broken | ~enclosed, unseen > 0], [HEARD, UNKNOWN, LOST], default=HEARD)
    return signal, np.where(signal == LOST, unseen, 0)


@dataclass(frozen=True)
class _Gaps:
    """The time between two good readings of a vehicle, in order: they neither overlap nor touch a trip."""

    vehicle: np.ndarray
    start: np.ndarray
    end: np.ndarray
    departure_before: np.ndarray
    moved_m: np.ndarray
    broken: np.ndarray

    @classmethod
    def of(cls, heard: Timeline, odometers: Odometers, good: np.ndarray) -> "_Gaps":
        """`heard`: the trips at the positions `good`, those with good readings."""
        start, end = heard.end[:-1], heard.start[1:]
        doubtful = np.cumsum(np.where(odometers.good, 0, odometers.measured_m))[good]
        ran = odometers.start_m[good][1:] - odometers.end_m[good][:-1]
        moved = ran - np.diff(doubtful)
        # One that ran back, or is another source's, was replaced or rolled over: of the gap it says nothing,
        # not zero.
        other = np.diff(odometers.source[good]) != 0
        broken = other | (ran < -NOISE_M) | (moved > MAX_KMH / 3.6e6 * (end - start) + SLACK_KM * 1_000)
        moved = np.where(broken, 0, np.maximum(moved, 0))
        apart = (heard.vehicle[:-1] == heard.vehicle[1:]) & (start < end)
        columns = (heard.vehicle[:-1], start, end, heard.start[:-1], moved, broken)
        return cls(*(column[apart] for column in columns))


def _sums(values: np.ndarray, first: np.ndarray, after: np.ndarray) -> np.ndarray:
    """The sum of `values` from each `first` to before `after`."""
    until = np.append(0, np.cumsum(values))
    return until[after] - until[first]
