"""The business day of an instant: the date in the contract's zone."""

from zoneinfo import ZoneInfo

import pandas as pd


def business_days(instants: pd.Series, zone: ZoneInfo) -> pd.Series:
    """The local date of each instant as text YYYY-MM-DD (`str`, same index); missing stays missing."""
    local = instants.dt.tz_convert(zone).dt.tz_localize(None).to_numpy().astype("datetime64[D]")
    codes, different = pd.factorize(local)  # a million trips have a month of days
    texts = pd.Series(different.astype(str), dtype="str").array
    return pd.Series(texts.take(codes, allow_fill=True), index=instants.index)
