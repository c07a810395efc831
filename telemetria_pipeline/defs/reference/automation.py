"""The reference tables: made again when somebody has changed their files."""

import dagster as dg

from telemetria_pipeline.defs.reference.assets import acceptances, contracts, drivers, substitutions, vehicles

reference_job = dg.define_asset_job(
    "reference_job",
    selection=dg.AssetSelection.assets(vehicles, drivers, contracts, substitutions, acceptances),
    executor_def=dg.in_process_executor,
    description="Read the reference tables again from their files in the lake.",
)
