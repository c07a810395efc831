"""`telemetria storage`: set the lake up, and clear it of what was cut short."""

import click

from telemetria_pipeline.settings import Settings


@click.group()
def storage() -> None:
    """The lake and the inbox."""


@storage.command()
def init() -> None:
    """Create folders or buckets, with versioning, encryption and a lifecycle for raw; say what changed."""
    from telemetria_pipeline.storage.buckets import init_storage

    settings = Settings.load()
    for line in init_storage({"TELEMETRIA_LAKE": settings.lake, "TELEMETRIA_INBOX": settings.inbox}):
        click.echo(line)


@storage.command("sweep")
@click.option("--yes", is_flag=True, help="Remove them; without it they are only named.")
def storage_sweep(yes: bool) -> None:
    """Remove the pages of captures that were cut short more than a day ago, which no manifest names.

    Captures that are whole are named and stay.
    """
    from telemetria_pipeline.steps.lake import open_lake
    from telemetria_pipeline.steps.mending import orphans, sweep

    lake = open_lake(Settings.load())
    found = orphans(lake)
    for orphan in found:
        said = "whole, stays" if orphan.complete else "removed" if yes else "cut short"
        click.echo(f"{orphan.folder}: {len(orphan.objects)} objects, {orphan.bytes} bytes, {said}")
    cut = sum(not orphan.complete for orphan in found)
    if yes:
        sweep(lake, found)
    click.echo(
        f"{cut} captures cut short{'' if yes or not cut else ': run it again with --yes to remove them'}, "
        f"{len(found) - cut} whole ones that no manifest names"
    )
