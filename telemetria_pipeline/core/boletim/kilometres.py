"""A boletim's numbers: how odometers, distances and people are read, and the rules between them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from telemetria_pipeline.contracts.boletim import REQUIRED
from telemetria_pipeline.contracts.boletim_problems import Problem
from telemetria_pipeline.core.boletim.findings import Findings, Words
from telemetria_pipeline.core.boletim.settings import RuleSettings
from telemetria_pipeline.core.boletim.thousands import SMALL_KM, are_thousands, small, three_decimals
from telemetria_pipeline.core.boletim.values import (
    NO_CLOCK,
    NUMBER_BAD,
    NUMBER_GROUPED,
    NUMBER_OK,
    NUMBER_OPEN,
    NumberStyle,
    number_style,
    parse_numbers,
)
from telemetria_pipeline.core.sheets.text import NUMBER, TEXT, SheetText
from telemetria_pipeline.core.telemetry.odometer import MAX_KMH, SLACK_KM, rolled_over

ODOMETERS = ("km_saida", "km_chegada")
_KM = (*ODOMETERS, "km_rota")


@dataclass(frozen=True)
class Numbers:
    """Columns of numbers as read: values and states a column (see `parse_numbers`), and the file's style."""

    values: dict[str, np.ndarray]
    states: dict[str, np.ndarray]
    style: NumberStyle
    held: dict[str, np.ndarray | None]


def read_numbers(sheet: SheetText, letters: Mapping[str, str]) -> Numbers:
    """Kilometres and people as their cells say by themselves."""
    names = [name for name in (*_KM, "qtde_pessoas") if name in letters]
    columns = {name: sheet.cells[letters[name]] for name in names}
    kinds = {name: sheet.kinds.get(letters[name]) for name in names}
    held = {name: None if k is None else k == NUMBER for name, k in kinds.items()}
    by_hand = {n: t if (at := held[n]) is None else t[~at] for n, t in columns.items()}
    style = number_style([by_hand[n] for n in _KM if n in by_hand])
    alone = NumberStyle(comma=False, point=False)
    read = {n: parse_numbers(columns[n], style if n in _KM else alone, held[n]) for n in names}
    return Numbers({n: v for n, (v, _) in read.items()}, {n: s for n, (_, s) in read.items()}, style, held)


def known_odometers(known: pd.DataFrame, plates: list[str]) -> np.ndarray:
    """The last odometer of each plate (see `KnownReadings`), NaN where none is known, or where several
    contradict each other; a last place for no plate."""
    readings = known[known["odometro_km"] > 0].groupby("placa")["odometro_km"].agg(["min", "max"])
    agreed = readings["max"].where(readings["max"] <= 2 * readings["min"]).to_dict()
    return np.array([*(agreed.get(plate, np.nan) for plate in plates), np.nan])


