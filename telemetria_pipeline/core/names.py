"""People's names as they are matched: one person, many spellings."""

import unicodedata


def plain_name(name: str) -> str:
    """A name without accents, upper case, with single spaces: `José  da Conceição` → `JOSE DA CONCEICAO`."""
    if not name.isascii():
        name = "".join(c for c in unicodedata.normalize("NFKD", name) if not unicodedata.combining(c))
    return " ".join(name.split()).upper()
