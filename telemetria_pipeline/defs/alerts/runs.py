"""What ended runs have to say: that one failed for good, that a check did, that a boletim went back."""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Any

import dagster as dg
import orjson

from telemetria_pipeline.alerts.alert import Alert
from telemetria_pipeline.defs.audit.automation import VERSION_TAG, audit_job
from telemetria_pipeline.defs.boletins.assets import BOLETIM
from telemetria_pipeline.defs.boletins.automation import boletim_job
from telemetria_pipeline.defs.boletins.checks import ACCEPTED
from telemetria_pipeline.defs.partitions import BOLETIM_FILES, CALENDAR
from telemetria_pipeline.defs.runs import FAILED, FIRST_TAG, LAST_TAG, MAX_TRIES, PARTITION_TAG, by_hand
from telemetria_pipeline.defs.telemetry.automation import CAPTURE_TAG
from telemetria_pipeline.reports.answer import answer_in_short
from telemetria_pipeline.steps.boletim_files import read_file_manifest
from telemetria_pipeline.steps.outages import given_up
from telemetria_pipeline.storage.lake import Lake
from telemetria_pipeline.storage.object_store import ObjectStore, StorageError

_ENDED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE]  # who cancels a run knows it
_WILL_RETRY, _ROOT = "dagster/will_retry", "dagster/root_run_id"
# Which runs of a job a sensor counts as tries of the same, up to MAX_TRIES.
_ASKED_AGAIN = {boletim_job.name: {PARTITION_TAG}, audit_job.name: {PARTITION_TAG, VERSION_TAG}}
_AT_ONCE = 500  # runs; each costs some milliseconds
_LOOKED_THROUGH = 200  # failed runs, the newest, for those of many files
_NAMED = 3
_EVENTS = {
    dg.DagsterEventType.ASSET_CHECK_EVALUATION,
    dg.DagsterEventType.STEP_FAILURE,
    dg.DagsterEventType.RUN_FAILURE,
}


def ended_runs(
    instance: dg.DagsterInstance, since: datetime, until: datetime
) -> tuple[list[dg.DagsterRun], datetime]:
    """The runs that ended in the window, oldest first, and until when they are all; a tick takes so many."""
    ended = dg.RunsFilter(statuses=_ENDED, updated_after=since, updated_before=until)
    records = instance.get_run_records(ended, limit=_AT_ONCE, order_by="update_timestamp", ascending=True)
    return [r.dagster_run for r in records], records[-1].update_timestamp if len(
        records
    ) == _AT_ONCE else until


def alerts_of_runs(
    instance: dg.DagsterInstance,
    runs: Iterable[dg.DagsterRun],
    lake: Lake,
    inbox: ObjectStore,
    whose: Callable[[str], str],
) -> Iterator[Alert]:
    """What these runs have to say; `whose` says who is told of a file of the inbox."""
    for run in runs:
        takes_files = run.job_name == boletim_job.name or BOLETIM.key in (run.asset_selection or ())
        types = {*_EVENTS, dg.DagsterEventType.ASSET_MATERIALIZATION} if takes_files else _EVENTS
        events = [e for e in instance.all_logs(run.run_id, of_type=types) if e.dagster_event]
        yield from _failed_checks(run, events)
        yield from _returned_boletins(events, lake, inbox, whose)
        if run.status == dg.DagsterRunStatus.FAILURE and run.tags.get(_WILL_RETRY) != "true":
            yield from _failed_run(instance, run, events, lake)


def _failed_run(
    instance: dg.DagsterInstance, run: dg.DagsterRun, events: list[dg.EventLogEntry], lake: Lake
) -> Iterator[Alert]:
    """That it failed, unless a sensor or a schedule asks again for what it was to do."""
    tags, partitions = run.tags, " to ".join(_partitions(run))
    if CAPTURE_TAG in tags and not by_hand(tags):
        yield from _given_up_hours(run, lake)  # the others are asked for again; if in vain, it is an outage
        return
    if run.job_name == boletim_job.name and FIRST_TAG in tags and not by_hand(tags):
        return  # of many files: they are tried again in smaller runs
    key, tried = f"run {tags.get(_ROOT, run.run_id)}", ""
    wanted = _ASKED_AGAIN.get(run.job_name)
    if wanted and tags.keys() >= wanted:
        same = {tag: tags[tag] for tag in wanted}
        if _failed_tries(instance, run, same) < MAX_TRIES:
            return
        key = f"run {run.job_name} {' '.join(sorted(same.values()))}"
        tried = f", given up after {MAX_TRIES} tries"
    yield Alert(
        "run",
        key,
        f"{_name(run)} failed{f' for {partitions}' if partitions else ''}{tried}",
        f"{_why(events)} (run {run.run_id[:8]})",
        name=_name(run),
    )


