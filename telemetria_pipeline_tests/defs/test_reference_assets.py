"""The reference tables on a real instance: taken, refused, and what boletins are told of them."""

from datetime import timedelta
from decimal import Decimal

import dagster as dg
import duckdb
import pytest

from telemetria_pipeline.contracts.reference import CONTRACTS, DRIVERS, VEHICLES
from telemetria_pipeline.core.reference import read_vehicles
from telemetria_pipeline.definitions import build_definitions
from telemetria_pipeline.defs.reference.automation import reference_sensor
from telemetria_pipeline.defs.resources import PipelineResource
from telemetria_pipeline.steps.boletim_files import read_file_manifest
from telemetria_pipeline.steps.intake import landed_files
from telemetria_pipeline.steps.reference import (
    NoReferenceFile,
    due_tables,
    read_reference,
    read_tables,
    reference_file,
)
from telemetria_pipeline.storage.lake import Lake
from telemetria_pipeline.storage.object_store import ObjectStore
from telemetria_pipeline_tests.core.boletim.rows import csv_of, trip

VEHICLES_CSV = b"PLACA;FROTA;FUSO\nGDP-4J68;3803;\nABC-1234;3804;America/Cuiaba\n"
DRIVERS_CSV = "MOTORISTA;MATRÍCULA\nJosé da Silva;17\nMaria Souza;18\n".encode()
CONTRACTS_CSV = """CONTRATO;CLÁUSULA;TIPO;TARIFA;CUSTO FIXO;DE;ATÉ
4600123;4.1;Ônibus;2,73;R$ 40.314,14;16/10/2026;31/10/2026
4600123;4.2;Ônibus;2,81;R$ 40.314,14;01/11/2026;
""".encode()


@pytest.fixture
def refresh(tmp_path, monkeypatch):
    """Runs of the real job; `lake` is what they see and leave."""
    monkeypatch.setenv("TELEMETRIA_LAKE", f"file:{tmp_path / 'lake'}")
    monkeypatch.setenv("TELEMETRIA_INBOX", f"file:{tmp_path / 'inbox'}")
    with dg.DagsterInstance.ephemeral(tempdir=str(tmp_path)) as instance:

        def run(*only: str, job: str = "reference_job", **more) -> dg.ExecuteInProcessResult:
            return (
                build_definitions()
                .resolve_job_def(job)
                .execute_in_process(
                    instance=instance,
                    raise_on_error=False,
                    asset_selection=[dg.AssetKey(n) for n in only] or None,
                    **more,
                )
            )

        run.instance = instance
        yield run


@pytest.fixture
def lake(tmp_path) -> Lake:
    return Lake.open(f"file:{tmp_path / 'lake'}")


def failure(result: dg.ExecuteInProcessResult) -> str:
    (event,) = result.get_step_failure_events()
    return event.step_failure_data.error.message + str(event.step_failure_data.user_failure_data)


def everything_said(result: dg.ExecuteInProcessResult) -> str:
    return " ".join(str(event) for event in result.all_events)


def test_the_tables_are_made_and_say_what_they_hold(refresh, lake):
    lake.store.put("reference/vehicles.csv", VEHICLES_CSV)
    lake.store.put("reference/drivers.csv", DRIVERS_CSV)
    lake.store.put("reference/contracts.csv", CONTRACTS_CSV)
    result = refresh()
    assert result.success
    assert lake.read_table("vehicles", {}).schema.equals(VEHICLES.arrow_schema)
    stored = lake.read_table("drivers", {}).to_pandas()
    assert stored["motorista"].str.fullmatch("M-[0-9A-F]{16}").all()
    assert read_reference(lake).drivers["motorista"].tolist() == ["JOSÉ DA SILVA", "MARIA SOUZA"]
    assert lake.read_table("contracts", {}).schema.equals(CONTRACTS.arrow_schema)
    (made,) = result.asset_materializations_for_node("vehicles")
    assert made.metadata["dagster/row_count"].value == 2
    assert made.metadata["dagster/uri"].value == lake.store.uri("vehicles/part-0.parquet")
    assert [c.name for c in made.metadata["dagster/column_schema"].schema.columns] == VEHICLES.names
    assert "ABC1C34" in made.metadata["preview"].value
    (empty,) = result.asset_materializations_for_node("substitutions")  # its file may be missing
    assert (empty.metadata["dagster/row_count"].value, empty.metadata["source"].value) == (0, "no file")
    assert {e.passed for e in result.get_asset_check_evaluations()} == {True}
    said = everything_said(result).lower()
    assert not any(name in said for name in ("silva", "maria", "josé"))


