"""From the bytes of any CSV or workbook to text cells with their addresses, or to a refusal that its sender
can act on.

`read_sheet` looks at what the bytes really are, has them read as CSV or Excel, and finds the table in the
sheet. What the table is about, its caller says by the headers that it knows.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from telemetria_pipeline.contracts.boletim_problems import Problem, problem
from telemetria_pipeline.core.sheets.delimited import SEPARATOR_NAMES, decode, read_csv
from telemetria_pipeline.core.sheets.excel import read_xlsx, refusal_of_ole
from telemetria_pipeline.core.sheets.header import (
    HEADER_ROWS,
    MIN_KNOWN,
    TOP_ROWS,
    Header,
    Top,
    find_header,
    normalise_header,
    not_found,
)
from telemetria_pipeline.core.sheets.text import (
    LIMITS,
    Grid,
    Limits,
    SheetText,
    Unreadable,
    column_number,
    joined,
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
_HTML_ROOTS = frozenset(
    {"html", "head", "body", "table", "tr", "meta", "style", "script", "title", "div", "p"}
)
_ROOT = re.compile(r"<(?![?!])(?:\w+:)?(\w+)")
_COMMENT = re.compile(r"<!--.*?(-->|\Z)", re.DOTALL)
_TOTAL = re.compile(r"(sub\W?)?tota(l|is)\b|soma\b|.*\b(sub\W?)?total\Z", re.IGNORECASE | re.DOTALL)
_PAGE = re.compile(r"(p[áa]g\.|p[áa]gina\b|folha\s*:?\s*\d|emitido\b|emiss[ãa]o\b|impresso\b)", re.IGNORECASE)
_SENTENCE = re.compile(r"[^\W\d]\W*\s")
_WORDS = re.compile(r"[^\W\d]{2,}\W+[^\W\d]{2,}")  # a plate with a space in it is none
_NO_TITLE = re.compile(r"\d|_|:\s*\Z")  # in a row of titles; `Motorista: ____` is for a signature
_DIGIT, _LETTER = re.compile(r"\d"), re.compile(r"[^\W\d_]")


def refusal_of_size(size: int, limits: Limits = LIMITS) -> Unreadable:
    """The refusal of a file of so many bytes."""
    return refuse("ARQUIVO_GRANDE", size_mb=_megabytes(size), limit_mb=_megabytes(limits.size))


def _no_table(_: pd.DataFrame) -> bool:
    return False


def read_sheet(
    data: bytes,
    *,
    file_name: str,
    known_headers: Mapping[str, Sequence[str]],
    required: Collection[str],
    ignored_sheets: Collection[str] = (),
    also_a_table: Callable[[pd.DataFrame], bool] = _no_table,
    incomplete_rows_count: bool = False,
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
            refused, because only one would be read. A row without a value in any of them is none of it.
        ignored_sheets: sheets of a workbook that nobody has to be told were not read.
        also_a_table: whether the texts of a sheet's first rows are such a table whatever its titles say.
        incomplete_rows_count: whether a row without a required value is one of the table nevertheless.
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
        raise refusal_of_size(len(data), limits)
    table = _Table(known, known_headers, required, incomplete_rows_count, limits)
    if data.startswith(b"PK"):
        return table.of(read_xlsx(data, known, required, ignored_sheets, also_a_table, limits))
    if data.startswith(_OLE):
        raise refusal_of_ole(data)
    for start, said in _OTHER_FORMATS.items():
        if data.startswith(start):
            raise refuse("FORMATO_NAO_ACEITO", format=said)
    data, encoding, presumed = decode(data)
    _refuse_markup(data[:4096].decode("utf-8", errors="ignore"))
    grid = read_csv(data, known, limits)
    grid.encoding = encoding
    grid.notes += [presumed] if presumed else []
    return table.of(grid)


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f}".removesuffix(".0").replace(".", ",")


def _refuse_markup(text: str) -> None:
    head = text.lstrip()
    if not head:
        raise refuse("ARQUIVO_VAZIO")
    if head.lower().startswith("mime-version:"):
        raise refuse("ARQUIVO_HTML")
    if head[0] != "<":
        return
    root = _ROOT.search(_COMMENT.sub("", head))
    if (root and root[1].lower() in _HTML_ROOTS) or head[:14].lower() == "<!doctype html":
        raise refuse("ARQUIVO_HTML")
    if head.startswith(("<?xml", "<!DOCTYPE")) or (root and root[1] == "Workbook"):
        raise refuse("ARQUIVO_XML")


@dataclass(frozen=True)
class _Table:
    """What is known of the table that is looked for."""

    known: Mapping[str, str]
    names: Mapping[str, Sequence[str]]
    required: Collection[str]
    incomplete_rows_count: bool
    limits: Limits

    def of(self, grid: Grid) -> SheetText:
        """The grid's table: its header found, its data rows told from the rest."""
        first_column = column_number(grid.texts.columns[0]) if len(grid.texts.columns) else 1
        top = grid.top(TOP_ROWS)
        header = find_header(top, self.known, grid.merged, first_column)
        if crammed := _all_in_one_column(grid, top, header, self.known):
            raise _refused(grid, crammed)
        if header is None:
            row, titles = _likest_to_a_header(top)
            raise _refused(grid, not_found(grid.sheet, row, titles, self.names, self.required))
        headers = {grid.texts.columns[i]: text for i, text in sorted(header.texts.items())}
        if twins := _twins(headers, grid.sheet, self.known if header.known >= MIN_KNOWN else None):
            raise _refused(grid, *twins)
        start = int(np.searchsorted(grid.texts.index, header.last, side="right"))
        below = grid.texts.iloc[start:]
        asked = () if self.incomplete_rows_count else self.required
        rows = _Rows(grid, header, headers, below, self.known, asked)
        second = rows.second_table or _table_above(top, header, self.known, self.required)
        if second:
            raise _refused(grid, problem("SEGUNDA_TABELA", sheet=grid.sheet, row=second))
        if not rows.kept.any():
            nothing = problem("SEM_LINHAS", sheet=grid.sheet, row=header.last)
            raise _refused(grid, nothing, *rows.notes())
        if int(rows.kept.sum()) > self.limits.rows:
            last = int(below.index[rows.kept][-1])
            raise refuse("LINHAS_DEMAIS", sheet=grid.sheet, limit=self.limits.rows, last=last)
        cells = below[list(headers)]
        kinds = {k: grid.kinds[k][start:] for k in headers if k in grid.kinds}
        result = SheetText(
            sheet=grid.sheet,
            headers=headers,
            header_row=header.last,
            cells=cells[rows.kept],
            kinds={k: codes[rows.kept] for k, codes in kinds.items()},
            notes=[
                *grid.notes,
                *_above(grid, header),
                *rows.notes(),
                *_columns(grid, headers, below, rows.kept),
            ],
            separator=grid.separator,
            encoding=grid.encoding,
        )
        result.cells.index = pd.Index(result.cells.index, dtype="int64", name="linha")
        result.problems += _ragged(grid, result, below, rows, start)
        _report_cells(grid, result)
        return result


