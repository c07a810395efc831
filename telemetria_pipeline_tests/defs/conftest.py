"""The whole pipeline as it runs: a real instance, a real carrier on a socket, a lake in a folder."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType

import dagster as dg
import pandas as pd
import pytest

from telemetria_pipeline.carriers.sources import MAIN
from telemetria_pipeline.contracts import Contract
from telemetria_pipeline.contracts.raw import HourManifest
from telemetria_pipeline.contracts.telemetry import TRIPS
from telemetria_pipeline.definitions import build_definitions
from telemetria_pipeline.defs.telemetry.assets import trips_key
from telemetria_pipeline.simulator import Fleet, Simulator
from telemetria_pipeline.steps.hours import read_manifest
from telemetria_pipeline.steps.people import People
from telemetria_pipeline.storage.lake import Lake
from telemetria_pipeline_tests.one_source import hour_of

TOKEN = "s3cr3t/token+with=signs"  # not a secret
DAY = "2026-03-10"
AFTER_THE_DAY = datetime(2026, 3, 11, 6, tzinfo=UTC)  # three hours after its last one, São Paulo


def hour_key(hour: int) -> str:
    return f"{DAY}-{hour:02d}:00"


@dataclass
class Pipeline:
    """Runs of the real job, and what they left."""

    instance: dg.DagsterInstance
    lake: Lake
    folder: Path

    def run(
        self,
        first: str,
        last: str | None = None,
        only: str | None = None,
        tags: Mapping[str, str] = MappingProxyType({}),
    ) -> dg.ExecuteInProcessResult:
        range_tags = {
            "dagster/asset_partition_range_start": first,
            "dagster/asset_partition_range_end": last,
        }
        where = {"partition_key": first, "tags": tags} if last is None else {"tags": {**range_tags, **tags}}
        return (
            build_definitions()
            .resolve_job_def("telemetry_job_main")
            .execute_in_process(
                instance=self.instance,
                raise_on_error=False,
                asset_selection=[dg.AssetKey([MAIN, only])] if only else None,
                **where,
            )
        )

    def recheck(self) -> dg.ExecuteInProcessResult:
        checks = dg.AssetSelection.checks_for_assets(trips_key(MAIN))
        defs = dg.Definitions.merge(
            build_definitions(), dg.Definitions(jobs=[dg.define_asset_job("checks", checks)])
        )
        return defs.resolve_job_def("checks").execute_in_process(instance=self.instance, raise_on_error=False)

    def table(self, contract: Contract, *hours: str) -> pd.DataFrame:
        found = [self.lake.read_table(contract.name, hour_of(hour).partition) for hour in hours]
        stored = pd.concat([contract.frame(t) for t in found if t is not None] or [contract.empty()])
        return People(self.lake).shown(contract, stored)

    def manifest(self, hour: str) -> HourManifest | None:
        return read_manifest(self.lake, hour_of(hour))

    def materialized(self, asset: str = TRIPS.name) -> set[str]:
        return self.instance.get_materialized_partitions(dg.AssetKey([MAIN, asset]))

    def checks(self, result: dg.ExecuteInProcessResult) -> dict[str, bool]:
        return {e.check_name: e.passed for e in result.get_asset_check_evaluations()}


@pytest.fixture
def pipeline(tmp_path, monkeypatch) -> Iterator[Pipeline]:
    monkeypatch.setenv("TELEMETRIA_LAKE", f"file:{tmp_path / 'lake'}")
    monkeypatch.setenv("TELEMETRIA_HOUR_RETRIES", "0")
    with dg.DagsterInstance.ephemeral(tempdir=str(tmp_path)) as instance:
        yield Pipeline(instance, Lake.open(f"file:{tmp_path / 'lake'}"), tmp_path)


@pytest.fixture
def point_at(monkeypatch):
    """Point the settings at a carrier."""

    def point(url: str, token: str = TOKEN, profile: str = "simulator") -> None:
        monkeypatch.setenv("TELEMETRIA_API_URL", url)
        monkeypatch.setenv("TELEMETRIA_API_TOKEN", token)
        monkeypatch.setenv("TELEMETRIA_API_PROFILE", profile)

    return point


@pytest.fixture
def carrier(point_at) -> Iterator[Simulator]:
    """An honest carrier with eight vehicles, the day over; tests inject what goes wrong."""
    with Simulator(Fleet(11, vehicles=8), token=TOKEN, as_of=AFTER_THE_DAY) as simulator:
        point_at(simulator.url)
        yield simulator


def truth_of(simulator: Simulator, first: str, last: str | None = None) -> pd.DataFrame:
    start, end = hour_of(first).start, hour_of(last or first).end
    return pd.DataFrame([vars_of(t) for t in simulator.truth(start, end)])


def vars_of(trip) -> dict:
    return {name: getattr(trip, name) for name in trip.__dataclass_fields__}


def assert_same_trips(found: pd.DataFrame, truth: pd.DataFrame) -> None:
    """Trip for trip, value for value, for every column that the truth knows."""
    by = ["veiculo_id", "saida_utc"]
    columns = list(truth.columns)
    found, truth = (f[columns].sort_values(by).reset_index(drop=True) for f in (found, truth))
    for column in ("saida_utc", "chegada_utc"):
        truth[column] = pd.to_datetime(truth[column], utc=True).astype("datetime64[us, UTC]")
    pd.testing.assert_frame_equal(found, truth, check_dtype=False, rtol=0, atol=1e-6)


def next_hour(key: str) -> str:
    return (datetime.fromisoformat(key[:10] + "T" + key[11:]) + timedelta(hours=1)).strftime("%Y-%m-%d-%H:%M")
