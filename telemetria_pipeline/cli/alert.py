"""`telemetria alert`: whether the channels work."""

import sys

import click

from telemetria_pipeline.settings import Settings


@click.group()
def alert() -> None:
    """What people are told by themselves."""


@alert.command("test")
@click.option("--folder", help="Write to the sender of that folder of the inbox instead.")
def alert_test(folder: str | None) -> None:
    """Send a message to each channel of TELEMETRIA_ALERTS and say of each whether it went; exit 1 if not."""
    from telemetria_pipeline.alerts.alert import Message
    from telemetria_pipeline.alerts.channels import general_channels, send_all, sender_channels
    from telemetria_pipeline.alerts.masking import masking

    settings = Settings.load()
    if folder is None:
        channels, where = general_channels(settings), "set TELEMETRIA_ALERTS"
    else:
        known = sender_channels(settings)
        channels, where = (
            [known[folder]] if folder in known else [],
            f"write {folder!r} into {settings.senders}",
        )
    if not channels:
        raise click.ClickException(f"there is no channel to try: {where}")
    mask = masking(settings)
    said = Message("Test of telemetria", "This channel works. / Este canal funciona.")
    outcomes = send_all({channel.name: (channel, said) for channel in channels})
    for name, why in outcomes.items():
        click.echo(f"failed  {name}: {mask(why)}" if why else f"ok      {name}")
    sys.exit(1 if any(outcomes.values()) else 0)
