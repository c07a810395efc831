"""The sensor on a real instance: a file lands, and a run is asked for, once."""

import hashlib
import os
import time
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from telemetria_pipeline.definitions import build_definitions
from telemetria_pipeline.defs.boletins.automation import boletim_inbox_sensor
from telemetria_pipeline.defs.resources import PipelineResource
from telemetria_pipeline.defs.runs import FIRST_TAG, LAST_TAG
from telemetria_pipeline.steps.boletim_files import read_file_manifest
from telemetria_pipeline.steps.intake import landed_files
from telemetria_pipeline.storage import Lake, ObjectStore
from telemetria_pipeline_tests.core.boletim.rows import csv_of, trip, trips


class House:
    """An inbox, a lake and an instance; ticks of the sensor and the runs that they ask for."""

    def __init__(self, address: str, instance: dg.DagsterInstance) -> None:
        self.inbox = ObjectStore.open(f"{address}/inbox")
        self.lake = Lake.open(f"{address}/lake")
        self.instance, self.cursor = instance, None
        self.job = build_definitions().resolve_job_def("boletim_job")

    def tick(self, forget: bool = False) -> dg.SensorResult:
        with dg.build_sensor_context(
            instance=self.instance,
            cursor=None if forget else self.cursor,
            resources={"pipeline": PipelineResource()},
        ) as context:
            data = boletim_inbox_sensor(context)
        self.cursor = data.cursor
        for request in data.dynamic_partitions_requests:
            self.instance.add_dynamic_partitions(request.partitions_def_name, request.partition_keys)
        return data

    def run(self, file: str) -> dg.ExecuteInProcessResult:
        return self.job.execute_in_process(instance=self.instance, partition_key=file, raise_on_error=False)

    def run_many(self, request: dg.RunRequest) -> dg.ExecuteInProcessResult:
        return self.job.execute_in_process(instance=self.instance, tags=request.tags, raise_on_error=False)

    def started(self, request: dg.RunRequest) -> dg.DagsterRun:
        """The run as a worker has it that does nothing more."""
        tags = {
            **request.tags,
            **({"dagster/partition": request.partition_key} if request.partition_key else {}),
        }
        return self.instance.create_run_for_job(self.job, tags=tags, status=dg.DagsterRunStatus.STARTED)

    def drop(self, count: int) -> None:
        """Files of a vehicle each, which lie in the inbox since some minutes, one after the other."""
        for n in range(count):
            rows = [{**t, "PLACA": f"ABC{n % 10}C{n // 10:02d}"} for t in trips(2)]
            self.inbox.put(f"b{n:03d}.csv", csv_of(*rows))

    def files_of(self, request: dg.RunRequest) -> list[str]:
        if request.partition_key:
            return [request.partition_key]
        known = self.instance.get_dynamic_partitions("boletim_files")
        first, last = (known.index(request.tags[tag]) for tag in (FIRST_TAG, LAST_TAG))
        return known[first : last + 1]


@pytest.fixture
def house(address, monkeypatch):
    monkeypatch.setenv("TELEMETRIA_INBOX", f"{address}/inbox")
    monkeypatch.setenv("TELEMETRIA_LAKE", f"{address}/lake")
    monkeypatch.setenv("TELEMETRIA_INBOX_SETTLE_S", "0")
    with dg.DagsterInstance.ephemeral() as instance:
        yield House(address, instance)


def test_from_landing_to_archive(house):
    house.inbox.put("good.csv", csv_of(*trips(3)))
    house.inbox.put("bad.csv", csv_of(trip(PLACA="?")))
    requests = house.tick().run_requests
    assert len(requests) == 2
    results = {r.partition_key: house.run(r.partition_key) for r in requests}
    assert all(result.success for result in results.values())
    verdicts = {
        read_file_manifest(house.lake, f).name: read_file_manifest(house.lake, f).verdict for f in results
    }
    assert verdicts == {"good.csv": "accepted", "bad.csv": "rejected"}
    for file, result in results.items():
        shown = {
            e.step_materialization_data.materialization.asset_key.to_user_string(): e
            for e in result.all_events
            if e.event_type_value == "ASSET_MATERIALIZATION"
        }
        assert set(shown) == {"raw_boletins", "boletim_trips"}
        metadata = shown["boletim_trips"].step_materialization_data.materialization.metadata
        assert metadata["verdict"].value == read_file_manifest(house.lake, file).verdict
        assert "JOSÉ" not in str(metadata).upper()
        passed = {c.check_name: c.passed for c in result.get_asset_check_evaluations()}
        assert passed == {"rows_balance": True, "file_accepted": metadata["verdict"].value == "accepted"}
    assert "The inbox is empty" in house.tick().skip_reason.skip_message


def test_a_file_that_may_still_be_written_waits(house, monkeypatch):
    monkeypatch.setenv("TELEMETRIA_INBOX_SETTLE_S", "3600")
    house.inbox.put("b.csv", csv_of(*trips(1)))
    assert "1 may still be written" in house.tick().skip_reason.skip_message
    monkeypatch.setenv("TELEMETRIA_INBOX_SETTLE_S", "0")
    assert len(house.tick().run_requests) == 1


def test_a_tick_that_died_and_a_lost_cursor_repeat_and_skip_nothing(house):
    house.inbox.put("b.csv", csv_of(*trips(1)))
    first = house.tick().run_requests  # its runs were never launched: the daemon died here
    again = house.tick(forget=True).run_requests
    assert [r.run_key for r in first] == [r.run_key for r in again]


