"""Dagster as `deploy/` sets it up, by its units' own commands, and what may happen to it."""

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from email.message import Message
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import dagster as dg
import kombu
import psycopg2
import requests
import yaml

from telemetria_pipeline.carriers.profile import SHIPPED
from telemetria_pipeline.contracts.telemetry import LEDGER, QUARANTINE, TRIPS
from telemetria_pipeline.simulator import Fleet, Simulator
from telemetria_pipeline.steps.hours import read_manifest
from telemetria_pipeline.storage.lake import Lake
from telemetria_pipeline.workers.lease import last_heard
from telemetria_pipeline_tests.one_source import hour_of

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
POSTGRES = ("127.0.0.1", 5432)
BROKERS = {"rabbitmq": "amqp://guest:guest@127.0.0.1:5672//", "redis": "redis://127.0.0.1:6379/0"}
TOKEN = "s3cr3t"
PATIENCE_S = 90
ENDED = (dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED)


def absent_services() -> list[str]:
    """Those of PostgreSQL, RabbitMQ and Redis that do not listen on their standard ports here."""
    places = {"PostgreSQL": POSTGRES} | {n: (u.hostname, u.port) for n, u in _broker_urls().items()}
    return [f"{name} at {host}:{port}" for name, (host, port) in places.items() if not _listens(host, port)]


def _broker_urls() -> dict[str, Any]:
    return {name: urlsplit(url) for name, url in BROKERS.items()}


def _listens(host: str, port: int) -> bool:
    with suppress(OSError), socket.create_connection((host, port), 2):
        return True
    return False


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


