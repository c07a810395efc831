"""Finding the header: the row (or rows) among the first of a sheet that names the columns."""

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import lru_cache

from telemetria_pipeline.contracts.boletim_problems import Problem, problem

HEADER_ROWS = 100  # rows with content in which the header is looked for
TOP_ROWS = 200  # rows that are looked at for them, blank ones included
_UNKNOWN_ROWS = 20  # as HEADER_ROWS, where nothing is known of the columns: data rows hold names too
MAX_HEADER_HEIGHT = 3
MIN_KNOWN = 2  # one known word is no header: `DATA: 22/11/2026` stands above many a table

# Names that programs invent where a column has none.
_GENERIC = re.compile(r"(coluna|column|unnamed|campo|field|col)\W*\d*", re.IGNORECASE)
_HAS_LETTER = re.compile(r"[^\W\d_]")
_LONGEST = 120  # a longer text is no header
_LIKENESS = 0.6  # of a title that is asked about; nothing is read by it
_TOLD_TITLES, _TOLD_LENGTH = 10, 30


@lru_cache(maxsize=16_384)  # the first rows are looked at under each separator
def normalise_header(text: str) -> str:
    """A header as it is compared: upper case, letters and digits only, without accents and ordinal signs.

    `Nº ATA`, `n.° ata` and `N ATA` are one header; so are `km_saida` and `KM\\nSAÍDA`.
    """
    plain = unicodedata.normalize("NFKD", text.replace("º", "").replace("°", "").replace("ª", ""))
    return re.sub(r"[^A-Z0-9]", "", plain.upper())


Top = Sequence[tuple[int, list[str]]]
Merged = Sequence[tuple[int, int, int, int]]


@dataclass(frozen=True)
class Header:
    """`texts` maps column positions (from 0) to headers; rows are the spreadsheet's; `known` counts the
    canonical columns that were recognised, `labels` the cells that look like names."""

    first: int
    last: int
    texts: dict[int, str]
    known: int
    labels: int


def find_header(top: Top, known: Mapping[str, str], merged: Merged = (), offset: int = 1) -> Header | None:
    """The header among the first rows, or None.

    The rows that name most of the known columns win, fewer rows before more. Where nothing is known of
    the columns, the first row that consists of names does.

    Args:
        top: (row number, texts) of the first rows, blank ones included.
        known: normalised alias -> canonical column.
        merged: merged ranges of the sheet, from 1.
        offset: column number of the first text of each row.
    """
    filled = [i for i, (_, texts) in enumerate(top) if any(texts)][:HEADER_ROWS]
    hopeful = _hopeful_columns(top, known)
    best: Header | None = None
    for height in range(1, MAX_HEADER_HEIGHT + 1):
        for i in filled:
            if i + height > filled[-1] + 1:
                break
            if len(set().union(*hopeful[i : i + height])) <= (best.known if best else MIN_KNOWN - 1):
                continue  # no more columns than these can be known in it
            header = _combined(top[i : i + height], known, merged, offset)
            if header.known > (best.known if best else MIN_KNOWN - 1):
                best = header
    if best is None:
        at = _first_row_of_names([top[i][1] for i in filled[:_UNKNOWN_ROWS]])
        if at is None and filled and _is_list(top, known):
            at = 0
        if at is None:
            return None
        best = _combined([top[filled[at]]], known, merged, offset)
    return _with_merged_rows(best, top, known, merged, offset)


def _hopeful_columns(top: Top, known: Mapping[str, str]) -> list[set[int]]:
    """For each row the positions whose text may be a known name or, of two letters and more, part of one."""
    names = "\n".join(known)  # no text has a line break once it is normalised
    return [
        {
            column
            for column, text in enumerate(texts)
            if 1 < len(text) <= _LONGEST and len(plain := normalise_header(text)) > 1 and plain in names
        }
        for _, texts in top
    ]


def _first_row_of_names(rows: list[list[str]]) -> int | None:
    names = [len({t for t in row if _is_name(t)}) for row in rows]
    cells = [sum(map(bool, row)) for row in rows]
    fit = [i for i in range(len(rows)) if names[i] >= 2 and names[i] * 2 > cells[i]]
    if fit:
        # A data row can have a name more than its header, where one column's name is a number.
        return next(i for i in fit if names[i] >= 0.6 * max(names[j] for j in fit))
    if rows and cells[0] >= 2 and _is_name(rows[0][0]):
        return 0
    return None


def _is_list(top: Top, known: Mapping[str, str]) -> bool:
    """Whether it is one column under a known name."""
    written = [[t for t in texts if t] for _, texts in top]
    cells = [row for row in written if row]
    return all(len(row) == 1 for row in cells) and _canonical(cells[0][0], known) is not None


def _is_name(text: str) -> bool:
    return bool(_HAS_LETTER.search(text)) and len(text) <= _LONGEST and not _GENERIC.fullmatch(text.strip())


