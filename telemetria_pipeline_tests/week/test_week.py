"""Some hours of the simulated week, with a halt in them and a start from cold: what `make week` plays whole."""

import shutil
import subprocess
import sys

import pytest


@pytest.mark.long  # smaller: the sensors and schedules one by one, in `defs/`
@pytest.mark.skipif(not shutil.which("gcc"), reason="the daemon's clock is compiled with gcc")
def test_some_hours_of_the_week_end_as_the_truth():
    played = subprocess.run(
        [sys.executable, "-m", "telemetria_pipeline_tests.week"]
        + ["--hours", "6", "--halt", "2", "2", "--vehicles", "3"],
        capture_output=True, text=True,
    )  # fmt: skip
    assert played.returncode == 0, played.stdout + played.stderr
    assert "cold start over 2 hours" in played.stdout
    assert "6 hours, 0 boletins: 0 differences" in played.stdout
