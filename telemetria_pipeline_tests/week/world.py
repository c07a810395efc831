"""A simulated week's world: carriers, lake, inbox, and Dagster's own processes beside a clock that is set."""

import os
import random
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import pandas as pd
import psutil
import yaml

from telemetria_pipeline.business_calendar import Hour
from telemetria_pipeline.carriers.sources import load_sources
from telemetria_pipeline.contracts.boletim import BOLETIM_TRIPS
from telemetria_pipeline.contracts.telemetry import TRIPS
from telemetria_pipeline.defs.runs import ACTIVE
from telemetria_pipeline.settings import Settings
from telemetria_pipeline.simulator import Fleet, Simulator, demo_faults
from telemetria_pipeline.simulator.boletins import as_csv, declared
from telemetria_pipeline.steps.backlog import backlog
from telemetria_pipeline.steps.staleness import plan_days, read_states
from telemetria_pipeline.storage.lake import Lake
from telemetria_pipeline_tests.clock import Clock

ROOT = Path(__file__).parents[2]
TOKEN_VARIABLE, TOKEN = "WEEK_TOKEN", "token-that-nobody-may-see"
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
MINUTE = 50  # past the hour, when the clock stops: all schedules of the hour are due
PATIENCE_S = 240
GLANCE_MS = 1_000  # how often the daemon looks at the clock; else its scheduler does once a minute
PACE = 5  # requests a second that a carrier allows
CARRIERS = {"norte": "simulator", "sul": "motive"}
DOWN = {"norte": (20, 31), "sul": (40, 43)}  # hours of the week in which they answer 503


