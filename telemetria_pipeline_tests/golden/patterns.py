"""The truth about habits: what no single trip of a cycle shows, by vehicle, driver and carrier."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from fractions import Fraction
from itertools import pairwise
from math import comb

from telemetria_pipeline.simulator.boletins import DeclaredTrip
from telemetria_pipeline_tests.golden.devices import biased_devices
from telemetria_pipeline_tests.golden.trips import Known, TrueVerdict, plain

Pattern = tuple[str, str, str]
"""Pattern, level, and whose: a plate, a driver's or a carrier's plain name, a device."""

LEAST_TRIPS = 20
BIAS_PERCENT, SAME_SIGN_PERCENT = 5, 80
TYPED_M = 100
ONE_CHANCE_IN = 10_000
LEAST_BIAS_PERCENT, LEAST_BIAS_PERCENT_OF_TRACKERS = 1, 3
CONSTANT_M = 300
ROUND_M, WHOLE_M = 10_000, 500
SPREAD_PERCENT, SPREAD_M = 10, 1_000
RAISED_M = 1_000
BREAK_M, LEAST_BREAKS = 1_000, 3


def true_patterns(trips: Sequence[TrueVerdict], known: Known) -> set[Pattern]:
    """All patterns of a cycle's trips."""
    found: set[Pattern] = set()
    members = known.members
    of: dict[tuple[str, str], list[TrueVerdict]] = defaultdict(list)
    for trip in trips:
        if trip.declared:
            of["veiculo", trip.plate].append(trip)
            of["motorista", plain(trip.declared.driver)].append(trip)
            member = members.get(trip.plate)
            of["transportadora", plain(member.carrier if member else trip.declared.company)].append(trip)
    for (level, whose), own in of.items():
        by_vehicle = level == "veiculo"
        shown = {
            "vies": _is_biased(own),
            "excesso_constante": by_vehicle and _adds_the_same(own),
            "numeros_redondos": _is_round(own),
            "km_repetido": by_vehicle and _is_always_the_same(own),
            "odometro_descontinuo": by_vehicle and _breaks(own) >= LEAST_BREAKS,
            "duas_transportadoras": by_vehicle and len({plain(c) for c in _companies(own)}) > 1,
            "km_aumentado": by_vehicle and _raised_m(own, known.earlier) > RAISED_M,
        }
        found |= {(pattern, level, whose) for pattern, shows in shown.items() if shows}
    found |= {("aparelho_desviado", "aparelho", device) for device in biased_devices(trips)}
    return found


def _both_sides(trips: Iterable[TrueVerdict]) -> list[tuple[int, int, bool]]:
    """Declared and measured metres of the trips that agree, and whether odometers alone measured them."""
    return [
        (t.declared_m or 0, t.measured_m, all(s.odometer for s in t.segments))
        for t in trips
        if t.measured_m and t.verdict == "ok" and t.covered
    ]


def _is_biased(trips: Iterable[TrueVerdict]) -> bool:
    """Within the tolerance each, and yet together off: by more than 5 %, nearly always to the same side; or
    by as much as instruments are not, more often to one side than coins fall."""
    sides = _both_sides(trips)
    if len(sides) < LEAST_TRIPS:
        return False
    measured = sum(m for _, m, _ in sides)
    off = sum(d - m for d, m, _ in sides)
    one_way = [(d - m) * (1 if off > 0 else -1) for d, m, _ in sides]
    often = 100 * sum(apart > 0 for apart in one_way) >= SAME_SIGN_PERCENT * len(sides)
    if often and 100 * abs(off) > BIAS_PERCENT * measured:
        return True
    there = sum(apart > TYPED_M for apart in one_way)
    thrown = there + sum(apart < -TYPED_M for apart in one_way)
    chance = Fraction(sum(comb(thrown, n) for n in range(there, thrown + 1)), 2**thrown)
    normal = sum(m * (LEAST_BIAS_PERCENT if good else LEAST_BIAS_PERCENT_OF_TRACKERS) for _, m, good in sides)
    return chance < Fraction(1, ONE_CHANCE_IN) and 100 * abs(off) > normal


def _adds_the_same(trips: Iterable[TrueVerdict]) -> bool:
    """The same metres too much, whether a trip is short or long."""
    sides = _both_sides(trips)
    if len(sides) < LEAST_TRIPS:
        return False
    usual = sorted(d - m for d, m, _ in sides)[(len(sides) - 1) // 2]
    same = [m for d, m, _ in sides if abs(d - m - usual) <= TYPED_M]
    return (
        usual >= CONSTANT_M
        and 100 * len(same) >= SAME_SIGN_PERCENT * len(sides)
        and 2 * max(same) >= 3 * min(same)
    )


def _is_round(trips: Sequence[TrueVerdict]) -> bool:
    whole = sum(
        t.declared_m is not None
        and t.declared_m % ROUND_M == 0
        and (t.measured_m is None or abs(t.declared_m - t.measured_m) > WHOLE_M)
        for t in trips
    )
    return len(trips) >= LEAST_TRIPS and 2 * whole > len(trips)


def _is_always_the_same(trips: Iterable[TrueVerdict]) -> bool:
    """One distance in most trips, though what was measured varies."""
    both = [(t.declared_m, t.measured_m) for t in trips if t.measured_m is not None]
    if len(both) < LEAST_TRIPS:
        return False
    distance, often = Counter(d for d, _ in both).most_common(1)[0]
    measured = [m for d, m in both if d == distance]
    spread = max(measured) - min(measured)
    mean_shown = 100 * spread * len(measured) > SPREAD_PERCENT * sum(measured)
    return 2 * often > len(both) and mean_shown and spread > SPREAD_M


def _breaks(trips: Iterable[TrueVerdict]) -> int:
    """How often an odometer does not continue where the declared trip before ended."""

    def driven(trip: TrueVerdict) -> datetime:
        moved = "data_ou_horario_a_corrigir" in trip.kinds
        return trip.segments[0].departure if moved else trip.departure

    said = [t.declared for t in sorted(trips, key=driven) if t.declared]
    return sum(abs(after.km_out_m - before.km_in_m) > BREAK_M for before, after in pairwise(said))


def _raised_m(trips: Iterable[TrueVerdict], earlier: Iterable[DeclaredTrip]) -> int:
    """How far the declared trips go beyond what an earlier version asked, and beyond what was measured."""
    first: dict[tuple[str, datetime], int] = {}
    for trip in earlier:
        key = trip.substitute or trip.plate, trip.departure
        first[key] = min(trip.distance_m, first.get(key, trip.distance_m))
    over = [
        (t.declared_m or 0) - max(first[t.plate, t.departure], t.measured_m or 0)
        for t in trips
        if (t.plate, t.departure) in first
    ]
    return sum(more for more in over if more > TYPED_M)


def _companies(trips: Iterable[TrueVerdict]) -> Iterable[str]:
    return (t.declared.company for t in trips if t.declared)
