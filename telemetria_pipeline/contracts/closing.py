"""What is written when a billing cycle is closed; the tables that it freezes lie beside it."""

from datetime import date, datetime
from typing import Any

from pydantic import BaseModel


class Closing(BaseModel):
    """A closed cycle. Written once, after its tables; from then on its bill never changes."""

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
    reference: str  # digest of `vehicles` and `contracts`
    accepted: list[str] = []  # what was still missing, and was closed without

    @property
    def partition(self) -> dict[str, str]:
        """Where its frozen tables lie: another try that was cut short leaves its own elsewhere."""
        return {"ciclo": self.cycle, "hash": self.hash[:16]}
