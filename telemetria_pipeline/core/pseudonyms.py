"""What stands in tables for a driver: a pseudonym that nobody can compute without the key."""

import hashlib
import hmac
import re
from typing import Literal

from telemetria_pipeline.core.names import plain_name

Kind = Literal["name", "id"]

_PSEUDONYM = re.compile(r"M-[0-9A-F]{16}")


def pseudonym(kind: Kind, said: str, key: bytes) -> str:
    """`M-` and 16 hexadecimal digits (64 bits of an HMAC-SHA256) for a driver's name or id.

    Spellings of one name have one pseudonym (`plain_name`), an id and a name never. A pseudonym is its own,
    so that what was hidden once may be hidden again.
    """
    if is_pseudonym(said):
        return said
    same = plain_name(said) if kind == "name" else said.strip()
    return f"M-{hmac.digest(key, f'{kind}:{same}'.encode(), hashlib.sha256).hex()[:16].upper()}"


def is_pseudonym(said: str) -> bool:
    """Whether the text is one already."""
    return _PSEUDONYM.fullmatch(said) is not None
