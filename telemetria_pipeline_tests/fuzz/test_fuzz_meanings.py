import pytest

from telemetria_pipeline_tests.fuzz.meanings import WAYS, run
from telemetria_pipeline_tests.rounds import and_long


@pytest.mark.parametrize("rounds", and_long(1, 5))
def test_nothing_is_misread_in_silence(rounds):
    # 2,000 of them: `make fuzz`.
    fates, failures = run(seed=3, count=rounds * len(WAYS))
    assert failures == []
    assert {how for how, _ in fates} == {way.__name__.strip("_") for way in WAYS}
