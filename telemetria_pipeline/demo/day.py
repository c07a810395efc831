"""One day of the golden month, from the APIs and the inbox to the medição."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta

import dagster as dg
import pandas as pd

from telemetria_pipeline.business_calendar import Cycle, Hour
from telemetria_pipeline.carriers.sources import Source, load_sources
from telemetria_pipeline.contracts.audit import VALIDATED_TRIPS
from telemetria_pipeline.contracts.billing import BILLING
from telemetria_pipeline.core.billing.bill import totals
from telemetria_pipeline.definitions import build_definitions
from telemetria_pipeline.defs.partitions import BOLETIM_FILES, CALENDAR
from telemetria_pipeline.defs.resources import PipelineResource
from telemetria_pipeline.demo.stage import (
    SEED,
    SOURCES_FILE,
    VEHICLES,
    dagster_home,
    golden_month,
    real_sources,
    simulated_carriers,
)
from telemetria_pipeline.reports.text import brl, number
from telemetria_pipeline.settings import Settings, SettingsError
from telemetria_pipeline.steps.boletim_files import read_file_manifest
from telemetria_pipeline.steps.hours import last_known
from telemetria_pipeline.steps.hours_table import as_text, hours_table
from telemetria_pipeline.steps.intake import landed_files
from telemetria_pipeline.steps.reference import FOLDER as REFERENCE
from telemetria_pipeline.steps.reference import read_tables
from telemetria_pipeline.steps.report_facts import daily_facts
from telemetria_pipeline.storage.lake import Lake

DAY = date(2026, 3, 10)
CYCLE = Cycle.of(DAY)
SHOWN = 5
_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def run_demo(say: Callable[[str], None]) -> bool:
    """Ingest the day from three carriers that misbehave, take their boletins, audit, bill and report it.

    Returns whether all of it ran, but for the hours in which one of them was down. Raises `SettingsError`
    where a real carrier is configured: invented trips do not belong into its lake.
    """
    settings = Settings.load()
    if real := real_sources(settings):
        raise SettingsError(
            f"{real}: the demo writes invented trips and would mix them with a real carrier's. Run it "
            "without that (look into .env, too)"
        )
    if settings.start > DAY:
        raise SettingsError(f"TELEMETRIA_START is after the demo's day, {DAY}: run it without that variable")
    began = time.monotonic()
    half_past_midnight = CALENDAR.day(DAY)[1] + timedelta(minutes=30)
    with simulated_carriers(as_of=half_past_midnight.astimezone(UTC)) as apis, dagster_home() as instance:
        sources = {name: source for name, source in load_sources(Settings.load()).items() if name in apis}
        hours = {name: [*CALENDAR.hours_of(DAY, name)] for name in sources}
        lake, run = PipelineResource().lake(), _Runner(instance, say)
        for name, data in golden_month().reference_files().items():
            lake.store.put(f"{REFERENCE}/{name}", data)
        said = ", ".join(f"{name} (as {source.profile})" for name, source in sources.items())
        say(f"{VEHICLES} vehicles of three carriers, every fault on, seed {SEED}: the 24 hours of {DAY} from")
        say(f"{said}.")
        if not run("reference_job"):
            return False
        for name, own in hours.items():
            _capture(run, lake, own, say)
            if _missing(lake, own) != [h for h in own if _is_down(apis[name].outages, h)]:
                return False
        _tell_hours(lake, hours, say)
        _ask_for_boletins(lake, sources, hours, say)
        _tell_boletins(_drop_boletins(instance, run), say)
        if not (run("audit_job", partition_key=str(DAY)) and run("cycle_job", partition_key=CYCLE.key)):
            return False
    _tell_verdicts(lake, sources, hours, say)
    _tell_divergences(lake, settings, say)
    _tell_bill(lake, say)
    say(f"\nAll of it took {time.monotonic() - began:.0f} s.")
    say("Next: make dev (Dagster's UI with this day in it), make test, or the queries of docs/queries.md.")
    say(f"Commands about sources want to know them: TELEMETRIA_SOURCES={SOURCES_FILE} telemetria sources")
    return True


class _Runner:
    """Runs the project's jobs in this process, and says why one failed."""

    def __init__(self, instance: dg.DagsterInstance, say: Callable[[str], None]) -> None:
        self._defs, self._instance, self._say = build_definitions(), instance, say

    def __call__(
        self, job: str, partition_key: str | None = None, tags: Mapping[str, str] | None = None
    ) -> bool:
        result = self._defs.resolve_job_def(job).execute_in_process(
            instance=self._instance,
            partition_key=partition_key,
            # A demo that was stopped is not begun again by the daemon.
            tags={**(tags or {}), "dagster/max_retries": "0"},
            run_config=_QUIET,
            raise_on_error=False,
        )
        if not result.success:
            self._say(f"\n{job} failed:")
            for event in result.filter_events(lambda e: e.is_step_failure):
                failure = event.step_failure_data
                told = failure.user_failure_data
                self._say(f"  {told.description if told else failure.error}")
        return result.success


