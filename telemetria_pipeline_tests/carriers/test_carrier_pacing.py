"""Retry-After in every form, and garbage."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetria_pipeline.carriers.pacing import retry_after_s

NOW = datetime(2026, 3, 10, 10, tzinfo=UTC)


@given(st.integers(0, 10**6))
def test_whole_seconds(seconds):
    assert retry_after_s(str(seconds)) == seconds


@given(st.decimals(0, 10**6, places=5))
def test_fractions(seconds):
    assert retry_after_s(f" {seconds} ") == float(seconds)


@given(st.integers(-(10**6), 10**6))
def test_dates(seconds):
    date = format_datetime(NOW + timedelta(seconds=seconds), usegmt=True)
    assert retry_after_s(date, NOW) == max(0, seconds)


@given(st.text())
def test_garbage_is_ignored_and_whatever_is_read_is_no_time_gone_by(text):
    wait = retry_after_s(text, NOW)
    assert wait is None or wait >= 0


@pytest.mark.parametrize(
    "text", [None, "", "-1", "soon", "nan", "inf", "1e3", "1_0", "٣", "1,5", "Mon, 99 Zzz 2026 25:00:00 GMT"]
)
def test_known_garbage(text):
    assert retry_after_s(text, NOW) is None
