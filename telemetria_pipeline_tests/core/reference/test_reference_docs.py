"""What docs/reference.md says of headers and examples is what the readers do."""

import re
from decimal import Decimal
from pathlib import Path

import pytest

from telemetria_pipeline.contracts.reference import (
    ACCEPTANCE_HEADERS,
    CONTRACT_HEADERS,
    DRIVER_HEADERS,
    SUBSTITUTION_HEADERS,
    VEHICLE_HEADERS,
)
from telemetria_pipeline.core.reference import read_contracts
from telemetria_pipeline.core.sheets.header import normalise_header

PAGE = (Path(__file__).parents[3] / "docs" / "reference.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("title", "names"),
    [
        ("Veículos", VEHICLE_HEADERS),
        ("Motoristas", DRIVER_HEADERS),
        ("Contratos", CONTRACT_HEADERS),
        ("Substituições", SUBSTITUTION_HEADERS),
        ("Aceites", ACCEPTANCE_HEADERS),
    ],
)
def test_the_page_names_every_column_by_headers_that_are_read(title, names):
    section = PAGE.split(f"## {title}\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| ([A-ZÁ-Ú ]+?)(?: \*)? \|(.*?)\|", section, re.MULTILINE)
    assert {first for first, _ in rows} == {said[0] for said in names.values()}
    for first, others in rows:
        (said,) = (said for said in names.values() if said[0] == first)
        assert {normalise_header(other) for other in others.split(",")} - {""} <= {
            normalise_header(name) for name in said
        }


def test_the_example_is_taken_as_it_stands():
    (example,) = re.findall(r"```csv\n(.*?)```", PAGE, re.DOTALL)
    found = read_contracts(example.encode(), "contracts.csv")
    assert (found.problems, found.notes) == ([], [])
    assert found.frame["tarifa_brl_km"].tolist() == [Decimal("2.73"), Decimal("2.81"), Decimal("3.1")]
