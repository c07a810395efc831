"""Workbooks read back as a person's Excel would: formulas computed here, exactly, from the cells."""

import re
from decimal import Decimal
from io import BytesIO

import openpyxl
from openpyxl.worksheet.worksheet import Worksheet


class Sheets:
    """A workbook's sheets; `value` computes a cell, `stored` is what the file says that it comes to."""

    def __init__(self, data: bytes) -> None:
        self.book = openpyxl.load_workbook(BytesIO(data))
        self._stored = openpyxl.load_workbook(BytesIO(data), data_only=True)

    def value(self, sheet: str, cell: str) -> object:
        """The cell's value; a formula's is computed in decimals."""
        raw = self.book[sheet][cell]
        if raw.data_type != "f":
            return Decimal(str(raw.value)) if isinstance(raw.value, int | float) else raw.value
        return self._computed(sheet, raw.value.removeprefix("="))

    def stored(self, sheet: str, cell: str) -> Decimal:
        return Decimal(str(self._stored[sheet][cell].value))

    def formulas(self) -> list[tuple[str, str]]:
        """Sheet and address of every formula."""
        return [
            (page.title, cell.coordinate)
            for page in self.book.worksheets
            for row in page.iter_rows()
            for cell in row
            if cell.data_type == "f"
        ]

    def table(self, sheet: str) -> tuple[dict[str, str], range]:
        """Column letter by header, and the numbers of the rows of data."""
        page = self.book[sheet]
        first, last = re.fullmatch(r"A(\d+):[A-Z]+(\d+)", page.auto_filter.ref).groups()
        headers = {cell.value: cell.column_letter for cell in page[int(first)]}
        return headers, range(int(first) + 1, int(last) + 1)

    def column(self, sheet: str, header: str) -> list[object]:
        letters, rows = self.table(sheet)
        return [self.value(sheet, f"{letters[header]}{row}") for row in rows]

    def total(self, sheet: str, header: str) -> object:
        letters, rows = self.table(sheet)
        return self.value(sheet, f"{letters[header]}{rows[-1] + 1}")

    def text(self, page: Worksheet) -> str:
        return "\n".join(str(c.value) for row in page.iter_rows() for c in row if c.value is not None)

    def _computed(self, sheet: str, formula: str) -> Decimal:
        if found := re.fullmatch(r"SUM\((.+)\)", formula):
            return sum((Decimal(str(v or 0)) for v in self._range(sheet, found[1])), Decimal(0))
        if found := re.fullmatch(r"SUMIF\((.+),(.+),(.+)\)", formula):
            wanted = self.value(sheet, found[2])
            pairs = zip(self._range(sheet, found[1]), self._range(sheet, found[3]), strict=True)
            return sum((v for name, v in pairs if name == wanted), Decimal(0))
        return sum((sign * self._cell(sheet, ref) for sign, ref in _terms(formula)), Decimal(0))

    def _cell(self, sheet: str, ref: str) -> Decimal:
        where, _, cell = ref.rpartition("!")
        return Decimal(str(self.value(where.strip("'") or sheet, cell)))

    def _range(self, sheet: str, ref: str) -> list[object]:
        where, _, cells = ref.replace("$", "").rpartition("!")
        first, last = cells.split(":")
        letter = re.match("[A-Z]+", first)[0]
        rows = range(int(first[len(letter) :]), int(last[len(letter) :]) + 1)
        return [self.value(where.strip("'") or sheet, f"{letter}{row}") for row in rows]


def _terms(formula: str) -> list[tuple[int, str]]:
    found = re.findall(r"([+-]?)((?:'[^']+'!)?[A-Z]+\d+)", formula)
    assert "".join(sign + ref for sign, ref in found) == formula, formula
    return [(-1 if sign == "-" else 1, ref) for sign, ref in found]
