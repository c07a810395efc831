"""How time is cut: one zone, the contract's, for all partitions."""

from datetime import date, datetime, time, timedelta

import dagster as dg

from telemetria_pipeline.business_calendar import FIRST_DAY_OF_CYCLE, Cycle
from telemetria_pipeline.core.telemetry.hours import Hour
from telemetria_pipeline.settings import Settings

_settings = Settings.from_env()

HOURLY = dg.HourlyPartitionsDefinition(
    datetime.combine(_settings.start, time(), tzinfo=_settings.timezone), timezone=str(_settings.timezone)
)
DAILY = dg.DailyPartitionsDefinition(
    datetime.combine(_settings.start, time(), tzinfo=_settings.timezone), timezone=str(_settings.timezone)
)
BILLING_CYCLE = dg.TimeWindowPartitionsDefinition(
    start=datetime.combine(Cycle.of(_settings.start).first, time(), tzinfo=_settings.timezone),
    fmt="%Y-%m-%d",
    cron_schedule=f"0 0 {FIRST_DAY_OF_CYCLE} * *",
    timezone=str(_settings.timezone),
    end_offset=1,  # the cycle that runs can be looked at
)
BOLETIM_FILES = dg.DynamicPartitionsDefinition(name="boletim_files")


def hour_of(key: str) -> Hour:
    """The hour of a partition key; raises Dagster's error for a key that is none."""
    window = HOURLY.time_window_for_partition_key(key)
    return Hour(key, window.start, window.end)


def day_window(day: date) -> tuple[datetime, datetime]:
    """The first instant of a business day and the first after it, in the contract's zone."""
    zone = _settings.timezone
    following = day + timedelta(days=1)
    return datetime.combine(day, time(), tzinfo=zone), datetime.combine(following, time(), tzinfo=zone)
