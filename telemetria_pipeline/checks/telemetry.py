"""The checks of `telemetry_trips`."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

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

_NAMED_HOURS = 5


@dataclass
class Findings:
    """Problems found while a run goes through its hours: check name → hour → problem in words."""

    hours: int = 0
    asked: Counter[str] = field(default_factory=Counter)
    problems: dict[str, dict[str, str]] = field(default_factory=dict)

    def note(self, hour: str, problems: Mapping[str, str | None]) -> None:
        """Take the answers of one hour; None means that the check passed."""
        self.hours += 1
        self.asked.update(problems.keys())
        for name, problem in problems.items():
            if problem:
                self.problems.setdefault(name, {})[hour] = problem

    def results(self, selected: Collection[dg.AssetCheckKey]) -> Iterator[dg.AssetCheckResult]:
        """One result a selected check over all hours of the run, naming the hours that fail."""
        for spec in SPECS:
            if spec.key not in selected or not self.asked[spec.name]:
                continue
            failed = self.problems.get(spec.name, {})
            named = [f"{hour}: {problem}" for hour, problem in list(failed.items())[:_NAMED_HOURS]]
            if len(failed) > len(named):
                named.append(f"and {len(failed) - len(named)} hours more")
            yield dg.AssetCheckResult(
                asset_key=spec.asset_key,
                check_name=spec.name,
                passed=not failed,
                severity=dg.AssetCheckSeverity.ERROR if spec.blocking else dg.AssetCheckSeverity.WARN,
                description="; ".join(named) or None,
                metadata={"hours": self.asked[spec.name], "hours_failed": sorted(failed)},
            )
