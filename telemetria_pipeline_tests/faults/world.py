"""Four hours of a carrier that are to come into a lake, whatever goes wrong on the way."""

import json
import random
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pandas as pd

from telemetria_pipeline.business_calendar import Hour
from telemetria_pipeline.carriers.client import CarrierClient
from telemetria_pipeline.carriers.profile import Profile, load_profile
from telemetria_pipeline.contracts.telemetry import LEDGER, TRIPS
from telemetria_pipeline.errors import PipelineError
from telemetria_pipeline.simulator import FaultPlan, Fleet, Simulator, TrueTrip
from telemetria_pipeline.steps.hours import last_known
from telemetria_pipeline.steps.ingest import ingest_hours
from telemetria_pipeline.steps.people import People
from telemetria_pipeline.storage import Lake
from telemetria_pipeline_tests.core.boletim.rows import csv_of, trips
from telemetria_pipeline_tests.defs.conftest import AFTER_THE_DAY, assert_same_trips, hour_key, vars_of
from telemetria_pipeline_tests.one_source import hour_of

if TYPE_CHECKING:
    from telemetria_pipeline_tests.faults.daemon import Daemon
    from telemetria_pipeline_tests.faults.house import House

TOKEN = "token-that-nobody-may-see"
HOURS = [hour_of(hour_key(hour)) for hour in (5, 6, 7, 8)]
_ROUNDS = 40
_QUICK = {"read_timeout_s": 0.4, "connect_timeout_s": 2, "deadline_s": 4, "capture_deadline_s": 20}


class NotSurvived(Exception):
    """What was lost, twice there, or said unclearly."""


class NotTried(Exception):
    """Why this machine cannot try the fault: it is neither survived nor lost."""


@dataclass(frozen=True)
class Try:
    """Where a try keeps its lake, its seed, and what all tries share: S3, the daemons."""

    folder: Path
    seed: int
    s3: SimpleNamespace
    daemon: Callable[[], "Daemon"]
    house: Callable[[], "House"]


@dataclass
class World:
    """A carrier, a lake at `address`, and what the runs said that failed."""

    address: str
    carrier: Simulator
    dice: random.Random
    url: str = ""
    token: str = TOKEN
    said: list[str] = field(default_factory=list)
    hours: list[Hour] = field(default_factory=lambda: HOURS)

    @property
    def folder(self) -> Path:
        """Where the lake lies, if not on S3."""
        return Path(self.address.removeprefix("file:"))

    @property
    def profile(self) -> Profile:
        """The simulator's, of a client that has no patience."""
        known = load_profile("simulator")
        return known.model_copy(update={"http": known.http.model_copy(update=_QUICK)})

    def run(self, hours: Sequence[Hour] = ()) -> None:
        """One run for all hours that are owed, or these of them, as the recapture would start it."""
        try:
            lake = Lake.open(self.address)
            owed = [
                hour
                for hour in hours or self.hours
                if not ((known := last_known(lake, hour)) and known.in_tables)
            ]
            with CarrierClient(
                self.profile,
                self.url or self.carrier.url,
                self.token,
                sleep=lambda s: time.sleep(min(s, 0.01)),
            ) as client:
                run_id = uuid.uuid4().hex
                for outcome in ingest_hours(lake, self.profile, client, owed, run_id, publish=True):
                    if outcome.error:
                        self.hear(outcome.error)
        except PipelineError as error:
            self.hear(error)

    def hear(self, error: Exception) -> None:
        """Note a failure. Raises `NotSurvived` where nobody could act on it."""
        if not isinstance(error, PipelineError):
            raise NotSurvived(f"{type(error).__name__} instead of a sentence: {error}") from error
        if TOKEN in str(error):
            raise NotSurvived("the token was told")
        self.said.append(str(error))

    def settle(self) -> None:
        """Runs until nothing is owed, and then the lake against the truth."""
        for _ in range(_ROUNDS):
            self.run()
            if self.whole():
                break
        else:
            raise NotSurvived(f"hours are owed after {_ROUNDS} runs: {self.said[-1:]}")
        self.compare()

    def compare(self) -> None:
        """The lake against the truth; and the token is nowhere in it."""
        lake = Lake.open(self.address)
        for hour in self.hours:
            assert_true(lake, self.carrier, hour)
        for info in lake.store.list():
            if TOKEN.encode() in lake.store.get(info.key):
                raise NotSurvived(f"the token stands in {info.key}")

    def whole(self) -> bool:
        """Whether every hour is in its tables."""
        lake = Lake.open(self.address)
        return all((known := last_known(lake, hour)) and known.in_tables for hour in self.hours)


