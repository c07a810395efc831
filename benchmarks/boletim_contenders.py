"""One way of taking a boletim in, in a process of its own.

    python benchmarks/boletim_contenders.py CONTENDER FILE FOLDER

Writes Parquet into FOLDER (frictionless writes nothing) and prints the seconds of work, imports left out.
"""

import sys
import time
from datetime import date
from pathlib import Path

from boletim_files import HEADERS

RECEIVED = date(2025, 4, 1)


def bare_csv(file: Path, folder: Path) -> float:
    """pandas' fastest reader, and its writer."""
    import pandas as pd

    began = time.perf_counter()
    frame = pd.read_csv(file, sep=";", decimal=",", engine="pyarrow")
    frame.to_parquet(folder / "part-0.parquet")
    return time.perf_counter() - began


def bare_xlsx(file: Path, folder: Path) -> float:
    """calamine's values as a DataFrame, and pandas' writer."""
    import pandas as pd
    from python_calamine import load_workbook

    began = time.perf_counter()
    header, *rows = load_workbook(str(file)).get_sheet_by_index(0).to_python()
    pd.DataFrame(rows, columns=header).to_parquet(folder / "part-0.parquet")
    return time.perf_counter() - began


def ours(file: Path, folder: Path) -> float:
    """Every rule of a boletim, the contract, and the lake."""
    from telemetria_pipeline.contracts.boletim import BOLETIM_TRIPS
    from telemetria_pipeline.core.boletim.validation import validate_file
    from telemetria_pipeline.storage.lake import Lake

    began = time.perf_counter()
    verdict = validate_file(file.read_bytes(), file.name, received_on=RECEIVED)
    if verdict.verdict != "accepted" or verdict.warnings:
        raise RuntimeError(f"{verdict.verdict}: {[str(group) for group in verdict.groups]}")
    table = BOLETIM_TRIPS.table(verdict.accepted)
    Lake.open(f"file:{folder.resolve()}").write_table(BOLETIM_TRIPS.name, {"arquivo": "bench"}, table)
    return time.perf_counter() - began


def frictionless_csv(file: Path, folder: Path) -> float:
    """frictionless, told the same of each column and of the key. It has no other rule, and writes nothing."""
    from frictionless import Dialect, Resource, Schema, validate
    from frictionless.formats import CsvControl

    def column(name: str) -> dict[str, object]:
        required = {"required": True}
        if name == "PLACA":
            pattern = r"[A-Z]{3}-?\d[A-Z0-9]\d{2}"
            return {"name": name, "type": "string", "constraints": {**required, "pattern": pattern}}
        if name == "DATA":
            return {"name": name, "type": "date", "format": "%d/%m/%Y", "constraints": required}
        if name.startswith("HORÁRIO"):
            return {"name": name, "type": "time", "format": "%H:%M", "constraints": required}
        if name.startswith("KM"):
            least = {"minimum": 0, **({} if name == "KM ROTA" else required)}
            return {"name": name, "type": "number", "decimalChar": ",", "constraints": least}
        if name == "QTDE PESSOAS":
            return {"name": name, "type": "integer", "constraints": {"minimum": 0}}
        return {"name": name, "type": "string"}

    began = time.perf_counter()
    key = ["PLACA", "DATA", "HORÁRIO SAÍDA", "HORÁRIO CHEGADA", "KM SAÍDA", "KM CHEGADA"]
    schema = Schema.from_descriptor({"fields": [column(name) for name in HEADERS], "primaryKey": key})
    dialect = Dialect(controls=[CsvControl(delimiter=";")])
    resource = Resource(path=file.name, basepath=str(file.parent), schema=schema, dialect=dialect)
    report = validate(resource)
    if not report.valid:
        raise RuntimeError(str(report.flatten(["rowNumber", "fieldName", "message"])[:3]))
    seconds = time.perf_counter() - began
    (folder / "rows").write_text(str(report.tasks[0].stats["rows"]))
    return seconds


if __name__ == "__main__":
    contender, file, folder = sys.argv[1:]
    print(globals()[contender](Path(file), Path(folder)))
