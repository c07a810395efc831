"""The truth about who belongs together: trips judged as a group, and journeys under a wrong date or hour.

Rules of their own, as `trips` has them, and no line of the pipeline's.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Protocol, TypeVar

from telemetria_pipeline.simulator.boletins import DeclaredTrip

LONGEST = timedelta(hours=12)
NEAR, DAY, MATCH = timedelta(hours=3), timedelta(days=1), timedelta(minutes=30)
LIKE_M = 1_000


class Heard(Protocol):
    """A measured trip."""

    departure: datetime
    arrival: datetime
    metres: int
    odometer: tuple[int, int] | None


S = TypeVar("S", bound=Heard)


def like(declared: int, measured: int) -> bool:
    """Near enough to be of one trip: 10 %, or 1 km."""
    return abs(declared - measured) <= max(LIKE_M, measured / 10)


def shared_time(one: Heard | DeclaredTrip, other: Heard | DeclaredTrip) -> timedelta:
    """How long both last; below 0, how far they are apart."""
    ends = (min(t.arrival, t.departure + LONGEST) for t in (one, other))
    return min(ends) - max(one.departure, other.departure)


@dataclass
class Together:
    """What `judged_together` found: the groups, and the trips that share a measured one across midnight."""

    groups: list[list[DeclaredTrip]]
    across: set[DeclaredTrip]


def judged_together(
    covered: Mapping[DeclaredTrip, Sequence[S]], day_of: Callable[[datetime], date]
) -> Together:
    """The groups of one vehicle's declared trips, given the segments that chose each."""
    trips = sorted(covered, key=lambda t: (t.departure, t.arrival, t.km_out_m, t.km_in_m))
    group = {trip: {trip} for trip in trips}
    across: set[DeclaredTrip] = set()

    def alone_wrong(trip: DeclaredTrip) -> bool:
        own = covered[trip]
        return not own or not like(trip.distance_m, sum(s.metres for s in own))

    for main in trips:
        for segment in covered[main]:
            near = [t for t in trips if t != main and abs(t.departure - segment.departure) < 2 * LONGEST]
            for trip in near:
                over = shared_time(trip, segment)
                length = min(trip.arrival - trip.departure, LONGEST)
                shorter = min(length, min(main.arrival - main.departure, LONGEST))
                if over <= timedelta(0) or 4 * shared_time(trip, main) >= shorter:
                    continue
                half = 2 * over >= length
                if day_of(trip.departure) != day_of(main.departure):
                    explained = like(main.distance_m, segment.metres)
                    across |= {trip} if alone_wrong(trip) and (half or not explained) else set()
                    across |= {main} if alone_wrong(main) and not explained else set()
                elif alone_wrong(trip) and (half or alone_wrong(main)):
                    union = group[trip] | group[main]
                    for member in union:
                        group[member] = union
    different = {id(members): members for members in group.values()}
    return Together([sorted(m, key=trips.index) for m in different.values()], across)


def shares(weights: Sequence[int], whole: int) -> list[int]:
    """`whole` cut in order, in proportion to the weights; each cut rounded down to the metre."""
    weights = list(weights) if sum(weights) else [1] * len(weights)
    cuts = [whole * sum(weights[:n]) // sum(weights) for n in range(len(weights) + 1)]
    return [after - before for before, after in pairwise(cuts)]


def pieces(parts: Sequence[int], metres: Sequence[int]) -> list[set[int]]:
    """Of which segments each part is made, where both are laid end to end; none is without any."""
    made: list[set[int]] = [set() for _ in parts]
    ends = [sum(parts[: n + 1]) for n in range(len(parts))]
    tops = [sum(metres[: n + 1]) for n in range(len(metres))]
    for p, end in enumerate(ends):
        for s, top in enumerate(tops):
            if min(end, top) > max(end - parts[p], top - metres[s]):
                made[p].add(s)
    for p, end in enumerate(ends):
        if not made[p]:
            made[p].add(next(s for s, top in enumerate(tops) if top >= end))
    for s, top in enumerate(tops):
        if not any(s in own for own in made):
            made[next(p for p, end in enumerate(ends) if end >= top)].add(s)
    return made


def misplaced(
    left: Sequence[DeclaredTrip],
    over: Sequence[S],
    day_of: Callable[[datetime], date],
    has_own: Callable[[DeclaredTrip], bool],
) -> list[tuple[DeclaredTrip, S]]:
    """Those of one vehicle that are each other's most alike, and so one journey.

    Args:
        left: declared trips that no segment of their own day chose; over: segments that chose none.
        has_own: whether some segment chose a trip after all, or it is in a group.
    """

    def rank(trip: DeclaredTrip, segment: S) -> tuple | None:
        if abs((day_of(trip.departure) - day_of(segment.departure)).days) > 1:
            return None
        if min(trip.distance_m, segment.metres) <= LIKE_M or not like(trip.distance_m, segment.metres):
            return None
        apart = abs(trip.departure - segment.departure)
        said, read = (trip.km_out_m, trip.km_in_m), segment.odometer
        by_odometer = read is not None and all(abs(a - b) <= LIKE_M for a, b in zip(said, read, strict=True))
        near, a_day = apart <= NEAR, abs(apart - DAY)
        if not (by_odometer or near or a_day <= MATCH):
            return None
        return not by_odometer, not near, apart if near else a_day

    ranks = {(t, s): r for t, trip in enumerate(left) for s, seg in enumerate(over) if (r := rank(trip, seg))}
    best_of_trip = {t: min((r, s) for (n, s), r in ranks.items() if n == t)[1] for t, _ in ranks}
    best_of_segment = {s: min((r, t) for (t, n), r in ranks.items() if n == s)[1] for _, s in ranks}
    return [
        (left[t], over[s])
        for t, s in best_of_trip.items()
        if best_of_segment[s] == t and not has_own(left[t])
    ]
