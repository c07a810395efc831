"""No secret leaves with an alert: whatever is configured is masked in every text."""

import os
import re
from collections.abc import Callable
from urllib.parse import unquote

from telemetria_pipeline.carriers.redaction import Secrets
from telemetria_pipeline.carriers.sources import load_sources
from telemetria_pipeline.errors import PipelineError
from telemetria_pipeline.settings import Settings

# Of variables that nobody configured here, such as those of AWS or of a database.
_SECRET_NAME = re.compile(r"TOKEN|SECRET|PASSWORD|PASSWD|_KEY|CREDENTIAL", re.IGNORECASE)
_LONG = 16  # characters, of which no word is
_LEAST = 6  # characters of a token; a shorter one is a word or a port


def masking(settings: Settings) -> Callable[[str], str]:
    """A function that replaces each configured secret, in any form that it takes on the way, by `***`."""
    found = {*settings.secrets, *_of_sources(settings), *_of_environment()}
    for address in (word for secret in settings.secrets for word in secret.split() if "://" in word):
        found |= _pieces(address)
    # A channel's name is a part of its address, and no secret.
    found -= {secret.get_secret_value() for secret in (settings.alerts, settings.alerts_mail) if secret}
    forms = [
        Secrets(secret, in_header=False) for secret in sorted(found, key=len, reverse=True) if secret.strip()
    ]

    def mask(text: str) -> str:
        for secret in forms:
            text = secret.redact(text)
        return text

    return mask


def _of_sources(settings: Settings) -> set[str]:
    try:
        sources = load_sources(settings).values()
    except PipelineError:  # who broke the document is told elsewhere; alerts go on
        return set()
    return {os.environ.get(variable, "") for source in sources for variable in source.secrets.values()}


def _of_environment() -> set[str]:
    return {value for name, value in os.environ.items() if _SECRET_NAME.search(name) and len(value) >= _LEAST}


def _pieces(address: str) -> set[str]:
    """The password in an address, and what else in it looks like a token, not like a word or a host."""
    credentials, _, rest = address.partition("://")[2].rpartition("@")
    places = {place for place in re.split(r"[/,?&=]", rest) if len(place) >= _LEAST and _is_token(place)}
    found = {*credentials.split(":")[1:]} | places
    return found | {unquote(piece) for piece in found}


def _is_token(piece: str) -> bool:
    """Whether it is one: `T1JJ3T3L2` of slack://T1JJ3T3L2/…, and anything long without a dot."""
    word = re.fullmatch(r"[a-z-]+|\d+|[A-Za-z][a-z]+", piece)
    return bool(re.fullmatch(r"[\w%+~-]+", piece)) and (not word or len(piece) >= _LONG)
