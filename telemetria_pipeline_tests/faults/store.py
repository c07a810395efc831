"""What may happen to a store, a bucket or a folder."""

import json
import os
import shutil
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from telemetria_pipeline.storage import lock, object_store
from telemetria_pipeline_tests.faults.world import (
    HOURS,
    Child,
    NotSurvived,
    NotTried,
    Try,
    told,
    world,
)


@contextmanager
def _locks_of_the_dead_end_soon() -> Iterator[None]:
    """Who cannot free a lock any more leaves it for four minutes; nobody else is at work here."""
    before, lock._TAKEN_OVER_AFTER_S = lock._TAKEN_OVER_AFTER_S, 1.0
    try:
        yield
    finally:
        lock._TAKEN_OVER_AFTER_S = before


_IMPATIENT_S = 0.4


@contextmanager
def _impatient() -> Iterator[None]:
    """A client that waits for no answer longer than some tenths of a second."""
    before, patience = object_store._TIMEOUTS, f"{round(1000 * _IMPATIENT_S)}ms"
    object_store._TIMEOUTS = {**before, "read_timeout": patience, "timeout": patience}
    try:
        yield
    finally:
        object_store._TIMEOUTS = before


_ERRORS = {
    "503 Slow Down": "<Error><Code>SlowDown</Code><Message>Slower, please.</Message></Error>",
    "500 Internal Server Error": "<Error><Code>InternalError</Code><Message>We are sorry.</Message></Error>",
}


def s3_is_busy(t: Try) -> None:
    """Every fifth request is refused with 503 or 500."""

    def answer(environ: dict) -> tuple[str, str] | None:
        status = here.dice.choice(list(_ERRORS))
        return (status, _ERRORS[status]) if here.dice.random() < 0.2 else None

    with world(t.folder, t.seed, s3=t.s3) as here:
        t.s3.server.answer = answer
        here.settle()


def s3_loses_an_answer(t: Try) -> None:
    """What was asked is done, and the client is told of an error."""
    with world(t.folder, t.seed, s3=t.s3) as here:
        for _ in range(6):
            t.s3.server.lose_answer = lambda environ: here.dice.random() < 0.3
            here.run()
        here.settle()


def s3_keys_expire(t: Try) -> None:
    """From some request on they are refused, until they are renewed."""
    left = [0]

    def answer(environ: dict) -> tuple[str, str] | None:
        left[0] -= 1
        code = "<Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message></Error>"
        return ("400 Bad Request", code) if left[0] < 0 else None

    with world(t.folder, t.seed, s3=t.s3) as here, _locks_of_the_dead_end_soon():
        left[0], t.s3.server.answer = here.dice.randint(0, 60), answer
        here.run()
        t.s3.server.answer = lambda environ: None
        here.settle()


def s3_has_no_bucket(t: Try) -> None:
    """Until somebody makes it."""
    with world(t.folder, t.seed, s3=t.s3) as here:
        bucket = f"missing-{t.seed}-{here.dice.randint(0, 10**9)}"
        here.address = f"s3://{bucket}/lake"
        told(here, bucket)
        where = {"LocationConstraint": t.s3.client.meta.region_name}
        t.s3.client.create_bucket(Bucket=bucket, CreateBucketConfiguration=where)
        here.settle()


