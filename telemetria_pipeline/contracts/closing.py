"""The log of closings: what is written when a billing cycle is closed or reopened.

The tables that a closing freezes lie beside it.
"""

from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field


class Sealed(BaseModel):
    """An entry of the log; written once, and never changed."""

    previous: str = ""  # SHA-256 of the whole entry before it; empty in the first
    seal: str = ""  # of all the rest


class Closing(Sealed):
    """A closed cycle. Written after its tables; from then on its bill never changes."""

    what: Literal["closed"] = "closed"
    cycle: str
    closed_at: datetime
    hash: str  # of what the frozen tables say; they lie under its first digits
    rules: dict[str, Any]  # the tolerances; what comes later is judged by them too
    rules_version: str
    tariffs_version: str
    totals: list[dict[str, Any]]  # an operation each, then all; numbers as text
    adjustments_brl: str  # of earlier cycles, charged in this one
    rows: dict[str, int]  # of each frozen table
    days: dict[date, str]  # each audited day -> digest of its validated trips
    beside: dict[date, str] = {}  # the same of days around it whose odometers were looked at; empty: none yet
    reference: str  # digest of `vehicles` and `contracts`
    accepted: list[str] = []  # what was still missing, and was closed without
    reason: str = ""  # why; empty where nothing was missing
    files: dict[str, str] = {}  # key of each frozen object -> SHA-256 of its bytes

    @property
    def partition(self) -> dict[str, str]:
        """Where its frozen tables lie: another try that was cut short leaves its own elsewhere."""
        return {"ciclo": self.cycle, "hash": self.hash[:16]}


class Reopening(Sealed):
    """A closed cycle that is open again, and why."""

    what: Literal["reopened"] = "reopened"
    cycle: str
    reopened_at: datetime
    reason: str


class Resealing(Sealed):
    """Somebody vouched for all before it, with another key or the first one, and why."""

    what: Literal["resealed"] = "resealed"
    resealed_at: datetime
    reason: str


Entry = Annotated[Closing | Reopening | Resealing, Field(discriminator="what")]
