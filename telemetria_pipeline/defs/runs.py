"""How sensors look at runs: which are on their way, which failed, and when nobody tries any more."""

from collections.abc import Iterable

import dagster as dg

MAX_TRIES = 5
PARTITION_TAG = "dagster/partition"
WAITING = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
]
ACTIVE = [*WAITING, dg.DagsterRunStatus.CANCELING]
FAILED = [dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]


def on_their_way(
    instance: dg.DagsterInstance, job: str, statuses: Iterable[dg.DagsterRunStatus] = ACTIVE
) -> set[str | None]:
    """The partitions of the job's runs that have not ended."""
    runs = instance.get_runs(dg.RunsFilter(job_name=job, statuses=[*statuses]))
    return {run.tags.get(PARTITION_TAG) for run in runs}
