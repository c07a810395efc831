"""What a profile can say of a request, a login and an answer, over a real socket."""

import base64
import json
import logging
import time
from datetime import UTC, datetime, timedelta

import pytest
import yaml

from telemetria_pipeline.carriers import errors
from telemetria_pipeline.carriers.client import CarrierClient
from telemetria_pipeline.carriers.decoding import decode_page
from telemetria_pipeline.carriers.lookups import add_entries
from telemetria_pipeline.carriers.mapping import map_pages
from telemetria_pipeline.carriers.pacing import rate_limit_pause_s
from telemetria_pipeline.carriers.placeholders import fill, placeholders
from telemetria_pipeline.carriers.profile import Profile, ProfileError, load_profile
from telemetria_pipeline_tests.carriers.conftest import TOKEN, Answer, make_profile

START = datetime(2026, 3, 10, 10, tzinfo=UTC)
END = START + timedelta(hours=1)
ROW = {"v": "a", "s": "2026-03-10T10:05:00Z", "e": "2026-03-10T10:35:00Z"}
GOOD = Answer({"data": [ROW]})


def client(server, profile, secrets=TOKEN, **options):
    return CarrierClient(profile, server.url, secrets, sleep=lambda s: None, **options)


def capture(server, profile, secrets=TOKEN, **options):
    with client(server, profile, secrets, **options) as c:
        return list(c.pages(START, END)), c


def failure(server, profile, secrets=TOKEN, kind=errors.CarrierError):
    with client(server, profile, secrets) as c, pytest.raises(kind) as caught:
        list(c.pages(START, END))
    return caught.value


def mapped(profile, pages):
    tables = {}
    for page in pages:
        if page.kind in profile.joins:
            add_entries(profile, tables, page.kind, page.records)
    return map_pages(profile, [page for page in pages if page.kind == "trips"], tables)


# ---------------------------------------------------------------- placeholders and bodies


def test_a_text_that_is_one_name_alone_keeps_the_values_type():
    values = {"start": 17, "vehicles": [1, 2], "token": "x"}
    template = {"a": ["{start}", "at {start}"], "b": {"c": "{vehicles}", "d": "in ({vehicles})"}}
    assert fill(template, values) == {"a": [17, "at 17"], "b": {"c": [1, 2], "d": "in (1,2)"}}
    assert fill("query { trips(from: {start}) { {{id}} } }", values) == "query { trips(from: 17) { {id} } }"
    assert placeholders({"a": ["{b}", {"c": "{{d}} {e}"}]}) == {"b", "e"}


def test_a_body_goes_as_json_with_numbers_and_cursors_in_their_place(serve):
    def respond(asked):
        after = asked.json["params"]["page"].get("after")
        return Answer({"result": [ROW | {"n": after}], "next": None if after else "c2"})

    server = serve(respond)
    profile = make_profile(
        window={"format": "epoch_ms"},
        trips={
            "method": "POST",
            "params": {"v": 2},
            "body": {"method": "list", "params": {"from": "{start}", "label": "until {end}", "page": {}}},
            "records": "result",
            "paging": {
                "style": "cursor",
                "cursor": "next",
                "cursor_param": "params.page.after",
                "size": 50,
                "size_param": "params.page.limit",
            },
        },
    )
    pages, _ = capture(server, profile)
    first, second = (asked.json["params"] for asked in server.asked)
    assert first == {"from": 1773136800000, "label": "until 1773140400000", "page": {"limit": 50}}
    assert second["page"] == {"limit": 50, "after": "c2"}
    assert [page.records[0]["n"] for page in pages] == [None, "c2"]
    assert {asked.method for asked in server.asked} == {"POST"}
    assert server.asked[0].headers["Content-Type"] == "application/json"
    assert server.asked[0].headers["Authorization"] == f"Bearer {TOKEN}"
    assert server.asked[0].query == {"v": "2"}


def test_a_form_and_an_object_in_a_query(serve):
    server = serve([GOOD])
    form = {"from": "{start}", "svc": {"id": 7, "flags": True}, "deep": True}
    capture(server, make_profile(trips={"method": "POST", "params": {}, "form": form}))
    assert server.asked[0].form == {
        "from": "2026-03-10T10:00:00Z", "svc": '{"id": 7, "flags": true}', "deep": "true",
    }  # fmt: skip
    capture(server, make_profile(trips={"params": {"svc": {"from": "{start}"}, "none": None}}))
    assert server.asked[1].query == {"svc": '{"from": "2026-03-10T10:00:00Z"}'}


