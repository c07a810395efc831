"""The checks of the audit's daily tables."""

from collections.abc import Sequence

import dagster as dg

from telemetria_pipeline.contracts.audit import VALIDATED_TRIPS

TRIPS = dg.AssetKey(VALIDATED_TRIPS.name)

CONTRACT_HOLDS = dg.AssetCheckSpec(
    "contract_holds",
    asset=TRIPS,
    blocking=True,
    description="Every row of the day's tables keeps its contract. Rows are validated before they are "
    "written: a day that breaks one keeps its earlier tables.",
)
KM_CONSERVED = dg.AssetCheckSpec(
    "km_conserved",
    asset=TRIPS,
    blocking=True,
    description="To the metre: segments sum to the measured kilometres of the trips; declared, measured and "
    "audited kilometres of the trips sum to those of the vehicles. Asked before anything is written.",
)
COVERAGE = dg.AssetCheckSpec(
    "coverage", asset=TRIPS, description="Every hour of the day was captured, or confirmed empty."
)
KNOWN_VEHICLES = dg.AssetCheckSpec(
    "known_vehicles", asset=TRIPS, description="The plates of the day's trips are in `vehicles`."
)
SOURCES_AGREE = dg.AssetCheckSpec(
    "sources_agree",
    asset=TRIPS,
    description="Where two sources heard one movement they measured the same, within tolerance; one of them "
    "counts, never both.",
)
KNOWN_SOURCES = dg.AssetCheckSpec(
    "known_sources",
    asset=TRIPS,
    description="The sources that `vehicles` names exist: a vehicle of one that does not is never heard, and "
    "its boletins stand.",
)
SPECS = [CONTRACT_HOLDS, KM_CONSERVED, COVERAGE, KNOWN_VEHICLES, SOURCES_AGREE, KNOWN_SOURCES]

_NAMED = 10


def coverage(hours_missing: int) -> str | None:
    """The problem in words, or None."""
    return f"{hours_missing} hours are not captured" if hours_missing else None


def known_vehicles(strangers: Sequence[str]) -> str | None:
    """The problem in words for the plates that are not in `vehicles`, or None."""
    return f"not in vehicles: {_listed(strangers, ', ')}" if strangers else None


def known_sources(strangers: Sequence[str]) -> str | None:
    """The problem in words for the sources of `vehicles` that nobody described, or None."""
    return f"vehicles names sources that are not there: {_listed(strangers, ', ')}" if strangers else None


def sources_agree(disagreements: Sequence[str]) -> str | None:
    """The problem in words for movements that two sources measured differently, or None."""
    return _listed(disagreements, "; ") if disagreements else None


def _listed(texts: Sequence[str], separator: str) -> str:
    more = f" and {len(texts) - _NAMED} more" if len(texts) > _NAMED else ""
    return f"{separator.join(texts[:_NAMED])}{more}"
