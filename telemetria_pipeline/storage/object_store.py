"""One client for a folder and for S3: whole objects, read, replaced and listed by key.

A key is a relative path with slashes (`telemetry_trips/data=2026-11-22/hora=07/part-0.parquet`). A write
replaces its object whole or leaves it as it was, on both.
"""

import base64
import hashlib
import html
import json
import os
import random
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar
from urllib.parse import quote, quote_plus

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError
from obstore.store import LocalStore, S3Store

from telemetria_pipeline.errors import PipelineError

if TYPE_CHECKING:
    from boto3.session import Session
    from obstore import GetOptions, ObjectMeta, PutMode
    from obstore.store import ClientConfig, S3Credential, S3CredentialProvider

_T = TypeVar("_T")

# Long enough for a large partition on a slow line; a server that says nothing at all is left after a minute.
_TIMEOUTS: "ClientConfig" = {"connect_timeout": "5s", "read_timeout": "1min", "timeout": "2min"}
# How long one request may be on its way: its timeout, and some seconds to begin and to end.
LONGEST_REQUEST_S = 130.0

# What S3 answers when it will pass by itself, and for so many seconds it is asked again. Where nobody listens
# at all it may be a restart, but also a wrong address, which a person wants to be told of soon.
_NOBODY_THERE = r"kind: Connect,"
_PASSING = (
    r"HTTP error: |status code: (?:5\d\d|429|408)\b"
    r"|<Code>(?:SlowDown|RequestTimeout|OperationAborted|ConditionalRequestConflict)</Code>"
)
_PATIENCE_S = {_NOBODY_THERE: 10.0, _PASSING: 75.0}
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.2, 15.0

_ADVICE = (
    (r"NoSuchBucket", "The bucket does not exist: run `telemetria storage init`"),
    (
        r"BucketAlreadyExists",
        "The name belongs to somebody else: choose another bucket in TELEMETRIA_LAKE or TELEMETRIA_INBOX",
    ),
    (
        r"PermanentRedirect|AuthorizationHeaderMalformed|IllegalLocation|Moved Permanently",
        "The bucket lies in another region: check AWS_REGION",
    ),
    (r"RequestTimeTooSkewed", "This machine's clock is more than a quarter of an hour wrong: set it"),
    (
        r"AccessDenied|InvalidAccessKeyId|SignatureDoesNotMatch|ExpiredToken|InvalidToken|Forbidden"
        r"|Unauthorized|[Cc]redentials|profile",
        "Check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN (or AWS_PROFILE), and that "
        "they may list, read, write and delete in the bucket",
    ),
    (
        r"invalid path",
        "An object of somebody else's lies under a key that is no path (`//`, `..`): rename or remove it",
    ),
    (
        r"status code: (?:5\d\d|429|408)|SlowDown|RequestTimeout|InternalError|ServiceUnavailable",
        "S3 was busy or failing for more than a minute: run it again later",
    ),
    (r"", "Check the network, AWS_ENDPOINT_URL_S3 (or AWS_ENDPOINT_URL) and AWS_REGION"),
)


class StorageError(PipelineError):
    """The storage could not be used; the message names the object, the cause and what to check."""

    permanent = False


class ObjectNotFound(StorageError):
    """There is no object under this key."""


class ObjectDamaged(StorageError):
    """The object is there, and what it holds is not what was written."""


class ObjectExists(StorageError):
    """There is an object under this key already, and it was not to be replaced."""


class ObjectChanged(StorageError):
    """The object is no longer the one that was read: somebody wrote, created or removed it meanwhile."""


@dataclass(frozen=True)
class ObjectInfo:
    """An object's key, size in bytes, and ETag, which changes with each write of other content.

    `modified` (UTC) is what a listing says; the answer to a write does not tell it.
    """

    key: str
    size: int
    etag: str
    modified: datetime | None = None


class Bucket(NamedTuple):
    """Where an `s3://` address points: the bucket's name and the prefix in it, without outer slashes."""

    name: str
    prefix: str


def parse_address(address: str) -> Path | Bucket:
    """What `file:<folder>` (absolute, or relative to the working directory) or `s3://bucket/prefix` names.

    Raises `StorageError` on anything else.
    """
    if match := re.fullmatch(r"s3://([^/]+)(/.*)?", address):
        return Bucket(match[1], (match[2] or "").strip("/"))
    # `file://data/lake` would name a host called data: more likely somebody meant the folder.
    if match := re.fullmatch(r"file:(?://(?=/))?((?!//).+)", address):
        return Path(match[1]).expanduser().absolute()
    raise StorageError(
        f"{address!r} is not a storage address: write file:./folder, file:/absolute/folder or s3://bucket/prefix"
    )


