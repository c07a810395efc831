"""Where tables and raw bytes lie in the lake, and how they are written and read.

A table's partition is one Parquet object, `<table>/data=2026-11-22/hora=07/part-0.parquet`, in Hive's
layout, so that DuckDB, Athena, Spark and Power BI read the folders as they are. Raw bytes lie beside
their manifest under keys that the caller names, and are never overwritten.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

from telemetria_pipeline.storage.object_store import ObjectNotFound, ObjectStore, StorageError

Partition = Mapping[str, str]

_PART = "part-0.parquet"
_ROW_GROUP = 128 * 1024  # rows; readers take row groups in parallel
_ZSTD_LEVEL = 3


@dataclass(frozen=True)
class Written:
    """A partition that was written: where it lies, its rows and its size in bytes."""

    uri: str
    rows: int
    bytes: int


@dataclass(frozen=True)
class Lake:
    """Tables, raw bytes and manifests in one object store."""

    store: ObjectStore

    @classmethod
    def open(cls, address: str) -> "Lake":
        """The lake at `file:<folder>` or `s3://bucket/prefix`; see `ObjectStore.open`."""
        return cls(ObjectStore.open(address))

    def table_key(self, name: str, partition: Partition) -> str:
        """The key of a partition's one object; the partition's order is the folders' order.

        Raises `ValueError` for a name or value that could not stand in a path as it is.
        """
        folders = [f"{_safe(column)}={_safe(value)}" for column, value in partition.items()]
        return "/".join([_safe(name), *folders, _PART])

    def write_table(self, name: str, partition: Partition, table: pa.Table) -> Written:
        """Write the partition whole, in place of the one that may be there.

        The object carries the table's Arrow schema, without metadata, so that all have the same.
        """
        key = self.table_key(name, partition)
        sink = pa.BufferOutputStream()
        pq.write_table(
            table.replace_schema_metadata(None),
            sink,
            compression="zstd",
            row_group_size=_ROW_GROUP,
            # Texts repeat; a dictionary of measured numbers costs time and saves nothing.
            use_dictionary=[f.name for f in table.schema if pa.types.is_string(f.type)],
        )
        info = self.store.put(key, sink.getvalue().to_pybytes())
        return Written(self.store.uri(key), table.num_rows, info.size)

    def read_table(
        self, name: str, partition: Partition, columns: Sequence[str] | None = None
    ) -> pa.Table | None:
        """The partition's rows, all columns or these in this order; None when it was never written."""
        key = self.table_key(name, partition)
        body = self._get(key)
        if body is None:
            return None
        try:
            table = pq.ParquetFile(pa.BufferReader(body)).read(columns=columns)
        except (pa.ArrowException, OSError) as error:
            raise self._unreadable(key, error) from error
        return table if columns is None else table.select(columns)

    def read_tables(
        self, name: str, partitions: Iterable[Partition], columns: Sequence[str] | None = None
    ) -> Iterator[tuple[Partition, pa.Table]]:
        """Those of the partitions that were written, each with its rows, one in memory at a time."""
        for partition in partitions:
            table = self.read_table(name, partition, columns)
            if table is not None:
                yield partition, table

    def drop_table(self, name: str, partition: Partition) -> None:
        """Remove the partition; one that was never written is fine."""
        self.store.delete(self.table_key(name, partition))

    def partitions(self, name: str) -> list[dict[str, str]]:
        """The partitions of this table that exist, sorted by key."""
        found = []
        for info in self.store.list(_safe(name)):
            _, *folders, last = info.key.split("/")
            if last == _PART:
                found.append(dict(folder.split("=", 1) for folder in folders))
        return found

    def glob(self, name: str) -> str:
        """What an outsider reads the whole table with: `FROM read_parquet('<this>', hive_partitioning=true)`.

        DuckDB reads `data` as a date; `hora` is a number to some readers and text to others: cast it.
        """
        return self.store.uri(f"{_safe(name)}/**/*.parquet")

    def put_raw(self, key: str, body: bytes) -> int:
        """Keep the bytes as received, compressed when the key ends in `.zst`; how many bytes are stored.

        Raises `ObjectExists` when there is something under the key: raw bytes are never overwritten.
        """
        if key.endswith(".zst"):
            body = zstandard.ZstdCompressor(level=_ZSTD_LEVEL, write_checksum=True).compress(body)
        return self.store.put_new(key, body).size

    def get_raw(self, key: str) -> bytes:
        """The bytes that `put_raw` was given. Raises `ObjectNotFound`."""
        body = self.store.get(key)
        if not key.endswith(".zst"):
            return body
        try:
            return zstandard.ZstdDecompressor().decompress(body)
        except zstandard.ZstdError as error:
            raise self._unreadable(key, error) from error

    def write_json(self, key: str, value: object) -> int:
        """Write a manifest, in place of the one that may be there; its size in bytes."""
        body = orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
        return self.store.put(key, body).size

    def read_json(self, key: str) -> Any:
        """What `write_json` was given, as JSON knows it; None when there is no such manifest."""
        body = self._get(key)
        if body is None:
            return None
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise self._unreadable(key, error) from error

    def _get(self, key: str) -> bytes | None:
        try:
            return self.store.get(key)
        except ObjectNotFound:
            return None

    def _unreadable(self, key: str, error: Exception) -> StorageError:
        return StorageError(
            f"{self.store.uri(key)} cannot be read ({error}): it was damaged or written by something else. "
            "Restore it, or remove it and run its partition again."
        )


def _safe(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", text):
        raise ValueError(
            f"{text!r} cannot stand in a table's path: use letters without accents, digits, _ . and -"
        )
    return text
