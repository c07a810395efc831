"""Dagster's own history: runs and their logs are kept for some months; what is materialised stays so."""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import dagster as dg

from telemetria_pipeline.defs.partitions import HOURLY
from telemetria_pipeline.defs.resources import PipelineResource

_PAGE = 500
_ENDED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]


class Pruned(NamedTuple):
    """What `prune_runs` did."""

    runs: int
    kept: int  # partitions whose newest materialisation was in one of them, and was written down again


def prune_runs(instance: dg.DagsterInstance, before: datetime) -> Pruned:
    """Delete the runs that were created before an instant and have ended, with all their events.

    Without its event a partition would look as if it had never been materialised, and be asked for again. So
    the newest materialisation of each is reported once more, without a run. Killed in the middle, it goes on
    where it was.
    """
    runs = kept = 0
    wanted = dg.RunsFilter(created_before=before, statuses=_ENDED)
    while found := instance.get_runs(wanted, limit=_PAGE, ascending=True):
        for run in found:
            kept += _keep_materialisations(instance, run.run_id)
            instance.delete_run(run.run_id)
        runs += len(found)
    return Pruned(runs, kept)


def _keep_materialisations(instance: dg.DagsterInstance, run_id: str) -> int:
    """Report again what is newest of what the run materialised; how many."""
    kept = 0
    for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION):
        if (materialisation := entry.asset_materialization) is None:
            continue
        partition = materialisation.partition
        asked = dg.AssetRecordsFilter(
            materialisation.asset_key, asset_partitions=None if partition is None else [partition]
        )
        newest = instance.fetch_materializations(asked, limit=1).records[0]
        if newest.run_id == run_id and newest.timestamp == entry.timestamp:
            instance.report_runless_asset_event(materialisation)
            kept += 1
    return kept


@dg.op
def prune(context: dg.OpExecutionContext, pipeline: PipelineResource) -> None:
    """Delete the runs older than `keep_runs_days`; how many went and how many are left is its output's."""
    days = pipeline.load().keep_runs_days
    pruned = prune_runs(context.instance, datetime.now(UTC) - timedelta(days=days))
    context.add_output_metadata(
        {
            "runs deleted": pruned.runs,
            "materialisations kept": pruned.kept,
            "runs left": context.instance.get_runs_count(),
        }
    )


@dg.job(executor_def=dg.in_process_executor)
def upkeep_job() -> None:
    """Delete old runs and their logs (`TELEMETRIA_KEEP_RUNS_DAYS`)."""
    prune()


upkeep_daily = dg.ScheduleDefinition(
    name="upkeep_daily",
    job=upkeep_job,
    cron_schedule="40 3 * * *",
    execution_timezone=HOURLY.timezone,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Every night: delete the runs and logs that are older than TELEMETRIA_KEEP_RUNS_DAYS.",
)
