"""Reference files, CSV or XLSX: from bytes to a table under contract, or to the list of what is wrong.

They are read as boletins are, and a file with any problem is not taken at all: whoever keeps it corrects
it once, and nobody wonders which half of it counts. Problems are in Portuguese, for that person, and name
cells; of `drivers` they never name a value.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pandas as pd

from telemetria_pipeline.contracts import Contract
from telemetria_pipeline.contracts.boletim import normalise_header
from telemetria_pipeline.contracts.reference import DRIVER_HEADERS, DRIVERS, VEHICLE_HEADERS, VEHICLES
from telemetria_pipeline.core.boletim.reader import read_boletim
from telemetria_pipeline.core.boletim.text import SheetText, Unreadable
from telemetria_pipeline.core.boletim.values import EMPTY_TOKENS, plate_from_date, plate_repair
from telemetria_pipeline.core.cleaning import driver_names
from telemetria_pipeline.core.names import plain_name
from telemetria_pipeline.core.plates import canonical_plates

# Rows that the reader takes for remarks of a boletim may be entries here: nobody loses one unawares.
_LEFT_OUT = frozenset({"LINHA_DE_TEXTO", "LINHA_FORA_DA_TABELA"})
_OPERATIONS = {
    **dict.fromkeys(("AGR", "AGRICOLA"), "AGR"),
    **dict.fromkeys(("IND", "INDUSTRIAL", "INDUSTRIA", "ADM", "ADMINISTRATIVO", "ADMINISTRATIVA"), "IND"),
}


@dataclass(frozen=True)
class ReferenceTable:
    """A reference file as read: `frame` is under its contract, and without rows where there are problems.

    `notes` say what the reader noticed or left out, and reject nothing.
    """

    frame: pd.DataFrame
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read_vehicles(data: bytes, file_name: str) -> ReferenceTable:
    """The vehicles of a reference file, one row a plate, under contract VEHICLES."""
    return _read(data, file_name, VEHICLES, VEHICLE_HEADERS, _vehicles)


def read_drivers(data: bytes, file_name: str) -> ReferenceTable:
    """The drivers of a reference file, one row a driver, under contract DRIVERS."""
    return _read(data, file_name, DRIVERS, DRIVER_HEADERS, _drivers)


class _Sheet:
    """A reference file's cells by canonical column, and what is wrong with them."""

    def __init__(self, sheet: SheetText, names: Mapping[str, Sequence[str]]) -> None:
        self._sheet, self._names = sheet, names
        self._problems = [(p.row or 0, p.message) for p in sheet.problems]
        self._problems += [(0, n.message) for n in sheet.notes if n.code in _LEFT_OUT]
        self.notes = [n.message for n in sheet.notes if n.code not in _LEFT_OUT]
        self.letters: dict[str, str] = {}
        canonical = {normalise_header(n): column for column, said in names.items() for n in said}
        for letter, header in sheet.headers.items():
            column = canonical.get(normalise_header(header))
            if column is None:
                self.notes.append(f"A coluna {letter}, {header}, não é conhecida e não foi lida.")
            elif column in self.letters:
                both = f"As colunas {self.letters[column]} e {letter} querem dizer {names[column][0]}"
                self._problems.append((0, f"{both}; deixe só uma."))
            else:
                self.letters[column] = letter

    @property
    def problems(self) -> list[str]:
        """What is wrong, from the top of the sheet to its end."""
        return [said for _, said in sorted(self._problems, key=lambda problem: problem[0])]

    def column(self, name: str) -> pd.Series:
        """A column's texts with single spaces, by row; missing where the cell is empty or says "nothing"."""
        cells = self._sheet.cells
        if name not in self.letters:
            return pd.Series(index=cells.index, dtype="str")
        texts = cells[self.letters[name]].str.normalize("NFC").str.split().str.join(" ")
        return texts.mask(texts.isin(EMPTY_TOKENS))

    def wrong(self, column: str, rows: pd.Series | Mapping[int, int], said: Callable[[int], str]) -> None:
        """Note the cells of a column that are wrong: rows of a mask, or of a mapping."""
        place = f"{self._sheet.sheet}!" if self._sheet.sheet else ""
        for row in rows.index[rows] if isinstance(rows, pd.Series) else rows:
            self._problems.append((row, f"{place}{self.letters[column]}{row}: {said(row)}."))


