"""A carrier's server of a few lines, for what the simulator does not do, and a profile to ask it with."""

import contextlib
import json
import socket
import struct
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

import pytest

from telemetria_pipeline.carriers.profile import Profile

TOKEN = "s3cr3t-/+token=42"  # not a secret


@dataclass
class Asked:
    """A request as the server saw it."""

    path: str
    query: dict
    headers: dict
    number: int  # from 1, over the server's life
    method: str = "GET"
    body: bytes = b""

    @property
    def json(self) -> object:
        return json.loads(self.body)

    @property
    def form(self) -> dict:
        return dict(parse_qsl(self.body.decode()))


@dataclass
class Answer:
    """What to answer, and how to deliver it: whole, cut, reset, hang or drip."""

    body: object = None
    status: int = 200
    headers: dict = field(default_factory=dict)
    deliver: str = "whole"

    @property
    def payload(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


class Server:
    """Answers each request by `respond(asked)`, or by the next of a list (the last one for ever)."""

    def __init__(self, respond):
        self.asked: list[Asked] = []
        self.connections = 0
        self._stop = threading.Event()
        outer = self
        if not callable(respond):
            answers = list(respond)
            respond = lambda asked: answers[min(asked.number, len(answers)) - 1]  # noqa: E731

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def setup(self):
                outer.connections += 1
                super().setup()

            def do_GET(self):
                url = urlsplit(self.path)
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                query, headers = dict(parse_qsl(url.query)), dict(self.headers)
                asked = Asked(url.path, query, headers, len(outer.asked) + 1, self.command, body)
                outer.asked.append(asked)
                with contextlib.suppress(OSError):
                    outer._deliver(self, respond(asked))

            do_POST = do_GET

            def log_message(self, *_):
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"
        threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True).start()

    def _deliver(self, handler, answer):
        if answer.deliver == "hang":
            self._stop.wait(5)
            handler.close_connection = True
            return
        payload = answer.payload
        handler.send_response(answer.status)
        headers = {"Content-Type": "application/json", **answer.headers}
        if "Transfer-Encoding" not in headers:
            headers["Content-Length"] = str(len(payload))
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        if answer.deliver == "whole":
            handler.wfile.write(payload)
            return
        handler.close_connection = True
        if answer.deliver == "drip":
            for byte in payload:
                handler.wfile.write(bytes([byte]))
                if self._stop.wait(0.05):
                    return
            return
        handler.wfile.write(payload[: len(payload) // 2])
        handler.wfile.flush()
        if answer.deliver == "reset":
            time.sleep(0.02)  # let the half arrive, so that the reset falls into the body
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            handler.connection.close()

    def close(self):
        self._stop.set()
        self._http.shutdown()
        self._http.server_close()


@pytest.fixture
def serve():
    """`serve(respond or answers) -> Server`, closed at the end of the test."""
    with contextlib.ExitStack() as stack:

        def start(respond):
            server = Server(respond)
            stack.callback(server.close)
            return server

        yield start


def make_profile(**changes) -> Profile:
    """A small quick profile, some of its keys replaced."""
    data = {
        "name": "pequena",
        "carrier": "Pequena",
        "http": {"read_timeout_s": 2, "attempts": 3, "backoff_s": 0.01, "backoff_cap_s": 0.02},
        "trips": {"path": "/trips", "params": {"from": "{start}", "to": "{end}"}, "records": "data"},
        "fields": {"veiculo_id": "v", "saida_utc": "s", "chegada_utc": "e"},
    }
    for key, value in changes.items():
        merged = isinstance(value, dict) and isinstance(data.get(key), dict)
        data[key] = {**data[key], **value} if merged else value
    return Profile.model_validate(data)
