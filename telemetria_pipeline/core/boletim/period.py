"""The days that a boletim is about: said by its name, or else by most of its rows."""

import re
from datetime import date, timedelta
from pathlib import PurePosixPath

import numpy as np

from telemetria_pipeline.core.boletim.values import day_number

_MONTHS = ("jan", "fev", "mar", "abr", "mai", "jun", "jul", "ago", "set", "out", "nov", "dez")
_ISO_DAY = re.compile(r"(?<!\d)(20\d{2})[-_. ]?(0[1-9]|1[0-2])[-_. ]?(0[1-9]|[12]\d|3[01])(?!\d)")
_BR_DAY = re.compile(r"(?<!\d)(0?[1-9]|[12]\d|3[01])[-_. ]?(0[1-9]|1[0-2])[-_. ]?(20\d{2})(?!\d)")
_ISO_MONTH = re.compile(r"(?<!\d)(20\d{2})[-_. ]?(0[1-9]|1[0-2])(?!\d)")
_BR_MONTH = re.compile(r"(?<!\d)(0?[1-9]|1[0-2])[-_. ](20\d{2})(?!\d)")
_NAMED_MONTH = re.compile(
    r"(?<![a-z])(" + "|".join(_MONTHS) + r")[a-zç]{0,6}[-_. ]*(?:de[-_. ]*)?(20\d{2}|\d{2})(?!\d)"
)

# Days that lie further apart than this, and are few, are not part of the file's period: less than a tenth of
# its rows, or in a small file up to three of them, if they are far from all others.
_GAP_DAYS = 3
_FEW = 0.1
_FEW_ROWS, _FAR_DAYS = 3, 14


def period_of_name(file_name: str) -> tuple[int, int] | None:
    """First and last day (since 1970) that a file's name speaks of, or None.

    A day is taken with its neighbours (night shifts); a month from the 16th of the month before to its
    end, because cycles run from the 16th to the 15th.
    """
    name = PurePosixPath(file_name).stem.lower()
    days = [_day(int(y), int(m), int(d)) for y, m, d in _ISO_DAY.findall(name)]
    days = days or [_day(int(y), int(m), int(d)) for d, m, y in _BR_DAY.findall(name)]
    known = [d for d in days if d is not None]
    if known:
        return min(known) - 1, max(known) + 1
    months = [(int(y), int(m)) for y, m in _ISO_MONTH.findall(name)]
    months = months or [(int(y), int(m)) for m, y in _BR_MONTH.findall(name)]
    months = months or [(int(y) % 100 + 2000, _MONTHS.index(m) + 1) for m, y in _NAMED_MONTH.findall(name)]
    if not months:
        return None
    (first_year, first_month), (last_year, last_month) = min(months), max(months)
    before = date(first_year, first_month, 1) - timedelta(days=1)
    after = date(last_year + last_month // 12, last_month % 12 + 1, 1)
    return day_number(before.replace(day=16)), day_number(after) - 1


def period_of_days(days: np.ndarray) -> tuple[int, int] | None:
    """First and last day of the run of days that holds most rows; None where no other run is small.

    Runs are parted by more than 3 days without a trip. A stray is a run of less than a tenth of the rows; or
    of up to three rows, more than 14 days from any other run, where another has more than twice as many. A
    file of two halves is nobody's mistake.
    """
    known, counts = np.unique(days, return_counts=True)
    if not len(known):
        return None
    parted = np.flatnonzero(np.diff(known) > _GAP_DAYS)
    runs = np.searchsorted(parted, np.arange(len(known)))
    sizes = np.bincount(runs, weights=counts)
    apart = np.diff(known)[parted] > _FAR_DAYS
    far = np.append(True, apart) & np.append(apart, True)
    few = (sizes < _FEW * counts.sum()) | (far & (sizes <= _FEW_ROWS) & (2 * sizes < sizes.max()))
    main = known[~few[runs]]
    return (int(main[0]), int(main[-1])) if 0 < len(main) < len(known) else None


def _day(year: int, month: int, day: int) -> int | None:
    try:
        return day_number(date(year, month, day))
    except ValueError:
        return None
