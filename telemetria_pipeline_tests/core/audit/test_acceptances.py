"""Measured, undeclared, and accepted by name."""

import pytest

from telemetria_pipeline.contracts.audit import VALIDATED_TRIPS
from telemetria_pipeline.core.audit.acceptances import idle
from telemetria_pipeline.core.audit.days import business_days
from telemetria_pipeline_tests.core.audit.rows import PLATE, ZONE
from telemetria_pipeline_tests.core.audit.sides import acceptances, at, audit, declared, measured

MORNING = declared(at("07:00"), at("08:00"), 20)
SEEN = [
    measured(at("07:00"), at("08:00"), 20),
    measured(at("15:00"), at("16:00"), 30),
    {**measured(at("18:00"), at("19:00"), 30), "saida_utc": at("18:00").replace(second=40)},
    measured(at("23:59"), at("00:20", 1), 9),
    measured(at("00:00", 1), at("00:50", 1), 9, veiculo_id="v-2"),
]


@pytest.mark.parametrize(
    ("row", "clocks"),
    [
        ({}, ["15:00", "18:00", "23:59"]),
        ({"hora_saida": "15:00"}, ["15:00"]),
        ({"hora_saida": "18:00"}, ["18:00"]),
        ({"hora_saida": "07:00"}, []),  # declared: nothing is to be accepted
        ({"hora_saida": "18:01"}, []),
        ({"data": "2026-03-11"}, ["00:00"]),
        ({"placa": "ABC1C34"}, []),
    ],
)
def test_the_measured_trips_of_a_vehicle_and_day_or_the_one_that_departed_then(row, clocks):
    trips = audit([MORNING], SEEN, days=(0, 2), acceptances=acceptances(row)).trips
    assert VALIDATED_TRIPS.broken_by(trips) is None
    local = trips["saida_utc"].dt.tz_convert("America/Sao_Paulo").dt.strftime("%H:%M")
    assert sorted(local[trips["aceita"]]) == sorted(clocks)


@pytest.mark.parametrize("nothing", [None, acceptances()])
def test_without_acceptances_nothing_is(nothing):
    assert not audit([MORNING], SEEN, acceptances=nothing).trips["aceita"].any()


def test_two_acceptances_of_a_day_name_two_trips():
    named = acceptances({"hora_saida": "15:00"}, {"hora_saida": "18:00"}, {"placa": "ABC1C34"})
    assert audit([MORNING], SEEN, acceptances=named).trips["aceita"].sum() == 2


def test_one_that_names_no_trip_is_told():
    trips = audit([MORNING], SEEN, days=(0, 2)).trips
    days = business_days(trips["saida_utc"], ZONE)
    named = acceptances({"hora_saida": "15:00"}, {"hora_saida": "15:01"}, {"placa": "ABC1C34"})
    assert idle(trips, days, named, ZONE) == [f"{PLATE} 10/03 15:01", "ABC1C34 10/03"]
    assert idle(trips, days, None, ZONE) == idle(trips, days, acceptances(), ZONE) == []
