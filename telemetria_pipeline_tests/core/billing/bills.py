"""A cycle's trips, vehicles and contracts as a test of the bill writes them."""

from datetime import date, datetime, time
from typing import Any

from telemetria_pipeline.business_calendar import Cycle
from telemetria_pipeline.contracts.reference import CONTRACTS, VEHICLES
from telemetria_pipeline.core.audit.rules import AuditRules
from telemetria_pipeline.core.billing.bill import Bill, make_bill
from telemetria_pipeline_tests.core.audit.rows import ZONE, frame_of, trip, trips

CYCLE = Cycle.from_key("2026-02-16")  # 28 days
DAYS = [day.isoformat() for day in CYCLE.days]
PLATES = ("ABC1A00", "ABC1A01", "ABC1A02")


def vehicle(plate: str = PLATES[0], **said: Any) -> dict[str, Any]:
    return {
        "placa": plate,
        "placa_recebida": plate,
        "transportadora": "VIAÇÃO TESTE",
        "tipo": "ONIBUS",
        "operacao": "AGR",
        **said,
    }


def terms(row: int = 2, **said: Any) -> dict[str, Any]:
    """A row of the contracts: all buses, R$ 2,73 a km and R$ 28.000 a month, for ever."""
    return {
        "contrato": "C-1",
        "clausula": "4.1",
        "contrato_linha": row,
        "modalidade": "contrato",
        "tipo": None if "placa" in said else "ONIBUS",
        "tarifa_brl_km": "2.73",
        "custo_fixo_mensal_brl": 28_000,
        "franquia_km": 0,
        "vigencia_inicio": "2025-01-01",
        **said,
    }


def on(day: str, clock: time = time(7), **said: Any) -> dict[str, Any]:
    """A trip of that day."""
    departure = datetime.combine(date.fromisoformat(day), clock, tzinfo=ZONE)
    plate = said.pop("placa", PLATES[0])
    return trip(saida_utc=departure, placa=plate, veiculo=plate, **said)


def bill(rows: list[dict], vehicles: list[dict] | None, contracts: list[dict] | None) -> Bill:
    frame = trips(*rows)
    frame["data"] = frame["saida_utc"].dt.tz_convert(ZONE).dt.strftime("%Y-%m-%d").astype("str")
    return make_bill(
        frame,
        None if vehicles is None else frame_of(VEHICLES, vehicles),
        None if contracts is None else frame_of(CONTRACTS, contracts),
        CYCLE,
        AuditRules(),
    )
