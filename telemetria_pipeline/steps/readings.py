"""The last odometers that the lake knows of vehicles: a witness for a boletim whose numbers can be read in
two ways, and asked for by no other.

Days are looked at one by one, backwards, and only until each vehicle has its reading: mostly one or two.
On S3 a declared day costs a LIST and a GET for each file that declares trips of it, a measured one a GET.
"""

from collections.abc import Callable, Sequence
from datetime import date, timedelta

import pandas as pd

from telemetria_pipeline.contracts.audit import VALIDATED_TRIPS
from telemetria_pipeline.contracts.raw import FileManifest
from telemetria_pipeline.core.boletim.settings import KnownReadings
from telemetria_pipeline.steps.declarations import counted_before, declared_on
from telemetria_pipeline.storage.lake import Lake

LOOK_BACK = timedelta(days=10)
"""How far back a vehicle's last reading is looked for: a bus that stands longer starts afresh."""

_DAY = timedelta(days=1)
_MEASURED = VALIDATED_TRIPS.only("placa", "chegada_medida_utc", "leitura_chegada_km")
_COLUMNS = ["placa", "instante_utc", "odometro_km"]


def known_readings(lake: Lake, manifest: FileManifest) -> KnownReadings:
    """The last declared and the last measured odometer of each vehicle within ten days before a day.

    Declared is what counted of other files when this one came, so that it is judged alike when it is judged
    again; measured is what audited days hold (`validated_trips`: one object a day, its odometers good ones).
    """

    def declared(day: date) -> pd.DataFrame:
        trips = counted_before(declared_on(lake, [str(day)]), manifest)
        vehicle = trips["placa_substituta"].fillna(trips["placa"])
        known = [vehicle, trips["chegada_utc"], trips["km_chegada"]]
        return pd.concat(known, axis="columns").set_axis(_COLUMNS, axis="columns")

    def measured(day: date) -> pd.DataFrame:
        table = lake.read_table(VALIDATED_TRIPS.name, {"data": str(day)})
        trips = _MEASURED.empty() if table is None else _MEASURED.frame(table)
        return trips.set_axis(_COLUMNS, axis="columns").dropna()

    def readings(plates: Sequence[str], day: date) -> pd.DataFrame:
        return pd.concat([_last(of_day, plates, day) for of_day in (declared, measured)], ignore_index=True)

    return readings


def _last(of_day: Callable[[date], pd.DataFrame], plates: Sequence[str], day: date) -> pd.DataFrame:
    """The last reading of each vehicle before the day, as far as it is found."""
    missing, found = set(plates), [_MEASURED.empty().set_axis(_COLUMNS, axis="columns")]
    for back in range(1, LOOK_BACK.days + 1):
        if not missing:
            break
        known = of_day(day - back * _DAY)
        known = known[known["placa"].isin(missing)].sort_values("instante_utc").groupby("placa").tail(1)
        found.append(known)
        missing -= set(known["placa"])
    return pd.concat(found, ignore_index=True)
