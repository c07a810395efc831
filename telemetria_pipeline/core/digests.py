"""A hash of what rows say, whatever their bytes in Parquet are."""

import hashlib
from io import BytesIO

import pandas as pd
import pyarrow as pa
import pyarrow.csv as pc

from telemetria_pipeline.contracts import Contract


def rows_digest(contract: Contract, frame: pd.DataFrame) -> str:
    """32 hexadecimal digits for the contract's columns of the frame, in the order of its rows."""
    table, sink = contract.table(frame), BytesIO()
    plain = [pa.field(c.name, _plain(c.type)) for c in table.schema]
    pc.write_csv(table.cast(pa.schema(plain)), sink)
    return hashlib.blake2b(sink.getvalue(), digest_size=16).hexdigest()


def _plain(type: pa.DataType) -> pa.DataType:
    """Microseconds say an instant as well as its date in words, which takes longer than all other columns."""
    return pa.int64() if pa.types.is_timestamp(type) else type
