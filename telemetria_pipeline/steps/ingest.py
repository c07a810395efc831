"""Many hours of one source, one by one: an hour that fails costs only itself."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from telemetria_pipeline.business_calendar import Hour
from telemetria_pipeline.carriers.client import CarrierClient
from telemetria_pipeline.carriers.errors import AuthError, NotAsked, PermanentError, TransientError
from telemetria_pipeline.carriers.profile import Profile
from telemetria_pipeline.contracts.raw import HourManifest
from telemetria_pipeline.core.telemetry.cleaning import CleanedHour
from telemetria_pipeline.steps.capture import capture_hour, read_capture
from telemetria_pipeline.steps.hours import RAW, last_known, publishing, read_manifest
from telemetria_pipeline.steps.mending import mended_manifest
from telemetria_pipeline.steps.publish import (
    NoCapture,
    PublishedHour,
    TablesRefused,
    publish_hour,
    recheck_hour,
)
from telemetria_pipeline.storage.lake import Lake
from telemetria_pipeline.storage.object_store import ObjectDamaged

_UNANSWERED = 5  # hours in a row after which a run asks for no more


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
    by_hand: bool = False,
    pseudonym_key: str = "",
) -> Iterator[HourOutcome]:
    """Capture the hours with `client`, if there is one, and publish their trips if `publish`.

    Without a client the trips are made again from what was kept; without either, the stored tables are
    checked.
    `pseudonym_key`: see `People.configured`.
    A run that is tried again asks the carrier only for what it has not got yet, and reports an hour once.
    Of a carrier that answers nothing, five hours in a row, the others are not asked.
    """
    asking = _Asking(client, run_id, by_hand) if client else None
    for hour in hours:
        try:
            yield _ingest(lake, profile, asking, hour, publish, pseudonym_key)
        except Exception as error:  # whatever it is, the other hours go on
            answers = {error.check: error.problem} if isinstance(error, TablesRefused) else {}
            yield HourOutcome(hour, last_known(lake, hour), answers=answers, error=error)


@dataclass
class _Asking:
    """A run's way to the carrier, and what it was told so far: who is refused does not insist."""

    client: CarrierClient
    run_id: str
    by_hand: bool
    unanswered: int = 0  # hours in a row
    refused: AuthError | None = None

    def capture(
        self, lake: Lake, profile: Profile, hour: Hour, manifest: HourManifest | None
    ) -> tuple[HourManifest, CleanedHour]:
        if self.refused:
            raise self.refused
        if self.unanswered >= _UNANSWERED:
            raise NotAsked(
                f"{hour.key} was not asked for: the carrier did not answer for the hours before it"
            )
        failure = manifest.failure if manifest else None
        if failure and failure.run_id == self.run_id and failure.permanent:
            raise PermanentError(failure.error)
        try:
            captured = capture_hour(lake, self.client, profile, hour, self.run_id, self.by_hand)
        except AuthError as error:
            self.refused = error
            raise
        except TransientError:
            self.unanswered += 1
            raise
        self.unanswered = 0
        return captured


def _ingest(
    lake: Lake, profile: Profile, asking: _Asking | None, hour: Hour, publish: bool, pseudonym_key: str
) -> HourOutcome:
    manifest, cleaned = mended_manifest(lake, hour), None
    if asking and manifest and manifest.current and manifest.current.run_id == asking.run_id:
        if publish and manifest.in_tables:
            with suppress(ObjectDamaged, NoCapture):  # a table that cannot be asked is made again
                return HourOutcome(hour, answers=recheck_hour(lake, hour, manifest))
    elif asking:
        manifest, cleaned = asking.capture(lake, profile, hour, manifest)
    if manifest is None or manifest.current is None:
        raise NoCapture(f"{hour.key} was never captured; materialise {RAW} for it first")
    captured = manifest if asking else None
    if publish:
        with publishing(lake, hour.source) as held:
            latest = read_manifest(held, hour) or manifest
            if latest.current and latest.current != manifest.current:  # somebody has captured it since
                manifest, cleaned = latest, None
            cleaned = cleaned or read_capture(held, profile, hour, manifest.captures[-1])
            published = publish_hour(held, hour, manifest, cleaned, pseudonym_key)
        return HourOutcome(hour, captured, published, published.problems)
    answers = {} if asking else recheck_hour(lake, hour, manifest)
    return HourOutcome(hour, captured, answers=answers)
