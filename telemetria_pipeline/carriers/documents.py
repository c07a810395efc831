"""YAML documents that people write: no key twice, and errors that name the key."""

from collections.abc import Hashable, Sequence
from typing import Any

import yaml


class UniqueKeys(yaml.SafeLoader):
    """PyYAML lets the last of two equal keys win, silently."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """As YAML does, but for keys that stand twice."""
        seen = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value!r} stands twice", key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


class NotYaml(ValueError):
    """A text that is no YAML document; the message says where."""


def load_yaml(text: str) -> Any:
    """The document of a text. Raises `NotYaml`."""
    try:
        return yaml.load(text, Loader=UniqueKeys)  # noqa: S506, it is a SafeLoader
    except (yaml.YAMLError, ValueError, TypeError) as error:  # a date such as 2026-02-30 is a bare ValueError
        raise NotYaml(f"not valid YAML: {' '.join(str(error).split())}") from None


def problem_text(error: Any, location: Sequence[int | str]) -> str:
    """A validation error of pydantic's as `key.below: what is wrong`; `location` is where it is."""
    parts = [str(part) for part in location if part != "[key]"]
    if "paging" in parts:  # pydantic names the chosen style there too
        del parts[parts.index("paging") + 1 : parts.index("paging") + 2]
    return f"{'.'.join(parts) or 'the document'}: {_what(error)}"


def _what(error: Any) -> str:
    if error["type"] == "extra_forbidden":
        return "unknown key; look for a typing error, or for the right level"
    if error["type"] == "missing":
        return "this key is required"
    return str(error["msg"]).removeprefix("Value error, ")
