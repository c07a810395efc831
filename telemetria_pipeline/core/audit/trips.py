"""The trips of a window with both sides: what was declared, what was measured, how sure we are."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from telemetria_pipeline.contracts.audit import SOURCE_REASONS, TRIP_SEGMENTS
from telemetria_pipeline.contracts.base import KM
from telemetria_pipeline.contracts.boletim import BOLETIM_TRIPS
from telemetria_pipeline.contracts.telemetry import SITUATIONS, TRIPS
from telemetria_pipeline.core.audit.acceptances import accepted
from telemetria_pipeline.core.audit.coverage import Sources
from telemetria_pipeline.core.audit.days import business_days, day_numbers
from telemetria_pipeline.core.audit.drivers import same_driver
from telemetria_pipeline.core.audit.groups import Groups, Shares, find_groups, find_shares
from telemetria_pipeline.core.audit.matching import common, match
from telemetria_pipeline.core.audit.misplaced import Readings, find_misplaced
from telemetria_pipeline.core.audit.movements import Movements, count_once
from telemetria_pipeline.core.audit.pairs import Pairs
from telemetria_pipeline.core.audit.rules import AuditRules
from telemetria_pipeline.core.audit.sides import Side, Sides, vehicle_names
from telemetria_pipeline.core.audit.signal import SIGNALS, UNKNOWN, Odometers, hear
from telemetria_pipeline.core.audit.substitutions import recorded, who_ran
from telemetria_pipeline.core.audit.swapped import find_swaps
from telemetria_pipeline.core.audit.timeline import MISSING, instants, microsecond
from telemetria_pipeline.core.audit.verdicts import judge
from telemetria_pipeline.core.billing.tariffs import price_trips
from telemetria_pipeline.core.exact import decimals, metres
from telemetria_pipeline.core.names import plain_name

_MINUTE = 60_000_000
_CORES = 2
_AS_DECLARED = (
    *("km_saida", "km_chegada", "turno", "numero_ata"),
    *("arquivo_id", "arquivo", "aba", "linha"),
)
DECLARED = BOLETIM_TRIPS.only(
    *(
        "placa",
        "placa_substituta",
        "equipamento",
        "empresa",
        "motorista",
        "saida_utc",
        "chegada_utc",
        "km_declarado",
    ),
    *_AS_DECLARED,
)
"""What the audit reads of a declared trip, but for its `arquivo_id`."""
SEGMENTS = TRIPS.only(
    *("placa", "equipamento", "transportadora", "garagem", "motorista_id", "motorista", "distancia_km"),
    *TRIP_SEGMENTS.names,
)
"""What the audit reads of a measured trip, but for where it lies in raw."""
_SOURCES = ("odometro", "telemetria", "mista")
_SITUATIONS = [s for s in SITUATIONS if s != "ok"]
# What each set of odometer flags, a bit each, is called.
_FLAGS = [
    ";".join(s for bit, s in enumerate(_SITUATIONS) if flags >> bit & 1) or "ok"
    for flags in range(1 << len(_SITUATIONS))
]


# A trip under a wrong date is a day off; who else may claim what it is held against is another day off, and
# what they have of their own, and whose devices they carry, lies a third day off.
HOUR_DAYS, FILE_DAYS = 3, 4
"""How many days of telemetry, and of boletins, on each side of a day its trips may depend on."""
UNHEARD = ["fonte", "placa", "equipamento", "veiculo_id", "inicio_utc"]
"""A vehicle as far as its carrier names it, and the hour in which nothing is known of it."""


@dataclass(frozen=True)
class AuditInputs:
    """What the audit of a window looks at; rows beyond its reach change nothing.

    declared: under contract DECLARED, and `arquivo_id` (text); `FILE_DAYS` around the window.
    segments: under contract SEGMENTS, `fonte` (text: which source heard it), and `raw_key`, `raw_sha256`
        (text, may be missing); those that depart on the `HOUR_DAYS` around the window.
    hours: of those days, see `Sources`.
    vehicles, drivers, contracts, substitutions, acceptances: the reference tables, where there are any.
    heard: which sources heard which vehicle lately, see `Sources`.
    unheard: columns UNHEARD, a row an hour and vehicle that its source was asked for in vain.
    names: of drivers, by what stands for them in the tables; who is not in it differs from nobody.
    """

    declared: pd.DataFrame
    segments: pd.DataFrame
    hours: pd.DataFrame
    vehicles: pd.DataFrame | None = None
    drivers: pd.DataFrame | None = None
    contracts: pd.DataFrame | None = None
    substitutions: pd.DataFrame | None = None
    acceptances: pd.DataFrame | None = None
    heard: pd.DataFrame | None = None
    unheard: pd.DataFrame | None = None
    names: Mapping[str, str] = field(default_factory=dict)

    @property
    def sources(self) -> Sources:
        """Which sources serve whom, and which hours they answered."""
        return Sources(self.hours, self.vehicles, self.heard, self._unheard_by_name())

    def _unheard_by_name(self) -> pd.DataFrame | None:
        if self.unheard is None or self.unheard.empty:
            return None
        # Trips of other hours may tell the plate, where the carrier's list of vehicles does not.
        known = self.segments.dropna(subset="placa").drop_duplicates(["fonte", "veiculo_id", "placa"])
        known = known.drop_duplicates(["fonte", "veiculo_id"], keep=False)
        plates = known.set_index(known["fonte"] + ":" + known["veiculo_id"])["placa"]
        ids = self.unheard["fonte"] + ":" + self.unheard["veiculo_id"]
        named = self.unheard.assign(placa=self.unheard["placa"].fillna(ids.map(plates).astype("str")))
        return self.unheard.assign(veiculo=vehicle_names(named, self.vehicles))


@dataclass(frozen=True)
class AuditedTrips:
    """The trips of a window (VALIDATED_TRIPS) and the measured trips that they cover (TRIP_SEGMENTS).

    `leans`: some have one side only, or found the other under a wrong date or hour, so that days further away
    may tell more of them. `swaps`: `Swaps.pairs` of the window's days; `devices_in_doubt`: `Swaps.in_doubt`.
    """

    trips: pd.DataFrame
    segments: pd.DataFrame
    leans: bool
    swaps: pd.DataFrame
    devices_in_doubt: bool


def validate_trips(
    inputs: AuditInputs,
    start: datetime,
    end: datetime,
    rules: AuditRules,
    zone: ZoneInfo,
) -> AuditedTrips:
    """The trips that the window [start, end) owns, sorted by (`saida_utc`, `viagem_id`).

    What several sources heard of one vehicle is counted once; what was set aside is in neither table.

    A declared trip belongs to the day of its departure. A measured one belongs to the declared trip that
    covers it, else to its own day. The order of the rows, and rows out of reach, change nothing: a day alone
    gives what it gives within its month.

    Args:
        inputs: both sides, the hours' states and the reference tables.
        start, end: midnights of the contract's zone.
        rules: the tolerances.
        zone: the contract's; days are cut in it.
    """
    declared = _departing(inputs.declared, start, end, FILE_DAYS, zone)
    segments = _departing(inputs.segments, start, end, HOUR_DAYS, zone)
    heard_as = vehicle_names(segments, inputs.vehicles)
    instead = recorded(declared, inputs.substitutions, zone)
    around = (_midnight(start, -2, zone).date(), _midnight(end, 1, zone).date())
    said = instead.fillna(declared["placa"])
    swaps = find_swaps(declared, said, segments, heard_as, around, rules, zone)
    segments = segments.assign(aparelho_trocado=(heard_as != swaps.really).to_numpy())
    ran = who_ran(declared, instead, segments, swaps.really, rules)
    sides = Sides.of(declared, ran, segments, swaps.really, inputs.drivers)
    heard = _heard(sides, inputs.sources, rules)
    sides = replace(sides, segments=sides.segments.take(heard.movements.stays))
    told = _told(sides, rules, zone)
    pairs = Pairs.of(sides, told.shares, microsecond(start), microsecond(end))
    days = business_days(pd.Series(instants(pairs.departure)), zone)
    # NumPy and Arrow work without the interpreter's lock: a second core makes half of the columns.
    with ThreadPoolExecutor(_CORES) as cores:
        covered = cores.submit(_segments_of, sides, pairs)
        parts = cores.map(
            lambda make: make(),
            [
                lambda: _evidence_columns(
                    sides, pairs, told.groups, inputs.sources, heard, rules, days, zone
                ),
                lambda: _vehicle_columns(sides, pairs, inputs, rules, days),
                lambda: _declared_columns(sides, pairs),
                lambda: _measured_columns(sides.segments, pairs, told.groups),
                lambda: _source_columns(sides.segments, pairs, heard),
                lambda: _driver_columns(sides, pairs, told.groups, inputs.names),
                lambda: _time_columns(sides, pairs, told.groups),
                lambda: _group_columns(pairs, told),
            ],
        )
        columns = {name: column for part in parts for name, column in part.items()}
        trips = pd.DataFrame(columns, copy=False)
        trips["aceita"] = accepted(trips, days, inputs.acceptances, zone)
        first, after = (str(bound.astimezone(zone).date()) for bound in (start, end))
        asked = (swaps.pairs["dia"] >= first) & (swaps.pairs["dia"] < after)
        found = swaps.pairs[asked].reset_index(drop=True)
        leans = told.leans(sides, pairs, microsecond(start), microsecond(end))
        return AuditedTrips(judge(trips, rules, days), covered.result(), leans, found, swaps.in_doubt)


@dataclass(frozen=True)
class _Told:
    """Which declared trip each segment chose, for its time or as one of a wrong date or hour (`misplaced`);
    which trips are judged together, and what each has of the segments."""

    chosen: np.ndarray
    misplaced: np.ndarray  # [segment]
    groups: Groups
    shares: Shares

    def leans(self, sides: Sides, pairs: Pairs, start: int, end: int) -> bool:
        """Whether trips of [start, end) are of one side, or found the other under a wrong date or hour."""
        segments = np.flatnonzero(self.misplaced)
        departures = np.append(
            sides.segments.times.start[segments], sides.declared.times.start[self.chosen[segments]]
        )
        one_sided = (pairs.declared < 0) | (pairs.first_segment < 0)
        return bool(one_sided.any() or ((departures >= start) & (departures < end)).any())


def _told(sides: Sides, rules: AuditRules, zone: ZoneInfo) -> _Told:
    declared, segments = sides.declared, sides.segments
    by_time = match(declared, segments, rules)
    days = [day_numbers(pd.Series(instants(side.times.start)), zone) for side in (declared, segments)]
    groups = find_groups(declared, segments, by_time, days[0], rules)
    chosen = find_misplaced(
        declared,
        segments,
        (
            _readings(declared, "km_{}", np.ones(len(declared), bool)),
            _readings(segments, "odometro_{}_km", _good(segments)),
        ),
        (days[0], days[1]),
        by_time,
        groups.together,
        rules.match_minutes * _MINUTE,
    )
    return _Told(chosen, chosen != by_time, groups, find_shares(declared, segments, chosen, groups))


@dataclass(frozen=True)
class _Heard:
    """What counts of all that was heard; `source` is the number in `names` for each segment that stays."""

    names: list[str]
    source: np.ndarray
    movements: Movements


def _heard(sides: Sides, sources: Sources, rules: AuditRules) -> _Heard:
    segments = sides.segments
    number, names = pd.factorize(segments.frame["fonte"], sort=True)
    source = number[segments.row]
    registered = names.get_indexer(pd.Index(sides.vehicles.map(sources.registered())))
    movements = count_once(
        segments.times.capped(rules.max_trip_hours), segments.metres, _good(segments), source, registered
    )
    return _Heard(names.tolist(), source[movements.stays], movements)


def _source_columns(segments: Side, pairs: Pairs, heard: _Heard) -> dict[str, Any]:
    """Which source measured each trip, why that one, and what another one would have measured."""
    source, metres = heard.source[pairs.segment], pairs.metres
    none = pairs.first_segment < 0
    first, last = pairs.fold(np.minimum, source, -1), pairs.fold(np.maximum, source, -1)
    names = _labels(first, heard.names)
    for trip in np.flatnonzero(first != last).tolist():
        several = np.unique(source[pairs.trip == trip])
        names[trip] = ";".join(heard.names[n] for n in several)
    measured, other = pairs.fold(np.add, metres), np.full(len(none), -1)
    for metres_of_other in heard.movements.other_m.values():
        theirs = metres_of_other[pairs.segment]
        theirs = np.where(theirs > 0, pairs.parts_of(theirs, segments.metres), theirs)
        heard_it = pairs.fold(np.logical_or, theirs >= 0)
        instead = pairs.fold(np.add, np.where(theirs >= 0, theirs, metres))
        farther = (other < 0) | (np.abs(instead - measured) > np.abs(other - measured))
        other = np.where(heard_it & farther, instead, other)
    reason = pairs.fold(np.maximum, heard.movements.reason[pairs.segment])
    return {
        "fonte_telemetria": names,
        "motivo_fonte": _labels(np.where(none, -1, reason), SOURCE_REASONS),
        "km_outra_fonte": decimals(other, KM, pd.RangeIndex(len(other)), other < 0),
    }


def _vehicle_columns(
    sides: Sides, pairs: Pairs, inputs: AuditInputs, rules: AuditRules, days: pd.Series
) -> pd.DataFrame:
    """Of `vehicles` where the plate is in it, else as the boletim or the API say; and their prices."""
    declared, segments, vehicles = sides.declared, sides.segments, inputs.vehicles
    vehicle = np.where(
        pairs.declared >= 0,
        np.append(declared.times.vehicle, -1)[pairs.declared],
        np.append(segments.times.vehicle, -1)[pairs.first_segment],
    )
    names = ["equipamento", "transportadora", "tipo", "operacao", "rota", "garagem"]
    plates = sides.plates
    if vehicles is None:
        of_vehicle = pd.DataFrame(index=plates, columns=names, dtype="str")
        known = np.zeros(len(plates), bool)
    else:
        of_vehicle = vehicles.set_index("placa").reindex(plates)[names]
        known = plates.isin(vehicles["placa"]).to_numpy()

    def first_known(name: str, *others: tuple[Side, str, np.ndarray]) -> pd.Series:
        values = pa.array(of_vehicle[name].array.take(vehicle))
        for side, column, trips in others:
            if values.null_count:
                values = pc.coalesce(values, pa.array(side.column(column, trips)))
        return pd.Series(values, dtype="str")

    by_sheet, by_api = pairs.declared, pairs.first_segment
    plate = plates.array.take(vehicle)
    # The fleet number beside another plate may be that plate's.
    own_number = np.where(np.append(sides.substituted, False)[by_sheet], -1, by_sheet)
    columns = {
        "viagem_id": pairs.ids,
        "fonte": _labels(
            np.select([by_sheet < 0, by_api < 0], [2, 1], 0), ("ambos", "boletim", "telemetria")
        ),
        "veiculo": sides.vehicles.array.take(vehicle),
        "placa": plate,
        "equipamento": first_known(
            "equipamento", (declared, "equipamento", own_number), (segments, "equipamento", by_api)
        ),
        "transportadora": first_known(
            "transportadora", (declared, "empresa", by_sheet), (segments, "transportadora", by_api)
        ),
        "tipo": first_known("tipo"),
        "operacao": first_known("operacao"),
        "rota": first_known("rota"),
        "garagem": first_known("garagem", (segments, "garagem", by_api)),
        "veiculo_conhecido": known[vehicle],
    }
    return price_trips(pd.DataFrame(columns, copy=False), inputs.contracts, days, rules)


def _declared_columns(sides: Sides, pairs: Pairs) -> dict[str, Any]:
    declared, trips = sides.declared, pairs.declared
    other = np.append(sides.substituted, False)[trips]
    km = decimals(np.append(declared.metres, 0)[trips], KM, pd.RangeIndex(len(trips)), missing=trips < 0)
    said = declared.columns(["empresa", *_AS_DECLARED], trips)
    return {
        "km_declarado": km,
        "placa_declarada": declared.column("placa", np.where(other, trips, -1)),
        "empresa_declarada": said.pop("empresa"),
        "declaracoes": np.append(declared.copies, 0)[trips],
        **said,
    }


def _measured_columns(segments: Side, pairs: Pairs, groups: Groups) -> dict[str, Any]:
    """What each trip's segments add up to; missing where it has none."""
    rows = segments.row[pairs.segment]
    none = pairs.first_segment < 0
    by_odometer = (segments.frame["fonte_distancia"] == "odometro").to_numpy()[rows]
    some, every = (pairs.fold(fold, by_odometer) for fold in (np.logical_or, np.logical_and))
    situation, different = pd.factorize(segments.frame["situacao_odometro"])
    flags = np.array([_FLAGS.index(s) for s in different], np.int64)[situation[rows]]
    km = pairs.fold(np.add, pairs.metres)
    said = segments.frame["distancia_telemetria_km"].to_numpy()[rows]
    reported = pairs.fold(np.add, pairs.parts_of(metres(said), segments.metres))
    unsaid = pairs.fold(np.logical_or, np.isnan(said))
    swapped = segments.frame["aparelho_trocado"].to_numpy()[rows]
    return {
        "aparelho_trocado": pairs.fold(np.logical_or, swapped),
        "segmentos": pairs.fold(np.add, np.ones(len(rows), np.int64)),
        "km_medido": decimals(km, KM, pd.RangeIndex(len(km)), none),
        "fonte_distancia": _labels(np.select([none, every, ~some], [-1, 0, 1], 2), _SOURCES),
        "situacao_odometro": _labels(np.where(none, -1, pairs.fold(np.bitwise_or, flags)), _FLAGS),
        "km_telemetria": decimals(reported, KM, pd.RangeIndex(len(km)), none | unsaid),
        **_reading_columns(segments, pairs, groups),
    }


