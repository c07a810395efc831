"""The client on real sockets: what is tried again, what fails at once, and what each failure says."""

import gzip
import logging
import socket
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from telemetria_pipeline.carriers import errors
from telemetria_pipeline.carriers.client import CarrierClient
from telemetria_pipeline_tests.carriers.conftest import TOKEN, Answer, make_profile

START = datetime(2026, 3, 10, 10, tzinfo=UTC)
END = START + timedelta(hours=1)
GOOD = Answer({"data": [{"v": "1", "s": "2026-03-10T10:05:00Z", "e": "2026-03-10T10:25:00Z"}]})


def client(server, profile=None, **options):
    return CarrierClient(profile or make_profile(), getattr(server, "url", server), TOKEN, **options)


def capture(server, profile=None, **options):
    """Pages and client of one capture; waits are skipped unless `sleep` says otherwise."""
    with client(server, profile, **{"sleep": lambda s: None, **options}) as c:
        return list(c.pages(START, END)), c


def failure(server, profile=None, kind=errors.CarrierError, **options):
    with client(server, profile, **{"sleep": lambda s: None, **options}) as c, pytest.raises(kind) as caught:
        list(c.pages(START, END))
    return caught.value


def test_a_page_is_kept_as_received_with_what_it_took(serve):
    server = serve([GOOD])
    (page,), c = capture(server)
    assert page.body == GOOD.payload
    assert page.records == GOOD.body["data"]
    assert (page.number, page.kind, page.status, page.stamp) == (1, "trips", 200, {})
    assert page.path == "/trips?from=2026-03-10T10%3A00%3A00Z&to=2026-03-10T11%3A00%3A00Z"
    assert page.fetched_at.tzinfo is UTC and len(page.sha256) == 64
    assert (c.stats.requests, c.stats.retries, c.stats.bytes) == (1, 0, len(GOOD.payload))
    assert server.asked[0].headers["Authorization"] == f"Bearer {TOKEN}"


@pytest.mark.parametrize("status", [408, 425, 500, 502, 503, 504, 429])
def test_a_passing_trouble_is_tried_again(serve, status):
    server = serve([Answer("busy", status), GOOD])
    pages, c = capture(server)
    assert len(pages) == 1
    assert (c.stats.requests, c.stats.retries, c.stats.throttled) == (2, 1, int(status == 429))


@pytest.mark.parametrize(
    ("deliver", "read_timeout_s"),
    # Only a hang needs the timeout; it holds for the good answer too, and a busy machine may be slow with it.
    [("hang", 1), ("cut", 30), ("reset", 30)],
)
def test_a_broken_delivery_is_tried_again(serve, deliver, read_timeout_s):
    server = serve([Answer(GOOD.body, deliver=deliver), GOOD])
    pages, c = capture(server, make_profile(http={"read_timeout_s": read_timeout_s}))
    assert pages[0].body == GOOD.payload
    assert c.stats.requests == 2


@pytest.mark.parametrize(
    "broken",
    [
        Answer(
            b"5\r\nhello\r\n", headers={"Transfer-Encoding": "chunked", "Connection": "close"}, deliver="cut"
        ),
        Answer(gzip.compress(GOOD.payload)[:-20], headers={"Content-Encoding": "gzip"}),
        Answer(b"not gzip", headers={"Content-Encoding": "gzip"}),
        Answer(GOOD.payload[:-5]),
        Answer(b"<html>login</html>", headers={"Content-Type": "text/html"}),
        Answer(b""),
    ],
    ids=["cut chunks", "cut gzip", "no gzip", "cut json", "html", "empty"],
)
def test_a_body_that_cannot_be_read_is_asked_again(serve, broken):
    pages, c = capture(serve([broken, GOOD]))
    assert pages[0].records == GOOD.body["data"]
    assert c.stats.retries == 1


def test_gzip_is_decompressed_before_it_is_kept(serve):
    server = serve([Answer(gzip.compress(GOOD.payload), headers={"Content-Encoding": "gzip"})])
    assert capture(server)[0][0].body == GOOD.payload


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_token_fails_at_once_and_names_the_variable(serve, status):
    server = serve([Answer("no", status)])
    error = failure(server, kind=errors.AuthError)
    assert "TELEMETRIA_API_TOKEN" in str(error) and isinstance(error, errors.PermanentError)
    assert (error.status, error.attempts, len(server.asked)) == (status, 1, 1)


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, errors.RejectedRequest), (422, errors.RejectedRequest), (501, errors.RejectedRequest),
     (404, errors.NotFoundError)],
)  # fmt: skip
def test_a_refused_request_fails_at_once_with_the_carriers_words(serve, status, kind):
    server = serve([Answer(b"range cannot exceed\n90 days", status, {"Content-Type": "text/plain"})])
    error = failure(server, kind=kind)
    assert "range cannot exceed 90 days" in str(error)
    assert len(server.asked) == 1


