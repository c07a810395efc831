"""The checks of a source's `telemetry_trips`."""

import dagster as dg

_CHECKS = [
    (
        "ledger_balances",
        True,
        "received = accepted + duplicate + rejected + out of window + in progress, and as many rows lie in "
        "the tables.",
    ),
    (
        "contract_holds",
        True,
        "Every row keeps the contract. Rows are validated before they are written: an hour that breaks it "
        "keeps its earlier partition.",
    ),
    ("nulls_and_formats", False, "Expected columns are filled, plates are plates."),
    ("rows_as_asked", False, "Rows lie in the window that was asked for."),
    ("all_vehicles_heard", False, "The carrier answered for each of its vehicles."),
    ("ids_well_formed", False, "Vehicle and driver ids look like ids."),
    ("plausible_movement", False, "Speeds and distances that a bus can drive."),
    ("volume_like_earlier_days", False, "As many trips as the same hour of earlier days."),
    ("schema_drift", False, "The carrier's records have the fields that they had before."),
]
"""Name, whether it blocks, and what it asks."""


def specs(asset: dg.AssetKey) -> list[dg.AssetCheckSpec]:
    """The checks of the trips `asset`."""
    return [
        dg.AssetCheckSpec(name, asset=asset, blocking=blocking, description=about)
        for name, blocking, about in _CHECKS
    ]
