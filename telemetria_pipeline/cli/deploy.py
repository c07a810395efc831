"""`telemetria deploy`: whether production stands."""

import sys

import click

from telemetria_pipeline.settings import Settings


@click.group()
def deploy() -> None:
    """Production, as `deploy/` sets it up."""


@deploy.command("check")
def deploy_check_command() -> None:
    """Touch all that production leans on, and say what to do where it is amiss; exit 1 if anything is."""
    from telemetria_pipeline.workers.check import deploy_check

    well = True
    for finding in deploy_check(Settings.load()):
        click.echo(f"{'ok  ' if finding.well else 'FAIL'}  {finding.part}: {finding.said}")
        well = well and finding.well
    sys.exit(0 if well else 1)
