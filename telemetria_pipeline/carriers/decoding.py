"""From a body's bytes to its records: used when a page arrives, and again when it is re-read from raw."""

import codecs
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from telemetria_pipeline.carriers.errors import (
    AuthError,
    BusyInBody,
    CarrierError,
    ErrorInBody,
    NotJson,
    Skipped,
    TruncatedListing,
    UnexpectedBody,
)
from telemetria_pipeline.carriers.paths import search, truth
from telemetria_pipeline.carriers.profile import ErrorRule, Listing, Profile

_WORD = re.compile(rb"[!-;=?-~]{8,8192}")  # a bare token: no blank, and no < or > as a page has


@dataclass(frozen=True)
class Decoded:
    """A body read as JSON, and the records in it; `headers` came with it, their names in small letters."""

    document: Any
    records: list[Any]
    headers: Mapping[str, str] = field(default_factory=dict)


def decode_page(profile: Profile, body: bytes, kind: str = "trips", status: int = 200) -> list[Any]:
    """The records that count of a page kept as received.

    Raises what the capture would have raised: `NotJson`, `UnexpectedBody`, `ErrorInBody`, `BusyInBody`,
    `TruncatedListing`.
    """
    return counted(profile.listing(kind), decode(profile, body, kind, status).records)


def counted(listing: Listing, records: list[Any]) -> list[Any]:
    """The records that a listing's `where` leaves; paging goes by all of them."""
    if listing.where is None:
        return records
    return [record for record in records if truth(search(listing.where, record))]


def decode(profile: Profile, body: bytes, kind: str, status: int = 200) -> Decoded:
    """The body as JSON, checked for errors and truncation, and its records unwrapped."""
    listing, body = profile.listing(kind), as_utf8(profile, body)
    document, trouble = None, ""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        trouble = (
            f"the answer is not JSON ({error}); {_start(body)}. A login page or another service may stand "
            f"at that address: look at the source's address and at {profile.name}'s base_path"
        )
    rule = fitting_rule(profile, document, kind, status)
    if rule is not None:
        if rule.outcome == "empty":
            return Decoded(None, [])
        raise ruled(rule, document, status)
    if listing.no_records == "empty" and not body.strip():
        return Decoded(None, [])
    if trouble:
        raise NotJson(trouble)  # outside of the handler: the parser's own exception holds the whole body
    if listing.truncation.when and search(listing.truncation.when, document):
        raise TruncatedListing(
            f"the carrier says that it cut the listing ({kind}.truncation.when is true): rows are "
            "missing. Ask for smaller pages or windows in the profile"
        )
    return Decoded(document, _records(listing, kind, document))


def fitting_rule(profile: Profile, document: Any, kind: str, status: int) -> ErrorRule | None:
    """The first of the profile's `errors` that fits an answer; None where it is what it looks like.

    Only a vehicle of a fan-out can be skipped, and only a listing be empty. `document` is None where the
    body is no JSON.
    """
    for rule in profile.errors:
        skips, empty = rule.outcome == "skip", rule.outcome == "empty"
        if not rule.fits(status) or (skips and kind != "trips") or (empty and kind == "login"):
            continue
        if rule.when is None or (document is not None and truth(search(rule.when, document))):
            return rule
    return None


def ruled(rule: ErrorRule, document: Any, status: int, plain: CarrierError | None = None) -> CarrierError:
    """The error that a rule makes of an answer; `plain` is what it would be without the rule."""
    said = search(rule.message, document) if rule.message else None
    text = plain.message if plain and not said else f"the carrier answered {status} with an error: "
    if said or not plain:
        text += str(said or _keys(document))[:200]
    if rule.outcome == "auth":
        error = AuthError(text, status=status)
        error.expired = True
        return error
    if rule.outcome == "retry":
        busy = BusyInBody(text, status=status)
        busy.wait_s = getattr(plain, "wait_s", None)
        return busy
    if rule.outcome == "skip":
        return Skipped(text, status=status)
    return ErrorInBody(f"{text}. Correct what it names, or the profile's request", status=status)


def login_document(profile: Profile, body: bytes, status: int) -> Any:
    """The answer of a login as JSON; no error repeats it, since it may hold a session."""
    document = json_or_none(profile, body)
    rule = fitting_rule(profile, document, "login", status)
    if rule is not None:
        raise ruled(rule, document, status)
    if document is None and _WORD.fullmatch(body.strip()):
        return body.strip().decode()
    if document is None and profile.login and profile.login.gives:
        raise NotJson("its answer is not JSON; look at the source's address and at login.path in the profile")
    return document


def as_utf8(profile: Profile, body: bytes) -> bytes:
    """The body in UTF-8 and without a byte order mark, whatever `encoding` it came in."""
    encoding = encoding_of(profile, body)
    return body if encoding == "utf-8" else body.decode(encoding, "replace").encode()


def encoding_of(profile: Profile, body: bytes) -> str:
    """The encoding that a byte order mark tells, else the profile's."""
    if body.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    if body.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    return profile.encoding


def json_or_none(profile: Profile, body: bytes) -> Any:
    """The body as JSON; None where it is none."""
    try:
        return orjson.loads(as_utf8(profile, body))
    except orjson.JSONDecodeError:
        return None


def refuse_repeated_keys(body: bytes) -> None:
    """Raise `UnexpectedBody` when an object names a key twice: which value counts is then a guess.

    Much slower than reading the body; a carrier that does this does it in every record, so one page will
    do.
    """

    def unique(pairs: list[tuple[str, Any]]) -> None:
        names = [name for name, _ in pairs]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise UnexpectedBody(
                f"the answer holds an object with the key {twice!r} twice, so that its value is anyone's "
                "guess; ask the carrier to send each key once"
            )

    json.loads(body, object_pairs_hook=unique)


def excerpt(body: bytes, length: int = 120) -> str:
    """The first characters of a body on one line, for a message."""
    return " ".join(body[: length * 4].decode("utf-8", "replace").split())[:length]


def _start(body: bytes) -> str:
    """How a body begins; JSON that was cut holds records, and they hold names: it is not repeated."""
    cut = body.lstrip()[:1] in (b"[", b"{")
    return "it was cut, or is no JSON further on" if cut else f"it starts with {excerpt(body)!r}"


def _keys(document: Any) -> str:
    if isinstance(document, dict):
        return f"its keys: {', '.join(map(str, list(document)[:8]))}"
    return _named(document)


def _records(listing: Listing, kind: str, document: Any) -> list[Any]:
    found = document if listing.records == "@" else search(listing.records, document)
    if found is None and listing.no_records == "empty":
        return []
    if isinstance(found, dict) and listing.single_object:
        found = [found]
    if not isinstance(found, list):
        raise UnexpectedBody(
            f"the answer has no array of records at `{listing.records}` but {_named(found)} "
            f"({_keys(document)}). Correct {kind}.records in the profile; where no array means no "
            f"trips, {kind}.no_records: empty; where one result is a bare object, {kind}.single_object: true"
        )
    if listing.unwrap is None:
        return found
    return [r.get(listing.unwrap, r) if isinstance(r, dict) else r for r in found]


def _named(value: Any) -> str:
    names = {dict: "an object", list: "an array", str: "a text", bool: "a flag", type(None): "nothing"}
    return names.get(type(value), "a number")
