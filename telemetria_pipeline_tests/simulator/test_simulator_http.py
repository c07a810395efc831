import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import requests

from telemetria_pipeline.simulator import TRANSPORT_FAULTS, FaultPlan, Fleet, Silence, Simulator
from telemetria_pipeline.simulator.replies import Slice
from telemetria_pipeline_tests.simulator.conftest import DAY, HOUR, TOKEN, Client, z

Serve = Callable[..., Client]
SHORT = FaultPlan(7, hang_seconds=0.3)


def raw(simulator: Simulator, **headers: str) -> tuple[bytes, type[BaseException] | None]:
    """All bytes of the answer to a day's request, and how the connection ended."""
    target = f"/v1/trips?from={z(DAY)}&to={z(DAY + 24 * HOUR)}"
    lines = [f"GET {target} HTTP/1.1", "Host: x", f"Authorization: Bearer {TOKEN}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    got = b""
    with socket.create_connection(("127.0.0.1", int(simulator.url.rpartition(":")[2])), timeout=5) as sock:
        sock.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        try:
            while chunk := sock.recv(65536):
                got += chunk
        except OSError as error:
            return got, type(error)
    return got, None


def ids(records: list[dict[str, Any]]) -> list[str]:
    return [record["id"] for record in records]


# The API


def test_the_token_is_required(serve: Serve) -> None:
    client = serve()
    for headers in (
        {"Authorization": ""},
        {"Authorization": "Bearer wrong"},
        {"Authorization": f"Basic {TOKEN}"},
    ):
        answer = client.get("/v1/trips", headers=headers)
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "unauthorized")
    assert client.get("/healthz", headers={"Authorization": ""}).json() == {"status": "ok"}
    assert client.trips().status_code == 200


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({}, "from must be an instant"),
        ({"from": z(DAY)}, "to must be an instant"),
        ({"from": "ontem", "to": z(DAY)}, "from must be"),
        ({"from": "2026-03-10T00:00:00", "to": z(DAY)}, "from must be"),
        ({"from": z(DAY), "to": z(DAY)}, "to must lie after from"),
        ({"from": z(DAY), "to": z(DAY + 24 * 32 * HOUR)}, "at most 31 days"),
        ({"from": "0001-01-01T00:00:00Z", "to": "9999-01-01T00:00:00Z"}, "from must be"),
        ({"from": z(DAY), "to": z(DAY + HOUR), "limit": "1001"}, "limit must lie between"),
        ({"from": z(DAY), "to": z(DAY + HOUR), "limit": "-1"}, "limit must be a whole number"),
        ({"from": z(DAY), "to": z(DAY + HOUR), "cursor": "xyz"}, "cursor is not one"),
        ({"from": z(DAY), "to": z(DAY + HOUR), "paging": "page", "page": "0"}, "page starts at 1"),
        ({"from": z(DAY), "to": z(DAY + HOUR), "paging": "tide"}, "paging must be one of"),
        ({"from": z(DAY), "to": z(DAY + HOUR), "simulate": "tide"}, "unknown fault 'tide'"),
    ],
)
def test_a_bad_query_gets_400_as_text(serve: Serve, params: dict[str, str], message: str) -> None:
    answer = serve().get("/v1/trips", params=params)
    assert answer.status_code == 400
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert message in answer.text


def test_unknown_paths_get_404(serve: Serve) -> None:
    client = serve()
    client.simulator.inject("error_500")
    for path in ("/v1/vehicles/v-999/trips", "/v1/nothing", "/elsewhere"):
        assert client.get(path).status_code == 404
    assert client.trips().status_code == 500  # the fault waited for a request that can have it


def test_a_record_has_the_documented_form(serve: Serve) -> None:
    record = serve().trips(limit=1).json()["data"][0]
    assert list(record) == [
        "id", "status", "updated_at", "asset", "garage", "driver", "departure", "arrival", "next_departure",
        "distance_m", "max_speed_kmh", "driving_seconds", "stopped_seconds",
    ]  # fmt: skip
    assert list(record["asset"]) == ["id", "description", "registration", "timezone"]
    assert list(record["driver"]) == ["id", "name"]
    assert list(record["departure"]) == list(record["arrival"]) == ["time", "place", "odometer_m"]
    garage, number, plate = record["asset"]["description"].split("|")
    assert garage == record["garage"]
    assert number.isdigit()
    assert plate.endswith("-DVR")
    assert record["status"] == "completed"
    assert record["departure"]["time"].endswith("Z")


