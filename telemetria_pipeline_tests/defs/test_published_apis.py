"""Carriers as they publish their APIs: hours through Dagster against truth by hand."""

import base64
import json
import logging
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import dagster as dg
import pandas as pd
import pytest
import yaml

from telemetria_pipeline.carriers.profile import SHIPPED
from telemetria_pipeline.contracts.telemetry import QUARANTINE, TRIPS
from telemetria_pipeline.definitions import build_definitions
from telemetria_pipeline.steps.hours import read_manifest
from telemetria_pipeline.steps.people import People
from telemetria_pipeline.storage.lake import Lake
from telemetria_pipeline_tests.carriers import published
from telemetria_pipeline_tests.carriers.conftest import Answer, Server
from telemetria_pipeline_tests.carriers.published import (
    AUTOMILE,
    GEOTAB,
    NAVIXY,
    NAVIXY_USER,
    WEBFLEET,
    WIALON,
    Automile,
    Geotab,
    Navixy,
    Webfleet,
    Wialon,
    wall,
)
from telemetria_pipeline_tests.one_source import hour_of

HOUR, LATER = "2026-03-10-07:00", "2026-03-10-08:00"  # of São Paulo: 10:00 and 11:00 UTC
SECRETS = {
    "geotab": GEOTAB, "navixy": NAVIXY, "navixy_user": NAVIXY_USER, "automile": AUTOMILE, "wialon": WIALON,
    "webfleet": WEBFLEET,
}  # fmt: skip
PROFILES = {
    name: str(Path(published.__file__).with_name(f"{name}.yaml"))
    for name in ("automile", "wialon", "webfleet")
}


class House:
    """A lake and a DAGSTER_HOME in a folder, and one source on a socket."""

    def __init__(
        self, folder: Path, instance: dg.DagsterInstance, name: str, api: Any, base: str = ""
    ) -> None:
        self.folder, self.instance, self.name = folder, instance, name
        self.api, self.server = api, Server(api)
        described = {
            "url": self.server.url + base,
            "profile": PROFILES.get(name, name),
            "secrets": {secret: f"{name}_{secret}".upper() for secret in SECRETS[name]},
            "start": "2026-03-01",
        }
        (folder / "sources.yaml").write_text(yaml.safe_dump({name: described}), encoding="utf-8")
        self.lake = Lake.open(f"file:{folder / 'lake'}")

    def run(self, hour: str, only: str | None = None) -> dg.ExecuteInProcessResult:
        return (
            build_definitions()
            .resolve_job_def(f"telemetry_job_{self.name}")
            .execute_in_process(
                instance=self.instance,
                partition_key=hour,
                raise_on_error=False,
                asset_selection=[dg.AssetKey([self.name, only])] if only else None,
            )
        )

    def manifest(self, hour: str) -> Any:
        return read_manifest(self.lake, hour_of(hour, self.name))

    def trips(self, hour: str) -> pd.DataFrame:
        table = self.lake.read_table(TRIPS.name, hour_of(hour, self.name).partition)
        trips = People(self.lake).shown(TRIPS, TRIPS.frame(table))
        return trips.sort_values("saida_utc").reset_index(drop=True)

    def reasons(self, hour: str) -> list[str]:
        table = self.lake.read_table(QUARANTINE.name, hour_of(hour, self.name).partition)
        return sorted(table["motivo"].to_pylist())

    def everything(self) -> bytes:
        """All bytes of all files, raw pages unpacked too, and whatever Dagster was told."""
        kept = [p.read_bytes() for p in self.folder.rglob("*") if p.is_file()]
        keys = [info.key for info in self.lake.store.list() if info.key.endswith(".zst")]
        told = [
            str(e).encode()
            for r in self.instance.get_run_records()
            for e in self.instance.all_logs(r.dagster_run.run_id)
        ]
        return b"\n".join([*kept, *map(self.lake.get_raw, keys), *told])


