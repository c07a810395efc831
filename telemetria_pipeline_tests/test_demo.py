"""The newcomer's first minute: the demo in an empty folder, with nothing set."""

import os
import re
import subprocess
import sys
from pathlib import Path

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


@pytest.mark.timeout(240)
def test_the_demo_ends_with_the_days_table_and_the_same_one_again(tmp_path):
    (tmp_path / "dagster.yaml").write_text((ROOT / "dagster.yaml").read_text())
    said = demo(tmp_path)
    rows = table_of(said)
    assert len(rows) == 25
    hour, *counts = rows[-1]
    assert hour == "day"
    requests, retries, received, *fates = map(int, counts)
    assert received == sum(fates) > 0
    assert 0 < retries < requests
    assert {row[1] for row in rows[:-1]} >= {"captured", "confirmed_empty", "open"}
    assert "make dev" in said
    assert list((tmp_path / "data/lake/telemetry_trips").rglob("*.parquet"))
    assert table_of(demo(tmp_path)) == rows
