"""That yesterday's report is not there when it is due, and why; and when it is."""

from collections.abc import Collection, Iterator
from datetime import date, datetime, timedelta

import dagster as dg

from telemetria_pipeline.alerts.alert import Alert
from telemetria_pipeline.defs.audit.automation import audit_job
from telemetria_pipeline.defs.reports.assets import daily_stem
from telemetria_pipeline.defs.runs import ACTIVE, PARTITION_TAG
from telemetria_pipeline.settings import Settings
from telemetria_pipeline.steps.day_index import DayIndex
from telemetria_pipeline.steps.hours import Sources, expected_hours
from telemetria_pipeline.steps.staleness import read_state
from telemetria_pipeline.storage.lake import Lake

_KEY = "report "


def alerts_of_reports(
    instance: dg.DagsterInstance,
    lake: Lake,
    sources: Sources,
    settings: Settings,
    standing: Collection[str],
    now: datetime,
) -> Iterator[Alert]:
    """Yesterday's report once it is due, and those of earlier days that were told to be late."""
    local = now.astimezone(settings.timezone)
    days = {date.fromisoformat(key.removeprefix(_KEY)) for key in standing if key.startswith(_KEY)}
    yesterday = local.date() - timedelta(days=1)
    if local.time() >= settings.report_due and yesterday >= settings.start:
        days.add(yesterday)
    for day in sorted(days):
        if read_state(lake, day) and lake.store.exists(f"{daily_stem(day)}.html"):
            yield Alert("report", f"{_KEY}{day}", f"The daily report of {day} is there", phase="over")
        else:
            late = f"The daily report of {day} is not there; it was due at {settings.report_due:%H:%M}"
            why = _why(instance, day, _hours(lake, sources, settings, day))
            yield Alert("report", f"{_KEY}{day}", late, why, "begun")


def _why(instance: dg.DagsterInstance, day: date, hours: str) -> str:
    runs = instance.get_runs(dg.RunsFilter(job_name=audit_job.name, tags={PARTITION_TAG: str(day)}), limit=1)
    if not runs:
        return f"No run was started for it{hours}. Materialise {day} with {audit_job.name}."
    run, end = runs[0], runs[0].status
    if end in ACTIVE:
        waits = "waits in the queue" if end == dg.DagsterRunStatus.QUEUED else "is still on its way"
        return f"Its run {waits} (run {run.run_id[:8]}){hours}."
    ended = "failed" if end == dg.DagsterRunStatus.FAILURE else f"ended ({end.value.lower()}) without it"
    mend = f"Mend what it says, then materialise {day} with {audit_job.name}."
    return f"Its last run {ended} (run {run.run_id[:8]}){hours}. {mend}"


def _hours(lake: Lake, sources: Sources, settings: Settings, day: date) -> str:
    """What is missing of the day's telemetry: it holds no report back, and may say why all is late."""
    published = DayIndex.read(lake, day, day).sources.get(day, {})
    missing = {}
    for source in sources.values():
        known = published[source.name].hours if source.name in published else {}
        hours = expected_hours(source, settings.calendar, *settings.calendar.day(day))
        missing[source.name] = sum(hour.name not in known for hour in hours)
    said = [
        f"{name} lacks {count} {'hour' if count == 1 else 'hours'}"
        for name, count in missing.items()
        if count
    ]
    return f"; {', '.join(said)}" if said else ""
