"""Many sources: who serves a vehicle, whose silence is evidence, and what was heard twice is counted once."""

import random
from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetria_pipeline.contracts.audit import DAILY_KM, TRIP_SEGMENTS, VALIDATED_TRIPS
from telemetria_pipeline.core.audit.coverage import Sources
from telemetria_pipeline.core.audit.daily import daily_km
from telemetria_pipeline.core.audit.divergences import find_divergences
from telemetria_pipeline.core.audit.movements import disagreements
from telemetria_pipeline.core.audit.sides import vehicle_names
from telemetria_pipeline.core.audit.trips import UNHEARD
from telemetria_pipeline_tests.core.audit import rows
from telemetria_pipeline_tests.core.audit.rows import DAY, PLATE, ZONE
from telemetria_pipeline_tests.core.audit.sides import (
    MEASURED,
    RULES,
    at,
    audit,
    declared,
    measured,
    one,
    parked,
    vehicles,
)
from telemetria_pipeline_tests.core.audit.worlds import PLATES, said, seen
from telemetria_pipeline_tests.rounds import examples

OTHER = "ABC1C34"
TRIP = declared(at("10:00"), at("12:00"), 40)


def hours(**states: dict[int, str]) -> pd.DataFrame:
    """The hours of each source, with its states that are not `captured`."""
    return pd.concat([rows.hours(fonte=name, states=said) for name, said in states.items()])


def heard(**by: str) -> pd.DataFrame:
    """Which sources, separated by spaces, heard which plate."""
    pairs = [(plate, source) for plate, sources in by.items() for source in sources.split()]
    return pd.DataFrame(pairs, columns=["veiculo", "fonte"], dtype="str")


def by(fonte: str, saida: str, chegada: str, km: float, **more: Any) -> dict[str, Any]:
    return measured(at(saida), at(chegada), km, fonte=fonte, **more)


# Who was asked for in vain


@pytest.mark.parametrize(
    ("plate", "fleet_number", "coverage"),
    [
        (PLATE, None, 0.5),  # it answered for the others, and not for this one
        (OTHER, None, 1),
        (None, "3803", 0.5),  # the register tells its plate
        (None, "1020", 0.5),  # nobody does: it may be any
    ],
)
def test_a_vehicle_that_was_asked_for_in_vain_is_not_known_in_that_hour(plate, fleet_number, coverage):
    asked = pd.DataFrame([["sol", plate, fleet_number, "v-9", at("10:00")]], columns=UNHEARD)
    asked["inicio_utc"] = pd.to_datetime(asked["inicio_utc"], utc=True).astype("datetime64[us, UTC]")
    trip = one(
        [TRIP],
        [],
        hours=hours(sol={}),
        vehicles=vehicles({"equipamento": "3803"}),
        unheard=asked.astype(dict.fromkeys(UNHEARD[:-1], "str")),
    )
    assert trip["cobertura"] == coverage
    assert (trip["veredito"] == "inconclusivo") or coverage == 1


# Who serves a vehicle


@pytest.mark.parametrize(
    ("registered", "lately", "coverage"),
    [
        ("sol", "", 0.5),
        ("sol", "lua", 0.5),
        ("lua", "sol", 1),
        (None, "sol", 0.5),
        (None, "lua", 1),
        (None, "lua sol", 0.5),  # it may have been heard only by the one that did not answer
        (None, "", 0.5),  # nobody knows whose it is: all must have answered
        ("nova", "lua", 1),  # not begun: those that heard it
        ("nova", "", 0),
    ],
)
def test_silence_is_evidence_where_all_that_serve_the_vehicle_answered(registered, lately, coverage):
    trip = one(
        [TRIP],
        [],
        hours=hours(sol={10: "missing"}, lua={9: "missing"}),
        vehicles=vehicles({"fonte": registered}),
        heard=heard(**{PLATE: lately}),
    )
    assert trip["cobertura"] == coverage


