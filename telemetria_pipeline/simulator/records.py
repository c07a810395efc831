"""What the carrier's books hold of a trip at an instant: running, late, amended, and the garbage beside it.

`Carrier.story` says once and for all what happens to a trip's record; `Carrier.entries` tells it as of an
instant, and a dialect writes the entries as its API does. `truth` reads the same stories, so what is served
and what is true cannot drift apart.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from telemetria_pipeline.simulator.chance import between, digest, draw
from telemetria_pipeline.simulator.faults import ODOMETER_FAULTS, FaultPlan
from telemetria_pipeline.simulator.fleet import LONGEST_TRIP, Driver, Fleet, Trip, Vehicle

# Below this a jump of 5,000 km could be read as a unit slip (5,000 / 5 = 1,000).
SHORTEST_SLIP_M = 6_000
JUMP_M = 5_000_000
WRAPS_M = (100_000_000, 1_000_000_000)
UNIT_SLIPS = (1000, 1.609, 10)
# A second tracker in the same vehicle: its clock is late, and it counts from the day it was mounted.
SECOND_CLOCK, SECOND_SCALE = timedelta(seconds=17), 1.004
OPTIONAL_FIELDS = ("max_speed_kmh", "driving_seconds", "stopped_seconds", "next_departure", "odometer_m")


@dataclass(frozen=True, slots=True)
class Silence:
    """Devices that are not heard: trips of these vehicles that depart in [start, end) are never listed."""

    vehicle_ids: Collection[str]
    start: datetime
    end: datetime

    def hides(self, trip: Trip) -> bool:
        """Whether the trip is one of them."""
        return self.start <= trip.departure < self.end and trip.vehicle.id in self.vehicle_ids


@dataclass(frozen=True, slots=True)
class Exchange:
    """Two vehicles whose devices changed places: what either drives that departs in [start, end) is told as
    the other's."""

    vehicles: tuple[Vehicle, Vehicle]
    start: datetime
    end: datetime

    def told(self, trip: Trip) -> Trip:
        """The trip as the API has it; and of that one, the trip as it was."""
        if trip.vehicle not in self.vehicles or not self.start <= trip.departure < self.end:
            return trip
        one, other = self.vehicles
        return replace(trip, vehicle=other if trip.vehicle == one else one)


@dataclass(frozen=True, slots=True)
class Reading:
    """What the device reports of a finished trip; metres. An odometer may be None (not sent) or 0."""

    arrival: datetime
    distance_m: float
    odometer_departure_m: int | None
    odometer_arrival_m: int | None


@dataclass(frozen=True, slots=True)
class Entry:
    """A row of the carrier's books, for a dialect to write; metres, instants in UTC.

    `trip` is what it was made from, `arrival` None while it runs. `distance_m` may be a text that is no
    number. `absent` names the one of `OPTIONAL_FIELDS` that is not sent.
    """

    id: str
    trip: Trip
    vehicle: Vehicle | None
    driver: Driver | None
    updated: datetime
    departure: datetime
    arrival: datetime | None
    distance_m: float | str
    odometer_departure_m: int | None
    odometer_arrival_m: int | None
    driving_seconds: int
    stopped_seconds: int | None = None
    next_departure: datetime | None = None
    absent: str | None = None
    faults: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Story:
    """A trip's record through time.

    From departure to arrival it is running (unless it is late: then it shows only once `published`);
    from `published` on it has the values `first`, from `revised` on the values `last`.
    """

    trip: Trip
    faults: frozenset[str]
    published: datetime
    revised: datetime | None
    first: Reading
    last: Reading

    @property
    def reissued_id(self) -> str:
        """The id that a re-issued record gets."""
        return fake_id(self.trip, "reissued")

    def is_running(self, as_of: datetime) -> bool:
        """Whether the API shows the trip without an arrival."""
        return "late" not in self.faults and self.trip.departure <= as_of < self.trip.arrival

    def versions(self, as_of: datetime) -> list[tuple[str, datetime, Reading]]:
        """The records (id, updated at, values) of the finished trip that the API shows; the last is true."""
        if as_of < self.published:
            return []
        first = (self.trip.id, self.published, self.first)
        if self.revised is None or as_of < self.revised:
            return [first]
        if "reissued" in self.faults:
            return [first, (self.reissued_id, self.revised, self.last)]
        return [(self.trip.id, self.revised, self.last)]


def fake_id(trip: Trip, what: str) -> str:
    """The id of a further record made from a trip."""
    return f"t-{digest(trip.id, what).hex()}"


