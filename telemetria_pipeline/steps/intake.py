"""One boletim, from the inbox to its archive. The steps behind the assets, without Dagster.

Every step may be the last one before the power goes: each can be repeated, and none destroys what a later
one needs. The file leaves the inbox only when its bytes, its verdict, its rows and its answer are stored.

A file is judged against those that came before it: its earlier versions, other files with its content or its
trips. Therefore a step is done by one at a time, also where several instances share a lake: each takes the
lake's lock `intake` and begins with what is stored then. Writes that only compare what they replace would not
do: two files with one row replace nothing of each other's.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import wraps
from pathlib import PurePosixPath
from typing import Concatenate, ParamSpec, TypeVar
from zoneinfo import ZoneInfo

import orjson
import pandas as pd

from telemetria_pipeline.contracts.boletim import BOLETIM_DECLARATIONS, BOLETIM_QUARANTINE, BOLETIM_TRIPS
from telemetria_pipeline.contracts.raw import UNREAD, FileManifest, Withdrawal
from telemetria_pipeline.core.boletim.columns import is_drivers
from telemetria_pipeline.core.boletim.correction import correction_said
from telemetria_pipeline.core.boletim.inbox import ARCHIVE, Landed
from telemetria_pipeline.core.boletim.last_word import same_pairs
from telemetria_pipeline.core.boletim.settings import Reference, RuleSettings
from telemetria_pipeline.core.boletim.validation import FileVerdict, duplicate_of, too_large, validate_file
from telemetria_pipeline.core.sheets.text import LIMITS
from telemetria_pipeline.errors import PipelineError
from telemetria_pipeline.steps.boletim_files import (
    RAW,
    add_to_content,
    add_to_name,
    before_of_name,
    files_of_name,
    manifests_of,
    name_of,
    partition_of,
    read_file_manifest,
    same_content,
    undecided_before,
    write_file_manifest,
)
from telemetria_pipeline.steps.day_index import files_declaring
from telemetria_pipeline.steps.declarations import (
    around,
    counted_before,
    declare,
    declared_by,
    declared_on,
    keep_version,
    settle,
)
from telemetria_pipeline.steps.people import People
from telemetria_pipeline.steps.readings import LOOK_BACK, known_readings
from telemetria_pipeline.steps.small_tables import read_small
from telemetria_pipeline.storage import strangers
from telemetria_pipeline.storage.lake import Lake, Written
from telemetria_pipeline.storage.lock import locked
from telemetria_pipeline.storage.object_store import (
    ObjectChanged,
    ObjectDamaged,
    ObjectExists,
    ObjectNotFound,
    ObjectStore,
    StorageError,
)

_STORAGE_FAILURES = 3  # in a row
_LONGEST_STEM, _LONGEST_ENDING = 200, 16  # bytes of a name: `_resposta.xlsx` and the file's id come after it

P = ParamSpec("P")
R = TypeVar("R")


class NotThere(PipelineError):
    """The file is neither in the inbox nor kept in the lake."""


class NotTried(PipelineError):
    """The storage failed for the files before it."""

    permanent = False


class StillWritten(PipelineError):
    """The file changed while it was read; its next version has a run of its own."""

    permanent = False


@dataclass(frozen=True)
class Received:
    """A file that is kept, with its bytes; with a note in their place where it was too large to be read."""

    manifest: FileManifest
    data: bytes


@dataclass(frozen=True)
class Judged:
    """A file with its verdict; `written` tells of its rows in `boletim_trips`."""

    manifest: FileManifest
    verdict: FileVerdict
    written: Written


@dataclass(frozen=True)
class FileOutcome:
    """What became of a file in a run of many: its verdict, or why there is none."""

    file: str
    judged: Judged | None = None
    error: Exception | None = None


@dataclass(frozen=True)
class Withdrawn:
    """A file that was withdrawn, and how many of its trips counted until then."""

    manifest: FileManifest
    trips: int


def look_into_inbox(inbox: ObjectStore) -> tuple[list[Landed], dict[str, str]]:
    """What lies in the inbox, the archive left out; and what cannot be taken: its escaped name, and why."""
    seen, now = strangers.look_into(inbox, skip=ARCHIVE), datetime.now(UTC)
    return [Landed(o.key, o.etag, o.size, o.modified or now) for o in seen.objects], seen.unusable


def landed_files(inbox: ObjectStore) -> list[Landed]:
    """What lies in the inbox and can be taken."""
    return look_into_inbox(inbox)[0]


def take_files(
    lake: Lake, inbox: ObjectStore, files: Sequence[str], settings: RuleSettings, reference: Reference
) -> Iterator[FileOutcome]:
    """Take files from the inbox to their verdicts, rows and answers, one after the other.

    A file that fails costs only itself. Where the storage fails for several in a row, those that are left are
    not tried: each would wait for it in vain.
    """
    seen, in_vain = {f.file_id: f for f in landed_files(inbox)}, 0
    for file in files:
        if in_vain == _STORAGE_FAILURES:
            yield FileOutcome(file, error=NotTried("not tried: the storage failed for the files before it"))
            continue
        try:
            received = receive_file(lake, inbox, file, seen)
            judged = judge_file(lake, received, settings, reference)
            manifest = archive_file(lake, inbox, judged, received.data)
        except Exception as error:  # whatever it is, the next file is another one
            lost = isinstance(error, StorageError) and not isinstance(error, ObjectDamaged)
            in_vain = in_vain + 1 if lost else 0
            yield FileOutcome(file, error=error)
        else:
            in_vain = 0
            yield FileOutcome(file, replace(judged, manifest=manifest))


def _one_at_a_time(step: Callable[Concatenate[Lake, P], R]) -> Callable[Concatenate[Lake, P], R]:
    """The step, done under the lake's lock `intake`."""

    @wraps(step)
    def alone(lake: Lake, /, *args: P.args, **kwargs: P.kwargs) -> R:
        with locked(lake, "intake") as held:
            return step(held, *args, **kwargs)

    return alone


