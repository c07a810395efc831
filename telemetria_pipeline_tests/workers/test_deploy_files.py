"""What lies in `deploy/` and stands in its document is what the program knows."""

import re
import shlex
from pathlib import Path

import click
import pytest
import yaml

from telemetria_pipeline.cli import main
from telemetria_pipeline.settings import PREFIX, Settings

ROOT = Path(__file__).parents[2]
DEPLOY, PAGE = ROOT / "deploy", (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
VARIABLES = set(re.findall(r"^#? ?([A-Z_]+)=", (DEPLOY / ".env.example").read_text(), re.MULTILINE))


def command_of(unit: Path) -> list[str]:
    return shlex.split(re.search(r"^ExecStart=(.+)$", unit.read_text(encoding="utf-8"), re.MULTILINE)[1])


def test_the_environment_names_settings_that_there_are():
    known = {Settings.variable(name) for name in Settings.model_fields}
    assert {name for name in VARIABLES if name.startswith(PREFIX)} <= known


def test_all_that_dagster_yaml_takes_from_the_environment_is_in_the_example():
    asked = set(re.findall(r"\{env: (\w+)\}", (DEPLOY / "dagster.yaml").read_text(encoding="utf-8")))
    assert asked
    assert asked <= VARIABLES


def test_the_example_holds_no_secret():
    for line in (DEPLOY / ".env.example").read_text(encoding="utf-8").splitlines():
        assert not re.search(r"(PASSWORD|SECRET\w*|TOKEN|_KEY)=.+", line), line


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_what_listens_does_so_on_loopback(unit):
    words = command_of(unit)
    if "--port" in words:
        assert words[words.index("--host") + 1] == "127.0.0.1"


def test_the_workspace_asks_the_code_server_where_it_listens():
    (server,) = yaml.safe_load((DEPLOY / "workspace.yaml").read_text())["load_from"]
    words = command_of(DEPLOY / "systemd" / "telemetria-code.service")
    place = words[words.index("--host") + 1], int(words[words.index("--port") + 1])
    assert place == (server["grpc_server"]["host"], server["grpc_server"]["port"])


def test_runs_are_asked_for_as_in_development_where_it_is_no_matter_of_machines():
    """What keeps carriers from being asked twice at once stands in both files alike."""
    ours, theirs = (yaml.safe_load(p.read_text()) for p in (DEPLOY / "dagster.yaml", ROOT / "dagster.yaml"))
    assert ours["concurrency"] == theirs["concurrency"]
    assert ours["run_retries"] == theirs["run_retries"]
    assert ours["retention"] == theirs["retention"]


def test_the_page_names_units_and_commands_that_there_are():
    assert set(re.findall(r"`(telemetria-\w+)`", PAGE)) == {unit.stem for unit in UNITS}
    blocks = "\n".join(re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL))
    commands = re.findall(r"(?:^|bin/)telemetria ([a-z]+(?: [a-z-]+)?)", blocks, re.MULTILINE)
    assert commands
    for words in commands:
        group: click.Command = main
        for word in words.split():
            if isinstance(group, click.Group):
                group = group.commands[word]