def _capture(run: _Runner, lake: Lake, hours: Sequence[Hour], say: Callable[[str], None]) -> None:
    """One run for all hours of a source; it fails where an hour is missing, and the others are there."""
    began, source = time.monotonic(), hours[0].source
    ends = {"start": hours[0].key, "end": hours[-1].key}
    run(
        f"telemetry_job_{source}",
        tags={f"dagster/asset_partition_range_{name}": key for name, key in ends.items()},
    )
    there = len(hours) - len(_missing(lake, hours))
    say(f"  {source:<8}  {there} of {len(hours)} hours in {time.monotonic() - began:.0f} s")


def _is_down(outages: Iterable[tuple[datetime, datetime]], hour: Hour) -> bool:
    return any(start <= hour.start < end for start, end in outages)


def _missing(lake: Lake, hours: Sequence[Hour]) -> list[Hour]:
    known = {hour: last_known(lake, hour) for hour in hours}
    return [hour for hour, manifest in known.items() if manifest is None or manifest.state == "missing"]


def _drop_boletins(instance: dg.DagsterInstance, run: _Runner) -> pd.DataFrame:
    """Drop the day's boletins, one of them with errors and one twice; run what the sensor would run."""
    inbox, lake = PipelineResource().inbox(), PipelineResource().lake()
    for name, data in _boletins().items():
        inbox.put(name, data)
    rows = []
    for landed in list(landed_files(inbox)):
        instance.add_dynamic_partitions(str(BOLETIM_FILES.name), [landed.file_id])
        run("boletim_job", partition_key=landed.file_id)
        manifest = read_file_manifest(lake, landed.file_id)
        if manifest:
            answer = (manifest.answer or "").replace(".json", ".xlsx")
            rows.append(
                {"file": manifest.name, "verdict": manifest.verdict, **manifest.rows, "answer": answer}
            )
    return pd.DataFrame(rows)


def _boletins() -> dict[str, bytes]:
    files = golden_month().boletins_of(DAY)
    first = next(name for name in files if name.endswith(".csv"))
    header, *rows = files[first].decode("cp1252").splitlines()
    bad = [row.split(";") for row in rows[:12]]
    bad[1][1] = bad[1][1][:3] + "O" + bad[1][1][4:]  # a letter O for the digit
    bad[3][8], bad[3][9] = bad[3][9], bad[3][8]  # the odometer runs backwards
    bad[5][5] = "25:90"
    return {
        **files,
        "boletim_com_erros.csv": "\r\n".join([header, *map(";".join, bad)]).encode("cp1252"),
        "boletim_reenviado.csv": files[first],
    }


def _tell_hours(lake: Lake, hours: Mapping[str, Sequence[Hour]], say: Callable[[str], None]) -> None:
    for source, own in hours.items():
        table = hours_table(lake, own)
        sums = table.drop(columns=["hour", "state"]).sum().to_dict()
        table.loc[len(table)] = {"hour": "day", "state": "", **sums}
        say(f"\n{source}\n{as_text(table)}")
        say(f"\n{sums['accepted']} trips of {sums['received']} rows, each accounted for.")


