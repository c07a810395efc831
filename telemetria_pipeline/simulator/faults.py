"""What goes wrong: the names of the faults, and the plan that says when each happens.

A plan decides by hashing, never by arrival order or by the clock: the same seed gives the same faults
whatever else is asked before, meanwhile or after.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from struct import unpack

from telemetria_pipeline.simulator.chance import digest, draw

# An answer replaced by another.
REPLY_FAULTS = (
    "throttle_int", "throttle_date", "throttle_fraction", "throttle_none",
    "error_500", "error_502", "error_503", "error_408",
    "truncated_json", "html", "error_in_200", "redirect", "echo_token", "bad_token",
)  # fmt: skip
# The right answer, badly delivered.
DELIVERY_FAULTS = ("hang", "slow_drip", "reset", "truncated")
# The wrong part of the listing.
LISTING_FAULTS = ("repeated_page", "repeated_cursor", "empty_hour")
TRANSPORT_FAULTS = REPLY_FAULTS + DELIVERY_FAULTS + LISTING_FAULTS

ODOMETER_FAULTS = (
    "odometer_zero", "odometer_regression", "odometer_rollover", "odometer_jump", "odometer_unit",
)  # fmt: skip
# Rows that are nobody's trip, served beside a true one.
GARBAGE_FAULTS = ("outside_window", "future", "no_vehicle", "bad_distance")
DATA_FAULTS = (
    "duplicate", "reissued", "amended", "late",
    "unknown_field", "missing_field", "null_driver", "plate_only_in_description",
    *GARBAGE_FAULTS, *ODOMETER_FAULTS,
)  # fmt: skip

CLEAN_EVERY = 4  # at most three faulty attempts in a row, so that a patient client always gets through


@dataclass(frozen=True)
class FaultPlan:
    """Which share of requests (transport faults) and of trips (data faults) goes wrong, by fault name.

    `hang_seconds` is how long `hang` says nothing and how long `slow_drip` takes; `sound_odometers` are ids
    of vehicles whose odometers are always sent, and right. Raises `ValueError` for an unknown fault, a rate
    outside [0, 1], or transport rates that add up to more than 1.
    """

    seed: int
    rates: Mapping[str, float] = field(default_factory=dict)
    hang_seconds: float = 3.0
    sound_odometers: Collection[str] = ()

    def __post_init__(self) -> None:
        by_request = [f for f in TRANSPORT_FAULTS if f != "empty_hour"]
        for name, rate in self.rates.items():
            if name == "empty_hour":
                raise ValueError("empty_hour hides trips that are true: ask for it, it has no rate")
            if name not in by_request and name not in DATA_FAULTS:
                raise ValueError(
                    f"unknown fault {name!r}; the faults are {', '.join((*by_request, *DATA_FAULTS))}"
                )
            if not 0 <= rate <= 1:
                raise ValueError(f"the rate of {name} must lie between 0 and 1, not {rate}")
        total = sum(self.rates.get(name, 0) for name in by_request)
        if total > 1 + 1e-9:
            raise ValueError(f"the rates of the transport faults add up to {total:g}; keep them within 1")

    def on_request(self, request: str, attempt: int) -> str | None:
        """The fault of the `attempt`-th time (from 1) that this same request is made, if any."""
        if attempt % CLEAN_EVERY == 0:
            return None
        level = draw(self.seed, "request", request, attempt)
        for fault in TRANSPORT_FAULTS:
            level -= self.rates.get(fault, 0)
            if level < 0:
                return fault
        return None

    def on_trip(self, trip_id: str) -> frozenset[str]:
        """The data faults of a trip; at most one of the odometer's, and not amended and re-issued both."""
        if not self.rates:
            return frozenset()
        # One digest holds a 16-bit draw a fault: hashing once a fault would be most of a page's time.
        draws = unpack(f"<{len(DATA_FAULTS)}H", digest(self.seed, "trip", trip_id, size=2 * len(DATA_FAULTS)))
        hit = {f for f, value in zip(DATA_FAULTS, draws, strict=True) if value < self.rates.get(f, 0) * 2**16}
        hit.difference_update([f for f in ODOMETER_FAULTS if f in hit][1:])
        if "amended" in hit:
            hit.discard("reissued")
        return frozenset(hit)


def demo_faults(seed: int, of_requests: float = 1) -> FaultPlan:
    """A lively day: about every second request fails once, and each data fault happens some times a day.

    Left out: `redirect` and `bad_token`, which no client should outlast. `of_requests` scales the rates
    of the transport faults, for an API that takes many requests an hour.
    """
    rates = {
        **dict.fromkeys(("throttle_int", "throttle_fraction", "error_500", "error_503"), 0.04),
        **dict.fromkeys(("throttle_date", "throttle_none", "error_502", "error_408"), 0.03),
        **dict.fromkeys(("reset", "truncated"), 0.04),
        **dict.fromkeys(("truncated_json", "error_in_200"), 0.03),
        **dict.fromkeys(("html", "echo_token"), 0.02),
        **dict.fromkeys(("hang", "slow_drip"), 0.015),  # each costs seconds
        **dict.fromkeys(("repeated_page", "repeated_cursor"), 0.1),  # only second pages can have them
        **dict.fromkeys(("duplicate", "reissued", "amended", "late"), 0.015),
        **dict.fromkeys(("unknown_field", "missing_field"), 0.02),
        **dict.fromkeys(("null_driver", "plate_only_in_description"), 0.04),
        **dict.fromkeys((*GARBAGE_FAULTS, *ODOMETER_FAULTS), 0.015),
    }
    return FaultPlan(
        seed, {f: rate * (of_requests if f in TRANSPORT_FAULTS else 1) for f, rate in rates.items()}
    )
