"""What a boletim that corrects an earlier one tells its sender: which trips it replaces, and which stay."""

from collections.abc import Iterable
from datetime import date, timedelta
from itertools import pairwise

import pandas as pd

from telemetria_pipeline.core.sheets.text import joined

_NAMED = 3  # vehicles; more are counted


def correction_said(replaced: pd.DataFrame, now: int, staying: pd.DataFrame) -> str:
    """One or two sentences in Portuguese.

    Args:
        replaced: the trips that counted and do no longer (contract BOLETIM_TRIPS).
        now: how many trips take their place.
        staying: the other trips of the same files, which still count.
    """
    count = _trips(len(replaced))
    by = "" if now == len(replaced) else f" por {now or 'nenhuma'}"
    said = f"Substitui {count}{by} de {day_ranges(replaced['data'])} de {_vehicles(replaced)}"
    if staying.empty:
        return f"{said}."
    same = set(staying["placa"]) == set(replaced["placa"])
    of = "" if same and not set(staying["data"]) & set(replaced["data"]) else f" de {_vehicles(staying)}"
    others = f"as {len(staying)}" if len(staying) > 1 else "a"
    still = "continuam valendo" if len(staying) > 1 else "continua valendo"
    return (
        f"{said}; {others} de {day_ranges(staying['data'])}{of}, de envios anteriores, {still}. "
        "Se alguma destas não existiu, peça a retirada a quem recebe os boletins."
    )


def day_ranges(days: Iterable[str]) -> str:
    """Days (YYYY-MM-DD) as a person says them: `10 a 15/11, 18/11 e 30/11 a 2/12`."""
    every = sorted({date.fromisoformat(day) for day in days})
    breaks = [n for n, (a, b) in enumerate(pairwise(every), 1) if b - a > timedelta(days=1)]
    runs = [every[a:b] for a, b in pairwise([0, *breaks, len(every)])]
    said = [_range(run[0], run[-1]) for run in runs]
    if len(said) > 4:
        said = [*said[:3], f"mais {len(said) - 3} trechos até {_day(every[-1])}"]
    return joined(said)


def _range(first: date, last: date) -> str:
    if first == last:
        return _day(first)
    same_month = (first.year, first.month) == (last.year, last.month)
    return f"{first.day if same_month else _day(first)} a {_day(last)}"


def _day(day: date) -> str:
    return f"{day.day:02d}/{day.month:02d}"


def _trips(count: int) -> str:
    return "1 viagem" if count == 1 else f"{count} viagens"


def _vehicles(trips: pd.DataFrame) -> str:
    plates = sorted(set(trips["placa"]))
    return f"{len(plates)} veículos" if len(plates) > _NAMED else joined(plates)
