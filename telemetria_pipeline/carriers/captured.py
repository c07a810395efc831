"""The request that gave a captured answer: asked, and written as a profile's, its secrets left out."""

import base64
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import requests
from pydantic import SecretStr

from telemetria_pipeline.carriers.credentials import SealedHeaders
from telemetria_pipeline.carriers.placeholders import fill, fill_text, placeholders
from telemetria_pipeline.carriers.wire import refuse_plain
from telemetria_pipeline.errors import PipelineError

_TIMEOUT_S = 60
_SECRET_KEY = re.compile(
    r"key|token|hash|secret|passw|\bpass\b|pwd|sign|auth|sess|credent|chave|senha|segredo", re.IGNORECASE
)
_SECRET_LOOK = re.compile(r"(?=.*[0-9])(?=.*[A-Za-z])[\w.+/=-]{20,}")  # whatever its key is called
_COUNT_KEY = re.compile(r"limit|size|page|count|offset|skip|cursor|version|pagina|tamanho", re.IGNORECASE)


class NoAnswer(PipelineError):
    """The carrier gave no answer to learn from."""


@dataclass(frozen=True)
class Request:
    """A request as a person knows it; in `url`, `body` and `template` secrets stand in braces by name.

    The header is sent where all that its template names is among the `secrets`, and stands nowhere else.
    """

    url: str = ""
    method: str = "GET"
    body: Any = None
    header: str = "Authorization"
    template: str = "Bearer {token}"
    secrets: Mapping[str, SecretStr] = field(default_factory=dict)

    @property
    def values(self) -> dict[str, str]:
        """The secrets by name."""
        return {name: secret.get_secret_value() for name, secret in self.secrets.items()}

    @property
    def header_secrets(self) -> list[str]:
        """The secrets that the header's template names."""
        return sorted("token" if name == "basic" else name for name in placeholders(self.template))

    @property
    def sends_header(self) -> bool:
        """Whether the header goes with it."""
        named = {*self.header_secrets}
        return named <= self.secrets.keys() and not named & placeholders([self.url, self.body])

    @property
    def texts(self) -> set[str]:
        """All that it says beside keys: ids of a vehicle may be among them."""
        parts = urlsplit(self.url)
        leaves = _leaves([parse_qs(parts.query), self.body])
        said = [value for key, value in leaves if not _COUNT_KEY.search(key)]
        return {*parts.path.split("/"), *map(str, said)} - {""}


@dataclass(frozen=True)
class Template:
    """A listing's request as a profile writes it, and what a person must look at.

    `secrets` are their names, `hidden` the values that were taken out.
    """

    path: str
    params: dict[str, Any]
    body: Any
    window: str
    secrets: list[str]
    hidden: list[str]
    open: list[str]


def ask(request: Request) -> bytes:
    """What the carrier answers.

    Raises `NoAnswer` for anything but a 200, and `PermanentError` where secrets would go there in clear.
    """
    values = request.values
    if unknown := placeholders([request.url, request.body]) - values.keys():
        name = min(unknown)
        raise NoAnswer(
            f"{{{name}}} stands in the request: say where it is kept, --secret {name}=THE_VARIABLE"
        )
    headers = {}
    if request.sends_header:
        basic = base64.b64encode(values.get("token", "").encode()).decode()
        headers[request.header] = fill_text(request.template, {**values, "basic": basic})
    try:
        if values:
            way_out = ", or capture the answer into a file where the way is safe"
            refuse_plain(request.url, "--url", "the secrets", way_out)
        answer = requests.request(
            request.method,
            fill_text(request.url, values, lambda text: quote(text, safe="")),
            json=fill(request.body, values),
            auth=SealedHeaders(headers),
            timeout=_TIMEOUT_S,
            allow_redirects=False,
        )
    except (requests.RequestException, ValueError) as error:
        raise NoAnswer(f"no answer: {type(error).__name__}; look at the address and the network") from None
    if answer.status_code != requests.codes.ok:
        hint = "" if values else "; put the token into TELEMETRIA_API_TOKEN, or name secrets with --secret"
        raise NoAnswer(f"the answer is a {answer.status_code}{hint}")
    return answer.content


