"""A carrier, an inbox, and Dagster's daemon a step at a time: what is to be there in the end, once."""

import random
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import yaml

from telemetria_pipeline.contracts.boletim import BOLETIM_TRIPS
from telemetria_pipeline.contracts.raw import FileManifest
from telemetria_pipeline.defs.runs import FIRST_TAG, LAST_TAG, PARTITION_TAG
from telemetria_pipeline.simulator import Fleet, Simulator
from telemetria_pipeline.steps.boletim_files import partition_of
from telemetria_pipeline.storage import Lake
from telemetria_pipeline_tests.faults.daemon import Daemon
from telemetria_pipeline_tests.faults.world import TOKEN, NotSurvived, Try, World, drop_boletins
from telemetria_pipeline_tests.one_source import CALENDAR

ROOT = Path(__file__).parents[2]
_ROUNDS = 15
_A_MINUTE = 61  # seconds


def manifests(lake: Lake) -> list[FileManifest]:
    """Of all boletins that were ever received."""
    found = (info.key for info in lake.store.list("raw_boletins") if info.key.endswith("/manifest.json"))
    return [FileManifest.model_validate(lake.read_json(key)) for key in found]


@dataclass
class Office:
    """Eight hours of a day, of which four were never asked for; boletins; and the steps to all of it."""

    folder: Path
    daemon: Daemon
    world: World
    sent: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.home, self.inbox = self.folder / "home", self.folder / "inbox"
        for each in (self.home, self.inbox):
            each.mkdir()
        instance = yaml.safe_load((ROOT / "dagster.yaml").read_text("utf-8"))
        module = f"{__package__}.launcher"
        instance["run_launcher"] = {"module": module, "class": "InStepLauncher"}
        instance["run_queue"]["dequeue_use_threads"] = False
        (self.home / "dagster.yaml").write_text(yaml.safe_dump(instance), "utf-8")
        self.environment = {
            "DAGSTER_HOME": str(self.home),
            "TELEMETRIA_API_URL": self.world.carrier.url,
            "TELEMETRIA_API_TOKEN": TOKEN,
            "TELEMETRIA_API_PROFILE": "simulator",
            "TELEMETRIA_LAKE": self.world.address,
            "TELEMETRIA_INBOX": f"file:{self.inbox}",
            "TELEMETRIA_INBOX_SETTLE_S": "0",
            "TELEMETRIA_HOUR_RETRIES": "0",
            "TELEMETRIA_AUDIT_REST_S": "86400",  # days are audited elsewhere
        }
        now = self.world.hours[-1].end + timedelta(minutes=10)
        self.daemon.clock.set(int((now - datetime.now(UTC)).total_seconds()))
        self.world.run([self.world.hours[0], *self.world.hours[5:]])

    @property
    def lake(self) -> Lake:
        """What all of it writes into."""
        return Lake.open(self.world.address)

    def drop(self, count: int) -> None:
        """So many boletins, each of a vehicle of its own."""
        drop_boletins(self.inbox, self.sent, count)

    def step(self, *names: str, **more: Any) -> int:
        """Steps of the daemon in one process, and how it ended."""
        self.begin(*names, **more)
        return self.daemon.end()

    def begin(self, *names: str, **more: Any) -> int:
        """The same, without waiting for its end: the number of the process."""
        return self.daemon.begin("turn", self.environment, steps=names, **more)

    def minute(self) -> None:
        """So that all sensors are due."""
        self.daemon.clock.set(self.daemon.clock.ahead_s + _A_MINUTE)

    def turn(self) -> None:
        """A minute passes, and the daemon does all that it has to do then."""
        self.minute()
        self.step("watch", "tick", "queue")

    def settle(self) -> None:
        """Turns until nothing is left to do, and then what is there against what was sent."""
        for _ in range(_ROUNDS):
            self.turn()
            if self.world.whole() and not self.waiting():
                break
        else:
            raise NotSurvived(
                f"after {_ROUNDS} turns: {self.waiting()} wait, {self.daemon.log.read_text()[-3000:]}"
            )
        self.compare()

    def waiting(self) -> list[str]:
        """The files that lie in the inbox."""
        return [file.name for file in self.inbox.iterdir() if file.is_file()]

    def compare(self) -> None:
        """Every hour and every row is there, once, and nothing was done twice."""
        self.world.compare()
        lake, known = self.lake, manifests(self.lake)
        rows = {m.name: lake.read_table(BOLETIM_TRIPS.name, partition_of(m.file)) for m in known}
        found = Counter({name: table.num_rows if table else 0 for name, table in rows.items()})
        if found != Counter(self.sent) or len(known) != len(self.sent):
            raise NotSurvived(f"boletins: {dict(found)} of {self.sent}")
        if twice := {what: n for what, n in self.succeeded().items() if n > 1}:
            raise NotSurvived(f"done more than once: {twice}")

    def succeeded(self) -> Counter[str]:
        """How many runs were well, of each hour and each file."""
        with self.instance() as instance:
            files = instance.get_dynamic_partitions("boletim_files")
            keys = [*(hour.key for hour in self.world.hours), *files]
            counted = Counter[str]()
            for run in instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.SUCCESS])):
                first = run.tags.get(FIRST_TAG, run.tags.get(PARTITION_TAG))
                if first in keys:
                    last = run.tags.get(LAST_TAG, first)
                    counted.update(keys[keys.index(first) : keys.index(last) + 1])
            return counted

    def failures(self, job: str) -> list[str]:
        """What the job's failed runs said."""
        with self.instance() as instance:
            failed = instance.get_runs(dg.RunsFilter(job_name=job, statuses=[dg.DagsterRunStatus.FAILURE]))
            kind = dg.DagsterEventType.STEP_FAILURE
            return [str(entry) for run in failed for entry in instance.all_logs(run.run_id, of_type=kind)]

    @contextmanager
    def instance(self) -> Iterator[dg.DagsterInstance]:
        """Dagster's history of it."""
        with dg.DagsterInstance.from_config(str(self.home)) as instance:
            yield instance


@contextmanager
def office(t: Try) -> Iterator[Office]:
    """An office of its own for one try."""
    dice = random.Random(t.seed)
    # So long ago that every trip had ended and every hour was settled when it was asked for.
    begin, _ = CALENDAR.day(datetime.now(CALENDAR.zone).date() - timedelta(days=2))
    hours = CALENDAR.hours(begin + timedelta(hours=6), begin + timedelta(hours=14), "main")
    with Simulator(Fleet(t.seed % 97, vehicles=6), TOKEN, as_of=datetime.now(UTC), page_limit=20) as carrier:
        yield Office(t.folder, t.daemon(), World(f"file:{t.folder / 'lake'}", carrier, dice, hours=hours))
