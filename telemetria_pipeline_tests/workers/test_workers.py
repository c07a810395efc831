"""Two Celery workers over PostgreSQL and RabbitMQ, by the commands of `deploy/`."""

import time
from collections.abc import Iterator

import dagster as dg
import pytest

from telemetria_pipeline.definitions import build_definitions
from telemetria_pipeline.steps.hours import read_manifest
from telemetria_pipeline.storage.lake import Lake
from telemetria_pipeline_tests.one_source import hour_of
from telemetria_pipeline_tests.workers import faults
from telemetria_pipeline_tests.workers.production import (
    ENDED,
    Production,
    Witness,
    contents,
    hours_of,
    waited_for,
)

SILENCE_S = 13.5


@pytest.fixture(scope="module")
def carriers() -> Iterator[dict[str, Witness]]:
    with Witness(1) as alfa, Witness(2) as beta:
        yield {"alfa": alfa, "beta": beta}


@pytest.fixture(scope="module")
def production(services, s3_logs, carriers, tmp_path_factory) -> Iterator[Production]:
    made = Production(tmp_path_factory.mktemp("production"), "rabbitmq", s3_logs, SILENCE_S, slots=2)
    try:
        made.sources(**carriers)
        made.worker("one")
        made.worker("two")
        made.begin()
        yield made
    finally:
        made.close()


@pytest.fixture
def instance(production) -> Iterator[dg.DagsterInstance]:
    with production.instance() as instance:
        yield instance


def test_a_backfill_across_two_workers_gives_the_lake_of_one_process(
    production, instance, carriers, monkeypatch, tmp_path
):
    hours = hours_of(10, 6, 11)
    backfills = [production.backfill(source, hours) for source in carriers]

    def runs() -> list[dg.DagsterRun]:
        found = [instance.get_runs(dg.RunsFilter(tags={"dagster/backfill": b})) for b in backfills]
        return [run for listed in found for run in listed]

    waited_for(lambda: len(r := runs()) == 2 and all(run.status in ENDED for run in r), "two runs")
    assert {run.status for run in runs()} == {dg.DagsterRunStatus.SUCCESS}, production.folder
    assert len({production.worker_process(instance, run.run_id) for run in runs()}) == 2

    monkeypatch.setenv("TELEMETRIA_LAKE", f"file:{tmp_path}/alone")
    wanted = {
        "dagster/asset_partition_range_start": hours[0],
        "dagster/asset_partition_range_end": hours[-1],
    }
    with dg.DagsterInstance.ephemeral(tempdir=str(tmp_path)) as one_process:
        for source in carriers:
            job = build_definitions().resolve_job_def(f"telemetry_job_{source}")
            assert job.execute_in_process(instance=one_process, tags=wanted).success
    alone = Lake.open(f"file:{tmp_path}/alone")
    for source in carriers:
        assert contents(production.lake, source, hours) == contents(alone, source, hours)


def test_a_worker_that_is_killed_is_found_and_its_hours_are_finished(production, instance, carriers):
    hours = hours_of(9, 6, 11)
    took = faults.strike(production, instance, carriers["alfa"], "alfa", hours, faults.worker_killed)
    assert took.found_s < SILENCE_S + 15


def test_a_run_that_is_terminated_stops_at_once_and_is_not_tried_again(production, instance, carriers):
    hours, beta = hours_of(9, 6, 11), carriers["beta"]
    beta.delay_seconds = 1
    run_id = production.launch("beta", hours)
    first = hour_of(hours[0], "beta")
    waited_for(lambda: (m := read_manifest(production.lake, first)) and m.published, first.key)
    production.terminate(run_id)
    status = waited_for(lambda: (r := instance.get_run_by_id(run_id)).status in ENDED and r.status, "its end")
    asked = beta.asked_by(run_id)
    assert status == dg.DagsterRunStatus.CANCELED
    time.sleep(3)
    assert beta.asked_by(run_id) == asked
    beta.delay_seconds = 0
    waits = production.launch("beta", hours)  # its pool is free
    waited_for(lambda: instance.get_run_by_id(waits).status == dg.DagsterRunStatus.SUCCESS, "the next run")
    assert [run.run_id for run in instance.get_run_group(run_id)[1]] == [run_id]
    faults.assert_whole(production, beta, "beta", hours)


def test_what_runs_print_is_in_the_bucket_and_is_read_back(production, instance):
    run = instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.SUCCESS]), limit=1)[0]
    (captured,) = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.LOGS_CAPTURED)
    key = [run.run_id, "compute_logs", captured.dagster_event.logs_captured_data.file_key]
    said = instance.compute_log_manager.get_log_data(key).stderr
    assert b"STEP_SUCCESS" in said
