"""The vehicles under contract."""

from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pandas as pd

from telemetria_pipeline.contracts.reference import SOURCE_PATTERN, VEHICLE_HEADERS, VEHICLES
from telemetria_pipeline.core.reference.cells import operations, period, plates, repeated
from telemetria_pipeline.core.reference.sheet import ReferenceTable, Sheet, read_table


def read_vehicles(data: bytes, file_name: str) -> ReferenceTable:
    """The vehicles of a reference file, one row a plate, under contract VEHICLES."""
    return read_table(data, file_name, VEHICLES, VEHICLE_HEADERS, _vehicles)


def _vehicles(sheet: Sheet) -> dict[str, pd.Series]:
    received, zones = sheet.column("placa"), sheet.column("fuso")
    canonical = plates(sheet)
    twice = repeated(canonical)
    sheet.wrong(
        "placa",
        twice,
        lambda row: f"{received[row]} é o mesmo veículo que {received[twice[row]]}, na linha {twice[row]}",
    )
    sheet.wrong(
        "fuso",
        zones.notna() & ~zones.isin([zone for zone in zones.dropna().unique() if _is_zone(zone)]),
        lambda row: f"{zones[row]} não é um fuso horário; escreva um como America/Cuiaba",
    )
    sources = sheet.column("fonte")
    sheet.wrong(
        "fonte",
        ~sources.str.match(SOURCE_PATTERN, na=True),
        lambda row: f"{sources[row]} não é o nome de uma fonte; escreva um como sol, ou lua_2",
    )
    first, last = period(sheet, "entrada", "saida")
    return {
        "placa": canonical,
        "placa_recebida": received,
        "operacao": operations(sheet),
        "entrada": first,
        "saida": last,
    }


def _is_zone(text: str) -> bool:
    try:
        ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True
