"""The carrier's API over HTTP: every page as it arrives, every failure with a type, no token anywhere."""

import hashlib
import itertools
import logging
import math
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol
from urllib.parse import parse_qsl, quote, urlencode, urljoin, urlsplit

import orjson
import requests
import tenacity
import urllib3

from telemetria_pipeline.carriers.credentials import Credentials, SealedHeaders
from telemetria_pipeline.carriers.decoding import (
    Decoded,
    as_utf8,
    counted,
    decode,
    encoding_of,
    fitting_rule,
    json_or_none,
    login_document,
    refuse_repeated_keys,
    ruled,
)
from telemetria_pipeline.carriers.errors import (
    AuthError,
    BodyTooLarge,
    BusyInBody,
    CarrierError,
    DeadlineExceeded,
    PermanentError,
    RejectedRequest,
    ServerError,
    Skipped,
    Throttled,
    ThrottledTooLong,
    TransientError,
    UnexpectedBody,
)
from telemetria_pipeline.carriers.instants import Edge
from telemetria_pipeline.carriers.lookups import id_of, stamped
from telemetria_pipeline.carriers.pacing import Scope, rate_limit_pause_s
from telemetria_pipeline.carriers.paging import Pager
from telemetria_pipeline.carriers.placeholders import as_fields, fill, fill_text, placeholders
from telemetria_pipeline.carriers.profile import Listing, Login, Profile, Vehicles
from telemetria_pipeline.carriers.refusals import connection_trouble, pause_asked, refusal
from telemetria_pipeline.carriers.wire import DeadlineAdapter, refuse_plain
from telemetria_pipeline.contracts.raw import SkippedVehicle

_CHUNK = 256 * 1024


