"""From a boletim's text cells to typed trips: every row is accepted, duplicate or rejected, and why."""

from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from telemetria_pipeline.contracts.boletim import BOLETIM_TRIPS
from telemetria_pipeline.contracts.boletim_problems import Problem
from telemetria_pipeline.core.boletim.cells import read_cells
from telemetria_pipeline.core.boletim.columns import match_columns
from telemetria_pipeline.core.boletim.findings import Finding, Findings, per_row
from telemetria_pipeline.core.boletim.frames import quarantine, typed_trips
from telemetria_pipeline.core.boletim.last_word import once
from telemetria_pipeline.core.boletim.register import (
    instants,
    judge_against_reference,
    judge_period,
    zones_of,
)
from telemetria_pipeline.core.boletim.sequence import judge_between_rows
from telemetria_pipeline.core.boletim.settings import (
    EarlierTrips,
    KnownReadings,
    Reference,
    RowCounts,
    RuleSettings,
)
from telemetria_pipeline.core.sheets.text import SheetText

_DEFAULTS, _UNKNOWN = RuleSettings(), Reference()


@dataclass(frozen=True)
class RowsResult:
    """What became of a sheet's rows.

    `accepted` is under contract BOLETIM_TRIPS, `rejected` (duplicates too) under BOLETIM_QUARANTINE;
    `declared` holds the accepted ones and those that another file declared before; `findings` are the
    problems of rows and `whole` those of the sheet as a whole. The styles say how numbers and dates were
    read.
    """

    accepted: pd.DataFrame
    declared: pd.DataFrame
    rejected: pd.DataFrame
    findings: list[Finding]
    whole: list[Problem]
    counts: RowCounts
    number_style: str | None = None
    date_style: str | None = None

    @property
    def has_errors(self) -> bool:
        """Whether anything found is an error."""
        return any(f.severity == "erro" for f in self.findings) or any(
            p.severity == "erro" for p in self.whole
        )


def validate_rows(
    sheet: SheetText,
    *,
    file_name: str,
    received_on: date,
    settings: RuleSettings = _DEFAULTS,
    reference: Reference = _UNKNOWN,
    earlier: EarlierTrips | None = None,
    readings: KnownReadings | None = None,
) -> RowsResult:
    """Judge each row of a boletim and type the accepted ones.

    Args:
        sheet: the reader's text cells.
        file_name: the sender's name for the file; its period may stand in it.
        received_on: the day of arrival in the contract's zone; later trips have not happened yet.
        reference: vehicles and drivers; what is not given is not checked.
        earlier: accepted trips of other files (contract BOLETIM_TRIPS), without those that this file
            replaces. A trip that is among them is a duplicate.
        readings: last known odometers; a witness where numbers can be read in two ways.
    """
    rows = sheet.cells.index.to_numpy()
    matched = match_columns(sheet)
    told, whole = per_row(sheet.problems, rows)
    whole = [*whole, *sheet.notes, *matched.problems]
    findings = Findings(sheet, settings.severities, told)
    if any(p.severity == "erro" for p in whole):
        return _refused(sheet, file_name, findings, whole, np.zeros(len(rows), bool))

    cells = read_cells(
        sheet, matched.letters, findings, received_on=received_on, settings=settings, readings=readings
    )
    styles = cells.number_style, cells.date_style
    zones = zones_of(cells, reference, settings)
    departure, arrival = instants(cells, zones)
    judge_against_reference(cells, reference, findings)
    judge_period(cells, file_name, received_on, findings)
    repeats = judge_between_rows(cells, sheet, departure, arrival, earlier, settings, findings)

    errors = findings.bad.any()
    if errors and not settings.partial:
        return _refused(sheet, file_name, findings, whole, repeats, *styles)
    kept = ~(findings.bad | repeats)
    sent = findings.noted(None, "LINHA_JA_ENVIADA") & ~findings.bad
    declared = typed_trips(cells, zones, departure, arrival, sheet, file_name, kept | sent)
    accepted = declared[kept[kept | sent]].reset_index(drop=True)
    if broken := BOLETIM_TRIPS.broken_by(accepted):
        # Not the sender's mistake but ours: a rule above let something through.
        raise AssertionError(f"accepted rows break the contract boletim_trips: {broken}")
    rejected = quarantine(sheet, file_name, findings, ~kept, repeats)
    counts = _counts(kept, repeats & ~findings.bad)
    return RowsResult(accepted, once(declared), rejected, findings.found, whole, counts, *styles)


def _counts(kept: np.ndarray, repeats: np.ndarray) -> RowCounts:
    accepted, duplicate = int(kept.sum()), int(repeats.sum())
    return RowCounts(len(kept), accepted, duplicate, len(kept) - accepted - duplicate)


def _refused(
    sheet: SheetText,
    file_name: str,
    findings: Findings,
    whole: list[Problem],
    repeats: np.ndarray,
    *styles: str | None,
) -> RowsResult:
    nothing = np.zeros(len(sheet.cells), bool)
    return RowsResult(
        BOLETIM_TRIPS.empty(),
        BOLETIM_TRIPS.empty(),
        quarantine(sheet, file_name, findings, ~nothing, repeats),
        findings.found,
        whole,
        _counts(nothing, repeats & ~findings.bad),
        *styles,
    )
