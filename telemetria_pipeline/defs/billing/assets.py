"""`billing`: what a cycle costs, to the cent."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import dagster as dg
import pandas as pd

from telemetria_pipeline.steps.closed_cycles import CycleRefused
from telemetria_pipeline.steps.cycle import BilledCycle, TariffsMissing, bill_cycle
from telemetria_pipeline.defs.metadata import markdown_table, preview, table_schema
from telemetria_pipeline.defs.resources import LakeResource
from telemetria_pipeline.defs.billing import checks
from telemetria_pipeline.contracts.audit import VALIDATED_TRIPS
from telemetria_pipeline.contracts.billing import ADJUSTMENTS, BILLING, PRICED_TRIPS
from telemetria_pipeline.contracts.reference import CONTRACTS, VEHICLES
from telemetria_pipeline.core.billing.bill import left_out, totals
from telemetria_pipeline.business_calendar import Cycle
from telemetria_pipeline.core.exact import units
from telemetria_pipeline.defs.partitions import BILLING_CYCLE
from telemetria_pipeline.reports.text import brl, number
from telemetria_pipeline.settings import Settings, SettingsError
from telemetria_pipeline.storage.object_store import StorageError


@dg.asset(
    name=BILLING.name,
    deps=[VALIDATED_TRIPS.name, CONTRACTS.name, VEHICLES.name],
    description=f"{BILLING.description} With it: `priced_trips`, `adjustments` of closed cycles, `patterns`. "
    "A cycle that was closed stays as it was frozen.",
    group_name="billing",
    owners=["team:data-engineering"],
    kinds={"parquet", "pandas"},
    code_version="1",
    metadata={"dagster/column_schema": table_schema(BILLING)},
    partitions_def=BILLING_CYCLE,
    check_specs=checks.SPECS,
    # One at a time: of two bills of a cycle, the one that read first must not be the one that writes last.
    pool="billing",
)
def billing(
    context: dg.AssetExecutionContext, lake: LakeResource
) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult]:
    """Bill the cycle from the days that are audited so far."""
    cycle = Cycle.from_key(context.partition_key)
    try:
        open_lake = lake.open()
        billed = bill_cycle(open_lake, cycle, Settings.from_env())
    except (CycleRefused, SettingsError) as error:
        if isinstance(error, TariffsMissing):
            yield checks.tariffs_cover_trips(error.reasons)
        raise dg.Failure(str(error), allow_retries=False) from None
    except StorageError as error:
        raise dg.Failure(str(error)) from None
    if billed.days_missing:
        context.log.warning(f"{len(billed.days_missing)} days of the cycle are not audited yet")
    sums = totals(billed.tables[BILLING])
    yield checks.tariffs_cover_trips([])
    bill, priced = (open_lake.read_table(c.name, cycle.partition) for c in (BILLING, PRICED_TRIPS))
    yield checks.parts_sum_to_totals(bill, priced, sums)
    yield dg.MaterializeResult(metadata=_metadata(billed, sums))


def _metadata(billed: BilledCycle, sums: pd.DataFrame) -> dict[str, Any]:
    bill, written, closing = billed.tables[BILLING], billed.written[BILLING.name], billed.closing
    adjusted = int(units(billed.tables[ADJUSTMENTS]["ajuste_brl"]).sum())
    return {
        "dagster/row_count": written.rows,
        "dagster/uri": written.uri,
        "dagster/column_schema": table_schema(BILLING),
        "state": f"closed {closing.closed_at.isoformat()}, {closing.hash}" if closing else "open",
        **{f"rows/{name}": table.rows for name, table in billed.written.items()},
        **{f"total/{row['operacao']}": brl(row["total_brl"]) for row in sums.to_dict("records")},
        "adjustments": brl(Decimal(adjusted).scaleb(-2)),
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
