from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from telemetria_pipeline.business_calendar import Hour


@pytest.mark.parametrize(
    ("key", "hora"),
    [("2026-11-22-07:00", "07"), ("2024-11-03-01:00", "01"), ("2024-11-03-01:00-0500", "01-0500")],
)
def test_the_hour_that_a_zone_lives_twice_has_two_places(key, hora):
    hour = Hour("alfa", key, datetime.now(UTC), datetime.now(UTC))
    assert hour.partition == {"fonte": "alfa", "data": key[:10], "hora": hora}


def test_days_before_keep_the_clock_also_when_clocks_were_changed_between():
    zone = ZoneInfo("America/New_York")
    start = datetime(2024, 11, 4, 7, tzinfo=zone)
    hour = Hour("alfa", "2024-11-04-07:00", start, start + timedelta(hours=1)).days_before(2)
    assert hour.key == "2024-11-02-07:00"
    assert hour.start.astimezone(UTC) == datetime(2024, 11, 2, 11, tzinfo=UTC)
    assert start.astimezone(UTC).hour == 12


def test_the_second_of_two_same_hours_is_compared_with_the_one_hour_of_other_days():
    start = datetime(2024, 11, 3, 1, fold=1, tzinfo=ZoneInfo("America/New_York"))
    hour = Hour("alfa", "2024-11-03-01:00-0500", start, start + timedelta(hours=1))
    assert [hour.days_before(n).key for n in (1, 2)] == ["2024-11-02-01:00", "2024-11-01-01:00"]
