"""Thirty telemetry sources, three of them in trouble: how long do the hours of the others wait?

    python benchmarks/sources.py [--sources 30] [--dead 1] [--minute 4] [--limit 60]

Dagster as `make dev` runs it (webserver, daemon, queue and pools of `dagster.yaml`), and a `sources.yaml`
in a temporary folder: some sources never answer, one answers after thirty seconds, one has a profile with
a key that nobody knows, all others are simulated carriers of eight vehicles. Each source is asked for an
hour at its own minute past the hour, as its schedule would, but a minute lasts `--minute` seconds: what
is spread over half an hour comes within two minutes. (The schedules themselves tick beside it, at their
real minutes.) The wait of an hour is from that moment until its trips are published. Ends with 1 where a
healthy source waits longer than `--limit` seconds, or one in trouble does not say what is wrong with it.
"""

import argparse
import math
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import psutil
import yaml
from dagster_graphql import DagsterGraphQLClient

from telemetria_pipeline.business_calendar import Hour
from telemetria_pipeline.carriers.profile import SHIPPED
from telemetria_pipeline.defs.telemetry.automation import minute_past
from telemetria_pipeline.settings import Settings
from telemetria_pipeline.simulator import Fleet, Simulator
from telemetria_pipeline.steps.hours import read_manifest
from telemetria_pipeline.storage.lake import Lake

ROOT = Path(__file__).parents[1]
TOKEN_VARIABLE, TOKEN = "BENCH_TOKEN", "bench-token"
SLOW_S, DEADLINE_S = 30, 60
PATIENCE_S = 600
FAILED = (dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED)
ENDED = (dg.DagsterRunStatus.SUCCESS, *FAILED)


def write_sources(folder: Path, count: int, dead: int, stack: ExitStack) -> dict[str, str]:
    """Start the carriers and write `sources.yaml`; each source's name → what is the matter with it."""
    profile = yaml.safe_load((SHIPPED / "simulator.yaml").read_text(encoding="utf-8"))
    profile["http"] = {"read_timeout_s": DEADLINE_S, "deadline_s": DEADLINE_S}
    (folder / "carrier.yaml").write_text(yaml.safe_dump(profile), encoding="utf-8")
    (folder / "broken.yaml").write_text(yaml.safe_dump(profile | {"feilds": {}}), encoding="utf-8")
    troubles = [*["dead"] * dead, "slow", "broken"]
    kinds = {f"carrier_{n:02d}": troubles[n] if n < len(troubles) else "healthy" for n in range(count)}
    document = {}
    for n, (name, kind) in enumerate(kinds.items()):
        if kind == "dead":  # the kernel takes the connection, and nobody ever reads the request
            nobody = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            url = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        else:
            delay = SLOW_S if kind == "slow" else 0
            carrier = Simulator(Fleet(n, vehicles=8), token=TOKEN, delay_seconds=delay)
            url = stack.enter_context(carrier).url
        document[name] = {
            "url": url,
            "profile": str(folder / ("broken.yaml" if kind == "broken" else "carrier.yaml")),
            "secrets": {"token": TOKEN_VARIABLE},
            "start": "2026-01-01",
        }
    (folder / "sources.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")
    return kinds


@contextmanager
def dagster(folder: Path) -> Iterator[DagsterGraphQLClient]:
    """What `make dev` starts, and a client of it once it answers."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = f"from telemetria_pipeline.cli import main; main(['dev', '--port', '{port}'])"
    with (folder / "dagster.log").open("w") as log:
        process = subprocess.Popen([sys.executable, "-c", command], cwd=ROOT, stdout=log, stderr=log)
        try:
            yield waited_for(lambda: _client(port), "Dagster's webserver")
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()


def _client(port: int) -> DagsterGraphQLClient | None:
    with suppress(Exception):
        return DagsterGraphQLClient("127.0.0.1", port)
    return None


def waited_for(look: Callable, what: str):
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(0.2)
    raise TimeoutError(f"{what} is not there after {PATIENCE_S} s")


def ask(client: DagsterGraphQLClient, source: str, hour: Hour) -> str:
    """What a tick of the source's schedule asks for; the run's id."""
    job, tags = f"telemetry_job_{source}", {"dagster/partition": hour.key}
    return client.submit_job_execution(job, "telemetria_pipeline.definitions", "__repository__", tags=tags)


def measure(
    client: DagsterGraphQLClient,
    instance: dg.DagsterInstance,
    lake: Lake,
    hours: dict[str, Hour],
    minute: float,
) -> tuple[dict[str, float], dict[str, str], float]:
    """Ask for each source's hour at its moment, until every run has ended.

    Returns each source's seconds from that moment to its published hour (those that got one), the ids of the
    runs, and the largest memory of a run's process in MB.
    """
    began = time.monotonic() + 1
    first = min(map(minute_past, hours))
    due = {source: began + (minute_past(source) - first) * minute for source in hours}
    asked: dict[str, Future[str]] = {}
    waits, largest = dict[str, float](), 0.0
    deadline = began + 30 * minute + PATIENCE_S
    with ThreadPoolExecutor(1) as asking:  # one after the other, as Dagster's scheduler
        while time.monotonic() < deadline:
            for source in sorted(set(due) - set(asked), key=due.__getitem__):
                if due[source] <= time.monotonic():
                    asked[source] = asking.submit(ask, client, source, hours[source])
            for source in set(asked) - set(waits):
                manifest = read_manifest(lake, hours[source])
                if manifest and manifest.published:
                    waits[source] = time.monotonic() - due[source]
            largest = max(largest, _largest_run())
            runs = {source: f.result() for source, f in asked.items() if f.done()}
            statuses = [instance.get_run_by_id(run).status for run in runs.values()]
            if len(runs) == len(hours) and all(status in ENDED for status in statuses):
                break
            time.sleep(0.5)
    return waits, runs, largest


def _largest_run() -> float:
    """The largest resident memory of a run's process now, in MB."""
    sizes = [0.0]
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            if "--multiprocessing-fork" in process.cmdline():
                sizes.append(process.memory_info().rss / 1e6)
    return max(sizes)


