"""From the inbox to the archive, step by step and with the power cut between the steps; folder and S3."""

import itertools
import os
import random
import shutil
import stat
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from io import BytesIO
from multiprocessing.connection import Connection

import openpyxl
import orjson
import psutil
import pytest

from telemetria_pipeline.contracts.boletim import BOLETIM_QUARANTINE, BOLETIM_TRIPS
from telemetria_pipeline.contracts.raw import FileManifest
from telemetria_pipeline.core.boletim.settings import Reference, RuleSettings
from telemetria_pipeline.core.sheets.text import LIMITS
from telemetria_pipeline.steps.boletim_files import manifest_key, partition_of, read_file_manifest
from telemetria_pipeline.steps.intake import (
    NotThere,
    NotTried,
    StillWritten,
    archive_file,
    judge_file,
    landed_files,
    receive_file,
    take_files,
)
from telemetria_pipeline.storage import Lake, ObjectDamaged, ObjectStore, StorageError, strangers
from telemetria_pipeline_tests.core.boletim.rows import csv_of, trip, trips
from telemetria_pipeline_tests.processes import begun
from telemetria_pipeline_tests.rounds import and_long


@pytest.fixture
def inbox(address) -> ObjectStore:
    return ObjectStore.open(f"{address}/inbox")


@pytest.fixture
def lake(address) -> Lake:
    return Lake.open(f"{address}/lake")


def file_of(inbox: ObjectStore, key: str) -> str:
    return next(f.file_id for f in landed_files(inbox) if f.key == key)


def take(lake: Lake, inbox: ObjectStore, key: str, data: bytes, **settings):
    """A file lands and goes all the way; its manifest."""
    last = [m.landed_at for f in lake.store.list("raw_boletins") if f.key.endswith("manifest.json")
            and (m := FileManifest.model_validate(lake.read_json(f.key))).key == key]  # fmt: skip
    inbox.put(key, data)
    while last and inbox.info(key).modified <= max(last):  # S3 tells times to the second
        time.sleep(0.1)
        inbox.put(key, data)
    return go(lake, inbox, file_of(inbox, key), **settings)


def go(lake: Lake, inbox: ObjectStore, file: str, **settings):
    received = receive_file(lake, inbox, file)
    judged = judge_file(lake, received, RuleSettings(**settings), Reference())
    return archive_file(lake, inbox, judged, received.data)


def rows(lake: Lake, *files: str) -> int:
    tables = lake.read_tables(BOLETIM_TRIPS.name, map(partition_of, files))
    return sum(table.num_rows for _, table in tables)


def keys(inbox: ObjectStore) -> list[str]:
    return [info.key for info in inbox.list()]


def test_a_good_file_becomes_trips_and_leaves_with_its_answer_beside_it(lake, inbox):
    manifest = take(lake, inbox, "depot 7/Boletim março.csv", csv_of(*trips(3)))
    assert (manifest.verdict, manifest.rows["accepted"]) == ("accepted", 3)
    stem = f"archive/accepted/depot 7/Boletim março.{manifest.file[-10:]}"
    assert keys(inbox) == [f"{stem}.csv", f"{stem}_resposta.json", f"{stem}_resposta.xlsx"]
    assert inbox.get(f"{stem}.csv") == lake.get_raw(manifest.original) == csv_of(*trips(3))
    assert rows(lake, manifest.file) == 3
    assert list(landed_files(inbox)) == []


def test_a_bad_file_brings_nothing_in_and_says_why_where_its_sender_looks(lake, inbox):
    manifest = take(lake, inbox, "b.csv", csv_of(*trips(2), trip(PLACA="ABCO234")))
    assert manifest.verdict == "rejected"
    assert rows(lake, manifest.file) == 0
    answer = orjson.loads(inbox.get(manifest.answer))
    assert answer["rows"] == {"received": 3, "accepted": 0, "duplicate": 0, "rejected": 3}
    assert (answer["problems"][0]["cell"], answer["problems"][0]["column"]) == ("B4", "PLACA")
    book = openpyxl.load_workbook(BytesIO(inbox.get(manifest.answer.replace(".json", ".xlsx"))))
    assert book.sheetnames[0] == "Resumo"
    quarantine = lake.read_table(BOLETIM_QUARANTINE.name, partition_of(manifest.file))
    assert "B4" in quarantine["celula"].to_pylist()


