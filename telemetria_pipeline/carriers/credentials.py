"""What a client may send and nobody may see: a source's secrets, and what its login gave."""

import base64
import re
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, overload

from requests import PreparedRequest
from requests.auth import AuthBase

from telemetria_pipeline.carriers.errors import AuthError
from telemetria_pipeline.carriers.paths import search
from telemetria_pipeline.carriers.placeholders import fill_text, placeholders
from telemetria_pipeline.carriers.profile import Auth, Profile
from telemetria_pipeline.carriers.redaction import Secrets

# A shorter number is an id of the account; masked in the data, it would mask vehicles and kilometres too.
_LONG_NUMBER = 10
_SESSION_COOKIE = re.compile(r"(?=.*[0-9]).{16,}")  # and no language, zone or flag
_EARLY_S = 60  # a session is renewed before it expires, so that no request meets its end


class Credentials:
    """The secrets by name, those of the login among them; each is redacted for as long as this lives.

    `given` are the secrets of the source (a function is asked again when the carrier refuses a token), and
    `keys` the variables that hold them. Raises `AuthError` for one that cannot be sent.
    """

    def __init__(
        self, profile: Profile, given: Callable[[], Mapping[str, str]], keys: Mapping[str, str]
    ) -> None:
        self._profile, self._given, self._keys = profile, given, keys
        self._in_headers = placeholders(profile.headers) | (
            profile.auth.needs if profile.sends_auth else set()
        )
        # In base64 a blank is harmless.
        self._in_words = self._in_headers - (
            {"token"} if "{basic}" in profile.auth.template else set(profile.auth.basic or ())
        )
        self._own: dict[str, str] = {}
        self._session: dict[str, str] | None = None  # what the login gave; None before it and after a refusal
        self._expires = float("inf")
        self._known: list[Secrets] = []
        self.variables = " and ".join(keys.get(name, name) for name in profile.secrets)
        self._take_own()

    @property
    def values(self) -> dict[str, str]:
        """What stands for each name in braces."""
        return {**self._own, **(self._session or {})}

    @property
    def scope(self) -> str:
        """Tells the source's account from others: what the carrier paces."""
        return "\n".join(self._own.values())

    def headers(self, login: bool = False) -> dict[str, str]:
        """The profile's headers and auth; of a `login` its own auth, and no header with what it gives."""
        values = self.values
        sealed = {
            name: fill_text(text, values)
            for name, text in self._profile.headers.items()
            if placeholders(text) <= values.keys()
        }
        auth = self._profile.auth if self._profile.sends_auth else None
        if login and self._profile.login is not None:
            auth = self._profile.login.auth
        if auth is not None:
            sealed[auth.header] = self._rendered(auth)
        return sealed

    def _rendered(self, auth: Auth) -> str:
        values = self.values
        if auth.basic:
            return "Basic " + _base64(":".join(values[name] for name in auth.basic))
        return fill_text(auth.template, {**values, "basic": _base64(values.get("token", ""))})

    @property
    def must_log_in(self) -> bool:
        """Whether the login is due: it never was, it was refused, or what it gave is about to expire."""
        if self._profile.login is None:
            return False
        return self._session is None or time.monotonic() >= self._expires

    def renew(self) -> bool:
        """After a refusal: forget the session, or ask for another token; False where there is none."""
        if self._profile.login is not None:
            renewed = self._session is not None
            self._session = None
            return renewed
        before = self._own
        self._take_own()
        return self._own != before

    def log_in(self, document: Any, cookies: Iterable[str]) -> str | None:
        """Take what the login's answer gives, and its cookies; returns the host that it names, if any.

        Raises `AuthError` where the answer lacks it.
        """
        login = self._profile.login
        assert login is not None
        session = {}
        for name, path in login.gives.items():
            value = search(path, document)
            if not isinstance(value, str | int) or isinstance(value, bool) or value == "":
                raise AuthError(
                    f"the login's answer holds no {name} at `{path}`; look at login.gives in the profile, "
                    f"and at {self.variables}"
                )
            session[name] = str(value)
            if not session[name].isdigit() or len(session[name]) >= _LONG_NUMBER:
                self._keep(str(value), f"the {name} that the login gave", name)
        for cookie in cookies:
            if _SESSION_COOKIE.fullmatch(cookie):
                self._keep(cookie, "a cookie of the login")
        lasts = search(login.expires_in, document) if login.expires_in else login.lasts_s
        self._expires = float("inf")
        if isinstance(lasts, int | float) or (isinstance(lasts, str) and lasts.isdigit()):
            self._expires = time.monotonic() + max(float(lasts) - _EARLY_S, float(lasts) / 2)
        self._session = session
        host = search(login.host, document) if login.host else None
        return host if isinstance(host, str) and "." in host else None

    @overload
    def redact(self, data: str) -> str: ...

    @overload
    def redact(self, data: bytes) -> bytes: ...

    def redact(self, data: str | bytes) -> str | bytes:
        """The same text or bytes with every secret, in any form, replaced by `***`."""
        for secrets in self._known:
            data = secrets.redact(data)
        return data

    def _take_own(self) -> None:
        given = self._given()
        self._own = {
            name: self._keep(given.get(name, ""), self._keys.get(name, name), name)
            for name in self._profile.secrets
        }

    def _keep(self, value: str, key: str, name: str = "") -> str:
        if name in self._in_words and any(c.isspace() for c in value.strip()):
            raise AuthError(
                f"{key} holds a space or a line break inside; paste the token alone, without a word such as "
                "Bearer before it: auth.template in the profile writes that."
            )
        secrets = Secrets(value, key, in_header=name in self._in_headers)
        if all(known.token != secrets.token for known in self._known):
            # The longest first: one may be the beginning of another.
            self._known = sorted([*self._known, secrets], key=lambda s: len(s.token), reverse=True)
        return secrets.token


class SealedHeaders(AuthBase):
    """Headers with secrets; as an auth object, since requests replaces others by what ~/.netrc says."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._headers = headers

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """The request with the headers added."""
        request.headers.update(self._headers)
        return request


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
