"""`raw_telemetry` and `telemetry_trips`: the carrier's hours, as received and as trips."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta

import dagster as dg

from telemetria_pipeline.defs.failures import log_failure, run_failure, said
from telemetria_pipeline.steps.hour_ingest import (
    RAW,
    HourRefused,
    NoCapture,
    capture_hour,
    last_known,
    manifest_key,
    publish_hour,
    read_capture,
    read_manifest,
    recheck_hour,
)
from telemetria_pipeline.defs.metadata import raw_metadata, table_schema, trips_metadata
from telemetria_pipeline.defs.telemetry.request_log import RequestLog
from telemetria_pipeline.defs.resources import CarrierResource, LakeResource
from telemetria_pipeline.carriers.errors import AuthError, CarrierError, PermanentError, TransientError
from telemetria_pipeline.carriers.profile import ProfileError
from telemetria_pipeline.defs.telemetry import checks
from telemetria_pipeline.defs.findings import Findings
from telemetria_pipeline.contracts.raw import HourManifest
from telemetria_pipeline.contracts.telemetry import TRIPS
from telemetria_pipeline.core.telemetry.hours import Hour
from telemetria_pipeline.defs.partitions import HOURLY, hour_of
from telemetria_pipeline.settings import Settings, SettingsError
from telemetria_pipeline.storage.lake import Lake
from telemetria_pipeline.storage.object_store import StorageError

_OURS = (CarrierError, NoCapture, HourRefused, StorageError, ProfileError, SettingsError)
_DAY = timedelta(days=1)

RAW_TELEMETRY = dg.AssetSpec(
    RAW,
    description="The carrier's pages of the hour exactly as received (zstd), every capture kept, with a "
    "manifest: hour state, requests, bytes, hashes.",
    group_name="telemetry",
    owners=["team:data-engineering"],
    kinds={"json", "zstd"},
    code_version="1",
    skippable=True,
)
TELEMETRY_TRIPS = dg.AssetSpec(
    TRIPS.name,
    deps=[RAW_TELEMETRY],
    description="Typed and cleaned trips that depart in the hour; all other received rows lie in the "
    "quarantine with a reason, and the ledger accounts for each.",
    group_name="telemetry",
    owners=["team:data-engineering"],
    kinds={"parquet", "pandas"},
    code_version="1",
    metadata={"dagster/column_schema": table_schema(TRIPS)},
    skippable=True,
)


@dg.multi_asset(
    specs=[RAW_TELEMETRY, TELEMETRY_TRIPS],
    check_specs=checks.SPECS,
    partitions_def=HOURLY,
    # A failed run of many hours is long to repeat, and each event it writes is read by the UI.
    backfill_policy=dg.BackfillPolicy.multi_run(max_partitions_per_run=480),
    can_subset=True,
    pool="carrier_api",
)
def telemetry(
    context: dg.AssetExecutionContext, lake: LakeResource, carrier: CarrierResource
) -> Iterator[dg.AssetCheckResult]:
    """Capture the run's hours from the carrier and publish their trips, hour by hour.

    One step for both assets, so that an hour that fails costs only itself: each hour is reported as soon
    as it is done, and the run fails at the end if any of them did. `telemetry_trips` alone is made again
    from what `raw_telemetry` kept, with the API switched off.
    """
    selected = context.selected_asset_keys
    capturing, publishing = RAW_TELEMETRY.key in selected, TELEMETRY_TRIPS.key in selected
    findings, failures, schema = Findings(checks.SPECS, "hours"), dict[str, Exception](), table_schema(TRIPS)
    try:
        open_lake, profile = lake.open(), carrier.profile()
        requests = RequestLog(context.log)
        client = carrier.client(profile, requests, context.run.run_id[:8]) if capturing else None
    except (SettingsError, ProfileError, CarrierError, StorageError) as error:
        raise dg.Failure(str(error), allow_retries=False) from None

    hours = _hours_of(context, open_lake)
    for hour in hours:
        try:
            manifest, cleaned = read_manifest(open_lake, hour), None
            if manifest and capturing and publishing and _published_in(context.run.run_id, manifest):
                findings.note(hour.key, recheck_hour(open_lake, hour, manifest))
                continue
            if client and not _answered_in(context.run.run_id, manifest):
                _do_not_insist(context.run.run_id, manifest, failures)
                manifest, cleaned = capture_hour(open_lake, client, profile, hour, context.run.run_id)
            if manifest is None or manifest.current is None:
                raise NoCapture(f"{hour.key} was never captured; materialise {RAW} for it first")
            if capturing:
                uri = open_lake.store.uri(manifest_key(hour))
                _report(context, RAW_TELEMETRY, hour, raw_metadata(manifest, uri))
            if not selected:  # only the checks: ask them of what is stored
                findings.note(hour.key, recheck_hour(open_lake, hour, manifest))
            if publishing:
                cleaned = cleaned or read_capture(open_lake, profile, hour, manifest.current)
                published = publish_hour(open_lake, hour, manifest, cleaned)
                findings.note(hour.key, published.problems)
                _report(context, TELEMETRY_TRIPS, hour, trips_metadata(published, schema))
        except Exception as error:  # whatever it is, the other hours go on; the run fails at the end
            requests.flush()
            failures[hour.key] = error
            if isinstance(error, HourRefused):
                findings.note(hour.key, {error.check: error.problem})
            _tell(context, hour, error, last_known(open_lake, hour))
    requests.flush()
    if client:
        client.close()
    if _worth_a_retry(failures, context.retry_number):
        wait = Settings.from_env().hour_retry_wait_s
        raise dg.RetryRequested(max_retries=Settings.from_env().hour_retries, seconds_to_wait=wait)
    yield from findings.results(context.selected_asset_check_keys)
    if failures:
        raise run_failure(failures, len(hours), "hours", _OURS)


def _hours_of(context: dg.AssetExecutionContext, lake: Lake) -> list[Hour]:
    """The run's hours; checks alone, which Dagster runs without a partition, look at the last day's."""
    if context.has_partition_key or context.has_partition_key_range:
        return [hour_of(key) for key in context.partition_keys]
    now = datetime.now(UTC)
    day = map(hour_of, HOURLY.get_partition_keys_in_time_window(dg.TimeWindow(now - _DAY, now)))
    return [h for h in day if (manifest := read_manifest(lake, h)) and manifest.published]


def _answered_in(run_id: str, manifest: HourManifest | None) -> bool:
    """A retry of the step does not ask again for what the same run already got."""
    return bool(manifest and manifest.current and manifest.current.run_id == run_id)


def _published_in(run_id: str, manifest: HourManifest) -> bool:
    """A retry of the step reports an hour once: what its capture changed would be gone the second time."""
    return _answered_in(run_id, manifest) and manifest.published == manifest.captures[-1].id


def _do_not_insist(run_id: str, manifest: HourManifest | None, failures: Mapping[str, Exception]) -> None:
    """Raise what the carrier has already answered for good: to this hour in this run, or to the token."""
    refused = next((e for e in failures.values() if isinstance(e, AuthError)), None)
    if refused:
        raise refused
    if manifest and manifest.failure and manifest.failure.run_id == run_id and manifest.failure.permanent:
        raise PermanentError(manifest.failure.error)


def _report(context: dg.AssetExecutionContext, asset: dg.AssetSpec, hour: Hour, metadata: dict) -> None:
    context.log_event(dg.AssetMaterialization(asset.key, partition=hour.key, metadata=metadata))


def _tell(
    context: dg.AssetExecutionContext, hour: Hour, error: Exception, manifest: HourManifest | None
) -> None:
    """Say why an hour failed, in the log and at the hour itself."""
    log_failure(context, hour.key, error, _OURS)
    state = manifest.state if manifest else "missing"
    attempts = manifest.failure.attempts if manifest and manifest.failure else 0
    context.log_event(
        dg.AssetObservation(
            RAW_TELEMETRY.key,
            partition=hour.key,
            metadata={"hour_state": state, "attempts": attempts, "error": said(error, _OURS)},
        )
    )


def _worth_a_retry(failures: Mapping[str, Exception], tried: int) -> bool:
    if any(isinstance(e, AuthError) for e in failures.values()):
        return False
    passing = [e for e in failures.values() if isinstance(e, TransientError | StorageError)]
    return bool(passing) and tried < Settings.from_env().hour_retries
