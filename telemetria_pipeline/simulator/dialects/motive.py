"""In the shape of Motive: driving periods by UTC day, records wrapped twice, distances as texts in miles."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta

from telemetria_pipeline.simulator.dialects.base import YEARS, Asked, Dialect, Record, absent, number
from telemetria_pipeline.simulator.fleet import Driver, Fleet, Vehicle
from telemetria_pipeline.simulator.records import Carrier, Entry, instant
from telemetria_pipeline.simulator.replies import BadRequest, Reply, Slice, count, json_reply

MILE_M = 1609.344
LONGEST_DAYS, LARGEST_PAGE = 30, 100
SEVERAL_MILES_M = 17_000


class Motive(Dialect):
    """`/v1/driving_periods`: what departs on the UTC days from start_date to end_date, both counted.

    It shows no plate, only the fleet number; periods in progress have no arrival and no distance.
    """

    name = "motive"
    auth = ("X-Api-Key", "{}")
    # Errors have a status, and nothing says which of two records was updated last.
    without = frozenset({"error_in_200", "repeated_cursor", "reissued", "plate_only_in_description"})
    hides = frozenset({"placa", "garagem"})
    # A tenth of a mile hides that an odometer counts miles, unless many were driven.
    shortest_slip_m = SEVERAL_MILES_M

    def read(
        self, path: str, query: Mapping[str, str], fleet: Fleet, page_limit: int, now: datetime
    ) -> Asked | None:
        if path != "/v1/driving_periods":
            return None
        first, last = _day(query, "start_date"), _day(query, "end_date")
        if last < first:
            raise BadRequest("end_date must not lie before start_date")
        if (last - first).days >= LONGEST_DAYS:
            raise BadRequest(f"Date range cannot be greater than {LONGEST_DAYS} days")
        page, size = count(query, "page_no", 1), count(query, "per_page", 25)
        if page < 1 or not 1 <= size <= LARGEST_PAGE:
            raise BadRequest(f"page_no starts at 1, and per_page lies between 1 and {LARGEST_PAGE}")
        start, end = (datetime.combine(day, time(), UTC) for day in (first, last + timedelta(days=1)))
        return Asked(Slice("page", (page - 1) * size, size, now), (start, end))

    def vehicles(self, fleet: Fleet) -> list[Record]:
        return []

    def trips(
        self, carrier: Carrier, start: datetime, end: datetime, as_of: datetime, vehicle: Vehicle | None
    ) -> list[Record]:
        entries = carrier.entries(start, end, as_of, vehicle, departing=True)
        return [{"driving_period": self._period(entry)} for entry in entries]

    def page(
        self, items: Sequence[Record], part: Slice, url: str, query: Mapping[str, str], fault: str | None
    ) -> Reply:
        pagination = {"per_page": part.limit, "page_no": part.offset // part.limit + 1, "total": len(items)}
        return json_reply({"driving_periods": part.of_items(items, fault), "pagination": pagination})

    def error(self, status: int, code: str, message: str, headers: Mapping[str, str]) -> Reply:
        return json_reply({"error_message": message}, status, headers)

    def vehicle_id(self, vehicle: Vehicle) -> str:
        return str(540_000 + number(vehicle.id))

    def driver_id(self, driver: Driver) -> str:
        return str(2_000_000 + number(driver.id))

    def record_id(self, entry_id: str) -> str:
        return str(number(entry_id))

    def reported_km(self, metres: float) -> float:
        return float(_miles(metres)) * MILE_M / 1000

    def _period(self, entry: Entry) -> Record:
        trip, running = entry.trip, entry.arrival is None
        distance = entry.distance_m if isinstance(entry.distance_m, str) else f"{_miles(entry.distance_m)} mi"
        record: Record = {
            "id": int(self.record_id(entry.id)),
            "start_time": instant(entry.departure),
            "end_time": entry.arrival and instant(entry.arrival),
            "status": "in_progress" if running else "complete",
            "type": "driving",
            "annotation_status": None,
            "notes": None,
            "duration": float(entry.driving_seconds),
            "start_kilometers": _km(entry.odometer_departure_m),
            "end_kilometers": _km(entry.odometer_arrival_m),
            "source": None,
            "driver": self._driver(entry.driver) if entry.driver else None,
            "vehicle": self._vehicle(entry.vehicle) if entry.vehicle else None,
            "origin": trip.origin,
            "destination": "" if running else trip.destination,
            "distance": None if running else distance,
        }
        if "unknown_field" in entry.faults:
            record["start_hvb_state_of_charge"] = 0.71
        return absent(entry, {"driving_seconds": "duration", "odometer_m": "start_kilometers"}, record)

    def _driver(self, driver: Driver) -> Record:
        first, _, last = driver.name.partition(" ")
        return {"id": int(self.driver_id(driver)), "first_name": first, "last_name": last, "role": "driver"}

    def _vehicle(self, vehicle: Vehicle) -> Record:
        number_ = vehicle.fleet_number
        return {"id": int(self.vehicle_id(vehicle)), "number": number_, "make": None, "metric_units": True}


def _miles(metres: float) -> str:
    return f"{metres / MILE_M:.1f}"


def _km(metres: int | None) -> float | None:
    return None if metres is None else metres / 1000


def _day(query: Mapping[str, str], name: str) -> date:
    try:
        day = date.fromisoformat(query.get(name, ""))
    except ValueError:
        day = None
    if day is None or day.year not in YEARS:
        raise BadRequest(f"{name} must be a day like 2026-03-10")
    return day