def as_template(request: Request, vehicle: str = "") -> Template:
    """The request with placeholders for its window, its secrets, and the `vehicle` (its id) that it names."""
    parts = urlsplit(request.url)
    params = {key: found[0] if len(found) == 1 else found for key, found in parse_qs(parts.query).items()}
    given = [parts.path.split("/"), params, request.body]
    window, edges = _window([value for _, value in _leaves(given)])
    secrets: list[str] = []
    hidden = [*request.values.values()]
    said: list[str] = []

    def written(key: str, value: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            return value
        if edge := edges.get(str(value)):
            return edge.pop(0) if len(edge) > 1 else edge[0]
        if vehicle and str(value) == vehicle and not _COUNT_KEY.search(key):
            return "{vehicle}"
        text = str(value)
        for name, secret in request.values.items():
            text = text.replace(secret, f"{{{name}}}")
        secret_look = _SECRET_KEY.search(key) or _SECRET_LOOK.fullmatch(text)
        if not placeholders(text) and text and secret_look and not window_format(value):
            hidden.append(text)
            text = f"{{{_secret_name(key)}}}"
            what = key or "a part of the path"
            said.append(f"{what} looks like a secret: it is written as {text}, its value is left out")
        if not (names := placeholders(text)):
            return value
        secrets.extend(sorted(names - {*secrets}))
        return text

    leaves = _leaves(given)
    if paged := [f"{key}: {value}" for key, value in leaves if _COUNT_KEY.search(key)]:
        said.append(f"the request holds {', '.join(paged)}: what is of paging goes there, and not in trips")
    path, params, body = _mapped(given, written)
    if not request.url:
        params = {"start": "{start}", "end": "{end}"}
        said.append("the request is not known: correct path and params of trips, or give its --url")
    elif not edges:
        said.append("nothing in the request looks like a window: write {start} and {end} where it goes")
    elif window.startswith("%") or window == "iso_local":
        said.append("the window is written without an offset: of which zone? say it in window.zone")
    said += [
        f"a session ends: let `login` give {{{name}}}, and name under secrets what it needs"
        for name in {*secrets, *(request.header_secrets if request.sends_header else [])}
        if "sess" in name
    ]
    return Template("/".join(path) or "/trips", params, body, window, secrets, hidden, said)


def _window(values: list[Any]) -> tuple[str, dict[str, list[str]]]:
    """How the window is written in a request, and the values of its edges → their placeholders, in turn."""
    timed = [(how, value) for value in values if (how := window_format(value))]
    if not timed:
        return "iso_utc", {}
    format = Counter(how for how, _ in timed).most_common(1)[0][0]
    first, last = ([str(value) for how, value in timed if how == format] * 2)[:2]
    if first == last:
        return format, {first: ["{start}", "{end}"]}
    if last < first and not format.startswith("%d"):
        first, last = last, first
    return format, {first: ["{start}"], last: ["{end}"]}


_WINDOW_FORMATS = {
    "date": r"\d{4}-\d\d-\d\d",
    "iso_utc": r"\d{4}-\d\d-\d\dT\d\d:\d\d[:.\d]*Z",
    "iso_offset": r"\d{4}-\d\d-\d\dT\d\d:\d\d[:.\d]*[+-]\d\d:?\d\d",
    "iso_local": r"\d{4}-\d\d-\d\dT\d\d:\d\d[:.\d]*",
    "%Y-%m-%d %H:%M:%S": r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d",
    "%Y-%m-%d %H:%M": r"\d{4}-\d\d-\d\d \d\d:\d\d",
    "%d/%m/%Y %H:%M:%S": r"\d\d/\d\d/\d{4} \d\d:\d\d:\d\d",
    "%d/%m/%Y %H:%M": r"\d\d/\d\d/\d{4} \d\d:\d\d",
    "%d/%m/%Y": r"\d\d/\d\d/\d{4}",
    "epoch_ms": r"[1-4]\d{12}",
    "epoch_s": r"[1-4]\d{9}",
}


def window_format(value: Any) -> str | None:
    """How a profile names the way that an instant of a request is written; None for anything else."""
    return next((how for how, fits in _WINDOW_FORMATS.items() if re.fullmatch(fits, str(value))), None)


def _secret_name(key: str) -> str:
    name = re.sub(r"[^a-z0-9]+", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", key).lower()).strip("_")
    return name if re.match("[a-z]", name) else "token"


def _leaves(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for name, below in value.items():
            yield from _leaves(below, name)
    elif isinstance(value, list):
        for below in value:
            yield from _leaves(below, key)
    else:
        yield key, value


def _mapped(value: Any, written: Callable[[str, Any], Any], key: str = "") -> Any:
    if isinstance(value, Mapping):
        return {name: _mapped(below, written, name) for name, below in value.items()}
    if isinstance(value, list):
        return [_mapped(below, written, key) for below in value]
    return written(key, value)


def body_of(text: bytes) -> Any:
    """The JSON that a request sends. Raises `NoAnswer` for another text."""
    try:
        return json.loads(text)
    except ValueError:
        raise NoAnswer("the body is not JSON: write it as it is sent, secrets in braces by name") from None
