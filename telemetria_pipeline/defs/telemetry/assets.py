"""`raw_telemetry` and `telemetry_trips` of a source: its hours, as received and as trips."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg

from telemetria_pipeline.business_calendar import Hour
from telemetria_pipeline.carriers.errors import AuthError
from telemetria_pipeline.carriers.sources import Source
from telemetria_pipeline.contracts.raw import Failure
from telemetria_pipeline.contracts.telemetry import TRIPS
from telemetria_pipeline.core.telemetry.recapture import Owed
from telemetria_pipeline.defs.failures import failures_end_the_run, log_failure, run_failure, worth_a_retry
from telemetria_pipeline.defs.findings import Findings
from telemetria_pipeline.defs.metadata import asset_facts, materialization, raw_metadata, trips_metadata
from telemetria_pipeline.defs.partitions import CALENDAR, HOURLY
from telemetria_pipeline.defs.resources import PipelineResource
from telemetria_pipeline.defs.runs import by_hand
from telemetria_pipeline.defs.telemetry import checks
from telemetria_pipeline.defs.telemetry.request_log import RequestLog
from telemetria_pipeline.errors import shown_text
from telemetria_pipeline.steps.hours import RAW, manifest_key, read_manifest
from telemetria_pipeline.steps.ingest import HourOutcome, ingest_hours
from telemetria_pipeline.storage.lake import Lake

_DAY = timedelta(days=1)


def trips_key(source: str) -> dg.AssetKey:
    """The key of a source's `telemetry_trips`."""
    return dg.AssetKey([source, TRIPS.name])


def raw_key(source: str) -> dg.AssetKey:
    """The key of a source's `raw_telemetry`."""
    return dg.AssetKey([source, RAW])


def pool(source: str) -> str:
    """The pool that keeps one run at a time on a source's API."""
    return f"carrier_api_{source}"


def telemetry_assets(source: Source) -> dg.AssetsDefinition:
    """The two assets of a source. One that cannot be asked as it is described says so in its metadata."""
    raw, trips = _specs(source)
    check_specs = checks.specs(trips.key)

    @dg.multi_asset(
        name=f"telemetry_{source.name}",
        specs=[raw, trips],
        check_specs=check_specs,
        partitions_def=HOURLY,
        # A failed run of many hours is long to repeat, and each event it writes is read by the UI.
        backfill_policy=dg.BackfillPolicy.multi_run(max_partitions_per_run=480),
        can_subset=True,
        pool=pool(source.name),
    )
    def telemetry(
        context: dg.AssetExecutionContext, pipeline: PipelineResource
    ) -> Iterator[dg.AssetCheckResult]:
        """Capture the run's hours from the carrier and publish their trips, hour by hour.

        One step for both assets, so that an hour that fails costs only itself: each is reported as soon as
        it is done, and the run fails at the end if any of them did. `telemetry_trips` alone is made again
        from what `raw_telemetry` kept, with the API switched off.
        """
        selected = context.selected_asset_keys
        requests = RequestLog(context.log)
        with failures_end_the_run():
            settings, lake, profile = pipeline.load(), pipeline.lake(), source.load_profile()
            client = (
                pipeline.client(source, profile, requests, context.run.run_id)
                if raw.key in selected
                else None
            )
        hours, failures = _hours_of(context, lake, source), dict[str, Exception]()
        findings = Findings(check_specs, "hours", [hour.key for hour in hours])
        run_id, publish, hand = context.run.run_id, trips.key in selected, by_hand(context.run.tags)
        key = settings.pseudonyms
        for outcome in ingest_hours(lake, profile, client, hours, run_id, publish, hand, key):
            if outcome.error:
                requests.flush()
                failures[outcome.hour.key] = outcome.error
            note = findings.failed if outcome.error else findings.note
            note(outcome.hour.key, outcome.answers)
            for event in _events(outcome, source, lake):
                context.log_event(event)
            for damage in outcome.published.damaged if outcome.published else ():
                context.log.warning(
                    f"{outcome.hour.key} was made again, and what changed is not known: {damage}"
                )
            if outcome.error:
                log_failure(context, outcome.hour.key, outcome.error)
        requests.flush()
        if client:
            client.close()
        if _may_pass(failures) and context.retry_number < settings.hour_retries:
            raise dg.RetryRequested(settings.hour_retries, settings.hour_retry_wait_s)
        yield from findings.results(context.selected_asset_check_keys)
        if failures:
            raise run_failure(failures, len(hours), "hours")

    return telemetry