def test_the_window_takes_what_overlaps_it(serve: Serve) -> None:
    client = serve()
    start, end = DAY + 6 * HOUR, DAY + 7 * HOUR
    expected = [
        t.id
        for t in client.simulator.fleet.trips(DAY, DAY + 24 * HOUR)
        if t.departure < end and t.arrival > start
    ]
    found = client.all_trips(start, end)
    assert ids(found) == expected
    assert any(r["departure"]["time"] < z(start) for r in found)
    assert client.trips(DAY + 2 * HOUR, DAY + 3 * HOUR).json() == {
        "data": [], "pagination": {"next_cursor": None, "has_more": False}
    }  # fmt: skip


def test_every_way_of_paging_gives_the_same_records(serve: Serve) -> None:
    client = serve(FaultPlan(7, {"duplicate": 0.1, "outside_window": 0.1, "reissued": 0.1}))
    whole = client.trips(paging="none").json()
    assert set(whole) == {"data"}
    expected = ids(whole["data"])
    assert len(expected) > 150
    assert ids(client.all_trips(limit=40)) == expected

    by_page, page = [], 1
    while (
        len(by_page)
        < (answer := client.trips(paging="page", page=page, limit=40).json())["pagination"]["total"]
    ):
        assert (answer["pagination"]["page_no"], answer["pagination"]["per_page"]) == (page, 40)
        by_page += answer["data"]
        page += 1
    assert ids(by_page) == expected
    assert client.trips(paging="page", page=page, limit=40).json()["data"] == []

    offsets = range(0, len(expected) + 40, 40)
    assert (
        ids([r for o in offsets for r in client.trips(paging="offset", offset=o, limit=40).json()["data"]])
        == expected
    )

    answer = client.trips(paging="link", limit=40)
    linked = answer.json()["data"]
    while "next" in answer.links:
        answer = client.session.get(answer.links["next"]["url"], timeout=5)
        linked += answer.json()["data"]
    assert ids(linked) == expected

    vehicles = client.get("/v1/vehicles", params={"limit": 1000}).json()["data"]
    assert len(vehicles) == 12
    fanned = []
    for vehicle in vehicles:
        window = {"from": z(DAY), "to": z(DAY + 24 * HOUR), "limit": 1000}
        fanned += client.get(f"/v1/vehicles/{vehicle['id']}/trips", params=window).json()["data"]
    assert sorted(ids(fanned)) == sorted(expected)


def test_the_listing_holds_still_while_it_is_read(serve: Serve) -> None:
    client = serve(as_of=DAY + 12 * HOUR)
    before = client.all_trips(limit=1000)
    first = client.trips(limit=20).json()
    client.simulator.as_of = DAY + 40 * HOUR
    cursor, records = first["pagination"]["next_cursor"], first["data"]
    while cursor:
        page = client.trips(limit=20, cursor=cursor).json()
        records += page["data"]
        cursor = page["pagination"]["next_cursor"]
    assert records == before


def test_gzip_and_keep_alive(serve: Serve) -> None:
    client = serve()
    answer = client.trips()
    assert answer.headers["Content-Encoding"] == "gzip"
    plain = client.trips(limit=1000)
    assert plain.json()["data"][:100] == answer.json()["data"]
    assert "Content-Encoding" not in client.get("/v1/trips", headers={"Accept-Encoding": "identity"}).headers
    seconds = []
    for _ in range(10):
        started = time.perf_counter()
        client.get("/healthz")
        seconds.append(time.perf_counter() - started)
    assert sorted(seconds)[5] < 0.03  # 40 ms where the body waits for the head's ACK


# Faults of a reply


def test_throttling_in_each_form(serve: Serve) -> None:
    client = serve()
    waits = {}
    for fault in ("throttle_int", "throttle_date", "throttle_fraction", "throttle_none"):
        answer = client.trips(simulate=fault)
        assert answer.status_code == 429
        waits[fault] = answer.headers.get("Retry-After")
    assert (waits["throttle_int"], waits["throttle_fraction"], waits["throttle_none"]) == (
        "1",
        "0.40235",
        None,
    )
    assert abs((parsedate_to_datetime(waits["throttle_date"]) - datetime.now(UTC)).total_seconds()) < 3


