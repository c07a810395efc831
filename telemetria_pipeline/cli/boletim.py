"""Boletins: judge them beforehand, write one to fill in, take one back."""

import json
import sys
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import click

from telemetria_pipeline.cli.words import FILE, REASON
from telemetria_pipeline.settings import Settings

if TYPE_CHECKING:
    from telemetria_pipeline.core.boletim.validation import FileVerdict


@click.command()
@click.argument("files", nargs=-1, required=True, type=FILE)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object; for several files, a list.")
@click.option("--answer", type=click.Path(file_okay=False, path_type=Path), help="Write the answers there.")
@click.option(
    "--folder", default="", help="The folder of the inbox that they would land in: its files correct theirs."
)
def validate(files: tuple[Path, ...], as_json: bool, answer: Path | None, folder: str) -> None:
    """Judge boletins as the inbox would, without Dagster; exit 1 if any is rejected.

    The lake is only read: the register of vehicles and drivers, earlier boletins, what would be corrected.
    """
    from telemetria_pipeline.core.boletim.settings import RuleSettings
    from telemetria_pipeline.core.boletim.validation import duplicate_of
    from telemetria_pipeline.reports.answer import answer_json, answer_workbook
    from telemetria_pipeline.steps.foresight import Foresight

    settings = Settings.load()
    foresight = Foresight.of(settings)
    if foresight.unknown and not as_json:
        click.echo(f"Atenção: {foresight.unknown}\n", err=True)
    rules = RuleSettings.of(settings)
    seen: dict[bytes, FileVerdict] = {}
    verdicts = []
    for file in files:
        data = file.read_bytes()
        first = seen.get(data)
        verdict = (
            duplicate_of(file.name, first.file_name, first.rows.received)
            if first
            else foresight.verdict(str(PurePosixPath(folder, file.name)), data, rules)
        )
        seen.setdefault(data, verdict)
        verdicts.append(verdict)
        if answer:
            answer.mkdir(parents=True, exist_ok=True)
            (answer / f"{file.stem}_resposta.xlsx").write_bytes(answer_workbook(verdict, data))
        if not as_json:
            click.echo(_summary(verdict))
    if as_json:
        said = [{**answer_json(verdict), "not_compared": foresight.unknown} for verdict in verdicts]
        click.echo(json.dumps(said if len(said) > 1 else said[0], ensure_ascii=False, indent=2))
    sys.exit(1 if any(verdict.verdict == "rejected" for verdict in verdicts) else 0)


_VERDICTS = {"accepted": "aceito", "rejected": "devolvido", "duplicate": "já recebido"}


def _summary(verdict: "FileVerdict") -> str:
    """What the sender of a file is told, in Portuguese."""
    rows = verdict.rows
    head = (
        f"{verdict.file_name}: {_VERDICTS[verdict.verdict]}. {rows.received} linhas: "
        f"{rows.accepted} aceitas, {rows.duplicate} repetidas, {rows.rejected} não aceitas"
    )
    if verdict.correction:
        head += f"\n  {verdict.correction}"
    return "\n".join([head, *(f"  {g.severity:<5}  {g}  {g.example.suggestion}" for g in verdict.groups)])


@click.command()
@click.argument("file", default="boletim.xlsx", type=click.Path(dir_okay=False, path_type=Path))
def template(file: Path) -> None:
    """Write a boletim to fill in, with drop-downs, formats and an explanation sheet."""
    from telemetria_pipeline.reports.template import template_workbook

    if file.exists():
        raise click.ClickException(f"{file} exists already; name another file")
    file.write_bytes(template_workbook())
    click.echo(f"Modelo gravado em {file}")


@click.group()
def boletim() -> None:
    """The trip sheets that carriers and depots send."""


@boletim.command("withdraw")
@click.argument("file")
@REASON
def boletim_withdraw(file: str, reason: str) -> None:
    """Take back the trips of FILE, so that none of them counts any more.

    FILE is a partition of `boletim_trips`, or a name in the inbox with its folder (all its versions). What
    was received stays, with the reason; a file that is sent again counts again.
    """
    from telemetria_pipeline.core.boletim.correction import day_ranges
    from telemetria_pipeline.steps.intake import withdraw
    from telemetria_pipeline.steps.lake import open_lake

    settings = Settings.load()
    for taken in withdraw(open_lake(settings), file, reason, settings.timezone):
        days = day_ranges(taken.manifest.days)
        click.echo(
            f"{taken.manifest.file}: {taken.trips} trips of {days} taken back; the days are audited again"
        )
