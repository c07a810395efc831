"""The golden month: telemetry and boletins of three carriers, with seeded frauds, accidents and the truth.

`GoldenMonth` is all that others need. `cast` says who plays, `story` what happens and what is declared of
it, `reference` keeps the files about vehicles, drivers and contracts; `trips`, `money` and `patterns` work
out the truth, without a line of the pipeline.
"""

from telemetria_pipeline.simulator.golden.month import GoldenMonth, Truth

__all__ = ["GoldenMonth", "Truth"]