def judge_numbers(
    sheet: SheetText,
    letters: Mapping[str, str],
    numbers: Numbers,
    findings: Findings,
    hours: np.ndarray,
    known_km: Callable[[], np.ndarray],
    settings: RuleSettings,
) -> tuple[dict[str, np.ndarray], bool | None]:
    """Settle the doubtful numbers and note every cell that is no sound number.

    Args:
        hours: how long each row's trip took, NaN where unknown.
        known_km: gives the last known odometer of each row's vehicle, NaN where unknown.

    Returns:
        The numbers a column, NaN where empty or unreadable; and whether doubtful ones are thousands.
    """
    nothing = np.full(len(sheet.cells), np.nan)
    values = {name: numbers.values.get(name, nothing) for name in (*_KM, "qtde_pessoas")}
    states = dict(numbers.states)
    signs = {name: np.isin(states[name], (NUMBER_OPEN, NUMBER_GROUPED)) for name in _KM if name in states}
    tiny = {name: small(values[name]) & (states[name] == NUMBER_OK) for name in ODOMETERS}
    beside = tiny["km_saida"] | tiny["km_chegada"]  # an odometer of 45.000 is 45 by now
    lost = {name: beside & (values[name] > 0) & (values[name] < SMALL_KM) & ~signs[name] for name in tiny}
    thousands = None
    if beside.any() or any(mask.any() for mask in signs.values()):
        decimal = {
            name: np.where(states.get(name, nothing) == NUMBER_GROUPED, values[name] / 1000, values[name])
            for name in _KM
        }
        doubtful = {name: signs.get(name, beside & False) | lost.get(name, False) for name in _KM}
        thousands = are_thousands(
            decimal, doubtful, hours, known_km(), settings.max_speed_kmh, settings.km_tolerance
        )
        for name, mask in signs.items():
            if thousands is not None:
                settled = np.round(decimal[name] * 1000) if thousands else decimal[name]
                values[name] = np.where(mask, settled, values[name])
                states[name] = np.where(mask, NUMBER_GROUPED if thousands else NUMBER_OK, states[name])
            values[name] = np.where(states[name] == NUMBER_OPEN, np.nan, values[name])

    for name, state in states.items():
        letter, texts, value = letters[name], sheet.cells[letters[name]], values[name]
        if name not in _KM:
            value = values[name] = np.where(state == NUMBER_OPEN, np.nan, value)
        if name in REQUIRED:
            findings.add("CELULA_VAZIA", letter, np.isnan(value) & (state == NUMBER_OK))
        example = {"example": "12" if name == "qtde_pessoas" else "45230,5"}
        findings.add("NUMERO_INVALIDO", letter, state == NUMBER_BAD, _always(example))
        findings.add("NUMERO_AMBIGUO", letter, state == NUMBER_OPEN, _two_readings(texts, numbers.style))
        findings.add("NUMERO_NEGATIVO", letter, value < 0)
        if name == "qtde_pessoas":
            findings.add("NUMERO_INTEIRO", letter, ~np.isnan(value) & (value != np.floor(value)))
        findings.add("NUMERO_COM_PONTO_DE_MILHAR", letter, state == NUMBER_GROUPED, _as_grouped(texts, value))
        if name in ODOMETERS and thousands:
            findings.add("ODOMETRO_SEM_MILHAR", letter, lost[name], _as_thousands(value))
        elif name in ODOMETERS and thousands is None:
            asked = three_decimals(value) & tiny[name]
            findings.add("ODOMETRO_TALVEZ_SEM_MILHAR", letter, asked, _as_thousands(value))
        kind = sheet.kinds.get(letter)
        if kind is not None:
            typed = (kind == TEXT) & ~np.isnan(value) & (state != NUMBER_GROUPED)
            findings.add("NUMERO_COMO_TEXTO", letter, typed, _as_read(value))
    return values, thousands


def _always(words: Mapping[str, object]) -> Words:
    return lambda _: words


def _as_read(values: np.ndarray) -> Words:
    return lambda i: {"said": km_text(values[i])}


def _as_grouped(texts: pd.Series, values: np.ndarray) -> Words:
    def said(i: int) -> Mapping[str, object]:
        return {"said": km_text(values[i]), "sign": "a vírgula" if "," in str(texts.iat[i]) else "o ponto"}

    return said


def _as_thousands(values: np.ndarray) -> Words:
    return lambda i: {"read": km_text(values[i]), "said": km_text(values[i] * 1000)}


def _two_readings(texts: pd.Series, style: NumberStyle) -> Words:
    def said(i: int) -> Mapping[str, object]:
        text = str(texts.iat[i])
        sign = "," if "," in text else "."
        why = "nada no arquivo diz se a vírgula separa os decimais ou os milhares"
        if style.comma and style.point:
            why = "o arquivo usa ponto e vírgula de modos diferentes"
        return {"one": text.replace(sign, ""), "two": text.replace(sign, ","), "why": why}

    return said


def km_text(value: float) -> str:
    """A number as messages say it: decimal comma, no thousands separator, no noise of floats."""
    return f"{round(float(value), 3):.15g}".replace(".", ",")


