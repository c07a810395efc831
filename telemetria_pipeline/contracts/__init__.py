"""A table a file: columns, types, units and rules, stated once.

From a `Contract` come the Arrow schema of the Parquet, the pandera schema of the last gate and Dagster's
column schema. Nothing here reads, writes or computes a row.
"""

from telemetria_pipeline.contracts.base import Column, Contract

__all__ = ["Column", "Contract"]
