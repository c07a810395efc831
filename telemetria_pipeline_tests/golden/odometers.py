"""The truth about what was asked without a proof: between two readings of an odometer no more fits than it
moved.

Rules of their own, as `trips` has them, and no line of the pipeline's.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from itertools import pairwise

from telemetria_pipeline_tests.golden.trips import (
    FASTEST_KMH,
    HOUR,
    LEAST_M,
    MATCH,
    NOISE_M,
    SHARE_PERCENT,
    SLACK_M,
    TrueVerdict,
)


@dataclass(frozen=True, slots=True, order=True)
class Reading:
    """A good reading of an odometer."""

    at: datetime
    metres: int
    device: str


@dataclass(frozen=True)
class Interval:
    """What is asked without a proof between two readings of a vehicle, None where there is none, by trips of
    a cycle and of those beside it (`asked`, as each day judged them).

    Where it is not known what fits, `moved_m` and `room_m` are None. `own` are the trips of the cycle, as
    they are paid.
    """

    plate: str
    before: Reading | None
    after: Reading | None
    asked: list[TrueVerdict]
    beside_m: int
    moved_m: int | None
    room_m: int | None
    verdict: str
    own: list[TrueVerdict]

    @property
    def own_asked_m(self) -> int:
        """What the trips of the cycle ask."""
        return sum(t.audited_m for t in self.asked if _key(t) in {_key(own) for own in self.own})

    @property
    def paid_m(self) -> int:
        """What of it is paid."""
        return sum(t.audited_m for t in self.own)

    @property
    def value(self) -> Decimal | None:
        """R$ of the cycle: what is cut, or where nothing is known all that is paid; None without a tariff."""
        if not any(t.terms for t in self.own):
            return None
        asked = {_key(t): t.audited_m for t in self.asked}
        worth = Decimal(0)
        for trip in self.own:
            cut = asked[_key(trip)] - trip.audited_m
            metres = {"divergente": cut, "inconclusivo": trip.audited_m, "ok": 0}[self.verdict]
            worth += metres * trip.terms.tariff / 1000 if trip.terms else 0
        return worth.quantize(Decimal("0.01"), ROUND_HALF_UP)


def reconciled(
    trips: Sequence[TrueVerdict], days: tuple[date, date], biased: Mapping[str, tuple[int, int]]
) -> tuple[list[TrueVerdict], list[Interval]]:
    """The trips of a cycle as its bill has them, and the intervals in which they ask without a proof.

    Args:
        trips: those of the cycle and of the cycles beside it, as each day judged them.
        days: the first and the last of the cycle.
        biased: devices whose odometers are not believed, with the metres by odometer and by tracker.
    """
    of: dict[str, list[TrueVerdict]] = defaultdict(list)
    for trip in trips:
        of[trip.plate].append(trip)
    intervals = [i for own in of.values() for i in _intervals(own, days, biased)]
    paid = {_key(trip): trip for interval in intervals for trip in interval.own}
    own = [trip for trip in trips if days[0] <= trip.day <= days[1]]
    return [paid.get(_key(trip), trip) for trip in own], intervals


def _intervals(
    trips: Sequence[TrueVerdict], days: tuple[date, date], biased: Mapping[str, tuple[int, int]]
) -> Iterable[Interval]:
    """Those of one vehicle that hold trips of the cycle."""
    asked = sorted((t for t in trips if _is_unproven(t)), key=lambda t: (t.departure, t.arrival))
    readings = sorted(r for t in trips for r in _readings(t))
    # A reading within the tolerance of clocks may be of such a trip: it lies in one interval as a whole.
    clear = [r for r in readings if not any(_begin(t) - MATCH <= r.at <= _end(t) + MATCH for t in asked)]
    groups: dict[tuple[Reading | None, Reading | None], list[TrueVerdict]] = defaultdict(list)
    for trip in asked:
        before = max((r for r in clear if r.at < _begin(trip)), default=None)
        groups[before, min((r for r in clear if r.at > _end(trip)), default=None)].append(trip)
    for (before, after), group in groups.items():
        if any(days[0] <= t.day <= days[1] for t in group):
            yield _judged(group, trips, readings, before, after, days, biased)


def _judged(
    group: list[TrueVerdict],
    trips: Sequence[TrueVerdict],
    readings: Sequence[Reading],
    before: Reading | None,
    after: Reading | None,
    days: tuple[date, date],
    biased: Mapping[str, tuple[int, int]],
) -> Interval:
    def begins_in(trip: TrueVerdict) -> bool:
        return (not before or before.at <= _begin(trip)) and (not after or _begin(trip) < after.at)

    def ends_in(trip: TrueVerdict) -> bool:
        return (not before or before.at < _end(trip)) and (not after or _end(trip) <= after.at)

    heard = [t for t in trips if t.segments]
    beside_m = sum(t.measured_m or 0 for t in heard if begins_in(t) and ends_in(t) and not _is_unproven(t))
    devices = {t.device for t in heard if begins_in(t) or ends_in(t)}
    moved = room = None
    verdict, paid = "inconclusivo", [t.audited_m for t in group]
    if before and after and devices | {after.device} <= {before.device}:
        between = [r for r in readings if before <= r <= after]
        if all(_is_possible(*pair) for pair in pairwise(between)):
            moved = max(after.metres - before.metres, 0)
            left = max(moved - beside_m, 0)
            by_odometer, by_tracker = biased.get(before.device, (1, 1))
            if by_tracker > by_odometer:  # it measures too little, of these trips as well
                left = left * by_tracker // by_odometer
            own = [min(t.audited_m, t.measured_m or 0) for t in group]
            room, claims = max(left, sum(own)), sum(paid)
            over = claims - room
            beyond = 100 * over > SHARE_PERCENT * room and over > max(LEAST_M, NOISE_M)
            verdict = "divergente" if beyond else "ok"
            if beyond:
                open_ = [claim - measured for claim, measured in zip(paid, own, strict=True)]
                parts = _in_parts(room - sum(own), open_)
                paid = [measured + part for measured, part in zip(own, parts, strict=True)]
    judged = [
        replace(t, verdict="divergente", basis="odometro", audited_m=metres) if verdict == "divergente" else t
        for t, metres in zip(group, paid, strict=True)
    ]
    own_trips = [t for t in judged if days[0] <= t.day <= days[1]]
    return Interval(group[0].plate, before, after, group, beside_m, moved, room, verdict, own_trips)


def _is_unproven(trip: TrueVerdict) -> bool:
    """Whether it is paid for kilometres that no segment measured: on its sheet's word, or because the
    odometer moved unseen, maybe for several trips at once."""
    on_its_word = trip.verdict == "inconclusivo" and trip.basis == "boletim_substitui"
    unseen = trip.verdict == "divergente" and trip.unseen_m > 0
    return trip.declared is not None and trip.audited_m > 0 and (on_its_word or unseen)


def _readings(trip: TrueVerdict) -> Iterable[Reading]:
    """As the first of those judged together departs, and as the last of them arrives."""
    if not trip.device:
        return
    first, last = trip.segments[0], trip.segments[-1]
    if trip.opens and first.odometer:
        yield Reading(first.departure, first.odometer[0], trip.device)
    if trip.closes and last.odometer:
        yield Reading(last.arrival, last.odometer[1], trip.device)


def _is_possible(one: Reading, other: Reading) -> bool:
    ran = other.metres - one.metres
    return -NOISE_M <= ran <= FASTEST_KMH * 1000 * ((other.at - one.at) / HOUR) + SLACK_M


def _begin(trip: TrueVerdict) -> datetime:
    """When it was under way: by what was measured, by its sheet, or where it is without a proof by both."""
    measured = [s.departure for s in trip.segments[:1]]
    return min([trip.departure, *measured]) if _is_unproven(trip) or not measured else measured[0]


def _end(trip: TrueVerdict) -> datetime:
    measured = [s.arrival for s in trip.segments[-1:]]
    return max([trip.arrival, *measured]) if _is_unproven(trip) or not measured else measured[0]


def _in_parts(whole: int, weights: Sequence[int]) -> list[int]:
    """Cut in proportion, each part rounded down; what is left goes, one each, to those that lost most."""
    total = sum(weights)
    parts = [whole * weight // total for weight in weights]
    lost = [whole * weight % total for weight in weights]
    for n in sorted(range(len(parts)), key=lambda n: -lost[n])[: whole - sum(parts)]:
        parts[n] += 1
    return parts


def _key(trip: TrueVerdict) -> tuple:
    said = trip.declared
    return trip.departure, trip.plate, trip.arrival, (said.km_out_m, said.km_in_m) if said else ()
