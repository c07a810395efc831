"""From raw payload and boletim to the bill: what days without a device ask for, and what odometers tell."""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

import pandas as pd
import pytest

from telemetria_pipeline.contracts.billing import (
    ADJUSTMENTS,
    BILLING,
    ODOMETER_RECONCILIATION,
    PATTERNS,
    PRICED_TRIPS,
)
from telemetria_pipeline.steps.cycle import close_cycle
from telemetria_pipeline_tests.core.billing.bills import CYCLE
from telemetria_pipeline_tests.defs.payloads import SETTINGS, THURSDAY, Bus, World, at


def week(bus: Bus) -> None:
    """Driven and declared on Thursday, on Friday morning, and on Tuesday."""
    bus.drive(0, 7, 40)
    bus.drive(0, 17, 40)
    bus.drive(1, 7, 40)


SILENT = {
    "ABC1A00": "an invented Saturday",
    "ABC1A01": "in service all days, in truth in the workshop",
    "ABC1A02": "Friday's last trip was never driven",
    "ABC1A03": "the device was unplugged, and the bus drove",
    "ABC1A04": "the same, and an odometer that shows whole kilometres",
    "ABC1A05": "the device was replaced",
    "ABC1A06": "in the workshop, and nothing declared",
    "ABC1A07": "driven by half",
    "ABC1A08": "hours are missing in which nothing was driven",
}


@pytest.fixture(scope="module")
def silent(tmp_path_factory) -> Iterator[tuple[World, dict[str, Bus]]]:
    """All of them in one lake: heard on Thursday and Friday morning, then on Tuesday again."""
    buses = {plate: Bus(plate) for plate in SILENT}
    for bus in buses.values():
        week(bus)
    saturday, shop, friday, drove, coarse, swapped, still, half, hours = buses.values()
    for hour in (8, 14):
        saturday.declare(2, hour, 80)
    for day in range(1, 5):
        for bus in (shop, drove, coarse, swapped, half):
            bus.declare(day, 12, 60)
            bus.declare(day, 19, 60)
    friday.declare(1, 18, 75)
    hours.declare(4, 18, 55)
    for bus in (drove, coarse):
        bus.odometer += 8 * 60
    coarse.odometer -= 0.9  # of 480 km, cut at both ends
    half.odometer += 4 * 60
    swapped.device, swapped.odometer = "another", 3.0
    assert still.odometer == 52_120.0
    for bus in buses.values():
        bus.drive(5, 7, 40)

    folder = tmp_path_factory.mktemp("silent")
    world = World(str(folder), list(SILENT))
    world.hear(list(buses.values()), -1, 6, missing=(at(4, 18),))
    assert world.take("semana.csv", [row for bus in buses.values() for row in bus.rows]) == "accepted"
    world.audit(0, 5)
    world.bill()
    yield world, buses


def paid(world: World, bus: Bus) -> tuple[set[tuple[str, str]], Decimal]:
    """Verdict and basis of the trips that nobody heard, and what of them is paid."""
    trips = [t for t in world.of(bus, PRICED_TRIPS) if pd.isna(t["km_medido"])]
    return {(t["veredito"], t["base_auditoria"]) for t in trips}, sum(t["km_auditado"] for t in trips)


PROVEN, OPEN = {("divergente", "odometro")}, {("inconclusivo", "boletim_substitui")}


@pytest.mark.parametrize(
    ("plate", "verdicts", "km", "excess", "told"),
    [
        ("ABC1A00", PROVEN, 0, "436.80", "divergente"),  # 160 km at 2.73
        ("ABC1A01", PROVEN, 0, "1310.40", "divergente"),
        ("ABC1A02", PROVEN, 0, "204.75", "divergente"),
        ("ABC1A03", OPEN, 480, "0.00", "ok"),
        ("ABC1A04", OPEN, 480, "0.00", "ok"),
        ("ABC1A05", OPEN, 480, "1310.40", "inconclusivo"),
        ("ABC1A07", PROVEN, 240, "655.20", "divergente"),
        ("ABC1A08", PROVEN, 0, "150.15", "divergente"),
    ],
    ids=[said for plate, said in SILENT.items() if plate != "ABC1A06"],
)
def test_days_without_a_device(silent, plate, verdicts, km, excess, told):
    world, buses = silent
    assert paid(world, buses[plate]) == (verdicts, km)
    (row,) = world.of(buses[plate], ODOMETER_RECONCILIATION)
    assert (row["veredito"], row["valor_brl"]) == (told, Decimal(excess))
    (line,) = world.of(buses[plate], BILLING)
    assert line["km_auditado"] == 160 + km  # and all that was heard


