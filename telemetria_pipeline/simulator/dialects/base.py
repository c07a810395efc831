"""What a dialect is: who may ask, what a request asks for, how records, pages and errors are written."""

import hmac
import re
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.message import Message
from typing import Any, ClassVar

from telemetria_pipeline.simulator.faults import FaultPlan
from telemetria_pipeline.simulator.fleet import Driver, Fleet, Vehicle
from telemetria_pipeline.simulator.records import (
    SHORTEST_SLIP_M,
    Carrier,
    Entry,
    Exchange,
    Reading,
    Silence,
    Story,
)
from telemetria_pipeline.simulator.replies import BadRequest, Reply, Slice, unauthorized

Record = dict[str, Any]
LONGEST_WINDOW = timedelta(days=31)
YEARS = range(2000, 2100)


@dataclass(frozen=True)
class Asked:
    """What a request asks for: the trips of a window, of one vehicle or of all; without one, the vehicles."""

    part: Slice
    window: tuple[datetime, datetime] | None = None
    vehicle: Vehicle | None = None


class Dialect(ABC):
    """One API over a `Carrier`'s books. The lower half says what a perfect ingest of it can know."""

    name: ClassVar[str]
    """Also that of the shipped profile that reads it."""
    base: ClassVar[str] = ""
    """What the address of the API ends with."""
    auth: ClassVar[tuple[str, str]] = ("Authorization", "Bearer {}")
    without: ClassVar[frozenset[str]] = frozenset()
    """Faults that this API cannot have."""
    hides: ClassVar[frozenset[str]] = frozenset()
    """Columns that its records do not fill."""
    shortest_slip_m: ClassVar[int] = SHORTEST_SLIP_M

    def carrier(
        self,
        fleet: Fleet,
        faults: FaultPlan,
        silences: Sequence[Silence] = (),
        second_trackers: Collection[str] = (),
        exchanges: Sequence[Exchange] = (),
    ) -> Carrier:
        """The carrier whose books this API shows."""
        return Carrier(
            fleet, faults, silences, second_trackers, self.without, self.shortest_slip_m, exchanges
        )

    def refusal(self, headers: Message, token: str) -> Reply | None:
        """The answer to a request that may not ask, or not so; None where it may."""
        sent = headers.get(self.auth[0], "").encode("latin-1", "replace")
        return (
            None
            if hmac.compare_digest(sent, self.auth[1].format(token).encode())
            else unauthorized(self.error)
        )

    @abstractmethod
    def read(
        self, path: str, query: Mapping[str, str], fleet: Fleet, page_limit: int, now: datetime
    ) -> Asked | None:
        """What is asked for; None where nothing is at that path. Raises `BadRequest`."""

    @abstractmethod
    def vehicles(self, fleet: Fleet) -> list[Record]:
        """The vehicles, as the API lists them."""

    @abstractmethod
    def trips(
        self, carrier: Carrier, start: datetime, end: datetime, as_of: datetime, vehicle: Vehicle | None
    ) -> list[Record]:
        """The window's records as of an instant."""

    @abstractmethod
    def page(
        self, items: Sequence[Record], part: Slice, url: str, query: Mapping[str, str], fault: str | None
    ) -> Reply:
        """A page of a listing, with a listing fault if given."""

    @abstractmethod
    def error(self, status: int, code: str, message: str, headers: Mapping[str, str]) -> Reply:
        """An error."""

    def bad_request(self, message: str) -> Reply:
        """The answer to a query that cannot be read."""
        return self.error(400, "bad_request", message, {})

    # What a perfect ingest knows

    @abstractmethod
    def vehicle_id(self, vehicle: Vehicle) -> str:
        """The id that the API gives a vehicle."""

    @abstractmethod
    def driver_id(self, driver: Driver) -> str:
        """The id that the API gives a driver."""

    def record_id(self, entry_id: str) -> str:
        """The id that the API gives a record."""
        return entry_id

    def reported_km(self, metres: float) -> float:
        """A distance as its record tells it, in km."""
        return metres / 1000

    def versions(self, story: Story, as_of: datetime) -> list[tuple[str, datetime, Reading]]:
        """The records of a trip that look finished; the last is true."""
        return story.versions(as_of)

    def is_running(self, story: Story, as_of: datetime) -> bool:
        """Whether the API says that a trip is under way."""
        return story.is_running(as_of)


def number(text: str) -> int:
    """A number for an API that counts what we name: `v-007` is 7, `t-9f…` the number in its digits."""
    head, _, tail = text.partition("-")
    return int(tail[:12], 16) if head == "t" else int(re.sub(r"\D", "", tail))


def absent(entry: Entry, names: Mapping[str, str], record: Record) -> Record:
    """The record without the field that is not sent, by the API's name for it."""
    if entry.absent and entry.absent in names:
        record.pop(names[entry.absent], None)
    return record


def window_of(query: Mapping[str, str]) -> tuple[datetime, datetime]:
    """`from` and `to`; raises `BadRequest`."""
    start, end = instant_of(query, "from"), instant_of(query, "to")
    if not start < end <= start + LONGEST_WINDOW:
        raise BadRequest(f"to must lie after from, by at most {LONGEST_WINDOW.days} days")
    return start, end


def instant_of(query: Mapping[str, str], name: str) -> datetime:
    """An instant of the query; raises `BadRequest`."""
    try:
        value = datetime.fromisoformat(query.get(name, ""))
    except ValueError:
        value = None
    if value is None or value.tzinfo is None or value.year not in YEARS:
        raise BadRequest(f"{name} must be an instant like 2026-03-10T07:00:00Z")
    return value.astimezone(UTC)