def _reading_columns(segments: Side, pairs: Pairs, groups: Groups) -> dict[str, Any]:
    """The device of each trip's segments, and its odometer as the first departs and as the last arrives; of
    trips that are judged together, as the first and the last of them do."""
    rows, good = segments.row[pairs.segment], _good(segments)[pairs.segment]
    source, sources = pd.factorize(segments.frame["fonte"])
    number, numbers = pd.factorize(segments.frame["veiculo_id"])
    device, different = pd.factorize(source * len(numbers) + number)
    of, own = np.divmod(different, max(len(numbers), 1))
    names = (sources.take(of) + ":" + numbers.take(own)).tolist()
    device = device[rows]
    least, most = pairs.fold(np.minimum, device, -1), pairs.fold(np.maximum, device, -1)
    found: dict[str, Any] = {"aparelho": _labels(np.where(least == most, least, -1), names)}
    after = np.append(pairs.begin, len(rows))[1:]
    for name, at, ends in (("saida", pairs.begin, groups.opens), ("chegada", after - 1, groups.closes)):
        reading = np.full(len(pairs.ids), np.nan)
        odometer = segments.frame[f"odometro_{name}_km"].to_numpy()[rows[at]]
        reading[pairs.trip[at]] = np.where(good[at], odometer, np.nan)
        found[f"leitura_{name}_km"] = np.where(np.append(ends, True)[pairs.declared], reading, np.nan)
    return found


