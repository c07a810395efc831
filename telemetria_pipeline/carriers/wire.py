"""The way to a carrier: closed to whoever reads along, and ending at a deadline, also while headers drip."""

import contextlib
import ipaddress
import socket
import threading
import time
from typing import Any
from urllib.parse import urlsplit

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from telemetria_pipeline.carriers.errors import PermanentError


def refuse_plain(url: str, url_key: str, secret_key: str, way_out: str = "") -> None:
    """Raise `PermanentError` for an `http://` address beyond this machine: a secret would go there in clear.

    The keys are how the sentence names the address and the secret, `way_out` is what it advises beside TLS.
    """
    parts = urlsplit(url.strip())
    if parts.scheme == "http" and not _is_loopback(parts.hostname or ""):
        raise PermanentError(
            f"{url_key} is http://{parts.hostname}: without TLS whoever is on the way reads {secret_key}. "
            f"Write https://{way_out}"
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class DeadlineAdapter(HTTPAdapter):
    """requests' own, whose connections are cut at `deadline` (`time.monotonic`) while headers are awaited.

    A socket's timeout begins anew with each byte, so that a header of one byte a second would outlive any.
    """

    deadline = float("inf")

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """The pools, with connections that look at the deadline."""
        super().init_poolmanager(*args, **options)
        plain, tls = _cut(HTTPConnection, self), _cut(HTTPSConnection, self)
        self.poolmanager.pool_classes_by_scheme = {
            "http": type("HTTPConnectionPool", (HTTPConnectionPool,), {"ConnectionCls": plain}),
            "https": type("HTTPSConnectionPool", (HTTPSConnectionPool,), {"ConnectionCls": tls}),
        }


def _cut(base: Any, adapter: DeadlineAdapter) -> type:
    class Connection(base):
        def getresponse(self) -> Any:
            def shut() -> None:
                with contextlib.suppress(OSError, AttributeError):
                    self.sock.shutdown(socket.SHUT_RDWR)

            left = min(max(0.0, adapter.deadline - time.monotonic()), threading.TIMEOUT_MAX)
            timer = threading.Timer(left, shut)
            timer.daemon = True
            timer.start()
            try:
                return super().getresponse()
            finally:
                timer.cancel()

    return Connection