def instant(when: datetime) -> str:
    """`2026-03-10T07:03:12Z`."""
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Carrier:
    """The carrier's system: a fleet's trips as they are reported, with a plan's data faults.

    `second_trackers` are ids of vehicles that another carrier hears too, and that are heard here by a second
    device; devices changed places by `exchanges`. `without` are data faults that its API cannot have; trips
    below `shortest_slip_m` have no odometer fault, because nobody could tell it from a rounded distance.
    """

    def __init__(
        self,
        fleet: Fleet,
        plan: FaultPlan,
        silences: Sequence[Silence] = (),
        second_trackers: Collection[str] = (),
        without: Collection[str] = (),
        shortest_slip_m: int = SHORTEST_SLIP_M,
        exchanges: Sequence[Exchange] = (),
    ) -> None:
        self.fleet = fleet
        self.plan = plan
        self.silences = tuple(silences)
        self.exchanges = tuple(exchanges)
        self._second_trackers = frozenset(second_trackers)
        self._without = frozenset(without)
        self._shortest_slip_m = shortest_slip_m

    def trips(self, start: datetime, end: datetime, vehicle: Vehicle | None = None) -> list[Trip]:
        """The trips, of one vehicle or of all, that depart in [start, end) and that the carrier hears of."""
        driven = self.fleet.trips(start - SECOND_CLOCK, end)
        heard = [second_heard(t) if t.vehicle.id in self._second_trackers else t for t in driven]
        heard = [t for t in heard if start <= t.departure < end]
        heard = [t for t in heard if not any(silence.hides(t) for silence in self.silences)]
        told = [self._told(t) for t in heard]
        return [t for t in told if vehicle in (None, t.vehicle)]

    def story(self, trip: Trip) -> Story:
        """What happens to a trip's record; the same at every instant."""
        faults = self.plan.on_trip(trip.id) - self._without
        if trip.distance_m < self._shortest_slip_m:
            faults -= {*ODOMETER_FAULTS}
        if trip.vehicle.id in self.plan.sound_odometers:
            faults -= {*ODOMETER_FAULTS, "missing_field"}
        published, revised = trip.arrival, None
        if "late" in faults:
            published += timedelta(seconds=int(between(3600, 8 * 3600, trip.id, "late")))
        last = first = Reading(trip.arrival, trip.gps_m, trip.odometer_departure_m, trip.odometer_arrival_m)
        if faults & {"amended", "reissued"}:
            revised = published + timedelta(seconds=int(between(3600, 6 * 3600, trip.id, "revised")))
            first = cut_short(trip, between(0.85, 0.95, trip.id, "cut"))
        return Story(
            trip,
            faults,
            published,
            revised,
            self._misread(trip, faults, first),
            self._misread(trip, faults, last),
        )

    def entries(
        self,
        start: datetime,
        end: datetime,
        as_of: datetime,
        vehicle: Vehicle | None = None,
        *,
        departing: bool = False,
    ) -> list[Entry]:
        """What the books hold of [start, end) as of `as_of`: the trips that overlap it, or only those
        `departing` in it, with the garbage and copies among them.

        True entries come by departure, then vehicle.
        """
        rows: list[tuple[float, Entry]] = []
        for trip in self.trips(start if departing else start - LONGEST_TRIP, end, vehicle):
            story = self.story(trip)
            for entry in self._shown(story, start, as_of):
                rows.append((len(rows), entry))
                if "duplicate" in story.faults:
                    further = 0.5 + int(between(0, 30, trip.id, "copy"))
                    rows.append((len(rows) + further, entry))
        rows.sort(key=lambda row: row[0])
        return [entry for _, entry in rows]

    def _shown(self, story: Story, start: datetime, as_of: datetime) -> Iterator[Entry]:
        if story.is_running(as_of):
            if as_of > start:
                yield self._running(story, as_of)
            return
        versions = [v for v in story.versions(as_of) if v[2].arrival > start]
        # Half of the re-issued records come before the one that they replace.
        if draw(story.trip.id, "order") < 0.5:
            versions.reverse()
        for version in versions:
            yield self._finished(story, version, as_of)
        if versions:
            yield from self._garbage(story, as_of)

    def _finished(self, story: Story, version: tuple[str, datetime, Reading], as_of: datetime) -> Entry:
        record_id, updated, reading = version
        trip = story.trip
        leaves = self.fleet.next_departure(self._told(trip))
        driven = int((reading.arrival - trip.departure).total_seconds())
        return replace(
            self._running(story, updated),
            id=record_id,
            arrival=reading.arrival,
            distance_m=reading.distance_m,
            odometer_departure_m=reading.odometer_departure_m,
            odometer_arrival_m=reading.odometer_arrival_m,
            driving_seconds=min(trip.driving_seconds, driven),
            stopped_seconds=int((leaves - reading.arrival).total_seconds()) if leaves <= as_of else None,
            next_departure=leaves if leaves <= as_of else None,
            absent=_absent_field(trip) if "missing_field" in story.faults else None,
        )

    def _running(self, story: Story, as_of: datetime) -> Entry:
        """A trip under way at `as_of`: no arrival, and the distance so far."""
        trip, faults = story.trip, story.faults
        gone = min((as_of - trip.departure) / (trip.arrival - trip.departure), 1)
        return Entry(
            id=trip.id,
            trip=trip,
            vehicle=trip.vehicle,
            driver=None if "null_driver" in faults else trip.driver,
            updated=as_of,
            departure=trip.departure,
            arrival=None,
            distance_m=round(trip.gps_m * gone, 1),
            odometer_departure_m=trip.odometer_departure_m,
            odometer_arrival_m=None,
            driving_seconds=int(trip.driving_seconds * gone),
            faults=faults,
        )

    def _garbage(self, story: Story, as_of: datetime) -> Iterator[Entry]:
        """Rows beside a finished trip that are not this window's trips or nobody's at all."""
        trip, faults = story.trip, story.faults
        if "outside_window" in faults:
            earlier = trip.day - timedelta(days=2 + int(between(0, 4, trip.id, "earlier")))
            others = self.fleet.on_day(trip.vehicle, earlier)
            if others:
                other = self.story(others[int(between(0, len(others), trip.id, "which"))])
                for version in other.versions(as_of)[-1:]:
                    yield self._finished(other, version, as_of)
        if "future" in faults:
            minutes = between(6, 300, trip.id, "ahead")
            far = datetime(2099, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
            departure = far if draw(trip.id, "2099") < 0.5 else as_of + timedelta(minutes=minutes)
            yield self._invented(story, "future", departure, as_of)
        # A trip's own vehicle cannot leave again within its first minute, so no true key is hit.
        soon = trip.departure + timedelta(seconds=1 + int(between(0, 58, trip.id, "soon")))
        if "no_vehicle" in faults:
            yield replace(self._invented(story, "no_vehicle", soon, as_of), vehicle=None)
        if "bad_distance" in faults:
            entry = self._invented(story, "bad_distance", soon, as_of)
            distance = "abc" if draw(trip.id, "abc") < 0.5 else -story.last.distance_m
            yield replace(entry, distance_m=distance, odometer_departure_m=None, odometer_arrival_m=None)

    def _told(self, trip: Trip) -> Trip:
        for exchange in self.exchanges:
            trip = exchange.told(trip)
        return trip

    def _invented(self, story: Story, what: str, departure: datetime, as_of: datetime) -> Entry:
        """An entry in the shape of `story`'s, of a trip that never was."""
        trip = story.trip
        version = (fake_id(trip, what), story.published, story.last)
        return replace(
            self._finished(replace(story, faults=frozenset()), version, as_of),
            departure=departure,
            arrival=departure + (trip.arrival - trip.departure),
            next_departure=None,
            stopped_seconds=None,
        )

    def _misread(self, trip: Trip, faults: frozenset[str], reading: Reading) -> Reading:
        """The reading after the odometer's slip, if the trip has one."""
        left, arrived = trip.odometer_departure_m, reading.odometer_arrival_m
        assert arrived is not None
        chosen = draw(trip.id, "slip")
        if "odometer_zero" in faults:
            pair = ((0, arrived), (left, 0), (0, 0))[int(3 * chosen)]
        elif "odometer_regression" in faults:
            pair = (arrived, left)
        elif "odometer_rollover" in faults:
            wrap = WRAPS_M[int(2 * chosen)]
            before = int((arrived - left) * between(0.2, 0.8, trip.id, "before"))
            pair = (wrap - before, arrived - left - before)
        elif "odometer_jump" in faults:
            pair = (left, arrived + JUMP_M)
        elif "odometer_unit" in faults:
            factor = UNIT_SLIPS[int(3 * chosen)]
            pair = (round(left * factor), round(arrived * factor))
        else:
            pair = (left, arrived)
        unsent = "missing_field" in faults and _absent_field(trip) == "odometer_m"
        return replace(reading, odometer_departure_m=None if unsent else pair[0], odometer_arrival_m=pair[1])


def second_heard(trip: Trip) -> Trip:
    """The trip as a second tracker in the vehicle hears it."""
    readings = (trip.odometer_departure_m, trip.odometer_arrival_m)
    out, back = (round((metres - trip.vehicle.base_m) * SECOND_SCALE) for metres in readings)
    return replace(
        trip,
        departure=trip.departure + SECOND_CLOCK,
        arrival=trip.arrival + SECOND_CLOCK,
        odometer_departure_m=out,
        odometer_arrival_m=back,
        gps_m=round(trip.gps_m * SECOND_SCALE, 1),
    )


def cut_short(trip: Trip, share: float) -> Reading:
    """The first part of a trip: the device lost its signal and caught up later, or is still on its way."""
    return Reading(
        trip.departure + timedelta(seconds=round((trip.arrival - trip.departure).total_seconds() * share)),
        round(trip.gps_m * share, 1),
        trip.odometer_departure_m,
        trip.odometer_departure_m + round(trip.distance_m * share),
    )


def _absent_field(trip: Trip) -> str:
    return OPTIONAL_FIELDS[int(between(0, len(OPTIONAL_FIELDS), trip.id, "absent"))]