def _is_late(environ: dict) -> bool:
    """Whether the request was signed by a clock that is more than a quarter of an hour wrong."""
    signed = datetime.strptime(environ["HTTP_X_AMZ_DATE"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    return abs(datetime.now(UTC) - signed) > timedelta(minutes=15)


def s3_hangs(t: Try) -> None:
    """Some requests are answered when nobody waits any more, and done all the same."""

    def answer(environ: dict) -> None:
        if here.dice.random() < 0.06:
            time.sleep(2 * _IMPATIENT_S)

    with world(t.folder, t.seed, s3=t.s3) as here, _impatient():
        t.s3.server.answer = answer
        here.settle()


def s3_resets_while_writing(t: Try) -> None:
    """Every fourth object that is written: the connection is gone in the middle of it."""

    def answer(environ: dict) -> None:
        length = int(environ.get("CONTENT_LENGTH") or 0)
        if environ["REQUEST_METHOD"] == "PUT" and here.dice.random() < 0.25:
            environ["wsgi.input"].read(here.dice.randrange(length + 1))
            line = environ["werkzeug.socket"]
            line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # RST, not FIN
            os.close(line.detach())
            raise ConnectionResetError

    with world(t.folder, t.seed, s3=t.s3) as here:
        t.s3.server.answer = answer
        here.settle()


def our_clock_is_an_hour_off(t: Try) -> None:
    """S3 refuses what is signed by such a clock, until that is set."""

    def answer(environ: dict) -> tuple[str, str] | None:
        text = (
            "<Error><Code>RequestTimeTooSkewed</Code><Message>The difference is too large.</Message></Error>"
        )
        return ("403 Forbidden", text) if _is_late(environ) else None

    with world(t.folder, t.seed, s3=t.s3) as here, _locks_of_the_dead_end_soon():
        daemon, told = t.daemon(), t.folder / "said"
        daemon.clock.set(here.dice.choice((-3600, 3600)))
        t.s3.server.answer = answer
        daemon.begin("capture", dict(os.environ), address=here.address, url=here.carrier.url, said=str(told))
        daemon.end()
        here.said = json.loads(told.read_text("utf-8"))
        if "clock" not in " ".join(here.said[:1]):
            raise NotSurvived(f"nobody was told of the clock: {here.said[:1]}")
        here.settle()


def files_cannot_grow(t: Try) -> None:
    """No file grows beyond some bytes: a quota."""
    with world(t.folder, t.seed) as here:
        child = Child(here, file_bytes=here.dice.randint(1, 6_000))
        child.go()
        child.end()
        here.settle()


def _mount(*words: str | Path) -> None:
    """What `mount` does, where it may."""
    done = subprocess.run([shutil.which("mount") or "mount", *words], capture_output=True, text=True)
    if done.returncode:
        raise NotTried(f"no file system can be mounted here: {done.stderr.strip().partition(chr(10))[0]}")


def _unmount(place: Path) -> None:
    subprocess.run([shutil.which("umount") or "umount", "--lazy", place], capture_output=True, check=False)


def disk_is_full(t: Try) -> None:
    """A real disk, of a few pages of memory, until somebody makes room."""
    with world(t.folder, t.seed) as here:
        here.folder.mkdir()
        try:
            size = f"size={here.dice.randint(1, 40)}k,mode=700"
            _mount("-t", "tmpfs", "-o", size, "tmpfs", here.folder)
            told(here, str(here.folder), "free space")
            here.run()
            _mount("-o", "remount,size=64m", here.folder)
            here.settle()
        finally:
            _unmount(here.folder)


def folder_is_read_only(t: Try) -> None:
    """From some hour on, until somebody lets us write: a disk that the system remounted after an error."""
    with world(t.folder, t.seed) as here:
        here.folder.mkdir()
        if here.dice.random() < 0.5:
            here.carrier.outages = [(HOURS[2].start, HOURS[3].end)]
            here.run()
        here.carrier.outages, here.said = [], []
        with _read_only(here.folder):
            told(here, str(here.folder))
        here.settle()


@contextmanager
def _read_only(place: Path) -> Iterator[None]:
    """By its mode; for the superuser, whom no mode stops, by a mount over it."""
    if os.geteuid():
        folders = [place, *(path for path in place.rglob("*") if path.is_dir())]
        for folder in folders:
            folder.chmod(0o500)
        yield
        for folder in folders:
            folder.chmod(0o700)
        return
    try:
        _mount("--bind", place, place)
        _mount("-o", "remount,ro,bind", place)
        yield
    finally:
        _unmount(place)


def folder_is_no_folder(t: Try) -> None:
    """What nobody may write into, the superuser neither: a file lies where the lake's folder belongs."""
    with world(t.folder, t.seed) as here:
        place = here.folder
        place.write_text("")
        told(here, str(place))
        place.unlink()
        here.settle()
