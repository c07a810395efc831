"""Dagster's daemon a step at a time, each step in a process of its own that may be killed in the middle.

    python -m telemetria_pipeline_tests.faults.daemon

It loads Dagster once, and forks for each step that it is told on its standard input.
"""

import json
import logging
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from itertools import chain
from pathlib import Path
from random import Random
from types import SimpleNamespace, TracebackType
from typing import Any, Self

from telemetria_pipeline_tests.clock import Clock
from telemetria_pipeline_tests.faults.world import World

_DEFINITIONS = "telemetria_pipeline.definitions"
_LOADED = (
    "dagster._core.test_utils", "dagster._daemon.controller", "dagster._daemon.monitoring.run_monitoring",
    "dagster._daemon.run_coordinator.queued_run_coordinator_daemon", "dagster._core.workspace.context",
    "dagster._grpc.server", "telemetria_pipeline.reports.answer", "pandera.pandas",
)  # fmt: skip
CRASHES = ("TICK_CREATED", "TICK_HELD", "RUN_CREATED", "RUN_LAUNCHED")
"""Where a tick may be killed: before the sensor is asked, and before and after its first run is launched."""


class Daemon:
    """What the others see of it: steps, by the clock that they set."""

    def __init__(self, folder: Path) -> None:
        self.clock, self.log = Clock(folder), folder / "daemon.log"
        with self.log.open("w") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
                text=True, env=os.environ | self.clock.environment,
            )  # fmt: skip
        self._hear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._process.communicate()

    def begin(self, what: str, environment: dict[str, str] | None = None, **more: Any) -> int:
        """Begin `turn` or `capture` with these words, and return the number of its process."""
        assert self._process.stdin
        said = {"what": what, "environment": environment or {}, **more}
        self._process.stdin.write(json.dumps(said) + "\n")
        self._process.stdin.flush()
        return int(self._hear())

    def end(self) -> int:
        """Wait for its end: 0, or the number of the signal that ended it, negative; 1 where it failed."""
        return int(self._hear())

    def _hear(self) -> str:
        assert self._process.stdout
        if not (said := self._process.stdout.readline()):
            raise RuntimeError(f"the daemon ended: {self.log.read_text()[-2000:]}")
        return said.strip()


def capture(address: str, url: str, said: str) -> None:
    """A run without Dagster, by this clock; what failed stands in the file `said`."""
    world = World(address, SimpleNamespace(url=url), Random(0))
    world.run()
    Path(said).write_text(json.dumps(world.said), "utf-8")


def turn(steps: Sequence[str], crash: str = "", sensor: str = "") -> None:
    """What the daemon does in one turn; killed at `crash` of the sensor's tick.

    `tick` asks all sensors that are due, `watch` looks for runs that died, `queue` launches what waits.
    """
    import dagster as dg
    from dagster._core.remote_origin import InProcessCodeLocationOrigin
    from dagster._core.test_utils import InProcessTestWorkspaceLoadTarget
    from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
    from dagster._core.workspace.context import WorkspaceProcessContext
    from dagster._daemon.auto_run_reexecution.event_log_consumer import EventLogConsumerDaemon
    from dagster._daemon.monitoring.run_monitoring import execute_run_monitoring_iteration
    from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import QueuedRunCoordinatorDaemon
    from dagster._daemon.sensor import execute_sensor_iteration

    sys.modules.pop(_DEFINITIONS, None)  # they are those of the environment in which they are loaded
    code = LoadableTargetOrigin(executable_path=sys.executable, module_name=_DEFINITIONS)
    target = InProcessTestWorkspaceLoadTarget(InProcessCodeLocationOrigin(code))
    with dg.DagsterInstance.get() as instance, WorkspaceProcessContext(instance, target) as workspace:
        log = logging.getLogger("faults")
        flags: Any = {sensor: {crash: signal.SIGKILL}} if crash else None
        turns = {
            "tick": lambda: execute_sensor_iteration(workspace, log, None, None, debug_crash_flags=flags),
            "watch": lambda: chain(
                execute_run_monitoring_iteration(workspace, log),
                EventLogConsumerDaemon(interval_seconds=1).run_iteration(workspace),
            ),
            "queue": lambda: QueuedRunCoordinatorDaemon(interval_seconds=1).run_iteration(workspace),
        }
        for error in (error for step in steps for error in turns[step]()):
            if error:
                print(error, file=sys.stderr)


def main() -> None:
    """Fork for each line."""
    for name in _LOADED:
        import_module(name)
    print("ready", flush=True)
    for line in sys.stdin:
        said = json.loads(line)
        if not (child := os.fork()):
            os.environ.update(said.pop("environment"))
            try:
                {"turn": turn, "capture": capture}[said.pop("what")](**said)
            except BaseException:
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        print(child, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
