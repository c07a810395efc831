"""A business day from carrier and inbox to its tables: real carrier, real job; folder and S3."""

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import dagster as dg
import pandas as pd
import pytest

from telemetria_pipeline.carriers.client import CarrierClient
from telemetria_pipeline.carriers.profile import load_profile
from telemetria_pipeline.contracts import Contract
from telemetria_pipeline.contracts.audit import DAILY_KM, DIVERGENCES, TRIP_SEGMENTS, VALIDATED_TRIPS
from telemetria_pipeline.contracts.boletim import BOLETIM_TRIPS
from telemetria_pipeline.contracts.reference import ACCEPTANCES, SUBSTITUTIONS
from telemetria_pipeline.core.audit.trips import HOUR_DAYS, AuditInputs
from telemetria_pipeline.core.boletim.settings import Reference, RuleSettings
from telemetria_pipeline.core.reference import read_acceptances, read_substitutions
from telemetria_pipeline.definitions import build_definitions
from telemetria_pipeline.settings import Settings
from telemetria_pipeline.simulator import Fleet, Simulator
from telemetria_pipeline.simulator.boletins import as_csv, declared, honest, typed
from telemetria_pipeline.simulator.fleet import Trip
from telemetria_pipeline.steps.audit_day import TablesRefused, audit_day, lost_kilometres, read_day
from telemetria_pipeline.steps.boletim_files import partition_of, read_file_manifest
from telemetria_pipeline.steps.capture import capture_hour
from telemetria_pipeline.steps.intake import judge_file, landed_files, receive_file
from telemetria_pipeline.steps.people import KEY
from telemetria_pipeline.steps.publish import publish_hour
from telemetria_pipeline.steps.reference import refresh_table
from telemetria_pipeline.steps.staleness import Snapshot, plan_days, read_state
from telemetria_pipeline.storage import Lake, ObjectStore
from telemetria_pipeline_tests.defs.conftest import TOKEN
from telemetria_pipeline_tests.defs.test_day_index import before_write
from telemetria_pipeline_tests.defs.test_file_intake import PowerCut
from telemetria_pipeline_tests.one_source import day_window, hour_of
from telemetria_pipeline_tests.rounds import and_long

DAY = date(2026, 3, 10)
BEFORE, AFTER = DAY - timedelta(days=1), DAY + timedelta(days=1)
THREE = [BEFORE, DAY, AFTER]
TABLES = [VALIDATED_TRIPS, TRIP_SEGMENTS, DAILY_KM, DIVERGENCES]


class World:
    """A carrier whose boletins are honest, a lake, and what is to be audited."""

    def __init__(self, address: str, simulator: Simulator) -> None:
        self.lake, self.inbox = Lake.open(f"{address}/lake"), ObjectStore.open(f"{address}/inbox")
        self.lake.store.put(KEY, b"tests")  # one driver has one pseudonym in all lakes
        self.simulator, self.settings = simulator, Settings.load(audit_days=7, audit_rest_s=0)

    def ingest(self, *hours: str) -> None:
        profile = load_profile("simulator")
        with CarrierClient(profile, self.simulator.url, TOKEN) as client:
            for hour in map(hour_of, hours):
                publish_hour(self.lake, hour, *capture_hour(self.lake, client, profile, hour, "run"))

    def trips(self, *hours: str) -> list[Trip]:
        """The true trips that depart in these hours, which follow each other."""
        return list(self.simulator.fleet.trips(hour_of(hours[0]).start, hour_of(hours[-1]).end))

    def drop(self, name: str, trips: list[Trip]) -> str:
        return self.send(name, as_csv(declared(trips, "Viação Teste")))

    def send(self, name: str, boletim: bytes) -> str:
        self.inbox.put(name, boletim)
        file = next(f.file_id for f in landed_files(self.inbox) if f.key == name)
        judge_file(
            self.lake, receive_file(self.lake, self.inbox, file), RuleSettings.of(self.settings), Reference()
        )
        assert read_file_manifest(self.lake, file).verdict == "accepted"
        return file

    def inputs(self) -> AuditInputs:
        return read_day(self.lake, DAY, Snapshot.read(self.lake, DAY, DAY, self.settings))

    def due(self) -> list[date]:
        """The days that a sensor would run, were these three just over."""
        return list(plan_days(self.lake, self.settings, day_window(AFTER)[1]).due)

    def audit_due(self) -> list[date]:
        """Run what is due; which days it was."""
        days = self.due()
        for day in days:
            audit_day(self.lake, day, self.settings)
        assert self.due() == []
        return days

    def frame(self, contract: Contract, day: date = DAY) -> pd.DataFrame:
        return contract.frame(self.lake.read_table(contract.name, {"data": str(day)}))

    def tables(self) -> dict[str, str]:
        """Every audited table of the three days, as text."""
        return {
            f"{contract.name} {day}": self.frame(contract, day).to_csv()
            for contract in TABLES
            for day in THREE
            if self.lake.read_table(contract.name, {"data": str(day)}) is not None
        }


