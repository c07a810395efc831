"""What to ask next: one `Pager` a listing, which never asks the same twice and never stops early."""

import copy
from typing import Any

import orjson

from telemetria_pipeline.carriers.decoding import Decoded
from telemetria_pipeline.carriers.errors import (
    EndlessListing,
    IncompleteListing,
    RepeatedPage,
    TruncatedListing,
    UnexpectedBody,
)
from telemetria_pipeline.carriers.paths import search, truth
from telemetria_pipeline.carriers.profile import Cursor, Link, Listing, NoPaging, Offset, PageNumber

Params = dict[str, Any]
_EMPTY_PAGES = 20  # in a row: a feed may have some


class Pager:
    """Walks one listing: what the next request sends (or the whole address `url`) until `done`.

    `sent` is the listing's query, or its body, with the parameters of paging in it; a dotted one is a place
    within a JSON body.
    """

    def __init__(self, listing: Listing) -> None:
        self._listing = listing
        self._paging = paging = listing.paging
        self.sent: Params = copy.deepcopy(listing.sent)
        self._page = 0
        if not isinstance(paging, NoPaging) and paging.size_param is not None:
            self._put(paging.size_param, paging.size)
        if isinstance(paging, PageNumber):
            self._page = paging.first
            self._put(paging.page_param, paging.first)
        elif isinstance(paging, Offset):
            self._put(paging.offset_param, 0)
        self.url: str | None = None
        self.done = False
        self._rows = self._empty_pages = 0
        self._pages_seen: set[bytes] = set()
        self._nexts_seen: set[str] = set()

    def take(self, decoded: Decoded, link: str | None) -> None:
        """Account for a page and move on; `link` is the Link header's next address.

        Raises `RepeatedPage`, `IncompleteListing`, `TruncatedListing` or `UnexpectedBody` and then changes
        nothing, so that the page can be asked again.
        """
        records, rows = decoded.records, self._rows + len(decoded.records)
        page = _fingerprint(records)
        if records and page in self._pages_seen:
            raise RepeatedPage(
                f"the carrier sent {len(records)} records that it had already sent in this listing; counting "
                "them again would be wrong. If it persists, look at the profile's paging keys"
            )
        following = self._following(decoded, link, rows)
        if following is None:
            self._refuse_cut(decoded, rows)
        elif isinstance(following, str) and following in self._nexts_seen:
            raise RepeatedPage(
                "the carrier gave a next page that it had already given in this listing: following it would "
                "loop. If it persists, look at the profile's paging keys"
            )
        self._rows = rows
        self._empty_pages = 0 if records else self._empty_pages + 1
        self._pages_seen.add(page)
        self._move(following)

    def _following(self, decoded: Decoded, link: str | None, rows: int) -> str | int | None:
        """The next cursor, address, page number or offset; None at the end."""
        paging, count = self._paging, len(decoded.records)
        if isinstance(paging, NoPaging):
            return None
        more = truth(_at(paging.has_more, decoded)) if paging.has_more else None
        if more is False:
            return None
        if isinstance(paging, Cursor | Link):
            if isinstance(paging, Cursor) and paging.last_page and not self._goes_on(count):
                return None
            given = link if isinstance(paging, Link) and paging.next is None else self._given(decoded)
            if given not in (None, "") and not count and self._empty_pages >= _EMPTY_PAGES:
                raise EndlessListing(
                    f"the carrier gave {_EMPTY_PAGES + 1} empty pages in a row, each with another next page: "
                    "the listing has no end. If an empty page ends it, set paging.last_page: empty (of a "
                    "cursor), or say in paging.has_more where the body tells"
                )
            if given in (None, ""):
                if more:
                    raise IncompleteListing(
                        "the carrier says that more pages follow but not where (no cursor or link)"
                    )
                return None
            if not isinstance(given, str | int) or isinstance(given, bool):
                raise UnexpectedBody(
                    f"the next cursor or link is {str(given)[:60]!r}, no text; correct the profile's paging"
                )
            return str(given)
        if more is None:
            total = self._total(decoded)
            more = rows < total if total is not None else self._goes_on(count)
        if not more:
            return None
        if not count:
            raise IncompleteListing(
                f"the carrier sent an empty page although more records should follow ({rows} received)"
            )
        return rows if isinstance(paging, Offset) else self._page + 1

    def _given(self, decoded: Decoded) -> Any:
        path = self._paging.cursor if isinstance(self._paging, Cursor) else self._paging.next  # type: ignore[union-attr]
        return _at(path, decoded) if path else None

    def _total(self, decoded: Decoded) -> int | None:
        path = getattr(self._paging, "total", None)
        total = _at(path, decoded) if path else None
        if isinstance(total, str) and total.isdecimal() and path and path.startswith("header:"):
            return int(total)
        return total if isinstance(total, int) and not isinstance(total, bool) else None

    def _goes_on(self, count: int) -> bool:
        paging = self._paging
        if isinstance(paging, PageNumber | Offset | Cursor) and paging.last_page == "short":
            return count >= (paging.size or 1)
        return count > 0

    def _refuse_cut(self, decoded: Decoded, rows: int) -> None:
        total = self._total(decoded)
        if total is not None and rows < total:
            raise IncompleteListing(f"the carrier announces {total} records but its pages held {rows}")
        if rows == self._listing.truncation.rows:
            raise TruncatedListing(
                f"the listing holds exactly {rows} records, where the carrier cuts it without a word: ask "
                "for smaller windows, or page, in the profile"
            )

    def _move(self, following: str | int | None) -> None:
        paging = self._paging
        if following is None:
            self.done = True
        elif isinstance(paging, Link):
            self.url = str(following)
            self._nexts_seen.add(self.url)
        elif isinstance(paging, Cursor):
            self._put(paging.cursor_param, following)
            self._nexts_seen.add(str(following))
        elif isinstance(paging, PageNumber):
            self._page = int(following)
            self._put(paging.page_param, following)
        elif isinstance(paging, Offset):
            self._put(paging.offset_param, following)

    def _put(self, name: str, value: Any) -> None:
        holder = self.sent
        if self._listing.body is not None:
            *above, name = name.split(".")
            for key in above:
                holder = holder.setdefault(key, {})
        holder[name] = value


def _at(place: str, decoded: Decoded) -> Any:
    """What the body holds at a path, or the header that the place names."""
    if place.startswith("header:"):
        return decoded.headers.get(place.removeprefix("header:").lower())
    return search(place, decoded.document)


def _fingerprint(records: list[Any]) -> bytes:
    """Enough of a page to know it again; hashing all of it would cost as much as reading it."""
    return orjson.dumps([len(records), records[0], records[-1]]) if records else b""
