"""A write that dies half-way leaves the old partition or the new one, never half: killed to see."""

import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from telemetria_pipeline.storage import Lake

PARTITION = {"data": "2026-11-22", "hora": "07"}
ROWS = 700_000
KILLS = range(4, 20)  # at least so many, and on until one struck a write half-way

# Writes the versions 1, 2, 3 … of one partition, each as large as the others and unlike them.
WRITER = f"""
import sys
import numpy as np, pyarrow as pa
from telemetria_pipeline.storage import Lake

lake = Lake.open(sys.argv[1])
tables = [
    pa.table({{"versao": np.full({ROWS}, n), "valor": np.random.default_rng(n).random({ROWS})}})
    for n in (1, 2, 3)
]
print("ready", flush=True)
while True:
    for table in tables:
        lake.write_table("viagens", {PARTITION}, table)
"""


def kill_a_writer(address: str, wait_for_a_write: Callable[[], None], after_s: float) -> None:
    writer = subprocess.Popen([sys.executable, "-c", WRITER, address], stdout=subprocess.PIPE, text=True)
    try:
        assert writer.stdout.readline() == "ready\n"
        wait_for_a_write()
        time.sleep(after_s)
    finally:
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        writer.stdout.close()


def kill_until_one_strikes(kill: Callable[[float], None], struck: Callable[[], bool]) -> None:
    """`kill(seconds)` after a write is seen to have begun: in turn at once and at any moment."""
    for n in range(KILLS.stop):
        kill(random.uniform(0, 0.03) if n % 2 else 0)
        if n + 1 >= KILLS.start and struck():
            return
    pytest.fail("no kill struck a write half-way: the test proved nothing")


def assert_whole(lake: Lake) -> None:
    table = lake.read_table("viagens", PARTITION)
    versions = set(table["versao"].unique().to_pylist())
    assert len(versions) == 1
    expected = np.random.default_rng(versions.pop()).random(ROWS)
    assert table["valor"].equals(pa.chunked_array([expected]))
    assert [i.key for i in lake.store.list()] == [lake.table_key("viagens", PARTITION)]
    assert lake.partitions("viagens") == [PARTITION]


def first_version(lake: Lake) -> None:
    values = np.random.default_rng(0).random(ROWS)
    lake.write_table("viagens", PARTITION, pa.table({"versao": np.zeros(ROWS, int), "valor": values}))


def test_a_folder_holds_the_old_partition_or_the_new_one(tmp_path: Path):
    lake = Lake.open(f"file:{tmp_path}")
    first_version(lake)
    folder = Path(lake.store.uri(lake.table_key("viagens", PARTITION))).parent

    def wait_for_a_write() -> None:
        seen = {p.name for p in folder.iterdir()}
        deadline = time.monotonic() + 20
        while {p.name for p in folder.iterdir()} <= seen:
            assert time.monotonic() < deadline, "the writer never began a write"

    def kill(after_s: float) -> None:
        kill_a_writer(f"file:{tmp_path}", wait_for_a_write, after_s)
        assert_whole(lake)
        rows = duckdb.sql(f"SELECT count(*), count(DISTINCT versao) FROM '{lake.glob('viagens')}'").fetchall()
        assert rows == [(ROWS, 1)]

    kill_until_one_strikes(kill, lambda: any(p.suffix != ".parquet" for p in folder.iterdir()))


def test_s3_holds_the_old_partition_or_the_new_one(s3):
    lake = Lake.open(s3.address)
    first_version(lake)

    def wait_for_a_write() -> None:
        assert s3.server.upload_begun.wait(20), "the writer never began a write"

    def kill(after_s: float) -> None:
        s3.server.upload_begun.clear()
        kill_a_writer(s3.address, wait_for_a_write, after_s)
        assert_whole(lake)

    kill_until_one_strikes(kill, lambda: s3.server.cut_uploads > 0)
