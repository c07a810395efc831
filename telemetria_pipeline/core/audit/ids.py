"""Names for rows that come out the same however often, and in whatever order, the rows are computed."""

from hashlib import blake2b

import numpy as np
import pandas as pd
import pyarrow as pa


def row_hashes(kind: str, texts: pd.Series, *numbers: np.ndarray) -> np.ndarray:
    """A 64-bit hash (uint64) of each row: a text, of few different ones, and int64 or float64 numbers.

    The text is hashed by blake2b, and each number stirred in by the finaliser of splitmix64, a million rows
    at once; the chance that two of them meet is 3 in 10^8.
    """
    codes, different = pd.factorize(texts)
    digests = b"".join([blake2b(f"{kind}|{text}".encode(), digest_size=8).digest() for text in different])
    state = np.frombuffer(digests, np.dtype("<u8"))[codes]
    for values in numbers:
        state = (state ^ values.view(np.uint64)) + np.uint64(0x9E3779B97F4A7C15)
        state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        state ^= state >> np.uint64(31)
    return state


def hexadecimal(hashes: bytes, size: int) -> pd.api.extensions.ExtensionArray:
    """Hashes of so many bytes, one after another, each as its hex digits (`str`)."""
    digits = hashes.hex().encode()
    ends = np.arange(0, len(digits) + 1, 2 * size)
    texts = pa.LargeStringArray.from_buffers(len(ends) - 1, pa.py_buffer(ends), pa.py_buffer(digits))
    return pd.array(texts, dtype="str")
