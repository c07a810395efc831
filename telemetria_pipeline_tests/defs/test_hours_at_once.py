"""Two instances capture and publish one hour at once: no capture is forgotten, and its tables are of one.

Nothing keeps them apart: each asks the carrier, whose answer is another each time, with pauses at the store
that let the other in between any two requests. Folder and S3.
"""

import itertools
from concurrent.futures import ThreadPoolExecutor

import pytest

from telemetria_pipeline.carriers.client import CarrierClient
from telemetria_pipeline.contracts.telemetry import LEDGER, QUARANTINE, TRIPS
from telemetria_pipeline.steps.day_index import hour_entry
from telemetria_pipeline.steps.hours import raw_folder, read_manifest
from telemetria_pipeline.steps.ingest import ingest_hours
from telemetria_pipeline.storage import Lake, lock
from telemetria_pipeline_tests.carriers.conftest import TOKEN, Answer, Asked, serve
from telemetria_pipeline_tests.defs.test_hour_safety import HOUR, small_profile, trip
from telemetria_pipeline_tests.defs.test_intake_at_once import pauses
from telemetria_pipeline_tests.rounds import and_long

__all__ = ["serve"]  # the carriers' fixture


@pytest.mark.parametrize("seeds", and_long(range(2), range(2, 20)), ids=["two", "many"])
def test_no_capture_is_forgotten_and_the_tables_are_of_the_current_one(address, serve, monkeypatch, seeds):
    monkeypatch.setattr(lock, "_ASKED_EVERY_S", 0.02)
    profile, answers = small_profile(), itertools.count(1)

    def respond(asked: Asked) -> Answer:
        """A trip more each time, and one that is refused."""
        return Answer({"data": [*(trip(f"bus {n}") for n in range(next(answers))), trip("bus", v=None)]})

    url = serve(respond).url

    def instance(lake: Lake, name: str) -> list[Exception]:
        with CarrierClient(profile, url, TOKEN, sleep=lambda s: None) as client:
            return [o.error for o in ingest_hours(lake, profile, client, [HOUR], name, True) if o.error]

    for seed in seeds:
        lake = Lake.open(f"{address}/{seed}")
        with pauses(seed), ThreadPoolExecutor(2) as pool:
            assert list(pool.map(lambda name: instance(lake, name), ("one", "other"))) == [[], []]  # noqa: B023
        manifest, entry = read_manifest(lake, HOUR), hour_entry(lake, HOUR)
        kept = {info.key.split("/")[4] for info in lake.store.list(raw_folder(HOUR)) if ".zst" in info.key}
        assert len(kept) == 2
        assert {capture.id for capture in manifest.captures} == kept
        current = manifest.current.id
        (ledger,) = lake.read_table(LEDGER.name, HOUR.partition).to_pylist()
        tables = [lake.read_table(c.name, HOUR.partition) for c in (TRIPS, QUARANTINE)]
        assert {manifest.published, entry.capture, ledger["capture"]} == {current}
        assert [{*table["captura"].to_pylist()} for table in tables] == [{current}] * 2
        assert ledger["accepted"] == tables[0].num_rows == entry.rows == manifest.current.rows - 1