def test_secrets_go_where_the_profile_writes_them_and_the_token_then_nowhere_else(serve, caplog):
    server = serve([GOOD])
    profile = make_profile(
        secrets=["token", "company"],
        headers={"X-Company": "{company}"},
        trips={"path": "/{company}/trips", "params": {"key": "{token}"}},
    )
    with caplog.at_level(logging.DEBUG):
        (page,), _ = capture(server, profile, {"token": TOKEN, "company": "acme/4711", "unused": "x"})
    asked = server.asked[0]
    assert (asked.query["key"], asked.headers["X-Company"]) == (TOKEN, "acme/4711")
    assert asked.path == "/acme%2F4711/trips" and "Authorization" not in asked.headers
    said = caplog.text + page.path + repr(page)
    assert "GET /***/trips?key=***" in said and "4711" not in said and "s3cr3t" not in said


def test_a_token_that_a_login_takes_goes_nowhere_else(serve):
    server = serve(lambda asked: Answer({"sid": "s3ss1on-0001"}) if asked.path == "/login" else GOOD)
    profile = make_profile(
        login={"path": "/login", "params": {"params": {"token": "{token}"}}, "gives": {"sid": "sid"}},
        trips={"params": {"sid": "{sid}"}},
    )
    capture(server, profile, {"token": TOKEN})
    login, trips = server.asked
    assert json.loads(login.query["params"]) == {"token": TOKEN} and trips.query["sid"] == "s3ss1on-0001"
    assert "Authorization" not in login.headers and "Authorization" not in trips.headers


def test_a_link_to_the_next_page_is_asked_with_our_secrets_again(serve):
    def respond(asked):
        assert asked.query["key"] == TOKEN
        more = f"/trips?page=2&key={TOKEN}" if asked.query.get("page") is None else None
        return Answer({"data": [ROW | {"n": asked.number}], "next": more})

    profile = make_profile(trips={"params": {"key": "{token}"}, "paging": {"style": "link", "next": "next"}})
    server = serve(respond)
    pages, _ = capture(server, profile)
    assert len(pages) == 2 and server.asked[1].query == {"page": "2", "key": TOKEN}
    assert TOKEN not in pages[1].path and TOKEN.encode() not in pages[0].body


def test_basic_of_two_secrets(serve):
    server = serve([GOOD])
    profile = make_profile(secrets=["user", "password"], auth={"basic": ["user", "password"]})
    capture(server, profile, {"user": "me", "password": "hush:hush"})
    assert server.asked[0].headers["Authorization"] == "Basic " + base64.b64encode(b"me:hush:hush").decode()


# ---------------------------------------------------------------- login

LOGIN = {
    "method": "POST",
    "path": "/token",
    "auth": {"basic": ["client_id", "client_secret"]},
    "form": {"grant_type": "client_credentials"},
    "gives": {"token": "access_token"},
    "expires_in": "expires_in",
}
CLIENT = {"client_id": "the-client", "client_secret": "cl1ent-s3cret"}


def oauth(lasts=1000, expires_in=3600, tokens=None, refuse=401):
    """A server that gives tokens for so many calls each."""
    given = {} if tokens is None else tokens

    def respond(asked):
        if asked.path == "/token":
            token = f"access-token-{len(given) + 1}"
            given[token] = 0
            return Answer({"access_token": token, "expires_in": expires_in})
        token = asked.headers["Authorization"].removeprefix("Bearer ")
        if given[token] >= lasts:
            return Answer({"error": f"expired: {token}"}, refuse)
        given[token] += 1
        return Answer(
            {"data": [ROW | {"n": asked.number}], "next": asked.number if asked.number < 6 else None}
        )

    return respond


def oauth_profile(**changes):
    paging = {"style": "cursor", "cursor": "next"}
    changes = {"secrets": list(CLIENT), "login": LOGIN, "trips": {"paging": paging}} | changes
    return make_profile(**changes)