_Columns = dict[str, pd.Series]


def _read(
    data: bytes,
    file_name: str,
    contract: Contract,
    names: Mapping[str, Sequence[str]],
    judge: Callable[[_Sheet], _Columns],
) -> ReferenceTable:
    """The file under its contract; columns that `judge` does not make are taken as they stand."""
    aliases = {column: [normalise_header(n) for n in said] for column, said in names.items()}
    required = [c.name for c in contract.columns if c.required and c.name in names]
    try:
        text = read_boletim(data, file_name=file_name, known_headers=aliases, required=required)
    except Unreadable as refusal:
        columns = ", ".join(said[0] for said in names.values())
        no_header = f"Nenhuma das primeiras linhas tem os títulos das colunas ({columns})."
        said = [no_header if p.code == "CABECALHO_NAO_ENCONTRADO" else p.message for p in refusal.problems]
        return ReferenceTable(contract.empty(), said)
    sheet = _Sheet(text, names)
    missing = [f"Falta a coluna {names[c][0]}; inclua-a." for c in required if c not in sheet.letters]
    if missing:
        return ReferenceTable(contract.empty(), [*missing, *sheet.problems], sheet.notes)
    for name in required:
        empty = f"falta {names[name][0]}; preencha a célula, ou apague a linha"
        sheet.wrong(name, sheet.column(name).isna(), lambda _, said=empty: said)  # type: ignore[misc]
    made = judge(sheet)
    if sheet.problems:
        return ReferenceTable(contract.empty(), sheet.problems, sheet.notes)
    frame = pd.DataFrame({n: made[n] if n in made else sheet.column(n) for n in contract.names})
    frame = frame.reset_index(drop=True).astype({c.name: c.pandas_dtype for c in contract.columns})
    if broken := contract.broken_by(frame):
        # Not the keeper's mistake but ours: a rule let something through.
        raise AssertionError(f"rows without problems break the contract {contract.name}: {broken}")
    return ReferenceTable(frame, notes=sheet.notes)


def _vehicles(sheet: _Sheet) -> _Columns:
    received, zones, operations = (sheet.column(name) for name in ("placa", "fuso", "operacao"))
    plates = canonical_plates(received)
    known = operations.map(lambda text: _OPERATIONS.get(plain_name(text)), na_action="ignore").astype("str")
    twice = _repeated(plates)

    def no_plate(row: int) -> str:
        from_date = plate_from_date(received[row])
        what = "não é uma placa" if from_date is None else "era uma placa que o Excel transformou em data"
        meant = plate_repair(received[row]) if from_date is None else from_date
        return f"{received[row]} {what}" + (f"; seria {meant}?" if meant else "; escreva ABC1234 ou ABC1D23")

    sheet.wrong("placa", received.notna() & plates.isna(), no_plate)
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
    sheet.wrong(
        "operacao",
        operations.notna() & known.isna(),
        lambda row: f"{operations[row]} não é uma operação; escreva AGR ou IND",
    )
    return {"placa": plates, "placa_recebida": received, "operacao": known}


def _drivers(sheet: _Sheet) -> _Columns:
    names = driver_names(sheet.column("motorista"))
    who = pd.DataFrame(
        {
            "key": names.map(plain_name, na_action="ignore").astype("str"),
            "id": sheet.column("motorista_id"),
            "carrier": sheet.column("transportadora"),
        }
    ).dropna(subset="key")
    twice = _repeated(who)
    other = _repeated(who.drop(index=list(twice)).dropna(subset="id")[["id", "carrier"]])
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


def _repeated(values: pd.Series | pd.DataFrame) -> dict[int, int]:
    """Each row whose values stood in an earlier row -> that row; rows without any value repeat nothing."""
    frame = pd.DataFrame(values).dropna(how="all")
    rows = frame.index.to_series()
    first = rows.groupby([frame[column] for column in frame], dropna=False).transform("first")
    again = rows != first
    return dict(zip(rows[again].tolist(), first[again].tolist(), strict=True))


def _is_zone(text: str) -> bool:
    try:
        ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True