def _all_in_one_column(
    grid: Grid, top: Top, header: Header | None, known: Mapping[str, str]
) -> Problem | None:
    """That each row's cells stand in its first one, as text with separators between them."""
    if grid.separator is not None or (header and header.known >= MIN_KNOWN):
        return None
    for row, texts in top:
        written = [text for text in texts if text]
        if len(written) != 1:
            continue
        for separator in ";,\t|":
            parts = written[0].split(separator)
            if len({known.get(normalise_header(part.strip(' "'))) for part in parts} - {None}) >= MIN_KNOWN:
                said = SEPARATOR_NAMES.get(separator, separator)
                return problem("TUDO_NUMA_COLUNA", sheet=grid.sheet, row=row, separator=said)
    return None


def _likest_to_a_header(top: Top) -> tuple[int | None, list[str]]:
    """The row with the most names among the first; else the first that says anything."""
    rows = [(row, [text for text in texts if text]) for row, texts in top if any(texts)][:HEADER_ROWS]
    by_names = ((len({t for t in texts if _LETTER.search(t)}), row, texts) for row, texts in rows)
    _, row, texts = max(by_names, key=lambda found: found[0], default=(0, None, []))
    return row, texts


def _table_above(top: Top, header: Header, known: Mapping[str, str], required: Collection[str]) -> int | None:
    """The first row of a table above the header's: half of the required titles, and rows that fill them.

    One row is enough below all of these titles; below fewer it may be a block of labels with their values.
    """
    for i, (row, texts) in enumerate(top):
        if row >= header.first:
            return None
        named = {known.get(normalise_header(text)): c for c, text in enumerate(texts)}
        columns = [column for name, column in named.items() if name in required]
        if not columns or 2 * len(columns) < len(required):
            continue
        between = [cells for other, cells in top[i + 1 :] if other < header.first]
        full = sum(2 * sum(bool(cells[c]) for c in columns) > len(columns) for cells in between)
        if full >= (1 if len(columns) == len(required) else 2):
            return row
    return None


