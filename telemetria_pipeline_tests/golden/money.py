"""The truth about the golden month's money: each cycle's bill, line by line, and what comes after closing."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal

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

    @property
    def total(self) -> Decimal:
        """Variable and fixed."""
        return self.variable + self.fixed


@dataclass(frozen=True, slots=True)
class PricedTrip:
    """What a trip costs by itself: metres beyond the free ones, and their price."""

    trip: TrueVerdict
    billed_m: int
    value: Decimal


@dataclass(frozen=True, slots=True)
class Adjustment:
    """What a trip of a closed cycle turned out to cost; `cause` as the table of adjustments names it."""

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
    """The lines of a cycle's bill by plate and contract row, and the trips priced one by one."""
    days = days_of(cycle)
    by_line: dict[tuple[str, int], list[TrueVerdict]] = defaultdict(list)
    for trip in trips:
        if trip.terms and cycle_of(trip.day) == cycle:
            by_line[trip.plate, trip.terms.row].append(trip)
    lines, priced = [], []
    for plate in sorted({*known.members, *(t.plate for t in known.terms if t.plate)}):
        member = known.members.get(plate)
        in_force = [terms_of(known, plate, day) for day in days if member is None or member.serves_on(day)]
        for terms in known.terms:
            billed_days = in_force.count(terms)
            if not billed_days:
                continue
            own = sorted(by_line[plate, terms.row], key=lambda t: t.departure)
            free = _part(1000 * terms.free_km, billed_days, len(days), Decimal(1))
            beyond = _beyond([t.audited_m for t in own], int(free))
            declared_beyond = _beyond([t.declared_m or 0 for t in own], int(free))
            priced += [
                PricedTrip(t, metres, price(metres, terms.tariff))
                for t, metres in zip(own, beyond, strict=True)
            ]
            lines.append(
                BillLine(
                    cycle=cycle,
                    plate=plate,
                    operation=member.operation if member else None,
                    terms=terms,
                    days=billed_days,
                    declared_m=sum(t.declared_m or 0 for t in own),
                    measured_m=sum(t.measured_m or 0 for t in own),
                    audited_m=sum(t.audited_m for t in own),
                    free_m=int(free),
                    billed_m=sum(beyond),
                    variable=price(sum(beyond), terms.tariff),
                    fixed=_part(terms.fixed, billed_days, len(days), CENT),
                    variable_declared=price(sum(declared_beyond), terms.tariff),
                )
            )
    return lines, priced


def true_adjustments(
    cycle: date, before: Sequence[PricedTrip], after: Sequence[PricedTrip]
) -> list[Adjustment]:
    """The trips of a closed cycle that are billed otherwise now, by departure."""
    then, now = {_key(p.trip): p for p in before}, {_key(p.trip): p for p in after}
    found = []
    for key in sorted({*then, *now}):
        old, new = then.get(key), now.get(key)
        known = new or old
        assert known
        before_m, value_before = (old.billed_m, old.value) if old else (0, Decimal(0))
        after_m, value_after = (new.billed_m, new.value) if new else (0, Decimal(0))
        if (before_m, value_before) == (after_m, value_after):
            continue
        cause = "viagem_nova" if old is None else "viagem_retirada" if new is None else "km_alterado"
        found.append(Adjustment(cycle, known.trip, cause, before_m, after_m, value_before, value_after))
    return found


def _beyond(metres: Sequence[int], free: int) -> list[int]:
    """What is left of each trip when the free metres are used up one trip after the other."""
    left, beyond = free, []
    for driven in metres:
        used = min(left, driven)
        left -= used
        beyond.append(driven - used)
    return beyond


def _part(whole: Decimal | int, days: int, of: int, step: Decimal) -> Decimal:
    """The part of a month's amount that some of its days bear, half up."""
    return (Decimal(whole) * days / of).quantize(step, ROUND_HALF_UP)


def _key(trip: TrueVerdict) -> tuple:
    """What stays the same of a trip however often it is judged."""
    said = trip.declared
    return trip.departure, trip.plate, trip.arrival, (said.km_out_m, said.km_in_m) if said else ()
