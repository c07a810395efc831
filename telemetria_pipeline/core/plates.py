"""Number plates: one vehicle, many spellings."""

import pandas as pd

from telemetria_pipeline.core.distinct import by_distinct

_OLD_DIGIT = str.maketrans("0123456789", "ABCDEFGHIJ")


def canonical_plates(received: pd.Series) -> pd.Series:
    """The Mercosul form of each plate (`abc-1234` → `ABC1C34`); missing where it is no plate.

    Old and Mercosul plates are one vehicle: the old format's second digit 0–9 became A–J. Nothing is
    repaired: a letter O for a zero stays no plate.

    Args:
        received: plates as text, any case, with any separators; missing allowed.

    Returns:
        A `str` Series on the same index.
    """
    return by_distinct(received, _canonical)


def _canonical(received: pd.Series) -> pd.Series:
    clean = received.str.upper().str.replace(r"[^A-Z0-9]", "", regex=True)
    clean = clean.where(clean.str.fullmatch(r"[A-Z]{3}[0-9][A-Z0-9][0-9]{2}"))
    return clean.str[:4] + clean.str[4].str.translate(_OLD_DIGIT) + clean.str[5:]
