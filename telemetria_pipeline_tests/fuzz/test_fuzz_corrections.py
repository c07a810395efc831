import pytest

from telemetria_pipeline_tests.fuzz.corrections import told
from telemetria_pipeline_tests.rounds import and_long


@pytest.mark.parametrize("number", and_long(*range(4)))
def test_after_any_sequence_of_files_the_lake_is_what_the_last_words_say(number):
    # 200 of them: `make fuzz`.
    assert told(seed=7, number=number)[1] is None
