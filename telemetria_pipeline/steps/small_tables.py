"""Many small tables as one: read at once, and again only where they changed since this process read them.

A run of many files asks for the tables of the same days again and again, each time for a few more.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pyarrow as pa

from telemetria_pipeline.contracts import Contract
from telemetria_pipeline.steps.boletim_files import READERS
from telemetria_pipeline.storage.lake import Lake, Partition
from telemetria_pipeline.storage.object_store import ObjectInfo, ObjectNotFound

_MOST_BYTES = 200_000_000
# A folder's ETag is made of time, size and place. What was written a moment ago may be written again and have
# the same; later, its time is another.
_RESTS = timedelta(seconds=5)

_read: dict[str, tuple[str, pa.Table]] = {}
"""What this process has read: address → (ETag, table)."""


def read_small(
    lake: Lake, contract: Contract, places: Sequence[Partition], listed: Sequence[ObjectInfo] | None = None
) -> tuple[pd.DataFrame, np.ndarray]:
    """The rows of these partitions under the contract, and for each row the number of its partition.

    A partition that was never written has none. `listed` is what a listing tells of each; where it is not
    given, that costs a request each on S3, beside the one for each that this process has not read yet.
    """
    _make_room()
    with ThreadPoolExecutor(READERS) as readers:
        infos: Sequence[ObjectInfo | None] = listed or [None] * len(places)
        tables = list(
            readers.map(lambda place, info: _table(lake, contract.name, place, info), places, infos)
        )
    there = [(number, table) for number, table in enumerate(tables) if table is not None]
    if not there:
        return contract.empty(), np.empty(0, np.int64)
    numbers, found = zip(*there, strict=True)
    rows = contract.frame(pa.concat_tables(found, promote_options="default"))
    return rows, np.repeat(numbers, [table.num_rows for table in found])


def _table(lake: Lake, name: str, place: Partition, info: ObjectInfo | None) -> pa.Table | None:
    key = lake.table_key(name, place)
    try:
        info = info or lake.store.info(key)
    except ObjectNotFound:
        return None
    uri = lake.store.uri(key)
    known = _read.get(uri)
    if known and known[0] == info.etag:
        return known[1]
    table = lake.read_table(name, place)
    if table is not None and info.modified and info.modified < datetime.now(UTC) - _RESTS:
        _read[uri] = info.etag, table
    return table


def _make_room() -> None:
    if sum(table.nbytes for _, table in list(_read.values())) > _MOST_BYTES:
        _read.clear()
