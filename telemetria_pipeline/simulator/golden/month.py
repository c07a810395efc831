"""`GoldenMonth`: the story as the pipeline meets it, and the truth beside it."""

import csv
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

from telemetria_pipeline.simulator.boletins import as_csv, as_xlsx, typed
from telemetria_pipeline.simulator.fleet import Fleet
from telemetria_pipeline.simulator.golden.cast import SENDERS, Member, Sender
from telemetria_pipeline.simulator.golden.money import (
    Adjustment,
    BillLine,
    PricedTrip,
    cycle_of,
    true_adjustments,
    true_bill,
)
from telemetria_pipeline.simulator.golden.patterns import Pattern, true_patterns
from telemetria_pipeline.simulator.golden.reference import (
    contract_terms,
    contracts_file,
    drivers_file,
    vehicles_file,
)
from telemetria_pipeline.simulator.golden.story import Declared, Expected, Story
from telemetria_pipeline.simulator.golden.trips import HOUR, Known, TrueVerdict, segments_of, true_verdicts
from telemetria_pipeline.simulator.records import Carrier, instant
from telemetria_pipeline.simulator.server import Simulator


@dataclass(frozen=True)
class Truth:
    """What must come out: every trip, every line of each cycle's bill, every pattern (by cycle)."""

    trips: list[TrueVerdict]
    bills: dict[date, list[BillLine]]
    priced: dict[date, list[PricedTrip]]
    patterns: dict[date, set[Pattern]]

    def totals(self, cycle: date) -> dict[str | None, Decimal]:
        """R$ to bill by operation, None for vehicles without one."""
        sums: dict[str | None, Decimal] = {}
        for line in self.bills[cycle]:
            sums[line.operation] = sums.get(line.operation, Decimal(0)) + line.total
        return sums


