"""The Celery app as both sides use it: the launcher sends to its broker, the workers take from it."""

from celery import Celery

from telemetria_pipeline.settings import Settings, SettingsError

_DAY_S = 86_400


def build_app(settings: Settings) -> Celery:
    """The app that the settings describe. Raises `SettingsError` where no broker is set."""
    if settings.broker_url is None:
        raise SettingsError(
            f"set {Settings.variable('broker_url')} to the broker of the workers, "
            "e.g. amqp://user:password@host:5672// or redis://host:6379/0"
        )
    url = settings.broker_url.get_secret_value()
    app = Celery("telemetria", broker=url)
    app.conf.update(
        # A worker takes one run, and no second one to wait behind it while another worker is idle.
        task_acks_late=True,
        worker_prefetch_multiplier=1,
        task_default_queue=settings.worker_queue,
        # What became of a run stands in Dagster's database; a second opinion lies after a redelivery.
        task_ignore_result=True,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options=(
            # Redis hands a run out again after this time, RabbitMQ when its worker's connection ends.
            {"visibility_timeout": _DAY_S} if url.startswith("redis") else {"confirm_publish": True}
        ),
        worker_redirect_stdouts=False,  # Dagster keeps what a run prints
        worker_proc_alive_timeout=120,  # a process imports the project before it says that it is there
    )
    return app
