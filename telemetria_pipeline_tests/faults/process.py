"""What may happen to a process and its clock."""

import os
import signal
import time
from contextlib import suppress

from telemetria_pipeline_tests.faults.world import Child, Try, world

_KILL_WITHIN_S = 2.0


def killed(t: Try) -> None:
    """`kill -9` at a random moment, twice."""
    with world(t.folder, t.seed) as here:
        for _ in range(2):
            child = Child(here)
            child.go()
            time.sleep(here.dice.uniform(0, _KILL_WITHIN_S))
            child.kill()
        here.settle()


def two_at_once(t: Try) -> None:
    """Two processes ask for the same hours."""
    with world(t.folder, t.seed) as here:
        both = [Child(here), Child(here)]
        for child in both:
            child.go()
        for child in both:
            child.end()
        here.settle()


def clock_jumps(t: Try) -> None:
    """An hour, forward or back, while a run is on its way, and between two of them."""
    with world(t.folder, t.seed) as here:
        daemon, said = t.daemon(), str(t.folder / "said")
        for _ in range(2):
            process = daemon.begin("capture", address=here.address, url=here.carrier.url, said=said)
            time.sleep(here.dice.uniform(0, _KILL_WITHIN_S))
            daemon.clock.set(daemon.clock.ahead_s + here.dice.choice((-3600, 3600)))
            if here.dice.random() < 0.3:
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
            daemon.end()
        here.settle()
