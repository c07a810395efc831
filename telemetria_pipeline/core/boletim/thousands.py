"""Kilometres that may be thousands: `45,230`, and the 45.23 that Excel makes of 45.230.

A cell alone cannot tell. What tells is the distance that the sender gives beside it, the vehicle's last known
odometer, and the clock: 27 km in 40 minutes is a trip, 27 metres is none, and neither is 27,000 km.
"""

from collections.abc import Mapping

import numpy as np

SMALL_KM = 1_000
"""Odometers below this, with decimals, may have lost a thousands separator."""

_SLOW_KMH, _STRONG = 5, 3


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

    One sender writes all alike, so each row has a voice: by its distance, by the vehicle's last known
    odometer (within half and twice of it), each as good as three, and by the clock (a mean speed of 5 km/h up
    to the limit by one reading only). Thousands need three voices, decimals one, for a short trip is possible
    and one of a thousand times the distance is not; and neither stands against a voice for the other.

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
        strong = [says_plain & ~says_grouped], [says_grouped & ~says_plain]
        for name, value in (("km_saida", out), ("km_chegada", into)):
            near = [np.abs(np.log2(v / known_km[rows])) <= 1 for v in (value, value * more[name])]
            strong[0].append(near[0] & ~near[1])
            strong[1].append(near[1] & ~near[0])
        likely = [(d >= _SLOW_KMH * hours[rows]) & (d <= most_kmh * hours[rows]) for d in (plain, grouped)]
    voices = [
        _STRONG * sum(int(mask.sum()) for mask in says) + int((likely[i] & ~likely[1 - i]).sum())
        for i, says in enumerate(strong)
    ]
    if voices[0] and not voices[1]:
        return False
    return True if voices[1] >= _STRONG and not voices[0] else None