def _specs(source: Source) -> tuple[dg.AssetSpec, dg.AssetSpec]:
    about: dict[str, Any] = {"source": source.name, "profile": source.profile, "address": source.url or "–"}
    if source.carriers:
        about["carriers"] = ", ".join(source.carriers)
    warning = ""
    if problem := source.problem():
        about["problem"] = problem
        warning = f"\n\n**This source cannot be asked: {problem}**"
    group = f"telemetry_{source.name}"
    trips = asset_facts(group, TRIPS)
    return (
        dg.AssetSpec(
            raw_key(source.name),
            description="The carrier's pages of the hour exactly as received (zstd), every capture kept, "
            f"with a manifest: hour state, requests, bytes, hashes.{warning}",
            skippable=True,
            metadata=about,
            **asset_facts(group, kinds=("json", "zstd")),
        ),
        dg.AssetSpec(
            trips_key(source.name),
            deps=[raw_key(source.name)],
            description="Typed and cleaned trips that depart in the hour; all other received rows lie in the "
            f"quarantine with a reason, and the ledger accounts for each.{warning}",
            skippable=True,
            **{**trips, "metadata": {**trips["metadata"], **about}},
        ),
    )


def _hours_of(context: dg.AssetExecutionContext, lake: Lake, source: Source) -> list[Hour]:
    """The run's hours; checks alone, which Dagster runs without a partition, look at the last day's."""
    if context.has_partition_key or context.has_partition_key_range:
        return [CALENDAR.hour(key, source.name) for key in context.partition_keys]
    now = datetime.now(UTC)
    day = CALENDAR.hours(now - _DAY, now, source.name)
    return [h for h in day if (manifest := read_manifest(lake, h)) and manifest.published]


def _events(outcome: HourOutcome, source: Source, lake: Lake) -> Iterator[Any]:
    """What Dagster records of an hour."""
    hour, manifest, published = outcome.hour, outcome.captured, outcome.published
    if outcome.error:
        failure = manifest.failure if manifest else None
        yield dg.AssetObservation(
            raw_key(source.name),
            partition=hour.key,
            metadata={
                "hour_state": manifest.state if manifest else "missing",
                "attempts": failure.attempts if failure else 0,
                "asked_again": _when_again(failure),
                "error": shown_text(outcome.error),
            },
        )
        return
    if manifest and manifest.current:
        metadata = raw_metadata(manifest, lake.store.uri(manifest_key(hour)))
        yield materialization(raw_key(source.name), hour.key, metadata, manifest.current.id)
    if published:
        metadata = trips_metadata(published)
        yield materialization(trips_key(source.name), hour.key, metadata, published.digest)


def _when_again(failure: Failure | None) -> str:
    """When the hour will be asked for once more, for people."""
    if failure is None:
        return "by the next recapture"
    owed = Owed.after(failure)
    if owed.given_up:
        return f"given up after {failure.attempts} runs that failed: materialise the hour to begin anew"
    return f"from {owed.due_at(None):%Y-%m-%d %H:%M} UTC on, or soon after the carrier has answered"


def _may_pass(failures: Mapping[str, Exception]) -> bool:
    """Whether some failure may pass by itself, and none is of the token."""
    return worth_a_retry(failures) and not any(isinstance(e, AuthError) for e in failures.values())
