"""Which declared trip a segment belongs to."""

from datetime import timedelta

import pandas as pd
import pytest
from hypothesis import given

from telemetria_pipeline.core.audit.rules import AuditRules
from telemetria_pipeline_tests.core.audit.rows import PLATE
from telemetria_pipeline_tests.core.audit.sides import at, audit, declared, measured, metres, one, vehicles
from telemetria_pipeline_tests.core.audit.worlds import said, seen
from telemetria_pipeline_tests.rounds import examples

TOLERANCE = timedelta(minutes=AuditRules().match_minutes)
TRIP_KEY = ("saida_utc", "chegada_utc", "km_saida", "km_chegada")
LONGEST = timedelta(hours=AuditRules().max_trip_hours)


def chosen(said: list[dict], segment: dict) -> pd.Series:
    """The declared row that the segment went to; its `linha` is missing where it found none."""
    trips = audit(said, [segment], days=(-2, 3)).trips
    return trips[trips["segmentos"] == 1].iloc[0]


def test_a_trip_covers_all_segments_that_overlap_it():
    trip = one(
        [declared(at("07:00"), at("08:00"), 30)],
        [measured(at("07:02"), at("07:20"), 10), measured(at("07:25"), at("07:58"), 20)],
    )
    assert (trip["segmentos"], trip["fonte"]) == (2, "ambos")
    assert str(trip["km_medido"]) == "30.000"
    assert trip["saida_medida_utc"] == at("07:02")
    assert trip["chegada_medida_utc"] == at("07:58")


def test_a_segment_goes_to_the_trip_that_it_overlaps_most_and_to_no_other():
    trips = audit(
        [declared(at("07:00"), at("08:00"), 20, linha=2), declared(at("08:00"), at("09:00"), 20, linha=3)],
        [measured(at("07:40"), at("08:30"), 20)],
    ).trips
    assert trips.set_index("linha")["segmentos"].to_dict() == {2: 0, 3: 1}


@pytest.mark.parametrize(("minutes", "found"), [(29, True), (30, True), (31, False)])
def test_half_an_hour_apart_is_still_one_trip(minutes, found):
    late = at("08:00") + timedelta(minutes=minutes)
    trips = audit(
        [declared(at("07:00"), at("08:00"), 20)], [measured(late, late + timedelta(minutes=40), 40)]
    ).trips
    assert (len(trips) == 1) == found
    early = at("07:00") - timedelta(minutes=minutes)
    trips = audit(
        [declared(at("07:00"), at("08:00"), 20)], [measured(early - timedelta(minutes=9), early, 40)]
    ).trips
    assert (len(trips) == 1) == found


def test_of_equal_overlaps_the_nearer_departure_wins_then_the_earlier_trip():
    segment = measured(at("07:30"), at("07:40"), 5)
    wide, near = (
        declared(at("07:00"), at("09:00"), 20, linha=2),
        declared(at("07:25"), at("08:00"), 20, linha=3),
    )
    assert chosen([wide, near], segment)["linha"] == 3
    before, behind = (
        declared(at("07:20"), at("08:00"), 20, linha=4),
        declared(at("07:40"), at("08:00"), 20, linha=5),
    )
    apart = measured(at("07:30"), at("07:30"), 5)
    assert chosen([behind, before], apart)["linha"] == 4  # inside beats ten minutes away
    same = [
        declared(at("07:20"), at("08:00"), 20, linha=6, km_saida=5.0, km_chegada=25.0),
        declared(at("07:20"), at("08:00"), 20, linha=7, km_saida=4.0, km_chegada=24.0),
    ]
    assert chosen(same, segment)["linha"] == 7


def test_a_long_trip_behind_a_short_one_is_still_found():
    said = [declared(at("01:00"), at("12:00"), 20, linha=2), declared(at("02:00"), at("02:10"), 5, linha=3)]
    assert chosen(said, measured(at("11:00"), at("11:30"), 5))["linha"] == 2


def test_only_the_first_twelve_hours_of_a_trip_match():
    endless = declared(at("00:00"), at("23:00"), 20)
    assert chosen([endless], measured(at("12:30"), at("13:00"), 5))["linha"] == 2
    assert pd.isna(chosen([endless], measured(at("12:31"), at("13:00"), 5))["linha"])
    late = declared(at("12:31"), at("13:00"), 5)
    assert pd.isna(chosen([late], measured(at("00:00"), at("23:00"), 20))["linha"])


def test_a_segment_of_another_vehicle_never_matches():
    trips = audit(
        [declared(at("07:00"), at("08:00"), 20)],
        [measured(at("07:00"), at("08:00"), 20, placa="ABC1C34", veiculo_id="v-2")],
    ).trips
    assert dict(zip(trips["veiculo"], trips["fonte"], strict=True)) == {
        PLATE: "boletim",
        "ABC1C34": "telemetria",
    }


