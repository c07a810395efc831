"""An hour or a file that changed leaves a mark, whatever is cut short; one that did not leaves none."""

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from telemetria_pipeline.contracts.boletim import BOLETIM_TRIPS
from telemetria_pipeline.contracts.telemetry import LEDGER, TRIPS
from telemetria_pipeline.core.boletim.settings import Reference, RuleSettings
from telemetria_pipeline.steps.changed_days import pending_marks
from telemetria_pipeline.steps.intake import judge_file, partition_of, receive_file
from telemetria_pipeline.storage import Lake, ObjectStore
from telemetria_pipeline_tests.core.boletim.rows import csv_of
from telemetria_pipeline_tests.core.boletim.rows import trip as row
from telemetria_pipeline_tests.core.boletim.rows import trips as rows
from telemetria_pipeline_tests.defs.test_file_intake import PowerCut, file_of, go, take
from telemetria_pipeline_tests.defs.test_hour_safety import HOUR, bench, serve, trip

__all__ = ["bench", "serve"]  # another module's fixtures

DAY = timedelta(days=1)


def windows(lake: Lake) -> list[tuple[datetime, datetime]]:
    return [(m.start, m.end) for m in pending_marks(lake)]


def forget(lake: Lake) -> None:
    for mark in pending_marks(lake):
        lake.store.delete(mark.key)


# ---------------------------------------------------------------- hours


def test_an_hours_first_capture_leaves_a_mark_and_the_same_again_none(bench):
    bench.ingest(trip("a", minute=50))
    assert windows(bench.lake) == [(HOUR.start, HOUR.end + timedelta(minutes=10))]
    assert pending_marks(bench.lake)[0].telemetry
    forget(bench.lake)
    bench.ingest(trip("a", minute=50))
    assert windows(bench.lake) == []


def test_an_hour_without_trips_is_news_once(bench):
    bench.ingest()
    assert windows(bench.lake) == [(HOUR.start, HOUR.end)]
    bench.ingest()
    assert len(windows(bench.lake)) == 1


def test_a_trip_that_comes_late_touches_its_hour(bench):
    bench.ingest(trip("a"))
    forget(bench.lake)
    bench.ingest(trip("a"), trip("b"))
    assert windows(bench.lake) == [(HOUR.start, HOUR.end)]


@pytest.mark.parametrize("now", [[trip("a", km=13)], []], ids=["altered", "gone"])
def test_a_trip_that_is_taken_back_touches_the_days_beside_it(bench, now):
    bench.ingest(trip("a"))
    forget(bench.lake)
    bench.ingest(*now)
    assert windows(bench.lake) == [(HOUR.start - DAY, HOUR.end + DAY)]


def test_an_hour_that_closes_is_news_without_any_other_row(bench):
    bench.ingest(trip("a"), trip("b", e=None))
    forget(bench.lake)
    bench.ingest(trip("a"))
    assert windows(bench.lake) == [(HOUR.start, HOUR.end)]


# ---------------------------------------------------------------- files


@pytest.fixture
def inbox(address) -> ObjectStore:
    return ObjectStore.open(f"{address}/inbox")


@pytest.fixture
def lake(address) -> Lake:
    return Lake.open(f"{address}/lake")


def at(clock: str, day: int = 22) -> datetime:
    return datetime.fromisoformat(f"2026-11-{day}T{clock}-03:00").astimezone(UTC)


def test_an_accepted_file_leaves_a_mark_and_made_again_none(lake, inbox):
    file = take(lake, inbox, "b.csv", csv_of(*rows(3))).file
    assert windows(lake) == [(at("00:00"), at("00:40"))]
    assert not pending_marks(lake)[0].telemetry
    go(lake, inbox, file)
    assert len(windows(lake)) == 1


def test_a_rejected_and_a_duplicate_file_leave_none(lake, inbox):
    take(lake, inbox, "bad.csv", csv_of(row(PLACA="?")))
    assert windows(lake) == []
    take(lake, inbox, "b.csv", csv_of(*rows(3)))
    forget(lake)
    assert take(lake, inbox, "copy.csv", csv_of(*rows(3))).verdict == "duplicate"
    assert windows(lake) == []


def test_a_file_of_days_far_apart_touches_none_between(lake, inbox):
    take(lake, inbox, "b.csv", csv_of(row(), row(DATA="20/11/2026")))
    assert windows(lake) == [(at("07:30", 20), at("08:10", 20)), (at("07:30"), at("08:10"))]


