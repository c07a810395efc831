"""Names in braces, which a request fills in: `{start}`, `{vehicle}`, a secret by its name."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from telemetria_pipeline.carriers.instants import Edge

# {{name}}, {name}, {name:pattern}
_NAME = re.compile(r"\{\{(\w+)\}\}|\{(\w+)(?::([^{}]+))?\}")


def placeholders(template: Any) -> set[str]:
    """The names in the texts of a template, however deep; `{{name}}` is a text, and none."""
    return {match[2] for match in _matches(template) if match[2]}


def patterns(template: Any) -> set[tuple[str, str]]:
    """The names that have a pattern, with it."""
    return {(match[2], match[3]) for match in _matches(template) if match[3]}


def _matches(template: Any) -> Iterator[re.Match[str]]:
    if isinstance(template, str):
        yield from _NAME.finditer(template)
    elif isinstance(template, Mapping | list):
        for part in template.values() if isinstance(template, Mapping) else template:
            yield from _matches(part)


def fill(template: Any, values: Mapping[str, Any]) -> Any:
    """The template with its names replaced; a text that is one name alone becomes the value itself."""
    if isinstance(template, Mapping):
        return {key: fill(value, values) for key, value in template.items()}
    if isinstance(template, list):
        return [fill(value, values) for value in template]
    if not isinstance(template, str):
        return template
    alone = _NAME.fullmatch(template)
    return _value(alone, values) if alone and alone[2] else fill_text(template, values)


def fill_text(template: str, values: Mapping[str, Any], quoted: Callable[[str], str] = str) -> str:
    """The text with its names replaced, each `quoted`; several ids have commas between them."""

    def text(match: re.Match[str]) -> str:
        if match[1]:
            return f"{{{match[1]}}}"
        value = _value(match, values)
        return quoted(",".join(map(str, value)) if isinstance(value, list) else str(value))

    return _NAME.sub(text, template)


def _value(match: re.Match[str], values: Mapping[str, Any]) -> Any:
    value = values[match[2]]
    if isinstance(value, Edge):
        return value.by(match[3]) if match[3] else value.value
    return value


def as_fields(template: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters filled in as a query or a form sends them: texts, lists of texts; an object as JSON."""

    def text(value: Any) -> str:
        if isinstance(value, str):
            return fill_text(value, values)
        if isinstance(value, bool):
            return "true" if value else "false"
        filled = fill(value, values)
        return json.dumps(filled, ensure_ascii=False) if isinstance(filled, Mapping | list) else str(filled)

    return {
        name: [text(v) for v in value] if isinstance(value, list) else text(value)
        for name, value in template.items()
        if value is not None
    }