@_one_at_a_time
def receive_file(
    lake: Lake, inbox: ObjectStore, file: str, seen: Mapping[str, Landed] | None = None
) -> Received:
    """Keep the file's bytes in the lake, as received.

    Of a file that is too large to be read, no byte is: what the inbox says of it is kept in their place.

    Args:
        seen: the files of the inbox by their ids, where it was looked into a moment ago.

    Raises:
        NotThere: it is neither in the inbox nor in the lake.
        StillWritten: it changed since it was seen.
        ObjectDamaged: what the lake holds of it is not what was received.
    """
    manifest = read_file_manifest(lake, file)
    if manifest:
        return Received(manifest, lake.get_raw(manifest.original, manifest.sha256))
    landed = (seen or {f.file_id: f for f in landed_files(inbox)}).get(file)
    if landed is None:
        raise NotThere(f"{file} is not in the inbox and was never received; drop the file again")
    data, ending = _bytes_of(inbox, landed)
    original = f"{RAW}/arquivo={file}/original{ending}"
    try:
        lake.put_raw(original, data)
    except ObjectExists:  # kept by a run that died before it wrote the manifest
        data = lake.get_raw(original, hashlib.sha256(data).hexdigest())
    before = before_of_name(lake, landed.key)
    received_at = datetime.now(UTC)
    if before and received_at <= before.received_at:  # by the clock of another machine
        received_at = before.received_at + timedelta(microseconds=1)
    manifest = FileManifest(
        file=file,
        key=landed.key,
        etag=landed.etag,
        size=landed.size,
        landed_at=landed.modified,
        received_at=received_at,
        sha256=hashlib.sha256(data).hexdigest(),
        original=original,
    )
    add_to_name(lake, manifest)
    write_file_manifest(lake, manifest)
    return Received(manifest, data)


