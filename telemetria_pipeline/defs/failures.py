"""What a run of many partitions says of those that failed."""

import traceback
from collections.abc import Mapping

import dagster as dg

_NAMED = 10
Ours = tuple[type[Exception], ...]
"""Errors whose text is ours. That of a library's error may hold a row's values: only its type is told."""


def said(error: Exception, ours: Ours) -> str:
    """What may be told of an error."""
    return str(error) if isinstance(error, ours) else type(error).__name__


def log_failure(context: dg.AssetExecutionContext, partition: str, error: Exception, ours: Ours) -> None:
    """Say why a partition failed, and of an error that is not ours where it happened."""
    where = "" if isinstance(error, ours) else "\n" + "".join(traceback.format_tb(error.__traceback__))
    context.log.error(f"{partition} failed: {said(error, ours)}{where}")


def run_failure(failures: Mapping[str, Exception], total: int, partitions: str, ours: Ours) -> dg.Failure:
    """The run's failure, once all its partitions had their turn; `partitions` says what these are."""
    named = {partition: said(error, ours) for partition, error in list(failures.items())[:_NAMED]}
    more = [f"and {len(failures) - _NAMED} more"] if len(failures) > _NAMED else []
    told = " | ".join([*(f"{partition}: {what}" for partition, what in named.items()), *more])
    return dg.Failure(
        f"{len(failures)} of {total} {partitions} failed. {told}",
        metadata={f"{partitions.removesuffix('s')}/{partition}": what for partition, what in named.items()},
        allow_retries=False,
    )
