"""The single source that the environment describes, and time as the default settings cut it."""

from datetime import date

from telemetria_pipeline.business_calendar import Hour, Window
from telemetria_pipeline.carriers.sources import MAIN, load_sources
from telemetria_pipeline.settings import Settings

CALENDAR = Settings.load().calendar
SOURCES = load_sources(Settings.load())


def hour_of(key: str, source: str = MAIN) -> Hour:
    return CALENDAR.hour(key, source)


def day_window(day: date) -> Window:
    return CALENDAR.day(day)
