"""What happens in the golden month, and what is declared of it: a vehicle's day at a time.

Everything follows from the seed, the vehicle and the day. Each seeded event says what the audit must make
of it (`Expected`), with margins wide enough that rounding cannot decide.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import pairwise, product
from typing import Any
from zoneinfo import ZoneInfo

from telemetria_pipeline.simulator.boletins import TURNS_M, DeclaredTrip, honest
from telemetria_pipeline.simulator.chance import between, draw
from telemetria_pipeline.simulator.faults import DATA_FAULTS, FaultPlan
from telemetria_pipeline.simulator.fleet import BOUGHT, Trip, as_typed, vehicle_id
from telemetria_pipeline.simulator.golden.cast import (
    FABULA,
    FABULA_DESK,
    GAPS,
    HABITS,
    HEARD_TWICE,
    LATE,
    NORTE,
    ODOMETERS_APART,
    RAISES,
    RESERVE_PLATE,
    RESERVE_TURNS,
    SOURCES,
    SUBSTITUTIONS,
    SUL,
    SWAPS,
    Member,
    Sender,
    Source,
    Substitution,
    cast_of,
)
from telemetria_pipeline.simulator.golden.driving import GoldenFleet, Span
from telemetria_pipeline.simulator.records import Exchange, Silence

# Hours that a source never gives, and hours in which a carrier's devices send nothing: local clock.
OUTAGES = {
    "miragem": ((date(2026, 2, 20), 9, 10), (date(2026, 3, 5), 13, 14), (date(2026, 3, 10), 9, 12)),
}
HOLES = ((date(2026, 2, 24), 10, 15), (date(2026, 3, 4), 10, 15), (date(2026, 3, 13), 10, 15))

# What goes wrong on a careless vehicle's day, and how often.
EVENTS = {
    "phantom": 0.12,  # a trip in a gap in which it stood
    "undeclared": 0.12,  # a trip that nobody declares
    "no_boletim": 0.06,  # nothing declared all day
    "shifted": 0.16,  # the first trip, declared 41 minutes early
    "other_driver": 0.10,
    "joined": 0.12,  # two trips declared as one
    "two_files": 0.08,  # one trip in both depots' files
    "split": 0.08,  # one trip declared as two, out and back
    "hour_off": 0.08,  # a trip declared some hours off
    "day_off": 0.08,  # a trip declared under the date of the day before or after
}
# What happens whatever the dice say, by the vehicle's number: what will come late, the demo's day, and the
# last night of a cycle.
SET_PIECES = {
    date(2026, 3, 6): {1: "no_boletim", 4: "no_boletim"},
    date(2026, 3, 7): {1: "undeclared"},
    date(2026, 3, 10): {
        1: "phantom", 4: "undeclared", 13: "phantom", 19: "shifted", 25: "other_driver", 28: "shifted",
        31: "undeclared",
    },
    date(2026, 3, 15): {1: "joined", 4: "no_boletim", 13: "joined"},
}  # fmt: skip
SHIFT = timedelta(minutes=41)
FAR_APART = timedelta(minutes=35)  # beyond the tolerance, whatever the minutes typed
MINUTE = timedelta(minutes=1)
TYPED_OFF = {
    "hour_off": [n * 30 * MINUTE for n in (2, -2, 3, -3, 4, -4, 5, -5)],
    "day_off": [timedelta(days=1), timedelta(days=-1)],
}
SAME_KM_M, LONG_M = 14_000, 25_000
RESERVE_M = 31_400
MIDDLE_NAMES = ("Carlos", "Aparecida", "Henrique", "Luiza")

WRONG_KM = {"km_divergente": "divergente"}
UNKNOWN = {"veiculo_desconhecido": "a_esclarecer"}
SWAPPED = {"aparelhos_trocados": "a_esclarecer"}
NO_NEWS = {"sem_telemetria": "inconclusivo"}


@dataclass(frozen=True)
class Expected:
    """What the audit must find of a trip, named by its plate and its declared, else measured, departure."""

    event: str
    plate: str
    departure: datetime
    verdict: str
    kinds: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Declared:
    """A declared trip, in whose files it stands, and whether it comes only after the cycle was closed."""

    trip: DeclaredTrip
    senders: tuple[Sender, ...]
    late: bool = False


@dataclass
class VehicleDay:
    """A vehicle's day: what is declared of it and what must be found."""

    declared: list[Declared] = field(default_factory=list)
    expected: list[Expected] = field(default_factory=list)


