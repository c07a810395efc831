"""What several commands take: instants, cycles, numbers, files, a source, a reason."""

import re
from contextlib import suppress
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from telemetria_pipeline.settings import Settings

if TYPE_CHECKING:
    from telemetria_pipeline.business_calendar import Cycle
    from telemetria_pipeline.carriers.sources import Source


class _Instant(click.ParamType):
    """An ISO 8601 instant; without an offset it is in the contract's zone."""

    name = "instant"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        try:
            instant = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is no instant; write one like 2026-11-22T07:00 (or …T10:00Z)", param, ctx)
        return instant if instant.tzinfo else instant.replace(tzinfo=Settings.load().timezone)


class _Cycle(click.ParamType):
    """A billing cycle by its first day."""

    name = "cycle"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> "Cycle":
        from telemetria_pipeline.business_calendar import Cycle

        with suppress(ValueError):  # a day as Brazil writes it
            wanted = Cycle.of(datetime.strptime(value, "%d/%m/%Y").date()).key
            self.fail(f"{value} lies in the cycle {wanted}; write it as {wanted}", param, ctx)
        try:
            return Cycle.from_key(value)
        except ValueError as error:
            self.fail(f"{error}; write one like 2026-10-16", param, ctx)


class Number(click.ParamType):
    """A number from 0 up, exactly as written, with so many decimals at most."""

    name = "number"

    def __init__(self, decimals: int, most: int | None = None) -> None:
        self._decimals, self._most = decimals, most

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Decimal:
        """The number as it is written, with a point or a comma."""
        found = re.fullmatch(rf"\d{{1,9}}(?:[.,](\d{{1,{self._decimals}}}))?", value)
        number = Decimal(value.replace(",", ".")) if found else None
        if number is None or (self._most is not None and number > self._most):
            most = "" if self._most is None else f" to {self._most}"
            self.fail(
                f"{value!r}: write a number from 0{most}, {self._decimals} decimals at most", param, ctx
            )
        return number


INSTANT, CYCLE = _Instant(), _Cycle()
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
REASON = click.option("--reason", required=True, help="Why; it stays in the log.")
SOURCE = click.option("--source", metavar="NAME", help="One of `telemetria sources`.")


def source_named(name: str | None, settings: Settings) -> "Source":
    """The source of that name, or the only one there is."""
    from telemetria_pipeline.carriers.sources import load_sources

    sources = load_sources(settings)
    if name is None and len(sources) == 1:
        return next(iter(sources.values()))
    if name not in sources:
        what = "say which source" if name is None else f"there is no source {name}"
        raise click.ClickException(f"{what}: --source with one of {', '.join(sources)}")
    return sources[name]