def test_a_source_is_missing_where_it_has_no_row_but_nothing_is_expected_before_its_first():
    sol, lua = rows.hours(fonte="sol"), rows.hours(fonte="lua")
    gap = lua[lua["inicio_utc"] != at("10:00")]
    late = lua[lua["inicio_utc"] >= at("11:00")]
    assert one([TRIP], [], hours=pd.concat([sol, gap]))["cobertura"] == 0.5
    assert one([TRIP], [], hours=pd.concat([sol, late]))["cobertura"] == 1
    alone = one([TRIP], [], hours=pd.concat([sol, late]), vehicles=vehicles({"fonte": "lua"}))
    assert alone["cobertura"] == 0.5  # nobody was there to hear it at ten


def test_a_vehicle_without_plate_is_its_source_s():
    sources = Sources(hours(sol={10: "missing"}, lua={}))
    coverage = sources.coverage(pd.Series(["sol:7", "lua:7"]))
    assert coverage.missing(at("00:00"), at("24:00")).tolist() == [1, 0]


def test_two_sources_may_give_one_id_to_different_vehicles():
    twice = [by(source, "10:00", "12:00", 40, placa=None, veiculo_id="7") for source in ("sol", "lua")]
    result = audit([], twice)
    assert VALIDATED_TRIPS.broken_by(result.trips) is None
    assert TRIP_SEGMENTS.broken_by(result.segments) is None
    assert sorted(result.trips["veiculo"]) == ["lua:7", "sol:7"]


def test_a_fleet_number_names_the_vehicle_that_the_source_may_hear():
    segments = rows.frame_of(
        MEASURED, [by(s, "10:00", "12:00", 40, placa=None, equipamento="38") for s in ("sol", "lua", "mar")]
    )
    fleet = vehicles(
        {"equipamento": "38", "fonte": "sol"}, {"equipamento": "38", "fonte": "lua", "placa": OTHER}
    )
    assert vehicle_names(segments, fleet).tolist() == [PLATE, OTHER, "mar:v-1"]


def test_a_sentence_and_its_evidence_name_the_hours_of_the_sources_that_serve_the_vehicle():
    sources = Sources(
        hours(sol={10: "missing"}, lua={11: "missing"}), vehicles({"fonte": "sol"}), heard(**{PLATE: "lua"})
    )
    inputs = {"hours": sources.hours, "vehicles": sources.vehicles, "heard": sources.heard}
    trips = audit([TRIP], [], **inputs).trips
    (found,) = find_divergences(trips, rows.segments(), sources, RULES, DAY, ZONE).to_dict("records")
    assert "Faltam horas de telemetria (10h). Vale o boletim." in found["frase"]
    assert found["evidencia_telemetria"] == "; ".join(f"hora+{h:02d} sha256=00" for h in (9, 10, 11))


def test_a_day_s_missing_hours_are_those_of_the_vehicle_s_sources():
    fleet = vehicles({"fonte": "sol"}, {"placa": OTHER, "fonte": "lua"})
    sources = Sources(hours(sol={3: "missing", 4: "open", 24: "missing"}, lua={}), fleet)
    day = daily_km(rows.trips(), rows.segments(), sources, DAY, ZONE)
    assert DAILY_KM.broken_by(day) is None
    assert dict(zip(day["veiculo"], day["horas_sem_telemetria"], strict=True)) == {OTHER: 0, PLATE: 2}
    assert sources.missing(at("00:00"), at("24:00")) == {"sol": 2}
    assert sources.of_vehicle(OTHER)["estado"].eq("captured").all()
    assert sources.of_vehicle(PLATE)["estado"].ne("captured").sum() == 3


# What was heard twice