def test_a_login_comes_first_and_its_token_travels(serve):
    server = serve(oauth())
    pages, c = capture(server, oauth_profile(), CLIENT)
    first, second, *rest = server.asked
    assert (first.path, first.form) == ("/token", {"grant_type": "client_credentials"})
    assert first.headers["Authorization"].startswith("Basic ")
    assert second.headers["Authorization"] == "Bearer access-token-1"
    assert {asked.path for asked in rest} == {"/trips"} and len(pages) == 5
    assert {page.kind for page in pages} == {"trips"}  # what the login answers is not kept
    assert c.stats.requests == 6


def test_a_session_that_ends_is_renewed_and_the_page_asked_again(serve):
    tokens = {}
    pages, c = capture(serve(oauth(lasts=2, tokens=tokens)), oauth_profile(), CLIENT)
    assert len(tokens) > 1 and c.stats.retries == len(tokens) - 1
    assert len({page.sha256 for page in pages}) == len(pages)


def test_a_token_is_renewed_before_it_expires(serve, monkeypatch):
    tokens = {}
    server = serve(oauth(tokens=tokens, expires_in="100"))
    with client(server, oauth_profile(), CLIENT) as c:
        pages = c.pages(START, END)
        next(pages)
        at = time.monotonic() + 60
        monkeypatch.setattr("telemetria_pipeline.carriers.credentials.time.monotonic", lambda: at)
        next(pages)
    assert len(tokens) == 2 and c.stats.retries == 0


def test_a_session_may_be_a_cookie_and_a_password_anything(serve, caplog):
    password, seen = "senha dé ferro", []

    def respond(asked):
        if asked.path == "/session":
            assert asked.form == {"password": password}
            seen.append(f"sessao-{len(seen) + 1:012d}")
            return Answer(b"", 204, {"Set-Cookie": f"JSESSIONID={seen[-1]}; Path=/", "Content-Length": "0"})
        if f"JSESSIONID={seen[-1]}" not in asked.headers.get("Cookie", "") or len(seen) == 1:
            return Answer("no session", 401)
        return Answer({"data": [ROW | {"echo": asked.headers["Cookie"]}]})

    login = {"method": "POST", "path": "/session", "form": {"password": "{password}"}, "gives": {}}
    profile = make_profile(secrets=["password"], login=login)
    (page,), _ = capture(serve(respond), profile, {"password": password})
    assert len(seen) == 2 and page.records[0]["echo"] == "JSESSIONID=***"
    assert seen[1] not in caplog.text
    keys = {"password": "ALFA_PASSWORD"}
    in_header = make_profile(secrets=["password"], auth={"template": "{password}"})
    with pytest.raises(errors.AuthError, match="ALFA_PASSWORD holds"):
        CarrierClient(in_header, "http://localhost", {"password": password}, secret_keys=keys)


def test_a_renewed_session_that_is_refused_again_fails_for_good(serve):
    tokens = {}
    error = failure(serve(oauth(lasts=0, tokens=tokens)), oauth_profile(), CLIENT, errors.AuthError)
    assert len(tokens) == 2 and error.status == 401
    assert "access-token" not in str(error)


@pytest.mark.parametrize(
    ("answer", "kind", "says"),
    [
        (
            Answer({"error": "invalid_client"}, 401),
            errors.AuthError,
            "the login failed: the carrier answered 401",
        ),
        (Answer({"error": "invalid_client"}, 400), errors.RejectedRequest, "invalid_client"),
        (Answer({"token": "abcdef-secret"}), errors.AuthError, "no token at `access_token`"),
        (Answer(b"<html>abcdef-secret</html>"), errors.NotJson, "the login failed: its answer is not JSON"),
        (Answer({"error": {"message": "locked"}}), errors.ErrorInBody, "locked"),
        (Answer("down", 503), errors.ServerError, "503"),
    ],
)
def test_a_login_that_fails_says_so_and_never_what_it_was_told(serve, answer, kind, says):
    server = serve([answer])
    error = failure(
        server, oauth_profile(errors=[{"when": "error", "message": "error.message"}]), CLIENT, kind
    )
    assert says in str(error) and "abcdef-secret" not in str(error)
    assert len(server.asked) == (3 if kind in (errors.ServerError, errors.NotJson) else 1)


