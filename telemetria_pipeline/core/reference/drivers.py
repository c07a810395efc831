"""The drivers of the carriers. Their names are personal data: no problem quotes a cell."""

import pandas as pd

from telemetria_pipeline.contracts.reference import DRIVER_HEADERS, DRIVERS
from telemetria_pipeline.core.names import plain_name
from telemetria_pipeline.core.reference.cells import repeated
from telemetria_pipeline.core.reference.sheet import ReferenceTable, Sheet, read_table
from telemetria_pipeline.core.telemetry.cleaning import driver_names


def read_drivers(data: bytes, file_name: str) -> ReferenceTable:
    """The drivers of a reference file, one row a driver, under contract DRIVERS."""
    return read_table(data, file_name, DRIVERS, DRIVER_HEADERS, _drivers)


def _drivers(sheet: Sheet) -> dict[str, pd.Series]:
    names = driver_names(sheet.column("motorista"))
    who = pd.DataFrame(
        {
            "key": names.map(plain_name, na_action="ignore").astype("str"),
            "id": sheet.column("motorista_id"),
            "carrier": sheet.column("transportadora"),
        }
    ).dropna(subset="key")
    twice = repeated(who)
    other = repeated(who.drop(index=list(twice)).dropna(subset="id")[["id", "carrier"]])
    sheet.wrong("motorista", ~who["key"].str.contains("[A-Z]"), lambda _: "não é um nome; escreva o nome")
    sheet.wrong(
        "motorista", twice, lambda row: f"este motorista já está na linha {twice[row]}; apague uma das duas"
    )
    sheet.wrong(
        "motorista_id",
        other,
        lambda row: f"a linha {other[row]} dá este número a outro nome; corrija uma das duas",
    )
    return {"motorista": names, "motorista_chave": who["key"].reindex(names.index)}
