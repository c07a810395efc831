"""The reference tables in the lake, and the files that they are made from."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import PurePosixPath

import pandas as pd

from telemetria_pipeline.contracts import Contract
from telemetria_pipeline.contracts.reference import ACCEPTANCES, CONTRACTS, DRIVERS, SUBSTITUTIONS, VEHICLES
from telemetria_pipeline.core.boletim.settings import Reference
from telemetria_pipeline.core.reference import ReferenceTable
from telemetria_pipeline.errors import PipelineError
from telemetria_pipeline.steps.people import People
from telemetria_pipeline.storage.lake import Lake, Written
from telemetria_pipeline.storage.object_store import ObjectDamaged, ObjectInfo

FOLDER = "reference"
LOOKED_AT = "reference_files"
"""What each table's files were when they were last read, whether they were taken or refused."""
_SUFFIXES = (".csv", ".xlsx")
_NAMED = 10


class NoReferenceFile(PipelineError):
    """There is no file for the table, or there are two."""


class ReferenceRefused(PipelineError):
    """The file has problems, and the table stays as it was; `problems` are in Portuguese."""

    def __init__(self, message: str, problems: list[str]) -> None:
        super().__init__(message)
        self.problems = problems


@dataclass(frozen=True)
class RefreshedTable:
    """A reference table that was made again; `before` and `now` are the first key's values."""

    table: ReferenceTable
    source: str
    sha256: str
    written: Written
    before: set[str]
    now: set[str]


OPTIONAL = frozenset({SUBSTITUTIONS.name, ACCEPTANCES.name})
"""Tables whose file may be missing: they have no rows then."""


def refresh_table(
    lake: Lake,
    contract: Contract,
    read: Callable[[bytes, str], ReferenceTable],
    pseudonym_key: str = "",
) -> RefreshedTable:
    """Make the table again from its file, or without rows where there is none and need not be.

    Args:
        pseudonym_key: see `People.configured`; the table holds no driver's name.

    Raises:
        NoReferenceFile, ReferenceRefused: the table stays as it was.
    """
    version = _version(_files(lake), contract.name)  # before it is read: a later one is looked at again
    try:
        made = _refreshed(lake, contract, read, pseudonym_key)
    except (NoReferenceFile, ReferenceRefused):
        lake.write_json(_looked_at(contract.name), {"files": version})
        raise
    lake.write_json(_looked_at(contract.name), {"files": version})
    return made


def _refreshed(
    lake: Lake, contract: Contract, read: Callable[[bytes, str], ReferenceTable], pseudonym_key: str
) -> RefreshedTable:
    key = reference_file(lake, contract.name)
    if key is None:
        data, uri, found = b"", "no file", ReferenceTable(contract.empty())
    else:
        data, uri = lake.store.get(key), lake.store.uri(key)
        found = read(data, PurePosixPath(key).name)
    if found.problems:
        more = f" … and {len(found.problems) - _NAMED} more" if len(found.problems) > _NAMED else ""
        raise ReferenceRefused(
            f"{uri} was refused, and {contract.name} stays as it was; correct the file, and it is "
            f"read again by itself. {len(found.problems)} problem(s): "
            f"{' | '.join(found.problems[:_NAMED])}{more}",
            found.problems,
        )
    before, rows = _keys(lake, contract), People(lake, pseudonym_key).hidden(contract, found.frame)
    written = lake.write_table(contract.name, {}, contract.table(rows))
    now = set(rows[contract.key[0]])
    return RefreshedTable(found, uri, hashlib.sha256(data).hexdigest(), written, before, now)


def due_tables(lake: Lake, now: datetime, rest: timedelta) -> dict[str, str]:
    """The tables whose files are others than those that were last read, and what these files are now.

    A file that was written within `rest` may still be written. Where there never was a file, nothing is due.
    """
    files, due = _files(lake), dict[str, str]()
    for name in (contract.name for contract in TABLES):
        version = _version(files, name)
        young = any(f.modified and timedelta() <= now - f.modified < rest for f in _of(files, name))
        # A table that needs a file stays as it was where somebody took that away.
        if not young and version != _read_before(lake, name) and (version or name in OPTIONAL):
            due[name] = version
    return due


def _files(lake: Lake) -> Sequence[ObjectInfo]:
    return list(lake.store.list(FOLDER))


def _of(files: Sequence[ObjectInfo], name: str) -> list[ObjectInfo]:
    """Those of the files that the table may be made from: more than one is one too many."""
    return [info for info in files if info.key.lower() in {f"{FOLDER}/{name}{s}" for s in _SUFFIXES}]


def _version(files: Sequence[ObjectInfo], name: str) -> str:
    """Which files these are, whatever their content; nothing where there is none."""
    return " ".join(f"{info.key} {info.etag} {info.modified}" for info in _of(files, name))


def _looked_at(name: str) -> str:
    return f"{LOOKED_AT}/{name}.json"


def _read_before(lake: Lake, name: str) -> str:
    try:
        return (lake.read_json(_looked_at(name)) or {"files": ""})["files"]
    except ObjectDamaged:  # then it is read once more
        return "nobody knows"


@dataclass(frozen=True)
class ReferenceTables:
    """The reference tables, each under its contract; None where it was never made."""

    vehicles: pd.DataFrame | None
    drivers: pd.DataFrame | None
    contracts: pd.DataFrame | None
    substitutions: pd.DataFrame | None
    acceptances: pd.DataFrame | None


TABLES = (VEHICLES, DRIVERS, CONTRACTS, SUBSTITUTIONS, ACCEPTANCES)


def read_tables(lake: Lake) -> ReferenceTables:
    """All that the reference tables say."""
    return ReferenceTables(**{contract.name: _table(lake, contract) for contract in TABLES})


def read_reference(lake: Lake) -> Reference:
    """What boletins are held against, drivers by name."""
    drivers = _table(lake, DRIVERS)
    known = None if drivers is None else People(lake).shown(DRIVERS, drivers)
    return Reference(vehicles=_table(lake, VEHICLES), drivers=known)


def _table(lake: Lake, contract: Contract) -> pd.DataFrame | None:
    found = lake.read_table(contract.name, {})
    return None if found is None else contract.frame(found)


def reference_file(lake: Lake, name: str) -> str | None:
    """The key of the file that the table `name` is made from; None where an optional one has none.

    Raises `NoReferenceFile` where there is none, or where there are two and nobody can say which counts.
    """
    files = _files(lake)
    there, found = [info.key for info in files], [info.key for info in _of(files, name)]
    if len(found) == 1:
        return found[0]
    if found:
        raise NoReferenceFile(f"{' and '.join(map(lake.store.uri, found))} are both there; keep only one")
    if name in OPTIONAL:
        return None
    beside = f" (there is {', '.join(PurePosixPath(key).name for key in there[:_NAMED])})" if there else ""
    wanted = lake.store.uri(f"{FOLDER}/{name}{_SUFFIXES[0]}")
    raise NoReferenceFile(
        f"{wanted} is not there{beside}; put the table there, as CSV or as .xlsx, and it is read by itself"
    )


def _keys(lake: Lake, contract: Contract) -> set[str]:
    table = lake.read_table(contract.name, {}, [contract.key[0]])
    return set() if table is None else set(table[contract.key[0]].to_pylist())
