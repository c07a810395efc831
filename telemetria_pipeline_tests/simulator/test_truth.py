import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetria_pipeline.simulator import DATA_FAULTS, FaultPlan, Fleet
from telemetria_pipeline.simulator.dialects import DIALECTS
from telemetria_pipeline.simulator.faults import ODOMETER_FAULTS
from telemetria_pipeline.simulator.records import Carrier
from telemetria_pipeline.simulator.truth import odometer_status, running_per_hour, true_trips
from telemetria_pipeline_tests.simulator.conftest import DAY, HOUR, Client, z

Serve = Callable[..., Client]
Key = tuple[str, datetime]
OWN = DIALECTS["simulator"]
EVERYTHING = dict.fromkeys(DATA_FAULTS, 0.04)


def parsed(text: str) -> datetime:
    return datetime.fromisoformat(text)


def ingest(
    records: Iterable[dict[str, Any]], start: datetime, end: datetime, as_of: datetime
) -> dict[Key, dict]:
    """The plainest ingest: drop what cannot be a finished trip of the window, keep the last version."""
    kept: dict[Key, dict] = {}
    for r in records:
        vehicle, leaves = (r["asset"] or {}).get("id"), parsed(r["departure"]["time"])
        if not vehicle or not start <= leaves < end or leaves > as_of + timedelta(minutes=5):
            continue
        if r["status"] != "completed":
            continue
        if not isinstance(r["distance_m"], float) or r["distance_m"] < 0:
            assert r["departure"]["odometer_m"] is None
            continue
        before = kept.get((vehicle, leaves))
        if before is None or before["updated_at"] <= r["updated_at"]:
            kept[vehicle, leaves] = r
    return kept


def plate_of(record: dict[str, Any]) -> str:
    text = record["asset"]["registration"] or record["asset"]["description"].split("|")[2].removesuffix(
        "-DVR"
    )
    text = re.sub("[^A-Z0-9]", "", text.upper())
    return text[:4] + (chr(ord("A") + int(text[4])) if text[4].isdigit() else text[4]) + text[5:]


@pytest.mark.parametrize("seed", [7, 8])
@pytest.mark.parametrize("hours", [5, 12.5, 26, 60])
def test_reading_everything_and_keeping_the_last_version_gives_the_truth(
    serve: Serve, seed: int, hours: float
) -> None:
    as_of = DAY + hours * HOUR
    client = serve(FaultPlan(seed, EVERYTHING), fleet=Fleet(seed, 20), as_of=as_of)
    start, end = DAY, DAY + 24 * HOUR
    kept = ingest(client.all_trips(start, end, limit=200), start, end, as_of)
    truth = client.simulator.truth(start, end)
    assert [(t.veiculo_id, t.saida_utc) for t in truth] == sorted(kept, key=lambda k: (k[1], k[0]))
    for row in truth:
        record = kept[row.veiculo_id, row.saida_utc]
        assert row.placa == plate_of(record)
        assert row.equipamento == record["asset"]["description"].split("|")[1]
        assert row.garagem == record["garage"]
        assert row.motorista_id == (record["driver"]["id"] if record["driver"] else None)
        assert row.chegada_utc == parsed(record["arrival"]["time"])
        assert row.id_origem == record["id"]
        assert row.distancia_telemetria_km == pytest.approx(record["distance_m"] / 1000)
        left, arrived = record["departure"].get("odometer_m"), record["arrival"]["odometer_m"]
        if row.fonte_distancia == "odometro":
            assert row.situacao_odometro == "ok"
            assert row.distancia_km == pytest.approx((arrived - left) / 1000)
        else:
            assert row.situacao_odometro != "ok"
            assert row.distancia_km == row.distancia_telemetria_km


def test_hour_by_hour_gives_the_same_as_the_day(serve: Serve) -> None:
    as_of = DAY + 60 * HOUR
    client = serve(FaultPlan(7, EVERYTHING), fleet=Fleet(7, 20), as_of=as_of)
    kept: dict[Key, dict] = {}
    for n in range(24):
        start = DAY + n * HOUR
        hour = ingest(client.all_trips(start, start + HOUR), start, start + HOUR, as_of)
        assert not kept.keys() & hour.keys()
        kept |= hour
    assert {k: r["id"] for k, r in kept.items()} == {
        (t.veiculo_id, t.saida_utc): t.id_origem for t in client.simulator.truth(DAY, DAY + 24 * HOUR)
    }


