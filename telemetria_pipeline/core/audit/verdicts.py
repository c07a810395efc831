"""The verdict on a trip's kilometres, from the facts in its row: pay what is claimed, at most what is proven;
where telemetry is missing the boletim stands in; what nobody claimed waits for somebody to ask for it."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from telemetria_pipeline.contracts.audit import VALIDATED_TRIPS
from telemetria_pipeline.contracts.base import KM
from telemetria_pipeline.core.audit.rules import AuditRules
from telemetria_pipeline.core.audit.tolerances import agree, within_km
from telemetria_pipeline.core.exact import decimals, units


def judge(trips: pd.DataFrame, rules: AuditRules, days: pd.Series) -> pd.DataFrame:
    """The trips with `fontes_discordam`, `divergencia`, `veredito`, `km_auditado`, `base_auditoria` and
    `versao_regras`. Trips of one `grupo` have one verdict, on their sums.

    Args:
        trips: under contract VALIDATED_TRIPS (those six columns may be missing), whole business days:
            what else a vehicle declared on the day of a trip is seen in these rows.
        rules: the coverage that is asked for, and their version; tolerances are in the rows.
        days: the business day (text) on which each trip departs.

    Returns:
        The rows under contract VALIDATED_TRIPS.
    """
    own_declared, own_measured = units(trips["km_declarado"]), units(trips["km_medido"])
    own_proven = own_measured + units(trips["km_sem_sinal"])
    together = _sums_of_groups(trips["grupo"])
    declared, measured, proven = (together(own) for own in (own_declared, own_measured, own_proven))
    claimed = trips["km_declarado"].notna().to_numpy()
    seen = together(trips["segmentos"].to_numpy()) > 0
    short = within_km(trips, own_measured)

    coverage = np.minimum(trips["cobertura"].to_numpy(), trips["cobertura_busca"].to_numpy())
    known = coverage >= float(rules.min_coverage)
    explained = (proven > measured) & ((declared <= proven) | agree(trips, declared, proven))
    heard_twice = trips["km_outra_fonte"].notna().to_numpy()
    other = together(np.where(heard_twice, units(trips["km_outra_fonte"]), own_measured))
    disagree = (together(heard_twice.astype(np.int64)) > 0) & ~agree(trips, other, measured)
    crosses = together(trips["cruza_dia"].to_numpy().astype(np.int64)) > 0
    unheard = (trips["sinal"] == "desconhecido").to_numpy()
    doubtful = ~known | unheard | explained | disagree | crosses
    claims_others = _declares_that_day(trips["veiculo"], days, claimed)
    pays = (trips["paga_sem_boletim"] | trips["aceita"]).to_numpy()

    nothing = np.zeros(len(trips), np.int64)
    always = np.ones(len(trips), bool)
    cases = [  # the first that holds
        # The kilometres that a trip is forgiven are no proof of one that nobody saw.
        (claimed & (seen | (declared == 0)) & agree(trips, declared, measured), "ok", "acordo", own_declared),
        (claimed & doubtful, "inconclusivo", "boletim_substitui", own_declared),
        (claimed & (seen | (proven > 0)), "divergente", "medido", np.minimum(own_declared, own_proven)),
        (claimed, "divergente", "nao_comprovado", nothing),
        (short & pays, "ok", "telemetria_substitui", own_measured),
        (pays, "inconclusivo", "telemetria_substitui", own_measured),
        (short, "ok", "a_declarar", nothing),  # too short to ask anybody
        (claims_others & ~disagree, "divergente", "a_declarar", nothing),
        (always, "inconclusivo", "a_declarar", nothing),
    ]
    conditions, verdicts, bases, audited = zip(*cases, strict=True)
    case = np.select(conditions, range(len(cases)))
    with np.errstate(divide="ignore", invalid="ignore"):
        apart = (declared - measured) / measured
        divergence = np.where(claimed & (measured > 0), apart, np.nan)
    return trips.assign(
        fontes_discordam=disagree,
        divergencia=divergence,
        veredito=pd.array(verdicts, dtype="str").take(case),
        km_auditado=decimals(np.choose(case, audited), KM, trips.index),
        base_auditoria=pd.array(bases, dtype="str").take(case),
        versao_regras=pd.Series(rules.version, trips.index, dtype="str"),
    )[VALIDATED_TRIPS.names]


def _sums_of_groups(group: pd.Series) -> Callable[[np.ndarray], np.ndarray]:
    """What adds up a row's values over its group; a trip alone keeps its own."""
    codes, _ = pd.factorize(group)
    grouped = np.flatnonzero(codes >= 0)

    def together(values: np.ndarray) -> np.ndarray:
        sums = np.zeros(codes.max(initial=-1) + 1, np.int64)
        np.add.at(sums, codes[grouped], values[grouped])
        added = values.copy()
        added[grouped] = sums[codes[grouped]]
        return added

    return together


def _declares_that_day(vehicles: pd.Series, days: pd.Series, claimed: np.ndarray) -> np.ndarray:
    """Whether a declared trip of the same vehicle departs on the same business day."""
    (vehicle, known), (day, different) = pd.factorize(vehicles), pd.factorize(days)
    declares = np.zeros((len(known), len(different)), bool)
    declares[vehicle[claimed], day[claimed]] = True
    return declares[vehicle, day]
