"""From the carrier's socket to the Parquet, through the real job."""

from datetime import UTC, datetime, timedelta

import dagster as dg
import duckdb
import pytest

from telemetria_pipeline.carriers.sources import MAIN
from telemetria_pipeline.contracts.telemetry import CHANGES, LEDGER, QUARANTINE, TRIPS
from telemetria_pipeline.defs.partitions import HOURLY
from telemetria_pipeline.defs.telemetry.assets import raw_key, trips_key
from telemetria_pipeline.simulator import Fleet, Simulator, demo_faults
from telemetria_pipeline_tests.defs.conftest import (
    AFTER_THE_DAY,
    TOKEN,
    assert_same_trips,
    hour_key,
    truth_of,
)
from telemetria_pipeline_tests.one_source import hour_of
from telemetria_pipeline_tests.rounds import and_long

FATES = ("accepted", "duplicate", "rejected", "out_of_window", "in_progress")


@pytest.mark.parametrize("seed", and_long(7, 23))
def test_a_day_of_every_fault_equals_the_truth_trip_for_trip(pipeline, point_at, seed):
    faults = demo_faults(seed)
    with Simulator(Fleet(seed, vehicles=12), TOKEN, faults, as_of=AFTER_THE_DAY) as simulator:
        point_at(simulator.url)
        result = pipeline.run(hour_key(0), hour_key(23))
        hours = [hour_key(h) for h in range(24)]
        assert result.success
        assert_same_trips(pipeline.table(TRIPS, *hours), truth_of(simulator, hours[0], hours[-1]))

        ledger = pipeline.table(LEDGER, *hours)
        assert len(ledger) == 24
        assert (ledger["received"] == ledger[list(FATES)].sum(axis=1)).all()
        assert ledger["received"].sum() == sum(pipeline.manifest(h).current.rows for h in hours)
        assert len(pipeline.table(QUARANTINE, *hours)) == (ledger["received"] - ledger["accepted"]).sum()
        assert ledger["requests"].sum() == len(simulator.requests)
        assert ledger["retries"].sum() > 0
        for fate in ("duplicate", "rejected", "out_of_window"):
            assert ledger[fate].sum() > 0, f"the seed shows no {fate}"
        checks = pipeline.checks(result)
        assert checks["ledger_balances"]
        assert checks["contract_holds"]


def test_outsiders_read_the_ledgers_number(pipeline, carrier):
    hours = [hour_key(h) for h in (6, 7, 8)]
    assert pipeline.run(hours[0], hours[-1]).success
    counted = duckdb.sql(
        f"SELECT hora, count(*) FROM read_parquet('{pipeline.lake.glob(TRIPS.name)}', hive_partitioning=true,"
        " hive_types_autocast=false) WHERE data = '2026-03-10' GROUP BY hora"
    ).fetchall()
    ledger = {h[11:13]: int(pipeline.table(LEDGER, h)["accepted"].iloc[0]) for h in hours}
    assert dict(counted) == ledger
    assert sum(ledger.values()) > 0


def test_an_hour_says_what_it_holds_without_personal_data(pipeline, carrier):
    result = pipeline.run(hour_key(6))
    events = {e.asset_key.to_user_string(): e for e in materializations(result)}
    trips, raw = events["main/telemetry_trips"].metadata, events["main/raw_telemetry"].metadata
    table = pipeline.table(TRIPS, hour_key(6))
    assert trips["dagster/row_count"].value == len(table) == trips["ledger/accepted"].value
    assert trips["hour_state"].value == raw["hour_state"].value == "captured"
    assert [c.name for c in trips["dagster/column_schema"].schema.columns] == TRIPS.names
    assert trips["dagster/uri"].value.endswith(
        "telemetry_trips/fonte=main/data=2026-03-10/hora=06/part-0.parquet"
    )
    assert trips["bytes"].value > 0
    assert raw["requests"].value == len(carrier.requests)
    said = str(trips) + str(raw)
    for personal in (*table["motorista"].dropna(), *table["motorista_id"].dropna()):
        assert personal not in said


def test_an_hour_without_trips_is_confirmed_empty_not_missing(pipeline, carrier):
    assert pipeline.run(hour_key(2)).success
    assert pipeline.manifest(hour_key(2)).state == "confirmed_empty"
    assert pipeline.table(LEDGER, hour_key(2))["received"].tolist() == [0]
    assert pipeline.lake.read_table(TRIPS.name, hour_of(hour_key(2)).partition).num_rows == 0


