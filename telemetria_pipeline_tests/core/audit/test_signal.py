"""Coverage and signal: how sure we are that nothing, or no more, was driven."""

from datetime import datetime, timedelta
from itertools import pairwise

import pandas as pd
import pytest
from hypothesis import given

from telemetria_pipeline.core.audit.staleness import rests_on_neighbours
from telemetria_pipeline_tests.core.audit import rows
from telemetria_pipeline_tests.core.audit.rows import DAY, ZONE
from telemetria_pipeline_tests.core.audit.sides import (
    at,
    audit,
    declared,
    measured,
    metres,
    one,
    parked,
)
from telemetria_pipeline_tests.core.audit.worlds import said, seen
from telemetria_pipeline_tests.rounds import examples

TRIP = [declared(at("10:00"), at("12:00"), 40)]


@pytest.mark.parametrize(
    ("states", "coverage", "searched"),
    [
        ({}, 1, 1),
        ({10: "confirmed_empty"}, 1, 1),
        ({11: "missing"}, 0.5, 0.6),
        ({11: "open"}, 0.5, 0.6),
        ({10: "missing", 11: "missing"}, 0, 0.2),
        ({9: "missing"}, 1, 0.8),
        ({12: "missing"}, 1, 1),
    ],
)
def test_coverage_is_the_share_of_the_window_in_known_hours(states, coverage, searched):
    trip = one(TRIP, [], hours=rows.hours(states=states))
    assert trip["cobertura"] == pytest.approx(coverage)
    assert trip["cobertura_busca"] == pytest.approx(searched)


def test_an_hour_that_the_lake_does_not_know_is_missing():
    known = rows.hours()
    gone = known[known["inicio_utc"] != at("10:00")]
    assert one(TRIP, [], hours=gone)["cobertura"] == 0.5
    assert one(TRIP, [], hours=known.iloc[:0])["cobertura"] == 0


def test_a_window_without_length_counts_as_its_hour_does():
    instant = [declared(at("10:00"), at("10:00"), 40)]
    assert one(instant, [])["cobertura"] == 1
    assert one(instant, [], hours=rows.hours(states={10: "missing"}))["cobertura"] == 0
    assert one(instant, [], hours=rows.hours(states={9: "missing"}))["cobertura"] == 1


def heard(said: list[dict], seen: list[dict]) -> tuple[str, str]:
    trips = audit(said, seen).trips
    trip = trips[trips["km_declarado"].notna()].iloc[0]
    return trip["sinal"], str(trip["km_sem_sinal"])


@pytest.mark.parametrize(
    ("moved", "signal"),
    [
        (0, ("presente", "0.000")),
        (1, ("presente", "0.000")),  # noise
        (1.001, ("perdido", "1.001")),
        (40, ("perdido", "40.000")),
        (6_000, ("desconhecido", "<NA>")),  # no vehicle drives that far in 32 hours: a broken reading
        (-1, ("presente", "0.000")),  # noise
        (-1.001, ("desconhecido", "<NA>")),  # another device, or rolled over: what was driven is not known
        (-99_000, ("desconhecido", "<NA>")),
    ],
)
def test_the_odometer_tells_what_moved_unseen(moved, signal):
    assert heard(TRIP, parked(1_000, 1_000 + moved)) == signal


@pytest.mark.parametrize(
    ("moved", "expected"),
    [
        (0, ("presente", "divergente", "0.000")),  # invented
        (0.3, ("perdido", "inconclusivo", "0.900")),
        (0.9, ("perdido", "inconclusivo", "0.900")),
        (-0.9, ("presente", "divergente", "0.000")),
        (-1.1, ("desconhecido", "inconclusivo", "0.900")),
    ],
)
def test_a_trip_as_short_as_the_noise_may_be_the_noise(moved, expected):
    trip = one([declared(at("10:00"), at("10:10"), 0.9)], parked(1_000, 1_000 + moved))
    assert (trip["sinal"], trip["veredito"], str(trip["km_auditado"])) == expected


def test_what_bad_readings_measured_was_not_unseen():
    bad = measured(at("14:00"), at("15:00"), 40, situacao_odometro="ausente")
    assert heard(TRIP, [*parked(1_000, 1_040), bad]) == ("presente", "0.000")