def test_whoever_stood_and_asked_for_nothing_is_not_in_the_table(silent):
    world, buses = silent
    assert world.of(buses["ABC1A06"], ODOMETER_RECONCILIATION) == []
    assert {t["veredito"] for t in world.of(buses["ABC1A06"], PRICED_TRIPS)} == {"ok"}


def test_both_readings_stand_beside_what_was_asked(silent):
    world, buses = silent
    (row,) = world.of(buses["ABC1A01"], ODOMETER_RECONCILIATION)
    assert (row["leitura_inicial_km"], row["leitura_final_km"], row["km_andados"]) == (52_120, 52_120, 0)
    assert (row["leitura_inicial_utc"], row["leitura_final_utc"]) == (
        at(1, 7) + timedelta(minutes=50),
        at(5, 7),
    )
    assert (row["viagens"], row["km_pedidos"], row["km_excedentes"]) == (8, 480, 480)


def test_an_odometer_wound_up_is_named_and_not_believed(tmp_path):
    """15 % more than the tracker, on both sides: each trip for itself agrees."""
    wound, honest = Bus("ABC1A00"), Bus("ABC1A01")
    for day in range(2):
        for hour in range(6, 18):
            wound.drive(day, hour, 23, tracker=20)
            honest.drive(day, hour, 23, tracker=22.5)
    world = World(str(tmp_path), [wound.plate, honest.plate])
    world.hear([wound, honest], -1, 2)
    assert world.take("boletim.csv", wound.rows + honest.rows) == "accepted"
    world.audit(0, 1)
    world.bill()
    patterns = world.table(PATTERNS).set_index(["padrao", "chave"])
    (named,) = (row for kind, row in patterns.index if kind == "aparelho_desviado")
    assert named == "main:abc1a00"
    assert patterns.loc[("aparelho_desviado", named), "valor_brl"] == Decimal("196.56")  # 24 times 3 km
    assert {(t["veredito"], t["km_auditado"]) for t in world.of(wound, PRICED_TRIPS)} == {
        ("inconclusivo", 23)
    }
    assert {t["veredito"] for t in world.of(honest, PRICED_TRIPS)} == {"ok"}


@pytest.mark.long  # smaller: core/billing/test_patterns.py
def test_a_little_more_every_time_is_a_pattern_and_a_round_route_is_none(tmp_path):
    adds, share, most, round_, exact = (Bus(f"ABC1A0{n}") for n in range(5))
    for day in range(2):
        for hour in range(5, 20):
            n = day * 15 + hour
            adds.drive(day, hour, 20 + n % 3 * 10, said=20.9 + n % 3 * 10)
            share.drive(day, hour, 40, said=41.9)
            most.drive(day, hour, 30, said=32.9 if n % 4 else 30)
            round_.drive(day, hour, 30.1 if n % 2 else 29.9, said=30)
            exact.drive(day, hour, 31.4 + 0.1 * (n % 2), said=31.4)
    buses = [adds, share, most, round_, exact]
    world = World(str(tmp_path), [bus.plate for bus in buses])
    world.hear(buses, -1, 2)
    assert world.take("boletim.csv", [row for bus in buses for row in bus.rows]) == "accepted"
    world.audit(0, 1)
    world.bill()
    assert set(world.table(PRICED_TRIPS)["veredito"]) == {"ok"}
    patterns = world.table(PATTERNS)
    by_vehicle = patterns[patterns["nivel"] == "veiculo"]
    assert set(zip(by_vehicle["chave"], by_vehicle["padrao"], strict=True)) == {
        (adds.plate, "vies"),
        (adds.plate, "excesso_constante"),
        (share.plate, "vies"),
        (most.plate, "vies"),
    }
    worth = by_vehicle.set_index(["chave", "padrao"])["valor_brl"]
    assert worth[adds.plate, "vies"] == worth[adds.plate, "excesso_constante"] == Decimal("73.71")  # 27 km


