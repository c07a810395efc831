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

# What an object says at its top where it is no good answer, whatever the profile knows of it; names are in
# small letters, without _ and -.
_SUCCEEDED = {"success", "ok", "succeeded", "issuccess"}
_FAILED = {
    "error",
    "errors",
    "fault",
    "exception",
    "errorcode",
    "errcode",
    "haserror",
    "haserrors",
    "iserror",
}
_CUT = {"truncated", "istruncated", "incomplete", "partial", "limitexceeded"}
_NO_FAILURE = {"ok", "none", "null", "success", "200"}
_FAILURES = {"error", "err", "fail", "failed", "failure"}
_PASSWORD = re.compile(rb"<input[^>]*type\s*=\s*[\"']?password|\b(?:log|sign)[ -]?(?:in|on)\b", re.IGNORECASE)
_PAGE = re.compile(rb"\s*<(?:!doctype\s+html|html|head|body|form)\b", re.IGNORECASE)
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
    document, trouble = _parsed(body)
    rule = fitting_rule(profile, document, kind, status)
    if rule is not None:
        if rule.outcome == "empty":
            return Decoded(None, [])
        raise ruled(rule, document, status)
    if not body.strip():
        if listing.no_records == "empty":
            return Decoded(None, [])
        raise NotJson(
            f"the answer ({status}) is empty; where that means that there are none, set {kind}.no_records: "
            "empty in the profile"
        )
    if trouble:  # not raised by the parser's handler: its own exception holds the whole body
        raise NotJson(f"the answer is not JSON ({trouble}); {_start(profile, body)}")
    if listing.truncation.when and truth(search(listing.truncation.when, document)):
        raise TruncatedListing(
            f"the carrier says that it cut the listing ({kind}.truncation.when is true): rows are "
            "missing. Ask for smaller pages or windows in the profile"
        )
    records = _records(listing, kind, document)
    if not records:
        _refuse_no_good_answer(kind, document)
    return Decoded(document, records)


def _parsed(body: bytes) -> tuple[Any, str]:
    """The document, and what is wrong with it as JSON, if anything.

    `NaN`, `Infinity` and numbers beyond any float are read: each is no value in the column that it goes to,
    and spoils nothing beside it.
    """
    try:
        return orjson.loads(body), ""
    except orjson.JSONDecodeError as error:
        trouble = str(error)
    try:
        document = json.loads(body)
        orjson.dumps(document)  # json also reads texts and integers that nothing after this could write
    except (ValueError, TypeError, RecursionError):
        return None, trouble
    return document, ""


def _refuse_no_good_answer(kind: str, document: Any) -> None:
    """Without records, an object that calls itself failed or cut does not say that there are none."""
    if not isinstance(document, dict):
        return
    for name, value in document.items():
        plain = re.sub(r"[_-]", "", name.lower())
        if plain in _CUT and truth(value):
            raise TruncatedListing(
                f"the answer has no records, and says `{name}`: it was cut. Ask for smaller windows in the "
                f"profile, or say in {kind}.truncation what cuts it"
            )
        if (
            (plain in _SUCCEEDED and truth(value) is False)
            or (plain in _FAILED and _says_failure(value))
            or (plain in ("status", "result") and str(value).strip().lower() in _FAILURES)
        ):
            raise ErrorInBody(
                f"the answer has no records, and its `{name}` calls it an error: nothing is known. Say in "
                f"`errors` of the profile what it means ({_keys(document)})"
            )


def _says_failure(value: Any) -> bool:
    if isinstance(value, dict) and value.get("code") is not None:
        value = value["code"]
    return bool(truth(value)) and str(value).strip().lower() not in _NO_FAILURE


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
    return _parsed(as_utf8(profile, body))[0]


def refuse_repeated_keys(body: bytes, document: Any) -> None:
    """Raise `UnexpectedBody` when an object names a key twice: which value counts is then a guess.

    `body` is in UTF-8, and `document` what it was read as. A key that was read over has taken its colon with
    it, so the document written anew has fewer; only where they differ is it worth to look at each key. A
    colon written as an escape has none in the body, and could stand in for one that is gone.
    """
    if b"u003" not in body and body.count(b":") == orjson.dumps(document).count(b":"):
        return

    def unique(pairs: list[tuple[str, Any]]) -> None:
        if len(dict(pairs)) < len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise UnexpectedBody(
                f"the answer holds an object with the key {twice!r} twice, so that its value is anyone's "
                "guess; ask the carrier to send each key once"
            )

    json.loads(body, object_pairs_hook=unique)


def excerpt(body: bytes, length: int = 120) -> str:
    """The first characters of a body on one line, for a message."""
    return " ".join(body[: length * 4].decode("utf-8", "replace").split())[:length]


def _start(profile: Profile, body: bytes) -> str:
    """What a body may be instead; only of a web page its text is repeated: records hold names."""
    look = f"look at the source's address and at {profile.name}'s base_path"
    if _PAGE.match(body):
        page = "a login page" if _PASSWORD.search(body) else "a web page"
        return f"it is {page}, and starts with {excerpt(body)!r}: {look}"
    if any(mark in body[:200] for mark in b"[{"):
        return "it was cut, or is no JSON further on"
    return f"it is {len(body)} bytes of something else; another service may stand there: {look}"


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
