"""`telemetria evidence`: the page of a divergence."""

from pathlib import Path

import click

from telemetria_pipeline.settings import Settings


@click.command()
@click.argument("divergence")
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where to write the page.  [default: evidencia_<DIVERGENCE>.html]",
)
def evidence(divergence: str, output: Path | None) -> None:
    """Write the page of a DIVERGENCE (its id, such as 20260310-0a1b2c3d4e) for the carrier's desk."""
    from telemetria_pipeline.reports.evidence import evidence_page
    from telemetria_pipeline.steps.lake import open_lake
    from telemetria_pipeline.steps.report_facts import evidence_of

    settings = Settings.load()
    page = evidence_page(evidence_of(open_lake(settings), divergence, settings))
    output = output or Path(f"evidencia_{divergence}.html")
    output.write_text(page, encoding="utf-8")
    click.echo(f"Página gravada em {output}")
