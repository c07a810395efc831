"""The audit's rhythm: exactly the days that changed, and yesterday once before the report is due."""

import hashlib
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import dagster as dg

from telemetria_pipeline.contracts.audit import DAILY_KM, DIVERGENCES, VALIDATED_TRIPS
from telemetria_pipeline.core.changed_days import DaysPlan, Mark
from telemetria_pipeline.defs.resources import PipelineResource
from telemetria_pipeline.defs.runs import ACTIVE, FAILED, MAX_TRIES, PARTITION_TAG
from telemetria_pipeline.steps.changed_days import days_to_audit

CHANGES_TAG = "telemetria/changes"

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
    name="changed_days_sensor",
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="A run for each day that a boletim or an hour of telemetry changed, however late.",
)
def changed_days_sensor(context: dg.SensorEvaluationContext, pipeline: PipelineResource) -> dg.SensorResult:
    """The marks and the days' states say all; nothing is remembered from tick to tick."""
    settings, instance = pipeline.load(), context.instance
    marks, plan = days_to_audit(pipeline.lake(), settings, datetime.now(UTC))
    if not marks:
        return dg.SensorResult(skip_reason="Nothing changed")
    if plan.let_go:
        oldest = min(mark.start for mark in plan.let_go).astimezone(settings.timezone)
        context.log.warning(
            f"{len(plan.let_go)} changes touch only days more than {settings.audit_days} days old "
            f"(TELEMETRIA_AUDIT_DAYS), from {oldest:%Y-%m-%d} on, which are not audited again by themselves: "
            "run audit_job for those that matter"
        )
    busy = {
        run.tags.get(PARTITION_TAG)
        for run in instance.get_runs(dg.RunsFilter(job_name=audit_job.name, statuses=ACTIVE))
    }
    requests, given_up = [], []
    for day, unseen in plan.due.items():
        key, changes = str(day), _digest(unseen)
        failed = instance.get_runs_count(
            dg.RunsFilter(tags={PARTITION_TAG: key, CHANGES_TAG: changes}, statuses=FAILED)
        )
        if failed >= MAX_TRIES:
            given_up.append(key)
        elif key not in busy:
            # Dagster drops a run key that it has seen, for ever: what changed and the try are part of it.
            run_key, tags = f"{key}/{changes}/{failed}", {CHANGES_TAG: changes}
            requests.append(dg.RunRequest(run_key=run_key, partition_key=key, tags=tags))
    for key in given_up:
        context.log.warning(
            f"{key} changed and is not audited: its run failed {MAX_TRIES} times. Mend the cause, then "
            "materialise the day"
        )
    return dg.SensorResult(
        run_requests=requests,
        skip_reason=None if requests else _waiting(plan, marks, len(given_up)),
    )


audit_daily = dg.build_schedule_from_partitioned_job(
    audit_job,
    name="audit_daily",
    hour_of_day=7,
    minute_of_hour=0,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="At 07:00, an hour before the report on it is due: yesterday, whether it changed or not.",
)


def _digest(unseen: Iterable[Mark]) -> str:
    return hashlib.blake2b("\n".join(sorted(m.key for m in unseen)).encode(), digest_size=6).hexdigest()


def _waiting(plan: DaysPlan, marks: Sequence[Mark], given_up: int) -> str:
    counts = {
        "days on their way": len(plan.due) - given_up,
        "days changed a moment ago": len(plan.resting),
        "days given up": given_up,
        "changes of days that are not over": len(marks) - len(plan.settled) - len(plan.let_go),
    }
    return ", ".join(f"{count} {what}" for what, count in counts.items() if count) or "Nothing to audit"
