"""Two plates that carry each other's odometers: found where both say so, given back, and said once a day."""

import random
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetria_pipeline.contracts.audit import DIVERGENCES, TRIP_SEGMENTS, VALIDATED_TRIPS
from telemetria_pipeline.core.audit.coverage import Sources
from telemetria_pipeline.core.audit.divergences import find_divergences
from telemetria_pipeline_tests.core.audit.rows import DAY, ZONE, hours
from telemetria_pipeline_tests.core.audit.sides import RULES, at, audit, declared, measured
from telemetria_pipeline_tests.rounds import examples

A, B = PLATES = ("GDP4J68", "ABC1C34")
BASE = {A: 45_000.0, B: 80_000.0}
ALL = range(-2, 5)
CLOCKS = {A: ("06:00", "12:00", "18:00"), B: ("08:00", "14:00", "20:00")}
KM = 20.0


def driven(days: Iterable[int] = ALL, plates: Iterable[str] = PLATES) -> list[dict[str, Any]]:
    """What each vehicle drove: three trips a day of 20 km, an hour each."""
    return [
        {
            "plate": plate,
            "day": day,
            "start": at(clock, day),
            "end": at(clock, day) + timedelta(hours=1),
            "km": BASE[plate] + KM * (3 * (day + 2) + number),
        }
        for plate in plates
        for day in days
        for number, clock in enumerate(CLOCKS[plate])
    ]


def sheets(trips: Iterable[dict[str, Any]], off: float = 0) -> list[dict[str, Any]]:
    return [
        declared(
            t["start"], t["end"], KM, placa=t["plate"], km_saida=t["km"] + off, km_chegada=t["km"] + KM + off
        )
        for t in trips
    ]


def telemetry(trips: Iterable[dict[str, Any]], swapped: Iterable[int] = ()) -> list[dict[str, Any]]:
    """What came; on the days of `swapped` under the other's plate and device."""
    other = {A: B, B: A}

    def came(t: dict[str, Any]) -> dict[str, Any]:
        plate = other[t["plate"]] if t["day"] in swapped else t["plate"]
        return measured(t["start"], t["end"], KM, odometro=t["km"], placa=plate, veiculo_id=f"v-{plate}")

    return list(map(came, trips))


def found(result) -> list[tuple[str, str, str, bool]]:
    rows = result.swaps[["dia", "veiculo", "outro", "pelo_boletim"]]
    return list(rows.itertuples(index=False, name=None))


def both(day: int, by_sheet: bool = True) -> list[tuple[str, str, str, bool]]:
    on = str(DAY + timedelta(days=day))
    return [(on, B, A, by_sheet), (on, A, B, by_sheet)]


@pytest.mark.parametrize("swapped", [[0], [0, 1], [-2, -1, 0, 1, 2, 3, 4]])
def test_devices_are_given_back_for_a_swap_of_any_length(swapped):
    trips = driven()
    result = audit(sheets(trips), telemetry(trips, swapped), days=(0, 2))
    assert VALIDATED_TRIPS.broken_by(result.trips) is None
    assert TRIP_SEGMENTS.broken_by(result.segments) is None
    assert found(result) == [row for day in (0, 1) if day in swapped for row in both(day)]
    assert set(result.trips["fonte"]) == {"ambos"}
    assert set(result.trips["veredito"]) == {"ok"}
    of_day = result.trips["saida_utc"].dt.tz_convert(ZONE).dt.date.map(lambda d: (d - DAY).days)
    assert result.trips["aparelho_trocado"].tolist() == of_day.isin(swapped).tolist()
    assert result.segments["aparelho_trocado"].sum() == 6 * len({0, 1} & set(swapped))


def test_one_sentence_a_pair_and_day_with_the_readings_and_no_money():
    trips = driven()
    result = audit(sheets(trips), telemetry(trips, [0]))
    sources = Sources(hours())
    rows = find_divergences(result.trips, result.segments, sources, RULES, DAY, ZONE, result.swaps)
    assert DIVERGENCES.broken_by(rows) is None
    (row,) = rows.to_dict("records")
    assert (row["tipo"], row["veredito"], row["valor_brl"]) == ("aparelhos_trocados", "a_esclarecer", None)
    assert row["viagem_id"] == result.trips.iloc[0]["viagem_id"]
    assert row["frase"] == (
        "Os aparelhos de ABC1C34 e GDP4J68 parecem trocados em 10/03: na placa ABC1C34 vieram leituras de "
        "45.120,0 a 45.180,0 km, e na placa GDP4J68, de 80.120,0 a 80.180,0 km; o boletim as declara ao "
        "contrário. As viagens foram conferidas com eles destrocados; corrija o cadastro na fonte sol, "
        "ou as placas no boletim."
    )
    again = find_divergences(result.trips[1:], result.segments, sources, RULES, DAY, ZONE, result.swaps)
    assert again["divergencia_id"].tolist() == [row["divergencia_id"]]


@pytest.mark.parametrize("swapped", [[0], [0, 1], [-1, 0]])
def test_without_a_word_on_odometers_telemetry_and_the_hours_tell(swapped):
    """The sheets count from another zero: what lies between the days shows it, on the days of the swap."""
    trips = driven()
    result = audit(sheets(trips, off=9_000), telemetry(trips, swapped), days=(-1, 2))
    assert found(result) == [row for day in swapped for row in both(day, by_sheet=False)]
    assert set(result.trips["fonte"]) == {"ambos"}


