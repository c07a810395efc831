"""The index of days says what the tables hold, whatever is cut short; who read before sees a change."""

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta

import pandas as pd
import pytest

from telemetria_pipeline.contracts.boletim import BOLETIM_TRIPS
from telemetria_pipeline.contracts.telemetry import LEDGER, TRIPS
from telemetria_pipeline.core.boletim.settings import Reference, RuleSettings
from telemetria_pipeline.steps.boletim_files import partition_of
from telemetria_pipeline.steps.day_index import DayIndex, SourceDay
from telemetria_pipeline.steps.intake import judge_file, receive_file
from telemetria_pipeline.storage import Lake, ObjectStore
from telemetria_pipeline_tests.core.boletim.rows import csv_of
from telemetria_pipeline_tests.core.boletim.rows import trip as row
from telemetria_pipeline_tests.core.boletim.rows import trips as rows
from telemetria_pipeline_tests.defs.test_file_intake import PowerCut, file_of, go, take
from telemetria_pipeline_tests.defs.test_hour_safety import HOUR, bench, serve, trip
from telemetria_pipeline_tests.rounds import and_long

__all__ = ["bench", "serve"]  # another module's fixtures

NOV = date(2026, 11, 22)


def index_of(lake: Lake) -> DayIndex:
    return DayIndex.read(lake, date(2026, 1, 1), date(2026, 12, 31))


# ---------------------------------------------------------------- hours


def of_the_day(lake: Lake) -> SourceDay:
    return index_of(lake).sources[HOUR.day][HOUR.source]


def test_an_hour_says_what_its_tables_hold(bench):
    bench.ingest(trip("a", minute=50))
    entry = index_of(bench.lake).hour(HOUR)
    assert (entry.state, entry.rows) == ("captured", 1)
    assert entry.until == HOUR.end + timedelta(minutes=10)
    assert of_the_day(bench.lake).heard == ["main:a"]  # it has no plate


def test_the_same_again_is_no_news(bench):
    bench.ingest(trip("a"))
    before = of_the_day(bench.lake)
    bench.ingest(trip("a"))
    now = of_the_day(bench.lake)
    assert now.hours[HOUR.name].digest == before.hours[HOUR.name].digest
    assert (now.heard, now.taken_back) == (before.heard, "")


def test_an_hour_without_trips_is_known(bench):
    bench.ingest()
    entry = index_of(bench.lake).hour(HOUR)
    assert (entry.state, entry.rows, entry.until) == ("confirmed_empty", 0, None)


def test_a_trip_that_comes_late_takes_nothing_back(bench):
    bench.ingest(trip("a"))
    before = index_of(bench.lake).hour(HOUR)
    bench.ingest(trip("a"), trip("b"))
    assert index_of(bench.lake).hour(HOUR).digest != before.digest
    assert of_the_day(bench.lake).taken_back == ""


@pytest.mark.parametrize("now", [[trip("a", km=13)], []], ids=["altered", "gone"])
def test_a_trip_that_is_altered_or_gone_is_taken_back_each_time_anew(bench, now):
    bench.ingest(trip("a"))
    bench.ingest(*now)
    first = of_the_day(bench.lake).taken_back
    assert first
    bench.ingest(trip("a", km=17))
    bench.ingest(*now)
    assert of_the_day(bench.lake).taken_back not in ("", first)


def test_an_hour_that_closes_is_news_without_any_other_row(bench):
    bench.ingest(trip("a"), trip("b", e=None))
    before = index_of(bench.lake).hour(HOUR)
    bench.ingest(trip("a"))
    now = index_of(bench.lake).hour(HOUR)
    assert (before.state, now.state, now.digest) == ("open", "captured", before.digest)


# ---------------------------------------------------------------- files


@pytest.fixture
def inbox(address) -> ObjectStore:
    return ObjectStore.open(f"{address}/inbox")


@pytest.fixture
def lake(address) -> Lake:
    return Lake.open(f"{address}/lake")


def at(clock: str, day: int = 22) -> datetime:
    return datetime.fromisoformat(f"2026-11-{day}T{clock}-03:00").astimezone(UTC)


def days(lake: Lake) -> dict[str, tuple[datetime, datetime]]:
    return {
        str(day): (entry.start, entry.end)
        for day, files in index_of(lake).files.items()
        for entry in files.values()
    }


