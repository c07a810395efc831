"""Randomness without a state: the same words always give the same number, in any order and any process."""

import hashlib


def digest(*parts: object, size: int = 8) -> bytes:
    """`size` bytes (at most 64) that depend on nothing but the parts."""
    return hashlib.blake2b("|".join(map(str, parts)).encode(), digest_size=size).digest()


def draw(*parts: object) -> float:
    """A number in [0, 1)."""
    return (int.from_bytes(digest(*parts)) >> 11) / 2**53


def between(low: float, high: float, *parts: object) -> float:
    """A number in [low, high)."""
    return low + (high - low) * draw(*parts)
