"""The product on an embedded default: a simulated carrier, a folder lake, no service, no credential."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import pandas as pd

from telemetria_pipeline.assets.file_intake import landed_files, read_file_manifest
from telemetria_pipeline.assets.hour_ingest import read_manifest
from telemetria_pipeline.assets.hours_table import as_text, hours_table
from telemetria_pipeline.assets.resources import InboxResource, LakeResource
from telemetria_pipeline.contracts.telemetry import TRIPS
from telemetria_pipeline.core.hours import Hour
from telemetria_pipeline.definitions import defs
from telemetria_pipeline.partitions import BOLETIM_FILES, hour_of
from telemetria_pipeline.settings import Settings, SettingsError
from telemetria_pipeline.simulator import Fleet, Simulator, demo_faults
from telemetria_pipeline.simulator.boletins import as_csv, as_xlsx, declared
from telemetria_pipeline.storage.lake import Lake

DAY = "2026-03-10"
SEED = 7
VEHICLES = 40
TOKEN = "demo-token"
_HOME = Path("data/dagster")
_POLL_SECONDS = 0.2
_PATIENCE_SECONDS = 15
_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def run_demo(say: Callable[[str], None]) -> bool:
    """Ingest the demo's day from a carrier that misbehaves, tell how it goes, end with the day's table.

    Returns whether every hour got its answer. Raises `SettingsError` where a real carrier is configured:
    invented trips do not belong into its lake.
    """
    if Settings.from_env().api_url:
        raise SettingsError(
            "TELEMETRIA_API_URL is set: the demo writes invented trips and would mix them with a real "
            "carrier's. Run it without that variable (look into .env, too)"
        )
    if Settings.from_env().start > date.fromisoformat(DAY):
        raise SettingsError(f"TELEMETRIA_START is after the demo's day, {DAY}: run it without that variable")
    hours = [hour_of(f"{DAY}-{hour:02d}:00") for hour in range(24)]
    half_past_midnight = hours[-1].end + timedelta(minutes=30)
    with (
        simulated_carrier(as_of=half_past_midnight.astimezone(UTC)) as simulator,
        dagster_home() as instance,
    ):
        lake = LakeResource().open()
        say(f"{VEHICLES} simulated vehicles, every fault switched on, seed {SEED}: the 24 hours of {DAY}")
        began = time.monotonic()
        with _progress(lake, hours, say):
            result = defs.resolve_job_def("telemetry_job").execute_in_process(
                instance=instance,
                tags={
                    "dagster/asset_partition_range_start": hours[0].key,
                    "dagster/asset_partition_range_end": hours[-1].key,
                    "dagster/max_retries": "0",  # a demo that was stopped is not begun again by the daemon
                },
                run_config=_QUIET,
                raise_on_error=False,
            )
        took = time.monotonic() - began
        if not result.success:
            say("\nThe day was not ingested:")
            for event in result.filter_events(lambda e: e.is_step_failure):
                failure = event.step_failure_data
                told = failure.user_failure_data
                say(f"  {told.description if told else failure.error}")
            return False
        boletins = _drop_boletins(simulator.fleet, hours, instance)
    table = hours_table(lake, hours)
    totals = table.drop(columns=["hour", "state"]).sum().to_dict()
    table.loc[len(table)] = {"hour": "day", "state": "", **totals}
    say("\n" + as_text(table))
    say(f"\n{totals['accepted']} trips of {totals['received']} rows in {took:.1f} s, each accounted for.\n")
    say("Four boletins were dropped into the inbox; what became of each, and the answer to its sender in")
    say(f"{InboxResource().open().uri()}:\n")
    say(boletins.to_string(index=False))
    if (boletins["verdict"] == "duplicate").all():
        say("\nAll of them came in an earlier demo already; after `make clean` they are new again.")
    say(f"\nParquet:  {lake.glob(TRIPS.name)}")
    say("Next:     make dev (Dagster's UI with this day in it), make test, or query the Parquet with DuckDB:")
    say(f"          SELECT hora, count(*), sum(distancia_km) FROM '{lake.glob(TRIPS.name)}'")
    say(f"          WHERE data = '{DAY}' GROUP BY hora ORDER BY hora")
    return True


def _drop_boletins(fleet: Fleet, hours: Sequence[Hour], instance: dg.DagsterInstance) -> pd.DataFrame:
    """Drop a good CSV, a good workbook, a bad file and a repeat; run what the sensor would run."""
    inbox, lake = InboxResource().open(), LakeResource().open()
    for name, data in _boletins(fleet, hours).items():
        inbox.put(name, data)
    rows = []
    for landed in list(landed_files(inbox)):
        instance.add_dynamic_partitions(str(BOLETIM_FILES.name), [landed.file_id])
        defs.resolve_job_def("boletim_job").execute_in_process(
            instance=instance, partition_key=landed.file_id, run_config=_QUIET, raise_on_error=False
        )
        manifest = read_file_manifest(lake, landed.file_id)
        if manifest:
            answer = (manifest.answer or "").replace(".json", ".xlsx")
            rows.append(
                {"file": manifest.name, "verdict": manifest.verdict, **manifest.rows, "answer": answer}
            )
    return pd.DataFrame(rows)


def _boletins(fleet: Fleet, hours: Sequence[Hour]) -> dict[str, bytes]:
    zone = str(Settings.from_env().timezone)
    trips = [t for t in fleet.trips(hours[0].start, hours[-1].end) if t.vehicle.timezone == zone]
    plates = sorted({t.vehicle.plate for t in trips})

    def of(first: int, last: int) -> list[list[str | float]]:
        return declared((t for t in trips if t.vehicle.plate in plates[first:last]), fleet.carrier)

    bad = of(6, 8)
    bad[1][1] = str(bad[1][1])[:3] + "O" + str(bad[1][1])[4:]  # a letter O for the digit
    bad[3][8], bad[3][9] = bad[3][9], bad[3][8]  # the odometer runs backwards
    bad[5][5] = "25:90"
    good = as_csv(of(0, 3))
    return {
        "boletim_gloria.csv": good,
        "boletim_santa_rita.xlsx": as_xlsx(of(3, 6), f"{fleet.carrier} - boletim de {DAY}"),
        "boletim_com_erros.csv": as_csv(bad),
        "boletim_gloria_reenviado.csv": good,
    }


def run_dev(port: int, say: Callable[[str], None]) -> int:
    """Dagster's UI on `port`, with the demo's history; beside the simulator, unless a carrier is set.

    Returns the exit code of Dagster.
    """
    if Settings.from_env().api_url:
        with dagster_home() as instance:
            fail_orphans(instance)
        return _dagster(port)
    if read_manifest(LakeResource().open(), hour_of(f"{DAY}-00:00")) is None:
        run_demo(say)
    with simulated_carrier(as_of=None), dagster_home() as instance:
        fail_orphans(instance)
        say(f"Simulated carrier at {os.environ['TELEMETRIA_API_URL']}; Dagster at http://127.0.0.1:{port}")
        return _dagster(port)


def fail_orphans(instance: dg.DagsterInstance) -> None:
    """Say of the runs that an earlier Dagster left behind when it was killed that they failed.

    Their processes died with it, but nothing tells the database: they would hold their pool for ever.
    """
    left = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]
    for run in instance.get_runs(dg.RunsFilter(statuses=left)):
        instance.report_run_failed(run, "Its process died with the Dagster that had launched it")


@contextmanager
def simulated_carrier(as_of: datetime | None) -> Iterator[Simulator]:
    """The simulator on a port of its own, with the settings of this process pointing at it."""
    fleet = Fleet(SEED, vehicles=VEHICLES, timezone=str(Settings.from_env().timezone))
    with Simulator(fleet, token=TOKEN, faults=demo_faults(SEED), as_of=as_of) as simulator:
        pointed = {
            "TELEMETRIA_API_URL": simulator.url,
            "TELEMETRIA_API_TOKEN": TOKEN,
            "TELEMETRIA_API_PROFILE": "simulator",
            "TELEMETRIA_HOUR_RETRY_WAIT_S": "1",
        }
        before = {name: os.environ.get(name) for name in pointed}
        os.environ.update(pointed)
        try:
            yield simulator
        finally:
            for name, value in before.items():
                os.environ.pop(name, None)
                if value is not None:
                    os.environ[name] = value


@contextmanager
def dagster_home() -> Iterator[dg.DagsterInstance]:
    """The instance in DAGSTER_HOME, by default `data/dagster` with the project's `dagster.yaml`."""
    if not os.environ.get("DAGSTER_HOME"):
        _HOME.mkdir(parents=True, exist_ok=True)
        shutil.copy(_project_file("dagster.yaml"), _HOME)
        os.environ["DAGSTER_HOME"] = str(_HOME.resolve())
    with dg.DagsterInstance.get() as instance:
        yield instance