def _ask_for_boletins(
    lake: Lake, sources: Mapping[str, Source], hours: Mapping[str, Sequence[Hour]], say: Callable[[str], None]
) -> None:
    """Say which source was down, and whose boletins stand in for it."""
    vehicles = read_tables(lake).vehicles
    assert vehicles is not None
    for name, source in sources.items():
        if not (missing := _missing(lake, hours[name])):
            continue
        unwritten = vehicles["fonte"].isna() & vehicles["transportadora"].isin(source.carriers)
        plates = vehicles["placa"][(vehicles["fonte"] == name) | unwritten]
        span = f"das {missing[0].start:%H:%M} às {missing[-1].end:%H:%M}"
        say(f"\n{name} was down for {len(missing)} hours. Only its vehicles wait for their boletins:")
        say(f"  {' / '.join(source.carriers)}: sem telemetria {span} de {missing[0].start:%d/%m/%Y}.")
        say(f"  Envie os boletins de {', '.join(sorted(plates))}.")


def _tell_verdicts(
    lake: Lake, sources: Mapping[str, Source], hours: Mapping[str, Sequence[Hour]], say: Callable[[str], None]
) -> None:
    """Say what became of the trips in the hours in which a source was down, carrier by carrier."""
    table = lake.read_table(VALIDATED_TRIPS.name, {"data": str(DAY)})
    trips = VALIDATED_TRIPS.empty() if table is None else VALIDATED_TRIPS.frame(table)
    for name in sources:
        if not (missing := _missing(lake, hours[name])):
            continue
        then = trips[trips["saida_utc"].between(missing[0].start, missing[-1].end, inclusive="left")]
        say(f"\nThe trips of the hours in which {name} was down, by verdict:\n")
        say(pd.crosstab(then["transportadora"], then["veredito"]).to_string())


def _tell_boletins(boletins: pd.DataFrame, say: Callable[[str], None]) -> None:
    say(f"\n{len(boletins)} boletins were dropped into the inbox; what became of each, and the answer to its")
    say(f"sender in {PipelineResource().inbox().uri()}:\n")
    say(boletins.to_string(index=False))
    if (boletins["verdict"] == "duplicate").all():
        say("\nAll of them came in an earlier demo already; after `make clean` they are new again.")


def _tell_divergences(lake: Lake, settings: Settings, say: Callable[[str], None]) -> None:
    found = daily_facts(lake, DAY, settings).at_stake
    say(
        f"\nThe day's {SHOWN} divergences of highest value, of {len(found)}, by money beyond the franchise "
        "and confidence:\n"
    )
    for row in found.head(SHOWN).to_dict("records"):
        who = f"{row['veiculo']}, {row['transportadora']}"
        say(f"{row['posicao']}. {brl(row['valor_brl'])}  {row['tipo']}, {row['veredito']}: {who}")
        say(f"   {row['frase']}")
        say(f"   telemetria evidence {row['divergencia_id']}")


def _tell_bill(lake: Lake, say: Callable[[str], None]) -> None:
    table = lake.read_table(BILLING.name, CYCLE.partition)
    sums = totals(BILLING.empty() if table is None else BILLING.frame(table))
    say(f"\nThe cycle {CYCLE.key} so far: one day audited, fixed costs of the whole cycle:\n")
    columns = {"variável": "variavel_brl", "fixo": "fixo_brl", "a faturar": "total_brl"}
    shown = pd.DataFrame(
        {
            "operação": sums["operacao"],
            "veículos": sums["veiculos"],
            "km auditados": [number(km, 3) for km in sums["km_auditado"]],
            **{title: [brl(value) for value in sums[name]] for title, name in columns.items()},
        }
    )
    say(shown.to_string(index=False))
    reports = "reports/measurement", "reports/daily"
    files = [info.key for folder in reports for info in lake.store.list(folder)]
    say("\nWhat people open:")
    for key in files:
        say(f"  {lake.store.uri(key)}")
