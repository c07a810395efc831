"""A place into which strangers write: what they leave there is listed, read, moved and removed with care.

A name that cannot be a key stops nobody else's file. In a folder no symbolic link is followed, neither the
file itself nor a folder on the way to it, also where it took their place a moment ago: each is opened step by
step from the store's own folder. What only a link leads to is not there.
"""

import errno
import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from telemetria_pipeline.storage.object_store import (
    Bucket,
    ObjectChanged,
    ObjectInfo,
    ObjectNotFound,
    ObjectStore,
    StorageError,
    explain,
    parse_address,
)

_NO_SEGMENT = {"", ".", ".."}
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_HALF_WRITTEN = re.compile(r"#\d+$")  # as obstore names files that it has not finished
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FOLDER = os.O_RDONLY | os.O_DIRECTORY
_LINK = {errno.ELOOP, errno.ENOTDIR}
_NO_LINK = os.O_NOFOLLOW | os.O_NONBLOCK  # a pipe would wait for its other end


@dataclass(frozen=True)
class Seen:
    """The objects that can be used, sorted by key; and what cannot be: its name, escaped, and why."""

    objects: list[ObjectInfo] = field(default_factory=list)
    unusable: dict[str, str] = field(default_factory=dict)


def look_into(store: ObjectStore, skip: str) -> Seen:
    """All that lies in the store, but for the folder `skip` at its top, which is not even looked into.

    What cannot be opened is named. On S3 it costs what `ObjectStore.list` costs; where that cannot name a
    key, the same requests again. Raises `StorageError` where the store as a whole cannot be read.
    """
    seen = Seen()
    if store.folder is not None:
        _walk(store.folder, skip, seen)
    else:
        try:
            seen.objects.extend(store.list(skip=skip))
        except StorageError as error:
            if "invalid path" not in str(error):
                raise
            _page(store, skip, seen)
    seen.objects.sort(key=lambda o: o.key)
    return seen


def look_at(store: ObjectStore, key: str) -> ObjectInfo:
    """The object as a listing tells of it. Raises `ObjectNotFound`, also where it is no file."""
    if store.folder is None:
        return store.info(key)
    with _folder_of(store, key) as (at, name):
        status = os.stat(name, dir_fd=at, follow_symlinks=False)
        if not stat.S_ISREG(status.st_mode):
            raise FileNotFoundError(errno.ENOENT, "no file")
        return _info(key, status)


def read(store: ObjectStore, key: str, etag: str | None = None) -> bytes:
    """The object's bytes; with an ETag, of no other version. Raises `ObjectNotFound`, `ObjectChanged`."""
    if store.folder is None:
        return store.get(key, etag)
    with (
        _folder_of(store, key) as (at, name),
        open(name, "rb", opener=lambda path, _: os.open(path, os.O_RDONLY | _NO_LINK, dir_fd=at)) as file,
    ):
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise FileNotFoundError(errno.ENOENT, "no file")
        data = b"" if etag not in (None, _etag(status)) else file.read(status.st_size + 1)
        if etag not in (None, _etag(status)) or _etag(os.fstat(file.fileno())) != _etag(status):
            raise ObjectChanged(f"{store.uri(key)} was changed by somebody else. Try again.")
        return data


def write(store: ObjectStore, key: str, data: bytes) -> None:
    """Write the object, in place of the one that may be there: readers see the old or the new."""
    if store.folder is None:
        store.put(key, data)
        return
    with _folder_of(store, key, make=True) as (at, name):
        half = f"{secrets.token_hex(4)}#{os.getpid()}"
        create = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        try:
            with open(half, "wb", opener=lambda path, _: os.open(path, create, 0o666, dir_fd=at)) as file:
                file.write(data)
            os.rename(half, name, src_dir_fd=at, dst_dir_fd=at)
        except BaseException:
            with suppress(FileNotFoundError):
                os.unlink(half, dir_fd=at)
            raise


def move(store: ObjectStore, key: str, to: str) -> None:
    """Give the object another key, whatever its size: no byte of it comes here. Raises `ObjectNotFound`."""
    if store.folder is None:
        _copy(store, key, to)
        store.delete(key)
        return
    with _folder_of(store, to, make=True) as (there, new), _folder_of(store, key) as (here, name):
        os.rename(name, new, src_dir_fd=here, dst_dir_fd=there)


def remove(store: ObjectStore, key: str) -> None:
    """Remove the object; one that is not there is fine."""
    if store.folder is None:
        store.delete(key)
        return
    with suppress(ObjectNotFound), _folder_of(store, key) as (at, name):
        os.unlink(name, dir_fd=at)


