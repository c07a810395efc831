"""The carrier's API over HTTP: every page as it arrives, every failure with a type, no token anywhere."""

import hashlib
import itertools
import logging
import re
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol
from urllib.parse import quote, urlencode, urljoin, urlsplit

import requests
import tenacity
import urllib3
from requests.auth import AuthBase

from telemetria_pipeline.carriers.decoding import Decoded, decode, refuse_repeated_keys
from telemetria_pipeline.carriers.errors import (
    BodyTooLarge,
    CarrierError,
    DeadlineExceeded,
    PermanentError,
    ServerError,
    Throttled,
    ThrottledTooLong,
    TransientError,
    UnexpectedBody,
)
from telemetria_pipeline.carriers.instants import write_instant
from telemetria_pipeline.carriers.pacing import Scope
from telemetria_pipeline.carriers.paging import Pager
from telemetria_pipeline.carriers.paths import search
from telemetria_pipeline.carriers.profile import Listing, Profile, Vehicles
from telemetria_pipeline.carriers.redaction import Secrets
from telemetria_pipeline.carriers.refusals import connection_trouble, refusal

_CHUNK = 256 * 1024


class _Log(Protocol):
    def info(self, msg: str, /) -> Any: ...


@dataclass
class Stats:
    """What a client did so far; `requests` counts every attempt, `seconds` the time spent in them."""

    requests: int = 0
    retries: int = 0
    throttled: int = 0
    bytes: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class Page:
    """One answer: its body as received (decompressed, the token redacted) and the records found in it.

    `kind` is `trips` or `vehicles`; a page of vehicles holds no records. `stamp` is what the vehicle of a
    fan-out gives to its trips. `path` holds the query.
    """

    number: int
    kind: str
    body: bytes = field(repr=False)
    records: list[Any] = field(repr=False)
    stamp: dict[str, str]
    path: str
    status: int
    fetched_at: datetime
    sha256: str


@dataclass
class _Answer:
    """One attempt's answer, as far as it came."""

    status: int = 0
    body: bytes = b""
    link: str | None = None
    seconds: float = 0.0


