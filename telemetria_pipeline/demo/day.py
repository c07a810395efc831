"""One day of the golden month, from the API and the inbox to the medição."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta

import dagster as dg
import pandas as pd

from telemetria_pipeline.business_calendar import Cycle, Hour
from telemetria_pipeline.carriers.sources import MAIN
from telemetria_pipeline.contracts.audit import DIVERGENCES
from telemetria_pipeline.contracts.billing import BILLING
from telemetria_pipeline.core.billing.bill import totals
from telemetria_pipeline.definitions import defs
from telemetria_pipeline.defs.partitions import BOLETIM_FILES, CALENDAR
from telemetria_pipeline.defs.reference.assets import FOLDER as REFERENCE
from telemetria_pipeline.defs.resources import PipelineResource
from telemetria_pipeline.demo.stage import SEED, VEHICLES, dagster_home, golden_month, simulated_carrier
from telemetria_pipeline.reports.text import brl, number
from telemetria_pipeline.settings import Settings, SettingsError
from telemetria_pipeline.steps.hours import read_manifest
from telemetria_pipeline.steps.hours_table import as_text, hours_table
from telemetria_pipeline.steps.intake import landed_files, read_file_manifest
from telemetria_pipeline.storage.lake import Lake

DAY = "2026-03-10"
CYCLE = Cycle.of(date.fromisoformat(DAY))
DEAREST = 5
_POLL_SECONDS = 0.2
_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def run_demo(say: Callable[[str], None]) -> bool:
    """Ingest the day from carriers that misbehave, take their boletins, audit, bill and report it.

    Returns whether all of it ran. Raises `SettingsError` where a real carrier is configured: invented trips
    do not belong into its lake.
    """
    if Settings.load().api_url:
        raise SettingsError(
            "TELEMETRIA_API_URL is set: the demo writes invented trips and would mix them with a real "
            "carrier's. Run it without that variable (look into .env, too)"
        )
    if Settings.load().start > date.fromisoformat(DAY):
        raise SettingsError(f"TELEMETRIA_START is after the demo's day, {DAY}: run it without that variable")
    began = time.monotonic()
    hours = [*CALENDAR.hours_of(date.fromisoformat(DAY), MAIN)]
    half_past_midnight = hours[-1].end + timedelta(minutes=30)
    with simulated_carrier(as_of=half_past_midnight.astimezone(UTC)), dagster_home() as instance:
        lake, run = PipelineResource().lake(), _Runner(instance, say)
        for name, data in golden_month().reference_files().items():
            lake.store.put(f"{REFERENCE}/{name}", data)
        say(f"{VEHICLES} vehicles of three carriers, every fault on, seed {SEED}: the 24 hours of {DAY}")
        with _progress(lake, hours, say):
            ran = run("reference_job") and run(
                "telemetry_job_main",
                tags={
                    "dagster/asset_partition_range_start": hours[0].key,
                    "dagster/asset_partition_range_end": hours[-1].key,
                },
            )
        if not ran:
            return False
        _tell_hours(lake, hours, say)
        _tell_boletins(_drop_boletins(instance, run), say)
        if not (run("audit_job", partition_key=DAY) and run("cycle_job", partition_key=CYCLE.key)):
            return False
    _tell_divergences(lake, say)
    _tell_bill(lake, say)
    say(f"\nAll of it took {time.monotonic() - began:.0f} s.")
    say("Next: make dev (Dagster's UI with this day in it), make test, or the queries of docs/queries.md")
    return True


class _Runner:
    """Runs the project's jobs in this process, and says why one failed."""

    def __init__(self, instance: dg.DagsterInstance, say: Callable[[str], None]) -> None:
        self._instance, self._say = instance, say

    def __call__(
        self, job: str, partition_key: str | None = None, tags: Mapping[str, str] | None = None
    ) -> bool:
        result = defs.resolve_job_def(job).execute_in_process(
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
    files = golden_month().boletins_of(date.fromisoformat(DAY))
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


def _tell_hours(lake: Lake, hours: Sequence[Hour], say: Callable[[str], None]) -> None:
    table = hours_table(lake, hours)
    sums = table.drop(columns=["hour", "state"]).sum().to_dict()
    table.loc[len(table)] = {"hour": "day", "state": "", **sums}
    say("\n" + as_text(table))
    say(f"\n{sums['accepted']} trips of {sums['received']} rows, each accounted for.")


def _tell_boletins(boletins: pd.DataFrame, say: Callable[[str], None]) -> None:
    say(f"\n{len(boletins)} boletins were dropped into the inbox; what became of each, and the answer to its")
    say(f"sender in {PipelineResource().inbox().uri()}:\n")
    say(boletins.to_string(index=False))
    if (boletins["verdict"] == "duplicate").all():
        say("\nAll of them came in an earlier demo already; after `make clean` they are new again.")


def _tell_divergences(lake: Lake, say: Callable[[str], None]) -> None:
    table = lake.read_table(DIVERGENCES.name, {"data": DAY})
    found = DIVERGENCES.empty() if table is None else DIVERGENCES.frame(table)
    say(f"\nThe day's {DEAREST} dearest divergences of {len(found)}, by money and confidence:\n")
    for row in found.sort_values("posicao").head(DEAREST).to_dict("records"):
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


@contextmanager
def _progress(lake: Lake, hours: Sequence[Hour], say: Callable[[str], None]) -> Iterator[None]:
    """Say a line for each hour as soon as its tables are there."""
    began, finished = datetime.now(UTC), threading.Event()

    def watch() -> None:
        waiting = list(hours)
        while waiting:
            last_look = finished.is_set()
            for hour in list(waiting):
                manifest = read_manifest(lake, hour)
                current = manifest.current if manifest else None
                if manifest and current and current.captured_at >= began and manifest.published == current.id:
                    waiting.remove(hour)
                    say(f"  {hour.key[11:]}  {manifest.state:<15}  {manifest.accepted:>4} trips")
            if last_look:
                return
            finished.wait(_POLL_SECONDS)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        finished.set()
        watcher.join()
