"""From the bytes of a CSV to a grid of text: encoding, separator, rows as a spreadsheet counts them."""

import codecs
import csv
import io
import itertools
import re
from collections.abc import Mapping

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv

from telemetria_pipeline.contracts.boletim_problems import Problem, problem
from telemetria_pipeline.core.sheets.header import MIN_KNOWN, TOP_ROWS, find_header
from telemetria_pipeline.core.sheets.text import CONTROL_BYTES, INVISIBLE, Grid, Limits, letter, refuse

SEPARATOR_NAMES = {"\t": "tabulação"}
_SEPARATORS = ";,\t|"
_SAMPLE = 256_000
_END = "\x01"  # a last row that no text holds: an open quote swallows it
_SEP_HINT = re.compile(r"\"?sep=([;,\t|:^~])\"?[ ;,\t]*(\r\n|\r|\n|$)", re.IGNORECASE | re.ASCII)
# A line that is one quoted cell, as Excel saves lines that it took for single cells.
_WRAPPED = re.compile(r'^"((?:[^"\r\n]|"")*)"[;,\t|]*(?=\r?$)', re.MULTILINE)
_TEXT_FORMULA = r'(?s)^="(.*)"$'  # how SAP and TOTVS keep Excel from making numbers of codes
_INVISIBLE_BYTES = tuple(char.encode() for char in INVISIBLE)

