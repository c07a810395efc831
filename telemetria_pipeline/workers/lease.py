"""The lease of a run: its worker says in Dagster's database that it lives, and stops where it cannot.

What the broker believes of a worker proves nothing: it hands a run out again while its worker lives, and
keeps one of a worker that died. So a run lives while its lease is renewed, and a worker that cannot renew it
(frozen, cut off from the database) is gone *before* the launcher gives the run up
(`settings.worker_silence_s`): no carrier is ever asked by two runs at once.
"""

import faulthandler
import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import NamedTuple

import dagster as dg

_BEGINNING = (dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTING)
_UNWANTED = (dg.DagsterRunStatus.CANCELING, dg.DagsterRunStatus.CANCELED, dg.DagsterRunStatus.FAILURE)
# Shares of the silence: how often the lease is renewed, and when a worker that could not is gone.
_EVERY, _GONE = 1 / 9, 8 / 9

PAUSE_S = 5
"""How long at least a run is kept that cannot be begun here: the same worker may be given it again."""

_STDERR = 2  # the descriptor: what Celery and Dagster put in place of `sys.stderr` has none

_log = logging.getLogger(__name__)


class NotTakenError(Exception):
    """This worker cannot ask the database whether it may begin the run: another one shall."""


class Heard(NamedTuple):
    """What is known of a run's worker."""

    silent_s: float  # since it renewed the lease
    worker: str  # its machine and process


def last_heard(instance: dg.DagsterInstance, run_id: str) -> Heard | None:
    """When the run's worker was heard last; None where no worker has taken it yet."""
    key = _key(run_id)
    found = instance.daemon_cursor_storage.get_cursor_values({key}).get(key)
    if found is None:
        return None
    at, worker = found.split(" ", 1)
    return Heard((datetime.now(UTC) - datetime.fromisoformat(at)).total_seconds(), worker)


@contextmanager
def lease(run_id: str, silence_s: float) -> Iterator[bool]:
    """Hold the run while the block lasts; yields False where it is another's, and the block must leave it.

    A run that the broker hands out again waits until its first worker's lease has ended, and is taken only if
    that one died before it began. Where a run is canceled or failed from outside, its block is interrupted.
    Raises `NotTakenError`, not sooner than after `PAUSE_S`, where the database cannot be asked whose it is.
    """
    began = time.monotonic()
    try:
        with dg.DagsterInstance.get() as instance:
            ours = _may_begin(instance, run_id, silence_s)
            if ours:
                _renew(instance, run_id, silence_s)
    except Exception as error:
        time.sleep(max(began + PAUSE_S - time.monotonic(), 0))
        raise NotTakenError(f"run {run_id}: no lease can be had here: {type(error).__name__}") from None
    if not ours:
        yield False
        return
    done = threading.Event()
    beats = threading.Thread(target=_beat, args=(run_id, silence_s, done), daemon=True)
    beats.start()
    try:
        yield True
    finally:
        done.set()
        beats.join()
        faulthandler.cancel_dump_traceback_later()


def _may_begin(instance: dg.DagsterInstance, run_id: str, silence_s: float) -> bool:
    while (run := instance.get_run_by_id(run_id)) and run.status in _BEGINNING:
        heard = last_heard(instance, run_id)
        if heard is None or heard.silent_s > silence_s:
            return True
        time.sleep(silence_s * _EVERY)
    return False


def _beat(run_id: str, silence_s: float, done: threading.Event) -> None:
    with dg.DagsterInstance.get() as instance:
        while not done.wait(silence_s * _EVERY):
            try:
                run = instance.get_run_by_id(run_id)
                if run is None or run.status in _UNWANTED:
                    # What Ctrl-C does. Not renewed any more: who does not heed it ends with the process.
                    os.kill(os.getpid(), signal.SIGINT)
                else:
                    _renew(instance, run_id, silence_s)
            except Exception as error:
                _log.warning("run %s: its lease was not renewed: %s", run_id, type(error).__name__)


def _renew(instance: dg.DagsterInstance, run_id: str, silence_s: float) -> None:
    began, now = time.monotonic(), datetime.now(UTC).isoformat(timespec="milliseconds")
    worker = f"{socket.gethostname()}, process {os.getpid()}"
    instance.daemon_cursor_storage.set_cursor_values({_key(run_id): f"{now} {worker}"})
    # A clock in C, which neither a hanging connection nor a long computation holds up: the process ends.
    left = silence_s * _GONE - (time.monotonic() - began)
    faulthandler.dump_traceback_later(max(left, 0.001), exit=True, file=_STDERR)


def _key(run_id: str) -> str:
    return f"telemetria/lease/{run_id}"
