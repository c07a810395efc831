"""Many alerts become one short message, and each is remembered as said: pure rules."""

from datetime import UTC, datetime, timedelta

from telemetria_pipeline.alerts.alert import Alert, message
from telemetria_pipeline.alerts.memory import (
    MAX_TRIES,
    REMEMBERED,
    State,
    claim,
    fresh,
    settle,
    write_letters,
)

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
FAILED = Alert(
    "run", "run 1", "audit_job failed for 2026-03-09", "the lake is full (run 1234)", name="audit_job"
)
DOWN = Alert("outage", "outage alfa", "alfa não responde", "envie os boletins", "begun")
BACK = Alert("outage", "outage alfa", "alfa responde de novo", phase="over")


def tell(state: State, *alerts: Alert, at: datetime = NOW, **channels: list[str]) -> list[Alert]:
    new = fresh(state, alerts)
    write_letters(state, new, {"": ["slack", "mail"], **channels}, at)
    return new


def test_one_alert_is_the_message():
    said = message([FAILED])
    assert (said.title, said.body) == (FAILED.subject, FAILED.detail)


def test_many_are_grouped_by_kind_and_counted():
    checks = [
        Alert("check", f"c{n}", f"{name} of alfa/trips warns", f"hour {n}", name=name, run=f"run {n % 3}")
        for n, name in enumerate(["coverage"] * 7 + ["schema_drift"] * 5)
    ]
    said = message([*checks, FAILED, DOWN])
    assert said.title == (
        "alfa não responde; audit_job failed for 2026-03-09; "
        "12 checks failed or warned in 3 runs: coverage (7), schema_drift (5)"
    )
    assert said.body.splitlines()[:2] == ["alfa não responde", "envie os boletins"]
    assert "• … and 7 more" in said.body
    assert len(said.body.splitlines()) == 2 + 1 + 2 + 1 + 7


def test_a_long_text_is_cut():
    assert len(message([Alert("run", "k", "s", "x" * 9_000)]).body) < 700


def test_what_happened_is_said_once_and_what_ended_only_if_it_was_said_to_have_begun():
    state = State()
    assert tell(state, FAILED, DOWN, BACK) == [FAILED, DOWN]
    assert tell(state, FAILED, DOWN) == []
    assert tell(State.model_validate_json(state.model_dump_json()), FAILED, DOWN) == []  # a restart
    assert tell(state, BACK) == [BACK]
    assert tell(state, BACK) == []
    assert tell(state, DOWN) == [DOWN]
    assert tell(state, FAILED, DOWN, at=NOW + REMEMBERED) == []
    assert tell(state, FAILED, DOWN, at=NOW + REMEMBERED) == [FAILED]


def test_a_channel_is_not_told_of_itself_and_a_sender_is_told_alone():
    state = State()
    dead = Alert("channel", "channel mail", "mail is dead", "no answer", "begun", about="mail")
    returned = Alert("boletim", "b", "Boletim devolvido: b.csv", to="depot 7")
    tell(state, dead, returned, **{"depot 7": ["sender of depot 7"]})
    assert {(one.channel, one.title) for one in state.letters.values()} == {
        ("slack", "mail is dead"),
        ("sender of depot 7", "Boletim devolvido: b.csv"),
    }


def test_a_letter_is_claimed_by_one_and_left_by_who_died():
    state = State()
    tell(state, FAILED)
    (mark,) = claim(state, ["slack"], NOW)
    assert claim(state, ["slack"], NOW + timedelta(seconds=90)) == []
    assert claim(state, ["slack"], NOW + timedelta(minutes=2)) == [mark]
    settle(state, {mark: None}, NOW)
    assert [one.channel for one in state.letters.values()] == ["mail"]


def test_a_letter_is_tried_after_growing_pauses_and_given_up():
    state, tries, given_up = State(), [], []
    tell(state, FAILED)
    for minute in range(120):
        at = NOW + timedelta(minutes=minute)
        if marks := claim(state, ["slack"], at):
            tries.append(minute)
            given_up += settle(state, dict.fromkeys(marks, "no answer"), at)
    assert tries == [0, 1, 3, 7, 15, 31]
    assert len(tries) == MAX_TRIES
    assert len(given_up) == 1
    assert "slack" not in [one.channel for one in state.letters.values()]
