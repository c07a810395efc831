"""Ten vehicles for some days: each verdict and cent is the truth's, however it all arrived.

`make golden` does it with 40 vehicles for a month and a half.
"""

from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from telemetria_pipeline.simulator.golden import GoldenMonth
from telemetria_pipeline_tests.golden.pipeline import GoldenPipeline
from telemetria_pipeline_tests.golden.story import arrive, do_again, go_on
from telemetria_pipeline_tests.rounds import and_long

ACCIDENTS = GoldenMonth(vehicles=10, first=date(2026, 3, 9), last=date(2026, 3, 10))


@pytest.fixture(scope="module")
def accidents(tmp_path_factory: pytest.TempPathFactory) -> GoldenPipeline:
    """Captured once for two orders of arrival."""
    pipeline = GoldenPipeline(ACCIDENTS, tmp_path_factory.mktemp("captured"))
    pipeline.capture_month()
    return pipeline


def begun(captured: GoldenPipeline, folder: Path) -> GoldenPipeline:
    pipeline = GoldenPipeline(captured.month, folder)
    pipeline.take_captures_of(captured)
    pipeline.read_reference_files()
    return pipeline


@pytest.mark.long  # smaller: the demo's day, and the fewer vehicles below
@pytest.mark.timeout(900)
def test_an_api_is_down_for_three_hours_a_tariff_changes_and_a_vehicle_enters(accidents, tmp_path):
    pipeline = begun(accidents, tmp_path)
    compared = arrive(pipeline, "telemetry first")
    assert not compared.differences, compared.told()
    assert compared.rows["trips"] > 280
    closing = pipeline.close(pipeline.cycles[0])
    assert any("10/03 (3 h)" in said for said in closing.accepted)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("vehicles", and_long(4, 10))
def test_boletins_first_then_closed_then_late_files_then_all_lost_but_raw(tmp_path, vehicles):
    month = GoldenMonth(vehicles=vehicles, first=date(2026, 3, 14), last=date(2026, 3, 16))  # a cycle's end
    pipeline = GoldenPipeline(month, tmp_path)
    pipeline.capture_month()
    pipeline.read_reference_files()
    compared = arrive(pipeline, "boletins first")
    assert not compared.differences, compared.told()
    for step, compared in go_on(pipeline):
        assert not compared.differences, f"{step}\n{compared.told()}"
        if step == "closed, then late boletins":
            assert compared.rows["adjustments"] > 10
            assert compared.cents["adjustments"] != 0

    schemas = [pq.read_schema(pa.BufferReader(body)) for body in pipeline.tables().values()]
    money = {(field.name, field.type) for schema in schemas for field in schema if "_brl" in field.name}
    assert len(money) >= 10
    assert all(pa.types.is_decimal(type) for _, type in money)


@pytest.mark.long  # smaller: the orders of test_audit.py, and all made again from raw above
@pytest.mark.timeout(900)
def test_hours_and_boletins_may_come_in_any_order_and_again_and_change_nothing(accidents, tmp_path):
    pipeline = begun(accidents, tmp_path)
    for compared in (arrive(pipeline, "shuffled"), do_again(pipeline)):
        assert not compared.differences, compared.told()