def test_each_odometer_slip_is_what_it_claims() -> None:
    expected = {
        "odometer_zero": "ausente", "odometer_regression": "regressao", "odometer_rollover": "virada",
        "odometer_jump": "salto", "odometer_unit": "unidade",
    }  # fmt: skip
    fleet = Fleet(11, 20)
    clean = {
        t.id_origem: t
        for t in true_trips(OWN, Carrier(fleet, FaultPlan(0)), DAY, DAY + 240 * HOUR, DAY + 999 * HOUR)
    }
    assert {t.situacao_odometro for t in clean.values()} == {"ok"}
    for fault in ODOMETER_FAULTS:
        carrier = Carrier(fleet, FaultPlan(0, {fault: 1.0}))
        rows = true_trips(OWN, carrier, DAY, DAY + 240 * HOUR, DAY + 999 * HOUR)
        for row in rows:
            slipped = fault in carrier.plan.on_trip(row.id_origem) and clean[row.id_origem].distancia_km >= 6
            assert row.situacao_odometro == (expected[fault] if slipped else "ok")
            assert row.distancia_km == pytest.approx(clean[row.id_origem].distancia_km, rel=0.016)
        assert Counter(r.situacao_odometro for r in rows)[expected[fault]] > 1000


@pytest.mark.parametrize(
    ("left", "arrived", "km", "hours", "status"),
    [
        (100_000, 130_000, 30.2, 1, "ok"),
        (None, 130_000, 30, 1, "ausente"),
        (100_000, None, 30, 1, "ausente"),
        (0, 130_000, 30, 1, "ausente"),
        (130_000, 100_000, 30, 1, "regressao"),
        (99_980_000, 10_000, 30, 1, "virada"),
        (999_980_000, 10_000, 30, 1, "virada"),
        (94_900_000, 10_000, 30, 1, "regressao"),
        (99_980_000, 5_100_000, 30, 1, "regressao"),
        (1_000_000, 31_000_000, 30, 1, "unidade"),
        (1_000, 1_030, 30, 1, "unidade"),
        (1_000_000, 1_048_270, 30, 1, "unidade"),
        (1_000_000, 1_018_645, 30, 1, "unidade"),
        (1_000_000, 1_300_000, 30, 1, "unidade"),
        (1_000_000, 1_300_000, 29.3, 1, "ok"),
        (1_000_000, 3_001_000, 0, 1, "salto"),
        (1_000_000, 2_001_000_000 + 1_000_000, 1800, 24, "salto"),
        (1_000_000, 3_900_000_000, 3800, 25, "salto"),
        (1_000_000, 3_801_000, 1800, 25, "ok"),
    ],
)
def test_the_rule_of_the_odometer(
    left: int | None, arrived: int | None, km: float, hours: int, status: str
) -> None:
    assert odometer_status(left, arrived, km, timedelta(hours=hours)) == status


@given(st.integers(1, 10**9), st.integers(1, 10**9), st.floats(0, 1e5), st.floats(0, 1e6))
def test_the_rule_always_has_an_answer(left: int, arrived: int, km: float, seconds: float) -> None:
    status = odometer_status(left, arrived, km, timedelta(seconds=seconds))
    assert (status in ("regressao", "virada")) == (arrived < left)
    assert math.isfinite(km)


def test_running_trips_have_no_arrival_yet(serve: Serve) -> None:
    as_of = DAY + 13.5 * HOUR
    client = serve(as_of=as_of)
    fleet = client.simulator.fleet
    under_way = {t.id: t for t in fleet.trips(DAY, as_of) if t.arrival > as_of}
    assert under_way
    records = client.all_trips(DAY + 12 * HOUR, DAY + 15 * HOUR)
    running = {r["id"]: r for r in records if r["status"] == "running"}
    assert set(running) == set(under_way)
    for record in running.values():
        assert record["arrival"] is record["next_departure"] is record["stopped_seconds"] is None
        assert 0 <= record["distance_m"] < under_way[record["id"]].gps_m
        assert parsed(record["updated_at"]) == as_of
    per_hour = Counter(t.departure.replace(minute=0, second=0) for t in under_way.values())
    assert client.simulator.running_per_hour(DAY, DAY + 24 * HOUR) == dict(per_hour)
    assert all(parsed(r["departure"]["time"]) <= as_of for r in records)
    client.simulator.as_of = as_of + 3 * HOUR
    later = {r["id"]: r["status"] for r in client.all_trips(DAY + 12 * HOUR, DAY + 15 * HOUR)}
    assert {later[trip] for trip in under_way} == {"completed"}
    assert client.simulator.running_per_hour(DAY, DAY + 14 * HOUR) == {}


