"""What goes over the wire: one page of a listing in each paging style, and the replies that faults make.

Pure: nothing here knows a socket.
"""

import base64
import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import formatdate
from typing import Any
from urllib.parse import urlencode

STYLES = ("cursor", "none", "page", "offset", "link")
MAX_LIMIT = 1000
CURSOR = re.compile(r"(\d{1,9})@(\d{1,10})", re.ASCII)  # offset, and the instant that the listing is as of

LOGIN_PAGE = (
    "<!doctype html><html><head><title>Entrar</title></head><body><form>Usuário: <input></form></html>"
)


class BadRequest(ValueError):
    """The query cannot be answered; the message is the body of the 400."""


@dataclass(frozen=True)
class Reply:
    """Status, body and headers of one answer."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


def json_reply(payload: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    """A JSON answer."""
    body = json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()
    return Reply(status, body, {"Content-Type": "application/json"} | dict(headers or {}))


def text_reply(text: str, status: int, kind: str = "plain") -> Reply:
    """A `text/<kind>` answer."""
    return Reply(status, text.encode(), {"Content-Type": f"text/{kind}; charset=utf-8"})


Refuse = Callable[[int, str, str, Mapping[str, str]], Reply]
"""An API's own form of an error, from status, code, message and headers."""


@dataclass(frozen=True)
class Slice:
    """The part of a listing that a request asks for; `as_of` holds still from page to page."""

    style: str
    offset: int
    limit: int
    as_of: datetime

    @classmethod
    def of(cls, query: Mapping[str, str], default_limit: int, now: datetime) -> "Slice":
        """Read the paging parameters; raises `BadRequest` naming the one that is wrong."""
        style = query.get("paging", "cursor")
        if style not in STYLES:
            raise BadRequest(f"paging must be one of {', '.join(STYLES)}")
        limit = count(query, "limit", default_limit)
        if not 1 <= limit <= MAX_LIMIT:
            raise BadRequest(f"limit must lie between 1 and {MAX_LIMIT}")
        if style == "page":
            page = count(query, "page", 1)
            if page < 1:
                raise BadRequest("page starts at 1")
            return cls(style, (page - 1) * limit, limit, now)
        if style == "offset":
            return cls(style, count(query, "offset", 0), limit, now)
        if style != "none" and query.get("cursor"):
            return cls._resume(style, query["cursor"], limit)
        return cls(style, 0, limit, now)

    @classmethod
    def _resume(cls, style: str, cursor: str, limit: int) -> "Slice":
        found = None
        with suppress(ValueError):
            found = CURSOR.fullmatch(base64.urlsafe_b64decode(cursor).decode())
        if found is None:
            raise BadRequest("cursor is not one that this API gave")
        return cls(style, int(found[1]), limit, datetime.fromtimestamp(int(found[2]), UTC))

    def cursor(self, offset: int) -> str:
        """The cursor of the page that starts at `offset`."""
        return base64.urlsafe_b64encode(f"{offset}@{self.as_of.timestamp():.0f}".encode()).decode()

    def of_items(self, items: Sequence[Any], fault: str | None = None) -> Sequence[Any]:
        """The page's own items, or those of the page before where it is repeated."""
        start = max(self.offset - self.limit, 0) if fault == "repeated_page" else self.offset
        return items[start : start + self.limit]

    def suffers(self, fault: str | None) -> bool:
        """Whether a listing fault can be seen on this page at all."""
        if fault == "repeated_page":
            return self.offset > 0
        if fault == "repeated_cursor":
            return self.offset > 0 and self.style in ("cursor", "link")
        return True


def page_reply(
    items: Sequence[Any], part: Slice, url: str, query: Mapping[str, str], fault: str | None = None
) -> Reply:
    """One page of `items`, with a listing fault if given; `url` and `query` make the Link header."""
    start, stop = part.offset, part.offset + part.limit
    more = stop < len(items)
    shown = part.of_items(items, fault)
    following = part.cursor(stop) if more else None
    if fault == "repeated_cursor":
        following, more = query.get("cursor"), True
    if part.style == "none":
        return json_reply({"data": items})
    if part.style == "link":
        headers = {}
        if following:
            headers["Link"] = f'<{url}?{urlencode({**query, "cursor": following})}>; rel="next"'
        return json_reply({"data": shown}, headers=headers)
    pagination: dict[str, object] = {"next_cursor": following, "has_more": more}
    if part.style == "page":
        pagination = {"page_no": start // part.limit + 1, "per_page": part.limit, "total": len(items)}
    elif part.style == "offset":
        pagination = {"offset": start, "limit": part.limit, "total": len(items)}
    return json_reply({"data": shown, "pagination": pagination})


def faulty_reply(fault: str, honest: Reply, attempt: int, secret: str, error: Refuse) -> Reply:
    """What a reply fault puts in the place of the honest reply; waits asked for are at most 1 s.

    `secret` is the header that carried the token; `error` writes the API's own form of an error.
    """
    if fault.startswith("throttle_"):
        waits: dict[str, dict[str, str]] = {
            "throttle_int": {"Retry-After": "1"},
            "throttle_date": {"Retry-After": formatdate(time.time() + 1, usegmt=True)},
            "throttle_fraction": {"Retry-After": "0.40235"},
            "throttle_none": {},
        }
        return error(429, "too_many_requests", "slow down", waits[fault])
    if fault == "truncated_json":
        return Reply(honest.status, honest.body[: len(honest.body) // 2], honest.headers)
    if fault == "error_503":
        wait = {"Retry-After": "1"} if attempt % 2 == 0 else {}
        return error(503, "unavailable", "try again later", wait)
    if fault == "echo_token":
        return error(500, "upstream", f"upstream refused a request with {secret}", {})
    replies = {
        "error_500": error(500, "internal", "something broke", {}),
        "error_502": text_reply("<html><h1>502 Bad Gateway</h1></html>", 502, "html"),
        "error_408": error(408, "timeout", "the request took too long", {"Connection": "close"}),
        "html": text_reply(LOGIN_PAGE, 200, "html"),
        "error_in_200": error(200, "busy", "the report is being prepared, try again", {}),
        "redirect": Reply(302, b"", {"Location": "/login"}),
        "bad_token": unauthorized(error),
    }
    return replies[fault]


def unauthorized(error: Refuse) -> Reply:
    """The answer to a request without the right token."""
    return error(401, "unauthorized", "send the token", {"WWW-Authenticate": "Bearer"})


def count(query: Mapping[str, str], name: str, default: int) -> int:
    """A whole number of the query; raises `BadRequest`."""
    value = query.get(name) or str(default)
    if not (value.isascii() and value.isdigit() and len(value) < 10):
        raise BadRequest(f"{name} must be a whole number")
    return int(value)
