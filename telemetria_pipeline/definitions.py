"""Wiring only: what Dagster loads. `build_definitions` lets tests and tools replace a resource."""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from telemetria_pipeline.defs.audit.assets import audit
from telemetria_pipeline.defs.billing.assets import billing
from telemetria_pipeline.defs.boletins.assets import boletins
from telemetria_pipeline.defs.reference.assets import contracts, drivers, vehicles
from telemetria_pipeline.defs.reports.assets import daily_report, measurement
from telemetria_pipeline.defs.resources import CarrierResource, InboxResource, LakeResource
from telemetria_pipeline.defs.telemetry.assets import telemetry
from telemetria_pipeline.defs.audit.automation import audit_daily, audit_job, changed_days_sensor
from telemetria_pipeline.defs.billing.automation import cycle_daily, cycle_job
from telemetria_pipeline.defs.boletins.automation import boletim_inbox_sensor, boletim_job
from telemetria_pipeline.defs.reference.automation import reference_job
from telemetria_pipeline.defs.telemetry.automation import telemetry_hourly, telemetry_job, telemetry_recapture


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
