"""Twelve days of ten vehicles across a cycle's end: each verdict and cent is the truth's, in any order."""

from datetime import date

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from telemetria_pipeline.assets.closed_cycles import read_closing
from telemetria_pipeline.simulator.golden import GoldenMonth
from telemetria_pipeline_tests.golden.pipeline import GoldenPipeline
from telemetria_pipeline_tests.golden.story import arrive, go_on


@pytest.fixture(scope="module")
def captured(tmp_path_factory) -> GoldenPipeline:
    """The hours as the carrier gave them, all but one: it was out."""
    month = GoldenMonth(vehicles=10, first=date(2026, 3, 5), last=date(2026, 3, 16))
    pipeline = GoldenPipeline(month, tmp_path_factory.mktemp("golden") / "captured")
    pipeline.capture_month()
    return pipeline


@pytest.fixture
def pipeline(captured, tmp_path) -> GoldenPipeline:
    other = GoldenPipeline(captured.month, tmp_path)
    other.take_captures_of(captured)
    other.read_reference_files()
    return other


@pytest.mark.timeout(300)
def test_from_the_first_trip_to_late_files_and_a_rebuild(pipeline):
    compared = arrive(pipeline, "telemetry first")
    assert not compared.differences, compared.told()
    for step, compared in go_on(pipeline):
        assert not compared.differences, f"{step}\n{compared.told()}"
        if step == "closed, then late boletins":
            assert compared.rows["adjustments"] > 10
            assert compared.cents["adjustments"] != 0
    accepted = read_closing(pipeline.lake, pipeline.cycles[0]).accepted
    assert any("05/03 (1 h)" in said for said in accepted)  # the hour that the carrier never gave

    schemas = {key: pq.read_schema(pa.BufferReader(body)) for key, body in pipeline.tables().items()}
    money = {(f.name, f.type) for schema in schemas.values() for f in schema if "_brl" in f.name}
    assert len(money) >= 10
    assert all(pa.types.is_decimal(type) for _, type in money)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("order", ["boletins first", "shuffled"])
def test_the_order_of_arrival_changes_nothing(pipeline, order):
    compared = arrive(pipeline, order)
    assert not compared.differences, compared.told()
    assert compared.rows["trips"] > 1_500
