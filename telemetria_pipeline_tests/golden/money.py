"""The truth about the golden month's money: each cycle's bill, line by line, and what comes after closing."""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction

from telemetria_pipeline.simulator.golden.reference import Terms
from telemetria_pipeline_tests.golden.trips import Known, TrueVerdict, price, terms_of

CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class BillLine:
    """A vehicle under one row of the contracts file in one cycle; distances in metres, money in R$."""

    cycle: date
    plate: str
    operation: str | None
    terms: Terms
    days: int
    declared_m: int
    measured_m: int
    audited_m: int
    free_m: int
    billed_m: int
    variable: Decimal
    fixed: Decimal
    variable_declared: Decimal
    saved: Decimal

    @property
    def total(self) -> Decimal:
        """Variable and fixed."""
        return self.variable + self.fixed


@dataclass(frozen=True, slots=True)
class PricedTrip:
    """What a trip costs: metres beyond the free ones, and its part of the price of its line."""

    trip: TrueVerdict
    billed_m: int
    value: Decimal


@dataclass(frozen=True, slots=True)
class Adjustment:
    """What a trip of a closed cycle turned out to cost; `cause` as the table of adjustments names it.

    A trip that took the place of others has their metres and price before.
    """

    cycle: date
    trip: TrueVerdict
    cause: str
    before_m: int
    after_m: int
    before: Decimal
    after: Decimal

    @property
    def amount(self) -> Decimal:
        """What is charged, or given back."""
        return self.after - self.before


def cycle_of(day: date) -> date:
    """The first day of the billing cycle that a day lies in: the 16th."""
    if day.day >= 16:
        return day.replace(day=16)
    return (day.replace(day=1) - timedelta(days=1)).replace(day=16)


def days_of(cycle: date) -> list[date]:
    """All days of the cycle that begins on `cycle`."""
    days = [cycle]
    while days[-1].day != 15:
        days.append(days[-1] + timedelta(days=1))
    return days


def true_bill(
    known: Known, trips: Sequence[TrueVerdict], cycle: date
) -> tuple[list[BillLine], list[PricedTrip]]:
    """The lines of a cycle's bill by plate, contract and first day, and the trips with their prices."""
    days = days_of(cycle)
    by_line: dict[tuple[str, int], list[TrueVerdict]] = defaultdict(list)
    for trip in trips:
        if trip.terms and cycle_of(trip.day) == cycle:
            by_line[trip.plate, trip.terms.row].append(trip)
    lines, priced = [], []
    for plate in sorted({*known.members, *(t.plate for t in known.terms if t.plate)}):
        member = known.members.get(plate)
        in_force = [terms_of(known, plate, day) for day in days if member is None or member.serves_on(day)]
        served = list(dict.fromkeys(terms for terms in in_force if terms))  # by first day
        for contract in dict.fromkeys(terms.contract for terms in served):
            rows = [terms for terms in served if terms.contract == contract]
            weights = [Fraction(in_force.count(terms), len(days)) for terms in rows]
            fixed = _in_parts([Fraction(t.fixed) * w for t, w in zip(rows, weights, strict=True)])
            free = _half_up(sum(1000 * t.free_km * w for t, w in zip(rows, weights, strict=True)))
            own = sorted((t for r in rows for t in by_line[plate, r.row]), key=lambda t: t.departure)
            beyond = _beyond([t.audited_m for t in own], free)
            declared_beyond = _beyond([t.declared_m or 0 for t in own], free)
            claimed_beyond = _beyond([t.audited_m if t.declared else 0 for t in own], free)
            unspent = free - sum(t.audited_m for t in own) + sum(beyond)
            for terms, amount in zip(rows, fixed, strict=True):
                here = [n for n, trip in enumerate(own) if trip.terms == terms]
                values = _in_parts([Fraction(terms.tariff) * beyond[n] / 1000 for n in here])
                priced += [PricedTrip(own[n], beyond[n], v) for n, v in zip(here, values, strict=True)]
                claimed = price(sum(claimed_beyond[n] for n in here), terms.tariff)
                claims = price(sum(declared_beyond[n] for n in here), terms.tariff)
                audited, billed = sum(own[n].audited_m for n in here), sum(beyond[n] for n in here)
                lines.append(
                    BillLine(
                        cycle=cycle,
                        plate=plate,
                        operation=member.operation if member else None,
                        terms=terms,
                        days=in_force.count(terms),
                        declared_m=sum(own[n].declared_m or 0 for n in here),
                        measured_m=sum(own[n].measured_m or 0 for n in here),
                        audited_m=audited,
                        free_m=audited - billed + (unspent if terms is rows[-1] else 0),
                        billed_m=billed,
                        variable=price(billed, terms.tariff),
                        fixed=amount,
                        variable_declared=claims,
                        saved=claims - claimed,
                    )
                )
    return lines, priced


