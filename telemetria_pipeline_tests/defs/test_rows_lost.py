"""A table that lost its rows stops the audit with what to do, and is made again from what was received."""

import shutil
from collections.abc import Callable

import pandas as pd
import pytest

from telemetria_pipeline.contracts.audit import DAILY_KM, VALIDATED_TRIPS
from telemetria_pipeline.contracts.boletim import BOLETIM_TRIPS
from telemetria_pipeline.contracts.telemetry import TRIPS
from telemetria_pipeline.core.boletim.settings import Reference, RuleSettings
from telemetria_pipeline.steps.audit_day import RowsLost
from telemetria_pipeline.steps.boletim_files import files_of_name, partition_of
from telemetria_pipeline.steps.cycle import gaps_of
from telemetria_pipeline.steps.day_index import FILES
from telemetria_pipeline.steps.ingest import ingest_hours
from telemetria_pipeline.steps.intake import judge_file, receive_file, withdraw
from telemetria_pipeline.storage import Lake, ObjectDamaged
from telemetria_pipeline_tests.core.billing.bills import CYCLE
from telemetria_pipeline_tests.defs.payloads import SETTINGS, THURSDAY, Bus, World
from telemetria_pipeline_tests.one_source import hour_of

HOUR = hour_of(f"{THURSDAY}-07:00")
PLATES = ("ABC1C34", "GDP4J68")
LATER = 4  # days: out of sight of what a correction of Thursday alone looks at


def driven(plate: str) -> Bus:
    bus = Bus(plate)
    for day in (0, LATER):
        bus.drive(day, 7, 30)
        bus.drive(day, 17, 30)
    return bus


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> str:
    """Two buses and a boletim of each, for Thursday, which is audited, and for four days later."""
    folder = str(tmp_path_factory.mktemp("world"))
    world, buses = World(folder, PLATES), [driven(plate) for plate in PLATES]
    world.hear(buses, 0, 0)
    for bus in buses:
        assert world.take(f"{bus.plate}.csv", bus.rows) == "accepted"
    world.audit(0, 0)
    return folder


@pytest.fixture
def world(built: str, tmp_path) -> World:
    shutil.copytree(built, tmp_path / "world")
    return World(str(tmp_path / "world"), PLATES)


def validated(world: World) -> pd.DataFrame:
    return VALIDATED_TRIPS.frame(world.lake.read_table(VALIDATED_TRIPS.name, {"data": str(THURSDAY)}))


def files(world: World) -> list[str]:
    return [files_of_name(world.lake, f"{plate}.csv")[-1] for plate in PLATES]


def judge_again(world: World, file: str) -> None:
    received = receive_file(world.lake, world.inbox, file)
    judge_file(world.lake, received, RuleSettings.of(SETTINGS), Reference())


def remove(lake: Lake, table: str, partition: dict[str, str]) -> None:
    lake.store.delete(lake.table_key(table, partition))


def empty(lake: Lake, table: str, partition: dict[str, str]) -> None:
    lake.write_table(table, partition, lake.read_table(table, partition)[:0])


def cut(lake: Lake, table: str, partition: dict[str, str]) -> None:
    lake.write_table(table, partition, lake.read_table(table, partition)[1:])


@pytest.mark.parametrize("spoil", [remove, cut])
def test_lost_trips_of_an_hour_are_named_and_made_again_from_raw(world: World, spoil: Callable):
    before = validated(world)
    spoil(world.lake, TRIPS.name, HOUR.partition)
    with pytest.raises(RowsLost, match=rf"hora=07/.* materialise main/telemetry_trips for {HOUR.key}"):
        world.audit(0, 0)
    (made,) = ingest_hours(world.lake, world.profile, None, [HOUR], "run", publish=True)
    assert made.error is None
    world.audit(0, 0)
    assert validated(world).equals(before)


@pytest.mark.parametrize("spoil", [remove, cut])
def test_lost_trips_of_a_file_are_named_and_made_again_from_its_bytes(world: World, spoil: Callable):
    before, (first, other) = validated(world), files(world)
    spoil(world.lake, BOLETIM_TRIPS.name, partition_of(first))
    judge_again(world, other)  # which touches only its own
    said = rf"arquivo={first}.* of 2 of {THURSDAY}.* materialise boletim_trips for {first}"
    with pytest.raises(RowsLost, match=said):
        world.audit(0, 0)
    assert validated(world).equals(before)
    judge_again(world, first)
    world.audit(0, 0)
    assert validated(world).equals(before)


def test_a_damaged_entry_and_table_of_a_file_are_made_again(world: World):
    before, first = validated(world), files(world)[0]
    world.lake.store.put(f"{FILES}/data={THURSDAY}/{first}.json", b"{")
    world.lake.store.put(world.lake.table_key(BOLETIM_TRIPS.name, partition_of(first)), b"PAR1")
    with pytest.raises(ObjectDamaged, match=first):
        world.audit(0, 0)
    judge_again(world, first)
    world.audit(0, 0)
    assert validated(world).equals(before)


def test_where_nobody_counted_there_must_be_something(world: World):
    """Entries of an earlier version hold no number."""
    first, key = files(world)[0], f"{FILES}/data={THURSDAY}/{files(world)[0]}.json"
    entry = world.lake.read_json(key)
    world.lake.write_json(key, {name: said for name, said in entry.items() if name != "rows"})
    world.audit(0, 0)
    empty(world.lake, BOLETIM_TRIPS.name, partition_of(first))
    with pytest.raises(RowsLost, match=f"0 of some of {THURSDAY}, 0 of 2 of"):
        world.audit(0, 0)


def test_files_that_were_replaced_or_taken_back_lost_nothing(world: World):
    _, other = files(world)
    assert world.take(f"{PLATES[0]}.csv", driven(PLATES[0]).rows[:1]) == "accepted"  # in place of two
    withdraw(world.lake, other, "typed twice", SETTINGS.timezone)
    world.audit(0, 0)
    assert validated(world)["km_declarado"].notna().sum() == 1


@pytest.mark.parametrize("spoil", [remove, cut])
def test_a_correction_of_one_day_leaves_no_hole_in_another_whose_rows_were_lost(
    world: World, spoil: Callable
):
    first, _ = files(world)
    spoil(world.lake, BOLETIM_TRIPS.name, partition_of(first))
    assert world.take(f"{PLATES[0]}.csv", driven(PLATES[0]).rows[:1]) == "accepted"
    stands = world.lake.read_table(BOLETIM_TRIPS.name, partition_of(first))
    assert stands["linha"].to_pylist() == [4, 5]
    world.audit(0, LATER)


def test_a_day_whose_table_is_gone_is_not_one_without_gaps(world: World):
    assert not [said for said in gaps_of(world.lake, CYCLE, SETTINGS) if "daily_km" in said]
    remove(world.lake, DAILY_KM.name, {"data": str(THURSDAY)})
    (said,) = [said for said in gaps_of(world.lake, CYCLE, SETTINGS) if "daily_km" in said]
    assert said.endswith(f": {THURSDAY:%d/%m}.")
