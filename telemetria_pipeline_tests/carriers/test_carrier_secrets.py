"""The token stays inside: whatever the carrier echoes and whatever fails, nothing that leaves holds it."""

import base64
import html
import json
import logging
import time
import traceback
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetria_pipeline.carriers import errors
from telemetria_pipeline.carriers.client import CarrierClient
from telemetria_pipeline.carriers.redaction import Secrets
from telemetria_pipeline_tests.carriers.conftest import TOKEN, Answer, make_profile

START = datetime(2026, 3, 10, 10, tzinfo=UTC)
PAIR = "someone:pass/word+1="


def forms(token):
    basic = base64.b64encode(token.encode()).decode()
    quoted = json.dumps(token)[1:-1]
    return [
        token, f"Bearer {token}", basic, basic.rstrip("="), base64.urlsafe_b64encode(token.encode()).decode(),
        base64.b64encode(f"x:{token}".encode()).decode(), base64.b64encode(f"xy:{token}!".encode()).decode(),
        quote(token), quote(token, safe=""), quote_plus(token), quote(token, safe="").lower(),
        quoted, quoted.replace("/", "\\/"), html.escape(token),
    ]  # fmt: skip


@given(
    st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=6, max_size=40).filter(
        lambda token: len(token.strip()) == len(token)
    )
)
def test_every_form_of_any_token_is_redacted_in_text_and_bytes(token):
    secrets = Secrets(token)
    for form in forms(token):
        text = f"a {form} b"
        assert token not in secrets.redact(text) and token not in secrets.redact(text.encode()).decode()
        if form not in (f"Bearer {token}",):
            assert form not in secrets.redact(text), form
    assert token not in repr(secrets)
    assert secrets.redact(b"\xff\xfe nothing") == b"\xff\xfe nothing"


HARD = st.text(st.sampled_from("\"\\/'é漢😀 +&<>=%\n\tabAB12"), min_size=6, max_size=20).filter(
    lambda secret: secret == secret.strip()
)


def php(value):
    """JSON as PHP writes it: slashes and all beyond ASCII escaped."""
    return json.dumps(value).replace("/", "\\/")


def dotnet(value):
    """JSON as .NET writes it: quotes, slashes, <, > and & in capital hex."""
    text = json.dumps(value, ensure_ascii=False)
    text = text[0] + text[1:-1].replace('\\"', "\\u0022") + text[-1] if isinstance(value, str) else text
    return "".join(f"\\u{ord(c):04X}" if c in "<>&'+" else c for c in text)


JSONS = [json.dumps, lambda value: json.dumps(value, ensure_ascii=False), php, dotnet]


@given(HARD, st.sampled_from(JSONS), st.sampled_from(JSONS), st.text(st.sampled_from('\\"/ x'), max_size=4))
def test_a_secret_that_is_echoed_in_json_within_json_is_masked_and_leaves_json(secret, inner, outer, around):
    secrets = Secrets(secret, in_header=False)
    once = inner(around + secret + " tail")
    twice = outer("said: " + once)
    for text in (once, twice):
        for redacted in (secrets.redact(text), secrets.redact(text.encode()).decode()):
            said = json.loads(redacted)
            assert "***" in said and secret not in said
    said = json.loads(secrets.redact(twice)).removeprefix("said: ")
    assert json.loads(said).endswith("*** tail")


@given(HARD, st.sampled_from(JSONS))
def test_a_secret_in_an_address_a_header_or_another_encoding_is_masked(secret, as_json):
    secrets = Secrets(secret, in_header=False)
    pair = base64.b64encode(f"user:{secret}".encode()).decode().rstrip("=")
    texts = {
        quote(secret, safe=""), quote_plus(secret), quote(quote(secret, safe=""), safe=""),
        quote(as_json(secret)[1:-1], safe=""), quote(secret, safe="").lower(), html.escape(secret),
        as_json(f"Basic {pair}=="), quote(f"Basic {pair}==", safe=""), as_json(as_json(pair)),
    }  # fmt: skip
    for text in texts:
        for redacted in (secrets.redact(f"x {text} y"), secrets.redact(f"x {text} y".encode()).decode()):
            assert "***" in redacted and text not in redacted
            plain = redacted.replace("\\", "")
            assert len(plain) < 30 and secret not in plain, redacted


def test_a_secret_in_latin_1_is_masked():
    assert Secrets("café/crème", in_header=False).redact("x café/crème y".encode("latin-1")) == b"x *** y"


