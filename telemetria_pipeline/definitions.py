"""Wiring only: what Dagster loads. `build_definitions` lets tests and tools replace a resource."""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from telemetria_pipeline.assets.resources import CarrierResource, LakeResource
from telemetria_pipeline.assets.telemetry import telemetry
from telemetria_pipeline.automation.telemetry import telemetry_hourly, telemetry_job, telemetry_recapture


def build_definitions(overrides: Mapping[str, Any] | None = None) -> dg.Definitions:
    """The whole project; `overrides` replaces resources by name (`lake`, `carrier`)."""
    return dg.Definitions(
        assets=[telemetry],
        jobs=[telemetry_job],
        schedules=[telemetry_hourly, telemetry_recapture],
        resources={"lake": LakeResource(), "carrier": CarrierResource(), **(overrides or {})},
    )


defs = build_definitions()
