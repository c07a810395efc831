"""Every paging style ends where it must, and neither loops nor stops early."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetria_pipeline.carriers import errors
from telemetria_pipeline.carriers.client import CarrierClient
from telemetria_pipeline.carriers.decoding import Decoded
from telemetria_pipeline.carriers.paging import Pager
from telemetria_pipeline.carriers.profile import Listing
from telemetria_pipeline_tests.carriers.conftest import TOKEN, Answer, make_profile
from telemetria_pipeline_tests.rounds import and_long

START = datetime(2026, 3, 10, 10, tzinfo=UTC)
ROWS = list(range(1, 8))
SIZE = {"size_param": "n", "size": 3}

STYLES = {
    "page until empty": {"style": "page"},
    "page until short": {"style": "page", "last_page": "short", **SIZE},
    "page with total": {"style": "page", "total": "total", **SIZE},
    "page with has_more": {"style": "page", "has_more": "more"},
    "page from 0": {"style": "page", "first": 0},
    "offset until empty": {"style": "offset"},
    "offset with total": {"style": "offset", "total": "total", **SIZE},
    "cursor": {"style": "cursor", "cursor": "next"},
    "cursor with has_more": {"style": "cursor", "cursor": "always", "has_more": "more"},
    "keyset": {"style": "cursor", "cursor": "data[-1]", "cursor_param": "after"},
    "link header": {"style": "link"},
    "link in the body": {"style": "link", "next": "link"},
}


def served(url, rows, size, first):
    """A listing that answers in every style at once."""

    def respond(asked):
        q = {k: int(v) for k, v in asked.query.items() if v.isdigit()}
        if "page" in q:
            at = (q["page"] - first) * size
        elif "after" in q:
            at = sum(r <= q["after"] for r in rows)
        else:
            at = q.get("offset", q.get("cursor", 0))
        body = {"data": rows[at : at + size], "total": len(rows), "more": at + size < len(rows)}
        headers = {}
        body["always"] = str(at + size)
        if body["more"]:
            body["next"] = at + size
            body["link"] = f"/trips?offset={at + size}"
            headers["Link"] = f'<{url()}/trips?offset={at + size}>; rel="next", <{url()}/>; rel="first"'
        return Answer(body, headers=headers)

    return respond


def capture(server, **listing):
    profile = make_profile(trips={"params": {}, **listing})
    with CarrierClient(profile, server.url, TOKEN, sleep=lambda s: None) as client:
        return list(client.pages(START, START + timedelta(hours=1))), client


@pytest.mark.parametrize("count", and_long(6, 7, 0, 1, 3, quick=2))
@pytest.mark.parametrize("style", STYLES)
def test_a_style_finds_every_row_once(serve, style, count):
    paging = STYLES[style]
    server = serve(served(lambda: server.url, ROWS[:count], 3, paging.get("first", 1)))
    pages, _ = capture(server, paging=paging)
    assert [r for page in pages for r in page.records] == ROWS[:count]
    assert [page.number for page in pages] == list(range(1, len(pages) + 1))
    if "size" in paging:
        assert all(asked.query["n"] == "3" for asked in server.asked)


@pytest.mark.parametrize("style", ["page with total", "offset with total", "offset until empty", "cursor"])
def test_a_carrier_that_gives_fewer_than_asked_loses_no_row(serve, style):
    server = serve(served(lambda: server.url, ROWS, 2, 1))
    pages, _ = capture(server, paging=STYLES[style])
    assert [r for page in pages for r in page.records] == ROWS


@pytest.mark.parametrize("end", ["", None, "missing"])
def test_a_cursor_ends_empty_null_or_missing(serve, end):
    body = {"data": [1]} if end == "missing" else {"data": [1], "next": end}
    assert len(capture(serve([Answer(body)]), paging=STYLES["cursor"])[0]) == 1


@pytest.mark.parametrize(
    ("paging", "body"),
    [
        ({"style": "page"}, lambda n: {"data": [1, 2]}),
        ({"style": "offset"}, lambda n: {"data": [1, 2]}),
        ({"style": "cursor", "cursor": "next"}, lambda n: {"data": [n], "next": "a"}),
        ({"style": "cursor", "cursor": "next"}, lambda n: {"data": [n], "next": "ab"[n % 2]}),
        ({"style": "cursor", "cursor": "next"}, lambda n: {"data": [1], "next": n}),
        ({"style": "link", "next": "next"}, lambda n: {"data": [n], "next": "/trips?p=2"}),
    ],
)
def test_what_repeats_is_asked_again_and_then_an_error_not_a_loop(serve, paging, body):
    server = serve(lambda asked: Answer(body(asked.number)))
    with pytest.raises(errors.RepeatedPage) as caught:
        capture(server, paging=paging)
    assert caught.value.attempts == 3 and len(server.asked) <= 6


def test_a_page_that_repeats_once_is_asked_again(serve):
    bodies = [[1, 2], [1, 2], [3], []]
    pages, client = capture(
        serve(lambda asked: Answer({"data": bodies[asked.number - 1]})), paging={"style": "page"}
    )
    assert [page.records for page in pages] == [[1, 2], [3], []]
    assert client.stats.retries == 1


@pytest.mark.parametrize(
    ("paging", "bodies"),
    [
        ({"style": "page", "total": "total"}, [{"data": [1], "total": 3}, {"data": [], "total": 3}]),
        ({"style": "offset", "has_more": "more"}, [{"data": [], "more": True}]),
        ({"style": "cursor", "cursor": "next", "has_more": "more"}, [{"data": [1], "more": True}]),
        ({"style": "cursor", "cursor": "next", "total": "total"}, [{"data": [1], "total": 2}]),
        ({"style": "page", "has_more": "more", "total": "total"}, [{"data": [1], "more": False, "total": 2}]),
    ],
)
def test_a_listing_that_ends_before_its_own_total_is_not_taken_for_whole(serve, paging, bodies):
    with pytest.raises(errors.IncompleteListing):
        capture(serve([Answer(body) for body in bodies]), paging=paging)


def test_a_listing_that_the_carrier_cut_is_refused(serve):
    cut = {"when": "limit_exceeded"}
    with pytest.raises(errors.TruncatedListing, match=r"trips\.truncation"):
        capture(serve([Answer({"data": [], "limit_exceeded": True})]), truncation=cut)
    with pytest.raises(errors.TruncatedListing, match="exactly 3"):
        capture(serve([Answer({"data": [1, 2, 3]})]), truncation={"rows": 3})
    assert capture(serve([Answer({"data": [1, 2], "limit_exceeded": False})]), truncation={**cut, "rows": 3})


def test_a_link_to_another_server_is_not_followed(serve):
    other = serve([Answer({"data": []})])
    server = serve([Answer({"data": [1], "link": f"{other.url}/trips"})])
    with pytest.raises(errors.PermanentError, match="another server"):
        capture(server, paging=STYLES["link in the body"])
    assert not other.asked


def test_shapes_of_the_envelope(serve):
    wrapped = {"periods": [{"period": {"a": 1}}, {"other": 2}, "x"]}
    (page,), _ = capture(serve([Answer(wrapped)]), records="periods", unwrap="period")
    assert page.records == [{"a": 1}, {"other": 2}, "x"]
    (page,), _ = capture(serve([Answer({"data": {"a": 1}})]), single_object=True)
    assert page.records == [{"a": 1}]
    (page,), _ = capture(serve([Answer([1, 2])]), records="@")
    assert page.records == [1, 2]
    for empty in (Answer({}), Answer({"data": None}), Answer(b"", 204)):
        (page,), _ = capture(serve([empty]), no_records="empty")
        assert page.records == []


VEHICLES = [{"id": 7, "plate": "ABC1D23", "name": None}, {"id": "x/ y", "plate": "", "name": "Ônibus"}]


@pytest.mark.parametrize("in_path", [True, False])
def test_a_fan_out_asks_vehicle_by_vehicle_and_stamps_its_pages(serve, in_path):
    def respond(asked):
        if asked.path == "/vehicles":
            page = int(asked.query["page"])
            return Answer({"vehicles": VEHICLES[page - 1 : page]})
        vehicle = asked.path.split("/")[2] if in_path else asked.query["vehicle"]
        return Answer({"data": [{"of": vehicle}], "next": None})

    server = serve(respond)
    trips = {"path": "/v/{vehicle}/trips"} if in_path else {"params": {"vehicle": "{vehicle}"}}
    profile = make_profile(
        trips={**trips, "paging": {"style": "cursor", "cursor": "next"}},
        vehicles={
            "path": "/vehicles",
            "records": "vehicles",
            "paging": {"style": "page"},
            "id": "id",
            "stamp": {"veiculo_id": "id", "placa_recebida": "plate", "descricao": "name"},
        },
    )
    with CarrierClient(profile, server.url, TOKEN) as client:
        pages = list(client.pages(START, START + timedelta(hours=1)))
    assert [p.kind for p in pages] == ["vehicles"] * 3 + ["trips"] * 2
    assert [p.number for p in pages] == [1, 2, 3, 4, 5]
    assert all(p.records == [] and p.stamp == {} for p in pages[:3])
    assert pages[3].stamp == {"veiculo_id": "7", "placa_recebida": "ABC1D23"}
    assert pages[4].stamp == {"veiculo_id": "x/ y", "descricao": "Ônibus"}
    assert [p.records[0]["of"] for p in pages[3:]] == ["7", "x%2F%20y" if in_path else "x/ y"]


def test_a_vehicle_without_an_id_is_not_left_out_silently(serve):
    profile = make_profile(trips={"params": {"v": "{vehicle}"}}, vehicles={"path": "/vehicles", "id": "uuid"})
    with (
        CarrierClient(profile, serve([Answer([{"id": 7}])]).url, TOKEN) as client,
        pytest.raises(errors.UnexpectedBody, match=r"vehicles\.id"),
    ):
        list(client.pages(START, START + timedelta(hours=1)))


INTEGERS = st.integers(-(2**63), 2**63 - 1)
ENVELOPE = st.dictionaries(
    st.sampled_from(["next", "more", "total", "link", "always"]),
    st.none() | INTEGERS | st.text() | st.lists(st.none()),
)


@given(
    st.sampled_from(list(STYLES.values())),
    st.lists(st.none() | st.booleans() | INTEGERS | st.text() | st.lists(st.text()), max_size=3),
    ENVELOPE,
)
def test_a_pager_moves_ends_or_refuses_whatever_it_is_given(paging, records, envelope):
    pager = Pager(Listing.model_validate({"path": "/t", "paging": paging}))
    for _ in range(5):
        before = (dict(pager.sent), pager.url)
        try:
            pager.take(Decoded({**envelope, "data": records}, records), None)
        except errors.CarrierError:
            break
        assert pager.done or (dict(pager.sent), pager.url) != before
        if pager.done:
            break
    else:
        raise AssertionError("five equal pages were taken for five")
