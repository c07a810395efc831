"""Work on each different text once: a month of trips has a few hundred plates and drivers."""

from collections.abc import Callable

import pandas as pd


def by_distinct(texts: pd.Series, transform: Callable[[pd.Series], pd.Series]) -> pd.Series:
    """`transform(texts)`, computed on the different texts only; missing stays missing.

    Args:
        texts: a `str` Series.
        transform: a function that looks at each value by itself and keeps order and length.
    """
    codes, different = pd.factorize(texts)
    values = transform(pd.Series(different, dtype="str")).astype("str").array
    return pd.Series(values.take(codes, allow_fill=True), index=texts.index, name=texts.name)