def test_a_late_trip_shows_hours_after_its_arrival(serve: Serve) -> None:
    client = serve(FaultPlan(1, {"late": 1}), fleet=Fleet(1, 3))
    trip = client.simulator.fleet.trips(DAY + 9 * HOUR, DAY + 12 * HOUR)[0]
    window = trip.departure, trip.departure + timedelta(seconds=1)

    def shown(as_of: datetime) -> bool:
        client.simulator.as_of = as_of
        served = trip.id in [r["id"] for r in client.all_trips(*window)]
        assert served == bool(client.simulator.truth(*window))
        assert client.simulator.running_per_hour(*window) == {}
        return served

    assert not shown(trip.departure + timedelta(seconds=30))
    assert not shown(trip.arrival + timedelta(minutes=59))
    assert shown(trip.arrival + 8 * HOUR)


def test_an_amended_trip_changes_and_a_reissued_one_comes_twice(serve: Serve) -> None:
    for fault in ("amended", "reissued"):
        client = serve(FaultPlan(1, {fault: 1}), fleet=Fleet(1, 3))
        trip = client.simulator.fleet.trips(DAY + 9 * HOUR, DAY + 12 * HOUR)[0]
        window = trip.departure, trip.departure + timedelta(seconds=1)

        def seen(as_of: datetime, window: tuple = window, trip: Any = trip, client: Client = client) -> tuple:
            client.simulator.as_of = as_of
            own = [r for r in client.all_trips(*window) if r["asset"]["id"] == trip.vehicle.id
                   and parsed(r["departure"]["time"]) == trip.departure]  # fmt: skip
            (true,) = client.simulator.truth(*window)
            return sorted(own, key=lambda r: r["updated_at"]), true

        first, early = seen(trip.arrival)
        assert len(first) == 1
        assert early.distancia_km < trip.distance_m / 1000 * 0.96
        assert early.chegada_utc < trip.arrival
        last, final = seen(trip.arrival + 6 * HOUR)
        assert final.distancia_km == pytest.approx(trip.distance_m / 1000)
        assert final.chegada_utc == trip.arrival
        assert last[-1]["updated_at"] > first[0]["updated_at"]
        assert last[-1]["id"] == final.id_origem
        if fault == "amended":
            assert [r["id"] for r in last] == [trip.id]
        else:
            assert last[0] == first[0] | {k: last[0][k] for k in ("next_departure", "stopped_seconds")}
            assert last[1]["id"] != trip.id


def test_a_reissued_record_may_come_before_the_one_that_it_replaces(serve: Serve) -> None:
    served = serve(FaultPlan(1, {"reissued": 1})).all_trips(limit=1000)
    pairs = [
        (a["updated_at"], b["updated_at"])
        for a, b in pairwise(served)
        if (a["asset"]["id"], a["departure"]["time"]) == (b["asset"]["id"], b["departure"]["time"])
    ]
    assert {a < b for a, b in pairs} == {True, False}


def test_the_next_departure_is_unknown_until_it_happens(serve: Serve) -> None:
    client = serve()
    trip = client.simulator.fleet.trips(DAY + 9 * HOUR, DAY + 12 * HOUR)[0]
    leaves = client.simulator.fleet.next_departure(trip)
    shown = []
    for as_of in (leaves - timedelta(seconds=1), leaves):
        client.simulator.as_of = as_of
        record = client.all_trips(trip.departure, trip.departure + timedelta(seconds=1))[0]
        shown.append((record["next_departure"], record["stopped_seconds"]))
    assert shown == [(None, None), (z(leaves), (leaves - trip.arrival).total_seconds())]


