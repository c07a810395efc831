"""The values of reference files' cells: plates, periods, exact amounts, words of a list."""

import re
from collections.abc import Mapping
from decimal import Decimal

import pandas as pd
import pyarrow as pa

from telemetria_pipeline.core.boletim.values import (
    DAY_S,
    NO_DAY,
    clock_text,
    iso_day,
    parse_clocks,
    parse_dates,
    plate_from_date,
    plate_repair,
)
from telemetria_pipeline.core.names import plain_name
from telemetria_pipeline.core.plates import canonical_plates
from telemetria_pipeline.core.reference.sheet import Sheet

_OPERATIONS = {
    **dict.fromkeys(("AGR", "AGRICOLA"), "AGR"),
    **dict.fromkeys(("IND", "INDUSTRIAL", "INDUSTRIA", "ADM", "ADMINISTRATIVO", "ADMINISTRATIVA"), "IND"),
}


def plates(sheet: Sheet, name: str = "placa") -> pd.Series:
    """The Mercosul form of the plates in a column."""
    received = sheet.column(name)
    found = canonical_plates(received)

    def no_plate(row: int) -> str:
        from_date = plate_from_date(received[row])
        what = "não é uma placa" if from_date is None else "era uma placa que o Excel transformou em data"
        meant = plate_repair(received[row]) if from_date is None else from_date
        return f"{received[row]} {what}" + (f"; seria {meant}?" if meant else "; escreva ABC1234 ou ABC1D23")

    sheet.wrong(name, received.notna() & found.isna(), no_plate)
    return found


def operations(sheet: Sheet) -> pd.Series:
    """AGR or IND in the column `operacao`."""
    return choices(sheet, "operacao", _OPERATIONS, "não é uma operação; escreva AGR ou IND")


def choices(sheet: Sheet, name: str, words: Mapping[str, str], otherwise: str) -> pd.Series:
    """What the words of a column mean; `words` has them as `plain_name` leaves them."""
    texts = sheet.column(name)
    found = texts.map(lambda text: words.get(plain_name(text)), na_action="ignore").astype("str")
    sheet.wrong(name, texts.notna() & found.isna(), lambda row: f"{texts[row]} {otherwise}")
    return found


def period(sheet: Sheet, first: str, last: str) -> tuple[pd.Series, pd.Series]:
    """The days of two columns as YYYY-MM-DD, the second not before the first, both included."""
    begin = days(sheet, first)
    end = days(sheet, last, "escreva dd/mm/aaaa, ou deixe vazia se não há último dia")
    before = f"é antes de {sheet.header(first)}; corrija uma das duas"
    sheet.wrong(last, end < begin, lambda row: f"{sheet.column(last)[row]} {before}")
    return begin, end


def days(sheet: Sheet, name: str, hint: str = "escreva dd/mm/aaaa") -> pd.Series:
    """The days of a column as YYYY-MM-DD."""
    texts = sheet.column(name)
    different = texts.dropna().unique().tolist()
    read = dict(zip(different, parse_dates(different).day.tolist(), strict=True))
    iso = {text: iso_day(day) for text, day in read.items() if day != NO_DAY}
    found = texts.map(iso).astype("str")
    sheet.wrong(name, texts.notna() & found.isna(), lambda row: f"{texts[row]} não é uma data; {hint}")
    return found


def clocks(sheet: Sheet, name: str) -> pd.Series:
    """The clocks of a column as HH:MM, to the minute."""
    texts = sheet.column(name)
    different = texts.dropna().unique().tolist()
    seconds = parse_clocks(different).second.tolist()
    of_day = {t: clock_text(s)[:5] for t, s in zip(different, seconds, strict=True) if 0 <= s < DAY_S}
    found = texts.map(of_day).astype("str")
    sheet.wrong(
        name,
        texts.notna() & found.isna(),
        lambda row: f"{texts[row]} não é um horário; escreva hh:mm, como 07:10",
    )
    return found


def amounts(
    sheet: Sheet, name: str, type: pa.Decimal128Type, empty: Decimal | None = Decimal(0)
) -> pd.Series:
    """The amounts of a column as `Decimal`, never rounded; `empty` where the cell is."""
    texts, held = sheet.column(name), sheet.numbers(name)
    read: dict[int, Decimal] = {}
    wrong: dict[int, str] = {}
    filled = texts.dropna()
    for row, text in zip(filled.index.tolist(), filled.tolist(), strict=True):
        try:
            read[row] = _amount(text, type, held=row in held)
        except ValueError as unreadable:
            wrong[row] = str(unreadable)
    sheet.wrong(name, wrong, wrong.__getitem__)
    return pd.Series([read.get(row, empty) for row in texts.index], texts.index, dtype=object)


_DRESS = re.compile(r"^R\$ ?| ?/? ?km$| ?%$", re.IGNORECASE)
_PLAIN = re.compile(r"\d+(?:[.,]\d+)?", re.ASCII)
_GROUPED = re.compile(r"[1-9]\d{0,2}(?:\.\d{3})+(?:,\d+)?", re.ASCII)


def _amount(text: str, type: pa.Decimal128Type, *, held: bool) -> Decimal:
    """What a cell says; `held` by Excel as a number, its point is decimal. Raises ValueError, saying why."""
    bare = _DRESS.sub("", text)
    readings = [bare.replace(",", ".")] if _PLAIN.fullmatch(bare) else []
    if not held and _GROUPED.fullmatch(bare):
        readings.append(bare.replace(".", "").replace(",", "."))
    fit = [reading for reading in readings if _fits(reading, type)]
    if len(fit) == 1:
        return Decimal(fit[0])
    if fit:
        one, two = (f"{Decimal(reading).normalize():f}".replace(".", ",") for reading in fit)
        raise ValueError(f"{text} se lê de dois jeitos; escreva {one} ou {two}")
    if readings:
        most = f"{type.precision - type.scale} algarismos antes da vírgula e {type.scale} depois"
        raise ValueError(f"{text} não cabe aqui; escreva até {most}")
    raise ValueError(f"{text} não é um valor que se possa ler; escreva só o número, como 1234,5")


def _fits(reading: str, type: pa.Decimal128Type) -> bool:
    whole, _, decimals = reading.partition(".")
    return len(whole) <= type.precision - type.scale and len(decimals) <= type.scale


def repeated(values: pd.Series | pd.DataFrame) -> dict[int, int]:
    """Each row whose values stood in an earlier row -> that row; rows without any value repeat nothing."""
    frame = pd.DataFrame(values).dropna(how="all")
    rows = frame.index.to_series()
    first = rows.groupby([frame[column] for column in frame], dropna=False).transform("first")
    again = rows != first
    return dict(zip(rows[again].tolist(), first[again].tolist(), strict=True))