@pytest.mark.parametrize(
    ("others", "registered", "winner", "reason"),
    [
        ([], None, "sol", "unica"),
        ([by("lua", "10:10", "11:50", 38)], "lua", "lua", "cadastro"),
        ([by("lua", "10:10", "11:50", 38)], "mar", "sol", "tempo"),
        ([by("lua", "10:00", "12:00", 38)], None, "lua", "nome"),
        ([by("lua", "09:59", "12:00", 38)], "sol", "sol", "cadastro"),
        ([by("lua", "10:00", "12:01", 38, situacao_odometro="ausente")], None, "sol", "odometro"),
        ([by("lua", "10:00", "10:50", 18), by("lua", "11:00", "11:50", 20)], None, "lua", "odometro"),
        ([by("lua", "10:00", "11:00", 20)], None, "sol", "tempo"),
        ([by("mar", "10:30", "12:30", 38), by("lua", "10:00", "11:30", 38)], None, "mar", "nome"),
    ],
)
def test_of_what_was_heard_twice_one_source_counts(others, registered, winner, reason):
    result = audit(
        [TRIP], [by("sol", "10:00", "12:00", 40), *others], vehicles=vehicles({"fonte": registered})
    )
    trip = result.trips.iloc[0]
    assert (trip["fonte_telemetria"], trip["motivo_fonte"]) == (winner, reason)
    assert set(result.segments["fonte"]) == {winner}
    assert trip["km_medido"] == result.segments["km_medido"].sum()
    assert pd.isna(trip["km_outra_fonte"]) == (reason == "unica")


@pytest.mark.parametrize(
    ("saida", "chegada", "stays"),
    [
        ("11:00", "13:00", False),
        ("11:01", "13:01", True),
        ("11:45", "12:15", False),
        ("11:46", "12:16", True),
    ],
)
def test_two_segments_are_one_movement_from_half_of_the_shorter_on(saida, chegada, stays):
    result = audit([], [by("sol", "10:00", "12:00", 40), by("lua", saida, chegada, 40)])
    assert len(result.segments) == 1 + stays


def test_a_tracker_that_was_replaced_at_noon_keeps_both_halves():
    trip = one(
        [declared(at("10:00"), at("14:00"), 80)],
        [by("sol", "10:00", "12:00", 40), by("lua", "12:00", "14:00", 40)],
    )
    assert trip[["fonte_telemetria", "motivo_fonte", "veredito"]].tolist() == ["lua;sol", "unica", "ok"]
    assert trip["km_medido"] == 80


def test_what_only_one_that_was_set_aside_heard_stays():
    # mar heard lua's movement, and lua sol's; of sol and mar nothing is in common.
    chain = [by("sol", "10:00", "11:00", 20), by("lua", "10:20", "11:30", 24), by("mar", "11:00", "11:40", 9)]
    kept = audit([], chain, vehicles=vehicles({"fonte": "sol"})).segments
    assert kept["fonte"].tolist() == ["sol", "mar"]


def test_one_segment_of_the_other_source_is_shared_out_between_those_that_it_spans():
    two = [by("sol", "10:00", "11:00", 30), by("sol", "11:10", "12:10", 20)]
    trips = audit(
        [declared(at("10:00"), at("11:00"), 30), declared(at("11:10"), at("12:10"), 20)],
        [*two, by("lua", "10:00", "12:10", 55)],
    ).trips
    assert trips["km_outra_fonte"].tolist() == [Decimal("33.000"), Decimal("22.000")]
    assert trips["km_medido"].tolist() == [30, 20]


def test_where_the_other_source_heard_only_a_part_the_rest_is_the_same():
    segments = [
        by("sol", "10:00", "11:00", 20),
        by("sol", "11:10", "12:00", 20),
        by("lua", "10:00", "11:00", 19),
    ]
    trip = one([TRIP], segments)
    assert (trip["km_medido"], trip["km_outra_fonte"]) == (39, 40)
    trip = one([TRIP], segments, vehicles=vehicles({"fonte": "sol"}))
    assert (trip["km_medido"], trip["km_outra_fonte"]) == (40, 39)
    assert not trip["fontes_discordam"]


