"""Dagster's UI beside the simulated carriers, with the demo's history in it."""

import fcntl
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import date
from pathlib import Path

from telemetria_pipeline.defs.partitions import CALENDAR
from telemetria_pipeline.defs.resources import PipelineResource
from telemetria_pipeline.demo.day import DAY, run_demo
from telemetria_pipeline.demo.stage import (
    SOURCES_FILE,
    dagster_home,
    project_file,
    real_sources,
    simulated_carriers,
)
from telemetria_pipeline.settings import Settings, SettingsError
from telemetria_pipeline.steps.hours import read_manifest

CYCLE_DAYS = 31
_POLL_SECONDS = 0.2
_PATIENCE_SECONDS = 15


def run_dev(port: int, say: Callable[[str], None]) -> int:
    """Dagster's UI on `port` with the demo's history, beside the simulated carriers unless others are set.

    A source that is added to `data/sources.yaml` is there after a reload in the UI.

    Returns the exit code of Dagster.
    """
    with dagster_home() as instance, _only_one(instance.root_directory):
        if real_sources(Settings.load()):
            return _dagster(port)
        if read_manifest(PipelineResource().lake(), CALENDAR.hour(f"{DAY}-00:00", "miragem")) is None:
            run_demo(say)
        # The demo's day is long over; a boletim that is dropped for it is to be audited all the same, and
        # nobody waits for what the carriers would have sent since.
        since = (date.today() - DAY).days + CYCLE_DAYS
        os.environ.setdefault("TELEMETRIA_AUDIT_DAYS", str(since))
        os.environ.setdefault("TELEMETRIA_RECAPTURE_DAYS", "1")
        # What was down on the demo's day answers again: whoever asks for its hours now gets them.
        with simulated_carriers(as_of=None, outages=()) as apis:
            addresses = ", ".join(f"{name} at {api.url}" for name, api in apis.items())
            say(f"Simulated carriers, in {SOURCES_FILE}: {addresses}")
            say(f"Dagster at http://127.0.0.1:{port}")
            return _dagster(port)


@contextmanager
def _only_one(home: str) -> Iterator[None]:
    """Keep a second Dagster off this home: two daemons would start each run twice."""
    with (Path(home) / "dev.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SettingsError(
                f"`make dev` is running already in {home}: stop it first, or set DAGSTER_HOME and "
                "TELEMETRIA_LAKE to folders of their own"
            ) from None
        yield


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
    bin_folder, workspace = Path(sys.executable).parent, project_file("workspace.yaml")
    started = [
        subprocess.Popen([bin_folder / name, *words, "-w", workspace], start_new_session=True)  # noqa: S603
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
