"""Who looks: a sensor each minute; where it stands still, a schedule starts a job that looks instead."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg

from telemetria_pipeline.alerts.alert import Alert
from telemetria_pipeline.alerts.memory import REMEMBERED
from telemetria_pipeline.alerts.post import Post, Told, read_state
from telemetria_pipeline.carriers.sources import load_sources
from telemetria_pipeline.defs.alerts.report import alerts_of_reports
from telemetria_pipeline.defs.alerts.runs import alerts_of_runs, ended_runs
from telemetria_pipeline.defs.alerts.sources import alerts_of_sources
from telemetria_pipeline.defs.alerts.ticks import Watched, alerts_of_ticks, watched
from telemetria_pipeline.defs.partitions import HOURLY
from telemetria_pipeline.defs.resources import PipelineResource
from telemetria_pipeline.errors import shown_text
from telemetria_pipeline.storage.object_store import StorageError

_LOOK_BACK = timedelta(days=1)  # for runs, where nobody knows when was looked last
_OVERLAP = timedelta(seconds=30)  # clocks differ; what is seen twice is said once
_SETTLED = timedelta(seconds=2)  # Dagster says a moment after a run failed whether it tries again
_RUNS = "runs"
_TRIES_OF_LAKE = 2  # ticks; one may be an accident
_LAKE_IS_BACK = Alert("lake", "lake", "The lake is there again")

assert _LOOK_BACK < REMEMBERED, "a sensor that starts afresh must not say again what it said"


def look(
    instance: dg.DagsterInstance,
    pipeline: PipelineResource,
    looked_at: list[Watched],
    watcher: str,
    runs_since: datetime,
) -> tuple[Told, datetime]:
    """Look at all there is and say what is new; what was said, and until when runs were looked at.

    Raises `StorageError` where there is no lake to remember it in.
    """
    now, settings, lake = datetime.now(UTC), pipeline.load(), pipeline.lake()
    post, standing = Post.of(settings), read_state(lake).standing
    runs, until = ended_runs(instance, runs_since - _OVERLAP, now - _SETTLED)
    looks: dict[str, Callable[[], Iterable[Alert]]] = {
        _RUNS: lambda: alerts_of_runs(instance, runs, lake, pipeline.inbox(), post.whose),
        "sources": lambda: alerts_of_sources(lake, load_sources(settings), settings, standing, now),
        "reports": lambda: alerts_of_reports(instance, lake, load_sources(settings), settings, standing, now),
        "ticks": lambda: alerts_of_ticks(instance, looked_at, watcher, now),
    }
    alerts = list[Alert]()
    for name, of in looks.items():
        key = f"look {name}"
        try:
            alerts += [*of(), Alert("ticks", key, f"The alerts look at {name} again", phase="over")]
        except Exception as error:  # whatever it is, the other looks go on
            alerts.append(
                Alert("ticks", key, f"The alerts cannot look at {name}", shown_text(error), "begun")
            )
            until = runs_since if name == _RUNS else until
    return post.tell(lake, alerts, now), until


@dg.sensor(
    name="alerts_sensor",
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Tells people what they should know: failed runs and checks, boletins that went back, "
    "sources that are down, a daily report that is late, sensors and schedules that stand still.",
)
def alerts_sensor(context: dg.SensorEvaluationContext, pipeline: PipelineResource) -> dg.SensorResult:
    """The cursor: until when runs were looked at, and how often in a row there was no lake.

    What was said is remembered in the lake, so that a lost cursor says nothing twice.
    """
    now, repository = datetime.now(UTC), context.repository_def
    since, without_lake = _read_cursor(context.cursor, now)
    try:
        looked_at = watched(repository) if repository else []
        told, since = look(context.instance, pipeline, looked_at, alerts_sensor.name, since)
        if without_lake >= _TRIES_OF_LAKE:
            _log(context.log, Post.of(pipeline.load()).tell_at_once(_LAKE_IS_BACK))
        without_lake = 0
    except StorageError as error:
        told, without_lake = Told(failed={"The lake": str(error)}), without_lake + 1
        if without_lake == _TRIES_OF_LAKE:
            gone = Alert("lake", "lake", "The lake cannot be reached", str(error))
            told = Post.of(pipeline.load()).tell_at_once(gone)
    _log(context.log, told)
    cursor = f"{since.isoformat()} {without_lake}"
    return dg.SensorResult(skip_reason=dg.SkipReason(str(told)), cursor=cursor)


def _read_cursor(cursor: str | None, now: datetime) -> tuple[datetime, int]:
    oldest = now - _LOOK_BACK
    since, without_lake = cursor.split() if cursor else (oldest.isoformat(), "0")
    return max(datetime.fromisoformat(since), oldest), int(without_lake)


@dg.op(description="Looks once at all there is to tell, as alerts_sensor does each minute.")
def look_once(context: dg.OpExecutionContext, pipeline: PipelineResource) -> None:
    """Says nothing twice; a channel that does not answer fails no run."""
    since = datetime.now(UTC) - _LOOK_BACK
    told, _ = look(context.instance, pipeline, [alerts_sensor], "alerts_watch", since)
    _log(context.log, told)


@dg.job(executor_def=dg.in_process_executor, tags={"dagster/max_runtime": "600"})
def alerts_job() -> None:
    """Tell people now what they should know; starts by itself where alerts_sensor stands still."""
    look_once()


@dg.schedule(
    job=alerts_job,
    name="alerts_watch",
    cron_schedule="*/10 * * * *",
    execution_timezone=HOURLY.timezone,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Every ten minutes: does alerts_sensor tick? Where it does not, alerts_job takes its place.",
)
def alerts_watch(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """Another daemon of Dagster's runs schedules than sensors."""
    found = alerts_of_ticks(context.instance, [alerts_sensor], "alerts_watch", datetime.now(UTC))
    if any(alert.phase == "begun" and alert.name == alerts_sensor.name for alert in found):
        return dg.RunRequest()
    return dg.SkipReason("alerts_sensor ticks")


def _log(log: Any, told: Told) -> None:
    for alert in told.alerts:
        log.warning(": ".join(filter(None, [alert.subject, alert.detail])))
    for name, why in told.failed.items():
        log.warning(f"{name} did not take an alert: {why}")