@pytest.fixture
def house(tmp_path, monkeypatch, caplog, capfd) -> Iterator[Callable[..., House]]:
    monkeypatch.setenv("TELEMETRIA_LAKE", f"file:{tmp_path / 'lake'}")
    monkeypatch.setenv("TELEMETRIA_SOURCES", str(tmp_path / "sources.yaml"))
    monkeypatch.setenv("TELEMETRIA_HOUR_RETRIES", "0")
    for name, secrets in SECRETS.items():
        for secret, value in secrets.items():
            monkeypatch.setenv(f"{name}_{secret}".upper(), value)
    caplog.set_level(logging.DEBUG)
    opened: list[House] = []
    home = tmp_path / "home"
    home.mkdir()
    with dg.DagsterInstance.local_temp(str(home)) as instance:

        def open_house(name: str, api: Any, base: str = "") -> House:
            opened.append(House(tmp_path, instance, name, api, base))
            return opened[-1]

        yield open_house
        said = "\n".join(record.getMessage() for record in caplog.get_records("call"))
        said += "".join(capfd.readouterr())
        for one in opened:
            one.server.close()
            no_secret_is_kept(one, output=said)


def no_secret_is_kept(house: House, *given: str, output: str = "") -> None:
    """No secret of the source, nor what its logins gave, stands anywhere in any form that it may take."""
    kept = house.everything() + output.encode()
    own = (os.environ[f"{house.name}_{secret}".upper()] for secret in SECRETS[house.name])
    logins = [*getattr(house.api, "sessions", ()), *getattr(house.api, "tokens", ())]
    for secret in (*own, *logins, *given):
        in_json = json.dumps(secret)[1:-1]
        whole = secret.encode()[: len(secret) // 3 * 3]  # of which base64 hangs on no neighbour
        forms = {
            secret, quote(secret, safe=""), quote_plus(secret), in_json, json.dumps(in_json)[1:-1],
            json.dumps(secret, ensure_ascii=False)[1:-1], base64.b64encode(whole).decode(),
        }  # fmt: skip
        assert not [form for form in forms if len(form) < 8 or form.encode() in kept], secret


def same(found: pd.DataFrame, truth: list[dict]) -> None:
    """Value for value, for every column that the truth names."""
    wanted = pd.DataFrame(truth).astype(object)
    wanted = wanted.where(wanted.notna(), None)
    rows = found[list(wanted.columns)].astype(object)
    assert rows.where(rows.notna(), None).to_dict("records") == wanted.to_dict("records")


def utc(text: str) -> pd.Timestamp:
    return pd.Timestamp(text, tz="UTC")


# ---------------------------------------------------------------- Geotab


def geotab_trip(number: int, device: str, start: str, stop: str, then: str, **changes: Any) -> dict:
    return {
        "id": f"b{number:04X}", "device": {"id": device}, "driver": {"id": "b77", "isDriver": True},
        "start": f"2026-03-10T{start}Z", "stop": f"2026-03-10T{stop}Z",
        "nextTripStart": f"2026-03-10T{then}Z",
        "distance": 17.435, "averageSpeed": 34.9, "maximumSpeed": 81, "drivingDuration": "00:29:15.4000000",
        "idlingDuration": "00:01:00", "stopDuration": "00:12:30", "isSeatBeltOff": False,
        "stopPoint": {"x": -47.9, "y": -21.2}, "version": "00000000000000A1", **changes,
    }  # fmt: skip


DEVICES = [
    {"id": "b1", "name": "Ônibus 3803", "licensePlate": "RTY-4E56", "timeZoneId": "America/Sao_Paulo"},
    {"id": "b2", "name": "Van 1020", "licensePlate": "", "timeZoneId": "America/Cuiaba"},
]
USERS = [{"id": "b77", "name": "iara@usina", "firstName": "Iara", "lastName": "Prado", "isDriver": True}]
LAST = {"nextTripStart": "2050-01-01T00:00:00.000Z", "stopDuration": "00:00:00", "driver": "UnknownDriverId"}
GEOTAB_TRIPS = [
    geotab_trip(1, "b1", "09:40:00.000", "10:02:00.000", "10:05:10.250"),  # of the hour before
    geotab_trip(2, "b1", "10:05:10.250", "10:34:25.650", "10:46:55.650"),
    geotab_trip(3, "b2", "10:50:00.000", "12:10:00.000", "23:00:00.000", **LAST, distance=92.5,
                drivingDuration="1.02:03:04", maximumSpeed=0),
]  # fmt: skip
GEOTAB_TRUTH = [
    {
        "veiculo_id": "b1", "placa_recebida": "RTY-4E56", "placa": "RTY4E56", "descricao": "Ônibus 3803",
        "motorista_id": "b77", "motorista": "IARA PRADO", "saida_utc": utc("2026-03-10 10:05:10.250"),
        "chegada_utc": utc("2026-03-10 10:34:25.650"), "proxima_saida_utc": utc("2026-03-10 10:46:55.650"),
        "fuso": "America/Sao_Paulo", "distancia_telemetria_km": 17.435, "velocidade_maxima_kmh": 81.0,
        "tempo_conducao_s": 1755.4, "tempo_parado_s": 750.0, "id_origem": "b0002", "transportadora": "Geotab",
    },
    {
        "veiculo_id": "b2", "placa_recebida": None, "placa": None, "descricao": "Van 1020",
        "motorista_id": None, "motorista": None, "saida_utc": utc("2026-03-10 10:50"),
        "chegada_utc": utc("2026-03-10 12:10"), "proxima_saida_utc": None, "fuso": "America/Cuiaba",
        "distancia_telemetria_km": 92.5, "velocidade_maxima_kmh": 0.0, "tempo_conducao_s": 93784.0,
        "tempo_parado_s": 0.0, "id_origem": "b0003", "transportadora": "Geotab",
    },
]  # fmt: skip


def test_geotabs_hour_is_the_truth_and_is_read_again_without_the_api(house):
    api = Geotab(DEVICES, USERS, GEOTAB_TRIPS)
    geotab = house("geotab", api)
    assert geotab.run(HOUR).success
    same(geotab.trips(HOUR), GEOTAB_TRUTH)
    manifest = geotab.manifest(HOUR)
    assert manifest.state == "captured" and len(api.sessions) == 1
    assert [page.kind for page in manifest.current.pages] == ["devices", "drivers", "trips"]
    assert geotab.reasons(HOUR) == ["saida_fora_da_hora"]
    asked = len(geotab.server.asked)
    assert geotab.run(HOUR, only=TRIPS.name).success  # the kept pages hold the look-ups too
    same(geotab.trips(HOUR), GEOTAB_TRUTH)
    assert len(geotab.server.asked) == asked


def test_a_geotab_session_that_ends_is_renewed_and_the_limit_is_waited_for(house):
    api = Geotab(DEVICES, USERS, GEOTAB_TRIPS, lasts=2, over_limit=1)
    geotab = house("geotab", api)
    assert geotab.run(HOUR).success and geotab.run(LATER).success
    same(geotab.trips(HOUR), GEOTAB_TRUTH)
    assert geotab.manifest(LATER).state == "confirmed_empty"
    assert len(api.sessions) > 2


def test_a_wrong_password_is_a_missing_hour_that_names_the_variables(house, monkeypatch):
    monkeypatch.setenv("GEOTAB_PASSWORD", "not the password")
    geotab = house("geotab", Geotab(DEVICES, USERS, GEOTAB_TRIPS))
    assert not geotab.run(HOUR).success
    manifest = geotab.manifest(HOUR)
    assert manifest.state == "missing" and manifest.failure.permanent
    assert "the login failed" in manifest.failure.error
    assert "Incorrect login credentials" in manifest.failure.error
    assert len(geotab.server.asked) == 1


def test_a_geotab_that_echoes_the_request_leaves_no_secret(house):
    api = Geotab(DEVICES, USERS, GEOTAB_TRIPS)

    def echoing(asked: Any) -> Any:
        said = api(asked).body
        return Answer({**said, "echo": asked.json, "again": asked.body.decode()}, headers={"X-Echo": "1"})

    geotab = house("geotab", echoing)
    assert geotab.run(HOUR).success
    same(geotab.trips(HOUR), GEOTAB_TRUTH)
    assert b'"sessionId": "***"' in geotab.everything()
    no_secret_is_kept(geotab, *api.sessions)


def test_an_error_of_geotabs_in_a_200_is_no_empty_hour(house):
    api = Geotab(DEVICES, USERS, GEOTAB_TRIPS)

    def failing(asked: Any) -> Any:
        if asked.json["params"].get("typeName") == "Trip":
            return Geotab.error("MissingMethodException", "The method could not be found")
        return api(asked)

    geotab = house("geotab", failing)
    assert not geotab.run(HOUR).success
    assert geotab.manifest(HOUR).state == "missing"
    assert "The method could not be found" in geotab.manifest(HOUR).failure.error


def test_another_server_of_geotabs_is_not_asked_outside_of_its_domain(house):
    geotab = house("geotab", Geotab(DEVICES, USERS, GEOTAB_TRIPS, path="my3.geotab.example.com"))
    assert not geotab.run(HOUR).success
    assert "not within login.domain = geotab.com" in geotab.manifest(HOUR).failure.error


# ---------------------------------------------------------------- Navixy


def track(number: int, start: str, end: str, **changes: Any) -> dict:
    return {
        "id": number, "start_date": wall(f"2026-03-10T{start}Z"), "start_address": "Usina Bom Jesus",
        "max_speed": 62, "end_date": wall(f"2026-03-10T{end}Z"), "end_address": "Rua B, 2", "length": 5.5,
        "points": 327, "avg_speed": 49, "event_count": 3, "norm_fuel_consumed": 1.07, "type": "regular",
        "gsm_lbs": False, **changes,
    }  # fmt: skip


TRACKERS = [
    {"id": n, "label": f"Frota {n}", "source": {"id": 9000 + n, "blocked": False}} for n in (41, 42, 43)
]
FLEET = [
    {"id": 1, "tracker_id": 41, "label": "Ônibus", "reg_number": "RTY4E56"},
    {"id": 2, "tracker_id": 42, "label": "Van", "reg_number": "ABC1C34"},
    {"id": 3, "tracker_id": None, "label": "na oficina", "reg_number": "XXX0A00"},
]
POINT = {"id": 7, "type": "single_report", "start_date": wall("2026-03-10T10:20:00Z"), "precision": 10}
TRACKS = {
    41: [track(11, "09:30:00", "09:50:00"), track(12, "10:05:00", "10:35:00"), POINT],
    42: [track(13, "10:15:30", "11:45:00", length=61.25, max_speed=88, start_address="")],
    43: [],
}
NAVIXY_TRUTH = [
    {
        "veiculo_id": "41", "placa": "RTY4E56", "descricao": "Frota 41", "saida_utc": utc("2026-03-10 10:05"),
        "chegada_utc": utc("2026-03-10 10:35"), "local_saida": "Usina Bom Jesus", "local_chegada": "Rua B, 2",
        "distancia_telemetria_km": 5.5, "velocidade_maxima_kmh": 62.0, "id_origem": "12",
        "fuso": "America/Sao_Paulo",
    },
    {
        "veiculo_id": "42", "placa": "ABC1C34", "descricao": "Frota 42",
        "saida_utc": utc("2026-03-10 10:15:30"),
        "chegada_utc": utc("2026-03-10 11:45"), "local_saida": None, "local_chegada": "Rua B, 2",
        "distancia_telemetria_km": 61.25, "velocidade_maxima_kmh": 88.0, "id_origem": "13",
        "fuso": "America/Sao_Paulo",
    },
]  # fmt: skip


def test_navixys_hour_is_the_truth(house):
    navixy = house("navixy", Navixy(TRACKERS, FLEET, TRACKS), "/v2")
    assert navixy.run(HOUR).success
    same(navixy.trips(HOUR), NAVIXY_TRUTH)
    manifest = navixy.manifest(HOUR)
    assert [page.kind for page in manifest.current.pages] == ["fleet", "vehicles"] + 3 * ["trips"]
    assert sum(page.left_out for page in manifest.current.pages) == 1
    asked = next(a for a in navixy.server.asked if a.path == "/v2/track/list").json
    assert (asked["tracker_id"], asked["from"], asked["to"]) == (
        41,
        "2026-03-10 06:00:00",
        "2026-03-10 20:00:00",
    )


def test_a_blocked_tracker_costs_its_own_trips_only(house):
    navixy = house("navixy", Navixy(TRACKERS, FLEET, TRACKS, blocked={42}), "/v2")
    result = navixy.run(HOUR)
    assert result.success
    same(navixy.trips(HOUR), NAVIXY_TRUTH[:1])
    manifest = navixy.manifest(HOUR)
    (skipped,) = manifest.current.skipped
    assert manifest.state == "captured" and skipped.id == "42" and "Device blocked" in skipped.reason
    (event,) = [
        e for e in result.get_asset_materialization_events() if e.asset_key.path[-1] == "raw_telemetry"
    ]
    assert "42 (" in event.materialization.metadata["vehicles_skipped"].value
    (heard,) = [c for c in result.get_asset_check_evaluations() if c.check_name == "all_vehicles_heard"]
    assert not heard.passed and not heard.blocking and "1 vehicles" in heard.description


def test_a_navixy_key_that_is_known_no_more_is_a_missing_hour(house):
    navixy = house("navixy", Navixy(TRACKERS, FLEET, TRACKS, ended=True), "/v2")
    assert not navixy.run(HOUR).success
    manifest = navixy.manifest(HOUR)
    assert manifest.state == "missing" and "session ended" in manifest.failure.error
    assert "NAVIXY_TOKEN" in manifest.failure.error


def test_navixy_by_a_session_that_ends(house, tmp_path, monkeypatch):
    """The shipped profile with the login that docs/carriers.md shows, in place of the API key."""
    text = (SHIPPED / "navixy.yaml").read_text(encoding="utf-8").replace("{token}", "{session}")
    body = {"login": "{username}", "password": "{password}"}
    login = {"method": "POST", "path": "/user/auth", "body": body, "gives": {"session": "hash"}}
    profile = yaml.safe_load(text) | {"secrets": ["username", "password"], "login": login}
    (tmp_path / "navixy_user.yaml").write_text(yaml.safe_dump(profile), encoding="utf-8")
    monkeypatch.setitem(PROFILES, "navixy_user", str(tmp_path / "navixy_user.yaml"))
    api = Navixy(TRACKERS, FLEET, TRACKS, lasts=2)
    navixy = house("navixy_user", api, "/v2")
    assert navixy.run(HOUR).success
    same(navixy.trips(HOUR), NAVIXY_TRUTH)
    assert len(api.sessions) == 3


# ---------------------------------------------------------------- Automile


def automile_trip(number: int, start: str, end: str, **changes: Any) -> dict:
    return {
        "TripId": number, "VehicleId": 501, "DriverContactId": 9, "TripStartDateTime": f"2026-03-10T{start}",
        "TripEndDateTime": f"2026-03-10T{end}", "TripStartFormattedAddress": "Rua A, 1",
        "TripEndFormattedAddress": "Rua B, 2", "TripLengthInKilometers": 12.34, "TripLengthInMinutes": 25.5,
        "TripType": 0, **changes,
    }  # fmt: skip


def test_automile_by_yaml_alone(house):
    api = Automile(
        [{"VehicleId": 501, "NumberPlate": "RTY4E56", "UserVehicleName": "Ônibus"}],
        [{"ContactId": 9, "FirstName": "Iara", "LastName": "Prado"}],
        [automile_trip(1, "09:00:00", "09:30:00"), automile_trip(2, "10:05:00", "10:30:30.5")],
        lasts=2,
        clock=lambda: max(datetime(2026, 3, 11, tzinfo=UTC), datetime.now(UTC)),
    )
    automile = house("automile", api)
    assert automile.run(HOUR).success
    same(
        automile.trips(HOUR),
        [
            {
                "veiculo_id": "501", "placa": "RTY4E56", "motorista": "IARA PRADO", "motorista_id": "9",
                "saida_utc": utc("2026-03-10 10:05"), "chegada_utc": utc("2026-03-10 10:30:30.5"),
                "distancia_telemetria_km": 12.34, "tempo_conducao_s": 1530.0, "id_origem": "2",
                "local_saida": "Rua A, 1", "fuso": "America/Sao_Paulo",
            },
        ],
    )  # fmt: skip
    assert len(api.tokens) == 2


# ---------------------------------------------------------------- Wialon


def wialon_trip(start: str, end: str, metres: float) -> dict:
    at = [{"t": int(utc(f"2026-03-10 {t}").timestamp()), "p": {"y": -21.2, "x": -47.9}} for t in (start, end)]
    return {"from": {"i": 0, **at[0]}, "to": {"i": 99, **at[1]}, "m": metres}


def test_wialon_by_yaml_alone(house):
    plate = {
        "1": {"id": 1, "n": "vin", "v": ""},
        "2": {"id": 2, "n": "registration_plate", "v": "RTY4E56"},
    }
    units = [
        {"nm": "Ônibus 3803", "cls": 2, "id": 34868, "pflds": plate},
        {"nm": "Van", "cls": 2, "id": 34869, "pflds": {}},
        {"nm": "de outrem", "cls": 2, "id": 34870, "pflds": {}},
    ]
    trips = {
        34868: [wialon_trip("10:05", "10:35", 17435.5)],
        34869: [wialon_trip("09:50", "10:02", 3000)],
        34870: [wialon_trip("10:10", "10:20", 1)],
    }
    api = Wialon(units, trips, closed={34870}, lasts=3, busy=4)
    wialon = house("wialon", api)
    assert wialon.run(HOUR).success and wialon.run(LATER).success
    same(
        wialon.trips(HOUR),
        [
            {
                "veiculo_id": "34868", "placa": "RTY4E56", "descricao": "Ônibus 3803",
                "saida_utc": utc("2026-03-10 10:05"), "chegada_utc": utc("2026-03-10 10:35"),
                "distancia_telemetria_km": 17.4355,
            },
        ],
    )  # fmt: skip
    assert [v.id for v in wialon.manifest(HOUR).current.skipped] == ["34870"]
    assert wialon.manifest(LATER).state == "confirmed_empty"
    assert len(api.sessions) > 2


# ---------------------------------------------------------------- Webfleet


def test_webfleet_by_yaml_alone(house):
    trip = {
        "tripid": 77, "tripmode": 1, "objectno": "003", "objectname": "Ônibus", "driverno": "9",
        "drivername": "Iara Prado", "start_time": "2026-03-10T07:05:00.000-03:00", "start_odometer": 901234,
        "start_postext": "Usina", "end_time": "2026-03-10T07:35:00.000-03:00", "end_odometer": 901409,
        "end_postext": "Rua B", "duration": 1800, "distance": 17435, "avg_speed": 34, "max_speed": 81,
    }  # fmt: skip
    webfleet = house("webfleet", Webfleet([trip], [{"objectno": "003", "licenseplatenumber": "RTY-4E56"}], 1))
    assert webfleet.run(HOUR).success and webfleet.run(LATER).success
    same(
        webfleet.trips(HOUR),
        [
            {
                "veiculo_id": "003", "placa": "RTY4E56", "motorista": "IARA PRADO", "motorista_id": "9",
                "saida_utc": utc("2026-03-10 10:05"), "chegada_utc": utc("2026-03-10 10:35"),
                "distancia_telemetria_km": 17.435, "odometro_saida_km": 90123.4,
                "odometro_chegada_km": 90140.9, "velocidade_maxima_kmh": 81.0, "local_saida": "Usina",
                "id_origem": "77",
            },
        ],
    )  # fmt: skip
    assert webfleet.manifest(LATER).state == "confirmed_empty"
