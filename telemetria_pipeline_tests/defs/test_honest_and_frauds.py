"""From raw payload and boletim to the bill: who is honest is not accused, and no kilometre is paid twice."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

import pandas as pd
import pytest

from telemetria_pipeline.contracts.audit import DIVERGENCES, VALIDATED_TRIPS
from telemetria_pipeline.contracts.billing import BILLING
from telemetria_pipeline.contracts.reference import CONTRACTS, SUBSTITUTIONS
from telemetria_pipeline.steps.audit_day import audit_day
from telemetria_pipeline.steps.staleness import stale_days
from telemetria_pipeline_tests.core.billing.bills import terms
from telemetria_pipeline_tests.defs.cycles import put
from telemetria_pipeline_tests.defs.payloads import SETTINGS, THURSDAY, Bus, World, at

DAYS = range(5)  # from Thursday to Monday


class Diary:
    """What a bus does and what is claimed of it, in whatever order it is told."""

    def __init__(self) -> None:
        self._told: list[tuple[float, str, dict[str, object]]] = []

    def hear(self, day: int, hour: float, km: float, **said: object) -> None:
        self._told.append((24 * day + hour, "hear", {"km": km, **said}))

    def declare(self, day: int, hour: float, km: float, **said: object) -> None:
        self._told.append((24 * day + hour, "declare", {"km": km, **said}))

    def bus(self, plate: str) -> Bus:
        """The bus, whose odometers go on from trip to trip."""
        bus = Bus(plate)
        for hours, what, said in sorted(self._told, key=lambda told: told[:2]):
            getattr(bus, what)(0, hours, **said)
        return bus


Story = Callable[[Diary], None]


def usual(bus: Diary, *but: int, **said: object) -> None:
    """Early and late each day but some, heard and declared: all else lies between good readings."""
    for day in DAYS:
        if day not in but:
            for hour in (4, 21):
                bus.declare(day, hour, 20)
                bus.hear(day, hour, 20, **said)


def engine_kept_running(bus: Diary) -> None:
    usual(bus)
    for day in DAYS:
        bus.declare(day, 6, 25)
        bus.declare(day, 7, 25)
        bus.hear(day, 6, 50, minutes=110)


def stopped_on_the_way_back(bus: Diary) -> None:
    usual(bus)
    for day in DAYS:
        bus.declare(day, 6, 25)
        bus.declare(day, 7, 25)
        bus.hear(day, 6, 35, minutes=80)
        bus.hear(day, 7.4, 15, minutes=26)


def hour_typed_wrong(bus: Diary) -> None:
    usual(bus)
    bus.declare(1, 10, 31, minutes=40)
    bus.hear(1, 8, 30.2, minutes=40)


def hour_typed_wrong_among_others(bus: Diary) -> None:
    """One trip follows another closely, and is claimed for where a third one was heard and claimed."""
    usual(bus)
    for hour, km in ((6, 25), (8, 40)):
        bus.declare(1, hour, km)
        bus.hear(1, hour, km)
    bus.hear(1, 7, 31)
    bus.declare(1, 9.5, 31)


def day_typed_wrong(bus: Diary) -> None:
    usual(bus)
    bus.declare(2, 12, 44)
    bus.hear(1, 12, 44)


def night_under_the_date_of_its_shift(bus: Diary) -> None:
    usual(bus)
    bus.declare(1, 0.5, 27, minutes=40)  # of Friday's shift, and so of Friday's date
    bus.hear(2, 0.5, 27, minutes=40)


def no_odometer(bus: Diary) -> None:
    usual(bus, odometer=False)
    for day in DAYS:
        bus.declare(day, 9, 40)  # the device is silent for hours
        bus.declare(day, 12, 60)
        bus.hear(day, 12, 48, odometer=False)  # and reads short in a tunnel


def another_badge(bus: Diary) -> None:
    usual(bus, driver="ANA LIMA")


def early(bus: Diary) -> None:
    usual(bus)
    for day in DAYS:
        bus.declare(day, 9, 20, minutes=60)
        bus.hear(day, 9 + 35 / 60, 20, minutes=30)


def odometer_contradicts(bus: Diary) -> None:
    usual(bus)
    for day in DAYS:
        bus.declare(day, 10, 30)
        bus.hear(day, 10, 0.6, tracker=30.1)


HONEST: dict[str, tuple[Story, dict[str, str], float]] = {
    # story, its findings, km paid
    "ABC1A00": (engine_kept_running, {}, 450),
    "ABC1A01": (stopped_on_the_way_back, {}, 450),
    "ABC1A02": (hour_typed_wrong, {"data_ou_horario_a_corrigir": "a_esclarecer"}, 231),
    "ABC1A09": (hour_typed_wrong_among_others, {"data_ou_horario_a_corrigir": "a_esclarecer"}, 296),
    "ABC1A03": (day_typed_wrong, {"data_ou_horario_a_corrigir": "a_esclarecer"}, 244),
    "ABC1A04": (night_under_the_date_of_its_shift, {"data_ou_horario_a_corrigir": "a_esclarecer"}, 227),
    "ABC1A05": (no_odometer, {"sem_telemetria": "inconclusivo", "km_divergente": "inconclusivo"}, 700),
    "ABC1A06": (another_badge, {"motorista_divergente": "a_esclarecer"}, 200),
    "ABC1A07": (early, {"horario_divergente": "a_esclarecer"}, 300),
    "ABC1A08": (odometer_contradicts, {}, 350),
}


def a_kilometre_here_and_there(bus: Diary) -> None:
    usual(bus)
    for day in DAYS:
        for hour in (8, 10, 12, 14):
            bus.declare(day, hour, 0.9, minutes=10)


def a_day_under_another_date(bus: Diary) -> None:
    """Saturday's trips are claimed for Sunday, on which the bus stood."""
    usual(bus, 2, 3)
    for hour in (6, 9, 15):
        bus.hear(2, hour, 33)
        bus.declare(3, hour, 33)


