from datetime import datetime

import dagster as dg
import pytest

from telemetria_pipeline.assets.hour_ingest import manifest_key
from telemetria_pipeline.assets.resources import LakeResource
from telemetria_pipeline.contracts.raw import HourManifest
from telemetria_pipeline.definitions import build_definitions
from telemetria_pipeline.partitions import HOURLY, hour_of
from telemetria_pipeline.settings import Settings

ZONE = Settings.from_env().timezone


def tick(schedule_name: str, at: datetime, lake: LakeResource):
    with dg.instance_for_test() as instance:
        repository = build_definitions({"lake": lake}).get_repository_def()
        context = dg.build_schedule_context(
            instance=instance,
            scheduled_execution_time=at,
            resources={"lake": lake},
            repository_def=repository,
        )
        return repository.get_schedule_def(schedule_name).evaluate_tick(context)


@pytest.fixture
def lake(tmp_path) -> LakeResource:
    return LakeResource(address=f"file:{tmp_path}")


def test_every_hour_some_minutes_past_the_hour_before(lake):
    schedule = build_definitions().get_repository_def().get_schedule_def("telemetry_hourly")
    assert schedule.cron_schedule == "10 * * * *"
    assert schedule.default_status == dg.DefaultScheduleStatus.RUNNING
    data = tick("telemetry_hourly", datetime(2026, 3, 10, 8, 10, tzinfo=ZONE), lake)
    assert [r.partition_key for r in data.run_requests] == ["2026-03-10-07:00"]


def test_the_hour_before_midnight_belongs_to_the_day_before(lake):
    data = tick("telemetry_hourly", datetime(2026, 3, 10, 0, 10, tzinfo=ZONE), lake)
    assert [r.partition_key for r in data.run_requests] == ["2026-03-09-23:00"]


def test_open_and_missing_hours_and_gaps_are_captured_again(lake):
    states = {"02": "captured", "03": "open", "04": "missing", "06": "confirmed_empty"}  # 05 never asked for
    opened = lake.open()
    for hora, state in states.items():
        key = f"2026-03-10-{hora}:00"
        opened.write_json(
            manifest_key(hour_of(key)), HourManifest(hour=key, state=state).model_dump(mode="json")
        )
    at = datetime(2026, 3, 10, 7, 40, tzinfo=ZONE)
    data = tick("telemetry_recapture", at, lake)
    assert [r.partition_key for r in data.run_requests] == [f"2026-03-10-{h}:00" for h in ("05", "04", "03")]
    # An hour may be asked for at every tick: its run key holds the tick, or Dagster would drop it for ever.
    later = tick("telemetry_recapture", at.replace(hour=8), lake)
    assert not {r.run_key for r in data.run_requests} & {r.run_key for r in later.run_requests}


def test_nothing_to_capture_again_says_so(lake):
    data = tick("telemetry_recapture", datetime(2026, 3, 10, 7, 40, tzinfo=ZONE), lake)
    assert data.run_requests == []
    assert "captured or confirmed empty" in data.skip_message


def test_schedules_and_partitions_share_the_contracts_zone():
    with dg.instance_for_test():
        schedules = build_definitions().get_repository_def().schedule_defs
        assert {schedule.execution_timezone for schedule in schedules} == {HOURLY.timezone}
        assert len(schedules) == 2