def explain(where: str, cause: str) -> StorageError:
    """The error to raise when S3 refused or did not answer: `cause` cut to what helps, and what to check.

    What the name of the object at `where` says is no part of the cause.
    """
    code = re.search(r"<Code>(.*?)</Code>", cause, re.DOTALL)
    message = re.search(r"<Message>(.*?)</Message>", cause, re.DOTALL)
    if code:  # the rest of S3's answer repeats the signature, and the token when it has expired
        cause = f"{code[1]}: {message[1]}" if message else code[1]
    cause = _without_secrets(cause.partition("\n\nDebug source")[0].partition("<?xml")[0])
    name = re.escape(where.removeprefix("s3://").partition("/")[2])
    said = re.sub(rf"\S+://\S+|(?<![\w/]){name}(?![\w/])", "", cause)
    advice = next(text for pattern, text in _ADVICE if re.search(pattern, said))
    return StorageError(f"{where}: {cause[:400].strip().rstrip('.')}. {advice}.")


def drop_empty_aws_variables() -> None:
    """Take the empty `AWS_…` variables out of the environment.

    An empty value counts as not set, as for every other setting; neither client below sees it so, and
    the S3 client even panics on an empty endpoint.
    """
    for name in [n for n, value in os.environ.items() if n.startswith("AWS_") and not value.strip()]:
        del os.environ[name]