def private_weekend(bus: Diary) -> None:
    usual(bus, 2, 3)
    for day in (2, 3):
        for hour in (8, 11, 16, 19):
            bus.hear(day, hour, 100, minutes=90)


def declared_twice(bus: Diary) -> None:
    usual(bus)
    for day in DAYS:
        bus.declare(day, 9, 40)
        bus.hear(day, 9, 40)


def half_more_than_was_measured_together(bus: Diary) -> None:
    usual(bus)
    for day in DAYS:
        bus.declare(day, 6, 25)
        bus.declare(day, 7, 50)
        bus.hear(day, 6, 50, minutes=110)


FRAUDS: dict[str, tuple[Story, dict[str, str], float, str]] = {
    # story, its findings, km paid, R$ at stake
    "ABC1B00": (a_kilometre_here_and_there, {"sem_telemetria": "divergente"}, 200, "49.20"),
    "ABC1B01": (a_day_under_another_date, {"data_ou_horario_a_corrigir": "a_esclarecer"}, 219, "0.00"),
    "ABC1B02": (private_weekend, {"nao_declarada": "inconclusivo"}, 120, "2184.00"),
    "ABC1B03": (declared_twice, {"sem_telemetria": "divergente"}, 400, "546.00"),
    "ABC1B04": (half_more_than_was_measured_together, {"km_divergente": "divergente"}, 450, "341.25"),
}


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> World:
    """All of them in one lake, heard and declared, audited and billed."""
    buses = []
    for plate, (story, *_) in [*HONEST.items(), *FRAUDS.items()]:
        diary = Diary()
        story(diary)
        buses.append(diary.bus(plate))
    made = World(str(tmp_path_factory.mktemp("world")), [bus.plate for bus in buses])
    made.hear(buses, -2, 6)
    rows = [row for bus in buses for row in bus.rows]
    assert made.take("semana.csv", rows) == "accepted"
    other = Bus(next(plate for plate, (story, *_) in FRAUDS.items() if story is declared_twice))
    for day in DAYS:
        other.declare(day, 9.1, 40)
    assert made.take("outra_garagem.csv", other.rows) == "accepted"
    made.audit(-1, 6)
    made.bill()
    return made