@pytest.mark.parametrize("code", [500, 502, 503, 408])
def test_error_codes(serve: Serve, code: int) -> None:
    client = serve()
    answers = [client.trips(simulate=f"error_{code}") for _ in range(2)]
    assert [a.status_code for a in answers] == [code, code]
    assert [a.headers.get("Retry-After") for a in answers] == ([None, "1"] if code == 503 else [None, None])


def test_bodies_that_are_not_the_answer(serve: Serve) -> None:
    client = serve()
    client.simulator.inject(
        "truncated_json", "html", "error_in_200", "redirect", "echo_token", "bad_token", None
    )
    cut, html, busy, moved, echo, refused, good = (client.trips() for _ in range(7))
    assert cut.status_code == 200
    with pytest.raises(ValueError, match="char"):
        cut.json()
    assert good.text.startswith(cut.text)
    assert html.headers["Content-Type"].startswith("text/html")
    assert html.status_code == 200
    assert (busy.status_code, busy.json()["error"]["code"]) == (200, "busy")
    assert (moved.status_code, moved.headers["Location"]) == (302, "/login")
    assert echo.status_code == 500
    assert f"Bearer {TOKEN}" in echo.text
    assert refused.status_code == 401


def test_every_page_fault_shows_only_where_it_can(serve: Serve) -> None:
    client = serve()
    client.simulator.inject("repeated_page", "repeated_cursor")
    first = client.trips(limit=20).json()
    cursor = first["pagination"]["next_cursor"]
    repeated = client.trips(limit=20, cursor=cursor).json()
    stuck = client.trips(limit=20, cursor=cursor).json()
    clean = client.trips(limit=20, cursor=cursor).json()
    assert repeated["data"] == first["data"]
    assert repeated["pagination"] == clean["pagination"]
    assert stuck["pagination"] == {"next_cursor": cursor, "has_more": True}
    assert stuck["data"] == clean["data"] != first["data"]
    assert [r.fault for r in client.simulator.requests] == [None, "repeated_page", "repeated_cursor", None]
    linked = client.trips(limit=20, paging="link", cursor=cursor, simulate="repeated_cursor")
    assert f"cursor={cursor}&" in unquote(linked.links["next"]["url"])


def test_an_empty_hour_only_when_told(serve: Serve) -> None:
    client = serve()
    client.simulator.inject("empty_hour")
    assert len(client.get("/v1/vehicles").json()["data"]) == 12  # no hour, so the fault waits
    empty, full = client.trips(), client.trips()
    assert empty.json() == {"data": [], "pagination": {"next_cursor": None, "has_more": False}}
    assert full.json()["data"]


# Faults of the delivery, on a bare socket


def test_a_hang_says_nothing(serve: Serve) -> None:
    client = serve(SHORT)
    started = time.perf_counter()
    assert raw(client.simulator, X_Simulate="hang") == (b"", None)
    assert time.perf_counter() - started >= 0.3


def test_a_slow_drip_comes_whole_but_late(serve: Serve) -> None:
    client = serve(SHORT)
    good, _ = raw(client.simulator)
    started = time.perf_counter()
    dripped, ended = raw(client.simulator, X_Simulate="slow_drip")
    assert time.perf_counter() - started >= 0.25
    assert ended is None
    assert dripped.partition(b"\r\n\r\n")[2] == good.partition(b"\r\n\r\n")[2]


def test_a_reset_breaks_the_connection_in_mid_body(serve: Serve) -> None:
    got, ended = raw(serve().simulator, X_Simulate="reset")
    head, _, body = got.partition(b"\r\n\r\n")
    assert ended is ConnectionResetError
    assert head.startswith(b"HTTP/1.1 200")
    assert b"Content-Length" in head
    with pytest.raises(ValueError, match="char"):
        json.loads(body)


def test_a_truncated_body_ends_before_its_length(serve: Serve) -> None:
    got, ended = raw(serve().simulator, X_Simulate="truncated")
    head, _, body = got.partition(b"\r\n\r\n")
    length = int(head.partition(b"Content-Length: ")[2].split()[0])
    assert ended is None
    assert 0 < len(body) < length


