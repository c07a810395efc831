"""The least that does the job: fetch every page of every hour, flatten it, write one Parquet an hour.

    python benchmarks/bare.py --url URL --out FOLDER --start 2026-03-10T03:00:00Z --hours 24

What a competent engineer writes in an afternoon, and what ours is compared with: no retries, no raw kept,
nothing checked, no history. It imports nothing of ours.
"""

import argparse
import time
from datetime import datetime, timedelta
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import requests
from server import TOKEN

INSTANT = pa.timestamp("us", tz="UTC")


def instants(texts: list[str | None]) -> pa.Array:
    """ISO 8601 texts, all with Z, as UTC instants."""
    return pa.array(texts, pa.string()).cast(INSTANT)


def kilometres(metres: list[float | None]) -> pa.Array:
    """Metres as kilometres."""
    return pc.divide(pa.array(metres, pa.float64()), 1000.0)


def flatten(trips: list[dict]) -> pa.Table:
    """A page's records as the columns that ours has too, one row a record."""
    assets = [t["asset"] for t in trips]
    drivers = [t["driver"] or {} for t in trips]
    departures = [t["departure"] for t in trips]
    arrivals = [t["arrival"] or {} for t in trips]
    plates = [a["registration"] for a in assets]
    left = kilometres([d["odometer_m"] for d in departures])
    arrived = kilometres([a.get("odometer_m") for a in arrivals])
    return pa.table(
        {
            "transportadora": pa.array(["bench"] * len(trips)),
            "veiculo_id": pa.array([a["id"] for a in assets], pa.string()),
            "placa": pa.array([p and p.upper().replace("-", "") for p in plates], pa.string()),
            "placa_recebida": pa.array(plates, pa.string()),
            "equipamento": pa.array([a["description"].split("|")[1] for a in assets], pa.string()),
            "descricao": pa.array([a["description"] for a in assets], pa.string()),
            "garagem": pa.array([t["garage"] for t in trips], pa.string()),
            "motorista_id": pa.array([d.get("id") for d in drivers], pa.string()),
            "motorista": pa.array([d.get("name") for d in drivers], pa.string()),
            "saida_utc": instants([d["time"] for d in departures]),
            "chegada_utc": instants([a.get("time") for a in arrivals]),
            "proxima_saida_utc": instants([t["next_departure"] for t in trips]),
            "fuso": pa.array([a["timezone"] for a in assets], pa.string()),
            "local_saida": pa.array([d["place"] for d in departures], pa.string()),
            "local_chegada": pa.array([a.get("place") for a in arrivals], pa.string()),
            "distancia_km": pc.subtract(arrived, left),
            "distancia_telemetria_km": kilometres([t["distance_m"] for t in trips]),
            "odometro_saida_km": left,
            "odometro_chegada_km": arrived,
            "velocidade_maxima_kmh": pa.array([t["max_speed_kmh"] for t in trips], pa.float64()),
            "tempo_conducao_s": pa.array([t["driving_seconds"] for t in trips], pa.float64()),
            "tempo_parado_s": pa.array([t["stopped_seconds"] for t in trips], pa.float64()),
            "id_origem": pa.array([t["id"] for t in trips], pa.string()),
            "atualizado_utc": instants([t["updated_at"] for t in trips]),
        }
    )


def fetch(session: requests.Session, url: str, start: datetime, end: datetime) -> pa.Table:
    """All pages of one window."""
    query = {"from": start.isoformat(), "to": end.isoformat(), "limit": "1000"}
    tables = []
    while True:
        response = session.get(f"{url}/v1/trips", params=query, timeout=60)
        response.raise_for_status()
        page = orjson.loads(response.content)
        tables.append(flatten(page["data"]))
        if not page["pagination"]["has_more"]:
            return pa.concat_tables(tables)
        query["cursor"] = page["pagination"]["next_cursor"]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--url", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--start", type=datetime.fromisoformat, required=True)
    parser.add_argument("--hours", type=int, required=True)
    args = parser.parse_args()
    began = time.perf_counter()
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {TOKEN}"
        for i in range(args.hours):
            start = args.start + timedelta(hours=i)
            table = fetch(session, args.url, start, start + timedelta(hours=1))
            folder = args.out / f"hora={start:%Y-%m-%dT%H}"
            folder.mkdir(parents=True)
            pq.write_table(table, folder / "part-0.parquet", compression="zstd")
    print(time.perf_counter() - began)


if __name__ == "__main__":
    main()