def test_redirects_are_not_followed(serve):
    elsewhere = serve([GOOD])
    for status in (301, 302, 307, 308):
        server = serve([Answer("", status, {"Location": f"{elsewhere.url}/v2/trips?secret=1"})])
        error = failure(server, kind=errors.Redirected)
        assert f"{elsewhere.url}/v2/trips" in str(error) and "TELEMETRIA_API_URL" in str(error)
        assert "secret" not in str(error) and len(server.asked) == 1
    assert not elsewhere.asked


def test_what_persists_ends_with_its_attempts(serve):
    error = failure(serve([Answer("down", 503)]), kind=errors.ServerError)
    assert (error.status, error.attempts) == (503, 3)
    assert "after 3 attempts" in str(error)
    error = failure(serve([Answer(b"<html>login</html>")]), kind=errors.NotJson)
    assert error.attempts == 3 and isinstance(error, errors.PermanentError) and "<html>" in str(error)


def test_no_server_is_a_transient_trouble():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        error = failure(f"http://127.0.0.1:{unused.getsockname()[1]}", kind=errors.ConnectionTrouble)
    assert isinstance(error, errors.TransientError) and error.attempts == 3


@pytest.mark.parametrize(
    ("header", "lowest", "highest"),
    [
        ("2", 2, 2),
        ("0.40235", 0.40235, 0.40235),
        (lambda: format_datetime(datetime.now(UTC) + timedelta(seconds=4), usegmt=True), 2, 4),
        ("9999", 7, 7),
        ("soon", 0.01, 0.05),
        (None, 0.01, 0.05),
    ],
    ids=["integer", "fraction", "date", "capped", "garbage", "none"],
)
def test_retry_after_is_honoured_in_every_form(serve, header, lowest, highest):
    value = header() if callable(header) else header
    server = serve([Answer("slow", 429, {"Retry-After": value} if value else {}), GOOD])
    waits = []
    capture(server, make_profile(http={"retry_after_cap_s": 7}), sleep=waits.append)
    assert lowest <= waits[0] <= highest


def test_a_pause_holds_for_every_client_of_the_same_scope(serve):
    server = serve([Answer("slow", 429, {"Retry-After": "30"}), GOOD])
    capture(server)
    waits = []
    capture(server, sleep=waits.append)
    assert len(waits) == 1 and 25 < waits[0] <= 30
    with CarrierClient(make_profile(), server.url, "another-token", sleep=waits.append) as other:
        list(other.pages(START, END))
    assert len(waits) == 1


def test_throttling_has_a_budget_of_its_own(serve):
    slow = Answer("slow", 429, {"Retry-After": "0"})
    pages, c = capture(serve([slow] * 5 + [Answer("down", 500), GOOD]))
    assert len(pages) == 1 and c.stats.throttled == 5
    server = serve([slow])
    error = failure(server, make_profile(http={"throttle_attempts": 4}), errors.ThrottledTooLong)
    assert len(server.asked) == 5 and error.status == 429 and "requests_per_second" in str(error)


def test_a_wait_beyond_the_deadline_is_not_waited_for(serve):
    server = serve([Answer("slow", 429, {"Retry-After": "60"})])
    began = time.monotonic()
    error = failure(server, make_profile(http={"deadline_s": 1}), errors.DeadlineExceeded, sleep=time.sleep)
    assert time.monotonic() - began < 1 and error.status == 429 and len(server.asked) == 1


def test_a_slow_drip_cannot_outlive_the_deadline(serve):
    server = serve([Answer({"data": ["x" * 2000]}, deliver="drip")])
    began = time.monotonic()
    failure(server, make_profile(http={"deadline_s": 0.5}), errors.DeadlineExceeded, sleep=time.sleep)
    assert time.monotonic() - began < 2


