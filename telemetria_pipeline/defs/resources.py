"""What assets reach outside for. Settings are read when a run asks, never when the definitions load."""

import dagster as dg

from telemetria_pipeline.defs.telemetry.request_log import RequestLog
from telemetria_pipeline.carriers.client import CarrierClient
from telemetria_pipeline.carriers.profile import Profile, load_profile
from telemetria_pipeline.settings import Settings
from telemetria_pipeline.storage.lake import Lake
from telemetria_pipeline.storage.object_store import ObjectStore


class LakeResource(dg.ConfigurableResource):
    """The lake: tables, raw pages, manifests."""

    address: str | None = None  # None: TELEMETRIA_LAKE

    def open(self) -> Lake:
        """The lake at this resource's address, or at the one that the settings name."""
        return Lake.open(self.address or Settings.from_env().lake)


class InboxResource(dg.ConfigurableResource):
    """The inbox that boletins are dropped into."""

    address: str | None = None  # None: TELEMETRIA_INBOX

    def open(self) -> ObjectStore:
        """The inbox at this resource's address, or at the one that the settings name."""
        return ObjectStore.open(self.address or Settings.from_env().inbox)


class CarrierResource(dg.ConfigurableResource):
    """The carrier's API. The token comes from the environment only, so that no config page shows it."""

    def profile(self) -> Profile:
        """How to talk to the carrier; raises `ProfileError` naming the key that is wrong."""
        return load_profile(Settings.from_env().api_profile)

    def client(self, profile: Profile, log: RequestLog, correlation: str) -> CarrierClient:
        """A client with a session of its own; raises `MissingSetting` when the API is not configured."""
        url, token = Settings.from_env().api()
        return CarrierClient(profile, url, token, log=log, correlation=correlation)
