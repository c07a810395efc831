"""The two sides as the audit sees them: which vehicle, which driver, in order, each trip once.

    frame, as it came             side: row  vehicle  start   copies
    0  ABC1C34  09:00  a.csv            2       0     07:00    1
    1  ABC1C34  09:00  b.csv            0       0     09:00    2      a.csv's row; b.csv declares the same
    2  ABC1C34  07:00  a.csv            3       1     08:00    1
    3  GDP4J68  08:00  a.csv

A trip's position in its side is what all of the audit counts by; `row` leads back to what the frame holds.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
import pandas as pd

from telemetria_pipeline.contracts.telemetry import PLACA_PATTERN
from telemetria_pipeline.core.audit.timeline import Axis, Timeline, microseconds, sorting
from telemetria_pipeline.core.distinct import by_distinct
from telemetria_pipeline.core.exact import metres

_PLACE = ["arquivo", "aba", "linha", "arquivo_id"]


@dataclass(frozen=True)
class Side:
    """One side's trips, each once, in order of vehicle and departure."""

    frame: pd.DataFrame
    row: np.ndarray  # [trip], position in `frame`
    copies: np.ndarray  # how many rows say the same trip
    times: Timeline
    metres: np.ndarray
    driver: np.ndarray  # number of who drove, -1: not known

    def __len__(self) -> int:
        return len(self.row)

    def take(self, trips: np.ndarray) -> Self:
        """Some of its trips."""
        return type(self)(
            self.frame,
            self.row[trips],
            self.copies[trips],
            self.times.take(trips),
            self.metres[trips],
            self.driver[trips],
        )

    def columns(self, names: Iterable[str], trips: np.ndarray) -> dict[str, pd.Series]:
        """Columns for the trips at these positions; missing for position -1."""
        rows = np.append(self.row, -1)[trips]

        def column(values: pd.Series) -> pd.Series:
            nullable = values.astype("Int64") if values.dtype == "int64" else values
            return pd.Series(nullable.array.take(rows, allow_fill=True))

        return {name: column(self.frame[name]) for name in names}

    def column(self, name: str, trips: np.ndarray) -> pd.Series:
        """One of its columns, likewise."""
        return self.columns([name], trips)[name]


@dataclass(frozen=True)
class Sides:
    """Both sides; vehicles and drivers are numbers of these names.

    A vehicle's name is its plate, or `source:id` where none is known: two sources may give one id to
    different vehicles.
    """

    declared: Side
    segments: Side
    vehicles: pd.Series
    drivers: pd.Series

    @classmethod
    def of(
        cls,
        declared: pd.DataFrame,
        ran: pd.Series,
        segments: pd.DataFrame,
        heard: pd.Series,
        drivers: pd.DataFrame | None,
    ) -> "Sides":
        """Rows of both sides, under their contracts, and whose they are: `ran` is the plate of the vehicle
        that ran each declared trip, `heard` the vehicle of each segment; `drivers` helps to name drivers."""
        names = pd.concat([ran, heard], ignore_index=True)
        vehicle, different_vehicles = pd.factorize(names, sort=True)
        names = pd.concat([declared["motorista"], _drivers_of(segments, drivers)], ignore_index=True)
        driver, different_drivers = pd.factorize(names)
        n = len(declared)
        return cls(
            _declared_side(declared, vehicle[:n], driver[:n]),
            _measured_side(segments, vehicle[n:], driver[n:]),
            pd.Series(different_vehicles, dtype="str"),
            pd.Series(different_drivers, dtype="str"),
        )

    @cached_property
    def substituted(self) -> np.ndarray:
        """Whether another vehicle than the declared one ran each declared trip."""
        declared = self.declared
        ran = self.vehicles.array.take(declared.times.vehicle)
        return np.asarray(declared.frame["placa"].array.take(declared.row) != ran)

    @property
    def plates(self) -> pd.Series:
        """The vehicles' plates, missing where the name is none."""
        return self.vehicles.where(self.vehicles.str.match(PLACA_PATTERN))


def vehicle_names(segments: pd.DataFrame, vehicles: pd.DataFrame | None) -> pd.Series:
    """What the audit calls the vehicle of each segment: its plate; else that of the one vehicle of the same
    fleet number that the source may hear; else `source:id`.

    Args:
        segments: `placa`, `equipamento`, `veiculo_id`, `fonte` (text).
        vehicles: under contract VEHICLES; None where there is no such table.
    """
    names = segments["placa"]
    if not names.hasnans:
        return names
    if vehicles is not None:
        fleet = vehicles.dropna(subset="equipamento")
        for source, nameless in segments[names.isna()].groupby("fonte"):
            its = fleet[fleet["fonte"].isna() | (fleet["fonte"] == source)]
            plates = its.drop_duplicates("equipamento", keep=False).set_index("equipamento")["placa"]
            names = names.fillna(nameless["equipamento"].map(plates).astype("str"))
    return names.fillna(segments["fonte"] + ":" + segments["veiculo_id"])


def _drivers_of(segments: pd.DataFrame, drivers: pd.DataFrame | None) -> pd.Series:
    """Driver's name; else the one that has the same id in `drivers`."""
    names = segments["motorista"]
    if drivers is not None and names.hasnans:
        people = drivers.dropna(subset="motorista_id").drop_duplicates("motorista_id", keep=False)
        named = people.set_index("motorista_id")["motorista"]
        names = names.fillna(by_distinct(segments["motorista_id"], lambda ids: ids.map(named)))
    return names


def _declared_side(frame: pd.DataFrame, vehicle: np.ndarray, driver: np.ndarray) -> Side:
    """Rows of several files that declare the same trip are one: that of the first file, sheet and row."""
    times = _times(frame, vehicle)
    key = Axis(times.start).at(vehicle, times.start)
    order = sorting(key, frame, ["chegada_utc", "km_saida", "km_chegada", *_PLACE])
    repeats = np.ones(max(len(order) - 1, 0), bool)
    for said in (key, times.end, frame["km_saida"].to_numpy(), frame["km_chegada"].to_numpy()):
        repeats &= said[order][1:] == said[order][:-1]
    first = np.flatnonzero(np.append(True, ~repeats)[: len(order)])
    row = order[first]
    return Side(
        frame,
        row,
        np.diff(np.append(first, len(order))),
        times.take(row),
        metres(frame["km_declarado"])[row],
        driver[row],
    )


def _measured_side(frame: pd.DataFrame, vehicle: np.ndarray, driver: np.ndarray) -> Side:
    times = _times(frame, vehicle)
    row = sorting(Axis(times.start).at(vehicle, times.start), frame, ["fonte", "veiculo_id"])
    return Side(
        frame, row, np.ones_like(row), times.take(row), metres(frame["distancia_km"])[row], driver[row]
    )


def _times(frame: pd.DataFrame, vehicle: np.ndarray) -> Timeline:
    return Timeline(vehicle, microseconds(frame["saida_utc"]), microseconds(frame["chegada_utc"]))
