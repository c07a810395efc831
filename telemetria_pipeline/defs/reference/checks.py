"""The check of the reference tables."""

import dagster as dg

SHRUNK = 0.9


def kept_its_rows(name: str) -> dg.AssetCheckSpec:
    """The check of the reference table `name`."""
    return dg.AssetCheckSpec(
        "kept_its_rows",
        asset=name,
        description="At least 90 % of the entries that the table had before are still in it: an excerpt that "
        "is dropped in place of the whole would make known vehicles and drivers strangers.",
    )


def result(name: str, before: set[str], now: set[str]) -> dg.AssetCheckResult:
    """The check's result for the keys that the table had and has; counts only, keys may be personal."""
    gone = len(before - now)
    return dg.AssetCheckResult(
        asset_key=name,
        check_name="kept_its_rows",
        passed=len(before) - gone >= SHRUNK * len(before),
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{gone} of {len(before)} entries are gone, {len(now - before)} are new",
    )