class _NoAddresses(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        return '"%s %s' not in str(record.msg) and "url=" not in str(record.msg)


# It writes whole addresses, and a profile may have a secret in the query.
logging.getLogger("urllib3.connectionpool").addFilter(_NoAddresses())


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

    `kind` is `trips`, `vehicles` or a look-up's name. `stamp` is what the vehicle of a fan-out gives to its
    trips. `path` holds the query. `left_out` counts the records that the listing's `where` does not want.
    """

    number: int
    kind: str
    body: bytes = field(repr=False)
    records: list[Any] = field(repr=False)
    left_out: int
    stamp: dict[str, str]
    path: str
    status: int
    fetched_at: datetime
    sha256: str


@dataclass(frozen=True)
class _Prepared:
    """A request as it is sent, its placeholders filled; it holds secrets."""

    method: str
    url: str
    headers: dict[str, str] = field(repr=False)
    body: bytes | None = field(repr=False)


@dataclass
class _Answer:
    """One attempt's answer, as far as it came."""

    status: int = 0
    body: bytes = b""
    link: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0


class CarrierClient:
    """Asks one carrier's API for a window, page by page. Not for use by two threads at once.

    `secrets` are those that the profile names; a text alone is the `token`. A function is asked again when
    the carrier answers 401, for tokens that expire. `url_key` and `secret_keys` are where address and secrets
    are set, as errors name them.
    Raises `CarrierError`s only; their text, like the log and the pages, never holds a secret.
    """

    def __init__(
        self,
        profile: Profile,
        base_url: str,
        secrets: str | Mapping[str, str] | Callable[[], str | Mapping[str, str]],
        *,
        url_key: str = "TELEMETRIA_API_URL",
        secret_keys: Mapping[str, str] | None = None,
        log: _Log | None = None,
        correlation: str = "",
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.profile = profile
        self.stats = Stats()
        self.correlation = correlation or uuid.uuid4().hex
        self.skipped: list[SkippedVehicle] = []
        self._url_key = url_key
        self._credentials = Credentials(
            profile, lambda: _by_name(secrets), secret_keys or {"token": "TELEMETRIA_API_TOKEN"}
        )
        self._url = _checked(base_url, profile, url_key, self._credentials.variables)
        self._base = self._url + profile.base_path
        self._log: _Log = log or logging.getLogger(__name__)
        self._sleep = sleep
        self._session = requests.Session()
        self._wire = DeadlineAdapter()
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, self._wire)
        self._session.headers.update({"Accept": "application/json"})
        self._session.headers["X-Request-ID"] = self.correlation
        self._scope = Scope.of(self._base, self._credentials.scope, profile.pacing.requests_per_second)
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
        self.skipped = []
        edges = self._edges(start, end)
        numbers = itertools.count(1)
        fan_out = self.profile.vehicles
        for name in self.profile.lookups:
            yield from self._listing(name, edges, {}, numbers)
        if fan_out is None:
            yield from self._listing("trips", edges, {}, numbers)
            return
        vehicles: list[Any] = []
        yield from self._listing("vehicles", edges, {}, numbers, vehicles)
        stamps = _stamps(fan_out, vehicles)
        refused: Skipped | None = None
        waiting = _batches(list(stamps), fan_out.batch or 1)
        while waiting:
            keys = waiting.pop(0)
            one = {"vehicle": keys[0]} if fan_out.batch is None else {"vehicles": keys}
            stamp = stamps[keys[0]] if fan_out.batch is None else {}
            try:
                yield from self._listing("trips", {**edges, **one}, stamp, numbers)
            except Skipped as error:
                if len(keys) > 1:  # which of them it is, only asking each can tell
                    waiting = [[key] for key in keys] + waiting
                    continue
                refused = refused or error
                self.skipped.append(
                    SkippedVehicle(id=str(keys[0]), stamp=stamps[keys[0]], reason=error.message)
                )
            except CarrierError as error:
                error.args = (f"vehicle {', '.join(map(str, keys))}: {error.message}",)
                raise
        if refused is not None and len(self.skipped) == len(stamps):
            kind = AuthError if refused.status in (401, 403) else RejectedRequest
            raise kind(
                f"none of the {len(stamps)} vehicles could be asked, so nothing is known of the hour; the "
                f"first: {refused.message}",
                status=refused.status,
            )

    def _edges(self, start: datetime, end: datetime) -> dict[str, Any]:
        """What the window's placeholders stand for."""
        window = self.profile.window
        start -= timedelta(minutes=window.pad_before_min)
        end += timedelta(minutes=window.after_min)
        days_back = max(1, math.ceil((datetime.now(UTC) - start) / timedelta(days=1)))
        return {
            "start": Edge(start, window.format, window.zone),
            "end": Edge(end, window.format, window.zone, end=True),
            "days_back": days_back,
        }

    def _listing(
        self,
        kind: str,
        values: dict[str, Any],
        stamp: dict[str, str],
        numbers: Iterator[int],
        found: list[Any] | None = None,
    ) -> Iterator[Page]:
        """One listing's pages, each as it arrives; their records are added to `found`."""
        listing = self.profile.listing(kind)
        pager = Pager(listing)
        url = ""

        def prepared() -> _Prepared:
            at = urljoin(url, pager.url) if pager.url is not None else None
            return self._prepared(listing, values, pager.sent, at)

        while not pager.done:
            url, answer, decoded = self._fetch(prepared, kind, pager)
            records = counted(listing, decoded.records)
            if found is not None:
                found += records
            yield Page(
                number=next(numbers),
                kind=kind,
                body=answer.body,
                records=records if kind == "trips" or kind in self.profile.joins else [],
                left_out=len(decoded.records) - len(records),
                stamp=stamp,
                path=self._redact(_path_of(url)),
                status=answer.status,
                fetched_at=datetime.now(UTC),
                sha256=hashlib.sha256(answer.body).hexdigest(),
            )

    def _prepared(
        self, asked: Listing | Login, values: Mapping[str, Any], sent: dict[str, Any], at: str | None = None
    ) -> _Prepared:
        """The request with everything filled in; `sent` stands in for `asked.sent`, `at` is a next page."""
        values = {**values, **self._credentials.values}
        params, body, form = asked.params, asked.body, asked.form
        if isinstance(body, dict):
            body = sent
        elif form is not None:
            form = sent
        else:
            params = sent
        if at is None:
            path = fill_text(asked.path, values, lambda text: quote(text, safe=""))
            at = path if path.startswith("https://") else self._base + path
            query = as_fields(params, values)
        else:
            # What a carrier repeats of our secrets was redacted as it came.
            secret = self._credentials.values.keys()
            ours = {name: value for name, value in params.items() if placeholders(value) & secret}
            query = {**dict(parse_qsl(urlsplit(at).query)), **as_fields(ours, values)} if ours else {}
            at = self._same_origin(at).split("?")[0] if ours else self._same_origin(at)
        if query:
            at += "?" + urlencode(query, doseq=True)
        headers = self._credentials.headers(login=isinstance(asked, Login))
        content: bytes | None = None
        if body is not None:
            content = orjson.dumps(fill(body, values))
            headers.setdefault("Content-Type", "application/json")
        elif form is not None:
            content = urlencode(as_fields(form, values), doseq=True).encode()
            headers.setdefault("Content-Type", "application/x-www-form-urlencoded")
        return _Prepared(asked.method, at, headers, content)

    def _fetch(
        self, prepare: Callable[[], _Prepared], kind: str, pager: Pager
    ) -> tuple[str, "_Answer", Decoded]:
        """Send, read, decode and account for one page, again and again within the budgets."""
        http = self.profile.http
        deadline = min(time.monotonic() + http.deadline_s, self._capture_ends)
        attempts = throttles = 0
        grows = tenacity.wait_exponential(multiplier=http.backoff_s, max=http.backoff_cap_s)
        backoff = grows + tenacity.wait_random(0, http.backoff_s)
        out_of = path = ""
        renewed = False

        def attempt() -> tuple[str, "_Answer", Decoded]:
            nonlocal attempts, throttles, path, renewed
            attempts += 1
            self._log_in(deadline, attempts)
            request, answer = prepare(), _Answer()
            path = _path_of(request.url)
            failure: CarrierError | None = None
            try:
                self._ask(request, deadline, answer, kind)
                decoded = decode(self.profile, answer.body, kind, answer.status)
                if decoded.document is not None:  # else a rule says what it means, JSON or not
                    refuse_repeated_keys(as_utf8(self.profile, answer.body), decoded.document)
                pager.take(replace(decoded, headers=answer.headers), answer.link)
            except CarrierError as error:
                failure = error
            self._log_line(request, answer, attempts, failure)
            if failure is None:
                return request.url, answer, decoded
            throttles += isinstance(failure, Throttled)
            if isinstance(failure, BusyInBody) and failure.wait_s is None:
                failure.wait_s, beyond = pause_asked(answer.headers.get("retry-after"), self.profile)
                failure.args = (failure.message + beyond,)
                self._scope.pause(failure.wait_s or 0)
            if isinstance(failure, AuthError) and failure.expired and not renewed:
                renewed = self._credentials.renew()
                if renewed:
                    failure = ServerError("the token had expired and was renewed", status=failure.status)
            raise failure  # outside of the handler, so that no context carries a request with its headers

        def wait(state: tenacity.RetryCallState) -> float:
            asked = getattr(_error_of(state), "wait_s", None) or 0.0
            # "At once" is no licence to hammer: what is shorter than the first wait of our own gets ours.
            return asked if asked >= http.backoff_s else max(asked, backoff(state))

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
        said = f"{path.split('?')[0]}: {failure.message}" if path else failure.message
        if isinstance(failure, AuthError) and self._credentials.variables not in said:
            said += f"; look at {self._credentials.variables}"
        failure.args = (self._redact(said),)
        failure.attempts = attempts
        # Raised here, not in the handler, so that no context carries a request with its headers.
        raise failure

    def _log_in(self, deadline: float, attempt: int) -> None:
        """Get a token or a session where one is due; its answer is read and forgotten."""
        login = self.profile.login
        if login is None or not self._credentials.must_log_in:
            return
        self._session.cookies.clear()
        request, answer = self._prepared(login, {}, login.sent), _Answer()
        failure: CarrierError | None = None
        try:
            self._ask(request, deadline, answer, "login")
            document = login_document(self.profile, answer.body, answer.status)
            host = self._credentials.log_in(document, self._session.cookies.values())
            if host is not None:
                self._move_to(host)
        except CarrierError as error:
            failure = error
        self._log_line(request, answer, attempt, failure)
        if failure is not None:
            failure.args = (f"the login failed: {failure.message}",)
            if isinstance(failure, AuthError):
                failure.expired = False  # what was refused are the secrets themselves
            raise failure

    def _move_to(self, host: str) -> None:
        """Ask the host that the login names from now on."""
        domain = self.profile.login and self.profile.login.domain
        name = urlsplit(f"//{host}").hostname or ""
        if not domain or not (name == domain or name.endswith("." + domain)):
            raise PermanentError(
                f"the login names {host} as the host to ask, which is not within login.domain = {domain}: it "
                "is not asked, the session would go with it"
            )
        parts = urlsplit(self._url)
        self._base = f"{parts.scheme}://{host}{parts.path}{self.profile.base_path}"

    def _log_line(
        self, request: _Prepared, answer: "_Answer", attempt: int, failure: CarrierError | None
    ) -> None:
        trouble = f" {type(failure).__name__}" if failure else ""
        self._log.info(
            f"{request.method} {self._redact(_path_of(request.url))} {answer.status or '-'} "
            f"attempt={attempt} ms={answer.seconds * 1000:.0f} bytes={len(answer.body)} "
            f"id={self.correlation}{trouble}"
        )

    def _ask(self, request: _Prepared, deadline: float, answer: "_Answer", kind: str) -> None:
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
        self._wire.deadline = deadline
        try:
            with self._session.request(
                request.method,
                request.url,
                data=request.body,
                auth=SealedHeaders(request.headers),
                timeout=timeout,
                stream=True,
                allow_redirects=False,
            ) as response:
                if time.monotonic() >= deadline:  # where headers are cut, what came looks like all of them
                    raise DeadlineExceeded(
                        "the headers were still coming when the deadline (http.deadline_s) passed"
                    )
                answer.status = response.status_code
                answer.body = self._redacted(self._read(response, deadline))
                # Redacted before it is followed: urllib3's own log shows the addresses asked.
                answer.headers = {n.lower(): self._redact(v) for n, v in response.headers.items()}
                answer.link = self._redact(response.links.get("next", {}).get("url", ""))
                cap = self.profile.http.retry_after_cap_s
                if pause := rate_limit_pause_s(answer.headers, cap):
                    self._scope.pause(pause)
                if answer.status >= 300:
                    trouble = self._refused(response, answer.body, kind)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            trouble = connection_trouble(error, timeout, urlsplit(request.url).netloc, self._url_key)
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
                    f"the body was still coming when the deadline (http.deadline_s) passed ({size} bytes so "
                    "far)",
                    status=response.status_code,
                )
        return b"".join(chunks)

    def _refused(self, response: requests.Response, body: bytes, kind: str) -> CarrierError | None:
        """The error that the answer stands for; a pause that it asks for holds for the whole scope."""
        document = json_or_none(self.profile, body)
        rule = fitting_rule(self.profile, document, kind, response.status_code)
        if rule is not None and rule.outcome == "empty":
            return None
        error = refusal(
            response,
            as_utf8(self.profile, body),
            self.profile,
            self._url_key,
            self._credentials.variables,
            of_vehicle=kind == "trips" and self.profile.vehicles is not None,
        )
        if rule is not None:
            error = ruled(rule, document, response.status_code, error)
        if isinstance(error, TransientError) and error.wait_s:
            self._scope.pause(error.wait_s)
        self.stats.throttled += isinstance(error, Throttled)
        return error

    def _redact(self, text: str) -> str:
        return self._credentials.redact(text)

    def _redacted(self, body: bytes) -> bytes:
        """The body as received, but for secrets, which two bytes a letter would hide from a look at bytes."""
        encoding = encoding_of(self.profile, body)
        if not encoding.lower().startswith(("utf-16", "utf-32", "utf_16", "utf_32")):
            return self._credentials.redact(body)
        text = body.decode(encoding, "replace")
        clean = self._credentials.redact(text)
        return body if clean == text else clean.encode(encoding)

    def _same_origin(self, url: str) -> str:
        if urlsplit(url)[:2] != urlsplit(self._base)[:2]:
            raise PermanentError(
                self._redact(
                    f"the carrier's next page lies at {urlsplit(url).netloc}, another server than "
                    f"{self._url_key}: it is not asked, the token would go with it"
                )
            )
        return url


