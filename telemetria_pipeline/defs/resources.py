"""What assets reach outside for. Settings are read when a run asks, never when the definitions load."""

from typing import Any

import dagster as dg
from pydantic import Field

from telemetria_pipeline.carriers.client import CarrierClient
from telemetria_pipeline.carriers.profile import Profile
from telemetria_pipeline.carriers.sources import Source
from telemetria_pipeline.defs.telemetry.request_log import RequestLog
from telemetria_pipeline.settings import Settings, SettingsError
from telemetria_pipeline.steps.lake import open_lake
from telemetria_pipeline.storage.lake import Lake
from telemetria_pipeline.storage.object_store import ObjectStore


class PipelineResource(dg.ConfigurableResource):
    """The settings, and what they name: the lake, the inbox, the sources' APIs.

    Secrets come from the environment only, so that no config page shows them.
    """

    settings: dict[str, Any] = Field(
        default_factory=dict,
        description='Settings of this run in place of the environment\'s, by name: {"km_share": "0.08"}.',
    )

    def load(self) -> Settings:
        """The settings. Raises `SettingsError`."""
        if secrets := sorted(Settings.secret_names() & set(self.settings)):
            raise SettingsError(
                f"{', '.join(secrets)}: a run's settings are stored; set them in the environment"
            )
        return Settings.load(**self.settings)

    def lake(self) -> Lake:
        """The lake that the settings name. Raises `SettingsError` and `StorageError`."""
        return open_lake(self.load())

    def inbox(self) -> ObjectStore:
        """The inbox that the settings name. Raises `SettingsError` and `StorageError`."""
        return ObjectStore.open(self.load().inbox)

    def client(self, source: Source, profile: Profile, log: RequestLog, run_id: str) -> CarrierClient:
        """A client with a session of its own. Raises `SourceError` where the source's secret is not set."""
        self.load()  # a .env may hold the secret
        return source.client(profile, log=log, correlation=run_id[:8])
