"""Connections that end at a deadline, also while the headers of an answer drip."""

import contextlib
import socket
import threading
import time
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool


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
