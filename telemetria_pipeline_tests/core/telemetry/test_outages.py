"""Each hour is a letter, oldest first: `.` never asked, `a` answered, `m` asked in vain, `r` refused."""

import pytest

from telemetria_pipeline.core.telemetry.outages import AskedHour, unanswered


def missing(hours: str, down: bool = False) -> list[str]:
    asked = [
        AskedHour(str(n), asked=letter != ".", answered=letter == "a", refused=letter == "r")
        for n, letter in enumerate(hours)
    ]
    return unanswered(asked, 3, down)


@pytest.mark.parametrize(
    ("hours", "expected"),
    [
        ("", ""),
        ("....", ""),  # the pipeline did not run yet
        ("aamm", ""),  # not yet past the threshold
        ("aammm", "234"),
        ("amammm", "345"),  # an older gap is no part of it
        ("aamaa", ""),
        ("mmm", "012"),
        ("aa...", "234"),  # nobody asked: missing all the same
        ("..m..", "234"),
        ("aar", "2"),  # a refusal waits for nobody
        ("ara", ""),
    ],
)
def test_a_source_is_down_once_its_newest_hours_are_missing(hours, expected):
    assert missing(hours) == list(expected)


@pytest.mark.parametrize(
    ("hours", "expected"),
    [
        ("aammm", "234"),
        ("aaamm", "34"),  # filled from its old end, and still silent
        ("ammma", "123"),  # it answers again, and its hours are not filled yet
        ("aaaaa", ""),
        ("amaaa", ""),  # what is left is a gap like any other
        ("....", ""),
    ],
)
def test_it_is_back_once_it_answers_and_its_hours_are_filled_or_it_answered_for_long(hours, expected):
    assert missing(hours, down=True) == list(expected)