def test_a_segment_without_plate_takes_that_of_the_one_vehicle_of_its_fleet_number():
    segment = measured(at("07:00"), at("08:00"), 20, placa=None, equipamento="3803")
    trip = one(
        [declared(at("07:00"), at("08:00"), 20)], [segment], vehicles=vehicles({"equipamento": "3803"})
    )
    assert (trip["fonte"], trip["veiculo"]) == ("ambos", PLATE)


@pytest.mark.parametrize(
    "fleet",
    [None, vehicles(), vehicles({"equipamento": "3803"}, {"placa": "ABC1C34", "equipamento": "3803"})],
)
def test_without_it_the_vehicle_is_its_source_s_id_and_has_no_plate(fleet):
    segment = measured(at("07:00"), at("08:00"), 20, placa=None, equipamento="3803")
    trip = one([], [segment], vehicles=fleet)
    assert trip["veiculo"] == "sol:v-1"
    assert pd.isna(trip["placa"])
    assert not trip["veiculo_conhecido"]


def overlap(one: dict, other: dict) -> timedelta:
    ends = [min(side["chegada_utc"], side["saida_utc"] + LONGEST) for side in (one, other)]
    return min(ends) - max(one["saida_utc"], other["saida_utc"])


def by_the_book(segment: dict, said: list[dict]) -> dict | None:
    """The rule, trip by trip; whether the trip is complete without the segment is another one."""

    def preference(trip: dict) -> tuple:
        distance = abs(trip["saida_utc"] - segment["saida_utc"])
        order = tuple(trip[name] for name in TRIP_KEY)
        return -overlap(trip, segment), distance, order

    of_vehicle = [t for t in said if t["placa"] == segment["placa"] and overlap(t, segment) >= -TOLERANCE]
    return min(of_vehicle, key=preference, default=None)


def key_of(trip: dict) -> tuple:
    return tuple(trip[name] for name in ("placa", *TRIP_KEY))


def chosen_by_the_book(seen: list[dict], said: list[dict]) -> list[dict | None]:
    """What each segment chose: one that is only near leaves a trip alone that is complete without it."""
    choices = [by_the_book(segment, said) for segment in seen]
    over: dict[tuple, int] = {}
    for segment, trip in zip(seen, choices, strict=True):
        if trip and overlap(trip, segment) >= timedelta(0):
            over[key_of(trip)] = over.get(key_of(trip), 0) + metres(segment["distancia_km"])

    def like(trip: dict, measured: int) -> bool:
        return abs(metres(trip["km_declarado"]) - measured) <= max(1_000, measured / 10)

    complete = [trip for trip in said if like(trip, over.get(key_of(trip), -(10**9)))]
    open_ = [trip for trip in said if trip not in complete]
    chosen = []
    for segment, trip in zip(seen, choices, strict=True):
        near = trip in complete and overlap(trip, segment) < timedelta(0)
        if near and not like(trip, over[key_of(trip)] + metres(segment["distancia_km"])):
            trip = by_the_book(segment, open_)
        chosen.append(trip)
    return chosen


def test_a_trip_that_is_complete_takes_no_more_from_near_by():
    trip = declared(at("06:00"), at("06:50"), 25)
    over = measured(at("06:00"), at("06:50"), 25)
    trips = audit([trip], [over, measured(at("07:00"), at("07:50"), 31)]).trips
    assert trips["fonte"].tolist() == ["ambos", "telemetria"]
    assert len(audit([trip], [over, measured(at("07:00"), at("07:10"), 2)]).trips) == 1
    other = declared(at("08:10"), at("09:00"), 31)
    trips = audit([trip, other], [over, measured(at("06:55"), at("07:45"), 31)]).trips
    assert trips["km_medido"].tolist() == [25, 31]  # the next nearest has it
    assert (
        len(audit([{**trip, "km_declarado": 56}], [over, measured(at("07:00"), at("07:50"), 31)]).trips) == 1
    )


@examples(50)
@given(said(), seen())
def test_it_chooses_as_the_book_says(said, seen):
    result = audit(said, seen, days=(-1, 4))
    trips = result.trips.set_index("viagem_id", drop=False).to_dict("index")
    found: dict[tuple, list[dict]] = {}
    for share in result.segments.itertuples():
        found.setdefault((share.veiculo_id, share.saida_utc), []).append(trips[share.viagem_id])
    assert len(found) == len(seen)
    for segment, wanted in zip(seen, chosen_by_the_book(seen, said), strict=True):
        got = found[segment["veiculo_id"], segment["saida_utc"]]
        key = None if wanted is None else [wanted[name] for name in TRIP_KEY]
        if len(got) > 1 or pd.notna(got[0]["grupo"]):  # the trips of its group share it
            (group,) = {trip["grupo"] for trip in got}
            members = result.trips[result.trips["grupo"] == group]
            assert key in members[list(TRIP_KEY)].to_numpy().tolist()
        elif wanted is None:
            assert got[0]["fonte"] == "telemetria" or got[0]["data_ou_horario_a_corrigir"]
        else:
            assert [got[0][name] for name in TRIP_KEY] == key
