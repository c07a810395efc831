"""The checks of `boletim_trips`."""

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


def answers(verdict: FileVerdict) -> dict[str, str | None]:
    """What each check says of a file with its verdict: the problem, or None."""
    rows = verdict.rows
    balanced = rows.received == rows.accepted + rows.duplicate + rows.rejected
    stored = len(verdict.accepted)
    return {
        ACCEPTED.name: f"rejected, {rows.accepted} of {rows.received} rows accepted"
        if verdict.verdict == "rejected"
        else None,
        LEDGER_BALANCES.name: None
        if balanced and stored == rows.accepted
        else f"{rows.received} rows received = {rows.accepted} accepted + {rows.duplicate} duplicate + "
        f"{rows.rejected} rejected, and {stored} stored",
    }