def waited_for(look: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(0.1)
    raise TimeoutError(f"{what}: not after {PATIENCE_S:g} s")


class Witness(Simulator):
    """A carrier that remembers which run asked when."""

    def __init__(self, seed: int, **more: Any) -> None:
        self.asked: list[tuple[float, str]] = []
        super().__init__(
            Fleet(seed, vehicles=8), token=TOKEN, as_of=datetime(2026, 3, 12, tzinfo=UTC), **more
        )

    def answer(self, target: str, headers: Message) -> Any:
        self.asked.append((time.monotonic(), headers["X-Request-ID"]))
        return super().answer(target, headers)

    def runs(self, since: int = 0) -> list[str]:
        """The runs that asked, by their turns: one that is named twice asked beside another."""
        names = [run for _, run in self.asked[since:]]
        return [name for n, name in enumerate(names) if n == 0 or names[n - 1] != name]

    def asked_by(self, run_id: str) -> int:
        """How often the run asked."""
        return sum(run == run_id[:8] for _, run in self.asked)


class Wire:
    """A TCP connection to `target` that can be cut and mended, as a broker or a database that goes away."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target, self._open = target, threading.Event()
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        self._open.set()
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Drop every connection and refuse new ones."""
        self._open.clear()
        pairs, self._pairs = self._pairs, []
        for pair in pairs:
            for end in pair:
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
                end.close()

    def mend(self) -> None:
        self._open.set()

    def _accept(self) -> None:
        while True:
            near, _ = self._server.accept()
            if not self._open.is_set():
                near.close()
                continue
            far = socket.create_connection(self._target)
            self._pairs.append((near, far))
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    @staticmethod
    def _pump(source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


PSEUDONYM_KEY = "of both lakes"


class Production:
    """One Dagster over PostgreSQL and a broker; what it starts and makes, `close()` takes away again."""

    def __init__(self, folder: Path, broker: str, s3: dict[str, str], silence_s: float, slots: int) -> None:
        self.folder, self.home, self.lake_folder = folder, folder / "home", folder / "lake"
        self.silence_s = silence_s
        self._unique = f"telemetria_test_{uuid.uuid4().hex[:10]}"
        self.other_queue = f"{self._unique}_other"
        self.processes: dict[str, subprocess.Popen] = {}
        self._again: dict[str, Callable[[], Any]] = {}
        self._closing = threading.Event()
        self.broker, self.database = Wire(_address(BROKERS[broker])), Wire(POSTGRES)
        self.lines: dict[str, Wire] = {}
        self._broker_url = BROKERS[broker]
        self._ports = {"4266": str(free_port()), "3000": str(free_port())}
        self.env = (
            {k: v for k, v in os.environ.items() if not k.startswith(("TELEMETRIA_", "DAGSTER_", "AWS_"))}
            | s3
            | {
                "DAGSTER_HOME": str(self.home),
                "DAGSTER_PG_HOST": "127.0.0.1",
                "DAGSTER_PG_PORT": str(self.database.port),
                "DAGSTER_PG_USER": "postgres",
                "DAGSTER_PG_PASSWORD": "",
                "DAGSTER_PG_DB": self._unique,
                "TELEMETRIA_BROKER_URL": _through(self._broker_url, self.broker),
                "TELEMETRIA_WORKER_QUEUE": self._unique,
                "TELEMETRIA_WORKER_SILENCE_S": str(silence_s),
                "TELEMETRIA_LAKE": f"file:{self.lake_folder}",
                "TELEMETRIA_INBOX": f"file:{folder / 'inbox'}",
                "TELEMETRIA_SOURCES": str(folder / "sources.yaml"),
                "TELEMETRIA_HOUR_RETRIES": "0",
                "TELEMETRIA_PSEUDONYM_KEY": PSEUDONYM_KEY,
                "CARRIER_TOKEN": TOKEN,
                "PYTHONPATH": str(ROOT),
            }
        )
        self.home.mkdir()
        self._write_instance(slots)
        with _postgres("postgres") as db:
            db.execute(f"CREATE DATABASE {self._unique}")

    def _write_instance(self, slots: int) -> None:
        instance = yaml.safe_load((DEPLOY / "dagster.yaml").read_text(encoding="utf-8"))
        instance["run_monitoring"] |= {"poll_interval_seconds": 1, "start_timeout_seconds": 60}
        instance["run_queue"]["user_code_failure_retry_delay"] = 2
        instance["concurrency"]["runs"] |= {"max_concurrent_runs": slots}
        (self.home / "dagster.yaml").write_text(yaml.safe_dump(instance), encoding="utf-8")
        workspace = (DEPLOY / "workspace.yaml").read_text(encoding="utf-8")
        (self.home / "workspace.yaml").write_text(workspace.replace("4266", self._ports["4266"]))

    def sources(self, **carriers: Simulator) -> None:
        """Write `sources.yaml`, before anything starts."""
        profile = yaml.safe_load((SHIPPED / "simulator.yaml").read_text(encoding="utf-8"))
        profile["http"] = {"read_timeout_s": 20, "deadline_s": 30}
        (self.folder / "carrier.yaml").write_text(yaml.safe_dump(profile), encoding="utf-8")
        about = {"profile": str(self.folder / "carrier.yaml"), "secrets": {"token": "CARRIER_TOKEN"}}
        document = {name: about | {"url": c.url, "start": "2026-03-01"} for name, c in carriers.items()}
        (self.folder / "sources.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")

    def begin(self) -> None:
        """Start the code server, the webserver and the daemon; returns once the UI knows the definitions.

        From here on a process that ends is started again, as `Restart=always` does.
        """
        threading.Thread(target=self._supervise, daemon=True).start()
        for unit in ("code", "webserver", "daemon"):
            self.start(unit)
        waited_for(lambda: self._location_loaded(), f"the code location (see {self.folder})")
        self._stop_recapture()

    def start(self, unit: str, name: str | None = None, *more: str, **env: str) -> subprocess.Popen:
        """Start a unit of `deploy/systemd` by its own command."""
        said = (DEPLOY / "systemd" / f"telemetria-{unit}.service").read_text(encoding="utf-8")
        command = re.search(r"^ExecStart=(.+)$", said, re.MULTILINE)[1]
        command = command.replace("/opt/telemetria/deploy", str(self.home))
        command = command.replace("/opt/telemetria/.venv/bin", str(Path(sys.executable).parent))
        words = [self._ports.get(word, word) for word in shlex.split(command)]
        name = name or unit
        self._again[name] = lambda: self.start(unit, name, *more, **env)
        with (self.folder / f"{name}.log").open("a") as log:
            self.processes[name] = subprocess.Popen(
                [*words, *more], cwd=self.folder, env=self.env | env, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip
        return self.processes[name]

    def worker(self, name: str, slots: int = 1, **env: str) -> subprocess.Popen:
        """Start a worker of its own name, with a line of its own to the database."""
        self.lines[name] = Wire(POSTGRES)
        env |= {"DAGSTER_PG_PORT": str(self.lines[name].port)}
        return self.start("worker", name, "--concurrency", str(slots), "--hostname", name, **env)

    def cut_database(self) -> None:
        """Nobody reaches PostgreSQL."""
        for wire in (self.database, *self.lines.values()):
            wire.cut()

    def mend_database(self) -> None:
        """All reach PostgreSQL again."""
        for wire in (self.database, *self.lines.values()):
            wire.mend()

    def _supervise(self) -> None:
        while not self._closing.wait(0.5):
            for name, process in list(self.processes.items()):
                if process.poll() is not None:
                    self._again[name]()

    def kill(self, name: str) -> None:
        """Kill -9 one process, and start it again."""
        self.stop(name)
        self.start_again(name)

    def stop(self, name: str) -> None:
        """Kill -9 one process, which stays dead."""
        process = self.processes.pop(name)
        process.kill()
        process.wait()

    def start_again(self, name: str) -> None:
        """Start what was stopped, as it was started before."""
        self._again[name]()

    def mend(self) -> None:
        """All that was cut or stopped is there again."""
        self.broker.mend()
        self.mend_database()
        for name in self._again.keys() - self.processes.keys():
            self.start_again(name)

    def takes_runs(self, worker: str, takes: bool) -> None:
        """Whether a worker takes runs from the queue; those that it has stay with it."""
        with self.instance() as instance:
            control = instance.run_launcher.celery.control
            order = control.add_consumer if takes else control.cancel_consumer
            answer = order(self._unique, destination=[f"celery@{worker}"], reply=True, timeout=20)
        assert len(answer) == 1, f"{worker}: {answer}"

    def said(self, name: str) -> str:
        """What a process has printed."""
        return (self.folder / f"{name}.log").read_text(encoding="utf-8")

    def _location_loaded(self) -> bool:
        with suppress(requests.RequestException, KeyError, TypeError):
            asked = """{ workspaceOrError { ... on Workspace { locationEntries {
                locationOrLoadError { __typename } } } } }"""
            (entry,) = self.graphql(asked)["workspaceOrError"]["locationEntries"]
            return entry["locationOrLoadError"]["__typename"] == "RepositoryLocation"
        return False

    def _stop_recapture(self) -> None:
        """The tests ask for the hours themselves; half a year of others is owed as well."""
        where = {
            "repositoryLocationName": "telemetria_pipeline.definitions",
            "repositoryName": "__repository__",
        }
        query = """query ($r: RepositorySelector!) { sensorsOrError(repositorySelector: $r) {
            ... on Sensors { results { name sensorState { id } } } } }"""
        for sensor in self.graphql(query, r=where)["sensorsOrError"]["results"]:
            if sensor["name"].startswith("telemetry_recapture"):
                stop = """mutation ($id: String!) { stopSensor(id: $id) { __typename } }"""
                done = self.graphql(stop, id=sensor["sensorState"]["id"])["stopSensor"]
                assert done["__typename"] == "StopSensorMutationResult", done

    def graphql(self, query: str, **variables: Any) -> Any:
        """What the UI asks of the webserver."""
        address = f"http://127.0.0.1:{self._ports['3000']}/graphql"
        said = requests.post(address, json={"query": query, "variables": variables}, timeout=60).json()
        if said.get("errors"):
            raise KeyError(str(said["errors"]))
        return said["data"]

    def launch(self, source: str, hours: list[str], **tags: str) -> str:
        """Ask for the hours in one run, as the UI's launchpad does; the run's id."""
        range_ = {
            "dagster/asset_partition_range_start": hours[0],
            "dagster/asset_partition_range_end": hours[-1],
        }
        query = """mutation ($p: ExecutionParams!) { launchRun(executionParams: $p) {
            __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }"""
        asked = {
            "selector": {
                "repositoryLocationName": "telemetria_pipeline.definitions",
                "repositoryName": "__repository__",
                "jobName": f"telemetry_job_{source}",
            },
            "mode": "default",
            "executionMetadata": {"tags": [{"key": k, "value": v} for k, v in (range_ | tags).items()]},
        }

        def launched() -> str | None:
            # Refused while the code server begins anew; and once by each connection that the webserver kept
            # to a database that was away.
            found = self.graphql(query, p=asked)["launchRun"]
            return found["run"]["runId"] if found["__typename"] == "LaunchRunSuccess" else None

        return waited_for(launched, f"a launch (see {self.folder}/webserver.log)")

    def backfill(self, source: str, hours: list[str]) -> str:
        """Backfill the assets of a source, as the UI's button does; the backfill's id."""
        query = """mutation ($p: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $p) {
            __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }"""
        keys = [{"path": [source, name]} for name in ("raw_telemetry", "telemetry_trips")]
        asked = {"assetSelection": keys, "partitionNames": hours}
        found = self.graphql(query, p=asked)["launchPartitionBackfill"]
        assert found["__typename"] == "LaunchBackfillSuccess", found
        return found["backfillId"]

    def terminate(self, run_id: str, policy: str = "SAFE_TERMINATE") -> None:
        """Terminate a run, as the UI's button does; what has not begun needs MARK_AS_CANCELED_IMMEDIATELY."""
        query = """mutation ($id: String!, $policy: TerminateRunPolicy) {
            terminateRun(runId: $id, terminatePolicy: $policy) {
            __typename ... on TerminateRunFailure { message } ... on PythonError { message } } }"""
        found = self.graphql(query, id=run_id, policy=policy)["terminateRun"]
        assert found["__typename"] == "TerminateRunSuccess", found

    @contextmanager
    def instance(self) -> Iterator[dg.DagsterInstance]:
        """The instance as every process of it loads it; this process's environment is set for it."""
        before = dict(os.environ)
        os.environ.clear()
        os.environ.update(self.env)
        try:
            with dg.DagsterInstance.get() as instance:
                yield instance
        finally:
            os.environ.clear()
            os.environ.update(before)

    def worker_process(self, instance: dg.DagsterInstance, run_id: str) -> int | None:
        """The process that holds the run's lease."""
        heard = last_heard(instance, run_id)
        return int(heard.worker.rsplit(" ", 1)[1]) if heard else None

    def waiting(self, queue: str) -> int:
        """How many runs wait in the broker's queue."""
        with kombu.Connection(self._broker_url) as connection, connection.channel() as channel:
            try:
                return channel.queue_declare(queue, passive=True).message_count
            except connection.channel_errors:
                return 0

    @property
    def lake(self) -> Lake:
        return Lake.open(f"file:{self.lake_folder}")

    def close(self) -> None:
        """Stop everything, and leave nothing behind in the services."""
        self._closing.set()
        for process in self.processes.values():
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self.broker.cut()
        self.cut_database()
        with _postgres("postgres") as db:
            db.execute(f"DROP DATABASE IF EXISTS {self._unique} WITH (FORCE)")
        with kombu.Connection(self._broker_url) as connection, connection.channel() as channel:
            for queue in (self._unique, self.other_queue):
                channel.queue_delete(queue)


def hours_of(day: int, first: int, last: int) -> list[str]:
    """The keys of hours FIRST to LAST of a day of March."""
    return [f"2026-03-{day:02d}-{hour:02d}:00" for hour in range(first, last + 1)]


def contents(lake: Lake, source: str, hours: list[str]) -> dict[str, Any]:
    """What the lake holds of the hours, but for what names the capture that brought it."""
    found: dict[str, Any] = {}
    for key in hours:
        hour = hour_of(key, source)
        manifest = read_manifest(lake, hour)
        found[f"{key} state"] = manifest and (manifest.state, len(manifest.captures))
        for contract in (TRIPS, QUARANTINE, LEDGER):
            table = lake.read_table(contract.name, hour.partition)
            kept = [c for c in contract.names if c not in ("capture", "captura", "captured_at_utc")]
            found[f"{key} {contract.name}"] = table and table.select(kept).to_pylist()
    return found


def _address(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return parts.hostname, parts.port


def _through(url: str, wire: Wire) -> str:
    return url.replace(f":{urlsplit(url).port}", f":{wire.port}")


@contextmanager
def _postgres(database: str) -> Iterator[Any]:
    host, port = POSTGRES
    connection = psycopg2.connect(host=host, port=port, user="postgres", dbname=database)
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            yield cursor
    finally:
        connection.close()