def test_partial_takes_the_good_rows_and_returns_the_bad_ones(lake, inbox):
    manifest = take(lake, inbox, "b.csv", csv_of(*trips(2), trip(PLACA="ABCO234")), partial=True)
    assert manifest.verdict == "accepted"
    assert manifest.rows == {"received": 3, "accepted": 2, "duplicate": 0, "rejected": 1}
    assert rows(lake, manifest.file) == 2


def test_the_same_content_twice_is_a_duplicate_under_whatever_name(lake, inbox):
    first = take(lake, inbox, "monday.csv", csv_of(*trips(2)))
    again = take(lake, inbox, "copy of monday.csv", csv_of(*trips(2)))
    assert (again.verdict, again.duplicate_of) == ("duplicate", first.file)
    assert rows(lake, first.file, again.file) == 2
    said = orjson.loads(inbox.get(again.answer))
    assert "monday.csv" in (said["problems"] + said["warnings"])[0]["message"]
    assert again.archived.startswith("archive/duplicate/")


def test_a_corrected_file_replaces_what_its_earlier_version_brought_in(lake, inbox):
    first = take(lake, inbox, "b.csv", csv_of(*trips(3)))
    second = take(
        lake, inbox, "b.csv", csv_of(*trips(2), {**trips(3)[2], "KM CHEGADA": "1031", "KM ROTA": "11"})
    )
    assert second.verdict == "accepted"
    assert second.replaces == [first.file]
    assert read_file_manifest(lake, first.file).replaced_by == second.file
    assert (rows(lake, first.file), rows(lake, second.file)) == (0, 3)


def test_a_correction_that_is_rejected_replaces_nothing(lake, inbox):
    first = take(lake, inbox, "b.csv", csv_of(*trips(3)))
    second = take(lake, inbox, "b.csv", csv_of(trip(PLACA="?")))
    assert second.verdict == "rejected"
    assert rows(lake, first.file) == 3


def test_a_rejected_correction_says_of_no_file_that_it_replaces_it(lake, inbox):
    first = take(lake, inbox, "b.csv", csv_of(*trips(3)))
    second = take(lake, inbox, "b.csv", csv_of(*trips(2), trip(PLACA="?")))
    assert (second.verdict, second.replaces) == ("rejected", [])
    assert read_file_manifest(lake, first.file).replaced_by is None


def test_the_answer_to_a_corrected_file_says_what_got_better(lake, inbox):
    bad = [{**t, "PLACA": "ABCO234"} for t in trips(3)]
    take(lake, inbox, "b.csv", csv_of(*bad))
    second = take(lake, inbox, "b.csv", csv_of(*trips(2), bad[2]))
    book = openpyxl.load_workbook(BytesIO(inbox.get(second.answer.replace(".json", ".xlsx"))))
    said = " ".join(str(c.value) for row in book["Resumo"].iter_rows() for c in row if c.value)
    assert "2 de 3 corrigidos" in said


def test_a_depot_may_use_one_name_for_every_days_boletim(lake, inbox):
    monday = take(lake, inbox, "boletim.csv", csv_of(*trips(3)))
    tuesday = take(lake, inbox, "boletim.csv", csv_of(*[{**t, "DATA": "23/11/2026"} for t in trips(2)]))
    assert tuesday.replaces == []
    assert rows(lake, monday.file, tuesday.file) == 5


def test_the_same_file_dropped_again_under_its_own_name_is_a_duplicate_too(lake, inbox):
    first = take(lake, inbox, "b.csv", csv_of(*trips(3)))
    again = take(lake, inbox, "b.csv", csv_of(*trips(3)))
    assert again.file != first.file
    assert (again.verdict, again.duplicate_of) == ("duplicate", first.file)
    assert rows(lake, first.file, again.file) == 3


