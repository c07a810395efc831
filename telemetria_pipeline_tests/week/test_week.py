"""Some hours of the simulated week, a halt and a start from cold among them: `make week` plays it whole."""

import shutil
import subprocess
import sys

import pytest


@pytest.mark.long  # smaller: the sensors and schedules one by one, in `defs/`
@pytest.mark.timeout(900)  # two minutes, on a machine that does nothing else
@pytest.mark.skipif(not shutil.which("gcc"), reason="the daemon's clock is compiled with gcc")
def test_some_hours_of_the_week_end_as_the_truth():
    hours = ["--hours", "6", "--halt", "2", "2", "--vehicles", "3"]
    command = [sys.executable, "-m", "telemetria_pipeline_tests.week", *hours]
    played = subprocess.run(command, capture_output=True, text=True)
    assert played.returncode == 0, played.stdout + played.stderr
    assert "cold start over 2 hours" in played.stdout
    assert "6 hours, 0 boletins: 0 differences" in played.stdout
