"""A carrier that misbehaves on demand, and a fleet whose answers are known.

`Simulator` serves the telemetry API of a `Fleet` over HTTP with the faults of a `FaultPlan`, and says what
a perfect ingest of it holds. Nothing here imports the rest of the project, and nothing of it needs this
to work.
"""

from telemetria_pipeline.simulator.faults import DATA_FAULTS, TRANSPORT_FAULTS, FaultPlan, demo_faults
from telemetria_pipeline.simulator.fleet import Fleet, Trip, Vehicle
from telemetria_pipeline.simulator.records import Silence
from telemetria_pipeline.simulator.server import Request, Simulator
from telemetria_pipeline.simulator.truth import TrueTrip

__all__ = [
    "DATA_FAULTS", "TRANSPORT_FAULTS", "FaultPlan", "Fleet", "Request", "Silence", "Simulator", "Trip",
    "TrueTrip", "Vehicle", "demo_faults",
]  # fmt: skip
