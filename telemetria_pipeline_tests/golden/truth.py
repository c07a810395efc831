"""`GoldenTruth`: what must come of a golden month, worked out apart from the pipeline."""

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from functools import cache

from telemetria_pipeline.simulator.dialects import DIALECTS
from telemetria_pipeline.simulator.golden import SOURCES, GoldenMonth
from telemetria_pipeline.simulator.golden.reference import contract_terms, registered_substitutions
from telemetria_pipeline_tests.golden.devices import biased_devices, disbelieved
from telemetria_pipeline_tests.golden.money import (
    Adjustment,
    BillLine,
    PricedTrip,
    cycle_of,
    days_of,
    true_adjustments,
    true_bill,
)
from telemetria_pipeline_tests.golden.odometers import Interval, reconciled
from telemetria_pipeline_tests.golden.patterns import Pattern, true_patterns
from telemetria_pipeline_tests.golden.trips import HOUR, Known, TrueVerdict, segments_of, true_verdicts

DAY = timedelta(days=1)


@dataclass(frozen=True)
class Truth:
    """What must come out: every trip as its day judges it, and by cycle every line of the bill, every trip as
    the bill has it, every pattern, and every interval in which something is asked without a proof."""

    trips: list[TrueVerdict]
    bills: dict[date, list[BillLine]]
    priced: dict[date, list[PricedTrip]]
    patterns: dict[date, set[Pattern]]
    intervals: dict[date, list[Interval]]

    def totals(self, cycle: date) -> dict[str | None, Decimal]:
        """R$ to bill by operation, None for vehicles without one."""
        sums: dict[str | None, Decimal] = {}
        for line in self.bills[cycle]:
            sums[line.operation] = sums.get(line.operation, Decimal(0)) + line.total
        return sums


class GoldenTruth:
    """The truth about a month."""

    def __init__(self, month: GoldenMonth) -> None:
        self.month = month
        self._made = cache(self._make)

    @property
    def cycles(self) -> list[date]:
        """First days of the billing cycles that the month touches."""
        return sorted({cycle_of(day) for day in self.month.days})

    def of(self, *, late: bool = False, outages: bool = True) -> Truth:
        """With the late boletins if `late`, and with the hours of the outages lost or, where they were
        captured in the end, not."""
        return self._made(late, outages)

    def adjustments(self, cycle: date) -> list[Adjustment]:
        """What the late boletins change of a cycle that was closed without them."""
        return true_adjustments(cycle, self.of().priced[cycle], self.of(late=True).priced[cycle])

    def _make(self, late: bool, outages: bool) -> Truth:
        known = self._known(late, outages)
        trips = true_verdicts(known)
        bills, priced, patterns, intervals = {}, {}, {}, {}
        for cycle in self.cycles:
            own = [t for t in trips if cycle_of(t.day) == cycle]
            biased, (first, *_, last) = biased_devices(own), days_of(cycle)
            around = [t for t in trips if cycle_of(first - DAY) <= t.day <= days_of(last + DAY)[-1]]
            counted, intervals[cycle] = reconciled(around, (first, last), biased)
            counted = disbelieved(counted, biased)
            bills[cycle], priced[cycle] = true_bill(known, counted, cycle)
            patterns[cycle] = true_patterns(own, known)
        return Truth(trips, bills, priced, patterns, intervals)

    def _known(self, late: bool, outages: bool) -> Known:
        month, story = self.month, self.month.story
        start, end = story.midnight(month.days[0]), story.midnight(month.days[-1] + timedelta(days=1))
        hours = {start + n * HOUR for n in range((end - start) // HOUR)}
        captured, segments = {}, []
        for source in SOURCES:
            out = {h for h in hours for a, b in story.outages[source.slug] if outages and a <= h < b}
            captured[source.slug] = frozenset(hours - out)
            dialect = DIALECTS[source.dialect]
            carrier = dialect.carrier(**story.books(source))
            segments += segments_of(
                source.slug, dialect, carrier, start, end, month.as_of, captured[source.slug]
            )
        return Known(
            declared=[d.trip for day in month.days for d in month.declared(day) if late or not d.late],
            segments=segments,
            captured=captured,
            members={m.vehicle.plate: m for m in month.cast if m.registered},
            terms=contract_terms(month.cast),
            earlier=month.earlier_declared(),
            substitutions=registered_substitutions(month.cast, story.substitutions),
            zone=story.zone,
        )
