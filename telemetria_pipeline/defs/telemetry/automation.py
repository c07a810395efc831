"""The rhythm of a source: every hour the one before, at once what is owed, and later what may be amended."""

import zlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

import dagster as dg

from telemetria_pipeline.carriers.sources import Source
from telemetria_pipeline.core.telemetry.recapture import AMENDMENTS_AT, RecapturePlan, plan_recapture
from telemetria_pipeline.defs.partitions import CALENDAR, HOURLY
from telemetria_pipeline.defs.resources import PipelineResource
from telemetria_pipeline.defs.runs import (
    ACTIVE,
    FIRST_TAG,
    LAST_TAG,
    MAX_RUNTIME_TAG,
    PRIORITY_TAG,
    partitions_on_their_way,
)
from telemetria_pipeline.defs.telemetry.assets import raw_key, telemetry_assets
from telemetria_pipeline.steps.backlog import backlog
from telemetria_pipeline.steps.hours import expected_hours

CAPTURE_TAG = "telemetria/captures"
"""`dagster.yaml` leaves some places to runs without it, however many sources are down."""
RECAPTURE_TAG = "telemetria/recapture"
"""Of the runs of the sensor: whether they began with the newest or with the oldest hours that are owed."""

# Hours are asked for from the fifth minute on: devices send late. The sources share the next half hour.
_FIRST_MINUTE, _SPREAD_MINUTES = 5, 30
# In the queue of a source's pool: the fresh hour, then what a person asked for (0), then the rest.
_FRESH, _OWED, _AMENDED = "10", "-1", "-2"
# Runs that failed one after the other make the sensor wait, also where they died before they noted an hour.
_FIRST_PAUSE, _LONGEST_PAUSE = timedelta(minutes=1), timedelta(minutes=30)
_LAST_RUNS = 10


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
        tags={PRIORITY_TAG: _FRESH, MAX_RUNTIME_TAG: _seconds(1)},
        description="Every hour, some minutes past: the hour before.",
    )

    @dg.sensor(
        job=job,
        name=f"telemetry_recapture_{source.name}",
        minimum_interval_seconds=60,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="A run for the hours that are missing or open, or that no night captured again when it "
        "was to, whatever became of the run that was to get them: the newest and the oldest in turn. An hour "
        "that failed waits, longer each time, and is given up in the end: materialise it, and it begins "
        "anew.",
    )
    def recapture(
        context: dg.SensorEvaluationContext, pipeline: PipelineResource
    ) -> dg.RunRequest | dg.SkipReason:
        """The lake says what is owed, the runs say what is on its way; nothing else is remembered."""
        if problem := source.problem():
            return dg.SkipReason(problem)
        now, settings, instance = datetime.now(UTC), pipeline.load(), context.instance
        mine = instance.get_run_records(
            dg.RunsFilter(job_name=job.name, tags={RECAPTURE_TAG: ["newest", "oldest"]}), limit=_LAST_RUNS
        )
        if mine and mine[0].dagster_run.status in ACTIVE:
            return dg.SkipReason("the last recapture is on its way")
        if (resumes := _rests_until(mine)) and now < resumes:
            return dg.SkipReason(f"the last recaptures failed: the next one is at {_clock(resumes)}")
        back, ages = timedelta(days=settings.recapture_days), settings.amendment_ages
        found = backlog(pipeline.lake(), source, CALENDAR, now, back, ages)
        if found.refused:
            # Nobody insists on a refusal; the next hour that the carrier answers opens the way again.
            return dg.SkipReason(f"the carrier refuses: {found.error}")
        busy = partitions_on_their_way(instance, job.name, raw_key(source.name), found.states)
        newest = not mine or mine[0].dagster_run.tags[RECAPTURE_TAG] == "oldest"
        owed = [hour for hour in found.owed if hour.key not in busy]
        plan = plan_recapture(owed, now, found.answered_at, newest)
        if plan.given_up:
            context.log.warning(
                f"{len(plan.given_up)} hours are given up, from {plan.given_up[0]} to {plan.given_up[-1]}: "
                "their runs failed time and again. Look at their last error, mend the cause, and materialise "
                "them"
            )
        if not plan.ask:
            never = (
                f"no hour was ever asked for: {hourly.name} begins with the next one, a backfill with earlier"
            )
            return dg.SkipReason(_nothing_due(plan, len(busy)) if found.begun else never)
        return dg.RunRequest(
            # Of one state of things there is one run, also where a tick is repeated.
            run_key=f"{plan.ask[0]}/{plan.ask[-1]}/{mine[0].dagster_run.run_id if mine else ''}",
            tags={
                **_hours_tags(plan.ask),
                RECAPTURE_TAG: "newest" if newest else "oldest",
                PRIORITY_TAG: _OWED,
            },
        )

    @dg.schedule(
        job=job,
        name=f"telemetry_amendments_{source.name}",
        cron_schedule=f"{minute_past(source.name)} {AMENDMENTS_AT} * * *",
        execution_timezone=HOURLY.timezone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Every night: yesterday's hours and those of some days before, once more. Carriers amend "
        "trips long after they ended; only hours that changed are written anew.",
    )
    def amendments(
        context: dg.ScheduleEvaluationContext, pipeline: PipelineResource
    ) -> Iterator[dg.RunRequest | dg.SkipReason]:
        """A run for each day that has the age for it."""
        if problem := source.problem():
            yield dg.SkipReason(problem)
            return
        today = CALENDAR.day_of(context.scheduled_execution_time)
        days = [today - timedelta(days=age) for age in pipeline.load().amendment_ages]
        known = {day: expected_hours(source, CALENDAR, *CALENDAR.day(day)) for day in days}
        for day, hours in known.items():
            if hours:
                tags = {**_hours_tags([h.key for h in hours]), PRIORITY_TAG: _AMENDED}
                yield dg.RunRequest(run_key=f"{day} on {today}", tags=tags)
        if not any(known.values()):
            yield dg.SkipReason("no day has the age at which it is captured again")

    return dg.Definitions(assets=[assets], jobs=[job], schedules=[hourly, amendments], sensors=[recapture])


