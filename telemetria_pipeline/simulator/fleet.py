"""A fleet whose every trip is known: buses that carry workers to three shifts a day.

A vehicle's day is made alone, from the seed, the vehicle and the date, so that any window of any year
gives the same trips. Two things make that possible: each trip has its own slot of the day, so trips never
overlap; and a vehicle drives exactly the same number of metres every day, so the odometer at the start of
a day needs no earlier day.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from copy import copy
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from random import Random
from zoneinfo import ZoneInfo

from telemetria_pipeline.simulator.chance import digest, draw

BOUGHT = date(2018, 1, 1)  # no trips before: an odometer needs a day on which it starts
LONGEST_TRIP = timedelta(minutes=84)
SHORTEST_TRIP_M = 2_000

DAY_STARTS_HOUR = 4
# Minutes after a vehicle's opening: (start, length). The last slot ends at 00:55 at the latest, so that even
# the vehicles one hour west leave 02:00 and 03:00 of the contract's zone without any trip.
OPENING_MINUTES = (0, 25)  # after 04:00 local; differs by day, so that trips run across the whole hours
LONG_SLOTS = ((0, 85), (1125, 105))
SHIFT_SLOTS = ((85, 60), (145, 60), (465, 60), (525, 60), (585, 60), (1005, 60), (1065, 60))
SHORT_SLOTS = (
    *((205 + 52 * i, 52) for i in range(5)),
    *((645 + 60 * i, 60) for i in range(6)),
)

WESTERN_ZONES = {8: "America/Campo_Grande", 9: "America/Cuiaba"}  # by the vehicle number's last digit
GARAGES = ("Glória", "Boa Vista", "São João", "Água Limpa", "Santa Inês")
PLACES = (
    "Usina Bela Aliança", "Fazenda Três Irmãos", "Fazenda Capão Alto", "Frente 12", "Frente 27",
    "Alojamento Sul", "Vila Operária", "Trevo da Matinha", "Oficina Central", "Viveiro Córrego Fundo",
)  # fmt: skip
FIRST_NAMES = (
    "João", "Antônio", "José", "Márcia", "Conceição", "Luís", "Inês", "Sebastião", "Célia", "Otávio",
    "Fábio", "Lúcia", "Ângelo", "Rogério", "Tânia", "Hélio",
)  # fmt: skip
LAST_NAMES = (
    "Assunção", "Brandão", "Falcão", "Gusmão", "Leitão", "Magalhães", "Nóbrega", "Paixão", "Queirós",
    "Simões", "Teixeira", "Valadão", "Araújo", "Guimarães", "Patrício",
)  # fmt: skip
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True, slots=True)
class Driver:
    """An invented driver."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Vehicle:
    """One vehicle and those who drive it, one a shift.

    `plate` is in Mercosul form (`ABC1C34`); `base_m` is the odometer when it was bought, metres.
    """

    id: str
    plate: str
    fleet_number: str
    garage: str
    timezone: str
    description: str
    crew: tuple[Driver, ...]
    base_m: int
    daily_m: int


@dataclass(frozen=True, slots=True)
class Trip:
    """One true trip: instants in UTC with whole seconds, odometers and distances in metres.

    `gps_m` is the telemetry's distance, at most 1.5 % off the odometer. `day` (local) and `number` say
    which trip of the vehicle's day it is.
    """

    id: str
    vehicle: Vehicle
    driver: Driver
    day: date
    number: int
    departure: datetime
    arrival: datetime
    origin: str
    destination: str
    odometer_departure_m: int
    odometer_arrival_m: int
    gps_m: float
    max_speed_kmh: float
    driving_seconds: int

    @property
    def distance_m(self) -> int:
        """What the odometer says."""
        return self.odometer_arrival_m - self.odometer_departure_m


def vehicle_id(number: int) -> str:
    """The id of a fleet's n-th vehicle."""
    return f"v-{number:03d}"