def test_running_the_hour_again_keeps_both_captures_and_rewrites_no_table_that_would_say_the_same(
    pipeline, carrier
):
    assert pipeline.run(hour_key(6)).success
    keys = [
        pipeline.lake.table_key(c.name, hour_of(hour_key(6)).partition) for c in (TRIPS, QUARANTINE, LEDGER)
    ]
    before = [pipeline.lake.store.info(key).etag for key in keys]
    for _ in range(2):
        result = pipeline.run(hour_key(6))
        assert result.success
    shown = next(e for e in materializations(result) if e.asset_key == trips_key(MAIN)).metadata
    assert shown["dagster/row_count"].value == len(pipeline.table(TRIPS, hour_key(6)))
    assert [pipeline.lake.store.info(key).etag for key in keys] == before
    manifest = pipeline.manifest(hour_key(6))
    assert len(manifest.captures) == 3
    assert (manifest.published, manifest.confirmed) == (manifest.captures[0].id, manifest.current.id)
    assert manifest.standing(datetime.now(UTC)) == "captured"
    for capture in manifest.captures:
        assert sum(len(pipeline.lake.get_raw(p.key)) for p in capture.pages) == capture.bytes
    assert_same_trips(pipeline.table(TRIPS, hour_key(6)), truth_of(carrier, hour_key(6)))
    assert pipeline.table(CHANGES, hour_key(6)).empty
    assert set(pipeline.table(TRIPS, hour_key(6))["captura"]) == {manifest.published}


def test_running_late_and_amended_trips_are_caught_up_and_the_change_is_recorded(pipeline, point_at):
    """The hour is captured while its buses drive, then again when all has arrived."""
    key = hour_key(6)
    with Simulator(Fleet(5, vehicles=30), TOKEN, demo_faults(5), as_of=hour_of(key).end) as simulator:
        point_at(simulator.url)
        first = pipeline.run(key)
        assert first.success
        ledger = pipeline.table(LEDGER, key).iloc[0]
        assert ledger["state"] == pipeline.manifest(key).state == "open"
        assert ledger["in_progress"] == sum(
            simulator.running_per_hour(hour_of(key).start, hour_of(key).end).values()
        )
        before = pipeline.table(TRIPS, key)

        simulator.as_of = AFTER_THE_DAY
        second = pipeline.run(key)
        truth = truth_of(simulator, key)
        assert_same_trips(pipeline.table(TRIPS, key), truth)
        ledger, changes = pipeline.table(LEDGER, key).iloc[0], pipeline.table(CHANGES, key)
        assert ledger["state"] == "captured"
        assert ledger["new"] == len(set(truth["saida_utc"]) - set(before["saida_utc"])) > 0
        assert ledger["altered"] == len(
            changes[changes["mudanca"] == "alterada"].drop_duplicates(["veiculo_id", "saida_utc"])
        )
        shown = next(e for e in materializations(second) if e.asset_key == trips_key(MAIN)).metadata
        assert shown["changes/new"].value == ledger["new"]
        assert set(changes["captura_anterior"]) == {pipeline.manifest(key).captures[0].id}


def test_an_hour_that_a_carrier_empties_later_keeps_its_raw_and_says_what_went(pipeline, carrier):
    assert pipeline.run(hour_key(6)).success
    had = len(pipeline.table(TRIPS, hour_key(6)))
    carrier.inject("empty_hour")
    assert pipeline.run(hour_key(6)).success
    assert pipeline.table(LEDGER, hour_key(6))["gone"].tolist() == [had]
    assert pipeline.manifest(hour_key(6)).captures[0].rows >= had


def test_trips_are_made_again_from_raw_with_the_api_switched_off(pipeline, carrier, monkeypatch):
    assert pipeline.run(hour_key(6), hour_key(7)).success
    made, counted = (pipeline.table(c, hour_key(6), hour_key(7)) for c in (TRIPS, LEDGER))
    for hour in (6, 7):
        pipeline.lake.store.delete(pipeline.lake.table_key(TRIPS.name, hour_of(hour_key(hour)).partition))
    carrier.close()
    for name in ("TELEMETRIA_API_URL", "TELEMETRIA_API_TOKEN"):
        monkeypatch.delenv(name)
    result = pipeline.run(hour_key(6), hour_key(7), only=TRIPS.name)
    assert result.success
    assert pipeline.table(TRIPS, hour_key(6), hour_key(7)).equals(made)
    assert pipeline.table(LEDGER, hour_key(6), hour_key(7)).equals(
        counted
    )  # nothing changed at the carrier's
    assert pipeline.table(CHANGES, hour_key(6), hour_key(7)).empty


