"""The client against the simulated carrier: whatever it does, the same trips arrive."""

from dataclasses import asdict, fields
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from telemetria_pipeline.carriers import errors
from telemetria_pipeline.carriers.client import CarrierClient
from telemetria_pipeline.carriers.mapping import map_pages
from telemetria_pipeline.carriers.profile import Profile, load_profile
from telemetria_pipeline.core.telemetry.cleaning import clean_trips
from telemetria_pipeline.simulator.dialects import DIALECTS
from telemetria_pipeline.simulator.faults import DATA_FAULTS, FaultPlan
from telemetria_pipeline.simulator.fleet import Fleet
from telemetria_pipeline.simulator.server import Simulator
from telemetria_pipeline.simulator.truth import TrueTrip
from telemetria_pipeline_tests.rounds import and_long

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
    with Simulator(fleet, token=TOKEN, faults=FaultPlan(7, hang_seconds=HANG_S), as_of=as_of) as server:
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


PATIENCE_S, HANG_S = 1.0, 2.0


def patience(faults):
    """A read timeout that only an answer withheld on purpose outlasts, however slow the machine."""
    return {"read_timeout_s": PATIENCE_S if {"hang", "slow_drip"} & set(faults) else 30}


def retries_of(faults):
    """One for each fault, but for a slow drip: what keeps sending is slow, not wrong."""
    return sum(fault not in (None, "slow_drip") for fault in faults)


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
    used = profile(http=patience([fault]), trips={"paging": SMALL_PAGES})
    simulator.inject(None, fault)  # the second page is the first that can repeat another
    found, client = ids(simulator, used)
    assert found == expected
    assert client.stats.retries == retries_of([fault])


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


# ---------------------------------------------------------------- The dialects, through the shipped profiles

COLUMNS = [field.name for field in fields(TrueTrip)]
DAY = datetime(2026, 3, 10, 3, tzinfo=UTC)


def read_hour(server, start, faults=()):
    """The hour as `telemetry_trips` would hold it, and what became of each row."""
    shipped = load_profile(server.dialect).model_dump(exclude_unset=True)
    hurried = {"backoff_s": 0.01, **patience(faults)}
    used = Profile.model_validate({**shipped, "http": {**shipped.get("http", {}), **hurried}})
    server.inject(*faults)
    with CarrierClient(used, server.url, TOKEN, sleep=lambda s: None) as client:
        pages = [page for page in client.pages(start, start + timedelta(hours=1)) if page.kind == "trips"]
    assert client.stats.retries == retries_of(faults)
    mapped = map_pages(used, pages)
    end = start + timedelta(hours=1)
    return clean_trips(mapped, start=start, end=end, captured_at=server.as_of, capture="c")


def plain(frame):
    """Rows by departure and vehicle, missing values None."""
    rows = frame.sort_values(["saida_utc", "veiculo_id"], ignore_index=True)[COLUMNS].astype(object)
    return rows.where(rows.notna(), None)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("hours_later", [12.5, 60])
def test_an_ingest_of_each_dialect_holds_its_truth(dialect, hours_later):
    faults = FaultPlan(7, dict.fromkeys(DATA_FAULTS, 0.06))
    as_of = DAY + timedelta(hours=hours_later)
    found, fates = [], set()
    with Simulator(Fleet(7, 24), TOKEN, faults, as_of=as_of, dialect=dialect) as server:
        for n in (5, 6, 11, 12, 21):
            start = DAY + timedelta(hours=n)
            cleaned = read_hour(server, start)
            found += cleaned.trips[COLUMNS].to_dict("records")
            fates |= set(cleaned.quarantine["situacao"]) | set(cleaned.quarantine["motivo"])
            running = server.running_per_hour(start, start + timedelta(hours=1)).values()
            assert cleaned.ledger.in_progress == sum(running)
            truth = [asdict(trip) for trip in server.truth(start, start + timedelta(hours=1))]
            pd.testing.assert_frame_equal(
                plain(cleaned.trips), plain(pd.DataFrame(truth, columns=COLUMNS)), check_exact=False
            )
    assert len(found) > 50
    assert {row["fonte_distancia"] for row in found} == {"odometro", "telemetria"}
    assert {"fora_da_janela", "no_futuro", "distancia_ausente", "copia"} <= fates
    if hours_later > 24:  # all has come
        assert ("versao_anterior" in fates) == (dialect == "simulator")
    else:
        assert ("em_andamento" in fates) == (dialect != "traccar")


@pytest.mark.parametrize(
    ("dialect", "fault"),
    and_long(
        *(
            (dialect, fault)
            for fault in PASSING
            for dialect in ("motive", "traccar")
            if fault not in DIALECTS[dialect].without
            and fault != "slow_drip"  # of which nothing is to be seen
        ),
        quick=10,
    ),
)
def test_a_passing_fault_changes_nothing_in_another_dialect(dialect, fault):
    plan = FaultPlan(7, hang_seconds=HANG_S)
    with Simulator(Fleet(7, 16), TOKEN, plan, DAY + timedelta(days=3), dialect=dialect) as server:
        clean = read_hour(server, START)
        faulty = read_hour(server, START, [None, fault] if dialect == "motive" else [fault])
    assert len(clean.trips) > 10
    pd.testing.assert_frame_equal(clean.trips, faulty.trips)


@pytest.mark.parametrize("dialect", ["motive", "traccar"])
@pytest.mark.parametrize(
    ("fault", "kind"), [("redirect", errors.Redirected), ("bad_token", errors.AuthError)]
)
def test_a_permanent_fault_fails_at_once_in_another_dialect(dialect, fault, kind):
    with Simulator(Fleet(7, 4), TOKEN, dialect=dialect) as server, pytest.raises(kind):
        read_hour(server, START, [fault])


@pytest.mark.parametrize("dialect", DIALECTS)
def test_each_dialect_has_a_lock_of_its_own(dialect):
    with Simulator(Fleet(7, 4), TOKEN, as_of=DAY + timedelta(days=2), dialect=dialect) as server:
        shipped = load_profile(dialect)
        with CarrierClient(shipped, server.url, "another") as client, pytest.raises(errors.AuthError):
            list(client.pages(START, END))
        assert {request.status for request in server.requests} == {401}


def test_an_answer_may_take_its_time():
    with Simulator(Fleet(7, 4), TOKEN, as_of=DAY + timedelta(days=2), delay_seconds=0.3) as server:
        began = datetime.now(UTC)
        read_hour(server, START)
        assert datetime.now(UTC) - began > timedelta(seconds=0.3)
    with pytest.raises(ValueError, match="unknown dialect 'klingon'; one of simulator, motive, traccar"):
        Simulator(Fleet(7, 4), dialect="klingon")
