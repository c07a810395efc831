"""Which vehicle ran in place of which."""

import pandas as pd

from telemetria_pipeline.contracts.reference import SUBSTITUTION_HEADERS, SUBSTITUTIONS
from telemetria_pipeline.core.reference.cells import period, plates
from telemetria_pipeline.core.reference.sheet import ReferenceTable, Sheet, read_table

_NO_END = "9999"  # after every day


def read_substitutions(data: bytes, file_name: str) -> ReferenceTable:
    """The substitutions of a reference file, under contract SUBSTITUTIONS.

    On no day has a vehicle two substitutes, nor is one that is replaced a substitute: the problem names both
    rows.
    """
    return read_table(data, file_name, SUBSTITUTIONS, SUBSTITUTION_HEADERS, _substitutions, may_be_empty=True)


def _substitutions(sheet: Sheet) -> dict[str, pd.Series]:
    first, last = period(sheet, "inicio", "fim")
    made = {"placa": plates(sheet), "substituta": plates(sheet, "substituta"), "inicio": first, "fim": last}
    plate, itself = made["placa"].to_dict(), made["placa"] == made["substituta"]
    sheet.wrong("substituta", itself, lambda _: "é o próprio veículo; escreva a placa do que rodou")
    rows = pd.DataFrame(made).loc[sheet.sound_rows].fillna({"fim": _NO_END})
    twice, both = _on_common_days(rows, "placa"), _on_common_days(rows, "substituta")
    sheet.wrong(
        "inicio",
        {row: other for row, other in twice.items() if other < row},
        lambda row: (
            f"a linha {twice[row]} já substitui {plate[row]} em dias desta linha; "
            "uma das duas precisa terminar antes de a outra começar"
        ),
    )
    sheet.wrong(
        "placa",
        both,
        lambda row: (
            f"{plate[row]} não rodou, e na linha {both[row]} rodou no lugar de outro, em dias em "
            "comum; corrija uma das duas"
        ),
    )
    return made


def _on_common_days(rows: pd.DataFrame, column: str) -> dict[int, int]:
    """Each row whose `placa` stands in this column of another one on a day of both -> the first such row."""
    numbered = rows.assign(row=rows.index)
    pairs = numbered.merge(numbered, left_on="placa", right_on=column, suffixes=("", "_other"))
    common = (pairs["inicio"] <= pairs["fim_other"]) & (pairs["inicio_other"] <= pairs["fim"])
    found = pairs[common & (pairs["row"] != pairs["row_other"])]
    first = found.groupby("row")["row_other"].min()
    return dict(zip(first.index.tolist(), first.tolist(), strict=True))
