"""In which hours the telemetry of a vehicle is known: those that every source which serves it answered.

        07h 08h 09h 10h
sol      x   x   .   x      x: captured, or confirmed empty
lua              x   .      its first hour is 09h: before, nothing is expected of it

a vehicle of sol alone            07h 08h 10h
a vehicle of lua alone            09h
a vehicle that both serve         07h 08h
"""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pandas as pd

from telemetria_pipeline.contracts.telemetry import ANSWERED
from telemetria_pipeline.core.audit.timeline import instants, microsecond, microseconds

_HOUR = 3_600_000_000


@dataclass(frozen=True)
class Coverage:
    """What is known of some vehicles, hour by hour; vehicles are positions in the names it was asked for.

    Vehicles that the same sources serve are one group, of which there are few.
    """

    begins: np.ndarray  # of each hour, microseconds, in order
    ends: np.ndarray
    group: np.ndarray  # of each vehicle
    known: np.ndarray  # bool [group, hour]
    pages: list[list[str]]  # [group][hour]: what its sources answered, joined; empty where nothing

    def share(self, vehicle: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
        """The share (float64, 0 to 1) of each vehicle's window [start, end] that is known; it has a length.

        An hour that is not listed is not known.
        """
        if not len(self.begins):
            return np.zeros(len(start))
        group = self.group[vehicle]
        lengths = np.where(self.known, self.ends - self.begins, 0)
        before = np.cumsum(lengths, axis=1) - lengths

        def known_until(instant: np.ndarray) -> np.ndarray:
            hour = np.searchsorted(self.begins, instant, side="right") - 1
            within = np.minimum(instant - self.begins[hour], lengths[group, hour])
            return np.where(hour < 0, 0, before[group, hour] + within)

        return (known_until(end) - known_until(start)) / (end - start)

    def missing(self, start: datetime, end: datetime) -> np.ndarray:
        """How many hours of [start, end) are not known of each vehicle."""
        first, last = microsecond(start), microsecond(end)
        inside = (self.begins >= first) & (self.begins < last)
        whole = round((last - first) / _HOUR)
        return (whole - self.known[:, inside].sum(axis=1))[self.group]


@dataclass(frozen=True)
class Sources:
    """Which sources there are, which vehicles they serve, and which hours they answered.

    hours: `fonte`, `estado`, `evidencia` (text), `inicio_utc`, `fim_utc` (instants), one row a source
        and hour, from the source's first hour on.
    vehicles: under contract VEHICLES; the register's `fonte` goes before what was heard.
    heard: `veiculo` (see `vehicle_names`), `fonte` (text): which sources heard which vehicle lately.
    unheard: `veiculo`, `fonte` (text), `inicio_utc` (instant): which vehicles a source was asked for in vain,
        though it answered for others. One that nobody can name by its plate may be any of the source's.
    """

    hours: pd.DataFrame
    vehicles: pd.DataFrame | None = None
    heard: pd.DataFrame | None = None
    unheard: pd.DataFrame | None = None

    def coverage(self, names: pd.Series) -> Coverage:
        """What is known of the vehicles of these names (a plate, or `source:id`)."""
        hour, begins = pd.factorize(microseconds(self.hours["inicio_utc"]), sort=True)
        source, sources = pd.factorize(self.hours["fonte"], sort=True)
        ends = np.zeros(len(begins), np.int64)
        ends[hour] = microseconds(self.hours["fim_utc"])
        begun, answered = np.zeros((2, len(sources), len(begins)), bool)
        begun[source, hour] = True
        begun = np.logical_or.accumulate(begun, axis=1)
        answered[source, hour] = self.hours["estado"].isin(ANSWERED)
        pages = np.full(begun.shape, "", object)
        pages[source, hour] = self.hours["evidencia"].fillna("")

        in_vain: dict[str, frozenset[tuple[int, int]]] = {}
        if self.unheard is not None and len(self.unheard):
            at = pd.Index(begins).get_indexer(pd.Index(microseconds(self.unheard["inicio_utc"]))).tolist()
            where = sources.get_indexer(pd.Index(self.unheard["fonte"])).tolist()
            for name, place in zip(self.unheard["veiculo"], zip(where, at, strict=True), strict=True):
                if source_in(name):
                    answered[place] = False
                in_vain[name] = in_vain.get(name, frozenset()) | {place}

        groups: dict[tuple[str | None, frozenset[str], frozenset[tuple[int, int]]], int] = {}
        asked = [
            (registered, heard | {sources[source] for source, _ in silent}, silent)
            for name, (registered, heard) in zip(names, self._asked(names), strict=True)
            for silent in [in_vain.get(name, frozenset[tuple[int, int]]())]
        ]
        group = np.array([groups.setdefault(who, len(groups)) for who in asked], np.int64)
        serving = [_serving(begun, sources, registered, heard) for registered, heard, _ in groups]
        known = [
            s.any(axis=0) & (_without(answered, silent) | ~s).all(axis=0)
            for s, (_, _, silent) in zip(serving, groups, strict=True)
        ]
        said = [["; ".join(filter(None, hour)) for hour in np.where(s, pages, "").T] for s in serving]
        return Coverage(begins, ends, group, np.array(known, bool).reshape(len(groups), len(begins)), said)

    def of_vehicle(self, name: str) -> pd.DataFrame:
        """`inicio_utc`, `fim_utc`, `estado` of the hours, as they are known of one vehicle."""
        coverage = self.coverage(pd.Series([name], dtype="str"))
        return pd.DataFrame(
            {
                "inicio_utc": instants(coverage.begins),
                "fim_utc": instants(coverage.ends),
                "estado": pd.Series(np.where(coverage.known[0], ANSWERED[0], "missing"), dtype="str"),
            }
        )

    def missing(self, start: datetime, end: datetime) -> dict[str, int]:
        """How many hours of [start, end) each source did not answer, from its first one on; only if any."""
        inside = (self.hours["inicio_utc"] >= start) & (self.hours["inicio_utc"] < end)
        missing = self.hours[inside & ~self.hours["estado"].isin(ANSWERED)]
        return {str(source): int(count) for source, count in missing.groupby("fonte").size().items()}

    def registered(self) -> dict[str, str]:
        """The source that the register gives a plate."""
        if self.vehicles is None:
            return {}
        known = self.vehicles.dropna(subset="fonte")
        return dict(zip(known["placa"], known["fonte"], strict=True))

    def _asked(self, names: pd.Series) -> list[tuple[str | None, frozenset[str]]]:
        """For each vehicle the source that it is registered with, and those that heard it lately."""
        registered, heard = self.registered(), {}
        if self.heard is not None:
            heard = self.heard.groupby("veiculo")["fonte"].agg(frozenset).to_dict()
        return [(registered.get(name) or source_in(name), heard.get(name, frozenset())) for name in names]


def _without(answered: np.ndarray, silent: frozenset[tuple[int, int]]) -> np.ndarray:
    if not silent:
        return answered
    answered = answered.copy()
    answered[tuple(np.array(sorted(silent)).T)] = False
    return answered


def source_in(name: str) -> str | None:
    """The source in the name of a vehicle without plate, `source:id`; None for a plate."""
    source, _, vehicle_id = name.partition(":")
    return source if vehicle_id else None


def _serving(
    begun: np.ndarray, sources: pd.Index, registered: str | None, heard: frozenset[str]
) -> np.ndarray:
    """Which sources serve a vehicle (bool [source, hour]): of those that have begun the registered one, else
    those that heard it, else, where nothing is registered and nobody heard it, all."""
    wanted = [sources == registered, sources.isin(list(heard))]
    if registered is None and not heard:
        wanted.append(np.ones(len(sources), bool))
    serving = np.zeros(begun.shape, bool)
    for who in wanted:
        serving |= who[:, None] & begun & ~serving.any(axis=0)
    return serving
