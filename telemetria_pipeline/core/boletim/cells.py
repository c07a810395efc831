"""A boletim's columns as typed arrays, and the rules that one row can break on its own."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from telemetria_pipeline.contracts.boletim import HEADER_NAMES, REQUIRED
from telemetria_pipeline.core.boletim.findings import Findings
from telemetria_pipeline.core.boletim.settings import RuleSettings
from telemetria_pipeline.core.boletim.values import (
    DAY_S,
    EMPTY_TOKENS,
    NO_CLOCK,
    NO_DAY,
    NUMBER_BAD,
    NUMBER_GROUPED,
    NUMBER_OK,
    NUMBER_OPEN,
    Coded,
    Dates,
    NumberStyle,
    br_day,
    clock_text,
    coded,
    iso_day,
    number_style,
    parse_clocks,
    parse_dates,
    parse_numbers,
    parse_plates,
    plate_from_date,
    plate_repair,
)
from telemetria_pipeline.core.sheets.text import NUMBER, TEXT, SheetText
from telemetria_pipeline.core.telemetry.odometer import MAX_KMH, SLACK_KM, rolled_over

Words = Callable[[int], Mapping[str, object]]

_ONCE = (
    *("placa", "placa_substituta", "equipamento", "data", "horario_saida", "horario_chegada"),
    *("turno", "motorista"),
)
_KM = ("km_saida", "km_chegada", "km_rota")
_FREE_TEXTS = ("local_saida", "local_chegada", "empresa")


@dataclass(frozen=True)
class Cells:
    """A sheet's rows, typed, one array place a row.

    `plate` is a number into `plates` (canonical, -1: none), and so is `ran`, the vehicle whose trip it is: a
    substitute, where the row names one; `day` days since 1970 (`NO_DAY`: none);
    `departure_s` and `arrival_s` seconds since that day's midnight, arrivals on the next day above 86,400
    (negative: none); kilometres and people NaN where empty; `km_driven` is from odometer to odometer, also
    where it rolled over. `texts` are finished columns of the contract.
    """

    letters: dict[str, str]
    plates: list[str]
    plate: np.ndarray
    ran: np.ndarray
    day: np.ndarray
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


def read_cells(
    sheet: SheetText,
    letters: dict[str, str],
    findings: Findings,
    *,
    received_on: date,
    settings: RuleSettings,
) -> Cells:
    """Type a sheet's columns and note in `findings` every cell and row that breaks a rule.

    Args:
        sheet: text cells.
        letters: canonical column -> letter; the required ones are there.
        findings: takes what is found.
        received_on: trips after this day have not happened yet.
        settings: the limits.
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
    day = _days(once["data"], letters["data"], findings, received_on, excel=bool(sheet.kinds))
    departure_s, arrival_s = _clocks(once, letters, findings, day, settings)
    km = _numbers(sheet, letters, findings)
    driven = _kilometres(km, letters, findings, departure_s, arrival_s, settings)

    texts["placa"] = Coded(plates, plate).column()
    texts["placa_recebida"] = once["placa"].column()
    read_days = parse_dates(once["data"].texts).day.tolist()
    texts["data"] = once["data"].column([iso_day(d) if d != NO_DAY else None for d in read_days])
    for name in ("horario_saida", "horario_chegada"):
        read = parse_clocks(once[name].texts).second.tolist()
        texts[name] = once[name].column([clock_text(s) if s != NO_CLOCK else None for s in read])
    return Cells(
        letters,
        plates,
        plate,
        ran,
        day,
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
    return plates, received.rows(of_texts, np.int32(-1))


def _numbered_together(*columns: tuple[list[str], np.ndarray]) -> tuple[list[str], list[np.ndarray]]:
    """Plates of several columns as numbers into one list."""
    plates = sorted({plate for said, _ in columns for plate in said})
    number = {plate: n for n, plate in enumerate(plates)}
    return plates, [
        np.append([number[p] for p in said], -1).astype(np.int32)[numbers] for said, numbers in columns
    ]


def _days(received: Coded, letter: str, findings: Findings, received_on: date, *, excel: bool) -> np.ndarray:
    dates = parse_dates(received.texts)
    day = received.rows(dates.day, NO_DAY)
    us = _month_first(dates, excel)
    in_us = received.rows(us, False)
    day = np.where(in_us, NO_DAY, day).astype(np.int32)
    today = (received_on - date(1970, 1, 1)).days
    example = br_day(today)
    findings.add(
        "DATA_MM_DD", letter, in_us, lambda i: {"fixed": br_day(dates.us_day[int(received.codes[i])])}
    )
    findings.add(
        "DATA_INVALIDA",
        letter,
        (received.codes >= 0) & (day == NO_DAY) & ~in_us,
        lambda _: {"example": example},
    )
    findings.add(
        "DATA_NO_FUTURO",
        letter,
        (day > today) & (day != NO_DAY),
        lambda i: {"said": br_day(day[i]), "received": example},
    )
    findings.add(
        "DATA_EM_NUMERO", letter, received.rows(dates.serial, False), lambda i: {"said": br_day(day[i])}
    )
    return day


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
    letters: Mapping[str, str],
    findings: Findings,
    day: np.ndarray,
    settings: RuleSettings,
) -> tuple[np.ndarray, np.ndarray]:
    """Departure and arrival in seconds since the midnight of DATA, and the rules between the three."""
    out_name, in_name = "horario_saida", "horario_chegada"
    read = {name: parse_clocks(once[name].texts) for name in (out_name, in_name)}
    departure, arrival = (
        once[name].rows(read[name].second, NO_CLOCK).astype(np.int64) for name in (out_name, in_name)
    )
    for name, second in ((out_name, departure), (in_name, arrival)):
        findings.add("HORARIO_INVALIDO", letters[name], (once[name].codes >= 0) & (second == NO_CLOCK))
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
    known = both & (day != NO_DAY)
    for name, second in ((out_name, departure), (in_name, arrival)):
        named = once[name].rows(read[name].day, NO_DAY)
        # 24:00 of one day is 00:00 of the next: a cell with date and time says the latter.
        meant = day + second // DAY_S
        findings.add(
            "DATA_DIFERE_DO_HORARIO",
            letters[name],
            known & (named != NO_DAY) & (named != meant),
            _two_days(named, meant),
        )
    return departure, arrival