def hours(first: int, last: int, day: date = DAY) -> list[str]:
    return [f"{day}-{hour:02d}:00" for hour in range(first, last + 1)]


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator(Fleet(11, vehicles=3), token=TOKEN, as_of=datetime(2026, 3, 12, 6, tzinfo=UTC)) as running:
        yield running


@pytest.fixture
def world(address, simulator, monkeypatch) -> World:
    monkeypatch.setenv("TELEMETRIA_LAKE", f"{address}/lake")
    return World(address, simulator)


@pytest.fixture
def here(tmp_path, simulator, monkeypatch) -> World:
    """A world in a folder, for what does not depend on the storage."""
    monkeypatch.setenv("TELEMETRIA_LAKE", f"file:{tmp_path}/lake")
    return World(f"file:{tmp_path}", simulator)


def run(world: World, instance: dg.DagsterInstance, first: date, last: date | None = None):
    span = {"dagster/asset_partition_range_start": str(first), "dagster/asset_partition_range_end": str(last)}
    job = build_definitions().resolve_job_def("audit_job")
    only = [dg.AssetKey(c.name) for c in (VALIDATED_TRIPS, DAILY_KM, DIVERGENCES)]
    where = {"tags": span} if last else {"partition_key": str(first)}
    return job.execute_in_process(instance=instance, raise_on_error=False, asset_selection=only, **where)


def materializations(result) -> dict[tuple[str, str], dict]:
    events = (e.materialization for e in result.get_asset_materialization_events())
    return {(m.asset_key.to_user_string(), m.partition): m.metadata for m in events}


def test_a_day_end_to_end(world):
    world.ingest(*hours(5, 8))
    world.drop("b.csv", world.trips(*hours(5, 8)))
    with dg.DagsterInstance.ephemeral() as instance:
        result = run(world, instance, DAY)
    assert result.success
    trips, segments = world.frame(VALIDATED_TRIPS), world.frame(TRIP_SEGMENTS)
    truth = world.trips(*hours(5, 8))
    assert len(trips) == len(segments) == len(truth) > 3
    assert set(trips["veredito"]) == {"ok"}
    assert set(trips["arquivo"]) == {"b.csv"}
    for key, sha in zip(segments["raw_key"], segments["raw_sha256"], strict=True):
        assert world.lake.get_raw(key)
        assert len(sha) == 64
    shown = materializations(result)["validated_trips", str(DAY)]
    assert shown["dagster/row_count"].value == shown["trips/ok"].value == len(truth)
    assert shown["km/medido"].value == float(trips["km_medido"].sum())
    assert shown["hours_missing"].value == 20
    assert {e.check_name: e.passed for e in result.get_asset_check_evaluations()} == {
        "contract_holds": True, "km_conserved": True, "coverage": False, "known_vehicles": True,
        "sources_agree": True, "known_sources": True,
    }  # fmt: skip
    assert materializations(result)["divergences", str(DAY)]["plots"].value.count("data:image/png") == 2
    said = str([materializations(result), *world.tables().values()])
    assert not any(t.driver.name in said for t in truth)