@pytest.mark.long  # smaller: core/billing/test_patterns.py
def test_a_boletim_sent_again_with_more_km_is_a_pattern(tmp_path):
    raises, corrects, refused = Bus("ABC1A00"), Bus("ABC1A01"), Bus("ABC1A02")
    for hour in (7, 9):
        raises.drive(0, hour, 40)
        corrects.drive(0, hour, 40)
        refused.drive(0, hour, 40)
    world = World(str(tmp_path), [bus.plate for bus in (raises, corrects, refused)])
    world.hear([raises, corrects, refused], -1, 1)

    def more(rows: list[dict], km: int) -> list[dict]:
        return [{**row, "KM SAÍDA": f"{n}000", "KM CHEGADA": f"{n}0{km}"} for n, row in enumerate(rows, 1)]

    assert world.take("a.csv", raises.rows) == "accepted"
    assert world.take("a.csv", more(raises.rows, 43)) == "accepted"
    assert world.take("b.csv", more(corrects.rows, 30)) == "accepted"  # typed wrong, and put right
    assert world.take("b.csv", corrects.rows) == "accepted"
    wrong = {**refused.rows[0], "HORÁRIO SAÍDA": "12:00", "HORÁRIO CHEGADA": "às doze"}
    assert world.take("c.csv", [*refused.rows, wrong]) == "rejected"
    assert world.take("c corrigido.csv", more(refused.rows, 42)) == "accepted"
    world.audit(0, 0)
    world.bill()
    found = world.table(PATTERNS).set_index("chave")
    assert dict(found["padrao"]) == {raises.plate: "km_aumentado", refused.plate: "km_aumentado"}
    assert dict(found["valor_brl"]) == {raises.plate: Decimal("16.38"), refused.plate: Decimal("10.92")}
    assert world.take("a.csv", raises.rows) == "accepted"  # taken back
    world.audit(0, 0)
    world.bill()
    assert world.table(PATTERNS)["chave"].tolist() == [refused.plate]


@pytest.mark.long  # smaller: what arrives after the closing, in test_billing.py
def test_a_reading_that_comes_after_the_closing_is_an_adjustment(tmp_path):
    """Silent over the end of the cycle, which is closed; three days into the next one the bus is heard."""
    bus = Bus("ABC1A00")
    first = (CYCLE.last - THURSDAY).days  # Sunday the 15th
    bus.drive(first - 1, 7, 40)
    bus.declare(first, 9, 70)
    bus.declare(first + 1, 9, 30)
    bus.odometer += 50
    bus.drive(first + 3, 7, 40)
    world = World(str(tmp_path), [bus.plate])
    world.hear([bus], first - 2, first + 4)
    assert world.take("boletim.csv", bus.rows) == "accepted"
    world.audit(first - 1, first)
    world.bill()
    assert paid(world, bus) == (OPEN, 70)
    closing = close_cycle(world.lake, CYCLE, SETTINGS, at(first + 4, 7), despite="a carta do dia 17")
    assert closing.rows[ODOMETER_RECONCILIATION.name] == 1

    world.audit(first + 1, first + 1)
    world.bill(CYCLE.after)
    assert world.table(ADJUSTMENTS, CYCLE.after).empty
    world.audit(first + 2, first + 3)
    world.bill(CYCLE.after)
    (owed,) = world.of(bus, ADJUSTMENTS, CYCLE.after)
    assert (owed["causa"], owed["km_antes"], owed["km_depois"]) == ("km_alterado", 70, 35)  # 50 km for 100
    (row,) = world.of(bus, ODOMETER_RECONCILIATION, CYCLE.after)
    assert (row["km_pedidos"], row["km_pedidos_ciclo"], row["km_pagos"]) == (100, 30, 15)
    world.bill()
    assert paid(world, bus) == (OPEN, 70)  # as it was closed