def judge_distances(
    km: Mapping[str, np.ndarray],
    letters: Mapping[str, str],
    findings: Findings,
    departure_s: np.ndarray,
    arrival_s: np.ndarray,
    settings: RuleSettings,
) -> np.ndarray:
    """The rules between odometers, distance and clocks; returns the distance that each row declares.

    An odometer that has an error already explains whatever does not agree with it.
    """
    km_out, km_in, km_route = km["km_saida"], km["km_chegada"], km["km_rota"]
    at_out, at_in = letters["km_saida"], letters["km_chegada"]
    unsound = findings.noted(at_out) | findings.noted(at_in)
    with np.errstate(invalid="ignore", divide="ignore"):
        hours = (arrival_s - departure_s) / 3600
        clocks = (departure_s != NO_CLOCK) & (arrival_s != NO_CLOCK)
        turned = _rolled_over(km, np.where(clocks, hours, 0), settings)
        # To the millimetre, so that a difference of exactly the tolerance is within it.
        driven = np.round(turned + km_in - km_out, 6)
        back, absurd = ~unsound & (driven < 0), ~unsound & (driven > settings.max_trip_km)
        differs = ~unsound & (np.round(np.abs(driven - km_route), 6) > settings.km_tolerance)
        timed = clocks & ~absurd & ~back & ~unsound & (driven > 0)
        fast = timed & (driven > settings.max_speed_kmh * hours)
        slow = timed & (driven < settings.min_speed_kmh * hours) & (hours * 60 >= settings.min_speed_minutes)
    small = "ODOMETRO_TALVEZ_SEM_MILHAR"
    slow &= ~(findings.noted(at_out, small) | findings.noted(at_in, small))
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
        ~unsound & (turned > 0) & np.isnan(km_route),  # a route that agrees has confirmed it
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
    findings.add(
        "VELOCIDADE_BAIXA",
        at_in,
        slow,
        lambda i: {
            "said": km_text(driven[i]),
            "minutes": round(hours[i] * 60),
            "limit": f"{settings.min_speed_kmh:g}",
        },
    )
    findings.add("KM_ZERO", at_in, ~unsound & (driven == 0))
    if "km_rota" in letters:
        _take_back_routes(findings, letters["km_rota"], (at_out, at_in), unsound | back)
    return driven


_NO_NUMBER_TO_COUNT_WITH = frozenset({"#VALUE!", "#VALOR!"})


def _take_back_routes(
    findings: Findings, letter: str, odometers: tuple[str, str], unsound: np.ndarray
) -> None:
    """A KM ROTA that Excel calculates from an odometer that has an error is in error by that alone."""
    shown = {
        (int(position), found.value)
        for finding in findings.found
        if finding.code == "CELULA_COM_ERRO" and finding.letter in odometers
        for position, found in ((p, finding.make(int(p))) for p in finding.positions)
    }

    def follows(position: int, said: Problem) -> bool:
        if said.code in ("CELULA_COM_ERRO", "NUMERO_INVALIDO"):
            return said.value in _NO_NUMBER_TO_COUNT_WITH or (position, said.value) in shown
        return said.code == "NUMERO_NEGATIVO"

    findings.take_back(letter, unsound, follows)


def _rolled_over(km: Mapping[str, np.ndarray], hours: np.ndarray, settings: RuleSettings) -> np.ndarray:
    """What each odometer dropped when it rolled over within the trip, 0 where it did not: no bus drives more
    in that time, and the route that the sender gives says nothing else."""
    fastest = np.minimum(MAX_KMH * hours + SLACK_KM, settings.max_trip_km)
    turned = rolled_over(km["km_saida"], km["km_chegada"], fastest)
    differs = np.abs(turned + km["km_chegada"] - km["km_saida"] - km["km_rota"])
    return np.where(np.round(differs, 6) > settings.km_tolerance, 0, turned)
