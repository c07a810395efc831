"""The hours as a person asks for them: what is known of each, and where its rows went."""

from collections.abc import Iterable

import pandas as pd

from telemetria_pipeline.steps.hour_ingest import read_manifest
from telemetria_pipeline.contracts.telemetry import LEDGER
from telemetria_pipeline.core.telemetry.hours import Hour
from telemetria_pipeline.storage.lake import Lake

COUNTS = ["received", "accepted", "duplicate", "rejected", "out_of_window", "in_progress"]
COLUMNS = ["hour", "state", "requests", "retries", *COUNTS]


def hours_table(lake: Lake, hours: Iterable[Hour]) -> pd.DataFrame:
    """One row an hour with `COLUMNS`, counts missing where the hour has no tables yet."""
    return pd.DataFrame([_row(lake, hour) for hour in hours], columns=COLUMNS).astype(
        dict.fromkeys(COLUMNS[2:], "Int64")
    )


def as_text(table: pd.DataFrame) -> str:
    """The table for a terminal, a dash where nothing is known."""
    return (
        table.astype(object)
        .where(table.notna(), "-")
        .rename(columns=lambda c: c.replace("_", " "))
        .to_string(index=False)
    )


def _row(lake: Lake, hour: Hour) -> dict[str, object]:
    manifest = read_manifest(lake, hour)
    ledger = lake.read_table(LEDGER.name, hour.partition)
    # Raw expires after two years and the manifest with it; the ledger still knows the hour.
    told = ledger.select(COLUMNS[1:]).to_pylist()[0] if ledger is not None else {}
    known = {"state": manifest.state} if manifest else {}
    return {"hour": hour.key, "state": "missing", **told, **known}
