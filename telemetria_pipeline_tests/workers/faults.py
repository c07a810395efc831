"""What may happen to a run on a worker, and what must hold after it."""

import time
from collections.abc import Callable
from typing import NamedTuple

import dagster as dg
import psutil
from dagster._core.launcher import LaunchRunContext

from telemetria_pipeline.contracts.telemetry import TRIPS
from telemetria_pipeline.steps.hours import read_manifest
from telemetria_pipeline.workers.lease import PAUSE_S, last_heard
from telemetria_pipeline_tests.one_source import hour_of
from telemetria_pipeline_tests.workers.production import ENDED, Production, Witness, waited_for

SUCCESS, FAILURE = dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE
SLOWLY_S = 0.7
AWAY_S = 130


class Struck(NamedTuple):
    """A run in the middle of its hours."""

    production: Production
    instance: dg.DagsterInstance
    run_id: str

    def process(self) -> psutil.Process:
        """The process that executes it; its parent is the worker."""
        return psutil.Process(self.production.worker_process(self.instance, self.run_id))

    def worker(self) -> str:
        """The name of its worker."""
        parent = self.process().ppid()
        return next(name for name, p in self.production.processes.items() if p.pid == parent)


Fault = Callable[[Struck], None]


def worker_killed(struck: Struck) -> None:
    """The whole worker: kill -9 (its machine is gone)."""
    struck.production.kill(struck.worker())


def worker_killed_early(struck: Struck) -> None:
    """The same, before the run began."""
    worker_killed(struck)


def process_killed(struck: Struck) -> None:
    """The run's process alone: kill -9 (out of memory)."""
    struck.process().kill()


def worker_frozen(struck: Struck) -> None:
    """The run's process stops, and goes on when its run was tried again."""
    process = struck.process()
    process.suspend()
    waited_for(lambda: struck.instance.get_run_by_id(struck.run_id).status == FAILURE, "the run given up")
    time.sleep(2)
    process.resume()


def broker_away(struck: Struck) -> None:
    """Nobody reaches the broker, for longer than the silence that is allowed."""
    struck.production.broker.cut()
    time.sleep(struck.production.silence_s * 1.3)
    struck.production.broker.mend()


def database_blinks(struck: Struck) -> None:
    """Nobody reaches PostgreSQL for two seconds."""
    struck.production.cut_database()
    time.sleep(2)
    struck.production.mend_database()


def database_away(struck: Struck) -> None:
    """Nobody reaches PostgreSQL, for longer than the silence that is allowed."""
    struck.production.cut_database()
    time.sleep(struck.production.silence_s * 1.3)
    struck.production.mend_database()


def worker_cut_off(struck: Struck) -> None:
    """The run's worker alone does not reach PostgreSQL, and still reaches the carrier."""
    line = struck.production.lines[struck.worker()]
    line.cut()
    waited_for(lambda: struck.instance.get_run_by_id(struck.run_id).status == FAILURE, "the run given up")
    time.sleep(2)
    line.mend()


def daemon_killed(struck: Struck) -> None:
    """The daemon: kill -9, and started again."""
    struck.production.kill("daemon")


def code_server_killed(struck: Struck) -> None:
    """The code server: kill -9, and started again."""
    struck.production.kill("code")


def redelivered(struck: Struck) -> None:
    """The broker hands the run out again while its worker lives."""
    with struck.production.instance() as instance:
        launcher = instance.run_launcher
        run = instance.get_run_by_id(struck.run_id)
        launcher.launch_run(LaunchRunContext(run, workspace=None))


LIVING = (broker_away, database_blinks, daemon_killed, code_server_killed, redelivered)
"""Faults that the run itself survives."""
FATAL = (worker_killed, worker_killed_early, process_killed, worker_frozen, worker_cut_off, database_away)
"""Faults upon which it is found dead, and tried again."""


class Survived(NamedTuple):
    """What it took, in seconds from the fault."""

    found_s: float | None  # until the run was failed, or another worker had it; None where it lived
    done_s: float