def test_a_file_on_its_way_is_not_started_again_and_one_whose_run_failed_is(house):
    house.inbox.put("b.csv", csv_of(*trips(1)))
    request = house.tick().run_requests[0]
    job = build_definitions().resolve_job_def("boletim_job")
    run = house.instance.create_run_for_job(
        job, tags={"dagster/partition": request.partition_key}, status=dg.DagsterRunStatus.STARTED
    )
    assert "1 on their way" in house.tick().skip_reason.skip_message
    house.instance.report_run_failed(run)
    retried = house.tick().run_requests
    assert [r.partition_key for r in retried] == [request.partition_key]
    assert retried[0].run_key != request.run_key


def test_two_files_in_the_same_second_and_the_same_name_twice(house):
    house.inbox.put("a.csv", csv_of(*trips(1)))
    house.inbox.put("b.csv", csv_of(*trips(2)))
    files = [r.partition_key for r in house.tick().run_requests]
    assert len(set(files)) == 2
    for file in files:
        house.run(file)
    time.sleep(1.1)  # S3 tells times to the second
    house.inbox.put("a.csv", csv_of(*trips(1)))
    again = house.tick().run_requests
    assert len(again) == 1
    assert again[0].partition_key not in files
    house.run(again[0].partition_key)
    assert read_file_manifest(house.lake, again[0].partition_key).verdict == "duplicate"


def test_ten_thousand_files_wait_their_turn(monkeypatch, tmp_path):
    monkeypatch.setenv("TELEMETRIA_INBOX", f"file:{tmp_path}")
    monkeypatch.setenv("TELEMETRIA_INBOX_SETTLE_S", "0")
    old = (datetime.now(UTC) - timedelta(hours=1)).timestamp()
    for n in range(10_000):
        file = tmp_path / f"b{n:05d}.csv"
        file.touch()
        os.utime(file, (old + n, old + n))
    with dg.DagsterInstance.ephemeral() as instance:
        house = House(f"file:{tmp_path}", instance)
        began = time.perf_counter()
        data = house.tick()
        assert time.perf_counter() - began < 20
        runs = [house.files_of(r) for r in data.run_requests]
    assert [len(files) for files in runs] == [100, 100]
    assert [files[0][:10] for files in runs] == ["b00000.csv", "b00100.csv"]
    assert len(data.cursor) < 100


@pytest.mark.parametrize("address", ["folder"], indirect=True)
def test_many_files_share_a_run_and_one_that_fails_costs_only_itself(house):
    house.drop(6)
    house.inbox.put("b002.csv", csv_of(*trips(2), trip(PLACA="?")))
    damaged = next(iter(house.inbox.list()))  # what is known of its name cannot be read: its run fails
    assert damaged.key == "b000.csv"
    house.lake.store.put(f"raw_boletins/names/{hashlib.sha256(b'b000.csv').hexdigest()[:32]}.json", b"{")
    (request,) = house.tick().run_requests
    files = house.files_of(request)
    assert len(files) == 6
    result = house.run_many(request)
    assert not result.success
    (bad,) = [f for f in files if f.startswith("b000")]
    (returned,) = [f for f in files if f.startswith("b002")]
    for asset in ("raw_boletins", "boletim_trips"):
        done = house.instance.get_materialized_partitions(dg.AssetKey(asset))
        assert done == set(files) - {bad}
    failure = next(e for e in result.all_events if e.event_type_value == "STEP_FAILURE")
    said = failure.step_failure_data.user_failure_data.description
    assert said.startswith(f"1 of 6 files failed. {bad}: ")
    checks = {c.check_name: c for c in result.get_asset_check_evaluations()}
    assert {name: c.passed for name, c in checks.items()} == {"rows_balance": True, "file_accepted": False}
    assert checks["file_accepted"].description.startswith(f"{returned}: rejected")
    assert [f.file_id for f in landed_files(house.inbox)] == [bad]
    (again,) = house.tick().run_requests
    assert (again.partition_key, again.run_key) == (bad, f"{bad}/1")
    for _ in range(4):
        house.run(bad)
    assert "1 given up" in house.tick().skip_reason.skip_message


@pytest.mark.parametrize("address", ["folder"], indirect=True)
def test_a_run_of_many_that_died_is_taken_again_in_smaller_ones(house):
    house.drop(12)
    for most in (12, 10, 1):
        requests = house.tick().run_requests
        assert max(len(house.files_of(r)) for r in requests) == most
        assert sorted(f for r in requests for f in house.files_of(r)) == sorted(
            f.file_id for f in landed_files(house.inbox)
        )
        runs = [house.started(request) for request in requests]
        assert "12 on their way" in house.tick().skip_reason.skip_message
        for run in runs:
            house.instance.report_run_failed(run)


@pytest.mark.parametrize("address", ["folder"], indirect=True)
def test_the_runs_of_files_are_asked_for_in_three_queries(house, monkeypatch):
    house.drop(5)
    for _ in range(2):
        for request in house.tick().run_requests:
            house.instance.report_run_failed(house.started(request))
    asked = []
    get = dg.DagsterInstance.get_runs
    monkeypatch.setattr(
        dg.DagsterInstance,
        "get_runs",
        lambda self, *args, **more: asked.append(args) or get(self, *args, **more),
    )
    assert len(house.tick().run_requests) == 5
    assert len(asked) == 3
