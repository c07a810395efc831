"""How Dagster cuts time: as the contract's calendar does."""

import dagster as dg

from telemetria_pipeline.business_calendar import FIRST_DAY_OF_CYCLE, Cycle
from telemetria_pipeline.settings import Settings

CALENDAR = Settings.load().calendar
"""Read when the definitions load: a partition's zone cannot change while they are."""

_ZONE = str(CALENDAR.zone)

# One for all sources: days of the audit that lie before a source's first day still have their hours.
HOURLY = dg.HourlyPartitionsDefinition(CALENDAR.day(CALENDAR.start)[0], timezone=_ZONE)
DAILY = dg.DailyPartitionsDefinition(CALENDAR.day(CALENDAR.start)[0], timezone=_ZONE)
BILLING_CYCLE = dg.TimeWindowPartitionsDefinition(
    start=CALENDAR.day(Cycle.of(CALENDAR.start).first)[0],
    fmt="%Y-%m-%d",
    cron_schedule=f"0 0 {FIRST_DAY_OF_CYCLE} * *",
    timezone=_ZONE,
    end_offset=1,  # the cycle that runs can be looked at
)
BOLETIM_FILES = dg.DynamicPartitionsDefinition(name="boletim_files")
