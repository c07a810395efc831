"""What the fleet really drives in the golden month: some vehicles stand where others would go on, and the
odometer of one runs too fast."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta

from telemetria_pipeline.simulator.fleet import BOUGHT, Fleet, Trip, Vehicle
from telemetria_pipeline.simulator.golden.cast import ODOMETERS_APART, WOUND_PERCENT

Span = tuple[datetime, datetime]
DAY = timedelta(days=1)


class GoldenFleet(Fleet):
    """A fleet of which some vehicles stand for a while: by vehicle id, from when to when.

    Who would depart meanwhile does not, and the odometer goes on where it stood. The odometers of those in
    `wound` run too fast, while their trackers tell what was driven.
    """

    def __init__(
        self,
        seed: int,
        vehicles: int,
        timezone: str,
        stands: Mapping[str, Sequence[Span]],
        wound: Collection[str] = (),
    ) -> None:
        super().__init__(seed, vehicles, timezone)
        self._stands, self._wound = stands, frozenset(wound)

    def planned(self, vehicle: Vehicle, day: date) -> tuple[Trip, ...]:
        """What the vehicle would drive on a local day if it never stood."""
        return super()._make_vehicle_day(vehicle, day)

    def _make_vehicle_day(self, vehicle: Vehicle, day: date) -> tuple[Trip, ...]:
        spans = self._stands.get(vehicle.id, ())
        if not spans and vehicle.id not in self._wound:
            return self.planned(vehicle, day)
        trips, spared = [], sum(self._spared_m(vehicle, span, day) for span in spans)
        for trip in self.planned(vehicle, day):
            if any(start <= trip.departure < end for start, end in spans):
                spared += trip.distance_m
            else:
                out, arrived = (
                    self._shown(vehicle, metres - spared)
                    for metres in (trip.odometer_departure_m, trip.odometer_arrival_m)
                )
                trips.append(replace(trip, odometer_departure_m=out, odometer_arrival_m=arrived))
        return tuple(trips)

    def _shown(self, vehicle: Vehicle, metres: int) -> int:
        """What the odometer shows."""
        if vehicle.id not in self._wound:
            return metres
        apart = vehicle.base_m + (ODOMETERS_APART - BOUGHT).days * vehicle.daily_m
        return max(metres, apart + (metres - apart) * WOUND_PERCENT // 100)

    def _spared_m(self, vehicle: Vehicle, span: Span, until: date) -> int:
        """What it did not drive in a span, on days before `until`."""
        start, end = span
        days = [start.date() + n * DAY for n in range(-1, (end - start).days + 3)]
        trips = [t for d in days if d < until for t in self.planned(vehicle, d)]
        return sum(t.distance_m for t in trips if start <= t.departure < end)