def test_trips_without_a_capture_say_what_to_materialise_first(pipeline, carrier):
    result = pipeline.run(hour_key(6), only=TRIPS.name)
    assert not result.success
    assert "materialise raw_telemetry for it first" in failure_of(result)


def test_an_hour_that_fails_in_a_range_costs_only_itself(pipeline, carrier):
    """The third hour is answered with a permanent error; the others are reported and checked."""
    hours = [hour_key(h) for h in range(4, 9)]
    assert pipeline.run(hours[2]).success
    earlier = pipeline.table(TRIPS, hours[2])
    seen = len(carrier.requests)
    pages = [pipeline_pages(carrier, h) for h in hours[:2]]
    carrier.inject(*[None] * sum(pages), "redirect")
    result = pipeline.run(hours[0], hours[-1])
    assert not result.success
    assert "1 of 5 hours failed" in failure_of(result)
    assert hours[2] in failure_of(result)
    assert len(carrier.requests) > seen
    for hour in (hours[0], hours[1], hours[3], hours[4]):
        assert hour in pipeline.materialized()
        assert_same_trips(pipeline.table(TRIPS, hour), truth_of(carrier, hour))
    assert pipeline.checks(result)["ledger_balances"]
    # What the hour held before is still there, and the failure is written down beside it.
    assert pipeline.table(TRIPS, hours[2]).equals(earlier)
    manifest = pipeline.manifest(hours[2])
    assert manifest.state == "captured"
    assert manifest.failure.attempts == 1
    assert manifest.failure.permanent


def test_an_hour_without_an_answer_is_missing_with_attempts_and_the_last_error(pipeline, point_at):
    point_at("http://127.0.0.1:9")  # nobody listens on the discard port
    by_itself = {"dagster/sensor_name": "telemetry_recapture_main"}
    for tags, tries in ((by_itself, 1), ({}, 1), (by_itself, 2)):  # a person's run begins to count anew
        result = pipeline.run(hour_key(6), tags=tags)
        assert not result.success
        manifest = pipeline.manifest(hour_key(6))
        assert (manifest.state, manifest.failure.attempts) == ("missing", tries)
        assert "127.0.0.1:9" in manifest.failure.error
    assert hour_key(6) not in pipeline.materialized()
    observed = pipeline.instance.fetch_observations(raw_key(MAIN), limit=9).records
    shown = observed[0].asset_observation.metadata
    assert observed[0].asset_observation.partition == hour_key(6)
    assert (shown["hour_state"].value, shown["attempts"].value) == ("missing", 2)


def test_a_passing_failure_is_tried_again_by_the_step_and_only_where_it_failed(
    pipeline, carrier, monkeypatch
):
    monkeypatch.setenv("TELEMETRIA_HOUR_RETRIES", "1")
    monkeypatch.setenv("TELEMETRIA_HOUR_RETRY_WAIT_S", "0")
    first = pipeline_pages(carrier, hour_key(6))
    carrier.inject(*[None] * first, *["error_500"] * 6)  # more than the client's own attempts
    result = pipeline.run(hour_key(6), hour_key(7))
    assert result.success
    assert len(pipeline.manifest(hour_key(6)).captures) == 1
    assert_same_trips(
        pipeline.table(TRIPS, hour_key(6), hour_key(7)), truth_of(carrier, hour_key(6), hour_key(7))
    )


@pytest.mark.parametrize("status", ["wrong token", "unset token"])
def test_a_wrong_token_fails_at_once_names_its_variable_and_is_retried_by_no_layer(
    pipeline, carrier, point_at, monkeypatch, status
):
    monkeypatch.setenv("TELEMETRIA_HOUR_RETRIES", "3")
    if status == "wrong token":
        point_at(carrier.url, token="not-the-token")
    else:
        monkeypatch.delenv("TELEMETRIA_API_TOKEN")
    result = pipeline.run(hour_key(5), hour_key(8))
    assert not result.success
    assert "TELEMETRIA_API_TOKEN" in failure_of(result)
    assert len(carrier.requests) == (1 if status == "wrong token" else 0)
    assert not [e for e in result.all_events if e.event_type_value == "STEP_UP_FOR_RETRY"]


