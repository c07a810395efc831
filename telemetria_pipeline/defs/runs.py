"""How sensors look at runs: which are on their way, which failed, and when nobody tries any more."""

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
