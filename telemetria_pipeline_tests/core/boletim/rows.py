"""Boletins as a test writes them: a sound trip, and what differs from it."""

import io
from datetime import date

import openpyxl
import pandas as pd

from telemetria_pipeline.core.boletim.rules import RowsResult, validate_rows
from telemetria_pipeline.core.sheets.text import SheetText, letter

RECEIVED = date(2026, 11, 23)
SOUND = {
    "NUMERO ATA": "0017",
    "PLACA": "GDP-4J68",
    "EQUIPAMENTO": "3803",
    "DATA": "22/11/2026",
    "LOCAL SAÍDA": "Usina",
    "HORÁRIO SAÍDA": "07:30",
    "LOCAL CHEGADA": "Frente 3",
    "HORÁRIO CHEGADA": "08:10",
    "TURNO": "a",
    "KM SAÍDA": "45123",
    "KM CHEGADA": "45150",
    "KM ROTA": "27",
    "QTDE PESSOAS": "31",
    "MOTORISTA": "josé  da Silva",
    "EMPRESA": "Viação Teste",
}


def trip(**said: str) -> dict[str, str]:
    """A sound row, except for what is said; `KM_SAÍDA` stands for `KM SAÍDA`."""
    return {**SOUND, **{name.replace("_", " "): value for name, value in said.items()}}


def trips(count: int) -> list[dict[str, str]]:
    """Sound rows of one vehicle, one after the other on one day."""
    return [
        trip(
            HORÁRIO_SAÍDA=f"{i // 4:02d}:{i % 4 * 15:02d}",
            HORÁRIO_CHEGADA=f"{i // 4:02d}:{i % 4 * 15 + 10:02d}",
            KM_SAÍDA=str(1000 + 10 * i),
            KM_CHEGADA=str(1010 + 10 * i),
            KM_ROTA="10",
        )
        for i in range(count)
    ]


def sheet_of(*rows: dict[str, str], kinds: dict | None = None, first_row: int = 2) -> SheetText:
    """The reader's result for these rows; the headers are the first row's keys."""
    headers = list(rows[0])
    letters = [letter(number) for number in range(1, len(headers) + 1)]
    cells = pd.DataFrame(
        [[row.get(header, "") for header in headers] for row in rows],
        columns=letters,
        index=pd.Index(range(first_row, first_row + len(rows)), dtype="int64"),
        dtype="str",
    )
    return SheetText(None, dict(zip(letters, headers, strict=True)), first_row - 1, cells, kinds=kinds or {})


def judged(
    *rows: dict[str, str], kinds: dict | None = None, file_name: str = "boletim.csv", **more
) -> RowsResult:
    """`validate_rows` of these rows."""
    more.setdefault("received_on", RECEIVED)
    return validate_rows(sheet_of(*rows, kinds=kinds), file_name=file_name, **more)


def codes(result: RowsResult) -> list[tuple[str, str | None]]:
    """(code, cell) of everything found in rows, in the sheet's order."""
    said = [(p.row or 0, p.code, p.cell) for f in result.findings for p in f.problems()]
    return [(code, cell) for _, code, cell in sorted(said, key=lambda s: s[0])]


def csv_of(*rows: dict[str, str], separator: str = ";") -> bytes:
    """The rows as a CSV."""
    lines = [separator.join(rows[0]), *(separator.join(row.values()) for row in rows)]
    return "\n".join(lines).encode()


def xlsx_of(*rows: list, sheet: str = "Boletim", headers: list[str] | None = None) -> bytes:
    """Rows of typed values as an Excel workbook; texts that begin with = stay texts."""
    book = openpyxl.Workbook()
    page = book.worksheets[0]
    page.title = sheet
    for values in [headers or list(SOUND), *rows]:
        page.append(values)
        for cell in page[page.max_row]:
            if isinstance(cell.value, str):
                cell.data_type = "s"
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()
