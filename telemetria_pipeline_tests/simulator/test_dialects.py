"""What the dialects look like on the wire; the carriers' tests read them with the shipped profiles."""

from collections.abc import Callable

import pytest

from telemetria_pipeline.simulator import FaultPlan
from telemetria_pipeline_tests.simulator.conftest import DAY, HOUR, TOKEN, Client, z

Serve = Callable[..., Client]


def periods(client: Client, **params: object) -> dict:
    asked = {"start_date": "2026-03-10", "end_date": "2026-03-10", "page_no": 1, "per_page": 100, **params}
    return client.get("/v1/driving_periods", params=asked, headers={"X-Api-Key": TOKEN}).json()


def test_motive_wraps_its_periods_twice_and_says_miles_and_kilometres(serve: Serve) -> None:
    client = serve(dialect="motive", as_of=DAY + 13.5 * HOUR)
    found = [row for page in (1, 2) for row in periods(client, page_no=page)["driving_periods"]]
    rows = [row["driving_period"] for row in found]
    assert [list(row) for row in found] == [["driving_period"]] * len(rows)
    assert {row["status"] for row in rows} == {"complete", "in_progress"}
    done = next(row for row in rows if row["status"] == "complete")
    running = next(row for row in rows if row["status"] == "in_progress")
    assert done["distance"].endswith(" mi")
    assert float(done["distance"][:-3]) * 1.609 == pytest.approx(
        done["end_kilometers"] - done["start_kilometers"], abs=1
    )
    assert (running["end_time"], running["end_kilometers"], running["distance"]) == (None, None, None)
    assert running["destination"] == ""
    assert not any("plate" in name for name in done["vehicle"])
    assert {row["start_time"][:10] for row in rows} == {"2026-03-10"}


def test_motive_counts_pages_and_days(serve: Serve) -> None:
    client = serve(dialect="motive")
    first, last = periods(client), periods(client, page_no=9)
    assert first["pagination"] == {"per_page": 100, "page_no": 1, "total": first["pagination"]["total"]}
    assert (len(first["driving_periods"]), last["driving_periods"]) == (100, [])
    two_days = periods(client, end_date="2026-03-11")["pagination"]["total"]
    assert 1.5 < two_days / first["pagination"]["total"] < 2.5
    for wrong, said in (
        ({"end_date": "2026-04-09"}, "Date range cannot be greater than 30 days"),
        ({"end_date": "2026-03-09"}, "end_date must not lie before start_date"),
        ({"start_date": "ontem"}, "start_date must be a day like 2026-03-10"),
        ({"per_page": 101}, "per_page lies between 1 and 100"),
    ):
        assert said in periods(client, **wrong)["error_message"]


def reports(client: Client, device: str, hours: tuple[float, float]) -> list[dict]:
    window = {"from": z(DAY + hours[0] * HOUR), "to": z(DAY + hours[1] * HOUR)}
    accepted = {"Accept": "application/json"}
    return client.get("/reports/trips", params={"deviceId": device, **window}, headers=accepted).json()


def test_traccar_shows_the_plate_in_the_devices_name_alone(serve: Serve) -> None:
    client = serve(dialect="traccar")
    devices = client.get("/devices", headers={"Accept": "application/json"}).json()
    vehicle = client.simulator.fleet.vehicles[0]
    assert len(devices) == len(client.simulator.fleet.vehicles)
    garage, number, plate = vehicle.description.removesuffix("-DVR").split("|")
    assert devices[0]["name"] == f"{plate} {garage} {number}"
    (first, *_) = reports(client, "1", (0, 24))
    assert (first["deviceId"], first["deviceName"]) == (1, devices[0]["name"])
    assert first["startTime"].endswith(".000+00:00")
    assert (
        client.get("/devices", headers={"Accept": "*/*"}).headers["Content-Type"]
        == "application/vnd.ms-excel"
    )
    unknown = {"deviceId": "99", "from": z(DAY), "to": z(DAY + HOUR)}
    answer = client.get("/reports/trips", params=unknown, headers={"Accept": "application/json"})
    assert (answer.status_code, answer.text) == (400, "deviceId must name a device")


def test_traccar_cuts_a_trip_at_the_windows_edge_and_where_it_is_now(serve: Serve) -> None:
    client = serve(dialect="traccar")
    trip = next(t for t in client.simulator.fleet.trips(DAY, DAY + 24 * HOUR) if t.distance_m > 30_000)
    device = str(int(trip.vehicle.id[2:]))
    middle = trip.departure + (trip.arrival - trip.departure) / 2

    def shown(hours: tuple[float, float]) -> dict:
        (found,) = [r for r in reports(client, device, hours) if r["startAddress"] == trip.origin]
        return found

    left, half, arrived = ((when - DAY) / HOUR for when in (trip.departure, middle, trip.arrival))
    whole = shown((left, arrived))
    parts = shown((left, half)), shown((half, arrived))
    assert whole["distance"] == trip.gps_m
    assert sum(part["distance"] for part in parts) == pytest.approx(trip.gps_m, rel=0.001)
    assert parts[0]["endTime"] == parts[1]["startTime"]
    assert parts[0]["endOdometer"] == pytest.approx(parts[1]["startOdometer"], abs=trip.distance_m * 0.001)
    client.simulator.as_of = middle
    assert shown((left, arrived))["distance"] == pytest.approx(trip.gps_m / 2, rel=0.001)


@pytest.mark.parametrize("dialect", ["motive", "traccar"])
def test_a_rate_for_a_fault_that_an_api_cannot_have_changes_nothing(serve: Serve, dialect: str) -> None:
    rates = {"reissued": 1.0, "plate_only_in_description": 1.0, "error_in_200": 1.0}
    clean, faulty = (serve(FaultPlan(7, r), dialect=dialect).simulator for r in ({}, rates))
    assert clean.truth(DAY, DAY + 24 * HOUR) == faulty.truth(DAY, DAY + 24 * HOUR)
