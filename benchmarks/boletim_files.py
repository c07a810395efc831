"""Boletins made by hand, for the tests and for the fuzzing: files of which every byte is known.

openpyxl writes only what is sound; error cells, formulas without a result and lying dimensions
have to be written as bytes.
"""

import io
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape

HEADERS = (
    "NUMERO ATA",
    "PLACA",
    "EQUIPAMENTO",
    "DATA",
    "LOCAL SAÍDA",
    "LOCAL CHEGADA",
    "HORÁRIO SAÍDA",
    "HORÁRIO CHEGADA",
    "TURNO",
    "KM SAÍDA",
    "KM CHEGADA",
    "KM ROTA",
    "QTDE PESSOAS",
    "MOTORISTA",
    "EMPRESA",
)


def trip(i: int) -> list[str]:
    """The i-th trip as a sender types it."""
    km = 10_000 + 30 * i
    return [
        str(100 + i),
        f"ABC1{'ABCDEFGHIJ'[i % 10]}{10 + i % 90}",
        str(3800 + i % 40),
        f"{1 + i % 20:02d}/11/2026",
        f"FAZENDA SÃO JOÃO {i % 7}",
        "USINA",
        f"{5 + i % 12:02d}:15",
        f"{6 + i % 12:02d}:05",
        "ABC"[i % 3],
        f"{km},5",
        f"{km + 25},5",
        "25",
        str(i % 44),
        f"JOSÉ CONCEIÇÃO {i % 9}",
        "VIAÇÃO TESTE",
    ]


def csv_text(rows: Iterable[Sequence[str]], separator: str = ";", end: str = "\r\n") -> str:
    """Rows as CSV text; what needs quotes gets them."""

    def cell(text: str) -> str:
        return '"' + text.replace('"', '""') + '"' if set(text) & {separator, '"', "\n", "\r"} else text

    return "".join(separator.join(map(cell, row)) + end for row in rows)


@dataclass(frozen=True)
class Serial:
    """A number with a style: 1 date, 2 clock, 3 duration, 4 month and year, 5 date with clock."""

    value: float
    style: int


@dataclass(frozen=True)
class Error:
    """An error cell."""

    text: str


@dataclass(frozen=True)
class Formula:
    """A formula and its stored result; None where no program has calculated it."""

    text: str
    result: float | str | None


def typed_trip(i: int) -> list[Any]:
    """The i-th trip as a spreadsheet holds it: serials and numbers."""
    text = trip(i)
    return [
        *text[:2],
        float(text[2]),
        Serial(46327 + i % 20, 1),
        *text[4:6],
        Serial(round((5 + i % 12 + 0.25) / 24, 10), 2),
        Serial(round((6 + i % 12 + 1 / 12) / 24, 10), 2),
        text[8],
        10_000.5 + 30 * i,
        10_025.5 + 30 * i,
        25.0,
        float(i % 44),
        *text[13:],
    ]