def test_a_correction_taken_back_counts_again(lake, inbox):
    original, correction = csv_of(*trips(3)), csv_of(*trips(2))
    first = take(lake, inbox, "b.csv", original)
    second = take(lake, inbox, "b.csv", correction)
    third = take(lake, inbox, "b.csv", original)
    assert third.verdict == "accepted"
    assert [rows(lake, m.file) for m in (first, second, third)] == [0, 0, 3]


def test_a_row_that_another_file_declared_is_counted_once(lake, inbox):
    first = take(lake, inbox, "monday.csv", csv_of(*trips(2)))
    second = take(lake, inbox, "week.csv", csv_of(*trips(3)))
    assert second.rows["duplicate"] == 2
    assert rows(lake, first.file, second.file) == 3


def test_a_file_made_again_changes_nothing(lake, inbox):
    first = take(lake, inbox, "b.csv", csv_of(*trips(3)))
    before = (rows(lake, first.file), keys(inbox))
    assert go(lake, inbox, first.file).verdict == "accepted"
    assert (rows(lake, first.file), keys(inbox)) == before


def test_an_older_version_made_again_stays_replaced(lake, inbox):
    first = take(lake, inbox, "b.csv", csv_of(*trips(3)))
    second = take(lake, inbox, "b.csv", csv_of(*trips(2)))
    go(lake, inbox, first.file)
    assert (rows(lake, first.file), rows(lake, second.file)) == (0, 2)


def test_a_verdict_that_changes_when_made_again_leaves_one_answer(lake, inbox):
    manifest = take(lake, inbox, "b.csv", csv_of(*trips(2), trip(PLACA="ABCO234")))
    assert manifest.verdict == "rejected"
    again = go(lake, inbox, manifest.file, partial=True)
    assert again.verdict == "accepted"
    assert all(key.startswith("archive/accepted/") for key in keys(inbox))
    assert len(keys(inbox)) == 3


def test_a_correction_judged_first_says_what_it_corrects(lake, inbox):
    """One instance has received a file, another its correction, and the other is faster."""
    inbox.put("b.csv", csv_of(*trips(3)))
    first = receive_file(lake, inbox, file_of(inbox, "b.csv"))
    second = take(lake, inbox, "b.csv", csv_of(*trips(2)))
    assert second.replaces == [first.manifest.file]
    third = go(lake, inbox, first.manifest.file)
    assert (third.verdict, third.replaced_by) == ("accepted", second.file)
    assert (rows(lake, first.manifest.file), rows(lake, second.file)) == (0, 2)


def test_versions_come_in_their_order_whatever_the_clocks_of_two_machines_say(lake, inbox):
    first = take(lake, inbox, "b.csv", csv_of(*trips(3)))
    ahead = first.model_copy(update={"received_at": first.received_at + timedelta(hours=1)})
    lake.write_json(manifest_key(first.file), ahead.model_dump(mode="json"))
    second = take(lake, inbox, "b.csv", csv_of(*trips(2)))
    assert second.replaces == [first.file]
    assert (rows(lake, first.file), rows(lake, second.file)) == (0, 2)


def test_of_two_verdicts_on_a_file_the_later_one_is_answered(lake, inbox):
    """Two instances take it at once, and the partial good rows are taken by the second only."""
    inbox.put("b.csv", csv_of(*trips(2), trip(PLACA="ABCO234")))
    received = receive_file(lake, inbox, file_of(inbox, "b.csv"))
    rejected, accepted = (
        judge_file(lake, received, RuleSettings(partial=partial), Reference()) for partial in (False, True)
    )
    done = archive_file(lake, inbox, accepted, received.data)
    assert archive_file(lake, inbox, rejected, received.data) == done
    assert done.archived.startswith("archive/accepted/")
    assert all(key.startswith("archive/accepted/") for key in keys(inbox))
    assert len(keys(inbox)) == 3


