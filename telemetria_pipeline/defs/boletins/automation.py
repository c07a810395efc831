"""The inbox: a file lands, and a run starts by itself."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import dagster as dg

from telemetria_pipeline.core.boletim.inbox import InboxPlan, Landed, Tried, plan_inbox
from telemetria_pipeline.defs.boletins.assets import boletins
from telemetria_pipeline.defs.partitions import BOLETIM_FILES
from telemetria_pipeline.defs.resources import PipelineResource
from telemetria_pipeline.defs.runs import FAILED, MAX_TRIES, PARTITION_TAG, on_their_way
from telemetria_pipeline.steps.intake import look_into_inbox

_NAMED = 5  # names in a tick's line; its log has them all

boletim_job = dg.define_asset_job(
    "boletim_job",
    selection=dg.AssetSelection.assets(boletins),
    executor_def=dg.in_process_executor,
    # Seconds; a file takes a few, and waits five minutes for the lake's lock where its holder was killed.
    # Where Dagster was killed with its workers, nothing else frees the pool.
    tags={"dagster/max_runtime": "600"},
    description="Take one boletim from the inbox to its verdict, its rows and its answer.",
)


@dg.sensor(
    job=boletim_job,
    name="boletim_inbox_sensor",
    minimum_interval_seconds=5,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Watches the inbox, folder or bucket: a run for each file that rests, oldest first.",
)
def boletim_inbox_sensor(context: dg.SensorEvaluationContext, pipeline: PipelineResource) -> dg.SensorResult:
    """Nothing is remembered but the files that may still be written: the inbox and the runs are the state.

    A file leaves the inbox when it has its verdict, so a file seen again is one whose run died or is still
    on its way; a lost cursor, a tick that dies, or a new instance repeats and skips nothing.
    """
    settings, instance = pipeline.load(), context.instance
    busy = on_their_way(instance, boletim_job.name)

    def tried(file: Landed) -> Tried:
        of_file = dg.RunsFilter(tags={PARTITION_TAG: file.file_id}, statuses=FAILED)
        return Tried(file.file_id in busy, instance.get_runs_count(of_file))

    landed, unusable = look_into_inbox(pipeline.inbox())
    plan = plan_inbox(
        landed,
        now=datetime.now(UTC),
        settle=timedelta(seconds=settings.inbox_settle_s),
        settling=_settling(context.cursor),
        tried=tried,
        room=max(0, settings.inbox_files_per_tick - len(busy)),
        max_tries=MAX_TRIES,
    )
    for file in plan.given_up:
        context.log.warning(
            f"{file.key} is left in the inbox: its run failed {MAX_TRIES} times. Mend the cause, then "
            f"materialise the partition {file.file_id}"
        )
    for name, why in unusable.items():
        context.log.warning(f"{name} in the inbox {why}, and cannot be taken: rename it, or send it again")
    return dg.SensorResult(
        run_requests=[
            # Dagster drops a run key that it has seen, for ever: the number of the try is part of it.
            dg.RunRequest(run_key=f"{file.file_id}/{failed}", partition_key=file.file_id)
            for file, failed in plan.launch
        ],
        dynamic_partitions_requests=[BOLETIM_FILES.build_add_request([f.file_id for f, _ in plan.launch])]
        if plan.launch
        else [],
        skip_reason=None if plan.launch else dg.SkipReason(_waiting(plan, unusable)),
        cursor=json.dumps({key: [etag, since.isoformat()] for key, (etag, since) in plan.settling.items()}),
    )


def _settling(cursor: str | None) -> dict[str, tuple[str, datetime]]:
    said = json.loads(cursor) if cursor else {}
    return {key: (etag, datetime.fromisoformat(since)) for key, (etag, since) in said.items()}


def _waiting(plan: InboxPlan, unusable: Iterable[str]) -> str:
    counts = {
        "may still be written": len(plan.settling),
        "on their way": len(plan.running),
        "waiting for their turn": plan.waiting,
        "given up": len(plan.given_up),
    }
    said = [f"{count} {what}" for what, count in counts.items() if count]
    if names := sorted(unusable):
        said.append(f"{len(names)} with names that cannot be taken ({', '.join(names[:_NAMED])})")
    return f"Files in the inbox: {', '.join(said)}" if said else "The inbox is empty"