def test_an_accounts_id_that_a_login_gives_is_no_secret_that_masks_the_data(serve):
    def respond(asked):
        if asked.path == "/token":
            return Answer({"access_token": "access-token-1", "user": {"id": 42}})
        return Answer({"data": [ROW | {"km": 42, "user": asked.query["u"]}]})

    login = LOGIN | {"gives": {"token": "access_token", "user": "user.id"}}
    (page,), _ = capture(
        serve(respond), oauth_profile(login=login, trips={"params": {"u": "{user}"}}), CLIENT
    )
    assert page.records[0]["km"] == 42 and page.records[0]["user"] == "42"


def test_a_login_may_answer_with_a_bare_token(serve):
    server = serve(lambda asked: Answer(b"bare.t0ken-0001\n") if asked.path == "/token" else GOOD)
    capture(server, oauth_profile(login=LOGIN | {"gives": {"token": "@"}}, trips={}), CLIENT)
    assert server.asked[1].headers["Authorization"] == "Bearer bare.t0ken-0001"


def test_the_variables_of_the_secrets_are_named(serve):
    keys = {"client_id": "ALFA_ID", "client_secret": "ALFA_SECRET"}
    server = serve([Answer("no", 401)])
    with (
        client(server, oauth_profile(), CLIENT, secret_keys=keys) as c,
        pytest.raises(errors.AuthError) as caught,
    ):
        list(c.pages(START, END))
    assert "ALFA_ID and ALFA_SECRET" in str(caught.value)
    with pytest.raises(errors.AuthError, match="ALFA_SECRET is empty"):
        client(server, oauth_profile(), {"client_id": "x"}, secret_keys=keys)


@pytest.mark.parametrize(("domain", "goes"), [("127.0.0.1", True), ("example.com", False)])
def test_the_host_that_a_login_names_is_asked_within_its_domain_only(serve, domain, goes):
    there = serve([GOOD])
    login = LOGIN | {"host": "server", "domain": domain, "expires_in": None}
    here = serve([Answer({"access_token": "t0ken-0001", "server": there.url.removeprefix("http://")})])
    profile = oauth_profile(login=login, base_path="/v3", trips={})
    if goes:
        capture(here, profile, CLIENT)
        assert there.asked[0].path == "/v3/trips" and len(here.asked) == 1
    else:
        error = failure(here, profile, CLIENT, errors.PermanentError)
        assert "not within login.domain" in str(error) and not there.asked


# ---------------------------------------------------------------- what answers mean


def test_the_table_of_errors_decides_by_status_body_or_both(serve):
    rules = [
        {"status": [400, 403], "when": "code == `15`", "message": "text", "means": "retry"},
        {"status": 404, "means": "empty"},
        {"status": 418, "means": "permanent", "message": "text"},
        {"when": "code == `9`", "message": "text"},
    ]
    profile = make_profile(errors=rules)
    busy = Answer({"code": 15, "text": "slow down"}, 403)
    assert len(capture(serve([busy, GOOD]), profile)[0]) == 1
    assert "slow down" in str(failure(serve([busy]), profile, kind=errors.BusyInBody))
    for none in ("no trips", b"<html>No trips before 12:00</html>"):
        (page,), _ = capture(serve([Answer(none, 404)]), profile)
        assert (page.records, page.status) == ([], 404)
    assert "teapot" in str(
        failure(serve([Answer({"text": "teapot"}, 418)]), profile, kind=errors.ErrorInBody)
    )
    assert failure(serve([Answer({"code": 3}, 403)]), profile, kind=errors.AuthError).status == 403
    assert failure(serve([Answer({"code": 9, "text": "x"}, 400)]), profile, kind=errors.RejectedRequest)


def test_an_error_that_passes_waits_as_long_as_it_says(serve):
    waits = []
    profile = make_profile(errors=[{"when": "busy", "means": "retry"}])
    server = serve([Answer({"busy": 1}, headers={"Retry-After": "3"}), GOOD])
    with CarrierClient(profile, server.url, TOKEN, sleep=waits.append) as c:
        list(c.pages(START, END))
    assert waits[0] == 3


