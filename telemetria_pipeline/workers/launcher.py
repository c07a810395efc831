"""Dagster's side of the workers: the `run_launcher` of `deploy/dagster.yaml`."""

from collections.abc import Mapping
from typing import Any, Self

from celery.canvas import Signature
from dagster import DagsterRun

# Dagster exports none of what a launcher is made of; dagster-celery, pinned with it, takes it from here.
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.launcher import CheckRunHealthResult, WorkerStatus
from dagster._serdes import ConfigurableClassData
from dagster_celery.launcher import CeleryRunLauncher
from dagster_celery.tags import DAGSTER_CELERY_QUEUE_TAG
from kombu.exceptions import OperationalError

from telemetria_pipeline.settings import Settings
from telemetria_pipeline.workers.broker import build_app
from telemetria_pipeline.workers.lease import last_heard


class WorkerLauncher(CeleryRunLauncher):
    """Hands each run to the workers as one task, and knows by its lease whether a worker still has it.

    The queue is the run's tag `dagster-celery/queue`, else `settings.worker_queue`. The settings come from
    the environment, as the workers' do.
    """

    def __init__(self, inst_data: ConfigurableClassData | None = None) -> None:
        settings = Settings.load()
        super().__init__(default_queue=settings.worker_queue, inst_data=inst_data)
        self.celery = build_app(settings)
        self._silence_s = settings.worker_silence_s

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        return {}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData, config_value: Mapping[str, Any]) -> Self:
        return cls(inst_data=inst_data)

    def _launch_celery_task_run(self, run: DagsterRun, task_signature: Signature, routing_key: str) -> None:
        queue = run.tags.get(DAGSTER_CELERY_QUEUE_TAG, self.default_queue)
        try:
            task_signature.apply_async(task_id=run.run_id, queue=queue)
        except OperationalError:
            # The one error upon which Dagster puts the run back into its queue, instead of failing it.
            raise DagsterUserCodeUnreachableError(
                f"The broker in {Settings.variable('broker_url')} does not answer; "
                "the run waits in the queue until it does"
            ) from None
        self._instance.report_engine_event(f"Sent to the workers' queue {queue}", run, cls=self.__class__)

    def terminate(self, run_id: str) -> bool:
        """Tell the run's worker to stop: it reads so in the database when it renews its lease."""
        run = self._instance.get_run_by_id(run_id)
        if run is None or run.is_finished:
            return False
        self._instance.report_run_canceling(run)
        if (
            last_heard(self._instance, run_id) is None
        ):  # no worker has it yet; the one that takes it finds it canceled
            self._instance.report_run_canceled(run)
        return True

    @property
    def supports_resume_run(self) -> bool:
        return False  # a dead worker's run is failed, and tried again as a run of its own

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        heard = last_heard(self._instance, run.run_id)
        if heard is None or heard.silent_s <= self._silence_s:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        said = f"its worker ({heard.worker}) was killed or cut off: not heard for {heard.silent_s:.0f} s"
        return CheckRunHealthResult(WorkerStatus.FAILED, said)

    def get_run_worker_debug_info(
        self, run: DagsterRun, include_container_logs: bool | None = True
    ) -> str | None:
        heard = last_heard(self._instance, run.run_id)
        return f"Worker: {heard.worker}" if heard else "No worker has taken it yet"