def _by_name(secrets: Any) -> Mapping[str, str]:
    given = secrets() if callable(secrets) else secrets
    return {"token": given} if isinstance(given, str) else given


def _checked(base_url: str, profile: Profile, url_key: str, token_key: str) -> str:
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
    if not profile.http.allow_plain:
        way_out = ", or set http.allow_plain: true in the profile where the way is safe"
        refuse_plain(base_url, url_key, token_key, way_out)
    return base_url.strip().rstrip("/")


def _stamps(fan_out: Vehicles, vehicles: list[Any]) -> dict[str | int, dict[str, str]]:
    """What each vehicle, by its id, gives to its trips."""
    stamps: dict[str | int, dict[str, str]] = {}
    for vehicle in vehicles:
        key = id_of(fan_out, vehicle)
        if key is None:
            raise UnexpectedBody(
                f"a vehicle of the list has no id at `{fan_out.id}`; correct vehicles.id in the profile"
            )
        stamps[key] = stamped(fan_out.stamp, vehicle)
    return stamps


def _batches(keys: list[str | int], size: int) -> list[list[str | int]]:
    return [keys[i : i + size] for i in range(0, len(keys), size)]


def _path_of(url: str) -> str:
    parts = urlsplit(url)
    return parts.path + (f"?{parts.query}" if parts.query else "")


def _error_of(state: tenacity.RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None
