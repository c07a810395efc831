"""The checks of `telemetry_trips`."""

import dagster as dg

TRIPS = dg.AssetKey("telemetry_trips")

LEDGER_BALANCES = dg.AssetCheckSpec(
    "ledger_balances",
    asset=TRIPS,
    blocking=True,
    description="received = accepted + duplicate + rejected + out of window + in progress, and as many "
    "rows lie in the tables.",
)
CONTRACT_HOLDS = dg.AssetCheckSpec(
    "contract_holds",
    asset=TRIPS,
    blocking=True,
    description="Every row keeps the contract. Rows are validated before they are written: an hour that "
    "breaks it keeps its earlier partition.",
)
NULLS_AND_FORMATS = dg.AssetCheckSpec(
    "nulls_and_formats", asset=TRIPS, description="Expected columns are filled, plates are plates."
)
IDS_WELL_FORMED = dg.AssetCheckSpec(
    "ids_well_formed", asset=TRIPS, description="Vehicle and driver ids look like ids."
)
PLAUSIBLE_MOVEMENT = dg.AssetCheckSpec(
    "plausible_movement", asset=TRIPS, description="Speeds and distances that a bus can drive."
)
VOLUME = dg.AssetCheckSpec(
    "volume_like_earlier_days", asset=TRIPS, description="As many trips as the same hour of earlier days."
)
SCHEMA_DRIFT = dg.AssetCheckSpec(
    "schema_drift", asset=TRIPS, description="The carrier's records have the fields that they had before."
)
SPECS = [
    LEDGER_BALANCES,
    CONTRACT_HOLDS,
    NULLS_AND_FORMATS,
    IDS_WELL_FORMED,
    PLAUSIBLE_MOVEMENT,
    VOLUME,
    SCHEMA_DRIFT,
]
