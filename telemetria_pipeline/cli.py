"""`telemetria …`: what people do outside Dagster's UI."""

import json
import logging
import os
import re
import sys
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import click

from telemetria_pipeline.errors import PipelineError
from telemetria_pipeline.settings import Settings

if TYPE_CHECKING:
    from pydantic import SecretStr

    from telemetria_pipeline.business_calendar import Cycle
    from telemetria_pipeline.carriers.sources import Source
    from telemetria_pipeline.core.boletim.validation import FileVerdict
    from telemetria_pipeline.steps.cycle import CycleLook

# Each command imports what it needs: Dagster and pandas cost seconds that `--help` should not.


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


class _Decimal(click.ParamType):
    """A number from 0 up, exactly as written, with so many decimals at most."""

    name = "number"

    def __init__(self, decimals: int, most: int | None = None) -> None:
        self._decimals, self._most = decimals, most

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Decimal:
        found = re.fullmatch(rf"\d{{1,9}}(?:[.,](\d{{1,{self._decimals}}}))?", value)
        number = Decimal(value.replace(",", ".")) if found else None
        if number is None or (self._most is not None and number > self._most):
            most = "" if self._most is None else f" to {self._most}"
            self.fail(
                f"{value!r}: write a number from 0{most}, {self._decimals} decimals at most", param, ctx
            )
        return number


INSTANT, CYCLE = _Instant(), _Cycle()
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


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


def _source(name: str | None, settings: Settings) -> "Source":
    """The source of that name, or the only one there is."""
    from telemetria_pipeline.carriers.sources import load_sources

    sources = load_sources(settings)
    if name is None and len(sources) == 1:
        return next(iter(sources.values()))
    if name not in sources:
        what = "say which source" if name is None else f"there is no source {name}"
        raise click.ClickException(f"{what}: --source with one of {', '.join(sources)}")
    return sources[name]


_MOST_PAGES = 20  # that are asked for a first record
_REASON = click.option("--reason", required=True, help="Why; it stays in the log.")
_SOURCE = click.option("--source", metavar="NAME", help="One of `telemetria sources`.")


@main.command()
@click.argument("first")
@click.argument("last", required=False)
@_SOURCE
def hours(first: str, last: str | None, source: str | None) -> None:
    """What is known of the hours FIRST to LAST (keys such as 2026-03-10-07:00, or whole days)."""
    from telemetria_pipeline.steps.hours_table import as_text, hours_named, hours_table
    from telemetria_pipeline.steps.lake import open_lake

    settings = Settings.load()
    found = hours_named(settings.calendar, first, last or first, _source(source, settings))
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


@main.command()
@click.argument("files", nargs=-1, required=True, type=_FILE)
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


@main.group()
def boletim() -> None:
    """The trip sheets that carriers and depots send."""


@boletim.command("withdraw")
@click.argument("file")
@_REASON
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


@main.command()
@click.argument("file", default="boletim.xlsx", type=click.Path(dir_okay=False, path_type=Path))
def template(file: Path) -> None:
    """Write a boletim to fill in, with drop-downs, formats and an explanation sheet."""
    from telemetria_pipeline.reports.template import template_workbook

    if file.exists():
        raise click.ClickException(f"{file} exists already; name another file")
    file.write_bytes(template_workbook())
    click.echo(f"Modelo gravado em {file}")


@main.command()
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


@main.group()
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


@main.group()
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
@_REASON
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
@_REASON
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
@click.option("--tolerance", "km_share", type=_Decimal(4, 1), help="Share by which km may differ, e.g. 0.08.")
@click.option("--minimum", "km_minimum", type=_Decimal(3), help="Km that the difference must exceed as well.")
@click.option("--coverage", "min_coverage", type=_Decimal(4, 1), help="Share of hours that must be covered.")
@click.option(
    "--contracts",
    type=_FILE,
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


@main.group()
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


@main.group()
def carrier() -> None:
    """The carrier's API."""


@carrier.command()
@_SOURCE
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
    asked = _source(source, settings)
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
@click.argument("answer", required=False, type=_FILE)
@click.option("--url", default="", help="The request that gave it; without ANSWER it is asked now.")
@click.option("--method", type=click.Choice(["GET", "POST"]), default="GET", show_default=True)
@click.option("--body", type=_FILE, help="What a POST sends: a file of JSON, secrets in braces by name.")
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
    "--lookup", "lookups", multiple=True, type=_FILE, help="An answer that lists vehicles or drivers; again."
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


@main.group()
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


@main.group()
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