def test_what_came_between_two_steps_is_not_forgotten_by_the_second(lake, inbox):
    """A correction is judged before its earlier version is archived."""
    inbox.put("b.csv", csv_of(*trips(3)))
    first = receive_file(lake, inbox, file_of(inbox, "b.csv"))
    judged = judge_file(lake, first, RuleSettings(), Reference())
    second = take(lake, inbox, "b.csv", csv_of(*trips(2)))
    archive_file(lake, inbox, judged, first.data)
    stored = read_file_manifest(lake, first.manifest.file)
    assert (stored.replaced_by, stored.verdict) == (second.file, "accepted")
    assert inbox.exists(stored.archived)
    assert take(lake, inbox, "b.csv", csv_of(*trips(3))).verdict == "accepted"


def test_a_file_that_changes_before_it_is_read_is_left_for_its_next_version(lake, inbox):
    inbox.put("b.csv", csv_of(*trips(1)))
    seen = {f.file_id: f for f in landed_files(inbox)}
    (file,) = seen
    inbox.put("b.csv", csv_of(*trips(2)))
    with pytest.raises(StillWritten):
        receive_file(lake, inbox, file, seen)
    assert read_file_manifest(lake, file) is None


def test_a_file_that_grows_while_it_is_read_is_left_for_its_next_version(lake, inbox, monkeypatch):
    if inbox.folder is None:
        pytest.skip("S3 gives one version or the other")
    inbox.put("b.csv", csv_of(*trips(1)))
    fstat, asked = os.fstat, []

    def grows(file: int) -> os.stat_result:
        status = fstat(file)
        if not asked and stat.S_ISREG(status.st_mode):
            with (inbox.folder / "b.csv").open("ab") as more:
                more.write(b"x")
        asked.append(file)
        return status

    monkeypatch.setattr(os, "fstat", grows)
    with pytest.raises(StillWritten):
        receive_file(lake, inbox, file_of(inbox, "b.csv"))
    assert list(lake.store.list("raw_boletins")) == []


@pytest.mark.parametrize("moment", ["read", "deleted"])
@pytest.mark.parametrize("link", ["file", "folder", "pipe"])
def test_what_took_the_place_of_a_file_that_was_seen_is_neither_read_nor_followed(tmp_path, moment, link):
    lake, inbox = Lake.open(f"file:{tmp_path}/lake"), ObjectStore.open(f"file:{tmp_path}/inbox")
    inbox.put("depot/b.csv", csv_of(*trips(1)))
    seen = {f.file_id: f for f in landed_files(inbox)}
    (file,) = seen
    if moment == "deleted":
        received = receive_file(lake, inbox, file, seen)
        judged = judge_file(lake, received, RuleSettings(), Reference())
    depot, elsewhere = tmp_path / "inbox/depot", tmp_path / "elsewhere"
    shutil.move(depot, elsewhere)  # the very same file: only the way to it is another
    if link == "folder":
        depot.symlink_to(elsewhere)
    else:
        depot.mkdir()
        (depot / "b.csv").symlink_to(elsewhere / "b.csv") if link == "file" else os.mkfifo(depot / "b.csv")
    if moment == "read":
        with pytest.raises(StillWritten):
            receive_file(lake, inbox, file, seen)
        assert list(lake.store.list("raw_boletins")) == []
    else:
        assert archive_file(lake, inbox, judged, received.data).archived
    assert (elsewhere / "b.csv").read_bytes() == csv_of(*trips(1))
    assert os.path.lexists(depot / "b.csv")


def test_the_archive_is_not_written_through_a_link(lake, inbox, tmp_path):
    if inbox.folder is None:
        pytest.skip("S3 has no links")
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "depot").mkdir(parents=True)
    inbox.put("depot/b.csv", csv_of(*trips(1)))
    (inbox.folder / "archive").symlink_to(elsewhere)
    with pytest.raises(StorageError, match="put a folder in its place"):
        go(lake, inbox, file_of(inbox, "depot/b.csv"))
    assert list((elsewhere / "depot").iterdir()) == []
    assert inbox.exists("depot/b.csv")


