"""Many carriers in one lake, as they run: whatever is the matter with one of them stays with it."""

import re
import socket
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from click.testing import CliRunner

from telemetria_pipeline.carriers.profile import SHIPPED
from telemetria_pipeline.cli import main
from telemetria_pipeline.contracts.telemetry import TRIPS
from telemetria_pipeline.definitions import build_definitions
from telemetria_pipeline.defs.telemetry.assets import raw_key, trips_key
from telemetria_pipeline.defs.telemetry.automation import minute_past
from telemetria_pipeline.settings import Settings
from telemetria_pipeline.simulator import Fleet, Simulator
from telemetria_pipeline.steps.hours import read_manifest
from telemetria_pipeline_tests.defs.conftest import AFTER_THE_DAY, TOKEN, Pipeline, hour_key
from telemetria_pipeline_tests.one_source import hour_of

HEALTHY, ILL = ("alfa", "beta", "slow"), ("dead", "broken", "tokenless")
KEY = hour_key(7)
SLOW_S = 2
PROFILE = yaml.safe_load((SHIPPED / "simulator.yaml").read_text(encoding="utf-8"))


class Sources:
    """A `sources.yaml` that the settings name, its carriers on sockets, and runs of its sources."""

    def __init__(self, folder: Path, pipeline: Pipeline) -> None:
        self._folder, self.pipeline = folder, pipeline
        self._described: dict[str, dict[str, Any]] = {}

    def add(self, name: str, url: str, secret: str = "CARRIER_TOKEN", **profile: Any) -> None:
        file = self._folder / f"{name}.yaml"
        file.write_text(yaml.safe_dump(PROFILE | profile), encoding="utf-8")
        about = {"url": url, "profile": str(file), "secrets": {"token": secret}, "start": "2026-03-01"}
        self._described[name] = about
        (self._folder / "sources.yaml").write_text(yaml.safe_dump(self._described), encoding="utf-8")

    def specs(self) -> dict[dg.AssetKey, dg.AssetSpec]:
        return {spec.key: spec for spec in build_definitions().resolve_all_asset_specs()}

    def run(self, source: str) -> dg.ExecuteInProcessResult:
        job = build_definitions().resolve_job_def(f"telemetry_job_{source}")
        return job.execute_in_process(
            instance=self.pipeline.instance, partition_key=KEY, raise_on_error=False
        )

    def state(self, source: str) -> str | None:
        manifest = read_manifest(self.pipeline.lake, hour_of(KEY, source))
        return manifest and manifest.state


@pytest.fixture
def sources(pipeline, tmp_path, monkeypatch) -> Sources:
    monkeypatch.setenv("TELEMETRIA_SOURCES", str(tmp_path / "sources.yaml"))
    monkeypatch.setenv("CARRIER_TOKEN", TOKEN)
    monkeypatch.delenv("NO_SUCH_TOKEN", raising=False)
    return Sources(tmp_path, pipeline)


@pytest.fixture
def carriers() -> Iterator[Callable[..., Simulator]]:
    started = []

    def start(seed: int, **more: Any) -> Simulator:
        started.append(Simulator(Fleet(seed, vehicles=8), token=TOKEN, as_of=AFTER_THE_DAY, **more))
        return started[-1]

    yield start
    for carrier in started:
        carrier.close()


@pytest.fixture
def six(sources, carriers) -> Iterator[Sources]:
    """Two healthy, one slow, one that takes every call and never answers, one misspelt, one without token."""
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        sources.add("dead", f"http://127.0.0.1:{nobody.getsockname()[1]}", http={"deadline_s": 1})
        sources.add("broken", carriers(1).url, feilds={})
        sources.add("tokenless", carriers(2).url, secret="NO_SUCH_TOKEN")
        sources.add("slow", carriers(3, delay_seconds=SLOW_S).url, http={"read_timeout_s": 10})
        sources.add("alfa", carriers(4).url)
        sources.add("beta", carriers(5).url)
        yield sources


def failure(result: dg.ExecuteInProcessResult) -> str:
    (event,) = [event for event in result.all_node_events if event.is_step_failure]
    return str(event.step_failure_data.user_failure_data.description)


def test_a_source_that_cannot_be_asked_says_so_on_its_own_assets(six):
    specs = six.specs()
    problems = {
        name: {specs[key].metadata.get("problem") for key in (raw_key(name), trips_key(name))}
        for name in (*HEALTHY, *ILL)
    }
    assert problems.pop("broken") == {
        "broken.yaml: feilds: unknown key; look for a typing error, or for the right level"
    }
    (said,) = problems.pop("tokenless")
    assert said.startswith("set NO_SUCH_TOKEN ")
    assert said in str(specs[trips_key("tokenless")].description)
    assert set(map(str, problems.values())) == {"{None}"}  # a carrier that is down is no mistake of ours
    assert specs[raw_key("alfa")].metadata["source"] == "alfa"


