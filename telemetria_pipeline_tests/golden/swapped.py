"""The truth about devices that changed places: two plates of one source bring each other's odometer.

Rules of their own, as `trips` has them, and no line of the pipeline's.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from functools import cache
from itertools import combinations
from typing import Protocol

from telemetria_pipeline.simulator.boletins import DeclaredTrip

NEAR_M, FAR_M = 5_000, 50_000
DAY = timedelta(days=1)


class Told(Protocol):
    """A measured trip, under the plate that the API tells."""

    source: str
    plate: str
    departure: datetime
    arrival: datetime
    odometer: tuple[int, int] | None


Pair = tuple[date, str, str, str]
"""Day, source and the two plates, the lesser first."""


def swapped(
    declared: Mapping[tuple[str, date], Sequence[DeclaredTrip]],
    segments: Sequence[Told],
    day_of: Callable[[datetime], date],
    in_common: Callable[[Told, DeclaredTrip], timedelta],
) -> set[Pair]:
    """The plates that bring each other's odometers, day by day.

    Args:
        declared: by plate and day.
        in_common: how long a measured and a declared trip both last.
    """
    of: dict[tuple[date, str], dict[str, list[Told]]] = {}
    for segment in sorted(segments, key=lambda s: s.departure):
        own = of.setdefault((day_of(segment.departure), segment.source), {})
        own.setdefault(segment.plate, []).append(segment)

    @cache
    def readings(day: date, source: str, plate: str) -> list[int]:
        heard = of.get((day, source), {}).get(plate, [])
        return [km for segment in heard if segment.odometer for km in segment.odometer]

    def by_sheet(day: date, source: str, one: str, other: str) -> bool:
        """Whether most odometers declared of one are the other's readings, and not its own."""
        own, others = (_range(readings(day, source, plate)) for plate in (one, other))
        said = [km for trip in declared.get((one, day), ()) for km in (trip.km_out_m, trip.km_in_m)]
        strange = [km for km in said if _off(km, own) > FAR_M and _off(km, others) <= NEAR_M]
        return 2 * len(strange) > len(said)

    def goes_on(day: date, source: str, one: str, other: str) -> bool:
        """Whether the readings of one of the eve go on under the other's plate, and not under its own."""
        last, own = readings(day - DAY, source, one)[-1], readings(day, source, one)[0]
        return abs(own - last) > FAR_M and abs(readings(day, source, other)[0] - last) <= NEAR_M

    def in_hours_of(day: date, source: str, one: str, other: str) -> bool:
        """Whether the trips declared of one are in the hours of the other's segments more than of its own."""

        def shared(plate: str) -> timedelta:
            trips = declared.get((one, day), ())
            common = [in_common(s, trip) for s in of[day, source][plate] for trip in trips]
            return sum((max(c, timedelta(0)) for c in common), timedelta(0))

        return shared(other) > shared(one)

    def changed(day: date, source: str, one: str, other: str) -> bool:
        ways = (one, other), (other, one)

        def read(when: date) -> bool:
            return all(readings(when, source, plate) for plate in (one, other))

        if not read(day):
            return False
        if all(by_sheet(day, source, *way) for way in ways):
            return True
        breaks = [d for d in (day, day + DAY) if read(d - DAY) and read(d)]
        moved = any(all(goes_on(d, source, *way) for way in ways) for d in breaks)
        return moved and all(in_hours_of(day, source, *way) for way in ways)

    pairs = {
        (day, source, one, other)
        for (day, source), heard in of.items()
        for one, other in combinations(sorted(heard), 2)
        if changed(day, source, one, other)
    }
    return {
        pair
        for pair in pairs
        if not any(pair != p and pair[:2] == p[:2] and {*pair[2:]} & {*p[2:]} for p in pairs)
    }


def _range(readings: Sequence[int]) -> tuple[int, int]:
    return min(readings), max(readings)


def _off(km: int, span: tuple[int, int]) -> int:
    """How far a reading lies from a range of them."""
    return max(span[0] - km, km - span[1], 0)
