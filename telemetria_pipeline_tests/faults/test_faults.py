"""Each fault of `make faults` once."""

import pytest

from telemetria_pipeline_tests.faults.table import FAULTS, Try


@pytest.mark.parametrize("fault", [f for faults in FAULTS.values() for f in faults], ids=lambda f: f.__name__)
def test_a_fault_is_survived(fault, tmp_path, s3):
    fault(Try(tmp_path, seed=7, s3=s3))
    s3.server.calm()
