"""The plots: real pictures, small, and of what the frames say."""

import base64
from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageColor

from telemetria_pipeline.reports.plots import (
    COLOURS,
    at_stake_by_carrier,
    cost_by_carrier,
    declared_and_measured,
    markdown_image,
)
from telemetria_pipeline_tests.core.audit.rows import trip, trips
from telemetria_pipeline_tests.reports.rows import bill, bill_line, divergence, divergences


def ink(png: bytes, colour: str) -> int:
    """How many pixels have the colour, but for what the palette rounds."""
    pixels = np.asarray(Image.open(BytesIO(png)).convert("RGB")).astype(int)
    return int((np.abs(pixels - ImageColor.getrgb(colour)).max(axis=2) <= 12).sum())


def test_points_are_coloured_by_verdict_and_missing_sides_are_drawn():
    agreed = declared_and_measured(trips(trip(), trip(km_declarado=40, km_medido=40)))
    assert ink(agreed, COLOURS["ok"]) > 2 * ink(agreed, COLOURS["divergente"])
    lone = declared_and_measured(trips(*[trip()] * 50, trip(km_declarado=60, veredito="divergente")))
    assert ink(lone, COLOURS["divergente"]) > 1.4 * ink(agreed, COLOURS["divergente"])
    phantom = declared_and_measured(
        trips(*(trip(km_declarado=n, km_medido=None, veredito="divergente") for n in range(10, 50)))
    )
    assert ink(phantom, COLOURS["divergente"]) > 2 * ink(agreed, COLOURS["divergente"])


def test_the_band_is_what_the_tolerance_says():
    def band(percent: int, km: float) -> int:
        tolerated = trips(trip(tolerancia_pct=percent, tolerancia_km=km))
        return ink(declared_and_measured(tolerated), "#DCE6F0")

    assert band(30, 1) > 2 * band(10, 1) > band(10, 0.5) > band(0, 0)


def test_bars_are_as_long_as_the_money():
    def length(*values: str) -> int:
        rows = (divergence(valor_brl=v, transportadora=f"T{n}") for n, v in enumerate(values))
        return ink(at_stake_by_carrier(divergences(*rows)), COLOURS["divergente"])

    assert length("1000", "1000") > 1.5 * length("1000", "10")


def test_more_than_ten_carriers_share_a_bar_and_no_rows_are_a_picture_too():
    many = divergences(*(divergence(transportadora=f"T{n}", veredito="inconclusivo") for n in range(30)))
    few = divergences(divergence(transportadora=None, valor_brl=None))
    for frame in (many, few, many[:0]):
        assert Image.open(BytesIO(at_stake_by_carrier(frame))).format == "PNG"
    assert Image.open(BytesIO(declared_and_measured(trips()))).format == "PNG"
    assert Image.open(BytesIO(cost_by_carrier(bill()))).format == "PNG"


def test_both_costs_are_drawn():
    dear = bill(bill_line(variavel_declarado_brl="9000"))
    assert ink(cost_by_carrier(dear), "#9AA5B1") > 2 * ink(cost_by_carrier(dear), COLOURS["ok"])


@pytest.mark.parametrize("count", [1, 2_000])
def test_pictures_are_small_enough_for_metadata_and_always_the_same(count):
    frame = trips(*(trip(km_medido=20 + n % 60, km_declarado=20 + n % 61) for n in range(count)))
    picture = declared_and_measured(frame)
    assert len(picture) < 60_000
    assert picture == declared_and_measured(frame)


def test_markdown_carries_the_picture():
    picture = at_stake_by_carrier(divergences(divergence()))
    said = markdown_image(picture, "R$ em jogo")
    assert said.startswith("![R$ em jogo](data:image/png;base64,")
    assert base64.b64decode(said.partition("base64,")[2].rstrip(")")) == picture
