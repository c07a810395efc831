"""What a cycle's trips show that somebody has yet to declare."""

import pandas as pd

from telemetria_pipeline.core.audit.phrases import km_text
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


def held(priced: pd.DataFrame) -> list[str]:
    """The vehicles whose measured and undeclared kilometres are paid by nobody so far, in Portuguese.

    Args:
        priced: contract PRICED_TRIPS.

    Returns:
        `GDP4J68 (2 viagens, 31,200 km)`, one text a vehicle.
    """
    waits = (priced["base_auditoria"] == "a_declarar") & priced["contrato"].notna()
    waits &= priced["veredito"] != "ok"  # too short to ask anybody
    trips = priced[waits]
    by_vehicle = pd.Series(units(trips["km_medido"])).groupby(trips["veiculo"].to_numpy())
    found = pd.DataFrame({"trips": by_vehicle.size(), "km": by_vehicle.sum()})
    return [
        f"{vehicle} ({n} {'viagem' if n == 1 else 'viagens'}, {km} km)"
        for vehicle, n, km in zip(found.index, found["trips"], km_text(found["km"].to_numpy()), strict=True)
    ]


def _told(days: pd.Series) -> str:
    if len(days) > _NAMED_DAYS:
        return f"{len(days)} dias"
    return ", ".join("/".join(reversed(day.split("-")[1:])) for day in sorted(days))