def _two_days(named: np.ndarray, meant: np.ndarray) -> Words:
    other = HEADER_NAMES["data"][0]
    return lambda i: {"said": br_day(named[i]), "expected": br_day(meant[i]), "other": other}


def _numbers(sheet: SheetText, letters: Mapping[str, str], findings: Findings) -> dict[str, np.ndarray]:
    """Kilometres and people, NaN where empty, with the notes on cells that are no sound number."""
    names = [name for name in (*_KM, "qtde_pessoas") if name in letters]
    columns = {name: sheet.cells[letters[name]] for name in names}
    kinds = {name: sheet.kinds.get(letters[name]) for name in names}
    held = {name: None if k is None else k == NUMBER for name, k in kinds.items()}
    by_hand = {n: t if (at := held[n]) is None else t[~at] for n, t in columns.items()}
    style = number_style([by_hand[n] for n in _KM if n in by_hand])
    alone = NumberStyle(comma=False, point=False)
    read = {n: parse_numbers(columns[n], style if n in _KM else alone, held[n]) for n in names}
    for name, (values, state) in read.items():
        letter, texts = letters[name], columns[name]
        if name in REQUIRED:
            findings.add("CELULA_VAZIA", letter, np.isnan(values) & (state == NUMBER_OK))
        example = {"example": "12" if name == "qtde_pessoas" else "45230,5"}
        findings.add("NUMERO_INVALIDO", letter, state == NUMBER_BAD, _always(example))
        findings.add("NUMERO_AMBIGUO", letter, state == NUMBER_OPEN, _two_readings(texts))
        findings.add("NUMERO_NEGATIVO", letter, values < 0)
        if name == "qtde_pessoas":
            findings.add("NUMERO_INTEIRO", letter, ~np.isnan(values) & (values != np.floor(values)))
        findings.add("NUMERO_COM_PONTO_DE_MILHAR", letter, state == NUMBER_GROUPED, _as_read(values))
        kind = kinds[name]
        if kind is not None:
            typed = (kind == TEXT) & ~np.isnan(values) & (state != NUMBER_GROUPED)
            findings.add("NUMERO_COMO_TEXTO", letter, typed, _as_read(values))
    nothing = np.full(len(sheet.cells), np.nan)
    return {name: read[name][0] if name in read else nothing for name in (*_KM, "qtde_pessoas")}


