"""What the money of a bill rests on: both sides, the boletim alone, the telemetry alone, or nothing yet."""

import numpy as np
import pandas as pd

from telemetria_pipeline.contracts.base import MONEY
from telemetria_pipeline.core.billing.franchise import beyond, left_of_franchise
from telemetria_pipeline.core.exact import PRICE_UNITS_A_CENT, decimals, half_up, units

PAID = ("comprovado_brl", "so_boletim_brl", "so_telemetria_brl")
UNPAID = ("a_declarar_brl", "franquia_brl")
_OF_BASIS = {
    "acordo": "comprovado_brl",
    "medido": "comprovado_brl",
    "odometro": "comprovado_brl",
    "telemetria_substitui": "so_telemetria_brl",
}
_LINE = ["veiculo", "contrato_linha"]


def by_proof(billing: pd.DataFrame, priced: pd.DataFrame) -> pd.DataFrame:
    """The R$ of each line of a bill by what they rest on.

    Args:
        billing: contract BILLING; priced: contract PRICED_TRIPS, of the same bill.

    Returns:
        On the index of `billing`, decimals. `PAID` add up to `variavel_brl` exactly: what both sides or the
        odometer prove; what the boletim alone says, where nothing proves the contrary (and all of a bill that
        was closed before trips said their basis); what the telemetry alone says. `UNPAID` are paid by nobody:
        measured and not declared, held until somebody asks for it, beyond the franchise; and what the
        franchise covers of the audited kilometres.
    """
    lines = pd.MultiIndex.from_frame(billing[_LINE])
    of_line = [priced["veiculo"], priced["contrato_linha"]]
    basis = priced["base_auditoria"].map(_OF_BASIS)
    tariff, cents = units(billing["tarifa_brl_km"]), units(priced["valor_brl"])
    held = (priced["base_auditoria"] == "a_declarar").to_numpy()
    # Once declared they would use up the franchise as well, and leave less of it to the others.
    counted = np.where(held, units(priced["km_medido"]), units(priced["km_auditado"]))
    left = left_of_franchise(billing, priced, counted).reindex(priced["viagem_id"]).to_numpy(np.int64)
    more = beyond(np.zeros_like(counted), counted, left) - units(priced["km_faturado"])

    def per_line(values: np.ndarray) -> np.ndarray:
        sums = pd.Series(values, priced.index).groupby(of_line).sum()
        return sums.reindex(lines).fillna(0).to_numpy(np.int64)

    found = {name: per_line(np.where(basis == name, cents, 0)) for name in PAID if name != "so_boletim_brl"}
    found["so_boletim_brl"] = units(billing["variavel_brl"]) - sum(found.values())
    unpaid = {
        "a_declarar_brl": per_line(np.where(priced["contrato"].notna(), more, 0)),
        "franquia_brl": units(billing["km_auditado"]) - units(billing["km_faturado"]),
    }
    found |= {name: half_up(metres * tariff, PRICE_UNITS_A_CENT) for name, metres in unpaid.items()}
    return pd.DataFrame({name: decimals(found[name], MONEY, billing.index) for name in (*PAID, *UNPAID)})
