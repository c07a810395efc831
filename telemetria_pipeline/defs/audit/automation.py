"""The audit's rhythm: exactly the days that are stale, and yesterday once before the report is due."""

from datetime import UTC, date, datetime

import dagster as dg

from telemetria_pipeline.contracts.audit import DAILY_KM, DIVERGENCES, VALIDATED_TRIPS
from telemetria_pipeline.core.audit.staleness import DaysPlan
from telemetria_pipeline.defs.resources import PipelineResource
from telemetria_pipeline.defs.runs import FAILED, MAX_TRIES, PARTITION_TAG, on_their_way
from telemetria_pipeline.steps.staleness import plan_days

CAUSE_TAG = "telemetria/stale"
VERSION_TAG = "telemetria/made_from"

audit_job = dg.define_asset_job(
    "audit_job",
    selection=dg.AssetSelection.assets(VALIDATED_TRIPS.name, DAILY_KM.name, DIVERGENCES.name, "daily_report"),
    executor_def=dg.in_process_executor,
    # Seconds; a day takes a few. Where Dagster was killed with its workers, nothing else frees the pool.
    tags={"dagster/max_runtime": "1800"},
    description="Match, judge and report a business day.",
)


@dg.sensor(
    job=audit_job,
    name="stale_days_sensor",
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="A run for each day that would be another by now, whatever changed: hours, boletins, "
    "vehicles, drivers, tariffs, tolerances, substitutions, acceptances.",
)
def stale_days_sensor(context: dg.SensorEvaluationContext, pipeline: PipelineResource) -> dg.SensorResult:
    """The lake says all; nothing is remembered from tick to tick."""
    settings, instance = pipeline.load(), context.instance
    plan = plan_days(pipeline.lake(), settings, datetime.now(UTC))
    busy = on_their_way(instance, audit_job.name)
    requests, given_up = [], []
    for day in plan.due:
        key, version = str(day), plan.due[day]
        same = {PARTITION_TAG: key, VERSION_TAG: version}
        if instance.get_runs_count(dg.RunsFilter(tags=same, statuses=FAILED)) >= MAX_TRIES:
            given_up.append(day)
        elif key not in busy:
            # Dagster drops a run key that it has seen, for ever. A day may come to be made from the same as
            # once before (a tolerance that is changed and changed back): how often it was is part of the key.
            times = instance.get_runs_count(dg.RunsFilter(tags=same))
            tags = {VERSION_TAG: version, CAUSE_TAG: ", ".join(plan.why[day])}
            requests.append(dg.RunRequest(f"{key}/{version}/{times}", partition_key=key, tags=tags))
    for day in given_up:
        context.log.warning(
            f"{day} is stale ({', '.join(plan.why[day])}) and is not audited: its run failed {MAX_TRIES} "
            "times. Mend the cause, then materialise the day"
        )
    skip = None if requests else _waiting(plan, given_up)
    return dg.SensorResult(run_requests=requests, skip_reason=skip)


audit_daily = dg.build_schedule_from_partitioned_job(
    audit_job,
    name="audit_daily",
    hour_of_day=7,
    minute_of_hour=0,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="At 07:00, an hour before the report on it is due: yesterday, whether it changed or not.",
)


def _waiting(plan: DaysPlan, given_up: list[date]) -> str:
    counts = {
        "days on their way": len(plan.due) - len(given_up),
        "days changed a moment ago": len(plan.resting),
        "days given up": len(given_up),
    }
    return ", ".join(f"{count} {what}" for what, count in counts.items() if count) or "No day is stale"
