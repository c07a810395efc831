"""Where tables and raw bytes lie in the lake, and how they are written and read.

A table's partition is one Parquet object, `<table>/data=2026-11-22/hora=07/part-0.parquet`, in Hive's
layout, so that DuckDB, Athena, Spark and Power BI read the folders as they are. Raw bytes lie beside
their manifest under keys that the caller names, and are never overwritten.
"""

import hashlib
import random
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import zstandard
from pydantic import BaseModel, ValidationError

from telemetria_pipeline.storage.object_store import (
    ObjectChanged,
    ObjectDamaged,
    ObjectNotFound,
    ObjectStore,
)

Partition = Mapping[str, str]
_Model = TypeVar("_Model", bound=BaseModel)

_PART = "part-0.parquet"
_ROW_GROUP = 128 * 1024  # rows; readers take row groups in parallel
_ZSTD_LEVEL = 3
# Page checksums cover neither the schema nor the pages' headers: a table also carries a digest of all else in
# its object, just before its footer, where readers do not look (they go by the footer's offsets).
_DIGEST = b"sha256 of the rest:"
_DIGEST_BYTES = len(_DIGEST) + hashlib.sha256().digest_size
_SEAL = "sha256_of_the_rest"  # of a manifest: all before its own line
# What to do where an object is damaged: one that is made from others, and one that was received.
_MADE = "Restore it, or remove it and run its partition again"
_RAW = "Restore it from an earlier version or a copy, or ask for its partition anew"
# The longest wait before each try of an update, in seconds: half a minute in all.
_UPDATE_WAITS = (0.0, *(min(0.01 * 2**n, 1.0) for n in range(35)))


@dataclass(frozen=True)
class Written:
    """A partition that was written: where it lies, its rows, its size in bytes, and the SHA-256 of these."""

    uri: str
    rows: int
    bytes: int
    sha256: str


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

        The object carries the table's Arrow schema, without metadata, so that all have the same, and
        checksums: who reads it sees a single bit that is another.
        """
        key = self.table_key(name, partition)
        sink = pa.BufferOutputStream()
        pq.write_table(
            table.replace_schema_metadata(None),
            sink,
            compression="zstd",
            row_group_size=_ROW_GROUP,
            write_page_checksum=True,
            # Texts repeat; a dictionary of measured numbers costs time and saves nothing.
            use_dictionary=[f.name for f in table.schema if pa.types.is_string(f.type)],
        )
        body = _with_digest(sink.getvalue().to_pybytes())
        self.store.put(key, body)
        return Written(self.store.uri(key), table.num_rows, len(body), _sha256(body))

    def read_table(
        self, name: str, partition: Partition, columns: Sequence[str] | None = None
    ) -> pa.Table | None:
        """The partition's rows, all columns or these in this order; None when it was never written.

        Raises `ObjectDamaged` where its bytes are not those that were written.
        """
        key = self.table_key(name, partition)
        body = self._get(key)
        return None if body is None else self._table(key, body, columns)

    def read_written(self, name: str, partition: Partition) -> tuple[pa.Table, Written] | None:
        """The partition's rows, and what `write_table` said of them."""
        key = self.table_key(name, partition)
        body = self._get(key)
        if body is None:
            return None
        table = self._table(key, body)
        return table, Written(self.store.uri(key), table.num_rows, len(body), _sha256(body))

    def read_tables(
        self, name: str, partitions: Iterable[Partition], columns: Sequence[str] | None = None
    ) -> Iterator[tuple[Partition, pa.Table]]:
        """Those of the partitions that were written, each with its rows, one in memory at a time."""
        for partition in partitions:
            table = self.read_table(name, partition, columns)
            if table is not None:
                yield partition, table

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
        return self.store.put_new(key, _packed(key, body)).size

    def redact_raw(self, key: str, body: bytes) -> None:
        """Put these bytes in place of those that were received: to erase a person, and for nothing else."""
        self.store.put(key, _packed(key, body))

    def get_raw(self, key: str, sha256: str | None = None) -> bytes:
        """The bytes that `put_raw` was given; `sha256` is theirs, where somebody noted it.

        Raises `ObjectNotFound`, and `ObjectDamaged` where they are others.
        """
        body = self.store.get(key)
        try:
            body = zstandard.ZstdDecompressor().decompress(body) if key.endswith(".zst") else body
        except zstandard.ZstdError as error:
            raise self._damaged(key, error, _RAW) from error
        if sha256 not in (None, _sha256(body)):
            raise self._damaged(key, "its bytes are not those that were received", _RAW)
        return body

    def write_json(self, key: str, value: object) -> int:
        """Write a manifest, in place of the one that may be there; its size in bytes.

        An object's last member is a digest of all before it (`_SEAL`).
        """
        return self.store.put(key, _json(value)).size

    def read_json(self, key: str) -> Any:
        """What `write_json` was given, as JSON knows it; None when there is no such manifest.

        Raises `ObjectDamaged` where it is no JSON, or not what was written.
        """
        return self._parsed(key, self._get(key))

    def replace_damaged(self, key: str, value: object) -> None:
        """Write a manifest in place of a damaged one, unless somebody was faster.

        The damaged bytes stay under a key that nobody reads. Raises `ObjectNotFound`.
        """
        body, etag = self.store.read(key)
        self.store.put_new(f"{key}.damaged-{_sha256(body)[:8]}", body)
        with suppress(ObjectChanged):
            self.store.put_if(key, _json(value), etag)

    def update_json(self, key: str, change: Callable[[Any | None], Any | None]) -> Any | None:
        """Replace a manifest by what `change` makes of it (None: there is none); what is stored afterwards.

        Where somebody else wrote it meanwhile, theirs is read and changed in its turn: of many who update one
        manifest at once, none loses what another wrote. `change` may be called several times, also on its own
        result where S3's answer was lost: it returns the same when nothing is left to do. Where it returns
        None or what it was given, nothing is written.

        On S3 a GET, and a PUT where something is written; both again for each time that somebody was faster.
        Raises `ObjectChanged` after some thirty of these, within half a minute of waiting.
        """
        for longest in _UPDATE_WAITS:
            time.sleep(random.uniform(0, longest))  # noqa: S311, so that those who met once do not meet again
            try:
                body, etag = self.store.read(key)
            except ObjectNotFound:
                body, etag = None, None
            new = change(self._parsed(key, body))
            if new is None or _json(new) == body:
                return self._parsed(key, body)
            try:
                self.store.put_if(key, _json(new), etag)
            except ObjectChanged:
                continue
            return self._parsed(key, _json(new))
        raise ObjectChanged(
            f"{self.store.uri(key)} was changed by others {len(_UPDATE_WAITS)} times before our change was "
            "written. Too many write it at once: run it again."
        )

    def read_model(self, key: str, model: type[_Model]) -> _Model | None:
        """A manifest as what it is; None when there is none. Raises `ObjectDamaged` for another shape."""
        found = self.read_json(key)
        try:
            return None if found is None else model.model_validate(found)
        except ValidationError as error:
            raise self._damaged(key, error) from None

    def _table(self, key: str, body: bytes, columns: Sequence[str] | None = None) -> pa.Table:
        if not _is_as_written(body):
            raise self._damaged(key, "its bytes are not those that were written")
        try:
            table = pq.ParquetFile(pa.BufferReader(body), page_checksum_verification=True).read(
                columns=columns
            )
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            raise self._damaged(key, error) from error
        return table if columns is None else table.select(columns)

    def _parsed(self, key: str, body: bytes | None) -> Any:
        try:
            found = None if body is None else orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise self._damaged(key, error) from error
        if isinstance(found, dict) and found.pop(_SEAL, None) and _json(found) != body:
            raise self._damaged(
                key, f"it is not what was written; who changed it by hand takes out its {_SEAL} as well"
            )
        return found

    def _get(self, key: str) -> bytes | None:
        try:
            return self.store.get(key)
        except ObjectNotFound:
            return None

    def _damaged(self, key: str, error: Exception | str, what_to_do: str = _MADE) -> ObjectDamaged:
        return ObjectDamaged(
            f"{self.store.uri(key)} cannot be read ({error}): it was damaged or written by something else. "
            f"{what_to_do}."
        )