@pytest.mark.parametrize(
    ("km", "verdict", "basis", "audited"),
    [
        (36, "divergente", "medido", 40),  # they agree: 10 %
        (35.9, "inconclusivo", "boletim_substitui", 60),
        (60, "inconclusivo", "boletim_substitui", 60),
    ],
)
def test_nobody_is_accused_where_two_trackers_disagree(km, verdict, basis, audited):
    inputs: dict[str, Any] = {"vehicles": vehicles({"fonte": "sol"}), "hours": hours(sol={}, lua={})}
    segments = [by("sol", "10:00", "12:00", 40), by("lua", "10:00", "12:00", km)]
    result = audit([{**TRIP, "km_declarado": 60}], segments, **inputs)
    trip = result.trips.iloc[0]
    assert (trip["veredito"], trip["base_auditoria"], trip["km_auditado"]) == (verdict, basis, audited)
    found = find_divergences(result.trips, result.segments, Sources(**inputs), RULES, DAY, ZONE).iloc[0]
    apart = verdict == "inconclusivo"
    said = f"Dois rastreadores discordam: sol mediu 40,0 km; pelo outro, seriam {km:.1f} km.".replace(
        ".9", ",9"
    )
    assert (said.replace("60.0", "60,0") in found["frase"]) == apart
    assert found["frase"].endswith("Vale o boletim." if apart else "Contam 40,0 km.")
    assert disagreements(result.trips) == (
        [f"{PLATE}: 1 trips of 40.000 km by sol, {km:.3f} km by another source"] if apart else []
    )


def test_nor_is_one_accused_of_what_was_not_declared():
    segments = [by("sol", "15:00", "16:00", 20), by("lua", "15:00", "16:00", 2)]
    trips = audit([TRIP], [by("sol", "10:00", "12:00", 40), *segments]).trips
    last = trips.iloc[1]
    assert (last["veredito"], last["base_auditoria"], last["km_auditado"]) == (
        "inconclusivo",
        "a_declarar",
        0,
    )


def test_readings_of_two_sources_are_never_subtracted():
    before, after = parked(1_000, 9_000)
    phantom = one([TRIP], [before, {**after, "fonte": "lua"}])
    assert (phantom["sinal"], phantom["veredito"]) == ("desconhecido", "inconclusivo")
    assert one([TRIP], [before, after])["sinal"] == "desconhecido"  # 8,000 km are too many
    near = parked(1_000, 1_000)
    assert one([TRIP], near)["sinal"] == "presente"
    assert one([TRIP], [near[0], {**near[1], "fonte": "lua"}])["sinal"] == "desconhecido"


# Whatever the world

worlds = examples(30)
SAME = [
    name
    for name in VALIDATED_TRIPS.names
    if name not in ("fonte_telemetria", "aparelho", "motivo_fonte", "km_outra_fonte")
]
both = st.lists(st.sampled_from(["sol", "lua", "mar"]), min_size=24, max_size=24)


def by_sources(seen: Sequence[dict], sources: Sequence[str]) -> list[dict]:
    return [row | {"fonte": source} for row, source in zip(seen, sources, strict=False)]


def doubled(seen: Sequence[dict], sources: Sequence[str], minutes: int) -> list[dict]:
    """Each segment once more, by another source whose clock is so many minutes ahead."""
    late = timedelta(minutes=minutes)
    again = [
        row
        | {"fonte": f"{row['fonte']}_2", "veiculo_id": "x" + row["veiculo_id"]}
        | {name: row[name] + late for name in ("saida_utc", "chegada_utc")}
        for row in by_sources(seen, sources)
    ]
    return [*by_sources(seen, sources), *again]


