"""`daily_report` and `measurement`: what people open, kept under `reports/` in the lake."""

from collections.abc import Iterator
from datetime import date
from typing import Any

import dagster as dg

from telemetria_pipeline.business_calendar import Cycle
from telemetria_pipeline.contracts.audit import DAILY_KM, DIVERGENCES, VALIDATED_TRIPS
from telemetria_pipeline.contracts.billing import BILLING
from telemetria_pipeline.defs.failures import failures_end_the_run, log_failure, run_failure, worth_a_retry
from telemetria_pipeline.defs.metadata import asset_facts, materialization
from telemetria_pipeline.defs.partitions import BILLING_CYCLE, DAILY
from telemetria_pipeline.defs.resources import PipelineResource
from telemetria_pipeline.reports.daily import DailyFacts, daily_markdown, daily_page, daily_workbook
from telemetria_pipeline.reports.measurement import Measurement, measurement_markdown
from telemetria_pipeline.reports.measurement_page import measurement_files
from telemetria_pipeline.steps.report_facts import daily_facts, measurement_of
from telemetria_pipeline.storage.lake import Lake

FOLDER = "reports"
_RETRIES, _RETRY_WAIT_S = 2, 10


DAILY_REPORT = dg.AssetSpec(
    "daily_report",
    description="The D-1 report: spend, kilometres a vehicle and in all, divergences by money, hours missing "
    "and boletins, as a workbook and as a page that stands alone.",
    deps=[VALIDATED_TRIPS.name, DAILY_KM.name, DIVERGENCES.name],
    skippable=True,
    **asset_facts("reports", kinds=("excel", "html")),
)


@dg.multi_asset(
    specs=[DAILY_REPORT],
    partitions_def=DAILY,
    backfill_policy=dg.BackfillPolicy.multi_run(max_partitions_per_run=62),
)
def daily_report(context: dg.AssetExecutionContext, pipeline: PipelineResource) -> Iterator[Any]:
    """Report the run's days one by one. A day that fails costs only itself; the run fails at the end."""
    with failures_end_the_run():
        lake, settings = pipeline.lake(), pipeline.load()
    failures = dict[str, Exception]()
    for key in context.partition_keys:
        try:
            facts = daily_facts(lake, date.fromisoformat(key), settings)
            metadata = _daily_metadata(facts, *_write_daily(lake, facts))
        except Exception as error:  # whatever it is, the other days go on; the run fails at the end
            failures[key] = error
            log_failure(context, key, error)
            continue
        # Logged, for a result would say the same of every day of a range.
        context.log_event(materialization(DAILY_REPORT.key, key, metadata, context.run.run_id))
    if worth_a_retry(failures) and context.retry_number < _RETRIES:
        # The audit is done, and its days are not stale: nothing else would ask for their reports again.
        raise dg.RetryRequested(_RETRIES, _RETRY_WAIT_S)
    if failures:
        raise run_failure(failures, len(context.partition_keys), "days")
    yield from ()


@dg.asset(
    description="The medição of a billing cycle as a workbook: a sheet an operation, totals, adjustments, "
    "divergences and patterns; the sums are formulas that agree with `billing` to the cent. Beside it, for "
    "each carrier, a workbook and a page to sign that hold nothing of another's.",
    deps=[BILLING.name, DIVERGENCES.name],
    partitions_def=BILLING_CYCLE,
    **asset_facts("reports", kinds=("excel", "html")),
)
def measurement(context: dg.AssetExecutionContext, pipeline: PipelineResource) -> dg.MaterializeResult:
    """Write the cycle's files, in place of those that may be there."""
    with failures_end_the_run():
        lake, cycle = pipeline.lake(), Cycle.from_key(context.partition_key)
        found = measurement_of(lake, cycle, pipeline.load())
        folder = f"{FOLDER}/measurement/ciclo={cycle.key}"
        names = []
        for name, body in measurement_files(found, cycle):
            lake.store.put(f"{folder}/{name}", body)
            names.append(name)
        # Of a carrier that the cycle has no more, an earlier medição must not pass for one that counts.
        for info in lake.store.list(folder):
            if info.key.rpartition("/")[2] not in names:
                lake.store.delete(info.key)
    uris = [lake.store.uri(f"{folder}/{name}") for name in names]
    return dg.MaterializeResult(metadata=_measurement_metadata(found, *uris))


def daily_stem(day: date) -> str:
    """Where a day's report lies in the lake, without the ending: `.xlsx` and `.html`."""
    return f"{FOLDER}/daily/data={day}/relatorio_{day}"


def _write_daily(lake: Lake, facts: DailyFacts) -> tuple[str, str]:
    """Where the workbook and the page now lie."""
    stem = daily_stem(facts.day)
    lake.store.put(f"{stem}.xlsx", daily_workbook(facts))
    lake.store.put(f"{stem}.html", daily_page(facts).encode())
    return lake.store.uri(f"{stem}.xlsx"), lake.store.uri(f"{stem}.html")


def _daily_metadata(facts: DailyFacts, workbook: str, page: str) -> dict[str, Any]:
    return {
        "dagster/uri": workbook,
        "page": page,
        "report": dg.MetadataValue.md(daily_markdown(facts)),
        "spent_brl": str(facts.spent),
        "divergences": len(facts.divergences),
        "hours_missing": len(facts.hours_missing),
        "boletins_rejected": facts.rejected,
    }


def _measurement_metadata(found: Measurement, workbook: str, *of_carriers: str) -> dict[str, Any]:
    return {
        "dagster/uri": workbook,
        "dagster/row_count": len(found.billing),
        "report": dg.MetadataValue.md(measurement_markdown(found)),
        "of_carriers": list(of_carriers),
        "total_brl": str(found.billing["total_brl"].sum()),
        "closed": found.closing is not None,
    }
