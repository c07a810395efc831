"""How fast a carrier may be asked: spacing and pauses, shared by all clients of this process."""

import hashlib
import math
import re
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from pyrate_limiter import Limiter, Rate, SingleBucketFactory, StateBucket

from telemetria_pipeline.carriers.errors import DeadlineExceeded

_SECONDS = re.compile(r"[0-9]+(?:\.[0-9]+)?|\.[0-9]+", re.ASCII)
_LIMITS = ("x-ratelimit", "x-rate-limit", "ratelimit")
_RATE_LIMIT = re.compile(r"\b(?:r|remaining)=([0-9]+)\b.*\b(?:t|reset)=([0-9]+)")
_NOTHING = re.compile(r"0+(?:\.0+)?")
_SCOPES: dict[tuple[str, str, float | None], "Scope"] = {}
_SCOPES_LOCK = threading.Lock()


class Scope:
    """One base address and token, which a carrier throttles as one."""

    def __init__(self, requests_per_second: float | None) -> None:
        self._resume_at = 0.0
        self._limiter = None
        if requests_per_second is not None:
            # Rates are whole milliseconds: a thousand requests a long interval keep 7 a second exact. A
            # burst of one spaces them evenly; without the leak no thread stays behind.
            rate = Rate(1000, max(1, round(1_000_000 / requests_per_second)), burst=1)
            factory = SingleBucketFactory(StateBucket([rate]), schedule_leak=False)
            self._limiter = Limiter(factory, buffer_ms=1)

    @staticmethod
    def of(base_url: str, token: str, requests_per_second: float | None) -> "Scope":
        """The scope that every client with this address, token and pace shares."""
        key = (base_url, hashlib.sha256(token.encode()).hexdigest(), requests_per_second)
        with _SCOPES_LOCK:
            return _SCOPES.setdefault(key, Scope(requests_per_second))

    def pause(self, seconds: float) -> None:
        """Let no client of the scope send before so many seconds have passed."""
        self._resume_at = max(self._resume_at, time.monotonic() + seconds)

    def wait_turn(self, sleep: Callable[[float], None], deadline: float) -> None:
        """Wait for the end of a pause, then for the pace; raises `DeadlineExceeded` (`time.monotonic`)."""
        pause = self._resume_at - time.monotonic()
        if pause > 0:
            if self._resume_at > deadline:
                raise DeadlineExceeded(f"the carrier asked for a pause of {pause:.1f} s, beyond the deadline")
            sleep(pause)
        if self._limiter is not None:
            left = max(0.0, deadline - time.monotonic())
            if not self._limiter.try_acquire("carrier", timeout=left):
                raise DeadlineExceeded(
                    "the pace (pacing.requests_per_second) left no turn within the deadline"
                )


def retry_after_s(header: str | None, now: datetime | None = None) -> float | None:
    """Seconds that a Retry-After asks for (integer, fraction or HTTP date).

    None without the header or for one that cannot be read; a date gone by is 0.
    """
    text = (header or "").strip()
    if _SECONDS.fullmatch(text):
        seconds = float(text)
    else:
        try:
            date = parsedate_to_datetime(text)
            date = date if date.tzinfo else date.replace(tzinfo=UTC)
            seconds = (date - (now or datetime.now(UTC))).total_seconds()
        except (ValueError, TypeError, OverflowError, IndexError):
            return None
    return max(0.0, seconds) if not math.isnan(seconds) else None


def rate_limit_pause_s(headers: Mapping[str, str], cap_s: float, now: datetime | None = None) -> float | None:
    """Seconds until a used-up limit is renewed, at most `cap_s`; None while requests are left.

    Reads `X-RateLimit-Remaining` and `-Reset` (seconds from now, an epoch or a date), the same with
    `X-Rate-Limit` and `RateLimit`, and `RateLimit: "default";r=0;t=30`.
    """
    told = {name.lower(): value for name, value in headers.items()}
    remaining, reset = (
        next((told[f"{family}-{what}"] for family in _LIMITS if f"{family}-{what}" in told), None)
        for what in ("remaining", "reset")
    )
    if remaining is None and (both := _RATE_LIMIT.search(told.get("ratelimit", ""))):
        remaining, reset = both.groups()
    if remaining is None or reset is None or not _NOTHING.fullmatch(remaining.strip()):
        return None
    now = now or datetime.now(UTC)
    seconds = retry_after_s(reset, now)
    if seconds is not None and seconds > 1e9:  # an epoch, in seconds or milliseconds
        seconds = (seconds / 1000 if seconds > 1e12 else seconds) - now.timestamp()
    return None if seconds is None or seconds <= 0 else min(seconds, cap_s)