def _hours_tags(hours: Sequence[str]) -> dict[str, str]:
    """The tags of a run of these hours, which follow each other."""
    return {FIRST_TAG: hours[0], LAST_TAG: hours[-1], MAX_RUNTIME_TAG: _seconds(len(hours))}


def _seconds(hours: int) -> str:
    """How long a run may take; where it dies unseen, nothing else frees the source's pool."""
    return str(1800 + 600 * hours)


def _rests_until(newest_first: Sequence[dg.RunRecord]) -> datetime | None:
    """Until when the sensor waits: the more of its last runs failed in a row, the longer."""
    failed = 0
    for record in newest_first:
        if record.dagster_run.status != dg.DagsterRunStatus.FAILURE:
            break
        failed += 1
    if not failed:
        return None
    pause = min(_FIRST_PAUSE * 2 ** (failed - 1), _LONGEST_PAUSE)
    return newest_first[0].update_timestamp.astimezone(UTC) + pause


def _nothing_due(plan: RecapturePlan, busy: int) -> str:
    said = [
        f"{count} {what}"
        for count, what in (
            (busy, "on their way"),
            (len(plan.waiting), f"to be asked for from {_clock(plan.next_at)} on" if plan.next_at else ""),
            (len(plan.given_up), f"given up, the first of them {plan.given_up[0] if plan.given_up else ''}"),
        )
        if count
    ]
    return f"hours: {', '.join(said)}" if said else "every hour is captured or confirmed empty"


def _clock(instant: datetime | None) -> str:
    return f"{instant.astimezone(CALENDAR.zone):%Y-%m-%d %H:%M}" if instant else ""
