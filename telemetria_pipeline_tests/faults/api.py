"""What a carrier's API may do."""

import socket
from datetime import timedelta

from telemetria_pipeline.simulator.faults import TRANSPORT_FAULTS
from telemetria_pipeline_tests.faults.world import HOURS, Try, told, world

# What is true of no window and has no end by itself is asked for otherwise, below.
ALONE = [fault for fault in TRANSPORT_FAULTS if fault != "empty_hour"]
_PATIENT = [fault for fault in ALONE if fault not in ("redirect", "bad_token")]


def every_fault_alone(t: Try) -> None:
    """One after the other, one to eight times in a row."""
    fault = ALONE[t.seed % len(ALONE)]
    with world(t.folder, t.seed) as here:
        here.carrier.inject(*[fault] * here.dice.randint(1, 8))
        here.settle()


def mixed_at_30_percent(t: Try) -> None:
    """All that a client can outlast."""
    with world(t.folder, t.seed, dict.fromkeys(_PATIENT, 0.3 / len(_PATIENT))) as here:
        here.settle()


def wrong_token(t: Try) -> None:
    """Until somebody sets the right one."""
    with world(t.folder, t.seed) as here:
        here.token = "another"
        told(here, "401", "TOKEN")
        here.token = here.carrier.token
        here.settle()


def token_expires_in_mid_run(t: Try) -> None:
    """After some requests every further one is refused, until the token is renewed."""
    with world(t.folder, t.seed) as here:
        here.carrier.inject(*[None] * here.dice.randint(1, len(HOURS) - 1), *["bad_token"] * 4)
        told(here, "401")
        here.settle()


def no_such_host(t: Try) -> None:
    """DNS knows no such name."""
    with world(t.folder, t.seed) as here:
        here.url = "https://carrier.invalid"
        told(here, "carrier.invalid")
        here.url = ""
        here.settle()


def no_tls(t: Try) -> None:
    """The port speaks no TLS."""
    with world(t.folder, t.seed) as here:
        here.url = here.carrier.url.replace("http://", "https://")
        told(here, "127.0.0.1")
        here.url = ""
        here.settle()


def nobody_listens(t: Try) -> None:
    """The API is down for some runs."""
    with world(t.folder, t.seed) as here, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        here.url = f"http://127.0.0.1:{free.getsockname()[1]}"
        for _ in range(here.dice.randint(1, 3)):
            here.run()
        here.url = ""
        here.settle()


def hours_refused_for_a_while(t: Try) -> None:
    """503 for some hours only, as behind an overloaded proxy."""
    with world(t.folder, t.seed) as here:
        begins = HOURS[1].start
        here.carrier.outages = [(begins, begins + timedelta(hours=here.dice.randint(1, 2)))]
        here.run()
        here.carrier.outages = []
        here.settle()
