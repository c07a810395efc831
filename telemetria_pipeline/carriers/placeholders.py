"""Names in braces, which a request fills in: `{start}`, `{vehicle}`, a secret by its name."""

import json
import re
from collections.abc import Mapping
from typing import Any

_NAME = re.compile(r"\{\{(\w+)\}\}|\{(\w+)\}")


def placeholders(template: Any) -> set[str]:
    """The names in the texts of a template, however deep; `{{name}}` is a text, and none."""
    if isinstance(template, str):
        return {match[2] for match in _NAME.finditer(template) if match[2]}
    if isinstance(template, Mapping):
        template = list(template.values())
    if isinstance(template, list):
        return set().union(*map(placeholders, template))
    return set()


def fill(template: Any, values: Mapping[str, Any]) -> Any:
    """The template with its names replaced; a text that is one name alone becomes the value itself."""
    if isinstance(template, Mapping):
        return {key: fill(value, values) for key, value in template.items()}
    if isinstance(template, list):
        return [fill(value, values) for value in template]
    if not isinstance(template, str):
        return template
    alone = _NAME.fullmatch(template)
    if alone and alone[2]:
        return values[alone[2]]
    return fill_text(template, values)


def fill_text(template: str, values: Mapping[str, Any]) -> str:
    """The text with its names replaced, always a text; several ids have commas between them."""

    def text(value: Any) -> str:
        return ",".join(map(str, value)) if isinstance(value, list) else str(value)

    return _NAME.sub(lambda m: text(values[m[2]]) if m[2] else f"{{{m[1]}}}", template)


def as_fields(filled: Mapping[str, Any]) -> dict[str, Any]:
    """Filled parameters as a query or a form sends them: texts, lists of texts; an object as JSON."""

    def text(value: Any) -> str:
        if isinstance(value, bool):
            return "true" if value else "false"
        return json.dumps(value, ensure_ascii=False) if isinstance(value, Mapping | list) else str(value)

    return {
        name: [text(v) for v in value] if isinstance(value, list) else text(value)
        for name, value in filled.items()
        if value is not None
    }
