"""Those who know nothing of this project read the lake as it lies: DuckDB, and Arrow's own S3 client."""

from datetime import UTC, date, datetime

import duckdb
import pyarrow as pa
import pyarrow.dataset
import pyarrow.fs
import pytest

from telemetria_pipeline.storage import Lake

SCHEMA = pa.schema(
    [("placa", pa.string()), ("saida_utc", pa.timestamp("us", tz="UTC")), ("km", pa.float64())]
)
DAYS = ("2026-11-21", "2026-11-22")
HOURS = tuple(f"{h:02}" for h in range(24))


@pytest.fixture
def filled(lake: Lake) -> Lake:
    """Two days of hours; the hour h of each holds h trips of 10 km, so that some hours are empty."""
    for day in DAYS:
        for hour in HOURS:
            leaves = datetime.fromisoformat(f"{day}T{hour}:00:00").replace(tzinfo=UTC)
            rows = [{"placa": f"Ação {n}", "saida_utc": leaves, "km": 10.0} for n in range(int(hour))]
            table = pa.Table.from_pylist(rows, schema=SCHEMA)
            lake.write_table("telemetry_trips", {"data": day, "hora": hour}, table)
    # What lies beside a table is not of it.
    lake.write_table("telemetry_trips_quarantine", {"data": DAYS[0], "hora": "00"}, pa.table({"x": [1]}))
    lake.write_json("telemetry_trips/data=2026-11-22/hora=07/ledger.json", {"accepted": 7})
    return lake


@pytest.mark.parametrize("address", ["folder"], indirect=True)
def test_duckdb_reads_the_partitions_of_a_folder(filled: Lake):
    trips = f"read_parquet('{filled.glob('telemetry_trips')}', hive_partitioning=true)"
    (total,) = duckdb.sql(f"SELECT count(*), sum(km), min(data), max(hora::INT) FROM {trips}").fetchall()
    assert total == (2 * sum(range(24)), 20.0 * sum(range(24)), date(2026, 11, 21), 23)
    by_hour = f"SELECT hora::INT, count(*) FROM {trips} WHERE data = '2026-11-22' GROUP BY 1 ORDER BY 1"
    assert duckdb.sql(by_hour).fetchall() == [(h, h) for h in range(1, 24)]
    columns = {
        name: str(type_) for name, type_, *_ in duckdb.sql(f"DESCRIBE SELECT * FROM {trips}").fetchall()
    }
    assert columns.pop("hora")  # a number to some versions, text to others
    assert columns == {
        "placa": "VARCHAR",
        "saida_utc": "TIMESTAMP WITH TIME ZONE",
        "km": "DOUBLE",
        "data": "DATE",
    }


def test_arrow_reads_the_partitions(filled: Lake, request, address: str):
    root = filled.store.uri("telemetry_trips")
    files: pyarrow.fs.FileSystem = pyarrow.fs.LocalFileSystem()
    if address.startswith("s3://"):
        s3 = request.getfixturevalue("s3")
        files = pyarrow.fs.S3FileSystem(
            access_key="x", secret_key="x", region="sa-east-1", endpoint_override=s3.url, scheme="http"
        )
    dataset = pyarrow.dataset.dataset(
        root.removeprefix("s3://"),
        filesystem=files,
        partitioning="hive",
        format="parquet",
        exclude_invalid_files=True,
    )
    assert dataset.schema.names == ["placa", "saida_utc", "km", "data", "hora"]
    assert dataset.count_rows() == 2 * sum(range(24))
    one = dataset.to_table(
        filter=(pyarrow.dataset.field("data") == "2026-11-22") & (pyarrow.dataset.field("hora") == 7)
    )
    assert one.num_rows == 7
    assert one["saida_utc"][0].as_py() == datetime(2026, 11, 22, 7, tzinfo=UTC)