def findings(world: World, plate: str) -> pd.DataFrame:
    tables = world.lake.read_tables(DIVERGENCES.name, world.lake.partitions(DIVERGENCES.name))
    found = pd.concat([DIVERGENCES.frame(table) for _, table in tables])
    return found[found["veiculo"] == plate]


def paid(world: World, plate: str) -> Decimal:
    billing = world.table(BILLING)
    return billing.loc[billing["veiculo"] == plate, "km_auditado"].sum()


@pytest.mark.parametrize("plate", HONEST, ids=[story.__name__ for story, *_ in HONEST.values()])
def test_the_honest_are_not_accused_and_are_paid(world, plate):
    _, kinds, km = HONEST[plate]
    found = findings(world, plate)
    assert dict(zip(found["tipo"], found["veredito"], strict=True)) == kinds
    assert paid(world, plate) == Decimal(str(km))


@pytest.mark.parametrize("plate", FRAUDS, ids=[story.__name__ for story, *_ in FRAUDS.values()])
def test_each_fraud_is_found_and_nothing_is_paid_twice(world, plate):
    _, kinds, km, stake = FRAUDS[plate]
    found = findings(world, plate)
    assert dict(zip(found["tipo"], found["veredito"], strict=True)) == kinds
    assert (paid(world, plate), found["valor_brl"].sum()) == (Decimal(str(km)), Decimal(stake))


def test_one_journey_is_one_finding(world):
    assert len(findings(world, "ABC1A02")) == len(findings(world, "ABC1A03")) == 1
    assert len(findings(world, "ABC1B01")) == 3
    assert len(findings(world, "ABC1B04")) == len(DAYS)


def test_a_contradiction_is_never_called_good(world):
    table = world.lake.read_table(VALIDATED_TRIPS.name, {"data": str(THURSDAY)})
    trips = VALIDATED_TRIPS.frame(table)
    (trip,) = trips[(trips["veiculo"] == "ABC1A08") & (trips["saida_utc"] == at(0, 10))].to_dict("records")
    assert (trip["situacao_odometro"], trip["fonte_distancia"]) == ("contradicao", "telemetria")
    assert trip["km_medido"] == Decimal("30.100")


@pytest.mark.long  # smaller: a substitution in test_stale_days.py
def test_who_a_trip_is_given_to_makes_the_day_stale_on_which_it_was_driven(tmp_path):
    """Measured and paid on Thursday; claimed for Friday by the plate that it served, as is told later."""
    ran, broken = Bus("ABC1A00"), Bus("ABC1A01")
    ran.hear(0, 12, 20)
    broken.declare(1, 12, 20)
    world = World(str(tmp_path), [ran.plate, broken.plate])
    put(world.lake, CONTRACTS, terms(paga_sem_boletim=True))
    world.hear([ran, broken], -4, 5)
    assert world.take("semana.csv", broken.rows) == "accepted"
    world.audit(-1, 2)
    days = [THURSDAY + timedelta(days=n) for n in range(-1, 3)]
    assert stale_days(world.lake, days, SETTINGS) == []
    row = {"placa": broken.plate, "substituta": ran.plate, "inicio": str(days[2]), "fim": str(days[2])}
    put(world.lake, SUBSTITUTIONS, row | {"motivo": "quebrou"})
    stale = stale_days(world.lake, days, SETTINGS)
    assert {*days[1:3]} <= {*stale}
    for day in stale:
        audit_day(world.lake, day, SETTINGS)
    world.bill()
    assert (paid(world, ran.plate), paid(world, broken.plate)) == (20, 0)
