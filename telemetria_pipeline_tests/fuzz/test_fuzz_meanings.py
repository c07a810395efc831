from telemetria_pipeline_tests.fuzz.meanings import WAYS, run


def test_nothing_is_misread_in_silence():
    # 2,000 of them: `make fuzz`.
    fates, failures = run(seed=3, count=5 * len(WAYS))
    assert failures == []
    assert {how for how, _ in fates} == {way.__name__.strip("_") for way in WAYS}
