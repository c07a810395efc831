"""The carrier over HTTP, on this machine only: `Simulator`.

A request is answered honestly first; then its fault, if it has one, spoils the answer or its delivery.
"""

import gzip
import socket
import struct
import sys
import threading
from collections import Counter, deque
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from email.message import Message
from functools import lru_cache, partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple, Self
from urllib.parse import parse_qsl, urlencode, urlsplit

from telemetria_pipeline.simulator.dialects import DIALECTS, Asked
from telemetria_pipeline.simulator.faults import LISTING_FAULTS, REPLY_FAULTS, TRANSPORT_FAULTS, FaultPlan
from telemetria_pipeline.simulator.fleet import Fleet
from telemetria_pipeline.simulator.records import Exchange, Silence
from telemetria_pipeline.simulator.replies import (
    LOGIN_PAGE,
    BadRequest,
    Reply,
    faulty_reply,
    json_reply,
    text_reply,
)
from telemetria_pipeline.simulator.truth import TrueTrip, running_per_hour, true_trips, write_truth


class Unavailable(Exception):
    """The window lies in an outage."""


class Request(NamedTuple):
    """One request of the log: `path` is the target with its query, `status` 0 where nothing was sent."""

    method: str
    path: str
    status: int
    fault: str | None


class Simulator:
    """A carrier's API at `url`, answering from a daemon thread until `close()`; a context manager.

    `dialect` says which API it is, by the name of the shipped profile that reads it: `simulator`, `motive` or
    `traccar`; `url` is what that profile wants as its address. Each answer comes after `delay_seconds`.
    `as_of` is the instant that the carrier lives at (None: the real clock, in whole seconds) and can be
    set while it serves. With `truth_dir`, the truth of each window is written there when it is asked for.
    A window whose middle lies in one of the `outages` [start, end) gets 503, however often it is asked for,
    until they are set otherwise; `silences` are trips that no window lists, `second_trackers` ids of vehicles
    that are heard here by a second device, `exchanges` devices that changed places.
    """

    def __init__(
        self,
        fleet: Fleet,
        token: str = "demo-token",
        faults: FaultPlan | None = None,
        as_of: datetime | None = None,
        port: int = 0,
        page_limit: int = 100,
        truth_dir: Path | None = None,
        outages: Sequence[tuple[datetime, datetime]] = (),
        silences: Sequence[Silence] = (),
        second_trackers: Collection[str] = (),
        exchanges: Sequence[Exchange] = (),
        dialect: str = "simulator",
        delay_seconds: float = 0,
    ) -> None:
        if not token:
            raise ValueError("the simulator needs a token that is not empty")
        if dialect not in DIALECTS:
            raise ValueError(f"unknown dialect {dialect!r}; one of {', '.join(DIALECTS)}")
        self.dialect = dialect
        self.token = token
        self.delay_seconds = delay_seconds
        self.fleet = fleet
        self.faults = faults or FaultPlan(fleet.seed)
        self.as_of = as_of
        self.page_limit = page_limit
        self.outages = outages
        self._truth_dir = truth_dir
        self._dialect = DIALECTS[dialect]
        self._carrier = self._dialect.carrier(fleet, self.faults, silences, second_trackers, exchanges)
        self._trips = lru_cache(maxsize=8)(partial(self._dialect.trips, self._carrier))
        self._script: deque[str | None] = deque()
        self._attempts: Counter[str] = Counter()
        self._log: deque[Request] = deque(maxlen=100_000)
        self._lock = threading.Lock()
        self.closing = threading.Event()
        self._http = _Server(("127.0.0.1", port), _Handler)
        self._http.simulator = self
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}{self._dialect.base}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop listening and drop every connection, a hanging one too."""
        self.closing.set()
        self._http.shutdown()
        self._http.server_close()
        self._http.drop_connections()
        self._thread.join()

    @property
    def as_of(self) -> datetime:
        """The instant that the carrier lives at, in UTC."""
        return self._as_of or datetime.now(UTC).replace(microsecond=0)

    @as_of.setter
    def as_of(self, value: datetime | None) -> None:
        if value is not None and value.tzinfo is None:
            raise ValueError("as_of needs a zone, e.g. datetime(2026, 3, 10, tzinfo=UTC)")
        self._as_of = value and value.astimezone(UTC).replace(microsecond=0)

    @property
    def requests(self) -> list[Request]:
        """The requests answered so far, oldest first (the latest 100,000)."""
        return list(self._log)

    def inject(self, *faults: str | None) -> None:
        """Give the next authorised API requests these faults, in order; None lets one through clean.

        A fault that a request cannot show (`repeated_page` on a first page) waits for one that can.
        """
        for fault in faults:
            if fault is not None and fault not in TRANSPORT_FAULTS:
                raise ValueError(f"unknown fault {fault!r}; one of {', '.join(TRANSPORT_FAULTS)}")
        with self._lock:
            self._script.extend(faults)

    def truth(self, start: datetime, end: datetime) -> list[TrueTrip]:
        """What a perfect ingest of the trips that depart in [start, end) holds as of now."""
        return true_trips(self._dialect, self._carrier, start, end, self.as_of)

    def running_per_hour(self, start: datetime, end: datetime) -> dict[datetime, int]:
        """How many trips that depart in [start, end) are running now, by hour of departure (UTC)."""
        return running_per_hour(self._dialect, self._carrier, start, end, self.as_of)

    def write_truth(self, path: Path, start: datetime, end: datetime) -> None:
        """Write `truth(start, end)` as JSON Lines."""
        write_truth(path, self.truth(start, end))

    def answer(self, target: str, headers: Message) -> tuple[Reply, str | None]:
        """The reply to `GET target`, and the fault that it suffers (its delivery is the handler's)."""
        url, dialect = urlsplit(target), self._dialect
        if url.path == "/healthz":
            return json_reply({"status": "ok"}), None
        if url.path == "/login":
            return text_reply(LOGIN_PAGE, 200, "html"), None
        if refused := dialect.refusal(headers, self.token):
            return refused, None
        query = dict(parse_qsl(url.query, keep_blank_values=True))
        try:
            asked = dialect.read(url.path, query, self.fleet, self.page_limit, self.as_of)
            if asked is None:
                return dialect.error(404, "not_found", f"there is nothing at {url.path}", {}), None
            items = self._items(asked)
            named = headers.get("X-Simulate") or query.get("simulate")
            fault, attempt = self._fault(url.path, query, asked, named)
        except BadRequest as error:
            return dialect.bad_request(str(error)), None
        except Unavailable:
            return dialect.error(503, "unavailable", "these hours cannot be read", {}), "outage"
        listing_fault = fault if fault in LISTING_FAULTS else None
        own = f"http://{headers.get('Host', '')}{url.path}"
        shown = [] if fault == "empty_hour" else items
        reply = dialect.page(shown, asked.part, own, query, listing_fault)
        if fault in REPLY_FAULTS:
            header = dialect.auth[0]
            reply = faulty_reply(fault, reply, attempt, f"{header}: {headers.get(header)}", dialect.error)
        return reply, fault

    def log(self, request: Request) -> None:
        """Append to `requests`."""
        self._log.append(request)

    def _items(self, asked: Asked) -> list[dict]:
        if asked.window is None:
            return self._dialect.vehicles(self.fleet)
        start, end = asked.window
        middle = start + (end - start) / 2
        if any(begins <= middle < ends for begins, ends in self.outages):
            raise Unavailable
        part = asked.part
        if self._truth_dir and part.offset == 0:
            name = "_".join(f"{bound:%Y%m%dT%H%M%SZ}" for bound in asked.window)
            with self._lock:
                truth = true_trips(self._dialect, self._carrier, start, end, part.as_of)
                write_truth(self._truth_dir / f"{name}.jsonl", truth)
        return self._trips(start, end, part.as_of, asked.vehicle)

    def _fault(
        self, path: str, query: Mapping[str, str], asked: Asked, named: str | None
    ) -> tuple[str | None, int]:
        """This request's fault, if any, and how often (from 1) the same request has been made."""
        if named and named not in TRANSPORT_FAULTS:
            raise BadRequest(f"unknown fault {named!r}; one of {', '.join(TRANSPORT_FAULTS)}")
        part = asked.part
        # A cursor holds the time, which would make every day's faults different: its offset stands for it.
        same = {k: v for k, v in query.items() if k not in ("cursor", "simulate")} | {"at": str(part.offset)}
        request = f"GET {path}?{urlencode(sorted(same.items()))}"

        def shows(fault: str | None) -> bool:
            hides_trips = fault == "empty_hour" and asked.window is None
            return part.suffers(fault) and fault not in self._dialect.without and not hides_trips

        with self._lock:
            self._attempts[request] += 1
            attempt = self._attempts[request]
            if named:
                fault: str | None = named
            elif self._script and shows(self._script[0]):
                fault = self._script.popleft()
            else:
                fault = self.faults.on_request(request, attempt)
        return (fault if shows(fault) else None), attempt


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    simulator: Simulator

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self._open: set[socket.socket] = set()
        super().__init__(address, handler)

    def process_request(self, request: socket.socket, client_address: tuple) -> None:  # type: ignore[override]
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: socket.socket) -> None:  # type: ignore[override]
        self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: socket.socket, client_address: tuple) -> None:  # type: ignore[override]
        # A client that goes away in mid-answer is what this server is for; anything else is a mistake here.
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)

    def drop_connections(self) -> None:
        for connection in tuple(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "simulator"
    wbufsize = 1 << 16  # head and body in one packet: sent apart, the body waits 40 ms for an ACK
    server: _Server

    def do_GET(self) -> None:
        simulator = self.server.simulator
        if simulator.delay_seconds:
            simulator.closing.wait(simulator.delay_seconds)
        reply, fault = simulator.answer(self.path, self.headers)
        status = 0 if fault == "hang" else reply.status
        simulator.log(Request("GET", self.path, status, fault))
        if fault == "hang":
            simulator.closing.wait(simulator.faults.hang_seconds)
            self.close_connection = True
        else:
            self._deliver(reply, fault)

    def _deliver(self, reply: Reply, fault: str | None) -> None:
        body, headers = reply.body, dict(reply.headers)
        if len(body) > 500 and "gzip" in self.headers.get("Accept-Encoding", ""):
            body = gzip.compress(body, compresslevel=1)
            headers["Content-Encoding"] = "gzip"
        self.send_response(reply.status)
        for name, value in (headers | {"Content-Length": str(len(body))}).items():
            self.send_header(name, value)
        self.end_headers()
        if fault == "slow_drip":
            self._drip(body)
        elif fault in ("reset", "truncated"):
            self.wfile.write(body[: len(body) // 2])
            self.wfile.flush()
            self.close_connection = True
            if fault == "reset":
                self._reset()
        else:
            self.wfile.write(body)

    def _drip(self, body: bytes) -> None:
        """The whole body, evenly spread over `hang_seconds`, so that no single read waits long."""
        simulator = self.server.simulator
        steps = max(int(simulator.faults.hang_seconds / 0.05), 2)
        size = len(body) // steps + 1
        for start in range(0, len(body), size):
            self.wfile.write(body[start : start + size])
            self.wfile.flush()
            if simulator.closing.wait(0.05):
                return

    def _reset(self) -> None:
        """Close with RST instead of FIN."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def log_message(self, format: str, *args: object) -> None:
        """The log is `Simulator.requests`."""
