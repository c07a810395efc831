"""Whether an audited day is stale: what it was made from, held against what is there now.

A day is made from *pieces*: the hours of each source and the declared trips of each file, a day each. Those
of the day itself matter, and of the days beside it those that reach into it. Which these are the audit finds
out, and stores it with the day (`Reach`), so that the same question can be asked again later without reading
a trip.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Self
from zoneinfo import ZoneInfo

import pandas as pd
from pydantic import BaseModel, ConfigDict

from telemetria_pipeline.business_calendar import Window
from telemetria_pipeline.contracts import Contract
from telemetria_pipeline.contracts.reference import ACCEPTANCES, CONTRACTS, DRIVERS, SUBSTITUTIONS, VEHICLES
from telemetria_pipeline.core.audit.days import business_days
from telemetria_pipeline.core.audit.substitutions import recorded
from telemetria_pipeline.core.audit.trips import FILE_DAYS, HOUR_DAYS, AuditedTrips, AuditInputs
from telemetria_pipeline.core.billing.tariffs import terms_of_day
from telemetria_pipeline.core.digests import rows_digest

_DAY = timedelta(days=1)
_TERMS_BY = ["placa", "tipo", "transportadora", "operacao"]


@dataclass(frozen=True)
class Piece:
    """An hour of a source, or a file's trips of a day: what it says, and its first departure to last arrival.

    For an hour the window holds the whole hour, and `digest` says what is known of it as well.
    """

    name: str
    start: datetime
    end: datetime
    telemetry: bool
    digest: str


@dataclass(frozen=True)
class Surroundings:
    """What is there now around a day.

    pieces: of the days around it. taken_back: for each source and day beside it, what tells that trips which
    stood are gone or altered since:
        the signal of the day's trips may rest on their odometers, wherever they lie in those days.
    heard: vehicle → the sources that heard it in the last weeks; empty where there is one source.
    vehicles, drivers, contracts, substitutions, acceptances: the reference tables; None where there is none.
    versions: a digest of each reference table as a whole, by name.
    rules: the version of the rules, and of whatever else is the same for all trips.
    """

    pieces: Iterable[Piece]
    taken_back: Mapping[int, Mapping[str, str]]
    heard: Mapping[str, Iterable[str]]
    vehicles: pd.DataFrame | None
    drivers: pd.DataFrame | None
    contracts: pd.DataFrame | None
    substitutions: pd.DataFrame | None
    acceptances: pd.DataFrame | None
    versions: Mapping[str, str]
    rules: str


class Reach(BaseModel):
    """What an audited day depends on beyond its own pieces.

    until: the last arrival of its trips, on either side.
    wide: the signal of some trip rests on what its neighbours' odometers say, or do not say; or whose a trip
        is rests on what telemetry shows of two vehicles.
    leans: some trip has one side only, or found the other under a wrong date or hour: whatever is around it
        may be, or claim, the other.
    declared: the plates in boletins, and the days of their departures, of the trips that may be the day's or
        claim its segments, on whatever day they are.
    vehicles: of its trips; `terms`: what tariffs are looked up by, for each of them.
    drivers: pseudonyms of the ids that were looked up in the register.
    devices_in_doubt: whose a segment is rests on the odometers that are measured and declared around the day.
    """

    until: datetime
    wide: bool
    leans: bool = False
    vehicles: list[str]
    terms: list[tuple[str | None, str | None, str | None, str | None]]
    drivers: list[str]
    devices_in_doubt: bool = False
    declared: list[tuple[str, str]] = []  # states of days that were audited earlier have none

    @classmethod
    def of(
        cls,
        audited: AuditedTrips,
        inputs: AuditInputs,
        window: Window,
        tolerance: timedelta,
        zone: ZoneInfo,
    ) -> Self:
        """The reach of a day.

        Args:
            audited: what came of the day.
            inputs: all that was looked at.
            window: the day's.
            tolerance: see `touching`.
            zone: the contract's.
        """
        trips = audited.trips
        arrivals = pd.concat([trips["chegada_utc"], trips["chegada_medida_utc"]]).dropna()
        terms = trips[_TERMS_BY].drop_duplicates().astype(object)
        segments, rows = inputs.segments, inputs.declared
        near = (rows["chegada_utc"] >= window[0] - tolerance) & (rows["saida_utc"] <= window[1] + tolerance)
        if not (audited.leans or audited.devices_in_doubt):  # else whoever claims anything there matters
            rows = rows[near]
        said = pd.DataFrame({"placa": rows["placa"], "dia": business_days(rows["saida_utc"], zone)})
        instead = recorded(rows, inputs.substitutions, zone).notna().any()
        nameless = segments.loc[segments["motorista"].isna(), "motorista_id"].dropna().unique()
        return cls(
            until=max([window[1], *([arrivals.max().to_pydatetime()] if len(arrivals) else [])]),
            wide=rests_on_neighbours(trips) or bool(instead),
            leans=audited.leans,
            vehicles=sorted(trips["veiculo"].unique()),
            terms=sorted(terms.where(terms.notna(), None).itertuples(index=False, name=None), key=str),
            drivers=sorted(nameless),
            devices_in_doubt=audited.devices_in_doubt,
            declared=sorted(said.drop_duplicates().itertuples(index=False, name=None)),
        )


class Fingerprint(BaseModel):
    """What a day was made from: a digest of each kind of thing."""

    model_config = ConfigDict(frozen=True)

    hours: str
    files: str
    taken_back: str
    heard: str
    vehicles: str
    drivers: str
    contracts: str
    rules: str
    substitutions: str = ""  # as in states of days that were audited before there were any
    acceptances: str = ""

    @property
    def digest(self) -> str:
        """One digest of all."""
        return digest(f"{name}={value}" for name, value in self)

    def differs_in(self, other: Self) -> list[str]:
        """The kinds of which the other says something else."""
        return [name for name in type(self).model_fields if getattr(self, name) != getattr(other, name)]


class DayState(BaseModel):
    """What is known of an audited day; stored beside its tables, after all of them.

    `versions` are those of the whole reference tables: where they are the same, nothing in them changed.
    """

    day: date
    made_from: Fingerprint
    versions: dict[str, str]
    reach: Reach
    rows: int
    digest: str  # of what its validated trips say
    file: str  # SHA-256 of the object that holds them
    audited_at: datetime


def touching(
    pieces: Iterable[Piece], window: Window, reach: Reach | None, tolerance: timedelta
) -> list[Piece]:
    """Those of the pieces that may matter to the day.

    Args:
        window: the day's.
        reach: what is known of the day; None where it was never audited.
        tolerance: how far apart a declared and a measured trip may be and still be one.
    """
    start, end = window[0], max(window[1], reach.until) if reach else window[1]

    def around(days: int) -> Window:
        return start - days * _DAY - tolerance, max(end, window[1] + days * _DAY) + tolerance

    wide, doubt, leans = (reach.wide, reach.devices_in_doubt, reach.leans) if reach else (False, False, False)
    of_hours = around(HOUR_DAYS if leans or doubt else int(wide))
    of_files = around(FILE_DAYS if leans else HOUR_DAYS if doubt else 0)
    return [
        piece
        for piece in pieces
        if (within := of_hours if piece.telemetry else of_files)[0] <= piece.end and piece.start <= within[1]
    ]


def fingerprint(
    day: date,
    window: Window,
    reach: Reach,
    around: Surroundings,
    tolerance: timedelta,
    known: DayState | None = None,
) -> Fingerprint:
    """What the day would be made from now.

    Args:
        known: the day's state, if there is one: of a reference table that is the same as a whole nothing is
            compared again.
    """
    mine = touching(around.pieces, window, reach, tolerance)

    def of_pieces(telemetry: bool) -> str:
        return digest(f"{p.name}={p.digest}" for p in mine if p.telemetry == telemetry)

    def of_table(name: str, rows: pd.DataFrame | None) -> str:
        return "" if rows is None else rows_digest(_COMPARED[name], rows)

    tables = {
        "vehicles": _vehicles,
        "drivers": _drivers,
        "contracts": _contracts,
        "substitutions": _substitutions,
        "acceptances": _acceptances,
    }
    reference = {
        name: getattr(known.made_from, name)
        if known and known.versions.get(name) == around.versions.get(name)
        else of_table(name, rows_of(around, day, reach))
        for name, rows_of in tables.items()
    }
    return Fingerprint(
        hours=of_pieces(True),
        files=of_pieces(False),
        taken_back=digest(
            f"{where}={what}"
            for days, found in around.taken_back.items()
            if abs(days) <= (HOUR_DAYS if reach.leans else 1)
            for where, what in found.items()
            if what
        ),
        heard=digest(
            f"{vehicle}={','.join(sorted(around.heard[vehicle]))}"
            for vehicle in reach.vehicles
            if vehicle in around.heard
        ),
        rules=around.rules,
        **reference,
    )


def _without(contract: Contract, *names: str) -> Contract:
    return contract.only(*(name for name in contract.names if name not in names))


# What only decides whether a row counts on the day is not compared: the end of a tariff that another one
# follows changes no day before. Nor is a row's number in its file.
_COMPARED = {
    "vehicles": _without(VEHICLES, "placa_recebida", "entrada", "saida"),
    "drivers": DRIVERS,
    "contracts": _without(CONTRACTS, "contrato_linha", "vigencia_inicio", "vigencia_fim"),
    "substitutions": SUBSTITUTIONS.only("placa", "substituta"),
    "acceptances": ACCEPTANCES.only("placa", "hora_saida"),
}


def _vehicles(around: Surroundings, day: date, reach: Reach) -> pd.DataFrame | None:
    """The rows under contract on the day, and those of vehicles that have trips on it."""
    rows = around.vehicles
    if rows is None:
        return None
    today = day.isoformat()
    in_force = (rows["entrada"].isna() | (rows["entrada"] <= today)) & ~(rows["saida"] < today)
    return rows[in_force | rows["placa"].isin(reach.vehicles)].sort_values("placa")


def _drivers(around: Surroundings, day: date, reach: Reach) -> pd.DataFrame | None:
    """The rows of the ids that were looked up."""
    rows = around.drivers
    if rows is None or not reach.drivers:
        return None if rows is None else rows.iloc[:0]
    ids = rows.dropna(subset="motorista_id")
    return ids[ids["motorista_id"].isin(reach.drivers)].sort_values(list(DRIVERS.key))


def _contracts(around: Surroundings, day: date, reach: Reach) -> pd.DataFrame | None:
    """The terms in force on the day for any of its vehicles."""
    rows = around.contracts
    if rows is None:
        return None
    vehicles = pd.DataFrame(reach.terms, columns=_TERMS_BY, dtype="str")
    found = terms_of_day(vehicles, rows, day)
    return found.sort_values(["contrato", "clausula", "vigencia_inicio", "contrato_linha"])


def _substitutions(around: Surroundings, day: date, reach: Reach) -> pd.DataFrame | None:
    """Who ran for whom among its declared trips, on the days of these; None where nobody did."""
    if around.substitutions is None:
        return None
    said = pd.DataFrame(reach.declared, columns=["placa", "dia"], dtype="str")
    rows = said.merge(around.substitutions, on="placa")
    rows = rows[(rows["inicio"] <= rows["dia"]) & ~(rows["fim"] < rows["dia"])]
    return None if rows.empty else rows.sort_values(["placa", "dia"])


def _acceptances(around: Surroundings, day: date, reach: Reach) -> pd.DataFrame | None:
    """What is accepted of its vehicles on the day; None where nothing is."""
    rows = around.acceptances
    if rows is None:
        return None
    rows = rows[(rows["data"] == day.isoformat()) & rows["placa"].isin(reach.vehicles)]
    return None if rows.empty else rows.sort_values(["placa", "hora_saida"])


def digest(texts: Iterable[str]) -> str:
    """A short digest of texts in whatever order."""
    return hashlib.blake2b("\n".join(sorted(texts)).encode(), digest_size=8).hexdigest()


def rests_on_neighbours(trips: pd.DataFrame) -> bool:
    """Whether an hour of the day before or after may change what is known of some trip's signal.

    Where good readings enclose or fill a trip, and nothing moved between them, more change nothing.

    Args:
        trips: the day's, under contract VALIDATED_TRIPS.
    """
    return bool(trips["sinal"].isin(["perdido", "desconhecido"]).any())


@dataclass(frozen=True)
class DaysPlan:
    """What to do now.

    `due` maps each day to audit to a digest of what is around it, oldest first; `why` says in what it is
    stale. `resting` are stale days whose last change is too fresh.
    """

    due: dict[date, str] = field(default_factory=dict)
    why: dict[date, list[str]] = field(default_factory=dict)
    resting: list[date] = field(default_factory=list)
