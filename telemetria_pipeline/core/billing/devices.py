"""Devices whose odometer and tracker tell different distances over a cycle: neither is believed alone."""

import pandas as pd

from telemetria_pipeline.contracts.base import KM
from telemetria_pipeline.core.audit.tolerances import agree
from telemetria_pipeline.core.exact import decimals, units

MIN_TRIPS = 20
MIN_M = 300_000
APART_PERCENT = 10  # strictly above: vendors call 2 to 10 % normal


def rests_on_odometer(trips: pd.DataFrame) -> pd.Series:
    """Whether one device measured the trip, all of it by good readings, and its tracker was heard as well."""
    good = (trips["fonte_distancia"] == "odometro") & (trips["situacao_odometro"] == "ok")
    return good & trips["aparelho"].notna() & trips["km_telemetria"].notna()


def biased_devices(trips: pd.DataFrame) -> pd.DataFrame:
    """The devices that are biased, by name: `odometro_m`, `rastreador_m` (int64) and `viagens`.

    Args:
        trips: a cycle's, under contract VALIDATED_TRIPS.
    """
    rows = trips[rests_on_odometer(trips)]
    by = pd.DataFrame(
        {
            "odometro_m": units(rows["km_medido"]),
            "rastreador_m": units(rows["km_telemetria"]),
            "viagens": 1,
        }
    ).groupby(rows["aparelho"].to_numpy())
    devices = by.sum()
    odometer, tracker = devices["odometro_m"], devices["rastreador_m"]
    enough = (devices["viagens"] >= MIN_TRIPS) & (odometer >= MIN_M) & (tracker >= MIN_M)
    return devices[enough & ((odometer - tracker).abs() * 100 > APART_PERCENT * tracker)]


def disbelieve(trips: pd.DataFrame, devices: pd.DataFrame) -> pd.DataFrame:
    """The declared trips that rest on a biased device judged again: what either instrument may confirm is
    `inconclusivo`, and paid as declared; what is more than both measured stays `divergente`, at the longer.

    Args:
        trips: under contract VALIDATED_TRIPS, judged; devices: as `biased_devices` gives them.
    """
    measured, reported = units(trips["km_medido"]), units(trips["km_telemetria"])
    declared = units(trips["km_declarado"])
    rests = rests_on_odometer(trips) & trips["aparelho"].isin(devices.index)
    judged = trips["base_auditoria"].isin(["acordo", "medido"])
    of_these = (rests & judged & trips["km_declarado"].notna()).to_numpy()
    proven = trips["veredito"].eq("divergente").to_numpy() & ~agree(trips, declared, reported)
    over = of_these & proven & (declared > measured) & (declared > reported)
    open_ = of_these & ~over
    paid = units(trips["km_auditado"])
    paid[over] = pd.Series(paid[over]).clip(lower=reported[over])
    paid[open_] = declared[open_]
    return trips.assign(
        veredito=trips["veredito"].mask(open_, "inconclusivo"),
        base_auditoria=trips["base_auditoria"].mask(open_, "boletim_substitui"),
        km_auditado=decimals(paid, KM, trips.index),
    )
