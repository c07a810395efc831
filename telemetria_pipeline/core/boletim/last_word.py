"""Which declared trips count: for each vehicle and day, those of the last file of a name that speaks of them.

A boletim speaks for the (vehicle, day) pairs that it holds, and takes the place of what earlier files of its
name declared of them; of other pairs it says nothing. Files of other names stand beside it: a trip that one
of them declares, and that counts when this file comes, counts once, as that file's.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

_PAIR = ["nome", "placa", "data"]
_TRIP = ["saida_utc", "chegada_utc", "km_saida", "km_chegada"]


@dataclass(frozen=True)
class LastWord:
    """What became of declared rows, an array place a row: `counts` marks those that count, `by` is the place
    in `files` (in the order of reception) of the file that last replaced the row, -1 where none did."""

    counts: np.ndarray
    by: np.ndarray
    files: list[str]


def last_word(declared: pd.DataFrame) -> LastWord:
    """Read files one after the other, in the order in which they were received.

    Args:
        declared: rows of files, contract BOLETIM_DECLARATIONS, with the file in `arquivo_id`. A file that was
            withdrawn has the last word on its pairs, and declares nothing.
    """
    received = declared[["recebido_utc", "arquivo_id"]].drop_duplicates()
    files = received.sort_values(["recebido_utc", "arquivo_id"])["arquivo_id"].tolist()
    pair, trip = _numbers(declared[_PAIR]), _numbers(_trips(declared))
    withdrawn = declared["retirada"].to_numpy()
    file = declared["arquivo_id"].map({name: at for at, name in enumerate(files)}).to_numpy(np.int64)
    counts, by = ~withdrawn, np.full(len(declared), -1)
    # What one file alone speaks of needs no comparing, and of many files that is nearly all.
    common = np.flatnonzero(_in_several(pair, file) | _in_several(trip, file))
    counts[common] = False
    order = common[np.argsort(file[common], kind="stable")]
    for said in np.split(order, np.flatnonzero(np.diff(file[order])) + 1):
        others = common[counts[common]]
        replaced = others[np.isin(pair[others], pair[said])]
        counts[replaced], by[replaced] = False, file[said[:1]]
        others = common[counts[common]]
        counts[said] = ~np.isin(trip[said], trip[others]) & ~withdrawn[said]
    return LastWord(counts, by, files)


def _in_several(number: np.ndarray, file: np.ndarray) -> np.ndarray:
    """Which rows have a number that rows of another file have as well."""
    several = np.zeros(number.max(initial=-1) + 1, bool)
    any_file = np.zeros(len(several), np.int64)
    any_file[number] = file
    several[number[any_file[number] != file]] = True
    return several[number]


def same_trips(declared: pd.DataFrame, others: pd.DataFrame) -> np.ndarray:
    """Which of the rows declare a trip that one of the others declares as well."""
    numbers = _numbers(pd.concat([_trips(declared), _trips(others)]))
    return np.isin(numbers[: len(declared)], numbers[len(declared) :])


def once(declared: pd.DataFrame) -> pd.DataFrame:
    """The rows without those that declare a trip again."""
    return declared[~_trips(declared).duplicated().to_numpy()]


def same_pairs(declared: pd.DataFrame, others: pd.DataFrame) -> np.ndarray:
    """Which of the rows are of a vehicle and day that the others speak of."""
    pairs = _PAIR[1:]
    numbers = _numbers(pd.concat([declared[pairs], others[pairs]]))
    return np.isin(numbers[: len(declared)], numbers[len(declared) :])


def _trips(declared: pd.DataFrame) -> pd.DataFrame:
    """What makes a trip the same: the vehicle that ran, its instants and its odometers."""
    ran = declared["placa_substituta"].fillna(declared["placa"])
    return declared[_TRIP].assign(veiculo=ran)


def _numbers(keys: pd.DataFrame) -> np.ndarray:
    return keys.groupby(list(keys.columns), sort=False, dropna=False).ngroup().to_numpy()
