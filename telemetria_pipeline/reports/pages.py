"""Pages that stand alone: one HTML file with its style and pictures inside, no script, made to be printed."""

import re
from functools import cache
from typing import TYPE_CHECKING, Any

from telemetria_pipeline.reports import text

if TYPE_CHECKING:
    from jinja2 import Environment

SIGNING = ("Pela transportadora", "Pela contratante")
"""Who signs a page."""
_BEFORE_UNIT = re.compile(r"(?<=R\$) (?=\d)|(?<=\d) (?=(?:km|min)\b|%)")


def render(template: str, **facts: Any) -> str:
    """The template with the facts in it; whatever they say is escaped. Units stay beside their numbers."""
    return _BEFORE_UNIT.sub("\N{NO-BREAK SPACE}", _environment().get_template(template).render(**facts))


@cache
def _environment() -> "Environment":
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("telemetria_pipeline.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    shown = (text.brl, text.km, text.number, text.percent, text.signed, text.word, text.odometer)
    environment.filters |= {function.__name__: function for function in shown}
    environment.filters["said"] = lambda value: text.NONE if text.missing(value) else value
    return environment