def test_only_gaps_that_meet_the_trip_count():
    lost_elsewhere = parked(odometer_before=800, odometer_after=990)
    first = measured(at("10:00"), at("10:30"), 5, odometro=900)
    last = measured(at("11:30"), at("12:00"), 5, odometro=905)
    assert heard(TRIP, [*lost_elsewhere, first, last]) == ("presente", "0.000")
    late = {**last, "odometro_saida_km": 907.0}
    assert heard(TRIP, [*lost_elsewhere, first, late]) == ("perdido", "2.000")


def test_readings_at_both_ends_of_the_trip_enclose_it():
    first = measured(at("10:00"), at("10:30"), 5, odometro=900)
    last = measured(at("11:30"), at("12:00"), 5, odometro=905)
    assert heard(TRIP, [first, last]) == ("presente", "0.000")
    assert heard(TRIP, [{**first, "saida_utc": at("10:01")}, last]) == ("desconhecido", "<NA>")
    assert heard(TRIP, [first, {**last, "chegada_utc": at("11:59")}]) == ("desconhecido", "<NA>")


def test_readings_of_trips_that_overlap_leave_no_gap():
    before = measured(at("10:10"), at("11:00"), 5, odometro=1_000)
    # The readings do not fit, but there is no time in which anything could have been driven.
    behind = measured(at("11:00"), at("11:50"), 5, odometro=1_009)
    assert heard(TRIP, [*parked(1_000, 1_014), before, behind]) == ("presente", "0.000")


def test_silence_of_a_device_without_odometer_accuses_nobody():
    beats = [{**segment, "situacao_odometro": "ausente"} for segment in parked()]
    for some in (beats, beats[:1], beats[1:], [], [beats[0], parked()[1]], [parked()[0], beats[1]]):
        assert heard(TRIP, some) == ("desconhecido", "<NA>")
        silent = audit(TRIP, some).trips.query("km_declarado.notna()").iloc[0]
        assert (silent["veredito"], str(silent["km_auditado"])) == ("inconclusivo", "40.000")


def test_a_device_without_odometer_that_reads_short_in_a_tunnel_accuses_nobody():
    short = measured(at("09:50"), at("12:10"), 30, situacao_odometro="ausente")
    trip = one(TRIP, [short])
    assert (trip["veredito"], str(trip["km_auditado"])) == ("inconclusivo", "40.000")
    stood_still = one(TRIP, [*parked(1_000, 1_030), short])  # the bus's odometer says the same
    assert (stood_still["veredito"], str(stood_still["km_auditado"])) == ("divergente", "30.000")


def test_a_day_looks_again_at_its_neighbours_where_a_reading_to_come_could_tell_more():
    def looks_again(seen: list[dict]) -> bool:
        return rests_on_neighbours(audit(TRIP, seen).trips)

    before, after = parked(1_000, 1_040)
    assert looks_again([before, after])  # lost
    assert looks_again([before])  # unknown
    assert not looks_again(parked())
    assert not looks_again([measured(at("09:50"), at("12:10"), 30, odometro=1_000)])


def test_silence_beyond_the_neighbouring_days_is_not_looked_at():
    far = [measured(at("20:00", -2), at("20:10", -2), 5), measured(at("04:00", 2), at("04:10", 2), 5)]
    assert heard(TRIP, far) == ("desconhecido", "<NA>")
    month = audit(TRIP, far, days=(-10, 10)).trips
    assert month.loc[month["fonte"] == "boletim", "sinal"].tolist() == ["desconhecido"]


@pytest.mark.parametrize("far", [0, 1])
def test_nor_is_what_moved_since_or_until_then(far):
    around = parked(1_000, 1_040)
    around[far]["saida_utc"] += timedelta(days=2 * far - 1)
    around[far]["chegada_utc"] += timedelta(days=2 * far - 1)
    trips = audit(TRIP, around, days=(-10, 10)).trips
    assert trips.loc[trips["fonte"] == "boletim", "sinal"].tolist() == ["desconhecido"]


