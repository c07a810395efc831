"""Who plays in the golden month: three carriers and their APIs, what each vehicle is, and the habits of those
who type.

Roles go by the vehicle's number, so that ten vehicles already have most of the stories.
"""

from dataclasses import dataclass
from datetime import date
from typing import Literal

from telemetria_pipeline.simulator.fleet import Fleet, Vehicle

QUIMERA, MIRAGEM, FABULA = "Viação Quimera", "Expresso Miragem", "Transportes Fábula"

Habit = Literal[
    "exact",  # what was driven, read off the dashboard
    "careless",  # the same, with the events of `story`
    "overstates_9",  # every kilometre 9 % longer: never above the tolerance
    "overstates_12",  # every kilometre 12 % longer
    "driver_overstates_12",  # the same, when one of its drivers drives
    "declared_twice",  # on some days a second carrier declares the same trips
    "round_numbers",  # whole tens of kilometres
    "same_km",  # always the same distance
    "wound_up",  # what the odometer says, which runs too fast
    "restarts",  # distances are right, but no odometer continues where the last one ended
]
HABITS: dict[int, Habit] = {
    2: "overstates_12",
    7: "declared_twice",
    11: "driver_overstates_12",
    12: "wound_up",
    14: "round_numbers",
    16: "same_km",
    17: "restarts",
}
ODOMETERS_APART = date(2026, 1, 1)  # since when odometers run too fast: real ones, and those on the sheets
WOUND_PERCENT = 115
UNREGISTERED = 6  # drives and declares, but nobody entered it into `vehicles`
HEARD_TWICE = 4  # Fábula's API hears it as well, by a second tracker
LATE = (1, 4)  # what is missing in their boletins comes when the cycle is closed
SPOT = 4  # has a contract of its own from the day on which tariffs change
ENTERS = {8: date(2026, 3, 9)}
LEAVES = {5: date(2026, 3, 12)}
TARIFFS_CHANGE = date(2026, 3, 9)
RESERVE_PLATE = "RSV0A11"  # a hired bus without a device, with a contract of its own
RESERVE_TURNS = date(2026, 3, 10)  # its odometer passes 999,999 km


@dataclass(frozen=True, slots=True)
class Substitution:
    """On a day from an hour on, one vehicle is in the workshop and another runs under its plate; both by
    number. Either the rows say so, or only the register does."""

    broken: int
    ran: int
    day: date
    hour: int
    in_rows: bool


SUBSTITUTIONS = (
    Substitution(1, 10, date(2026, 3, 9), 0, in_rows=True),
    Substitution(1, 10, date(2026, 3, 16), 12, in_rows=False),
)


@dataclass(frozen=True, slots=True)
class Swap:
    """Two vehicles of one source, by number, whose devices changed places; both days are of it."""

    one: int
    other: int
    first: date
    last: date


# The sheets give away the first one; of the second one, their odometers are wrong anyway, only telemetry.
SWAPS = (
    Swap(5, 8, date(2026, 3, 10), date(2026, 3, 11)),
    Swap(3, 9, date(2026, 3, 15), date(2026, 3, 15)),
)


@dataclass(frozen=True, slots=True)
class Gap:
    """A vehicle's device is off, soon the vehicle stands as well, and its desk declares on as if nothing had
    happened; days with an hour of the contract's clock."""

    number: int
    off: tuple[date, int]
    stands: tuple[date, int]
    until: tuple[date, int]


# Longer than what one day looks at around it, and across the end of a cycle.
GAPS = (Gap(11, (date(2026, 3, 13), 18), (date(2026, 3, 14), 12), (date(2026, 3, 18), 9)),)
RAISES = {date(2026, 3, 14): 9}  # whose boletim of that day came before with fewer kilometres, by number
FULL_SIZE, SMALL = "ÔNIBUS", "MICRO-ÔNIBUS"


@dataclass(frozen=True, slots=True)
class Source:
    """A telemetry source: the API of a carrier, in one of the simulator's dialects."""

    slug: str
    carrier: str
    dialect: str


# Hours can be missing of one that is asked for hours. Motive's is asked for days, and shows no plate.
SOURCES = (
    Source("quimera", QUIMERA, "motive"),
    Source("miragem", MIRAGEM, "simulator"),
    Source("fabula", FABULA, "traccar"),
)


@dataclass(frozen=True, slots=True)
class Sender:
    """A desk that sends boletins: a carrier's depot."""

    carrier: str
    depot: str
    excel: bool
    weekly: bool = False

    @property
    def name(self) -> str:
        """As its files are called."""
        return f"{self.carrier.split()[-1].lower().replace('á', 'a')}_{self.depot}"


SENDERS = NORTE, SUL, MIRAGEM_DESK, FABULA_DESK = (
    Sender(QUIMERA, "norte", excel=False),
    Sender(QUIMERA, "sul", excel=True),
    Sender(MIRAGEM, "central", excel=False),
    Sender(FABULA, "central", excel=True, weekly=True),
)


@dataclass(frozen=True, slots=True)
class Member:
    """One vehicle of the cast; `enters` and `leaves` are its first and last day under contract."""

    vehicle: Vehicle
    number: int
    sender: Sender
    habit: Habit
    type: str
    operation: str
    registered: bool
    enters: date | None
    leaves: date | None

    @property
    def carrier(self) -> str:
        """Whose it is."""
        return self.sender.carrier

    @property
    def source(self) -> Source:
        """Which API hears it."""
        return next(source for source in SOURCES if source.carrier == self.carrier)

    @property
    def registered_source(self) -> str | None:
        """Its source as `vehicles` has it: for some, nobody wrote it down."""
        return None if self.number % 4 == 1 else self.source.slug

    def serves_on(self, day: date) -> bool:
        """Whether it is under contract that day."""
        return (self.enters or day) <= day <= (self.leaves or day)


def cast_of(fleet: Fleet) -> tuple[Member, ...]:
    """The fleet's vehicles with their roles."""
    return tuple(_member(vehicle, number) for number, vehicle in enumerate(fleet.vehicles, start=1))


def _member(vehicle: Vehicle, number: int) -> Member:
    senders: tuple[Sender, ...] = ((MIRAGEM_DESK,), (NORTE, SUL), (FABULA_DESK,))[number % 3]
    sender = senders[number // 3 % len(senders)]
    usual: dict[str, Habit] = {QUIMERA: "careless", MIRAGEM: "overstates_9", FABULA: "exact"}
    return Member(
        vehicle=vehicle,
        number=number,
        sender=sender,
        habit="exact" if number == UNREGISTERED else HABITS.get(number, usual[sender.carrier]),
        type=SMALL if number % 4 == 1 else FULL_SIZE,
        operation="IND" if number % 5 in (0, 2) else "AGR",
        registered=number != UNREGISTERED,
        enters=ENTERS.get(number),
        leaves=LEAVES.get(number),
    )
