"""Wiring only: what Dagster loads. `build_definitions` lets tests and tools replace a resource."""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from telemetria_pipeline.assets.audit import audit
from telemetria_pipeline.assets.billing import billing
from telemetria_pipeline.assets.boletins import boletins
from telemetria_pipeline.assets.reference import contracts, drivers, vehicles
from telemetria_pipeline.assets.reports import daily_report, measurement
from telemetria_pipeline.assets.resources import CarrierResource, InboxResource, LakeResource
from telemetria_pipeline.assets.telemetry import telemetry
from telemetria_pipeline.automation.audit import audit_daily, audit_job, changed_days_sensor
from telemetria_pipeline.automation.billing import cycle_daily, cycle_job
from telemetria_pipeline.automation.boletins import boletim_inbox_sensor, boletim_job
from telemetria_pipeline.automation.reference import reference_job
from telemetria_pipeline.automation.telemetry import telemetry_hourly, telemetry_job, telemetry_recapture


def build_definitions(overrides: Mapping[str, Any] | None = None) -> dg.Definitions:
    """The whole project; `overrides` replaces resources by name (`lake`, `inbox`, `carrier`)."""
    return dg.Definitions(
        assets=[telemetry, boletins, audit, billing, daily_report, measurement, vehicles, drivers, contracts],
        jobs=[telemetry_job, boletim_job, audit_job, cycle_job, reference_job],
        schedules=[telemetry_hourly, telemetry_recapture, audit_daily, cycle_daily],
        sensors=[boletim_inbox_sensor, changed_days_sensor],
        resources={
            "lake": LakeResource(),
            "inbox": InboxResource(),
            "carrier": CarrierResource(),
            **(overrides or {}),
        },
    )


defs = build_definitions()
