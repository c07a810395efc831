"""The hourly rhythm of a source: the hour before; half an hour later, what is still missing."""

import zlib
from collections.abc import Iterator
from datetime import datetime, timedelta

import dagster as dg

from telemetria_pipeline.carriers.sources import Source
from telemetria_pipeline.core.telemetry.recapture import hours_to_recapture
from telemetria_pipeline.defs.partitions import CALENDAR, HOURLY
from telemetria_pipeline.defs.resources import PipelineResource
from telemetria_pipeline.defs.runs import WAITING, on_their_way
from telemetria_pipeline.defs.telemetry.assets import raw_key, telemetry_assets
from telemetria_pipeline.steps.hours import expected_hours, last_known

CAPTURE_TAG = "telemetria/captures"
"""`dagster.yaml` leaves some places to runs without it, however many sources are down."""

# Hours are asked for from the fifth minute on: devices send late. The sources share the next half hour.
_FIRST_MINUTE, _SPREAD_MINUTES = 5, 30
# Seconds that a run of one hour may take; where it was killed unseen, nothing else frees the source's pool.
_ONE_HOUR = {"dagster/max_runtime": "3600"}


def minute_past(source: str) -> int:
    """The minute at which a source's hours are asked for: by its name, so that no other source moves it."""
    return _FIRST_MINUTE + zlib.crc32(source.encode()) % _SPREAD_MINUTES


def telemetry_definitions(source: Source) -> dg.Definitions:
    """All that Dagster sees of a source."""
    assets = telemetry_assets(source)
    job = dg.define_asset_job(
        f"telemetry_job_{source.name}",
        selection=dg.AssetSelection.assets(assets),
        # Starting a process a step costs more than an hour's work.
        executor_def=dg.in_process_executor,
        tags={CAPTURE_TAG: source.name},
        description=f"Capture hours from {source.name} and publish their trips.",
    )
    hourly = dg.build_schedule_from_partitioned_job(
        job,
        name=f"telemetry_hourly_{source.name}",
        minute_of_hour=minute_past(source.name),
        default_status=dg.DefaultScheduleStatus.RUNNING,
        tags=_ONE_HOUR,
        description="Every hour, some minutes past: the hour before.",
    )

    @dg.schedule(
        job=job,
        name=f"telemetry_recapture_{source.name}",
        cron_schedule=f"{(minute_past(source.name) + 30) % 60} * * * *",
        execution_timezone=HOURLY.timezone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Every hour: open hours, missing hours and gaps of the last two days, once more.",
    )
    def recapture(
        context: dg.ScheduleEvaluationContext, pipeline: PipelineResource
    ) -> Iterator[dg.RunRequest | dg.SkipReason]:
        """One run for each hour that is not settled."""
        if problem := source.problem():
            yield dg.SkipReason(problem)
            return
        now: datetime = context.scheduled_execution_time
        back, lake = timedelta(hours=pipeline.load().recapture_hours), pipeline.lake()
        over = expected_hours(source, CALENDAR, now - back, now)
        known = {h.key: m for h in over if (m := last_known(lake, h))}
        asked = [m for _, m in sorted(known.items(), reverse=True)]
        if asked and asked[0].failure and asked[0].failure.permanent:
            # Nobody insists on a refusal; the next hour that the carrier answers opens the way again.
            yield dg.SkipReason(f"the carrier refuses: {asked[0].failure.error}")
            return
        states = {key: m.standing(now) for key, m in known.items()}
        reported = context.instance.get_materialized_partitions(raw_key(source.name))
        due = hours_to_recapture(states, [h.key for h in reversed(over)], since=min(reported, default=None))
        waiting = on_their_way(context.instance, job.name, WAITING)
        due = [key for key in due if key not in waiting]
        if not due:
            yield dg.SkipReason("every hour is captured or confirmed empty")
        for key in due:
            yield dg.RunRequest(run_key=f"{key} at {now:%Y-%m-%dT%H:%M}", partition_key=key, tags=_ONE_HOUR)

    return dg.Definitions(assets=[assets], jobs=[job], schedules=[hourly, recapture])
