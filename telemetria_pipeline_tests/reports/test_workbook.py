"""The workbook writer: each value of its own type, text never a formula, formulas with their values."""

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from io import BytesIO
from zipfile import ZipFile

import openpyxl
import pandas as pd
import pytest
from python_calamine import load_workbook

from telemetria_pipeline.reports.workbook import RED, Column, Formula, Link, Workbook


def written(*values: object) -> list:
    """The cells of column A, read back."""
    book = Workbook()
    page = book.page("P")
    for row, value in enumerate(values, start=1):
        book.write(page, f"A{row}", value)
    return list(openpyxl.load_workbook(BytesIO(book.save()))["P"]["A"])


def test_values_keep_their_types():
    day, clock, instant = date(2026, 11, 22), time(7, 30), datetime(2026, 11, 22, 7, 30, 15)
    cells = written(day, clock, time(7, 30, 1), instant, timedelta(hours=26), True, 7, 0.1, Decimal("2.73"))
    assert [c.data_type for c in cells] == ["d", "d", "d", "d", "d", "b", "n", "n", "n"]
    assert (cells[0].value.date(), cells[1].value, cells[3].value) == (day, clock, instant)
    assert [c.number_format for c in cells[:5]] == [
        "dd/mm/yyyy", "hh:mm", "hh:mm:ss", "dd/mm/yyyy hh:mm", "[h]:mm:ss",
    ]  # fmt: skip
    assert [c.value for c in cells[5:]] == [True, 7, 0.1, 2.73]


def test_what_no_workbook_can_hold_is_left_out():
    cells = written(
        "a\x01b\ud800\uffff" + "c" * 40_000, float("nan"), float("inf"), pd.NaT, pd.NA, None, "end"
    )
    assert (cells[0].value[:3], len(cells[0].value)) == ("abc", 32_767)
    assert {c.value for c in cells[1:-1]} == {None}


def test_a_value_of_no_known_type_is_no_empty_cell():
    with pytest.raises(TypeError):
        written(object())


@pytest.mark.parametrize("text", ["=1+1", "{=1+1}", "+1", "-1", "@SUM(A1)", "\t=1", "http://x.org", "007"])
def test_text_stays_text_as_it_was_typed(text):
    (cell,) = written(text)
    assert (cell.data_type, cell.value, cell.hyperlink) == ("s", text, None)
    assert cell.quotePrefix == text.startswith(("=", "+", "-", "@", "\t"))


def test_an_escape_of_xml_is_read_as_it_was_written():
    book = Workbook()
    book.write(book.page("P"), "A1", "_x0041_ & <b>")
    assert load_workbook(BytesIO(book.save())).get_sheet_by_name("P").to_python() == [["_x0041_ & <b>"]]


def test_a_table_sums_and_links_and_marks():
    book = Workbook()
    table = book.add(
        "Conta d'água",
        ["Título"],
        [
            Column("Nome", [Link("aqui", "Conta d'água", "B5"), "b"], fills={"b": RED}),
            Column("R$", [Decimal("0.10"), Formula("={R$ de novo}", Decimal("0.20"))], "brl", summed=True),
            Column("R$ de novo", [None, Decimal("0.20")], "brl"),
        ],
    )
    assert (table.first, table.last, table.totals) == (4, 5, {"R$": Decimal("0.30")})
    data = book.save()
    page = openpyxl.load_workbook(BytesIO(data))["Conta d'água"]
    assert [c.value for c in page["B"][2:]] == ["R$", 0.1, "=C5", "=SUM(B4:B5)"]
    assert page["A4"].hyperlink.location == "'Conta d''água'!B5"
    assert page["A5"].fill.fgColor.rgb == "FF" + RED[1:]
    assert b"<f>SUM(B4:B5)</f><v>0.30</v>" in ZipFile(BytesIO(data)).read("xl/worksheets/sheet1.xml")
    # Readers that compute nothing see the values.
    assert [row[1] for row in load_workbook(BytesIO(data)).get_sheet_by_index(0).to_python()[3:]] == [
        0.1, 0.2, 0.3,
    ]  # fmt: skip
