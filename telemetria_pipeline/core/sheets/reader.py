"""From the bytes of any CSV or workbook to text cells with their addresses, or to a refusal that its sender
can act on.

`read_sheet` looks at what the bytes really are, has them read as CSV or Excel, and finds the table in the
sheet. What the table is about, its caller says by the headers that it knows.
"""

import re
from collections.abc import Collection, Mapping, Sequence

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from telemetria_pipeline.contracts.boletim_problems import Problem, problem
from telemetria_pipeline.core.sheets.delimited import TOP_ROWS, decode, read_csv
from telemetria_pipeline.core.sheets.excel import read_xlsx, refusal_of_ole
from telemetria_pipeline.core.sheets.header import HEADER_ROWS, Header, find_header, normalise_header
from telemetria_pipeline.core.sheets.text import (
    LIMITS,
    Grid,
    Limits,
    SheetText,
    Unreadable,
    column_number,
    letter,
    listed,
    refuse,
    signature,
)

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_OTHER_FORMATS = {
    b"%PDF": "um PDF",
    b"\x89PNG": "uma imagem",
    b"\xff\xd8\xff": "uma imagem",
    b"GIF8": "uma imagem",
    b"{\\rtf": "um documento de texto (RTF)",
    b"\x1f\x8b": "um arquivo compactado (.gz)",
    b"Rar!": "um arquivo compactado (.rar)",
    b"7z\xbc\xaf": "um arquivo compactado (.7z)",
}
_HTML = re.compile(r"<(!doctype\s+html|html|head|body|table|meta|style|div)\b|^mime-version:", re.IGNORECASE)
_TOTAL = re.compile(r"(sub\W?)?tota(l|is)\b|soma\b", re.IGNORECASE)
_PAGE = re.compile(r"(p[áa]g\.|p[áa]gina\b|folha\s*:?\s*\d|emitido\b|emiss[ãa]o\b|impresso\b)", re.IGNORECASE)
_SEPARATOR_NAMES = {"\t": "tabulação"}


def read_sheet(
    data: bytes,
    *,
    file_name: str,
    known_headers: Mapping[str, Sequence[str]],
    required: Collection[str],
    ignored_sheets: Collection[str] = (),
    limits: Limits = LIMITS,
) -> SheetText:
    """The table of a CSV or workbook as text.

    The bytes decide what the file is; its name only unmasks Excel's lock files.

    Args:
        data: the file.
        file_name: the sender's name for it.
        known_headers: canonical column -> its headers, however they are spelt. They find the table; whether
            it is complete is for the caller to judge.
        required: the columns that mark a sheet as one of these tables; a workbook with two of them is
            refused, because only one would be read.
        ignored_sheets: sheets of a workbook that nobody has to be told were not read.
        limits: how much is read at most.

    Raises:
        Unreadable: the file as a whole is refused; every other fault is in the result.
    """
    known = {normalise_header(name): column for column, names in known_headers.items() for name in names}
    if file_name.rsplit("/", 1)[-1].startswith("~$"):
        raise refuse("ARQUIVO_DE_TRAVA")
    if not data or data.isspace():
        raise refuse("ARQUIVO_VAZIO")
    if len(data) > limits.size:
        raise refuse("ARQUIVO_GRANDE", size_mb=_megabytes(len(data)), limit_mb=_megabytes(limits.size))
    if data.startswith(b"PK"):
        return _table(read_xlsx(data, known, required, ignored_sheets, limits), known, limits)
    if data.startswith(_OLE):
        raise refusal_of_ole(data)
    for start, said in _OTHER_FORMATS.items():
        if data.startswith(start):
            raise refuse("FORMATO_NAO_ACEITO", format=said)
    data, presumed = decode(data)
    _refuse_markup(data[:4096].decode("utf-8", errors="ignore"))
    grid = read_csv(data, known, limits)
    grid.notes += [presumed] if presumed else []
    return _table(grid, known, limits)


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f}".removesuffix(".0").replace(".", ",")


def _refuse_markup(text: str) -> None:
    head = text.lstrip()
    if not head:
        raise refuse("ARQUIVO_VAZIO")
    if head[0] == "<" or head.lower().startswith("mime-version:"):
        if _HTML.search(head):
            raise refuse("ARQUIVO_HTML")
        if head.startswith(("<?xml", "<!DOCTYPE")):
            raise refuse("ARQUIVO_XML")


