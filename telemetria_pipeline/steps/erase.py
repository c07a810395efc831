"""A person erased from the lake and the inbox's archive, on request (LGPD, art. 18).

Every object is looked into. What was received (pages, boletins, answers, reference files) and the tables that
are made of it lose the person; bills, audits, seals and reports are never touched, for they hold pseudonyms:
where a text of theirs names the person all the same, it is said. A manifest is written before the bytes that
it speaks of, so that whatever is cut short is made whole by the next try; a second time changes nothing.

No run should be on its way: a table that is written meanwhile may be overwritten by what was read before.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from telemetria_pipeline.contracts.boletim import BOLETIM_DECLARATIONS, BOLETIM_QUARANTINE, BOLETIM_TRIPS
from telemetria_pipeline.contracts.raw import Redaction
from telemetria_pipeline.contracts.reference import DRIVERS
from telemetria_pipeline.contracts.telemetry import CHANGES, QUARANTINE, TRIPS
from telemetria_pipeline.core.boletim.inbox import ARCHIVE
from telemetria_pipeline.core.erasing import Person, TooLarge, opaque, texts_of
from telemetria_pipeline.core.names import plain_name
from telemetria_pipeline.errors import PipelineError
from telemetria_pipeline.steps.boletim_files import RAW as RAW_BOLETINS
from telemetria_pipeline.steps.hours import CAPTURE
from telemetria_pipeline.steps.hours import RAW as RAW_TELEMETRY
from telemetria_pipeline.steps.people import FOLDER as PRIVATE
from telemetria_pipeline.steps.people import PEOPLE, People
from telemetria_pipeline.steps.reference import FOLDER as REFERENCE
from telemetria_pipeline.storage.buckets import forget_versions
from telemetria_pipeline.storage.lake import Lake
from telemetria_pipeline.storage.lock import locked
from telemetria_pipeline.storage.object_store import ObjectStore, StorageError

LOG = f"{PRIVATE}/erasures.json"
_TABLES = {
    c.name
    for c in (TRIPS, QUARANTINE, CHANGES, BOLETIM_TRIPS, BOLETIM_DECLARATIONS, BOLETIM_QUARANTINE, DRIVERS)
}
_RECEIVED = {RAW_TELEMETRY, RAW_BOLETINS, REFERENCE}
_PATHS = ("key", "file", "original", "archived", "answer", "path")


class NobodyNamed(PipelineError):
    """Neither a name nor an id was given, or one that would fit half of the lake."""


@dataclass(frozen=True)
class Erasure:
    """What was done, or would be: addresses of objects that lost the person, that were removed because the
    person could not be taken out of them, that name the person still, and that nobody could look into.

    `alike` are names of the look-up that may be the same person's, and were not erased.
    """

    pseudonyms: list[str]
    alike: list[str]
    looked_into: int = 0
    changed: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    opaque: list[str] = field(default_factory=list)


def erase(
    lake: Lake,
    inbox: ObjectStore,
    people: People,
    names: Iterable[str],
    ids: Iterable[str],
    reason: str,
    really: bool,
) -> Erasure:
    """Take a person out of all that is kept; without `really` only say where the person is.

    Args:
        names: as they are written somewhere; spellings that differ in accents or capitals are the same.
        ids: the person's, as carriers or the register give them.
        reason: kept in the manifests and in the log of erasures, without the names.
    """
    person, alike = _person(people, names, ids)
    who = [*person.names.values(), *person.ids.values()]
    with locked(lake, "intake") as held:
        erasing = _Erasing(held, inbox, person, person.text(reason), really, Erasure(who, alike))
        done = erasing.run()
        if really:
            People(held, people.configured).forget(who)
            said = {
                "at": datetime.now(UTC).isoformat(),
                "reason": person.text(reason),
                "pseudonyms": who,
                "changed": len(done.changed),
                "removed": [person.text(uri) for uri in done.removed],
            }
            forget_versions([*done.changed, *done.removed, held.store.uri(PEOPLE)])
            held.update_json(LOG, lambda found: found if said in (found or []) else [*(found or []), said])
    return done


def _person(people: People, names: Iterable[str], ids: Iterable[str]) -> tuple[Person, list[str]]:
    plain = {plain_name(name): people.pseudonym("name", name) for name in names if name.strip()}
    given = {said.strip(): people.pseudonym("id", said) for said in ids if said.strip()}
    if not plain and not given:
        raise NobodyNamed("Name the person: --name with the full name, --id with the driver's id, or both.")
    if short := [name for name in plain if " " not in name]:
        raise NobodyNamed(f"{len(short)} of the names is one word, which would fit many: give it in full.")
    known = {plain_name(said) for said in people.names().values()}
    words = [set(name.split()) for name in plain]
    alike = [
        other
        for other in sorted(known - plain.keys())
        if any(w <= set(other.split()) or set(other.split()) <= w for w in words)
    ]
    return Person(plain, given, known), alike


@dataclass(frozen=True)
class _Erasing:
    lake: Lake
    inbox: ObjectStore
    person: Person
    reason: str
    really: bool
    done: Erasure

    def run(self) -> Erasure:
        keys = [info.key for info in self.lake.store.list()]
        told = set()
        for documents in _documents(keys):
            with self._if_readable(self.lake.store, documents[-1]):
                told |= self._received(documents)
        for key in keys:
            folder = key.split("/")[0]
            if key in told or folder == PRIVATE:
                continue
            with self._if_readable(self.lake.store, key):
                if key.endswith(".parquet"):
                    self._table(key, folder in _TABLES)
                else:
                    self._object(self.lake.store, key, folder in _RECEIVED)
            self._name(self.lake.store, key)
        for info in self.inbox.list():
            with self._if_readable(self.inbox, info.key):
                self._object(self.inbox, info.key, info.key.startswith(f"{ARCHIVE}/"), remove=True)
            self._name(self.inbox, info.key)
        found = (self.done.changed, self.done.removed, self.done.left, self.done.opaque)
        return Erasure(
            self.done.pseudonyms, self.done.alike, len(keys), *(sorted(set(uris)) for uris in found)
        )

    @contextmanager
    def _if_readable(self, store: ObjectStore, key: str) -> Iterator[None]:
        """What is damaged is said, and does not keep the others from being looked into."""
        try:
            yield
        except (StorageError, pa.ArrowException):
            self.done.opaque.append(store.uri(key))

    def _received(self, documents: list[str]) -> set[str]:
        """What an hour's manifest and its captures say, and its pages; or a boletim's and its original.

        Returns the keys that are done.
        """
        told, new = set(documents), dict[str, bytes | None]()
        before = {key: self.lake.read_json(key) for key in documents}
        for kept in (kept for said in before.values() for kept in _kept(said)):
            where = kept.get("original") or kept["key"]
            if where not in told and self.lake.store.exists(where):
                body = self.lake.get_raw(where)
                if (erased := self._without(self.lake.store.uri(where), body)) != body:
                    new[where] = erased
            told.add(where)
        for key, said in before.items():
            if self.really:
                self.lake.update_json(key, lambda found: self._noted(found, new))
            if self._noted(said, new) != said:
                self.done.changed.append(self.lake.store.uri(key))
            if any(isinstance(path, str) and self._in(path) for path in _paths(said)):
                self.done.left.append(self.lake.store.uri(key))
        for where, now in new.items():
            self._put(self.lake.store, where, now)
        return told

    def _noted(self, manifest: Any, new: dict[str, bytes | None]) -> Any:
        """The manifest without the person, and with the hashes of what is kept from now on."""
        erased = _as_it_was(self.person.json(manifest), manifest)
        for kept in _kept(erased):
            where = kept.get("original") or kept["key"]
            if where not in new:
                continue
            body = new[where]
            now = "" if body is None else hashlib.sha256(body).hexdigest()
            if now == kept["sha256"]:  # noted by a try that was cut short
                continue
            note = Redaction(
                at=datetime.now(UTC), reason=self.reason, sha256=kept["sha256"], removed=body is None
            )
            kept["redacted"] = [*kept.get("redacted", []), note.model_dump(mode="json")]
            kept["sha256"] = now
            kept["size" if "original" in kept else "bytes"] = 0 if body is None else len(body)
        return erased

    def _table(self, key: str, may_change: bool) -> None:
        table = pq.ParquetFile(pa.BufferReader(self.lake.store.get(key))).read()
        erased = self._columns(table)
        if erased.equals(table):
            return
        if not may_change:
            self.done.left.append(self.lake.store.uri(key))
            return
        self.done.changed.append(self.lake.store.uri(key))
        if self.really:
            name, *folders, _ = key.split("/")
            partition = dict(folder.split("=", 1) for folder in folders)
            self.lake.write_table(name, partition, erased)

    def _columns(self, table: pa.Table) -> pa.Table:
        for at, column in enumerate(table.schema):
            if pa.types.is_string(column.type) and table.num_rows:
                texts = table.column(at).to_pandas().astype("str")
                erased = self.person.column(column.name, texts)
                table = table.set_column(at, column, pa.array(erased, type=column.type, from_pandas=True))
        return table

    def _object(self, store: ObjectStore, key: str, may_change: bool, remove: bool = False) -> None:
        if ".damaged-" in key:  # put aside, as nobody could read it
            self.done.opaque.append(store.uri(key))
            return
        compressed = key.endswith(".zst") and store is self.lake.store
        body = self.lake.get_raw(key) if compressed else store.get(key)
        uri = store.uri(key)
        erased = self._without(uri, body, register=key.startswith(f"{REFERENCE}/"))
        if erased == body:
            return
        if not may_change or (erased is None and not remove):
            self.done.left.append(uri)
        else:
            self._put(store, key, erased)

    def _put(self, store: ObjectStore, key: str, erased: bytes | None) -> None:
        """Put these bytes in place of what lies there; None: remove it."""
        (self.done.removed if erased is None else self.done.changed).append(store.uri(key))
        if not self.really:
            return
        if erased is None:
            store.delete(key)
        elif store is self.lake.store:
            self.lake.redact_raw(key, erased)
        else:
            store.put(key, erased)

    def _without(self, uri: str, body: bytes, register: bool = False) -> bytes | None:
        """The bytes without the person; None where the person cannot be taken out of them."""
        try:
            erased = self.person.body(body, register)
            found = any(map(self._in, texts_of(erased)))
        except TooLarge:
            self.done.opaque.append(uri)
            return body
        if opaque(body):
            self.done.opaque.append(uri)
        return None if found else erased

    def _in(self, said: str) -> bool:
        return self.person.text(said) != said

    def _name(self, store: ObjectStore, key: str) -> None:
        """What the sender called a file is part of what was billed, and stays."""
        if self._in(key) and store.uri(key) not in self.done.removed:
            self.done.left.append(store.uri(key))


def _documents(keys: Iterable[str]) -> Iterable[list[str]]:
    """What says what was received, by hour and boletim: its manifest, and what each capture says."""
    found = defaultdict(list)
    for key in keys:
        if key.startswith((f"{RAW_TELEMETRY}/", f"{RAW_BOLETINS}/")):
            folder, _, name = key.rpartition("/")
            if name == CAPTURE:
                found[folder.rpartition("/")[0]].append(key)
            elif name == "manifest.json":
                found[folder].append(key)
    return found.values()


def _kept(manifest: Any) -> Iterator[dict[str, Any]]:
    """What a manifest says of bytes that are kept: itself for a boletim, its pages for an hour."""
    if "original" in manifest:
        yield manifest
    for capture in (manifest, *manifest.get("captures", [])):
        yield from capture.get("pages", [])


def _paths(manifest: Any) -> Iterator[Any]:
    yield from (manifest.get(name) for name in _PATHS)
    for kept in _kept(manifest):
        yield from (kept.get(name) for name in _PATHS)


def _as_it_was(erased: Any, manifest: Any) -> Any:
    """What leads to other objects stays, whatever it says."""
    for now, before in zip([erased, *_kept(erased)], [manifest, *_kept(manifest)], strict=True):
        now.update({name: before[name] for name in _PATHS if name in before})
    return erased