@pytest.mark.parametrize(
    ("headers", "pause"),
    [
        ({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "7"}, 7),
        ({"x-ratelimit-remaining": "0", "X-RateLimit-Reset": str(START.timestamp() + 9)}, 9),
        ({"X-Rate-Limit-Remaining": "0", "X-Rate-Limit-Reset": str(1000 * (START.timestamp() + 9))}, 9),
        ({"RateLimit-Remaining": "0", "RateLimit-Reset": "500"}, 60),
        ({"RateLimit": '"default";r=0;t=30'}, 30),
        ({"RateLimit": "limit=100, remaining=0, reset=5"}, 5),
        ({"RateLimit": '"default";r=3;t=30'}, None),
        ({"X-RateLimit-Remaining": "1", "X-RateLimit-Reset": "7"}, None),
        ({"X-RateLimit-Remaining": "0"}, None),
        ({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "soon"}, None),
        ({}, None),
    ],
)
def test_a_used_up_limit_is_a_pause(headers, pause):
    assert rate_limit_pause_s(headers, 60, START) == (pause and pytest.approx(pause))


def test_the_next_request_waits_for_the_limit(serve):
    spent = Answer(
        {"data": [ROW], "next": 1}, headers={"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "5"}
    )
    profile = make_profile(trips={"paging": {"style": "cursor", "cursor": "next"}})
    waits = []
    with (
        CarrierClient(profile, serve([spent, GOOD]).url, TOKEN + "-limit", sleep=waits.append) as c,
        pytest.raises(errors.RepeatedPage),
    ):
        list(c.pages(START, END))
    assert 4 < waits[0] <= 5


def test_totals_and_cursors_may_come_in_headers(serve):
    rows = [ROW | {"n": n} for n in range(5)]

    def respond(asked):
        page = int(asked.query.get("page", 1))
        return Answer({"data": rows[2 * page - 2 : 2 * page]}, headers={"X-Total-Count": "5"})

    paging = {"style": "page", "total": "header:x-total-count"}
    pages, _ = capture(serve(respond), make_profile(trips={"paging": paging}))
    assert [len(page.records) for page in pages] == [2, 2, 1]

    def by_cursor(asked):
        at = int(asked.query.get("cursor", 0))
        headers = {"X-Next": str(at + 1)} if at < 2 else {}
        return Answer({"data": rows[at : at + 1]}, headers=headers)

    paging = {"style": "cursor", "cursor": "header:X-Next"}
    pages, _ = capture(serve(by_cursor), make_profile(trips={"paging": paging}))
    assert len(pages) == 3


def test_a_feed_by_version_ends_with_its_last_page(serve):
    rows = [ROW | {"n": n} for n in range(5)]

    def respond(asked):
        at = int(asked.json["params"].get("fromVersion", 0))
        part = rows[at : at + 2]
        return Answer({"data": part, "toVersion": str(at + len(part))})

    def feed(last_page):
        paging = {
            "style": "cursor", "cursor": "toVersion", "cursor_param": "params.fromVersion", "size": 2,
            "size_param": "params.resultsLimit", "last_page": last_page,
        }  # fmt: skip
        body = {"method": "GetFeed", "params": {"fromDate": "{start}"}}
        return make_profile(trips={"method": "POST", "params": {}, "body": body, "paging": paging})

    for last_page, asked in (("short", 3), ("empty", 4)):
        server = serve(respond)
        pages, _ = capture(server, feed(last_page))
        assert sum(len(page.records) for page in pages) == 5 and len(server.asked) == asked


def test_records_of_another_kind_are_left_out_and_counted_and_paging_goes_by_all(serve):
    def respond(asked):
        kinds = ["Trip", "Parking"] if asked.query["page"] == "1" else ["Parking"]
        return Answer({"data": [ROW | {"kind": kind, "n": asked.number} for kind in kinds]})

    paging = {"style": "page", "size": 2, "size_param": "per", "last_page": "short"}
    pages, _ = capture(serve(respond), make_profile(trips={"where": "kind == 'Trip'", "paging": paging}))
    assert [(len(page.records), page.left_out) for page in pages] == [(1, 1), (0, 1)]


# ---------------------------------------------------------------- look-ups, batches, skips

DEVICES = [
    {"id": 1, "plate": "RTY4E56", "tz": "America/Cuiaba"},
    {"id": 2, "plate": "ABC1C34"},
    {"id": None, "plate": "XXX0A00"},
    {"id": 3, "plate": "AAA1A11"},
    {"id": 3, "plate": "BBB2B22"},
]
LOOKUPS = {
    "devices": {
        "path": "/devices", "by": "veiculo_id", "id": "id",
        "stamp": {"placa_recebida": "plate", "fuso": "tz", "motorista_id": "driver"},
    },
    "drivers": {
        "path": "/drivers", "by": "motorista_id", "id": "id", "stamp": {"motorista": ["first", "last"]},
    },
}  # fmt: skip


def test_a_look_up_joins_by_a_column_without_a_request_a_vehicle(serve):
    trips = [ROW | {"v": v, "d": d} for v, d in ((1, "d1"), (2, None), (3, "d9"), (4, None))]
    answers = {
        "/devices": DEVICES,
        "/drivers": [{"id": "d1", "first": "Ana", "last": "Prado"}],
        "/trips": {"data": trips},
    }
    server = serve(lambda asked: Answer(answers[asked.path]))
    profile = make_profile(
        lookups=LOOKUPS, fields={"motorista_id": "d"}, times={"format": "iso", "zone": "America/Sao_Paulo"}
    )
    pages, _ = capture(server, profile)
    assert [page.kind for page in pages] == ["devices", "drivers", "trips"] and len(server.asked) == 3
    frame = mapped(profile, pages)
    plates = frame["placa_recebida"].tolist()
    assert plates[:2] == ["RTY4E56", "ABC1C34"]
    assert frame["placa_recebida"].isna().tolist() == [False, False, True, True]  # two plates of one id: none
    assert frame["fuso"].tolist()[:2] == ["America/Cuiaba", "America/Sao_Paulo"]
    assert frame["motorista"].tolist()[0] == "Ana Prado" and frame["motorista"].isna().sum() == 3


VEHICLES = {
    "path": "/devices",
    "where": "id",
    "id": "id",
    "stamp": {"veiculo_id": "id", "placa_recebida": "plate"},
}
SKIP = [{"status": 403, "means": "skip", "message": "why"}]


def fan_out(**changes):
    return make_profile(
        **{"vehicles": VEHICLES, "trips": {"params": {"id": "{vehicle}"}}, "errors": SKIP, **changes}
    )


def fleet(*refused, status=403):
    def respond(asked):
        if asked.path == "/devices":
            return Answer([*DEVICES[:2], {"id": 7, "plate": "QWE1R23"}])
        ids = asked.query["id"].split(",")
        if set(ids) & set(refused):
            return Answer({"why": f"{asked.query['id']} is blocked"}, status)
        return Answer({"data": [ROW | {"v": int(i)} for i in ids]})

    return respond


def test_a_vehicle_that_is_refused_is_skipped_and_named(serve):
    pages, c = capture(serve(fleet("2")), fan_out())
    assert [page.stamp.get("veiculo_id") for page in pages if page.kind == "trips"] == ["1", "7"]
    (skipped,) = c.skipped
    assert (skipped.id, skipped.stamp["placa_recebida"]) == ("2", "ABC1C34")
    assert "2 is blocked" in skipped.reason
    capture(serve(fleet()), fan_out())


def test_where_all_are_refused_nothing_is_known(serve):
    error = failure(serve(fleet("1", "2", "7")), fan_out(), kind=errors.AuthError)
    assert "none of the 3 vehicles could be asked" in str(error)
    failure(serve([Answer("no", 403)]), fan_out(), kind=errors.AuthError)  # the list is no vehicle
    failure(serve(fleet("2", status=401)), fan_out(), kind=errors.AuthError)


def test_ids_go_in_batches_and_a_refused_batch_vehicle_by_vehicle(serve):
    vehicles = VEHICLES | {"batch": 2}
    profile = fan_out(vehicles=vehicles, trips={"params": {"id": "{vehicles}"}})
    server = serve(fleet("2"))
    pages, c = capture(server, profile)
    assert [asked.query["id"] for asked in server.asked[1:]] == ["1,2", "1", "2", "7"]
    assert [v.id for v in c.skipped] == ["2"]
    frame = mapped(profile, pages)
    assert frame["placa_recebida"].tolist() == ["RTY4E56", "QWE1R23"]
    body = {"method": "POST", "params": {}, "body": {"ids": "{vehicles}"}}
    server = serve(lambda asked: Answer(DEVICES[:2]) if asked.path == "/devices" else GOOD)
    capture(server, fan_out(vehicles=vehicles, trips=body))
    assert server.asked[1].json == {"ids": [1, 2]}


# ---------------------------------------------------------------- times


@pytest.mark.parametrize(
    ("times", "text", "utc"),
    [
        ({"format": "%d/%m/%Y %H:%M:%S"}, "10/03/2026 07:05:00", "2026-03-10T10:05:00Z"),
        ({"format": "%d/%m/%Y %H:%M %z"}, "10/03/2026 07:05 -0400", "2026-03-10T11:05:00Z"),
        ({"format": "%d/%m/%Y %H:%M:%S"}, "2026-03-10T07:05:00", None),
        ({"format": "json_date"}, "/Date(1773137100000)/", "2026-03-10T10:05:00Z"),
        ({"format": "json_date"}, "/Date(1773137100000-0300)/", "2026-03-10T10:05:00Z"),
        ({"format": "json_date"}, "1773137100000", None),
    ],
)
def test_records_write_times_as_they_like(times, text, utc):
    page = type("P", (), {"number": 1, "records": [ROW | {"s": text}], "stamp": {}})
    row = map_pages(make_profile(times=times), [page]).iloc[0]
    if utc is None:
        assert row["saida_utc"] is None or row["saida_utc"] != row["saida_utc"]
        assert "saida_utc=" in row["ilegivel"]
    else:
        assert row["saida_utc"].isoformat() == utc.replace("Z", "+00:00")


def test_windows_are_written_by_pattern(serve):
    server = serve([GOOD])
    for pattern, start, end in (
        ("%d/%m/%Y %H:%M", "10/03/2026 07:00", "10/03/2026 08:00"),
        ("%Y%m%d", "20260310", "20260310"),  # no clock: the last day is counted in
    ):
        capture(server, make_profile(window={"format": pattern, "zone": "America/Sao_Paulo"}))
        assert server.asked[-1].query == {"from": start, "to": end}


# ---------------------------------------------------------------- encodings


@pytest.mark.parametrize(
    ("encoding", "sent"),
    [
        ("utf-8", "utf-8-sig"), ("latin-1", "latin-1"), ("cp1252", "cp1252"), ("utf-8", "utf-16"),
        ("utf-16-le", "utf-16-le"), ("latin-1", "utf-8-sig"),
    ],
)  # fmt: skip
def test_a_body_is_read_in_its_encoding_and_kept_as_received(serve, encoding, sent):
    rows = [ROW | {"v": "Ônibus São João", "echo": ""}, ROW | {"v": "2", "echo": TOKEN}]
    profile = make_profile(encoding=encoding)
    for row in rows:
        body = json.dumps({"data": [row]}, ensure_ascii=False).encode(sent)
        (page,), _ = capture(serve([Answer(body)]), profile)
        assert page.records[0]["v"] == row["v"] and TOKEN not in str(page.records)
        assert (page.body == body) is (not row["echo"])
        assert decode_page(profile, page.body) == page.records


def test_an_error_with_a_byte_order_mark_is_told_by_the_table(serve):
    profile = make_profile(errors=[{"when": "busy", "message": "busy", "means": "retry"}])
    body = b"\xef\xbb\xbf" + b'{"busy": "later"}'
    assert "later" in str(failure(serve([Answer(body)]), profile, kind=errors.BusyInBody))


def test_day_and_hour_may_be_asked_apart(serve):
    server = serve([GOOD])
    params = {"d1": "{start:%d/%m/%Y}", "h1": "{start:%H:%M}", "d2": "{end:%d/%m/%Y}", "h2": "{end:%H:%M}"}
    window = {"zone": "America/Sao_Paulo", "pad_after_min": 16 * 60}
    capture(server, make_profile(window=window, trips={"path": "/t/{start:epoch_s}/x", "params": params}))
    assert server.asked[0].path == "/t/1773136800/x"
    assert server.asked[0].query == {"d1": "10/03/2026", "h1": "07:00", "d2": "11/03/2026", "h2": "00:00"}


# ---------------------------------------------------------------- what is refused on load

BASE = {
    "name": "minha", "carrier": "Minha", "trips": {"path": "/t"},
    "fields": {"veiculo_id": "v", "saida_utc": "s", "chegada_utc": "e"},
}  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"trips": {"path": "/t", "body": {}}}, "trips: a body goes with `method: POST`"),
        (
            {"trips": {"path": "/t", "method": "POST", "body": {}, "form": {}}},
            "body and form exclude each other",
        ),
        ({"trips": {"path": "/t", "method": "PUT"}}, "trips.method: "),
        (
            {"trips": {"path": "/t", "method": "POST", "body": [], "paging": {"style": "page"}}},
            "the body must be an object",
        ),
        ({"secrets": ["Token"]}, "secrets.0: 'Token' is no name for a secret"),
        ({"secrets": ["start"]}, "{start} already means something"),
        ({"secrets": ["key"]}, None),
        ({"secrets": ["key"], "auth": {}}, "auth: unknown placeholder {token}"),
        ({"headers": {"X": "{key}"}}, "headers: unknown placeholder {key}; known: token"),
        ({"auth": {"template": "{token}", "basic": ["a", "b"]}}, "basic and template exclude each other"),
        ({"login": {"path": "/l"}}, "login.gives: this key is required"),
        (
            {"login": {"path": "/l", "gives": {"token": "t"}}},
            "login.gives.token: there is a secret of that name",
        ),
        ({"login": {"path": "http://x/l", "gives": {"session": "t"}}}, "write an https:// address"),
        ({"login": {"path": "/l", "gives": {"session": "t"}, "host": "h"}}, "host and domain go together"),
        (
            {"login": {"path": "/{session}", "gives": {"session": "t"}}},
            "login: unknown placeholder {session}",
        ),
        ({"errors": [{"message": "m"}]}, "errors.0: say by what the answer is known"),
        ({"errors": [{"when": "e", "retry": True, "means": "empty"}]}, "contradict each other"),
        ({"errors": [{"status": 403, "means": "skip"}]}, "means: skip is for a fan-out"),
        ({"errors": [{"status": 403, "means": "ignore"}]}, "errors.0.means: "),
        ({"lookups": {"trips": {}}}, "is no name for a look-up"),
        (
            {"lookups": {"d": {"path": "/d", "id": "i", "by": "garagem", "stamp": {"fuso": "f"}}}},
            "nothing gives garagem",
        ),
        (
            {"lookups": {"d": {"path": "/d", "id": "i", "by": "saida_utc", "stamp": {"fuso": "f"}}}},
            "not a text column",
        ),
        ({"lookups": {"d": {"path": "/d", "id": "i", "by": "veiculo_id", "stamp": {}}}}, "lookups.d.stamp: "),
        ({"trips": {"path": "/t/{vehicles}"}}, "trips uses {vehicles}, so `vehicles` must say"),
        (
            {"trips": {"path": "/t/{vehicle}"}, "vehicles": {"path": "/v", "id": "i", "batch": 5}},
            "with a batch, so trips.path, params or body must use {vehicles}",
        ),
        ({"window": {"format": "unix"}}, "window.format: 'unix' is no time format"),
        ({"times": {"format": "%d/%m/%Y"}}, "times.format: '%d/%m/%Y' names a day only"),
        ({"trips": {"path": "/t", "where": "a ="}}, "trips.where: 'a =' is not a JMESPath"),
        (
            {"trips": {"path": "/t", "paging": {"style": "page", "total": "header:a b"}}},
            "trips.paging.total: 'a b' is no name of a header",
        ),
        ({"fields": {"veiculo_id": "v", "saida_utc": "t"}}, "positions only"),
        ({"trips": {"path": "/t/{start:soon}"}}, "'soon' is no time format"),
        ({"trips": {"path": "/t/{token:%H}"}}, "only start and end are written by a pattern"),
        ({"encoding": "latin-99"}, "encoding: 'latin-99' is no encoding"),
        ({"encoding": "base64"}, "encoding: 'base64' is no encoding"),
    ],
)
def test_what_contradicts_is_refused_with_its_key(tmp_path, changes, says):
    file = tmp_path / "minha.yaml"
    file.write_text(yaml.safe_dump(BASE | changes), encoding="utf-8")
    if says is None:
        assert isinstance(load_profile(file), Profile)
        return
    with pytest.raises(ProfileError) as caught:
        load_profile(file)
    assert says in str(caught.value)
