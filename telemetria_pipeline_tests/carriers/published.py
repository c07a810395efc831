"""Servers that follow what carriers publish of their APIs, with records that a test gives them."""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from telemetria_pipeline_tests.carriers.conftest import Answer, Asked

GEOTAB = {"database": "usina_bom_jesus", "username": "api@usina.example", "password": 's3nhá "do\\ Geotab/+='}
NAVIXY = {"token": "22eac1c27af4be7b9d04da2ce1af111b"}
NAVIXY_USER = {"username": "api@navixy.example", "password": "s3nha do Navixy"}
AUTOMILE = {
    "client_id": "cl13nt-0042", "client_secret": "cl13nt/s3cr3t+7", "username": "api@automile.example",
    "password": "s3nha do Automile",
}  # fmt: skip
WIALON = {"token": "0a5ee3075e70ba3e87dc8c3fe27ac93a0F75C1C0"}
WEBFLEET = {"username": "api@webfleet.example", "password": "s3nha / do Webfleet", "apikey": "ap1-key-of-w"}
WALL = "%Y-%m-%d %H:%M:%S"


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


@dataclass
class Geotab:
    """MyGeotab: every answer is a 200; a session ends after `lasts` calls."""

    devices: list[dict] = field(default_factory=list)
    users: list[dict] = field(default_factory=list)
    trips: list[dict] = field(default_factory=list)
    lasts: int = 1_000_000
    path: str = "ThisServer"
    sessions: dict[str, int] = field(default_factory=dict)
    over_limit: int = 0  # so many calls are answered by the limit

    def __call__(self, asked: Asked) -> Answer:
        call = asked.json
        assert (asked.method, asked.path) == ("POST", "/apiv1")
        assert "Authorization" not in asked.headers
        params = call["params"]
        if call["method"] == "Authenticate":
            given = (params["database"], params["userName"], params["password"])
            if given != tuple(GEOTAB.values()):
                return self.error("InvalidUserException", "Incorrect login credentials")
            session = f"s3ss1on-id-{len(self.sessions) + 1:04d}"
            self.sessions[session] = 0
            credentials = {"database": given[0], "userName": given[1], "sessionId": session}
            return self.result({"credentials": credentials, "path": self.path})
        session = params["credentials"]["sessionId"]
        if session not in self.sessions or self.sessions[session] >= self.lasts:
            return self.error("InvalidUserException", f"Incorrect login credentials for session {session}")
        self.sessions[session] += 1
        if self.over_limit:
            self.over_limit -= 1
            said = self.error("OverLimitException", "API calls quota exceeded. Maximum admitted 650 per 1m.")
            return Answer(said.body, headers={"Retry-After": "1"})
        kept = {"Device": self.devices, "User": self.users, "Trip": self.trips}[params["typeName"]]
        if params["typeName"] == "Trip":
            first, last = (_instant(params["search"][key]) for key in ("fromDate", "toDate"))
            assert params["search"]["includeOverlappedTrips"] is True
            kept = [t for t in kept if _instant(t["start"]) < last and _instant(t["nextTripStart"]) >= first]
        return self.result(kept[: params.get("resultsLimit", 50_000)])

    @staticmethod
    def result(found: object) -> Answer:
        return Answer({"result": found, "jsonrpc": "2.0"})

    @staticmethod
    def error(name: str, message: str) -> Answer:
        errors = [{"message": message, "name": name}]
        data = {"id": "2fb2", "type": name, "requestIndex": 0}
        error = {"message": message, "name": "JSONRPCError", "code": -32000, "data": data, "errors": errors}
        return Answer({"error": error, "jsonrpc": "2.0"})


@dataclass
class Navixy:
    """Navixy's backend API: `blocked` trackers answer 403; a key is known no more once `ended`, a session
    after `lasts` calls."""

    trackers: list[dict] = field(default_factory=list)
    vehicles: list[dict] = field(default_factory=list)
    tracks: dict[int, list[dict]] = field(default_factory=dict)
    blocked: set[int] = field(default_factory=set)
    ended: bool = False
    lasts: int = 1_000_000
    sessions: dict[str, int] = field(default_factory=dict)

    def __call__(self, asked: Asked) -> Answer:
        given = asked.json
        assert asked.method == "POST" and "Authorization" not in asked.headers
        if asked.path == "/v2/user/auth":
            if given != {"login": NAVIXY_USER["username"], "password": NAVIXY_USER["password"]}:
                return self.error(400, 102, "Wrong login or password")
            self.sessions[f"a6aa75587e5c59c32d347da438505f{len(self.sessions):02d}"] = 0
            return Answer({"success": True, "hash": [*self.sessions][-1]})
        known = given["hash"] == NAVIXY["token"] and not self.ended
        if not known and self.sessions.get(given["hash"], self.lasts) >= self.lasts:
            return self.error(400, 4, "User or API key not found or session ended")
        if not known:
            self.sessions[given["hash"]] += 1
        if asked.path == "/v2/tracker/list":
            return Answer({"success": True, "list": self.trackers})
        if asked.path == "/v2/vehicle/list":
            return Answer({"success": True, "list": self.vehicles})
        assert asked.path == "/v2/track/list"
        tracker = given["tracker_id"]
        if tracker in self.blocked:
            return self.error(403, 208, "Device blocked")
        if tracker not in self.tracks:
            return self.error(404, 204, "Entity not found")
        first, last = (datetime.strptime(given[key], WALL) for key in ("from", "to"))
        found = [t for t in self.tracks[tracker] if self._overlaps(t, first, last)]
        return Answer({"success": True, "limit_exceeded": False, "list": found})

    @staticmethod
    def _overlaps(track: dict, first: datetime, last: datetime) -> bool:
        start = datetime.strptime(track["start_date"], WALL)
        return start < last and datetime.strptime(track.get("end_date", track["start_date"]), WALL) > first

    @staticmethod
    def error(status: int, code: int, description: str) -> Answer:
        return Answer({"success": False, "status": {"code": code, "description": description}}, status)


