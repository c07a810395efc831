"""People's names as they are matched: one person, many spellings."""

import unicodedata


def plain_name(name: str) -> str:
    """A name without accents, upper case, with single spaces: `José  da Conceição` → `JOSE DA CONCEICAO`."""
    folded = unicodedata.normalize("NFKD", name)
    return " ".join("".join(c for c in folded if not unicodedata.combining(c)).split()).upper()
