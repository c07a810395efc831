"""A boletim's columns as typed arrays, and the rules that one row can break on its own."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from telemetria_pipeline.contracts.boletim import HEADER_NAMES, REQUIRED
from telemetria_pipeline.core.boletim.findings import Findings, Words
from telemetria_pipeline.core.boletim.kilometres import (
    ODOMETERS,
    judge_distances,
    judge_numbers,
    known_odometers,
    read_numbers,
)
from telemetria_pipeline.core.boletim.settings import KnownReadings, RuleSettings
from telemetria_pipeline.core.boletim.swapped import find_swapped, odometer_contradictions
from telemetria_pipeline.core.boletim.values import (
    DAY_S,
    EMPTY_TOKENS,
    NO_CLOCK,
    NO_DAY,
    Clocks,
    Coded,
    Dates,
    as_date,
    br_day,
    clock_repair,
    clock_text,
    coded,
    date_style,
    day_number,
    is_made_up,
    iso_day,
    parse_clocks,
    parse_dates,
    parse_plates,
    plate_from_date,
    plate_repair,
)
from telemetria_pipeline.core.sheets.text import SheetText

_ONCE = (
    *("placa", "placa_substituta", "equipamento", "data", "horario_saida", "horario_chegada"),
    *("turno", "motorista"),
)
_CLOCKS = ("horario_saida", "horario_chegada")
_FREE_TEXTS = ("local_saida", "local_chegada", "empresa")


@dataclass(frozen=True)
class Cells:
    """A sheet's rows, typed, one array place a row.

    `plate` is a number into `plates` (canonical, -1: none), and so is `ran`, the vehicle whose trip it is: a
    substitute, where the row names one; `day` days since 1970 (`NO_DAY`: none), `maybe_day` what it may be
    with day and month exchanged, where that is likely;
    `departure_s` and `arrival_s` seconds since that day's midnight, arrivals on the next day above 86,400
    (negative: none); kilometres and people NaN where empty; `km_driven` is from odometer to odometer, also
    where it rolled over. `texts` are finished columns of the contract; the styles say how the file's numbers
    and dates were read (None: left open).
    """

    letters: dict[str, str]
    plates: list[str]
    plate: np.ndarray
    ran: np.ndarray
    day: np.ndarray
    maybe_day: np.ndarray
    departure_s: np.ndarray
    arrival_s: np.ndarray
    km_out: np.ndarray
    km_in: np.ndarray
    km_driven: np.ndarray
    km_route: np.ndarray
    people: np.ndarray
    equipment: Coded | None
    driver: Coded | None
    texts: dict[str, pd.Series]
    number_style: str | None
    date_style: str | None


def read_cells(
    sheet: SheetText,
    letters: dict[str, str],
    findings: Findings,
    *,
    received_on: date,
    settings: RuleSettings,
    readings: KnownReadings | None,
) -> Cells:
    """Type a sheet's columns and note in `findings` every cell and row that breaks a rule.

    Args:
        sheet: text cells.
        letters: canonical column -> letter; the required ones are there.
        findings: takes what is found.
        received_on: trips after this day have not happened yet.
        settings: the limits.
        readings: the vehicles' last known odometers; asked only where numbers can be read in two ways.
    """
    coded_columns = {n: coded(sheet.cells[letters[n]]) for n in (*_ONCE, *_FREE_TEXTS) if n in letters}
    once = {name: column for name, column in coded_columns.items() if name in _ONCE}
    texts = {name: column.column() for name, column in coded_columns.items() if name in _FREE_TEXTS}
    if "numero_ata" in letters:
        numbers = sheet.cells[letters["numero_ata"]].reset_index(drop=True)
        texts["numero_ata"] = numbers.mask(numbers.isin(EMPTY_TOKENS))
    if "turno" in once:
        texts["turno"] = once["turno"].column([" ".join(t.upper().split()) for t in once["turno"].texts])
    if "equipamento" in once:
        texts["equipamento"] = once["equipamento"].column()
    for name in REQUIRED:
        if name in once:
            findings.add("CELULA_VAZIA", letters[name], once[name].codes < 0)

    plates, plate = _plates(once["placa"], letters["placa"], findings)
    ran = plate
    if "placa_substituta" in once:
        received = once["placa_substituta"]
        others, other = _plates(received, letters["placa_substituta"], findings)
        plates, (plate, other) = _numbered_together((plates, plate), (others, other))
        ran = np.where(other >= 0, other, plate)
        texts["placa_substituta"] = Coded(plates, other).column()
    read = read_numbers(sheet, letters)
    dates = parse_dates(once["data"].texts)
    clocks = {name: parse_clocks(once[name].texts) for name in _CLOCKS}

    def contradictions(days: np.ndarray) -> int:
        each = once["data"].rows(days, NO_DAY)
        km_out, km_in = (read.values[name] for name in ODOMETERS)
        return odometer_contradictions(ran, each, km_out, km_in, settings.km_tolerance)

    in_excel = bool(sheet.kinds)
    us = _month_first(dates, in_excel)
    day, maybe_day = _days(once["data"], dates, us, letters["data"], findings, received_on, contradictions)
    departure_s, arrival_s = _clocks(once, clocks, letters, findings, day, settings)

    def known_km() -> np.ndarray:
        days = day[(day != NO_DAY) & (day <= day_number(received_on))]
        if readings is None or not len(days):
            return np.full(len(ran), np.nan)
        return known_odometers(readings(plates, as_date(days.min())), plates)[ran]

    timed = (departure_s != NO_CLOCK) & (arrival_s != NO_CLOCK)
    hours = np.where(timed, (arrival_s - departure_s) / 3600, np.nan)
    km, thousands = judge_numbers(sheet, letters, read, findings, hours, known_km, settings)
    driven = judge_distances(km, letters, findings, departure_s, arrival_s, settings)

    texts["placa"] = Coded(plates, plate).column()
    texts["placa_recebida"] = once["placa"].column()
    texts["data"] = once["data"].column([iso_day(d) if d != NO_DAY else None for d in dates.day.tolist()])
    for name, clock in clocks.items():
        said = [clock_text(s) if s != NO_CLOCK else None for s in clock.second.tolist()]
        texts[name] = once[name].column(said)
    return Cells(
        letters,
        plates,
        plate,
        ran,
        day,
        maybe_day,
        departure_s,
        arrival_s,
        km["km_saida"],
        km["km_chegada"],
        driven,
        km["km_rota"],
        km["qtde_pessoas"],
        once.get("equipamento"),
        once.get("motorista"),
        texts,
        read.style.said(thousands, any(mask is not None and mask.any() for mask in read.held.values())),
        date_style(dates, np.bincount(once["data"].codes + 1, minlength=len(us) + 1)[1:], us, in_excel),
    )


def _plates(received: Coded, letter: str, findings: Findings) -> tuple[list[str], np.ndarray]:
    found = parse_plates(received.texts)
    plates = sorted({p for p in found if p})
    number = {p: i for i, p in enumerate(plates)}
    of_texts = np.array([number[p] if p else -1 for p in found], np.int32)
    dates = [None if p else plate_from_date(t) for p, t in zip(found, received.texts, strict=True)]
    dated = np.array([d is not None for d in dates], bool)

    def text_of(i: int) -> int:
        return int(received.codes[i])

    def invalid(i: int) -> dict[str, object]:
        repair = plate_repair(received.texts[text_of(i)])
        return {"hint": f" Seria {repair}?" if repair else ""}

    findings.add("PLACA_INVALIDA", letter, received.rows((of_texts < 0) & ~dated, False), invalid)
    findings.add(
        "PLACA_VIROU_DATA",
        letter,
        received.rows(dated, False),
        lambda i: {"hint": f" Seria {dates[text_of(i)]}?" if dates[text_of(i)] else ""},
    )
    made_up = np.array([p is not None and is_made_up(p) for p in found], bool)
    findings.add("PLACA_FICTICIA", letter, received.rows(made_up, False))
    return plates, received.rows(of_texts, np.int32(-1))


def _numbered_together(*columns: tuple[list[str], np.ndarray]) -> tuple[list[str], list[np.ndarray]]:
    """Plates of several columns as numbers into one list."""
    plates = sorted({plate for said, _ in columns for plate in said})
    number = {plate: n for n, plate in enumerate(plates)}
    return plates, [
        np.append([number[p] for p in said], -1).astype(np.int32)[numbers] for said, numbers in columns
    ]


def _days(
    received: Coded,
    dates: Dates,
    us: np.ndarray,
    letter: str,
    findings: Findings,
    received_on: date,
    contradictions: Callable[[np.ndarray], int],
) -> tuple[np.ndarray, np.ndarray]:
    """The day of each row, and what it may be with day and month exchanged."""
    today = day_number(received_on)
    rows = np.bincount(received.codes + 1, minlength=len(us) + 1)[1:]
    swapped = find_swapped(np.where(us, NO_DAY, dates.day), dates.us_day, rows, today, contradictions)
    wrong = us | swapped.proven
    day = received.rows(np.where(wrong, NO_DAY, dates.day), NO_DAY)
    maybe_day = received.rows(np.where(swapped.possible, dates.us_day, NO_DAY), NO_DAY)
    example = br_day(today)

    def fixed(i: int) -> dict[str, object]:
        of_text = int(received.codes[i])
        return {"said": br_day(dates.day[of_text]), "fixed": br_day(dates.us_day[of_text])}

    findings.add(
        "DATA_MM_DD",
        letter,
        received.rows(us, False),
        lambda i: {"fixed": br_day(dates.us_day[int(received.codes[i])])},
    )
    findings.add("DATA_TROCADA", letter, received.rows(swapped.proven, False), fixed)
    findings.add(
        "DATA_INVALIDA",
        letter,
        (received.codes >= 0) & (day == NO_DAY) & ~received.rows(wrong, False),
        lambda _: {"example": example},
    )
    findings.add(
        "DATA_NO_FUTURO",
        letter,
        (day > today) & (day != NO_DAY),
        lambda i: {
            "said": br_day(day[i]),
            "received": example,
            "hint": f" Seria {br_day(maybe_day[i])}?" if maybe_day[i] != NO_DAY else "",
        },
    )
    findings.add(
        "DATA_EM_NUMERO", letter, received.rows(dates.serial, False), lambda i: {"said": br_day(day[i])}
    )
    return day, maybe_day


def _month_first(dates: Dates, excel: bool) -> np.ndarray:
    """Which texts of a date column are in mm/dd.

    Where some can only be that, and none can only be dd/mm, all are. A Portuguese Excel makes real dates
    of the others while they are typed, day and month exchanged: those are in mm/dd too.
    """
    only_us = (dates.day == NO_DAY) & (dates.us_day != NO_DAY)
    only_br = ~dates.iso & (dates.day != NO_DAY) & (dates.us_day == NO_DAY) & ~dates.serial
    if not only_us.any() or only_br.any():
        return only_us
    open_iso = dates.iso & (dates.us_day != NO_DAY)
    exchanged = open_iso if excel and open_iso.sum() == dates.iso.sum() else np.zeros_like(open_iso)
    return only_us | exchanged | (~dates.iso & (dates.us_day != NO_DAY))


def _clocks(
    once: Mapping[str, Coded],
    read: Mapping[str, Clocks],
    letters: Mapping[str, str],
    findings: Findings,
    day: np.ndarray,
    settings: RuleSettings,
) -> tuple[np.ndarray, np.ndarray]:
    """Departure and arrival in seconds since the midnight of DATA, and the rules between the three."""
    out_name, in_name = _CLOCKS
    departure, arrival = (once[name].rows(read[name].second, NO_CLOCK).astype(np.int64) for name in _CLOCKS)
    for name, second in ((out_name, departure), (in_name, arrival)):
        invalid = (once[name].codes >= 0) & (second == NO_CLOCK)
        findings.add("HORARIO_INVALIDO", letters[name], invalid, _clock_hint(once[name]))
        fractions = once[name].rows(read[name].fraction, False)
        findings.add("HORARIO_EM_NUMERO", letters[name], fractions, _clock_read(second))
    both = (departure != NO_CLOCK) & (arrival != NO_CLOCK)
    next_day = both & (arrival < departure)
    arrival = np.where(next_day, arrival + DAY_S, arrival)
    too_long = both & (arrival - departure > settings.max_trip_hours * 3600)
    code_out = once[out_name].codes

    def lasted(i: int) -> dict[str, object]:
        return {
            "departure": once[out_name].texts[code_out[i]],
            "hours": f"{(arrival[i] - departure[i]) / 3600:.1f}".replace(".", ","),
            "limit": f"{settings.max_trip_hours:g}",
        }

    findings.add("VIAGEM_LONGA", letters[in_name], too_long & next_day, lasted)
    findings.add("VIAGEM_DEMORADA", letters[in_name], too_long & ~next_day, lasted)
    # Of one contradiction the sender is told once: a date with an error explains it, as does the departure.
    unexplained = both & (day != NO_DAY) & ~findings.noted(letters["data"])
    for name, second in ((out_name, departure), (in_name, arrival)):
        named = once[name].rows(read[name].day, NO_DAY)
        # 24:00 of one day is 00:00 of the next: a cell with date and time says the latter.
        meant = day + second // DAY_S
        differs = unexplained & (named != NO_DAY) & (named != meant)
        findings.add("DATA_DIFERE_DO_HORARIO", letters[name], differs, _two_days(named, meant))
        unexplained = unexplained & ~differs
    return departure, arrival


def _two_days(named: np.ndarray, meant: np.ndarray) -> Words:
    other = HEADER_NAMES["data"][0]
    return lambda i: {"said": br_day(named[i]), "expected": br_day(meant[i]), "other": other}


def _clock_hint(received: Coded) -> Words:
    def hint(i: int) -> dict[str, object]:
        repair = clock_repair(received.texts[int(received.codes[i])])
        return {"hint": f" Seria {repair}?" if repair else ""}

    return hint


def _clock_read(second: np.ndarray) -> Words:
    return lambda i: {"said": clock_text(int(second[i]) % (DAY_S + 1))[:5]}