@worlds
@given(said(), seen(), both, st.integers(0, 40), st.sampled_from([None, "sol", "lua_2"]))
def test_each_movement_is_counted_once_and_none_is_lost(said, seen, sources, minutes, registered):
    every = doubled(seen, sources, minutes)
    result = audit(said, every, days=(-2, 6), vehicles=vehicles({"fonte": registered}))
    assert VALIDATED_TRIPS.broken_by(result.trips) is None
    assert TRIP_SEGMENTS.broken_by(result.segments) is None
    of_trips = result.trips["km_medido"].dropna()
    assert sum(of_trips, Decimal(0)) == sum(result.segments["km_medido"], Decimal(0))

    def same(one: dict, other: dict) -> bool:
        common = min(one["chegada_utc"], other["chegada_utc"]) - max(one["saida_utc"], other["saida_utc"])
        shorter = min(row["chegada_utc"] - row["saida_utc"] for row in (one, other))
        of_one = one["placa"] == other["placa"] and one["fonte"] != other["fonte"]
        return of_one and common >= timedelta(0) and 2 * common >= shorter

    key = ("fonte", "veiculo_id", "saida_utc")
    stays = set(result.segments[list(key)].itertuples(index=False, name=None))
    counted = [row for row in every if tuple(row[name] for name in key) in stays]
    aside = [row for row in every if tuple(row[name] for name in key) not in stays]
    assert len(counted) == len(stays)
    assert not any(same(one, other) for one in counted for other in counted)
    assert all(any(same(one, other) for other in counted) for one in aside)


@worlds
@given(said(), seen(), both, st.integers(0, 40), st.randoms(use_true_random=False))
def test_the_order_of_rows_and_of_sources_changes_nothing(
    said, seen, sources, minutes, chance: random.Random
):
    every, known = doubled(seen, sources, minutes), hours(sol={9: "missing"}, lua={}, mar={12: "open"})
    lately = heard(**{PLATE: "sol lua", OTHER: "mar"})
    once = audit(said, every, days=(-2, 6), hours=known, heard=lately)
    chance.shuffle(said)
    chance.shuffle(every)
    known, lately = (frame.sample(frac=1, random_state=chance.randrange(99)) for frame in (known, lately))
    again = audit(said, every, days=(-2, 6), hours=known, heard=lately)
    pd.testing.assert_frame_equal(once.trips, again.trips)
    pd.testing.assert_frame_equal(once.segments, again.segments)


@worlds
@given(said(), seen(), both, st.integers(0, 40))
def test_a_day_alone_gives_what_it_gives_within_its_days(said, seen, sources, minutes):
    every = doubled(seen, sources, minutes)
    together = audit(said, every, days=(0, 3)).trips
    for day in range(3):
        near = [row for row in every if at("00:00", day - 3) <= row["saida_utc"] < at("00:00", day + 4)]
        alone = audit(said, near, days=(day, day + 1)).trips
        within = together[together["viagem_id"].isin(alone["viagem_id"])].reset_index(drop=True)
        pd.testing.assert_frame_equal(alone, within)


@worlds
@given(said(), seen())
def test_a_second_source_that_says_the_same_changes_no_kilometre_and_no_verdict(said, seen):
    one, two = audit(said, seen, days=(-2, 6)), audit(said, doubled(seen, ["sol"] * 24, 0), days=(-2, 6))
    ids = ["viagem_id"]  # of what nobody declared: by its device
    same = [name for name in SAME if name not in ids]
    pd.testing.assert_frame_equal(one.trips[same], two.trips[same])


@worlds
@given(said(), seen())
def test_two_sources_of_different_vehicles_are_as_one(said, seen):
    split = [row | {"fonte": "sol" if row["placa"] == PLATES[0] else "lua"} for row in seen]
    one, two = audit(said, seen, days=(-2, 6)), audit(said, split, days=(-2, 6))
    pd.testing.assert_frame_equal(one.trips[SAME], two.trips[SAME])
    assert set(two.trips["motivo_fonte"].dropna()) <= {"unica"}


@worlds
@given(said(), seen(), st.dictionaries(st.integers(-24, 47), st.sampled_from(["missing", "open"])))
def test_the_outage_of_another_source_changes_nothing(said, seen, outage):
    lately = heard(**{PLATE: "sol", OTHER: "lua"})
    split = [row | {"fonte": "sol" if row["placa"] == PLATE else "lua"} for row in seen]
    calm, bad = (
        audit(said, split, days=(-1, 2), hours=hours(sol={3: "missing"}, lua=of_lua), heard=lately).trips
        for of_lua in ({}, outage)
    )
    of_sol = calm["veiculo"] == PLATE
    pd.testing.assert_frame_equal(calm[of_sol], bad[of_sol])
