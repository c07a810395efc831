"""Many hours of one source, one by one: an hour that fails costs only itself."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from telemetria_pipeline.business_calendar import Hour
from telemetria_pipeline.carriers.client import CarrierClient
from telemetria_pipeline.carriers.errors import AuthError, PermanentError
from telemetria_pipeline.carriers.profile import Profile
from telemetria_pipeline.contracts.raw import HourManifest
from telemetria_pipeline.steps.capture import capture_hour, read_capture
from telemetria_pipeline.steps.hours import RAW, last_known, read_manifest
from telemetria_pipeline.steps.publish import (
    NoCapture,
    PublishedHour,
    TablesRefused,
    publish_hour,
    recheck_hour,
)
from telemetria_pipeline.storage.lake import Lake


@dataclass(frozen=True)
class HourOutcome:
    """What became of an hour: its capture and its publication, where there were any, or the error.

    `answers` are those of the checks: name → problem in words, or None.
    """

    hour: Hour
    captured: HourManifest | None = None
    published: PublishedHour | None = None
    answers: Mapping[str, str | None] = field(default_factory=dict)
    error: Exception | None = None


def ingest_hours(
    lake: Lake,
    profile: Profile,
    client: CarrierClient | None,
    hours: Iterable[Hour],
    run_id: str,
    publish: bool,
    pseudonym_key: str = "",
) -> Iterator[HourOutcome]:
    """Capture the hours with `client`, if there is one, and publish their trips if `publish`.

    Without a client the trips are made again from what was kept; without either, the stored tables are
    checked.
    `pseudonym_key`: see `People.configured`.
    A run that is tried again asks the carrier only for what it has not got yet, and reports an hour once.
    """
    refused: AuthError | None = None
    for hour in hours:
        try:
            yield _ingest(lake, profile, client, hour, run_id, publish, pseudonym_key, refused)
        except Exception as error:  # whatever it is, the other hours go on
            refused = error if isinstance(error, AuthError) else refused
            answers = {error.check: error.problem} if isinstance(error, TablesRefused) else {}
            yield HourOutcome(hour, last_known(lake, hour), answers=answers, error=error)


def _ingest(
    lake: Lake,
    profile: Profile,
    client: CarrierClient | None,
    hour: Hour,
    run_id: str,
    publish: bool,
    pseudonym_key: str,
    refused: AuthError | None,
) -> HourOutcome:
    manifest, cleaned = read_manifest(lake, hour), None
    if client and manifest and _answered_in(run_id, manifest):
        if publish and manifest.published == manifest.captures[-1].id:
            return HourOutcome(hour, answers=recheck_hour(lake, hour, manifest))
    elif client:
        _do_not_insist(run_id, manifest, refused)
        manifest, cleaned = capture_hour(lake, client, profile, hour, run_id)
    if manifest is None or manifest.current is None:
        raise NoCapture(f"{hour.key} was never captured; materialise {RAW} for it first")
    captured = manifest if client else None
    if publish:
        cleaned = cleaned or read_capture(lake, profile, hour, manifest.current)
        published = publish_hour(lake, hour, manifest, cleaned, pseudonym_key)
        return HourOutcome(hour, captured, published, published.problems)
    answers = {} if client else recheck_hour(lake, hour, manifest)
    return HourOutcome(hour, captured, answers=answers)


def _answered_in(run_id: str, manifest: HourManifest) -> bool:
    return bool(manifest.current and manifest.current.run_id == run_id)


def _do_not_insist(run_id: str, manifest: HourManifest | None, refused: AuthError | None) -> None:
    """Raise what the carrier has already answered for good: to the token, or to this hour in this run."""
    if refused:
        raise refused
    if manifest and manifest.failure and manifest.failure.run_id == run_id and manifest.failure.permanent:
        raise PermanentError(manifest.failure.error)
