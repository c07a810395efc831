"""Rows of the tables that reports show, as a test writes them: what matters said, the rest sound."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pandas as pd

from telemetria_pipeline.contracts.audit import DAILY_KM, DIVERGENCES
from telemetria_pipeline.contracts.billing import ADJUSTMENTS, BILLING, PATTERNS
from telemetria_pipeline_tests.core.audit.rows import DEPARTURE, PLATE, frame_of, trip_id

HOSTILE = "<script>alert(1)</script>&\"'.xlsx"
FORMULA = '=HYPERLINK("http://evil.example";"clique")'

_VEHICLE = {
    "veiculo": PLATE,
    "placa": PLATE,
    "equipamento": "3803",
    "transportadora": "VIAÇÃO TESTE",
    "operacao": "AGR",
    "rota": "Usina - Frente 3",
}
_VERSIONS = {"versao_regras": "1-abc123", "versao_tarifas": "def456"}


def divergence(**said: Any) -> dict[str, Any]:
    """A trip of 45 minutes of which 48 km were declared and 31.2 km measured; else as said."""
    departure = said.get("saida_utc", DEPARTURE)
    return {
        "posicao": 1,
        "divergencia_id": "20260310-0123456789",
        "viagem_id": trip_id(1),
        "viagens": 1,
        "tipo": "km_divergente",
        "veredito": "divergente",
        "severidade": "media",
        "valor_brl": "45.86",
        "confianca": 0.95,
        "frase": "Declarados 48,0 km das 07:00 às 07:45; a telemetria mediu 31,2 km "
        "(+53,8 %; tolerância de 10 % e 1 km).",
        **_VEHICLE,
        "garagem": "Centro",
        "motorista": "M-0a1b2c3d",
        "saida_utc": departure,
        "chegada_utc": departure + timedelta(minutes=45),
        "km_declarado": 48,
        "km_medido": "31.2",
        "km_auditado": "31.2",
        "divergencia": 48 / 31.2 - 1,
        "cobertura": 1.0,
        "tarifa_brl_km": "2.73",
        "contrato": "C-1",
        "arquivo_id": "arquivo-1",
        "arquivo": "boletim.xlsx",
        "aba": "Plan1",
        "linha": 17,
        "evidencia_telemetria": "raw_telemetry/data=2026-03-10/hora=07/c1/pagina-00001.json.zst "
        "sha256=" + "ab" * 32,
        **_VERSIONS,
        **said,
    }


def divergences(*rows: dict[str, Any]) -> pd.DataFrame:
    """Rows under contract DIVERGENCES, ranked as given."""
    ranked = [
        {**row, "posicao": n, "divergencia_id": f"20260310-{n:010x}"} for n, row in enumerate(rows, start=1)
    ]
    return frame_of(DIVERGENCES, ranked)


def bill_line(**said: Any) -> dict[str, Any]:
    """A vehicle with 1,234.567 km in a whole cycle; what depends on said numbers follows from them."""
    row = {
        **_VEHICLE,
        "tipo": "ONIBUS",
        "turnos": "A, B",
        "contrato": "C-1",
        "clausula": "4.1",
        "contrato_linha": 2,
        "regime": "intermunicipal",
        "modalidade": "contrato",
        "inicio": "2026-10-16",
        "fim": "2026-11-15",
        "dias": 31,
        "dias_ciclo": 31,
        "viagens": 40,
        "km_declarado": "1300",
        "km_medido": "1234.567",
        "km_auditado": "1234.567",
        "franquia_km": 0,
        "tarifa_brl_km": "2.73",
        "custo_fixo_mensal_brl": "40314.14",
        "fixo_brl": "40314.14",
        "variavel_declarado_brl": "3549.00",
        **_VERSIONS,
        **said,
    }
    audited, franchise, tariff = (
        Decimal(str(row[name])) for name in ("km_auditado", "franquia_km", "tarifa_brl_km")
    )
    billed = max(audited - franchise, Decimal(0))
    variable = (billed * tariff).quantize(Decimal("0.01"), "ROUND_HALF_UP")
    return {
        **row,
        "km_faturado": billed,
        "variavel_brl": variable,
        "economia_brl": max(Decimal(str(row["variavel_declarado_brl"])) - variable, Decimal(0)),
        "total_brl": variable + Decimal(str(row["fixo_brl"])),
    }


def bill(*rows: dict[str, Any]) -> pd.DataFrame:
    """Rows under contract BILLING."""
    return frame_of(BILLING, rows)


def adjustment(**said: Any) -> dict[str, Any]:
    """A trip of a closed cycle that was declared late and costs R$ 54.60; else as said."""
    return {
        "ciclo_origem": "2026-09-16",
        "viagem_id": trip_id(9),
        **{name: _VEHICLE[name] for name in ("veiculo", "transportadora", "operacao")},
        "data": "2026-10-02",
        "saida_utc": DEPARTURE,
        "arquivo": "boletim atrasado.xlsx",
        "km_antes": 0,
        "km_depois": 20,
        "valor_antes_brl": 0,
        "valor_depois_brl": "54.60",
        "ajuste_brl": "54.60",
        "causa": "viagem_nova",
        "frase": "Declarada depois do fechamento, no boletim atrasado.xlsx.",
        **said,
    }


def adjustments(*rows: dict[str, Any]) -> pd.DataFrame:
    """Rows under contract ADJUSTMENTS."""
    return frame_of(ADJUSTMENTS, rows)


def pattern(**said: Any) -> dict[str, Any]:
    """A carrier that declares 9 % too much throughout; else as said."""
    return {
        "padrao": "vies",
        "nivel": "transportadora",
        "chave": "VIAÇÃO TESTE",
        "transportadora": "VIAÇÃO TESTE",
        "viagens": 412,
        "ocorrencias": 409,
        "km_declarado": "10900",
        "km_medido": "10000",
        "vies": 0.09,
        "valor_brl": "2457.00",
        "frase": "Em 409 de 412 viagens, o declarado passa do medido; no todo, +9,0 %.",
        **said,
    }


def patterns(*rows: dict[str, Any]) -> pd.DataFrame:
    """Rows under contract PATTERNS."""
    return frame_of(PATTERNS, rows)


def vehicle_day(**said: Any) -> dict[str, Any]:
    """A vehicle's day with a trip of 20 km on both sides; else as said."""
    counted = (
        *("regressoes", "viradas", "saltos", "contradicoes", "unidades", "ausentes", "parados"),
        "horas_sem_telemetria",
    )
    kilometres = ("km_odometro", "km_telemetria", "km_medido", "km_declarado", "km_auditado")
    return {
        **_VEHICLE,
        "tipo": "ONIBUS",
        "garagem": "Centro",
        "viagens_declaradas": 1,
        "viagens_medidas": 1,
        **dict.fromkeys(kilometres, 20),
        "fonte_leitura": "odometro",
        **dict.fromkeys(("sem_telemetria", "sem_boletim", "sem_dados"), False),
        **dict.fromkeys(counted, 0),
        **said,
    }


def vehicle_days(*rows: dict[str, Any]) -> pd.DataFrame:
    """Rows under contract DAILY_KM."""
    return frame_of(DAILY_KM, rows)
