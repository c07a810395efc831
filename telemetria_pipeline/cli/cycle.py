"""`telemetria cycle`: the bill of a cycle, closed, printed, verified, opened again."""

import sys
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import click

from telemetria_pipeline.cli.words import CYCLE, FILE, REASON, Number
from telemetria_pipeline.settings import Settings

if TYPE_CHECKING:
    from telemetria_pipeline.business_calendar import Cycle
    from telemetria_pipeline.steps.cycle import CycleLook


@click.group()
def cycle() -> None:
    """A billing cycle, from the 16th to the 15th, by its first day."""


@cycle.command("show")
@click.argument("key", type=CYCLE, metavar="CYCLE")
def cycle_show(key: "Cycle") -> None:
    """Totals of a CYCLE and whether it is closed; the hash of a closed one is checked."""
    from telemetria_pipeline.steps.cycle import look_at
    from telemetria_pipeline.steps.lake import open_lake

    settings = Settings.load()
    click.echo(_cycle_text(look_at(open_lake(settings), key, settings), settings))


@cycle.command("close")
@click.argument("key", type=CYCLE, metavar="CYCLE")
@click.option(
    "--despite",
    metavar="REASON",
    default="",
    help="Why it is closed although days, hours, files or vehicles are missing; the closing keeps it, and "
    "names them.",
)
def cycle_close(key: "Cycle", despite: str) -> None:
    """Freeze the bill of a CYCLE; what arrives later becomes adjustments of the next one."""
    from telemetria_pipeline.steps.cycle import close_cycle, look_at
    from telemetria_pipeline.steps.lake import open_lake

    settings = Settings.load()
    lake = open_lake(settings)
    close_cycle(lake, key, settings, despite=despite)
    click.echo(_cycle_text(look_at(lake, key, settings), settings))
    click.echo(
        f"\nMaterialize `measurement` para {key.key}: a medição no lake ainda diz que o ciclo está aberto.\n"
        f"Depois, `telemetria cycle print {key.key}` grava a de cada transportadora, para assinar."
    )


@cycle.command("print")
@click.argument("key", type=CYCLE, metavar="CYCLE")
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    show_default="here",
    help="The folder to write into.",
)
def cycle_print(key: "Cycle", output: Path) -> None:
    """Write the medição of a CYCLE, and each carrier's to be sent and signed: workbook, page and PDF.

    The PDF is printed by the first Chromium, Chrome or Edge on PATH, or else by LibreOffice.
    """
    from telemetria_pipeline.reports.measurement_page import measurement_files
    from telemetria_pipeline.reports.printing import HOW_TO_PRINT, print_pdf, printer
    from telemetria_pipeline.steps.lake import open_lake
    from telemetria_pipeline.steps.report_facts import measurement_of

    settings, program = Settings.load(), printer()
    found = measurement_of(open_lake(settings), key, settings)
    output.mkdir(parents=True, exist_ok=True)
    for name, body in measurement_files(found, key):
        (output / name).write_bytes(body)
        click.echo(output / name)
        if program and name.endswith(".html"):
            click.echo(print_pdf(program, output / name, (output / name).with_suffix(".xlsx")))
    if not program:
        click.echo(HOW_TO_PRINT)


@cycle.command("verify")
def cycle_verify() -> None:
    """Hold every closed cycle and audited day against what was written; exit 1 if something differs."""
    from telemetria_pipeline.reports.cycle import verified_text
    from telemetria_pipeline.steps.cycle import verify
    from telemetria_pipeline.steps.lake import open_lake

    settings = Settings.load()
    log, days, problems = verify(open_lake(settings), settings)
    click.echo(verified_text([c.cycle for c in log.closings], len(days), log.seal, problems))
    sys.exit(1 if problems else 0)


@cycle.command("reopen")
@click.argument("key", type=CYCLE, metavar="CYCLE")
@REASON
def cycle_reopen(key: "Cycle", reason: str) -> None:
    """Open the last closed CYCLE again; its closing and the reason stay in the log."""
    from telemetria_pipeline.steps.closed_cycles import reopen
    from telemetria_pipeline.steps.lake import open_lake

    settings = Settings.load()
    reopen(open_lake(settings), key, settings, reason)
    click.echo(
        f"O ciclo {key.key} está aberto de novo. Materialize `billing` e `measurement` para {key.key}."
    )


@cycle.command("reseal")
@REASON
def cycle_reseal(reason: str) -> None:
    """Seal all closings with the key of now, where TELEMETRIA_SEAL_KEY is new, another, or gone.

    First compare the hash of each closed cycle (`telemetria cycle show`) with what was signed: from here on
    the log counts as it stands.
    """
    from telemetria_pipeline.steps.closed_cycles import reseal
    from telemetria_pipeline.steps.lake import open_lake

    settings = Settings.load()
    log = reseal(open_lake(settings), settings, reason)
    click.echo("\n".join([*(f"{c.cycle}: hash {c.hash}" for c in log.closings), f"Selo {log.seal}"]))


@cycle.command("what-if")
@click.argument("key", type=CYCLE, metavar="CYCLE")
@click.option("--tolerance", "km_share", type=Number(4, 1), help="Share by which km may differ, e.g. 0.08.")
@click.option("--minimum", "km_minimum", type=Number(3), help="Km that the difference must exceed as well.")
@click.option("--coverage", "min_coverage", type=Number(4, 1), help="Share of hours that must be covered.")
@click.option(
    "--contracts",
    type=FILE,
    help="Another contracts file, CSV or XLSX.",
)
def cycle_what_if(key: "Cycle", contracts: Path | None, **tolerances: Decimal | None) -> None:
    """Price a CYCLE again with other tolerances or tariffs; nothing is written."""
    from telemetria_pipeline.core.billing.bill import totals
    from telemetria_pipeline.core.reference import read_contracts
    from telemetria_pipeline.reports.cycle import what_if_text
    from telemetria_pipeline.steps.cycle import what_if
    from telemetria_pipeline.steps.lake import open_lake

    changed = {name: value for name, value in tolerances.items() if value is not None}
    if not changed and not contracts:
        raise click.UsageError("say what to change: --tolerance, --minimum, --coverage or --contracts")
    others = read_contracts(contracts.read_bytes(), contracts.name) if contracts else None
    if others and others.problems:
        raise click.ClickException("\n".join([f"{contracts}:", *others.problems]))
    settings = Settings.load()
    found = what_if(open_lake(settings), key, settings, changed, others.frame if others else None)
    now, then = found.now.billing, found.then.billing
    click.echo(what_if_text(totals(now), totals(then), now, then, found.closing is not None))


def _cycle_text(look: "CycleLook", settings: Settings) -> str:
    from telemetria_pipeline.contracts.billing import ADJUSTMENTS, BILLING
    from telemetria_pipeline.core.billing.bill import totals
    from telemetria_pipeline.reports.cycle import cycle_text

    return cycle_text(
        (look.cycle.first, look.cycle.last),
        totals(look.tables[BILLING]),
        look.tables[ADJUSTMENTS],
        look.closing.model_dump() if look.closing else None,
        look.closing.accepted if look.closing else look.missing,
        settings.timezone,
    )
