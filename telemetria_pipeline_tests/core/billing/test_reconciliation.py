from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetria_pipeline.contracts.billing import ODOMETER_RECONCILIATION
from telemetria_pipeline.core.audit.rules import AuditRules
from telemetria_pipeline.core.billing.devices import biased_devices
from telemetria_pipeline.core.billing.reconciliation import Reconciled, reconcile
from telemetria_pipeline_tests.core.audit.rows import ZONE, trip, trips
from telemetria_pipeline_tests.rounds import examples

RULES = AuditRules()
FRIDAY = datetime(2026, 3, 6, 7, tzinfo=ZONE)


def read(hours: float, odometer: float, km: float = 20, **said: Any) -> dict[str, Any]:
    """A trip of 45 minutes, so many hours after Friday 07:00, that both sides agree on, with its readings."""
    departure = FRIDAY + timedelta(hours=hours)
    device = {"aparelho": "sol:v-1", "leitura_saida_km": odometer, "leitura_chegada_km": odometer + km}
    facts = {"saida_utc": departure, "km_declarado": km, "km_medido": km, "km_telemetria": km, **device}
    return trip(viagem_id=f"{hours:06.2f}{said.get('placa', '')}", **{**facts, **said})


def unheard(hours: float, km: Any, **said: Any) -> dict[str, Any]:
    """A trip that was declared, while nothing was heard."""
    return trip(
        viagem_id=f"{hours:06.2f}{said.get('placa', '')}u",
        saida_utc=FRIDAY + timedelta(hours=hours),
        km_declarado=km,
        km_medido=None,
        sinal="desconhecido",
        veredito="inconclusivo",
        base_auditoria="boletim_substitui",
        **said,
    )


def reconciled(rows: Sequence[dict], around: Sequence[dict] = ()) -> Reconciled:
    frame = trips(*rows)
    found = reconcile(frame, trips(*around), biased_devices(frame), RULES, ZONE)
    assert ODOMETER_RECONCILIATION.broken_by(found.intervals) is None
    return found


def judged(found: Reconciled) -> dict[str, tuple[str, str, Decimal]]:
    rows = found.trips[found.trips["viagem_id"].str.endswith("u")]
    return {
        i[:-1]: (v, b, km)
        for i, v, b, km in zip(
            rows["viagem_id"], rows["veredito"], rows["base_auditoria"], rows["km_auditado"], strict=True
        )
    }


WEEKEND = [unheard(24, 60), unheard(30, 40)]  # on Saturday
MONDAY = 72


def test_an_invented_saturday_is_paid_no_more_than_the_odometer_moved():
    found = reconciled([read(0, 1_000), *WEEKEND, read(MONDAY, 1_030)])
    assert judged(found) == {
        "024.00": ("divergente", "odometro", Decimal(6)),  # of 10 km in proportion to 60 and 40
        "030.00": ("divergente", "odometro", Decimal(4)),
    }
    (row,) = found.intervals.to_dict("records")
    assert (row["leitura_inicial_km"], row["leitura_final_km"]) == (1_020, 1_030)
    assert row["leitura_inicial_utc"] == FRIDAY + timedelta(minutes=45)
    assert row["leitura_final_utc"] == FRIDAY + timedelta(hours=MONDAY)
    assert (row["km_andados"], row["km_pedidos"], row["km_que_cabem"]) == (10, 100, 10)
    assert (row["viagens"], row["viagens_do_ciclo"], row["km_pagos"], row["km_excedentes"]) == (2, 2, 10, 90)
    assert (row["veredito"], row["valor_brl"]) == ("divergente", Decimal("245.70"))  # 90 km at 2.73
    assert row["dias"] == pytest.approx(71.25 / 24)
    assert row["frase"] == (
        "Entre 1.020,0 km em 06/03 às 07:45 e 1.030,0 km em 09/03 às 07:00 o odômetro de sol:v-1 andou "
        "10,0 km: dos 100,0 km de 2 viagens sem prova cabem 10,0 km. Neste ciclo não se pagam 90,0 km, "
        "R$ 245,70."
    )


@pytest.mark.parametrize(
    "after",
    [
        read(MONDAY, 1_120),  # it moved 100 km
        read(MONDAY, 1_111),  # or 91: within 10 %
        read(MONDAY, 1_020, aparelho="sol:v-2"),  # another device
        read(MONDAY, 12, aparelho="lua:v-1"),
        read(MONDAY, 30),  # it rolled over, or was replaced under the same name
        read(MONDAY, 90_000),  # nobody drives that in three days
        unheard(MONDAY, 20),  # nothing was read again
    ],
)
def test_whoever_may_have_driven_it_is_paid(after):
    found = reconciled([read(0, 1_000), *WEEKEND, after])
    assert all(row[:2] == ("inconclusivo", "boletim_substitui") for row in judged(found).values())
    assert found.intervals["km_excedentes"].sum() == 0


