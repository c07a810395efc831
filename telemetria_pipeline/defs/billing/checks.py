"""The checks of `billing`."""

from collections import defaultdict
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
    description="The stored bill, computed again in plain decimals: each line's km times tariff, the fixed "
    "cost of each vehicle and contract by days, trips' km and R$ against their lines', lines against the "
    "totals of the operations and of all.",
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
    problems += [*_fixed_problems(lines), *_trip_problems(lines, priced)]
    told = totals.set_index("operacao")
    for operation in told.index:
        of = [r for r in lines if operation in (TOTAL, r["operacao"] or NO_OPERATION)]
        for name in (*_KM, *_MONEY):
            if told.loc[operation, name] != sum((r[name] for r in of), Decimal(0)):
                problems.append(f"{name} of {operation} is not the sum of its lines")
    return _result(PARTS_SUM, problems)


def _line_problems(line: Mapping[str, Any]) -> list[str]:
    right = {
        "km_faturado": max(line["km_auditado"] - line["franquia_km"], Decimal(0)),
        "variavel_brl": _to_the_cent(line["km_faturado"] * line["tarifa_brl_km"]),
        "total_brl": line["variavel_brl"] + line["fixo_brl"],
    }
    who = f"{line['veiculo']}, row {line['contrato_linha']} of the contracts"
    problems = [f"{name} of {who} is not {is_}" for name, is_ in right.items() if line[name] != is_]
    fixed = line["custo_fixo_mensal_brl"] * line["dias"] / line["dias_ciclo"]
    if abs(line["fixo_brl"] - fixed) >= _CENT:
        problems.append(f"fixo_brl of {who} is a cent or more from {fixed}")
    return problems


def _fixed_problems(lines: list[dict[str, Any]]) -> list[str]:
    of_pair: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for line in lines:
        of_pair[line["veiculo"], line["contrato"]].append(line)
    problems = []
    for (vehicle, contract), of in of_pair.items():
        whole = sum((line["custo_fixo_mensal_brl"] * line["dias"] for line in of), Decimal(0))
        right = _to_the_cent(whole / of[0]["dias_ciclo"])
        if sum(line["fixo_brl"] for line in of) != right:
            problems.append(f"fixo_brl of {vehicle} under {contract} is not {right}")
    return problems


def _to_the_cent(amount: Decimal) -> Decimal:
    return amount.quantize(_CENT, ROUND_HALF_UP)


def _trip_problems(lines: list[dict[str, Any]], priced: pa.Table) -> list[str]:
    """Trips do not name the row of the contracts that prices them; vehicle, contract and tariff do."""
    keys = ["veiculo", "contrato", "tarifa_brl_km"]
    of_trip = {**{name: name for name in _KM}, "variavel_brl": "valor_brl"}
    sums = priced.group_by(keys).aggregate([(name, "sum") for name in of_trip.values()]).to_pylist()
    vehicles = {line["veiculo"] for line in lines}
    apart: dict[tuple[Any, ...], Decimal] = defaultdict(Decimal)
    for name, part in of_trip.items():
        for line in lines:
            apart[name, *(line[key] for key in keys)] += line[name]
        for trips in sums:
            if trips["veiculo"] in vehicles:
                apart[name, *(trips[key] for key in keys)] -= trips[f"{part}_sum"] or 0
    return [
        f"{name} of {vehicle} under {contract} is not the sum of its trips"
        for (name, vehicle, contract, _), difference in apart.items()
        if difference
    ]


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
