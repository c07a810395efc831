"""The schema for editors: what `telemetria carrier schema` prints, and what the shipped profiles name."""

import json
from pathlib import Path

import jsonschema
import pytest
import yaml
from click.testing import CliRunner

from telemetria_pipeline.carriers.profile import SHIPPED, Profile, profile_schema, shipped_profiles
from telemetria_pipeline.cli import main

FILES = [SHIPPED / f"{name}.yaml" for name in shipped_profiles()]
FILES.append(Path(__file__).with_name("automile.yaml"))
SMALL = {
    "name": "minha", "carrier": "Minha", "trips": {"path": "/trips"},
    "fields": {"veiculo_id": "v", "saida_utc": "s", "chegada_utc": ["d", "t"]},
}  # fmt: skip


def problems(document: object) -> list[str]:
    checker = jsonschema.Draft202012Validator(profile_schema())
    return [f"{'.'.join(map(str, e.absolute_path))}: {e.message}" for e in checker.iter_errors(document)]


def test_the_command_prints_the_schema_that_is_shipped():
    printed = CliRunner().invoke(main, ["carrier", "schema"])
    assert printed.exit_code == 0 and json.loads(printed.output) == profile_schema()
    shipped = (SHIPPED / "profile.schema.json").read_text(encoding="utf-8")
    assert shipped == printed.output, "write it again: telemetria carrier schema > …/profile.schema.json"
    jsonschema.Draft202012Validator.check_schema(profile_schema())


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_shipped_profile_names_the_schema_and_fits_it(file):
    first, *_ = text = file.read_text(encoding="utf-8").splitlines()
    named = first.removeprefix("# yaml-language-server: $schema=")
    assert named != first and (file.parent / named).resolve() == SHIPPED / "profile.schema.json"
    assert problems(yaml.safe_load("\n".join(text))) == []


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({}, None),
        ({"window": {"format": "%d/%m/%Y"}}, None),
        ({"fields": {**SMALL["fields"], "distancia_telemetria_km": {"path": "d", "unit": "m"}}}, None),
        ({"feilds": {}}, "feilds"),
        ({"trips": {}}, "path"),
        ({"trips": {"path": "/t", "method": "PUT"}}, "trips.method"),
        ({"window": {"format": "unix"}}, "window.format"),
        ({"fields": {**SMALL["fields"], "distancia_km": "d"}}, "distancia_km"),
        ({"errors": [{"status": 403, "means": "ignore"}]}, "errors.0"),
        ({"trips": {"path": "/t", "paging": {"style": "cursor"}}}, "trips.paging"),
    ],
)
def test_an_editor_sees_what_is_wrong(changes, says):
    document = SMALL | changes
    found = problems(document)
    assert bool(found) is (says is not None)
    assert says is None or says in " ".join(found)
    if says is None:
        Profile.model_validate(document)
