"""`telemetria deploy check`: all that production leans on, touched once; what is amiss, and what to do."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import dagster as dg

from telemetria_pipeline.carriers.sources import load_sources
from telemetria_pipeline.errors import PipelineError, shown_text
from telemetria_pipeline.settings import Settings
from telemetria_pipeline.steps.lake import open_lake
from telemetria_pipeline.storage.object_store import ObjectStore

_PATIENCE_S = 5
_ROLL_CALL_S = 2
_CLOCKS_APART_S = 5
_DAEMON_SILENT_S = 120  # it says that it lives twice a minute
_SENSORS_SILENT_S = 300  # most tick twice a minute; one that asks a slow carrier may hold the others up
_PROBE = "deploy-check"
_TABLES = {"event_logs": "event log", "runs": "runs", "job_ticks": "ticks"}


class Finding(NamedTuple):
    """What was found of one part of the deployment."""

    part: str
    well: bool
    said: str


def deploy_check(settings: Settings) -> Iterator[Finding]:
    """Touch each part in turn; where Dagster's instance does not load, nothing that hangs on it is asked."""
    yield _asked("lake", lambda: _store(open_lake(settings).store))
    yield _asked("inbox", lambda: _store(ObjectStore.open(settings.inbox)))
    yield _asked("sources", lambda: _sources(settings))
    yield (loaded := _asked("instance", _instance))
    if not loaded.well:
        return
    with dg.DagsterInstance.get() as instance:
        yield _asked("database", lambda: _database(instance))
        yield _asked("daemon", lambda: _daemon(instance))
        yield _asked("sensors", lambda: _sensors(instance))
        yield _asked("logs", lambda: _logs(instance))
        yield (loaded := _asked("launcher", lambda: _launcher(instance)))
        app = getattr(instance.run_launcher, "celery", None) if loaded.well else None
        if app is None:
            return
        yield (answers := _asked("broker", lambda: _broker(app)))
        if answers.well:
            yield _asked("workers", lambda: _workers(app, instance))


class _Amiss(PipelineError):
    """What is wrong with the deployment."""


