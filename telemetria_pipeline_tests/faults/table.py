"""The table of faults: each function is one try, and raises where something was lost, doubled or unclear."""

from collections.abc import Callable

from telemetria_pipeline_tests.faults import api, inputs, instance, process, store
from telemetria_pipeline_tests.faults.world import Try

Fault = Callable[[Try], None]

PROCESSES: list[Fault] = [
    instance.daemon_killed, instance.code_server_killed, instance.clock_jumps_under_dagster,
    instance.all_restarted_with_runs_queued,
]  # fmt: skip
"""Those of Dagster's own processes, which one house goes through, for minutes each: left to `make faults`."""

FAULTS: dict[str, list[Fault]] = {
    "API": [
        api.every_fault_alone, api.mixed_at_30_percent, api.wrong_token, api.token_expires_in_mid_run,
        api.no_such_host, api.no_tls, api.nobody_listens, api.hours_refused_for_a_while,
    ],
    "store": [
        store.s3_is_busy, store.s3_hangs, store.s3_resets_while_writing, store.s3_loses_an_answer,
        store.s3_keys_expire, store.our_clock_is_an_hour_off, store.s3_has_no_bucket, store.disk_is_full,
        store.files_cannot_grow, store.folder_is_read_only, store.folder_is_no_folder,
    ],
    "process": [
        process.killed, process.two_at_once, process.clock_jumps, instance.daemon_killed,
        instance.code_server_killed, instance.clock_jumps_under_dagster,
    ],
    "input": [inputs.fuzzed_boletins, inputs.reference_file_breaks_overnight],
    "Dagster": [
        instance.tick_dies_after_its_requests, instance.database_is_locked,
        instance.restarted_with_runs_queued, instance.all_restarted_with_runs_queued,
    ],
}  # fmt: skip
"""Where, and what."""

ROUNDS = 20
ROUNDS_OF = dict.fromkeys(PROCESSES, 5)
"""How often each is tried where nobody says it."""

LONG = {
    instance.database_is_locked, instance.restarted_with_runs_queued, inputs.reference_file_breaks_overnight,
}  # fmt: skip
"""What the tests leave to `make long`."""
