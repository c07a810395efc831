"""Ten vehicles across a cycle's end: each verdict and cent is the truth's, however it all arrived."""

from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from telemetria_pipeline.assets.closed_cycles import read_closing
from telemetria_pipeline.simulator.golden import GoldenMonth
from telemetria_pipeline_tests.golden.pipeline import GoldenPipeline
from telemetria_pipeline_tests.golden.story import arrive, do_again, go_on

LAST = date(2026, 3, 16)
DAYS_WITH_LATE_FILES = GoldenMonth(24, vehicles=10, first=date(2026, 3, 12), last=LAST)


def captured(month: GoldenMonth, folder: Path) -> GoldenPipeline:
    pipeline = GoldenPipeline(month, folder)
    pipeline.capture_month()
    pipeline.read_reference_files()
    return pipeline


@pytest.mark.timeout(240)
def test_a_fortnight_is_judged_and_billed_as_the_truth_says(tmp_path):
    pipeline = captured(GoldenMonth(vehicles=10, first=date(2026, 3, 5), last=LAST), tmp_path)
    compared = arrive(pipeline, "telemetry first")
    assert not compared.differences, compared.told()
    assert compared.rows["trips"] > 1_500
    pipeline.close(pipeline.cycles[0])
    accepted = read_closing(pipeline.lake, pipeline.cycles[0]).accepted
    assert any("05/03 (1 h)" in said for said in accepted)  # the hour that the carrier never gave


@pytest.mark.timeout(240)
def test_boletins_first_then_all_again_then_closed_then_late_files_then_all_lost_but_raw(tmp_path):
    pipeline = captured(DAYS_WITH_LATE_FILES, tmp_path)
    compared = arrive(pipeline, "boletins first")
    assert not compared.differences, compared.told()
    compared = do_again(pipeline)
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


@pytest.mark.timeout(240)
def test_hours_and_boletins_may_come_in_any_order(tmp_path):
    compared = arrive(captured(DAYS_WITH_LATE_FILES, tmp_path), "shuffled")
    assert not compared.differences, compared.told()
