import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetria_pipeline.core.boletim.inbox import (
    Landed,
    Tried,
    cut_into_runs,
    file_id,
    is_passing,
    plan_inbox,
)

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
SETTLE = timedelta(seconds=5)


def landed(key, etag="e1", age=60.0):
    return Landed(key, etag, 10, NOW - timedelta(seconds=age))


def plan(seen, *, now=NOW, settling=None, tried=None, room=100):
    return plan_inbox(
        seen,
        now=now,
        settle=SETTLE,
        settling=settling or {},
        tried=lambda file: (tried or {}).get(file.key, Tried()),
        room=room,
        max_tries=3,
    )


def test_files_at_rest_are_taken_oldest_first():
    found = plan([landed("b", age=10), landed("c", age=30), landed("a", age=10)])
    assert [(f.key, n) for f, n in found.launch] == [("c", 0), ("a", 0), ("b", 0)]


def test_a_file_that_is_still_being_written_waits_until_it_rests():
    first = plan([landed("a", age=1)])
    assert first.launch == []
    assert list(first.settling) == ["a"]
    grown = plan([landed("a", etag="e2", age=-1)], now=NOW + timedelta(seconds=2), settling=first.settling)
    assert grown.launch == []
    assert len(plan([landed("a", etag="e2", age=-1)], now=NOW + timedelta(seconds=7)).launch) == 1


def test_a_storage_whose_clock_is_ahead_does_not_hold_a_file_for_ever():
    ahead = landed("a", age=-3600)
    first = plan([ahead])
    assert list(first.settling) == ["a"]
    assert len(plan([ahead], now=NOW + timedelta(seconds=6), settling=first.settling).launch) == 1


def test_only_what_a_files_own_time_does_not_tell_is_remembered_and_not_without_end():
    young, ahead = landed("a", age=1), [landed(f"b{n:04d}", age=-60) for n in range(2_000)]
    found = plan([young, *ahead])
    assert len(found.settling) == 2_001
    assert list(found.ahead) == [f.key for f in ahead[:500]]
    later = plan([young, *ahead], now=NOW + timedelta(seconds=6), settling=found.ahead, room=600)
    assert [f.key for f, _ in later.launch] == ["a", *found.ahead]


def runs(launch, known=()):
    return [(len(files), failed) for files, failed in cut_into_runs(launch, known)]


def test_few_files_have_a_run_each_and_many_share_one():
    new = [(landed(f"f{n:03d}"), 0) for n in range(230)]
    assert runs(new[:3]) == [(1, 0)] * 3
    assert runs(new[:4]) == [(4, 0)]
    assert runs(new) == [(100, 0), (100, 0), (30, 0)]
    files = [file for together, _ in cut_into_runs(new, ()) for file in together]
    assert files == [f.file_id for f, _ in new]


def test_files_of_a_run_that_died_come_again_in_smaller_runs_and_then_alone():
    files = [landed(f"f{n:03d}") for n in range(12)]
    known = [f.file_id for f in files]
    assert runs([(f, 1) for f in files], known) == [(10, 1), (1, 1), (1, 1)]
    assert runs([(f, 2) for f in files], known) == [(1, 2)] * 12


def test_only_neighbours_in_dagsters_order_are_a_range():
    files = [landed(f"f{n:03d}") for n in range(12)]
    known = [f.file_id for f in files[:5]] + ["gone-0123456789"] + [f.file_id for f in files[5:]]
    launch = [(f, 1) for f in files]
    assert runs(launch, known) == [(5, 1), (7, 1)]
    mixed = [(f, n % 2) for n, f in enumerate(files)]
    assert runs(mixed, known) == [(1, n % 2) for n in range(12)]


@pytest.mark.parametrize(
    "key",
    ["~$boletim.xlsx", "depot/~$b.xlsx", "", "depot/", ".DS_Store", "b.xlsx.part", "x/Thumbs.db", "b.tmp"],
)
def test_what_is_no_boletim_is_passed_over(key):
    assert is_passing(key)
    assert plan([landed(key)]).launch == []


@pytest.mark.parametrize("key", ["boletim.xlsx", "a/b c/ção.CSV", "partida.csv", "noextension", "b.txt"])
def test_everything_else_gets_an_answer(key):
    assert not is_passing(key)


def test_running_files_are_left_alone_and_failed_ones_tried_again_but_not_for_ever():
    tried = {"running": Tried(active=True), "once": Tried(failed=1), "hopeless": Tried(failed=3)}
    found = plan([landed(k) for k in ("running", "once", "hopeless", "new")], tried=tried)
    assert [(f.key, n) for f, n in found.launch] == [("new", 0), ("once", 1)]
    assert [f.key for f in found.running] == ["running"]
    assert [f.key for f in found.given_up] == ["hopeless"]


def test_ten_thousand_files_are_taken_in_turns_without_asking_for_all_of_them():
    asked = []
    seen = [landed(f"f{n:05d}") for n in range(10_000)]
    found = plan_inbox(
        seen,
        now=NOW,
        settle=SETTLE,
        settling={},
        tried=lambda f: asked.append(f) or Tried(),
        room=20,
        max_tries=3,
    )
    assert (len(found.launch), found.waiting, len(asked)) == (20, 9_980, 20)


def test_an_identity_is_key_and_etag_and_stands_in_a_path():
    one = file_id("depot 7/Boletim março.xlsx", "e1")
    assert one.startswith("Boletim-mar-o.xlsx-")
    assert one == file_id("depot 7/Boletim março.xlsx", "e1")
    assert (
        len({one, file_id("depot 8/Boletim março.xlsx", "e1"), file_id("depot 7/Boletim março.xlsx", "e2")})
        == 3
    )


def test_the_same_content_dropped_again_is_another_file():
    assert landed("a", age=60).file_id == landed("a", age=60).file_id
    assert landed("a", age=60).file_id != landed("a", age=30).file_id


@given(st.text(), st.text())
def test_any_key_gives_a_partition_key_without_surprises(key, etag):
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,90}", file_id(key, etag))


@given(
    st.dictionaries(
        st.sampled_from("abcdefgh"), st.tuples(st.floats(-10, 100), st.sampled_from(["e1", "e2"]))
    ),
    st.integers(0, 4),
)
def test_tick_after_tick_every_file_is_launched_exactly_once(files, room):
    """Whatever the order and the room: nothing is skipped, nothing launched twice."""
    room += 1
    now, launched, settling = NOW, [], {}
    for _ in range(40):
        seen = [Landed(k, e, 1, NOW - timedelta(seconds=a)) for k, (a, e) in files.items()]
        found = plan_inbox(
            seen,
            now=now,
            settle=SETTLE,
            settling=settling,
            tried=lambda f, known=tuple(launched): Tried(active=f.file_id in known),
            room=room,
            max_tries=3,
        )
        launched += [f.file_id for f, _ in found.launch]
        settling, now = found.settling, now + timedelta(seconds=3)
    assert sorted(launched) == sorted(f.file_id for f in seen)