def _always(words: Mapping[str, object]) -> Words:
    return lambda _: words


def _as_read(values: np.ndarray) -> Words:
    return lambda i: {"said": km_text(values[i])}


def _two_readings(texts: pd.Series) -> Words:
    def said(i: int) -> Mapping[str, object]:
        text = str(texts.iat[i])
        sign = "," if "," in text else "."
        return {"one": text.replace(sign, ""), "two": text.replace(sign, ",")}

    return said


def km_text(value: float) -> str:
    """A number as messages say it: decimal comma, no thousands separator, no noise of floats."""
    return f"{round(float(value), 3):.15g}".replace(".", ",")


def _kilometres(
    km: Mapping[str, np.ndarray],
    letters: Mapping[str, str],
    findings: Findings,
    departure_s: np.ndarray,
    arrival_s: np.ndarray,
    settings: RuleSettings,
) -> np.ndarray:
    """The rules between odometers, distance and clocks; returns the distance that each row declares."""
    km_out, km_in, km_route = km["km_saida"], km["km_chegada"], km["km_rota"]
    at_out, at_in = letters["km_saida"], letters["km_chegada"]
    with np.errstate(invalid="ignore", divide="ignore"):
        hours = (arrival_s - departure_s) / 3600
        clocks = (departure_s != NO_CLOCK) & (arrival_s != NO_CLOCK)
        turned = _rolled_over(km, np.where(clocks, hours, 0), settings)
        # To the millimetre, so that a difference of exactly the tolerance is within it.
        driven = np.round(turned + km_in - km_out, 6)
        back, absurd = driven < 0, driven > settings.max_trip_km
        differs = np.round(np.abs(driven - km_route), 6) > settings.km_tolerance
        timed = clocks & ~absurd & ~back & (driven > 0)
        fast = timed & (driven > settings.max_speed_kmh * hours)
    cell = findings.cell
    findings.add(
        "KM_CHEGADA_MENOR",
        at_in,
        back,
        lambda i: {"departure": km_text(km_out[i]), "other": cell(at_out, i)},
    )
    findings.add(
        "ODOMETRO_VIROU",
        at_in,
        (turned > 0) & np.isnan(km_route),  # a route that agrees has confirmed it
        lambda i: {
            "departure": km_text(km_out[i]),
            "other": cell(at_out, i),
            "limit": f"{turned[i] - 1:,.0f}".replace(",", "."),
            "said": km_text(driven[i]),
            "confirm": cell(letters["km_rota"], i) if "km_rota" in letters else "uma coluna KM ROTA",
        },
    )
    findings.add(
        "KM_IMPLAUSIVEL",
        at_in,
        absurd,
        lambda i: {
            "said": km_text(driven[i]),
            "limit": f"{settings.max_trip_km:g}",
            "other": cell(at_out, i),
        },
    )
    if "km_rota" in letters:
        findings.add(
            "KM_ROTA_DIFERE",
            letters["km_rota"],
            differs & ~back & ~absurd & (km_route >= 0),
            lambda i: {
                "said": km_text(driven[i]),
                "other": f"{cell(at_in, i)} − {cell(at_out, i)}",
                "tolerance": f"{settings.km_tolerance:g}",
            },
        )
    findings.add(
        "VELOCIDADE_IMPLAUSIVEL",
        letters["horario_chegada"],
        fast,
        lambda i: {
            "said": km_text(driven[i]),
            "minutes": round(hours[i] * 60),
            "speed": f"{driven[i] / hours[i]:.0f} km/h" if hours[i] > 0 else "uma velocidade sem fim",
            "limit": f"{settings.max_speed_kmh:g}",
        },
    )
    return driven


def _rolled_over(km: Mapping[str, np.ndarray], hours: np.ndarray, settings: RuleSettings) -> np.ndarray:
    """What each odometer dropped when it rolled over within the trip, 0 where it did not: no bus drives more
    in that time, and the route that the sender gives says nothing else."""
    fastest = np.minimum(MAX_KMH * hours + SLACK_KM, settings.max_trip_km)
    turned = rolled_over(km["km_saida"], km["km_chegada"], fastest)
    differs = np.abs(turned + km["km_chegada"] - km["km_saida"] - km["km_rota"])
    return np.where(np.round(differs, 6) > settings.km_tolerance, 0, turned)