def test_a_source_has_its_own_keys_group_pool_job_and_minutes(six):
    repository = build_definitions().get_repository_def()
    sources = {*HEALTHY, *ILL}
    for name in sources:
        for key in (raw_key(name), trips_key(name)):
            assets = repository.assets_defs_by_key[key]
            assert key.path[0] == name
            assert assets.group_names_by_key[key] == f"telemetry_{name}"
            assert assets.op.pool == f"carrier_api_{name}"
        assert repository.has_job(f"telemetry_job_{name}")
        assert repository.has_sensor_def(f"telemetry_recapture_{name}")
        minutes = {
            int(repository.get_schedule_def(f"telemetry_{what}_{name}").cron_schedule.split()[0])
            for what in ("hourly", "amendments")
        }
        assert minutes == {minute_past(name)}
        assert 5 <= minute_past(name) < 35  # never in the first minutes of an hour
    of_audit = repository.assets_defs_by_key[dg.AssetKey("validated_trips")]
    assert {trips_key(name) for name in sources} <= of_audit.asset_deps[dg.AssetKey("validated_trips")]


def test_thirty_sources_do_not_start_at_once():
    minutes = [minute_past(f"carrier_{n:02d}") for n in range(30)]
    assert max(map(minutes.count, minutes)) <= 4
    assert len(set(minutes)) > 15


def test_one_that_is_ill_costs_the_others_nothing(six):
    results = {name: six.run(name) for name in (*ILL, *HEALTHY)}
    assert {name for name, result in results.items() if result.success} == set(HEALTHY)
    assert {name: six.state(name) for name in (*HEALTHY, *ILL)} == {
        **dict.fromkeys(HEALTHY, "captured"),
        "dead": "missing",
        "broken": None,  # never asked
        "tokenless": None,
    }
    for name in HEALTHY:
        table = six.pipeline.lake.read_table(TRIPS.name, hour_of(KEY, name).partition)
        assert table.num_rows > 0
        assert six.pipeline.instance.get_materialized_partitions(trips_key(name)) == {KEY}
    for name in ILL:
        assert not six.pipeline.instance.get_materialized_partitions(trips_key(name))
    assert "no good answer within http.deadline_s = 1 s" in failure(results["dead"])
    assert failure(results["broken"]).startswith("broken.yaml: feilds: unknown key")
    assert failure(results["tokenless"]).startswith("set NO_SUCH_TOKEN ")


def test_a_source_that_is_added_has_assets_schedules_and_its_first_hour_after_a_reload(sources, carriers):
    sources.add("alfa", carriers(4).url)
    assert sources.run("alfa").success
    before = sources.specs()
    assert trips_key("beta") not in before

    sources.add("beta", carriers(5).url)
    after = sources.specs()
    assert set(after) - set(before) == {raw_key("beta"), trips_key("beta")}
    with dg.DagsterInstance.ephemeral() as instance:
        repository = build_definitions().get_repository_def()
        schedule = repository.get_schedule_def("telemetry_hourly_beta")
        assert schedule.default_status == dg.DefaultScheduleStatus.RUNNING
        at = datetime(2026, 3, 10, 8, minute_past("beta"), tzinfo=Settings.load().timezone)
        with dg.build_schedule_context(instance, at, repository_def=repository) as context:
            (request,) = schedule.evaluate_tick(context).run_requests
    assert request.partition_key == KEY
    assert sources.run("beta").success
    assert (sources.state("alfa"), sources.state("beta")) == ("captured", "captured")
    names = [row.split()[0] for row in CliRunner().invoke(main, ["sources"]).output.splitlines()[1:]]
    assert names == ["alfa", "beta"]


@pytest.mark.parametrize("table", ["telemetry_trips", "raw_telemetry"])
def test_a_lake_of_the_old_layout_is_refused_in_a_sentence_and_stays_as_it_is(sources, carriers, table):
    carrier, store, old = carriers(4), sources.pipeline.lake.store, f"{table}/data=2026-03-09/hora=07/x"
    sources.add("alfa", carrier.url)
    store.put(old, b"old")
    sentence = re.compile(rf"{table} holds hours without a source \(data=…\).* name an empty folder")
    assert sentence.search(failure(sources.run("alfa")))
    for words in (["hours", KEY], ["sources"]):
        done = CliRunner().invoke(main, words)
        assert done.exit_code == 1
        assert sentence.search(done.output)
        assert len(done.output.splitlines()) == 1
    assert carrier.requests == []
    assert [info.key for info in store.list()] == [old]
