"""What the demo and Dagster's UI play on: the simulated carriers and an instance of Dagster."""

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import dagster as dg
import yaml

from telemetria_pipeline.settings import Settings, SettingsError
from telemetria_pipeline.simulator import Simulator, demo_faults
from telemetria_pipeline.simulator.golden import SOURCES, GoldenMonth
from telemetria_pipeline.storage.object_store import make_folder

SEED = 7
VEHICLES = 40
TOKEN = "demo-token"  # noqa: S105, the simulator\'s
TOKEN_VARIABLE = "TELEMETRIA_DEMO_TOKEN"  # noqa: S105
# Of the transport faults: an API that is asked vehicle by vehicle would have them all day long.
LIVELINESS = {"simulator": 0.6, "motive": 0.1, "traccar": 0.02}
_HOME = Path("data/dagster")
SOURCES_FILE = Path("data/sources.yaml")
_YOURS = "\n# Above: the simulated carriers, written anew at each start. Below: your own sources.\n"


def real_sources(settings: Settings) -> str | None:
    """What says that real carriers are configured, or None."""
    if settings.api_url:
        return "TELEMETRIA_API_URL is set"
    file = Path(settings.sources)
    if file.exists() and file.resolve() != SOURCES_FILE.resolve():
        return f"{file} lists telemetry sources"
    return None


def golden_month() -> GoldenMonth:
    """The story that the demo takes a day of, in the contract's zone."""
    return GoldenMonth(SEED, VEHICLES, timezone=str(Settings.load().timezone))


@contextmanager
def simulated_carriers(as_of: datetime | None, **options: Any) -> Iterator[dict[str, Simulator]]:
    """The carriers' APIs by source, with the settings of this process pointing at them.

    `options` are those of `Simulator`.
    """
    month = golden_month()
    faults = {s.slug: demo_faults(month.story.seed_of(s), LIVELINESS[s.dialect]) for s in SOURCES}
    with month.simulators(faults, token=TOKEN, as_of=as_of, **options) as apis:
        write_sources(SOURCES_FILE, apis)
        pointed = {
            "TELEMETRIA_SOURCES": str(SOURCES_FILE.resolve()),
            TOKEN_VARIABLE: TOKEN,
            "TELEMETRIA_HOUR_RETRIES": "0",  # the client's own retries outlast every fault but an outage
        }
        before = {name: os.environ.get(name) for name in pointed}
        os.environ.update(pointed)
        try:
            yield apis
        finally:
            for name, value in before.items():
                os.environ.pop(name, None)
                if value is not None:
                    os.environ[name] = value


def write_sources(file: Path, apis: Mapping[str, Simulator]) -> None:
    """Describe the running APIs at the head of `file`; what a person wrote below them stays."""
    ours = {
        source.slug: {
            "url": apis[source.slug].url,
            "profile": source.dialect,
            "secrets": {"token": TOKEN_VARIABLE},
            "start": golden_month().days[0],
            "carriers": [source.carrier],
        }
        for source in SOURCES
    }
    before = file.read_text("utf-8") if file.exists() else ""
    theirs = before.rpartition(_YOURS)[2]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"{yaml.safe_dump(ours, allow_unicode=True, sort_keys=False)}{_YOURS}{theirs}", "utf-8")


@contextmanager
def dagster_home() -> Iterator[dg.DagsterInstance]:
    """The instance in DAGSTER_HOME, by default `data/dagster` with the project's `dagster.yaml`."""
    if not os.environ.get("DAGSTER_HOME"):
        make_folder(_HOME)
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
