"""Kilometres that may be thousands: `45,230`, and the 45.23 that Excel makes of 45.230.

A cell alone cannot tell. What tells is the distance that the sender gives beside it, the vehicle's last known
odometer, and the clock: 27 km in 40 minutes is a trip, 27 metres is none, and neither is 27,000 km.
"""

from collections.abc import Mapping

import numpy as np

SMALL_KM = 1_000
"""Odometers below this, with decimals, may have lost a thousands separator."""

_SLOW_KMH = 5
_PROOF = 3  # rows


def small(odometer: np.ndarray) -> np.ndarray:
    """Which odometers Excel may have made of thousands: below 1,000 km, with one to three decimals."""
    with np.errstate(invalid="ignore"):
        decimals = (odometer != np.floor(odometer)) & (np.round(odometer, 3) == odometer)
        return (odometer > 0) & (odometer < SMALL_KM) & decimals


def three_decimals(odometer: np.ndarray) -> np.ndarray:
    """Which small odometers have exactly three decimals, as a thousands separator leaves behind it."""
    return small(odometer) & (np.round(odometer, 2) != odometer)


def are_thousands(
    km: Mapping[str, np.ndarray],
    doubtful: Mapping[str, np.ndarray],
    hours: np.ndarray,
    known_km: np.ndarray,
    most_kmh: float,
    tolerance_km: float,
) -> bool | None:
    """Whether the doubtful numbers of a file are thousands; None where that is open.

    One sender writes all alike, so that one row speaks for all. The distance that stands beside it and the
    vehicle's last known odometer (within half and twice of it) come first, unless they contradict each other;
    then the clock, where only one reading gives a mean speed from 5 km/h up to the limit. By the clock
    thousands take three rows and decimals one, for a short trip is possible, and one of a thousand times the
    distance is not; a row for the other reading leaves it open.

    Args:
        km: `km_saida`, `km_chegada`, `km_rota` with the sign as a decimal one; NaN where there is none.
        doubtful: masks of the same, where the value may be a thousand times as much.
        hours: duration of each trip, NaN where unknown.
        known_km: the last known odometer of each row's vehicle, NaN where unknown.
    """
    rows = np.flatnonzero(np.any(list(doubtful.values()), axis=0))
    out, into, route = (km[name][rows] for name in ("km_saida", "km_chegada", "km_rota"))
    more = {name: np.where(mask[rows], 1000.0, 1.0) for name, mask in doubtful.items()}
    with np.errstate(invalid="ignore", divide="ignore"):
        plain, grouped = into - out, into * more["km_chegada"] - out * more["km_saida"]
        routes = (route * more["km_rota"], np.where(route != np.floor(route), route * 1000, np.nan))
        says_grouped = np.any([np.abs(grouped - r) <= tolerance_km for r in routes], axis=0)
        # A distance that was calculated from two eaten odometers agrees with them, and proves nothing.
        says_plain = (np.abs(plain - route) <= tolerance_km) & (plain >= tolerance_km)
        plainly, as_thousands = (says_plain & ~says_grouped).any(), (says_grouped & ~says_plain).any()
        for name, value in (("km_saida", out), ("km_chegada", into)):
            near = [np.abs(np.log2(v / known_km[rows])) <= 1 for v in (value, value * more[name])]
            plainly |= (near[0] & ~near[1]).any()
            as_thousands |= (near[1] & ~near[0]).any()
        if plainly or as_thousands:
            return None if plainly and as_thousands else bool(as_thousands)
        slow, fast = _SLOW_KMH * hours[rows], most_kmh * hours[rows]
        likely = [(distance >= slow) & (distance <= fast) for distance in (plain, grouped)]
    count = [int((mine & ~others).sum()) for mine, others in (likely, likely[::-1])]
    if count[0] and not count[1]:
        return False
    return True if count[1] >= _PROOF and not count[0] else None