def _asked(part: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(part, True, look())
    except PipelineError as error:
        return Finding(part, False, str(error))
    except Exception as error:
        return Finding(part, False, f"failed with {shown_text(error)}")


def _store(store: ObjectStore) -> str:
    store.put(_PROBE, b"")
    store.delete(_PROBE)
    return f"{store.uri()} can be written"


def _sources(settings: Settings) -> str:
    sources = load_sources(settings)
    if ill := [f"{name}: {said}" for name, s in sources.items() if (said := s.problem())]:
        raise _Amiss("; ".join(ill))
    return f"{len(sources)} can be asked: {', '.join(sources)}"


def _instance() -> str:
    home = os.environ.get("DAGSTER_HOME")
    if not home or not (Path(home) / "dagster.yaml").is_file():
        raise _Amiss("set DAGSTER_HOME to the folder that holds dagster.yaml (copy it from deploy/)")
    try:
        with dg.DagsterInstance.get() as instance:
            if not instance.run_monitoring_enabled:
                raise _Amiss("dagster.yaml: run_monitoring is off, so no dead run is ever found: enable it")
    except PipelineError:
        raise
    except Exception as error:
        # Dagster's texts name the key or the variable that is wrong, and hold no value of it.
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise _Amiss(
            f"{home}/dagster.yaml does not load: {first}. Compare it with deploy/dagster.yaml, and its "
            "variables with deploy/.env.example; is the database's server there?"
        ) from None
    return f"{home}/dagster.yaml loads"


def _database(instance: dg.DagsterInstance) -> str:
    url = getattr(instance.run_storage, "postgres_url", None)
    if url is None:
        return "not PostgreSQL: enough for one machine, and for no worker on another"
    import sqlalchemy

    sizes = ", ".join(f"pg_total_relation_size('{table}')" for table in _TABLES)
    asked = f"SELECT extract(epoch FROM clock_timestamp()), pg_database_size(current_database()), {sizes}"  # noqa: S608, our own names
    with sqlalchemy.create_engine(url).connect() as connection:
        now, whole, *parts = connection.execute(sqlalchemy.text(asked)).one()
    apart = abs(time.time() - float(now))
    if apart > _CLOCKS_APART_S:
        raise _Amiss(
            f"its clock and this machine's are {apart:.0f} s apart: a worker that lives would seem dead. "
            "Set both by NTP"
        )
    said = ", ".join(
        f"{what} {size / 1e6:.0f} MB" for what, size in zip(_TABLES.values(), parts, strict=True)
    )
    return f"PostgreSQL, {whole / 1e6:.0f} MB: {said}; clocks {apart:.1f} s apart"


def _daemon(instance: dg.DagsterInstance) -> str:
    said = [s.last_heartbeat for s in instance.get_daemon_statuses().values() if s.required]
    oldest = min(heard.timestamp if heard else 0 for heard in said)
    if (silent_s := time.time() - oldest) > _DAEMON_SILENT_S:
        raise _Amiss(
            "it was not heard for two minutes, or never: start telemetria-daemon on one machine; "
            "its log says why it ended"
        )
    return f"heard {silent_s:.0f} s ago"


def _sensors(instance: dg.DagsterInstance) -> str:
    """Only a daemon that loads the definitions from the code server has a sensor tick."""
    running = [state for state in instance.all_instigator_state() if state.is_running]
    ticks = (
        tick for s in running for tick in instance.get_ticks(s.instigator_origin_id, s.selector_id, limit=1)
    )
    silent_s = time.time() - max((tick.timestamp for tick in ticks), default=0)
    if silent_s > _SENSORS_SILENT_S:
        raise _Amiss(
            "none ticked in the last five minutes: start telemetria-code, whose log names what does not "
            "load; where it runs, see Deployment and Automation in Dagster's UI"
        )
    return f"the last ticked {silent_s:.0f} s ago"


def _logs(instance: dg.DagsterInstance) -> str:
    manager: Any = instance.compute_log_manager
    bucket = getattr(manager, "_s3_bucket", None)
    if bucket is None:
        return f"kept by {type(manager).__name__}"
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        boto3.client("s3").head_bucket(Bucket=bucket)
    except (BotoCoreError, ClientError) as error:
        raise _Amiss(
            f"s3://{bucket} does not answer ({type(error).__name__}): make the bucket that "
            "DAGSTER_LOGS_BUCKET names, and let the AWS_… keys read and write it"
        ) from None
    return f"s3://{bucket} answers"


def _launcher(instance: dg.DagsterInstance) -> str:
    try:
        return f"{type(instance.run_launcher).__name__} loads"
    except PipelineError:
        raise
    except Exception as error:
        raise _Amiss(
            f"it does not load ({type(error).__name__}: {error}): compare `run_launcher` with "
            "deploy/dagster.yaml, and install the package with its extra [production]"
        ) from None


def _broker(app: Any) -> str:
    with app.connection(connect_timeout=_PATIENCE_S) as connection:
        try:
            connection.ensure_connection(max_retries=1, timeout=_PATIENCE_S)
        except Exception as error:
            raise _Amiss(
                f"{connection.as_uri()} does not answer ({type(error).__name__}): start it, or correct "
                f"{Settings.variable('broker_url')}"
            ) from None
        return f"{connection.as_uri()} answers"


def _workers(app: Any, instance: dg.DagsterInstance) -> str:
    found = app.control.inspect(timeout=_ROLL_CALL_S).stats() or {}
    if not found:
        raise _Amiss("none answers: start telemetria-worker on a machine that shall execute runs")
    places = sum(stats["pool"]["max-concurrency"] for stats in found.values())
    most = instance.get_concurrency_config().run_queue_config
    limit = most.max_concurrent_runs if most else -1
    if not 0 <= limit <= places:
        raise _Amiss(
            f"{len(found)} with {places} places, and dagster.yaml starts up to {limit} runs at once: those "
            "that wait in the broker count as starting, and are failed after a while. Write "
            f"max_concurrent_runs: {places}, or start more workers"
        )
    return f"{len(found)} with {places} places for {limit} runs at once: {', '.join(sorted(found))}"
