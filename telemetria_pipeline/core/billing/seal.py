"""The seal of the log of closings: it shows a changed entry, and with a key that nobody forged one.

Each entry holds the digest of the one before, so that the newest proves all of them. Only its seal is held
against the key: older ones may have been sealed with another.
"""

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any

import orjson
from pydantic import TypeAdapter, ValidationError

from telemetria_pipeline.contracts.closing import Closing, Entry, Reopening, Resealing

_ENTRY: TypeAdapter[Closing | Reopening | Resealing] = TypeAdapter(Entry)
_KEYED = "hmac-sha256:"

_UNREADABLE = "{} não é um registro de fechamento: restaure-o de uma cópia."
_CHANGED = "{} não é o que foi selado: restaure-o de uma cópia."
_HEADLESS = "{} continua outro registro, que não está mais lá: restaure-o de uma cópia."
_OTHER_KEY = (
    "{} não é o que foi selado, ou foi selado com outra chave: restaure-o de uma cópia, ou dê a chave certa "
    "em TELEMETRIA_SEAL_KEY. Se foi a chave que mudou, veja `telemetria cycle reseal --help`."
)
_NO_KEY = "{} foi selado com uma chave, e TELEMETRIA_SEAL_KEY não está definida: defina-a."
_NOT_KEYED = (
    "{} não foi selado com a chave de TELEMETRIA_SEAL_KEY: sem ela qualquer um o teria escrito. Se a chave é "
    "nova, veja `telemetria cycle reseal --help`."
)


def digest_of(body: bytes) -> str:
    """SHA-256 of an object, in hexadecimal."""
    return hashlib.sha256(body).hexdigest()


def sealed(entry: Closing | Reopening | Resealing, key: str) -> bytes:
    """The entry as it is written, with its seal; `key` is empty where there is none."""
    said = entry.model_dump(mode="json")
    return orjson.dumps(said | {"seal": _seal(said, key)}, option=orjson.OPT_INDENT_2)


def parsed(body: bytes) -> Closing | Reopening | Resealing | None:
    """What the entry says; None for anything that is none."""
    try:
        return _ENTRY.validate_python(orjson.loads(body))
    except (orjson.JSONDecodeError, ValidationError):
        return None


def chain_problems(log: Mapping[str, bytes], key: str | None) -> list[str]:
    """Where the log is not what was written, in Portuguese: a sentence an object, with its name.

    Args:
        log: the entries as stored, by the names of their objects, oldest first.
        key: of the newest entry's seal, empty where there is none; None: its seal is not looked at.
    """
    entries = [parsed(body) for body in log.values()]
    problems = []
    for number, ((name, body), entry) in enumerate(zip(log.items(), entries, strict=True), 1):
        after = entries[number] if number < len(entries) else None
        if entry is None:
            problems.append(_UNREADABLE.format(name))
        elif number == 1 and entry.previous:
            problems.append(_HEADLESS.format(name))
        elif after and after.previous != digest_of(body):
            problems.append(_CHANGED.format(name))
        elif number == len(entries) and key is not None and (wrong := _seal_problem(body, key)):
            problems.append(wrong.format(name))
    return problems


def _seal_problem(body: bytes, key: str) -> str | None:
    said = orjson.loads(body)
    found, keyed = said.get("seal", ""), said.get("seal", "").startswith(_KEYED)
    if hmac.compare_digest(found.encode(), _seal(said, key).encode()):
        return None
    if key:
        return _OTHER_KEY if keyed else _NOT_KEYED
    return _NO_KEY if keyed else _CHANGED


def _seal(said: Mapping[str, Any], key: str) -> str:
    """`hmac-sha256:…` with a key, `sha256:…` without one, over all that is said but the seal itself."""
    rest = {name: value for name, value in said.items() if name != "seal"}
    text = orjson.dumps(rest, option=orjson.OPT_SORT_KEYS)
    if key:
        return _KEYED + hmac.new(key.encode(), text, hashlib.sha256).hexdigest()
    return f"sha256:{digest_of(text)}"
