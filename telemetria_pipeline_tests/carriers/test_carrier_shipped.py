"""The shipped profiles against what their carriers send: the captures, and records of the same shapes."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from telemetria_pipeline.carriers import errors
from telemetria_pipeline.carriers.client import CarrierClient
from telemetria_pipeline.carriers.decoding import decode_page
from telemetria_pipeline.carriers.mapping import map_pages
from telemetria_pipeline.carriers.profile import load_profile
from telemetria_pipeline_tests.carriers.conftest import TOKEN, Answer

CAPTURES = Path(__file__).parents[3] / "shared" / "samples" / "carriers"
captured = pytest.mark.skipif(not CAPTURES.is_dir(), reason="the captures are not beside the repository")
START = datetime(2026, 3, 10, 10, tzinfo=UTC)
END = START + timedelta(hours=1)
MOTIVE, SAMSARA, TRACCAR = (load_profile(name) for name in ("motive", "samsara", "traccar"))


def mapped(profile, records, **stamp):
    return map_pages(profile, [SimpleNamespace(number=1, records=records, stamp=stamp)])


def capture(profile, server):
    with CarrierClient(profile, server.url, TOKEN, sleep=lambda s: None) as client:
        pages = list(client.pages(START, END))
    return pages, map_pages(profile, [page for page in pages if page.kind == "trips"])


def utc(text):
    return pd.Timestamp(text, tz="UTC")


# ---------------------------------------------------------------- Motive


def period(number, **changes):
    return {
        "id": number, "start_time": "2026-03-10T10:05:00Z", "end_time": "2026-03-10T10:35:00Z",
        "status": "complete", "duration": 1800.0, "start_kilometers": 1000.25, "end_kilometers": 1012.75,
        "driver": {"id": 77, "first_name": "Iara", "last_name": "Prado"},
        "vehicle": {"id": 9, "number": "0031"}, "origin": "Rua A, 1", "destination": "Rua B, 2",
        "distance": "7.8 mi", **changes,
    }  # fmt: skip


def test_motive_pages_by_number_with_its_own_header_and_whole_days(serve):
    rows = [period(n) for n in range(1, 151)]
    rows[1] = period(
        2, status="in_progress", end_time=None, end_kilometers=None, distance=None, destination=""
    )
    rows[2] = period(3, driver=None)

    def respond(asked):
        page, size = int(asked.query["page_no"]), int(asked.query["per_page"])
        part = [{"driving_period": row} for row in rows[(page - 1) * size : page * size]]
        return Answer({"driving_periods": part, "pagination": {"page_no": page, "total": len(rows)}})

    server = serve(respond)
    pages, frame = capture(MOTIVE, server)
    assert len(pages) == 2 and len(frame) == 150
    asked = server.asked[0]
    assert asked.path == "/v1/driving_periods" and asked.headers["X-Api-Key"] == TOKEN
    assert "Authorization" not in asked.headers
    assert (asked.query["start_date"], asked.query["end_date"]) == ("2026-03-10", "2026-03-10")
    first, running, alone = frame.iloc[0], frame.iloc[1], frame.iloc[2]
    assert first["distancia_telemetria_km"] == pytest.approx(7.8 * 1.609344)
    assert (first["odometro_saida_km"], first["odometro_chegada_km"]) == (1000.25, 1012.75)
    assert (first["veiculo_id"], first["equipamento"]) == ("9", "0031")
    assert (first["motorista_id"], first["motorista"]) == ("77", "Iara Prado")
    assert (first["saida_utc"], first["chegada_utc"]) == (utc("2026-03-10 10:05"), utc("2026-03-10 10:35"))
    assert running["em_andamento"] and pd.isna(running["chegada_utc"]) and not first["em_andamento"]
    assert pd.isna(alone["motorista"]) and frame["ilegivel"].isna().all()


@captured
def test_the_motive_captures_map_to_km_times_and_drivers():
    read = [
        decode_page(MOTIVE, (CAPTURES / f"motive_driving_periods__driving_periods_{part}.json").read_bytes())
        for part in ("page_1_response", "page_2_response", "empty_page_response")
    ]
    frame = map_pages(MOTIVE, [SimpleNamespace(number=i, records=r, stamp={}) for i, r in enumerate(read, 1)])
    assert len(frame) == sum(map(len, read)) > 8 and read[2] == []
    assert frame["ilegivel"].isna().all() and not frame["em_andamento"].any()
    assert frame["distancia_telemetria_km"].iloc[:2].tolist() == pytest.approx([0.1609344, 67.9143168])
    by_odometer = frame["odometro_chegada_km"] - frame["odometro_saida_km"]
    assert by_odometer.iloc[1] == pytest.approx(67.88536)
    assert ((by_odometer - frame["distancia_telemetria_km"]).abs() < 0.1 * by_odometer + 0.4).all()
    assert frame["saida_utc"].iloc[0] == utc("2026-07-14 23:59:55")
    assert frame["chegada_utc"].iloc[0] == utc("2026-07-15 00:00:27")
    assert pd.isna(frame["motorista"].iloc[0]) and frame["motorista"].iloc[1] == "Synthetic Driver006"
    seconds = (frame["chegada_utc"] - frame["saida_utc"]).dt.total_seconds()
    assert ((seconds - frame["tempo_conducao_s"]).abs() <= 1).all()


@captured
def test_the_motive_period_in_progress_is_running():
    body = (CAPTURES / "motive_driving_periods__driving_period_in_progress_record.json").read_bytes()
    frame = mapped(MOTIVE, decode_page(MOTIVE, b'{"driving_periods": [{"driving_period": %b}]}' % body))
    assert frame["em_andamento"].all() and frame["chegada_utc"].isna().all()
    assert frame["odometro_saida_km"].iloc[0] == pytest.approx(83661.021074)


@captured
def test_the_motive_range_error_is_the_carriers_words(serve):
    body = (CAPTURES / "motive_driving_periods__driving_periods_range_error.json").read_bytes()
    with pytest.raises(errors.RejectedRequest, match="cannot be greater than 30 days"):
        capture(MOTIVE, serve([Answer(body, 400)]))


# ---------------------------------------------------------------- Samsara

RUNNING = 9223372036854775807


def samsara_trip(**changes):
    return {
        "startMs": 1773137100123, "endMs": 1773138900456, "driverId": 5501, "distanceMeters": 31250,
        "startOdometer": 98000500, "endOdometer": 98031700, "startLocation": "Pátio",
        "endLocation": "Talhão 4", "startAddress": {"name": "Pátio"}, "assetIds": [], **changes,
    }  # fmt: skip


def test_samsara_asks_vehicle_by_vehicle_and_stamps_whose_trip_it_is(serve):
    def respond(asked):
        if asked.path == "/fleet/vehicles":
            after = asked.query.get("after", "")
            vehicle = {
                "id": "31" if after else "30",
                "name": f"Frota {after or 'x'}",
                "licensePlate": "RTY4E56",
            }
            more = not after
            return Answer({"data": [vehicle], "pagination": {"endCursor": "c1", "hasNextPage": more}})
        trips = [samsara_trip(), samsara_trip(endMs=RUNNING, driverId=0, endOdometer=0)]
        return Answer({"trips": trips if asked.query["vehicleId"] == "30" else []})

    server = serve(respond)
    pages, frame = capture(SAMSARA, server)
    assert [page.kind for page in pages] == ["vehicles", "vehicles", "trips", "trips"]
    assert server.asked[2].path == "/v1/fleet/trips"
    assert server.asked[2].query == {"vehicleId": "30", "startMs": "1773136800000", "endMs": "1773140400000"}
    done, running = frame.iloc[0], frame.iloc[1]
    assert (done["veiculo_id"], done["descricao"], done["placa_recebida"]) == ("30", "Frota x", "RTY4E56")
    assert done["distancia_telemetria_km"] == 31.25
    assert (done["odometro_saida_km"], done["odometro_chegada_km"]) == (98000.5, 98031.7)
    assert (done["saida_utc"], done["chegada_utc"]) == (
        utc("2026-03-10 10:05:00.123"), utc("2026-03-10 10:35:00.456"),
    )  # fmt: skip
    assert done["motorista_id"] == "5501" and not done["em_andamento"]
    assert running["em_andamento"] and pd.isna(running["chegada_utc"]) and pd.isna(running["motorista_id"])
    assert pd.isna(running["odometro_chegada_km"]) and frame["ilegivel"].isna().all()


@captured
def test_the_samsara_capture_maps_to_km_times_and_drivers():
    records = decode_page(SAMSARA, (CAPTURES / "samsara_trips__trips_response.json").read_bytes())
    frame = mapped(SAMSARA, records, veiculo_id="30")
    assert frame["distancia_telemetria_km"].tolist() == [52.0, 18.0]
    assert (frame["odometro_chegada_km"] - frame["odometro_saida_km"]).tolist() == [52.0, 18.0]
    assert frame["saida_utc"].tolist() == [utc("2026-01-01 00:00:00.123"), utc("2026-01-02")]
    assert frame["chegada_utc"].tolist() == [utc("2026-01-01 01:00:45.456"), utc("2026-01-02 01:00")]
    assert frame["motorista_id"].iloc[0] == "7100001" and pd.isna(frame["motorista_id"].iloc[1])
    assert frame["veiculo_id"].tolist() == ["30", "30"] and not frame["em_andamento"].any()
    records[1]["endMs"] = RUNNING
    assert mapped(SAMSARA, records)["em_andamento"].tolist() == [False, True]


# ---------------------------------------------------------------- Traccar

DEVICES = [
    {"id": 4, "name": "Ônibus 12 GDP-4J68", "uniqueId": "8600", "status": "online"},
    {"id": 5, "name": "Reserva", "uniqueId": "8601", "status": "offline"},
]


def traccar(asked):
    """What the contract asks of a request: the token, and device, from and to for the trips."""
    if asked.headers.get("Authorization") != f"Bearer {TOKEN}":
        return Answer("Unauthorized", 401)
    if asked.headers["Accept"] != "application/json":
        return Answer(b"PK", headers={"Content-Type": "application/vnd.ms-excel"})
    if asked.path == "/devices":
        return Answer(DEVICES)
    if asked.path != "/reports/trips":
        return Answer("", 404)
    try:
        start, end = (datetime.fromisoformat(asked.query[key]) for key in ("from", "to"))
        device = int(asked.query["deviceId"])
    except (KeyError, ValueError) as error:
        return Answer(f"missing or bad: {error}", 422)
    assert start < end
    trip = {
        "deviceId": device, "deviceName": DEVICES[0]["name"], "maxSpeed": 43.2, "averageSpeed": 20.0,
        "distance": 12345.6, "duration": 1500, "startTime": "2026-03-10T10:05:00.000+00:00",
        "endTime": "2026-03-10T10:30:00.000+00:00", "startAddress": None, "endAddress": "Usina",
        "startOdometer": 0.0, "endOdometer": 55500.0, "driverUniqueId": "D-9", "driverName": None,
    }  # fmt: skip
    return Answer([trip] if device == 4 else [])


def test_traccar_by_its_contract(serve):
    server = serve(traccar)
    pages, frame = capture(TRACCAR, server)
    assert [page.kind for page in pages] == ["vehicles", "trips", "trips"]
    assert server.asked[1].query == {
        "deviceId": "4", "from": "2026-03-10T09:00:00Z", "to": "2026-03-10T23:00:00Z",
    }  # fmt: skip
    (found,) = frame.to_dict("records")
    assert found["distancia_telemetria_km"] == pytest.approx(12.3456)
    assert found["velocidade_maxima_kmh"] == pytest.approx(80.0064)
    assert found["tempo_conducao_s"] == 1500 and found["placa_recebida"] == "GDP-4J68"
    assert (found["saida_utc"], found["chegada_utc"]) == (utc("2026-03-10 10:05"), utc("2026-03-10 10:30"))
    assert found["veiculo_id"] == "4" and found["motorista_id"] == "D-9" and not found["em_andamento"]
    assert pd.isna(found["odometro_saida_km"]) and found["odometro_chegada_km"] == 55.5


@pytest.mark.parametrize("name", ["Onibus 3803 GDP-4J68", "GDP-4J68 Glória 3803", "3803_x gdp4j68"])
def test_a_plate_in_a_devices_name_is_no_end_of_a_word(name):
    frame = mapped(TRACCAR, [{"deviceId": 4, "deviceName": name, "startTime": "2026-03-10T10:05:00Z"}])
    assert frame["placa_recebida"].iloc[0].upper().replace("-", "") == "GDP4J68"


def test_traccar_with_the_wrong_token_fails_for_good(serve):
    server = serve(traccar)
    with CarrierClient(TRACCAR, server.url, "wrong-token") as client, pytest.raises(errors.AuthError):
        list(client.pages(START, END))
    assert len(server.asked) == 1
