"""What the demo and Dagster's UI play on: the simulated carriers and an instance of Dagster."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import dagster as dg

from telemetria_pipeline.settings import Settings, SettingsError
from telemetria_pipeline.simulator import Simulator, demo_faults
from telemetria_pipeline.simulator.golden import GoldenMonth

SEED = 7
VEHICLES = 40
TOKEN = "demo-token"
_HOME = Path("data/dagster")


def golden_month() -> GoldenMonth:
    """The story that the demo takes a day of, in the contract's zone."""
    return GoldenMonth(SEED, VEHICLES, timezone=str(Settings.load().timezone))


@contextmanager
def simulated_carrier(as_of: datetime | None) -> Iterator[Simulator]:
    """The simulator on a port of its own, with the settings of this process pointing at it."""
    with golden_month().simulator(token=TOKEN, faults=demo_faults(SEED), as_of=as_of) as simulator:
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
        shutil.copy(project_file("dagster.yaml"), _HOME)
        os.environ["DAGSTER_HOME"] = str(_HOME.resolve())
    with dg.DagsterInstance.get() as instance:
        yield instance


def project_file(name: str) -> Path:
    """A file of the project, in the working directory or beside the package."""
    found = next((f for f in (Path(name), Path(__file__).parents[2] / name) if f.exists()), None)
    if found is None:
        raise SettingsError(f"{name} is not here: run this in the project's folder")
    return found.resolve()