def test_each_day_of_a_range_is_told_by_itself_and_a_failing_one_costs_only_itself(here):
    here.ingest(*hours(6, 6, BEFORE), *hours(6, 7), *hours(6, 6, AFTER))
    for hour in (f"{day}-12:00" for day in (BEFORE, AFTER)):
        here.ingest(hour)
    with dg.DagsterInstance.ephemeral() as instance:
        result = run(here, instance, BEFORE, AFTER)
        rows = {
            k[1]: v["dagster/row_count"].value
            for k, v in materializations(result).items()
            if k[0] == "daily_km"
        }
        assert list(rows) == [str(day) for day in THREE]
        assert result.success

        here.lake.store.put(here.lake.table_key("telemetry_trips", hour_of(f"{AFTER}-12:00").partition), b"?")
        result = run(here, instance, BEFORE - timedelta(days=2), AFTER)
    assert not result.success
    done = {partition for _, partition in materializations(result)}
    assert done == {str(BEFORE - timedelta(days=n)) for n in (2,)}
    failure = next(e for e in result.all_node_events if e.is_step_failure).step_failure_data
    assert "4 of 5 days failed" in failure.user_failure_data.description


def test_a_late_file_changes_exactly_its_day(here):
    here.ingest(*hours(5, 8, BEFORE), *hours(5, 8), *hours(5, 8, AFTER))
    assert here.audit_due() == THREE
    before = here.tables()
    here.drop("late.csv", here.trips(*hours(6, 7)))
    # What its neighbours measured was not declared: it might have been another date's.
    assert here.audit_due() == THREE
    changed = {name for name, text in here.tables().items() if before[name] != text}
    assert changed == {f"{contract.name} {DAY}" for contract in TABLES}


def test_a_late_file_whose_trip_crosses_midnight_changes_its_neighbour_too(here):
    night = hours(22, 23)
    across = [t for t in here.trips(*night) if t.arrival > day_window(DAY)[1] + timedelta(minutes=5)]
    assert across
    here.ingest(*night, *hours(0, 0, AFTER))
    for day in THREE:
        audit_day(here.lake, day, here.settings)
    assert here.due() == []
    here.drop("late.csv", across[:1])
    assert here.audit_due() == [DAY, AFTER]


def test_an_odometer_that_rolls_over_within_a_trip_is_paid_what_was_driven(here):
    trips = here.trips(*hours(5, 6))
    rows = [honest(trip, "Viação Teste") for trip in trips]
    driven = rows[0].distance_m
    rows[0] = replace(rows[0], km_out_m=99_995_000, km_in_m=driven - 5_000)
    here.ingest(*hours(5, 6))
    here.send("b.csv", as_csv(typed(rows)))
    here.audit_due()
    found = here.frame(VALIDATED_TRIPS).set_index("km_saida")
    turned = found.loc[99_995.0]
    assert (turned["fonte"], turned["veredito"]) == ("ambos", "ok")
    assert int(turned["km_auditado"] * 1000) == driven
    assert len(found) == len(trips)


@pytest.mark.parametrize("by_row", [True, False])
def test_a_spare_that_runs_for_a_broken_bus_is_paid_and_nobody_is_accused(here, by_row):
    """The sheet goes on in the name of the bus, which has no device any more."""
    spare = here.simulator.fleet.vehicles[0]
    trips = [t for t in here.trips(*hours(5, 8)) if t.vehicle == spare]
    assert len(trips) > 1
    here.ingest(*hours(5, 8))
    ran = spare.plate if by_row else ""
    rows = [replace(honest(t, "Viação Teste"), typed_plate="QBR0A11", substitute=ran) for t in trips]
    here.send("b.csv", as_csv(typed(rows)))
    here.audit_due()
    if not by_row:
        assert set(here.frame(DIVERGENCES)["tipo"]) >= {"sem_telemetria"}
        text = f"PLACA;SUBSTITUTA;DE;ATÉ;MOTIVO\nQBR0A11;{spare.plate};10/03/2026;;quebrou\n"
        here.lake.store.put("reference/substitutions.csv", text.encode())
        refresh_table(here.lake, SUBSTITUTIONS, read_substitutions)
        assert here.audit_due() == [DAY]
    found = here.frame(VALIDATED_TRIPS)
    own = found[found["placa_declarada"].notna()]
    assert len(own) == len(trips)
    assert set(own["placa_declarada"]) == {"QBR0A11"}
    assert set(own["veiculo"]) == {spare.plate}
    assert set(own["base_auditoria"]) == {"acordo"}
    assert "sem_telemetria" not in set(here.frame(DIVERGENCES)["tipo"])


