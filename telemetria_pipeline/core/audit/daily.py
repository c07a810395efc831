"""Kilometres a vehicle and day, by every reading: what a fleet manager looks at first."""

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from telemetria_pipeline.contracts.audit import DAILY_KM, VEHICLE
from telemetria_pipeline.contracts.base import KM
from telemetria_pipeline.core.audit.coverage import Sources
from telemetria_pipeline.core.audit.timeline import microseconds, sorting
from telemetria_pipeline.core.exact import decimals, metres, units

_NAMES = [column.name for column in VEHICLE if column.name != "veiculo"]
_COUNTED = {
    "regressoes": "regressao",
    "viradas": "virada",
    "saltos": "salto",
    "contradicoes": "contradicao",
    "unidades": "unidade",
    "ausentes": "ausente",
    "parados": "parado",
}


def daily_km(
    trips: pd.DataFrame, segments: pd.DataFrame, sources: Sources, day: date, zone: ZoneInfo
) -> pd.DataFrame:
    """One row for each vehicle with a trip on the day, or under contract on it.

    Args:
        trips: the day's trips, under contract VALIDATED_TRIPS.
        segments: their measured trips, under contract TRIP_SEGMENTS.
        sources: which hours of which vehicle were answered; and the register, where there is one.
        day: the business day.
        zone: the contract's; the day is cut in it.

    Returns:
        A frame under contract DAILY_KM, sorted by `veiculo`. Its kilometres sum to those of `trips`.
    """
    in_time = trips.take(sorting(microseconds(trips["saida_utc"]), trips, ["viagem_id"]))
    seen = in_time.groupby("veiculo")[_NAMES].first().reset_index()
    fleet = pd.concat([seen, *_idle(sources.vehicles, day, seen["veiculo"])])
    fleet = fleet.sort_values("veiculo", ignore_index=True)

    def total(of: pd.Series, values: np.ndarray | pd.Series) -> np.ndarray:
        sums = pd.Series(np.asarray(values, np.int64)).groupby(of.array).sum()
        return sums.reindex(fleet["veiculo"], fill_value=0).to_numpy()

    whose, driven = trips["veiculo"], segments["veiculo"]
    by_odometer = segments["fonte_distancia"] == "odometro"
    readings, guesses = total(driven, by_odometer), total(driven, ~by_odometer)
    # Trips that are judged together share segments; each was measured once.
    once = ~segments.duplicated(["fonte", "veiculo_id", "saida_utc"])
    declared, measured = total(whose, trips["fonte"] != "telemetria"), total(driven, once)
    kilometres = {
        "km_odometro": total(driven, np.where(by_odometer, units(segments["km_medido"]), 0)),
        "km_telemetria": total(driven, np.where(once, metres(segments["distancia_telemetria_km"]), 0)),
        **{name: total(whose, units(trips[name])) for name in ("km_medido", "km_declarado", "km_auditado")},
    }
    source = np.select(
        [(readings > 0) & (guesses > 0), readings > 0, guesses > 0],
        ["mista", "odometro", "telemetria"],
        default="nenhuma",
    )
    return fleet.assign(
        viagens_declaradas=declared,
        viagens_medidas=measured,
        **{name: decimals(values, KM, fleet.index) for name, values in kilometres.items()},
        fonte_leitura=pd.Series(source, index=fleet.index, dtype="str"),
        sem_telemetria=measured == 0,
        sem_boletim=declared == 0,
        sem_dados=(measured == 0) & (declared == 0),
        **{
            name: total(driven, once & (segments["situacao_odometro"] == said))
            for name, said in _COUNTED.items()
        },
        horas_sem_telemetria=sources.coverage(fleet["veiculo"]).missing(*_midnights(day, zone)),
    )[DAILY_KM.names]


def _midnights(day: date, zone: ZoneInfo) -> tuple[datetime, datetime]:
    first, last = (datetime.combine(d, time(), zone) for d in (day, day + timedelta(days=1)))
    return first, last


def _idle(vehicles: pd.DataFrame | None, day: date, seen: pd.Series) -> list[pd.DataFrame]:
    """The vehicles of the register that are under contract on the day and have no trip."""
    if vehicles is None:
        return []
    today = day.isoformat()
    came = vehicles["entrada"].isna() | (vehicles["entrada"] <= today)
    left = vehicles["saida"] < today
    idle = vehicles[came & ~left & ~vehicles["placa"].isin(seen)]
    return [idle.assign(veiculo=idle["placa"])[["veiculo", *_NAMES]]]
