"""Old runs go, and nothing looks as if it had never been done."""

from datetime import UTC, datetime, timedelta

import dagster as dg

from telemetria_pipeline.carriers.sources import MAIN
from telemetria_pipeline.definitions import build_definitions
from telemetria_pipeline.defs.telemetry.assets import trips_key
from telemetria_pipeline.defs.upkeep import Pruned, prune_runs
from telemetria_pipeline_tests.defs.conftest import hour_key

SIX, SEVEN = hour_key(6), hour_key(7)


def newest(instance: dg.DagsterInstance, hour: str) -> dg.EventLogRecord:
    wanted = dg.AssetRecordsFilter(trips_key(MAIN), asset_partitions=[hour])
    return instance.fetch_materializations(wanted, limit=1).records[0]


def test_old_runs_go_with_their_events_and_what_is_materialised_stays_so(pipeline, carrier):
    old = [pipeline.run(SIX).run_id, pipeline.run(SIX, SEVEN).run_id]
    instance = pipeline.instance
    data = {hour: newest(instance, hour).asset_materialization for hour in (SIX, SEVEN)}
    now = datetime.now(UTC)
    young = pipeline.run(SEVEN).run_id

    # Of seven, a younger run holds the newest materialisation; of six, only the second run does.
    assert prune_runs(instance, now) == Pruned(runs=2, kept=2)
    assert [run.run_id for run in instance.get_runs()] == [young]
    assert not [event for run in old for event in instance.all_logs(run)]
    assert {SIX, SEVEN} <= pipeline.materialized()
    assert newest(instance, SIX).asset_materialization == data[SIX]
    assert newest(instance, SEVEN).run_id == young
    assert prune_runs(instance, now) == Pruned(runs=0, kept=0)


def test_a_run_that_has_not_ended_is_never_deleted(pipeline):
    job = build_definitions().resolve_job_def("upkeep_job")
    run = pipeline.instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED)
    assert prune_runs(pipeline.instance, datetime.now(UTC) + timedelta(days=1)).runs == 0
    assert pipeline.instance.get_run_by_id(run.run_id)


def test_the_nightly_job_says_what_went_and_what_is_left(pipeline):
    result = build_definitions().resolve_job_def("upkeep_job").execute_in_process(instance=pipeline.instance)
    (said,) = [e for e in result.all_events if e.event_type_value == "STEP_OUTPUT"]
    metadata = said.step_output_data.metadata
    assert {name: value.value for name, value in metadata.items()} == {
        "runs deleted": 0,
        "materialisations kept": 0,
        "runs left": 1,
    }