def _driver_columns(sides: Sides, pairs: Pairs, groups: Groups, names: Mapping[str, str]) -> dict[str, Any]:
    """Both sides' drivers; False where both are known by name and no segment's is the declared one."""
    declared = np.append(sides.declared.driver, -1)[pairs.declared]
    measured = sides.segments.driver[pairs.segment]
    known = np.where(measured >= 0, np.arange(len(measured)), len(measured))
    first = np.append(measured, -1)[pairs.fold(np.minimum, known, len(measured))]

    # Of trips that are judged together the device names who drove the first, and nobody else.
    alone = np.append(groups.opens, False)[pairs.declared][pairs.trip]
    asked = np.flatnonzero((measured >= 0) & (declared[pairs.trip] >= 0))
    same = np.zeros(len(measured), bool)
    plain_names = sides.drivers.map(lambda who: plain_name(names.get(who, ""))).astype("str")
    same[asked] = same_driver(declared[pairs.trip[asked]], measured[asked], plain_names)
    drivers = sides.drivers.tolist()
    return {
        "motorista_declarado": _labels(declared, drivers),
        "motorista_medido": _labels(first, drivers),
        "motorista_confere": (declared < 0) | (first < 0) | pairs.fold(np.logical_or, same | ~alone),
    }


def _group_columns(pairs: Pairs, told: _Told) -> dict[str, Any]:
    """With whom it is judged, and what is known of those around it."""
    groups, declared = told.groups, pairs.declared
    misplaced = np.zeros(len(groups.first), bool)
    misplaced[told.chosen[told.misplaced]] = True
    first = np.append(np.where(groups.together, pairs.trip_of_declared[groups.first], -1), -1)[declared]
    flags = {
        "cruza_dia": groups.crosses_day,
        "medicao_de_outra": groups.spoken_for & ~misplaced,
        "data_ou_horario_a_corrigir": misplaced,
    }
    return {
        "grupo": pairs.ids.take(first, allow_fill=True),
        **{name: np.append(flag, False)[declared] for name, flag in flags.items()},
    }