def _table(grid: Grid, known: Mapping[str, str], limits: Limits) -> SheetText:
    """The grid's table: its header found, its data rows told from the rest."""
    first_column = column_number(grid.texts.columns[0]) if len(grid.texts.columns) else 1
    header = find_header(grid.top(TOP_ROWS), known, grid.merged, first_column)
    if header is None:
        raise _refused(grid, problem("CABECALHO_NAO_ENCONTRADO", sheet=grid.sheet, rows=HEADER_ROWS))
    headers = {grid.texts.columns[i]: text for i, text in sorted(header.texts.items())}
    if twins := _twins(headers, grid.sheet):
        raise _refused(grid, *twins)
    start = int(np.searchsorted(grid.texts.index, header.last, side="right"))
    below = grid.texts.iloc[start:]
    rows = _Rows(grid, header, list(headers), below)
    if not rows.kept.any():
        raise _refused(grid, problem("SEM_LINHAS", sheet=grid.sheet, row=header.last))
    if int(rows.kept.sum()) > limits.rows:
        raise refuse("LINHAS_DEMAIS", sheet=grid.sheet, limit=limits.rows)
    cells = below[list(headers)]
    kinds = {k: grid.kinds[k][start:] for k in headers if k in grid.kinds}
    result = SheetText(
        sheet=grid.sheet,
        headers=headers,
        header_row=header.last,
        cells=cells[rows.kept],
        kinds={k: codes[rows.kept] for k, codes in kinds.items()},
        notes=[*grid.notes, *_above(grid, header), *rows.notes(), *_columns(grid, headers, below, rows.kept)],
    )
    result.cells.index = pd.Index(result.cells.index, dtype="int64", name="linha")
    result.problems += _ragged(grid, result, below, rows, start)
    _report_cells(grid, result)
    return result


def _refused(grid: Grid, *problems: Problem) -> Unreadable:
    """The refusal, with what was noticed on the way: an error cell may be why there is no header."""
    cells = [
        problem(p.code, sheet=grid.sheet, cell=f"{p.letter}{p.row}", value=p.value, row=p.row)
        for p in grid.cell_problems
    ]
    return Unreadable(*problems, *cells, *grid.notes)


def _twins(headers: Mapping[str, str], sheet: str | None) -> list[Problem]:
    seen: dict[str, list[str]] = {}
    for at, text in headers.items():
        seen.setdefault(normalise_header(text) or text, []).append(at)
    return [
        problem(
            "CABECALHO_REPETIDO",
            sheet=sheet,
            column=headers[letters[0]],
            letters=f"{', '.join(letters[:-1])} e {letters[-1]}",
        )
        for letters in seen.values()
        if len(letters) > 1
    ]


def _above(grid: Grid, header: Header) -> list[Problem]:
    notes = []
    over = grid.texts.loc[: header.first - 1]
    written = over.index[(over != "").any(axis=1)].tolist()
    if written:
        notes.append(
            problem("LINHAS_ACIMA_DO_CABECALHO", sheet=grid.sheet, row=header.last, rows=listed(written))
        )
    if header.last > header.first:
        rows = f"{header.first} a {header.last}"
        notes.append(problem("CABECALHO_EM_VARIAS_LINHAS", sheet=grid.sheet, row=header.last, rows=rows))
    return notes


def _filled(column: pd.Series) -> np.ndarray:
    return np.asarray(pc.greater(pc.binary_length(pa.array(column, pa.string())), 0))


class _Rows:
    """Which rows below the header are trips, and what the others are.

    Only rows with at most half of the usual number of cells, and those that repeat a header cell, are
    looked at one by one.
    """

    def __init__(self, grid: Grid, header: Header, letters: list[str], below: pd.DataFrame):
        self._sheet = grid.sheet
        self.filled = np.zeros(len(below), np.int32)
        for at in letters:
            self.filled += _filled(below[at])
        everywhere = self.filled.copy()
        for at in below.columns.difference(letters):
            everywhere += _filled(below[at])
        self.kept = everywhere > 0
        self.blank: list[int] = []
        self._others: dict[str, list[int]] = {}
        usual = float(np.median(self.filled[self.filled > 0])) if self.filled.any() else 0.0
        suspects = self.kept & (self.filled <= usual / 2)
        pages = grid.texts.loc[: header.last]
        page_rows = {signature(row) for row in pages.to_numpy(object).tolist()} - {""}
        for _, row in grid.texts.loc[header.first : header.last].iterrows():
            longest = max(letters, key=lambda at, row=row: len(row[at]))  # type: ignore[misc]
            if row[longest]:
                suspects |= self.kept & (below[longest] == row[longest]).to_numpy()
        looked_at = below[suspects].to_numpy(object).tolist()
        for i, texts in zip(np.flatnonzero(suspects).tolist(), looked_at, strict=True):
            code = self._other_than_a_trip(texts, page_rows, int(self.filled[i]), usual)
            if code:
                self.kept[i] = False
                self._others.setdefault(code, []).append(int(below.index[i]))
        data = np.flatnonzero(self.kept)
        if len(data):
            between = slice(0, int(data[-1]))
            self.blank = below.index[between][everywhere[between] == 0].tolist()

    @staticmethod
    def _other_than_a_trip(texts: list[str], page_rows: set[str], filled: int, usual: float) -> str | None:
        written = [(i, t) for i, t in enumerate(texts) if t]
        if signature(texts) in page_rows:
            return "CABECALHO_DE_PAGINA"
        if not filled:
            return "LINHA_FORA_DA_TABELA"
        if filled > usual / 2:
            return None
        if any(_PAGE.match(text) for _, text in written):
            return "CABECALHO_DE_PAGINA"
        if _TOTAL.match(written[0][1]):
            return "LINHA_DE_TOTAL"
        # A sentence in one of the first columns; a lone plate or number is a trip that lacks the rest.
        if (
            len(written) == 1
            and written[0][0] < 2
            and re.search(r"[^\W\d]\W*\s", written[0][1])
            and usual > 2
        ):
            return "LINHA_DE_TEXTO"
        return None

    def notes(self) -> list[Problem]:
        """What was left out, by kind."""
        found = dict(self._others)
        if self.blank:
            found["LINHAS_EM_BRANCO"] = self.blank
        return [problem(code, sheet=self._sheet, rows=listed(rows)) for code, rows in found.items()]


