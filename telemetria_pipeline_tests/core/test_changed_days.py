"""Which days to audit now: nothing that changed is forgotten, and nothing else is run."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetria_pipeline.contracts.boletim import BOLETIM_TRIPS
from telemetria_pipeline.core.changed_days import (
    DayState,
    Mark,
    hour_window,
    mark_key,
    plan_days,
    spans,
    touches,
)

ZONE = ZoneInfo("America/Sao_Paulo")
DAY = date(2026, 3, 10)
HALF_AN_HOUR, NOTHING = timedelta(minutes=30), timedelta()
LATER = datetime(2026, 3, 20, 12, tzinfo=UTC)
DAYS = [DAY + timedelta(days=n) for n in range(-3, 4)]


def window_of(day: date) -> tuple[datetime, datetime]:
    following = day + timedelta(days=1)
    return datetime.combine(day, time(), ZONE), datetime.combine(following, time(), ZONE)


def at(clock: str, day: int = 10) -> datetime:
    return datetime.fromisoformat(f"2026-03-{day:02d}T{clock}").replace(tzinfo=ZONE)


def mark(
    start: datetime, end: datetime, source: str = "file-b", token: str = "0", left: datetime = LATER
) -> Mark:
    return Mark.from_key(mark_key((start, end), source, token), left)


def state(day: date = DAY, *, seen=(), reach: datetime | None = None, wide: bool = False) -> DayState:
    return DayState(
        day=day, seen=list(seen), reach=reach or window_of(day)[1], wide=wide, rules="1", tariffs=None,
        rows=0, digest="", audited_at=LATER,
    )  # fmt: skip


def plan(marks, states=(), *, days=DAYS, now=LATER, rest=NOTHING, tolerance=HALF_AN_HOUR):
    return plan_days(
        marks,
        {s.day: s for s in states},
        days=days,
        window_of=window_of,
        now=now,
        rest=rest,
        tolerance=tolerance,
    )


instants = st.datetimes(datetime(2026, 3, 7), datetime(2026, 3, 14), timezones=st.just(UTC))


@given(
    instants,
    st.timedeltas(timedelta(), timedelta(hours=20)),
    st.sampled_from(["hour-2026-03-10-07", "file-b_1.csv-0a"]),
)
def test_a_key_says_all_of_its_mark_and_never_less(start, lasts, source):
    found = mark(start, start + lasts, source)
    assert found.start <= start
    assert found.end >= start + lasts
    assert found.end - found.start < lasts + timedelta(seconds=2)
    assert found.telemetry == source.startswith("hour-")


@pytest.mark.parametrize(
    "key", ["changes_pending/.DS_Store", "changes_pending/20260310T070000Z_hour-x_0", "a"]
)
def test_what_somebody_else_left_there_is_no_mark(key):
    assert Mark.from_key(key, LATER) is None


def rows(*windows: tuple[datetime, datetime]) -> pd.DataFrame:
    frame = pd.DataFrame(windows, columns=["saida_utc", "chegada_utc"])
    return frame.apply(lambda c: pd.to_datetime(c, utc=True).astype("datetime64[us, UTC]"))


def test_declared_trips_of_days_in_a_row_are_one_window():
    found = spans(
        rows((at("08:00", 11), at("09:00", 11)), (at("07:00"), at("07:30")), (at("22:00"), at("23:00"))), ZONE
    )
    assert found == [(at("07:00"), at("09:00", 11))]


def test_a_day_between_that_nobody_declares_is_left_out():
    # 22:00 and 01:00 lie on neighbouring days in UTC.
    found = spans(rows((at("22:00"), at("23:00")), (at("01:00", 12), at("02:00", 12))), ZONE)
    assert found == [(at("22:00"), at("23:00")), (at("01:00", 12), at("02:00", 12))]


def test_no_trips_no_window():
    assert spans(BOLETIM_TRIPS.empty(), ZONE) == []


def test_an_hour_reaches_to_its_last_arrival_and_a_day_around_where_it_took_something_back():
    arrivals = rows((at("07:10"), at("08:20")), (at("07:20"), at("07:40")))["chegada_utc"]
    hour = at("07:00"), at("08:00")
    assert hour_window(*hour, arrivals, took_back=False) == (at("07:00"), at("08:20"))
    assert hour_window(*hour, arrivals[1:], took_back=False) == hour
    assert hour_window(*hour, arrivals[:0], took_back=False) == hour
    assert hour_window(*hour, arrivals, took_back=True) == (at("07:00", 9), at("08:20", 11))


@pytest.mark.parametrize(
    ("start", "end", "known", "touched"),
    [
        (at("07:00"), at("08:00"), None, True),
        (at("00:31", 11), at("01:00", 11), None, False),
        (at("00:30", 11), at("01:00", 11), None, True),  # a segment that ends at midnight may match
        (at("23:00", 9), at("23:29", 9), None, False),
        (at("23:00", 9), at("23:30", 9), None, True),
        (at("01:00", 11), at("02:00", 11), None, False),
        (at("01:00", 11), at("02:00", 11), state(reach=at("00:29", 11)), False),
        (at("01:00", 11), at("02:00", 11), state(reach=at("00:30", 11)), True),  # its trips run on
        (at("09:00", 9), at("10:00", 9), state(wide=True), False),
    ],
)
def test_what_touches_a_day(start, end, known, touched):
    assert touches(mark(start, end), window_of(DAY), known, HALF_AN_HOUR) is touched


@pytest.mark.parametrize(
    ("clock", "touched"),
    [(at("09:00", 9), True), (at("22:00", 11), True), (at("09:00", 8), False), (at("09:00", 12), False)],
)
def test_where_the_signal_is_in_doubt_its_neighbours_telemetry_counts(clock, touched):
    heard = mark(clock, clock + timedelta(hours=1), "hour-x")
    assert touches(heard, window_of(DAY), state(wide=True), HALF_AN_HOUR) is touched
    assert not touches(heard, window_of(DAY), state(), HALF_AN_HOUR)


def test_a_day_runs_once_for_all_that_changed_and_then_its_marks_are_settled():
    marks = [mark(at("07:00"), at("08:00"), token=t) for t in "ab"]
    assert plan(marks).due == {DAY: marks}
    done = plan(marks, [state(seen=[m.key for m in marks])])
    assert (done.due, done.settled) == ({}, marks)
    half = plan(marks, [state(seen=[marks[0].key])])
    assert (half.due, half.settled) == ({DAY: marks[1:]}, marks[:1])


def test_a_mark_across_midnight_is_settled_when_both_days_have_seen_it():
    night = mark(at("23:30"), at("00:40", 11))
    assert list(plan([night]).due) == [DAY, date(2026, 3, 11)]
    one = plan([night], [state(seen=[night.key])])
    assert (list(one.due), one.settled) == ([date(2026, 3, 11)], [])


def test_a_day_that_is_not_over_waits_and_so_does_its_mark():
    now = at("12:00", 11)
    night = mark(at("23:30"), at("00:40", 11), left=now)
    found = plan([night], now=now)
    assert (list(found.due), found.settled) == ([DAY], [])
    found = plan([night], [state(seen=[night.key])], now=now)
    assert (found.due, found.settled, found.let_go) == ({}, [], [])


def test_a_burst_of_changes_rests_before_it_is_one_run():
    minute = timedelta(minutes=1)
    marks = [
        mark(at("07:00"), at("08:00"), token="a", left=LATER - 5 * minute),
        mark(at("08:00"), at("09:00"), token="b", left=LATER - minute),
    ]
    other = mark(at("08:00", 8), at("09:00", 8), left=LATER - 5 * minute)
    found = plan([*marks, other], rest=2 * minute)
    assert (list(found.due), found.resting) == ([date(2026, 3, 8)], [DAY])
    assert list(plan([*marks, other], rest=minute).due) == [date(2026, 3, 8), DAY]


def test_days_too_old_are_let_go_and_days_to_come_are_kept():
    old, coming = mark(at("07:00", 1), at("08:00", 1)), mark(at("07:00", 25), at("08:00", 25))
    found = plan([old, coming])
    assert (found.let_go, found.settled, found.due) == ([old], [], {})


changes = st.lists(
    st.tuples(instants, st.timedeltas(timedelta(), timedelta(hours=14)), st.booleans()),
    min_size=1,
    max_size=12,
)


@given(changes, st.randoms(use_true_random=False))
def test_however_changes_and_runs_are_mixed_every_day_ends_with_all_that_touches_it_seen(changes, dice):
    """Marks come, ticks plan, one of the due days is audited; a log remembers what came when."""
    states: dict[date, DayState] = {}
    pending: list[Mark] = []
    came: dict[str, tuple[int, Mark]] = {}
    audited: dict[date, int] = {}
    clock = 0

    def audit(day: date) -> None:
        fresh = state(
            day, reach=window_of(day)[1] + dice.choice([0, 3]) * timedelta(hours=1), wide=dice.random() < 0.3
        )
        seen = [m.key for m in pending if touches(m, window_of(day), fresh, HALF_AN_HOUR)]
        states[day], audited[day] = fresh.model_copy(update={"seen": seen}), clock

    def tick() -> list[date]:
        found = plan(pending, states.values(), days=[DAY + timedelta(days=n) for n in range(-5, 7)])
        for done in (*found.settled, *found.let_go):
            pending.remove(done)
        return list(found.due)

    todo = list(changes)
    for _ in range(400):
        clock += 1
        if todo and dice.random() < 0.5:
            start, lasts, heard = todo.pop()
            pending.append(mark(start, start + lasts, "hour-x" if heard else "file-x", str(clock)))
            came[pending[-1].key] = clock, pending[-1]
        elif due := tick():
            audit(dice.choice(due))
        elif not todo:
            break
    assert not pending
    for when, change in came.values():
        for day, known in states.items():
            if touches(change, window_of(day), known, HALF_AN_HOUR):
                assert audited[day] > when
        assert any(touches(change, window_of(day), None, HALF_AN_HOUR) for day in audited)
