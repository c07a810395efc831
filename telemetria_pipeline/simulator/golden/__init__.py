"""The golden month: telemetry and boletins of three carriers, with seeded frauds and accidents.

`GoldenMonth` is all that others need. `cast` says who plays, `story` what happens and what is declared of it,
`reference` keeps the files about vehicles, drivers and contracts. What must come of it all is worked out in
the tests.
"""

from telemetria_pipeline.simulator.golden.cast import SOURCES, Source
from telemetria_pipeline.simulator.golden.month import GoldenMonth

__all__ = ["SOURCES", "GoldenMonth", "Source"]
