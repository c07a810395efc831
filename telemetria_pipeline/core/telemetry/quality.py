"""What an hour's trips look like to a sceptic: each function answers with a problem in words, or None."""

from collections.abc import Sequence
from statistics import median

import pandas as pd

MAX_AVERAGE_KMH = 110
MAX_TOP_KMH = 160
MAX_TRIP_KM = 1_000
MAX_NULL_SHARE = 0.5
VOLUME_FACTOR = 2
VOLUME_SLACK_ROWS = 10
VOLUME_MIN_DAYS = 3
_NAMED = 5
_ID_PATTERN = r"[\w.:/@-]{1,64}"
_EXPECTED = ("placa", "motorista_id", "distancia_telemetria_km")


def average_speed_kmh(trips: pd.DataFrame) -> pd.Series:
    """Measured distance over the time between departure and arrival; missing for a trip without duration."""
    hours = (trips["chegada_utc"] - trips["saida_utc"]).dt.total_seconds() / 3600
    return trips["distancia_km"] / hours.where(hours > 0)


def nulls_and_formats(trips: pd.DataFrame, *, received: int = 0, rejected: int = 0) -> str | None:
    """Columns that are mostly empty, plates that are no plates, values that could not be read.

    And most rows `rejected` of those `received`: a profile that maps nonsense leaves no trip to look at.
    """
    if rejected > MAX_NULL_SHARE * received:
        return f"{rejected} of {received} rows rejected: does the profile map the right fields?"
    if trips.empty:
        return None
    empty = [f"{c} {share:.0%}" for c in _EXPECTED if (share := trips[c].isna().mean()) > MAX_NULL_SHARE]
    bad_plates = int((trips["placa"].isna() & trips["placa_recebida"].notna()).sum())
    unread = int(trips["ilegivel"].notna().sum())
    said = [f"empty: {', '.join(empty)}"] if empty else []
    said += [f"{bad_plates} plates that are no plates"] if bad_plates else []
    said += [f"{unread} trips with a value that could not be read"] if unread else []
    return "; ".join(said) or None


def rows_as_asked(astray: int) -> str | None:
    """Rows of another time than was asked for."""
    return f"{astray} rows far from the window that was asked: quarantine, fora_do_pedido" if astray else None


def all_vehicles_heard(skipped: Sequence[str]) -> str | None:
    """Vehicles that the carrier would not answer for, a few of them named: plates or ids, and no driver."""
    if not skipped:
        return None
    more = f" and {len(skipped) - _NAMED} more" if len(skipped) > _NAMED else ""
    return (
        f"{len(skipped)} vehicles could not be asked, and nothing is known of their hour: "
        f"{', '.join(skipped[:_NAMED])}{more}. The metadata of raw_telemetry say why"
    )


def ids_well_formed(trips: pd.DataFrame) -> str | None:
    """Vehicle and driver ids: one word of at most 64 letters, digits and `. : / @ - _`."""
    if trips.empty:
        return None
    said = []
    for column in ("veiculo_id", "motorista_id"):
        ids = trips[column].dropna()
        bad = int((~ids.str.fullmatch(_ID_PATTERN).astype(bool)).sum())
        said += [f"{bad} values of {column} that are no id"] if bad else []
    return "; ".join(said) or None


def plausible_movement(trips: pd.DataFrame) -> str | None:
    """Average speed up to 110 km/h, top speed up to 160 km/h, at most 1,000 km a trip."""
    if trips.empty:
        return None
    kinds = {
        f"average speed above {MAX_AVERAGE_KMH} km/h": average_speed_kmh(trips) > MAX_AVERAGE_KMH,
        f"top speed above {MAX_TOP_KMH} km/h": trips["velocidade_maxima_kmh"] > MAX_TOP_KMH,
        f"above {MAX_TRIP_KM} km": trips["distancia_km"] > MAX_TRIP_KM,
        "distance without duration": (trips["distancia_km"] > 0)
        & (trips["chegada_utc"] <= trips["saida_utc"]),
    }
    return "; ".join(f"{n} trips {kind}" for kind, mask in kinds.items() if (n := int(mask.sum()))) or None


def volume_like_earlier_days(accepted: int, earlier: Sequence[int]) -> str | None:
    """Rows against the median of the same hour on earlier days; silent with less than three of them."""
    if len(earlier) < VOLUME_MIN_DAYS:
        return None
    usual = median(earlier)
    low, high = usual / VOLUME_FACTOR - VOLUME_SLACK_ROWS, usual * VOLUME_FACTOR + VOLUME_SLACK_ROWS
    # Nothing at all, where there always was something, is worth a look however small the fleet.
    if low <= accepted <= high and not (accepted == 0 and min(earlier) > 0):
        return None
    return f"{accepted} trips where the last {len(earlier)} days had {usual:g}"


def schema_drift(fields: Sequence[str], before: Sequence[str]) -> str | None:
    """Fields of the carrier's records that appeared or went since the capture before; silent without one."""
    if not fields or not before:
        return None
    appeared, went = sorted(set(fields) - set(before)), sorted(set(before) - set(fields))
    said = [f"appeared: {', '.join(appeared)}"] if appeared else []
    said += [f"went: {', '.join(went)}"] if went else []
    return "; ".join(said) or None
