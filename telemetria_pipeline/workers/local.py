"""The `run_launcher` of `dagster.yaml`: runs are processes of this machine, and one that died is noticed."""

import json

import dagster as dg
import psutil

# Dagster exports none of what says how a worker is; its own launchers take it from here.
from dagster._core.launcher import CheckRunHealthResult, WorkerStatus

_HERE = {"localhost", "127.0.0.1", "::1"}
_SERVER_TAG = ".dagster/grpc_info"
# The run says which process it is some time after that has begun.
_CLOCKS_DIFFER_S = 2.0
_OF_A_RUN = "multiprocessing.spawn"


class LocalLauncher(dg.DefaultRunLauncher):
    """Dagster's default launcher, which looks whether a run's process still lives.

    The default trusts the code server to report a run whose process died; where both are killed, the run says
    Started until its `max_runtime`, and holds its pool. Of a code server on another machine nothing is known.
    """

    @property
    def supports_check_run_worker_health(self) -> bool:
        """That the daemon's run monitoring may ask."""
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Whether the run's process lives, as far as it can be known."""
        server = json.loads(run.tags.get(_SERVER_TAG, "{}"))
        if "socket" not in server and server.get("host") not in _HERE:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        events = self._instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ENGINE_EVENT)
        for entry in events:
            event = entry.dagster_event
            pid = event.engine_event_data.metadata.get("pid") if event else None
            if pid and not _lives(int(str(pid.value)), entry.timestamp):
                return CheckRunHealthResult(WorkerStatus.FAILED, f"its process {pid.value} has died")
        return CheckRunHealthResult(WorkerStatus.RUNNING)


def _lives(pid: int, known_since: float) -> bool:
    """Whether the process that had this number then is still there: numbers are given again.

    When a process began is told by the clock as it is now: where that was set since, all seem to have begun
    later. One that is a run's by its command is taken for ours then; if it is another run's, until that ends.
    """
    try:
        process = psutil.Process(pid)
        begun = process.create_time() <= known_since + _CLOCKS_DIFFER_S
        ours = begun or _OF_A_RUN in " ".join(process.cmdline())
        return ours and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
