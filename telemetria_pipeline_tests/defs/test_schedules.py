from datetime import datetime

import dagster as dg
import pytest

from telemetria_pipeline.definitions import build_definitions
from telemetria_pipeline.defs.partitions import HOURLY
from telemetria_pipeline.defs.resources import PipelineResource
from telemetria_pipeline.defs.runs import FIRST_TAG, LAST_TAG
from telemetria_pipeline.defs.telemetry.automation import minute_past
from telemetria_pipeline.settings import Settings

ZONE = Settings.load().timezone


def tick(schedule_name: str, at: datetime, lake: PipelineResource):
    with dg.DagsterInstance.ephemeral() as instance:
        repository = build_definitions({"pipeline": lake}).get_repository_def()
        with dg.build_schedule_context(
            instance=instance,
            scheduled_execution_time=at,
            resources={"pipeline": lake},
            repository_def=repository,
        ) as context:
            return repository.get_schedule_def(schedule_name).evaluate_tick(context)


@pytest.fixture
def lake(tmp_path, monkeypatch) -> PipelineResource:
    """Of a source that can be asked."""
    monkeypatch.setenv("TELEMETRIA_API_URL", "https://c.example")
    monkeypatch.setenv("TELEMETRIA_API_TOKEN", "hush")
    return PipelineResource(settings={"lake": f"file:{tmp_path}"})


def test_every_hour_some_minutes_past_the_hour_before(lake):
    schedule = build_definitions().get_repository_def().get_schedule_def("telemetry_hourly_main")
    assert schedule.cron_schedule == f"{minute_past('main')} * * * *"
    assert schedule.default_status == dg.DefaultScheduleStatus.RUNNING
    data = tick("telemetry_hourly_main", datetime(2026, 3, 10, 8, 10, tzinfo=ZONE), lake)
    assert [r.partition_key for r in data.run_requests] == ["2026-03-10-07:00"]


def test_the_hour_before_midnight_belongs_to_the_day_before(lake):
    data = tick("telemetry_hourly_main", datetime(2026, 3, 10, 0, 10, tzinfo=ZONE), lake)
    assert [r.partition_key for r in data.run_requests] == ["2026-03-09-23:00"]


def test_days_are_captured_again_at_the_ages_that_carriers_amend_trips(lake, monkeypatch):
    at = datetime(2026, 3, 10, 3, 10, tzinfo=ZONE)
    requests = tick("telemetry_amendments_main", at, lake).run_requests
    ranges = [(r.tags[FIRST_TAG], r.tags[LAST_TAG]) for r in requests]
    assert ranges == [(f"2026-{day}-00:00", f"2026-{day}-23:00") for day in ("03-09", "03-07", "02-28")]
    # What is fresh goes first, then what a person asked for (0), then what may have been amended.
    assert {r.tags["dagster/priority"] for r in requests} == {"-2"}
    assert {r.tags["dagster/max_runtime"] for r in requests} == {str(1800 + 24 * 600)}
    monkeypatch.setenv("TELEMETRIA_AMENDMENT_DAYS", "0")
    assert tick("telemetry_amendments_main", at, lake).run_requests == []
    monkeypatch.setenv("TELEMETRIA_AMENDMENT_DAYS", "1 3")
    monkeypatch.setenv("TELEMETRIA_START", "2026-03-08")
    assert tick("telemetry_amendments_main", datetime(2026, 3, 1, 3, tzinfo=ZONE), lake).run_requests == []


def test_a_fresh_hour_goes_first_and_may_not_hold_the_carriers_pool_for_ever(lake):
    (request,) = tick("telemetry_hourly_main", datetime(2026, 3, 10, 8, 10, tzinfo=ZONE), lake).run_requests
    assert (request.tags["dagster/priority"], request.tags["dagster/max_runtime"]) == ("10", "2400")


def test_schedules_and_partitions_share_the_contracts_zone():
    with dg.DagsterInstance.ephemeral():
        schedules = build_definitions().get_repository_def().schedule_defs
        assert {schedule.execution_timezone for schedule in schedules} == {HOURLY.timezone}
        assert schedules
