"""A simulated week with the real daemon, and no hand laid on it: in the end the lake is the truth.

    python benchmarks/week.py [--hours 168] [--halt 72 48] [--vehicles 12] [--seed 7]

Two carriers with every fault of the simulator, trips that come late and are amended; each is down for some
hours, and boletins land at all hours. Dagster's daemon runs beside a clock that jumps from hour to hour
(clock.c, compiled with gcc), and looks at it every second. Now and then a run's process is killed. At hour 72
everything is stopped, and started again 48 hours later, with a clock that goes as it does: how long it takes
until nothing is owed, and how fast the carriers were asked, is printed. Ends with 1 where an hour, a boletim
or a day is not right.
"""

import argparse
import os
import random
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
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

ROOT = Path(__file__).parents[1]
TOKEN_VARIABLE, TOKEN = "WEEK_TOKEN", "token-that-nobody-may-see"
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
MINUTE = 50  # past the hour, when the clock stops: all schedules of the hour are due
PATIENCE_S = 240
GLANCE_MS = 1_000  # how often the daemon looks at the clock; else its scheduler does once a minute
PACE = 5  # requests a second that a carrier allows
CARRIERS = {"norte": "simulator", "sul": "motive"}
DOWN = {"norte": (20, 31), "sul": (40, 43)}  # hours of the week in which they answer 503
KILLS = 0.05  # of the hours have a run that is killed


class World:
    """Carriers, lake, inbox, and a Dagster whose clock is set from here."""

    def __init__(self, folder: Path, options: argparse.Namespace) -> None:
        self.folder, self.home, self.inbox = folder, folder / "home", folder / "inbox"
        self.dice = random.Random(options.seed)
        library = folder / "clock.so"
        subprocess.run(
            ["gcc", "-O2", "-shared", "-fPIC", "-o", library, ROOT / "benchmarks/clock.c"], check=True
        )
        self.clock, self.processes = folder / "ahead", list[psutil.Process]()
        self.apis = {
            name: Simulator(Fleet(options.seed + n, options.vehicles), TOKEN, demo_faults(n), dialect=dialect)
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
        self.clock.write_bytes(bytes(16))
        self.environment = os.environ | {"LD_PRELOAD": str(library), "SIMULATED_CLOCK": str(self.clock)}
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
        with self.clock.open("r+b") as file:  # in place: the processes have it mapped
            file.write(struct.pack("qq", ahead, glance_ms))
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


def play(world: World, options: argparse.Namespace) -> None:
    """The week, hour by hour."""
    halt, length = options.halt
    arrivals: dict[int, list[tuple[date, str]]] = {}  # each day's boletins, at any hour of the next
    for day in range(options.hours // 24):
        for source in world.sources:
            hour = min((day + 1) * 24 + world.dice.randrange(24), options.hours)
            arrivals.setdefault(hour, []).append((world.begin.date() + day * DAY, source))
    world.set(world.begin + timedelta(minutes=MINUTE))
    world.start()
    time.sleep(20)  # a schedule's first tick is the one after its daemon has started
    for hour in range(1, options.hours + 1):
        began, stopped = time.monotonic(), halt <= hour < halt + length
        if hour == halt:
            world.stop()
        world.set(world.begin + hour * HOUR + timedelta(minutes=MINUTE))
        for day, source in arrivals.get(hour, ()):
            world.drop(day, source)
        if stopped:
            continue
        if hour == halt + length:
            cold_start(world, length)
            continue
        if world.dice.random() < KILLS:
            world.wait(lambda: bool(world.busy()))
            world.kill_a_run()
        world.wait(lambda: world.asked(world.now - timedelta(minutes=MINUTE)) and not world.busy())
        if hour % 12 == 0:
            print(f"hour {hour}: {world.owed()} hours owed, {time.monotonic() - began:.1f} s", flush=True)


def cold_start(world: World, hours: int) -> None:
    """Start everything, and say how long it takes until nothing of so many hours is owed."""
    began, asked = time.monotonic(), {name: len(api.requests) for name, api in world.apis.items()}
    counted: list[tuple[float, dict[str, int]]] = []
    steps: dict[str, float] = {}

    def settled() -> bool:
        now = time.monotonic() - began
        counted.append((now, {name: len(api.requests) - asked[name] for name, api in world.apis.items()}))
        for step, done in (
            ("the first request", any(counted[-1][1].values())),
            ("no hour owed", not world.owed()),
            ("no day to audit", "no hour owed" in steps and not world.busy() and not world.stale()),
        ):
            if done:
                steps.setdefault(step, now)
        return "no day to audit" in steps

    world.set(world.now, glance_ms=0)
    world.start()
    world.wait(settled, patience_s=1800)
    print(f"cold start over {hours} hours, seconds until: "
          + ", ".join(f"{step} {at:.0f}" for step, at in steps.items()))  # fmt: skip
    for name in world.apis:
        fastest = max(
            (later[name] - first[name]) / (then - at)
            for at, first in counted for then, later in counted if 4 <= then - at <= 6
        )  # fmt: skip
        print(f"  {name}: {counted[-1][1][name]} requests, at most {fastest:.1f} a second (it allows {PACE})",
              flush=True)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--hours", type=int, default=168)
    parser.add_argument("--halt", type=int, nargs=2, default=(72, 48), metavar=("HOUR", "HOURS"))
    parser.add_argument("--vehicles", type=int, default=12)
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    if not shutil.which("gcc"):
        sys.exit("gcc is not here: the simulated clock is compiled with it")
    folder, began = Path(tempfile.mkdtemp(prefix="telemetria-week-")), time.monotonic()
    world = World(folder, options)
    try:
        play(world, options)
        until = world.now - timedelta(minutes=MINUTE)
        for _ in range(60):  # what comes late or waits has its time, two nights and a day, and nobody's hand
            world.set(world.now + HOUR)
            time.sleep(8)
            world.wait(lambda: not world.busy())
            if not (problems := differences(world, until)):
                break
    finally:
        world.stop()
        for api in world.apis.values():
            api.close()
        world.instance.dispose()
    problems += told_the_token(folder)
    for problem in problems[:30]:
        print(problem)
    print(f"{options.hours} hours, {len(world.sent)} boletins: {len(problems)} differences, "
          f"{time.monotonic() - began:.0f} s; {folder}")  # fmt: skip
    if not problems:
        shutil.rmtree(folder)
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    main()
