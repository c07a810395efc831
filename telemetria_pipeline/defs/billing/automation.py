"""The bill's rhythm: every morning, and the last cycle's too until somebody closes it."""

from collections.abc import Iterator
from datetime import timedelta

import dagster as dg

from telemetria_pipeline.business_calendar import Cycle
from telemetria_pipeline.defs.billing.assets import billing
from telemetria_pipeline.defs.partitions import BILLING_CYCLE
from telemetria_pipeline.defs.reports.assets import measurement
from telemetria_pipeline.defs.resources import PipelineResource
from telemetria_pipeline.steps.closed_cycles import closing_key

cycle_job = dg.define_asset_job(
    "cycle_job",
    selection=dg.AssetSelection.assets(billing, measurement),
    executor_def=dg.in_process_executor,
    # Seconds; a cycle takes a few. Where Dagster was killed with its workers, nothing else frees the pool.
    tags={"dagster/max_runtime": "1800"},
    description="Bill a cycle and write its medição.",
)


@dg.schedule(
    job=cycle_job,
    name="cycle_daily",
    cron_schedule="30 7 * * *",
    execution_timezone=BILLING_CYCLE.timezone,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="At 07:30, after yesterday's audit: yesterday's cycle, and the one before while it is open.",
)
def cycle_daily(context: dg.ScheduleEvaluationContext, pipeline: PipelineResource) -> Iterator[dg.RunRequest]:
    """One run for each cycle that may still change."""
    now, settings = context.scheduled_execution_time, pipeline.load()
    cycle = Cycle.of(now.astimezone(settings.timezone).date() - timedelta(days=1))
    before = cycle.before
    due = [cycle]
    if before.last >= settings.start and not pipeline.lake().store.exists(closing_key(before)):
        due.insert(0, before)
    for each in due:
        yield dg.RunRequest(run_key=f"{each.key} at {now:%Y-%m-%d}", partition_key=each.key)