def test_a_measured_trip_that_is_accepted_has_its_day_audited_again_and_is_marked(here):
    trips = here.trips(*hours(5, 6))
    alone = trips[-1]
    here.ingest(*hours(5, 6))
    here.drop("b.csv", trips[:-1])
    assert here.audit_due() == [DAY]
    assert not here.frame(VALIDATED_TRIPS)["aceita"].any()
    clock = f"{alone.departure.astimezone(here.settings.timezone):%H:%M}"
    text = f"PLACA;DATA;HORA SAÍDA;MOTIVO\n{alone.vehicle.plate};10/03/2026;{clock};ata perdida\n"
    here.lake.store.put("reference/acceptances.csv", text.encode())
    refresh_table(here.lake, ACCEPTANCES, read_acceptances)
    assert here.audit_due() == [DAY]
    accepted = here.frame(VALIDATED_TRIPS)[here.frame(VALIDATED_TRIPS)["aceita"]]
    assert accepted["saida_utc"].tolist() == [pd.Timestamp(alone.departure)]


def test_two_devices_that_were_swapped_accuse_nobody_and_are_said_once_a_day(tmp_path, monkeypatch):
    monkeypatch.setenv("TELEMETRIA_LAKE", f"file:{tmp_path}/lake")
    fleet = Fleet(11, vehicles=3)
    one, two, third = fleet.vehicles
    labels = ("plate", "description", "fleet_number")
    as_shown = [
        replace(vehicle, **{name: getattr(other, name) for name in labels})
        for vehicle, other in ((one, two), (two, one))
    ]
    swapped = fleet.only([*as_shown, third], fleet.carrier)
    with Simulator(swapped, token=TOKEN, as_of=datetime(2026, 3, 12, 6, tzinfo=UTC)) as simulator:
        here = World(f"file:{tmp_path}", simulator)
        for day in (DAY, AFTER):
            here.ingest(*hours(4, 9, day))
    days = (DAY, AFTER)
    trips = {d: fleet.trips(hour_of(hours(4, 4, d)[0]).start, hour_of(hours(9, 9, d)[0]).end) for d in days}
    here.audit_due()
    assert not here.frame(VALIDATED_TRIPS)["aparelho_trocado"].any()  # nobody has said anything yet
    here.drop("b.csv", [*trips[DAY], *trips[AFTER]])
    here.audit_due()
    for day in days:
        found, told = here.frame(VALIDATED_TRIPS, day), here.frame(DIVERGENCES, day)
        assert len(found) == len(trips[day])
        assert set(found["fonte"]) == {"ambos"}
        assert set(found["veredito"]) == {"ok"}
        own = found["veiculo"].isin([one.plate, two.plate])
        assert found["aparelho_trocado"].tolist() == own.tolist()
        assert told["tipo"].tolist().count("aparelhos_trocados") == 1
        assert not set(told["tipo"]) & {"sem_telemetria", "nao_declarada", "km_divergente"}


