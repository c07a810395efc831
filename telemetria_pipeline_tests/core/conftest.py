"""Mapped records as a test writes them: what matters said, the rest sound."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from telemetria_pipeline.contracts.telemetry import MAPPED_TRIPS

START = datetime(2026, 3, 10, 10, tzinfo=UTC)
END = START + timedelta(hours=1)
CAPTURED = END + timedelta(hours=2)


def mapped_frame(*records: dict) -> pd.DataFrame:
    """Records under contract MAPPED_TRIPS; each sound unless it says otherwise."""
    rows = []
    for number, said in enumerate(records, start=1):
        departure = said.get("saida_utc", START + timedelta(minutes=5))
        rows.append(
            {
                "transportadora": "Viação Teste",
                "veiculo_id": f"v-{number}",
                "placa_recebida": "GDP-4J68",
                "saida_utc": departure,
                "chegada_utc": departure and departure + timedelta(minutes=30),
                "fuso": "America/Sao_Paulo",
                "distancia_telemetria_km": 20.0,
                "odometro_saida_km": 1_000.0,
                "odometro_chegada_km": 1_020.1,
                "em_andamento": False,
                "id_origem": f"t-{number}",
                "pagina": 1,
                "registro": number,
                **said,
            }
        )
    frame = pd.DataFrame(rows, columns=MAPPED_TRIPS.names)
    return frame.astype({c.name: c.pandas_dtype for c in MAPPED_TRIPS.columns})


@pytest.fixture
def mapped() -> Callable[..., pd.DataFrame]:
    return mapped_frame
