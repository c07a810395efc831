"""One carrier's medição as a page that is printed and signed: the twin of its workbook."""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from telemetria_pipeline.business_calendar import Cycle
from telemetria_pipeline.core.billing.proof import PAID, UNPAID
from telemetria_pipeline.reports.measurement import (
    NO_OPERATION,
    NOT_PAID,
    PROOFS,
    Measurement,
    contract_of,
    file_name,
    measurement_workbook,
)
from telemetria_pipeline.reports.pages import SIGNING, render
from telemetria_pipeline.reports.text import brl, day_of, exact_sum, km, missing, place_in_boletim
from telemetria_pipeline.reports.workbook import local

MOST_DIVERGENCES = 40
_SUMMED = ("km_auditado", "km_faturado", "variavel_brl", "fixo_brl", "total_brl")
_OPERATIONS = {"AGR": "Operação agrícola (AGR)", "IND": "Operação industrial e administrativa (IND)"}


def measurement_files(measurement: Measurement, cycle: Cycle) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of each file: the cycle's workbook, then each carrier's workbook and page."""
    yield f"{file_name(cycle.key)}.xlsx", measurement_workbook(measurement)
    for carrier in measurement.carriers:
        own, name = measurement.of_carrier(carrier), file_name(cycle.key, carrier)
        yield f"{name}.xlsx", measurement_workbook(own)
        yield f"{name}.html", measurement_page(own).encode()


def measurement_page(measurement: Measurement) -> str:
    """The page, as HTML that stands alone, A4 landscape; of one carrier (`Measurement.of_carrier`)."""
    lines, adjustments = measurement.lines, measurement.adjustments
    adjusted, billed = exact_sum(adjustments["ajuste_brl"]), exact_sum(lines["total_brl"])
    shown = measurement.at_stake.head(MOST_DIVERGENCES)
    proofs = {name: exact_sum(lines[name]) for name in (*PAID, *UNPAID)}
    return render(
        "measurement.html.j2",
        carrier=measurement.carrier,
        period=measurement.period,
        state=measurement.state,
        versions=measurement.versions,
        seal=measurement.seal,
        closed=measurement.closing is not None,
        facts=[
            ("Total a faturar", brl(billed + adjusted)),
            ("Variável", brl(exact_sum(lines["variavel_brl"]))),
            ("Parcela fixa", brl(exact_sum(lines["fixo_brl"]))),
            ("Ajustes", brl(adjusted)),
            ("Veículos", str(lines["veiculo"].nunique())),
            ("Km rodados", km(exact_sum(lines["km_auditado"]))),
        ],
        groups=[
            _group(_OPERATIONS.get(operation, operation), rows)
            for operation in measurement.operations
            if len(rows := lines[lines["operacao"].fillna(NO_OPERATION) == operation])
        ],
        proofs=[(PROOFS[name], proofs[name], name in PAID) for name in proofs],
        variable=exact_sum(lines["variavel_brl"]),
        not_paid=NOT_PAID,
        adjustments=_dated(adjustments.sort_values(["ciclo_origem", "data", "veiculo"])),
        adjusted=adjusted,
        divergences=[
            {**row, "at": f"{at:%d/%m %H:%M}", "place": place}
            for row, at, place in zip(
                shown.to_dict("records"),
                local(shown["saida_utc"], measurement.zone),
                place_in_boletim(shown),
                strict=True,
            )
        ],
        more=len(measurement.at_stake) - len(shown),
        signing=SIGNING,
    )


def _group(title: str, rows: pd.DataFrame) -> dict[str, Any]:
    """An operation: its lines with their contract and days as people write them, and the sums."""
    return {
        "title": title,
        "lines": [
            {**line, "terms": contract_of(line), "days": f"{_day(line['inicio'])} a {_day(line['fim'])}"}
            for line in rows.to_dict("records")
        ],
        "sums": {name: exact_sum(rows[name]) for name in _SUMMED},
    }


def _dated(adjustments: pd.DataFrame) -> list[dict[Any, Any]]:
    return [
        {**row, "origin": _day(row["ciclo_origem"]), "day": _day(row["data"])}
        for row in adjustments.to_dict("records")
    ]


def _day(text: str) -> str:
    return "–" if missing(text) else day_of(pd.Timestamp(text))