def test_a_trip_declared_just_after_midnight_claims_what_departed_just_before_it(here):
    """The day before reads the neighbour's boletins: it does not call the trip undeclared."""
    midnight = day_window(DAY)[1]
    across = next(t for t in here.trips(*hours(22, 23)) if t.arrival > midnight + timedelta(minutes=5))
    here.ingest(*hours(22, 23))
    here.drop("b.csv", [replace(across, departure=midnight.astimezone(UTC) + timedelta(minutes=1))])
    for day in (DAY, AFTER):
        audit_day(here.lake, day, here.settings)
    assert across.departure not in set(here.frame(TRIP_SEGMENTS)["saida_utc"])
    assert here.frame(VALIDATED_TRIPS, AFTER)["fonte"].tolist() == ["ambos"]


@pytest.mark.parametrize("reads", and_long(2, 5))
def test_a_file_that_lands_while_a_day_is_read_is_read_or_has_the_day_run_again(here, monkeypatch, reads):
    here.ingest(*hours(5, 7))
    here.audit_due()
    get = ObjectStore.get

    def read(happens: Callable[[int], object]) -> int:
        """Audit the day; something happens before each of its reads. How many these were."""
        count = [0]

        def counted(store, key):
            count[0] += 1
            happens(count[0])
            return get(store, key)

        with monkeypatch.context() as patch:
            patch.setattr(ObjectStore, "get", counted)
            audit_day(here.lake, DAY, here.settings)
        return count[0]

    for number, trip in enumerate(here.trips(*hours(5, 7))[:reads]):
        moment = read(lambda _: None) - number  # the last ones: reference tables, then boletins, then hours

        def lands(read_number: int, trip=trip, moment=moment) -> None:
            if read_number == moment:
                here.drop(f"{trip.id}.csv", [trip])

        read(lands)
        here.audit_due()
        assert (here.frame(VALIDATED_TRIPS)["declaracoes"] == 1).sum() == number + 1


def test_an_hour_that_comes_late_changes_exactly_its_day(here):
    late = here.trips(*hours(5, 8))[3]
    missing = f"{late.departure.astimezone(here.settings.timezone):%Y-%m-%d-%H:00}"
    here.drop("b.csv", here.trips(*hours(5, 8)))
    here.ingest(*[hour for hour in hours(5, 8) if hour != missing])
    assert here.audit_due() == [DAY]
    assert "inconclusivo" in set(here.frame(VALIDATED_TRIPS)["veredito"])
    here.ingest(missing)
    assert here.audit_due() == [DAY]
    assert set(here.frame(VALIDATED_TRIPS)["veredito"]) == {"ok"}
    here.ingest(missing)  # captured again, and nothing is new
    assert here.due() == []


@pytest.mark.parametrize(("orders", "step"), and_long((2, 2), (3, 1)))
def test_whatever_comes_first_the_days_end_the_same(here, tmp_path, orders, step):
    """Telemetry and boletins in any order, audits of due days between them: the same tables."""
    captured = [*hours(22, 23, BEFORE), *hours(0, 0), *hours(5, 7), *hours(5, 5, AFTER)]
    declared = {"night.csv": here.trips(*hours(22, 23, BEFORE)), "morning.csv": here.trips(*hours(5, 6))}
    events = [*captured[::step], *declared]
    ends = []
    for seed in range(orders):
        world, dice = World(f"file:{tmp_path}/{seed}", here.simulator), random.Random(seed)
        for event in dice.sample(events, len(events)):
            world.drop(event, declared[event]) if event in declared else world.ingest(event)
            if dice.random() < 0.5:
                world.audit_due()
        world.audit_due()
        reached = {day: read_state(world.lake, day).digest for day in THREE}
        for day in THREE:
            audit_day(world.lake, day, world.settings)
            assert read_state(world.lake, day).digest == reached[day], f"order {seed}: {day} was left behind"
        # A file's id holds the time at which it landed.
        ends.append([world.frame(VALIDATED_TRIPS, day).drop(columns="arquivo_id").to_csv() for day in THREE])
    assert all(end == ends[0] for end in ends)