@pytest.mark.parametrize("fault", ["reset", "truncated"])
def test_an_ordinary_client_notices_and_the_server_is_calm(
    serve: Serve, fault: str, capfd: pytest.CaptureFixture[str]
) -> None:
    client = serve()
    with pytest.raises(requests.RequestException):
        client.trips(simulate=fault)
    assert client.trips().status_code == 200
    client.simulator.close()
    assert capfd.readouterr().err == ""


# How faults are chosen


def test_each_fault_can_be_asked_for_by_header_query_and_script(serve: Serve) -> None:
    client = serve(FaultPlan(7, hang_seconds=0.05))
    for fault in TRANSPORT_FAULTS:
        cursor = client.trips(limit=20).json()["pagination"]["next_cursor"]
        page = {"from": z(DAY), "to": z(DAY + 24 * HOUR), "limit": "20", "cursor": cursor}
        for query, headers in ((page | {"simulate": fault}, {}), (page, {"X-Simulate": fault}), (page, {})):
            if query == page and not headers:
                client.simulator.inject(fault)
            with suppress(requests.RequestException):
                client.get("/v1/trips", params=query, headers=headers)
            assert client.simulator.requests[-1].fault == fault
    with pytest.raises(ValueError, match="unknown fault 'tide'"):
        client.simulator.inject("tide")


def test_the_same_seed_gives_the_same_faults_in_any_order_and_at_any_time(serve: Serve) -> None:
    plan = FaultPlan(5, {"error_500": 0.3, "throttle_none": 0.2, "html": 0.2, "repeated_page": 0.2})
    hours = [DAY + n * HOUR for n in range(4, 20)]

    def faults(client: Client, order: list[datetime]) -> set[tuple[str, str | None]]:
        for hour in order:
            for attempt in range(5):
                client.trips(hour, hour + HOUR)
                if attempt == 0:
                    client.trips(hour, hour + HOUR, cursor=good_cursor(client, hour))
        log = [(r.path.partition("&cursor")[0], r.fault) for r in client.simulator.requests]
        return {(path, str([f for p, f in log if p == path])) for path, _ in log}

    def good_cursor(client: Client, hour: datetime) -> str:
        return Slice("cursor", 0, 100, client.simulator.as_of).cursor(5)

    one = faults(serve(plan), hours)
    other = faults(serve(plan, as_of=DAY + 300 * HOUR), hours[::-1])
    assert one == other
    assert "html" in str(one)


def test_no_more_than_three_faults_in_a_row(serve: Serve) -> None:
    client = serve(FaultPlan(5, {"error_500": 1}))
    codes = [client.trips().status_code for _ in range(8)]
    assert codes == [500, 500, 500, 200] * 2


def test_the_log_says_what_was_asked_and_answered(serve: Serve) -> None:
    client = serve(SHORT)
    client.simulator.inject("hang", "throttle_none")
    with pytest.raises(requests.ConnectionError):
        client.trips(DAY, DAY + HOUR)
    client.trips(DAY, DAY + HOUR)
    log = client.simulator.requests
    assert [(r.method, r.status, r.fault) for r in log] == [("GET", 0, "hang"), ("GET", 429, "throttle_none")]
    assert log[0].path.startswith("/v1/trips?from=2026-03-10T03")
    assert TOKEN not in str(log)


# The server's life


def test_many_clients_at_once(serve: Serve) -> None:
    client = serve(FaultPlan(7, {"duplicate": 0.1}))
    expected = client.all_trips(limit=1000)
    found: list[Any] = []

    def read() -> None:
        found.append(Client(client.simulator).all_trips(limit=50))

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected] * 8


def test_close_drops_idle_and_hanging_connections() -> None:
    simulator = Simulator(Fleet(7, 2), token=TOKEN, faults=FaultPlan(7, hang_seconds=60))
    client = Client(simulator)
    client.get("/healthz")
    port = int(simulator.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=5) as hanging:
        request = f"GET /v1/vehicles HTTP/1.1\r\nAuthorization: Bearer {TOKEN}\r\nX-Simulate: hang\r\n\r\n"
        hanging.sendall(request.encode())
        while not simulator.requests or simulator.requests[-1].fault != "hang":
            time.sleep(0.005)
        started = time.perf_counter()
        simulator.close()
        assert hanging.recv(10) == b""
    assert time.perf_counter() - started < 2
    with pytest.raises(requests.ConnectionError):
        client.get("/healthz")


