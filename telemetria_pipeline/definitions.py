"""Wiring only: what Dagster loads. `build_definitions` lets tests and tools replace the resource."""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from telemetria_pipeline.carriers.sources import load_sources
from telemetria_pipeline.defs.alerts.automation import alerts_job, alerts_sensor, alerts_watch
from telemetria_pipeline.defs.audit.assets import audit_assets
from telemetria_pipeline.defs.audit.automation import audit_daily, audit_job, stale_days_sensor
from telemetria_pipeline.defs.billing.assets import billing
from telemetria_pipeline.defs.billing.automation import cycle_daily, cycle_job
from telemetria_pipeline.defs.boletins.assets import boletins
from telemetria_pipeline.defs.boletins.automation import boletim_inbox_sensor, boletim_job
from telemetria_pipeline.defs.reference.assets import acceptances, contracts, drivers, substitutions, vehicles
from telemetria_pipeline.defs.reference.automation import reference_job, reference_sensor
from telemetria_pipeline.defs.reports.assets import daily_report, measurement
from telemetria_pipeline.defs.resources import PipelineResource
from telemetria_pipeline.defs.telemetry.automation import telemetry_definitions
from telemetria_pipeline.defs.upkeep import upkeep_daily, upkeep_job
from telemetria_pipeline.settings import Settings


def build_definitions(overrides: Mapping[str, Any] | None = None) -> dg.Definitions:
    """The whole project; `overrides` replaces resources by name (`pipeline`).

    Its sources are those of `sources.yaml` as it is now: a reload of the code location takes in a new one.
    """
    sources = load_sources(Settings.load())
    shared = dg.Definitions(
        assets=[
            boletins,
            audit_assets(sources),
            billing,
            daily_report,
            measurement,
            vehicles,
            drivers,
            contracts,
            substitutions,
            acceptances,
        ],
        jobs=[boletim_job, audit_job, cycle_job, reference_job, alerts_job, upkeep_job],
        schedules=[audit_daily, cycle_daily, alerts_watch, upkeep_daily],
        sensors=[boletim_inbox_sensor, reference_sensor, stale_days_sensor, alerts_sensor],
        # Where no job says it: a backfill of assets. A worker's process may have no processes of its own.
        executor=dg.in_process_executor,
        resources={"pipeline": PipelineResource(), **(overrides or {})},
    )
    return dg.Definitions.merge(shared, *map(telemetry_definitions, sources.values()))


defs = build_definitions()
