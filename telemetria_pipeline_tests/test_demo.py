"""The newcomer's first minute: the demo in an empty folder, with nothing set."""

import os
import re
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

ROOT = Path(__file__).parents[1]


def demo(folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", "from telemetria_pipeline.cli import main; main(['demo'])"],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder)},
        capture_output=True,
        text=True,
        timeout=110,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def table_of(said: str) -> list[list[str]]:
    return [line.split() for line in said.splitlines() if re.match(r" *(2026-03-10-\d\d:00|day) ", line)]


def dearest(said: str) -> list[str]:
    return re.findall(r"^\d\. R\$ .*$", said, re.MULTILINE)


@pytest.fixture(scope="module")
def first(tmp_path_factory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("demo")
    (folder / "dagster.yaml").write_text((ROOT / "dagster.yaml").read_text())
    return folder, demo(folder)


@pytest.mark.timeout(240)
def test_the_demo_goes_from_the_api_and_the_inbox_to_the_medicao(first):
    folder, said = first
    rows = table_of(said)
    assert len(rows) == 25
    hour, *counts = rows[-1]
    assert hour == "day"
    requests, retries, received, *fates = map(int, counts)
    assert received == sum(fates) > 0
    assert 0 < retries < requests
    assert {row[1] for row in rows[:-1]} >= {"captured", "confirmed_empty", "open"}
    assert {"accepted", "rejected", "duplicate"} <= set(said.split())
    assert len(dearest(said)) == 5
    assert len({line.split()[3] for line in dearest(said)}) >= 2  # of different kinds
    lake = folder / "data/lake"
    assert (lake / "reports/measurement/ciclo=2026-02-16/medicao_2026-02-16.xlsx").stat().st_size > 10_000
    page = (lake / "reports/daily/data=2026-03-10/relatorio_2026-03-10.html").read_text(encoding="utf-8")
    assert "Declarada sem telemetria" in page
    assert "make dev" in said


@pytest.mark.timeout(240)
def test_the_demo_again_tells_the_same(first):
    folder, said = first
    again = demo(folder)
    assert table_of(again) == table_of(said)
    assert dearest(again) == dearest(said)
    assert "Warning" not in again


QUERIES = re.findall(r"```sql\n(.*?)```", (ROOT / "docs/queries.md").read_text(encoding="utf-8"), re.DOTALL)
EMPTY_AFTER_ONE_DAY = ("adjustments", "patterns")  # nothing was closed, and a day shows no habit


@pytest.mark.parametrize("query", QUERIES, ids=lambda q: q.split("\n", 1)[0][:60])
def test_an_analysts_queries_run_over_the_demos_parquet(first, query):
    folder, _ = first
    with duckdb.connect() as base:
        rows = base.sql(query.replace("data/lake", f"{folder}/data/lake")).fetchall()
    assert rows or any(f"/{name}/" in query for name in EMPTY_AFTER_ONE_DAY)
    if "conferem" in query:
        assert all(row[-1] for row in rows)
