"""A person taken out of whatever was received or written: text, JSON, workbooks, columns of tables.

Names are found in any spelling that `plain_name` takes for the same; ids only where a driver is spoken of.
What stands in their place is the pseudonym, so that what is left still counts as one person's.
"""

import html
import json
import re
import unicodedata
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from io import BytesIO
from typing import Any

import pandas as pd

from telemetria_pipeline.core.distinct import by_distinct
from telemetria_pipeline.core.names import plain_name

_BETWEEN_WORDS = r"(?:\s|[_.,+-]|%20)+"
_XML_TEXT = re.compile(r'(?<=>)[^<>]+(?=<)|(?<=")[^"<>]+(?=")')
_OF_DRIVERS = re.compile(r"driver|motorista|condutor|operator|employee", re.IGNORECASE)
_ITEM = re.compile(r"<(?:\w+:)?si>.*?</(?:\w+:)?si>|<(?:\w+:)?text>.*?</(?:\w+:)?text>", re.DOTALL)
_TAG = re.compile(r"<[^>]*>")
_OPAQUE = (
    b"%PDF",
    b"\x89PNG",
    b"\xff\xd8\xff",
    b"GIF8",
    b"\x1f\x8b",
    b"Rar!",
    b"7z\xbc\xaf",
    b"\xd0\xcf\x11\xe0",
)
_ID = re.compile(r"_?id|uid|code|number|matr[ií]cula|external_?id", re.IGNORECASE)
_DRIVERS_COLUMN = re.compile(r"motorista|condutor|driver", re.IGNORECASE)


_INFLATED = 512 * 1024 * 1024  # bytes; a larger package is no workbook


class TooLarge(Exception):
    """The package cannot be looked into: too large, encrypted or broken."""


@dataclass(frozen=True)
class Person:
    """Who is to be erased: plain names and ids, each with the pseudonym that takes its place.

    `others` are plain names of other people: of `JOSE SILVA NETO` the first two words are not `JOSE SILVA`.
    """

    names: Mapping[str, str]
    ids: Mapping[str, str] = field(default_factory=dict)
    others: Iterable[str] = ()

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        longer = {
            o for o in self.others if o not in self.names and any(f" {n} " in f" {o} " for n in self.names)
        }
        either = [
            f"(?P<{kind}{at}>{_BETWEEN_WORDS.join(map(re.escape, name.split()))})"
            for kind, names in (("other", longer), ("own", self.names))
            for at, name in enumerate(sorted(names, key=len, reverse=True))
        ]
        return re.compile(rf"(?<![A-Z0-9])(?:{'|'.join(either) or '(?!)'})(?![A-Z0-9])")

    @cached_property
    def _by_length(self) -> list[str]:
        return sorted(self.names, key=len, reverse=True)

    def text(self, said: str) -> str:
        """The text with the pseudonym where a name stood."""
        if not self._pattern.search(_folded(said)[0]):
            return said
        plain, places = _folded(said, exact=True)
        out, end = [], 0
        for found in self._pattern.finditer(plain):
            kind = found.lastgroup or ""
            if kind.startswith("own"):
                out += [said[end : places[found.start()]], self.names[self._by_length[int(kind[3:])]]]
                end = places[found.end() - 1] + 1
        return "".join([*out, said[end:]])

    def json(self, said: Any, of_driver: bool = False) -> Any:
        """Decoded JSON likewise: also a name in two parts (`first_name`, `last_name`), and a driver's id."""
        if isinstance(said, str):
            return self.ids.get(said.strip(), self.text(said)) if of_driver else self.text(said)
        if isinstance(said, bool) or said is None:
            return said
        if isinstance(said, list):
            return [self.json(each, of_driver) for each in said]
        if not isinstance(said, dict):
            return self.ids.get(str(said), said) if of_driver else said
        parts = self._parts(said)
        found = {}
        for key, value in said.items():
            # Beside the name only what is called an id is one: any other number may be anything.
            whose = of_driver or _OF_DRIVERS.search(key) or (parts and _ID.fullmatch(key))
            found[self.text(key)] = parts.get(key) or self.json(value, bool(whose))
        return found

    def _parts(self, said: Mapping[str, Any]) -> dict[str, str]:
        """The values that make the name up: one that holds it, or two in their order."""
        texts = {key: plain_name(value) for key, value in said.items() if isinstance(value, str)}
        for one, first in texts.items():
            if first in self.names:
                return {one: self.names[first]}
        for one, first in texts.items():
            for other, last in texts.items():
                if one != other and first and last and (who := self.names.get(f"{first} {last}")):
                    return {one: who, other: who}
        return {}

    def column(self, name: str, texts: pd.Series) -> pd.Series:
        """A text column of a table."""
        if _DRIVERS_COLUMN.search(name):
            return by_distinct(texts, lambda t: t.map(lambda v: self.ids.get(v, self.text(v))))
        return by_distinct(texts, lambda t: t.map(self.text))

    def body(self, body: bytes, register: bool = False) -> bytes:
        """A file of whatever kind: a workbook (.xlsx), JSON, or text in the encoding that it has.

        Of a `register` (a list of drivers as text) the id goes from the lines that hold the name.
        """
        if zipfile.is_zipfile(BytesIO(body)):
            return self._workbook(body)
        if (decoded := decoded_json(body)) is not None:
            erased = self.json(decoded)
            return body if erased == decoded else json.dumps(erased, ensure_ascii=False).encode()
        text, encoding = _decoded(body)
        erased_text = "".join(self._line(line, register) for line in text.splitlines(keepends=True))
        return body if erased_text == text else erased_text.encode(encoding)

    def _line(self, line: str, register: bool) -> str:
        erased = self.text(line)
        if erased == line or not register:
            return erased
        return "".join(self.ids.get(cell.strip(), cell) for cell in re.split(r"([;,\t\r\n])", erased))

    def _workbook(self, body: bytes) -> bytes:
        """Every text of every part; a part without the person goes through as it is."""
        parts = _parts_of(body)
        erased = [(info, self._part(info.filename, part)) for info, part in parts]
        if erased == parts:
            return body
        out = BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as package:
            for info, part in erased:
                package.writestr(info, part, zipfile.ZIP_DEFLATED)
        return out.getvalue()

    def _part(self, name: str, part: bytes) -> bytes:
        if not name.endswith((".xml", ".rels", ".vml")):
            return part
        text, encoding = _decoded(part)

        def erased(found: re.Match[str]) -> str:
            said = html.unescape(found[0])
            now = self.text(said)
            return found[0] if now == said else html.escape(now)

        now = _XML_TEXT.sub(erased, text)
        return part if now == text else now.encode(encoding)