def test_a_file_of_two_gigabytes_is_answered_from_its_size_and_moved_within_the_inbox(lake, tmp_path):
    """Sparse, so that the test's disk holds none of it."""
    folder = tmp_path / "large"
    (folder / "depot").mkdir(parents=True)
    inbox = ObjectStore.open(f"file:{folder}")
    with (folder / "depot/Boletim.XLSX").open("wb") as file:
        file.truncate(2_000_000_000)
    landed = inbox.info("depot/Boletim.XLSX")
    manifest, grown = peak_of(lambda: go(lake, inbox, file_of(inbox, "depot/Boletim.XLSX")))
    assert grown < 100_000_000, f"{grown:,} bytes"
    assert (manifest.verdict, manifest.size) == ("rejected", 2_000_000_000)
    answer = orjson.loads(inbox.get(manifest.answer))
    assert answer["problems"][0]["message"] == "O arquivo tem 2000 MB; o limite é 10 MB."
    assert inbox.info(manifest.archived).size == 2_000_000_000
    assert inbox.info(manifest.archived).etag == landed.etag, "the very file"
    assert list(landed_files(inbox)) == []
    kept = list(lake.store.list(f"raw_boletins/arquivo={manifest.file}"))
    assert sum(info.size for info in kept) < 5_000
    again = go(lake, inbox, manifest.file)
    assert (again.verdict, again.archived) == (manifest.verdict, manifest.archived)


def test_a_file_a_little_too_large_is_moved_on_s3_as_well(lake, inbox):
    data = csv_of(*trips(2)) + b"\n" * LIMITS.size
    manifest = take(lake, inbox, "b.csv", data)
    assert manifest.verdict == "rejected"
    assert inbox.get(manifest.archived) == data
    assert list(landed_files(inbox)) == []
    assert take(lake, inbox, "b.csv", csv_of(*trips(2))).verdict == "accepted"


def peak_of(work: Callable[[], FileManifest]) -> tuple[FileManifest, int]:
    """What the work gives, and by how many bytes the process's memory grew at most."""
    process, over = psutil.Process(), threading.Event()
    before = process.memory_info().rss
    peaks = [before]

    def watch() -> None:
        while not over.wait(0.002):
            peaks.append(process.memory_info().rss)

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        return work(), max(peaks) - before
    finally:
        over.set()
        watching.join()


@pytest.mark.parametrize("name", ["a" * 249 + ".csv", "ç" * 120 + ".csv", "b." + "x" * 200])
def test_a_name_as_long_as_a_folder_takes_it_is_answered(lake, inbox, name):
    manifest = take(lake, inbox, name, csv_of(*trips(1)))
    assert manifest.verdict == "accepted"
    assert len(keys(inbox)) == 3


def test_a_file_whose_kept_bytes_are_others_is_not_judged_again(lake, inbox):
    manifest = take(lake, inbox, "b.csv", csv_of(*trips(3)))
    lake.store.put(manifest.original, csv_of(*trips(2)))
    with pytest.raises(ObjectDamaged, match=r"original\.csv cannot be read .*not those that were received"):
        receive_file(lake, inbox, manifest.file)


def test_of_many_files_those_after_three_that_the_storage_failed_are_not_tried(tmp_path):
    inbox = ObjectStore.open(f"file:{tmp_path}/inbox")
    for n in range(5):
        inbox.put(f"b{n}.csv", csv_of(*trips(1)))
    (tmp_path / "lake").write_text("no folder")
    files = [f.file_id for f in landed_files(inbox)]
    lake = Lake.open(f"file:{tmp_path}/lake")
    errors = [o.error for o in take_files(lake, inbox, files, RuleSettings(), Reference())]
    assert [isinstance(error, StorageError) for error in errors] == [True] * 3 + [False] * 2
    assert {type(error) for error in errors[3:]} == {NotTried}
    assert len(landed_files(inbox)) == 5


def test_a_file_that_is_nowhere_is_said(lake, inbox):
    with pytest.raises(NotThere, match="drop the file again"):
        receive_file(lake, inbox, "b.csv-0123456789")


class PowerCut(BaseException):
    """Nothing after it is done, whatever is caught."""


