"""`telemetria carrier`: look at an API, and describe a new one."""

import json
import logging
import os
import re
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from telemetria_pipeline.cli.words import FILE, INSTANT, SOURCE, source_named
from telemetria_pipeline.settings import Settings

if TYPE_CHECKING:
    from pydantic import SecretStr

_MOST_PAGES = 20  # that are asked for a first record


@click.group()
def carrier() -> None:
    """The carrier's API."""


@carrier.command()
@SOURCE
@click.option("--from", "start", type=INSTANT, help="Start of the window, e.g. 2026-11-22T07:00.")
@click.option("--to", "end", type=INSTANT, help="End of the window.  [default: an hour later]")
@click.option("--records", default=3, show_default=True, help="How many records of the first page to show.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, with all records of the page.")
def check(
    source: str | None, start: datetime | None, end: datetime | None, records: int, as_json: bool
) -> None:
    """Call the API of a source and show what would be mapped of the first trips, value by value.

    Without a window: the last full hour. Of a fan-out some vehicles are asked, until one has trips.
    """
    from telemetria_pipeline.carriers.inspection import inspect, positions_only
    from telemetria_pipeline.carriers.lookups import Tables, add_entries

    settings = Settings.load()
    asked = source_named(source, settings)
    profile = asked.load_profile()
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    since = start or now - timedelta(hours=1)
    until = end or since + timedelta(hours=1)
    if until <= since:
        raise click.BadParameter("--to must be after --from")
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    with asked.client(profile, log=logging.getLogger("telemetria"), correlation="check") as client:
        tables: Tables = {}
        page, number = None, 0
        for read in client.pages(since, until):
            if read.kind in profile.joins:
                add_entries(profile, tables, read.kind, read.records)
            if read.kind == "trips":
                page, number = read, number + 1
                if page.records or number == _MOST_PAGES:
                    break
        skipped = client.skipped
    values = inspect(profile, page, len(page.records) if as_json else records, tables) if page else []
    warning = positions_only(profile, page) if page else None
    if as_json:
        found: dict[str, Any] = {
            "source": asked.name,
            "profile": profile.name,
            "from": since.astimezone(UTC).isoformat(),
            "to": until.astimezone(UTC).isoformat(),
            "records": len(page.records) if page else 0,
            "warning": warning,
            "left_out": page.left_out if page else 0,
            "skipped": [f"{vehicle.id}: {vehicle.reason}" for vehicle in skipped],
            "values": values,
        }
        click.echo(json.dumps(found, ensure_ascii=False, indent=2, default=str))
        return
    click.echo(
        f"{asked.name} ({profile.name}), {since.isoformat()} to {until.isoformat()}: "
        f"{len(page.records) if page else 0} records on page {number} of the trips"
        + (f", and {page.left_out} that `where` leaves out" if page and page.left_out else "")
    )
    if warning:
        click.echo(f"  {warning}")
    for vehicle in skipped:
        click.echo(f"  skipped: vehicle {vehicle.id}: {vehicle.reason}")
    for value in values:
        click.echo(
            f"  {value['record']}  {value['column']:<26} {value['mapped']!s:<32} <- {value['path']}: "
            f"{value['received']!r}{'  ' + value['note'] if value['note'] else ''}"
        )


@carrier.command("new")
@click.argument("answer", required=False, type=FILE)
@click.option("--url", default="", help="The request that gave it; without ANSWER it is asked now.")
@click.option("--method", type=click.Choice(["GET", "POST"]), default="GET", show_default=True)
@click.option("--body", type=FILE, help="What a POST sends: a file of JSON, secrets in braces by name.")
@click.option(
    "--secret",
    "secrets",
    multiple=True,
    metavar="NAME=VARIABLE",
    help="A secret and the variable that holds it; again for another.  [default: token=TELEMETRIA_API_TOKEN]",
)
@click.option("--header", default="Authorization", show_default=True, help="Header of the token.")
@click.option("--template", default="Bearer {token}", show_default=True, help="The header's value.")
@click.option(
    "--lookup", "lookups", multiple=True, type=FILE, help="An answer that lists vehicles or drivers; again."
)
@click.option("--carrier", "carrier_name", default="My carrier", help="As it is called in the contracts.")
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("my_carrier.yaml"),
    show_default=True,
    help="The profile to write; never one that is there.",
)
def carrier_new(
    answer: Path | None,
    url: str,
    method: str,
    body: Path | None,
    secrets: tuple[str, ...],
    header: str,
    template: str,
    lookups: tuple[Path, ...],
    carrier_name: str,
    output: Path,
) -> None:
    """Propose a profile from one captured ANSWER (JSON) of a carrier's list of trips.

    Paths, units and formats are guessed, each with its evidence beside it; what was not found stands there as
    a comment. Without ANSWER the URL is asked. Secrets stand in braces in --url, --body and --template
    (`?key={api_key}` with --secret api_key=ALFA_KEY), and never in the profile.
    """
    from telemetria_pipeline.carriers.captured import Request, ask, body_of
    from telemetria_pipeline.carriers.draft import as_yaml
    from telemetria_pipeline.carriers.profile import ProfileError, load_profile
    from telemetria_pipeline.carriers.proposal import decoded, propose

    if answer is None and not url:
        raise click.UsageError("name a file with the ANSWER, or the --url to ask")
    if body and method != "POST":
        raise click.UsageError("a --body goes with --method POST")
    if output.exists():
        raise click.ClickException(f"{output} exists already; name another file with --output")
    sent = body_of(body.read_bytes()) if body else None
    request = Request(url, method, sent, header, template, _named_secrets(secrets))
    lists = {file.stem: decoded(file.read_bytes()) for file in lookups}
    found = propose(decoded(answer.read_bytes() if answer else ask(request)), lists, request.texts)
    text = as_yaml(found, output.stem, carrier_name, request)
    output.write_text(text, encoding="utf-8")
    click.echo(f"{output}: {len(found.guesses)} columns guessed from {len(found.rows)} records")
    for said in re.findall("# OPEN: (.*)", text):
        click.echo(f"  open: {said}")
    try:
        load_profile(output)
    except ProfileError as error:
        click.echo(f"  it is no profile yet: {error}")


def _named_secrets(pairs: tuple[str, ...]) -> dict[str, "SecretStr"]:
    """NAME=VARIABLE → the name's value in the environment."""
    from pydantic import SecretStr

    token = Settings.load().api_token
    if not pairs:
        return {"token": token} if token else {}
    named = dict(pair.partition("=")[::2] for pair in pairs)
    if unset := [f"{name}={variable}" for name, variable in named.items() if not os.environ.get(variable)]:
        raise click.ClickException(f"--secret {unset[0]}: set that variable, in the environment or in .env")
    return {name: SecretStr(os.environ[variable].strip()) for name, variable in named.items()}


@carrier.command()
def schema() -> None:
    """Print the profile language as JSON Schema, for an editor to complete and check a profile.

    A profile names the file in its first line: # yaml-language-server: $schema=profile.schema.json
    """
    from telemetria_pipeline.carriers.profile import profile_schema

    click.echo(json.dumps(profile_schema(), ensure_ascii=False, indent=2))