def _time_columns(sides: Sides, pairs: Pairs, groups: Groups) -> dict[str, Any]:
    """When: declared, measured, and how far apart; between the trips of a group nobody knows."""
    segments = sides.segments.times.take(pairs.segment)
    start, end = pairs.fold(np.minimum, segments.start), pairs.fold(np.maximum, segments.end)
    said, measured = pairs.declared >= 0, pairs.first_segment >= 0
    departure = pairs.departure
    arrival = np.where(said, np.append(sides.declared.times.end, 0)[pairs.declared], end)
    both = said & measured
    opens, closes = (np.append(ends, False)[pairs.declared] for ends in (groups.opens, groups.closes))
    return {
        "saida_utc": instants(departure),
        "chegada_utc": instants(arrival),
        "saida_medida_utc": instants(np.where(measured, start, MISSING)),
        "chegada_medida_utc": instants(np.where(measured, end, MISSING)),
        "dif_saida_min": np.where(both & opens, (start - departure) / _MINUTE, np.nan),
        "dif_chegada_min": np.where(both & closes, (end - arrival) / _MINUTE, np.nan),
    }


def _evidence_columns(
    sides: Sides,
    pairs: Pairs,
    groups: Groups,
    sources: Sources,
    heard: _Heard,
    rules: AuditRules,
    days: pd.Series,
    zone: ZoneInfo,
) -> dict[str, Any]:
    """How sure we are of what was, or was not, measured in each declared window, a group's as a whole;
    missing without one."""
    said, claimed_m = groups.journeys(sides.declared)
    # One that lasts no time is taken for a microsecond, and so counts as its hour and its gap do.
    said = replace(said, end=np.maximum(said.end, said.start + 1))
    # What its segments fill of it, each once.
    first_share = np.full(len(sides.segments), len(pairs.segment))
    np.minimum.at(first_share, pairs.segment, np.arange(len(pairs.segment)))
    once = np.flatnonzero((first_share[pairs.segment] == np.arange(len(pairs.segment))) & _is_declared(pairs))
    of_trip = pairs.declared[pairs.trip[once]]
    together = np.maximum(common(said.take(of_trip), sides.segments.times.take(pairs.segment[once])), 0)

    # In order of vehicle and departure, as searches are fastest.
    owned = np.flatnonzero(pairs.trip_of_declared >= 0)
    declared, trips = said.take(owned), pairs.trip_of_declared[owned]
    odometers = _odometers(sides.segments, heard.source)

    def filled(metered: np.ndarray) -> np.ndarray:
        inside = np.zeros(len(said), np.int64)
        np.add.at(inside, groups.first[of_trip], np.where(metered, together, 0))
        return inside[groups.first[owned]] / (declared.end - declared.start)

    since, until = (bound[trips] for bound in _neighbouring_days(days, zone))
    covered = filled(odometers.good[pairs.segment[once]]) >= 1
    signal, unseen = hear(declared, sides.segments.times, odometers, since, until, covered, claimed_m[owned])
    search = declared.start - rules.match_minutes * _MINUTE
    coverage = sources.coverage(sides.vehicles)
    unseen_m = np.zeros(len(said), np.int64)
    unseen_m[owned] = unseen

    def spread(values: np.ndarray, missing: Any) -> np.ndarray:
        every = np.full(len(pairs.ids), missing, values.dtype)
        every[trips] = values
        return every

    signal = spread(signal, -1)
    unseen = spread(groups.parts(unseen_m, sides.declared.metres)[owned], 0)
    return {
        "sobreposicao": spread(np.minimum(filled(np.ones(len(once), bool)), 1), np.nan),
        "cobertura": spread(coverage.share(declared.vehicle, declared.start, declared.end), np.nan),
        "cobertura_busca": spread(coverage.share(declared.vehicle, search, declared.end), np.nan),
        "sinal": _labels(signal, SIGNALS),
        "km_sem_sinal": decimals(unseen, KM, pd.RangeIndex(len(signal)), (signal < 0) | (signal == UNKNOWN)),
    }


