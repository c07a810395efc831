"""The hourly rhythm of the telemetry."""

from collections.abc import Iterator
from datetime import datetime, timedelta

import dagster as dg

from telemetria_pipeline.assets.hour_ingest import read_manifest
from telemetria_pipeline.assets.resources import LakeResource
from telemetria_pipeline.assets.telemetry import telemetry
from telemetria_pipeline.core.hours import hours_to_recapture
from telemetria_pipeline.partitions import HOURLY, hour_of
from telemetria_pipeline.settings import Settings

MINUTES_PAST = 10
RECAPTURE_MINUTE = 40

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
    states = {h.key: m.state for h in over if (m := read_manifest(open_lake, h))}
    due = hours_to_recapture(states, [h.key for h in reversed(over)])
    if not due:
        yield dg.SkipReason("every hour is captured or confirmed empty")
    for key in due:
        yield dg.RunRequest(run_key=f"{key} at {now:%Y-%m-%dT%H:%M}", partition_key=key)