class CarrierClient:
    """Asks one carrier's API for a window, page by page. Not for use by two threads at once.

    `token` may be a function: it is asked again when the carrier answers 401, for tokens that expire.
    `url_key` and `token_key` are where address and token are set, as errors name them.
    Raises `CarrierError`s only; their text, like the log and the pages, never holds the token.
    """

    def __init__(
        self,
        profile: Profile,
        base_url: str,
        token: str | Callable[[], str],
        *,
        url_key: str = "TELEMETRIA_API_URL",
        token_key: str = "TELEMETRIA_API_TOKEN",
        log: _Log | None = None,
        correlation: str = "",
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.profile = profile
        self.stats = Stats()
        self.correlation = correlation or uuid.uuid4().hex
        self._token = token if callable(token) else lambda: token
        self._url_key, self._token_key = url_key, token_key
        self._base = _checked(base_url, url_key, token_key) + profile.base_path
        self._log: _Log = log or logging.getLogger(__name__)
        self._sleep = sleep
        self._old_secrets: list[Secrets] = []
        self._session = requests.Session()
        self._session.headers.update({"Accept": "application/json", **profile.headers})
        self._session.headers["X-Request-ID"] = self.correlation
        self._use(Secrets(self._token(), self._token_key))
        self._capture_ends = float("inf")

    def __enter__(self) -> "CarrierClient":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def pages(self, start: datetime, end: datetime) -> Iterator[Page]:
        """Every page of the window, each as it arrives; the profile's padding is added here.

        `start` and `end` carry a zone. Raises `CarrierError`s; what was yielded before one is not the
        whole window.
        """
        if start.tzinfo is None or end.tzinfo is None or start >= end:
            raise ValueError(f"start must be before end, both with a time zone: {start} to {end}")
        self._capture_ends = time.monotonic() + self.profile.http.capture_deadline_s
        window = self.profile.window
        edges = {
            "start": write_instant(
                start - timedelta(minutes=window.pad_before_min), window.format, window.zone
            ),
            "end": write_instant(
                end + timedelta(minutes=window.after_min), window.format, window.zone, end=True
            ),
        }
        numbers = itertools.count(1)
        fan_out = self.profile.vehicles
        if fan_out is None:
            for page, _ in self._listing("trips", edges, {}, numbers):
                yield page
            return
        vehicles: list[Any] = []
        for page, found in self._listing("vehicles", edges, {}, numbers):
            vehicles += found
            yield page
        for key, stamp in _stamps(fan_out, vehicles).items():
            for page, _ in self._listing("trips", {**edges, "vehicle": key}, stamp, numbers):
                yield page

    def _listing(
        self, kind: str, values: dict[str, str], stamp: dict[str, str], numbers: Iterator[int]
    ) -> Iterator[tuple[Page, list[Any]]]:
        """One listing's pages, each with the records or vehicles in it."""
        listing = self.profile.listing(kind)
        pager = Pager(listing, _filled(listing, values))
        path = _replaced(listing.path, {name: quote(value, safe="") for name, value in values.items()})
        address = self._base + path
        url, first = address, True
        while not pager.done:
            if pager.url is not None:
                url = self._same_origin(urljoin(url, pager.url))
            elif pager.params:
                url = f"{address}?{urlencode(pager.params, doseq=True)}"
            status, body, decoded = self._fetch(url, kind, pager, first)
            first = False
            page = Page(
                number=next(numbers),
                kind=kind,
                body=body,
                records=decoded.records if kind == "trips" else [],
                stamp=stamp,
                path=self._redact(_path_of(url)),
                status=status,
                fetched_at=datetime.now(UTC),
                sha256=hashlib.sha256(body).hexdigest(),
            )
            yield page, decoded.records

    def _fetch(self, url: str, kind: str, pager: Pager, first: bool) -> tuple[int, bytes, Decoded]:
        """Send, read, decode and account for one page, again and again within the budgets."""
        http = self.profile.http
        deadline = min(time.monotonic() + http.deadline_s, self._capture_ends)
        attempts = throttles = 0
        grows = tenacity.wait_exponential(multiplier=http.backoff_s, max=http.backoff_cap_s)
        backoff = grows + tenacity.wait_random(0, http.backoff_s)
        out_of = ""

        def attempt() -> tuple[int, bytes, Decoded]:
            nonlocal attempts, throttles
            attempts += 1
            answer = _Answer()
            trouble = ""
            try:
                self._ask(url, deadline, answer)
                decoded = decode(self.profile, answer.body, kind)
                if first and answer.body.strip():
                    refuse_repeated_keys(answer.body)
                pager.take(decoded, answer.link)
            except CarrierError as error:
                trouble = f" {type(error).__name__}"
                throttles += isinstance(error, Throttled)
                raise
            finally:
                self._log.info(
                    f"GET {self._redact(_path_of(url))} {answer.status or '-'} attempt={attempts} "
                    f"ms={answer.seconds * 1000:.0f} bytes={len(answer.body)} id={self.correlation}{trouble}"
                )
            return answer.status, answer.body, decoded

        def wait(state: tenacity.RetryCallState) -> float:
            asked = getattr(_error_of(state), "wait_s", None)
            return backoff(state) if asked is None else asked

        def stop(state: tenacity.RetryCallState) -> bool:
            nonlocal out_of
            if throttles > http.throttle_attempts:
                out_of = "throttle_attempts"
            elif attempts - throttles >= http.attempts:
                out_of = "attempts"
            elif time.monotonic() + state.upcoming_sleep > deadline:
                out_of = "deadline"
            else:
                self.stats.retries += 1
            return bool(out_of)

        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(lambda e: isinstance(e, CarrierError) and e.retry),
            wait=wait,
            stop=stop,
            sleep=self._sleep,
            reraise=True,
        )
        try:
            return retrying(attempt)
        except CarrierError as error:
            failure = error
        if out_of == "deadline":
            failure = DeadlineExceeded(
                f"no good answer within http.deadline_s = {http.deadline_s:g} s; the last: {failure.message}",
                status=failure.status,
            )
        elif out_of == "throttle_attempts":
            failure = ThrottledTooLong(
                f"the carrier still throttles after {throttles} tries; lower pacing.requests_per_second in "
                f"the profile or ask the carrier for its limit. The last: {failure.message}",
                status=failure.status,
            )
        failure.args = (self._redact(f"{_path_of(url).split('?')[0]}: {failure.message}"),)
        failure.attempts = attempts
        # Raised here, not in the handler, so that no context carries a request with its headers.
        raise failure

    def _ask(self, url: str, deadline: float, answer: "_Answer") -> None:
        """One request, its answer filled in as far as it came; raises a `CarrierError` for any but 2xx."""
        self._scope.wait_turn(self._sleep, deadline)
        began = time.monotonic()
        left = deadline - began
        if left <= 0:
            raise DeadlineExceeded("the deadline passed before the request was sent")
        http = self.profile.http
        timeout = (min(http.connect_timeout_s, left), min(http.read_timeout_s, left))
        trouble: CarrierError | None = None
        self.stats.requests += 1
        try:
            with self._session.get(url, timeout=timeout, stream=True, allow_redirects=False) as response:
                answer.status = response.status_code
                answer.body = self._redact_bytes(self._read(response, deadline))
                # Redacted before it is followed: urllib3's own log shows the addresses asked.
                answer.link = self._redact(response.links.get("next", {}).get("url", ""))
                if answer.status >= 300:
                    trouble = self._refused(response, answer.body)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            trouble = connection_trouble(error, timeout, urlsplit(url).netloc, self._url_key)
        finally:
            answer.seconds = time.monotonic() - began
            self.stats.seconds += answer.seconds
            self.stats.bytes += len(answer.body)
        if trouble is not None:
            raise trouble  # outside of the handler: the network's own error holds the request's headers

    def _read(self, response: requests.Response, deadline: float) -> bytes:
        """The body, decompressed; read as it comes, so that a slow drip cannot outlive the deadline."""
        largest = int(self.profile.http.max_body_mb * 1024 * 1024)
        chunks: list[bytes] = []
        size = 0
        while chunk := response.raw.read1(_CHUNK, decode_content=True):
            chunks.append(chunk)
            size += len(chunk)
            if size > largest:
                raise BodyTooLarge(
                    f"the body exceeds http.max_body_mb = {self.profile.http.max_body_mb:g}; ask for smaller "
                    "pages or windows, or raise it in the profile",
                    status=response.status_code,
                )
            if time.monotonic() > deadline:
                raise DeadlineExceeded(
                    f"the body was still coming when the deadline passed ({size} bytes so far)",
                    status=response.status_code,
                )
        return b"".join(chunks)

    def _refused(self, response: requests.Response, body: bytes) -> CarrierError:
        """The error that the answer stands for; a pause that it asks for holds for the whole scope."""
        if response.status_code == 401 and self._renewed():
            return ServerError("the token had expired and was renewed", status=401)
        error = refusal(response, body, self.profile, self._url_key, self._token_key)
        if isinstance(error, TransientError) and error.wait_s:
            self._scope.pause(error.wait_s)
        self.stats.throttled += isinstance(error, Throttled)
        return error

    def _use(self, secrets: Secrets) -> None:
        self._secrets = secrets
        auth = self.profile.auth
        # An auth object, not a plain header: requests would replace that by what ~/.netrc says.
        self._session.auth = _HeaderAuth(auth.header, secrets.render(auth.template))
        self._scope = Scope.of(self._base, secrets.token, self.profile.pacing.requests_per_second)

    def _renewed(self) -> bool:
        fresh = Secrets(self._token(), self._token_key)
        if fresh.token == self._secrets.token:
            return False
        self._old_secrets.append(self._secrets)
        self._use(fresh)
        return True

    def _redact(self, text: str) -> str:
        for secrets in (self._secrets, *self._old_secrets):
            text = secrets.redact(text)
        return text

    def _redact_bytes(self, body: bytes) -> bytes:
        for secrets in (self._secrets, *self._old_secrets):
            body = secrets.redact(body)
        return body

    def _same_origin(self, url: str) -> str:
        if urlsplit(url)[:2] != urlsplit(self._base)[:2]:
            raise PermanentError(
                self._redact(
                    f"the carrier's next page lies at {urlsplit(url).netloc}, another server than "
                    f"{self._url_key}: it is not asked, the token would go with it"
                )
            )
        return url