def test_a_page_of_backslashes_is_looked_through_in_no_time():
    began = time.monotonic()
    for secret in ("\\\\\\\\\\\\", '\\"\\"\\"\\"', '"/"/"/"/', "a/b/c/d/e/"):
        Secrets(secret, in_header=False).redact(b"\\" * 500_000 + b"a%5C" * 100_000 + b"a/b" * 100_000)
    assert time.monotonic() - began < 20


def test_a_short_token_is_redacted_as_a_word_and_leaves_longer_words_alone():
    secrets = Secrets("test")
    assert secrets.redact("Bearer test, latest testing") == "Bearer ***, latest testing"
    assert secrets.redact(b'{"t": "test"}') == b'{"t": "***"}'


def test_a_short_number_is_masked_where_it_is_a_text_and_leaves_the_data_alone():
    secrets = Secrets("42")
    assert secrets.redact("GET /trips?company=42&km=421") == "GET /trips?company=***&km=421"
    assert secrets.redact(b'{"company": "42", "km": 42}') == b'{"company": "***", "km": 42}'


def test_the_password_of_a_pair_is_a_secret_by_itself():
    assert Secrets(PAIR).redact("the password is pass/word+1=") == "the password is ***"


ECHOES = {
    "body": lambda e: Answer({"data": [{"v": e, "s": "", "e": ""}]}),
    "not json": lambda e: Answer(f"<p>{e}</p>".encode()),
    "cut json": lambda e: Answer(f'{{"data": ["{e}'.encode()),
    "other shape": lambda e: Answer({e: 1}),
    "repeated key": lambda e: Answer(f'{{"data": [], {json.dumps(e)}: 1, {json.dumps(e)}: 2}}'.encode()),
    "error in 200": lambda e: Answer({"error": e}),
    "busy in 200": lambda e: Answer({"busy": e}),
    "cut listing": lambda e: Answer({"limit_exceeded": True, "data": [e]}),
    "cursor": lambda e: Answer({"data": [e], "next": e}),
    "cursor of another kind": lambda e: Answer({"data": [1], "next": {e: e}}),
    "link elsewhere": lambda e: Answer({"data": [2], "next": f"http://{quote(e)}.invalid/"}),
    "link header": lambda e: Answer({"data": [3]}, headers={"Link": f'</trips?t={e}>; rel="next"'}),
    **{f"status {s}": lambda e, s=s: Answer(e.encode(), s) for s in (400, 401, 403, 404, 429, 500, 501, 503)},
    "redirect": lambda e: Answer(e, 302, {"Location": f"https://{quote(e)}@elsewhere.invalid/{quote(e)}?t={quote(e)}"}),
    "reset": lambda e: Answer(e * 50, deliver="reset"),
    "cut": lambda e: Answer(e * 50, deliver="cut"),
    "hang": lambda e: Answer(e, deliver="hang"),
    "drip": lambda e: Answer(e * 50, deliver="drip"),
    "too large": lambda e: Answer(e * 2000),
}  # fmt: skip


@pytest.mark.parametrize("token", [TOKEN, PAIR], ids=["token", "pair"])
@pytest.mark.parametrize("case", ECHOES)
def test_nothing_that_leaves_the_client_holds_the_token(serve, caplog, case, token):
    paging = {"style": "cursor", "cursor": "next"}
    if case.startswith("link"):
        paging = {"style": "link"} if case == "link header" else {"style": "link", "next": "next"}
    profile = make_profile(
        auth={"template": "Basic {basic}" if token == PAIR else "Bearer {token}"},
        http={
            "attempts": 2,
            "throttle_attempts": 1,
            "read_timeout_s": 0.2,
            "deadline_s": 1,
            "max_body_mb": 0.02,
        },
        trips={
            "paging": paging,
            "truncation": {"when": "limit_exceeded"},
        },
        errors=[{"when": "error", "message": "error"}, {"when": "busy", "message": "busy", "retry": True}],
    )
    left = []
    with caplog.at_level(logging.DEBUG):
        for form in forms(token):
            server = serve(lambda asked, form=form: ECHOES[case](form))
            with CarrierClient(profile, server.url, token, sleep=lambda s: None) as client:
                try:
                    for page in client.pages(START, START + timedelta(hours=1)):
                        left += [page.body.decode(), str(page.records), repr(page), page.path]
                except errors.CarrierError as error:
                    left += [str(error), repr(error), str(vars(error)), repr(error.args)]
                    left += traceback.format_exception(error)
                    assert error.__cause__ is None and error.__context__ is None
                left.append(repr(client))
            if case in ("hang", "drip"):
                break
    left += [r.getMessage() + str(r.exc_info) for r in caplog.records]
    assert len(left) > 5
    for secret in {token, *forms(token)} - {f"Bearer {token}"}:
        assert not [text for text in left if secret in text]