def failure_of(instance: dg.DagsterInstance, run_id: str) -> str:
    """What the run's failed step says."""
    logs = instance.all_logs(run_id, of_type=dg.DagsterEventType.STEP_FAILURE)
    said = [entry.dagster_event.step_failure_data.user_failure_data for entry in logs]
    return str(said[-1].description) if said and said[-1] else ""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sources", type=int, default=30, help="how many in all")
    parser.add_argument("--dead", type=int, default=1, help="how many of them never answer")
    parser.add_argument("--minute", type=float, default=4, help="seconds that a minute of theirs lasts")
    parser.add_argument("--limit", type=float, default=60, help="seconds that a healthy source may wait")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="telemetria-sources-"))
    home = folder / "home"
    home.mkdir()
    shutil.copy(ROOT / "dagster.yaml", home)
    os.environ |= {
        "DAGSTER_HOME": str(home),
        "TELEMETRIA_LAKE": f"file:{folder / 'lake'}",
        "TELEMETRIA_INBOX": f"file:{folder / 'inbox'}",
        "TELEMETRIA_SOURCES": str(folder / "sources.yaml"),
        "TELEMETRIA_HOUR_RETRIES": "0",  # two more tries of the dead source would only take longer
        TOKEN_VARIABLE: TOKEN,
    }
    lake, calendar = Lake.open(os.environ["TELEMETRIA_LAKE"]), Settings.load().calendar
    # Not the last full hour: that one the schedules ask for.
    end = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=1)
    with ExitStack() as stack:
        kinds = write_sources(folder, options.sources, options.dead, stack)
        client, instance = stack.enter_context(dagster(folder)), stack.enter_context(dg.DagsterInstance.get())
        before, *_ = calendar.hours(end - timedelta(hours=2), end, warm := list(kinds)[-1])
        waited_for(lambda: _asked(client, warm, before), "the code location")
        waited_for(lambda: read_manifest(lake, before), "a first hour, for which all is loaded")
        hours = {source: calendar.hours(end - timedelta(hours=1), end, source)[0] for source in kinds}
        waits, runs, largest = measure(client, instance, lake, hours, options.minute)
        found = instance.get_run_records(dg.RunsFilter(run_ids=list(runs.values())))
        by_id = {record.dagster_run.run_id: record for record in found}
        records = {source: by_id[run] for source, run in runs.items()}
        errors = {source: failure_of(instance, run) for source, run in runs.items()}
    healthy = {source: waits.get(source, math.inf) for source, kind in kinds.items() if kind == "healthy"}
    report(kinds, healthy, waits, records, errors, largest)
    wrong = [f"{s} waited {w:.1f} s" for s, w in healthy.items() if w > options.limit]
    for source, kind in kinds.items():
        says = {"dead": "no good answer within http.deadline_s", "broken": "feilds: unknown key"}.get(kind)
        if (says or "") not in errors[source] or bool(says) != bool(errors[source]):
            wrong.append(f"{source} ({kind}) says: {errors[source] or 'nothing'}")
        if (source in waits) != (kind in ("healthy", "slow")):
            wrong.append(f"{source} ({kind}) has {'an' if source in waits else 'no'} hour")
    print(f"limit {options.limit:g} s: {'; '.join(wrong) or 'kept'}")
    if wrong:
        sys.exit(f"Dagster's log is in {folder}")
    shutil.rmtree(folder)


def report(
    kinds: dict[str, str],
    healthy: dict[str, float],
    waits: dict[str, float],
    records: dict[str, dg.RunRecord],
    errors: dict[str, str],
    largest: float,
) -> None:
    """Print what became of the sources in trouble, and how long the others waited for what."""
    print(f"{'source':<12} {'is':<8} {'run':<8} {'published after':>15}  what its run says")
    for source, kind in kinds.items():
        if kind != "healthy":
            after = f"{waits[source]:.1f} s" if source in waits else "-"
            status = records[source].dagster_run.status.value.lower()
            print(f"{source:<12} {kind:<8} {status:<8} {after:>15}  {errors[source] or '-'}")
    times = [
        (r.create_timestamp.timestamp(), r.start_time, r.end_time) for r in map(records.get, healthy) if r
    ]
    begun = [(start - created, end - start) for created, start, end in times if start and end]
    print(f"\n{len(healthy)} healthy sources, seconds: {'median':>12} {'longest':>8}")
    for what, seconds in {
        "from its minute to the published hour": list(healthy.values()),
        "in the queue, and starting a process": [queued for queued, _ in begun],
        "in the run": [worked for _, worked in begun],
    }.items():
        print(f"{what:<38} {statistics.median(seconds):>8.1f} {max(seconds):>8.1f}")
    print(f"a run's process takes up to {largest:.0f} MB; load of the machine {os.getloadavg()[0]:.1f}")


def _asked(client: DagsterGraphQLClient, source: str, hour: Hour) -> str | None:
    with suppress(Exception):
        return ask(client, source, hour)
    return None


if __name__ == "__main__":
    main()
