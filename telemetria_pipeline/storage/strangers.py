"""Listing a place into which strangers write: a name that cannot be a key stops nobody else's file."""

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from telemetria_pipeline.storage.object_store import (
    ObjectInfo,
    ObjectNotFound,
    ObjectStore,
    StorageError,
    explain,
    parse_address,
)

_NO_SEGMENT = {"", ".", ".."}
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True)
class Seen:
    """The objects that can be used, sorted by key; and what cannot be: its name, escaped, and why."""

    objects: list[ObjectInfo] = field(default_factory=list)
    unusable: dict[str, str] = field(default_factory=dict)


def look_into(store: ObjectStore, skip: str) -> Seen:
    """All that lies in the store, but for the folder `skip` at its top, which is not even looked into.

    In a folder a symbolic link is not followed, and what cannot be opened is named. On S3 it costs what
    `ObjectStore.list` costs; where that cannot name a key, the same requests again. Raises `StorageError`
    where the store as a whole cannot be read.
    """
    seen = Seen()
    if store.folder is not None:
        _walk(store, store.folder, skip, seen)
    else:
        try:
            seen.objects.extend(store.list(skip=skip))
        except StorageError as error:
            if "invalid path" not in str(error):
                raise
            _page(store, skip, seen)
    seen.objects.sort(key=lambda o: o.key)
    return seen


def _walk(store: ObjectStore, folder: Path, skip: str, seen: Seen) -> None:
    def name(path: str | Path) -> str:
        return str(Path(path).relative_to(folder))

    def closed(error: OSError) -> None:
        if Path(error.filename) == folder and not isinstance(error, FileNotFoundError):
            raise StorageError(f"{folder}: {error.strerror}. Check the folder's owner and its permissions.")
        if Path(error.filename) != folder:
            seen.unusable[_escaped(name(error.filename))] = f"cannot be opened: {error.strerror}"

    for root, folders, files in os.walk(folder, onerror=closed):
        if Path(root) == folder and skip in folders:
            folders.remove(skip)
        for path in (Path(root, entry) for entry in (*folders, *files)):
            try:
                mode, why = path.lstat().st_mode, None
                if stat.S_ISDIR(mode):
                    continue
                if not stat.S_ISREG(mode):
                    why = "is a symbolic link" if stat.S_ISLNK(mode) else "is no file"
                else:
                    why = _unusable(name(path))
                    if not why:
                        seen.objects.append(store.info(name(path)))
            except (FileNotFoundError, ObjectNotFound):  # gone since it was listed, or half written
                continue
            except (OSError, StorageError) as error:
                why = f"cannot be opened: {error}"
            if why:
                seen.unusable[_escaped(name(path))] = why


def _page(store: ObjectStore, skip: str, seen: Seen) -> None:
    """The listing by boto3, which knows all of S3's keys."""
    import boto3  # only where a key is odd: it takes a third of a second
    from botocore.exceptions import BotoCoreError, ClientError

    place = parse_address(store.uri())
    assert not isinstance(place, Path)
    top = f"{place.prefix}/" if place.prefix else ""

    def pages(prefix: str, **more: str) -> Iterator[dict]:
        lister = boto3.client("s3").get_paginator("list_objects_v2")
        yield from lister.paginate(Bucket=place.name, Prefix=prefix, **more)

    try:
        level = list(pages(top, Delimiter="/"))
        below = [p["Prefix"] for page in level for p in page.get("CommonPrefixes", ())]
        level += [page for p in below if p != f"{top}{skip}/" for page in pages(p)]
    except (BotoCoreError, ClientError) as error:
        raise explain(store.uri(), str(error)) from None
    for found in (o for page in level for o in page.get("Contents", ())):
        key = found["Key"].removeprefix(top)
        if key.endswith("/") or not key:  # a folder that S3's console made
            continue
        if why := _unusable(key):
            seen.unusable[_escaped(key)] = why
        else:
            seen.objects.append(ObjectInfo(key, found["Size"], found["ETag"], found["LastModified"]))


def _unusable(key: str) -> str | None:
    """Why the name cannot be a key; None where it can."""
    try:
        key.encode()
    except UnicodeEncodeError:
        return "has a name that is not UTF-8"
    if _CONTROL.search(key):
        return "has a control character in its name"
    return "has a name that is no path" if _NO_SEGMENT & set(key.split("/")) else None


def _escaped(name: str) -> str:
    """The name as it can be printed: `mar\\xe7o.csv`."""
    text = os.fsencode(name).decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
