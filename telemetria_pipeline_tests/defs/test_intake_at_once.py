"""Several instances take the files of one inbox into one lake at once: no row is lost, none counted twice.

Nothing keeps them apart: each takes every file that it sees, in an order of its own, with pauses at the store
that let the others in between any two requests. Folder and S3, threads and processes.
"""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection

import obstore
import pytest

from telemetria_pipeline.contracts.boletim import BOLETIM_TRIPS
from telemetria_pipeline.contracts.raw import FileManifest
from telemetria_pipeline.core.boletim.settings import Reference, RuleSettings
from telemetria_pipeline.steps.boletim_files import partition_of
from telemetria_pipeline.steps.intake import (
    NotThere,
    StillWritten,
    archive_file,
    judge_file,
    landed_files,
    receive_file,
)
from telemetria_pipeline.storage import Lake, ObjectNotFound, ObjectStore
from telemetria_pipeline_tests.core.boletim.rows import csv_of, trips
from telemetria_pipeline_tests.processes import begun
from telemetria_pipeline_tests.rounds import and_long
from telemetria_pipeline_tests.storage.test_lock import quick

OVER = "over"  # in the lake: nothing more is sent
Row = dict[str, str]
Sent = dict[str, list[list[Row]]]  # key in the inbox → its versions, each its rows


def of_vehicle(number: int, rows: list[Row]) -> list[Row]:
    return [{**row, "PLACA": f"ABC{number % 10}C{number:02d}"} for row in rows]


def corrected(rows: list[Row]) -> list[Row]:
    """A trip less, and one kilometre more in the last."""
    *_, last = rows[1:]
    more = {"KM CHEGADA": str(int(last["KM CHEGADA"]) + 1), "KM ROTA": str(int(last["KM ROTA"]) + 1)}
    return [*rows[1:-1], {**last, **more}]


def what_depots_send(dice: random.Random) -> Sent:
    """Corrections, copies under other names, and files that declare trips of each other's."""
    sent: Sent = {}
    for depot in range(2):
        versions = [of_vehicle(depot, trips(dice.randint(5, 6)))]
        for _ in range(2):
            versions.append(corrected(versions[-1]))
        sent[f"depot {depot}/boletim.csv"] = versions
    copied = of_vehicle(10, trips(4))
    for name in ("original.csv", "copy.csv"):
        sent[name] = [copied]
    shared = of_vehicle(11, trips(8))
    for name, part in (("monday.csv", shared[:5]), ("tuesday.csv", shared[3:])):
        sent[name] = [part]
    return sent


def an_instance(address: str, seed: int) -> None:
    """Take whatever lies in the inbox, until all that is sent has left it."""
    inbox, lake = ObjectStore.open(f"{address}/inbox"), Lake.open(f"{address}/lake")
    dice = random.Random(seed)
    while True:
        over = lake.store.exists(OVER)
        seen = list(landed_files(inbox))
        if over and not seen:
            return
        dice.shuffle(seen)
        for landed in seen:
            # Another one was faster, or the sender was: as Dagster would, it goes on with what is there now.
            with suppress(NotThere, StillWritten, ObjectNotFound):
                received = receive_file(lake, inbox, landed.file_id)
                judged = judge_file(lake, received, RuleSettings(), Reference())
                archive_file(lake, inbox, judged, received.data)


def send(address: str, sent: Sent, dice: random.Random) -> None:
    """Drop all files; a correction as soon as somebody has received what it corrects."""
    inbox, lake = ObjectStore.open(f"{address}/inbox"), Lake.open(f"{address}/lake")
    left = {key: [*versions] for key, versions in sent.items()}
    dropped: dict[str, str] = {}
    while left:
        key = dice.choice(sorted(left))
        if key in dropped and not lake.store.exists(f"raw_boletins/arquivo={dropped[key]}/manifest.json"):
            time.sleep(0.01)
            continue
        inbox.put(key, csv_of(*left[key].pop(0)))
        dropped[key] = next((f.file_id for f in landed_files(inbox) if f.key == key), dropped.get(key, ""))
        if not left[key]:
            del left[key]
    lake.store.put(OVER, b"1")


@contextmanager
def pauses(seed: int) -> Iterator[None]:
    """Before and after any request to a store, now and then, let the others go on."""
    dice = random.Random(seed)
    real = {name: getattr(obstore, name) for name in ("get", "put", "list", "head")}

    def pausing(function: Callable) -> Callable:
        def paused(*args, **kwargs):
            time.sleep(dice.choice((0, 0, 0, 0.001, 0.005)))
            answer = function(*args, **kwargs)
            time.sleep(dice.choice((0, 0, 0, 0.001, 0.005)))
            return answer

        return paused

    with pytest.MonkeyPatch.context() as patch:
        for name, function in real.items():
            patch.setattr(obstore, name, pausing(function))
        yield