def texts_of(body: bytes) -> Iterable[str]:
    """All that a file says, as a reader sees it: to look whether somebody is still in it."""
    if zipfile.is_zipfile(BytesIO(body)):
        for info, part in _parts_of(body):
            yield info.filename
            text = _decoded(part)[0]
            yield html.unescape(text)
            for item in _ITEM.findall(text):  # a text in several formats lies in several runs
                yield html.unescape(_TAG.sub("", item))
    elif (decoded := decoded_json(body)) is not None:
        yield from _strings(decoded)
    else:
        yield _decoded(body)[0]
        if b"\0" in body:  # an old workbook: its texts are UTF-16, at odd or even places
            yield from (body[at:].decode("utf-16-le", "ignore") for at in (0, 1))


def opaque(body: bytes) -> bool:
    """Whether nobody can tell what the file says: a picture, an archive, a workbook with a password."""
    return body.startswith(_OPAQUE) or (zipfile.is_zipfile(BytesIO(body)) and _nested(body))


def _nested(body: bytes) -> bool:
    return any(part.startswith((*_OPAQUE, b"PK\x03\x04")) for _, part in _parts_of(body))


def _parts_of(body: bytes) -> list[tuple[zipfile.ZipInfo, bytes]]:
    try:
        with zipfile.ZipFile(BytesIO(body)) as package:
            if sum(info.file_size for info in package.infolist()) > _INFLATED:
                raise TooLarge
            return [(info, package.read(info)) for info in package.infolist()]
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError, ValueError, zlib.error, EOFError) as error:
        raise TooLarge from error  # encrypted or broken: what cannot be inflated


def decoded_json(body: bytes) -> Any | None:
    """The body as JSON; None where it is none."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _strings(said: Any) -> Iterable[str]:
    if isinstance(said, str):
        yield said
    elif isinstance(said, list):
        for each in said:
            yield from _strings(each)
    elif isinstance(said, dict):
        texts = [v for v in said.values() if isinstance(v, str)]
        yield from (
            f"{one} {other}" for one in texts for other in texts if one is not other and len(one) < 99
        )
        for key, value in said.items():
            yield key
            yield from _strings(value)


def _decoded(body: bytes) -> tuple[str, str]:
    for encoding in ("utf-16",) if body[:2] in (b"\xff\xfe", b"\xfe\xff") else ("utf-8", "latin-1"):
        try:
            return body.decode(encoding), encoding
        except UnicodeDecodeError:
            continue
    return body.decode("latin-1"), "latin-1"


def _folded(text: str, exact: bool = False) -> tuple[str, list[int]]:
    """The text upper case without accents; with `exact`, where each of its characters stood."""
    if not exact:
        return _bare(text), []
    plain, places = [], []
    for at, character in enumerate(text):
        for each in _bare(character):
            plain.append(each)
            places.append(at)
    return "".join(plain), places


def _bare(text: str) -> str:
    if not text.isascii():
        text = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return text.upper()
