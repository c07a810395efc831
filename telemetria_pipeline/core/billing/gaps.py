"""What a cycle's trips show that nobody declared."""

import pandas as pd

from telemetria_pipeline.core.exact import units

_NAMED_DAYS = 5


def undeclared_days(priced: pd.DataFrame) -> list[str]:
    """The vehicles under contract that drove on days on which nothing of them was declared, with the days.

    Args:
        priced: contract PRICED_TRIPS.

    Returns:
        `GDP4J68 (16/02, 17/02)`, one text a vehicle, in Portuguese.
    """
    by_day = priced.assign(
        declared=priced["km_declarado"].notna(),
        drove=(units(priced["km_medido"]) > 0) & priced["contrato"].notna().to_numpy(),
    ).groupby(["veiculo", "data"])[["declared", "drove"]]
    found = by_day.any()
    days = found[found["drove"] & ~found["declared"]].reset_index()
    return [f"{vehicle} ({_told(own)})" for vehicle, own in days.groupby("veiculo")["data"]]


def _told(days: pd.Series) -> str:
    if len(days) > _NAMED_DAYS:
        return f"{len(days)} dias"
    return ", ".join("/".join(reversed(day.split("-")[1:])) for day in sorted(days))