class GoldenMonth:
    """A month and a half of three carriers, with frauds and accidents whose answers are known.

    Days are business days in `timezone`. Telemetry comes from one API (`simulator`), boletins from the
    carriers' depots (`boletins`), the reference tables from files. All of it follows from `seed`; a day is
    the same in every month that holds it.
    """

    def __init__(
        self,
        seed: int = 7,
        vehicles: int = 40,
        first: date = date(2026, 2, 10),
        last: date = date(2026, 3, 27),
        timezone: str = "America/Sao_Paulo",
    ) -> None:
        if first > last:
            raise ValueError(f"the month ends on {last}, before it begins on {first}")
        self.story = Story(seed, vehicles, first, last, timezone)
        self._truth = cache(self._make_truth)

    @property
    def fleet(self) -> Fleet:
        """The vehicles, registered or not."""
        return self.story.fleet

    @property
    def cast(self) -> tuple[Member, ...]:
        """The vehicles with their roles."""
        return self.story.cast

    @property
    def days(self) -> list[date]:
        """Its business days."""
        return self.story.days

    @property
    def cycles(self) -> list[date]:
        """First days of the billing cycles that it touches."""
        return sorted({cycle_of(day) for day in self.days})

    @property
    def as_of(self) -> datetime:
        """When all of it has happened and nothing is late any more."""
        return self._end + timedelta(days=2)

    def simulator(self, **options: Any) -> Simulator:
        """The carriers' API, long after the month; `options` are those of `Simulator`."""
        story = self.story
        told = {"faults": story.faults, "as_of": self.as_of, "outages": story.outages}
        return Simulator(story.fleet, **{**told, "silences": story.silences, **options})

    def reference_files(self) -> dict[str, bytes]:
        """The files of the reference tables, by name."""
        return {
            "vehicles.csv": vehicles_file(self.cast),
            "drivers.csv": drivers_file(self.cast),
            "contracts.csv": contracts_file(self.cast),
        }

    def boletins_of(self, day: date) -> dict[str, bytes]:
        """One day's boletins, a file a sender."""
        return self._files(SENDERS, [day], str(day))

    def boletins(self) -> dict[str, bytes]:
        """The whole month's: a file a sender and day, or week."""
        daily = [s for s in SENDERS if not s.weekly]
        weekly = [s for s in SENDERS if s.weekly]
        files: dict[str, bytes] = {}
        for day in self.days:
            files |= self._files(daily, [day], str(day))
        for week in sorted({day - timedelta(days=day.weekday()) for day in self.days}):
            days = [d for d in self.days if week <= d < week + timedelta(days=7)]
            files |= self._files(weekly, days, f"{days[0]}_a_{days[-1]}")
        return files

    def late_boletins(self) -> dict[str, bytes]:
        """What comes when the cycle is closed: trips of two vehicles that were not declared in time."""
        late = [d for day in self.days for d in self._declared(day) if d.late]
        return {"quimera_atrasado.csv": as_csv(typed(d.trip for d in late))} if late else {}

    def expected(self) -> list[Expected]:
        """What the audit must find of each seeded event, before the late boletins."""
        told = [self.story.day(member, day) for day in self.days for member in self.cast]
        told += [self.story.reserve_day(day) for day in self.days]
        return [e for vehicle_day in told for e in vehicle_day.expected]

    def truth(self, *, late: bool = False, outages: bool = True) -> Truth:
        """What must come out: with the late boletins if `late`, and with the hours of the outages lost or,
        where they were captured in the end, not."""
        return self._truth(late, outages)

    def adjustments(self, cycle: date) -> list[Adjustment]:
        """What the late boletins change of a cycle that was closed without them."""
        return true_adjustments(cycle, self.truth().priced[cycle], self.truth(late=True).priced[cycle])

    def write_truth(self, folder: Path) -> None:
        """Write the truth as JSON Lines (trips) and CSV (bill, adjustments, patterns) into `folder`."""
        folder.mkdir(parents=True, exist_ok=True)
        truth = self.truth()
        with (folder / "trips.jsonl").open("w", encoding="utf-8") as out:
            out.writelines(json.dumps(_trip_row(t), ensure_ascii=False) + "\n" for t in truth.trips)
        _write(folder / "billing.csv", [_bill_row(line) for c in self.cycles for line in truth.bills[c]])
        _write(
            folder / "adjustments.csv", [_adjustment_row(a) for c in self.cycles for a in self.adjustments(c)]
        )
        _write(
            folder / "patterns.csv",
            [
                {"ciclo": c, "padrao": pattern, "nivel": level, "de": whose}
                for c in self.cycles
                for pattern, level, whose in sorted(truth.patterns[c])
            ],
        )

    def _make_truth(self, late: bool, outages: bool) -> Truth:
        known = self._known(late, outages)
        trips = true_verdicts(known)
        bills, priced, patterns = {}, {}, {}
        for cycle in self.cycles:
            bills[cycle], priced[cycle] = true_bill(known, trips, cycle)
            own = [t for t in trips if cycle_of(t.day) == cycle]
            patterns[cycle] = true_patterns(own, known.members)
        return Truth(trips, bills, priced, patterns)

    @property
    def _end(self) -> datetime:
        return self.story.midnight(self.days[-1] + timedelta(days=1))

    def _declared(self, day: date) -> list[Declared]:
        told = [*(self.story.day(member, day) for member in self.cast), self.story.reserve_day(day)]
        return [d for vehicle_day in told for d in vehicle_day.declared]

    def _files(self, senders: Iterable[Sender], days: Sequence[date], when: str) -> dict[str, bytes]:
        declared = [d for day in days for d in self._declared(day) if not d.late]
        files = {}
        for sender in senders:
            rows = typed(d.trip for d in declared if sender in d.senders)
            name = f"{sender.name}_{when}"
            if rows and sender.excel:
                files[f"{name}.xlsx"] = as_xlsx(rows, f"{sender.carrier} - {sender.depot} - {when}")
            elif rows:
                files[f"{name}.csv"] = as_csv(rows)
        return files

    def _known(self, late: bool, outages: bool) -> Known:
        story = self.story
        start, end = story.midnight(self.days[0]), self._end
        hours = {start + n * HOUR for n in range((end - start) // HOUR)}
        out = {h for h in hours for begins, ends in story.outages if outages and begins <= h < ends}
        captured = frozenset(hours - out)
        carrier = Carrier(story.fleet, story.faults, story.silences)
        return Known(
            declared=[d.trip for day in self.days for d in self._declared(day) if late or not d.late],
            segments=segments_of(carrier, start, end, self.as_of, captured),
            captured=captured,
            members={m.vehicle.plate: m for m in self.cast if m.registered},
            terms=contract_terms(self.cast),
            zone=story.zone,
        )


def _trip_row(trip: TrueVerdict) -> dict[str, Any]:
    return {
        "data": str(trip.day),
        "placa": trip.plate,
        "saida_utc": instant(trip.departure),
        "chegada_utc": instant(trip.arrival),
        "fonte": trip.source,
        "segmentos": len(trip.segments),
        "km_declarado": _km(trip.declared_m),
        "km_medido": _km(trip.measured_m),
        "veredito": trip.verdict,
        "km_auditado": _km(trip.audited_m),
        "base_auditoria": trip.basis,
        "divergencias": trip.kinds,
        "contrato_linha": trip.terms.row if trip.terms else None,
    }


def _bill_row(line: BillLine) -> dict[str, Any]:
    return {
        "ciclo": line.cycle,
        "placa": line.plate,
        "operacao": line.operation,
        "contrato_linha": line.terms.row,
        "dias": line.days,
        "km_auditado": _km(line.audited_m),
        "franquia_km": _km(line.free_m),
        "km_faturado": _km(line.billed_m),
        "variavel_brl": line.variable,
        "fixo_brl": line.fixed,
        "total_brl": line.total,
        "variavel_declarado_brl": line.variable_declared,
    }


def _adjustment_row(found: Adjustment) -> dict[str, Any]:
    return {
        "ciclo_origem": found.cycle,
        "placa": found.trip.plate,
        "data": found.trip.day,
        "saida_utc": instant(found.trip.departure),
        "causa": found.cause,
        "km_antes": _km(found.before_m),
        "km_depois": _km(found.after_m),
        "ajuste_brl": found.amount,
    }


def _km(metres: int | None) -> str | None:
    return None if metres is None else f"{Decimal(metres) / 1000:.3f}"


def _write(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, list(rows[0]) if rows else [])
        writer.writeheader()
        writer.writerows(rows)
