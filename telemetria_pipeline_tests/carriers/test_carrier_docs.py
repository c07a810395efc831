"""The page on profiles and the program say the same."""

import re
from pathlib import Path

import pytest
import yaml

from telemetria_pipeline.carriers import profile as p

PAGE = (Path(__file__).parents[2] / "docs" / "carriers.md").read_text(encoding="utf-8")
MODELS = [
    p.Profile, p.Auth, p.Login, p.Http, p.Pacing, p.Window, p.Listing, p.Vehicles, p.Lookup, p.PageNumber,
    p.Offset, p.Cursor, p.Link, p.Truncation, p.FieldMap, p.Times, p.ErrorRule,
]  # fmt: skip


def rows() -> set[tuple[str, str]]:
    found = re.findall(r"^\| `(\w+)` \| .* \| (.*) \|$", PAGE, re.MULTILINE)
    return {(name, meaning.replace("\\|", "|").replace("←", "<-")) for name, meaning in found}


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.__name__)
def test_every_key_is_on_the_page_with_its_meaning(model):
    assert {(name, field.description or "") for name, field in model.model_fields.items()} <= rows()


def test_the_page_names_no_key_that_the_program_does_not_know():
    known = {(n, f.description or "") for m in MODELS for n, f in m.model_fields.items()}
    assert rows() <= known


EXAMPLES = [d for text in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL) if (d := yaml.safe_load(text))]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: "-".join(example)[:40])
def test_each_example_is_a_profile_or_a_part_of_one(example):
    fields = {"veiculo_id": "v", "saida_utc": "s", "chegada_utc": "e", "motorista_id": "d"}
    p.Profile.model_validate(
        {"name": "parte", "carrier": "Parte", "trips": {"path": "/t"}, "fields": fields} | example
    )


def test_the_shipped_profiles_are_in_the_table():
    named = re.findall(r"^\| \*\*(\w+)\*\* \|", PAGE, re.MULTILINE)
    assert named == p.shipped_profiles()
