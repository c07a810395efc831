"""The client against the simulated carrier: whatever it does, the same trips arrive."""

from datetime import UTC, datetime, timedelta

import pytest

from telemetria_pipeline.carriers import errors
from telemetria_pipeline.carriers.client import CarrierClient
from telemetria_pipeline.carriers.mapping import map_pages
from telemetria_pipeline.carriers.profile import Profile, load_profile
from telemetria_pipeline.simulator.faults import FaultPlan
from telemetria_pipeline.simulator.fleet import Fleet
from telemetria_pipeline.simulator.server import Simulator

START = datetime(2026, 3, 10, 8, tzinfo=UTC)
END = START + timedelta(hours=1)
TOKEN = "simulated-token"
PASSING = [
    "throttle_int", "throttle_date", "throttle_fraction", "throttle_none", "error_500", "error_502",
    "error_503", "error_408", "hang", "slow_drip", "reset", "truncated", "truncated_json", "html",
    "error_in_200", "repeated_page", "repeated_cursor", "echo_token",
]  # fmt: skip


@pytest.fixture(scope="module")
def simulator():
    fleet = Fleet(7, vehicles=12)
    as_of = START + timedelta(days=2)
    with Simulator(fleet, token=TOKEN, faults=FaultPlan(7, hang_seconds=0.4), as_of=as_of) as server:
        yield server


def profile(**changes):
    data = load_profile("simulator").model_dump(exclude_unset=True)
    for key, value in changes.items():
        data[key] = {**data[key], **value} if key in data and isinstance(value, dict) else value
    return Profile.model_validate(data)


SMALL_PAGES = {
    "style": "cursor", "cursor": "pagination.next_cursor", "has_more": "pagination.has_more",
    "size_param": "limit", "size": 5,
}  # fmt: skip


def ids(simulator, used, **options):
    with CarrierClient(used, simulator.url, TOKEN, **options) as client:
        pages = [page for page in client.pages(START, END) if page.kind == "trips"]
    frame = map_pages(used, pages)
    assert frame["ilegivel"].isna().all()
    return sorted(frame["id_origem"]), client


@pytest.fixture(scope="module")
def expected(simulator):
    found, _ = ids(simulator, load_profile("simulator"))
    assert len(found) > 12
    return found


@pytest.mark.parametrize("fault", PASSING)
def test_a_passing_fault_changes_nothing_but_the_attempts(simulator, expected, fault):
    used = profile(http={"read_timeout_s": 0.2}, trips={"paging": SMALL_PAGES})
    simulator.inject(None, fault)  # the second page is the first that can repeat another
    found, client = ids(simulator, used)
    assert found == expected
    # a slow drip that keeps sending is slow, not wrong
    assert client.stats.retries == (0 if fault == "slow_drip" else 1)


@pytest.mark.parametrize(
    ("fault", "kind"), [("redirect", errors.Redirected), ("bad_token", errors.AuthError)]
)
def test_a_permanent_fault_fails_at_once(simulator, fault, kind):
    simulator.inject(fault)
    with pytest.raises(kind) as caught:
        ids(simulator, load_profile("simulator"))
    assert caught.value.attempts == 1


STYLES = {
    "none": ({"style": "none"}, {}),
    "page": (
        {
            "style": "page",
            "page_param": "page",
            "size_param": "limit",
            "size": 7,
            "total": "pagination.total",
        },
        {"paging": "page"},
    ),
    "offset": ({"style": "offset", "size_param": "limit", "size": 7}, {"paging": "offset"}),
    "link": ({"style": "link", "size_param": "limit", "size": 7}, {"paging": "link"}),
}


@pytest.mark.parametrize("style", STYLES)
def test_every_paging_style_finds_the_same_trips(simulator, expected, style):
    paging, params = STYLES[style]
    params = {"from": "{start}", "to": "{end}", "paging": "none", **params}
    assert ids(simulator, profile(trips={"params": params, "paging": paging}))[0] == expected


def test_a_fan_out_finds_the_same_trips(simulator, expected):
    vehicles = {"path": "/vehicles", "records": "data", "id": "id", "paging": SMALL_PAGES}
    used = profile(trips={"path": "/vehicles/{vehicle}/trips"}, vehicles=vehicles)
    assert ids(simulator, used)[0] == expected


def test_the_carriers_throttling_pauses_the_client(simulator, expected):
    waits = []
    simulator.inject("throttle_fraction")
    ids(simulator, profile(carrier="Pausada"), sleep=waits.append)
    assert waits[0] == pytest.approx(0.40235)