class ObjectStore:
    """Objects by key, in a folder or under a prefix of an S3 bucket; made by `ObjectStore.open`.

    On S3 each method costs one request, and `list` what its docstring says. Where S3 is busy, the line breaks
    or nobody answers, the request is made again with growing pauses, for more than a minute in all; what
    will not pass by itself (keys that are refused, no bucket) is told at once.
    """

    def __init__(
        self, root: str, client: Callable[[bool], LocalStore | S3Store], folder: Path | None = None
    ) -> None:
        """`root` is what `uri` starts with; `client(write)` gives the store, made before if `write`."""
        self._root = root
        self._client = client
        self.folder = folder  # None on S3

    @classmethod
    def open(cls, address: str) -> "ObjectStore":
        """The store at `file:<folder>` or `s3://bucket/prefix`. Touches neither the network nor the folder.

        S3 takes its options from the standard `AWS_…` variables, and what these leave open (keys of a
        profile or of a container's role, the region) from boto3's chain. Raises `StorageError` on an
        address or an endpoint that cannot be one.
        """
        place = parse_address(address)
        if isinstance(place, Path):
            return cls(str(place), lambda write: _folder(place, write), folder=place)
        bucket = _bucket(place)
        return cls("/".join(filter(None, ("s3:/", *place))), lambda _: bucket)

    def uri(self, key: str = "") -> str:
        """What a person or DuckDB can paste: an absolute path for a folder, `s3://…` for S3."""
        return f"{self._root.rstrip('/')}/{key}" if key else self._root

    def get(self, key: str, etag: str | None = None) -> bytes:
        """The object's bytes; with an ETag, of no other version. Raises `ObjectNotFound`, `ObjectChanged`."""
        asked: GetOptions = {"if_match": etag} if etag else {}
        return self._ask(key, lambda client: obstore.get(client, key, options=asked).bytes().to_bytes())

    def put(self, key: str, data: bytes) -> ObjectInfo:
        """Write the object, in place of the one that may be there: readers see the old or the new."""
        return self._put(key, data, "overwrite")

    def put_new(self, key: str, data: bytes) -> ObjectInfo:
        """Write the object unless there is another; then raises `ObjectExists` and leaves it as it is.

        One of the same bytes is no other: where S3's answer was lost, it is the one that we wrote.
        """
        try:
            return self._put(key, data, "create")
        except ObjectExists:
            if self.get(key) != data:
                raise
            return self.info(key)

    def read(self, key: str) -> tuple[bytes, str]:
        """The object's bytes, and the tag that `put_if` knows them by. Raises `ObjectNotFound`."""

        def request(client: LocalStore | S3Store) -> tuple[bytes, str | None]:
            result = obstore.get(client, key)
            return result.bytes().to_bytes(), result.meta["e_tag"]

        data, etag = self._ask(key, request)
        return data, self._tag(data, etag)

    def put_if(self, key: str, data: bytes, etag: str | None) -> str:
        """Write the object if it is still the one that `read` gave with `etag` (None: if there is none).

        The tag of what was written; it is not the ETag of a listing. Raises `ObjectChanged` where somebody
        wrote meanwhile, and leaves theirs. Safe between all that use the bucket, and in a folder between the
        processes of one machine; an object that is written by this is written by nothing else.

        Where the answer to a write was lost, `ObjectChanged` may mean our own write, and that the same bytes
        are there now does not prove it (two who count from 5 write 6 each): read again, as `Lake.update_json`
        does.
        """
        try:
            with self.file_lock("put_if") if self.folder else nullcontext():
                if etag is None:
                    info = self._put(key, data, "create")
                elif self.folder is None:
                    info = self._put(key, data, {"e_tag": etag})
                else:
                    if self.read(key)[1] != etag:
                        raise self._changed(key)
                    info = self._put(key, data, "overwrite")
        except (ObjectExists, ObjectNotFound):
            raise self._changed(key) from None
        return self._tag(data, info.etag)

    @contextmanager
    def file_lock(self, name: str) -> Iterator[None]:
        """In a folder, keep all others out who ask for the lock of this name, threads and processes."""
        import fcntl  # Windows has none

        assert self.folder is not None
        # obstore lists no name that ends in `#` and digits: so it names files that are half written.
        path = self.folder / f".{name}.lock#0"
        try:
            make_folder(path.parent)
            file = path.open("wb")
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError as error:
            raise self._told(path.name, error) from None
        with file:  # the lock goes with the open file, also when the process is killed
            yield

    def guarded(self, check: Callable[[], None]) -> "ObjectStore":
        """The same store, where every request calls `check` first."""

        def client(write: bool) -> LocalStore | S3Store:
            check()
            return self._client(write)

        return ObjectStore(self._root, client, self.folder)

    def exists(self, key: str) -> bool:
        """Whether there is an object under this key."""
        try:
            self.info(key)
        except ObjectNotFound:
            return False
        return True

    def delete(self, key: str) -> None:
        """Remove the object; one that is not there is fine."""
        with suppress(ObjectNotFound):
            self._ask(key, lambda client: obstore.delete(client, key))

    def info(self, key: str) -> ObjectInfo:
        """The object's size, ETag and time without its bytes. Raises `ObjectNotFound`."""
        return _info(self._ask(key, lambda client: obstore.head(client, key)))

    def list(
        self, prefix: str = "", skip: str | None = None, after: str | None = None
    ) -> Iterator[ObjectInfo]:
        """The objects under the folder `prefix` (whole path segments), sorted by key.

        `skip` names a folder in `prefix` that is not even looked into; with `after`, only the keys that sort
        after this one are listed. Neither what a killed write left in a folder nor the folders that S3's
        console makes are listed.

        On S3 a request for each 1,000 objects listed, at least one, and one more for each empty object; with
        `skip` these for each folder in `prefix`, and one. What `after` leaves out costs none. A folder is
        walked whole.
        """
        for meta in sorted(self._found(prefix, skip, after), key=lambda m: m["path"]):
            # The console's folder is an empty object `2026/`, listed without its slash: no such key.
            if meta["size"] == 0 and not self.exists(meta["path"]):
                continue
            yield _info(meta)

    def folders(self, prefix: str) -> Sequence[str]:
        """The names of the folders directly under the folder `prefix`, sorted; one request."""
        try:
            level = self._ask(prefix, lambda client: obstore.list_with_delimiter(client, prefix=prefix))
        except ObjectNotFound:
            return []
        return sorted(folder.rstrip("/").rpartition("/")[2] for folder in level["common_prefixes"])

    def _found(self, prefix: str, skip: str | None, after: str | None) -> "Sequence[ObjectMeta]":
        try:
            if skip is None:
                return self._ask(
                    prefix,
                    lambda client: [
                        m for c in obstore.list(client, prefix=prefix or None, offset=after) for m in c
                    ],
                )
            level = self._ask(
                prefix, lambda client: obstore.list_with_delimiter(client, prefix=prefix or None)
            )
            found = [m for m in level["objects"] if after is None or m["path"] > after]
        except ObjectNotFound:  # no folder yet
            return []
        for folder in level["common_prefixes"]:
            if folder.rstrip("/").rpartition("/")[2] != skip:
                found += self._found(folder.rstrip("/"), None, after)
        return found

    def _put(self, key: str, data: bytes, mode: "PutMode") -> ObjectInfo:
        # One request whatever the size, so that a killed write leaves no parts that cost money.
        result = self._ask(
            key, lambda client: obstore.put(client, key, data, mode=mode, use_multipart=False), write=True
        )
        return ObjectInfo(key, len(data), result["e_tag"] or "")

    def _tag(self, data: bytes, etag: str | None) -> str:
        """S3's ETag; in a folder one of the content.

        A folder's ETags are made of inode, time and size: files that follow each other within one tick of
        the kernel's clock may share all three.
        """
        return etag or "" if self.folder is None else hashlib.sha256(data).hexdigest()

    def _changed(self, key: str) -> ObjectChanged:
        return ObjectChanged(f"{self.uri(key)} was changed by somebody else since it was read. Try again.")

    def _ask(self, key: str, request: Callable[[LocalStore | S3Store], _T], write: bool = False) -> _T:
        """What the store answers. Raises `StorageError`, of what may pass by itself after some time only."""
        begun, pause = time.monotonic(), _FIRST_PAUSE_S
        while True:
            try:
                return request(self._client(write))
            except (BaseError, OSError, ValueError) as error:
                if time.monotonic() + pause > begun + self._patience(str(error)):
                    # `from None`: the client's own text holds S3's whole answer, which no log should hold.
                    raise self._told(key, error) from None
            time.sleep(random.uniform(0.5, 1.0) * pause)  # noqa: S311, so that many do not keep step
            pause = min(2 * pause, _LONGEST_PAUSE_S)

    def _patience(self, text: str) -> float:
        """For how many seconds it is worth asking again after this error."""
        if self.folder is not None:
            return 0.0
        return next((seconds for passing, seconds in _PATIENCE_S.items() if re.search(passing, text)), 0.0)

    def _told(self, key: str, error: Exception) -> StorageError:
        text = str(error)
        if isinstance(error, ValueError):
            return StorageError(
                f"{key!r} cannot be a key ({error}): write a relative path such as raw_telemetry/a.json"
            )
        if "<Code>NoSuchBucket</Code>" not in text:
            if isinstance(error, FileNotFoundError):
                return ObjectNotFound(f"{self.uri(key)} does not exist")
            if isinstance(error, PreconditionError):
                return self._changed(key)
        if isinstance(error, AlreadyExistsError):
            return ObjectExists(f"{self.uri(key)} exists already and is not replaced")
        if self._root.startswith("s3://"):
            return explain(self.uri(key), text)
        cause = text.partition("\n\nDebug source")[0]
        return StorageError(
            f"{self.uri(key)}: {cause}. Check the folder's owner, its permissions and the free space."
        )


