from collections.abc import Callable
from datetime import datetime, timedelta

import dagster as dg
import pytest
from dagster._core.remote_origin import (
    RegisteredCodeLocationOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)

from telemetria_pipeline.contracts.raw import Capture, Failure, HourManifest
from telemetria_pipeline.definitions import build_definitions
from telemetria_pipeline.defs.partitions import HOURLY
from telemetria_pipeline.defs.resources import PipelineResource
from telemetria_pipeline.defs.telemetry.automation import minute_past
from telemetria_pipeline.settings import Settings
from telemetria_pipeline.steps.hours import manifest_key
from telemetria_pipeline_tests.one_source import hour_of

ZONE = Settings.load().timezone


def tick(
    schedule_name: str,
    at: datetime,
    lake: PipelineResource,
    prepare: Callable[[dg.DagsterInstance], object] = lambda instance: None,
):
    with dg.instance_for_test() as instance:
        prepare(instance)
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


def test_open_and_missing_hours_and_gaps_are_captured_again(lake):
    states = {"02": "captured", "03": "open", "04": "missing", "06": "confirmed_empty"}  # 05 never asked for
    opened = lake.lake()
    for hora, state in states.items():
        key = f"2026-03-10-{hora}:00"
        opened.write_json(
            manifest_key(hour_of(key)), HourManifest(hour=key, state=state).model_dump(mode="json")
        )
    at = datetime(2026, 3, 10, 7, 40, tzinfo=ZONE)
    data = tick("telemetry_recapture_main", at, lake)
    assert [r.partition_key for r in data.run_requests] == [f"2026-03-10-{h}:00" for h in ("05", "04", "03")]
    # An hour may be asked for at every tick: its run key holds the tick, or Dagster would drop it for ever.
    later = tick("telemetry_recapture_main", at.replace(hour=8), lake)
    assert not {r.run_key for r in data.run_requests} & {r.run_key for r in later.run_requests}


def test_a_source_that_cannot_be_asked_is_not(lake, monkeypatch):
    monkeypatch.delenv("TELEMETRIA_API_TOKEN")
    keep(lake, failed(4, permanent=False))
    data = tick("telemetry_recapture_main", datetime(2026, 3, 10, 7, 40, tzinfo=ZONE), lake)
    assert data.run_requests == []
    assert "TELEMETRIA_API_TOKEN" in data.skip_message


def test_nothing_to_capture_again_says_so(lake):
    data = tick("telemetry_recapture_main", datetime(2026, 3, 10, 7, 40, tzinfo=ZONE), lake)
    assert data.run_requests == []
    assert "captured or confirmed empty" in data.skip_message


def test_schedules_and_partitions_share_the_contracts_zone():
    with dg.instance_for_test():
        schedules = build_definitions().get_repository_def().schedule_defs
        assert {schedule.execution_timezone for schedule in schedules} == {HOURLY.timezone}
        assert schedules


# ---------------------------------------------------------------- which hours are settled

AT = datetime(2026, 3, 10, 8, 40, tzinfo=ZONE)


def key(hora: int, day: int = 10) -> str:
    return f"2026-03-{day:02d}-{hora:02d}:00"


def keep(lake: PipelineResource, *manifests: HourManifest) -> None:
    opened = lake.lake()
    for manifest in manifests:
        opened.write_json(manifest_key(hour_of(manifest.hour)), manifest.model_dump(mode="json"))


def captured(hora: int, *, after_min: float = 10, settle_min: float | None = 720, **said) -> HourManifest:
    """An hour captured and published so many minutes after its end; `said` is said otherwise."""
    end = hour_of(key(hora)).end
    capture = Capture(
        id="c1", run_id="r1", profile="p", captured_at=end + timedelta(minutes=after_min), requests=1,
        retries=0, bytes=1, fields=[], pages=[],
        settles_at=None if settle_min is None else end + timedelta(minutes=settle_min),
    )  # fmt: skip
    return HourManifest(
        **{"hour": key(hora), "state": "captured", "published": "c1", "captures": [capture], **said}
    )


def failed(hora: int, *, permanent: bool) -> HourManifest:
    failure = Failure(run_id="r", attempts=1, error="answered 401", at=AT, permanent=permanent)
    return HourManifest(hour=key(hora), failure=failure)


def due(lake: PipelineResource, at: datetime = AT, **more) -> list[str]:
    return [r.partition_key for r in tick("telemetry_recapture_main", at, lake, **more).run_requests]