@pytest.mark.parametrize("step", and_long(6, 1))
def test_cut_at_every_single_write_and_started_again_the_file_ends_with_one_verdict(
    lake, inbox, monkeypatch, step
):
    """The correction of an accepted file is cut before its n-th write, for every n, then made to its end.

    On S3, where a file that comes again waits for the next second, for every third.
    """
    first = take(lake, inbox, "b.csv", csv_of(*trips(3)))
    for n in itertools.count(1, 3 * step if lake.store.uri().startswith("s3:") else step):
        key = f"b{n}.csv"
        old = take(lake, inbox, key, csv_of(*[{**t, "PLACA": f"ABC{n % 10}C{n:02d}"} for t in trips(3)]))
        inbox.put(key, csv_of(*[{**t, "PLACA": f"ABC{n % 10}C{n:02d}"} for t in trips(2)]))
        file = file_of(inbox, key)
        left = [n]
        with monkeypatch.context() as patch:
            writes = [(ObjectStore, name) for name in ("put", "put_new", "delete")]
            if inbox.folder:  # there the inbox is written without them
                writes += [(strangers, name) for name in ("write", "remove")]
            for owner, name in writes:
                real = getattr(owner, name)

                def counted(*args, real=real, left=left):
                    left[0] -= 1
                    if left[0] == 0:
                        raise PowerCut
                    return real(*args)

                patch.setattr(owner, name, counted)
            with suppress(PowerCut):
                go(lake, inbox, file)
        manifest = go(lake, inbox, file)
        assert manifest.verdict == "accepted", f"cut before write {n}"
        assert (rows(lake, old.file), rows(lake, file)) == (0, 2), f"cut before write {n}"
        assert list(landed_files(inbox)) == []
        assert len([k for k in keys(inbox) if file[-10:] in k]) == 3
        if left[0] > 0:
            break
    assert n > 8
    assert rows(lake, first.file) == 3


def take_all(said: Connection, *places: str) -> None:
    """Take what lies in the inbox, to the end."""
    inbox, lake = ObjectStore.open(places[0]), Lake.open(places[1])
    said.send("ready")
    for landed in sorted(landed_files(inbox), key=lambda f: f.key):
        go(lake, inbox, landed.file_id)
    said.send("done")


@pytest.mark.parametrize("most", and_long(4, 20))
def test_killed_at_random_moments_every_row_is_there_once(tmp_path, most):
    """SIGKILL, for real, again and again: what `kill -9` leaves is taken up where it lies."""
    places = [f"file:{tmp_path}/inbox", f"file:{tmp_path}/lake"]
    inbox, lake = ObjectStore.open(places[0]), Lake.open(places[1])
    names = [f"b{n:02d}.csv" for n in range(24)]
    for n, name in enumerate(names):
        plate = f"ABC{n % 10}C{n:02d}" if n % 6 else "ABCO234"  # every sixth is rejected
        inbox.put(name, csv_of(*[{**t, "PLACA": plate} for t in trips(1 + n)]))
    inbox.put("copy.csv", inbox.get("b01.csv"))
    landed = {f.key: f.file_id for f in landed_files(inbox)}
    dice, kills = random.Random(7), 0
    for _ in range(40):
        worker, said = begun(take_all, *places)
        time.sleep(dice.uniform(0.005, 0.12))
        if kills < most:
            worker.kill()
            kills += 1
        worker.join()
        with suppress(EOFError):
            assert said.recv() == "done"
            break
    assert kills >= most / 2
    manifests = {key: read_file_manifest(lake, file) for key, file in landed.items()}
    assert list(landed_files(inbox)) == []
    for n, name in enumerate(names):
        assert manifests[name].verdict == ("accepted" if n % 6 else "rejected")
        assert rows(lake, landed[name]) == (1 + n if n % 6 else 0)
    assert manifests["copy.csv"].verdict == "duplicate"
    assert rows(lake, landed["copy.csv"]) == 0
    archived = [k for k in keys(inbox) if not k.endswith(("_resposta.xlsx", "_resposta.json"))]
    assert len(archived) == len(landed)
