"""Channels behind real sockets: a webhook that remembers or misbehaves, and a mail server."""

import json
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Webhook(ThreadingHTTPServer):
    """Takes messages at `address`; answers with `status`, after `wait_s`."""

    daemon_threads = True
    status, wait_s = 200, 0.0

    def __init__(self) -> None:
        self.messages: list[dict] = []
        super().__init__(("127.0.0.1", 0), _Post)

    @property
    def address(self) -> str:
        return f"json://127.0.0.1:{self.server_port}"

    @property
    def titles(self) -> list[str]:
        return [message["title"] for message in self.messages]


class _Post(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        time.sleep(self.server.wait_s)
        if self.server.status < 300:
            self.server.messages.append(json.loads(body))
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        pass


class MailServer(socketserver.ThreadingTCPServer):
    """Takes whatever mail comes: (recipients, message)."""

    daemon_threads, allow_reuse_address = True, True

    def __init__(self) -> None:
        self.mails: list[tuple[list[str], object]] = []
        super().__init__(("127.0.0.1", 0), _Smtp)

    @property
    def address(self) -> str:
        return f"mailto://127.0.0.1:{self.server_address[1]}?from=telemetria@example.com"


class _Smtp(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        recipients: list[str] = []
        self._say("220 here")
        while line := self.rfile.readline():
            verb = line[:4].upper()
            if verb == b"RCPT":
                recipients.append(line.decode().partition("<")[2].partition(">")[0])
            if verb == b"DATA":
                self._say("354 go on")
                body = b""
                while not body.endswith(b"\r\n.\r\n"):
                    body += self.rfile.readline()
                mail = message_from_bytes(body.removesuffix(b".\r\n"), policy=policy.default)
                self.server.mails.append((recipients, mail))
            self._say("221 bye" if verb == b"QUIT" else "250 ok")
            if verb == b"QUIT":
                return

    def _say(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())


@contextmanager
def running(server: socketserver.BaseServer) -> Iterator:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
