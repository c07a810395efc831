"""What a golden month goes through: it arrives, is closed, late files come, all is lost but raw."""

import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import perf_counter

from telemetria_pipeline.simulator.golden import GoldenMonth
from telemetria_pipeline_tests.golden.comparison import Compared, compare, unchanged
from telemetria_pipeline_tests.golden.pipeline import Arrival, GoldenPipeline

ORDERS = ("telemetry first", "boletins first", "shuffled")
Step = tuple[str, Compared, float]
"""What was done, what it was held against, and its seconds."""

_SEED, _SHUFFLED_BATCHES = 7, 3


def arrive(pipeline: GoldenPipeline, order: str) -> Compared:
    """Let the month arrive in one of `ORDERS`, audited in between."""
    hours, files = pipeline.hours, list(pipeline.month.boletins())
    mixed: list[Arrival] = [*hours, *files]
    random.Random(_SEED).shuffle(mixed)
    batches: dict[str, list[Sequence[Arrival]]] = {
        "telemetry first": [hours, files],
        "boletins first": [files, hours],
        "shuffled": [mixed[n::_SHUFFLED_BATCHES] for n in range(_SHUFFLED_BATCHES)],
    }
    pipeline.arrive(batches[order])
    return compare(pipeline)


def do_again(pipeline: GoldenPipeline) -> Compared:
    """All of it once more over what is there."""
    before = pipeline.tables()
    pipeline.run_again()
    return unchanged(before, pipeline.tables())


def go_on(pipeline: GoldenPipeline) -> Iterator[tuple[str, Compared]]:
    """What comes after the month has arrived, step by step, each held against what it must leave."""
    *over, _ = pipeline.cycles
    for cycle in over:
        pipeline.close(cycle)
    pipeline.arrive([list(pipeline.month.late_boletins())])
    yield "closed, then late boletins", compare(pipeline, late=True, closed=over)

    before = pipeline.tables()
    pipeline.rebuild()
    yield "rebuilt from raw", compare(pipeline, late=True, closed=over)
    yield "rebuilt, byte by byte", unchanged(before, pipeline.tables())


def whole_story(folder: Path, order: str) -> list[Step]:
    """The whole month in one order, from the hours in `folder`/captured; after the first one, the rest."""
    month = GoldenMonth()
    pipeline = GoldenPipeline(month, folder / order.replace(" ", "-"))
    pipeline.take_captures_of(GoldenPipeline(month, folder / "captured"))
    pipeline.read_reference_files()

    def told() -> Iterator[tuple[str, Compared]]:
        yield order, arrive(pipeline, order)
        if order == ORDERS[0]:
            yield from go_on(pipeline)

    steps, began = list[Step](), perf_counter()
    for step, compared in told():
        steps.append((step, compared, perf_counter() - began))
        began = perf_counter()
    return steps