@contextmanager
def _progress(lake: Lake, hours: Sequence[Hour], say: Callable[[str], None]) -> Iterator[None]:
    """Say a line for each hour as soon as its tables are there."""
    began, finished = datetime.now(UTC), threading.Event()

    def watch() -> None:
        waiting = list(hours)
        while waiting:
            last_look = finished.is_set()
            for hour in list(waiting):
                manifest = read_manifest(lake, hour)
                current = manifest.current if manifest else None
                if manifest and current and current.captured_at >= began and manifest.published == current.id:
                    waiting.remove(hour)
                    say(f"  {hour.key[11:]}  {manifest.state:<15}  {manifest.accepted:>4} trips")
            if last_look:
                return
            finished.wait(_POLL_SECONDS)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        finished.set()
        watcher.join()


def _dagster(port: int) -> int:
    """Run Dagster's webserver and daemon until one of them ends or we are told to stop.

    They and the runs that they start are stopped together: a run left behind would go on asking.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            raise SettingsError(f"port {port} is taken: write make dev PORT={port + 1}") from None

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    # Started in the background of a script we ignore Ctrl-C, and so would Dagster: unstoppable.
    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    bin_folder, workspace = Path(sys.executable).parent, _project_file("workspace.yaml")
    started = [
        subprocess.Popen([bin_folder / name, *words, "-w", workspace], start_new_session=True)
        for name, words in (
            ("dagster-webserver", ["--host", "127.0.0.1", "--port", str(port)]),
            ("dagster-daemon", ["run"]),
        )
    ]
    try:
        while all(process.poll() is None for process in started):
            time.sleep(_POLL_SECONDS)
        return next(p.returncode for p in started if p.returncode is not None)
    except KeyboardInterrupt:
        return 0
    finally:
        for number, patience in ((signal.SIGTERM, _PATIENCE_SECONDS), (signal.SIGKILL, _PATIENCE_SECONDS)):
            for process in started:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, number)
            for process in started:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(patience)


def _project_file(name: str) -> Path:
    """A file of the project, in the working directory or beside the package."""
    found = next((f for f in (Path(name), Path(__file__).parents[1] / name) if f.exists()), None)
    if found is None:
        raise SettingsError(f"{name} is not here: run this in the project's folder")
    return found.resolve()
