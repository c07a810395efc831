"""The floor of the audit: DuckDB's bare interval join, the sums a trip and a vehicle; on all its threads.

    python benchmarks/audit_duckdb.py --data FOLDER --out FOLDER

No choice between overlapping trips, no coverage, signal, verdict, sentence, tariff or bill.
"""

import argparse
from pathlib import Path
from time import perf_counter

import duckdb

SQL = """
COPY (
    WITH trips AS (
        SELECT d.placa, d.linha, any_value(d.km_declarado) AS km_declarado, sum(s.distancia_km) AS km_medido
        FROM declared d JOIN segments s
          ON d.placa = s.placa
         AND s.saida_utc <= d.chegada_utc + INTERVAL 30 MINUTE
         AND s.chegada_utc >= d.saida_utc - INTERVAL 30 MINUTE
        GROUP BY d.placa, d.linha
    )
    SELECT placa, count(*) AS viagens, sum(km_declarado) AS km_declarado, sum(km_medido) AS km_medido
    FROM trips GROUP BY placa
) TO '{out}/bill.parquet'
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    began = perf_counter()
    with duckdb.connect() as base:
        base.execute("SET TimeZone = 'UTC'")
        for name in ("declared", "segments"):
            base.execute(f"CREATE VIEW {name} AS FROM '{asked.data}/{name}/part-0.parquet'")
        base.execute(SQL.format(out=asked.out))
    print(perf_counter() - began)


if __name__ == "__main__":
    main()
