"""The checks of `billing`."""

from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import dagster as dg
import pandas as pd
import pyarrow as pa

from telemetria_pipeline.core.billing.bill import NO_OPERATION, TOTAL

BILL = dg.AssetKey("billing")
TARIFFS_COVER = dg.AssetCheckSpec(
    "tariffs_cover_trips",
    asset=BILL,
    blocking=True,
    description="Every day on which a known vehicle was in use has terms in force. Where one has not, "
    "nothing is written and the earlier bill stays.",
)
PARTS_SUM = dg.AssetCheckSpec(
    "parts_sum_to_totals",
    asset=BILL,
    blocking=True,
    description="The stored bill, computed again in plain decimals: each line's km times tariff and days of "
    "fixed cost, trips' km against lines' km, lines against the totals of the operations and of all.",
)
SPECS = [TARIFFS_COVER, PARTS_SUM]

_CENT = Decimal("0.01")
_KM = ("km_declarado", "km_auditado", "km_faturado")
_MONEY = ("variavel_brl", "fixo_brl", "total_brl")
_NAMED = 5


def tariffs_cover_trips(holes: list[str]) -> dg.AssetCheckResult:
    """The result of `tariffs_cover_trips` for the sentences about what is not covered."""
    return _result(TARIFFS_COVER, holes)


def parts_sum_to_totals(billing: pa.Table, priced: pa.Table, totals: pd.DataFrame) -> dg.AssetCheckResult:
    """The result of `parts_sum_to_totals`.

    Args:
        billing: the stored bill, contract BILLING; priced: its stored trips, contract PRICED_TRIPS.
        totals: the sums that people are told, as `core.billing.bill.totals` gives them.
    """
    lines = billing.to_pylist()
    problems = [said for line in lines for said in _line_problems(line)]
    problems += _trip_problems(lines, priced)
    told = totals.set_index("operacao")
    for operation in told.index:
        of = [r for r in lines if operation in (TOTAL, r["operacao"] or NO_OPERATION)]
        for name in (*_KM, *_MONEY):
            if told.loc[operation, name] != sum((r[name] for r in of), Decimal(0)):
                problems.append(f"{name} of {operation} is not the sum of its lines")
    return _result(PARTS_SUM, problems)


def _line_problems(line: Mapping[str, Any]) -> list[str]:
    right = {
        "variavel_brl": line["km_faturado"] * line["tarifa_brl_km"],
        "fixo_brl": line["custo_fixo_mensal_brl"] * line["dias"] / line["dias_ciclo"],
        "total_brl": line["variavel_brl"] + line["fixo_brl"],
    }
    who = f"{line['veiculo']}, row {line['contrato_linha']} of the contracts"
    return [
        f"{name} of {who} is not {amount}"
        for name, exact in right.items()
        if line[name] != (amount := exact.quantize(_CENT, ROUND_HALF_UP))
    ]


def _trip_problems(lines: list[dict[str, Any]], priced: pa.Table) -> list[str]:
    sums = priced.group_by("veiculo").aggregate([(name, "sum") for name in _KM]).to_pylist()
    by_vehicle = {row["veiculo"]: row for row in sums}
    problems = []
    for vehicle in sorted({line["veiculo"] for line in lines}):
        trips = by_vehicle.get(vehicle, {})
        for name in _KM:
            billed = sum((line[name] for line in lines if line["veiculo"] == vehicle), Decimal(0))
            if billed != (trips.get(f"{name}_sum") or 0):
                problems.append(f"{name} of {vehicle} is not the sum of its trips")
    return problems


def _result(spec: dg.AssetCheckSpec, problems: list[str]) -> dg.AssetCheckResult:
    more = [f"and {len(problems) - _NAMED} more"] if len(problems) > _NAMED else []
    return dg.AssetCheckResult(
        asset_key=spec.asset_key,
        check_name=spec.name,
        passed=not problems,
        severity=dg.AssetCheckSeverity.ERROR,
        description="; ".join([*problems[:_NAMED], *more]) or None,
        metadata={"problems": len(problems)},
    )
