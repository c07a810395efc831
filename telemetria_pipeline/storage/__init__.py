"""Objects in a folder or in S3, the lake's tables and raw bytes in them, and the buckets' setup."""

from telemetria_pipeline.storage.buckets import init_storage
from telemetria_pipeline.storage.lake import Lake, Partition, Written
from telemetria_pipeline.storage.lock import LockLost, locked
from telemetria_pipeline.storage.object_store import (
    ObjectChanged,
    ObjectDamaged,
    ObjectExists,
    ObjectInfo,
    ObjectNotFound,
    ObjectStore,
    StorageError,
)

__all__ = [
    "Lake",
    "LockLost",
    "ObjectChanged",
    "ObjectDamaged",
    "ObjectExists",
    "ObjectInfo",
    "ObjectNotFound",
    "ObjectStore",
    "Partition",
    "StorageError",
    "Written",
    "init_storage",
    "locked",
]
