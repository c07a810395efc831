"""The business day of an instant: the date in the contract's zone."""

from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd


def business_days(instants: pd.Series, zone: ZoneInfo) -> pd.Series:
    """The local date of each instant as text YYYY-MM-DD (`str`, same index); missing stays missing."""
    codes, different = pd.factorize(_local(instants, zone))  # a million trips have a month of days
    texts = pd.Series(different.astype(str), dtype="str").array
    return pd.Series(texts.take(codes, allow_fill=True), index=instants.index)


def day_numbers(instants: pd.Series, zone: ZoneInfo) -> np.ndarray:
    """The local date of each instant as int64, counted from the epoch's; none may be missing."""
    return _local(instants, zone).view(np.int64)


def _local(instants: pd.Series, zone: ZoneInfo) -> np.ndarray:
    return instants.dt.tz_convert(zone).dt.tz_localize(None).to_numpy().astype("datetime64[D]")
