"""One at a time over a whole lake: a lock that instances and machines share.

In a folder the operating system keeps it, and frees it when its process dies. S3 has no such lock: there an
object names the holder, and a thread of the holder renews it. Who waits takes the lock over once it has seen
it unchanged for so long that the holder has stopped writing and its last request has ended; each counts by
its own clock, so that clocks which differ do not matter. A holder that could not renew it writes nothing
more: the lake that it was given then raises `LockLost`. Only a process that is frozen for minutes in the
very middle of a write could still finish that one.
"""

import random
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from telemetria_pipeline.storage.lake import Lake
from telemetria_pipeline.storage.object_store import LONGEST_REQUEST_S, StorageError

_RENEWED_EVERY_S = 15.0
_GOOD_FOR_S = 120.0  # how long a holder goes on without having renewed it: S3 may be busy for a while
_TAKEN_OVER_AFTER_S = _GOOD_FOR_S + LONGEST_REQUEST_S
_ASKED_EVERY_S = 0.5
_FREE = {"holder": None}


class LockLost(StorageError):
    """The lock could not be renewed in time: somebody else may hold it, so nothing more is written."""


@contextmanager
def locked(lake: Lake, name: str) -> Iterator[Lake]:
    """Wait for the lock `name` of this lake and hold it; what is done under it goes through the lake given.

    Who holds it does not ask for it again. On S3 it costs four requests, eight more each minute that it is
    held, and two a second while it is waited for; when a holder was killed it is free after five minutes.
    """
    if lake.store.folder:
        with lake.store.file_lock(name):
            yield lake
        return
    lease = _Lease(lake, f"locks/{name}.json")
    lease.take()
    try:
        yield Lake(lake.store.guarded(lease.check))
    finally:
        lease.release()


class _Lease:
    """The lock as an object: `{"holder": <a name for this once>, "renewed": <how often>}`, or `_FREE`."""

    def __init__(self, lake: Lake, key: str) -> None:
        self._lake, self._key = lake, key
        self._name = uuid.uuid4().hex
        self._good_until = 0.0
        self._released = threading.Event()

    def take(self) -> None:
        """Wait until it is ours, and keep it."""
        abandoned, seen, since = None, None, 0.0

        def mine(found: Any) -> Any:
            free = found in (None, _FREE, abandoned)
            return {"holder": self._name, "renewed": 0} if free else None

        while not self._update(mine):
            found = self._lake.read_json(self._key)
            if found != seen:
                seen, since = found, time.monotonic()
            elif time.monotonic() - since > _TAKEN_OVER_AFTER_S:
                abandoned = seen
            time.sleep(random.uniform(0.5, 1.5) * _ASKED_EVERY_S)  # noqa: S311, so that two do not keep step
        threading.Thread(target=self._keep, name=self._key, daemon=True).start()

    def check(self) -> None:
        """Raise `LockLost` if somebody else may hold it."""
        if time.monotonic() > self._good_until:
            uri = self._lake.store.uri(self._key)
            raise LockLost(
                f"{uri} could not be renewed in time, and somebody else may hold it. Run it again."
            )

    def release(self) -> None:
        """Free it, if it is still ours."""
        self._released.set()
        with suppress(StorageError):  # then it is taken over in time
            self._lake.update_json(self._key, lambda found: _FREE if self._ours(found) else None)

    def _keep(self) -> None:
        def again(found: Any) -> Any:
            return {**found, "renewed": found["renewed"] + 1} if self._ours(found) else None

        while not self._released.wait(_RENEWED_EVERY_S):
            with suppress(StorageError):  # the next one may get through, else `check` says so in time
                if not self._update(again):
                    self._good_until = 0.0
                    return

    def _update(self, change: Callable[[Any], Any]) -> bool:
        """Whether it is ours after the change, and then good for some time from before it."""
        begun = time.monotonic()
        ours = self._ours(self._lake.update_json(self._key, change))
        if ours:
            self._good_until = begun + _GOOD_FOR_S
        return ours

    def _ours(self, found: Any) -> bool:
        return found is not None and found["holder"] == self._name
