"""The house stands: rooms know only the rooms below them, and the definitions load with nothing set."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import telemetria_pipeline

PACKAGE = Path(telemetria_pipeline.__file__).parent
# Each floor knows the floors below it; rooms on one floor do not know each other.
FLOORS = [
    {"errors", "business_calendar", "version"},
    {"settings"},
    {"contracts"},
    {"core", "carriers", "storage"},
    {"reports", "alerts"},
    {"steps"},
    {"defs"},
    {"definitions"},
    {"demo", "simulator", "workers"},
    {"cli"},
]
FLOOR_OF = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
PURE = {"contracts", "core"}


def imports_of(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import hides which room it enters"
            names.add(node.module)
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def room_of(dotted: str) -> str | None:
    package, _, rest = dotted.partition(".")
    return rest.split(".")[0] if package == "telemetria_pipeline" and rest else None


FILES = sorted(p for p in PACKAGE.rglob("*.py") if p != PACKAGE / "__init__.py")


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_room_knows_only_the_rooms_below_it(path):
    room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    known = {r for name in imports_of(path) if (r := room_of(name)) in FLOOR_OF} - {room}
    # The demo starts the simulator; the simulator itself stands alone.
    allowed = {r for r in FLOOR_OF if FLOOR_OF[r] < FLOOR_OF[room]} | (
        {"simulator"} if room == "demo" else set()
    )
    assert known <= (set() if room == "simulator" else allowed)


@pytest.mark.parametrize(
    "path", [p for p in FILES if p.relative_to(PACKAGE).parts[0] in PURE], ids=lambda p: p.name
)
def test_the_thinking_knows_no_dagster_and_no_network(path):
    forbidden = {"dagster", "requests", "obstore", "boto3", "socket", "subprocess"}
    assert not {name.split(".")[0] for name in imports_of(path)} & forbidden


def test_what_must_pass_is_every_test():
    must_pass = (PACKAGE.parent / ".ci" / "run").read_text(encoding="utf-8")
    assert re.findall(r"^make (.*)$", must_pass, re.MULTILINE) == ["check", "test", "long"]


def test_the_steps_load_no_dagster(tmp_path):
    load = "import sys\n" + "".join(
        f"import telemetria_pipeline.steps.{p.stem}\n" for p in (PACKAGE / "steps").glob("[a-z]*.py")
    )
    done = run("-c", load + "print([m for m in sys.modules if m.split('.')[0] == 'dagster'])", cwd=tmp_path)
    assert done.stdout.strip() == "[]", done.stderr


def run(*command, cwd, **env):
    return subprocess.run(
        [sys.executable, *command],
        cwd=cwd,
        env={"PATH": os.environ["PATH"], "HOME": str(cwd), **env},
        capture_output=True,
        text=True,
        timeout=110,
    )


def test_the_definitions_load_with_an_empty_environment(tmp_path):
    done = run(
        "-m", "dagster", "definitions", "validate", "-m", "telemetria_pipeline.definitions", cwd=tmp_path
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_preview_or_deprecation_warning_comes_from_our_own_code(tmp_path):
    # In one process: `definitions validate` loads them in another one, whose warnings it does not show.
    load = "import telemetria_pipeline.definitions as d; d.defs.get_repository_def().get_all_jobs()"
    done = run("-W", "always", "-c", load, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    ours = [line for line in done.stderr.splitlines() if str(PACKAGE) in line and "Warning" in line]
    assert [line for line in ours if "backfill_policy" not in line] == []  # Beta, and accepted


def test_the_definitions_import_neither_boto_nor_pandera_nor_apprise(tmp_path):
    heavy = (
        "import sys, telemetria_pipeline.definitions\n"
        "print([m for m in ('boto3', 'pandera', 'dagster_aws', 'apprise') if m in sys.modules])"
    )
    done = run("-c", heavy, cwd=tmp_path)
    assert done.stdout.strip() == "[]", done.stderr
