"""What a carrier does to the wire, over real sockets, and the sentence that each failure says."""

import codecs
import contextlib
import json
import socket
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetria_pipeline.carriers import errors
from telemetria_pipeline.carriers.client import CarrierClient
from telemetria_pipeline.carriers.decoding import refuse_repeated_keys
from telemetria_pipeline.carriers.mapping import map_pages
from telemetria_pipeline_tests.carriers.conftest import TOKEN, Answer, make_profile
from telemetria_pipeline_tests.carriers.test_carrier_client import GOOD, capture, failure

START = datetime(2026, 3, 10, 10, tzinfo=UTC)
END = START + timedelta(hours=1)
DRIVER = "JOSE DA SILVA"


@contextlib.contextmanager
def dripping(head: bytes, every_s: float = 0.05):
    """A server that sends `head`, and then one byte of a header after another."""
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer():
            with contextlib.suppress(OSError):
                while True:
                    asked, _ = listening.accept()
                    asked.recv(65536)
                    asked.sendall(head)
                    while not stop.wait(every_s):
                        asked.sendall(b"x")

        threading.Thread(target=answer, daemon=True).start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        stop.set()


@pytest.mark.parametrize(
    "head",
    [b"", b"HTTP/1.1 200 OK\r\nX-Slow: ", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Slow: "],
    ids=["status line", "header", "header after the length"],
)
def test_headers_that_drip_cannot_outlive_the_deadline(head):
    profile = make_profile(trips={"records": "@"}, http={"deadline_s": 0.6, "read_timeout_s": 30})
    with dripping(head) as url:
        began = time.monotonic()
        error = failure(url, profile, errors.DeadlineExceeded, sleep=time.sleep)
    assert time.monotonic() - began < 3
    assert isinstance(error, errors.TransientError) and "http.deadline_s" in str(error)


@pytest.mark.parametrize("style", ["cursor", "link"])
def test_ever_new_pages_that_hold_nothing_end(serve, style):
    paging = {"cursor": {"style": "cursor", "cursor": "next"}, "link": {"style": "link", "next": "next"}}[
        style
    ]
    server = serve(lambda asked: Answer({"data": [], "next": f"/trips?at={asked.number}"}))
    error = failure(server, make_profile(trips={"paging": paging}), errors.EndlessListing)
    assert len(server.asked) == 21 and error.permanent
    assert "21 empty pages in a row" in str(error) and "paging.last_page" in str(error)


def test_some_empty_pages_between_others_are_followed(serve):
    def respond(asked):
        full = asked.number % 15 == 0
        return Answer(
            {"data": [asked.number] if full else [], "next": asked.number if asked.number < 45 else ""}
        )

    pages, _ = capture(serve(respond), make_profile(trips={"paging": {"style": "cursor", "cursor": "next"}}))
    assert len(pages) == 45


BOMS = [codecs.BOM_UTF8, codecs.BOM_UTF8 * 2, codecs.BOM_UTF16_LE]


@pytest.mark.parametrize("bom", BOMS, ids=["utf-8", "twice", "utf-16"])
def test_a_body_with_a_byte_order_mark_does_not_leak(serve, bom):
    cut = f'{{"data": [{{"driver": "{DRIVER}", '
    body = bom + cut.encode("utf-16-le" if bom == codecs.BOM_UTF16_LE else "utf-8")
    error = failure(serve([Answer(body)]), kind=errors.NotJson)
    assert "JOSE" not in str(error) and "further on" in str(error)


@pytest.mark.parametrize(
    ("body", "says", "never"),
    [
        (b"<html><form><input type=password></form></html>", "a login page", "JOSE"),
        (b"<!DOCTYPE html><title>Sign in</title>", "a login page", "JOSE"),
        (b"<html><h1>It works!</h1></html>", "it is a web page, and starts with '<html>", "login"),
        (f"motorista;km\n{DRIVER};12".encode(), "bytes of something else", "JOSE"),
        (f"<trips><trip driver='{DRIVER}'/></trips>".encode(), "bytes of something else", "JOSE"),
        (f'jsonp([{{"driver": "{DRIVER}"}}])'.encode(), "it was cut, or is no JSON", "JOSE"),
    ],
)
def test_only_a_login_page_is_called_one_and_only_a_page_is_repeated(serve, body, says, never):
    error = failure(serve([Answer(body, headers={"Content-Type": "text/html"})]), kind=errors.NotJson)
    assert says in str(error) and never not in str(error)


@pytest.mark.parametrize("status", [200, 204])
def test_an_empty_answer_names_the_key_that_allows_it(serve, status):
    error = failure(serve([Answer(b"", status)]), kind=errors.NotJson)
    assert f"({status}) is empty" in str(error) and "trips.no_records: empty" in str(error)
    pages, _ = capture(serve([Answer(b"", status)]), make_profile(trips={"no_records": "empty"}))
    assert pages[0].records == []


def test_retry_after_zero_is_no_licence_to_hammer(serve):
    server = serve([Answer("slow", 429, {"Retry-After": "0"})])
    waits = []
    http = {"backoff_s": 0.5, "backoff_cap_s": 30, "throttle_attempts": 10}
    failure(server, make_profile(http=http), errors.ThrottledTooLong, sleep=waits.append)
    assert len(server.asked) == 11
    assert min(waits) >= 0.5 and waits[4] >= 8


@pytest.mark.parametrize("status", [429, 503])
def test_a_pause_beyond_the_cap_says_what_was_asked_for(serve, status):
    server = serve([Answer("slow", status, {"Retry-After": "3600"})])
    waits = []
    http = {"retry_after_cap_s": 7, "throttle_attempts": 1, "attempts": 2}
    error = failure(server, make_profile(http=http), errors.TransientError, sleep=waits.append)
    assert "a pause of 3600 s" in str(error) and "http.retry_after_cap_s = 7 s" in str(error)
    assert 6 < waits[0] <= 7


def test_one_nan_spoils_its_value_and_not_its_page(serve):
    profile = make_profile(fields={"veiculo_id": "v", "saida_utc": "s", "chegada_utc": "e",
                                   "distancia_telemetria_km": "km", "motorista": "m"})  # fmt: skip
    good = b'{"v": "1", "s": "2026-03-10T10:05:00Z", "e": "2026-03-10T10:25:00Z", "km": %b, "m": "NaN"}'
    rows = [good % km for km in (b"NaN", b"-Infinity", b"1e999", b"12.5")]
    pages, _ = capture(serve([Answer(b'{"data": [' + b", ".join(rows) + b"]}")]), profile)
    frame = map_pages(profile, pages)
    assert frame["distancia_telemetria_km"].tolist()[3] == 12.5 and frame["motorista"].tolist()[0] == "NaN"
    assert frame["distancia_telemetria_km"].isna().tolist() == [True, True, True, False]
    said = ["distancia_telemetria_km=nan", "distancia_telemetria_km=-inf", "distancia_telemetria_km=inf"]
    assert frame["ilegivel"].tolist()[:3] == said and frame["saida_utc"].notna().all()


def test_an_error_rule_is_read_beside_a_nan(serve):
    profile = make_profile(errors=[{"when": "failed", "message": "text"}])
    error = failure(serve([Answer(b'{"failed": true, "text": "no", "x": NaN}')]), profile, errors.ErrorInBody)
    assert "with an error: no" in str(error)


@pytest.mark.parametrize("host", ["fleet.example", "10.0.0.7", "127.example", "[2001:db8::1]", "0.0.0.0"])
def test_a_token_leaves_this_machine_by_tls_only(host):
    with pytest.raises(errors.PermanentError, match=r"http.allow_plain: true") as caught:
        CarrierClient(make_profile(), f"http://{host}:8080/api", TOKEN, url_key="sources.yaml: alfa.url")
    assert "sources.yaml: alfa.url is http://" in str(caught.value) and TOKEN not in str(caught.value)
    CarrierClient(make_profile(http={"allow_plain": True}), f"http://{host}/api", TOKEN).close()
    CarrierClient(make_profile(), f"https://{host}/api", TOKEN).close()


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.9.1", "[::1]"])
def test_this_machine_is_asked_without_tls(host):
    CarrierClient(make_profile(), f"http://{host}:8080/api", TOKEN).close()


@pytest.mark.parametrize("token", ["Bearer abcdefgh", "abc defgh", "abc\tdefgh"])
def test_a_token_with_a_space_inside_is_refused_before_anything_is_sent(serve, token):
    server = serve([GOOD])
    with pytest.raises(errors.AuthError, match="TELEMETRIA_API_TOKEN holds a space") as caught:
        CarrierClient(make_profile(), server.url, token)
    assert "abc" not in str(caught.value) and not server.asked
    basic = make_profile(auth={"template": "Basic {basic}"})
    CarrierClient(basic, server.url, "someone:pass word").close()


FAN_OUT = {
    "vehicles": {"path": "/vehicles", "records": "data", "id": "id"},
    "trips": {"path": "/vehicles/{vehicle}/trips", "records": "data"},
}


def fan_out(serve, answer):
    """Two vehicles, of which the second gets `answer`."""

    def respond(asked):
        if asked.path == "/vehicles":
            return Answer({"data": [{"id": "7"}, {"id": "8"}]})
        return answer if "/8/" in asked.path else GOOD

    return serve(respond)


@pytest.mark.parametrize(
    ("answer", "kind", "says"),
    [
        (Answer("no", 403), errors.RejectedRequest, "answered 403 for this vehicle"),
        (Answer("no", 403), errors.RejectedRequest, "`errors: - {status: 403, means: skip}`"),
        (Answer("gone", 404), errors.NotFoundError, "`errors: - {status: 404, means: skip}`"),
        (Answer("down", 503), errors.ServerError, "answered 503"),
        (Answer(b"", 204), errors.NotJson, "trips.no_records: empty"),
        (Answer({"success": False, "data": []}), errors.ErrorInBody, "`success`"),
    ],
)
def test_what_one_vehicle_gets_is_said_with_its_name(serve, answer, kind, says):
    error = failure(fan_out(serve, answer), make_profile(**FAN_OUT), kind)
    assert str(error).startswith("vehicle 8: /vehicles/8/trips: ") and says in str(error)


def test_a_403_for_the_list_is_the_tokens(serve):
    error = failure(serve([Answer("no", 403)]), make_profile(**FAN_OUT), errors.AuthError)
    assert "TELEMETRIA_API_TOKEN" in str(error) and "vehicle" not in str(error).split(":")[0].split("/")[0]


@pytest.mark.parametrize("page", [1, 3])
def test_a_key_that_stands_twice_is_found_on_any_page(serve, page):
    def respond(asked):
        body = b'{"data": [{"v": %d, "v": 2}]}' if asked.number == page else b'{"data": [{"v": %d}]}'
        return Answer(body % asked.number) if asked.number < 5 else Answer({"data": []})

    error = failure(serve(respond), make_profile(trips={"paging": {"style": "page"}}), errors.UnexpectedBody)
    assert "'v' twice" in str(error)


TEXTS = st.sampled_from(
    [f'"{text}"' for text in ("a", "b", ":", "\\u003a", "\\u003A", "x:", "\\u0061", '\\":')]
)
WRITTEN = st.recursive(
    TEXTS | st.sampled_from(["1", "2.50", "null", "NaN", "1e400"]),
    lambda inside: (
        st.lists(inside, max_size=3).map(lambda each: f"[{', '.join(each)}]")
        | st.lists(st.tuples(TEXTS, st.sampled_from([":", " : "]), inside), max_size=4).map(
            lambda pairs: "{" + ",".join(map("".join, pairs)) + "}"
        )
    ),
)


@given(WRITTEN)
def test_a_key_that_stands_twice_is_found_however_it_is_written(body):
    twice = []

    def look(pairs):
        twice.extend({name for name, _ in pairs if [each for each, _ in pairs].count(name) > 1})

    json.loads(body, object_pairs_hook=look)
    with pytest.raises(errors.UnexpectedBody) if twice else contextlib.nullcontext():
        refuse_repeated_keys(body.encode(), json.loads(body))


@pytest.mark.parametrize(
    ("body", "names"),
    [
        ({"success": False, "data": []}, "success"), ({"ok": 0, "data": []}, "ok"),
        ({"Success": "false", "data": []}, "Success"), ({"error": "bad session", "data": []}, "error"),
        ({"errors": [{"message": "x"}], "data": []}, "errors"), ({"error_code": 7, "data": []}, "error_code"),
        ({"error": {"message": "x"}, "data": []}, "error"), ({"status": "ERROR", "data": []}, "status"),
        ({"error": {"code": 3}, "data": []}, "error"), ({"hasError": True, "data": []}, "hasError"),
    ],
)  # fmt: skip
def test_an_answer_without_records_that_calls_itself_an_error_is_not_empty(serve, body, names):
    error = failure(serve([Answer(body)]), kind=errors.ErrorInBody)
    assert f"`{names}`" in str(error) and "`errors`" in str(error)
    error = failure(serve([Answer(body)]), make_profile(trips={"no_records": "empty"}), errors.ErrorInBody)
    assert f"`{names}`" in str(error)


@pytest.mark.parametrize("name", ["limit_exceeded", "truncated", "isTruncated", "partial"])
def test_an_answer_without_records_that_calls_itself_cut_is_not_empty(serve, name):
    error = failure(serve([Answer({name: True, "data": []})]), kind=errors.TruncatedListing)
    assert f"`{name}`" in str(error) and "trips.truncation" in str(error)


@pytest.mark.parametrize(
    "more",
    [
        {}, {"success": True}, {"success": "true", "error": None}, {"error": "", "errors": []}, {"error": {}},
        {"error": 0, "errorCode": "0"}, {"error": {"code": 0, "message": "OK"}}, {"status": "ok"},
        {"error": False}, {"status": 200, "error": "none"}, {"truncated": False}, {"success": None},
    ],
)  # fmt: skip
def test_an_answer_that_says_that_all_is_well_is_empty(serve, more):
    pages, _ = capture(serve([Answer({**more, "data": []})]))
    assert pages[0].records == []


def test_a_cut_that_says_no_in_text_is_none(serve):
    profile = make_profile(trips={"truncation": {"when": "cut"}})
    assert capture(serve([Answer({"cut": "false", **GOOD.body})]), profile)[0]
    failure(serve([Answer({"cut": "true", **GOOD.body})]), profile, errors.TruncatedListing)