def assert_all_is_there_once(address: str, sent: Sent) -> None:
    inbox, lake = ObjectStore.open(f"{address}/inbox"), Lake.open(f"{address}/lake")
    manifests = [
        FileManifest.model_validate(lake.read_json(info.key))
        for info in lake.store.list("raw_boletins")
        if info.key.endswith("/manifest.json")
    ]
    stored = {
        m.file: lake.read_table(BOLETIM_TRIPS.name, partition_of(m.file)).to_pylist() for m in manifests
    }

    def of(row: dict) -> tuple[str, str, float]:
        return row["placa"], row["saida_utc"].strftime("%H:%M"), float(row["km_chegada"])

    def utc(clock: str) -> str:
        return f"{int(clock[:2]) + 3:02d}{clock[2:]}"

    last = [row for versions in sent.values() for row in versions[-1]]
    expected = {(row["PLACA"], utc(row["HORÁRIO SAÍDA"]), float(row["KM CHEGADA"])) for row in last}
    found = Counter(of(row) for rows in stored.values() for row in rows)
    assert found == Counter(expected)

    assert Counter(m.key for m in manifests) == {key: len(versions) for key, versions in sent.items()}
    assert list(landed_files(inbox)) == []
    archived = Counter(info.key.rpartition(".")[0].rpartition(".")[2][:10] for info in inbox.list("archive"))
    for m in manifests:
        replacing = [other for other in manifests if m.file in other.replaces]
        assert m.verdict in ("accepted", "duplicate")
        assert (m.replaced_by is None) == (not replacing)
        assert not (m.replaced_by and stored[m.file])
        assert inbox.exists(m.archived) and inbox.exists(m.answer)
        assert archived[m.file[-10:]] == 3, "the file and its answer twice"
    assert sum(m.verdict == "duplicate" for m in manifests) == 1


@pytest.mark.long  # smaller: processes, and two threads that meet
def test_threads(address: str, monkeypatch: pytest.MonkeyPatch):
    seed = 3
    quick(monkeypatch.setattr)
    sent = what_depots_send(random.Random(seed))
    with pauses(seed), ThreadPoolExecutor(3) as pool:
        working = [pool.submit(an_instance, address, 10 * seed + n) for n in range(2)]
        working.append(pool.submit(send, address, sent, random.Random(seed)))
        for done in working:
            done.result()
    assert_all_is_there_once(address, sent)


def a_slow_instance(said: Connection, address: str, seed: int) -> None:
    quick(setattr)
    with pauses(seed):
        said.send("ready")
        an_instance(address, seed)


def test_processes(address: str, monkeypatch: pytest.MonkeyPatch):
    quick(monkeypatch.setattr)
    sent = what_depots_send(random.Random(7))
    instances = [begun(a_slow_instance, address, n)[0] for n in range(2)]
    send(address, sent, random.Random(7))
    for process in instances:
        process.join()
    assert [process.exitcode for process in instances] == [0, 0]
    assert_all_is_there_once(address, sent)


@contextmanager
def meeting_before(write_of: str) -> Iterator[None]:
    """Two who write such keys wait for each other there, for a moment: so that both have read before."""
    real, both = obstore.put, threading.Barrier(2)

    def put(client, key: str, *args, **kwargs):
        if write_of in key:
            with suppress(threading.BrokenBarrierError):
                both.wait(0.3)
            both.reset()
        return real(client, key, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(obstore, "put", put)
        yield


@pytest.mark.parametrize(
    "write_of", and_long("raw_boletins/contents", "boletim_trips/", "boletim_days/", "manifest.json")
)
def test_two_who_meet_at_a_write(address: str, write_of: str, monkeypatch: pytest.MonkeyPatch):
    """Each has read what the other is about to change, if anything lets them."""
    quick(monkeypatch.setattr)
    shared = of_vehicle(11, trips(8))
    sent: Sent = {"original.csv": [shared[:4]], "copy.csv": [shared[:4]], "week.csv": [shared]}
    send(address, sent, random.Random(1))
    with meeting_before(write_of), ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(an_instance, address, n) for n in range(2)]:
            done.result()
    assert_all_is_there_once(address, sent)
