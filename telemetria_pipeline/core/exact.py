"""Exact numbers in bulk: decimals as whole numbers of their smallest unit, so that no float meets money.

Kilometres are whole metres, tariffs whole hundredths of a cent, money whole cents; a kilometre's price is
metres times tariff, in `PRICE_UNITS` to the real. All of a bill fits into 64 bits.
"""

import numpy as np
import pandas as pd
import pyarrow as pa

PRICE_UNITS_A_CENT = 100_000
"""Metres (10^-3 km) times tariff units (10^-4 R$/km) are 10^-7 R$: so many make a cent."""


def units(values: pd.Series) -> np.ndarray:
    """A decimal column as int64 of its smallest unit; missing is 0 (ask `notna` where that matters)."""
    if not len(values):
        return np.zeros(0, np.int64)
    array = pa.array(values.array)
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    pairs = np.frombuffer(array.buffers()[1], np.int64).reshape(-1, 2)
    whole = pairs[array.offset : array.offset + len(array), 0]
    return np.where(values.notna().to_numpy(), whole, 0)


def decimals(
    whole: np.ndarray, type: pa.Decimal128Type, index: pd.Index, missing: np.ndarray | None = None
) -> pd.Series:
    """int64 of the type's smallest unit as a decimal column on `index`; `missing` masks rows out."""
    pairs = np.empty((len(whole), 2), np.int64)
    pairs[:, 0], pairs[:, 1] = whole, np.asarray(whole, np.int64) >> 63
    valid = None if missing is None else pa.array(~missing).buffers()[1]
    array = pa.Array.from_buffers(type, len(whole), [valid, pa.py_buffer(pairs)])
    return pd.Series(pd.arrays.ArrowExtensionArray(array), index=index)


def metres(km: pd.Series | np.ndarray) -> np.ndarray:
    """Measured kilometres as whole metres, half up; missing is 0."""
    # To the millimetre first: 16.2675 km are 16,267.5 m, but a float makes a little less of them.
    return np.floor(np.round(np.nan_to_num(np.asarray(km, np.float64)) * 1_000, 3) + 0.5).astype(np.int64)


def half_up(whole: np.ndarray, divisor: int | np.ndarray) -> np.ndarray:
    """`whole / divisor` to the nearest whole number, halves away from zero, without floats."""
    return np.sign(whole) * ((2 * np.abs(whole) + divisor) // (2 * np.asarray(divisor)))


def apportioned(exact: np.ndarray, divisor: int, group: np.ndarray) -> np.ndarray:
    """Each `exact / divisor` as a whole number; those of a group add up to their sum, rounded half up.

    By largest remainder: all are rounded down, and the units that are left go, one each, to those that lost
    most; among equals to the first.

    Args:
        exact: int64, none negative; group: any label of each.
    """
    whole, lost = np.divmod(exact, divisor)
    left = half_up(pd.Series(lost).groupby(group).transform("sum").to_numpy(np.int64), divisor)
    most_first = np.argsort(-lost, kind="stable")
    place = np.empty_like(most_first)
    place[most_first] = pd.Series(most_first).groupby(group[most_first]).cumcount()
    return whole + (place < left)
