"""One at a time, threads and processes, folder and S3; and a holder that dies or is cut off."""

import random
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from telemetria_pipeline.storage import Lake, LockLost, locked
from telemetria_pipeline.storage import lock as lock_module

ROOT = Path(__file__).parents[2]
LOCK = "locks/teste.json"
COUNTER = "contas/contador.json"

# Counts by reading and writing, which loses numbers where two do it at once.
COUNTING = """
import sys
from telemetria_pipeline_tests.storage.test_lock import count, quick
from telemetria_pipeline.storage import Lake

quick(setattr)
print("ready", flush=True)
sys.stdin.readline()
for _ in range(10):
    count(Lake.open(sys.argv[1]))
"""
HOLDING = """
import sys, time
from telemetria_pipeline_tests.storage.test_lock import quick
from telemetria_pipeline.storage import Lake, locked

quick(setattr)
with locked(Lake.open(sys.argv[1]), "teste"):
    print("held", flush=True)
    time.sleep(60)
"""


def quick(put) -> None:
    """Take over after three seconds: no request of the tests is on its way for so long."""
    put(lock_module, "_RENEWED_EVERY_S", 0.1)
    put(lock_module, "_GOOD_FOR_S", 1.5)
    put(lock_module, "_TAKEN_OVER_AFTER_S", 3.0)
    put(lock_module, "_ASKED_EVERY_S", 0.02)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    quick(monkeypatch.setattr)


@pytest.fixture
def s3_lake(s3) -> Lake:
    return Lake.open(s3.address)


def count(lake: Lake) -> None:
    with locked(lake, "teste") as held:
        found = held.read_json(COUNTER) or 0
        time.sleep(random.uniform(0, 0.004))
        held.write_json(COUNTER, found + 1)


def process(code: str, address: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", code, address],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_threads_come_one_at_a_time(lake: Lake):
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda _: count(lake), range(24)))
    assert lake.read_json(COUNTER) == 24


def test_processes_come_one_at_a_time(lake: Lake, address: str):
    counting = [process(COUNTING, address) for _ in range(3)]
    assert [p.stdout.readline() for p in counting] == ["ready\n"] * 3
    for p in counting:
        p.stdin.write("go\n")
        p.stdin.flush()
    for p in counting:
        p.communicate()
    assert [p.returncode for p in counting] == [0] * 3
    assert lake.read_json(COUNTER) == 30


def test_locks_of_two_names_do_not_wait_for_each_other(lake: Lake):
    with locked(lake, "um"), locked(lake, "outro"):
        pass


def test_an_error_frees_it_at_once(lake: Lake):
    with pytest.raises(ZeroDivisionError), locked(lake, "teste"):
        raise ZeroDivisionError
    begun = time.monotonic()
    count(lake)
    assert time.monotonic() - begun < 1


@pytest.mark.parametrize(("where", "waits"), [("folder", (0, 1)), ("s3", (2.5, 20))])
def test_what_a_killed_holder_held_is_free_again(request, tmp_path, where, waits):
    address = f"file:{tmp_path}" if where == "folder" else request.getfixturevalue("s3").address
    with process(HOLDING, address) as holder:
        assert holder.stdout.readline() == "held\n"
        holder.kill()
    begun = time.monotonic()
    count(Lake.open(address))
    assert waits[0] <= time.monotonic() - begun < waits[1]


def test_who_renews_it_keeps_it_however_long_it_takes(s3_lake: Lake):
    entered = []
    with ThreadPoolExecutor(1) as pool:
        with locked(s3_lake, "teste") as held:
            waiting = pool.submit(lambda: (count(s3_lake), entered.append(time.monotonic())))
            time.sleep(3.5)
            held.write_json(COUNTER, 7)
            left = time.monotonic()
        waiting.result()
    assert entered[0] > left
    assert s3_lake.read_json(COUNTER) == 8


def test_a_holder_that_is_cut_off_writes_nothing_more(s3, s3_lake: Lake):
    """Its renewals do not arrive: it stops before another one may have taken the lock."""
    with pytest.raises(LockLost, match=r"locks/teste\.json could not be renewed .* Run it again"):  # noqa: SIM117
        with locked(s3_lake, "teste") as held:
            held.write_json(COUNTER, 1)
            s3.server.answer = refuse_renewals
            time.sleep(2)
            held.write_json(COUNTER, 2)
    assert s3_lake.read_json(COUNTER) == 1


def test_a_holder_that_was_replaced_stops_and_does_not_free_what_is_no_longer_its_own(s3_lake: Lake):
    theirs = {"holder": "outro", "renewed": 0}
    with pytest.raises(LockLost), locked(s3_lake, "teste") as held:
        s3_lake.write_json(LOCK, theirs)
        time.sleep(0.5)
        held.read_json(COUNTER)
    assert s3_lake.read_json(LOCK) == theirs


def test_a_take_whose_answer_was_lost_is_a_take(s3, s3_lake: Lake):
    for _ in range(2):  # there was no lock before, and there was a free one
        s3.server.lose_answer = lambda environ: environ["REQUEST_METHOD"] == "PUT"
        begun = time.monotonic()
        count(s3_lake)
        assert time.monotonic() - begun < 2.5


def test_nothing_goes_on_after_it_is_free(s3, s3_lake: Lake):
    with locked(s3_lake, "teste"):
        time.sleep(0.3)
    time.sleep(0.2)
    s3.server.requests.clear()
    time.sleep(0.4)
    assert s3.server.requests == []
    assert not [t for t in threading.enumerate() if t.name == LOCK]


def refuse_renewals(environ: dict) -> tuple[str, str] | None:
    lock = environ["PATH_INFO"].endswith(LOCK)
    return ("403 Forbidden", "<Error><Code>AccessDenied</Code></Error>") if lock else None
