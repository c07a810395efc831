"""What may happen to Dagster itself."""

import os
import signal
import sqlite3
import threading
import time
from contextlib import suppress
from pathlib import Path
from random import Random

from telemetria_pipeline_tests.faults.daemon import CRASHES
from telemetria_pipeline_tests.faults.house import CODE_SERVER, DAEMON, House
from telemetria_pipeline_tests.faults.office import office
from telemetria_pipeline_tests.faults.world import NotSurvived, Try

_SENSORS = ("boletim_inbox_sensor", "telemetry_recapture_main")
_BUSY_S = 4.0


def tick_dies_after_its_requests(t: Try) -> None:
    """Killed before or behind its runs, and before it remembers that it asked for them."""
    with office(t) as here:
        dice = here.world.dice
        here.drop(dice.randint(1, 6))
        here.step("tick")  # Dagster comes to know its sensors
        here.drop(dice.randint(1, 6))
        for _ in range(dice.randint(1, 2)):
            here.minute()
            if here.step("tick", crash=dice.choice(CRASHES), sensor=_SENSORS[0]) != -signal.SIGKILL:
                raise NotSurvived("the tick was not killed")
        here.settle()


def database_is_locked(t: Try) -> None:
    """Somebody holds one of the instance's databases for some seconds, while a tick or a run wants it."""
    with office(t) as here:
        dice = here.world.dice
        here.drop(dice.randint(1, 5))
        here.step("tick")
        for step in ("tick", "queue", "watch"):
            here.minute()
            place = dice.choice([*here.home.rglob("*.db")])
            held = threading.Thread(target=_hold, args=(place, dice.uniform(0, 1), dice.uniform(1, 9)))
            held.start()
            here.step(step)
            held.join()
        here.settle()


def _hold(database: Path, after_s: float, for_s: float) -> None:
    """An exclusive lock, as of a backup or a hung process."""
    time.sleep(after_s)
    with suppress(sqlite3.OperationalError):  # somebody else has it
        line = sqlite3.connect(database, isolation_level=None)
        line.execute("BEGIN EXCLUSIVE")
        time.sleep(for_s)
        line.rollback()
        line.close()


def restarted_with_runs_queued(t: Try) -> None:
    """All is killed at a random moment while runs wait and one is under way; then it is started again."""
    with office(t) as here:
        dice = here.world.dice
        here.drop(dice.randint(2, 9))
        here.step("tick")
        for _ in range(2):
            process = here.begin("queue")
            time.sleep(dice.uniform(0, _BUSY_S))
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
            here.daemon.end()
        here.settle()


def all_restarted_with_runs_queued(t: Try) -> None:
    """The same of Dagster's own processes, with all that they started."""
    here, _ = _struck(t)
    here.restart()
    here.settle()


def daemon_killed(t: Try) -> None:
    """The daemon alone, while hours and boletins are on their way."""
    here, _ = _struck(t)
    here.kill(DAEMON, with_runs=True)
    here.settle()


def code_server_killed(t: Try) -> None:
    """The code server; its runs outlive it, or die with it."""
    here, dice = _struck(t)
    here.kill(CODE_SERVER, with_runs=dice.random() < 0.5)
    here.settle()


def clock_jumps_under_dagster(t: Try) -> None:
    """An hour forward or back while hours and boletins are on their way; later somebody sets it right."""
    here, dice = _struck(t)
    hour = dice.choice((-3600, 3600))
    here.jump(hour)
    time.sleep(dice.uniform(3, 20))
    here.jump(-hour)
    if hour > 0:  # Dagster's daemon reckons its turns by the clock, and rests until it is where it was
        here.hour_passes()
    here.settle()


def _struck(t: Try) -> tuple[House, Random]:
    here, dice = t.house(), Random(t.seed)
    here.busy_hour(dice)
    return here, dice
