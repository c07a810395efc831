import re
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetria_pipeline.simulator import Fleet
from telemetria_pipeline.simulator.fleet import LONGEST_TRIP, old_form
from telemetria_pipeline_tests.rounds import examples

SAO_PAULO = ZoneInfo("America/Sao_Paulo")
DAY = datetime(2026, 3, 10, tzinfo=SAO_PAULO)

seeds = st.integers(0, 10**6)
# From 2018, when Brazil still had DST, on.
days = st.datetimes(datetime(2018, 2, 1), datetime(2040, 1, 1)).map(
    lambda d: datetime(d.year, d.month, d.day, tzinfo=SAO_PAULO)
)
few = examples(25)


@few
@given(seeds, days)
def test_trips_of_a_vehicle_follow_each_other_in_time_and_on_the_odometer(seed: int, day: datetime) -> None:
    fleet = Fleet(seed, vehicles=10)
    trips = fleet.trips(day - timedelta(days=2), day + timedelta(days=2))
    for vehicle in fleet.vehicles:
        own = [t for t in trips if t.vehicle == vehicle]
        assert 12 * 3 <= len(own) <= 18 * 5
        for before, after in pairwise(own):
            assert before.arrival < after.departure
            assert before.odometer_arrival_m == after.odometer_departure_m
            assert before.destination == after.origin or before.day != after.day
            assert fleet.next_departure(before) == after.departure


@few
@given(seeds, days)
def test_trips_look_real(seed: int, day: datetime) -> None:
    trips = Fleet(seed, vehicles=10).trips(day, day + timedelta(days=1))
    assert len({(t.vehicle.id, t.departure) for t in trips}) == len(trips) == len({t.id for t in trips})
    for trip in trips:
        duration = trip.arrival - trip.departure
        assert timedelta(minutes=1) < duration <= LONGEST_TRIP
        assert 2_000 <= trip.distance_m <= 90_000
        assert trip.distance_m * 3.6 / duration.total_seconds() < 90
        assert abs(trip.gps_m / trip.distance_m - 1) <= 0.0151
        assert trip.driving_seconds <= duration.total_seconds()
        assert trip.departure.microsecond == trip.arrival.microsecond == 0
        assert trip.odometer_departure_m > 0


@few
@given(seeds, days, st.lists(st.integers(0, 48 * 3600), min_size=1, max_size=5))
def test_any_cut_of_the_time_gives_the_same_trips(seed: int, day: datetime, cuts: list[int]) -> None:
    end = day + timedelta(days=2)
    bounds = [day, *(day + timedelta(seconds=s) for s in sorted(cuts)), end]
    pieces = [t for low, high in pairwise(bounds) for t in Fleet(seed, vehicles=10).trips(low, high)]
    assert pieces == Fleet(seed, vehicles=10).trips(day, end)


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "Pacific/Honolulu", "UTC"])
def test_days_of_distant_zones_are_whole_and_in_order(zone: str) -> None:
    fleet = Fleet(7, 10, timezone=zone)
    week = fleet.trips(DAY - timedelta(days=3), DAY + timedelta(days=4))
    for hours in range(0, 24, 4):
        start, end = DAY + timedelta(hours=hours), DAY + timedelta(hours=hours + 24)
        trips = fleet.trips(start, end)
        assert trips == [t for t in week if start <= t.departure < end]
    assert trips == sorted(trips, key=lambda t: (t.departure, t.vehicle.id))
    assert {t.vehicle.timezone for t in trips} == {zone, "America/Campo_Grande", "America/Cuiaba"}


def test_seeds_differ() -> None:
    end = DAY + timedelta(days=1)
    assert Fleet(1).trips(DAY, end) != Fleet(2).trips(DAY, end)


@few
@given(seeds, days)
def test_the_small_hours_are_empty_and_midnight_is_crossed(seed: int, day: datetime) -> None:
    trips = Fleet(seed, vehicles=20).trips(day - timedelta(days=1), day + timedelta(days=1))
    asleep = day.replace(hour=2), day.replace(hour=4)
    assert not [t for t in trips if t.departure < asleep[1] and t.arrival > asleep[0]]
    assert any(
        t.departure.astimezone(SAO_PAULO).date() < t.arrival.astimezone(SAO_PAULO).date() for t in trips
    )


def test_trips_run_across_every_working_hour() -> None:
    trips = Fleet(7).trips(DAY, DAY + timedelta(days=1))
    for hour in range(5, 24):
        sharp = DAY + timedelta(hours=hour)
        assert any(t.departure < sharp < t.arrival for t in trips), hour


def test_shifts_are_busier_than_the_hours_between() -> None:
    trips = Fleet(7).trips(DAY, DAY + timedelta(days=7))
    by_hour = [0] * 24
    for trip in trips:
        by_hour[trip.departure.astimezone(SAO_PAULO).hour] += 1
    shift = [by_hour[h] for h in (5, 6, 12, 13, 14, 21, 22)]
    between = [by_hour[h] for h in (8, 9, 10, 16, 17, 18, 19)]
    assert min(shift) > max(between)


def test_vehicles() -> None:
    fleet = Fleet(7)
    zones = [v.timezone for v in fleet.vehicles]
    assert len(fleet.vehicles) == 40
    assert zones.count("America/Sao_Paulo") > 30
    assert {"America/Campo_Grande", "America/Cuiaba"} < set(zones)
    plates = [v.plate for v in fleet.vehicles]
    assert len(set(plates)) == 40 == len({v.fleet_number for v in fleet.vehicles})
    assert all(re.fullmatch(r"[A-Z]{3}\d[A-Z]\d{2}", p) for p in plates)
    assert any(old_form(p) for p in plates)
    assert any(old_form(p) is None for p in plates)
    assert old_form("ABC1C34") == "ABC1234"
    assert old_form("ABC1K34") is None
    crews = [d.id for v in fleet.vehicles for d in v.crew]
    assert len(set(crews)) == len(crews)  # nobody drives two buses at once


def test_a_fleet_without_vehicles_and_a_naive_instant_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one vehicle"):
        Fleet(1, vehicles=0)
    with pytest.raises(ValueError, match="with a zone"):
        Fleet(1).trips(datetime(2026, 3, 10), datetime(2026, 3, 11))


def test_no_trips_before_the_fleet_was_bought() -> None:
    assert Fleet(1).trips(datetime(2015, 1, 1, tzinfo=UTC), datetime(2017, 12, 31, tzinfo=UTC)) == []
