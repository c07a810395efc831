"""In the shape of Traccar 6: trips device by device, computed from the positions inside the window asked."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from email.message import Message

from telemetria_pipeline.simulator.dialects.base import Asked, Dialect, Record, absent, number, window_of
from telemetria_pipeline.simulator.fleet import Driver, Fleet, Trip, Vehicle
from telemetria_pipeline.simulator.records import Carrier, Entry, Reading, Story, cut_short
from telemetria_pipeline.simulator.replies import BadRequest, Reply, Slice, json_reply, text_reply

KNOT_KMH = 1.852


class Traccar(Dialect):
    """`/api/devices` and `/api/reports/trips`. The plate stands in the device's name and nowhere else.

    A trip that crosses the window's edge is cut there, and one that is under way ends where it is now.
    """

    name = "traccar"
    base = "/api"
    # A trip is computed, so none is issued again, and it is asked for by device, so none lacks its own.
    without = frozenset(
        {
            *("error_in_200", "repeated_page", "repeated_cursor"),
            *("reissued", "no_vehicle", "plate_only_in_description"),
        }
    )
    hides = frozenset({"equipamento", "garagem", "id_origem"})

    def refusal(self, headers: Message, token: str) -> Reply | None:
        if "application/json" not in headers.get("Accept", ""):
            return Reply(200, b"PK", {"Content-Type": "application/vnd.ms-excel"})
        return super().refusal(headers, token)

    def read(
        self, path: str, query: Mapping[str, str], fleet: Fleet, page_limit: int, now: datetime
    ) -> Asked | None:
        part = Slice("none", 0, page_limit, now)
        if path == "/api/devices":
            return Asked(part)
        if path != "/api/reports/trips":
            return None
        devices = {self.vehicle_id(vehicle): vehicle for vehicle in fleet.vehicles}
        if query.get("deviceId") not in devices:
            raise BadRequest("deviceId must name a device")
        return Asked(part, window_of(query), devices[query["deviceId"]])

    def vehicles(self, fleet: Fleet) -> list[Record]:
        return [
            {
                "id": int(self.vehicle_id(vehicle)),
                "name": _name(vehicle),
                "uniqueId": f"86{number(vehicle.id):013d}",
                "status": "online",
                "disabled": False,
                "category": "bus",
                "attributes": {},
            }
            for vehicle in fleet.vehicles
        ]

    def trips(
        self, carrier: Carrier, start: datetime, end: datetime, as_of: datetime, vehicle: Vehicle | None
    ) -> list[Record]:
        found = []
        for entry in carrier.entries(start, end, as_of, vehicle):
            whole = entry if entry.arrival else replace(entry, **asdict(_so_far(entry.trip, as_of)))
            assert whole.arrival
            crosses = whole.departure < end and whole.arrival > start
            found.append(self._trip(_cut(whole, start, end) if crosses else whole))
        return found

    def page(
        self, items: Sequence[Record], part: Slice, url: str, query: Mapping[str, str], fault: str | None
    ) -> Reply:
        return json_reply(items)

    def error(self, status: int, code: str, message: str, headers: Mapping[str, str]) -> Reply:
        said = text_reply(message, status)
        return replace(said, headers={**said.headers, **headers})

    def vehicle_id(self, vehicle: Vehicle) -> str:
        return str(number(vehicle.id))

    def driver_id(self, driver: Driver) -> str:
        return driver.id

    def versions(self, story: Story, as_of: datetime) -> list[tuple[str, datetime, Reading]]:
        if story.is_running(as_of):
            return [(story.trip.id, as_of, _so_far(story.trip, as_of))]
        return story.versions(as_of)

    def is_running(self, story: Story, as_of: datetime) -> bool:
        return False

    def _trip(self, entry: Entry) -> Record:
        vehicle, driver = entry.trip.vehicle, entry.driver
        assert entry.arrival
        record: Record = {
            "deviceId": int(self.vehicle_id(vehicle)),
            "deviceName": _name(vehicle),
            "distance": entry.distance_m,
            "averageSpeed": None,
            "maxSpeed": entry.trip.max_speed_kmh / KNOT_KMH,
            "duration": int((entry.arrival - entry.departure).total_seconds()),
            "startTime": _instant(entry.departure),
            "startOdometer": float(entry.odometer_departure_m or 0),
            "startAddress": entry.trip.origin,
            "endTime": _instant(entry.arrival),
            "endOdometer": float(entry.odometer_arrival_m or 0),
            "endAddress": entry.trip.destination,
            "driverUniqueId": driver.id if driver else None,
            "driverName": driver.name if driver else None,
        }
        if "unknown_field" in entry.faults:
            record["spentFuel"] = 11.5
        names = {"max_speed_kmh": "maxSpeed", "driving_seconds": "duration", "odometer_m": "startOdometer"}
        return absent(entry, names, record)


def _name(vehicle: Vehicle) -> str:
    """`GDP-4J68 Glória 3803`."""
    garage, fleet_number, plate = vehicle.description.removesuffix("-DVR").split("|")
    return f"{plate} {garage} {fleet_number}"


def _so_far(trip: Trip, as_of: datetime) -> Reading:
    """A trip under way, as one that ends where it is."""
    return cut_short(trip, _share(trip.departure, trip.arrival, as_of))


def _cut(entry: Entry, start: datetime, end: datetime) -> Entry:
    """The part of a trip whose positions lie in the window."""
    assert entry.arrival
    if start <= entry.departure and entry.arrival <= end:
        return entry
    left, arrived = max(entry.departure, start), min(entry.arrival, end)
    before, after = (_share(entry.departure, entry.arrival, when) for when in (left, arrived))
    distance, out, back = entry.distance_m, entry.odometer_departure_m, entry.odometer_arrival_m
    if out and back:
        out, back = (out + round((back - out) * share) for share in (before, after))
    return replace(
        entry,
        departure=left,
        arrival=arrived,
        distance_m=distance if isinstance(distance, str) else round(distance * (after - before), 1),
        odometer_departure_m=out,
        odometer_arrival_m=back,
    )


def _share(start: datetime, end: datetime, when: datetime) -> float:
    return (when - start) / (end - start)


def _instant(when: datetime) -> str:
    return when.astimezone(UTC).isoformat(timespec="milliseconds")
