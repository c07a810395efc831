"""A month of measured and declared trips, made at once: what the audit and DuckDB are given to read.

    python benchmarks/audit_data.py --rows 1000000 --out FOLDER

Of each hundred declared trips some ten declare 12 to 40 % too much and two were never driven; of each hundred
measured ones two were never declared. Odometers run on from trip to trip.
"""

import argparse
from decimal import Decimal
from pathlib import Path
from time import perf_counter

import numpy as np
import pandas as pd
import pyarrow as pa

from telemetria_pipeline.contracts.boletim import BOLETIM_TRIPS
from telemetria_pipeline.contracts.reference import CONTRACTS, VEHICLES
from telemetria_pipeline.contracts.telemetry import TRIPS
from telemetria_pipeline.storage.lake import Lake

FIRST, DAYS = pd.Timestamp("2026-02-16", tz="America/Sao_Paulo"), 28
TRIPS_A_DAY = 15
SLOT_S = 86_400 // TRIPS_A_DAY
LETTERS = np.array(list("ABCDEFGHIJKLMNOPQRSTUVWXYZ"))


def month(rows: int) -> dict[str, pd.DataFrame]:
    """`declared`, `segments`, `hours`, `vehicles` and `contracts`; some `rows` rows on either side."""
    rng = np.random.default_rng(7)
    count = max(1, round(rows / (DAYS * TRIPS_A_DAY * 0.98)))
    plates = _plates(count)
    vehicle = np.repeat(np.arange(count), DAYS * TRIPS_A_DAY)
    slot = np.tile(np.arange(DAYS * TRIPS_A_DAY), count)
    start = FIRST.tz_convert("UTC").value // 10**9 + slot * SLOT_S + rng.integers(0, 1_500, len(slot))
    seconds = rng.integers(900, 3_600, len(slot))
    km = (seconds * rng.uniform(8, 15, len(slot)) / 1_000).round(3)
    driven = rng.random(len(slot)) >= 0.02  # the others are phantoms: declared, and nothing moved
    told = rng.random(len(slot)) >= 0.02
    odometer = 50_000 + np.cumsum(np.where(driven, km, 0)).round(3)
    factor = np.where(rng.random(len(slot)) < 0.1, rng.uniform(1.12, 1.4, len(slot)), 1)
    said_km = (km * factor * rng.uniform(0.98, 1.02, len(slot))).round(1)
    text = {"transportadora": "Transportes Medidos", "fuso": "America/Sao_Paulo"}
    segments = _frame(
        TRIPS,
        driven,
        veiculo_id=np.char.add("v-", vehicle.astype(str)),
        placa=plates[vehicle],
        placa_recebida=plates[vehicle],
        motorista=np.char.add("MOTORISTA ", (vehicle % 900).astype(str)),
        saida_utc=_instants(start),
        chegada_utc=_instants(start + seconds),
        distancia_km=km,
        distancia_telemetria_km=(km * rng.uniform(0.985, 1.015, len(slot))).round(3),
        odometro_saida_km=(odometer - km).round(3),
        odometro_chegada_km=odometer,
        fonte_distancia="odometro",
        situacao_odometro="ok",
        captura="20260216T000000Z-medida",
        pagina=1 + slot % 40,
        registro=1 + vehicle % 100,
        **text,
    ).assign(fonte="medida", raw_key="raw_telemetry/pagina-00001.json.zst", raw_sha256="0" * 64)
    shown = FIRST + pd.to_timedelta(slot * SLOT_S, unit="s")
    declared = _frame(
        BOLETIM_TRIPS,
        told,
        placa=plates[vehicle],
        placa_recebida=plates[vehicle],
        data=shown.strftime("%Y-%m-%d").to_numpy(),
        horario_saida="07:00:00",
        horario_chegada="08:00:00",
        km_saida=(odometer - km).round(1),
        km_chegada=(odometer - km).round(1) + said_km,
        motorista=np.char.add("MOTORISTA ", (vehicle % 900).astype(str)),
        empresa="Transportes Medidos",
        saida_utc=_instants(start // 60 * 60),
        chegada_utc=_instants((start + seconds) // 60 * 60 + 60),
        km_declarado=said_km,
        arquivo=np.char.add("boletim_", (vehicle // 50).astype(str)),
        linha=1 + slot,
        fuso=text["fuso"],
    )
    declared["arquivo_id"] = declared["arquivo"]
    begins = pd.date_range(FIRST - pd.Timedelta(days=1), periods=(DAYS + 2) * 24, freq="h").tz_convert("UTC")
    begins = begins.as_unit("us")
    return {
        "declared": declared,
        "segments": segments,
        "hours": pd.DataFrame(
            {
                "fonte": "medida",
                "inicio_utc": begins,
                "fim_utc": begins + pd.Timedelta(hours=1),
                "estado": "captured",
                "evidencia": "raw_telemetry/pagina-00001.json.zst sha256=" + "0" * 64,
            }
        ).astype(dict.fromkeys(("fonte", "estado", "evidencia"), "str")),
        "vehicles": _frame(
            VEHICLES,
            np.ones(count, bool),
            placa=plates,
            placa_recebida=plates,
            tipo="Ônibus",
            operacao=np.where(np.arange(count) % 2, "AGR", "IND"),
            transportadora=text["transportadora"],
        ),
        "contracts": CONTRACTS.frame(
            pa.Table.from_pylist([_contract("AGR", 2), _contract("IND", 3)], schema=CONTRACTS.arrow_schema)
        ),
    }


def _contract(operation: str, row: int) -> dict[str, object]:
    return {
        "contrato": "C-1",
        "clausula": "4.1",
        "contrato_linha": row,
        "modalidade": "contrato",
        "tipo": "Ônibus",
        "operacao": operation,
        "tarifa_brl_km": Decimal("2.7300"),
        "custo_fixo_mensal_brl": Decimal("40314.14"),
        "franquia_km": Decimal("0.000"),
        "vigencia_inicio": "2025-01-01",
    }


def _plates(count: int) -> np.ndarray:
    n = np.arange(count)
    head = LETTERS[n // 676 % 26] + LETTERS[n // 26 % 26] + LETTERS[n % 26]
    return head + (n % 10).astype(str).astype(object) + LETTERS[n % 10] + "34"


def _instants(seconds: np.ndarray) -> pd.DatetimeIndex:
    return pd.DatetimeIndex((seconds * 1_000_000).astype("datetime64[us]"), tz="UTC")


def _frame(contract, keep: np.ndarray, **columns: object) -> pd.DataFrame:
    whole = pd.DataFrame(columns, index=np.arange(len(keep)))[keep].reset_index(drop=True)
    return whole.reindex(columns=contract.names).astype({c.name: c.pandas_dtype for c in contract.columns})


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    lake = Lake.open(f"file:{asked.out}")
    began = perf_counter()
    for name, frame in month(asked.rows).items():
        table = pa.Table.from_pandas(frame, preserve_index=False)
        texts = [f.with_type(pa.string()) if pa.types.is_large_string(f.type) else f for f in table.schema]
        lake.write_table(name, {}, table.cast(pa.schema(texts)))
    print(perf_counter() - began)


if __name__ == "__main__":
    main()
