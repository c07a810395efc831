"""Reference files, CSV or XLSX: from bytes to a table under contract, or to the list of what is wrong.

They are read as boletins are, and a file with any problem is not taken at all: whoever keeps it corrects
it once, and nobody wonders which half of it counts. Problems are in Portuguese, for that person, and name
cells; of `drivers` they never name a value.
"""

from telemetria_pipeline.core.reference.acceptances import read_acceptances
from telemetria_pipeline.core.reference.contracts import read_contracts
from telemetria_pipeline.core.reference.drivers import read_drivers
from telemetria_pipeline.core.reference.sheet import ReferenceTable
from telemetria_pipeline.core.reference.substitutions import read_substitutions
from telemetria_pipeline.core.reference.vehicles import read_vehicles

__all__ = [
    "ReferenceTable",
    "read_acceptances",
    "read_contracts",
    "read_drivers",
    "read_substitutions",
    "read_vehicles",
]
