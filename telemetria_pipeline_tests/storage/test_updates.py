"""Many who change one object at once: none loses what another wrote. Folder and S3, threads and processes."""

import os
import re
import subprocess
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from telemetria_pipeline.storage import Lake, ObjectChanged, ObjectStore, StorageError
from telemetria_pipeline.storage import lake as lake_module

COUNTER = "contas/contador.json"
THREADS, TIMES = 4, 8

# Counts, each of its threads on its own, and says so once it may begin.
COUNTING = f"""
import sys
from concurrent.futures import ThreadPoolExecutor
from telemetria_pipeline.storage import Lake

lake = Lake.open(sys.argv[1])

def count(thread):
    for n in range({TIMES}):
        mine = f"{{sys.argv[2]}}/{{thread}}/{{n}}"
        lake.update_json({COUNTER!r}, lambda seen: seen if mine in (seen or []) else [*(seen or []), mine])

print("ready", flush=True)
sys.stdin.readline()
with ThreadPoolExecutor({THREADS}) as pool:
    list(pool.map(count, range({THREADS})))
"""


class TestConditionalPut:
    def test_what_is_still_as_it_was_read_is_replaced(self, store: ObjectStore):
        store.put("a/b", b"um")
        data, etag = store.read("a/b")
        assert data == b"um"
        second = store.put_if("a/b", b"dois", etag)
        assert store.read("a/b") == (b"dois", second)
        store.put_if("a/b", "três".encode(), second)  # the tag of a write serves the next one
        assert store.get("a/b") == "três".encode()

    def test_what_somebody_changed_meanwhile_is_left_as_it_is(self, store: ObjectStore):
        store.put("a/b", b"um")
        _, etag = store.read("a/b")
        store.put("a/b", b"1!")
        with pytest.raises(ObjectChanged, match=r"lago/um/a/b was changed by somebody else .* Try again"):
            store.put_if("a/b", b"dois", etag)
        assert store.get("a/b") == b"1!"

    def test_what_somebody_removed_meanwhile_does_not_come_back(self, store: ObjectStore):
        store.put("a/b", b"um")
        _, etag = store.read("a/b")
        store.delete("a/b")
        with pytest.raises(ObjectChanged):
            store.put_if("a/b", b"dois", etag)
        assert not store.exists("a/b")

    def test_without_a_tag_it_only_creates(self, store: ObjectStore):
        etag = store.put_if("a/b", b"um", None)
        assert store.read("a/b") == (b"um", etag)
        with pytest.raises(ObjectChanged):
            store.put_if("a/b", b"dois", None)
        assert store.get("a/b") == b"um"

    def test_of_many_who_read_the_same_one_wins(self, store: ObjectStore):
        for turn in range(20):
            store.put("disputado", f"-{turn:03}".encode())
            _, etag = store.read("disputado")
            outcomes = Counter(in_threads(4, lambda n, etag=etag: self.won(store, f"{n:04}".encode(), etag)))
            assert outcomes[True] == 1

    @staticmethod
    def won(store: ObjectStore, data: bytes, etag: str) -> bool:
        try:
            store.put_if("disputado", data, etag)
        except ObjectChanged:
            return False
        return True

    def test_the_lock_of_a_folder_is_never_listed(self, store: ObjectStore):
        store.put_if("a", b"um", store.put_if("a", b"x", None))
        assert [info.key for info in store.list()] == ["a"]
        assert [info.key for info in store.list(skip="archive")] == ["a"]

    def test_a_missing_bucket_is_no_change(self, s3):
        for etag in (None, '"900150983cd24fb0d6963f7d28e17f72"'):
            with pytest.raises(StorageError, match="telemetria storage init") as caught:
                ObjectStore.open("s3://nao-existe/lago").put_if("a", b"x", etag)
            assert not isinstance(caught.value, ObjectChanged)

    def test_a_file_of_the_same_inode_time_and_size_is_another(self, tmp_path):
        """As two quick writes may leave them, which one ETag of a folder would then name."""
        store, file = ObjectStore.open(f"file:{tmp_path}"), tmp_path / "a"
        store.put("a", b"um")
        _, etag = store.read("a")
        before, listed = file.stat(), store.info("a").etag
        file.write_bytes(b"1!")
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert store.info("a").etag == listed
        with pytest.raises(ObjectChanged):
            store.put_if("a", b"dois", etag)

    def test_a_folder_that_cannot_be_locked_says_so(self, tmp_path):
        (tmp_path / "lago").write_text("a file where the folder should be")
        with pytest.raises(StorageError, match=r"lago.*Check the folder's owner"):
            ObjectStore.open(f"file:{tmp_path}/lago").put_if("a", b"x", None)


