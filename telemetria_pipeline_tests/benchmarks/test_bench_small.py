import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.mark.timeout(300)  # a dozen processes, most of which import Dagster
def test_small_bench_counts_what_was_written_and_prints_every_ratio():
    # The benchmark ends with an error when a contender wrote other rows than it was served.
    ran = subprocess.run([sys.executable, BENCHMARKS / "run.py", "--small"], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr[-3000:]
    for ratio in (
        r"ours / bare +\d+\.\d\d",
        r"4x / 1x \d+\.\d\d",
        r"process a run / in ranges +\d+\.\d",
        r"ours / bare, csv +\d+\.\d\d",
        r"ours / bare, xlsx +\d+\.\d\d",
        r"trips a side +ours, s +DuckDB, s +ratio",
    ):
        assert re.search(ratio, ran.stdout), ran.stdout
    aims = 7 + bool(importlib.util.find_spec("frictionless"))
    assert len(re.findall(r": (?:met|MISSED by \d+ %)$", ran.stdout, re.MULTILINE)) == aims, ran.stdout
