"""How sensors look at runs: which are on their way, which failed, and when nobody tries any more."""

from collections.abc import Iterable, Mapping

import dagster as dg

MAX_TRIES = 5
PARTITION_TAG = "dagster/partition"
FIRST_TAG, LAST_TAG = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"
PRIORITY_TAG, MAX_RUNTIME_TAG = "dagster/priority", "dagster/max_runtime"
_BY_ITSELF = {"dagster/schedule_name", "dagster/sensor_name"}
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


def by_hand(tags: Mapping[str, str]) -> bool:
    """Whether a person started the run, not a schedule or a sensor."""
    return not _BY_ITSELF & set(tags)


def partitions_on_their_way(
    instance: dg.DagsterInstance, job: str, asset: dg.AssetKey, keys: Iterable[str]
) -> set[str]:
    """Those of the partitions that a run which has not ended is to make: of the job, or of the asset alone,
    as the UI starts it; one of them, or a range."""
    found: set[str] = set()
    for run in instance.get_runs(dg.RunsFilter(statuses=ACTIVE)):
        if run.job_name == job or asset in (run.asset_selection or ()):
            first = run.tags.get(FIRST_TAG, run.tags.get(PARTITION_TAG))
            last = run.tags.get(LAST_TAG, first)
            if first and last:
                found.update(key for key in keys if first <= key <= last)
    return found
