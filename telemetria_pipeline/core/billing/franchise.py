"""What a contract's free kilometres leave of a trip's money, in the order of departures as in the bill."""

import numpy as np
import pandas as pd

from telemetria_pipeline.contracts.base import MONEY
from telemetria_pipeline.core.exact import decimals, half_up, units

_PAIR = ["veiculo", "contrato"]


def left_of_franchise(
    billing: pd.DataFrame, priced: pd.DataFrame, metres: np.ndarray | None = None
) -> pd.Series:
    """Free metres that are still unspent when a trip departs, by its id; 0 where there is no franchise.

    Args:
        billing: contract BILLING; priced: contract PRICED_TRIPS, of the same bill.
        metres: what each trip spends; None: what is audited.
    """
    spent = pd.Series(units(priced["km_auditado"]) if metres is None else metres, priced.index)
    free = pd.Series(units(billing["franquia_km"])).groupby([billing[name] for name in _PAIR]).sum()
    order = priced.sort_values(["saida_utc", "viagem_id"])
    spent = spent[order.index]
    before = spent.groupby([order[name] for name in _PAIR], dropna=False).cumsum() - spent
    of_pair = free.reindex(pd.MultiIndex.from_frame(order[_PAIR])).fillna(0).to_numpy(np.int64)
    return pd.Series(np.maximum(of_pair - before.to_numpy(), 0), order["viagem_id"].array)


def beyond(low: np.ndarray, high: np.ndarray, left: np.ndarray) -> np.ndarray:
    """Of a trip's metres from `low` to `high` those that `left` free metres do not cover."""
    return np.maximum(high, left) - np.maximum(low, left)


def after_franchise(divergences: pd.DataFrame, left: pd.Series) -> pd.DataFrame:
    """The divergences with what of their R$ a franchise leaves at stake, highest value and surest first.

    Args:
        divergences: contract DIVERGENCES.
        left: as `left_of_franchise` gives it; a trip that is not in it has none.

    Returns:
        The same rows, `valor_brl` and `posicao` replaced, and `franquia_brl`: the rest of the R$, which lies
        within the franchise. Those that cost nothing because of it come after those that cost something.
    """
    declared, measured = (units(divergences[name]) for name in ("km_declarado", "km_medido"))
    low, high = np.minimum(declared, measured), np.maximum(declared, measured)
    free = left.reindex(divergences["viagem_id"]).fillna(0).to_numpy(np.int64)
    stake, cents = high - low, units(divergences["valor_brl"])
    paid = half_up(cents * beyond(low, high, free), np.maximum(stake, 1))
    paid = np.where(stake > 0, paid, cents)
    unpriced = divergences["valor_brl"].isna().to_numpy()
    weight = np.where(unpriced, -1, paid * divergences["confianca"])
    found = divergences.assign(
        valor_brl=decimals(paid, MONEY, divergences.index, unpriced),
        franquia_brl=decimals(cents - paid, MONEY, divergences.index),
        weight=weight,
    ).sort_values(["weight", "posicao", "divergencia_id"], ascending=[False, True, True], ignore_index=True)
    return found.drop(columns="weight").assign(posicao=found.index.to_numpy() + 1)