def _packed(key: str, body: bytes) -> bytes:
    """Raw bytes as they are stored."""
    if not key.endswith(".zst"):
        return body
    return zstandard.ZstdCompressor(level=_ZSTD_LEVEL, write_checksum=True).compress(body)


def _sha256(body: bytes) -> str:
    """The SHA-256 of an object, in hexadecimal."""
    return hashlib.sha256(body).hexdigest()


def _with_digest(body: bytes) -> bytes:
    """The Parquet file with a digest of it before its footer."""
    at = _footer_of(body)
    return b"".join([body[:at], _DIGEST, hashlib.sha256(body).digest(), body[at:]])


def _is_as_written(body: bytes) -> bool:
    """Whether the file has the digest that it carries; one of an earlier version carries none."""
    at = _footer_of(body)
    carried = body[max(at - _DIGEST_BYTES, 0) : at] if at > 0 else b""
    if not carried.startswith(_DIGEST):
        return True
    digest = hashlib.sha256(memoryview(body)[: at - _DIGEST_BYTES])
    digest.update(memoryview(body)[at:])
    return carried.removeprefix(_DIGEST) == digest.digest()


def _footer_of(body: bytes) -> int:
    """Where the footer of a Parquet file begins: before its own length, in four bytes, and the magic word."""
    return len(body) - 8 - int.from_bytes(body[-8:-4], "little")


def _json(value: object) -> bytes:
    text = orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    if not text.startswith(b"{\n"):  # a list, a number or nothing at all has no members
        return text
    before = text.removesuffix(b"\n}\n")
    return b'%b,\n  "%b": "%b"\n}\n' % (before, _SEAL.encode(), _sha256(before).encode())


def _safe(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", text):
        raise ValueError(
            f"{text!r} cannot stand in a table's path: use letters without accents, digits, _ . and -"
        )
    return text