def _bytes_of(inbox: ObjectStore, landed: Landed) -> tuple[bytes, str]:
    """What is kept of the file, and what its name ends in."""
    if landed.size > LIMITS.size:
        said = {**asdict(landed), "kept": "not read: larger than a boletim may be"}
        return orjson.dumps(said, option=orjson.OPT_INDENT_2), UNREAD
    try:
        return strangers.read(inbox, landed.key, landed.etag), _ending(landed.key).lower()
    except (ObjectChanged, ObjectNotFound):
        raise StillWritten(
            f"{landed.key} changed since it was seen; it is taken again once it rests"
        ) from None


@_one_at_a_time
def judge_file(lake: Lake, received: Received, settings: RuleSettings, reference: Reference) -> Judged:
    """Decide the verdict, and make `boletim_trips` what counts with the file.

    Content whose trips count already is a duplicate. An accepted file speaks for the vehicles and days that
    it holds, and takes the place of what earlier files of its name declared of them
    (`core.boletim.last_word`). What files declared that does not count is kept in `boletim_versions`.
    Earlier files of its name that were received and have no verdict yet get theirs first, so that its own
    says what it corrects.
    """
    for earlier in undecided_before(lake, received.manifest):
        with suppress(Exception):  # a file that fails costs only itself: its own run says why
            data = lake.get_raw(earlier.original, earlier.sha256)
            _judge(lake, Received(earlier, data), settings, reference)
    return _judge(lake, received, settings, reference)


def _judge(lake: Lake, received: Received, settings: RuleSettings, reference: Reference) -> Judged:
    manifest, data = read_file_manifest(lake, received.manifest.file) or received.manifest, received.data
    verdict = _verdict(lake, manifest, data, settings, reference)
    manifest.days = sorted(verdict.declared["data"].unique())
    manifest.declared = sorted({*manifest.declared, *manifest.days})
    # Said before it is written, so that whatever a killed try began is found by the next one.
    stored = read_file_manifest(lake, manifest.file) or manifest
    write_file_manifest(lake, stored.model_copy(update={"declared": manifest.declared}))
    people = People(lake, settings.pseudonym_key)
    declare(lake, manifest, people.hidden(BOLETIM_TRIPS, verdict.declared))
    refused = without_drivers(verdict.rejected, people)
    lake.write_table(BOLETIM_QUARANTINE.name, partition_of(manifest.file), BOLETIM_QUARANTINE.table(refused))
    written = settle(lake, manifest, settings.timezone)
    if verdict.verdict == "accepted":
        add_to_content(lake, manifest)
    if verdict.verdict == "rejected":  # its sound rows were declared all the same
        sound, _ = _judged(lake, manifest, data, replace(settings, partial=True), reference)
        keep_version(lake, manifest, sound.accepted)
    manifest.verdict, manifest.rows = verdict.verdict, asdict(verdict.rows)
    write_file_manifest(lake, manifest)
    return Judged(manifest, verdict, written)


def foresee(lake: Lake, key: str, data: bytes, settings: RuleSettings, reference: Reference) -> FileVerdict:
    """The verdict that the file would get if it landed now under this key; nothing is written."""
    now, sha256 = datetime.now(UTC), hashlib.sha256(data).hexdigest()
    landed = FileManifest(
        file="", key=key, etag="", size=len(data), landed_at=now, received_at=now, sha256=sha256, original=""
    )
    return _verdict(lake, landed, data, settings, reference)


