"""`GoldenMonth`: the story as the pipeline meets it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import date, datetime, timedelta
from types import MappingProxyType
from typing import Any

from telemetria_pipeline.simulator.boletins import DeclaredTrip, as_csv, as_xlsx, typed
from telemetria_pipeline.simulator.faults import FaultPlan
from telemetria_pipeline.simulator.fleet import Fleet
from telemetria_pipeline.simulator.golden.cast import SENDERS, SOURCES, Member, Sender
from telemetria_pipeline.simulator.golden.reference import (
    contracts_file,
    drivers_file,
    registered_substitutions,
    substitutions_file,
    vehicles_file,
)
from telemetria_pipeline.simulator.golden.story import Declared, Expected, Story
from telemetria_pipeline.simulator.server import Simulator


class GoldenMonth:
    """A month and a half of three carriers, with frauds and accidents whose answers are known.

    Days are business days in `timezone`. Telemetry comes from each carrier's own API (`simulators`), boletins
    from the carriers' depots (`boletins`), the reference tables from files. All of it follows from `seed`; a
    day is the same in every month that holds it.
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

    @property
    def fleet(self) -> Fleet:
        """The vehicles of all carriers, registered or not."""
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
    def as_of(self) -> datetime:
        """When all of it has happened and nothing is late any more."""
        return self.story.midnight(self.days[-1] + timedelta(days=1)) + timedelta(days=2)

    @contextmanager
    def simulators(
        self, faults: Mapping[str, FaultPlan] | None = None, **options: Any
    ) -> Iterator[dict[str, Simulator]]:
        """The running API of each of `SOURCES`, by its slug, long after the month.

        Args:
            faults: by slug; unless given, the story's.
            options: those of `Simulator`, for all of them.
        """
        story = self.story
        with ExitStack() as running:
            apis = {}
            for source in SOURCES:
                told = story.books(source) | {"as_of": self.as_of, "outages": story.outages[source.slug]}
                if faults:
                    told["faults"] = faults[source.slug]
                api = Simulator(**told | {"dialect": source.dialect} | options)
                apis[source.slug] = running.enter_context(api)
            yield apis

    def reference_files(self) -> dict[str, bytes]:
        """The files of the reference tables, by name."""
        return {
            "vehicles.csv": vehicles_file(self.cast),
            "drivers.csv": drivers_file(self.cast),
            "contracts.csv": contracts_file(self.cast),
            "substitutions.csv": substitutions_file(
                registered_substitutions(self.cast, self.story.substitutions)
            ),
        }

    def declared(self, day: date) -> list[Declared]:
        """What is declared of a day, in whichever files it comes."""
        told = [*(self.story.day(member, day) for member in self.cast), self.story.reserve_day(day)]
        return [d for vehicle_day in told for d in vehicle_day.declared]

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

    def earlier_boletins(self) -> dict[str, bytes]:
        """The first versions, by name, of boletins that were sent again with more kilometres."""
        files: dict[str, bytes] = {}
        for day in self.days:
            changed = [(d, first) for d in self.declared(day) if (first := self.story.earlier(d))]
            senders = {sender for d, _ in changed for sender in d.senders}
            files |= self._files(senders, [day], str(day), {d.trip: first for d, first in changed})
        return files

    def earlier_declared(self) -> list[DeclaredTrip]:
        """The trips that an earlier version of their boletim declared otherwise, as it had them."""
        declared = [d for day in self.days for d in self.declared(day)]
        return [first for d in declared if (first := self.story.earlier(d))]

    def late_boletins(self) -> dict[str, bytes]:
        """What comes when the cycle is closed: trips of two vehicles that were not declared in time."""
        late = [d for day in self.days for d in self.declared(day) if d.late]
        return {"quimera_atrasado.csv": as_csv(typed(d.trip for d in late))} if late else {}

    def expected(self) -> list[Expected]:
        """What the audit must find of each seeded event, before the late boletins."""
        told = [self.story.day(member, day) for day in self.days for member in self.cast]
        told += [self.story.reserve_day(day) for day in self.days]
        return [e for vehicle_day in told for e in vehicle_day.expected]

    def _files(
        self,
        senders: Iterable[Sender],
        days: Sequence[date],
        when: str,
        instead: Mapping[DeclaredTrip, DeclaredTrip] = MappingProxyType({}),
    ) -> dict[str, bytes]:
        declared = [d for day in days for d in self.declared(day) if not d.late]
        files = {}
        for sender in senders:
            rows = typed(instead.get(d.trip, d.trip) for d in declared if sender in d.senders)
            name = f"{sender.name}_{when}"
            if rows and sender.excel:
                files[f"{name}.xlsx"] = as_xlsx(rows, f"{sender.carrier} - {sender.depot} - {when}")
            elif rows:
                files[f"{name}.csv"] = as_csv(rows)
        return files
