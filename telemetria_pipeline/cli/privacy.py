"""`telemetria privacy`: who a pseudonym is, and a person's erasure."""

import json

import click

from telemetria_pipeline.settings import Settings


@click.group()
def privacy() -> None:
    """Drivers' names: who a pseudonym is, and a person's erasure (LGPD)."""


@privacy.command("who")
@click.argument("pseudonym")
def privacy_who(pseudonym: str) -> None:
    """The name or id behind a PSEUDONYM such as M-0123456789ABCDEF; it needs the right to read `private/`."""
    from telemetria_pipeline.steps.lake import open_lake
    from telemetria_pipeline.steps.people import People

    said = People(open_lake(Settings.load())).names().get(pseudonym.strip().upper())
    if said is None:
        raise click.ClickException(f"{pseudonym} is nobody in this lake, or somebody who was erased")
    click.echo(said)


@privacy.command("erase")
@click.option("--name", "names", multiple=True, help="The full name; again for another spelling.")
@click.option(
    "--id", "ids", multiple=True, help="The driver's id at a carrier or in `drivers`; again for more."
)
@click.option("--reason", default="", help="Why; it stays in the manifests and in the log of erasures.")
@click.option("--yes", "really", is_flag=True, help="Do it; otherwise it is only said what would be done.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def privacy_erase(
    names: tuple[str, ...], ids: tuple[str, ...], reason: str, really: bool, as_json: bool
) -> None:
    """Take a person out of tables, raw pages and originals, answers and reference files; bills stay.

    Without --yes nothing is written. Let no run be on its way meanwhile. A second time changes nothing.
    """
    from telemetria_pipeline.steps.erase import erase
    from telemetria_pipeline.steps.lake import open_lake
    from telemetria_pipeline.steps.people import People
    from telemetria_pipeline.storage.object_store import ObjectStore

    if really and not reason.strip():
        raise click.UsageError("say why with --reason: it stays in the log of erasures")
    settings = Settings.load()
    lake, inbox = open_lake(settings), ObjectStore.open(settings.inbox)
    done = erase(lake, inbox, People(lake, settings.pseudonyms), names, ids, reason, really)
    if as_json:
        click.echo(json.dumps(vars(done), ensure_ascii=False, indent=2))
        return
    said = {
        "lost the person" if really else "would lose the person": done.changed,
        "removed: the person cannot be taken out" if really else "would be removed": done.removed,
        "STILL NAME THE PERSON (a bill, an audit, a report, a file's name, a file in the inbox)": done.left,
        "could not be looked into (a picture, a PDF, a password, damage): look for yourself": done.opaque,
    }
    click.echo(f"{done.looked_into} objects of the lake were looked into.")
    for what, uris in said.items():
        click.echo("\n".join([f"{len(uris)} {what}", *(f"  {uri}" for uri in uris)]))
    if done.alike:
        click.echo(f"Alike, and not erased; --name each that is the same person: {'; '.join(done.alike)}")
    if not really:
        click.echo("Nothing was written. With --yes and --reason it is done.")