def _verdict(
    lake: Lake, manifest: FileManifest, data: bytes, settings: RuleSettings, reference: Reference
) -> FileVerdict:
    """What is to be said of the file; the manifest notes what it repeats, or what it replaces."""
    if manifest.unread:
        return too_large(manifest.name, manifest.size)
    first = same_content(lake, manifest)
    manifest.duplicate_of, manifest.replaces = first.file if first else None, []
    if first:
        return duplicate_of(manifest.name, first.name, first.rows.get("received", 0))
    verdict, before = _judged(lake, manifest, data, settings, reference)
    replaced = before.replaced_by(verdict.declared)
    if replaced.empty:
        return verdict
    manifest.replaces = sorted(replaced["arquivo_id"].unique())
    now = int(same_pairs(verdict.declared, replaced).sum())
    others = _trips_of(lake, manifest.replaces)
    staying = others[~same_pairs(others, verdict.declared)]
    return replace(verdict, correction=correction_said(replaced, now, staying))


def _judged(
    lake: Lake, manifest: FileManifest, data: bytes, settings: RuleSettings, reference: Reference
) -> tuple[FileVerdict, "_Before"]:
    """The file by the rules, and the trips that it was held against."""
    before = _Before(lake, manifest)
    verdict = validate_file(
        data,
        manifest.name,
        received_on=manifest.received_at.astimezone(settings.timezone).date(),
        settings=settings,
        reference=reference,
        earlier=before,
        readings=known_readings(lake, manifest),
    )
    return verdict, before


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
    stem, ending = _archive_stem(verdict.verdict, manifest), _ending(manifest.key)
    before = manifest.model_copy()
    earlier = before_of_name(lake, manifest.key, manifest.file)
    earlier_answer = _answer_of(inbox, earlier) if earlier else None
    answer = answer_json(verdict)
    strangers.write(inbox, f"{stem}_resposta.xlsx", answer_workbook(verdict, data, earlier_answer))
    strangers.write(inbox, f"{stem}_resposta.json", orjson.dumps(answer, option=orjson.OPT_INDENT_2))
    manifest.archived, manifest.answer = f"{stem}{ending}", f"{stem}_resposta.json"
    if manifest.unread:
        if _still_there(inbox, manifest):
            strangers.move(inbox, manifest.key, manifest.archived)
    else:
        strangers.write(inbox, manifest.archived, data)
    write_file_manifest(lake, manifest)
    if before.archived and before.answer and before.archived != manifest.archived:
        # The verdict changed when it was made again.
        for key in (before.archived, before.answer, before.answer.removesuffix(".json") + ".xlsx"):
            strangers.remove(inbox, key)
    if _still_there(inbox, manifest):
        strangers.remove(inbox, manifest.key)
    return manifest


def _still_there(inbox: ObjectStore, manifest: FileManifest) -> bool:
    """Whether the file itself lies in the inbox, and no later one under its key."""
    try:
        now = strangers.look_at(inbox, manifest.key)
    except ObjectNotFound:
        return False
    return (now.etag, now.modified) == (manifest.etag, manifest.landed_at)


def _archive_stem(verdict: str, manifest: FileManifest) -> str:
    """Where the file and its answer lie in the archive, up to their endings."""
    landed = PurePosixPath(manifest.key)
    name = landed.name.removesuffix(_ending(manifest.key))
    short = name.encode()[:_LONGEST_STEM].decode(errors="ignore")  # a file system takes no more than 255
    return f"{ARCHIVE}/{verdict}/{landed.parent / f'{short}.{manifest.file[-10:]}'}"


def _ending(key: str) -> str:
    """`.csv`; empty where what follows the last dot is too long to be one."""
    suffix = PurePosixPath(key).suffix
    return suffix if len(suffix.encode()) <= _LONGEST_ENDING else ""


