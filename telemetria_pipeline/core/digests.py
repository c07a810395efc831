"""A hash of what rows say, whatever their bytes in Parquet are."""

import hashlib
from io import BytesIO

import pandas as pd
import pyarrow as pa
import pyarrow.csv as pc

from telemetria_pipeline.contracts import Contract


def rows_digest(contract: Contract, frame: pd.DataFrame) -> str:
    """32 hexadecimal digits for the contract's columns of the frame, in the order of its rows."""
    return table_digest(contract.table(frame))


def table_digest(table: pa.Table) -> str:
    """The same for all columns of a table: under a later contract a stored one keeps its digest."""
    sink = BytesIO()
    pc.write_csv(table, sink)
    return hashlib.blake2b(sink.getvalue(), digest_size=16).hexdigest()