@dataclass
class Automile:
    """Automile: a bearer token for `lasts` calls, trips of the last days, times in UTC without saying so."""

    vehicles: list[dict] = field(default_factory=list)
    contacts: list[dict] = field(default_factory=list)
    trips: list[dict] = field(default_factory=list)
    lasts: int = 1_000_000
    tokens: dict[str, int] = field(default_factory=dict)
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)

    def __call__(self, asked: Asked) -> Answer:
        if asked.path == "/OAuth2/Token":
            pair = f"{AUTOMILE['client_id']}:{AUTOMILE['client_secret']}".encode()
            wanted = {
                "grant_type": "password", "username": AUTOMILE["username"], "password": AUTOMILE["password"],
            }  # fmt: skip
            basic = asked.headers.get("Authorization") == "Basic " + base64.b64encode(pair).decode()
            if asked.method != "POST" or not basic or asked.form != wanted:
                return Answer({"error": "invalid_grant"}, 400)
            token = f"t0ken/of+automile={len(self.tokens) + 1}"
            self.tokens[token] = 0
            return Answer({"access_token": token, "token_type": "bearer", "expires_in": 3600})
        token = asked.headers.get("Authorization", "").removeprefix("Bearer ")
        if self.tokens.get(token, self.lasts) >= self.lasts:
            return Answer({"Message": "Authorization has been denied for this request."}, 401)
        self.tokens[token] += 1
        if asked.path != "/v1/resourceowner/trips":
            return Answer({"vehicles2": self.vehicles, "contacts2": self.contacts}[asked.path.split("/")[-1]])
        since = self.clock() - timedelta(days=int(asked.query["lastNumberOfDays"]))
        assert asked.query["synchronized"] == "false"
        return Answer([t for t in self.trips if _instant(t["TripStartDateTime"]).replace(tzinfo=UTC) > since])


@dataclass
class Wialon:
    """Wialon's Remote API: `trips` by unit; of `closed` units messages may not be read; a session ends after
    `lasts` calls, and every `busy`th batch finds another one running."""

    units: list[dict] = field(default_factory=list)
    trips: dict[int, list[dict]] = field(default_factory=dict)
    closed: set[int] = field(default_factory=set)
    lasts: int = 1_000_000
    busy: int = 1_000_000
    sessions: dict[str, int] = field(default_factory=dict)
    batches: int = 0

    def __call__(self, asked: Asked) -> Answer:
        assert asked.path == "/wialon/ajax.html" and "Authorization" not in asked.headers
        service, given = asked.query["svc"], json.loads(asked.query["params"])
        if service == "token/login":
            if given != WIALON:
                return Answer({"error": 8})
            self.sessions[f"02f2e8a1b7f9d01c{len(self.sessions):04d}"] = 0
            return Answer({"eid": [*self.sessions][-1], "user": {"nm": "api", "id": 27}})
        if self.sessions.get(asked.query["sid"], self.lasts) >= self.lasts:
            return Answer({"error": 1})
        self.sessions[asked.query["sid"]] += 1
        if service == "core/search_items":
            return Answer({"totalItemsCount": len(self.units), "items": self.units})
        load, get = given["params"]
        assert (service, load["svc"], get["svc"]) == (
            "core/batch",
            "messages/load_interval",
            "unit/get_trips",
        )
        unit, first, last = (get["params"][key] for key in ("itemId", "timeFrom", "timeTo"))
        assert load["params"].items() >= {"itemId": unit, "timeFrom": first, "timeTo": last}.items()
        assert all(isinstance(value, int) for value in (unit, first, last))
        self.batches += 1
        if self.batches % self.busy == 0:
            return Answer([{"error": 1003, "reason": "LIMIT api_concurrent"}])
        if unit in self.closed:
            return Answer([{"error": 7}])
        found = [t for t in self.trips.get(unit, []) if t["from"]["t"] < last and t["to"]["t"] > first]
        return Answer([{"count": 9172, "messages": []}, found])


@dataclass
class Webfleet:
    """Webfleet's reports: a 200 with a code where there are none, and once the quota is used up."""

    trips: list[dict] = field(default_factory=list)
    vehicles: list[dict] = field(default_factory=list)
    over_quota: int = 0

    def __call__(self, asked: Asked) -> Answer:
        given = asked.query
        assert asked.path == "/extern" and given["outputformat"] == "json"
        pair = base64.b64encode(f"{WEBFLEET['username']}:{WEBFLEET['password']}".encode()).decode()
        if asked.headers.get("Authorization") != f"Basic {pair}" or given["apikey"] != WEBFLEET["apikey"]:
            return self.error(1101, f"no access with {given['apikey']}")
        if given["action"] == "showVehicleReportExtern":
            return Answer(self.vehicles)
        if self.over_quota:
            self.over_quota -= 1
            return self.error(8011, "request quota reached")
        first, last = (_instant(given[f"range{edge}_string"]) for edge in ("from", "to"))
        found = [t for t in self.trips if first <= _instant(t["start_time"]) < last]
        return Answer(found) if found else self.error(63, "document is empty")

    @staticmethod
    def error(code: int, message: str) -> Answer:
        return Answer({"errorCode": code, "errorMsg": message})


def wall(text: str, zone: str = "America/Sao_Paulo") -> str:
    """A UTC instant as clocks of the zone show it."""
    return _instant(text).astimezone(ZoneInfo(zone)).strftime(WALL)
