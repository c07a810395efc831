"""The last word per vehicle and day, once more and as plainly as can be: a story that is told again.

Nothing here is the product's: dictionaries and loops, from the rule as `docs/boletins.md` tells it.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

Trip = Hashable
Pair = tuple[str, str]  # vehicle, day


@dataclass
class File:
    """What was sent: a name, and trips by vehicle and day."""

    name: str
    trips: dict[Pair, list[Trip]]
    withdrawn: bool = False
    counts: list[Trip] = field(default_factory=list)
    was_replaced: bool = False


def tell(files: Sequence[File]) -> None:
    """Let the files come one after the other; afterwards each knows which of its trips count."""
    counting: dict[tuple[str, Pair], tuple[File, list[Trip]]] = {}
    for file in files:
        file.was_replaced = False
        for pair in file.trips:
            owner, gone = counting.pop((file.name, pair), (None, []))
            if owner and gone:
                owner.was_replaced = True
        there = {trip for _, trips in counting.values() for trip in trips}
        for pair, trips in file.trips.items():
            new = [] if file.withdrawn else [trip for trip in trips if trip not in there]
            counting[file.name, pair] = (file, new)
    for file in files:
        file.counts = [trip for owner, trips in counting.values() if owner is file for trip in trips]
