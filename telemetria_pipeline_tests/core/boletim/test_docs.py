import re
from pathlib import Path

import pytest

from telemetria_pipeline.contracts.boletim import (
    HEADER_NAMES,
    IGNORED_HEADERS,
)
from telemetria_pipeline.contracts.boletim_problems import KINDS
from telemetria_pipeline.core.boletim.settings import ADJUSTABLE
from telemetria_pipeline.core.sheets.header import normalise_header

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "boletins.md").read_text(encoding="utf-8")
ROWS = dict(re.findall(r"^\| `([A-Z_]+)` \|(.*)\|$", PAGE, re.MULTILINE))


def test_the_page_and_the_catalogue_speak_of_the_same_codes():
    assert set(ROWS) == set(KINDS)
    assert len(re.findall(r"^\| `[A-Z_]+` \|", PAGE, re.MULTILINE)) == len(KINDS)


def test_the_page_calls_errors_errors_and_warnings_warnings():
    heading = ""
    for line in PAGE.splitlines():
        if line.startswith("### "):
            heading = line
        if found := re.match(r"\| `([A-Z_]+)` \| *(erro|aviso)? *\|?", line):
            said = found[2] or re.search(r"\((erro|aviso)\)", heading)[1]
            assert said == KINDS[found[1]].severity, found[1]


def test_every_kind_that_the_program_uses_is_in_the_catalogue_and_the_other_way_round():
    core = ROOT / "telemetria_pipeline/core"
    sources = [
        path.read_text(encoding="utf-8")
        for room in ("sheets", "boletim")
        for path in (core / room).glob("*.py")
    ]
    used = {word for text in sources for word in re.findall(r'"([A-Z]+(?:_[A-Z]+)+)"', text)}
    assert set(KINDS) <= used
    assert set(KINDS) >= ADJUSTABLE


@pytest.mark.parametrize("code", KINDS)
def test_a_kind_is_well_formed(code):
    kind = KINDS[code]
    assert kind.code == code == code.upper()
    assert code.isascii()
    assert kind.message.endswith((".", "?", "}"))
    assert kind.suggestion.strip()


def test_what_is_suggested_for_one_cell_is_not_said_of_many():
    of_one = re.compile(r"\{(?:cell|row|other|confirm|hint|fixed|said|one|two)\}")
    whole_file = {"ASPAS_ABERTAS", "COLUNA_OBRIGATORIA_AUSENTE"}  # never more than one
    for kind in KINDS.values():
        assert not of_one.search(kind.several)
        assert not of_one.search(kind.suggestion) or kind.several or kind.code in whole_file, kind.code


def test_no_header_means_two_columns():
    column_of = {}
    for column, names in HEADER_NAMES.items():
        for name in map(normalise_header, names):
            assert column_of.setdefault(name, column) == column
    assert not column_of.keys() & set(map(normalise_header, IGNORED_HEADERS))


def test_the_headers_of_the_page_are_read_as_it_says():
    known = {normalise_header(name) for names in HEADER_NAMES.values() for name in names}
    table = PAGE[PAGE.index("| coluna |") : PAGE.index("As colunas com *")].splitlines()[2:]
    titles = {t.strip(" *") for row in table for cell in row.split("|")[1:3] for t in cell.split(",")}
    assert {normalise_header(title) for title in titles if title} <= known
    for names in HEADER_NAMES.values():
        assert names[0] in PAGE


@pytest.mark.parametrize(
    ("header", "plain"),
    [("Nº ATA", "NATA"), ("n.° ata", "NATA"), ("KM\nSAÍDA", "KMSAIDA"), (" km_saida ", "KMSAIDA"), ("…", "")],
)
def test_how_headers_are_compared(header, plain):
    assert normalise_header(header) == plain
