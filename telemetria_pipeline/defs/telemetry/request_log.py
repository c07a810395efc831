"""Request lines on their way to Dagster's log."""

import logging
import time

_SECONDS = 2.0
_LINES = 200


class RequestLog:
    """Hands lines on in bundles, a line a request: each entry of Dagster's log is a commit to its database.

    Trouble is handed on at once, a smooth run every two seconds; `flush` hands on what is left.
    """

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._lines: list[str] = []
        self._since = time.monotonic()

    def info(self, line: str) -> None:
        """Take one line."""
        self._lines.append(line)
        late = time.monotonic() - self._since >= _SECONDS
        if " 200 " not in line or late or len(self._lines) >= _LINES:
            self.flush()

    def flush(self) -> None:
        """Hand on the lines that wait."""
        if self._lines:
            self._log.info("\n".join(self._lines))
        self._lines, self._since = [], time.monotonic()