def test_settings_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="token"):
        Simulator(Fleet(7, 1), token="")
    with pytest.raises(ValueError, match="as_of needs a zone"):
        Simulator(Fleet(7, 1), as_of=datetime(2026, 3, 10))


@contextmanager
def command(*options: str) -> Iterator[str]:
    """The line that the running command prints; stopped in the end as Ctrl-C would."""
    words = [sys.executable, "-m", "telemetria_pipeline.simulator", "--port", "0", "--seed", "3"]
    words += ["--vehicles", "4", "--as-of", "2026-03-12T00:00:00Z", "--faults", "none"]
    env = {**os.environ, "OUTRO_TOKEN": TOKEN}
    with subprocess.Popen(
        [*words, "--token-env", "OUTRO_TOKEN", *options], stdout=subprocess.PIPE, text=True, env=env
    ) as process:
        try:
            yield process.stdout.readline()
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=5) == 0


def address(line: str) -> str:
    return next(word for word in line.split() if word.startswith("http://127.0.0.1:"))


def test_the_command_serves_until_told_to_stop(tmp_path: Path) -> None:
    with command("--truth", str(tmp_path)) as line:
        window = {"from": z(DAY), "to": z(DAY + 24 * HOUR), "paging": "none"}
        headers = {"Authorization": f"Bearer {TOKEN}"}
        answer = requests.get(f"{address(line)}/v1/trips", params=window, headers=headers, timeout=5)
        data = answer.json()["data"]
        assert data
        truth = (tmp_path / "20260310T030000Z_20260311T030000Z.jsonl").read_text().splitlines()
        assert {json.loads(row)["id_origem"] for row in truth} <= {r["id"] for r in data}
        assert len(truth) >= len(data) - 4  # all but those that left before midnight
    assert TOKEN not in line


def test_the_command_speaks_another_dialect() -> None:
    with command("--dialect", "traccar") as line:
        headers = {"Authorization": f"Bearer {TOKEN}", "Accept": "application/json"}
        assert address(line).endswith("/api")
        assert len(requests.get(f"{address(line)}/devices", headers=headers, timeout=5).json()) == 4


# Outages and silences


def test_an_outage_lasts_until_it_is_lifted(serve: Serve) -> None:
    out = (DAY + 9 * HOUR, DAY + 10 * HOUR)
    client = serve(outages=(out,))
    for _ in range(5):  # no patience helps
        answer = client.trips(*out)
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "unavailable")
    padded = client.trips(out[0] - HOUR / 2, out[1] + HOUR / 2)
    assert padded.status_code == 503
    assert client.trips(DAY + 8 * HOUR, DAY + 9.9 * HOUR).status_code == 200
    assert client.trips(*(t + HOUR for t in out)).status_code == 200
    assert {r.fault for r in client.simulator.requests if r.status == 503} == {"outage"}
    client.simulator.outages = ()
    assert client.trips(*out).status_code == 200


def test_a_silent_device_is_never_heard_of(serve: Serve) -> None:
    loud = serve()
    deaf = loud.simulator.fleet.vehicles[2].id
    window = DAY + 8 * HOUR, DAY + 14 * HOUR
    client = serve(silences=(Silence({deaf}, *window),))

    def listed(client: Client) -> dict[str, str]:
        return {r["id"]: r["asset"]["id"] for r in client.all_trips(limit=1000)}

    gone = listed(loud).items() - listed(client).items()
    hidden = [t for t in loud.simulator.fleet.trips(*window) if t.vehicle.id == deaf]
    assert {trip for trip, _ in gone} == {t.id for t in hidden}
    assert len(hidden) >= 3
    truth = {t.id_origem for t in client.simulator.truth(DAY, DAY + 24 * HOUR)}
    whole = {t.id_origem for t in loud.simulator.truth(DAY, DAY + 24 * HOUR)}
    assert whole - truth == {t.id for t in hidden}


def test_a_sound_odometer_is_always_right(serve: Serve) -> None:
    rates = {"odometer_jump": 1.0, "missing_field": 1.0}
    sound = Fleet(7, 12).vehicles[0].id
    client = serve(FaultPlan(1, rates, sound_odometers=(sound,)))
    truth = client.simulator.truth(DAY, DAY + 24 * HOUR)
    assert {t.situacao_odometro for t in truth if t.veiculo_id == sound} == {"ok"}
    assert "salto" in {t.situacao_odometro for t in truth if t.veiculo_id != sound}
