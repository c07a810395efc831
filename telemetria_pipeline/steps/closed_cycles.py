"""The closed cycles in the lake: what was frozen, and the proof that it is still the same.

`closed_billing`, `closed_trips` and `closed_adjustments` lie under the hash of what they say; `closing.json`
is written after them, can be written only once, and makes the closing real. A closing that was cut short
before it leaves the cycle open.
"""

from collections.abc import Mapping

import orjson
import pandas as pd

from telemetria_pipeline.business_calendar import Cycle
from telemetria_pipeline.contracts import Contract
from telemetria_pipeline.contracts.billing import ADJUSTMENTS, BILLING, PRICED_TRIPS
from telemetria_pipeline.contracts.closing import Closing
from telemetria_pipeline.core.billing.closing import FROZEN, content_hash
from telemetria_pipeline.errors import PipelineError
from telemetria_pipeline.storage.lake import Lake

_FROZEN_NAMES = {BILLING: "closed_billing", PRICED_TRIPS: "closed_trips", ADJUSTMENTS: "closed_adjustments"}

Tables = Mapping[Contract, pd.DataFrame]


class CycleRefused(PipelineError):
    """The cycle cannot be billed or closed; `reasons` say why and what to do, in Portuguese."""

    def __init__(self, reasons: list[str]) -> None:
        super().__init__("\n".join(reasons))
        self.reasons = reasons


def closing_key(cycle: Cycle) -> str:
    """Where the closing of a cycle lies in the lake."""
    return f"closed_cycles/ciclo={cycle.key}/closing.json"


def read_closing(lake: Lake, cycle: Cycle) -> Closing | None:
    """How the cycle was closed; None while it is open."""
    found = lake.read_json(closing_key(cycle))
    return Closing.model_validate(found) if found else None


def closed_before(lake: Lake, cycle: Cycle) -> list[Closing]:
    """The unbroken run of closed cycles before this one, the oldest first."""
    found = []
    cycle = cycle.before
    while closing := read_closing(lake, cycle):
        found.append(closing)
        cycle = cycle.before
    return found[::-1]


def freeze(lake: Lake, closing: Closing, tables: Tables) -> None:
    """Close the cycle with these tables. Raises `ObjectExists` where somebody closed it meanwhile."""
    for contract, frame in tables.items():
        lake.write_table(_FROZEN_NAMES[contract], closing.partition, contract.table(frame))
    body = orjson.dumps(closing.model_dump(mode="json"), option=orjson.OPT_INDENT_2)
    lake.store.put_new(closing_key(Cycle.from_key(closing.cycle)), body)


def frozen_tables(lake: Lake, closing: Closing) -> Tables:
    """The tables that the closing froze. Raises `CycleRefused` where they are not what it says."""
    tables = {contract: frozen_table(lake, closing, contract) for contract in FROZEN}
    if content_hash(tables) != closing.hash:
        raise CycleRefused(
            [
                f"As tabelas congeladas do ciclo {closing.cycle} não são as que foram fechadas (hash "
                f"{closing.hash[:16]}): restaure {', '.join(_FROZEN_NAMES.values())} de uma cópia."
            ]
        )
    return tables


def frozen_table(lake: Lake, closing: Closing, contract: Contract) -> pd.DataFrame:
    """One of the frozen tables, unproven: `frozen_tables` holds them against the hash."""
    table = lake.read_table(_FROZEN_NAMES[contract], closing.partition)
    return contract.empty() if table is None else contract.frame(table)