@_one_at_a_time
def withdraw(lake: Lake, what: str, reason: str, zone: ZoneInfo) -> list[Withdrawn]:
    """Take back the trips of a file, or of all files of a name; those that had any.

    The declarations stay, marked; the files keep the last word on their vehicles and days, so that nothing
    which they had replaced comes back by itself. Whoever wants the trips again sends the file again.

    Args:
        what: a partition of `boletim_trips`, or a name in the inbox such as `depot 7/boletim.xlsx`.
        reason: kept in the manifests.

    Raises:
        NotThere: no such file was ever received, or none of its trips counts.
    """
    files = [what] if read_file_manifest(lake, what) else files_of_name(lake, what)
    counting = [m for m in manifests_of(lake, files) if m.counted]
    if not counting:
        known = f"none of the trips of {what} counts" if files else f"{what} was never received"
        raise NotThere(
            f"{known}: give its partition of `boletim_trips`, or where it lay in the inbox, folder and all"
        )
    withdrawn = [Withdrawn(manifest, manifest.counted) for manifest in counting]
    for manifest in counting:
        manifest.withdrawn = Withdrawal(at=datetime.now(UTC), reason=reason)
        declare(lake, manifest, declared_by(lake, manifest.file, manifest.declared)[BOLETIM_TRIPS.names])
        settle(lake, manifest, zone)
        write_file_manifest(lake, manifest)
    return withdrawn


class _Before:
    """The trips that a file is judged against, and those that it replaces."""

    def __init__(self, lake: Lake, manifest: FileManifest) -> None:
        self._lake, self._manifest = lake, manifest
        self._counted: pd.DataFrame | None = None

    def __call__(self, pairs: pd.DataFrame) -> pd.DataFrame:
        """Those that counted of the days in `pairs` (`placa`, `data`) when the file came, and those that
        count of the days around them, without those that it replaces; contract BOLETIM_TRIPS."""
        near = around(pairs["data"], 1)
        self._counted = counted_before(declared_on(self._lake, around(pairs["data"], 2)), self._manifest)
        first, last = date.fromisoformat(near[0]), date.fromisoformat(near[-1])
        days = {d.date() for d in pd.date_range(first - LOOK_BACK, last + timedelta(days=1))}
        beside = days - set(map(date.fromisoformat, near))
        files = set(files_declaring(self._lake, sorted(beside))) - {self._manifest.file}
        others = _trips_of(self._lake, sorted(files))
        mine = self._counted.index.isin(self.replaced_by(pairs).index)
        here = self._counted[self._counted["data"].isin(near) & ~mine]
        return pd.concat([here[BOLETIM_TRIPS.names], others[~others["data"].isin(near)]], ignore_index=True)

    def replaced_by(self, declared: pd.DataFrame) -> pd.DataFrame:
        """The trips of its name that a file replaces which declares these, or these pairs."""
        if self._counted is None:  # no row was sound enough to be compared
            return BOLETIM_DECLARATIONS.empty().assign(arquivo_id="")
        mine = self._counted["nome"] == name_of(self._manifest.key)
        return self._counted[mine & same_pairs(self._counted, declared)]


def without_drivers(refused: pd.DataFrame, people: People) -> pd.DataFrame:
    """Rows of contract BOLETIM_QUARANTINE, with a pseudonym for what stands in a driver's cell."""
    titles = [title for title in refused["coluna"].dropna().unique() if is_drivers(title)]
    of_driver = refused["valor"].notna() & refused["coluna"].isin(titles)
    hidden = refused.copy()
    for text in ("mensagem", "sugestao", "valor"):
        hidden.loc[of_driver, text] = [
            said.replace(name, people.pseudonym("name", name))
            for said, name in zip(refused.loc[of_driver, text], refused.loc[of_driver, "valor"], strict=True)
        ]
    return hidden


def _trips_of(lake: Lake, files: list[str]) -> pd.DataFrame:
    return read_small(lake, BOLETIM_TRIPS, [partition_of(file) for file in files])[0]


def _answer_of(inbox: ObjectStore, manifest: FileManifest) -> Mapping[str, object] | None:
    """The answer that a version of the file got, if it was rejected."""
    if manifest.verdict != "rejected" or not manifest.answer:
        return None
    try:
        return orjson.loads(strangers.read(inbox, manifest.answer))
    except ObjectNotFound:  # somebody tidied the archive
        return None
