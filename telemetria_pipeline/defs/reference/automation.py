"""The reference tables: made again when somebody has changed their files."""

import hashlib
from datetime import UTC, datetime, timedelta

import dagster as dg

from telemetria_pipeline.defs.reference.assets import acceptances, contracts, drivers, substitutions, vehicles
from telemetria_pipeline.defs.resources import PipelineResource
from telemetria_pipeline.defs.runs import ACTIVE, FAILED, MAX_TRIES
from telemetria_pipeline.steps.reference import due_tables

FILES_TAG = "telemetria/reference"
"""Of the sensor's runs: which files they are to read."""

reference_job = dg.define_asset_job(
    "reference_job",
    selection=dg.AssetSelection.assets(vehicles, drivers, contracts, substitutions, acceptances),
    executor_def=dg.in_process_executor,
    tags={"dagster/max_runtime": "1800"},
    description="Read the reference tables again from their files in the lake.",
)


@dg.sensor(
    job=reference_job,
    name="reference_sensor",
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="A run for the tables whose files somebody changed. A file that is refused is not read again "
    "before it is another, and the table stays as it was.",
)
def reference_sensor(
    context: dg.SensorEvaluationContext, pipeline: PipelineResource
) -> dg.RunRequest | dg.SkipReason:
    """The lake says which files were read; nothing else is remembered."""
    settle = timedelta(seconds=pipeline.load().inbox_settle_s)
    due = due_tables(pipeline.lake(), datetime.now(UTC), settle)
    if not due:
        return dg.SkipReason("every file was read, or is still being written")
    if context.instance.get_runs_count(dg.RunsFilter(job_name=reference_job.name, statuses=ACTIVE)):
        return dg.SkipReason(f"{', '.join(due)}: a run is on its way")
    files = hashlib.sha256(str(due).encode()).hexdigest()[:16]
    same = {FILES_TAG: files}
    failed = context.instance.get_runs_count(dg.RunsFilter(tags=same, statuses=FAILED))
    if failed >= MAX_TRIES:
        return dg.SkipReason(
            f"{', '.join(due)}: left alone, its run failed {failed} times. Mend the cause, then run "
            f"{reference_job.name}"
        )
    # Dagster drops a run key that it has seen, for ever: files may come to be the same as once before.
    times = context.instance.get_runs_count(dg.RunsFilter(tags=same))
    return dg.RunRequest(f"{files}/{times}", tags=same, asset_selection=[dg.AssetKey(name) for name in due])