class World:
    """Carriers, lake, inbox, and a Dagster whose clock is set from here."""

    def __init__(self, folder: Path, seed: int, vehicles: int) -> None:
        self.folder, self.home, self.inbox = folder, folder / "home", folder / "inbox"
        self.dice = random.Random(seed)
        self.clock, self.processes = Clock(folder), list[psutil.Process]()
        self.apis = {
            name: Simulator(Fleet(seed + n, vehicles), TOKEN, demo_faults(n), dialect=dialect)
            for n, (name, dialect) in enumerate(CARRIERS.items())
        }
        # From the next midnight on: what the file system says of a file's age is never younger than now.
        zone = Settings.load().timezone
        self.begin = datetime.combine(datetime.now(zone).date() + DAY, datetime.min.time(), tzinfo=zone)
        described = {
            name: {"url": self.apis[name].url, "profile": dialect, "secrets": {"token": TOKEN_VARIABLE},
                   "start": self.begin.date(), "pacing": {"requests_per_second": PACE}}
            for name, dialect in CARRIERS.items()
        }  # fmt: skip
        (folder / "sources.yaml").write_text(yaml.safe_dump(described), "utf-8")
        for each in (self.home, self.inbox):
            each.mkdir()
        shutil.copy(ROOT / "dagster.yaml", self.home)
        os.environ |= {
            "DAGSTER_HOME": str(self.home),
            "TELEMETRIA_LAKE": f"file:{folder / 'lake'}",
            "TELEMETRIA_INBOX": f"file:{self.inbox}",
            "TELEMETRIA_SOURCES": str(folder / "sources.yaml"),
            "TELEMETRIA_START": str(self.begin.date()),
            "TELEMETRIA_HOUR_RETRY_WAIT_S": "1",
            "DAGSTER_DAEMON_HEARTBEAT_TOLERANCE": "1000000",  # a jump is no silence
            TOKEN_VARIABLE: TOKEN,
        }
        self.environment = os.environ | self.clock.environment
        self.settings = Settings.load()
        self.sources = load_sources(self.settings)
        self.lake = Lake.open(self.settings.lake)
        self.instance = dg.DagsterInstance.get()
        self.sent: dict[str, int] = {}
        self.down = {name: (self.begin + a * HOUR, self.begin + b * HOUR) for name, (a, b) in DOWN.items()}

    def set(self, now: datetime, glance_ms: int = GLANCE_MS) -> None:
        """Let it be `now` in Dagster, and with the carriers; one that is down refuses every window.

        The daemon's waits are cut to `glance_ms`; 0: not at all.
        """
        self.now = now
        ahead = int(now.timestamp() - time.time())
        assert ahead > 0, "the clock may only go ahead of the real one"
        self.clock.set(ahead, glance_ms)
        for name, api in self.apis.items():
            first, last = self.down[name]
            api.as_of = now
            api.outages = [(self.begin - DAY, now + DAY)] if first <= now < last else []

    def start(self) -> None:
        """A code server and the daemon. (A code server of the daemon's own ends when its clock jumps.)"""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        place = {"host": "127.0.0.1", "port": port, "location_name": "telemetria"}
        workspace = self.folder / "workspace.yaml"
        workspace.write_text(yaml.safe_dump({"load_from": [{"grpc_server": place}]}), "utf-8")
        module = ["-m", "telemetria_pipeline.definitions"]
        self._begin("dagster", "api", "grpc", *module, "--host", "127.0.0.1", "--port", str(port))
        self.wait(lambda: _answers(port))
        self._begin("dagster-daemon", "run", "-w", str(workspace), SIMULATED_WAITS="1")

    def _begin(self, program: str, *words: str, **environment: str) -> None:
        command = [Path(sys.executable).parent / program, *words]
        with (self.folder / f"{program}.log").open("a") as log:
            process = subprocess.Popen(
                command, env=self.environment | environment, cwd=ROOT, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip
        self.processes.append(psutil.Process(process.pid))

    def stop(self) -> None:
        """Without a warning, and all that they started."""
        every = [p for mine in self.processes for p in (*mine.children(recursive=True), mine)]
        for process in every:
            process.kill()
        psutil.wait_procs(every)
        self.processes.clear()

    def kill_a_run(self) -> None:
        """One that is running now, if there is one: a child of the code server."""
        for process in self.processes[0].children(recursive=True):
            if "spawn_main" in " ".join(process.cmdline()):
                process.kill()
                return

    def busy(self) -> int:
        """Runs that have not ended."""
        return self.instance.get_runs_count(dg.RunsFilter(statuses=ACTIVE))

    def asked(self, hour: datetime) -> bool:
        """Whether each source had a run for the hour before."""
        for source in self.sources:
            key = self.settings.calendar.hours(hour - HOUR, hour, source)[0].key
            tags = {"dagster/partition": key}
            if not self.instance.get_runs_count(dg.RunsFilter(job_name=f"telemetry_job_{source}", tags=tags)):
                return False
        return True

    def owed(self) -> int:
        """Hours that are missing."""
        back = timedelta(days=self.settings.recapture_days)
        found = (backlog(self.lake, s, self.settings.calendar, self.now, back) for s in self.sources.values())
        return sum(state == "missing" for each in found for state in each.states.values())

    def stale(self) -> int:
        """Days whose audit is not of what the lake holds."""
        return len(plan_days(self.lake, self.settings, self.now).due)

    def wait(self, done: Callable[[], bool], patience_s: float = PATIENCE_S) -> None:
        """Until it is done, within reason."""
        began = time.monotonic()
        while not done():
            if time.monotonic() - began > patience_s:
                print(f"  {self.now:%d %H:%M}: not settled after {patience_s:.0f} s", flush=True)
                break
            time.sleep(0.25)

    def drop(self, day: date, source: str) -> None:
        """The boletim of a carrier's day, as it was driven."""
        api = self.apis[source]
        trips = api.fleet.trips(*(edge.astimezone(UTC) for edge in self.settings.calendar.day(day)))
        name = f"boletim {source} {day}.csv"
        (self.folder / name).write_bytes(as_csv(declared(trips, source)))
        (self.folder / name).rename(self.inbox / name)
        self.sent[name] = len(trips)


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def differences(world: World, until: datetime) -> list[str]:
    """What is not as it should be, a sentence each."""
    found = []
    for source, api in world.apis.items():
        for hour in world.settings.calendar.hours(world.begin, until, source):
            found += hour_differences(world, api, hour)
    tables = {p["arquivo"]: world.lake.read_table(BOLETIM_TRIPS.name, p)
              for p in world.lake.partitions(BOLETIM_TRIPS.name)}  # fmt: skip
    rows = {file: table.num_rows for file, table in tables.items() if table is not None}
    if sum(rows.values()) != sum(world.sent.values()) or len(rows) != len(world.sent):
        found.append(f"boletins: {rows} of {world.sent}")
    if left := [file.name for file in world.inbox.iterdir() if file.is_file()]:
        found.append(f"the inbox holds {left}")
    days = [world.begin.date() + n * DAY for n in range((until - world.begin).days)]
    states = read_states(world.lake, days) if days else {}
    found += [f"{day} was never audited" for day in days if day not in states]
    if due := plan_days(world.lake, world.settings, world.now).due:
        found.append(f"days are stale: {sorted(map(str, due))}")
    return found


def told_the_token(folder: Path) -> list[str]:
    """Files of lake, inbox, Dagster's home and logs that the token stands in."""
    files = (file for file in folder.rglob("*") if file.is_file())
    return [f"the token stands in {file}" for file in files if TOKEN.encode() in file.read_bytes()]


def hour_differences(world: World, api: Simulator, hour: Hour) -> list[str]:
    table = world.lake.read_table(TRIPS.name, hour.partition)
    if table is None:
        return [f"{hour.source} {hour.key} is missing"]
    columns = ["veiculo_id", "saida_utc", "chegada_utc", "distancia_km"]
    truth = pd.DataFrame(
        [[getattr(t, c) for c in columns] for t in api.truth(hour.start, hour.end)], columns=columns
    )
    stored = TRIPS.frame(table)[columns]
    for column in columns[1:3]:
        truth[column] = pd.to_datetime(truth[column], utc=True).astype("datetime64[us, UTC]")
    by = columns[:2]
    stored, truth = (f.sort_values(by).reset_index(drop=True) for f in (stored, truth))
    try:
        pd.testing.assert_frame_equal(stored, truth, check_dtype=False, rtol=0, atol=1e-6)
    except AssertionError as error:
        return [
            f"{hour.source} {hour.key}: {len(stored)} trips of {len(truth)}; {str(error).splitlines()[0]}"
        ]
    return []