def test_an_outsider_reads_a_table_without_partitions(refresh, lake):
    lake.store.put("reference/vehicles.csv", VEHICLES_CSV)
    assert refresh("vehicles").success
    found = duckdb.sql(f"FROM read_parquet('{lake.glob('vehicles')}', hive_partitioning=true)")
    assert found.aggregate("count(*)").fetchall() == [(2,)]
    assert lake.partitions("vehicles") == [{}]


def test_a_table_with_problems_is_refused_whole_and_the_earlier_one_stays(refresh, lake):
    lake.store.put("reference/vehicles.csv", VEHICLES_CSV)
    lake.store.put("reference/drivers.csv", DRIVERS_CSV)
    lake.store.put("reference/contracts.csv", CONTRACTS_CSV)
    assert refresh().success
    before = lake.store.info("vehicles/part-0.parquet").etag
    lake.store.put("reference/vehicles.csv", VEHICLES_CSV + b"QQQ;1;\nABC1C34;2;Lua\n")
    result = refresh()
    assert not result.success
    said = failure(result)
    for cell in ("A4: QQQ", "A5: ABC1C34 é o mesmo veículo que ABC-1234, na linha 3", "C5: Lua"):
        assert cell in said
    assert "vehicles stays as it was" in said
    assert lake.store.info("vehicles/part-0.parquet").etag == before
    # The other tables are not held up.
    made = {e.asset_key.path[-1] for e in result.get_asset_materialization_events()}
    assert made == {"drivers", "contracts", "substitutions", "acceptances"}


def test_problems_of_drivers_name_nobody(refresh, lake):
    lake.store.put("reference/drivers.csv", DRIVERS_CSV + b"JOSE DA SILVA;17\n")
    result = refresh("drivers")
    assert "A4: este motorista já está na linha 2" in failure(result)
    assert "silva" not in everything_said(result).lower()


def test_a_missing_file_and_one_too_many_say_what_to_do(refresh, lake):
    assert "reference/vehicles.csv is not there; put the table there" in failure(refresh("vehicles"))
    lake.store.put("reference/veiculos.csv", VEHICLES_CSV)
    with pytest.raises(NoReferenceFile, match=r"there is veiculos\.csv"):
        reference_file(lake, "vehicles")
    lake.store.put("reference/VEHICLES.CSV", VEHICLES_CSV)
    assert reference_file(lake, "vehicles") == "reference/VEHICLES.CSV"
    lake.store.put("reference/vehicles.xlsx", b"PK")
    with pytest.raises(NoReferenceFile, match="keep only one"):
        reference_file(lake, "vehicles")


def test_an_excerpt_in_place_of_the_whole_is_warned_of(refresh, lake):
    lake.store.put("reference/vehicles.csv", VEHICLES_CSV)
    refresh("vehicles")
    lake.store.put("reference/vehicles.csv", VEHICLES_CSV.rpartition(b"ABC")[0])
    result = refresh("vehicles")
    (check,) = result.get_asset_check_evaluations()
    assert result.success
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert check.description == "1 of 2 entries are gone, 0 are new"


def test_reference_is_what_was_made_and_nothing_where_nothing_was(refresh, lake):
    known = read_reference(lake)
    assert (known.vehicles, known.drivers) == (None, None)
    lake.store.put("reference/vehicles.csv", VEHICLES_CSV)
    refresh("vehicles")
    known = read_reference(lake)
    assert VEHICLES.broken_by(known.vehicles) is None
    assert known.vehicles["fuso"].isna().tolist() == [True, False]
    assert known.drivers is None
    lake.store.put("reference/drivers.csv", DRIVERS_CSV)
    refresh("drivers")
    assert DRIVERS.broken_by(read_reference(lake).drivers) is None


def test_two_contract_rows_for_one_day_stop_the_line_and_are_both_named(refresh, lake):
    lake.store.put("reference/contracts.csv", CONTRACTS_CSV.replace(b"31/10/2026", b"01/11/2026"))
    assert "F3: a linha 2 já vale para os mesmos veículos em dias desta vigência" in failure(
        refresh("contracts")
    )
    assert read_tables(lake).contracts is None
    lake.store.put("reference/contracts.csv", CONTRACTS_CSV)
    assert refresh("contracts").success
    known = read_tables(lake)
    assert CONTRACTS.broken_by(known.contracts) is None
    assert known.contracts["tarifa_brl_km"].tolist() == [Decimal("2.73"), Decimal("2.81")]
    assert (known.vehicles, known.drivers) == (None, None)


def test_a_table_written_before_vehicles_had_days_is_still_read(lake):
    earlier = VEHICLES.table(read_vehicles(VEHICLES_CSV, "vehicles.csv").frame)
    lake.write_table("vehicles", {}, earlier.drop_columns(["entrada", "saida"]))
    known = read_tables(lake).vehicles
    assert VEHICLES.broken_by(known) is None
    assert known["entrada"].isna().all()


