"""A billing cycle in a terminal: its totals and state, and what it would cost otherwise."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd

from telemetria_pipeline.reports.text import brl, day_of, number

MOST_VEHICLES = 10
_ZERO = Decimal(0)
_CLOSED = "O ciclo está fechado: a conta dele não muda. Compara-se o que se sabe dele hoje."
_MONEY = {
    "Variável": "variavel_brl",
    "Fixo": "fixo_brl",
    "Total": "total_brl",
    "Variável pelos km declarados": "variavel_declarado_brl",
}


def cycle_text(
    period: tuple[date, date],
    totals: pd.DataFrame,
    adjustments: pd.DataFrame,
    closing: Mapping[str, Any] | None,
    missing: Sequence[str],
    zone: ZoneInfo,
) -> str:
    """The cycle's totals, and whether it is closed.

    Args:
        totals: a row an operation, then one of all, as `core.billing.bill.totals` gives them.
        adjustments: contract ADJUSTMENTS.
        closing: `closed_at`, `hash`, `seal`, `reason` and versions; None while the cycle is open.
        missing: sentences about what is missing or left out, or was when it was closed.
        zone: whose clock tells when it was closed.
    """
    lines = "linha" if len(adjustments) == 1 else "linhas"
    return "\n".join(
        [
            f"Ciclo de {day_of(period[0])} a {day_of(period[1])}: {_state(closing, zone)}",
            "",
            _table(
                ["Operação", "Veículos", "Km auditados", *_MONEY],
                [
                    [row["operacao"], str(row["veiculos"]), number(row["km_auditado"], 3)]
                    + [brl(row[name]) for name in _MONEY.values()]
                    for row in totals.to_dict("records")
                ],
            ),
            "",
            f"Ajustes de ciclos fechados: {number(len(adjustments), 0)} {lines}, "
            f"{brl(sum(adjustments['ajuste_brl'], start=_ZERO))}",
            *([_heading(closing)] if missing else []),
            *(f"  {said}" for said in missing),
        ]
    )


def _heading(closing: Mapping[str, Any] | None) -> str:
    if closing is None:
        return "Pendente:"
    return f"Fechado assim mesmo ({closing['reason']}):" if closing["reason"] else "Fechado assim mesmo:"


def verified_text(cycles: Sequence[str], days: int, seal: str, problems: Sequence[str]) -> str:
    """What was held against what was written, and what is not.

    Args:
        cycles: keys of the closed ones; days: how many were audited.
        seal: the newest of the log, empty where there is none.
        problems: sentences.
    """
    checked = (
        f"Conferidos: ciclos fechados {', '.join(cycles) or '(nenhum)'}; dias auditados: {number(days, 0)}."
    )
    end = problems or ["Tudo é o que foi escrito."]
    return "\n".join([checked, *([f"Último selo: {seal}"] if seal else []), *end])


def what_if_text(
    totals_now: pd.DataFrame,
    totals_then: pd.DataFrame,
    now: pd.DataFrame,
    then: pd.DataFrame,
    closed: bool,
) -> str:
    """A cycle's bill beside the one that it would be, and the vehicles that change most.

    Args:
        totals_now, totals_then: as `core.billing.bill.totals` gives them.
        now, then: contract BILLING.
        closed: whether the cycle is, so that this is of no consequence to its bill.
    """
    operations = _side_by_side(totals_now, totals_then, "operacao")
    vehicles = _side_by_side(now, then, "veiculo")
    changes = vehicles["change"].abs().sort_values(ascending=False, kind="stable")
    largest = vehicles.loc[changes[changes > 0].index[:MOST_VEHICLES]]
    said = [_CLOSED, ""] if closed else []
    said += [_comparison("Operação", operations), ""]
    if largest.empty:
        return "\n".join([*said, "Nenhum veículo mudaria."])
    return "\n".join([*said, "Os veículos que mais mudariam:", "", _comparison("Veículo", largest)])


def _side_by_side(now: pd.DataFrame, then: pd.DataFrame, key: str) -> pd.DataFrame:
    """Kilometres and totals of both by `key`, and the `change` of the total; 0 where one of them has none."""
    columns = ["km_auditado", "total_brl"]
    was, will = (bill.groupby(key, sort=False)[columns].sum().astype(object) for bill in (now, then))
    both = was.join(will.add_suffix("_then"), how="outer", sort=False).fillna(0)
    return both.assign(change=both["total_brl_then"] - both["total_brl"])


def _comparison(title: str, both: pd.DataFrame) -> str:
    return _table(
        [title, "Km auditados", "seriam", "Total", "seria", "Diferença"],
        [
            [row["index"]]
            + [number(row[name], 3) for name in ("km_auditado", "km_auditado_then")]
            + [brl(row[name]) for name in ("total_brl", "total_brl_then")]
            + [("+" if row["change"] > 0 else "") + brl(row["change"])]
            for row in both.rename_axis("index").reset_index().to_dict("records")
        ],
    )


def _state(closing: Mapping[str, Any] | None, zone: ZoneInfo) -> str:
    if not closing:
        return "aberto, os valores ainda podem mudar"
    at = datetime.fromisoformat(str(closing["closed_at"])).astimezone(zone)
    return (
        f"fechado em {at:%d/%m/%Y às %H:%M}\n"
        f"Hash {closing['hash']}, conferido\n"
        f"Selo {closing['seal']}, conferido\n"
        f"Regras {closing['rules_version']}, tarifas {closing['tariffs_version']}"
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The first column to the left, numbers to the right."""
    lines = [head, *rows]
    widths = [max(len(line[n]) for line in lines) for n in range(len(head))]
    return "\n".join(
        "  ".join(
            [line[0].ljust(widths[0]), *(t.rjust(w) for t, w in zip(line[1:], widths[1:], strict=True))]
        )
        for line in lines
    )