def _letter(column: int) -> str:
    return chr(64 + column) if column <= 26 else chr(64 + (column - 1) // 26) + chr(65 + (column - 1) % 26)


def _cell(at: str, value: Any) -> str:
    match value:
        case None | "":
            return ""
        case Serial():
            return f'<c r="{at}" s="{value.style}"><v>{value.value!r}</v></c>'
        case Error():
            return f'<c r="{at}" t="e"><v>{value.text}</v></c>'
        case Formula(text, None):
            return f'<c r="{at}"><f>{escape(text)}</f></c>'
        case Formula(text, str(result)):
            return f'<c r="{at}" t="str"><f>{escape(text)}</f><v>{escape(result)}</v></c>'
        case Formula(text, result):
            return f'<c r="{at}"><f>{escape(text)}</f><v>{result!r}</v></c>'
        case bool():
            return f'<c r="{at}" t="b"><v>{int(value)}</v></c>'
        case int() | float():
            return f'<c r="{at}"><v>{value!r}</v></c>'
        case _:
            text = escape(str(value))
            return f'<c r="{at}" t="inlineStr"><is><t xml:space="preserve">{text}</t></is></c>'


_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"


def sheet_xml(
    rows: Iterable[Sequence[Any]],
    *,
    at: tuple[int, int] = (1, 1),
    hidden_rows: Iterable[int] = (),
    merged: Iterable[str] = (),
    dimension: str | None = None,
) -> bytes:
    """A worksheet whose first cell stands at (row, column) `at`."""
    hidden = set(hidden_rows)
    body = []
    for n, row in enumerate(rows, at[0]):
        cells = "".join(_cell(f"{_letter(c)}{n}", value) for c, value in enumerate(row, at[1]))
        state = ' hidden="1"' if n in hidden else ""
        body.append(f'<row r="{n}"{state}>{cells}</row>')
    merges = "".join(f'<mergeCell ref="{ref}"/>' for ref in merged)
    return (
        f'<worksheet xmlns="{_MAIN}">'
        + (f'<dimension ref="{dimension}"/>' if dimension else "")
        + f"<sheetData>{''.join(body)}</sheetData>"
        + (f"<mergeCells>{merges}</mergeCells>" if merges else "")
        + "</worksheet>"
    ).encode()


def xlsx(
    sheets: Mapping[str, bytes],
    *,
    states: Mapping[str, str] | None = None,
    from_1904: bool = False,
    more: Mapping[str, bytes] | None = None,
) -> bytes:
    """A workbook of these sheets; `states` hides some (`hidden`, `veryHidden`), `more` adds parts."""
    states = states or {}
    listed, relations, types = "", "", ""
    parts: dict[str, bytes] = {}
    for n, (name, xml) in enumerate(sheets.items(), 1):
        state = f' state="{states[name]}"' if name in states else ""
        listed += f'<sheet name="{escape(name)}" sheetId="{n}"{state} r:id="rId{n}"/>'
        relations += (
            f'<Relationship Id="rId{n}" Type="{_OFFICE}/worksheet" Target="worksheets/sheet{n}.xml"/>'
        )
        types += (
            f'<Override PartName="/xl/worksheets/sheet{n}.xml" ContentType='
            '"application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"/>'
        )
        parts[f"xl/worksheets/sheet{n}.xml"] = xml
    formats = ("dd/mm/yyyy", "hh:mm", "[h]:mm:ss", "mmm/yy", "dd/mm/yyyy hh:mm")
    styles = "".join(f'<numFmt numFmtId="{164 + i}" formatCode="{f}"/>' for i, f in enumerate(formats))
    used = '<xf numFmtId="0"/>' + "".join(
        f'<xf numFmtId="{164 + i}" applyNumberFormat="1"/>' for i in range(len(formats))
    )
    parts |= {
        "[Content_Types].xml": (
            f'<Types xmlns="{_PACKAGE}/content-types">'
            '<Default Extension="xml" ContentType="application/xml"/><Default Extension="rels" '
            'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
            '<Override PartName="/xl/workbook.xml" ContentType='
            '"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/>'
            f"{types}</Types>"
        ).encode(),
        "_rels/.rels": (
            f'<Relationships xmlns="{_PACKAGE}/relationships"><Relationship Id="rId1" '
            f'Type="{_OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>'
        ).encode(),
        "xl/workbook.xml": (
            f'<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}">'
            f'<workbookPr date1904="{int(from_1904)}"/><sheets>{listed}</sheets></workbook>'
        ).encode(),
        "xl/_rels/workbook.xml.rels": (
            f'<Relationships xmlns="{_PACKAGE}/relationships">{relations}<Relationship Id="rIdS" '
            f'Type="{_OFFICE}/styles" Target="styles.xml"/></Relationships>'
        ).encode(),
        "xl/styles.xml": (
            f'<styleSheet xmlns="{_MAIN}"><numFmts count="{len(formats)}">{styles}</numFmts>'
            f'<cellXfs count="{len(formats) + 1}">{used}</cellXfs></styleSheet>'
        ).encode(),
        **(more or {}),
    }
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, part in parts.items():
            archive.writestr(path, part)
    return packed.getvalue()