def test_the_deadline_of_the_capture_holds_for_all_pages(serve):
    server = serve(lambda asked: Answer({"data": [asked.number], "next": asked.number}))
    paging = {"style": "cursor", "cursor": "next"}
    profile = make_profile(
        trips={"paging": paging}, http={"capture_deadline_s": 0.3}, pacing={"requests_per_second": 100}
    )
    failure(server, profile, errors.DeadlineExceeded)
    assert len(server.asked) > 2


def test_a_body_too_large_is_refused_even_when_it_was_small_on_the_way(serve):
    bomb = gzip.compress(b" " * 3_000_000)
    server = serve([Answer(bomb, headers={"Content-Encoding": "gzip"})])
    error = failure(server, make_profile(http={"max_body_mb": 1}), errors.BodyTooLarge)
    assert "max_body_mb" in str(error) and len(server.asked) == 1


def test_an_error_inside_a_200(serve):
    rules = [
        {"when": "error.code == 'busy'", "message": "error.message", "retry": True},
        {"when": "error", "message": "error.message"},
    ]
    busy = Answer({"error": {"code": "busy", "message": "try later"}})
    profile = make_profile(errors=rules)
    assert len(capture(serve([busy, GOOD]), profile)[0]) == 1
    error = failure(serve([busy]), profile, errors.BusyInBody)
    assert "try later" in str(error) and isinstance(error, errors.TransientError)
    server = serve([Answer({"error": {"message": "no such fleet"}})])
    error = failure(server, profile, errors.ErrorInBody)
    assert "no such fleet" in str(error) and len(server.asked) == 1


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b'{"data": [{"v": 1, "v": 2}]}', "'v' twice"),
        (b'{"data": [NaN, }', "not JSON"),
        (b'{"data": ["\xff"]}', "not JSON"),
        (b"[" * 5000, "not JSON"),
        (b'{"trips": []}', "its keys: trips"),
        (b'{"data": {"v": 1}}', "single_object"),
        (b'{"data": null}', "no_records"),
        (b'"data"', "no array of records"),
    ],
)
def test_a_body_of_another_shape_says_what_it_is(serve, body, says):
    error = failure(serve([Answer(body)]), kind=errors.PermanentError)
    assert says in str(error)


def test_integers_beyond_64_bits_are_read(serve):
    (page,), _ = capture(serve([Answer(b'{"data": [{"v": 123456789012345678901234567890}]}')]))
    assert page.records == [{"v": 123456789012345678901234567890.0}]


def test_the_token_is_the_only_authorization(serve, tmp_path, monkeypatch):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password else\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    server = serve([GOOD])
    capture(server)
    assert server.asked[0].headers["Authorization"] == f"Bearer {TOKEN}"


@pytest.mark.parametrize(
    ("auth", "header", "value"),
    [
        ({"header": "X-Api-Key", "template": "{token}"}, "X-Api-Key", "user:secret-1"),
        ({"template": "Basic {basic}"}, "Authorization", "Basic dXNlcjpzZWNyZXQtMQ=="),
        ({"template": 'Token token="{token}"'}, "Authorization", 'Token token="user:secret-1"'),
    ],
)
def test_the_token_travels_as_the_profile_says(serve, auth, header, value):
    server = serve([GOOD])
    with CarrierClient(make_profile(auth=auth), server.url, "user:secret-1\n") as c:
        list(c.pages(START, END))
    assert server.asked[0].headers[header] == value


def test_a_token_that_expires_is_asked_for_again(serve):
    tokens = iter(["first-token", "first-token", "second-token", "second-token", "second-token"])
    current = {"token": "first-token"}

    def respond(asked):
        fresh = asked.headers["Authorization"] == "Bearer second-token"
        return GOOD if fresh else Answer("expired", 401)

    server = serve(respond)
    error_server = serve([Answer("expired", 401)])
    with CarrierClient(make_profile(), server.url, lambda: current["token"], sleep=lambda s: None) as c:
        current["token"] = "second-token"
        assert len(list(c.pages(START, END))) == 1
    assert len(server.asked) == 2
    with (
        CarrierClient(make_profile(), error_server.url, lambda: next(tokens), sleep=lambda s: None) as c,
        pytest.raises(errors.AuthError),
    ):
        list(c.pages(START, END))


@pytest.mark.parametrize("token", ["", "two\nlines-of-it", "não-é-ascii"])
def test_a_token_that_cannot_be_used_is_refused_before_anything_is_sent(serve, token):
    server = serve([GOOD])
    with pytest.raises(errors.AuthError, match="TELEMETRIA_API_TOKEN") as caught:
        CarrierClient(make_profile(), server.url, token)
    assert not token or token not in str(caught.value)
    assert not server.asked