def _given_up_hours(run: dg.DagsterRun, lake: Lake) -> Iterator[Alert]:
    """Of a source's run: that hours of it failed so often that only a person asks for them again."""
    source, partitions = run.tags[CAPTURE_TAG], _partitions(run)
    if not partitions:
        return
    first, last = (CALENDAR.hour(key, source) for key in (partitions[0], partitions[-1]))
    if errors := given_up(lake, CALENDAR.hours(first.start, last.end, source)):
        keys = list(errors)
        named = keys[0] if len(keys) == 1 else f"{len(keys)} hours from {keys[0]} to {keys[-1]}"
        yield Alert(
            "run",
            f"given up {source} {keys[0]} {keys[-1]}",
            f"{source}: {named} {'is' if len(keys) == 1 else 'are'} given up",
            f"{errors[keys[-1]]}. Mend the cause, then materialise {'it' if len(keys) == 1 else 'them'}.",
            name=run.job_name,
        )


def _failed_tries(instance: dg.DagsterInstance, run: dg.DagsterRun, same: dict[str, str]) -> int:
    """How many runs of the same failed, for a file also as one of many, as the sensor counts them."""
    tries = instance.get_runs_count(dg.RunsFilter(job_name=run.job_name, tags=same, statuses=FAILED))
    if run.job_name == boletim_job.name:
        files = instance.get_dynamic_partitions(BOLETIM_FILES.name or "")
        place = {file: at for at, file in enumerate(files)}
        at = place.get(same[PARTITION_TAG], -1)
        failed = dg.RunsFilter(job_name=run.job_name, statuses=FAILED)
        for other in instance.get_runs(failed, limit=_LOOKED_THROUGH):
            first, last = (place.get(other.tags.get(tag, ""), len(files)) for tag in (FIRST_TAG, LAST_TAG))
            tries += first <= at <= last < len(files)
    return tries


def _failed_checks(run: dg.DagsterRun, events: list[dg.EventLogEntry]) -> Iterator[Alert]:
    """Told once for each asset, check and day; a blocking one for each partition."""
    for event in _of_type(events, dg.DagsterEventType.ASSET_CHECK_EVALUATION):
        found = event.asset_check_evaluation_data
        if found.passed or found.check_name == ACCEPTED.name:  # a returned boletim is told as such
            continue
        asset, failed = found.asset_key.to_user_string(), found.severity == dg.AssetCheckSeverity.ERROR
        partition = found.partition or " to ".join(_partitions(run))
        once = partition if failed else partition[: len("2026-11-22")]
        yield Alert(
            "check",
            f"check {asset} {found.check_name} {found.severity.value} {once}",
            f"{found.check_name} of {asset} {'failed' if failed else 'warns'}",
            found.description or f"in {partition or 'its last run'}",
            name=found.check_name,
            run=run.run_id,
        )


def _returned_boletins(
    events: list[dg.EventLogEntry], lake: Lake, inbox: ObjectStore, whose: Callable[[str], str]
) -> Iterator[Alert]:
    for event in _of_type(events, dg.DagsterEventType.ASSET_MATERIALIZATION):
        made = event.step_materialization_data.materialization
        verdict = made.metadata.get("verdict")
        if (
            made.asset_key != BOLETIM.key
            or not made.partition
            or verdict is None
            or verdict.value != "rejected"
        ):
            continue
        manifest = read_file_manifest(lake, made.partition)
        if manifest is None:
            continue
        try:
            answer = orjson.loads(inbox.get(manifest.answer or ""))
        except (StorageError, orjson.JSONDecodeError):  # somebody tidied the archive
            answer = None
        yield Alert(
            "boletim",
            f"boletim {manifest.file}",
            f"Boletim devolvido: {manifest.key}",
            answer_in_short(answer, manifest.answer or "") if answer else "",
            to=whose(manifest.key),
        )


def _why(events: list[dg.EventLogEntry]) -> str:
    """Why a run failed: the text of an error of ours; of any other, whose text may hold a row, its type."""
    for event in _of_type(events, dg.DagsterEventType.STEP_FAILURE):
        failure = event.step_failure_data
        if failure.user_failure_data and failure.user_failure_data.description:
            return failure.user_failure_data.description
        error = failure.error and (failure.error.cause or failure.error)
        if error and error.cls_name:
            return f"{error.cls_name}: its log says more"
    # Without a failed step it was Dagster that ended it: its worker died, or it took too long.
    said = [event.message for event in _of_type(events, dg.DagsterEventType.RUN_FAILURE) if event.message]
    return said[-1] if said else "its log says more"


def _name(run: dg.DagsterRun) -> str:
    """The run's job; of a run without one, started from an asset's page, the assets."""
    if not run.job_name.startswith("__"):
        return run.job_name
    assets = sorted(key.to_user_string() for key in run.asset_selection or ())
    return f"the run of {', '.join(assets[:_NAMED])}{' …' if len(assets) > _NAMED else ''}"


def _partitions(run: dg.DagsterRun) -> list[str]:
    """The run's partition, or the first and the last one."""
    return [run.tags[tag] for tag in (PARTITION_TAG, FIRST_TAG, LAST_TAG) if tag in run.tags]


def _of_type(events: list[dg.EventLogEntry], kind: dg.DagsterEventType) -> Iterator[Any]:
    return (e.dagster_event for e in events if e.dagster_event and e.dagster_event.event_type == kind)
