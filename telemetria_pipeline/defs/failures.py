"""How a run says what failed: an error of ours with its text, any other by its type."""

import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import dagster as dg

from telemetria_pipeline.errors import PipelineError, shown_text

_NAMED = 10


@contextmanager
def failures_end_the_run() -> Iterator[None]:
    """Turn an error of ours into Dagster's failure; a permanent one is not tried again."""
    try:
        yield
    except PipelineError as error:
        raise dg.Failure(str(error), allow_retries=not error.permanent) from None


def worth_a_retry(failures: Mapping[str, Exception]) -> bool:
    """Whether some of the failures may pass by themselves."""
    return any(isinstance(error, PipelineError) and not error.permanent for error in failures.values())


def log_failure(context: dg.AssetExecutionContext, partition: str, error: Exception) -> None:
    """Say why a partition failed, and of an error that is not ours where it happened."""
    ours = isinstance(error, PipelineError)
    where = "" if ours else "\n" + "".join(traceback.format_tb(error.__traceback__))
    context.log.error(f"{partition} failed: {shown_text(error)}{where}")


def run_failure(failures: Mapping[str, Exception], total: int, partitions: str) -> dg.Failure:
    """The run's failure, once all its partitions had their turn; `partitions` says what these are."""
    named = {partition: shown_text(error) for partition, error in list(failures.items())[:_NAMED]}
    more = [f"and {len(failures) - _NAMED} more"] if len(failures) > _NAMED else []
    listed = " | ".join([*(f"{partition}: {text}" for partition, text in named.items()), *more])
    return dg.Failure(
        f"{len(failures)} of {total} {partitions} failed. {listed}",
        metadata={f"{partitions.removesuffix('s')}/{partition}": text for partition, text in named.items()},
        allow_retries=False,
    )
