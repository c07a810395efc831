"""The truth about devices whose odometer and tracker tell different distances: neither is believed alone."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from telemetria_pipeline_tests.golden.trips import TrueVerdict, agree

LEAST_TRIPS, LEAST_M = 20, 300_000
APART_PERCENT = 10


def biased_devices(trips: Sequence[TrueVerdict]) -> dict[str, tuple[int, int]]:
    """Those of a cycle, with the metres by odometer and by tracker."""
    of: dict[str, list[TrueVerdict]] = defaultdict(list)
    for trip in trips:
        if trip.device and _rests_on_odometer(trip):
            of[trip.device].append(trip)
    found = {}
    for device, own in of.items():
        odometer, tracker = sum(t.measured_m or 0 for t in own), sum(_reported(t) for t in own)
        enough = len(own) >= LEAST_TRIPS and min(odometer, tracker) >= LEAST_M
        if enough and 100 * abs(odometer - tracker) > APART_PERCENT * tracker:
            found[device] = odometer, tracker
    return found


def disbelieved(trips: Sequence[TrueVerdict], biased: Mapping[str, tuple[int, int]]) -> list[TrueVerdict]:
    """A cycle's trips, of which those that biased devices measured stay open; who asks for more than either
    instrument tells gets the longer one."""
    return [_disbelieved(trip) if trip.device in biased else trip for trip in trips]


def _disbelieved(trip: TrueVerdict) -> TrueVerdict:
    if not trip.declared or not _rests_on_odometer(trip) or trip.basis not in ("acordo", "medido"):
        return trip
    claimed, reported = trip.declared.distance_m, _reported(trip)
    confirmed = trip.verdict != "divergente" or agree(claimed, reported)
    if not confirmed and claimed > max(trip.measured_m or 0, reported):
        return replace(trip, audited_m=max(trip.audited_m, reported))
    return replace(trip, verdict="inconclusivo", basis="boletim_substitui", audited_m=claimed)


def _rests_on_odometer(trip: TrueVerdict) -> bool:
    return bool(trip.segments) and all(s.odometer for s in trip.segments)


def _reported(trip: TrueVerdict) -> int:
    """What the tracker says of it; of a segment that several trips share, its part."""
    whole = sum(s.metres for s in trip.segments)
    return sum(s.reported for s in trip.segments) * (trip.measured_m or 0) // whole if whole else 0
