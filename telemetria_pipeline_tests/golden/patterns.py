"""The truth about habits: what no single trip of a cycle shows, by vehicle, driver and carrier."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

from telemetria_pipeline.simulator.golden.cast import Member
from telemetria_pipeline_tests.golden.trips import TrueVerdict, plain

Pattern = tuple[str, str, str]
"""Pattern, level, and whose: a plate, a driver's plain name, a carrier's plain name."""

LEAST_TRIPS = 20
BIAS_PERCENT, SAME_SIGN_PERCENT = 5, 80
ROUND_M = 10_000
SPREAD_PERCENT, SPREAD_M = 10, 1_000
BREAK_M, LEAST_BREAKS = 1_000, 3


def true_patterns(trips: Sequence[TrueVerdict], members: Mapping[str, Member]) -> set[Pattern]:
    """All patterns of a cycle's trips."""
    found: set[Pattern] = set()
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
            "numeros_redondos": _is_round(own),
            "km_repetido": by_vehicle and _is_always_the_same(own),
            "odometro_descontinuo": by_vehicle and _breaks(own) >= LEAST_BREAKS,
            "duas_transportadoras": by_vehicle and len({plain(c) for c in _companies(own)}) > 1,
        }
        found |= {(pattern, level, whose) for pattern, shows in shown.items() if shows}
    return found


def _is_biased(trips: Iterable[TrueVerdict]) -> bool:
    """Within the tolerance each, and yet together more than 5 % off, nearly always to the same side."""
    sides = [
        (t.declared_m or 0, t.measured_m)
        for t in trips
        if t.measured_m is not None and t.verdict == "ok" and t.covered
    ]
    if len(sides) < LEAST_TRIPS:
        return False
    measured = sum(m for _, m in sides)
    off = sum(d - m for d, m in sides)
    side = sum(d > m if off > 0 else d < m for d, m in sides)
    return 100 * abs(off) > BIAS_PERCENT * measured and 100 * side >= SAME_SIGN_PERCENT * len(sides)


def _is_round(trips: Sequence[TrueVerdict]) -> bool:
    whole = sum(t.declared_m is not None and t.declared_m % ROUND_M == 0 for t in trips)
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
    said = [t.declared for t in sorted(trips, key=lambda t: t.departure) if t.declared]
    return sum(abs(after.km_out_m - before.km_in_m) > BREAK_M for before, after in pairwise(said))


def _companies(trips: Iterable[TrueVerdict]) -> Iterable[str]:
    return (t.declared.company for t in trips if t.declared)
