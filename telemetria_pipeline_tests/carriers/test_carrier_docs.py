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


TABLE = re.findall(r"^\| \*\*(\w+)\*\* \| ([^\n]*) \|$", PAGE, re.MULTILINE)


def test_the_shipped_profiles_are_in_the_table():
    assert [name for name, _ in TABLE] == p.shipped_profiles()


@pytest.mark.parametrize(("name", "row"), TABLE, ids=[name for name, _ in TABLE])
def test_the_table_says_what_a_shipped_profile_knows(name, row):
    profile = p.load_profile(name)
    lists = [*profile.lookups.values(), *([profile.vehicles] if profile.vehicles else [])]
    known = {*profile.fields, *(column for one in lists for column in one.stamp)}
    known |= {*re.compile(profile.description_pattern or "").groupindex}
    _, plate, driver, odometers, speed, *_ = row.split(" | ")
    for said, columns in {
        plate: {"placa_recebida"},
        driver: {"motorista", "motorista_id"},
        odometers: {"odometro_saida_km", "odometro_chegada_km"},
        speed: {"velocidade_maxima_kmh"},
    }.items():
        assert said.startswith("no") != bool(columns & known), (name, said, columns)
    assert ("id only" in driver) == ("motorista_id" in known and "motorista" not in known)