@contextmanager
def _folder_of(store: ObjectStore, key: str, make: bool = False) -> Iterator[tuple[int, str]]:
    """The folder that the key lies in, opened without following a link, and the key's last segment."""
    assert store.folder is not None
    *folders, name = key.split("/")
    if _unusable(key):
        raise StorageError(f"{_escaped(key)!r} cannot be a key: write a relative path such as depot/a.csv")
    if make:
        store.folder.mkdir(parents=True, exist_ok=True)
    try:
        at = os.open(store.folder, _FOLDER)  # itself it may be a link: it is the operator's
        try:
            for folder in folders:
                if make:
                    with suppress(FileExistsError):
                        os.mkdir(folder, dir_fd=at)
                below = os.open(folder, _FOLDER | os.O_NOFOLLOW, dir_fd=at)
                os.close(at)
                at = below
            yield at, name
        finally:
            os.close(at)
    except OSError as error:
        if error.errno == errno.ENOENT or (error.errno in _LINK and not make):
            raise ObjectNotFound(f"{store.uri(key)} does not exist") from None
        advice = (
            "A symbolic link or a file lies on the way to it: put a folder in its place"
            if error.errno in _LINK
            else "Check the folder's owner, its permissions and the free space"
        )
        raise StorageError(f"{store.uri(key)}: {error.strerror}. {advice}.") from None


def _walk(top: Path, skip: str, seen: Seen) -> None:
    """Not by `os.walk`, which asks for each entry's kind, and `look_into` again for its size and time."""
    left = [""]
    while left:
        here = left.pop()
        try:
            with os.scandir(top / here) as found:
                entries = list(found)
        except OSError as error:
            if here:
                seen.unusable[_escaped(here.rstrip("/"))] = f"cannot be opened: {error.strerror}"
            elif not isinstance(error, FileNotFoundError):
                raise StorageError(
                    f"{top}: {error.strerror}. Check the folder's owner and its permissions."
                ) from None
            continue
        for entry in entries:
            name = here + entry.name
            try:
                status = entry.stat(follow_symlinks=False)
            except FileNotFoundError:  # gone since it was listed
                continue
            except OSError as error:
                seen.unusable[_escaped(name)] = f"cannot be opened: {error.strerror}"
                continue
            if stat.S_ISDIR(status.st_mode):
                if name != skip:
                    left.append(f"{name}/")
            elif stat.S_ISLNK(status.st_mode):
                seen.unusable[_escaped(name)] = "is a symbolic link"
            elif not stat.S_ISREG(status.st_mode):
                seen.unusable[_escaped(name)] = "is no file"
            elif why := _unusable(name):
                seen.unusable[_escaped(name)] = why
            elif _HALF_WRITTEN.search(name):
                seen.unusable[_escaped(name)] = "has a name that ends in # and a number"
            else:
                seen.objects.append(_info(name, status))


def _info(key: str, status: os.stat_result) -> ObjectInfo:
    changed = _EPOCH + timedelta(microseconds=status.st_mtime_ns // 1000)
    return ObjectInfo(key, status.st_size, _etag(status), changed)


def _etag(status: os.stat_result) -> str:
    """As `ObjectStore` gives it for a file: a file has one identity, whoever looks."""
    return f'"{status.st_ino:x}-{status.st_mtime_ns // 1000:x}-{status.st_size:x}"'


def _page(store: ObjectStore, skip: str, seen: Seen) -> None:
    """The listing by boto3, which knows all of S3's keys."""
    import boto3  # only where a key is odd: it takes a third of a second
    from botocore.exceptions import BotoCoreError, ClientError

    place, top = _place(store)

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


def _copy(store: ObjectStore, key: str, to: str) -> None:
    """A copy inside the bucket by boto3, which makes it in parts where the object is above S3's 5 GB."""
    import boto3
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError

    place, top = _place(store)
    store.info(key)  # raises ObjectNotFound
    try:
        boto3.client("s3").copy({"Bucket": place.name, "Key": top + key}, place.name, top + to)
    except (BotoCoreError, Boto3Error, ClientError) as error:
        raise explain(store.uri(key), str(error)) from None


def _place(store: ObjectStore) -> tuple[Bucket, str]:
    """The bucket, and what all keys begin with."""
    place = parse_address(store.uri())
    assert isinstance(place, Bucket)
    return place, f"{place.prefix}/" if place.prefix else ""


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