def _combined(rows: Top, known: Mapping[str, str], merged: Merged, offset: int) -> Header:
    """The rows read as one header: for each column the words above each other, in the order that is known.

    Where they make no known name, a column keeps the words that are surely its own: what stands further to
    the left, a title or another group's name, is none of them unless columns need it to differ.
    """
    named = [_over_merged(n, texts, merged, offset) for n, texts in rows]
    groups_merged = {r0 for r0, c0, _, c1 in merged if c1 > c0}
    upper, last = list(zip(rows[:-1], named[:-1], strict=True)), named[-1]
    spread = [*(t if n in groups_merged else _up_to_the_next(t) for (n, _), t in upper), last]
    texts: dict[int, str] = {}
    doubtful: dict[int, str] = {}
    seen: set[str] = set()
    for column in range(max(len(t) for t in spread)):
        own = [texts_[column] for _, texts_ in rows if column < len(texts_) and texts_[column]]
        over = [t[column] for t in spread if column < len(t) and t[column]]
        # A group's name is worth something only above a name: beside it, it would name columns twice.
        parts = list(dict.fromkeys(over)) if own else []
        if not parts:
            continue
        together, turned = " ".join(parts), " ".join(reversed(parts))
        choices = [together, turned, *reversed(own)]
        text = next((c for c in choices if _canonical(c, known)), None)
        if text is not None:
            texts[column] = text
            seen.add(str(_canonical(text, known)))
            continue
        sure = dict.fromkeys(t[column] for t in named if column < len(t) and t[column])
        texts[column], doubtful[column] = " ".join(sure), together
    uses = Counter(map(normalise_header, texts.values()))
    texts |= {column: told for column, told in doubtful.items() if uses[normalise_header(texts[column])] > 1}
    labels = len({t for t in texts.values() if _is_name(t)})
    return Header(rows[0][0], rows[-1][0], texts, len(seen), labels)


def _canonical(text: str, known: Mapping[str, str]) -> str | None:
    return known.get(normalise_header(text)) if len(text) <= _LONGEST else None


def _over_merged(row: int, texts: list[str], merged: Merged, offset: int) -> list[str]:
    """The row with each text over all of the cells that are merged with its own."""
    spread = list(texts)
    for r0, c0, _, c1 in merged:
        if r0 == row and 0 <= c0 - offset < len(spread):
            for column in range(c0 - offset + 1, min(c1 - offset + 1, len(spread))):
                spread[column] = spread[column] or spread[c0 - offset]
    return spread


def _up_to_the_next(texts: list[str]) -> list[str]:
    """The row with each text over the empty cells behind it, as groups stand that nobody merged."""
    spread = list(texts)
    for column in range(1, len(spread)):
        spread[column] = spread[column] or spread[column - 1]
    return spread


def _with_merged_rows(
    header: Header, top: Top, known: Mapping[str, str], merged: Merged, offset: int
) -> Header:
    """The header with the rows that its own cells reach down to."""
    columns = {column + offset for column in header.texts}
    last = header.last
    for r0, c0, r1, _ in sorted(merged):
        if header.first <= r0 <= last and c0 in columns and r1 - header.first < 2 * MAX_HEADER_HEIGHT:
            last = max(last, r1)
    if last == header.last:
        return header
    taller = _combined([t for t in top if header.first <= t[0] <= last], known, merged, offset)
    return taller if taller.known >= header.known else header


def not_found(
    sheet: str | None,
    row: int | None,
    titles: Sequence[str],
    names: Mapping[str, Sequence[str]],
    required: Collection[str],
) -> Problem:
    """That the header was not found: the titles that were read in a row, beside those that were expected.

    `names` are the headers of each canonical column; the first of each is the one that is told.
    """
    required = [column for column in required if column in names]
    read = [f"'{t[:_TOLD_LENGTH]}{'…' * (len(t) > _TOLD_LENGTH)}'" for t in titles if t]
    told = ", ".join(read[:_TOLD_TITLES]) + " …" * (len(read) > _TOLD_TITLES)
    near = nearest_titles(titles, {column: names[column] for column in required})
    expected = [f"{names[c][0]} (seria '{near[c]}'?)" if c in near else names[c][0] for c in required]
    return problem(
        "CABECALHO_NAO_ENCONTRADO",
        sheet=sheet,
        row=row,
        read=f"na linha {row} li {told}" if read else "não li título nenhum",
        expected=", ".join(expected),
    )


def nearest_titles(titles: Iterable[str], names: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Canonical column -> the title that is most like one of its headers, where any is; each at most once."""
    likeness = [
        (max(SequenceMatcher(None, normalise_header(t), normalise_header(n)).ratio() for n in said), t, c)
        for t in titles
        if _is_name(t) and 3 * sum(map(str.isdigit, t)) < sum(map(str.isalpha, t))  # no plate
        for c, said in names.items()
    ]
    near: dict[str, str] = {}
    for ratio, title, column in sorted(likeness, key=lambda found: -found[0]):
        if ratio >= _LIKENESS and column not in near and title not in near.values():
            near[column] = title
    return near
