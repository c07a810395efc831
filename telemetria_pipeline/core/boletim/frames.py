"""What became of a boletim's rows, as frames under contract."""

import numpy as np
import pandas as pd

from telemetria_pipeline.contracts.base import INSTANT
from telemetria_pipeline.contracts.boletim import BOLETIM_QUARANTINE, BOLETIM_TRIPS
from telemetria_pipeline.contracts.boletim_problems import KINDS, Problem
from telemetria_pipeline.core.boletim.cells import Cells
from telemetria_pipeline.core.boletim.findings import Findings
from telemetria_pipeline.core.boletim.values import Coded
from telemetria_pipeline.core.sheets.text import SheetText
from telemetria_pipeline.core.telemetry.cleaning import driver_names


def typed_trips(
    cells: Cells,
    zones: tuple[list[str], np.ndarray],
    departure: np.ndarray,
    arrival: np.ndarray,
    sheet: SheetText,
    file_name: str,
    kept: np.ndarray,
) -> pd.DataFrame:
    """The rows in the mask `kept`, under contract BOLETIM_TRIPS; instants come in UTC seconds."""
    at = np.flatnonzero(kept)
    names, zone = zones
    texts = {
        **cells.texts,
        "fuso": Coded(names, zone).column(),
        **({"motorista": _driver_names(cells.driver)} if cells.driver else {}),
    }
    values = {
        "km_saida": cells.km_out,
        "km_chegada": cells.km_in,
        "km_rota": cells.km_route,
        "qtde_pessoas": cells.people,
        "km_declarado": cells.km_driven,
        "linha": sheet.cells.index.to_numpy(np.int64),
        "saida_utc": departure.astype("datetime64[s]").astype("datetime64[us]"),
        "chegada_utc": arrival.astype("datetime64[s]").astype("datetime64[us]"),
    }
    same = {"arquivo": file_name, "aba": sheet.sheet}
    constant = Coded([""], np.zeros(len(kept), np.int32))
    index = pd.RangeIndex(int(kept.sum()))
    columns = {}
    for column in BOLETIM_TRIPS.columns:
        if column.name in values:
            found = pd.Series(values[column.name][at], index)
            columns[column.name] = found.dt.tz_localize("UTC") if column.type == INSTANT else found
        else:
            text = texts.get(column.name)
            text = constant.column([same.get(column.name)]) if text is None else text
            columns[column.name] = text.iloc[at].set_axis(index)
    return pd.DataFrame(columns)


def _driver_names(names: Coded) -> pd.Series:
    return names.column(driver_names(pd.Series(names.texts, dtype="str")).tolist())


def quarantine(
    sheet: SheetText, file_name: str, findings: Findings, out: np.ndarray, repeats: np.ndarray
) -> pd.DataFrame:
    """One record for each problem of a row that is out; a row without any says that the file was returned."""
    rows = sheet.cells.index.to_numpy()
    duplicate = repeats & ~findings.bad
    records: list[tuple[int, Problem]] = []
    spoken = np.zeros(len(rows), bool)
    for finding in findings.found:
        if finding.severity == "erro" or finding.code in ("LINHA_REPETIDA", "LINHA_JA_ENVIADA"):
            spoken[finding.positions] = True
            records += [(int(p), finding.make(int(p))) for p in finding.positions]
    silent = np.flatnonzero(out & ~spoken)
    returned = KINDS["LINHA_DE_ARQUIVO_DEVOLVIDO"]
    said = pd.DataFrame(
        {
            "_at": [p for p, _ in records],
            "codigo": [r.code for _, r in records],
            "coluna": [r.column for _, r in records],
            "celula": [r.cell for _, r in records],
            "valor": [r.value for _, r in records],
            "mensagem": [r.message for _, r in records],
            "sugestao": [r.suggestion for _, r in records],
        }
    )
    quiet = pd.DataFrame(
        {
            "_at": silent,
            "codigo": returned.code,
            "coluna": None,
            "celula": None,
            "valor": None,
            "mensagem": returned.message,
            "sugestao": returned.suggestion,
        }
    )
    frame = pd.concat([part for part in (said, quiet) if len(part)] or [said], ignore_index=True)
    frame = frame.sort_values("_at", kind="stable", ignore_index=True)
    at = frame["_at"].to_numpy(dtype=np.int64)
    frame = frame.assign(
        situacao=np.where(duplicate[at], "duplicada", "rejeitada"),
        arquivo=file_name,
        aba=sheet.sheet,
        linha=rows[at],
    )[BOLETIM_QUARANTINE.names]
    return frame.astype({c.name: c.pandas_dtype for c in BOLETIM_QUARANTINE.columns})