def _is_declared(pairs: Pairs) -> np.ndarray:
    return pairs.declared[pairs.trip] >= 0


def _odometers(segments: Side, source: np.ndarray) -> Odometers:
    read = _readings(segments, "odometro_{}_km", _good(segments))
    return Odometers(source, read.known, read.start_m, read.end_m, segments.metres)


def _readings(side: Side, name: str, good: np.ndarray) -> Readings:
    """The odometers of a side's trips, known where both are there and they are `good`."""
    start, end = (side.frame[name.format(at)].to_numpy()[side.row] for at in ("saida", "chegada"))
    known = good & ~np.isnan(start + end)
    return Readings(metres(np.where(known, start, 0)), metres(np.where(known, end, 0)), known)


def _good(segments: Side) -> np.ndarray:
    return (segments.frame["situacao_odometro"] == "ok").to_numpy()[segments.row]


def _neighbouring_days(days: pd.Series, zone: ZoneInfo) -> tuple[np.ndarray, np.ndarray]:
    """The first instant of the day before each of these, and the first after the day after it."""
    day, different = pd.factorize(days)
    midnights = [datetime.combine(date.fromisoformat(d), time(), zone) for d in different]
    since = np.array([microsecond(_midnight(m, -1, zone)) for m in midnights], np.int64)
    until = np.array([microsecond(_midnight(m, 2, zone)) for m in midnights], np.int64)
    return since[day], until[day]