def test_an_accepted_file_says_its_days_and_made_again_the_same(lake, inbox):
    file = take(lake, inbox, "b.csv", csv_of(*rows(3))).file
    before = index_of(lake).files
    assert days(lake) == {"2026-11-22": (at("00:00"), at("00:40"))}
    assert index_of(lake).files_of([NOV]) == [file]
    go(lake, inbox, file)
    assert index_of(lake).files == before


def test_a_rejected_and_a_duplicate_file_say_nothing(lake, inbox):
    take(lake, inbox, "bad.csv", csv_of(row(PLACA="?")))
    assert days(lake) == {}
    first = take(lake, inbox, "b.csv", csv_of(*rows(3))).file
    assert take(lake, inbox, "copy.csv", csv_of(*rows(3))).verdict == "duplicate"
    assert index_of(lake).files_of([NOV]) == [first]


def test_a_file_of_days_far_apart_says_each(lake, inbox):
    take(lake, inbox, "b.csv", csv_of(row(), row(DATA="20/11/2026")))
    assert days(lake) == {
        "2026-11-20": (at("07:30", 20), at("08:10", 20)),
        "2026-11-22": (at("07:30"), at("08:10")),
    }


def test_a_correction_takes_the_entries_of_what_it_replaces_away(lake, inbox):
    first = take(lake, inbox, "b.csv", csv_of(row(), row(DATA="20/11/2026"))).file
    second = take(lake, inbox, "b.csv", csv_of(row(KM_CHEGADA="45151", KM_ROTA="28"))).file
    assert index_of(lake).files_of([NOV]) == [second] != [first]
    assert index_of(lake).files_of([date(2026, 11, 20)]) == [first], "of which the correction says nothing"
    before = index_of(lake).files[NOV][second].digest
    third = take(lake, inbox, "b.csv", csv_of(row(KM_CHEGADA="45152", KM_ROTA="29"))).file
    assert index_of(lake).files_of([NOV]) == [third]
    assert index_of(lake).files[NOV][third].digest != before


def test_a_file_judged_otherwise_loses_the_entries_that_it_had(lake, inbox):
    file = take(lake, inbox, "b.csv", csv_of(row(), row(PLACA="?")), partial=True).file
    assert list(days(lake)) == ["2026-11-22"]
    assert go(lake, inbox, file, partial=False).verdict == "rejected"
    assert days(lake) == {}


# ---------------------------------------------------------------- read, or cut, at any moment


class Reader:
    """An audit: it reads the index, then the rows."""

    def __init__(self, lake: Lake, read: Callable[[], pd.DataFrame]) -> None:
        self.seen, self.rows = index_of(lake), read()
        self.lake, self.read = lake, read

    def was_told(self) -> bool:
        now = index_of(self.lake)
        news = (now.sources, now.files) != (self.seen.sources, self.seen.files)
        return news or self.read().equals(self.rows)


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


@pytest.mark.parametrize("step", and_long(3, 1))
@pytest.mark.parametrize("cut", [False, True], ids=["read", "cut"])
def test_whoever_reads_an_hour_while_it_changes_is_told(bench, monkeypatch, cut, step):
    def read() -> pd.DataFrame:
        return pd.concat([bench.stored(LEDGER)[["state"]], bench.stored(TRIPS)[["veiculo_id", "saida_utc"]]])

    news, number, more = [trip("b"), trip("c", minute=50), trip("d", e=None)], 0, True
    while more:
        number += step
        bench.ingest(trip("a"), trip("b"))
        more = every_reader_is_told(monkeypatch, bench.lake, number, cut, read, lambda: bench.ingest(*news))
    assert number > 6


@pytest.mark.parametrize("step", and_long(6, 1))
@pytest.mark.parametrize("cut", [False, True], ids=["read", "cut"])
def test_whoever_reads_a_file_while_it_is_corrected_is_told(tmp_path, monkeypatch, cut, step):
    lake, inbox = Lake.open(f"file:{tmp_path}/lake"), ObjectStore.open(f"file:{tmp_path}/inbox")

    def judge(file: str) -> None:
        judge_file(lake, receive_file(lake, inbox, file), RuleSettings(), Reference())

    number, more = 0, True
    while more:
        number += step
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
