"""Rows of the audit's tables as a test writes them: what matters said, the rest sound."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import pyarrow as pa

from telemetria_pipeline.contracts.audit import TRIP_SEGMENTS, VALIDATED_TRIPS
from telemetria_pipeline.contracts.base import Contract

ZONE = ZoneInfo("America/Sao_Paulo")
DAY = date(2026, 3, 10)
DEPARTURE = datetime(2026, 3, 10, 10, tzinfo=UTC)  # 07:00 by the clock of the zone
PLATE = "GDP4J68"
SOURCE = "sol"

_DECLARED: dict[str, Any] = {
    "turno": "A",
    "numero_ata": "0017",
    "empresa_declarada": "Viação Teste",
    "motorista_declarado": "M-0a1b2c3d",
    "declaracoes": 1,
    "arquivo_id": "arquivo-1",
    "arquivo": "boletim.csv",
    "linha": 2,
}
_MEASURED: dict[str, Any] = {
    "segmentos": 1,
    "fonte_distancia": "odometro",
    "situacao_odometro": "ok",
    "fonte_telemetria": SOURCE,
    "motivo_fonte": "unica",
    "motorista_medido": "M-0a1b2c3d",
    "sobreposicao": 1.0,
    "dif_saida_min": 0.0,
    "dif_chegada_min": 0.0,
}


def trip(**said: Any) -> dict[str, Any]:
    """A trip of 45 minutes and 20 km on which both sides agree, except for what is said.

    Times and odometers follow from `saida_utc` and the kilometres. `km_declarado=None` is a trip that
    nobody declared, `km_medido=None` one that nobody measured.
    """
    departure = said.get("saida_utc", DEPARTURE)
    arrival = said.get("chegada_utc", departure + timedelta(minutes=45))
    declared, measured = said.get("km_declarado", 20), said.get("km_medido", 20)
    sides = {(True, True): "ambos", (True, False): "boletim", (False, True): "telemetria"}
    row: dict[str, Any] = {
        "fonte": sides[declared is not None, measured is not None],
        "veiculo": said.get("placa") or PLATE,
        "placa": PLATE,
        "equipamento": "3803",
        "transportadora": "VIAÇÃO TESTE",
        "tipo": "ONIBUS",
        "operacao": "AGR",
        "rota": "Usina - Frente 3",
        "garagem": "Centro",
        "veiculo_conhecido": True,
        "saida_utc": departure,
        "chegada_utc": arrival,
        "km_declarado": declared,
        "declaracoes": 0,
        "segmentos": 0,
        "aparelho_trocado": False,
        "km_medido": measured,
        "fontes_discordam": False,
        "motorista_confere": True,
        "aceita": False,
        "cobertura": 1.0,
        "cobertura_busca": 1.0,
        "sinal": "presente",
        "km_sem_sinal": 0,
        "veredito": "ok",
        "km_auditado": 0 if declared is None else declared,
        "base_auditoria": "a_declarar" if declared is None else "acordo",
        "contrato": "C-1",
        "tarifa_brl_km": "2.73",
        "tolerancia_pct": 10,
        "tolerancia_km": 1,
        "tolerancia_do_contrato": False,
        "versao_regras": "1-abc123",
        "versao_tarifas": "def456",
    }
    if declared is not None:
        row |= _DECLARED | {"km_saida": 1_000.0, "km_chegada": 1_000.0 + float(declared)}
    if measured is not None:
        row |= _MEASURED | {"saida_medida_utc": departure, "chegada_medida_utc": arrival}
    if declared is not None and measured:
        row["divergencia"] = float(declared) / float(measured) - 1
    return row | said


def segment(**said: Any) -> dict[str, Any]:
    """A measured trip of 45 minutes and 20 km, by odometer, of the first of `trips`; else as said."""
    departure = said.get("saida_utc", DEPARTURE)
    km = float(said.get("km_medido", 20))
    return {
        "viagem_id": trip_id(1),
        "veiculo": PLATE,
        "fonte": SOURCE,
        "veiculo_id": "v-1",
        "saida_utc": departure,
        "chegada_utc": departure + timedelta(minutes=45),
        "km_medido": 20,
        "distancia_telemetria_km": km,
        "odometro_saida_km": 1_000.0,
        "odometro_chegada_km": 1_000.0 + km,
        "fonte_distancia": "odometro",
        "situacao_odometro": "ok",
        "aparelho_trocado": False,
        "captura": "c1",
        "pagina": 1,
        "registro": 1,
        "raw_key": "raw_telemetry/data=2026-03-10/hora=07/c1/pagina-00001.json.zst",
        "raw_sha256": "ab" * 32,
        **said,
    }


def trip_id(number: int) -> str:
    """What `trips` calls its row of that number, from 1."""
    return f"{number:016x}"


def trips(*rows: dict[str, Any]) -> pd.DataFrame:
    """Rows under contract VALIDATED_TRIPS; a row without `viagem_id` gets its number's."""
    numbered = [{"viagem_id": trip_id(number), **row} for number, row in enumerate(rows, start=1)]
    return frame_of(VALIDATED_TRIPS, numbered)


def segments(*rows: dict[str, Any]) -> pd.DataFrame:
    """Rows under contract TRIP_SEGMENTS."""
    return frame_of(TRIP_SEGMENTS, rows)


def hours(day: date = DAY, states: dict[int, str] | None = None, fonte: str = SOURCE) -> pd.DataFrame:
    """A source's hours of a day and its neighbours: captured, except those with a state in `states`."""
    first = pd.Timestamp(day, tz=ZONE) - timedelta(days=1)
    begins = pd.date_range(first, periods=72, freq="h", tz=ZONE).tz_convert("UTC").as_unit("us")
    number = range(-24, 48)
    state = [(states or {}).get(n, "captured") for n in number]
    return pd.DataFrame(
        {
            "fonte": pd.Series([fonte] * len(number), dtype="str"),
            "inicio_utc": begins,
            "fim_utc": begins + timedelta(hours=1),
            "estado": pd.Series(state, dtype="str"),
            "evidencia": pd.Series([f"hora{n:+03d} sha256=00" for n in number], dtype="str"),
        }
    )


def frame_of(contract: Contract, rows: Iterable[dict[str, Any]]) -> pd.DataFrame:
    """Rows as a frame with the contract's columns and dtypes; numbers become exact where they must be."""
    rows = list(rows)

    def column(name: str, type: pa.DataType, dtype: Any) -> pd.Series:
        values = [row.get(name) for row in rows]
        if pa.types.is_decimal(type):
            values = [None if v is None else Decimal(str(v)) for v in values]
        return pd.Series(values, dtype=dtype)

    return pd.DataFrame({c.name: column(c.name, c.type, c.pandas_dtype) for c in contract.columns})
