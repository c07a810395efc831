"""What the fleet really drives in the golden month: some vehicles stand where others would go on."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta

from telemetria_pipeline.simulator.fleet import Fleet, Trip, Vehicle

Span = tuple[datetime, datetime]
DAY = timedelta(days=1)


class GoldenFleet(Fleet):
    """A fleet of which some vehicles stand for a while: by vehicle id, from when to when.

    Who would depart meanwhile does not, and the odometer goes on where it stood.
    """

    def __init__(self, seed: int, vehicles: int, timezone: str, stands: Mapping[str, Sequence[Span]]) -> None:
        super().__init__(seed, vehicles, timezone)
        self._stands = stands

    def _make_vehicle_day(self, vehicle: Vehicle, day: date) -> tuple[Trip, ...]:
        spans = self._stands.get(vehicle.id, ())
        trips, spared = [], sum(self._spared_m(vehicle, span, day) for span in spans)
        for trip in super()._make_vehicle_day(vehicle, day):
            if any(start <= trip.departure < end for start, end in spans):
                spared += trip.distance_m
            else:
                out, arrived = trip.odometer_departure_m - spared, trip.odometer_arrival_m - spared
                trips.append(replace(trip, odometer_departure_m=out, odometer_arrival_m=arrived))
        return tuple(trips)

    def _spared_m(self, vehicle: Vehicle, span: Span, until: date) -> int:
        """What it did not drive in a span, on days before `until`."""
        start, end = span
        days = [start.date() + n * DAY for n in range(-1, (end - start).days + 3)]
        trips = [t for d in days if d < until for t in super(GoldenFleet, self)._make_vehicle_day(vehicle, d)]
        return sum(t.distance_m for t in trips if start <= t.departure < end)
