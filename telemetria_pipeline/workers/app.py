"""What `celery -A telemetria_pipeline.workers.app worker` runs: a task is a whole run, in one process."""

from typing import Any

from celery import Task
from celery.exceptions import Reject
from celery.signals import worker_process_init
from dagster_celery.tasks import create_execute_job_task

from telemetria_pipeline.settings import Settings
from telemetria_pipeline.workers.broker import build_app
from telemetria_pipeline.workers.lease import NotTakenError, lease


class RunTask(Task):
    """A run under its lease. The task's id is the run's."""

    abstract = True

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The run's exit code; None where another worker has it. What cannot be begun here goes back."""
        try:
            with lease(self.request.id, Settings.load().worker_silence_s) as ours:
                return super().__call__(*args, **kwargs) if ours else None
        except NotTakenError as error:
            raise Reject(str(error), requeue=True) from None


app = build_app(Settings.load())
execute_job = create_execute_job_task(app, base=RunTask)  # type: ignore[arg-type]


@worker_process_init.connect
def _warm(**_: Any) -> None:
    """Import the project before the first run asks for it."""
    import telemetria_pipeline.definitions  # noqa: F401