def make_folder(path: Path) -> None:
    """Make the folder if it is not there, closed to all but its owner, and so all that will lie in it.

    The mode of each file need not say so, and what others are to read (a shared inbox) a person makes.
    """
    path.mkdir(mode=0o700, parents=True, exist_ok=True)


def _info(meta: "ObjectMeta") -> ObjectInfo:
    return ObjectInfo(meta["path"], meta["size"], meta["e_tag"] or "", meta["last_modified"])


def _folder(path: Path, write: bool) -> LocalStore:
    if not write and not path.is_dir():
        raise FileNotFoundError(path)
    if write:
        make_folder(path)
    return LocalStore(path)


def _bucket(bucket: Bucket) -> S3Store:
    drop_empty_aws_variables()
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or "https://"
    if not endpoint.startswith(("https://", "http://")):
        raise StorageError(
            f"AWS_ENDPOINT_URL_S3 (or AWS_ENDPOINT_URL) is {endpoint!r}: write an address that starts with "
            "https:// (or http:// on this machine)"
        )
    return S3Store(
        bucket.name,
        prefix=bucket.prefix or None,
        client_options={**_TIMEOUTS, "allow_http": endpoint.startswith("http://")},
        retry_config={
            "max_retries": 0
        },  # see `ObjectStore._ask`, which also repeats what creates and deletes
        **_left_open(bucket),
    )


def _left_open(bucket: Bucket) -> dict[str, Any]:
    """The region and the source of keys that the environment does not give, from boto3's chain."""
    has_keys = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} <= os.environ.keys()
    has_region = bool({"AWS_REGION", "AWS_DEFAULT_REGION"} & os.environ.keys())
    if has_keys and has_region:
        return {}
    import boto3  # a third of a second that an environment which says all does not pay
    from botocore.exceptions import BotoCoreError

    try:
        session = boto3.Session()
        region = session.region_name
    except BotoCoreError as error:
        raise explain(f"s3://{bucket.name}", str(error)) from None
    options: dict[str, Any] = {}
    if region and not has_region:
        options["region"] = region
    if not has_keys:
        options["credential_provider"] = _credentials(session)
    return options


def _credentials(session: "Session") -> "S3CredentialProvider":
    """Keys from boto3's chain, looked for at the first request: the search may itself use the network."""

    # boto3 keeps its answer in the session and renews what expires in 10 minutes: good for that long.
    def provide() -> "S3Credential":
        from obstore.auth.boto3 import Boto3CredentialProvider

        return Boto3CredentialProvider(session, ttl=timedelta(minutes=10))()

    return provide


def _without_secrets(text: str) -> str:
    for name in ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_ACCESS_KEY_ID"):
        secret = os.environ.get(name, "")
        if len(secret) >= 8:  # shorter ones are made up for tests, and occur in any word
            in_json = json.dumps(secret)[1:-1]
            in_base64 = base64.b64encode(secret.encode()).decode().rstrip("=")
            escaped = (in_json, in_json.replace("/", "\\/"), html.escape(secret), in_base64)
            for form in (secret, quote(secret), quote(secret, safe=""), quote_plus(secret), *escaped):
                text = text.replace(form, f"<{name}>")
    return text
