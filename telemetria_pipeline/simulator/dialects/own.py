"""The simulator's own API: every field, and every way of paging."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from telemetria_pipeline.simulator.chance import draw
from telemetria_pipeline.simulator.dialects.base import Asked, Dialect, Record, window_of
from telemetria_pipeline.simulator.fleet import Driver, Fleet, Vehicle, as_typed
from telemetria_pipeline.simulator.records import Carrier, Entry, instant
from telemetria_pipeline.simulator.replies import Reply, Slice, json_reply, page_reply, text_reply


class Own(Dialect):
    """`/v1/trips`, `/v1/vehicles` and `/v1/vehicles/{id}/trips`: what overlaps [from, to)."""

    name = "simulator"

    def read(
        self, path: str, query: Mapping[str, str], fleet: Fleet, page_limit: int, now: datetime
    ) -> Asked | None:
        part = Slice.of(query, page_limit, now)
        match path.removeprefix("/v1/").split("/") if path.startswith("/v1/") else []:
            case ["vehicles"]:
                return Asked(part)
            case ["trips"]:
                return Asked(part, window_of(query))
            case ["vehicles", named, "trips"]:
                vehicle = next((v for v in fleet.vehicles if v.id == named), None)
                return None if vehicle is None else Asked(part, window_of(query), vehicle)
        return None

    def vehicles(self, fleet: Fleet) -> list[Record]:
        return [{**_asset(v, v.plate), "garage": v.garage} for v in fleet.vehicles]

    def trips(
        self, carrier: Carrier, start: datetime, end: datetime, as_of: datetime, vehicle: Vehicle | None
    ) -> list[Record]:
        return [_record(entry) for entry in carrier.entries(start, end, as_of, vehicle)]

    def page(
        self, items: Sequence[Record], part: Slice, url: str, query: Mapping[str, str], fault: str | None
    ) -> Reply:
        return page_reply(items, part, url, query, fault)

    def error(self, status: int, code: str, message: str, headers: Mapping[str, str]) -> Reply:
        return json_reply({"error": {"code": code, "message": message}}, status, headers)

    def bad_request(self, message: str) -> Reply:
        return text_reply(message, 400)

    def vehicle_id(self, vehicle: Vehicle) -> str:
        return vehicle.id

    def driver_id(self, driver: Driver) -> str:
        return driver.id


def _record(entry: Entry) -> Record:
    trip = entry.trip
    finished = entry.arrival is not None
    record: Record = {
        "id": entry.id,
        "status": "completed" if finished else "running",
        "updated_at": instant(entry.updated),
        "asset": _asset_of(entry),
        "garage": trip.vehicle.garage,
        "driver": {"id": entry.driver.id, "name": entry.driver.name} if entry.driver else None,
        "departure": _stop(entry.departure, trip.origin, entry.odometer_departure_m),
        "arrival": entry.arrival and _stop(entry.arrival, trip.destination, entry.odometer_arrival_m),
        "next_departure": entry.next_departure and instant(entry.next_departure),
        "distance_m": entry.distance_m,
        "max_speed_kmh": trip.max_speed_kmh,
        "driving_seconds": entry.driving_seconds,
        "stopped_seconds": entry.stopped_seconds,
    }
    if "unknown_field" in entry.faults:
        record["firmware"] = "4.2.1"
    if entry.absent == "odometer_m":
        del record["departure"]["odometer_m"]
    elif entry.absent:
        del record[entry.absent]
    return record


def _stop(when: datetime, place: str, odometer_m: int | None) -> Record:
    return {"time": instant(when), "place": place, "odometer_m": odometer_m}


def _asset_of(entry: Entry) -> Record | None:
    vehicle = entry.trip.vehicle
    if entry.vehicle is None:  # said in two ways
        return None if draw(entry.trip.id, "asset") < 0.5 else dict.fromkeys(_asset(vehicle, None))
    hidden = "plate_only_in_description" in entry.faults
    return _asset(vehicle, None if hidden else as_typed(vehicle.plate, entry.trip.id))


def _asset(vehicle: Vehicle, registration: str | None) -> Record:
    return {
        "id": vehicle.id,
        "description": vehicle.description,
        "registration": registration,
        "timezone": vehicle.timezone,
    }
