"""Dagster's own processes, killed and started again, beside the carriers and the clock of `make week`."""

import os
import random
import subprocess
import time
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil

from telemetria_pipeline_tests.faults.world import NotSurvived, drop_boletins
from telemetria_pipeline_tests.week.world import GLANCE_MS, MINUTE, World, differences

CODE_SERVER, DAEMON = 0, 1
_MINUTE, _HOUR = timedelta(seconds=61), timedelta(hours=1)
_REST_S = 20
_SOON, _LATER = 20, 14  # so many minutes, then so many hours, until all is there: open hours are asked again


class House:
    """A code server and the daemon, begun once for many tries; what they are to have done follows from the
    carriers' truth and the boletins that were sent."""

    def __init__(self, folder: Path) -> None:
        outside = dict(os.environ)
        folder.mkdir()
        try:  # what it sets is for its processes
            self.world = World(folder, seed=7, vehicles=6)
            self.world.down = dict.fromkeys(self.world.down, (self.world.begin, self.world.begin))  # never
        finally:
            os.environ.clear()
            os.environ.update(outside)
        self.world.set(self.world.begin + timedelta(minutes=MINUTE))
        self.world.start()
        time.sleep(20)  # a schedule's first tick is the one after its daemon has started

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.world.stop()
        for api in self.world.apis.values():
            api.close()
        self.world.instance.dispose()

    def hour_passes(self) -> None:
        """For all of them: carriers too."""
        self.world.set(self.world.now + _HOUR)

    def busy_hour(self, dice: random.Random) -> None:
        """An hour later: the hour before is due, boletins land, and some of it is on its way."""
        self.hour_passes()
        drop_boletins(self.world.inbox, self.world.sent, dice.randint(1, 5))
        self.world.wait(lambda: bool(self.world.busy()))
        time.sleep(dice.uniform(0, 8))

    def kill(self, which: int, with_runs: bool) -> None:
        """Without a warning, and started again as `Restart=always` does; its runs go on, or go with it."""
        process = self.world.processes[which]
        command, environment = process.cmdline(), process.environ()
        victims = [process, *(process.children(recursive=True) if with_runs else [])]
        for victim in victims:
            victim.kill()
        psutil.wait_procs(victims)
        with (self.world.folder / "restarted.log").open("a") as log:
            again = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
        self.world.processes[which] = psutil.Process(again.pid)

    def restart(self) -> None:
        """All of it, without a warning."""
        self.world.stop()
        self.world.start()

    def jump(self, seconds: int) -> None:
        """The clock of Dagster's processes, and nobody else's."""
        self.world.clock.set(self.world.clock.ahead_s + seconds, GLANCE_MS)

    def _rests(self, within_s: float) -> bool:
        """Whether no run is on its way, soon: one may wait for a minute of the clock that is set here; of one
        that begins while an hour passes Dagster takes for granted that it never will."""
        ends = time.monotonic() + within_s
        while self.world.busy() and time.monotonic() < ends:
            time.sleep(0.25)
        return not self.world.busy()

    def settle(self) -> None:
        """Minutes pass, then hours, until nothing is owed; a process that ended is started again."""
        until = self.world.now - timedelta(minutes=MINUTE)
        problems: list[Any] = []
        for step in [_MINUTE] * _SOON + [_HOUR] * _LATER:
            if not all(map(_lives, self.world.processes)):
                self.restart()
            time.sleep(6)  # sensors see what is due
            if not self._rests(_REST_S if step is _MINUTE else 6 * _REST_S):
                problems = ["runs are on their way"]
            elif not (problems := differences(self.world, until)):
                return
            self.world.set(self.world.now + step)
        raise NotSurvived(f"{len(problems)} differences, {self.world.folder}: {problems[:5]}")


def _lives(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
