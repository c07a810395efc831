"""Whether two drivers are one person."""

import numpy as np
import pandas as pd


def same_driver(left: np.ndarray, right: np.ndarray, plain_names: pd.Series) -> np.ndarray:
    """Whether each pair of positions in `plain_names` is one person: all words of one are in the other.

    Sheets leave out middle names: `JOSE SILVA` is `JOSE DA SILVA`. Who has no name (empty: the person was
    erased) may be anybody, and differs from nobody.
    """
    words = [set(name.split()) for name in plain_names]
    same = left == right
    others = np.flatnonzero(~same)
    place, pairs = pd.factorize(left[others] * len(words) + right[others])
    split = [divmod(pair, len(words)) for pair in pairs.tolist()]
    alike = np.array([words[a] <= words[b] or words[b] <= words[a] for a, b in split], bool)
    same[others] = alike[place]
    return same