def _refused(grid: Grid, *problems: Problem) -> Unreadable:
    """The refusal, with what was noticed on the way: an error cell may be why there is no header."""
    cells = [
        problem(p.code, sheet=grid.sheet, cell=f"{p.letter}{p.row}", value=p.value, row=p.row)
        for p in grid.cell_problems
    ]
    return Unreadable(*problems, *cells, *grid.notes)


def _twins(headers: Mapping[str, str], sheet: str | None, known: Mapping[str, str] | None) -> list[Problem]:
    """Columns of one title, one problem a title; where the table is known, only of titles that are read."""
    seen: dict[str, list[str]] = {}
    for at, text in headers.items():
        seen.setdefault(normalise_header(text) or text, []).append(at)
    return [
        problem(
            "CABECALHO_REPETIDO",
            sheet=sheet,
            column=headers[letters[0]],
            letters=joined(letters),
        )
        for plain, letters in seen.items()
        if len(letters) > 1 and (known is None or plain in known)
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

    Looked at one by one are only rows with at most half of the usual number of cells, those that lack a
    required value, and those that have no digit in the first required column or repeat a header cell.
    `second_table` is the row of another table's titles, where one stands below.
    """

    def __init__(
        self,
        grid: Grid,
        header: Header,
        headers: Mapping[str, str],
        below: pd.DataFrame,
        known: Mapping[str, str],
        required: Collection[str],
    ):
        self._sheet, self._known = grid.sheet, known
        named = {at: known.get(normalise_header(text)) for at, text in headers.items()}
        places = {at: i for i, at in enumerate(below.columns)}
        self._own = {places[at]: name for at, name in named.items() if name}
        asked = [at for at, name in named.items() if name in required]
        if 2 * len(asked) < len(required):
            asked = []  # too little is known of this table to say which rows are none of it
        self._asked = [places[at] for at in asked]
        filled = {at: _filled(below[at]) for at in below.columns}
        everywhere = sum(filled.values(), start=np.zeros(len(below), np.int32))
        self.filled = sum((filled[at] for at in headers), start=np.zeros(len(below), np.int32))
        values = sum((filled[at] for at in asked), start=np.zeros(len(below), np.int32))
        self.kept = everywhere > 0
        self.blank: list[int] = []
        self.second_table: int | None = None
        self._others: dict[str, list[int]] = {}
        # A cell with an error, or a formula without a result, is filled in, whatever it shows; and what is
        # left of a row where a file was cut is no empty one.
        self._not_bare = {found.row for found in grid.cell_problems if found.letter in asked}
        self._not_bare |= _cut_row(grid, headers)
        full = self.filled[(values > 0) if asked else (self.filled > 0)]
        self._usual = float(np.median(full)) if len(full) else 0.0
        pages = grid.texts.loc[: header.last].to_numpy(object).tolist()
        # Numbers alone are no page's title.
        self._page_rows = {row for row in map(signature, pages) if _LETTER.search(row)}
        suspects = (self.filled <= self._usual / 2) | (values < len(asked))
        if asked:
            suspects |= ~_has_digit(below[asked[0]])
        for texts in grid.texts.loc[header.first : header.last, list(headers)].to_dict("records"):
            longest = max(texts, key=lambda at, texts=texts: len(texts[at]))  # type: ignore[misc]
            if texts[longest]:
                suspects |= (below[longest] == texts[longest]).to_numpy()
        titles = self._look_at(below, np.flatnonzero(suspects & self.kept))
        few = self.kept & (2 * values < len(asked))
        for i, sure in titles:
            follows = i + 1 < len(below) and (self.kept if sure else few)[i + 1]
            if self.second_table is None and (follows or (sure and self.kept[i])):
                self.second_table = int(below.index[i])
        data = np.flatnonzero(self.kept)
        if len(data):
            between = slice(0, int(data[-1]))
            self.blank = below.index[between][everywhere[between] == 0].tolist()

    def _look_at(self, below: pd.DataFrame, suspects: np.ndarray) -> list[tuple[int, bool]]:
        """Sort out the suspects that are no trips; return where titles stand, and whether they surely are."""
        titles = []
        looked_at = below.iloc[suspects].to_numpy(object).tolist()
        for i, texts in zip(suspects.tolist(), looked_at, strict=True):
            row = int(below.index[i])
            code = self._other_than_a_trip(row, texts, int(self.filled[i]))
            if code:
                self.kept[i] = False
                self._others.setdefault(code, []).append(row)
            if code != "CABECALHO_DE_PAGINA" and (sure := self._are_titles(texts)) is not None:
                titles.append((i, sure))
        return titles

    def _are_titles(self, texts: list[str]) -> bool | None:
        """Whether the row surely holds another table's titles; None where it holds no titles at all."""
        written = {i: t for i, t in enumerate(texts) if t}
        if len(written) < MIN_KNOWN or any(_NO_TITLE.search(t) for t in written.values()):
            return None
        named = {self._known.get(normalise_header(t)) for t in written.values()} - {None}
        # Words where plates, dates and odometers stand are titles that nobody knows.
        words = [texts[i] for i in self._asked if texts[i]]
        unknown = bool(words) and 2 * len(set(words)) > len(self._asked)
        return len(named) >= MIN_KNOWN or unknown if named or unknown else None

    def _other_than_a_trip(self, row: int, texts: list[str], filled: int) -> str | None:
        if signature(texts) in self._page_rows or self._repeats_the_header(texts):
            return "CABECALHO_DE_PAGINA"
        if not filled:
            return "LINHA_FORA_DA_TABELA"
        written = [(i, t) for i, t in enumerate(texts) if t]
        short = filled <= self._usual / 2
        values = [texts[i] for i in self._asked if _says_something(texts[i])]
        if any(_TOTAL.match(text) for text in values):
            return "LINHA_DE_TOTAL"
        if short and self._usual > 2 and self._is_remark(written):
            return "LINHA_DE_TEXTO"
        if self._asked and 2 * len(values) >= len(self._asked):
            return None
        if short and any(_PAGE.match(text) for _, text in written):
            return "CABECALHO_DE_PAGINA"
        if _TOTAL.match(written[0][1]) and (self._asked or short):
            return "LINHA_DE_TOTAL"
        if self._asked and not values and row not in self._not_bare:
            return "LINHA_SEM_VIAGEM"
        return None

    def _is_remark(self, written: Sequence[tuple[int, str]]) -> bool:
        """Whether the row is a sentence in one of the first columns or, below trips, a few words without a
        digit. A lone plate or number is a trip that lacks the rest; without any digit there is no trip."""
        (place, first), *more = written
        if _PAGE.match(first) or _TOTAL.match(first):
            return False
        if not more and place < 2 and (_WORDS if self._asked else _SENTENCE).search(first):
            return True
        few_words = len(more) < 3 and not any(_DIGIT.search(text) for _, text in written)
        return bool(self._asked) and few_words and _LETTER.search(first) is not None

    def _repeats_the_header(self, texts: list[str]) -> bool:
        named = [(texts[i], name) for i, name in self._own.items() if texts[i]]
        return len(named) >= MIN_KNOWN and all(self._known.get(normalise_header(t)) == n for t, n in named)

    def notes(self) -> list[Problem]:
        """What was left out, by kind."""
        found = dict(self._others)
        if self.blank:
            found["LINHAS_EM_BRANCO"] = self.blank
        return [problem(code, sheet=self._sheet, rows=listed(rows)) for code, rows in found.items()]


def _has_digit(column: pd.Series) -> np.ndarray:
    return np.asarray(pc.match_substring_regex(pa.array(column, pa.string()), "[0-9]"))


def _says_something(text: str) -> bool:
    """Whether a cell holds a value: `-`, `__/__/____` and the like mark an empty one."""
    return any(char.isalnum() for char in text)


def _cut_row(grid: Grid, headers: Mapping[str, str]) -> set[int]:
    """The last row of a CSV, where it is shorter than the header and not for Excel's sake."""
    if grid.lengths is None or not len(grid.lengths):
        return set()
    short = grid.lengths < column_number(list(headers)[-1])
    short &= ~_cut_by_excel(grid.texts.index.to_numpy(), grid.lengths)
    return {int(grid.texts.index[-1])} if short[-1] else set()


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
    separator = SEPARATOR_NAMES.get(grid.separator, grid.separator)
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
