"""Each fault of `make faults` once, but for those of Dagster's own processes."""

import pytest

from telemetria_pipeline_tests.clock import NoCompiler
from telemetria_pipeline_tests.faults.servers import Shared
from telemetria_pipeline_tests.faults.table import FAULTS, LONG, PROCESSES
from telemetria_pipeline_tests.faults.world import NotTried, Try


@pytest.fixture(scope="module")
def shared():
    with Shared() as shared:
        yield shared


EACH = [
    pytest.param(
        fault, marks=[pytest.mark.long, pytest.mark.timeout(1200)] if fault in LONG else (), id=fault.__name__
    )
    for faults in FAULTS.values()
    for fault in faults
    if fault not in PROCESSES
]


@pytest.mark.parametrize("fault", EACH)
def test_a_fault_is_survived(fault, tmp_path, s3, shared):
    try:
        fault(Try(tmp_path, seed=7, s3=s3, daemon=shared.daemon, house=shared.house))
    except (NotTried, NoCompiler) as error:
        pytest.skip(str(error))
    s3.server.calm()