def honest_days() -> dict[str, tuple[list[dict[str, Any]], list[dict[str, Any]]]]:
    trips, a_only, b_only = driven(), driven(plates=[A]), driven(plates=[B])
    near = [{**t, "km": t["km"] - 34_960} if t["plate"] == B else t for t in trips]  # 40 km apart
    exchanged = telemetry(trips, [0])
    return {
        "nothing was swapped": (sheets(trips), telemetry(trips)),
        "odometers alike": (sheets(near), telemetry(near, [0])),
        "no boletim": ([], exchanged),
        "a boletim of one": (sheets(a_only), exchanged),
        "telemetry of one": (sheets(trips), [s for s in exchanged if s["placa"] == A]),
        "no readings": (sheets(trips), [{**s, "situacao_odometro": "ausente"} for s in exchanged]),
        "one runs under both plates": (sheets(trips), telemetry(b_only) + telemetry(b_only, ALL)),
        "other sources": (sheets(trips), [{**s, "fonte": s["placa"].lower()} for s in exchanged]),
        "sheets that count from another zero": (sheets(trips, off=9_000), telemetry(trips)),
        "a day without sheets before one": (
            sheets([t for t in trips if t["day"] != 0]), telemetry(trips, [0]),
        ),
    }  # fmt: skip


@pytest.mark.parametrize("name", honest_days())
def test_it_does_not_fire(name):
    result = audit(*honest_days()[name], days=(-1, 3))
    assert result.swaps.empty
    assert not result.trips["aparelho_trocado"].any()


def test_a_few_rows_that_were_typed_wrong_hide_nothing_and_half_of_them_do():
    trips = driven(days=[0])
    rows = sheets(trips)
    wrong = [{**row, "km_saida": 5.0, "km_chegada": 25.0} for row in rows]
    of = {plate: [n for n, row in enumerate(rows) if row["placa"] == plate] for plate in PLATES}
    few = [wrong[n] if n == of[A][0] else row for n, row in enumerate(rows)]
    assert len(found(audit(few, telemetry(trips, [0])))) == 2
    most = [wrong[n] if n in of[A][:2] else row for n, row in enumerate(rows)]
    assert found(audit(most, telemetry(trips, [0]))) == []


@pytest.mark.parametrize(("off", "fires"), [(4.9, True), (5.1, False)])
def test_near_is_five_kilometres(off, fires):
    trips = driven(days=[0])
    first = [t for t in trips if t["start"] == at(CLOCKS[t["plate"]][0])]  # beyond the readings by `off`
    rows = [{**row, "km_chegada": row["km_saida"]} for row in sheets(first, off=-off)]
    assert bool(found(audit(rows, telemetry(trips, [0])))) == fires


@pytest.mark.parametrize(("apart", "fires"), [(91.0, True), (89.0, False)])
def test_far_is_fifty_kilometres(apart, fires):
    """Each is read at 0, 20, 20, 40, 40 and 60 km; from 90 km on, five of six are 50 km off the other's."""
    trips = [{**t, "km": t["km"] - BASE[B] + BASE[A] + apart} if t["plate"] == B else t for t in driven([0])]
    assert bool(found(audit(sheets(trips), telemetry(trips, [0])))) == fires


def test_what_may_still_be_told_of_the_days_around_is_said():
    trips = driven()
    assert not audit(sheets(trips), telemetry(trips)).devices_in_doubt
    assert audit([], telemetry(trips, [1])).devices_in_doubt  # the sheets of tomorrow will tell
    assert audit(sheets(trips), telemetry(trips, ALL)).devices_in_doubt


@examples(30)
@given(
    st.sets(st.sampled_from(ALL)),
    st.sets(st.sampled_from(ALL)),
    st.sampled_from([0, 9_000]),
    st.randoms(use_true_random=False),
)
def test_day_by_day_and_in_any_order_it_is_what_the_days_give_together(swapped, unsaid, off, chance):
    trips = driven()
    said = sheets([t for t in trips if t["day"] not in unsaid], off)
    seen = [s for s in telemetry(trips, swapped) if chance.random() < 0.9]

    def loaded(rows: list[dict[str, Any]], day: int) -> list[dict[str, Any]]:
        return [row for row in rows if at("00:00", day - 3) <= row["saida_utc"] < at("00:00", day + 4)]

    together = audit(said, seen, days=(0, 3))
    alone = [audit(loaded(said, day), loaded(seen, day), days=(day, day + 1)) for day in range(3)]
    pd.testing.assert_frame_equal(pd.concat([a.trips for a in alone], ignore_index=True), together.trips)
    pd.testing.assert_frame_equal(pd.concat([a.swaps for a in alone], ignore_index=True), together.swaps)
    random.Random(1).shuffle(said)
    chance.shuffle(seen)
    again = audit(said, seen, days=(0, 3))
    pd.testing.assert_frame_equal(again.trips, together.trips)
    pd.testing.assert_frame_equal(again.segments, together.segments)
    assert len(audit(said, seen, days=(-2, 5)).segments) == len(seen)