def test_a_correction_touches_what_it_took_away_as_well(lake, inbox):
    take(lake, inbox, "b.csv", csv_of(row(), row(DATA="20/11/2026")))
    forget(lake)
    take(lake, inbox, "b.csv", csv_of(row(KM_CHEGADA="45151", KM_ROTA="28")))
    assert set(windows(lake)) == {(at("07:30", 20), at("08:10", 20)), (at("07:30"), at("08:10"))}
    forget(lake)
    third = take(lake, inbox, "b.csv", csv_of(row(KM_CHEGADA="45152", KM_ROTA="29")))
    assert set(windows(lake)) == {(at("07:30"), at("08:10"))}  # the first version had no rows any more
    forget(lake)
    go(lake, inbox, third.file)
    assert windows(lake) == []


def test_a_file_judged_otherwise_touches_the_rows_that_it_had(lake, inbox):
    file = take(lake, inbox, "b.csv", csv_of(row(), row(PLACA="?")), partial=True).file
    forget(lake)
    assert go(lake, inbox, file, partial=False).verdict == "rejected"
    assert windows(lake) == [(at("07:30"), at("08:10"))]


# ---------------------------------------------------------------- read, or cut, at any moment


class Reader:
    """An audit: it lists the marks, then reads the rows."""

    def __init__(self, lake: Lake, read: Callable[[], pd.DataFrame]) -> None:
        self.seen, self.rows = {m.key for m in pending_marks(lake)}, read()
        self.lake, self.read = lake, read

    def was_told(self) -> bool:
        news = {m.key for m in pending_marks(self.lake)} - self.seen
        return bool(news) or self.read().equals(self.rows)


def before_write(monkeypatch, number: int, happens: Callable[[], object], work: Callable[[], object]) -> bool:
    """Do the work; before its n-th write something happens. Whether there was such a write."""
    left = [number]
    with monkeypatch.context() as patch:
        for name in ("put", "put_new", "delete"):
            real = getattr(ObjectStore, name)

            def counted(self, *args, real=real):
                left[0] -= 1
                if left[0] == 0:
                    happens()
                return real(self, *args)

            patch.setattr(ObjectStore, name, counted)
        with suppress(PowerCut):
            work()
    return left[0] <= 0


def every_reader_is_told(monkeypatch, lake, number: int, cut: bool, read, work) -> bool:
    """Whoever read before the work, or in the midst of it, is told of what changed since, cut or not."""
    readers = [Reader(lake, read)]

    def happens() -> None:
        readers.append(Reader(lake, read))
        if cut:
            raise PowerCut

    reached = before_write(monkeypatch, number, happens, work)
    if cut:
        work()
    assert not readers[0].rows.equals(read())
    assert all(reader.was_told() for reader in readers), f"write {number}"
    return reached


@pytest.mark.parametrize("cut", [False, True], ids=["read", "cut"])
def test_whoever_reads_an_hour_while_it_changes_is_told(bench, monkeypatch, cut):
    def read() -> pd.DataFrame:
        return pd.concat([bench.stored(LEDGER)[["state"]], bench.stored(TRIPS)[["veiculo_id", "saida_utc"]]])

    news, number, more = [trip("b"), trip("c", minute=50), trip("d", e=None)], 0, True
    while more:
        number += 1
        bench.ingest(trip("a"), trip("b"))
        more = every_reader_is_told(monkeypatch, bench.lake, number, cut, read, lambda: bench.ingest(*news))
        assert bench.manifest().changing == []
    assert number > 6


@pytest.mark.parametrize("cut", [False, True], ids=["read", "cut"])
def test_whoever_reads_a_file_while_it_is_corrected_is_told(tmp_path, monkeypatch, cut):
    lake, inbox = Lake.open(f"file:{tmp_path}/lake"), ObjectStore.open(f"file:{tmp_path}/inbox")

    def judge(file: str) -> None:
        judge_file(lake, receive_file(lake, inbox, file), RuleSettings(), Reference())

    number, more = 0, True
    while more:
        number += 1
        key, plate = f"b{number}.csv", f"ABC{number % 10}C{number:02d}"
        files = []
        for count in (3, 2):
            inbox.put(key, csv_of(*[{**t, "PLACA": plate} for t in rows(count)]))
            files.append(file_of(inbox, key))
            if count == 3:
                judge(files[0])

        def read(files=files) -> pd.DataFrame:
            tables = lake.read_tables(BOLETIM_TRIPS.name, map(partition_of, files))
            return pd.concat([BOLETIM_TRIPS.frame(table).assign(file=p["arquivo"]) for p, table in tables])

        more = every_reader_is_told(monkeypatch, lake, number, cut, read, lambda f=files[1]: judge(f))
    assert number > 10