class _HeaderAuth(AuthBase):
    def __init__(self, header: str, value: str) -> None:
        self._header = header
        self._value = value

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers[self._header] = self._value
        return request


def _checked(base_url: str, url_key: str, token_key: str) -> str:
    try:
        parts = urlsplit(base_url.strip())
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        raise PermanentError(f"{url_key} is not an address; write one like https://host/api") from None
    if not good or parts.query or parts.fragment or parts.username or parts.password:
        raise PermanentError(
            f"{url_key} must be https://host[:port][/path] and no more: the token goes to {token_key}, "
            "parameters go to the profile"
        )
    return base_url.strip().rstrip("/")


def _stamps(fan_out: Vehicles, vehicles: list[Any]) -> dict[str, dict[str, str]]:
    """What each vehicle, by its id, gives to its trips."""
    stamps = {}
    for vehicle in vehicles:
        key = search(fan_out.id, vehicle)
        if not isinstance(key, str | int) or isinstance(key, bool) or key == "":
            raise UnexpectedBody(
                f"a vehicle of the list has no id at `{fan_out.id}`; correct vehicles.id in the profile"
            )
        found = {column: search(path, vehicle) for column, path in fan_out.stamp.items()}
        stamps[str(key)] = {c: str(v) for c, v in found.items() if isinstance(v, str | int) and v != ""}
    return stamps


def _filled(listing: Listing, values: dict[str, str]) -> dict[str, Any]:
    def fill(value: Any) -> Any:
        if isinstance(value, list):
            return [fill(v) for v in value]
        if isinstance(value, bool):
            return "true" if value else "false"
        return _replaced(value, values) if isinstance(value, str) else value

    return {name: fill(value) for name, value in listing.params.items()}


def _replaced(template: str, values: dict[str, str]) -> str:
    return re.sub(r"\{(\w+)\}", lambda match: values[match[1]], template)


def _path_of(url: str) -> str:
    parts = urlsplit(url)
    return parts.path + (f"?{parts.query}" if parts.query else "")


def _error_of(state: tenacity.RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None
