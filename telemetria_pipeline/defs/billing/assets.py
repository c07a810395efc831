"""`billing`: what a cycle costs, to the cent."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import dagster as dg
import pandas as pd

from telemetria_pipeline.business_calendar import Cycle
from telemetria_pipeline.contracts.audit import VALIDATED_TRIPS
from telemetria_pipeline.contracts.billing import (
    ADJUSTMENTS,
    BILLING,
    ODOMETER_RECONCILIATION,
    PRICED_TRIPS,
)
from telemetria_pipeline.contracts.reference import CONTRACTS, VEHICLES
from telemetria_pipeline.core.billing.bill import left_out, totals
from telemetria_pipeline.core.exact import units
from telemetria_pipeline.defs.billing import checks
from telemetria_pipeline.defs.failures import failures_end_the_run
from telemetria_pipeline.defs.metadata import asset_facts, markdown_table, preview, written_metadata
from telemetria_pipeline.defs.partitions import BILLING_CYCLE
from telemetria_pipeline.defs.resources import PipelineResource
from telemetria_pipeline.reports.text import brl, number
from telemetria_pipeline.steps.cycle import BilledCycle, TariffsMissing, bill_cycle


@dg.asset(
    name=BILLING.name,
    deps=[VALIDATED_TRIPS.name, CONTRACTS.name, VEHICLES.name],
    description=f"{BILLING.description} With it: `priced_trips`, `adjustments` of closed cycles, "
    "`odometer_reconciliation`, `patterns`. A cycle that was closed stays as it was frozen.",
    partitions_def=BILLING_CYCLE,
    check_specs=checks.SPECS,
    # One at a time: of two bills of a cycle, the one that read first must not be the one that writes last.
    pool="billing",
    **asset_facts("billing", BILLING),
)
def billing(
    context: dg.AssetExecutionContext, pipeline: PipelineResource
) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult]:
    """Bill the cycle from the days that are audited so far."""
    cycle = Cycle.from_key(context.partition_key)
    with failures_end_the_run():
        lake = pipeline.lake()
        try:
            billed = bill_cycle(lake, cycle, pipeline.load())
        except TariffsMissing as error:
            yield checks.tariffs_cover_trips(error.reasons)
            raise
    if billed.days_missing:
        context.log.warning(f"{len(billed.days_missing)} days of the cycle are not audited yet")
    sums = totals(billed.tables[BILLING])
    yield checks.tariffs_cover_trips([])
    bill, priced = (lake.read_table(c.name, cycle.partition) for c in (BILLING, PRICED_TRIPS))
    yield checks.parts_sum_to_totals(bill, priced, sums)
    yield dg.MaterializeResult(metadata=_metadata(billed, sums))


def _metadata(billed: BilledCycle, sums: pd.DataFrame) -> dict[str, Any]:
    bill, closing = billed.tables[BILLING], billed.closing
    adjusted = int(units(billed.tables[ADJUSTMENTS]["ajuste_brl"]).sum())
    intervals = billed.tables.get(ODOMETER_RECONCILIATION, ODOMETER_RECONCILIATION.empty())
    cents = pd.Series(units(intervals["valor_brl"])).groupby(intervals["veredito"].to_numpy()).sum()
    return {
        **written_metadata(billed.written[BILLING.name], BILLING),
        "state": f"closed {closing.closed_at.isoformat()}, {closing.hash}" if closing else "open",
        **{f"rows/{name}": table.rows for name, table in billed.written.items()},
        **{f"total/{row['operacao']}": brl(row["total_brl"]) for row in sums.to_dict("records")},
        "adjustments": brl(Decimal(adjusted).scaleb(-2)),
        **{f"odometers/{verdict}": brl(Decimal(int(sum_)).scaleb(-2)) for verdict, sum_ in cents.items()},
        "rules": ", ".join(bill["versao_regras"].unique()),
        "tariffs": ", ".join(bill["versao_tarifas"].dropna().unique()),
        "left_out": left_out(billed.tables[PRICED_TRIPS]),
        "days_missing": [str(day) for day in billed.days_missing],
        "totals": dg.MetadataValue.md(markdown_table(_in_words(sums))),
        "preview": preview(bill, BILLING),
    }


def _in_words(sums: pd.DataFrame) -> pd.DataFrame:
    """The totals as an analyst reads them."""
    money = {
        "Variável": "variavel_brl",
        "Fixo": "fixo_brl",
        "Total": "total_brl",
        "Variável pelos km declarados": "variavel_declarado_brl",
    }
    return pd.DataFrame(
        {
            "Operação": sums["operacao"],
            "Veículos": sums["veiculos"],
            "Km auditados": [number(km, 3) for km in sums["km_auditado"]],
            **{title: [brl(value) for value in sums[name]] for title, name in money.items()},
        }
    )
