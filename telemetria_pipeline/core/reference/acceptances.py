"""Measured trips that nobody declared and that are paid all the same."""

import pandas as pd

from telemetria_pipeline.contracts.reference import ACCEPTANCE_HEADERS, ACCEPTANCES
from telemetria_pipeline.core.reference.cells import clocks, days, plates, repeated
from telemetria_pipeline.core.reference.sheet import ReferenceTable, Sheet, read_table


def read_acceptances(data: bytes, file_name: str) -> ReferenceTable:
    """The acceptances of a reference file, under contract ACCEPTANCES."""
    return read_table(data, file_name, ACCEPTANCES, ACCEPTANCE_HEADERS, _acceptances, may_be_empty=True)


def _acceptances(sheet: Sheet) -> dict[str, pd.Series]:
    made = {"placa": plates(sheet), "data": days(sheet, "data"), "hora_saida": clocks(sheet, "hora_saida")}
    twice = repeated(pd.DataFrame(made).loc[sheet.sound_rows])
    sheet.wrong("placa", twice, lambda row: f"este aceite já está na linha {twice[row]}; apague uma das duas")
    return made
