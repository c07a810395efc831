"""One boletim, from the inbox to its archive. The steps behind the assets, without Dagster.

Every step may be the last one before the power goes: each can be repeated, and none destroys what a later
one needs. The file leaves the inbox only when its bytes, its verdict, its rows and its answer are stored.

A file is judged against those that came before it: its earlier versions, other files with its content or its
trips. Therefore a step is done by one at a time, also where several instances share a lake: each takes the
lake's lock `intake` and begins with what is stored then. Writes that only compare what they replace would not
do: two files with one row replace nothing of each other's.
"""

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import partial, wraps
from pathlib import PurePosixPath
from typing import Concatenate, ParamSpec, TypeVar

import orjson
import pandas as pd

from telemetria_pipeline.contracts.boletim import BOLETIM_QUARANTINE, BOLETIM_TRIPS, BOLETIM_VERSIONS
from telemetria_pipeline.contracts.raw import FileManifest
from telemetria_pipeline.core.boletim.inbox import ARCHIVE, Landed
from telemetria_pipeline.core.boletim.settings import Reference, RuleSettings
from telemetria_pipeline.core.boletim.validation import FileVerdict, duplicate_of, validate_file
from telemetria_pipeline.errors import PipelineError
from telemetria_pipeline.steps.day_index import days_of, files_declaring, record_file
from telemetria_pipeline.storage.lake import Lake, Written
from telemetria_pipeline.storage.lock import locked
from telemetria_pipeline.storage.object_store import ObjectExists, ObjectNotFound, ObjectStore

RAW = "raw_boletins"
_READERS = 8  # S3 answers each in its own time
# How far back a vehicle's last reading is looked for: a bus that stands longer starts afresh.
_LOOK_BACK = timedelta(days=10)


P = ParamSpec("P")
R = TypeVar("R")


class NotThere(PipelineError):
    """The file is neither in the inbox nor kept in the lake."""


class StillWritten(PipelineError):
    """The file changed while it was read; its next version has a run of its own."""

    permanent = False


@dataclass(frozen=True)
class Received:
    """A file whose bytes are kept, with its bytes."""

    manifest: FileManifest
    data: bytes


@dataclass(frozen=True)
class Judged:
    """A file with its verdict; `written` tells of its rows in `boletim_trips`."""

    manifest: FileManifest
    verdict: FileVerdict
    written: Written


def partition_of(file: str) -> dict[str, str]:
    """Where a file lies in a table: `arquivo=<file>`."""
    return {"arquivo": file}


def manifest_key(file: str) -> str:
    """Where the file's manifest lies in the lake."""
    return f"{RAW}/arquivo={file}/manifest.json"


def read_file_manifest(lake: Lake, file: str) -> FileManifest | None:
    """What is known of the file; None where it never arrived."""
    found = lake.read_json(manifest_key(file))
    return FileManifest.model_validate(found) if found else None


def files_received(lake: Lake, start: datetime, end: datetime) -> Iterator[str]:
    """The files received in the window, told by their originals, which are written once."""
    for info in lake.store.list(RAW):
        found = re.fullmatch(rf"{RAW}/arquivo=([^/]+)/original[^/]*", info.key)
        if found and info.modified and start <= info.modified < end:
            yield found[1]


def returned_files(lake: Lake, start: datetime, end: datetime) -> list[FileManifest]:
    """The files received in the window that were rejected and have not come again since, in their order.

    A rejected file says no day, so that one of the same name which was taken later counts for it.
    """
    with ThreadPoolExecutor(_READERS) as readers:
        found = readers.map(lambda file: read_file_manifest(lake, file), files_received(lake, start, end))
        rejected = [m for m in found if m and m.verdict == "rejected"]
    waiting = [m for m in rejected if all(v.verdict == "rejected" for v in _versions(lake, m)[1])]
    # Of one that was returned time and again, the first time.
    first = {m.key: m for m in sorted(waiting, key=lambda m: m.received_at, reverse=True)}
    return sorted(first.values(), key=lambda m: m.received_at)


def landed_files(inbox: ObjectStore) -> Iterator[Landed]:
    """What lies in the inbox, the archive left out."""
    for info in inbox.list(skip=ARCHIVE):
        yield Landed(info.key, info.etag, info.size, info.modified or datetime.now(UTC))


def _one_at_a_time(step: Callable[Concatenate[Lake, P], R]) -> Callable[Concatenate[Lake, P], R]:
    """The step, done under the lake's lock `intake`."""

    @wraps(step)
    def alone(lake: Lake, /, *args: P.args, **kwargs: P.kwargs) -> R:
        with locked(lake, "intake") as held:
            return step(held, *args, **kwargs)

    return alone


