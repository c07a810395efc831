"""What a pair of odometer readings is worth, and the distance that a trip measured."""

import numpy as np
import pandas as pd

MAX_KM_A_DAY = 2_000
UNIT_SLIPS = (1_000, 10, 1.609)
UNIT_TOLERANCE = 0.02
ROLLOVERS = (1e5, 1e6)
ROLLOVER_MARGIN = 0.05
STUCK_KM = 1  # reported while the odometer stands still
MAX_KMH = 160
SLACK_KM = 5  # of a coarse odometer, and of a clock that is a minute off
CONTRADICTION = 0.5  # share of the longer distance by which odometer and carrier may differ


def odometer_situation(trips: pd.DataFrame) -> pd.Series:
    """Judge each trip's readings: `ok`, or what is wrong with them.

    A reading of zero or less is unreadable (`ausente`). `unidade` needs a reported distance of at least 1 km
    to be told from a jump; `salto` is more than 2,000 km for each day that the trip began, or faster than a
    bus while the carrier reports less than half; `contradicao`: the two differ by more than half of the
    longer one, and by more than 5 km.

    Args:
        trips: `odometro_saida_km`, `odometro_chegada_km`, `distancia_telemetria_km`, `saida_utc`,
            `chegada_utc`.

    Returns:
        A `str` Series on the same index.
    """
    start, end = trips["odometro_saida_km"].to_numpy(), trips["odometro_chegada_km"].to_numpy()
    reported = trips["distancia_telemetria_km"].to_numpy()
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        driven = end - start
        ratio = np.abs(driven / reported)
        rolled = np.any(
            [
                (start >= m * (1 - ROLLOVER_MARGIN)) & (start < m) & (end <= m * ROLLOVER_MARGIN)
                for m in ROLLOVERS
            ],
            axis=0,
        )
        slipped = (reported >= 1) & np.any(
            [np.abs(ratio / r - 1) <= UNIT_TOLERANCE for f in UNIT_SLIPS for r in (f, 1 / f)], axis=0
        )
        situation = np.select(
            [
                ~((start > 0) & (end > 0)),
                (driven < 0) & rolled,
                driven < 0,
                slipped,
                (driven == 0) & (reported >= STUCK_KM),
                (driven > MAX_KM_A_DAY * started_days(trips).to_numpy())
                | ((driven > _fastest_km(trips).to_numpy()) & (reported < driven / 2)),
                np.abs(driven - reported)
                > np.maximum(CONTRADICTION * np.maximum(driven, reported), SLACK_KM),
            ],
            ["ausente", "virada", "regressao", "unidade", "parado", "salto", "contradicao"],
            default="ok",
        )
    return pd.Series(situation, index=trips.index, dtype="str")


def rolled_over(before: np.ndarray, after: np.ndarray, at_most: np.ndarray | float) -> np.ndarray:
    """The km (100,000, 1,000,000, or 0: none) that an odometer dropped when it passed its last digit, where
    from one reading to a lower one it then drove at most so many km."""
    with np.errstate(invalid="ignore"):
        lower = (after >= 0) & (after < before)
        drove = [np.round(m + after - before, 6) for m in ROLLOVERS]
        turned = [lower & (before < m) & (d <= at_most) for m, d in zip(ROLLOVERS, drove, strict=True)]
    return np.select(turned, ROLLOVERS, 0.0)


def started_days(trips: pd.DataFrame) -> pd.Series:
    """How many days each trip began to fill, at least one (also for a trip without arrival)."""
    days = (trips["chegada_utc"] - trips["saida_utc"]).dt.total_seconds() / 86_400
    return pd.Series(np.ceil(days), index=trips.index).clip(lower=1).fillna(1)


def _fastest_km(trips: pd.DataFrame) -> pd.Series:
    """What a bus can drive in the time of each trip."""
    return MAX_KMH * (trips["chegada_utc"] - trips["saida_utc"]).dt.total_seconds() / 3_600 + SLACK_KM


def measured_distance(trips: pd.DataFrame) -> pd.DataFrame:
    """The measured distance and where it comes from.

    The odometer's difference where both readings are good, else the distance that the carrier reports;
    never a difference of readings from different sources. Where the two contradict each other, the longer one
    that a bus can drive, for instruments miss kilometres rather than invent them.

    Returns:
        `distancia_km` (missing where neither is known), `fonte_distancia`, `situacao_odometro`.
    """
    situation = odometer_situation(trips)
    driven = trips["odometro_chegada_km"] - trips["odometro_saida_km"]
    reported, fastest = trips["distancia_telemetria_km"], _fastest_km(trips)
    plausible = ((driven > reported) & (driven <= fastest)) | ((driven < reported) & (reported > fastest))
    by_odometer = (situation == "ok") | ((situation == "contradicao") & plausible)
    return pd.DataFrame(
        {
            # To the millimetre: subtracting two large floats leaves noise behind it.
            "distancia_km": driven.round(6).where(by_odometer, trips["distancia_telemetria_km"]),
            "fonte_distancia": pd.Series(
                np.where(by_odometer, "odometro", "telemetria"), index=trips.index, dtype="str"
            ),
            "situacao_odometro": situation,
        }
    )
