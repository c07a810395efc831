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


BACKFILLED = hours_of(8, 6, 8)


@pytest.fixture(scope="module")
def carriers() -> Iterator[dict[str, Witness]]:
    with Witness(1) as alfa, Witness(2) as beta, Witness(3) as gama:
        yield {"alfa": alfa, "beta": beta, "gama": gama}


@pytest.fixture(scope="module")
def production(services, s3_logs, carriers, tmp_path_factory) -> Iterator[Production]:
    """Both workers, and a backfill of assets on its way: its daemon looks twice a minute."""
    made = Production(tmp_path_factory.mktemp("production"), "rabbitmq", s3_logs, SILENCE_S, slots=2)
    try:
        made.sources(**carriers)
        made.worker("one")
        made.worker("two")
        made.begin()
        made.backfill("gama", BACKFILLED)
        yield made
    finally:
        made.close()


@pytest.fixture
def instance(production) -> Iterator[dg.DagsterInstance]:
    with production.instance() as instance:
        yield instance


def succeeded(instance: dg.DagsterInstance, run_id: str) -> bool:
    return instance.get_run_by_id(run_id).status == dg.DagsterRunStatus.SUCCESS


def test_two_workers_make_the_lake_of_one_process(production, instance, carriers, monkeypatch, tmp_path):
    hours = hours_of(10, 6, 11)
    runs = [production.launch(source, hours) for source in ("alfa", "beta")]
    waited_for(lambda: all(succeeded(instance, run) for run in runs), f"runs {runs} ({production.folder})")
    assert len({production.worker_process(instance, run) for run in runs}) == 2

    monkeypatch.setenv("TELEMETRIA_LAKE", f"file:{tmp_path}/alone")
    wanted = {
        "dagster/asset_partition_range_start": hours[0],
        "dagster/asset_partition_range_end": hours[-1],
    }
    alone = Lake.open(f"file:{tmp_path}/alone")
    with dg.DagsterInstance.ephemeral(tempdir=str(tmp_path)) as one_process:
        for source in ("alfa", "beta"):
            job = build_definitions().resolve_job_def(f"telemetry_job_{source}")
            assert job.execute_in_process(instance=one_process, tags=wanted).success
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
    waited_for(lambda: succeeded(instance, waits), "the next run")
    assert [run.run_id for run in instance.get_run_group(run_id)[1]] == [run_id]
    faults.assert_whole(production, beta, "beta", hours)


def test_what_runs_print_is_in_the_bucket_and_is_read_back(production, instance):
    run = instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.SUCCESS]), limit=1)[0]
    (captured,) = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.LOGS_CAPTURED)
    key = [run.run_id, "compute_logs", captured.dagster_event.logs_captured_data.file_key]
    said = instance.compute_log_manager.get_log_data(key).stderr
    assert b"STEP_SUCCESS" in said


def test_a_backfill_of_assets_from_the_ui_is_done_by_a_worker(production, instance, carriers):
    wanted = dg.RunsFilter(job_name="__ASSET_JOB", statuses=[dg.DagsterRunStatus.SUCCESS])
    waited_for(lambda: instance.get_runs(wanted), "the backfill's run")
    faults.assert_whole(production, carriers["gama"], "gama", BACKFILLED)
