"""What stands still: sensors and schedules that stopped ticking or fail each time, and Dagster's daemons."""

import hashlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg

from telemetria_pipeline.alerts.alert import Alert

GRACE = timedelta(minutes=10)
"""How late a tick may be. After a pause of all of Dagster, its daemon makes up for what it missed in less."""

_FAILURES = 3  # ticks in a row
_LOOK_BACK = timedelta(days=2)
_TICKS = 30  # of the watcher: how far back it knows that it looked

_WHAT_TO_DO = {
    "tick": "See its ticks in Dagster's UI, under Automation; where none is there, restart dagster-daemon.",
    "daemon": "Restart dagster-daemon; nothing is lost, what waited is made up for.",
}

Watched = dg.SensorDefinition | dg.ScheduleDefinition


def watched(repository: dg.RepositoryDefinition) -> list[Watched]:
    """All sensors and schedules that are there."""
    return [*repository.sensor_defs, *repository.schedule_defs]


def alerts_of_ticks(
    instance: dg.DagsterInstance, looked_at: Sequence[Watched], watcher: str, now: datetime
) -> Iterator[Alert]:
    """For each running sensor and schedule that it stopped, that its ticks fail, or that it is well; the same
    of each daemon of Dagster's.

    `watcher` is the sensor or schedule that looks: what stood still while it did not tick itself, as when the
    machine was off, is nobody's failure before the grace is over.
    """
    states = {state.instigator_name: state for state in instance.all_instigator_state()}
    # Two instances on one lake share what was said, not their ticks.
    mark = hashlib.sha256(instance.info_str().encode()).hexdigest()[:8]
    awake = _awake_since(_ticks(instance, states[watcher], _TICKS) if watcher in states else [], now)

    def told(kind: str, name: str, problem: str | None) -> Alert:
        key = f"{kind} {name} {mark}"
        if problem is None:
            return Alert("ticks", key, f"{name} is well again, or was switched off", phase="over", name=name)
        return Alert("ticks", key, f"{name} {problem}", _WHAT_TO_DO[kind], "begun", name=name)

    for each in looked_at:
        state = states.get(each.name)
        ticks = _ticks(instance, state, _FAILURES) if state and state.is_running else []
        yield told("tick", each.name, _problem(each, ticks, awake, now))
    for daemon, status in instance.get_daemon_statuses().items():
        if status.last_heartbeat:  # else it never ran: another kind of deployment
            beat = datetime.fromtimestamp(status.last_heartbeat.timestamp, UTC)
            silent = now - max(beat, awake) > GRACE
            problem = f"is silent since {beat:%Y-%m-%d %H:%M} UTC" if silent else None
            yield told("daemon", f"Dagster's daemon {daemon}", problem)


def _problem(
    each: Watched, ticks: Sequence[tuple[datetime, bool]], awake: datetime, now: datetime
) -> str | None:
    if not ticks:  # it is switched off, or begins only now
        return None
    if len(ticks) >= _FAILURES and all(failed for _, failed in ticks):
        return f"failed in its last {_FAILURES} ticks"
    last = ticks[0][0]
    due = _due(each, last, now)
    if due is None or now - max(due, awake) <= GRACE:
        return None
    return f"has not ticked since {last:%Y-%m-%d %H:%M} UTC"


def _due(each: Watched, last: datetime, now: datetime) -> datetime | None:
    """When the tick after `last` was due; None where it is not due yet, or nobody can tell."""
    if isinstance(each, dg.SensorDefinition):
        return last + timedelta(seconds=each.minimum_interval_seconds or 30)
    if not isinstance(each.cron_schedule, str):
        return None
    zone = each.execution_timezone or "UTC"
    # The partitions of a cron line begin when it ticks: Dagster's one public way to read such a line.
    cut = dg.TimeWindowPartitionsDefinition(
        start=max(last, now - _LOOK_BACK).astimezone(ZoneInfo(zone)),  # read by its clock, not as an instant
        fmt="%Y-%m-%dT%H:%M:%S%z",
        cron_schedule=each.cron_schedule,
        timezone=zone,
        end_offset=1,  # the one that has begun counts
    )
    begun = map(datetime.fromisoformat, cut.get_partition_keys(current_time=now))
    return next((instant for instant in begun if last < instant <= now), None)


def _ticks(instance: dg.DagsterInstance, state: Any, most: int) -> list[tuple[datetime, bool]]:
    """The newest ticks, newest first: when, and whether they failed; of a schedule its start is one."""
    found = instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=most)
    ticks = [(t.timestamp, t.status.value == "FAILURE") for t in found]
    if not ticks and (began := getattr(state.instigator_data, "start_timestamp", None)):
        ticks = [(began, False)]
    return [(datetime.fromtimestamp(at, UTC), failed) for at, failed in ticks]


def _awake_since(ticks: Sequence[tuple[datetime, bool]], now: datetime) -> datetime:
    """Since when the watcher ticked without a pause longer than the grace."""
    awake = now
    for at, _ in ticks:
        if awake - at > GRACE + timedelta(minutes=1):  # a schedule that watches does so every ten minutes
            break
        awake = at
    return awake
