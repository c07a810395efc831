"""`telemetria …`: what people do outside Dagster's UI; a group of commands a file."""

import sys
from datetime import UTC, datetime
from typing import Any

import click

from telemetria_pipeline.cli.alert import alert
from telemetria_pipeline.cli.boletim import boletim, template, validate
from telemetria_pipeline.cli.carrier import carrier
from telemetria_pipeline.cli.cycle import cycle
from telemetria_pipeline.cli.deploy import deploy
from telemetria_pipeline.cli.evidence import evidence
from telemetria_pipeline.cli.privacy import privacy
from telemetria_pipeline.cli.storage import storage
from telemetria_pipeline.cli.words import SOURCE, source_named
from telemetria_pipeline.errors import PipelineError
from telemetria_pipeline.settings import Settings

# Each command imports what it needs: Dagster and pandas cost seconds that `--help` should not.


class _Polite(click.Group):
    """Ends with a sentence, not a traceback, where something is wrong that a person can mend."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except PipelineError as error:
            raise click.ClickException(str(error)) from None


@click.group(cls=_Polite)
def main() -> None:
    """Fleet telemetry, ingested and audited."""


@main.command()
def demo() -> None:
    """Ingest one simulated day with every fault switched on, into a folder."""
    from telemetria_pipeline.demo.day import run_demo

    sys.exit(0 if run_demo(click.echo) else 1)


@main.command()
@click.option("--port", default=3000, show_default=True, help="Where Dagster's UI listens, on 127.0.0.1.")
def dev(port: int) -> None:
    """Open Dagster's UI, beside the simulated carriers unless real sources are set."""
    from telemetria_pipeline.demo.dev import run_dev

    sys.exit(run_dev(port, click.echo))


@main.command()
@click.argument("first")
@click.argument("last", required=False)
@SOURCE
def hours(first: str, last: str | None, source: str | None) -> None:
    """What is known of the hours FIRST to LAST (keys such as 2026-03-10-07:00, or whole days)."""
    from telemetria_pipeline.steps.hours_table import as_text, hours_named, hours_table
    from telemetria_pipeline.steps.lake import open_lake

    settings = Settings.load()
    asked = source_named(source, settings)
    found = hours_named(settings.calendar, first, last or first, asked, datetime.now(UTC))
    click.echo(as_text(hours_table(open_lake(settings), found)))


@main.command()
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
def sources(as_json: bool) -> None:
    """Each telemetry source: its last answer, hours missing and open, the oldest gap, and what is wrong."""
    from telemetria_pipeline.carriers.sources import load_sources
    from telemetria_pipeline.steps.hours_table import as_text, sources_table
    from telemetria_pipeline.steps.lake import open_lake

    settings = Settings.load()
    table = sources_table(open_lake(settings), load_sources(settings), settings, datetime.now(UTC))
    click.echo(table.to_json(orient="records", indent=2, force_ascii=False) if as_json else as_text(table))


for each in (alert, boletim, carrier, cycle, deploy, evidence, privacy, storage, template, validate):
    main.add_command(each)
