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
    response: requests.Response,
    body: bytes,
    profile: Profile,
    url_key: str,
    token_key: str,
    of_vehicle: bool = False,
) -> CarrierError:
    """The error that a status of 300 or above stands for; `body` is its text, the token redacted.

    `url_key` and `token_key` are where address and token are set. `of_vehicle`: one vehicle of a fan-out was
    asked, after the list of vehicles was given.
    """
    status = response.status_code
    said = f"; it says: {text!r}" if (text := excerpt(body, 300)) else ""
    if status in (408, 425, 429) or (status >= 500 and status != 501):
        error = (Throttled if status == 429 else ServerError)(
            f"the carrier answered {status}{said}", status=status
        )
        error.wait_s, beyond = pause_asked(response.headers.get("Retry-After"), profile)
        error.args = (error.message + beyond,)
        return error
    skip = f"errors: - {{status: {status}, means: skip}}"
    if status == 403 and of_vehicle:
        return RejectedRequest(
            f"the carrier answered 403 for this vehicle, though it took the token ({token_key}) for the "
            "list: allow the token to read its trips, or let the others be captured without it by "
            f"`{skip}` in the profile{said}",
            status=status,
        )
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
        gone = f"; where only this vehicle is gone: `{skip}`" if of_vehicle else ""
        return NotFoundError(
            f"the carrier answered 404: look at {url_key} and at base_path and path in the profile{gone}"
            f"{said}",
            status=status,
        )
    return RejectedRequest(
        f"the carrier answered {status}: correct the request in the profile{said}", status=status
    )


def pause_asked(header: str | None, profile: Profile) -> tuple[float | None, str]:
    """The pause that a Retry-After gets, in seconds, and what to say where it asks for a longer one."""
    asked, cap = retry_after_s(header), profile.http.retry_after_cap_s
    if asked is None or asked <= cap:
        return asked, ""
    return cap, (
        f"; it asked for a pause of {asked:.0f} s, of which http.retry_after_cap_s = {cap:g} s are waited "
        "for: raise it in the profile, or ask for less (pacing.requests_per_second)"
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