def old_form(plate: str) -> str | None:
    """The plate as it was before Mercosul (`ABC1C34` -> `ABC1234`); None where it never had such a form."""
    digit = LETTERS.index(plate[4])
    return f"{plate[:4]}{digit}{plate[5:]}" if digit < 10 else None


def as_typed(plate: str, *key: object) -> str:
    """The plate in one of the ways that people write it; the same key gives the same way."""
    shown = (old_form(plate) or plate) if draw(*key, "form") < 0.3 else plate
    style = draw(*key, "style")
    if style < 0.4:
        return f"{shown[:3]}-{shown[3:]}"
    return shown.lower() if style < 0.5 else shown


class Fleet:
    """`vehicles` vehicles, most of them in `timezone` and a few one hour west; all follows from `seed`."""

    def __init__(
        self,
        seed: int,
        vehicles: int = 40,
        timezone: str = "America/Sao_Paulo",
        carrier: str = "Transportes Simulados",
    ) -> None:
        if vehicles < 1:
            raise ValueError(f"a fleet needs at least one vehicle, not {vehicles}")
        self.seed = seed
        self.carrier = carrier
        rng = Random(f"{seed}|fleet")
        self.vehicles = tuple(_vehicles(rng, vehicles, timezone))
        self._day = lru_cache(maxsize=64)(self._make_day)
        self._vehicle_day = lru_cache(maxsize=64 * vehicles)(self._make_vehicle_day)

    def only(self, vehicles: Iterable[Vehicle], carrier: str) -> "Fleet":
        """Some of its vehicles, as one of several carriers has them: they drive the same trips."""
        part = copy(self)
        part.vehicles, part.carrier = tuple(vehicles), carrier
        part._day = lru_cache(maxsize=64)(part._make_day)
        return part

    def trips(self, start: datetime, end: datetime) -> list[Trip]:
        """The trips that depart in [start, end), by departure, then vehicle.

        Raises `ValueError` when an instant has no zone.
        """
        if start.tzinfo is None or end.tzinfo is None:
            raise ValueError("give instants with a zone, e.g. datetime(2026, 3, 10, tzinfo=UTC)")
        # A local day reaches into the neighbouring UTC days.
        day = max(start.astimezone(UTC).date() - timedelta(days=1), BOUGHT)
        last = end.astimezone(UTC).date() + timedelta(days=1)
        found: list[Trip] = []
        while day <= last:
            trips = self._day(day)
            low = bisect_left(trips, start, key=lambda t: t.departure)
            high = bisect_left(trips, end, key=lambda t: t.departure)
            found += trips[low:high]
            day += timedelta(days=1)
        found.sort(key=_order)  # days of distant zones interleave
        return found

    def next_departure(self, trip: Trip) -> datetime:
        """When the vehicle leaves again."""
        day = trip.day
        while True:
            for other in self._vehicle_day(trip.vehicle, day):
                if other.departure > trip.departure:
                    return other.departure
            day += timedelta(days=1)

    def on_day(self, vehicle: Vehicle, day: date) -> tuple[Trip, ...]:
        """The trips of one vehicle on one local day, in order; none before the fleet was bought."""
        return self._vehicle_day(vehicle, day) if day >= BOUGHT else ()

    def _make_day(self, day: date) -> list[Trip]:
        return sorted((t for v in self.vehicles for t in self._vehicle_day(v, day)), key=_order)

    def _make_vehicle_day(self, vehicle: Vehicle, day: date) -> tuple[Trip, ...]:
        rng = Random(f"{self.seed}|{vehicle.id}|{day}")
        short = rng.sample(SHORT_SLOTS, rng.randint(3, 9))
        long = rng.choice(LONG_SLOTS)  # one long trip a day, to or from the farthest fields
        slots = sorted((*LONG_SLOTS, *SHIFT_SLOTS, *short))
        weights = [
            5.0 if slot == long else rng.uniform(0.05, 0.6) if slot in short else rng.uniform(1, 2.5)
            for slot in slots
        ]
        opening = datetime(day.year, day.month, day.day, DAY_STARTS_HOUR, tzinfo=ZoneInfo(vehicle.timezone))
        opening = opening.astimezone(UTC) + timedelta(minutes=rng.randint(*OPENING_MINUTES))
        crew = rng.sample(vehicle.crew, len(vehicle.crew))
        odometer = vehicle.base_m + (day - BOUGHT).days * vehicle.daily_m
        place = f"Garagem {vehicle.garage}"
        trips = []
        for number, ((slot, minutes), metres) in enumerate(
            zip(slots, _split(vehicle.daily_m, weights), strict=True)
        ):
            seconds = min(int(metres * 3.6 / rng.uniform(32, 62)), minutes * 48)  # 80 % of the slot
            wait = rng.randint(0, minutes * 60 - seconds - 60)
            departure = opening + timedelta(seconds=slot * 60 + wait)
            speed = metres * 3.6 / seconds
            destination = rng.choice([p for p in PLACES if p != place])
            trips.append(
                Trip(
                    id=f"t-{digest(self.seed, vehicle.id, departure).hex()}",
                    vehicle=vehicle,
                    driver=crew[len(crew) * number // len(slots)],
                    day=day,
                    number=number,
                    departure=departure,
                    arrival=departure + timedelta(seconds=seconds),
                    origin=place,
                    destination=destination,
                    odometer_departure_m=odometer,
                    odometer_arrival_m=odometer + metres,
                    gps_m=round(metres * rng.uniform(0.985, 1.015), 1),
                    max_speed_kmh=round(min(speed * rng.uniform(1.15, 1.5), 99), 1),
                    driving_seconds=int(seconds * rng.uniform(0.85, 1)),
                )
            )
            odometer += metres
            place = destination
        return tuple(trips)


def _order(trip: Trip) -> tuple[datetime, str]:
    return trip.departure, trip.vehicle.id


def _split(total: int, weights: list[float]) -> list[int]:
    """`total` metres in parts that follow the weights, none below the shortest trip, exact in sum."""
    spare = total - SHORTEST_TRIP_M * len(weights)
    share = spare / sum(weights)
    parts = [SHORTEST_TRIP_M + int(share * weight) for weight in weights]
    parts[weights.index(max(weights))] += total - sum(parts)
    return parts


def _vehicles(rng: Random, count: int, timezone: str) -> Iterator[Vehicle]:
    plates: set[str] = set()
    while len(plates) < count:
        # Most letters come from A-J, so that most vehicles can appear with their old plate too.
        fifth = rng.choice(LETTERS[:10] if rng.random() < 0.7 else LETTERS)
        head, tail = "".join(rng.choices(LETTERS, k=3)), rng.randrange(100)
        plates.add(f"{head}{rng.randrange(10)}{fifth}{tail:02d}")
    numbers = rng.sample(range(1000, 10_000 + 10 * count), count)
    for i, (plate, number) in enumerate(zip(sorted(plates), numbers, strict=True), start=1):
        garage = rng.choice(GARAGES)
        shown = (old_form(plate) or plate) if rng.random() < 0.3 else plate
        yield Vehicle(
            id=vehicle_id(i),
            plate=plate,
            fleet_number=str(number),
            garage=garage,
            timezone=WESTERN_ZONES.get(i % 10, timezone),
            description=f"{garage}|{number}|{shown[:3]}-{shown[3:]}-DVR",
            crew=tuple(
                Driver(f"d-{d:02d}", f"{rng.choice(FIRST_NAMES)} {rng.choice(LAST_NAMES)}")
                for d in range(3 * i - 2, 3 * i + 1)
            ),
            base_m=rng.randrange(5_000_000, 60_000_000),
            daily_m=rng.randrange(200_000, 250_000),
        )
