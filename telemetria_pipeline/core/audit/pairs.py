"""Which trips there are: each declared one with what it has of segments, and each segment left over.

    declared    d0 07:00-08:00    d1 09:00-10:00                    d: position in the declared side
    segments    s0 07:02-07:30    s1 07:31-07:58    s2 15:00-15:20    s: position in the segments' side
    chosen      d0                d0                none

gives three trips in order of departure, t: position in the result

         departure  declared  first_segment        segment  s0 s1 s2     those of a trip together
    t0   07:00      d0        s0                   trip     t0 t0 t2     whose they are
    t1   09:00      d1        -1                   begin    0, 2         where another trip's begin
    t2   15:00      -1        s2

so that `fold(np.add, pairs.metres)` is `[s0 + s1, 0, s2]`, one for each trip. Trips that are judged together
share segments: such a segment stands under each of them, with the metres that are its.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from telemetria_pipeline.core.audit.groups import Shares
from telemetria_pipeline.core.audit.ids import hexadecimal, row_hashes
from telemetria_pipeline.core.audit.sides import Sides
from telemetria_pipeline.core.exact import half_up


@dataclass(frozen=True)
class Pairs:
    """Who goes with whom. Trips in the order of the result; positions are those of the sides, -1 is none."""

    ids: pd.api.extensions.ExtensionArray  # [trip]
    departure: np.ndarray  # [trip], microseconds
    declared: np.ndarray  # [trip], position in the declared side
    first_segment: np.ndarray  # [trip], position in the segments' side
    trip_of_declared: np.ndarray  # [declared], position in the result
    segment: np.ndarray  # what the trips have of segments, that of a trip together, in order of departure
    trip: np.ndarray  # whose each of these is
    metres: np.ndarray  # how much of the segment it is
    begin: np.ndarray  # where in `segment` that of another trip begins

    @classmethod
    def of(cls, sides: Sides, shares: Shares, start: int, end: int) -> "Pairs":
        """The trips that depart in [start, end), given what each declared trip has of the segments."""
        declared, segments = sides.declared, sides.segments
        # A trip is a declared one or, counted on after those, a segment that found none.
        alone = shares.segment[shares.declared < 0]
        departures = np.append(declared.times.start, segments.times.start[alone])
        owned = (departures >= start) & (departures < end)
        numbers = np.append(np.arange(len(declared)), len(declared) + alone)[owned]
        ids = _trip_ids(sides, numbers)
        departures = departures[owned]
        keys = pa.table({"departure": departures, "id": ids})
        order = pc.sort_indices(keys, [("departure", "ascending"), ("id", "ascending")]).to_numpy()
        ids, numbers = ids[order], numbers[order]

        trip = np.full(len(declared) + len(segments), -1)
        trip[numbers] = np.arange(len(numbers))
        number = np.where(shares.declared < 0, len(declared) + shares.segment, shares.declared)
        share = np.argsort(number, kind="stable")
        share = share[trip[number[share]] >= 0]
        segment, begin = shares.segment[share], np.flatnonzero(np.diff(number[share], prepend=-1))
        first_segment = np.full(len(numbers), -1)
        first_segment[trip[number[share[begin]]]] = segment[begin]
        return cls(
            hexadecimal(ids.astype(">u8").tobytes(), 8),
            departures[order],
            np.where(numbers < len(declared), numbers, -1),
            first_segment,
            trip[: len(declared)],
            segment,
            trip[number[share]],
            shares.metres[share],
            begin,
        )

    def parts_of(self, metres: np.ndarray, whole: np.ndarray) -> np.ndarray:
        """Of other `metres` (one for each of `segment`) what goes with the trip's share of the segment.

        Args:
            whole: what each segment of the side measured.
        """
        of_segment = whole[self.segment]
        return np.where(of_segment > 0, half_up(metres * self.metres, np.maximum(of_segment, 1)), metres)

    def fold(self, reduce: np.ufunc, values: np.ndarray, without: Any = 0) -> np.ndarray:
        """`values` (one for each of `segment`) reduced to one for each trip, `without` where it has none."""
        folded = np.full(len(self.ids), without, values.dtype)
        if len(values):
            folded[self._has_some] = reduce.reduceat(values, self.begin)
        return folded

    @cached_property
    def _has_some(self) -> np.ndarray:
        """The trips that have some of `segment`, as they begin in it."""
        return self.trip[self.begin]


def _trip_ids(sides: Sides, numbers: np.ndarray) -> np.ndarray:
    """A hash for each trip: of what is declared, or of the vehicle, its device and the departure."""
    declared, segments = sides.declared, sides.segments
    claimed = numbers[numbers < len(declared)]
    alone = numbers[numbers >= len(declared)] - len(declared)
    km = [declared.frame[name].to_numpy()[declared.row[claimed]] for name in ("km_saida", "km_chegada")]
    times = declared.times.take(claimed)
    return np.append(
        row_hashes("D", declared.column("placa", claimed), times.start, times.end, *km),
        row_hashes("M", _devices(sides, alone), segments.times.start[alone]),
    )


def _devices(sides: Sides, segments: np.ndarray) -> pd.Series:
    """The vehicle's name and the id that its source gives it: a vehicle may have two devices, and two sources
    may give one id to different vehicles."""
    names = pd.Series(sides.vehicles.array.take(sides.segments.times.vehicle[segments]))
    return names + "|" + sides.segments.column("veiculo_id", segments)
