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


def test_the_example_is_a_profile():
    example = re.search(r"```yaml\n(.*?)```", PAGE, re.DOTALL).group(1)
    p.Profile.model_validate(yaml.safe_load(example))