@_one_at_a_time
def receive_file(lake: Lake, inbox: ObjectStore, file: str) -> Received:
    """Keep the file's bytes in the lake, as received.

    Raises:
        NotThere: it is neither in the inbox nor in the lake.
        StillWritten: it changed while it was read.
    """
    manifest = read_file_manifest(lake, file)
    if manifest:
        return Received(manifest, lake.get_raw(manifest.original))
    landed = next((f for f in landed_files(inbox) if f.file_id == file), None)
    if landed is None:
        raise NotThere(f"{file} is not in the inbox and was never received; drop the file again")
    data = inbox.get(landed.key)
    if inbox.info(landed.key).etag != landed.etag:
        raise StillWritten(f"{landed.key} changed while it was read; it is taken again once it rests")
    original = f"{RAW}/arquivo={file}/original{PurePosixPath(landed.key).suffix.lower()}"
    try:
        lake.put_raw(original, data)
    except ObjectExists:  # kept by a run that died before it wrote the manifest
        data = lake.get_raw(original)
    manifest = FileManifest(
        file=file,
        key=landed.key,
        etag=landed.etag,
        size=len(data),
        landed_at=landed.modified,
        received_at=datetime.now(UTC),
        sha256=hashlib.sha256(data).hexdigest(),
        original=original,
    )
    _add_version(lake, manifest)
    _write_manifest(lake, manifest)
    return Received(manifest, data)


@_one_at_a_time
def judge_file(lake: Lake, received: Received, settings: RuleSettings, reference: Reference) -> Judged:
    """Decide the verdict, and make the file's rows in `boletim_trips` those that it accepts.

    The same content twice is a duplicate. An accepted file takes the place of its earlier versions: files
    of the same name in the same place, most of whose days it covers. What a file declared whose rows do not
    count is kept in `boletim_versions`.

    The index of days follows the tables; which days it may have entries of, the manifest says before:
    whatever a killed try began, the next one ends with the index as the tables are.
    """
    manifest, data = read_file_manifest(lake, received.manifest.file) or received.manifest, received.data
    known = manifest.model_copy()
    earlier, later = _versions(lake, manifest)
    first = _first_with_content(lake, manifest)
    manifest.duplicate_of = None if first.file == manifest.file else first.file
    if manifest.duplicate_of:
        verdict = duplicate_of(manifest.name, first.name, first.rows.get("received", 0))
    else:
        judged = partial(
            validate_file,
            data,
            manifest.name,
            received_on=manifest.received_at.astimezone(settings.timezone).date(),
            reference=reference,
        )
        verdict = judged(settings=settings, earlier=_EarlierTrips(lake, manifest.file, earlier))
        if verdict.verdict == "rejected":  # its sound rows were declared all the same
            _keep_version(lake, manifest, judged(settings=replace(settings, partial=True)).accepted)
    manifest.days = sorted(verdict.accepted["data"].unique())
    corrections = [m for m in later if _covers(m.days, manifest.days)]
    manifest.replaced_by = corrections[-1].file if corrections else None
    trips = BOLETIM_TRIPS.empty() if corrections else verdict.accepted
    corrected = [m for m in earlier if _covers(manifest.days, m.days)]
    if corrections:
        _keep_version(lake, manifest, verdict.accepted)
    for old in corrected:
        declared = lake.read_table(BOLETIM_TRIPS.name, partition_of(old.file))
        if declared is not None:
            _keep_version(lake, old, BOLETIM_TRIPS.frame(declared))
    by_day = days_of(trips, settings.timezone)
    known.indexed = manifest.indexed = sorted({*manifest.indexed, *map(str, by_day)})
    _write_manifest(lake, known)
    written = lake.write_table(BOLETIM_TRIPS.name, partition_of(manifest.file), BOLETIM_TRIPS.table(trips))
    lake.write_table(
        BOLETIM_QUARANTINE.name, partition_of(manifest.file), BOLETIM_QUARANTINE.table(verdict.rejected)
    )
    record_file(lake, manifest.file, by_day, map(date.fromisoformat, manifest.indexed))
    for old in corrected:
        nothing = BOLETIM_TRIPS.table(BOLETIM_TRIPS.empty())
        lake.write_table(BOLETIM_TRIPS.name, partition_of(old.file), nothing)
        record_file(lake, old.file, {}, map(date.fromisoformat, old.indexed))
        _write_manifest(lake, old.model_copy(update={"replaced_by": manifest.file}))
    manifest.verdict, manifest.rows = verdict.verdict, asdict(verdict.rows)
    manifest.replaces = [old.file for old in corrected]
    _write_manifest(lake, manifest)
    return Judged(manifest, verdict, written)


def _keep_version(lake: Lake, manifest: FileManifest, trips: pd.DataFrame) -> None:
    """Keep what the file declared; a try that was cut short after it emptied the file's rows keeps them."""
    if len(trips):
        rows = trips.assign(recebido_utc=pd.Timestamp(manifest.received_at).as_unit("us"))
        table = BOLETIM_VERSIONS.table(rows[BOLETIM_VERSIONS.names])
        until = {"ate": trips["data"].max()}  # whoever looks for a cycle's trips passes earlier ones by
        lake.write_table(BOLETIM_VERSIONS.name, until | partition_of(manifest.file), table)