FAILURES = (
    "echo_token",
    "html",
    "truncated_json",
    "error_in_200",
    "redirect",
    "bad_token",
    "reset",
    "error_500",
)


@pytest.mark.parametrize("fault", and_long(*FAILURES, quick=3))
def test_no_token_is_left_anywhere_whatever_fails(pipeline, carrier, fault, caplog, capfd):
    carrier.inject(*[fault] * 12)
    result = pipeline.run(hour_key(6))
    assert not result.success
    assert any(r.fault == fault for r in carrier.requests)
    stored = [p for p in pipeline.folder.rglob("*") if p.is_file()]
    texts = [p.read_bytes().decode("utf-8", "replace") for p in stored]
    texts += [
        pipeline.lake.get_raw(i.key).decode() for i in pipeline.lake.store.list() if i.key.endswith(".zst")
    ]
    texts += [str(e) for e in pipeline.instance.all_logs(result.run_id)]
    texts += [caplog.text, *capfd.readouterr()]
    assert any(hour_key(6) in text for text in texts)
    assert not [text for text in texts if TOKEN in text or TOKEN.replace("/", r"\/") in text]


def test_every_request_has_a_line_in_dagsters_log(pipeline, carrier):
    carrier.inject("error_503")
    result = pipeline.run(hour_key(6))
    said = "\n".join(e.user_message for e in pipeline.instance.all_logs(result.run_id))
    lines = [line for line in said.splitlines() if line.startswith("GET /v1/trips")]
    assert len(lines) == len(carrier.requests)
    assert "503" in lines[0]
    assert all(result.run_id[:8] in line for line in lines)


def test_a_row_that_breaks_the_contract_stops_the_hour_before_anything_is_replaced(
    pipeline, carrier, monkeypatch
):
    """The cleaning never lets such a row through, so the contract is made stricter than the carrier."""
    assert pipeline.run(hour_key(6)).success
    before = pipeline.table(TRIPS, hour_key(6))
    monkeypatch.setattr(
        "telemetria_pipeline.core.telemetry.cleaning.driver_names", lambda names: names.isna()
    )
    result = pipeline.run(hour_key(6))
    assert not result.success
    assert pipeline.checks(result)["contract_holds"] is False
    assert pipeline.table(TRIPS, hour_key(6)).equals(before)


def materializations(result) -> list[dg.AssetMaterialization]:
    return [
        e.step_materialization_data.materialization
        for e in result.all_events
        if e.event_type_value == "ASSET_MATERIALIZATION"
    ]


def failure_of(result) -> str:
    return "\n".join(
        e.step_failure_data.error.to_string() + str(e.step_failure_data.user_failure_data)
        for e in result.all_events
        if e.event_type_value == "STEP_FAILURE"
    )


def pipeline_pages(carrier: Simulator, key: str) -> int:
    """How many requests the hour takes when nothing goes wrong: told by asking once."""
    import requests

    hour, pages, cursor = hour_of(key), 0, ""
    while cursor is not None:
        asked = {"from": hour.start.isoformat(), "to": hour.end.isoformat(), "cursor": cursor}
        got = requests.get(
            f"{carrier.url}/v1/trips",
            {k: v for k, v in asked.items() if v},
            headers={"Authorization": f"Bearer {TOKEN}"},
            timeout=10,
        ).json()
        pages, cursor = pages + 1, got["pagination"]["next_cursor"]
    return pages


def test_the_checks_alone_are_asked_of_what_the_last_day_stored(pipeline, carrier):
    """What the UI's Execute button does; a stored hour that lost a row since is found out."""
    carrier.as_of = None  # the real clock
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    keys = HOURLY.get_partition_keys_in_time_window(dg.TimeWindow(now - timedelta(hours=12), now))
    assert pipeline.run(keys[0], keys[-1]).success
    result = pipeline.recheck()
    assert result.success
    assert len(pipeline.checks(result)) == 9
    busy = next(k for k in keys if len(pipeline.table(TRIPS, k)))
    table = pipeline.lake.read_table(TRIPS.name, hour_of(busy).partition)
    pipeline.lake.write_table(TRIPS.name, hour_of(busy).partition, table.slice(1))
    result = pipeline.recheck()
    assert not result.success
    assert pipeline.checks(result)["ledger_balances"] is False
