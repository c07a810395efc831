"""The verdict on a trip's kilometres, from the facts in its row: pay what is claimed, at most what is proven;
where one side is wholly missing the other stands in."""

import numpy as np
import pandas as pd

from telemetria_pipeline.contracts.audit import VALIDATED_TRIPS
from telemetria_pipeline.contracts.base import KM
from telemetria_pipeline.core.audit.rules import AuditRules
from telemetria_pipeline.core.audit.tolerances import agree, within_km
from telemetria_pipeline.core.exact import decimals, units


def judge(trips: pd.DataFrame, rules: AuditRules, days: pd.Series) -> pd.DataFrame:
    """The trips with `fontes_discordam`, `divergencia`, `veredito`, `km_auditado`, `base_auditoria` and
    `versao_regras`.

    Args:
        trips: under contract VALIDATED_TRIPS (those six columns may be missing), whole business days:
            whether a vehicle declared anything on the day of a measured trip is seen in these rows.
        rules: the coverage that is asked for, and their version; tolerances are in the rows.
        days: the business day (text) on which each trip departs.

    Returns:
        The rows under contract VALIDATED_TRIPS.
    """
    declared, measured = units(trips["km_declarado"]), units(trips["km_medido"])
    unseen = units(trips["km_sem_sinal"])
    proven = measured + unseen
    claimed = trips["km_declarado"].notna().to_numpy()
    seen = trips["segmentos"].to_numpy() > 0
    short = within_km(trips, measured)

    coverage = np.minimum(trips["cobertura"].to_numpy(), trips["cobertura_busca"].to_numpy())
    known = coverage >= float(rules.min_coverage)
    explained = (unseen > 0) & ((declared <= proven) | agree(trips, declared, proven))
    other = trips["km_outra_fonte"]
    disagree = other.notna().to_numpy() & ~agree(trips, units(other), measured)
    doubtful = ~known | (trips["sinal"] == "desconhecido").to_numpy() | explained | disagree
    claims_others = _declares_that_day(trips["veiculo"], days, claimed)

    nothing = np.zeros(len(trips), np.int64)
    always = np.ones(len(trips), bool)
    cases = [  # the first that holds
        # The kilometres that a trip is forgiven are no proof of one that nobody saw.
        (claimed & (seen | (declared == 0)) & agree(trips, declared, measured), "ok", "acordo", declared),
        (claimed & doubtful, "inconclusivo", "boletim_substitui", declared),
        (claimed & (seen | (proven > 0)), "divergente", "medido", np.minimum(declared, proven)),
        (claimed, "divergente", "nao_comprovado", nothing),
        (claims_others & short, "ok", "nao_declarado", nothing),  # too short to accuse anybody
        (claims_others & disagree, "inconclusivo", "nao_declarado", nothing),
        (claims_others, "divergente", "nao_declarado", nothing),
        (short, "ok", "telemetria_substitui", measured),
        (always, "inconclusivo", "telemetria_substitui", measured),
    ]
    conditions, verdicts, bases, audited = zip(*cases, strict=True)
    case = np.select(conditions, range(len(cases)))
    with np.errstate(divide="ignore", invalid="ignore"):
        divergence = np.where(claimed & (measured > 0), (declared - measured) / measured, np.nan)
    return trips.assign(
        fontes_discordam=disagree,
        divergencia=divergence,
        veredito=pd.array(verdicts, dtype="str").take(case),
        km_auditado=decimals(np.choose(case, audited), KM, trips.index),
        base_auditoria=pd.array(bases, dtype="str").take(case),
        versao_regras=pd.Series(rules.version, trips.index, dtype="str"),
    )[VALIDATED_TRIPS.names]


def _declares_that_day(vehicles: pd.Series, days: pd.Series, claimed: np.ndarray) -> np.ndarray:
    """Whether a declared trip of the same vehicle departs on the same business day."""
    (vehicle, known), (day, different) = pd.factorize(vehicles), pd.factorize(days)
    declares = np.zeros((len(known), len(different)), bool)
    declares[vehicle[claimed], day[claimed]] = True
    return declares[vehicle, day]
