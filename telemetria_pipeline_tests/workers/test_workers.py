"""Two Celery workers over PostgreSQL and RabbitMQ, by the commands of `deploy/`."""

from collections.abc import Iterator
from functools import partial

import dagster as dg
import pytest

from telemetria_pipeline.definitions import build_definitions
from telemetria_pipeline.storage.lake import Lake
from telemetria_pipeline_tests.workers.production import (
    ENDED,
    Production,
    Witness,
    contents,
    waited_for,
)

SILENCE_S = 9


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


def ended(instance: dg.DagsterInstance, run_id: str) -> dg.DagsterRun:
    return waited_for(lambda: (r := instance.get_run_by_id(run_id)).status in ENDED and r, f"run {run_id}")


def run_of(instance: dg.DagsterInstance, backfill: str) -> str | None:
    runs = instance.get_runs(dg.RunsFilter(tags={"dagster/backfill": backfill}))
    return runs[0].run_id if runs else None


def test_a_backfill_across_two_workers_gives_the_lake_of_one_process(
    production, instance, carriers, monkeypatch, tmp_path
):
    hours = range(6, 12)
    backfills = [production.backfill(source, hours[0], hours[-1]) for source in carriers]
    runs = waited_for(
        lambda: len(r := [*map(partial(run_of, instance), backfills)]) == 2 and all(r) and r, "two runs"
    )
    for run_id in runs:
        assert ended(instance, run_id).status == dg.DagsterRunStatus.SUCCESS, production.folder

    monkeypatch.setenv("TELEMETRIA_LAKE", f"file:{tmp_path}/alone")
    alone = Lake.open(f"file:{tmp_path}/alone")
    with dg.DagsterInstance.ephemeral(tempdir=str(tmp_path)) as one_process:
        for source in carriers:
            job = build_definitions().resolve_job_def(f"telemetry_job_{source}")
            for hour in hours:
                key = f"2026-03-10-{hour:02d}:00"
                assert job.execute_in_process(instance=one_process, partition_key=key).success
    for source in carriers:
        assert contents(production.lake, source, hours) == contents(alone, source, hours)
