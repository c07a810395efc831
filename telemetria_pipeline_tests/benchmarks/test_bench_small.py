import ast
import importlib
import importlib.util
import re
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def ours_in(script: Path) -> list[tuple[str, str]]:
    """What a script imports of this project: module and name."""
    tree = ast.walk(ast.parse(script.read_text(encoding="utf-8")))
    imports = [node for node in tree if isinstance(node, ast.ImportFrom)]
    return [
        (n.module, a.name) for n in imports for a in n.names if n.module.startswith("telemetria_pipeline")
    ]


@pytest.mark.parametrize("script", sorted(BENCHMARKS.glob("*.py")), ids=lambda path: path.name)
def test_a_benchmark_finds_what_it_imports(script):
    for module, name in ours_in(script):
        found = importlib.import_module(module)
        assert hasattr(found, name) or importlib.util.find_spec(f"{module}.{name}"), f"{module}.{name}"


def test_what_is_timed_at_once_does_not_hide_each_others_figures(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    process = importlib.import_module("measure").process
    (tmp_path / "script.py").write_text("import sys, time; print(sys.argv[1]); time.sleep(0.1)")
    with ThreadPoolExecutor(8) as pool:
        timed = pool.map(lambda n: process([str(tmp_path / "script.py"), str(n)], tmp_path / "out"), range(8))
        assert [timing.work_seconds for timing in timed] == [*range(8)]


@pytest.mark.long
@pytest.mark.timeout(1200)  # a dozen processes, most of which import Dagster
def test_small_bench_counts_what_was_written_and_prints_every_ratio():
    # The benchmark ends with an error when a contender wrote other rows than it was served.
    command = [sys.executable, "-X", "faulthandler", BENCHMARKS / "run.py", "--small"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) as ran:
        try:
            stdout, stderr = ran.communicate(timeout=1080)
        except subprocess.TimeoutExpired:
            ran.send_signal(signal.SIGABRT)  # it says where it stands
            stdout, stderr = ran.communicate()
    assert ran.returncode == 0, f"{stdout}\n{stderr[-3000:]}"
    for ratio in (
        r"ours / bare +\d+\.\d\d",
        r"4x / 1x \d+\.\d\d",
        r"process a run / in ranges +\d+\.\d",
        r"two at once / in ranges +\d+\.\d\d",
        r"  ratio +\d+\.\d\d",
        r"ours / bare, csv +\d+\.\d\d",
        r"ours / bare, xlsx +\d+\.\d\d",
        r"tick / listing \d+\.\d\d",
        r"trips a side +ours, s +DuckDB, s +ratio",
    ):
        assert re.search(ratio, stdout), stdout
    aims = 11 + bool(importlib.util.find_spec("frictionless"))
    assert len(re.findall(r": (?:met|MISSED by \d+ %)$", stdout, re.MULTILINE)) == aims, stdout
