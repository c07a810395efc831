import subprocess
import sys
from pathlib import Path

import pytest

from telemetria_pipeline_tests.rounds import and_long

FUZZ = Path(__file__).parents[2] / "benchmarks" / "fuzz_boletins.py"


@pytest.mark.parametrize("count", and_long(60, 200))
def test_broken_files_each_end_with_a_verdict(count):
    # 10,000 of them: `make fuzz`.
    command = [sys.executable, FUZZ, "--count", str(count), "--seed", "7", "--workers", "1"]
    ran = subprocess.run(command, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr[-3000:]
    assert f"{count} broken files" in ran.stdout