def test_a_trip_that_its_segments_fill_needs_no_other_proof():
    within = measured(at("09:50"), at("12:10"), 30, odometro=1_000)
    assert heard(TRIP, [within]) == ("presente", "0.000")
    halves = [
        {**within, "chegada_utc": at("11:00")},
        {**within, "saida_utc": at("11:00"), "registro": 2},
    ]
    assert heard(TRIP, halves) == ("presente", "0.000")
    assert heard(TRIP, halves[:1]) == ("desconhecido", "<NA>")
    unmetered = [{**half, "situacao_odometro": "ausente"} for half in halves]
    for some in (unmetered, [halves[0], unmetered[1]]):
        assert heard(TRIP, some) == ("desconhecido", "<NA>")


def by_the_book(trip: pd.Series, own: list[dict], of_vehicle: list[dict]) -> tuple[str, int]:
    """Signal and metres unseen of a declared trip, or of those judged together, step by step."""
    saida, chegada = (
        trip["saida_utc"],
        max(trip["chegada_utc"], trip["saida_utc"] + timedelta(microseconds=1)),
    )
    filled = sum(
        (
            max(min(s["chegada_utc"], chegada) - max(s["saida_utc"], saida), timedelta(0))
            for s in own
            if s["situacao_odometro"] == "ok"
        ),
        timedelta(0),
    )
    if filled >= chegada - saida:
        return "presente", 0
    midnight = datetime.combine(saida.astimezone(ZONE).date(), datetime.min.time(), ZONE)
    loaded = sorted(
        (s for s in of_vehicle if timedelta(days=-1) <= s["saida_utc"] - midnight < timedelta(days=2)),
        key=lambda s: s["saida_utc"],
    )
    good = [s for s in loaded if s["situacao_odometro"] == "ok"]
    unseen, unknown = 0, False
    for before, after in pairwise(good):
        gap = before["chegada_utc"], after["saida_utc"]
        if not (gap[0] < gap[1] and saida < gap[1] and chegada > gap[0]):
            continue
        between = [
            s
            for s in loaded
            if before["saida_utc"] < s["saida_utc"] < after["saida_utc"] and s["situacao_odometro"] != "ok"
        ]
        ran = metres(after["odometro_saida_km"]) - metres(before["odometro_chegada_km"])
        moved = ran - sum(metres(s["distancia_km"]) for s in between)
        hours = (gap[1] - gap[0]) / timedelta(hours=1)
        unknown |= ran < -1_000 or moved > 160_000 * hours + 5_000
        unseen += moved if moved > 1_000 else max(moved, 0) if trip["km_declarado"] <= 1 else 0
    enclosed = good and good[0]["saida_utc"] <= saida and good[-1]["chegada_utc"] >= chegada
    if unknown or not enclosed:
        return "desconhecido", 0
    return ("perdido", unseen) if unseen else ("presente", 0)


@examples(60)
@given(said(), seen())
def test_it_hears_what_the_book_says(said, seen):
    result = audit(said, seen, days=(-1, 4))
    covered = {(s.viagem_id, s.veiculo_id, s.saida_utc) for s in result.segments.itertuples()}
    claimed = result.trips[result.trips["km_declarado"].notna()]
    for _, members in claimed.groupby(claimed["grupo"].fillna(claimed["viagem_id"])):
        journey = pd.Series(
            {
                "saida_utc": members["saida_utc"].min(),
                "chegada_utc": members["chegada_utc"].max(),
                "km_declarado": members["km_declarado"].sum(),
            }
        )
        of_vehicle = [s for s in seen if s["placa"] == members["placa"].iloc[0]]
        own = [
            s
            for s in of_vehicle
            if any((trip, s["veiculo_id"], s["saida_utc"]) in covered for trip in members["viagem_id"])
        ]
        signal, unseen = by_the_book(journey, own, of_vehicle)
        assert members["sinal"].tolist() == [signal] * len(members)
        if signal != "desconhecido":
            assert members["km_sem_sinal"].sum() * 1_000 == unseen


def test_the_hours_of_the_test_are_the_days_around_it():
    assert rows.hours()["inicio_utc"].iloc[24] == pd.Timestamp(DAY, tz=ZONE)
