"""How one and the same carrier looks through different APIs: a class a dialect.

Each is read by the shipped profile of its name.
"""

from telemetria_pipeline.simulator.dialects.base import Asked, Dialect
from telemetria_pipeline.simulator.dialects.motive import Motive
from telemetria_pipeline.simulator.dialects.own import Own
from telemetria_pipeline.simulator.dialects.traccar import Traccar

DIALECTS: dict[str, Dialect] = {dialect.name: dialect for dialect in (Own(), Motive(), Traccar())}

__all__ = ["DIALECTS", "Asked", "Dialect"]