def test_an_hour_is_captured_once_more_when_all_its_trips_are_listed(lake):
    """The carrier lists a trip when it has ended: a bus that departs at 7:50 may arrive in the evening."""
    keep(lake, captured(7))
    evening = AT.replace(hour=19, minute=59)
    assert key(7) not in due(lake, evening)
    assert key(7) in due(lake, evening + timedelta(minutes=1))
    keep(lake, captured(7, after_min=720))
    assert key(7) not in due(lake, evening + timedelta(minutes=1))


@pytest.mark.parametrize(
    ("said", "standing"),
    [
        ({}, "captured"),
        ({"settle_min": 60, "state": "confirmed_empty"}, "open"),
        ({"settle_min": 60}, "open"),  # over at 8:00, captured at 8:10, settled at 9:00
        ({"settle_min": 60, "after_min": 60}, "captured"),
        ({"settle_min": 61}, "captured"),  # not yet
        ({"settle_min": None}, "captured"),  # captured before there was such a thing
        ({"state": "open"}, "open"),
        ({"published": None}, "missing"),  # killed before its tables were written
        ({"published": "c0"}, "missing"),  # or with those of the capture before
        ({"published": None, "settle_min": 60}, "missing"),
        ({"captures": [], "published": None, "state": "missing"}, "missing"),
    ],
)
def test_what_an_hour_is_to_a_recapture(said, standing):
    assert captured(7, **said).standing(datetime(2026, 3, 10, 9, tzinfo=ZONE)) == standing


def test_an_hour_whose_capture_never_reached_its_tables_is_captured_again(lake):
    keep(lake, captured(6, published=None), captured(7))
    assert due(lake) == [key(6)]


def test_nobody_insists_on_a_refusal(lake):
    """The token has expired: the hourly run still asks once an hour, and opens the way when it succeeds."""
    keep(lake, captured(5), failed(6, permanent=True), failed(7, permanent=True))
    data = tick("telemetry_recapture_main", AT, lake)
    assert data.run_requests == []
    assert "the carrier refuses: answered 401" in data.skip_message
    keep(lake, captured(7))
    assert due(lake) == [key(6)]


def test_a_passing_failure_is_insisted_on(lake):
    keep(lake, failed(6, permanent=True), failed(7, permanent=False))
    assert due(lake) == [key(7), key(6)]


@pytest.mark.parametrize(
    ("status", "asked"),
    [
        ("NOT_STARTED", False),
        ("QUEUED", False),
        ("STARTING", False),
        ("STARTED", False),
        ("SUCCESS", True),
        ("FAILURE", True),
    ],
)
def test_an_hour_that_a_run_waits_for_is_not_asked_for_twice(lake, status, asked):
    keep(lake, failed(6, permanent=False), failed(7, permanent=False))
    repository = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("here"), "all")
    run_of_6 = dg.DagsterRun(
        job_name="telemetry_job_main",
        status=dg.DagsterRunStatus[status],
        tags={"dagster/partition": key(6)},
        remote_job_origin=RemoteJobOrigin(repository, "telemetry_job_main"),  # no run is queued without one
    )
    found = due(lake, prepare=lambda instance: instance.add_run(run_of_6))
    assert found == [key(7), *([key(6)] if asked else [])]


def test_an_outage_longer_than_the_hours_looked_at_leaves_no_gap(lake, monkeypatch):
    monkeypatch.setenv("TELEMETRIA_RECAPTURE_HOURS", "4")

    def reported(hour: str) -> Callable[[dg.DagsterInstance], object]:
        event = dg.AssetMaterialization(["main", "raw_telemetry"], partition=hour)
        return lambda instance: instance.report_runless_asset_event(event)

    keep(lake, captured(7))
    assert due(lake) == []  # the pipeline's first hour
    assert due(lake, prepare=reported(key(17, day=6))) == [key(6), key(5)]
    assert due(lake, prepare=reported(key(6))) == [key(6)]


@pytest.mark.parametrize("damage", [b"{", b'{"hour": 7}'])
def test_a_damaged_manifest_is_asked_for_again_and_holds_up_no_other_hour(lake, damage):
    keep(lake, failed(5, permanent=False), captured(7))
    lake.lake().store.put(manifest_key(hour_of(key(6))), damage)
    assert due(lake) == [key(6), key(5)]


def test_a_run_of_one_hour_may_not_hold_the_carriers_pool_for_ever(lake):
    keep(lake, failed(7, permanent=False))
    for schedule in ("telemetry_hourly_main", "telemetry_recapture_main"):
        (request,) = tick(schedule, AT, lake).run_requests
        assert request.tags["dagster/max_runtime"] == "3600"
