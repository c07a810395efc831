"""Two Celery workers over PostgreSQL and RabbitMQ, by the commands of `deploy/`."""

import re
import time
from collections.abc import Iterator

import dagster as dg
import pytest
import yaml
from click.testing import CliRunner

from telemetria_pipeline.cli import main
from telemetria_pipeline.definitions import build_definitions
from telemetria_pipeline.steps.hours import read_manifest
from telemetria_pipeline.storage.lake import Lake
from telemetria_pipeline_tests.one_source import hour_of
from telemetria_pipeline_tests.workers import faults
from telemetria_pipeline_tests.workers.production import (
    ENDED,
    PSEUDONYM_KEY,
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
    monkeypatch.setenv("TELEMETRIA_PSEUDONYM_KEY", PSEUDONYM_KEY)
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


@pytest.mark.long
def test_a_run_is_handed_back_by_a_worker_without_the_database_and_begun_by_another(
    production, instance, carriers
):
    hours = hours_of(11, 6, 7)
    faults.handed_back(production, instance, carriers["alfa"], "alfa", hours)


def test_a_run_that_is_terminated_stops_at_once_and_is_not_tried_again(production, instance, carriers):
    hours, beta = hours_of(9, 6, 11), carriers["beta"]
    beta.delay_seconds = 1
    run_id = production.launch("beta", hours)
    first = hour_of(hours[0], "beta")
    waited_for(lambda: (m := read_manifest(production.lake, first)) and m.published, first.key)
    production.terminate(run_id)
    status = waited_for(lambda: (r := instance.get_run_by_id(run_id)).status in ENDED and r.status, "its end")
    assert status == dg.DagsterRunStatus.CANCELED
    time.sleep(2 * beta.delay_seconds)  # what it had asked before: the carrier counts when it answers
    asked = beta.asked_by(run_id)
    time.sleep(3 * beta.delay_seconds)
    assert beta.asked_by(run_id) == asked
    beta.delay_seconds = 0
    waits = production.launch("beta", hours)  # its pool is free
    waited_for(lambda: succeeded(instance, waits), "the next run")
    assert [run.run_id for run in instance.get_run_group(run_id)[1]] == [run_id]
    faults.assert_whole(production, beta, "beta", hours)


def test_a_run_waits_in_the_queue_that_its_tag_names_and_is_terminated_there(production, instance):
    run_id = production.launch("gama", BACKFILLED, **{"dagster-celery/queue": production.other_queue})
    waited_for(lambda: production.waiting(production.other_queue) == 1, "the run in its queue")
    production.terminate(run_id, "MARK_AS_CANCELED_IMMEDIATELY")
    assert instance.get_run_by_id(run_id).status == dg.DagsterRunStatus.CANCELED


def test_a_backfill_of_assets_is_done_by_a_worker_and_what_it_printed_is_in_the_bucket(
    production, instance, carriers
):
    wanted = dg.RunsFilter(job_name="__ASSET_JOB", statuses=[dg.DagsterRunStatus.SUCCESS])
    (run,) = waited_for(lambda: instance.get_runs(wanted), "the backfill's run")
    faults.assert_whole(production, carriers["gama"], "gama", BACKFILLED)
    (captured,) = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.LOGS_CAPTURED)
    key = [run.run_id, "compute_logs", captured.dagster_event.logs_captured_data.file_key]
    assert b"STEP_SUCCESS" in instance.compute_log_manager.get_log_data(key).stderr


def checked(**env: str) -> tuple[int, dict[str, str]]:
    """`telemetria deploy check` with another environment: its exit code, and what it says of each part."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in env.items():
            patch.setenv(name, value)
        done = CliRunner().invoke(main, ["deploy", "check"])
    lines = [line.split(": ", 1) for line in done.output.splitlines()]
    return done.exit_code, dict(lines)


def test_the_deploy_check_touches_every_part(production, instance):
    code, said = checked()
    assert code == 0, said
    before = ["lake", "inbox", "sources", "instance", "database", "daemon", "sensors"]
    parts = [*before, "logs", "launcher", "broker", "workers"]
    assert list(said) == [f"ok    {part}" for part in parts]
    sizes = r"event log \d+ MB, runs \d+ MB, ticks \d+ MB; clocks \d\.\d s apart"
    assert re.search(sizes, said["ok    database"])
    assert said["ok    workers"] == "2 with 2 places for 2 runs at once: celery@one, celery@two"
    assert "guest@" not in str(said)


@pytest.mark.parametrize(
    ("wrong", "advice"),
    [
        (
            {
                "CARRIER_TOKEN": "",
                "DAGSTER_LOGS_BUCKET": "nobodys",
                "TELEMETRIA_BROKER_URL": "amqp://u:secret@127.0.0.1:9//",
            },
            {
                "sources": "set CARRIER_TOKEN",
                "logs": "make the bucket that DAGSTER_LOGS_BUCKET names",
                "broker": "correct TELEMETRIA_BROKER_URL",
            },
        ),
        ({"TELEMETRIA_BROKER_URL": ""}, {"launcher": "set TELEMETRIA_BROKER_URL"}),
        ({"DAGSTER_HOME": "/nowhere"}, {"instance": "set DAGSTER_HOME"}),
    ],
    ids=lambda value: "-".join(value),
)
def test_the_deploy_check_says_what_to_do(production, instance, wrong, advice):
    code, said = checked(**wrong)
    assert code == 1
    failed = {line.removeprefix("FAIL  "): text for line, text in said.items() if line.startswith("FAIL")}
    assert failed.keys() == advice.keys()
    assert [part for part in advice if advice[part] not in failed[part]] == [], failed
    assert "secret" not in str(said)


def test_a_daemon_that_nobody_heard_is_found(production, instance, tmp_path):
    (tmp_path / "dagster.yaml").write_text("run_monitoring: {enabled: true}")  # a database of its own
    code, said = checked(DAGSTER_HOME=str(tmp_path))
    assert code == 1
    assert "start telemetria-daemon" in said["FAIL  daemon"]
    assert "start telemetria-code" in said["FAIL  sensors"]


def test_a_misspelt_launcher_is_found_before_a_run_needs_it(production, instance, tmp_path):
    described = (production.home / "dagster.yaml").read_text(encoding="utf-8")
    (tmp_path / "dagster.yaml").write_text(described.replace("WorkerLauncher", "WorkerLaucher"))
    code, said = checked(DAGSTER_HOME=str(tmp_path))
    assert code == 1
    assert "compare `run_launcher` with deploy/dagster.yaml" in said["FAIL  launcher"]


def test_more_runs_at_once_than_places_are_refused(production, instance, tmp_path):
    described = yaml.safe_load((production.home / "dagster.yaml").read_text(encoding="utf-8"))
    described["concurrency"]["runs"]["max_concurrent_runs"] = 8
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(described))
    code, said = checked(DAGSTER_HOME=str(tmp_path))
    assert code == 1
    assert "max_concurrent_runs: 2, or start more workers" in said["FAIL  workers"]
