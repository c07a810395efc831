"""Workbooks in the house style: the only place that writes an .xlsx file.

Text is written as text, whatever it begins with; decimals digit by digit; and every formula carries its
value, for those who read the file without computing it (previews, Excel's protected view, pandas).

Cells are named as Excel names them (`"B7"`); rows count from 1.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from io import BytesIO
from typing import TYPE_CHECKING, Any, Literal
from zoneinfo import ZoneInfo

import pandas as pd

from telemetria_pipeline.core.sheets.text import letter
from telemetria_pipeline.reports.text import missing

if TYPE_CHECKING:
    from xlsxwriter.format import Format
    from xlsxwriter.worksheet import Worksheet

# --- the style kit -------------------------------------------------------------------------------------

Style = Mapping[str, Any]
"""Properties of an XlsxWriter format. Styles combine: the later one wins."""

RED, YELLOW, GREEN = "#FFC7CE", "#FFEB9C", "#C6EFCE"
_NAVY, _PALE_NAVY, _PALE, _LINE, _SLATE = "#1F3864", "#8EA9DB", "#D9E1F2", "#BFBFBF", "#44546A"

TITLE: Style = {"font_size": 14, "bold": True, "font_color": _NAVY}
QUIET: Style = {"font_size": 10, "font_color": _SLATE}
BOLD: Style = {"bold": True}
HEADER: Style = {
    "bold": True,
    "font_color": "#FFFFFF",
    "bg_color": _NAVY,
    "border": 1,
    "border_color": _LINE,
    "align": "center",
    "valign": "vcenter",
    "text_wrap": True,
}
OPTIONAL_HEADER: Style = {**HEADER, "bg_color": _PALE_NAVY}
SENDERS_HEADER: Style = {"bold": True, "bg_color": _PALE}
TOTAL: Style = {"bold": True, "bg_color": _PALE, "top": 2, "top_color": _NAVY, "bottom": 0}
LINK: Style = {"font_color": "#0563C1", "underline": 1}
WRAPPED: Style = {"text_wrap": True, "valign": "top"}

_TOP: Style = {"valign": "top", "bottom": 7, "bottom_color": _LINE}  # 7 is a hairline
_WORDS: Style = {**_TOP, "align": "left", "indent": 1}

Kind = Literal["text", "long", "count", "km", "brl", "tariff", "share", "day", "clock", "instant"]

_KINDS: dict[Kind, Style] = {
    "text": _WORDS,
    "long": {**_WORDS, **WRAPPED},
    "count": {**_TOP, "num_format": "#,##0"},
    "km": {**_TOP, "num_format": "#,##0.000"},
    "brl": {**_TOP, "num_format": "[$R$-416] #,##0.00;[Red]-[$R$-416] #,##0.00"},
    "tariff": {**_TOP, "num_format": "[$R$-416] #,##0.00##"},
    "share": {**_TOP, "num_format": "0.0%"},
    "day": {**_TOP, "num_format": "dd/mm/yyyy"},
    "clock": {**_TOP, "num_format": "hh:mm"},
    "instant": {**_TOP, "num_format": "dd/mm/yyyy hh:mm"},
}
_LINE_HEIGHT = 15.0
_HEADER_HEIGHT = 32
_LAST_CHARACTER = 32_767
_NOT_IN_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r")

# --- what stands in cells ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Formula:
    """A formula and its value; in a table, `{Header}` stands for that column's cell in the same row."""

    text: str
    value: Decimal


@dataclass(frozen=True)
class Link:
    """A text that leads to a cell of another sheet."""

    text: str
    sheet: str
    cell: str


