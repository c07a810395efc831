from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetria_pipeline.business_calendar import Calendar
from telemetria_pipeline.core.telemetry.recapture import (
    MOST_HOURS,
    MOST_REFUSALS,
    MOST_TRIES,
    Owed,
    last_night,
    plan_recapture,
)

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def owed(place: int, tries: int = 0, ago: timedelta | None = None, refused: bool = False) -> Owed:
    return Owed(f"h{place:03}", place, tries, NOW - ago if ago else None, refused)


def asked(*hours: Owed, newest: bool = True, answered: timedelta | None = None) -> list[str]:
    return plan_recapture(hours, NOW, NOW - answered if answered else None, newest).ask


def test_hours_that_follow_each_other_are_one_run_the_newest_or_the_oldest():
    hours = [owed(1), owed(2), owed(5), owed(8), owed(9), owed(10)]
    assert asked(*hours) == ["h008", "h009", "h010"]
    assert asked(*hours, newest=False) == ["h001", "h002"]
    assert asked() == []


def test_what_is_missing_goes_before_what_may_have_been_amended():
    again = [Owed(f"h{place:03}", place, again=True) for place in range(3)]
    assert asked(*again, owed(5), newest=False) == ["h005"]
    assert asked(*again, owed(5, 1, MINUTE), newest=False) == ["h000", "h001", "h002"]


@pytest.mark.parametrize(
    ("local", "night"),
    [("03-11 03:59", None), ("03-11 04:00", "03-11"), ("03-13 03:59", "03-11"), ("03-20 12:00", "03-13")],
)
def test_a_day_is_captured_again_in_the_nights_of_its_ages(local, night):
    """Once the sources have begun, an hour at most after each other."""
    zone = ZoneInfo("America/Sao_Paulo")
    now = datetime.fromisoformat(f"2026-{local}").replace(tzinfo=zone)
    since = datetime.fromisoformat(f"2026-{night} 03:00").replace(tzinfo=zone) if night else None
    assert last_night(Calendar(zone, date(2026, 1, 1)), date(2026, 3, 10), [1, 3], now) == since


def test_a_long_gap_is_filled_from_both_ends():
    hours = [owed(place) for place in range(100)]
    assert asked(*hours) == [hour.key for hour in hours[-MOST_HOURS:]]
    assert asked(*hours, newest=False) == [hour.key for hour in hours[:MOST_HOURS]]


@pytest.mark.parametrize(("tries", "pause_min"), [(1, 5), (2, 10), (3, 20), (7, 320), (8, 360), (39, 360)])
def test_an_hour_that_failed_waits_longer_each_time(tries, pause_min):
    just_before = timedelta(minutes=pause_min) - MINUTE
    assert asked(owed(1, tries, just_before)) == []
    assert asked(owed(1, tries, timedelta(minutes=pause_min))) == ["h001"]


@pytest.mark.parametrize(("minutes", "due"), [(59, False), (60, True)])
def test_an_hour_whose_buses_still_drive_is_looked_at_once_an_hour(minutes, due):
    still_open = Owed("h001", 1, captured_at=NOW - minutes * MINUTE)
    assert asked(still_open) == (["h001"] if due else [])


def test_an_answer_for_another_hour_ends_the_waiting_but_not_at_every_tick():
    long_ago = owed(1, 9, 30 * MINUTE)
    assert asked(long_ago, answered=29 * MINUTE) == ["h001"]
    assert asked(long_ago, answered=31 * MINUTE) == []  # that answer is older than the failure
    assert asked(owed(1, 9, 14 * MINUTE), answered=13 * MINUTE) == []


@pytest.mark.parametrize(("refused", "most"), [(False, MOST_TRIES), (True, MOST_REFUSALS)])
def test_an_hour_that_never_comes_is_given_up_and_stands_in_nobodys_way(refused, most):
    year = timedelta(days=365)
    lost, last_try = owed(1, most, year, refused), owed(2, most - 1, year, refused)
    plan = plan_recapture([lost, last_try], NOW, None, newest=False)
    assert (plan.ask, plan.given_up) == (["h002"], ["h001"])


def test_who_waits_is_told_until_when():
    plan = plan_recapture([owed(1, 1, 2 * MINUTE), owed(2, 2, MINUTE)], NOW, None, newest=True)
    assert (plan.ask, plan.waiting, plan.next_at) == ([], ["h001", "h002"], NOW + 3 * MINUTE)


hours = st.builds(
    owed,
    place=st.integers(0, 300),
    tries=st.integers(0, 50),
    ago=st.none() | st.timedeltas(timedelta(0), timedelta(days=20)),
    refused=st.booleans(),
)


@given(
    st.lists(hours, unique_by=lambda hour: hour.place), st.booleans(), st.none() | st.just(NOW - 20 * MINUTE)
)
def test_every_owed_hour_is_asked_for_waits_or_is_given_up(many, newest, answered_at):
    many.sort(key=lambda hour: hour.place)
    plan = plan_recapture(many, NOW, answered_at, newest)
    assert sorted([*plan.ask, *plan.waiting, *plan.given_up]) == [hour.key for hour in many]
    places = [int(key[1:]) for key in plan.ask]
    assert places == list(range(places[0], places[0] + len(places)))[:MOST_HOURS] if places else True


def test_a_gap_of_a_year_with_hours_that_fail_for_good_is_filled():
    """Every hour that the carrier has comes soon, and no other one is asked for without end."""
    lost = {place for place in range(300) if place % 7 == 0}
    state = {place: owed(place) for place in range(300)}
    now, newest, runs, asked_of = NOW, True, 0, dict.fromkeys(lost, 0)
    while any(place not in lost for place in state):
        plan = plan_recapture(list(state.values()), now, now - MINUTE, newest)
        for key in plan.ask:
            place = int(key[1:])
            if place in lost:
                asked_of[place] += 1
                state[place] = Owed(key, place, state[place].tries + 1, now, refused=True)
            else:
                del state[place]
        now, newest, runs = now + MINUTE, not newest, runs + bool(plan.ask)
        assert runs < 20
    assert max(asked_of.values()) <= MOST_REFUSALS
