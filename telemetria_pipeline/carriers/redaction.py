"""Keeps a token out of everything that leaves the client: bodies, logs, exceptions."""

import base64
import html
import json
import re
from typing import overload
from urllib.parse import quote, quote_plus

from telemetria_pipeline.carriers.errors import AuthError

MASK = "***"
_START, _END = "(?<![A-Za-z0-9])", "(?![A-Za-z0-9])"
_LONG = 6  # a shorter token is told from data only where it stands as a word of its own


class Secrets:
    """A token (for Basic: `user:secret`) and every form it takes on the way.

    `key` is where it is set. Raises `AuthError` for a token that cannot be sent: `in_header` says whether it
    goes into a header, which carries less than a body.
    """

    def __init__(self, token: str, key: str = "TELEMETRIA_API_TOKEN", in_header: bool = True) -> None:
        self.token = token.strip()
        if not self.token:
            raise AuthError(f"{key} is empty. Set the token that the carrier issued.")
        if in_header and not (self.token.isascii() and self.token.isprintable()):
            raise AuthError(
                f"{key} holds a line break or a character that no HTTP header can carry; "
                "paste the token again."
            )
        # The password of a `user:secret` pair is a secret by itself.
        parts = [self.token, *(p for p in self.token.split(":", 1)[1:] if p)]
        forms = {form for part in parts if len(part) >= _LONG for form in _forms(part)}
        self._text = sorted(forms, key=len, reverse=True)  # the longest first, so that no tail is left
        self._bytes = [form.encode() for form in self._text]
        short = [part for part in parts if len(part) < _LONG]
        words = "|".join(map(re.escape, short))
        self._words = re.compile(rf"{_START}(?:{words}){_END}") if words else None
        # In a body a short number is masked as a text only: as a number it is data, and *** would be no JSON.
        in_body = [
            rf'(?<="){part}(?=")' if part.isdigit() else rf"{_START}{re.escape(part)}{_END}" for part in short
        ]
        self._byte_words = re.compile("|".join(in_body).encode()) if in_body else None

    @overload
    def redact(self, data: str) -> str: ...

    @overload
    def redact(self, data: bytes) -> bytes: ...

    def redact(self, data: str | bytes) -> str | bytes:
        """The same text or bytes with the token, in any form, replaced by `***`."""
        if isinstance(data, str):
            for form in self._text:
                data = data.replace(form, MASK)
            return self._words.sub(MASK, data) if self._words else data
        for raw in self._bytes:
            if raw in data:  # bytes.replace copies even when nothing is found
                data = data.replace(raw, MASK.encode())
        return self._byte_words.sub(MASK.encode(), data) if self._byte_words else data

    def __repr__(self) -> str:
        return f"Secrets({MASK})"


def _forms(secret: str) -> set[str]:
    escaped = json.dumps(secret)[1:-1]
    forms = {
        secret,
        quote(secret),
        quote(secret, safe=""),
        quote_plus(secret),
        quote(secret, safe="").lower(),
        escaped,
        escaped.replace("/", "\\/"),
        "".join(f"\\u{ord(c):04x}" if c in "<>&'+=" else c for c in escaped),
        html.escape(secret),
    }
    # base64 of a longer text (`user:token`) holds the token shifted by 0, 1 or 2 bytes; the characters at
    # the edges also depend on the neighbours and are left out.
    for shift in range(3):
        bits = base64.b64encode(b"\0" * shift + secret.encode())
        core = bits[-(-shift * 8 // 6) : (shift + len(secret)) * 8 // 6].decode()
        forms |= {core, core.replace("+", "-").replace("/", "_")}
    return forms