def assert_true(lake: Lake, carrier: Simulator, hour: Hour) -> None:
    """That the hour's trips are the truth, each once, and its ledger says so."""
    table = lake.read_table(TRIPS.name, hour.partition)
    ledger = lake.read_table(LEDGER.name, hour.partition)
    if table is None or ledger is None:
        raise NotSurvived(f"{hour.key} has no tables")
    driven = [vars_of(trip) for trip in carrier.truth(hour.start, hour.end)]
    truth = pd.DataFrame(driven, columns=list(TrueTrip.__dataclass_fields__))
    try:
        assert_same_trips(People(lake).shown(TRIPS, TRIPS.frame(table)), truth)
    except AssertionError as error:
        raise NotSurvived(f"{hour.key} is not the truth: {error}") from None
    if (counted := ledger.to_pylist()[0])["accepted"] != table.num_rows:
        raise NotSurvived(f"{hour.key}: {table.num_rows} trips, the ledger says {counted}")


def drop_boletins(inbox: Path, sent: dict[str, int], count: int) -> None:
    """So many more than were `sent` (name → rows), each of a vehicle of its own."""
    for n in range(len(sent), len(sent) + count):
        rows = [{**trip, "PLACA": f"ABC{n % 10}C{n // 10:02d}"} for trip in trips(1 + n % 4)]
        (inbox / f"b{n:03d}.csv").write_bytes(csv_of(*rows))
        sent[f"b{n:03d}.csv"] = len(rows)


def told(here: World, *words: str) -> None:
    """That the first failure said what to do."""
    here.run()
    if not here.said or not all(word in here.said[0] for word in words):
        raise NotSurvived(f"it was not told as {words}: {here.said[:1]}")


@contextmanager
def world(
    folder: Path, seed: int, rates: dict[str, float] | None = None, s3: SimpleNamespace | None = None
) -> Iterator[World]:
    """A world of its own for one try; `rates` as for `FaultPlan`."""
    plan = FaultPlan(seed, rates or {}, hang_seconds=0.6)
    address = f"s3://{s3.bucket}/{uuid.uuid4().hex}" if s3 else f"file:{folder / uuid.uuid4().hex}"
    with Simulator(Fleet(seed % 97, vehicles=6), TOKEN, plan, as_of=AFTER_THE_DAY, page_limit=20) as carrier:
        yield World(address, carrier, random.Random(seed))


class Child:
    """A run in a process of its own, which may be killed; it begins when it is told to."""

    def __init__(self, of: World, file_bytes: int = 0) -> None:
        self.of = of
        words = [of.address, of.url or of.carrier.url, str(file_bytes)]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "telemetria_pipeline_tests.faults.child", *words],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self.process.stdout
        self.process.stdout.readline()

    def go(self) -> None:
        """Begin."""
        assert self.process.stdin
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def kill(self) -> None:
        """Without a warning."""
        self.process.kill()
        self.process.communicate()

    def end(self) -> None:
        """Wait for its end, and hear what it said."""
        said, _ = self.process.communicate(timeout=120)
        if self.process.returncode:
            raise NotSurvived(f"the run ended with {self.process.returncode}: {said}")
        self.of.said += json.loads(said)