def _columns(grid: Grid, headers: Mapping[str, str], below: pd.DataFrame, kept: np.ndarray) -> list[Problem]:
    """Columns without a header, and blank ones between those that have one."""
    unnamed, blank = [], []
    last = column_number(list(headers)[-1])
    for at in below.columns.difference(list(headers), sort=False):
        inside = column_number(at) < last
        if (_filled(below[at]) & kept).any():
            # In a CSV what stands beyond the header is a row too long, and an error.
            if inside or grid.separator is None:
                unnamed.append(at)
        elif inside and column_number(at) > column_number(next(iter(headers))):
            blank.append(at)
    notes = []
    if unnamed:
        notes.append(problem("COLUNA_SEM_TITULO", sheet=grid.sheet, letters=", ".join(unnamed)))
    if blank:
        notes.append(problem("COLUNAS_EM_BRANCO", sheet=grid.sheet, letters=", ".join(blank)))
    return notes


def _ragged(grid: Grid, result: SheetText, below: pd.DataFrame, rows: _Rows, start: int) -> list[Problem]:
    """Rows of a CSV with more or fewer cells than its header. Nothing is shifted to make them fit."""
    if grid.separator is None:
        return []
    width = column_number(list(result.headers)[-1])
    beyond = np.zeros(len(below), bool)
    for at in below.columns[width:]:
        beyond |= _filled(below[at])
    lengths = np.full(len(below), width) if grid.lengths is None else grid.lengths[start:]
    short = lengths < width
    cut = _cut_by_excel(below.index.to_numpy(), lengths) & short & rows.kept
    if cut.any():
        result.notes.append(problem("LINHAS_CORTADAS_PELO_EXCEL", rows=listed(below.index[cut].tolist())))
    separator = _SEPARATOR_NAMES.get(grid.separator, grid.separator)
    codes = {
        "LINHA_COM_CELULAS_A_MAIS": beyond & rows.kept,
        "LINHA_COM_CELULAS_A_MENOS": short & rows.kept & ~cut,
    }
    found = []
    for code, mask in codes.items():
        cells = np.where(lengths == width, _used(below, mask), lengths)
        for i in np.flatnonzero(mask).tolist():
            row, count = int(below.index[i]), int(cells[i])
            found.append(problem(code, row=row, found=count, expected=str(width), separator=separator))
    return sorted(found, key=lambda p: p.row or 0)


def _used(below: pd.DataFrame, mask: np.ndarray) -> np.ndarray:
    """The number of the last cell with text in each row of the mask."""
    used = np.zeros(len(below), np.int64)
    if mask.any():
        for number, at in enumerate(below.columns, 1):
            used[_filled(below[at])] = number
    return used


def _cut_by_excel(index: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Rows that Excel itself shortened: of sixteen rows it omits the last columns if all leave them empty.

    Such a block counts when all of its rows end at one column; the file's last, often a part, when the
    block before it did so too.
    """
    block = (index - 1) // 16
    by_block = pd.Series(lengths).groupby(block)
    widest, narrowest, size = (by_block.transform(f).to_numpy() for f in ("max", "min", "size"))
    last = block == (block[-1] if len(block) else 0)
    before = pd.Series(widest, index=block).groupby(level=0).first().reindex(block - 1).to_numpy()
    return (widest == narrowest) & ((size == 16) | (last & (before == widest)))


def _report_cells(grid: Grid, result: SheetText) -> None:
    """Problems and notes of single cells, as far as the cells belong to the table."""
    rows, letters = result.cells.index, result.headers
    in_table = set(rows) if grid.cell_problems or grid.hidden_rows or grid.merged else set()
    for found in grid.cell_problems:
        if found.row in in_table and found.letter in letters:
            result.problems.append(
                problem(
                    found.code,
                    sheet=grid.sheet,
                    cell=f"{found.letter}{found.row}",
                    column=letters[found.letter],
                    value=found.value,
                    row=found.row,
                )
            )
    if hidden := [row for row in grid.hidden_rows if row in in_table]:
        result.notes.append(problem("LINHAS_OCULTAS", sheet=grid.sheet, rows=listed(hidden)))
    merged = [
        f"{letter(c0)}{r0}:{letter(c1)}{r1}"
        for r0, c0, r1, c1 in sorted(grid.merged)
        if (r0 in in_table or r1 in in_table)
        and any(letter(c) in letters for c in range(c0, min(c1, c0 + 300) + 1))
    ]
    if merged:
        ranges = ", ".join(merged[:8]) + (f" … ({len(merged)})" if len(merged) > 8 else "")
        result.notes.append(problem("CELULAS_MESCLADAS", sheet=grid.sheet, ranges=ranges))