_BOMS = (  # UTF-32 before UTF-16: its mark begins with UTF-16's
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# What a Brazilian writer puts beyond ASCII, with the neighbours' è, ñ and ö.
_EXPECTED = frozenset("áàâãäçéêèëíïîóôõöúûüñÁÀÂÃÄÇÉÊÈËÍÏÎÓÔÕÖÚÛÜÑªº°§–—“”‘’€…·•´`¨²³®©\xa0")
_FOREIGN_RUN = re.compile(r"[^\W\d_a-zA-Z]{4}")  # four accented letters in a row: another script
_UTF8_LETTER = re.compile(rb"[\xc2\xc3][\x80-\xbf]")


def decode(data: bytes) -> tuple[bytes, str, Problem | None]:
    """A CSV in UTF-8, the encoding that it had and, where that had to be presumed, a note that says so.

    A byte order mark decides; else the pattern of NULs that UTF-16 leaves; else strict UTF-8; else
    cp1252, if what comes out can be Portuguese. Raises `Unreadable` for the rest.
    """
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            return _strict(data, encoding).encode(), encoding, None
    head = data[:4096]
    if head.count(0) > len(head) // 4:
        encoding = "utf-16-le" if head[1::2].count(0) > head[0::2].count(0) else "utf-16-be"
        return _strict(data, encoding).encode(), encoding, _presumed("UTF-16")
    if b"\0" in data:
        raise refuse("FORMATO_NAO_ACEITO", format="um arquivo binário")
    try:
        data.decode("utf-8")
        return data, "utf-8", None
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
    if _UTF8_LETTER.search(data):
        raise refuse(
            "CODIFICACAO_DESCONHECIDA", reason=f"o arquivo mistura duas codificações (veja a linha {line})"
        )
    try:
        text = data.decode("cp1252")
    except UnicodeDecodeError:
        raise refuse("CODIFICACAO_DESCONHECIDA", reason=f"veja a linha {line}") from None
    _guard(text, line)
    return text.encode(), "cp1252", _presumed("Windows-1252, o padrão do Excel no Brasil")


def _strict(data: bytes, encoding: str) -> str:
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        raise refuse(
            "CODIFICACAO_DESCONHECIDA",
            reason=f"o arquivo diz ser {encoding.removesuffix('-sig').upper()} e não é",
        ) from None
    if "\0" in text:
        raise refuse("FORMATO_NAO_ACEITO", format="um arquivo binário")
    return text.lstrip("\ufeff")  # the mark, which some programs write twice


def _presumed(encoding: str) -> Problem:
    return problem("CODIFICACAO_PRESUMIDA", encoding=encoding)


def _guard(text: str, line: int) -> None:
    """Refuse text that cp1252 can decode, as it can nearly anything, but that nobody here has written."""
    beyond = re.findall(r"[^\x00-\x7f]", text[:1_000_000])
    strange = sum(char not in _EXPECTED for char in beyond)
    if (len(beyond) >= 4 and strange > 0.3 * len(beyond)) or _FOREIGN_RUN.search(text):
        raise refuse(
            "CODIFICACAO_DESCONHECIDA",
            reason=f"parecem de outro alfabeto ou de um programa antigo (veja a linha {line})",
        )


def read_csv(data: bytes, known: Mapping[str, str], limits: Limits) -> Grid:
    """The grid of a CSV in UTF-8.

    Rows are numbered as Excel would show them: a `sep=` line is not a row, a quoted line break does not
    start one. Raises `Unreadable` for an open quote, and for more rows or columns than the limits allow.
    """
    data, notes = _visible(data), []
    sample = _sample(data)
    if hint := _SEP_HINT.match(sample):
        data, separator = data[hint.end() :], hint.group(1)
    else:
        lines = _WRAPPED.sub(_line, sample)
        separator, known_there, width = _separator(lines, known)
        if known_there < MIN_KNOWN:  # no table in the cells of such lines either
            separator, _, _ = _separator(sample, known)
        elif unwrapped := _unwrapped(data, separator, width // 2):
            data = unwrapped
            notes.append(problem("LINHAS_ENTRE_ASPAS", separator=SEPARATOR_NAMES.get(separator, separator)))
    data = _without_blank_end(data, separator)
    table = _even_rows(data, separator, limits)
    if table is not None:
        if table.num_rows > limits.rows + TOP_ROWS:
            raise refuse("LINHAS_DEMAIS", limit=limits.rows, last=table.num_rows)
        return Grid(None, _frame(table, data), separator=separator, notes=notes)
    rows = _uneven_rows(data, separator, limits)
    lengths = np.fromiter(map(len, rows), np.int64, len(rows))
    if np.median(lengths) > limits.columns:
        raise refuse("COLUNAS_DEMAIS", limit=limits.columns, last=letter(int(np.max(lengths))))
    rows = [row if len(row) <= limits.columns else _cut(row, limits.columns) for row in rows]
    columns = [pa.array(column, pa.string()) for column in itertools.zip_longest(*rows, fillvalue="")]
    table = pa.table(columns, names=[letter(i + 1) for i in range(len(columns))])
    return Grid(None, _frame(table, data), lengths=lengths, separator=separator, notes=notes)


def _visible(data: bytes) -> bytes:
    # Few files have one of the bytes that most of these characters begin with, and one byte is found fast.
    for char in _INVISIBLE_BYTES:
        if char[:1] in data and char in data:
            data = data.replace(char, b"")
    return data.translate(None, CONTROL_BYTES)


def _unwrapped(data: bytes, separator: str, least: int) -> bytes | None:
    """The data with each line that is one quoted cell, and has so many separators in it, as what that cell
    says; None where no line is."""
    if not data.startswith(b'"') and b'\n"' not in data and b'\r"' not in data:
        return None
    text = data.decode()
    new = _WRAPPED.sub(lambda m: _line(m) if m[1].count(separator) >= least else m[0], text)
    return new.encode() if new != text else None


def _line(wrapped: re.Match[str]) -> str:
    return wrapped[1].replace('""', '"')


def _without_blank_end(data: bytes, separator: str) -> bytes:
    """Without the last lines that hold nothing but separators: rows that were formatted and never filled."""
    filled = len(data.rstrip(b"\r\n \t" + separator.encode()))
    ends = [at for at in (data.find(b"\n", filled), data.find(b"\r", filled)) if at >= 0]
    return data[: min(ends, default=len(data))]


def _sample(data: bytes) -> str:
    return data[:_SAMPLE].decode("utf-8", errors="ignore")  # its end may cut a letter in two


def _cut(row: list[str], columns: int) -> list[str]:
    return [*row[: columns - 1], "".join(row[columns - 1 :])]


def _frame(table: pa.Table, data: bytes) -> pd.DataFrame:
    trimmed = [pc.utf8_trim_whitespace(column) for column in table.columns]
    if b'="' in data:
        trimmed = [pc.replace_substring_regex(column, _TEXT_FORMULA, r"\1") for column in trimmed]
    frame = pa.table(trimmed, names=table.column_names).to_pandas()
    return frame.astype("str").set_axis(pd.RangeIndex(1, len(frame) + 1))


def _separator(sample: str, known: Mapping[str, str]) -> tuple[str, int, int]:
    """The separator under which a row names most of the known columns; else the one that makes even rows.

    With it how many columns are known, and how many there are.
    """

    def worth(separator: str) -> tuple[int, float, int]:
        rows = [[cell.strip() for cell in row] for row in _some_rows(sample, separator)]
        header = find_header(list(enumerate(rows, 1)), known)
        widths = [len(row) for row in (rows[header.last :] if header else rows) if any(row)]
        width = len(rows[header.last - 1]) if header else max(set(widths), key=widths.count, default=0)
        even = widths.count(width) / len(widths) if widths and width > 1 else 0.0
        return (header.known, even, header.labels) if header else (0, even, width)

    worths = {separator: worth(separator) for separator in _SEPARATORS}
    best = max(worths, key=worths.__getitem__)
    return best, worths[best][0], worths[best][2]


def _some_rows(sample: str, separator: str) -> list[list[str]]:
    try:
        return list(
            itertools.islice(csv.reader(io.StringIO(sample, newline=""), delimiter=separator), TOP_ROWS)
        )
    except csv.Error:
        return []


def _even_rows(data: bytes, separator: str, limits: Limits) -> pa.Table | None:
    """All rows, read by Arrow, where every row has the same number of cells; None where they differ.

    Arrow drops nothing then, so that a row's place in the table is its place in the file.
    """
    first = next(iter(_some_rows(_sample(data), separator)), [])
    if not 2 <= len(first) <= limits.columns:
        return None
    names = [letter(i + 1) for i in range(len(first))]
    data += f"\n{_END}{separator * (len(first) - 1)}".encode()
    try:
        table = arrow_csv.read_csv(
            pa.BufferReader(data),
            arrow_csv.ReadOptions(column_names=names),
            arrow_csv.ParseOptions(
                delimiter=separator, newlines_in_values=b'"' in data, ignore_empty_lines=False
            ),
            arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
            ),
        )
    except pa.ArrowInvalid:
        return None
    return table.slice(0, table.num_rows - 1) if table[0][-1].as_py() == _END else None


def _uneven_rows(data: bytes, separator: str, limits: Limits) -> list[list[str]]:
    text = data.decode()
    rows: list[list[str]] = []
    try:
        for row in csv.reader(io.StringIO(f"{text}\n{_END}", newline=""), delimiter=separator):
            rows.append(row)
            if len(rows) > limits.rows + TOP_ROWS:
                raise refuse("LINHAS_DEMAIS", limit=limits.rows, last=text.count("\n") + 1)
    except csv.Error:  # a cell of more than 128 KB, which is what an open quote swallows
        if '"' in text:
            raise refuse("ASPAS_ABERTAS", row=len(rows) + 1) from None
        raise refuse("ARQUIVO_CORROMPIDO") from None
    if rows[-1] != [_END]:
        raise refuse("ASPAS_ABERTAS", row=len(rows))
    return rows[:-1]
