"""What the overhead of a run is measured against: an hourly run of Dagster's that does nothing."""

import dagster as dg


@dg.asset(partitions_def=dg.HourlyPartitionsDefinition("2025-01-01-00:00", timezone="America/Sao_Paulo"))
def nothing() -> dg.MaterializeResult:
    """One step in process, as ours are, and a materialisation."""
    return dg.MaterializeResult()


defs = dg.Definitions(
    assets=[nothing],
    jobs=[dg.define_asset_job("nothing_job", [nothing], executor_def=dg.in_process_executor)],
)