def test_where_two_sources_disagree_neither_odometer_proves_anything():
    half = read(24, 1_020, 15, km_declarado=60, veredito="inconclusivo", base_auditoria="boletim_substitui")
    half |= {"viagem_id": "024.00u", "km_auditado": 60}
    rows = [read(0, 1_000), half, read(MONDAY, 1_035)]
    assert judged(reconciled(rows))["024.00"][0] == "divergente"
    rows[1] = half | {"fontes_discordam": True, "km_outra_fonte": 58}
    assert judged(reconciled(rows))["024.00"][0] == "inconclusivo"
    assert "outro aparelho" in reconciled(rows).intervals["frase"][0]


@pytest.mark.parametrize(("after", "said"), [(1_120, "cabem os"), (1_111, "cabem, com a tolerância, os")])
def test_what_fits_is_said_with_both_readings(after, said):
    (row,) = reconciled([read(0, 1_000), *WEEKEND, read(MONDAY, after)]).intervals.to_dict("records")
    assert (row["veredito"], row["valor_brl"]) == ("ok", 0)
    assert row["frase"].endswith(f"andou {after - 1_020},0 km: {said} 100,0 km de 2 viagens sem prova.")


def test_what_is_not_known_stands_in_the_table_with_its_money():
    (row,) = reconciled([read(0, 1_000), *WEEKEND]).intervals.to_dict("records")
    assert (row["veredito"], row["valor_brl"], row["km_pagos"]) == ("inconclusivo", Decimal("273.00"), 100)
    assert row["frase"] == (
        "2 viagens sem prova (100,0 km), e não há leitura boa do odômetro depois: valem os km declarados, "
        "neste ciclo R$ 273,00."
    )
    (row,) = reconciled([WEEKEND[0], read(MONDAY, 1_020)]).intervals.to_dict("records")
    assert row["frase"].startswith("1 viagem sem prova (60,0 km), e não há leitura boa do odômetro antes")
    assert pd.isna(row["aparelho"]) and pd.isna(row["leitura_final_km"])


def test_a_reading_within_the_clock_s_tolerance_of_a_trip_parts_nothing():
    """Declared at 07:50, driven at 07:20 maybe: the segment of 07:00 may be of it."""
    rows = [read(-4, 960), read(0, 1_000), unheard(0.8, 30), read(MONDAY, 1_020)]
    (row,) = reconciled(rows).intervals.to_dict("records")
    assert row["leitura_inicial_km"] == 1_000  # as the trip before departs: half an hour and more
    assert (row["km_andados"], row["km_medidos"], row["km_que_cabem"]) == (20, 20, 0)
    assert row["veredito"] == "divergente"
    assert ", 20,0 km deles em outras viagens medidas: " in row["frase"]


def test_a_coarse_odometer_accuses_nobody():
    assert judged(reconciled([read(0, 1_000), unheard(24, 12.9), read(MONDAY, 1_032)]))["024.00"][0] == (
        "inconclusivo"
    )
    strict = {"tolerancia_pct": 0, "tolerancia_km": 0}
    rows = [read(0, 1_000), unheard(24, 13, **strict), read(MONDAY, 1_032)]
    assert judged(reconciled(rows))["024.00"][0] == "inconclusivo"
    rows[1] = unheard(24, "13.001", **strict)
    assert judged(reconciled(rows))["024.00"] == ("divergente", "odometro", Decimal(12))


def test_what_a_trip_measured_itself_it_keeps():
    half = read(24, 1_020, 15, km_declarado=60, veredito="inconclusivo", base_auditoria="boletim_substitui")
    half |= {"viagem_id": "024.00u", "km_auditado": 60}
    found = judged(reconciled([read(0, 1_000), half, unheard(30, 40), read(MONDAY, 1_052)]))
    assert found == {  # 32 km: 15 and, of the 17 that are left, in proportion to 45 and 40
        "024.00": ("divergente", "odometro", Decimal("24.000")),
        "030.00": ("divergente", "odometro", Decimal("8.000")),
    }


def test_a_weekend_from_one_cycle_to_the_next_is_shared_by_both():
    first, second = [read(0, 1_000), WEEKEND[0]], [WEEKEND[1], read(MONDAY, 1_030)]
    both = [reconciled(first, second), reconciled(second, first)]
    assert judged(both[0]) | judged(both[1]) == judged(reconciled(first + second))
    for found, cycle in zip(both, (60, 40), strict=True):
        (row,) = found.intervals.to_dict("records")
        assert (row["km_pedidos"], row["km_pedidos_ciclo"], row["viagens_do_ciclo"]) == (100, cycle, 1)


def test_an_odometer_that_measures_too_little_leaves_what_the_tracker_would():
    slow = [read(n, 1_000 + 20 * n, km_telemetria=25) for n in range(20)]
    found = reconciled([*slow, unheard(40, 100), read(MONDAY, 1_480, km_telemetria=25)])
    assert judged(found)["040.00"][0] == "inconclusivo"  # 80 km of its own are 100
    assert found.intervals[["km_andados", "km_que_cabem"]].to_numpy().tolist() == [[80, 100]]