@_one_at_a_time
def archive_file(lake: Lake, inbox: ObjectStore, judged: Judged, data: bytes) -> FileManifest:
    """Put the file and its answer into `archive/<verdict>/`, then take it out of the inbox.

    Where somebody else has come to another verdict since, the answer is theirs, and nothing is done.
    """
    # Writing a workbook costs time at import, which the runs of hours need not pay.
    from telemetria_pipeline.reports.answer import answer_json, answer_workbook

    verdict = judged.verdict
    manifest = read_file_manifest(lake, judged.manifest.file) or judged.manifest
    if manifest.verdict != verdict.verdict:
        return manifest
    landed = PurePosixPath(manifest.key)
    stem = f"{ARCHIVE}/{verdict.verdict}/{landed.parent / landed.stem}.{manifest.file[-10:]}"
    before = manifest.model_copy()
    earlier, _ = _versions(lake, manifest)
    earlier_answer = _answer_of(inbox, earlier[-1]) if earlier else None
    inbox.put(f"{stem}_resposta.xlsx", answer_workbook(verdict, data, earlier_answer))
    inbox.put(f"{stem}_resposta.json", orjson.dumps(answer_json(verdict), option=orjson.OPT_INDENT_2))
    inbox.put(f"{stem}{landed.suffix}", data)
    manifest.archived, manifest.answer = f"{stem}{landed.suffix}", f"{stem}_resposta.json"
    _write_manifest(lake, manifest)
    if before.archived and before.answer and before.archived != manifest.archived:
        # The verdict changed when it was made again.
        for key in (before.archived, before.answer, before.answer.removesuffix(".json") + ".xlsx"):
            inbox.delete(key)
    with suppress(ObjectNotFound):
        now = inbox.info(manifest.key)
        if (now.etag, now.modified) == (manifest.etag, manifest.landed_at):
            inbox.delete(manifest.key)
    return manifest


@dataclass(frozen=True)
class _EarlierTrips:
    """Accepted trips of other files around some days, without those of versions to be replaced."""

    lake: Lake
    file: str
    versions: Sequence[FileManifest]

    def __call__(self, first: date, last: date) -> pd.DataFrame:
        """Trips (contract BOLETIM_TRIPS) of days that a file from `first` to `last` may touch."""
        days = [str(d.date()) for d in pd.date_range(first, last)]
        replaced = {m.file for m in self.versions if _covers(days, m.days)} | {self.file}
        around = [d.date() for d in pd.date_range(first - _LOOK_BACK, last + timedelta(days=1))]
        files = set(files_declaring(self.lake, around)) - replaced
        tables = self.lake.read_tables(BOLETIM_TRIPS.name, map(partition_of, sorted(files)))
        frames = [BOLETIM_TRIPS.frame(table) for _, table in tables if table.num_rows]
        return pd.concat(frames, ignore_index=True) if frames else BOLETIM_TRIPS.empty()


def _covers(days: Sequence[str], earlier: Sequence[str]) -> bool:
    """Whether a file of `days` corrects one of `earlier` days: it speaks of at least half of them.

    A depot may use one name for every day's boletim: that is another boletim, no correction.
    """
    return bool(earlier) and 2 * len(set(days) & set(earlier)) >= len(set(earlier))


def _first_with_content(lake: Lake, manifest: FileManifest) -> FileManifest:
    """The file that first came with this content; the one asked about, if none did."""
    key = f"{RAW}/contents/{manifest.sha256}.json"
    try:
        lake.store.put_new(key, orjson.dumps({"file": manifest.file}))
    except ObjectExists:
        first = read_file_manifest(lake, lake.read_json(key)["file"])
        # Content whose rows were replaced since counts again: somebody takes a correction back.
        return first if first and not first.replaced_by else manifest
    return manifest


def _versions_key(manifest: FileManifest) -> str:
    return f"{RAW}/names/{hashlib.sha256(manifest.key.casefold().encode()).hexdigest()[:32]}.json"


def _add_version(lake: Lake, manifest: FileManifest) -> None:
    known = lake.read_json(_versions_key(manifest)) or []
    if manifest.file not in known:
        lake.write_json(_versions_key(manifest), [*known, manifest.file])


def _versions(lake: Lake, manifest: FileManifest) -> tuple[list[FileManifest], list[FileManifest]]:
    """The files that came under the same key before this one, and those that came after it, in their order.

    No clock tells it: S3's counts seconds, and two machines' may differ.
    """
    known = lake.read_json(_versions_key(manifest))
    at = known.index(manifest.file)
    before, after = (
        [m for file in files if (m := read_file_manifest(lake, file))]
        for files in (known[:at], known[at + 1 :])
    )
    return before, after


def _answer_of(inbox: ObjectStore, manifest: FileManifest) -> Mapping[str, object] | None:
    """The answer that a version of the file got, if it was rejected."""
    if manifest.verdict != "rejected" or not manifest.answer:
        return None
    try:
        return orjson.loads(inbox.get(manifest.answer))
    except ObjectNotFound:  # somebody tidied the archive
        return None


def _write_manifest(lake: Lake, manifest: FileManifest) -> None:
    lake.write_json(manifest_key(manifest.file), manifest.model_dump(mode="json"))