def true_adjustments(
    cycle: date, before: Sequence[PricedTrip], after: Sequence[PricedTrip]
) -> list[Adjustment]:
    """The trips of a closed cycle that are billed otherwise now, by departure."""
    then, now = {_key(p.trip): p for p in before}, {_key(p.trip): p for p in after}
    gave_place: dict[tuple, list[PricedTrip]] = defaultdict(list)
    for key in sorted(then.keys() - now.keys()):
        if place := _in_its_place(then[key].trip, [now[new].trip for new in now.keys() - then.keys()]):
            gave_place[_key(place)].append(then.pop(key))
    found = []
    for key in sorted({*then, *now}):
        old, new, replaced = then.get(key), now.get(key), gave_place[key]
        known = new or old
        assert known
        was = [*([old] if old else []), *replaced]
        before_m, value_before = sum(p.billed_m for p in was), sum((p.value for p in was), Decimal(0))
        after_m, value_after = (new.billed_m, new.value) if new else (0, Decimal(0))
        if (before_m, value_before) == (after_m, value_after):
            continue
        cause = "viagem_nova" if old is None else "viagem_retirada" if new is None else "km_alterado"
        if replaced:
            cause = "viagem_substituida"
        elif old and new and before_m == after_m:  # tariffs stay: a cent of the line's went elsewhere
            cause = "arredondamento"
        found.append(Adjustment(cycle, known.trip, cause, before_m, after_m, value_before, value_after))
    return found


def _in_its_place(old: TrueVerdict, news: Sequence[TrueVerdict]) -> TrueVerdict | None:
    """The new trip of the vehicle that the old one shares most time with, declared or measured."""

    def shared(new: TrueVerdict) -> timedelta:
        common = min(old.arrival, new.arrival) - max(old.departure, new.departure)
        if old.segments and new.segments:
            ends = old.segments[-1].arrival, new.segments[-1].arrival
            measured = min(ends) - max(old.segments[0].departure, new.segments[0].departure)
            common = max(common, measured)
        return common

    around = [new for new in news if new.plate == old.plate and shared(new) > timedelta(0)]
    return min(around, key=lambda new: (-shared(new), new.departure), default=None)


def _beyond(metres: Sequence[int], free: int) -> list[int]:
    """What is left of each trip when the free metres are used up one trip after the other."""
    left, beyond = free, []
    for driven in metres:
        used = min(left, driven)
        left -= used
        beyond.append(driven - used)
    return beyond


def _in_parts(exact: Sequence[Fraction]) -> list[Decimal]:
    """Amounts to the cent that add up to the sum, half up: who is furthest below gets the next cent."""
    cents = [math.floor(100 * amount) for amount in exact]
    while sum(cents) < _half_up(100 * sum(exact)):
        behind = [100 * amount - given for amount, given in zip(exact, cents, strict=True)]
        cents[behind.index(max(behind))] += 1
    return [given * CENT for given in cents]


def _half_up(exact: Fraction | int) -> int:
    return math.floor(exact + Fraction(1, 2))


def _key(trip: TrueVerdict) -> tuple:
    """What stays the same of a trip however often it is judged."""
    said = trip.declared
    return trip.departure, trip.plate, trip.arrival, (said.km_out_m, said.km_in_m) if said else ()
