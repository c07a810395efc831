"""What was asked without a proof, against what the vehicle's odometer moved meanwhile.

    day           Fri                    Sat          Sun          Mon
    measured      |--t1--|                                         |--t4--|
    declared      |--t1--|  |-t2-|    |---t3---|                   |--t4--|
    odometer    1,000  1,020                                     1,030  1,050

Nothing was heard from Friday to Monday, so that t2 and t3 are `inconclusivo`, each for itself. Between the
readings that enclose both the odometer moved 10 km: t2 and t3 together can cost no more.

An interval goes from a reading to the next one of the vehicle that lies clear of all trips without a proof,
by the tolerance of clocks. So each of these lies in one interval as a whole, also from one cycle to the next.
"""

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Literal
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from telemetria_pipeline.contracts.base import KM, MONEY
from telemetria_pipeline.contracts.billing import ODOMETER_RECONCILIATION
from telemetria_pipeline.core.audit.phrases import km_text, money_text
from telemetria_pipeline.core.audit.rules import AuditRules
from telemetria_pipeline.core.audit.signal import NOISE_M
from telemetria_pipeline.core.audit.timeline import (
    MISSING,
    Axis,
    instants,
    microsecond,
    microseconds,
    sorting,
)
from telemetria_pipeline.core.exact import PRICE_UNITS_A_CENT, apportioned, decimals, half_up, metres, units
from telemetria_pipeline.core.telemetry.odometer import MAX_KMH, SLACK_KM

_USED = [
    *("viagem_id", "veiculo", "transportadora", "operacao", "aparelho", "fontes_discordam", "segmentos"),
    *("saida_utc", "chegada_utc", "saida_medida_utc", "chegada_medida_utc"),
    *("leitura_saida_km", "leitura_chegada_km", "km_declarado", "km_medido", "km_auditado"),
    *(
        "veredito",
        "base_auditoria",
        "cobertura",
        "cobertura_busca",
        "sinal",
        "cruza_dia",
        "km_sem_sinal",
        "km_outra_fonte",
    ),
    *("tarifa_brl_km", "tolerancia_pct", "tolerancia_km"),
]
_MINUTE, _DAY = 60_000_000, 86_400_000_000
_READABLE_KM = 10_000_000  # no bus gets there: what is more is no reading, and would not fit the sums

# What is known of an interval: the first that holds.
NO_BEFORE, NO_AFTER, OTHER_DEVICE, RAN_BACK, TOO_FAST, KNOWN = range(6)
_WHY_NOT = (
    "não há leitura boa do odômetro antes",
    "não há leitura boa do odômetro depois",
    "outro aparelho foi lido nesse meio tempo",
    "o odômetro voltou nesse meio tempo",
    "o odômetro andou mais do que um ônibus pode",
)
_BETWEEN = (
    "Entre {before_km} km em {before} e {after_km} km em {after} o odômetro de {device} andou {moved} km"
)
_OTHERS = ", {others} km deles em outras viagens medidas"
_SENTENCES = {
    "ok": "{between}: cabem{tolerated} os {asked} km de {trips}.",
    "divergente": "{between}: dos {asked} km de {trips} cabem {room} km. "
    "Neste ciclo não se pagam {excess} km, {money}.",
    "inconclusivo": "{trips} ({asked} km), e {why}: valem os km declarados, neste ciclo {money}.",
}


@dataclass(frozen=True)
class Reconciled:
    """A cycle's trips as they were given, judged by their odometers; contract ODOMETER_RECONCILIATION."""

    trips: pd.DataFrame
    intervals: pd.DataFrame


