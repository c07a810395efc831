"""A boletim as a depot really sends it: in its colours, with a title, formulas, rules and a second sheet."""

import io
import struct
import zlib
from datetime import date, time, timedelta

import xlsxwriter

TITLES = ("ATA", "PLACA", "FROTA", "DATA", "ORIGEM", "HORA SAÍDA", "DESTINO", "HORA CHEGADA", "TURNO")
TITLES += ("KM INICIAL", "KM FINAL", "KM ROTA", "PESSOAS", "MOTORISTA")
_WIDTHS = (8, 11, 8, 12, 21, 9, 21, 10, 8, 11, 11, 9, 10, 24)
_PLACES = ("Garagem", "Usina Água Limpa", "Frente 12", "Alojamento Sul", "Viveiro")
_DRIVERS = ("Tânia Queirós", "Célia Leitão", "Luís Andrade")
FIRST_ROW = 5


def depot_workbook(rows: int = 18, mistakes: bool = True) -> bytes:
    """The workbook; with three mistakes in it unless it is to be sound."""
    out = io.BytesIO()
    book = xlsxwriter.Workbook(out, {"in_memory": True, "default_date_format": "dd/mm/yyyy"})
    page = book.add_worksheet("Garagem 3")
    edge = {"border": 1, "border_color": "#A9D08E", "valign": "vcenter"}
    banner = {"bold": True, "font_color": "#FFFFFF", "align": "center", "valign": "vcenter"}
    title = book.add_format({**banner, "font_size": 18, "bg_color": "#375623"})
    header = book.add_format({**banner, **edge, "bg_color": "#548235", "text_wrap": True})
    page.set_row(0, 34)
    page.merge_range("A1:N1", "VIAÇÃO SERRA VERDE", title)
    quiet = book.add_format({"italic": True, "font_color": "#375623"})
    page.write("A2", "Boletim de viagens, garagem 3", quiet)
    page.insert_image("N1", "logo.png", {"image_data": io.BytesIO(_picture()), "x_offset": 130})
    page.set_row(FIRST_ROW - 2, 32)
    for column, (name, width) in enumerate(zip(TITLES, _WIDTHS, strict=True)):
        page.set_column(column, column, width)
        page.write(FIRST_ROW - 2, column, name, header)
    formats = {3: "dd/mm/yyyy", 5: "hh:mm", 7: "hh:mm", 9: "#,##0.0", 10: "#,##0.0", 11: "0.0"}
    looks = [
        [
            book.add_format(
                {**edge, "bg_color": shade, "num_format": formats.get(column, "General")}
                | ({"align": "center"} if column in (0, 1, 2, 3, 5, 7, 8) else {"indent": 1})
            )
            for column in range(len(TITLES))
        ]
        for shade in ("#FFFFFF", "#E2EFDA")
    ]
    km = 45_120.5
    for i in range(rows):
        row, look, long = FIRST_ROW + i, looks[i % 2], 18.5 + i % 5
        leaves = timedelta(hours=5, minutes=40 * (i % 24))
        hour, minute = divmod(int(leaves.total_seconds()) // 60, 60)
        values = [
            str(i + 1).zfill(4),
            "GDP4J68",
            3803,
            date(2026, 11, 1 + i // 24 % 20),
            _PLACES[i % 5],
            time(hour, minute),
            _PLACES[(i + 1) % 5],
            time(hour, minute + 15),
            "ABC"[i % 3],
            km,
            km + long,
        ]
        if mistakes:
            values[1] = "GDP4I6B" if i == 3 else values[1]
            values[5] = "25:90" if i == 7 else values[5]
            values[7] = None if i == 11 else values[7]
        for column, value in enumerate(values):
            if isinstance(value, date | time):
                page.write_datetime(row - 1, column, value, look[column])
            else:
                page.write(row - 1, column, value, look[column])
        page.write_formula(row - 1, 11, f"=K{row}-J{row}", look[11], long)
        page.write(row - 1, 12, 20 + i % 9, look[12])
        page.write(row - 1, 13, _DRIVERS[i // 6 % 3], look[13])
        km += long
    last = FIRST_ROW + rows - 1
    page.freeze_panes(FIRST_ROW - 1, 2)
    page.autofilter(FIRST_ROW - 2, 0, last - 1, len(TITLES) - 1)
    bars = {"type": "data_bar", "bar_color": "#A9D08E", "bar_solid": True, "max_type": "num", "max_value": 60}
    page.data_validation(f"I{FIRST_ROW}:I{last}", {"validate": "list", "source": ["A", "B", "C"]})
    page.conditional_format(f"M{FIRST_ROW}:M{last}", bars)
    page.write_comment(f"B{FIRST_ROW + 3}", "Placa nova, conferir.", {"author": "Garagem 3"})
    page.write_comment(f"N{FIRST_ROW}", "Férias a partir do dia 20.", {"author": "Garagem 3"})
    page.set_landscape()
    page.fit_to_pages(1, 0)
    other = book.add_worksheet("Resumo do mês")
    other.write("A1", "Km da garagem", book.add_format({"bold": True, "font_color": "#375623"}))
    other.write_formula("B1", f"=SUM('Garagem 3'!L{FIRST_ROW}:L{last})", None, 350.5)
    book.define_name("Viagens", f"='Garagem 3'!$A${FIRST_ROW}:$N${last}")
    other.repeat_rows(0)
    book.close()
    return out.getvalue()


def _picture() -> bytes:
    """A small PNG of one colour."""
    pixels = b"".join(b"\0" + b"\xa9\xd0\x8e" * 32 for _ in range(32))
    parts = (
        (b"IHDR", struct.pack(">IIBBBBB", 32, 32, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(pixels)),
        (b"IEND", b""),
    )
    chunks = (struct.pack(">I", len(d)) + n + d + struct.pack(">I", zlib.crc32(n + d)) for n, d in parts)
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)
