"""How time is cut: one zone, the contract's, for all partitions."""

from datetime import datetime, time

import dagster as dg

from telemetria_pipeline.core.hours import Hour
from telemetria_pipeline.settings import Settings

_settings = Settings.from_env()

HOURLY = dg.HourlyPartitionsDefinition(
    datetime.combine(_settings.start, time(), tzinfo=_settings.timezone), timezone=str(_settings.timezone)
)
BOLETIM_FILES = dg.DynamicPartitionsDefinition(name="boletim_files")


def hour_of(key: str) -> Hour:
    """The hour of a partition key; raises Dagster's error for a key that is none."""
    window = HOURLY.time_window_for_partition_key(key)
    return Hour(key, window.start, window.end)