def test_a_boletim_is_held_against_the_tables(refresh, lake, tmp_path, monkeypatch):
    monkeypatch.setenv("TELEMETRIA_UNKNOWN_PLATE", "erro")
    lake.store.put("reference/vehicles.csv", VEHICLES_CSV)
    assert refresh("vehicles").success
    inbox = ObjectStore.open(f"file:{tmp_path / 'inbox'}")
    verdicts = {}
    for name, plate in (("known.csv", "ABC-1234"), ("strange.csv", "XYZ1A23")):
        inbox.put(name, csv_of(trip(PLACA=plate, EQUIPAMENTO="3804")))
        (landed,) = landed_files(inbox)
        refresh.instance.add_dynamic_partitions("boletim_files", [landed.file_id])
        assert refresh(job="boletim_job", partition_key=landed.file_id).success
        verdicts[name] = read_file_manifest(lake, landed.file_id).verdict
    assert verdicts == {"known.csv": "accepted", "strange.csv": "rejected"}


def test_the_tables_describe_themselves():
    graph = build_definitions().resolve_asset_graph()
    for contract in (VEHICLES, DRIVERS, CONTRACTS):
        node = graph.get(dg.AssetKey(contract.name))
        assert contract.description in node.description
        assert (node.group_name, bool(node.owners), bool(node.kinds)) == ("reference", True, True)
        assert not node.is_partitioned
        assert node.code_version


@pytest.fixture
def ticks(refresh, monkeypatch):
    """Ticks of the sensor; what each asks for is run, and whether that went well is returned."""
    monkeypatch.setenv("TELEMETRIA_INBOX_SETTLE_S", "0")

    def tick() -> tuple[list[str], bool | None]:
        with dg.build_sensor_context(
            instance=refresh.instance, resources={"pipeline": PipelineResource()}
        ) as context:
            found = reference_sensor(context)
        if isinstance(found, dg.SkipReason):
            return [found.skip_message], None
        names = [key.to_user_string() for key in found.asset_selection]
        return names, refresh(*names, tags=found.tags).success

    return tick


QUIET = (["every file was read, or is still being written"], None)


def test_a_file_is_read_by_itself_once_for_each_time_that_it_is_changed(ticks, lake):
    assert ticks() == QUIET  # there are no files yet
    lake.store.put("reference/vehicles.csv", VEHICLES_CSV)
    lake.store.put("reference/contracts.csv", CONTRACTS_CSV)
    assert ticks() == (["vehicles", "contracts"], True)
    assert ticks() == QUIET
    lake.store.put("reference/substitutions.csv", b"VEICULO;SUBSTITUTO\n")
    names, _ = ticks()
    assert names == ["substitutions"]
    lake.store.delete("reference/substitutions.csv")  # it may be missing: a table without rows
    assert ticks() == (["substitutions"], True)
    lake.store.delete("reference/vehicles.csv")
    assert ticks() == QUIET
    assert len(read_tables(lake).vehicles) == 2


def test_a_broken_file_is_refused_once_and_a_mended_one_is_read_without_a_hand(ticks, lake):
    lake.store.put("reference/vehicles.csv", VEHICLES_CSV)
    assert ticks() == (["vehicles"], True)
    lake.store.put("reference/vehicles.csv", VEHICLES_CSV[:-40] + b"\x00\xff;;\n")
    assert ticks() == (["vehicles"], False)
    assert ticks() == QUIET
    assert len(read_tables(lake).vehicles) == 2
    lake.store.put("reference/vehicles.csv", VEHICLES_CSV + b"XYZ9J87;3805;\n")
    assert ticks() == (["vehicles"], True)
    assert len(read_tables(lake).vehicles) == 3


def test_a_file_that_may_still_be_written_waits_and_one_of_the_future_does_not(lake, tmp_path):
    lake.store.put("reference/vehicles.csv", VEHICLES_CSV)
    now = lake.store.info("reference/vehicles.csv").modified
    rest = timedelta(seconds=30)
    assert list(due_tables(lake, now + timedelta(seconds=5), rest)) == []
    assert list(due_tables(lake, now + rest, rest)) == ["vehicles"]
    assert list(due_tables(lake, now - timedelta(hours=1), rest)) == ["vehicles"]


def test_a_run_that_died_is_asked_for_again_and_in_the_end_left_to_a_person(ticks, refresh, lake):
    lake.store.put("reference/vehicles.csv", VEHICLES_CSV)
    lake.store.put("vehicles/part-0.parquet", b"damaged: no run that reads it ends well")
    for _ in range(5):
        assert ticks() == (["vehicles"], False)
    (said,), _ = ticks()
    assert said.startswith("vehicles: left alone, its run failed 5 times")
