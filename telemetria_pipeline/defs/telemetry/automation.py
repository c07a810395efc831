"""The hourly rhythm of the telemetry."""

from collections.abc import Iterator
from datetime import datetime, timedelta

import dagster as dg

from telemetria_pipeline.steps.hour_ingest import RAW, last_known
from telemetria_pipeline.defs.resources import LakeResource
from telemetria_pipeline.defs.telemetry.assets import telemetry
from telemetria_pipeline.core.telemetry.hours import hours_to_recapture
from telemetria_pipeline.defs.partitions import HOURLY, hour_of
from telemetria_pipeline.settings import Settings

MINUTES_PAST = 10
RECAPTURE_MINUTE = 40
# Seconds that a run of one hour may take; where it was killed unseen, nothing else frees the carrier's pool.
_ONE_HOUR = {"dagster/max_runtime": "3600"}
_WAITING = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
]

telemetry_job = dg.define_asset_job(
    "telemetry_job",
    selection=dg.AssetSelection.assets(telemetry),
    # Starting a process a step costs more than an hour's work.
    executor_def=dg.in_process_executor,
    description="Capture hours from the carrier and publish their trips.",
)

telemetry_hourly = dg.build_schedule_from_partitioned_job(
    telemetry_job,
    name="telemetry_hourly",
    minute_of_hour=MINUTES_PAST,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    tags=_ONE_HOUR,
    description="Every hour, some minutes past: the hour before.",
)


@dg.schedule(
    job=telemetry_job,
    name="telemetry_recapture",
    cron_schedule=f"{RECAPTURE_MINUTE} * * * *",
    execution_timezone=HOURLY.timezone,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Every hour: open hours, missing hours and gaps of the last two days, once more.",
)
def telemetry_recapture(
    context: dg.ScheduleEvaluationContext, lake: LakeResource
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """One run for each hour that is not settled."""
    now: datetime = context.scheduled_execution_time
    back = timedelta(hours=Settings.from_env().recapture_hours)
    window = dg.TimeWindow(now - back, now)
    over = [h for h in map(hour_of, HOURLY.get_partition_keys_in_time_window(window)) if h.end <= now]
    open_lake = lake.open()
    known = {h.key: m for h in over if (m := last_known(open_lake, h))}
    asked = [m for _, m in sorted(known.items(), reverse=True)]
    if asked and asked[0].failure and asked[0].failure.permanent:
        # Nobody insists on a refusal; the next hour that the carrier answers opens the way again.
        yield dg.SkipReason(f"the carrier refuses: {asked[0].failure.error}")
        return
    states = {key: m.standing(now) for key, m in known.items()}
    reported = context.instance.get_materialized_partitions(dg.AssetKey(RAW))
    due = hours_to_recapture(states, [h.key for h in reversed(over)], since=min(reported, default=None))
    waiting = context.instance.get_runs(dg.RunsFilter(job_name=telemetry_job.name, statuses=_WAITING))
    due = [key for key in due if key not in {run.tags.get("dagster/partition") for run in waiting}]
    if not due:
        yield dg.SkipReason("every hour is captured or confirmed empty")
    for key in due:
        yield dg.RunRequest(run_key=f"{key} at {now:%Y-%m-%dT%H:%M}", partition_key=key, tags=_ONE_HOUR)
