from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetria_pipeline.simulator import DATA_FAULTS, TRANSPORT_FAULTS, FaultPlan, Fleet, demo_faults
from telemetria_pipeline.simulator.faults import CLEAN_EVERY, ODOMETER_FAULTS


@given(st.integers(), st.text(max_size=30))
def test_a_patient_client_gets_through_even_when_everything_fails(seed: int, request: str) -> None:
    plan = FaultPlan(seed, {"error_500": 0.5, "reset": 0.5})
    faults = [plan.on_request(request, attempt) for attempt in range(1, 13)]
    assert [fault is None for fault in faults] == [n % CLEAN_EVERY == 0 for n in range(1, 13)]


def test_rates_are_kept_and_depend_on_the_seed_alone() -> None:
    plan = FaultPlan(3, {"hang": 0.1, "reset": 0.3, "duplicate": 0.2})
    requests = [plan.on_request(f"GET /{i}", 1) for i in range(4000)]
    assert requests.count("hang") == pytest.approx(400, rel=0.2)
    assert requests.count("reset") == pytest.approx(1200, rel=0.2)
    assert set(requests) == {None, "hang", "reset"}
    trips = [plan.on_trip(f"t-{i}") for i in range(4000)]
    assert sum("duplicate" in t for t in trips) == pytest.approx(800, rel=0.2)
    again = FaultPlan(3, dict(reversed(plan.rates.items())))
    assert [again.on_request(f"GET /{i}", 1) for i in range(4000)] == requests
    assert [again.on_trip(f"t-{i}") for i in range(4000)] == trips
    assert [FaultPlan(4, plan.rates).on_request(f"GET /{i}", 1) for i in range(4000)] != requests


def test_a_trip_has_one_odometer_slip_and_one_kind_of_revision() -> None:
    plan = FaultPlan(1, dict.fromkeys(DATA_FAULTS, 1.0))
    faults = plan.on_trip("t-1")
    assert len(faults & set(ODOMETER_FAULTS)) == 1
    assert len(faults & {"amended", "reissued"}) == 1
    assert FaultPlan(1).on_trip("t-1") == frozenset()


@pytest.mark.parametrize(
    ("rates", "message"),
    [
        ({"explode": 0.1}, "unknown fault 'explode'; the faults are throttle_int"),
        ({"reset": 1.5}, "rate of reset must lie between 0 and 1"),
        ({"reset": 0.6, "hang": 0.6}, "add up to 1.2"),
        ({"empty_hour": 0.1}, "has no rate"),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused(rates: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FaultPlan(1, rates)


@pytest.mark.parametrize("seed", range(5, 10))
def test_the_demo_is_lively_and_can_be_survived(seed: int) -> None:
    plan = demo_faults(seed)
    # What a day of 24 hours in two pages each meets.
    met = []
    for request in range(48):
        attempt = 1
        while fault := plan.on_request(f"GET {request}", attempt):
            met.append(fault)
            attempt += 1
    assert 20 <= len(met) <= 100
    assert len(set(met)) >= 12
    assert not {"redirect", "bad_token", "empty_hour"} & set(plan.rates)
    assert set(plan.rates) | {"redirect", "bad_token", "empty_hour"} == {*TRANSPORT_FAULTS, *DATA_FAULTS}


def test_each_data_fault_happens_some_times_on_a_demo_day() -> None:
    trips = Fleet(7).trips(datetime(2026, 3, 10, 3, tzinfo=UTC), datetime(2026, 3, 11, 3, tzinfo=UTC))
    plan = demo_faults(7)
    for fault in DATA_FAULTS:
        assert sum(fault in plan.on_trip(trip.id) for trip in trips) >= 3, fault
