import subprocess
import sys
from pathlib import Path

FUZZ = Path(__file__).parents[2] / "benchmarks" / "fuzz_boletins.py"


def test_two_hundred_broken_files_each_end_with_a_verdict():
    # 10,000 of them: `make fuzz`.
    command = [sys.executable, FUZZ, "--count", "200", "--seed", "7", "--workers", "1"]
    ran = subprocess.run(command, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr[-3000:]
    assert "200 broken files" in ran.stdout