def reconcile(
    trips: pd.DataFrame, around: pd.DataFrame, biased: pd.DataFrame, rules: AuditRules, zone: ZoneInfo
) -> Reconciled:
    """Judge the trips without a proof by what the odometer moved; the order of the rows changes nothing.

    Where those of an interval ask for more than fits, all of them are `divergente` and paid what fits, never
    more than before.

    Args:
        trips: the cycle's, under contract VALIDATED_TRIPS and perhaps more columns, judged.
        around: those of the days beside it, likewise, as far as `not_enclosed` asks for them.
        biased: devices whose odometers are not believed, see `devices`.
        rules: how far apart in time trips may be.
        zone: whose clocks the sentences show.
    """
    rows, at = _of_vehicles(trips, around, _unproven(trips))
    paid, measured = units(rows["km_auditado"]), units(rows["km_medido"])
    spans = _Spans.of(rows, _unproven(rows), rules)
    asked = np.flatnonzero(spans.asked)
    departures = microseconds(rows["saida_utc"])[asked]
    asked = asked[sorting(departures, rows.take(asked).reset_index(drop=True), ["viagem_id"])]
    slots, cell = np.unique(spans.slot[asked], return_inverse=True)
    intervals = _Intervals.of(spans, slots, biased)

    def sums(values: np.ndarray) -> np.ndarray:
        found = np.zeros(len(slots), np.int64)
        np.add.at(found, cell, values)
        return found

    def most(column: str) -> np.ndarray:
        found = np.zeros(len(slots), np.int64)
        np.maximum.at(found, cell, units(rows[column])[asked])
        return found

    others = _measured_beside(spans, slots, measured)
    claim, floor = paid[asked], np.minimum(paid, measured)[asked]
    claims, floors = sums(claim), sums(floor)
    # An odometer that measures too little does so of every trip: what is left of it counts as the tracker's.
    left = np.maximum(intervals.moved_m - others, 0)
    room = np.maximum(left * intervals.tracker_m // intervals.odometer_m, floors)
    excess = claims - room
    tolerated = np.maximum(most("tolerancia_km"), NOISE_M)
    beyond = intervals.known & (excess * 10_000 > most("tolerancia_pct") * room) & (excess > tolerated)

    # Each gets what it measured itself, and of the rest a part in proportion to what it asks beyond that.
    cut = beyond[cell]
    of, now = cell[cut], paid.copy()
    rest = apportioned((claim - floor)[cut] * (room - floors)[of], (claims - floors)[of], of)
    now[asked[cut]] = floor[cut] + rest

    mine = asked < len(at)
    judged, km = np.zeros(len(trips), bool), units(trips["km_auditado"])
    judged[at[asked[cut & mine]]] = True
    km[at] = now[: len(at)]
    of_cycle = rows.take(asked[mine]).assign(
        cell=cell[mine], pedidos_m=paid[asked[mine]], pagos_m=now[asked[mine]]
    )
    found = pd.DataFrame({"medidos_m": others, "pedidos_m": claims, "cabem_m": room, "beyond": beyond})
    found["viagens"] = np.bincount(cell, minlength=len(slots))
    return Reconciled(
        trips.assign(
            veredito=trips["veredito"].mask(judged, "divergente"),
            base_auditoria=trips["base_auditoria"].mask(judged, "odometro"),
            km_auditado=decimals(km, KM, trips.index),
        ),
        _table(intervals.frame().join(found), of_cycle, spans, zone),
    )


def not_enclosed(
    trips: pd.DataFrame, around: pd.DataFrame, rules: AuditRules, since: datetime, until: datetime
) -> tuple[set[str], set[str]]:
    """Vehicles of the cycle of which an earlier day must be read, and of which a later one must.

    They have trips that may be without a proof, whatever the tolerances are, and no reading yet before, or
    after, them. Whoever has none before needs none after.

    Args:
        trips, around: as `reconcile` takes them, so far.
        since, until: a reading that is not between them does not end the search, for a trip of a day that
            was not read yet may lie across it.
    """
    rows, at = _of_vehicles(trips, around, _doubtful(trips))
    spans = _Spans.of(rows, _doubtful(rows), rules)
    slots = np.unique(spans.slot[: len(at)][spans.asked[: len(at)]])
    found = _Intervals.of(spans, slots, pd.DataFrame())
    instant = np.append(spans.instant, 0)
    before, after = (at >= 0 for at in (found.before, found.after))
    sought_before = ~before | (instant[found.before] < microsecond(since))
    sought_after = before & (~after | (instant[found.after] > microsecond(until)))
    names = spans.names[found.vehicle]
    return set(names[sought_before]), set(names[sought_after])


def _of_vehicles(
    trips: pd.DataFrame, around: pd.DataFrame, where: np.ndarray
) -> tuple[pd.DataFrame, np.ndarray]:
    """All trips of the vehicles that have one `where` it says so: the cycle's, whose positions are given too,
    then those around it."""
    vehicles = trips.loc[where, "veiculo"].unique()
    at = np.flatnonzero(trips["veiculo"].isin(vehicles))
    beside = around.loc[around["veiculo"].isin(vehicles), _USED]
    return pd.concat([trips[_USED].take(at), beside], ignore_index=True), at


def _doubtful(rows: pd.DataFrame) -> np.ndarray:
    """Whether a trip may be without a proof, under whatever tolerances."""
    doubt = (rows["cobertura"] < 1) | (rows["cobertura_busca"] < 1) | (rows["sinal"] != "presente")
    doubt |= rows["cruza_dia"] | rows["km_outra_fonte"].notna()
    return doubt.to_numpy(bool) & (units(rows["km_declarado"]) > 0)


def _unproven(rows: pd.DataFrame) -> np.ndarray:
    """Whether a declared trip is paid for kilometres that no segment measured: nobody knows better, or the
    odometer moved unseen, maybe for several of them at once."""
    unseen = (rows["veredito"] == "divergente") & (units(rows["km_sem_sinal"]) > 0)
    stands = (rows["veredito"] == "inconclusivo") & (rows["base_auditoria"] == "boletim_substitui")
    paid = rows["km_declarado"].notna() & (units(rows["km_auditado"]) > 0)
    return (paid & (stands | unseen)).to_numpy(bool)


def _measured_beside(spans: "_Spans", slots: np.ndarray, measured: np.ndarray) -> np.ndarray:
    """The metres measured of all other trips that lie in each of the slots as a whole."""
    found = np.zeros(len(slots), np.int64)
    if len(slots):
        beside = np.flatnonzero(~spans.asked & spans.measured)
        slot = spans.slot[beside]
        at = np.minimum(np.searchsorted(slots, slot), len(slots) - 1)
        inside = (slots[at] == slot) & (slot == spans.slot_of_end[beside])
        np.add.at(found, at[inside], measured[beside[inside]])
    return found


@dataclass(frozen=True)
class _Spans:
    """When each row's vehicle was under way, and the readings that part the time between them.

    A slot is a vehicle's time between two such readings, before its first or after its last: of readings
    n and n + 1 it is number `vehicle * (readings + 1) + n + 1`.
    """

    names: np.ndarray
    vehicle: np.ndarray  # [row], number in `names`
    start: np.ndarray  # [row], microseconds
    end: np.ndarray
    asked: np.ndarray  # [row], whether it is without a proof
    device: np.ndarray  # [row], -1: none, or several
    measured: np.ndarray  # [row]
    devices: pd.Index
    axis: Axis
    # [reading], those that part the time, in order
    key: np.ndarray
    of_vehicle: np.ndarray
    instant: np.ndarray
    metres: np.ndarray
    of_device: np.ndarray
    backs: np.ndarray  # how often an odometer ran back up to it, counted over all readings
    leaps: np.ndarray

    @classmethod
    def of(cls, rows: pd.DataFrame, asked: np.ndarray, rules: AuditRules) -> "_Spans":
        vehicle, names = pd.factorize(rows["veiculo"], sort=True)
        # Where two sources disagree, the one that counts proves no kilometres.
        alone = rows["aparelho"].mask(rows["fontes_discordam"])
        device, devices = pd.factorize(alone, sort=True)
        measured = rows["segmentos"].to_numpy() > 0
        said = rows["km_declarado"].notna().to_numpy()
        start, end = (microseconds(rows[f"{name}_utc"]) for name in ("saida", "chegada"))
        first, last = (microseconds(rows[f"{name}_medida_utc"]) for name in ("saida", "chegada"))
        both = measured & said & asked
        begin = np.where(both, np.minimum(start, first), np.where(measured, first, start))
        stop = np.where(both, np.maximum(end, last), np.where(measured, last, end))

        at, km, row = [], [], []
        for name, instant in (("saida", first), ("chegada", last)):
            reading = rows[f"leitura_{name}_km"].to_numpy()
            good = np.flatnonzero((reading > 0) & (reading < _READABLE_KM) & (device >= 0) & measured)
            at.append(instant[good])
            km.append(metres(reading[good]))
            row.append(good)
        instant, metre, of = np.concatenate(at), np.concatenate(km), np.concatenate(row)

        slack = rules.match_minutes * _MINUTE + 1
        axis = Axis(begin - slack, stop + slack)
        key = axis.at(vehicle[of], instant)
        order = np.lexsort((metre, key))
        key, instant, metre, of = key[order], instant[order], metre[order], of[order]
        lasted, ran = np.diff(instant, prepend=0), np.diff(metre, prepend=0)
        same = np.diff(vehicle[of], prepend=-1) == 0
        same &= np.diff(device[of], prepend=-1) == 0
        back = same & (ran < -NOISE_M)
        leap = same & (ran > MAX_KMH / 3.6e6 * lasted + SLACK_KM * 1_000)

        from_, to = (
            np.sort(axis.at(vehicle[asked], bound[asked])) for bound in (begin - slack, stop + slack)
        )
        within = np.searchsorted(from_, key, "left") > np.searchsorted(to, key, "right")
        parts = np.flatnonzero(~within)
        return cls(
            names=np.asarray(names, object),
            vehicle=vehicle,
            start=begin,
            end=stop,
            asked=asked,
            device=device,
            measured=measured,
            devices=pd.Index(devices),
            axis=axis,
            key=key[parts],
            of_vehicle=vehicle[of][parts],
            instant=instant[parts],
            metres=metre[parts],
            of_device=device[of][parts],
            backs=np.cumsum(back)[parts],
            leaps=np.cumsum(leap)[parts],
        )

    @cached_property
    def slot(self) -> np.ndarray:
        """The slot in which each row departs."""
        return self._slots(self.start, "right")

    @cached_property
    def slot_of_end(self) -> np.ndarray:
        """That in which it arrives."""
        return self._slots(self.end, "left")

    def _slots(self, instant: np.ndarray, side: Literal["left", "right"]) -> np.ndarray:
        passed = np.searchsorted(self.key, self.axis.at(self.vehicle, instant), side)
        before = np.searchsorted(self.of_vehicle, np.arange(len(self.names)))[self.vehicle]
        return self.vehicle * (len(self.key) + 1) + np.where(passed > before, passed, 0)


@dataclass(frozen=True)
class _Intervals:
    """What the odometer tells of some slots; `before` and `after` are positions of readings, or -1."""

    vehicle: np.ndarray
    before: np.ndarray
    after: np.ndarray
    what: np.ndarray  # NO_BEFORE ... KNOWN
    moved_m: np.ndarray  # 0 where not known
    odometer_m: np.ndarray  # by a biased device in the cycle; 1 by any other
    tracker_m: np.ndarray  # what the tracker said meanwhile, if more; else the same

    @classmethod
    def of(cls, spans: _Spans, slots: np.ndarray, biased: pd.DataFrame) -> "_Intervals":
        vehicle, passed = np.divmod(slots, len(spans.key) + 1)
        before = passed - 1
        next_ = np.minimum(before + 1, len(spans.key) - 1)
        follows = (before >= 0) & (before + 1 < len(spans.key))
        of_vehicle = np.append(spans.of_vehicle, -1)
        after = np.where(follows & (of_vehicle[next_] == vehicle), next_, -1)

        whole = (before >= 0) & (after >= 0)
        (device, metre, back, leap) = (
            np.append(values, 0) for values in (spans.of_device, spans.metres, spans.backs, spans.leaps)
        )
        heard = np.flatnonzero(spans.measured)
        other = device[before] != device[after]
        for slot in (spans.slot[heard], spans.slot_of_end[heard]):
            at = np.minimum(np.searchsorted(slots, slot), max(len(slots) - 1, 0))
            if len(slots):
                strange = (slots[at] == slot) & (spans.device[heard] != device[before[at]])
                other[at[strange]] = True
        what = np.select(
            [before < 0, after < 0, other, back[after] > back[before], leap[after] > leap[before]],
            [NO_BEFORE, NO_AFTER, OTHER_DEVICE, RAN_BACK, TOO_FAST],
            KNOWN,
        )
        moved = np.where(whole & (what == KNOWN), np.maximum(metre[after] - metre[before], 0), 0)
        odometer = tracker = np.ones(len(slots), np.int64)
        if len(biased) and len(spans.devices):
            of_device = biased.reindex(spans.devices[device[before]])
            odometer, tracker = (
                of_device[name].fillna(1).to_numpy(np.int64) for name in ("odometro_m", "rastreador_m")
            )
        return cls(vehicle, before, after, what, moved, odometer, np.maximum(odometer, tracker))

    @property
    def known(self) -> np.ndarray:
        """Whether the odometer tells what the vehicle moved."""
        return self.what == KNOWN

    def frame(self) -> pd.DataFrame:
        """The same as columns."""
        return pd.DataFrame(vars(self))


def _table(found: pd.DataFrame, of_cycle: pd.DataFrame, spans: _Spans, zone: ZoneInfo) -> pd.DataFrame:
    """Contract ODOMETER_RECONCILIATION: of the intervals (`_Intervals`, and their sums in metres) those that
    hold trips of the cycle (`of_cycle`, each with its `cell`, what it asked and what is paid)."""
    tariff = units(of_cycle["tarifa_brl_km"])
    by = of_cycle.assign(
        unpaid=(of_cycle["pedidos_m"] - of_cycle["pagos_m"]) * tariff,
        price=of_cycle["pagos_m"] * tariff,
        priced=of_cycle["tarifa_brl_km"].notna(),
        trips=1,
    ).groupby("cell")
    sums = by[["pedidos_m", "pagos_m", "unpaid", "price", "trips"]].sum().add_suffix("_ciclo")
    rows = found.join(sums.join(by[["transportadora", "operacao"]].first()), how="inner").reset_index(
        drop=True
    )
    priced = by["priced"].any().to_numpy()
    known, beyond = (rows["what"] == KNOWN).to_numpy(), rows["beyond"].to_numpy()
    worth = np.select([beyond, ~known], [rows["unpaid_ciclo"], rows["price_ciclo"]], 0)
    cents = half_up(worth, PRICE_UNITS_A_CENT)

    def reading(values: np.ndarray, at: pd.Series, missing: int) -> np.ndarray:
        return np.append(values, missing)[at.to_numpy()]

    def km(name: str, missing: np.ndarray | None = None) -> pd.Series:
        return decimals(rows[name].to_numpy(np.int64), KM, rows.index, missing)

    before, after = rows["before"], rows["after"]
    begin, end = (reading(spans.instant, at, MISSING) for at in (before, after))
    whole = (begin != MISSING) & (end != MISSING)
    table = pd.DataFrame(
        {
            "veiculo": spans.names[rows["vehicle"]],
            "transportadora": rows["transportadora"],
            "operacao": rows["operacao"],
            "aparelho": spans.devices.array.take(reading(spans.of_device, before, -1), allow_fill=True),
            "leitura_inicial_utc": instants(begin),
            "leitura_inicial_km": decimals(
                reading(spans.metres, before, 0), KM, rows.index, begin == MISSING
            ),
            "leitura_final_utc": instants(end),
            "leitura_final_km": decimals(reading(spans.metres, after, 0), KM, rows.index, end == MISSING),
            "dias": np.where(whole, (end - begin) / _DAY, np.nan),
            "km_andados": km("moved_m", ~known),
            "km_medidos": km("medidos_m"),
            "viagens": rows["viagens"],
            "km_pedidos": km("pedidos_m"),
            "km_que_cabem": km("cabem_m", ~known),
            "viagens_do_ciclo": rows["trips_ciclo"],
            "km_pedidos_ciclo": km("pedidos_m_ciclo"),
            "km_pagos": km("pagos_m_ciclo"),
            "km_excedentes": decimals(
                (rows["pedidos_m_ciclo"] - rows["pagos_m_ciclo"]).to_numpy(np.int64), KM, rows.index
            ),
            "valor_brl": decimals(cents, MONEY, rows.index, ~priced),
            "veredito": np.select([beyond, known], ["divergente", "ok"], "inconclusivo"),
        }
    )
    table["frase"] = _sentences(rows, table, cents, zone)
    table = table.sort_values(["veiculo", "leitura_inicial_utc"], na_position="first", ignore_index=True)
    dtypes = {column.name: column.pandas_dtype for column in ODOMETER_RECONCILIATION.columns}
    return table[ODOMETER_RECONCILIATION.names].astype(dtypes)


def _sentences(rows: pd.DataFrame, table: pd.DataFrame, cents: np.ndarray, zone: ZoneInfo) -> list[str]:
    def clock(name: str) -> pd.Series:
        return table[name].dt.tz_convert(zone).dt.strftime("%d/%m às %H:%M")

    words = pd.DataFrame(
        {
            "before": clock("leitura_inicial_utc"),
            "after": clock("leitura_final_utc"),
            "before_km": km_text(units(table["leitura_inicial_km"])),
            "after_km": km_text(units(table["leitura_final_km"])),
            "device": table["aparelho"],
            "moved": km_text(units(table["km_andados"])),
            "others": km_text(units(table["km_medidos"])),
            "asked": km_text(units(table["km_pedidos"])),
            "room": km_text(units(table["km_que_cabem"])),
            "excess": km_text(units(table["km_excedentes"])),
            "money": money_text(cents),
            "tolerated": np.where(rows["pedidos_m"] > rows["cabem_m"], ", com a tolerância,", ""),
            "why": [_WHY_NOT[what] if what != KNOWN else "" for what in rows["what"]],
            "trips": [f"{n} {'viagem' if n == 1 else 'viagens'} sem prova" for n in rows["viagens"]],
        }
    )
    told = []
    for said, verdict, others in zip(
        words.to_dict("records"), table["veredito"], units(table["km_medidos"]) > 0, strict=True
    ):
        said["between"] = (_BETWEEN + (_OTHERS if others else "")).format_map(said)
        told.append(_SENTENCES[verdict].format_map(said))
    return told
