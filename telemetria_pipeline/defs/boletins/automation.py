"""The inbox: a file lands, and a run starts by itself."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg

from telemetria_pipeline.core.boletim.inbox import InboxPlan, Landed, Tried, cut_into_runs, plan_inbox
from telemetria_pipeline.defs.boletins.assets import boletins
from telemetria_pipeline.defs.partitions import BOLETIM_FILES
from telemetria_pipeline.defs.resources import PipelineResource
from telemetria_pipeline.defs.runs import (
    ACTIVE,
    FAILED,
    FIRST_TAG,
    LAST_TAG,
    MAX_RUNTIME_TAG,
    MAX_TRIES,
    PARTITION_TAG,
)
from telemetria_pipeline.steps.intake import look_into_inbox

_FILES = BOLETIM_FILES.name or ""
_NAMED = 5  # names in a tick's line; its log has them all
# What a run may take: a wait for the lake's lock, and for each file more than the largest one needs.
_LONGEST_WAIT_S, _A_FILE_S = 600, 30

_MANY = {"telemetria/files": "many"}
"""By this a run of many files is found. Dagster does not try it again: the sensor does, in smaller runs."""

boletim_job = dg.define_asset_job(
    "boletim_job",
    selection=dg.AssetSelection.assets(boletins),
    executor_def=dg.in_process_executor,
    # A file takes a few seconds, and waits five minutes for the lake's lock where its holder was killed.
    # Where Dagster was killed with its workers, nothing else frees the pool.
    tags={MAX_RUNTIME_TAG: str(_LONGEST_WAIT_S)},
    description="Take boletins from the inbox to their verdicts, their rows and their answers.",
)


@dg.sensor(
    job=boletim_job,
    name="boletim_inbox_sensor",
    minimum_interval_seconds=5,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Watches the inbox, folder or bucket: a run for a file that rests, or for a hundred of them "
    "where many wait; oldest first.",
)
def boletim_inbox_sensor(context: dg.SensorEvaluationContext, pipeline: PipelineResource) -> dg.SensorResult:
    """Nothing is remembered but the files whose time lies ahead of our clock: the inbox and the runs are the
    state.

    A file leaves the inbox when it has its verdict, so a file seen again is one whose run died or is still
    on its way; a lost cursor, a tick that dies, or a new instance repeats and skips nothing.
    """
    settings, now = pipeline.load(), datetime.now(UTC)
    landed, unusable = look_into_inbox(pipeline.inbox())
    runs = _Runs(context.instance, landed)
    plan = plan_inbox(
        landed,
        now=now,
        settle=timedelta(seconds=settings.inbox_settle_s),
        settling=_settling(context.cursor),
        tried=runs.of,
        room=max(0, settings.inbox_files_per_tick - len(runs.busy)),
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
        run_requests=[_request(files, failed) for files, failed in cut_into_runs(plan.launch, runs.known)],
        dynamic_partitions_requests=[BOLETIM_FILES.build_add_request([f.file_id for f, _ in plan.launch])]
        if plan.launch
        else [],
        skip_reason=None if plan.launch else dg.SkipReason(_waiting(plan, unusable)),
        cursor=json.dumps({key: [etag, since.isoformat()] for key, (etag, since) in plan.ahead.items()}),
    )


def _request(files: list[str], failed: int) -> dg.RunRequest:
    # Dagster drops a run key that it has seen, for ever: the number of the try is part of it.
    run_key = f"{files[0]}/{failed}" if len(files) == 1 else f"{files[0]}/{files[-1]}/{failed}"
    if len(files) == 1:
        return dg.RunRequest(run_key, partition_key=files[0])
    limit = _LONGEST_WAIT_S + len(files) * _A_FILE_S
    tags = {**_MANY, FIRST_TAG: files[0], LAST_TAG: files[-1]}
    return dg.RunRequest(run_key, tags={**tags, MAX_RUNTIME_TAG: str(limit), "dagster/max_retries": "0"})


class _Runs:
    """The runs that the files of the inbox have or had: three queries, however many files there are.

    `known` are the partitions in Dagster's order, `busy` those that are on their way.
    """

    def __init__(self, instance: dg.DagsterInstance, landed: list[Landed]) -> None:
        self._instance = instance
        self.known = instance.get_dynamic_partitions(_FILES) if landed else []
        self._place = {file: at for at, file in enumerate(self.known)}
        self.busy = set(self._files(job_name=boletim_job.name, statuses=ACTIVE))
        # A file that Dagster does not know had no run.
        again = [f.file_id for f in landed if f.file_id in self._place and f.file_id not in self.busy]
        self._failed = Counter[str]()
        if again:
            self._failed.update(self._files(tags={PARTITION_TAG: again}, statuses=FAILED))
            self._failed.update(self._files(tags=_MANY, statuses=FAILED))

    def of(self, file: Landed) -> Tried:
        """The runs of one file."""
        return Tried(file.file_id in self.busy, self._failed[file.file_id])

    def _files(self, **which: Any) -> Iterator[str]:
        """The files of each of these runs."""
        for run in self._instance.get_runs(dg.RunsFilter(**which)):
            if file := run.tags.get(PARTITION_TAG):
                yield file
            elif (first := run.tags.get(FIRST_TAG)) in self._place:
                last = self._place.get(run.tags.get(LAST_TAG, ""), -1)
                yield from self.known[self._place[first] : last + 1]


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
