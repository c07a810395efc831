"""`daily_report` and `measurement`: what people open, kept under `reports/` in the lake."""

from collections.abc import Iterator
from datetime import date
from typing import Any

import dagster as dg

from telemetria_pipeline.defs.failures import log_failure, run_failure
from telemetria_pipeline.steps.report_facts import NothingToReport, daily_facts, measurement_of
from telemetria_pipeline.defs.resources import LakeResource
from telemetria_pipeline.contracts.audit import DAILY_KM, DIVERGENCES, VALIDATED_TRIPS
from telemetria_pipeline.contracts.billing import BILLING
from telemetria_pipeline.business_calendar import Cycle
from telemetria_pipeline.defs.partitions import BILLING_CYCLE, DAILY
from telemetria_pipeline.reports.daily import DailyFacts, daily_markdown, daily_page, daily_workbook
from telemetria_pipeline.reports.measurement import Measurement, measurement_markdown, measurement_workbook
from telemetria_pipeline.settings import Settings, SettingsError
from telemetria_pipeline.storage.lake import Lake
from telemetria_pipeline.storage.object_store import StorageError

FOLDER = "reports"
_OURS = (NothingToReport, StorageError, SettingsError)


DAILY_REPORT = dg.AssetSpec(
    "daily_report",
    description="The D-1 report: spend, kilometres a vehicle and in all, divergences by money, hours missing "
    "and boletins, as a workbook and as a page that stands alone.",
    deps=[VALIDATED_TRIPS.name, DAILY_KM.name, DIVERGENCES.name],
    group_name="reports",
    owners=["team:data-engineering"],
    kinds={"excel", "html"},
    code_version="1",
    skippable=True,
)


@dg.multi_asset(
    specs=[DAILY_REPORT],
    partitions_def=DAILY,
    backfill_policy=dg.BackfillPolicy.multi_run(max_partitions_per_run=62),
)
def daily_report(context: dg.AssetExecutionContext, lake: LakeResource) -> Iterator[dg.MaterializeResult]:
    """Report the run's days one by one. A day that fails costs only itself; the run fails at the end."""
    failures = dict[str, Exception]()
    for key in context.partition_keys:
        try:
            open_lake = lake.open()
            facts = daily_facts(open_lake, date.fromisoformat(key), Settings.from_env())
            metadata = _daily_metadata(facts, *_write_daily(open_lake, facts))
        except Exception as error:  # whatever it is, the other days go on; the run fails at the end
            failures[key] = error
            log_failure(context, key, error, _OURS)
            continue
        if context.has_partition_key:
            yield dg.MaterializeResult(metadata=metadata)
        else:  # a result would say the same of every day of the range
            context.log_event(dg.AssetMaterialization(DAILY_REPORT.key, partition=key, metadata=metadata))
    if failures:
        raise run_failure(failures, len(context.partition_keys), "days", _OURS)


@dg.asset(
    description="The medição of a billing cycle as a workbook: a sheet an operation, totals, adjustments, "
    "divergences and patterns; the sums are formulas that agree with `billing` to the cent.",
    deps=[BILLING.name, DIVERGENCES.name],
    partitions_def=BILLING_CYCLE,
    group_name="reports",
    owners=["team:data-engineering"],
    kinds={"excel"},
    code_version="1",
)
def measurement(context: dg.AssetExecutionContext, lake: LakeResource) -> dg.MaterializeResult:
    """Write the cycle's workbook, in place of the one that may be there."""
    try:
        open_lake, cycle = lake.open(), Cycle.from_key(context.partition_key)
        found = measurement_of(open_lake, cycle, Settings.from_env())
        key = f"{FOLDER}/measurement/ciclo={cycle.key}/medicao_{cycle.key}.xlsx"
        open_lake.store.put(key, measurement_workbook(found))
    except (NothingToReport, SettingsError) as error:
        raise dg.Failure(str(error), allow_retries=False) from None
    except StorageError as error:
        raise dg.Failure(str(error)) from None
    return dg.MaterializeResult(metadata=_measurement_metadata(found, open_lake.store.uri(key)))


def _write_daily(lake: Lake, facts: DailyFacts) -> tuple[str, str]:
    """Where the workbook and the page now lie."""
    stem = f"{FOLDER}/daily/data={facts.day}/relatorio_{facts.day}"
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


def _measurement_metadata(found: Measurement, workbook: str) -> dict[str, Any]:
    return {
        "dagster/uri": workbook,
        "dagster/row_count": len(found.billing),
        "report": dg.MetadataValue.md(measurement_markdown(found)),
        "total_brl": str(found.billing["total_brl"].sum()),
        "closed": found.closing is not None,
    }
