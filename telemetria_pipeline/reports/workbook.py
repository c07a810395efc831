"""Sheets as finance people know them: a title block, a frozen header with filters, totals as formulas.

Text is written as text, whatever it begins with; decimals digit by digit; and every formula carries what it
comes to, for those who read the file without computing it (previews, Excel's protected view, pandas).
"""

import re
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from io import BytesIO
from typing import TYPE_CHECKING, Any, Literal, get_args
from zoneinfo import ZoneInfo

import pandas as pd

from telemetria_pipeline.reports.text import missing

if TYPE_CHECKING:
    from openpyxl.cell.cell import Cell
    from openpyxl.styles import NamedStyle
    from openpyxl.worksheet.worksheet import Worksheet

Kind = Literal["text", "long", "count", "km", "brl", "tariff", "share", "day", "clock", "instant"]

_FORMATS: dict[str, str] = {
    "count": "#,##0",
    "km": "#,##0.000",
    "brl": "[$R$-416] #,##0.00;[Red]-[$R$-416] #,##0.00",
    "tariff": "[$R$-416] #,##0.00##",
    "share": "0.0%",
    "day": "dd/mm/yyyy",
    "clock": "hh:mm",
    "instant": "dd/mm/yyyy hh:mm",
}
_FONT = "Calibri"
_DARK, _GREY, _LINE = "1F3864", "D9E1F2", "BFBFBF"
_FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True)
class Formula:
    """A formula, and the value that it comes to; `{Header}` stands for that column's cell in the same row."""

    text: str
    value: Decimal


@dataclass(frozen=True)
class Column:
    """A column of a sheet: its values in order (`Formula`s too), how they look, whether they are summed."""

    header: str
    values: Sequence[Any]
    kind: Kind = "text"
    width: int = 14
    summed: bool = False


@dataclass(frozen=True)
class Table:
    """Where a sheet's table lies: its first and last row of data, and the row of totals beneath."""

    sheet: str
    first: int
    last: int
    letters: Mapping[str, str]  # header -> column letter
    totals: Mapping[str, Decimal]  # header -> what the column sums to

    def total(self, header: str) -> Formula:
        """The column's total, for a cell of another sheet."""
        return Formula(f"='{self.sheet}'!{self.letters[header]}{self.last + 1}", self.totals[header])

    def range(self, header: str) -> str:
        """The column's data, for a formula of another sheet."""
        letter = self.letters[header]
        return f"'{self.sheet}'!${letter}${self.first}:${letter}${self.last}"


@dataclass
class Workbook:
    """A workbook that grows sheet by sheet."""

    _book: Any = None
    _computed: dict[str, dict[str, Decimal]] = field(default_factory=dict)  # sheet -> cell -> value

    def __post_init__(self) -> None:
        import openpyxl

        self._book = openpyxl.Workbook()
        self._book.remove(self._book.active)
        for kind in get_args(Kind):
            self._book.add_named_style(_style(kind))

    def add(
        self,
        title: str,
        heading: Sequence[str],
        columns: Sequence[Column],
        notes: Mapping[tuple[int, str], str] | None = None,
        frozen: int = 0,
        footnotes: Sequence[str] = (),
    ) -> Table:
        """Add a sheet.

        Args:
            title: the sheet's name.
            heading: the lines above the table; the first is the title.
            columns: the table; all of one length.
            notes: comments, by number of the row (from 0) and header.
            frozen: how many columns stay in sight as well.
            footnotes: lines beneath the table.
        """
        from openpyxl.comments import Comment
        from openpyxl.utils import get_column_letter

        page = self._book.create_sheet(title)
        self._computed[title] = {}
        _write_heading(page, heading)
        header_row = len(heading) + 2
        first = header_row + 1
        letters = {c.header: get_column_letter(at) for at, c in enumerate(columns, start=1)}
        # Without rows, an empty one stands for them, so that the formulas stay the same.
        last = first + max(len(columns[0].values), 1) - 1
        for at, column in enumerate(columns, start=1):
            _write_header(page.cell(header_row, at), column.header)
            page.column_dimensions[letters[column.header]].width = column.width
            for row, value in enumerate(column.values, start=first):
                self._write(page.cell(row, at), value, column.kind, letters)
        for (row, header), said in (notes or {}).items():
            page[f"{letters[header]}{first + row}"].comment = Comment(said, "Medição", 80, 300)
        totals = {c.header: _sum(c.values) for c in columns if c.summed}
        if totals:
            self._write_totals(page, columns, letters, totals, first, last)
        for row, said in enumerate(footnotes, start=last + 3):
            _write_quiet(page.cell(row, 1), said)
        _fit_heights(page, columns, first)
        page.freeze_panes = page.cell(first, frozen + 1)
        page.auto_filter.ref = f"A{header_row}:{get_column_letter(len(columns))}{last}"
        _fit_to_print(page, header_row)
        return Table(title, first, last, letters, totals)

    def save(self) -> bytes:
        """The workbook's bytes."""
        out = BytesIO()
        self._book.save(out)
        return _with_results(out.getvalue(), list(self._computed.values()))

    def _write(self, cell: "Cell", value: Any, kind: Kind, letters: Mapping[str, str]) -> None:
        cell.style = kind
        if isinstance(value, Formula):
            cell.value = value.text.format_map({h: f"{letter}{cell.row}" for h, letter in letters.items()})
            self._computed[cell.parent.title][cell.coordinate] = value.value
        elif isinstance(value, str):
            write_text(cell, value)
        elif not missing(value):
            cell.value = value

    def _write_totals(
        self,
        page: "Worksheet",
        columns: Sequence[Column],
        letters: Mapping[str, str],
        totals: Mapping[str, Decimal],
        first: int,
        last: int,
    ) -> None:
        from openpyxl.styles import Border, Font, PatternFill, Side

        for at, column in enumerate(columns, start=1):
            cell = page.cell(last + 1, at)
            if column.summed:
                letter = letters[column.header]
                summed = Formula(f"=SUM({letter}{first}:{letter}{last})", totals[column.header])
                self._write(cell, summed, column.kind, letters)
            elif at == 1:
                cell.value = "Total"
            cell.font = Font(name=_FONT, bold=True)
            cell.fill = PatternFill("solid", fgColor=_GREY)
            cell.border = Border(top=Side(style="medium", color=_DARK))


