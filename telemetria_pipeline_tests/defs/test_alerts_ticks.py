"""What stands still, told from the ticks that an instance has of its sensors and schedules."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest
from dagster._core.remote_origin import (
    RegisteredCodeLocationOrigin,
    RemoteInstigatorOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    InstigatorType,
    ScheduleInstigatorData,
    TickData,
    TickStatus,
)
from dagster._daemon.types import DaemonHeartbeat
from dagster_shared.error import SerializableErrorInfo

from telemetria_pipeline.defs.alerts.automation import alerts_sensor, alerts_watch
from telemetria_pipeline.defs.alerts.ticks import GRACE, Watched, alerts_of_ticks
from telemetria_pipeline.defs.audit.automation import stale_days_sensor
from telemetria_pipeline.defs.billing.automation import cycle_daily

NOW = datetime(2026, 3, 10, 15, tzinfo=UTC)  # 12:00 in São Paulo
ORIGIN = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("here"), "all")


def minutes_ago(*minutes: float) -> list[datetime]:
    return [NOW - timedelta(minutes=m) for m in minutes]


def ticked(
    instance: dg.DagsterInstance,
    each: Watched,
    times: Sequence[datetime],
    tick: TickStatus = TickStatus.SKIPPED,
    status: InstigatorStatus = InstigatorStatus.DECLARED_IN_CODE,
    how_many: int | None = None,
) -> None:
    """The instance remembers these ticks of a sensor or schedule."""
    sensor = isinstance(each, dg.SensorDefinition)
    kind = InstigatorType.SENSOR if sensor else InstigatorType.SCHEDULE
    data = None if sensor else ScheduleInstigatorData(each.cron_schedule, min(times).timestamp())
    state = InstigatorState(RemoteInstigatorOrigin(ORIGIN, each.name), kind, status, data)
    instance.add_instigator_state(state)
    for at in sorted(times)[:how_many]:
        instance.create_tick(
            TickData(
                instigator_origin_id=state.instigator_origin_id,
                instigator_name=each.name,
                instigator_type=kind,
                status=tick,
                timestamp=at.timestamp(),
                selector_id=state.selector_id,
                error=SerializableErrorInfo("boom", [], "Boom") if tick == TickStatus.FAILURE else None,
            )
        )


@pytest.fixture(scope="module")
def _running() -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test() as instance:
        yield instance


@pytest.fixture
def instance(_running) -> dg.DagsterInstance:
    """One that has not ticked; an instance of its own would cost each test seconds."""
    _running.schedule_storage.wipe()
    _running.run_storage.wipe_daemon_heartbeats()
    return _running


def begun(instance: dg.DagsterInstance, *looked_at: Watched, watcher: str = alerts_sensor.name) -> list[str]:
    found = alerts_of_ticks(instance, looked_at, watcher, NOW)
    return [alert.subject for alert in found if alert.phase == "begun"]


def awake(instance: dg.DagsterInstance) -> None:
    ticked(instance, alerts_sensor, minutes_ago(*range(40)))


@pytest.mark.parametrize(
    ("last", "told"),
    [
        (9, []),
        (11, ["stale_days_sensor has not ticked since 2026-03-10 14:49 UTC"]),
        (9_000, ["stale_days_sensor has not ticked since 2026-03-04 09:00 UTC"]),
    ],
)
def test_a_sensor_that_stands_still_is_told_once_its_grace_is_over(instance, last, told):
    awake(instance)
    ticked(instance, stale_days_sensor, minutes_ago(last, last + 1))
    assert begun(instance, stale_days_sensor, alerts_sensor) == told


@pytest.mark.parametrize(
    ("last", "told"),
    [
        (datetime(2026, 3, 10, 10, 30, tzinfo=UTC), []),  # 07:30 today: all is well until tomorrow
        (datetime(2026, 3, 9, 10, 30, tzinfo=UTC), ["cycle_daily has not ticked since 2026-03-09 10:30 UTC"]),
    ],
)
def test_a_schedule_is_late_by_its_own_clock(instance, last, told):
    awake(instance)
    ticked(instance, cycle_daily, [last])
    assert begun(instance, cycle_daily) == told


def test_a_schedule_that_ticks_often_is_late_after_the_first_tick_that_it_missed(instance):
    awake(instance)
    ticked(instance, alerts_watch, minutes_ago(30))
    assert begun(instance, alerts_watch) == ["alerts_watch has not ticked since 2026-03-10 14:30 UTC"]


def test_a_schedule_that_never_ticked_is_late_from_its_start_on(instance):
    awake(instance)
    ticked(instance, alerts_watch, minutes_ago(30), how_many=0)
    assert begun(instance, alerts_watch) == ["alerts_watch has not ticked since 2026-03-10 14:30 UTC"]


def test_who_looks_again_after_a_pause_accuses_nobody(instance):
    ticked(instance, alerts_sensor, minutes_ago(0, 1, 2, 600, 601, 602))
    ticked(instance, stale_days_sensor, minutes_ago(600))
    ticked(instance, cycle_daily, [datetime(2026, 3, 9, 10, 30, tzinfo=UTC)])
    assert begun(instance, stale_days_sensor, cycle_daily) == []


def test_what_is_switched_off_or_never_began_is_no_failure(instance):
    awake(instance)
    ticked(instance, stale_days_sensor, minutes_ago(600), status=InstigatorStatus.STOPPED)
    assert begun(instance, stale_days_sensor, cycle_daily) == []


def test_a_sensor_whose_every_tick_fails_is_told(instance):
    awake(instance)
    ticked(instance, stale_days_sensor, minutes_ago(0, 1, 2), TickStatus.FAILURE)
    assert begun(instance, stale_days_sensor) == ["stale_days_sensor failed in its last 3 ticks"]


def test_a_daemon_without_a_heartbeat_is_told(instance):
    awake(instance)
    for daemon, at in {"SENSOR": NOW, "SCHEDULER": NOW - GRACE * 2}.items():
        instance.add_daemon_heartbeat(DaemonHeartbeat(at.timestamp(), daemon, "id", []))
    assert begun(instance) == ["Dagster's daemon SCHEDULER is silent since 2026-03-10 14:40 UTC"]


def test_where_the_alerts_stand_still_a_schedule_has_a_job_look_instead(instance):
    now = datetime.now(UTC)
    ticked(instance, alerts_watch, [now - timedelta(minutes=m) for m in (0, 10, 20, 30)])
    with dg.build_schedule_context(instance=instance, scheduled_execution_time=now) as context:
        assert alerts_watch.evaluate_tick(context).run_requests == []
        ticked(instance, alerts_sensor, [now - timedelta(minutes=12)])
        assert len(alerts_watch.evaluate_tick(context).run_requests) == 1
