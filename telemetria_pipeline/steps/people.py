"""Drivers by pseudonym: of all that the lake says of them in tables, names and ids are in this look-up only.

    private/people.json       {"M-0123456789ABCDEF": "JOSÉ DA SILVA", …}; null: erased for good
    private/pseudonym_key     the key, where the settings name none

Whoever may read the tables and not `private/` knows no driver. It is one object, changed conditionally: any
number of runs and instances may note people at once.
"""

import secrets
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from telemetria_pipeline.contracts import Contract
from telemetria_pipeline.core.distinct import by_distinct
from telemetria_pipeline.core.pseudonyms import Kind, is_pseudonym, pseudonym
from telemetria_pipeline.storage.lake import Lake
from telemetria_pipeline.storage.object_store import ObjectExists, ObjectNotFound

FOLDER = "private"
PEOPLE, KEY = f"{FOLDER}/people.json", f"{FOLDER}/pseudonym_key"


@dataclass(frozen=True)
class People:
    """The look-up of a lake; `configured` is the key that the settings name, empty: the lake's own."""

    lake: Lake
    configured: str = ""

    @cached_property
    def _key(self) -> bytes:
        if self.configured:
            return self.configured.encode()
        try:
            return self.lake.store.get(KEY)
        except ObjectNotFound:
            with suppress(ObjectExists):  # of two that make one at once, the first one's counts
                self.lake.store.put_new(KEY, secrets.token_hex(32).encode())
            return self.lake.store.get(KEY)

    def pseudonym(self, kind: Kind, said: str) -> str:
        """What stands for this name or id, whether anybody ever had it or not."""
        return said if is_pseudonym(said) else pseudonym(kind, said, self._key)

    def hidden(self, contract: Contract, frame: pd.DataFrame) -> pd.DataFrame:
        """The frame as it is stored: a pseudonym for each name and id, and who that is in the look-up.

        What is a pseudonym already stays, so that a frame may come from outside or from a table.
        """
        met: dict[str, str] = {}
        columns = {}
        for column in contract.columns:
            if column.person and column.name in frame:
                texts = frame[column.name]
                of = {said: self.pseudonym(column.person, said) for said in texts.dropna().unique()}
                for said, who in of.items():
                    if who != said:
                        met.setdefault(who, said)
                columns[column.name] = texts.map(of).astype(texts.dtype)
        self.note(met)
        return frame.assign(**columns)

    def shown(self, contract: Contract, frame: pd.DataFrame) -> pd.DataFrame:
        """A stored frame with names and ids again; who was erased keeps the pseudonym."""
        names = self.names()

        def named(texts: pd.Series) -> pd.Series:
            return texts.map(lambda who: names.get(who, who))

        columns = [c.name for c in contract.columns if c.person and c.name in frame]
        return frame.assign(**{name: by_distinct(frame[name], named) for name in columns})

    def note(self, met: Mapping[str, str]) -> None:
        """Remember who these pseudonyms are; of several spellings the first stays."""

        def change(found: dict[str, str | None] | None) -> dict[str, str | None] | None:
            known = found or {}
            new = {who: said for who, said in met.items() if who not in known}
            return {**known, **new} if new else None

        if met:
            self.lake.update_json(PEOPLE, change)

    def names(self) -> dict[str, str]:
        """Pseudonym → name or id, as it was first written; without those who were erased."""
        return {who: said for who, said in (self.lake.read_json(PEOPLE) or {}).items() if said}

    def forget(self, who: Iterable[str]) -> list[str]:
        """Erase these from the look-up, for good: nobody notes them again. Those that were in it."""
        gone = list(who)
        known = self.names()

        def change(found: dict[str, str | None] | None) -> dict[str, str | None]:
            return {**(found or {}), **dict.fromkeys(gone)}

        self.lake.update_json(PEOPLE, change)
        return [each for each in gone if each in known]
