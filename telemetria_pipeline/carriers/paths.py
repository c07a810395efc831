"""JMESPath, compiled once, with a short cut for the forms that profiles use most.

jmespath interprets its tree for every record, some fifty times slower than a lookup, so `a.b` and
`a.b == 'text'` are told apart and read without it.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jmespath
import jmespath.exceptions


@dataclass(frozen=True)
class Names:
    """A plain dotted path."""

    names: tuple[str, ...]


@dataclass(frozen=True)
class NamesEqual:
    """A plain dotted path compared with a text."""

    names: tuple[str, ...]
    text: str


@functools.lru_cache(maxsize=1024)
def compile_path(path: str) -> Names | NamesEqual | Callable[[Any], Any]:
    """The path in its quickest form; a function for anything but the two plain ones."""
    tree: Any = jmespath.compile(path).parsed
    plain = _names(tree)
    if plain is not None:
        return Names(plain)
    if tree["type"] == "comparator" and tree["value"] == "eq":
        left, right = tree["children"]
        names = _names(left)
        if names is not None and right["type"] == "literal" and isinstance(right["value"], str):
            return NamesEqual(names, right["value"])
    return functools.partial(search, path)


def search(path: str, document: Any) -> Any:
    """What the path finds; None too where one of its functions does not fit the values."""
    try:
        return _expression(path).search(document)
    except (jmespath.exceptions.JMESPathError, TypeError, ValueError, RecursionError):
        return None


def truth(value: Any) -> bool | None:
    """What a flag says, also one that comes as text (`"false"`, `"0"`, `"N"`); None where there is none."""
    if isinstance(value, str):
        return value.strip().lower() not in ("", "0", "f", "false", "n", "no", "nao", "não", "off")
    return None if value is None else bool(value)


@functools.lru_cache(maxsize=1024)
def _expression(path: str) -> Any:
    return jmespath.compile(path)


def _names(tree: dict[str, Any]) -> tuple[str, ...] | None:
    if tree["type"] == "field":
        return (str(tree["value"]),)
    if tree["type"] == "subexpression":
        parts = [_names(child) for child in tree["children"]]
        if all(part is not None for part in parts):
            return tuple(name for part in parts for name in part or ())
    return None