def served_with(serve: Serve, fault: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The day's records without and with a fault on every trip."""
    return serve().all_trips(limit=1000), serve(FaultPlan(1, {fault: 1})).all_trips(limit=1000)


def test_rows_that_are_no_trip_of_the_window(serve: Serve) -> None:
    as_of = DAY + 48 * HOUR
    for fault in ("outside_window", "future", "no_vehicle", "bad_distance"):
        clean, served = served_with(serve, fault)
        known = {r["id"] for r in clean}
        extra = [r for r in served if r["id"] not in known]
        assert len(extra) > 150, fault
        assert [r for r in served if r["id"] in known] == clean
        assert all(r.keys() == clean[0].keys() for r in extra)
        keys = {(r["asset"]["id"], r["departure"]["time"]) for r in clean}
        times = [parsed(r["departure"]["time"]) for r in extra]
        if fault == "outside_window":
            assert all(DAY - 144 * HOUR < t < DAY for t in times)
        elif fault == "future":
            assert {t.year for t in times} == {2026, 2099}
            assert all(t > as_of + timedelta(minutes=5) for t in times)
        elif fault == "no_vehicle":
            assert not any((r["asset"] or {}).get("id") for r in extra)
            assert {r["asset"] is None for r in extra} == {True, False}
        else:
            assert all(r["distance_m"] == "abc" or r["distance_m"] < 0 for r in extra)
            assert all(r["departure"]["odometer_m"] is r["arrival"]["odometer_m"] is None for r in extra)
            assert not keys & {(r["asset"]["id"], r["departure"]["time"]) for r in extra}


def test_rows_that_are_odd_but_true(serve: Serve) -> None:
    clean, served = served_with(serve, "duplicate")
    assert Counter(r["id"] for r in served) == Counter({r["id"]: 2 for r in clean})
    assert [r["id"] for r in served] != [i for r in clean for i in (r["id"], r["id"])]  # copies lie elsewhere
    assert all(r in clean for r in served)
    _, served = served_with(serve, "unknown_field")
    assert all(r["firmware"] for r in served)
    _, served = served_with(serve, "null_driver")
    assert all(r["driver"] is None for r in served)
    clean, served = served_with(serve, "plate_only_in_description")
    assert all(r["asset"]["registration"] is None for r in served)
    assert {plate_of(r) for r in served} == {plate_of(r) for r in clean}
    clean, served = served_with(serve, "missing_field")
    gone = [name for r in served for name in clean[0] if name not in r]
    gone += ["odometer_m" for r in served if "odometer_m" not in r["departure"]]
    assert len(gone) == len(served)
    assert len(set(gone)) == 5


def test_plates_are_written_in_many_ways(serve: Serve) -> None:
    plates = [r["asset"]["registration"] for r in serve().all_trips(limit=1000)]
    assert any("-" in p for p in plates)
    assert any("-" not in p for p in plates)
    assert any(p.islower() for p in plates)
    assert any(p.replace("-", "")[4].isdigit() for p in plates)
    assert any(p.replace("-", "")[4].isalpha() for p in plates)


def test_an_hour_without_trips_stays_empty_whatever_the_faults(serve: Serve) -> None:
    client = serve(FaultPlan(1, dict.fromkeys(DATA_FAULTS, 1.0)))
    assert client.all_trips(DAY + 2 * HOUR, DAY + 4 * HOUR) == []


def test_truth_as_json_lines(serve: Serve, tmp_path: Path) -> None:
    client = serve(FaultPlan(7, EVERYTHING))
    path = tmp_path / "fresh" / "truth.jsonl"
    client.simulator.write_truth(path, DAY, DAY + 24 * HOUR)
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    truth = client.simulator.truth(DAY, DAY + 24 * HOUR)
    assert len(rows) == len(truth) > 150
    for row, true in zip(rows, truth, strict=True):
        assert parsed(row["saida_utc"]) == true.saida_utc
        assert row["garagem"] == true.garagem
        assert row["distancia_km"] == true.distancia_km
    assert list(path.parent.iterdir()) == [path]


def test_running_is_counted_at_the_instant_asked() -> None:
    carrier = Carrier(Fleet(7, 20), FaultPlan(0))
    as_of = DAY + 13 * HOUR
    total = sum(running_per_hour(OWN, carrier, DAY, DAY + 24 * HOUR, as_of).values())
    assert (
        total == sum(t.departure <= as_of < t.arrival for t in carrier.fleet.trips(DAY, DAY + 24 * HOUR)) > 0
    )
