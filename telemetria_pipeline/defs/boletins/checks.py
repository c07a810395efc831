"""The checks of `boletim_trips`."""

from collections.abc import Iterator

import dagster as dg

from telemetria_pipeline.contracts.boletim import BOLETIM_TRIPS
from telemetria_pipeline.core.boletim.validation import FileVerdict

TRIPS = dg.AssetKey(BOLETIM_TRIPS.name)
ACCEPTED = dg.AssetCheckSpec(
    "file_accepted", asset=TRIPS, description="The boletim brought its rows in; a rejected one went back."
)
LEDGER_BALANCES = dg.AssetCheckSpec(
    "rows_balance",
    asset=TRIPS,
    blocking=True,
    description="received = accepted + duplicate + rejected, and as many rows lie in the tables.",
)
SPECS = [ACCEPTED, LEDGER_BALANCES]


def results(verdict: FileVerdict) -> Iterator[dg.AssetCheckResult]:
    """One result a check for a file with its verdict."""
    rows = verdict.rows
    yield dg.AssetCheckResult(
        asset_key=TRIPS,
        check_name=ACCEPTED.name,
        passed=verdict.verdict != "rejected",
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{verdict.verdict}: {rows.accepted} of {rows.received} rows",
    )
    yield dg.AssetCheckResult(
        asset_key=TRIPS,
        check_name=LEDGER_BALANCES.name,
        passed=rows.received == rows.accepted + rows.duplicate + rows.rejected
        and len(verdict.accepted) == rows.accepted,
        metadata={"received": rows.received, "accepted": rows.accepted},
    )
