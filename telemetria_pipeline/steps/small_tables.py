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

# What is kept at most, some 250 bytes a row: a small boletim has twenty of them.
_MOST_TABLES, _MOST_ROWS = 20_000, 200
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
    keys = [lake.table_key(contract.name, place) for place in places]
    with ThreadPoolExecutor(READERS) as readers:
        infos: Sequence[ObjectInfo | None]
        infos = listed if listed is not None else list(readers.map(lambda key: _info(lake, key), keys))
        tables = [_known(lake, key, info) for key, info in zip(keys, infos, strict=True)]
        unread = [
            n for n, (info, table) in enumerate(zip(infos, tables, strict=True)) if info and table is None
        ]
        found = readers.map(lambda n: lake.read_table(contract.name, places[n]), unread)
        for number, table in zip(unread, found, strict=True):
            tables[number] = table
            _keep(lake, keys[number], infos[number], table)
    there = {number: table for number, table in enumerate(tables) if table is not None}
    if not there:
        return contract.empty(), np.empty(0, np.int64)
    rows = contract.frame(pa.concat_tables(there.values(), promote_options="default"))
    return rows, np.repeat(list(there), [table.num_rows for table in there.values()])


def _info(lake: Lake, key: str) -> ObjectInfo | None:
    try:
        return lake.store.info(key)
    except ObjectNotFound:
        return None


def _known(lake: Lake, key: str, info: ObjectInfo | None) -> pa.Table | None:
    etag, table = _read.get(lake.store.uri(key), (None, None))
    return table if info and info.etag == etag else None


def _keep(lake: Lake, key: str, info: ObjectInfo | None, table: pa.Table | None) -> None:
    if not info or table is None or table.num_rows > _MOST_ROWS:
        return
    if info.modified and info.modified < datetime.now(UTC) - _RESTS:
        if len(_read) == _MOST_TABLES:
            _read.clear()
        _read[lake.store.uri(key)] = info.etag, table
