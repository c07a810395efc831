"""The carrier that every contender reads from: pages rendered before the clock starts, no faults.

    python benchmarks/server.py --rows 500000

Prints one line with its address and serves on 127.0.0.1 until it is terminated. It speaks the `simulator`
profile's contract: `GET /v1/trips?from=&to=&cursor=` with a Bearer token, pages of 1,000 records whatever
`limit` asks. One day of `--rows` trips is rendered; every other day is that day under another date, so that
2x and 4x the rows cost the server no more memory. Each trip departs and arrives within one hour, so that
no window has edge trips and every contender owes exactly the rows that it was served.
"""

import argparse
import os
import random
import threading
import time
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import orjson

TOKEN = "bench-token"
PAGE_ROWS = 1000
_DAY = date(2026, 3, 10)
_VEHICLES = 2003  # a prime, so that one vehicle's trips are spread over the hour and never overlap
_DRIVERS = [
    f"{first} {last}"
    for first in (
        "José",
        "João",
        "Conceição",
        "Antônio",
        "Luís",
        "Inês",
        "Mário",
        "Sebastião",
        "Fátima",
        "Zé",
    )
    for last in ("da Silva", "Araújo", "Gonçalves", "Simões", "Brandão", "de Assunção", "Leão", "Vilaça")
]
_PLACES = [
    f"{kind} {name}"
    for kind in ("Fazenda", "Usina", "Terminal", "Vila")
    for name in (
        "São Bento",
        "Santa Fé",
        "Água Limpa",
        "Boa Esperança",
        "Três Irmãos",
        "Ipê",
        "Jatobá",
        "Aroeira",
    )
]
_GARAGES = ["Glória", "Paraíso", "Estância", "Ribeirão"]


def _trip(rng: random.Random, day: str, hour: int, second: int, vehicle: int) -> dict:
    seconds = rng.randrange(150, 240)
    metres = seconds * rng.randrange(8, 20)
    odometer = 50_000_000 + vehicle * 40_000 + rng.randrange(10_000_000)
    garage = _GARAGES[vehicle % len(_GARAGES)]
    letters = "".join(chr(65 + vehicle // 26**power % 26) for power in (2, 1, 0))
    plate = f"{letters}-{vehicle % 10}{chr(65 + vehicle % 10)}{vehicle // 10 % 100:02d}"

    def instant(at: int) -> str:
        return f"{day}T{hour:02d}:{at // 60:02d}:{at % 60:02d}Z"

    return {
        "id": f"t-{vehicle:04d}-{instant(second)}",
        "status": "completed",
        "updated_at": instant(second + seconds),
        "asset": {
            "id": f"v-{vehicle:04d}",
            "description": f"{garage}|{3000 + vehicle}|{plate}-DVR",
            "registration": plate,
            "timezone": "America/Sao_Paulo",
        },
        "garage": garage,
        "driver": {"id": f"d-{vehicle % 997:03d}", "name": rng.choice(_DRIVERS)},
        "departure": {"time": instant(second), "place": rng.choice(_PLACES), "odometer_m": odometer},
        "arrival": {
            "time": instant(second + seconds),
            "place": rng.choice(_PLACES),
            "odometer_m": odometer + metres,
        },
        "next_departure": instant(second + seconds + 40),
        "distance_m": round(metres * rng.uniform(0.985, 1.015), 1),
        "max_speed_kmh": float(rng.randrange(60, 95)),
        "driving_seconds": seconds,
        "stopped_seconds": 40,
    }


def rows_of_hour(rows_a_day: int, hour: int) -> int:
    """How many of a day's trips depart in this UTC hour; over 24 hours they add up to `rows_a_day`."""
    return rows_a_day * (hour + 1) // 24 - rows_a_day * hour // 24


def render_hour(rows_a_day: int, hour: int) -> list[bytes]:
    """The JSON arrays of one UTC hour of the rendered day, a page each; one empty page for an empty hour."""
    rng = random.Random(hour)
    count = rows_of_hour(rows_a_day, hour)
    day = _DAY.isoformat()
    trips = [_trip(rng, day, hour, i * 3000 // count, i % _VEHICLES) for i in range(count)]
    return [orjson.dumps(trips[i : i + PAGE_ROWS]) for i in range(0, count, PAGE_ROWS)] or [b"[]"]


class Handler(BaseHTTPRequestHandler):
    """Answers from `pages` (UTC hour -> its rendered pages), which `serve` fills before it listens."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # headers and body are two sends; without it each page waits for an ACK
    wbufsize = 1 << 16
    pages: dict[int, list[bytes]]

    def do_GET(self) -> None:
        """Answer one request; the name is the one that http.server calls."""
        url = urlsplit(self.path)
        if url.path != "/v1/trips":
            return self._send(404, b"no such path", "text/plain")
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self._send(401, b'{"error": "wrong token"}')
        try:
            body = self._page({name: values[0] for name, values in parse_qs(url.query).items()})
        except (KeyError, ValueError) as error:
            return self._send(400, f"bad request: {error!r}".encode(), "text/plain")
        return self._send(200, body)

    def _page(self, query: dict[str, str]) -> bytes:
        start, end = (datetime.fromisoformat(query[name]).astimezone(UTC) for name in ("from", "to"))
        if start >= end or any((t.minute, t.second, t.microsecond) != (0, 0, 0) for t in (start, end)):
            raise ValueError("from and to must be whole hours, from before to")
        if "cursor" in query:
            hours, page = map(int, query["cursor"].split("."))
        else:
            hours = page = 0
        hour = start + timedelta(hours=hours)
        pages = self.pages[hour.hour]
        body = pages[page]
        if hour.date() != _DAY:
            body = body.replace(_DAY.isoformat().encode(), hour.date().isoformat().encode())
        if page + 1 < len(pages):
            cursor = f'"{hours}.{page + 1}"'
        elif hour + timedelta(hours=1) < end:
            cursor = f'"{hours + 1}.0"'
        else:
            cursor = "null"
        more = b"false" if cursor == "null" else b"true"
        return b'{"data": %b, "pagination": {"next_cursor": %b, "has_more": %b}}' % (
            body,
            cursor.encode(),
            more,
        )

    def _send(self, status: int, body: bytes, kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Say nothing: a line a request would be part of what is measured."""


def serve(rows_a_day: int) -> None:
    """Render the day, print the address, answer until the process is terminated."""
    Handler.pages = {hour: render_hour(rows_a_day, hour) for hour in range(24)}
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        print(f"http://127.0.0.1:{server.server_port}", flush=True)
        server.serve_forever()


def _end_with(parent: int) -> None:
    """A benchmark that was killed leaves no server behind."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(0)


if __name__ == "__main__":
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=500_000, help="trips a day, spread over its 24 hours")
    serve(parser.parse_args().rows)
