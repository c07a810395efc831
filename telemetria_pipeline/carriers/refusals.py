"""What an answer that is not 2xx, or none at all, means: as a typed error that says what to do."""

from urllib.parse import urljoin

import requests
import urllib3

from telemetria_pipeline.carriers.decoding import excerpt
from telemetria_pipeline.carriers.errors import (
    AuthError,
    CarrierError,
    ConnectionTrouble,
    NotFoundError,
    Redirected,
    RejectedRequest,
    ServerError,
    Throttled,
)
from telemetria_pipeline.carriers.pacing import retry_after_s
from telemetria_pipeline.carriers.profile import Profile


def refusal(
    response: requests.Response, body: bytes, profile: Profile, url_key: str, token_key: str
) -> CarrierError:
    """The error that a status of 300 or above stands for; `body` is its text, the token redacted.

    `url_key` and `token_key` are where address and token are set.
    """
    status = response.status_code
    said = f"; it says: {text!r}" if (text := excerpt(body, 300)) else ""
    if status in (408, 425, 429) or (status >= 500 and status != 501):
        error = (Throttled if status == 429 else ServerError)(
            f"the carrier answered {status}{said}", status=status
        )
        error.wait_s = retry_after_s(response.headers.get("Retry-After"), profile.http.retry_after_cap_s)
        return error
    if status in (401, 403):
        refused = AuthError(
            f"the carrier answered {status}: set {token_key} to a token that is valid and may read "
            f"trips (sent as {profile.auth.header}){said}",
            status=status,
        )
        refused.expired = status == 401
        return refused
    if status < 400:
        target = urljoin(response.url, response.headers.get("Location", "")).split("?")[0]
        return Redirected(
            f"the carrier answered {status}, to {target}: redirects are not followed, the token would go "
            f"with them. If that address is the right one, set {url_key} to it",
            status=status,
        )
    if status == 404:
        return NotFoundError(
            f"the carrier answered 404: look at {url_key} and at base_path and path in the profile{said}",
            status=status,
        )
    return RejectedRequest(
        f"the carrier answered {status}: correct the request in the profile{said}", status=status
    )


def connection_trouble(
    error: Exception, timeout: tuple[float, float], host: str, url_key: str
) -> ConnectionTrouble:
    """A network error in words; its own text may hold the whole address and is left out."""
    if isinstance(error, requests.ConnectTimeout):
        said = f"no connection to {host} within {timeout[0]:g} s"
    elif isinstance(error, requests.Timeout | urllib3.exceptions.TimeoutError):
        said = f"{host} sent nothing for {timeout[1]:g} s"
    elif isinstance(error, requests.exceptions.SSLError | urllib3.exceptions.SSLError):
        said = f"the TLS connection to {host} failed; check its certificate and {url_key}"
    elif isinstance(error, urllib3.exceptions.HTTPError | requests.exceptions.ChunkedEncodingError):
        said = f"{host} cut the answer short, or sent one that cannot be decompressed"
    else:
        said = f"no connection to {host}, or it was reset; check {url_key} and the network"
    return ConnectionTrouble(said)
