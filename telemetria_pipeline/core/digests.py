"""A hash of what rows say, whatever their bytes in Parquet are."""

import hashlib
from io import BytesIO

import pandas as pd
import pyarrow.csv as pc

from telemetria_pipeline.contracts import Contract


def rows_digest(contract: Contract, frame: pd.DataFrame) -> str:
    """32 hexadecimal digits for the contract's columns of the frame, in the order of its rows."""
    sink = BytesIO()
    pc.write_csv(contract.table(frame), sink)
    return hashlib.blake2b(sink.getvalue(), digest_size=16).hexdigest()