def _segments_of(sides: Sides, pairs: Pairs) -> pd.DataFrame:
    """The segments of the trips under contract TRIP_SEGMENTS, in order of vehicle and departure."""
    order = np.argsort(pairs.segment, kind="stable")
    segment, side = pairs.segment[order], sides.segments
    made = {
        "viagem_id": pairs.ids.take(pairs.trip[order]),
        "veiculo": sides.vehicles.array.take(side.times.vehicle[segment]),
        "km_medido": decimals(pairs.metres[order], KM, pd.RangeIndex(len(segment))),
    }
    rows, at = side.frame[[n for n in TRIP_SEGMENTS.names if n not in made]], side.row[segment]
    if not np.array_equal(at, np.arange(len(rows))):  # a month that is in order need not be moved
        rows = rows.take(at)
    return rows.reset_index(drop=True).assign(**made)[TRIP_SEGMENTS.names]


def _labels(numbers: np.ndarray, texts: Sequence[str]) -> pd.api.extensions.ExtensionArray:
    """The text of each number; missing for -1."""
    return pd.array(texts, dtype="str").take(numbers, allow_fill=True)


def _departing(
    frame: pd.DataFrame, start: datetime, end: datetime, days: int, zone: ZoneInfo
) -> pd.DataFrame:
    """The rows that depart on the days of the window, or on so many around them."""
    first, after = _midnight(start, -days, zone), _midnight(end, days, zone)
    inside = ((frame["saida_utc"] >= first) & (frame["saida_utc"] < after)).to_numpy()
    return frame if inside.all() else frame[inside]


def _midnight(instant: datetime, days: int, zone: ZoneInfo) -> datetime:
    """The local midnight so many days after that of an instant's day."""
    return datetime.combine(instant.astimezone(zone).date() + timedelta(days=days), time(), zone)
