"""What is known of each boletim file: its manifest, the files of one name, the files of one content.

raw_boletins/arquivo=<file>/original.xlsx       as received
raw_boletins/arquivo=<file>/manifest.json       contracts.raw.FileManifest
raw_boletins/names/<digest>.json                files that landed under one name, in their order
raw_boletins/contents/<sha256>.json             the file whose trips this content last became
"""

import hashlib
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from telemetria_pipeline.contracts.raw import FileManifest
from telemetria_pipeline.storage.lake import Lake

RAW = "raw_boletins"
READERS = 8  # S3 answers each in its own time


def partition_of(file: str) -> dict[str, str]:
    """Where a file lies in a table: `arquivo=<file>`."""
    return {"arquivo": file}


def manifest_key(file: str) -> str:
    """Where the file's manifest lies in the lake."""
    return f"{RAW}/arquivo={file}/manifest.json"


def read_file_manifest(lake: Lake, file: str) -> FileManifest | None:
    """What is known of the file; None where it never arrived."""
    return lake.read_model(manifest_key(file), FileManifest)


def write_file_manifest(lake: Lake, manifest: FileManifest) -> None:
    """Write the file's manifest, in place of the one that may be there."""
    lake.write_json(manifest_key(manifest.file), manifest.model_dump(mode="json"))


def manifests_of(lake: Lake, files: Iterator[str] | list[str]) -> list[FileManifest]:
    """The manifests of these files, in their order; those that never arrived are left out."""
    with ThreadPoolExecutor(READERS) as readers:
        return [m for m in readers.map(lambda file: read_file_manifest(lake, file), files) if m]


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
    rejected = [m for m in manifests_of(lake, files_received(lake, start, end)) if m.verdict == "rejected"]
    waiting = [m for m in rejected if all(v.verdict == "rejected" for v in later_of_name(lake, m))]
    # Of one that was returned time and again, the first time.
    first = {m.key: m for m in sorted(waiting, key=lambda m: m.received_at, reverse=True)}
    return sorted(first.values(), key=lambda m: m.received_at)


def undecided_files(lake: Lake, start: datetime, end: datetime) -> list[FileManifest]:
    """The files received in the window that have no verdict yet, in their order."""
    received = manifests_of(lake, files_received(lake, start, end))
    return sorted((m for m in received if m.verdict is None), key=lambda m: m.received_at)


def name_of(key: str) -> str:
    """The name by which files correct each other: where one landed, great and small letters alike."""
    return key.casefold()


def files_of_name(lake: Lake, key: str) -> list[str]:
    """The files that landed under this key, in their order."""
    return lake.read_json(_name_key(key)) or []


def add_to_name(lake: Lake, manifest: FileManifest) -> None:
    """Note the file as the last of its name."""
    known = files_of_name(lake, manifest.key)
    if manifest.file not in known:
        lake.write_json(_name_key(manifest.key), [*known, manifest.file])


def before_of_name(lake: Lake, key: str, file: str | None = None) -> FileManifest | None:
    """The file that landed under this key before `file`, or last of all; None where there is none."""
    earlier = _files_before(lake, key, file)
    return read_file_manifest(lake, earlier[-1]) if earlier else None


def _files_before(lake: Lake, key: str, file: str | None) -> list[str]:
    known = files_of_name(lake, key)
    return known[: known.index(file)] if file in known else known


def undecided_before(lake: Lake, manifest: FileManifest) -> list[FileManifest]:
    """The files of the name between the last with a verdict and this one, in their order."""
    waiting: list[FileManifest] = []
    for file in reversed(_files_before(lake, manifest.key, manifest.file)):
        earlier = read_file_manifest(lake, file)
        if earlier and earlier.verdict:
            break
        if earlier:  # else its run died before it wrote anything
            waiting.insert(0, earlier)
    return waiting


def later_of_name(lake: Lake, manifest: FileManifest) -> list[FileManifest]:
    """The files of the same name that came after this one, in their order."""
    known = files_of_name(lake, manifest.key)
    return manifests_of(lake, known[known.index(manifest.file) + 1 :])


def same_content(lake: Lake, manifest: FileManifest) -> FileManifest | None:
    """Another file with this content, whose trips all count still; None where there is none, or where those
    of this file were taken already.

    Content that was rejected counts when it comes again, since what was wrong may have been mended elsewhere;
    so does content whose trips were replaced or taken back before it came again.
    """
    if manifest.duplicate_of:  # when it is judged again: what was replaced since changes nothing
        first = read_file_manifest(lake, manifest.duplicate_of)
        return None if first is None or first.withdrawn else first
    first = None if manifest.verdict == "accepted" else _noted(lake, manifest)
    return first if first and first.file != manifest.file and _counts_whole(first) else None


def add_to_content(lake: Lake, manifest: FileManifest) -> None:
    """Note the file as the one that this content became trips of, unless those of another count still."""
    noted = _noted(lake, manifest)
    if noted is None or not _counts_whole(noted):
        lake.write_json(_content_key(manifest), {"file": manifest.file})


def _noted(lake: Lake, manifest: FileManifest) -> FileManifest | None:
    known = lake.read_json(_content_key(manifest))
    return read_file_manifest(lake, known["file"]) if known else None


def _counts_whole(manifest: FileManifest) -> bool:
    return manifest.verdict == "accepted" and not manifest.replaced_by and not manifest.withdrawn


def _name_key(key: str) -> str:
    return f"{RAW}/names/{hashlib.sha256(name_of(key).encode()).hexdigest()[:32]}.json"


def _content_key(manifest: FileManifest) -> str:
    return f"{RAW}/contents/{manifest.sha256}.json"
