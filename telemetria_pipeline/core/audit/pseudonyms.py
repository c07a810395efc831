"""Drivers: a pseudonym for each, and whether two names are one person's. Names themselves go no further."""

import hashlib
from collections.abc import Iterable

import numpy as np
import pandas as pd


def pseudonyms(plain_names: Iterable[str], key: str) -> list[str]:
    """`M-` and eight hex digits for each plain name (see core.names), keyed with a secret."""
    secret = hashlib.blake2b(key.encode()).digest()  # a key of any length
    return [f"M-{hashlib.blake2b(n.encode(), digest_size=4, key=secret).hexdigest()}" for n in plain_names]


def same_driver(left: np.ndarray, right: np.ndarray, plain_names: pd.Series) -> np.ndarray:
    """Whether each pair of positions in `plain_names` is one person: all words of one are in the other.

    Sheets leave out middle names: `JOSE SILVA` is `JOSE DA SILVA`.
    """
    words = [set(name.split()) for name in plain_names]
    same = left == right
    others = np.flatnonzero(~same)
    place, pairs = pd.factorize(left[others] * len(words) + right[others])
    split = [divmod(pair, len(words)) for pair in pairs.tolist()]
    alike = np.array([words[a] <= words[b] or words[b] <= words[a] for a, b in split], bool)
    same[others] = alike[place]
    return same
