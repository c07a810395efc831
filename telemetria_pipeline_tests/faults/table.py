"""The table of faults: each function is one try, and raises where something was lost, doubled or unclear."""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

from telemetria_pipeline.simulator.faults import TRANSPORT_FAULTS
from telemetria_pipeline.storage import lock
from telemetria_pipeline_tests.faults.world import HOURS, Child, NotSurvived, World, world

# What is true of no window and has no end by itself is asked for otherwise, below.
ALONE = [fault for fault in TRANSPORT_FAULTS if fault != "empty_hour"]
_PATIENT = [fault for fault in ALONE if fault not in ("redirect", "bad_token")]
_KILL_WITHIN_S = 2.0


@dataclass(frozen=True)
class Try:
    """Where a try keeps its lake, its seed, and the S3 server of all tries."""

    folder: Path
    seed: int
    s3: SimpleNamespace


def _told(here: World, *words: str) -> None:
    """That the first failure said what to do."""
    here.run()
    if not here.said or not all(word in here.said[0] for word in words):
        raise NotSurvived(f"it was not told as {words}: {here.said[:1]}")


# ---------------------------------------------------------------- the API


def every_fault_alone(t: Try) -> None:
    """One after the other, one to eight times in a row."""
    fault = ALONE[t.seed % len(ALONE)]
    with world(t.folder, t.seed) as here:
        here.carrier.inject(*[fault] * here.dice.randint(1, 8))
        here.settle()


def mixed_at_30_percent(t: Try) -> None:
    """All that a client can outlast."""
    with world(t.folder, t.seed, dict.fromkeys(_PATIENT, 0.3 / len(_PATIENT))) as here:
        here.settle()


def wrong_token(t: Try) -> None:
    """Until somebody sets the right one."""
    with world(t.folder, t.seed) as here:
        here.token = "another"
        _told(here, "401", "TOKEN")
        here.token = here.carrier.token
        here.settle()


def token_expires_in_mid_run(t: Try) -> None:
    """After some requests every further one is refused, until the token is renewed."""
    with world(t.folder, t.seed) as here:
        here.carrier.inject(*[None] * here.dice.randint(1, len(HOURS) - 1), *["bad_token"] * 4)
        _told(here, "401")
        here.settle()


def no_such_host(t: Try) -> None:
    """DNS knows no such name."""
    with world(t.folder, t.seed) as here:
        here.url = "https://carrier.invalid"
        _told(here, "carrier.invalid")
        here.url = ""
        here.settle()


def no_tls(t: Try) -> None:
    """The port speaks no TLS."""
    with world(t.folder, t.seed) as here:
        here.url = here.carrier.url.replace("http://", "https://")
        _told(here, "127.0.0.1")
        here.url = ""
        here.settle()


def nobody_listens(t: Try) -> None:
    """The API is down for some runs."""
    with world(t.folder, t.seed) as here, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        here.url = f"http://127.0.0.1:{free.getsockname()[1]}"
        for _ in range(here.dice.randint(1, 3)):
            here.run()
        here.url = ""
        here.settle()


def hours_refused_for_a_while(t: Try) -> None:
    """503 for some hours only, as behind an overloaded proxy."""
    with world(t.folder, t.seed) as here:
        begins = HOURS[1].start
        here.carrier.outages = [(begins, begins + timedelta(hours=here.dice.randint(1, 2)))]
        here.run()
        here.carrier.outages = []
        here.settle()


# ---------------------------------------------------------------- the store


@contextmanager
def _locks_of_the_dead_end_soon() -> Iterator[None]:
    """Who cannot free a lock any more leaves it for four minutes; nobody else is at work here."""
    before, lock._TAKEN_OVER_AFTER_S = lock._TAKEN_OVER_AFTER_S, 1.0
    try:
        yield
    finally:
        lock._TAKEN_OVER_AFTER_S = before


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
        _told(here, bucket)
        where = {"LocationConstraint": t.s3.client.meta.region_name}
        t.s3.client.create_bucket(Bucket=bucket, CreateBucketConfiguration=where)
        here.settle()


def disk_is_full(t: Try) -> None:
    """No file grows beyond some bytes."""
    with world(t.folder, t.seed) as here:
        child = Child(here, file_bytes=here.dice.randint(1, 6_000))
        child.go()
        child.end()
        here.settle()


def folder_is_no_folder(t: Try) -> None:
    """What nobody may write into, the superuser neither: a file lies where the lake's folder belongs."""
    with world(t.folder, t.seed) as here:
        place = Path(here.address.removeprefix("file:"))
        place.write_text("")
        _told(here, str(place))
        place.unlink()
        here.settle()


# ---------------------------------------------------------------- the process


def killed(t: Try) -> None:
    """`kill -9` at a random moment, twice."""
    with world(t.folder, t.seed) as here:
        for _ in range(2):
            child = Child(here)
            child.go()
            time.sleep(here.dice.uniform(0, _KILL_WITHIN_S))
            child.kill()
        here.settle()


def two_at_once(t: Try) -> None:
    """Two processes ask for the same hours."""
    with world(t.folder, t.seed) as here:
        both = [Child(here), Child(here)]
        for child in both:
            child.go()
        for child in both:
            child.end()
        here.settle()


FAULTS: dict[str, list[Callable[[Try], None]]] = {
    "API": [
        every_fault_alone, mixed_at_30_percent, wrong_token, token_expires_in_mid_run, no_such_host, no_tls,
        nobody_listens, hours_refused_for_a_while,
    ],
    "store": [
        s3_is_busy, s3_loses_an_answer, s3_keys_expire, s3_has_no_bucket, disk_is_full, folder_is_no_folder,
    ],
    "process": [killed, two_at_once],
}  # fmt: skip