def strike(
    production: Production,
    instance: dg.DagsterInstance,
    carrier: Witness,
    source: str,
    hours: list[str],
    fault: Fault,
) -> Survived:
    """A run of the hours, struck in the middle, until they are done; raises where something is amiss."""
    lake, asked_before = production.lake, len(carrier.asked)
    carrier.delay_seconds = SLOWLY_S
    run_id = production.launch(source, hours)
    middle = hour_of(hours[len(hours) // 3], source)
    if fault is worker_killed_early:
        waited_for(lambda: last_heard(instance, run_id), f"the worker of run {run_id}")
    else:
        waited_for(lambda: (m := read_manifest(lake, middle)) and m.published, f"{middle.key} of {run_id}")
    struck = time.monotonic()
    fault(Struck(production, instance, run_id))
    first = waited_for(lambda: _ended(instance, run_id), f"the end of run {run_id}")
    found_s = time.monotonic() - struck if first.status == FAILURE else None
    carrier.delay_seconds = 0
    done = waited_for(lambda: _last_of(instance, run_id), f"the end of what became of run {run_id}")
    done_s = time.monotonic() - struck
    assert done.status == SUCCESS, f"{done.run_id}: {done.status}"
    assert first.status in (SUCCESS, FAILURE), f"{run_id}: {first.status}"
    # Dead before it began, it is begun again where the broker hands it out, else tried again.
    living = fault in LIVING or (fault is worker_killed_early and found_s is None)
    assert (found_s is None) == living, f"{fault.__name__}: run {run_id} {first.status}"
    assert_whole(production, carrier, source, hours)
    turns = carrier.runs(asked_before)
    assert len(turns) == len(set(turns)), f"two runs at one carrier: {turns}"
    ours = {run.run_id[:8] for run in instance.get_run_group(run_id)[1]}
    most = 1 if living or fault is worker_killed_early else 2
    assert sum(turn in ours for turn in turns) == most, turns
    return Survived(found_s, done_s)


def assert_whole(production: Production, carrier: Witness, source: str, hours: list[str]) -> None:
    """Every hour holds exactly the trips of its carrier, from a capture whose pages are all there."""
    for key in hours:
        hour, lake = hour_of(key, source), production.lake
        table = lake.read_table(TRIPS.name, hour.partition).to_pylist()
        stored = sorted((row["veiculo_id"], row["saida_utc"]) for row in table)
        true = sorted((trip.veiculo_id, trip.saida_utc) for trip in carrier.truth(hour.start, hour.end))
        assert stored == true, key
        manifest = read_manifest(lake, hour)
        assert {row["captura"] for row in table} <= {manifest.published}, key
        for capture in manifest.captures:
            assert sum(len(lake.get_raw(page.key)) for page in capture.pages) == capture.bytes, key


def _ended(instance: dg.DagsterInstance, run_id: str) -> dg.DagsterRun | None:
    try:
        run = instance.get_run_by_id(run_id)
    except Exception:  # the database is away
        return None
    return run if run.status in ENDED else None


def _last_of(instance: dg.DagsterInstance, run_id: str) -> dg.DagsterRun | None:
    """The run that succeeded, or the last one that nobody tries again."""
    _, group = instance.get_run_group(run_id)
    group = sorted(group, key=lambda run: int(run.tags.get("dagster/retry_number", 0)))
    last = group[-1]
    if last.status == FAILURE and last.tags.get("dagster/will_retry") != "false":
        return None
    return last if last.status in ENDED else None


def launched_without_broker(
    production: Production, instance: dg.DagsterInstance, carrier: Witness, source: str, hours: list[str]
) -> Survived:
    """A run that is launched while nobody reaches the broker waits in the queue until somebody does."""
    carrier.delay_seconds = 0
    asked_before = len(carrier.asked)
    production.broker.cut()
    run_id = production.launch(source, hours)
    time.sleep(AWAY_S)
    assert instance.get_run_by_id(run_id).status not in ENDED
    struck = time.monotonic()
    production.broker.mend()
    waited_for(lambda: (run := _ended(instance, run_id)) and run.status == SUCCESS, f"run {run_id}")
    done_s = time.monotonic() - struck
    assert_whole(production, carrier, source, hours)
    assert carrier.runs(asked_before).count(run_id[:8]) == 1
    return Survived(None, done_s)


def handed_back(
    production: Production, instance: dg.DagsterInstance, carrier: Witness, source: str, hours: list[str]
) -> Survived:
    """A run that a worker takes which reaches the broker, and not the database, is begun by another one."""
    carrier.delay_seconds = 0
    asked_before = len(carrier.asked)
    cut_off, other = "one", "two"
    production.takes_runs(other, False)
    try:
        production.lines[cut_off].cut()
        run_id = production.launch(source, hours)
        waited_for(lambda: f"[{run_id}] received" in production.said(cut_off), f"run {run_id} at {cut_off}")
        struck = time.monotonic()
    finally:
        production.takes_runs(other, True)
    waited_for(lambda: last_heard(instance, run_id), f"a worker for run {run_id}")
    begun_s = time.monotonic() - struck
    waited_for(lambda: (run := _ended(instance, run_id)) and run.status == SUCCESS, f"run {run_id}")
    done_s = time.monotonic() - struck
    production.lines[cut_off].mend()
    process = psutil.Process(production.worker_process(instance, run_id))
    assert process.ppid() == production.processes[other].pid
    times = production.said(cut_off).count(f"requeue=True: run {run_id}: no lease")
    assert 1 <= times <= begun_s / PAUSE_S, f"handed back {times} times in {begun_s:.1f} s"
    assert_whole(production, carrier, source, hours)
    assert carrier.runs(asked_before).count(run_id[:8]) == 1
    return Survived(begun_s, done_s)


def launched_without_code(
    production: Production, instance: dg.DagsterInstance, carrier: Witness, source: str, hours: list[str]
) -> Survived:
    """Runs that wait in the queue while nobody can load the definitions from the code server are done."""
    carrier.delay_seconds = 0
    production.stop("daemon")
    runs = [production.launch(source, [hour]) for hour in hours[:6]]
    production.stop("code")
    production.start_again("daemon")
    struck = time.monotonic()
    time.sleep(AWAY_S)
    production.start_again("code")
    waited_for(lambda: all(_ended(instance, run_id) for run_id in runs), f"runs {runs}")
    done_s = max(instance.get_run_record_by_id(run_id).end_time for run_id in runs)
    assert {instance.get_run_by_id(run_id).status for run_id in runs} == {SUCCESS}
    assert_whole(production, carrier, source, hours[:6])
    return Survived(None, done_s - (time.time() - (time.monotonic() - struck)))