class Story:
    """The month's story from `first` to `last`, business days in the fleet's main zone."""

    def __init__(self, seed: int, vehicles: int, first: date, last: date, timezone: str) -> None:
        self.zone = ZoneInfo(timezone)
        self.gaps = [gap for gap in GAPS if gap.number <= vehicles]
        self.substitutions = [s for s in SUBSTITUTIONS if max(s.broken, s.ran) <= vehicles]
        wound = {vehicle_id(number) for number, habit in HABITS.items() if habit == "wound_up"}
        self.fleet = GoldenFleet(seed, vehicles, timezone, self._stands(), wound)
        self.cast = cast_of(self.fleet)
        self.first, self.last = first, last
        rates = dict.fromkeys(DATA_FAULTS, 0.015)
        sound = {m.vehicle.id for m in self.cast if m.habit not in ("exact", "careless")}
        self.faults = {
            source.slug: FaultPlan(self.seed_of(source), rates, sound_odometers=frozenset(sound))
            for source in SOURCES
        }
        self.outages = {
            source.slug: tuple(self._window(*outage) for outage in OUTAGES.get(source.slug, ()))
            for source in SOURCES
        }
        self.silences = tuple(self._silences())
        self.exchanges = tuple(
            Exchange(
                (self.cast[swap.one - 1].vehicle, self.cast[swap.other - 1].vehicle),
                self.midnight(swap.first),
                self.midnight(swap.last + timedelta(days=1)),
            )
            for swap in SWAPS
            if max(swap.one, swap.other) <= vehicles
        )
        self.day = lru_cache(maxsize=None)(self._day)
        self._tell: dict[str, Callable[[Member, Sequence[Trip]], VehicleDay | None]] = {
            "phantom": self._phantom,
            "undeclared": self._undeclared,
            "no_boletim": self._no_boletim,
            "shifted": self._shifted,
            "other_driver": self._other_driver,
            "joined": self._joined,
            "two_files": self._two_files,
            "split": self._split,
            "hour_off": lambda member, trips: self._moved(member, trips, "hour_off"),
            "day_off": lambda member, trips: self._moved(member, trips, "day_off"),
        }

    def seed_of(self, source: Source) -> int:
        """What a source's faults follow from: no two have the same."""
        return self.fleet.seed + 1_000 * SOURCES.index(source)

    def books(self, source: Source) -> dict[str, Any]:
        """What is heard through a source: its carrier's fleet, faults, silences, second trackers, and devices
        that changed places."""
        second = [m.vehicle for m in self.cast if m.number == HEARD_TWICE and source.carrier == FABULA]
        own = [m.vehicle for m in self.cast if m.source == source]
        return {
            "fleet": self.fleet.only([*own, *second], source.carrier),
            "faults": self.faults[source.slug],
            "silences": (*self.silences, *(self._second_silences() if second else ())),
            "second_trackers": frozenset(vehicle.id for vehicle in second),
            "exchanges": self.exchanges,
        }

    @property
    def days(self) -> list[date]:
        """The month's business days."""
        return [self.first + timedelta(days=n) for n in range((self.last - self.first).days + 1)]

    def midnight(self, day: date) -> datetime:
        """When a business day begins, in UTC."""
        return datetime.combine(day, time(), self.zone).astimezone(UTC)

    def driven(self, member: Member, day: date) -> list[Trip]:
        """What the vehicle drives under contract on a business day, by departure."""
        if not member.serves_on(day):
            return []
        start, end = self.midnight(day), self.midnight(day + timedelta(days=1))
        around = [day + timedelta(days=n) for n in (-1, 0, 1)]
        trips = [t for d in around for t in self.fleet.on_day(member.vehicle, d)]
        return [t for t in trips if start <= t.departure < end]

    def is_heard(self, member: Member, trip: Trip) -> bool:
        """Whether telemetry ever shows the trip."""
        out = any(start <= trip.departure < end for start, end in self.outages[member.source.slug])
        return not out and not any(silence.hides(trip) for silence in self.silences)

    def is_calm(self, member: Member, day: date) -> bool:
        """No accident of telemetry that day, and the vehicle seen on the days before and after."""
        accidents = {d for d, _, _ in (*OUTAGES.get(member.source.slug, ()), *HOLES)}
        accidents |= {s.day for s in self.substitutions if member.number in (s.broken, s.ran)}
        first, last = max(self.first, member.enters or BOUGHT), min(self.last, member.leaves or self.last)
        return first < day < last and day not in accidents

    def substitution(self, member: Member, trip: DeclaredTrip) -> Substitution | None:
        """In whose place the vehicle drove the trip."""
        for found in self.substitutions:
            start, end = self._window(found.day, found.hour, 24)
            if found.ran == member.number and start <= trip.departure < end:
                return found
        return None

    def earlier(self, claim: Declared) -> DeclaredTrip | None:
        """The trip as an earlier version of its boletim declared it; None where there was no other."""
        trip = claim.trip
        raises = RAISES.get(trip.departure.astimezone(self.zone).date())
        if raises is None or raises > len(self.cast) or trip.plate != self.cast[raises - 1].vehicle.plate:
            return None
        return replace(trip, km_in_m=trip.km_out_m + _tenth(trip.distance_m * 9 // 10))

    def reserve_day(self, day: date) -> VehicleDay:
        """The hired bus without a device: a trip a day, one of them past the odometer's last digit."""
        start = self.midnight(day) + timedelta(hours=6)
        out = (TURNS_M - 10_000 + RESERVE_M * (day - RESERVE_TURNS).days) % TURNS_M
        trip = DeclaredTrip(
            RESERVE_PLATE, RESERVE_PLATE, "9901", str(self.zone), start, start + 50 * MINUTE,
            "Vila Operária", "Frente 12", out, (out + RESERVE_M) % TURNS_M,
            "Dirceu Reserva", NORTE.carrier, "A",
        )  # fmt: skip
        event = "reserve" if day != RESERVE_TURNS else "odometer turns"
        expected = _told(event, trip, "inconclusivo", NO_NEWS | UNKNOWN)
        return VehicleDay([Declared(trip, (NORTE,))], [expected])

    def _day(self, member: Member, day: date) -> VehicleDay:
        trips = self.driven(member, day)
        event = self._event(member, day) if self.is_calm(member, day) else None
        if member.habit == "careless" and event and (told := self._tell[event](member, trips)):
            return told
        told = self._as_usual(member, trips)
        if member.habit == "declared_twice" and draw(self.fleet.seed, "twice", day) < 0.3:
            self._declare_again(told, member, day)
        self._invent(told, member, day)
        self._declare_under_other_plates(told, member)
        self._expect_swap(told, member, day)
        return told

    def _event(self, member: Member, day: date) -> str | None:
        if day in SET_PIECES:
            return SET_PIECES[day].get(member.number)
        level = draw(self.fleet.seed, "event", member.vehicle.id, day)
        for event, share in EVENTS.items():
            level -= share
            if level < 0:
                return event
        return None

    # How a trip is typed

    def _row(self, member: Member, first: Trip, last: Trip) -> DeclaredTrip:
        """From the departure of one trip to the arrival of another, with the minutes that a clock shows."""
        row = honest(first, member.carrier)
        out, arrived = first.odometer_departure_m, last.odometer_arrival_m
        km_out, km_in = self._reading(member, out), self._reading(member, arrived)
        if member.habit == "driver_overstates_12" and first.driver == member.vehicle.crew[0]:
            km_in = km_out + _tenth(112 * (arrived - out) // 100)
        elif member.habit == "round_numbers":
            km_in = km_out + max(10_000, round(arrived - out, -4))
        elif member.habit == "same_km" and arrived - out < LONG_M:
            km_in = km_out + SAME_KM_M
        elif member.habit == "restarts":
            km_out += _tenth(int(between(2_000, 9_000, first.id, "restart")))
            km_in = km_out + _tenth(arrived - out)
        shift = "ABC"[member.vehicle.crew.index(first.driver)]
        return replace(
            row,
            typed_plate=as_typed(row.plate, self.fleet.seed, member.vehicle.id),
            departure=first.departure.replace(second=0),
            arrival=last.arrival.replace(second=0),
            destination=last.destination,
            km_out_m=km_out,
            km_in_m=km_in,
            driver=self._name_as_typed(member, member.vehicle.crew.index(first.driver)),
            shift=shift,
        )

    def _reading(self, member: Member, metres: int) -> int:
        """The odometer as somebody reads it at a stop: the same for the trip that ends and the next."""
        vehicle = member.vehicle
        apart = vehicle.base_m + (ODOMETERS_APART - BOUGHT).days * vehicle.daily_m
        percent = {"overstates_9": 109, "overstates_12": 112}.get(member.habit)
        if percent:
            return _tenth(apart + (metres - apart) * percent // 100)
        return _tenth(metres + int(between(-300, 300, self.fleet.seed, vehicle.id, metres)))

    def _name_as_typed(self, member: Member, number: int) -> str:
        """A driver's name, by some desks with a further one in the middle."""
        driver = member.vehicle.crew[number]
        if draw(driver.id, "middle") < 0.15:
            first, last = driver.name.split()
            return f"{first} {MIDDLE_NAMES[int(between(0, len(MIDDLE_NAMES), driver.id))]} {last}".upper()
        return driver.name

    def _claim(self, told: VehicleDay, member: Member, trip: Trip) -> None:
        """Declare a trip after the vehicle's habit."""
        row = self._row(member, trip, trip)
        told.declared.append(Declared(row, (member.sender,)))
        unknown = {} if member.registered or len(told.declared) > 1 else UNKNOWN  # said once a day
        if not self.is_heard(member, trip):
            told.expected.append(_told("not heard", row, "inconclusivo", NO_NEWS | unknown))
        elif member.habit in ("round_numbers", "same_km"):
            pass  # right or wrong as it happens: its pattern gives it away
        elif _is_clearly_long(row.distance_m, trip.distance_m):
            if self.is_calm(member, trip.departure.astimezone(self.zone).date()):
                told.expected.append(_told(member.habit, row, "divergente", WRONG_KM))
        elif _is_clearly_right(row.distance_m, trip.distance_m):
            told.expected.append(_told(member.habit, row, "ok", unknown))

    def _declare_again(self, told: VehicleDay, member: Member, day: date) -> None:
        """Another carrier's desk declares the same trips, some minutes later."""
        for claim in list(told.declared):
            trip = claim.trip
            again = replace(
                trip,
                departure=trip.departure + 6 * MINUTE,
                arrival=trip.arrival + 6 * MINUTE,
                km_out_m=trip.km_out_m + 3_000,
                km_in_m=trip.km_in_m + 3_000,
                company=FABULA_DESK.carrier,
            )
            told.declared.append(Declared(again, (FABULA_DESK,)))
            if self.is_calm(member, day):
                told.expected.append(_told("twice", again, "divergente", {"sem_telemetria": "divergente"}))

    def _declare_under_other_plates(self, told: VehicleDay, member: Member) -> None:
        """What it ran in place of another is declared under that one's plate, and is its own all the same."""
        for n, claim in enumerate(told.declared):
            if found := self.substitution(member, claim.trip):
                broken = self.cast[found.broken - 1].vehicle
                row = replace(
                    claim.trip,
                    plate=broken.plate,
                    typed_plate=as_typed(broken.plate, self.fleet.seed, broken.id),
                    fleet_number=broken.fleet_number,
                    substitute=member.vehicle.plate if found.in_rows else "",
                )
                told.declared[n] = replace(claim, trip=row)

    def _invent(self, told: VehicleDay, member: Member, day: date) -> None:
        """While it stands, its desk declares what it would have driven."""
        for gap in self.gaps:
            if gap.number == member.number:
                start = max(self._at(gap.stands), self.midnight(day))
                end = min(self._at(gap.until), self.midnight(day + timedelta(days=1)))
                around = [day + timedelta(days=n) for n in (-1, 0, 1)]
                for trip in (t for d in around for t in self.fleet.planned(member.vehicle, d)):
                    if start <= trip.departure < end:
                        row = self._row(member, trip, trip)
                        told.declared.append(Declared(row, (member.sender,)))
                        told.expected.append(_told("invented", row, "inconclusivo", NO_NEWS))

    def _expect_swap(self, told: VehicleDay, member: Member, day: date) -> None:
        """The first trip of two whose devices changed places bears what is said of them."""
        for exchange in self.exchanges:
            if member.vehicle in exchange.vehicles and exchange.start <= self.midnight(day) < exchange.end:
                pair = [m for m in self.cast if m.vehicle in exchange.vehicles]
                first = min((self.driven(m, day)[0] for m in pair), key=lambda t: t.departure)
                for n, e in enumerate(told.expected):
                    if first.vehicle == member.vehicle and e.departure == first.departure.replace(second=0):
                        told.expected[n] = replace(e, kinds=e.kinds | SWAPPED)

    # What happens on a careless day; None where the day has no place for it

    def _phantom(self, member: Member, trips: Sequence[Trip]) -> VehicleDay | None:
        stood, last = max(
            ((after.departure - before.arrival, before) for before, after in pairwise(trips)),
            key=lambda gap: gap[0],
        )
        if stood < 50 * MINUTE:
            return None
        told = self._as_usual(member, trips)
        before = self._row(member, last, last)
        out, minutes = before.km_in_m, min(stood // MINUTE - 22, 60)
        ghost = replace(
            before,
            departure=before.arrival + 11 * MINUTE,
            arrival=before.arrival + (11 + minutes) * MINUTE,
            origin=before.destination,
            destination="Trevo da Matinha",
            km_out_m=out,
            km_in_m=out + _tenth(int(minutes * between(550, 750, last.id, "phantom"))),
        )
        told.declared.append(Declared(ghost, (member.sender,)))
        told.expected.append(_told("phantom", ghost, "divergente", {"sem_telemetria": "divergente"}))
        return told

    def _undeclared(self, member: Member, trips: Sequence[Trip]) -> VehicleDay | None:
        candidates = [t for t in trips if self._stands_alone(member, [t])]
        if not candidates:
            return None
        alone = max(candidates, key=lambda t: t.distance_m)
        told = self._as_usual(member, [t for t in trips if t != alone])
        self._leave_out(told, member, alone, "divergente")
        return told

    def _no_boletim(self, member: Member, trips: Sequence[Trip]) -> VehicleDay | None:
        if not self._stands_alone(member, trips):
            return None
        told = VehicleDay()
        for trip in trips:
            self._leave_out(told, member, trip, "inconclusivo")
        return told

    def _shifted(self, member: Member, trips: Sequence[Trip]) -> VehicleDay | None:
        first = next((t for t in trips if t.number == 0), None)
        if first is None or first.arrival - first.departure < SHIFT + 4 * MINUTE:
            return None
        told = self._as_usual(member, [t for t in trips if t != first])
        row = self._row(member, first, first)
        early = replace(row, departure=row.departure - SHIFT, arrival=row.arrival - SHIFT)
        told.declared.append(Declared(early, (member.sender,)))
        told.expected.append(_told("shifted", early, "ok", {"horario_divergente": "a_esclarecer"}))
        return told

    def _other_driver(self, member: Member, trips: Sequence[Trip]) -> VehicleDay | None:
        trip, crew = trips[len(trips) // 2], member.vehicle.crew
        words = set(trip.driver.name.split())
        other = next((n for n, d in enumerate(crew) if not words & set(d.name.split())), None)
        if other is None:
            return None
        told = self._as_usual(member, [t for t in trips if t != trip])
        row = replace(self._row(member, trip, trip), driver=self._name_as_typed(member, other))
        told.declared.append(Declared(row, (member.sender,)))
        nameless = "null_driver" in self.faults[member.source.slug].on_trip(trip.id)
        kinds = {} if nameless else {"motorista_divergente": "a_esclarecer"}
        told.expected.append(_told("other_driver", row, "ok", kinds))
        return told

    def _joined(self, member: Member, trips: Sequence[Trip]) -> VehicleDay | None:
        one, two = trips[-2:]  # the last ones: at times they run past midnight
        told = self._as_usual(member, trips[:-2])
        row = self._row(member, one, two)
        told.declared.append(Declared(row, (member.sender,)))
        told.expected.append(_told("joined", row, "ok", {}))
        return told

    def _two_files(self, member: Member, trips: Sequence[Trip]) -> VehicleDay:
        told = self._as_usual(member, trips)
        told.declared[0] = replace(told.declared[0], senders=(NORTE, SUL))
        told.expected[0] = replace(told.expected[0], event="two_files")
        return told

    def _split(self, member: Member, trips: Sequence[Trip]) -> VehicleDay | None:
        """The engine ran on at the turn: to the telemetry it is one trip."""
        alone = [t for t in trips if t.distance_m > 12_000 and self._stands_alone(member, [t])]
        if not alone:
            return None
        trip = alone[0]
        told = self._as_usual(member, [t for t in trips if t != trip])
        row = self._row(member, trip, trip)
        turn = row.departure + (row.arrival - row.departure) // 2
        turn, km_turn = turn.replace(second=0), row.km_out_m + _tenth(row.distance_m * 2 // 5)
        halves = (
            replace(row, arrival=turn, km_in_m=km_turn),
            replace(row, departure=turn + 3 * MINUTE, km_out_m=km_turn),
        )
        for half in halves:
            told.declared.append(Declared(half, (member.sender,)))
            told.expected.append(_told("split", half, "ok", {}))
        return told

    def _moved(self, member: Member, trips: Sequence[Trip], event: str) -> VehicleDay | None:
        """One trip declared at another hour or date, where nothing else can be taken for it."""
        day = trips[0].departure.astimezone(self.zone).date()
        around = [t for n in (-1, 0, 1) for t in self.driven(member, day + timedelta(days=n))]
        faults = self.faults[member.source.slug]
        alone = [t for t in trips if self._stands_alone(member, [t]) and not faults.on_trip(t.id)]
        for trip, off in product(alone, TYPED_OFF[event]):
            begins, ends = trip.departure + off - 2 * MINUTE, trip.arrival + off + 2 * MINUTE
            calm = self.is_calm(member, begins.astimezone(self.zone).date())
            busy = any(t.arrival > begins and t.departure < ends for t in around)
            apart = max(begins - trip.arrival, trip.departure - ends) > FAR_APART
            if trip.distance_m < 3_000 or busy or not calm or not apart:
                continue
            row = self._row(member, trip, trip)
            moved = replace(row, departure=row.departure + off, arrival=row.arrival + off)
            told = self._as_usual(member, [t for t in trips if t != trip])
            told.declared.append(Declared(moved, (member.sender,)))
            told.expected.append(_told(event, moved, "ok", {"data_ou_horario_a_corrigir": "a_esclarecer"}))
            return told
        return None

    def _as_usual(self, member: Member, trips: Sequence[Trip]) -> VehicleDay:
        told = VehicleDay()
        for trip in trips:
            self._claim(told, member, trip)
        return told

    def _leave_out(self, told: VehicleDay, member: Member, trip: Trip, verdict: str) -> None:
        """A trip that nobody declares in time; some boletins come when the cycle is closed."""
        event = "undeclared" if verdict == "divergente" else "no_boletim"
        kinds = {"nao_declarada": verdict}
        told.expected.append(Expected(event, member.vehicle.plate, trip.departure, verdict, kinds))
        if member.number in LATE:
            told.declared.append(Declared(self._row(member, trip, trip), (member.sender,), late=True))

    def _stands_alone(self, member: Member, trips: Sequence[Trip]) -> bool:
        """Whether no other trip of the vehicle is near enough to take these for its own."""
        day = trips[0].departure.astimezone(self.zone).date()
        around = [t for n in (-1, 0, 1) for t in self.driven(member, day + timedelta(days=n))]
        begins, ends = trips[0].departure - FAR_APART, trips[-1].arrival + FAR_APART
        return not any(t.arrival > begins and t.departure < ends for t in around if t not in trips)

    # Who stands, and when telemetry is not heard

    def _stands(self) -> dict[str, list[Span]]:
        """When each vehicle, by id, stands: the one in the workshop, until then its substitute, and the one
        of which trips are invented."""
        stands: dict[str, list[Span]] = defaultdict(list)
        for s in self.substitutions:
            stands[vehicle_id(s.broken)].append(self._window(s.day, s.hour, 24))
            stands[vehicle_id(s.ran)].append(self._window(s.day, 0, s.hour))
        for gap in self.gaps:
            stands[vehicle_id(gap.number)].append((self._at(gap.stands), self._at(gap.until)))
        return stands

    def _window(self, day: date, start: int, end: int) -> tuple[datetime, datetime]:
        midnight = self.midnight(day)
        return midnight + timedelta(hours=start), midnight + timedelta(hours=end)

    def _at(self, hour: tuple[date, int]) -> datetime:
        return self._window(*hour, 24)[0]

    def _silences(self) -> Iterator[Silence]:
        deaf = {m.vehicle.id for m in self.cast if m.sender == FABULA_DESK and m.habit == "exact"}
        for hole in HOLES:
            yield Silence(frozenset(deaf), *self._window(*hole))
        for gap in self.gaps:
            off = frozenset({vehicle_id(gap.number)})
            yield Silence(off, self._at(gap.off), self._at(gap.until))
        for member in self.cast:
            own = frozenset({member.vehicle.id})
            if member.enters:
                yield Silence(own, self.midnight(BOUGHT), self.midnight(member.enters))
            if member.leaves:
                gone = self.midnight(member.leaves + timedelta(days=1))
                yield Silence(own, gone, gone + timedelta(days=10_000))

    def _second_silences(self) -> Iterator[Silence]:
        """The second tracker is heard on two days of three, and only within the month."""
        second = frozenset(m.vehicle.id for m in self.cast if m.number == HEARD_TWICE)
        quiet = [day for day in self.days if day.toordinal() % 3 == 0]
        yield Silence(second, self.midnight(BOUGHT), self.midnight(self.first))
        for day in quiet:
            yield Silence(second, self.midnight(day), self.midnight(day + timedelta(days=1)))
        yield Silence(second, self.midnight(self.last + timedelta(days=1)), self.midnight(date(9000, 1, 1)))


def _told(event: str, trip: DeclaredTrip, verdict: str, kinds: dict[str, str]) -> Expected:
    return Expected(event, trip.plate, trip.departure, verdict, kinds)


def _is_clearly_long(declared_m: int, driven_m: int) -> bool:
    over = declared_m - driven_m
    return over > 1_000 and 100 * over > 11 * driven_m


def _is_clearly_right(declared_m: int, driven_m: int) -> bool:
    """Also where the device's distance, up to 1.5 % off, has to do, and odometers are cut to a tenth."""
    off = abs(declared_m - driven_m)
    return off <= 800 or 100 * off <= 9 * driven_m + 10_000


def _tenth(metres: int) -> int:
    """To a tenth of a kilometre, as odometers show it."""
    return (metres + 50) // 100 * 100
