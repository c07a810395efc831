"""Keeps a token out of everything that leaves the client: bodies, logs, exceptions."""

import base64
import html
import json
import re
from collections.abc import Callable
from typing import overload

from telemetria_pipeline.carriers.errors import AuthError

MASK = "***"
_START, _END = "(?<![A-Za-z0-9])", "(?![A-Za-z0-9])"
_SLASH = r"(?:\\|%(?:25)?5[Cc])"  # a backslash, also in a URL
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
        try:
            self.token.encode()
        except UnicodeEncodeError:
            raise AuthError(f"{key} is not UTF-8; paste the token again.") from None
        # The password of a `user:secret` pair is a secret by itself.
        parts = [self.token, *(p for p in self.token.split(":", 1)[1:] if p)]
        self._forms = [_Form(form) for part in parts if len(part) >= _LONG for form in _in_words(part)]
        short = [part for part in parts if len(part) < _LONG]
        words = "|".join(_escaped(part, _as_text) for part in short)
        self._words = re.compile(rf"{_START}(?:{words}){_END}") if words else None
        # In a body a short number is masked as a text only: as a number it is data, and *** would be no JSON.
        in_body = [
            rf'(?<="){part}(?=")' if part.isdigit() else rf"{_START}(?:{_escaped(part, _as_bytes)}){_END}"
            for part in short
        ]
        self._byte_words = re.compile("|".join(in_body).encode("latin-1")) if in_body else None

    @overload
    def redact(self, data: str) -> str: ...

    @overload
    def redact(self, data: bytes) -> bytes: ...

    def redact(self, data: str | bytes) -> str | bytes:
        """The same text or bytes with the token, in any form, replaced by `***`."""
        if isinstance(data, str):
            for form in self._forms:
                if form.core in data:
                    data = form.text.sub(MASK, data)
            return self._words.sub(MASK, data) if self._words else data
        for form in self._forms:
            if form.byte_core in data:
                data = form.bytes.sub(MASK.encode(), data)
        return self._byte_words.sub(MASK.encode(), data) if self._byte_words else data

    def __repr__(self) -> str:
        return f"Secrets({MASK})"


class _Form:
    """A secret, or its base64, as texts and bytes hold it; `core` is in all of them, and quickly missed."""

    def __init__(self, form: str) -> None:
        self.core = max(re.findall("[A-Za-z0-9]+", form), key=len, default="")
        self.byte_core = self.core.encode()
        self.text = re.compile(_escaped(form, _as_text))
        self.bytes = re.compile(_escaped(form, _as_bytes).encode("latin-1"))


def _in_words(secret: str) -> set[str]:
    """The secret, and what of it stands in the base64 of any text that holds it."""
    forms = {secret, secret.lower()}  # some servers repeat an address in small letters
    # base64 of a longer text (`user:token`) holds the token shifted by 0, 1 or 2 bytes; the characters at
    # the edges also depend on the neighbours and are left out.
    raw = secret.encode()
    for shift in range(3):
        bits = base64.b64encode(b"\0" * shift + raw)
        core = bits[-(-shift * 8 // 6) : (shift + len(raw)) * 8 // 6].decode()
        forms |= {core, core.replace("+", "-").replace("/", "_")}
    return forms


def _as_text(char: str) -> set[str]:
    return {char}


def _as_bytes(char: str) -> set[str]:
    """The character in UTF-8 and in Latin-1, a byte a letter."""
    return {char.encode().decode("latin-1")} | ({char} if char < "\u0100" else set())


def _escaped(secret: str, written: Callable[[str], set[str]]) -> str:
    r"""A regular expression that fits a secret in a text, in JSON, in JSON within JSON, in a URL and in HTML.

    Every writer escapes what it likes (`/`, `\/`, `\u002f`), so each character stands for all that it may be.
    A letter or digit of ASCII is only itself. `written` gives what a character is without an escape. All
    backslashes before the secret are taken, and none after it, so that what is left is still JSON.
    """
    found = []
    for match in re.finditer(r"[A-Za-z0-9]+|\\+|.", secret, re.DOTALL):
        part, first, last = match[0], match.start() == 0, match.end() == len(secret)
        n = len(part)
        if part.isascii() and part.isalnum():
            found.append(part)
        elif part[0] == "\\":
            run = rf"{_SLASH}{{{n},{4 * n}}}"
            if first:
                run = rf"(?:(?<!\\)\\{{{n},}}|{run})"
            elif last:  # escaped twice, once, never; the backslash of a quote after it stays
                run = "(?:" + "|".join(f"{_SLASH}{{{times * n}}}" for times in (4, 2, 1)) + ")"
            found.append(run)
        else:
            slashes = rf"{_SLASH}{{0,3}}"
            slashes = rf"(?:(?<!\\)\\*|{slashes})" if first else slashes
            units = part.encode("utf-16-be").hex(" ", 2).split()
            unicode = f"{_SLASH}{{1,3}}".join(f"(?i:u{unit})" for unit in units)
            percent = "(?i:" + "".join(f"%(?:25)?{byte:02x}" for byte in part.encode()) + ")"
            plain = {*written(part), json.dumps(part)[1:-1].lstrip("\\"), *("+" if part == " " else "")}
            numbered = rf"(?i:&\#(?:{ord(part)}|x{ord(part):x});)"
            named = [] if (entity := html.escape(part)) == part else [entity]
            any_of = "|".join([*map(re.escape, sorted(plain)), unicode, percent])
            found.append(f"(?:{slashes}(?:{any_of})|{'|'.join([*named, numbered])})")
    return "".join(found)