def test_what_such_an_odometer_measured_of_other_trips_is_not_left_for_those_without_a_proof():
    slow = [read(n, 1_000 + 20 * n, km_telemetria=25) for n in range(20)]
    # Of 120 km 80 are another trip's: the 40 that are left count as 50, and not as 150 less 80.
    beside = read(45, 1_400, km=80, km_telemetria=100, leitura_saida_km=None, leitura_chegada_km=None)
    found = reconciled([*slow, unheard(40, 70), beside, read(MONDAY, 1_520, km_telemetria=25)])
    assert found.intervals[["km_andados", "km_que_cabem"]].to_numpy().tolist() == [[120, 50]]
    assert judged(found)["040.00"][0] == "divergente"


def test_vehicles_are_apart():
    other = {"placa": "ABC1C34", "veiculo": "ABC1C34"}
    rows = [read(0, 1_000), *WEEKEND, read(MONDAY, 1_200, **other), read(1, 1_000, **other)]
    assert reconciled(rows).intervals["veredito"].tolist() == ["inconclusivo"]


@st.composite
def worlds(draw: st.DrawFn, honest: bool) -> list[dict]:
    """Trips of two vehicles, some unheard, whose odometers go on: driven as declared if `honest`."""
    rows = []
    for plate in ("ABC1C34", "GDP4J68"):
        odometer, hours = draw(st.integers(1, 900_000)), 0.0
        for _ in range(draw(st.integers(0, 9))):
            hours += draw(st.integers(1, 40))
            km = draw(st.integers(1, 90))
            said = {"placa": plate, "veiculo": plate}
            if draw(st.booleans()):
                device = draw(st.sampled_from(["sol:v-1"] * 5 + ["lua:v-1"]))
                rows.append(read(hours, odometer, km, aparelho=device, **said))
                odometer += km
            else:
                part = 0 if honest else draw(st.integers(0, km))
                measured = {"km_medido": part, "segmentos": 1, "aparelho": "sol:v-1"} if part else {}
                rows.append(unheard(hours, km, **said) | _heard_within(measured, hours))
                odometer += km if honest else draw(st.integers(part, 120))
            odometer += draw(st.sampled_from([0, 0, 0, 7] + ([] if honest else [-30])))
    return rows


def _heard_within(measured: dict, hours: float) -> dict:
    if not measured:
        return {}
    departure = FRIDAY + timedelta(hours=hours)
    arrival = departure + timedelta(minutes=20)
    return measured | {"saida_medida_utc": departure, "chegada_medida_utc": arrival}


@examples(60)
@given(worlds(honest=True))
def test_whoever_drove_what_was_declared_is_never_accused(rows):
    found = reconciled(rows)
    assert "divergente" not in set(found.trips["veredito"])
    assert "divergente" not in set(found.intervals["veredito"])


@examples(80)
@given(worlds(honest=False))
def test_between_two_readings_no_more_is_paid_than_the_odometer_moved(rows):
    frame, found = trips(*rows), reconciled(rows)
    after = found.trips.set_index("viagem_id")["km_auditado"]
    assert (after <= frame.set_index("viagem_id")["km_auditado"]).all()
    for row in found.intervals.to_dict("records"):
        assert row["km_pagos"] + row["km_excedentes"] == row["km_pedidos_ciclo"]
        if row["veredito"] == "inconclusivo":
            assert row["km_excedentes"] == 0
            continue
        # By hand: all that lies between the two instants.
        inside = [
            r
            for r in rows
            if r["veiculo"] == row["veiculo"]
            and row["leitura_inicial_utc"] <= r["saida_utc"] < row["leitura_final_utc"]
        ]
        asked = [r for r in inside if r["veredito"] == "inconclusivo"]
        others = sum(r["km_medido"] for r in inside if r["veredito"] == "ok")
        own = sum(r["km_medido"] or 0 for r in asked)
        moved = row["leitura_final_km"] - row["leitura_inicial_km"]
        room, claimed = max(moved - others, own), sum(r["km_declarado"] for r in asked)
        assert (row["km_pedidos"], row["km_que_cabem"]) == (claimed, room)
        paid = sum(after[r["viagem_id"]] for r in asked)
        if row["veredito"] == "divergente":
            assert paid == room
            assert all(after[r["viagem_id"]] >= (r["km_medido"] or 0) for r in asked)
        else:
            assert paid == claimed <= max(room * Decimal("1.1"), room + 1)


@examples(40)
@given(worlds(honest=False), st.integers(0, 18), st.randoms(use_true_random=False))
def test_order_changes_nothing_and_two_cycles_share_what_is_between_them(rows, at, random):
    whole = reconciled(rows)
    shuffled = random.sample(rows, len(rows))
    pd.testing.assert_frame_equal(reconciled(shuffled).intervals, whole.intervals)
    parts = [reconciled(rows[:at], rows[at:]), reconciled(rows[at:], rows[:at])]
    both = pd.concat([part.trips for part in parts]).set_index("viagem_id")
    names = ["veredito", "base_auditoria", "km_auditado"]
    pd.testing.assert_frame_equal(
        both.sort_index()[names], whole.trips.set_index("viagem_id").sort_index()[names]
    )


def test_nothing_to_judge_is_an_empty_table():
    assert reconciled([]).intervals.empty
    assert reconciled([read(0, 1_000)], [*WEEKEND, read(MONDAY, 1_020)]).intervals.empty