def test_a_day_cut_at_every_write_is_due_until_it_is_done(here, monkeypatch):
    here.ingest(*hours(5, 9))
    here.audit_due()
    number, more = 0, True
    trips = here.trips(*hours(5, 9))
    while more:
        number += 1
        here.drop(f"{number}.csv", [trips[number]])

        def cut() -> None:
            raise PowerCut

        more = before_write(monkeypatch, number, cut, lambda: audit_day(here.lake, DAY, here.settings))
        assert here.due() == ([DAY] if more else [])
        here.audit_due()
        assert (here.frame(VALIDATED_TRIPS)["declaracoes"] == 1).sum() == number
    assert number == len(TABLES) + 2


def test_a_day_that_would_break_its_contract_is_refused_and_its_tables_stay(here):
    file = here.drop("b.csv", here.trips(*hours(6, 6)))
    audit_day(here.lake, DAY, here.settings)
    before, state = here.tables(), read_state(here.lake, DAY)
    rows = BOLETIM_TRIPS.frame(here.lake.read_table(BOLETIM_TRIPS.name, partition_of(file)))
    spoiled = BOLETIM_TRIPS.table(rows.assign(km_declarado=-1.0))
    here.lake.write_table(BOLETIM_TRIPS.name, partition_of(file), spoiled)
    with pytest.raises(TablesRefused, match=r"contract_holds: .* km_declarado"):
        audit_day(here.lake, DAY, here.settings)
    with dg.DagsterInstance.ephemeral() as instance:
        result = run(here, instance, DAY)
    assert not result.success
    assert {e.check_name: e.passed for e in result.get_asset_check_evaluations()} == {"contract_holds": False}
    assert (here.tables(), read_state(here.lake, DAY)) == (before, state)


@pytest.mark.parametrize("lost", ["segments", "trips", "km"])
def test_a_lost_metre_is_told(here, lost):
    here.ingest(*hours(6, 6))
    audited = audit_day(here.lake, DAY, here.settings)
    frames = {name: getattr(audited, name) for name in ("trips", "segments", "km")}
    assert lost_kilometres(**frames) is None
    frames[lost] = frames[lost].iloc[1:]
    assert "m and" in lost_kilometres(**frames)


def test_an_hour_is_what_its_tables_say(here):
    """A capture that was not published yet, or open, or none at all: what came before stands."""
    here.ingest(*hours(6, 6))
    profile = load_profile("simulator")
    with CarrierClient(profile, here.simulator.url, TOKEN) as client:
        capture_hour(here.lake, client, profile, hour_of(hours(7, 7)[0]), "run")
    states = here.inputs().hours.set_index("inicio_utc")["estado"]
    assert len(states) == 24 * (2 * HOUR_DAYS + 1)
    known = {hour: states[hour_of(hour).start] for hour in hours(5, 7)}
    assert list(known.values()) == ["missing", "captured", "missing"]


def test_a_file_of_a_whole_cycle_is_read_where_it_may_matter(here):
    far = hours(6, 6, DAY + timedelta(days=6))
    here.drop("cycle.csv", here.trips(*hours(6, 6)) + here.trips(*far))
    declared_rows = here.inputs().declared
    assert len(declared_rows) == len(here.trips(*hours(6, 6)))
    assert set(declared_rows["arquivo_id"]) == {
        read for read in declared_rows["arquivo_id"] if "cycle" in read
    }


def test_what_a_source_told_stays_true_when_it_is_taken_out_of_the_sources(here, tmp_path):
    here.ingest(*hours(5, 7))
    here.drop("b.csv", here.trips(*hours(5, 7)))
    here.audit_due()
    measured = ["viagem_id", "km_medido", "veredito", "km_auditado"]
    before = here.frame(VALIDATED_TRIPS)[measured].to_csv()
    described = "other: {url: https://o.example, profile: motive, secrets: {token: T}, start: 2026-03-11}\n"
    (tmp_path / "sources.yaml").write_text(described)
    here.settings = Settings.load(audit_days=7, audit_rest_s=0, sources=str(tmp_path / "sources.yaml"))
    audit_day(here.lake, DAY, here.settings)
    assert here.frame(VALIDATED_TRIPS)[measured].to_csv() == before