@pytest.mark.parametrize(
    "url",
    ["host/api", "ftp://host", "https://user:pw@host", "https://host?key=1", "https://", "http://h:99999"],
)
def test_an_address_that_cannot_be_used_says_so(url):
    with pytest.raises(errors.PermanentError, match="TELEMETRIA_API_URL") as caught:
        CarrierClient(make_profile(), url, TOKEN)
    assert "pw" not in str(caught.value)


def test_one_line_a_request_and_the_correlation_id_goes_along(serve, caplog):
    server = serve([Answer("down", 500), GOOD])
    with caplog.at_level(logging.INFO, logger="telemetria_pipeline.carriers.client"):
        capture(server, correlation="run-1")
    first, second = [r.getMessage() for r in caplog.records if r.name.startswith("telemetria")]
    assert first.startswith("GET /trips?from=") and " 500 attempt=1 ms=" in first
    assert first.endswith("id=run-1 ServerError")
    assert " 200 attempt=2 ms=" in second and f"bytes={len(GOOD.payload)} id=run-1" in second
    assert {a.headers["X-Request-ID"] for a in server.asked} == {"run-1"}


def test_connections_are_kept(serve):
    server = serve(lambda asked: Answer({"data": [asked.number] if asked.number < 6 else []}))
    pages, _ = capture(server, make_profile(trips={"paging": {"style": "page"}}))
    assert len(pages) == 6 and server.connections == 1


def test_pages_come_as_they_arrive(serve):
    server = serve(lambda asked: Answer({"data": [asked.number]}))
    with client(server, make_profile(trips={"paging": {"style": "page"}})) as c:
        pages = c.pages(START, END)
        next(pages), next(pages)
        assert len(server.asked) == 2


def test_the_window_is_padded_and_written_as_the_profile_says(serve):
    day = "2026-03-10"
    cases = [
        ({"anchor": "overlap"}, "2026-03-10T10:00:00Z", "2026-03-10T11:00:00Z"),
        ({"anchor": "arrival"}, "2026-03-10T10:00:00Z", "2026-03-10T23:00:00Z"),
        ({"pad_before_min": 30, "pad_after_min": 15}, "2026-03-10T09:30:00Z", "2026-03-10T11:15:00Z"),
        ({"format": "iso_offset", "zone": "Etc/GMT+4"}, f"{day}T06:00:00-04:00", f"{day}T07:00:00-04:00"),
        ({"format": "iso_local", "zone": "America/Sao_Paulo"}, "2026-03-10T07:00:00", "2026-03-10T08:00:00"),
        ({"format": "epoch_s"}, "1773136800", "1773140400"),
        ({"format": "epoch_ms"}, "1773136800000", "1773140400000"),
        ({"format": "date"}, "2026-03-10", "2026-03-10"),
        ({"format": "date", "pad_after_min": 13 * 60}, "2026-03-10", "2026-03-10"),
        ({"format": "date", "pad_after_min": 13 * 60 + 1}, "2026-03-10", "2026-03-11"),
    ]  # fmt: skip
    server = serve([GOOD])
    for window, start, end in cases:
        capture(server, make_profile(window=window))
        assert server.asked[-1].query == {"from": start, "to": end}, window


def test_further_headers_and_parameters_travel(serve):
    server = serve([GOOD])
    params = {"deep": True, "limit": 7, "kinds": ["a", "b"]}
    capture(server, make_profile(headers={"X-Company": "7"}, base_path="/v3", trips={"params": params}))
    asked = server.asked[0]
    assert asked.path == "/v3/trips" and asked.headers["X-Company"] == "7"
    assert asked.query == {"deep": "true", "limit": "7", "kinds": "b"}


def test_a_window_without_zone_or_length_is_refused(serve):
    with client(serve([GOOD])) as c:
        for start, end in [(START, START), (START.replace(tzinfo=None), END)]:
            with pytest.raises(ValueError, match="time zone"):
                list(c.pages(start, end))


def test_the_pace_spaces_every_attempt_of_every_client(serve):
    server = serve([Answer("down", 500), Answer("down", 500), GOOD])
    profile = make_profile(pacing={"requests_per_second": 20})
    began = time.monotonic()
    capture(server, profile)
    capture(server, profile)
    capture(server, profile)
    assert len(server.asked) == 5
    assert 0.19 <= time.monotonic() - began < 1.5
