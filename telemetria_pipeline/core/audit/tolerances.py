"""How far the two sides of a trip may differ: what its contract says, else the defaults of the rules.

Resolved once, beside the trip's tariff, and kept in its row; whatever asks for a tolerance asks the row.
"""

from collections.abc import Collection

import numpy as np
import pandas as pd
import pyarrow as pa

from telemetria_pipeline.contracts.base import KM, PERCENT
from telemetria_pipeline.core.audit.rules import AuditRules
from telemetria_pipeline.core.exact import decimals, units

ALIKE_PERCENT, ALIKE_M = 10, 1_000


def resolve(terms: pd.DataFrame, rules: AuditRules) -> pd.DataFrame:
    """The terms with `tolerancia_pct`, `tolerancia_km` and `tolerancia_do_contrato`.

    Args:
        terms: `tolerancia_pct`, `tolerancia_km` (PERCENT, KM), what they say; missing: the defaults.
        rules: these.
    """
    percent, km = terms["tolerancia_pct"], terms["tolerancia_km"]
    has_percent, has_km = percent.notna().to_numpy(), km.notna().to_numpy()
    return terms.assign(
        tolerancia_pct=_where(has_percent, percent, rules.percent_units, PERCENT, terms.index),
        tolerancia_km=_where(has_km, km, rules.minimum_m, KM, terms.index),
        tolerancia_do_contrato=has_percent | has_km,
    )


def replace_defaults(
    trips: pd.DataFrame, rules: AuditRules, everywhere: Collection[str] = ()
) -> pd.DataFrame:
    """The trips under other defaults: a tolerance that is the contract's stays, unless named in `everywhere`.

    Args:
        trips: under contract VALIDATED_TRIPS.
        everywhere: of `km_share` and `km_minimum`, those that count whatever a trip's contract says.
    """
    stays = trips["tolerancia_do_contrato"].to_numpy()
    percent, km = (stays & (name not in everywhere) for name in ("km_share", "km_minimum"))
    return trips.assign(
        tolerancia_pct=_where(percent, trips["tolerancia_pct"], rules.percent_units, PERCENT, trips.index),
        tolerancia_km=_where(km, trips["tolerancia_km"], rules.minimum_m, KM, trips.index),
    )


def agree(trips: pd.DataFrame, declared_m: np.ndarray, measured_m: np.ndarray) -> np.ndarray:
    """Whether metres differ by no more than the trip's share of the measured ones, or than its kilometres."""
    apart = np.abs(declared_m - measured_m)
    return (apart * 10_000 <= units(trips["tolerancia_pct"]) * measured_m) | within_km(trips, apart)


def within_km(trips: pd.DataFrame, metres: np.ndarray) -> np.ndarray:
    """Whether so many metres are no more than the kilometres that each trip is forgiven."""
    return metres <= units(trips["tolerancia_km"])


def alike(declared_m: np.ndarray, measured_m: np.ndarray) -> np.ndarray:
    """Whether metres are near enough to be of one trip, whatever any contract tolerates: who belongs together
    must not hang on what is paid."""
    apart = np.abs(declared_m - measured_m)
    return (apart * 100 <= ALIKE_PERCENT * measured_m) | (apart <= ALIKE_M)


def in_words(percent: pd.Series, km: pd.Series) -> pd.Series:
    """The tolerances as a sentence shows them, in Portuguese; of many trips few are different."""
    pairs = pd.DataFrame({"percent": units(percent), "km": units(km)})
    number = pairs.groupby(["percent", "km"], sort=False).ngroup().to_numpy()
    said = [
        f"tolerância de {_plain(p / 100)} % e {_plain(m / 1_000)} km"
        for p, m in pairs.drop_duplicates().itertuples(index=False)
    ]
    return pd.Series(pd.array(said, dtype="str").take(number), index=percent.index)


def _plain(value: float) -> str:
    return f"{value:.3f}".rstrip("0").rstrip(".").replace(".", ",")


def _where(
    said: np.ndarray, values: pd.Series, default: int, type: pa.Decimal128Type, index: pd.Index
) -> pd.Series:
    return decimals(np.where(said, units(values), default), type, index)