@dataclass(frozen=True)
class Column:
    """A column of a table: its values in order (formulas and links too), and how they look.

    `width` is in characters; `fills` gives the cells with these values a background.
    """

    header: str
    values: Sequence[Any]
    kind: Kind = "text"
    width: int = 14
    summed: bool = False
    fills: Mapping[Any, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Table:
    """Where a table lies: its first and last row of data. The totals are in the row beneath."""

    sheet: str
    first: int
    last: int
    letters: Mapping[str, str]  # header -> column letter
    totals: Mapping[str, Decimal]  # header -> sum of the column

    def total(self, header: str) -> Formula:
        """The column's total, for a cell of another sheet."""
        return Formula(f"='{self.sheet}'!{self.letters[header]}{self.last + 1}", self.totals[header])

    def range(self, header: str) -> str:
        """The column's data, for a formula of another sheet."""
        column = self.letters[header]
        return f"'{self.sheet}'!${column}${self.first}:${column}${self.last}"


class Workbook:
    """A workbook that grows page by page; `save` returns its bytes."""

    def __init__(self) -> None:
        import xlsxwriter

        self._bytes = BytesIO()
        self._book = xlsxwriter.Workbook(
            self._bytes, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
        )
        self._formats: dict[tuple[tuple[str, Any], ...], Format] = {}

    def save(self) -> bytes:
        """The workbook's bytes. Nothing can be written to it afterwards."""
        self._book.close()
        return self._bytes.getvalue()

    def style(self, *styles: Style) -> "Format":
        """The styles combined, as XlsxWriter's columns and ranges take them."""
        properties = {name: value for style in styles for name, value in style.items()}
        key = tuple(sorted(properties.items()))
        if key not in self._formats:
            self._formats[key] = self._book.add_format(properties)
        return self._formats[key]

    def page(self, name: str) -> "Worksheet":
        """A new sheet, A4 landscape, as wide as one printed page."""
        page = self._book.add_worksheet(name)
        page.set_landscape()
        page.set_paper(9)
        page.fit_to_pages(1, 0)
        page.set_margins(left=0.4, right=0.4, top=0.5, bottom=0.6)
        page.set_footer("&L&A&R&P / &N")
        return page

    def write(self, page: "Worksheet", cell: str, value: Any, *styles: Style) -> None:
        """Write a value of its own type. Text stays text, now and once somebody edits the cell."""
        look = self.style(*styles)
        if missing(value) or value == "" or (isinstance(value, float) and math.isinf(value)):
            page.write_blank(cell, None, look)
            return
        match value:
            case str():
                text = plain_text(value)
                quoted = {"quote_prefix": True} if text.startswith(_FORMULA_SIGNS) else {}
                page.write_string(cell, text, self.style(*styles, quoted))
            case Formula():
                page.write_formula(cell, value.text, look, value.value)
            case Link():
                sheet = value.sheet.replace("'", "''")
                url = f"internal:'{sheet}'!{value.cell}"
                page.write_url(cell, url, self.style(*styles, LINK), plain_text(value.text))
            case bool():
                page.write_boolean(cell, value, look)
            case date() | time() | timedelta():
                page.write_datetime(cell, value, self.style({"num_format": _clock_format(value)}, *styles))
            case _:
                page.write_number(cell, value, look)

    def merge(self, page: "Worksheet", cells: str, value: Any, *styles: Style) -> None:
        """Merge the cells of a row and write the value into them."""
        page.merge_range(cells, "", self.style(*styles))
        self.write(page, cells.partition(":")[0], value, *styles)

    def comment(self, page: "Worksheet", cell: str, author: str, text: str) -> None:
        """Put a comment on a cell, large enough to be read without scrolling."""
        height = 20 + 18 * lines(text, 44)
        page.write_comment(cell, plain_text(text), {"author": author, "width": 320, "height": height})

    def table(self, page: "Worksheet", header_row: int, columns: Sequence[Column]) -> Table:
        """Write a table, and its row of totals if a column is summed. All columns are of one length."""
        first = header_row + 1
        # A table without rows keeps an empty one, so that its formulas stay the same.
        height = max(len(columns[0].values), 1)
        last = first + height - 1
        letters = {column.header: letter(at) for at, column in enumerate(columns, start=1)}
        page.set_row(header_row - 1, _HEADER_HEIGHT)
        for row in range(height):
            values = [(c.values[row], c.width) for c in columns if c.kind == "long" and row < len(c.values)]
            # Excel fits the height by itself; LibreOffice does not.
            if values:
                page.set_row(first + row - 1, _LINE_HEIGHT * max(lines(v, width) for v, width in values))
        for column in columns:
            at = letters[column.header]
            self.write(page, f"{at}{header_row}", column.header, HEADER)
            page.set_column(f"{at}:{at}", column.width)
            for row, value in enumerate([*column.values] or [None], start=first):
                if isinstance(value, Formula):
                    cells = {header: f"{other}{row}" for header, other in letters.items()}
                    value = Formula(value.text.format_map(cells), value.value)
                filled = {"bg_color": column.fills[value]} if value in column.fills else {}
                self.write(page, f"{at}{row}", value, _KINDS[column.kind], filled)
        totals = {column.header: _sum(column.values) for column in columns if column.summed}
        for column in columns if totals else ():
            at = letters[column.header]
            total: Any = "Total" if column is columns[0] else None
            if column.summed:
                total = Formula(f"=SUM({at}{first}:{at}{last})", totals[column.header])
            self.write(page, f"{at}{last + 1}", total, _KINDS[column.kind], TOTAL)
        return Table(page.get_name(), first, last, letters, totals)

    def add(
        self,
        title: str,
        heading: Sequence[str],
        columns: Sequence[Column],
        notes: Mapping[tuple[int, str], str] | None = None,
        frozen: int = 0,
        footnotes: Sequence[str] = (),
    ) -> Table:
        """Add a page that holds one table, with its header in sight, filters, and headers on every print.

        Args:
            title: the sheet's name.
            heading: the lines above the table; the first is the title.
            columns: the table.
            notes: comments, by number of the row (from 0) and header.
            frozen: how many columns stay in sight as well.
            footnotes: lines beneath the table.
        """
        page = self.page(title)
        page.hide_gridlines(2)
        for row, line in enumerate(heading, start=1):
            self.write(page, f"A{row}", line, TITLE if row == 1 else QUIET)
        header_row = len(heading) + 2
        table = self.table(page, header_row, columns)
        for (row, header), text in (notes or {}).items():
            self.comment(page, f"{table.letters[header]}{table.first + row}", "Medição", text)
        for row, line in enumerate(footnotes, start=table.last + 3):
            self.write(page, f"A{row}", line, QUIET)
        page.freeze_panes(f"{letter(frozen + 1)}{table.first}")
        page.autofilter(f"A{header_row}:{letter(len(columns))}{table.last}")
        page.repeat_rows(header_row - 1)
        return table


def plain_text(text: str) -> str:
    """The text without what no workbook can hold."""
    return _NOT_IN_XML.sub("", text)[:_LAST_CHARACTER]


def local(instants: pd.Series, zone: ZoneInfo) -> list[datetime | None]:
    """Instants by the clock of the zone, as Excel knows times: without one."""
    clocks = instants.dt.tz_convert(zone).dt.tz_localize(None)
    return [None if missing(t) else t.to_pydatetime() for t in clocks]


def days(texts: pd.Series) -> list[date | None]:
    """Days written as YYYY-MM-DD, as dates."""
    return [None if missing(text) else date.fromisoformat(text) for text in texts]


def _clock_format(value: date | time | timedelta) -> str:
    match value:
        case datetime():
            return "dd/mm/yyyy hh:mm"
        case date():
            return "dd/mm/yyyy"
        case time():
            return "hh:mm:ss" if value.second else "hh:mm"
    return "[h]:mm:ss"


def lines(value: Any, width: int) -> int:
    """How many lines a text takes in a column of this width, in characters."""
    text = value.text if isinstance(value, Link) else "" if missing(value) else str(value)
    return sum(max(1, math.ceil(len(line) / width)) for line in text.split("\n"))


def _sum(values: Sequence[Any]) -> Decimal:
    plain = (v.value if isinstance(v, Formula) else v for v in values)
    return sum((Decimal(v) for v in plain if not missing(v)), Decimal(0))
