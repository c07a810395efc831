"""A boletim from bytes to verdict: what its sender is told, and the rows that it brings in."""

from dataclasses import dataclass, field
from datetime import date
from functools import cached_property

import numpy as np
import pandas as pd

from telemetria_pipeline.contracts.boletim import (
    BOLETIM_QUARANTINE,
    BOLETIM_TRIPS,
    HEADER_NAMES,
    OWN_SHEETS,
    REQUIRED,
)
from telemetria_pipeline.contracts.boletim_problems import Problem, problem
from telemetria_pipeline.core.boletim.columns import look_like_trips
from telemetria_pipeline.core.boletim.findings import Finding, Group, grouped, listed
from telemetria_pipeline.core.boletim.rules import validate_rows
from telemetria_pipeline.core.boletim.settings import (
    EarlierTrips,
    KnownReadings,
    Reference,
    RowCounts,
    RuleSettings,
)
from telemetria_pipeline.core.sheets.reader import read_sheet, refusal_of_size
from telemetria_pipeline.core.sheets.text import LIMITS, Limits, SheetText, Unreadable

_DEFAULTS, _UNKNOWN = RuleSettings(), Reference()


@dataclass(frozen=True)
class FileVerdict:
    """What became of a file: `verdict` is `accepted`, `rejected` or `duplicate`.

    `accepted` is under contract BOLETIM_TRIPS, `rejected` under BOLETIM_QUARANTINE (rows that repeat one
    another too); `declared` holds the accepted rows and those that another file declared before. `correction`
    tells which earlier trips it replaces. `sheet` is what was read, None where the file as a whole is
    unreadable or a duplicate. `number_style` and `date_style` say, in Portuguese, how its numbers and dates
    were read (`vírgula decimal`, `dd/mm/aaaa`); None where they were not, or where that is open.
    With `partial`, an accepted file may have errors, and its rejected rows come back.
    """

    file_name: str
    verdict: str
    rows: RowCounts
    findings: list[Finding] = field(default_factory=list)
    whole: list[Problem] = field(default_factory=list)
    accepted: pd.DataFrame = field(default_factory=BOLETIM_TRIPS.empty)
    rejected: pd.DataFrame = field(default_factory=BOLETIM_QUARANTINE.empty)
    declared: pd.DataFrame = field(default_factory=BOLETIM_TRIPS.empty)
    sheet: SheetText | None = None
    correction: str | None = None
    number_style: str | None = None
    date_style: str | None = None

    @cached_property
    def groups(self) -> list[Group]:
        """The root causes, worst first. Their text names no value of a cell: it may go into metadata."""
        return grouped(self.findings, self.whole, self.row_numbers)

    @cached_property
    def problems(self) -> list[Problem]:
        """Errors for the sender, cell by cell; a long list is cut and says how many there are."""
        return listed(self.findings, self.whole, "erro")

    @cached_property
    def warnings(self) -> list[Problem]:
        """Warnings for the sender, cut like `problems`."""
        return listed(self.findings, self.whole, "aviso")

    @property
    def row_numbers(self) -> np.ndarray:
        """The spreadsheet's row number of each row that was read."""
        return np.empty(0, np.int64) if self.sheet is None else self.sheet.cells.index.to_numpy()

    @property
    def rows_with_errors(self) -> int:
        """How many rows have an error of their own."""
        bad = [f.positions for f in self.findings if f.severity == "erro"]
        return len(np.unique(np.concatenate(bad))) if bad else 0


def validate_file(
    data: bytes,
    file_name: str,
    *,
    received_on: date,
    settings: RuleSettings = _DEFAULTS,
    reference: Reference = _UNKNOWN,
    earlier: EarlierTrips | None = None,
    readings: KnownReadings | None = None,
    limits: Limits = LIMITS,
) -> FileVerdict:
    """Read a boletim and judge it; no bytes make this raise.

    Args:
        data: the file's bytes.
        file_name: the sender's name for it.
        received_on: the day of arrival in the contract's zone.
        settings: limits of the rules; `partial` takes the good rows of a file with errors.
        reference: vehicles and drivers, where known.
        earlier: accepted trips of other files (contract BOLETIM_TRIPS), without those that this file
            replaces.
        readings: last known odometers of vehicles; asked only where numbers can be read in two ways.
        limits: how much is read at most.
    """
    try:
        sheet = read_sheet(
            data,
            file_name=file_name,
            known_headers=HEADER_NAMES,
            required=REQUIRED,
            ignored_sheets=OWN_SHEETS,
            also_a_table=look_like_trips,
            limits=limits,
        )
    except Unreadable as refusal:
        return FileVerdict(file_name, "rejected", RowCounts(), whole=refusal.problems)
    result = validate_rows(
        sheet,
        file_name=file_name,
        received_on=received_on,
        settings=settings,
        reference=reference,
        earlier=earlier,
        readings=readings,
    )
    refused = result.has_errors and not (settings.partial and result.counts.accepted)
    return FileVerdict(
        file_name,
        "rejected" if refused else "accepted",
        result.counts,
        result.findings,
        result.whole,
        result.accepted,
        result.rejected,
        result.declared,
        sheet,
        number_style=result.number_style,
        date_style=result.date_style,
    )


def duplicate_of(file_name: str, other: str, received: int) -> FileVerdict:
    """The verdict on a file whose content came before under the name `other`, with `received` rows."""
    said = problem("ARQUIVO_REPETIDO", other=other)
    return FileVerdict(file_name, "duplicate", RowCounts(received, 0, received, 0), whole=[said])


def too_large(file_name: str, size: int, limits: Limits = LIMITS) -> FileVerdict:
    """The verdict on a file of which no byte is read, because it has more than `limits.size` of them."""
    return FileVerdict(file_name, "rejected", RowCounts(), whole=refusal_of_size(size, limits).problems)