class TestUpdates:
    def test_a_manifest_is_made_and_changed_and_what_is_stored_comes_back(self, lake: Lake):
        assert lake.update_json(COUNTER, lambda found: {"valor": 1} if found is None else None) == {
            "valor": 1
        }
        assert lake.update_json(COUNTER, lambda found: {"valor": found["valor"] + 1}) == {"valor": 2}
        assert lake.read_json(COUNTER) == {"valor": 2}

    @pytest.mark.parametrize("change", [lambda found: None, lambda found: found, dict])
    def test_no_change_writes_nothing(self, lake: Lake, change, monkeypatch):
        lake.write_json(COUNTER, {"valor": 1})
        monkeypatch.setattr(lake.store, "put_if", None)
        assert lake.update_json(COUNTER, change) == {"valor": 1}
        assert lake.update_json("contas/outra.json", lambda found: None) is None
        assert not lake.store.exists("contas/outra.json")

    def test_a_change_in_place_is_written_too(self, lake: Lake):
        def change(found: dict) -> dict:
            found["valor"] += 1
            return found

        lake.write_json(COUNTER, {"valor": 1})
        assert lake.update_json(COUNTER, change) == lake.read_json(COUNTER) == {"valor": 2}

    def test_who_comes_between_is_read_in_its_turn(self, lake: Lake):
        def change(found: list[str] | None) -> list[str]:
            if not found:
                lake.write_json(COUNTER, ["outro"])
            return [*(found or []), "eu"]

        assert lake.update_json(COUNTER, change) == lake.read_json(COUNTER) == ["outro", "eu"]

    def test_who_never_gets_through_says_so(self, lake: Lake, monkeypatch):
        monkeypatch.setattr(lake_module, "_UPDATE_WAITS", (0, 0, 0))
        turns = iter(range(100))

        def change(found: object) -> str:
            lake.write_json(COUNTER, next(turns))
            return "eu"

        with pytest.raises(ObjectChanged, match=r"contador\.json was changed by others 3 times"):
            lake.update_json(COUNTER, change)
        assert lake.read_json(COUNTER) == 2

    def test_a_write_whose_answer_was_lost_is_not_made_twice(self, s3):
        """S3 wrote, and answered 500 all the same: the client repeats it and hears of a change."""
        lake = Lake.open(s3.address)
        lake.write_json(COUNTER, ["um"])
        s3.server.lose_answer = lambda environ: "HTTP_IF_MATCH" in environ
        stored = lake.update_json(COUNTER, lambda found: found if "eu" in found else [*found, "eu"])
        assert stored == lake.read_json(COUNTER) == ["um", "eu"]

    def test_no_increment_of_many_threads_is_lost(self, lake: Lake):
        in_threads(8, lambda n: [lake.update_json(COUNTER, lambda found: (found or 0) + 1) for _ in range(6)])
        assert lake.read_json(COUNTER) == 48

    def test_no_entry_of_many_processes_is_lost(self, lake: Lake, address: str):
        counting = [
            subprocess.Popen(
                [sys.executable, "-c", COUNTING, address, str(n)],
                cwd=Path(__file__).parents[2],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for n in range(3)
        ]
        assert [process.stdout.readline() for process in counting] == ["ready\n"] * 3
        for process in counting:
            process.stdin.write("go\n")
            process.stdin.flush()
        for process in counting:
            process.communicate()
        assert [process.returncode for process in counting] == [0] * 3
        seen = lake.read_json(COUNTER)
        assert len(seen) == len(set(seen)) == 3 * THREADS * TIMES


class TestListingAfterAKey:
    def test_only_what_sorts_after_it(self, store: ObjectStore):
        days = [f"dias/data=2026-11-{day:02}/{file}.json" for day in (9, 10, 11) for file in ("a", "b")]
        for key in (*days, "outro/a", "dias.json"):
            store.put(key, b"1")
        assert [i.key for i in store.list("dias", after=days[2])] == days[3:]
        assert [i.key for i in store.list("dias", after="dias/data=2026-11-10")] == days[2:]
        assert [i.key for i in store.list("dias", after="dias/data=2026-11-11~")] == []
        assert [i.key for i in store.list(after=days[-1])] == ["outro/a"]
        assert [i.key for i in store.list(skip="outro", after=days[3])] == days[4:]
        assert [i.key for i in store.list("nada", after="nada/a")] == []

    def test_what_is_left_out_costs_no_request(self, s3):
        store = ObjectStore.open(s3.address)
        for n in range(1_010):
            store.put(f"dias/{n:04}", b"1")
        s3.server.requests.clear()
        assert len(list(store.list("dias"))) == 1_010
        assert len(s3.server.requests) == 2
        assert len(list(store.list("dias", after="dias/0999"))) == 10
        assert len(s3.server.requests) == 3
        assert re.search(r"start-after=.*dias%2F0999", s3.server.requests[-1]["QUERY_STRING"])


def in_threads(n: int, work) -> list:
    """What `work` returns in each of `n` threads that begin together."""
    together = threading.Barrier(n)

    def begin(number: int):
        together.wait()
        return work(number)

    with ThreadPoolExecutor(n) as pool:
        return list(pool.map(begin, range(n)))
