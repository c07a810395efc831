from telemetria_pipeline_tests.fuzz.corrections import told


def test_after_any_sequence_of_files_the_lake_is_what_the_last_words_say():
    # 200 of them: `make fuzz`.
    for number in range(4):
        assert told(seed=7, number=number)[1] is None
