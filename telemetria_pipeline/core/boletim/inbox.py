"""Which files of the inbox to take now: a pure plan from what is seen and what is known."""

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import PurePosixPath

ARCHIVE = "archive"  # the folder of the inbox that files leave to
_PASSING = re.compile(
    r"(?i)^(~\$.*|\..*|.*\.(tmp|part|partial|crdownload|filepart)|thumbs\.db|desktop\.ini)$"
)
_SLUG_LENGTH = 60

_AHEAD = 500  # files of which a plan remembers when they were first seen

FEW = 3
"""So many files that wait have a run each, which shows each by itself."""

FILES_A_RUN = (100, 10, 1)
"""How many share a run at most: at the first try, at the second, and from then on."""


@dataclass(frozen=True)
class Landed:
    """An object of the inbox. Its identity is key, ETag and time, never the key alone.

    S3's ETag is the content's hash: the same file dropped again is told by its time.
    """

    key: str
    etag: str
    size: int
    modified: datetime

    @property
    def file_id(self) -> str:
        """The file's partition key: readable, safe in a path, another one for other content."""
        return file_id(self.key, f"{self.etag} {self.modified.isoformat()}")


@dataclass(frozen=True)
class Tried:
    """The runs that a file already had."""

    active: bool = False
    failed: int = 0


@dataclass(frozen=True)
class InboxPlan:
    """What to do with the files seen, oldest first.

    `launch` pairs a file with the number of its try; `settling` maps the keys that may still be written to
    their ETag and the time when it was first seen; `ahead` is what of it the next plan must be told, for it
    cannot see it by the file's own time: a few at once, since only so many are taken. `waiting` is how many
    more will have their turn.
    """

    launch: list[tuple[Landed, int]] = field(default_factory=list)
    settling: dict[str, tuple[str, datetime]] = field(default_factory=dict)
    ahead: dict[str, tuple[str, datetime]] = field(default_factory=dict)
    running: list[Landed] = field(default_factory=list)
    given_up: list[Landed] = field(default_factory=list)
    waiting: int = 0


def cut_into_runs(launch: Sequence[tuple[Landed, int]], known: Sequence[str]) -> list[tuple[list[str], int]]:
    """Which files go together into a run: their ids in order, and the number of their try.

    Few files have a run each; of many, those go together that Dagster names as one range: neighbours in the
    order in which it came to know them. The more tries of a file have failed, the fewer others share its run,
    so that a file which kills its run costs no other file more than two tries.

    Args:
        launch: the plan's.
        known: the ids that Dagster knows, in its order; others come to stand behind them in that of `launch`.
    """
    place = {file: at for at, file in enumerate(known)}
    groups: list[tuple[list[str], int]] = []
    for file, failed in launch:
        at = place.setdefault(file.file_id, len(place))
        files, tried = groups[-1] if groups else ([], failed)
        most = FILES_A_RUN[min(failed, len(FILES_A_RUN) - 1)]
        if files and tried == failed and len(files) < most and place[files[-1]] + 1 == at:
            files.append(file.file_id)
        else:
            groups.append(([file.file_id], failed))
    return [
        (part, failed)
        for files, failed in groups
        for part in ([files] if len(files) > FEW else [[file] for file in files])
    ]


def file_id(key: str, version: str) -> str:
    """`depot 7/Boletim março.xlsx` → `Boletim-mar-o.xlsx-3fa94c01d2`."""
    slug = re.sub(r"[^A-Za-z0-9_.]+", "-", PurePosixPath(key).name).strip("-.")[-_SLUG_LENGTH:].lstrip("-._")
    digest = hashlib.sha256("\0".join((key, version)).encode("utf-8", "surrogatepass")).hexdigest()
    return f"{slug or 'arquivo'}-{digest[:10]}"


def is_passing(key: str) -> bool:
    """Whether the key is no boletim but what programs leave beside one: locks, half uploads, folders."""
    return not key or key.endswith("/") or bool(_PASSING.match(key.rpartition("/")[2]))


def plan_inbox(
    seen: Iterable[Landed],
    *,
    now: datetime,
    settle: timedelta,
    settling: Mapping[str, tuple[str, datetime]],
    tried: Callable[[Landed], Tried],
    room: int,
    max_tries: int,
) -> InboxPlan:
    """Decide which files get a run now.

    A file is taken once it has rested for `settle`: by its own time, or, where that clock is ahead of
    ours, since its ETag was first seen.

    Args:
        seen: the inbox's objects.
        settling: the earlier plan's, or what is `ahead` of it.
        tried: the runs that a file had; asked of as few files as possible.
        room: how many runs may be launched.
        max_tries: failed runs after which a file is left for a person.
    """
    plan = InboxPlan()
    waiting = 0
    for file in sorted(seen, key=lambda f: (f.modified, f.key)):
        if is_passing(file.key):
            continue
        etag, since = settling.get(file.key, (file.etag, now))
        if etag != file.etag:
            since = now
        if now - file.modified < settle and now - since < settle:
            plan.settling[file.key] = (file.etag, since)
            if file.modified > now and len(plan.ahead) < _AHEAD:
                plan.ahead[file.key] = (file.etag, since)
            continue
        if len(plan.launch) >= room:
            waiting += 1
            continue
        before = tried(file)
        if before.active:
            plan.running.append(file)
        elif before.failed >= max_tries:
            plan.given_up.append(file)
        else:
            plan.launch.append((file, before.failed))
    return replace(plan, waiting=waiting)