def write_text(cell: "Cell", text: str) -> None:
    """Write text that stays text: neither Excel nor whoever edits the cell makes a formula of it."""
    from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE

    cell.value = ILLEGAL_CHARACTERS_RE.sub("", text)[:32_767]
    cell.data_type = "s"
    cell.quotePrefix = text.startswith(_FORMULA_SIGNS)


def local(instants: pd.Series, zone: ZoneInfo) -> list[datetime | None]:
    """Instants by the clock of the zone, as Excel knows times: without one."""
    clocks = instants.dt.tz_convert(zone).dt.tz_localize(None)
    return [None if missing(t) else t.to_pydatetime() for t in clocks]


def days(texts: pd.Series) -> list[date | None]:
    """Days written as YYYY-MM-DD, as dates."""
    return [None if missing(text) else date.fromisoformat(text) for text in texts]


def _style(kind: Kind) -> "NamedStyle":
    """How the cells of a kind look: set by name, which costs a tenth of setting each part on each cell."""
    from openpyxl.styles import Alignment, Border, Font, NamedStyle, Side

    words = kind in ("text", "long")
    return NamedStyle(
        kind,
        font=Font(name=_FONT, size=11),
        number_format=_FORMATS.get(kind, "General"),
        alignment=Alignment("left" if words else None, "top", wrap_text=kind == "long", indent=int(words)),
        border=Border(bottom=Side(style="hair", color=_LINE)),
    )


def _sum(values: Sequence[Any]) -> Decimal:
    plain = (v.value if isinstance(v, Formula) else v for v in values)
    return sum((Decimal(v) for v in plain if not missing(v)), Decimal(0))


def _write_heading(page: "Worksheet", heading: Sequence[str]) -> None:
    from openpyxl.styles import Font

    title, *others = heading
    write_text(page.cell(1, 1), title)
    page.cell(1, 1).font = Font(name=_FONT, size=14, bold=True, color=_DARK)
    for row, said in enumerate(others, start=2):
        _write_quiet(page.cell(row, 1), said)


def _write_quiet(cell: "Cell", said: str) -> None:
    from openpyxl.styles import Font

    write_text(cell, said)
    cell.font = Font(name=_FONT, size=10, color="44546A")


def _write_header(cell: "Cell", header: str) -> None:
    from openpyxl.styles import Alignment, Border, Font, PatternFill, Side

    cell.value = header
    cell.font = Font(name=_FONT, bold=True, color="FFFFFF")
    cell.fill = PatternFill("solid", fgColor=_DARK)
    cell.alignment = Alignment(wrap_text=True, vertical="center", horizontal="center")
    cell.border = Border(left=Side(style="thin", color=_LINE), right=Side(style="thin", color=_LINE))


def _fit_heights(page: "Worksheet", columns: Sequence[Column], first: int) -> None:
    """Rows as high as their long texts need: LibreOffice does not see to that, as Excel does."""
    for column in (c for c in columns if c.kind == "long"):
        for row, text in enumerate(column.values, start=first):
            lines = 1 if missing(text) else -(-len(text) // column.width)
            page.row_dimensions[row].height = max(page.row_dimensions[row].height or 0, 15.0 * lines)


def _fit_to_print(page: "Worksheet", header_row: int) -> None:
    from openpyxl.worksheet.page import PageMargins

    page.row_dimensions[header_row].height = 32
    page.print_title_rows = f"{header_row}:{header_row}"
    page.page_setup.orientation = "landscape"
    page.page_setup.paperSize = page.PAPERSIZE_A4
    page.sheet_properties.pageSetUpPr.fitToPage = True
    page.page_setup.fitToWidth, page.page_setup.fitToHeight = 1, 0
    page.page_margins = PageMargins(left=0.4, right=0.4, top=0.5, bottom=0.6, header=0.3, footer=0.3)
    page.oddFooter.left.text, page.oddFooter.right.text = "&A", "&P / &N"


def _with_results(data: bytes, computed: Sequence[Mapping[str, Decimal]]) -> bytes:
    """The file with the formulas' results, which openpyxl leaves out; `computed` is in the sheets' order."""
    results = {f"xl/worksheets/sheet{n}.xml": cells for n, cells in enumerate(computed, start=1)}
    out = BytesIO()
    with zipfile.ZipFile(BytesIO(data)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            body = old.read(name)
            if name in results:
                body = _filled(body.decode(), results[name]).encode()
            new.writestr(name, body)
    return out.getvalue()


def _filled(xml: str, cells: Mapping[str, Decimal]) -> str:
    return re.sub(
        r'(<c r="([A-Z]+\d+)"[^>]*><f>[^<]*</f>)<v ?/>',
        lambda found: f"{found[1]}<v>{cells[found[2]]:f}</v>",
        xml.replace("<v></v>", "<v/>"),
    )
