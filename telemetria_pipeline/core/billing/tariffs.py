"""Which row of the contracts is in force for a vehicle on a day, and where there is none, or are two.

A row is for one plate, or for a type of vehicle; then its carrier and its operation, where it names them,
must be the vehicle's. On a day on which a plate has a row of its own, that one counts, else its type's.
Texts are compared without accents and case.
"""

import hashlib
from datetime import date

import numpy as np
import pandas as pd

from telemetria_pipeline.contracts.reference import CONTRACTS
from telemetria_pipeline.core.audit.rules import AuditRules
from telemetria_pipeline.core.audit.tolerances import resolve
from telemetria_pipeline.core.distinct import by_distinct
from telemetria_pipeline.core.names import plain_name

_SAID_OF_TRIPS = ["contrato", "tarifa_brl_km", "versao_tarifas", "tolerancia_pct", "tolerancia_km"]
_VEHICLE = ["placa", "tipo", "transportadora", "operacao"]


def terms_in_force(rows: pd.DataFrame, contracts: pd.DataFrame) -> np.ndarray:
    """The position in `contracts` (int64, -1: none) of the terms in force for each row.

    Args:
        rows: `placa`, `tipo`, `transportadora`, `operacao` (text, missing allowed) and `data` (text
            YYYY-MM-DD); any number of rows, of few different vehicles and days.
        contracts: under contract CONTRACTS, without `clashes`.
    """
    calendar = _Calendar(rows, contracts)
    types_first = np.argsort(~_for_types(contracts), kind="stable")
    return calendar.last(types_first, calendar.first, calendar.end)


def terms_of_day(vehicles: pd.DataFrame, contracts: pd.DataFrame, day: date) -> pd.DataFrame:
    """The rows of `contracts` that are in force on the day and for one of the vehicles.

    Args:
        vehicles: `placa`, `tipo`, `transportadora`, `operacao` (text, missing allowed).
        contracts: under contract CONTRACTS.
    """
    today = day.isoformat()
    in_force = (contracts["vigencia_inicio"] <= today) & ~(contracts["vigencia_fim"] < today)
    fits = pd.Series(_fits(vehicles, contracts).any(axis=0), contracts.index)
    return contracts[in_force & fits]


def price_trips(
    trips: pd.DataFrame, contracts: pd.DataFrame | None, days: pd.Series, rules: AuditRules
) -> pd.DataFrame:
    """The trips with the terms of the day on which they depart: `contrato`, `tarifa_brl_km`, the tolerances,
    `paga_sem_boletim` and `versao_tarifas`.

    Args:
        trips: `placa`, `tipo`, `transportadora` and `operacao` of VALIDATED_TRIPS.
        contracts: under contract CONTRACTS; None where there is no such table, and nothing has a price.
        days: the business day (text) on which each trip departs.
        rules: the tolerances of trips whose terms state none.
    """
    terms = CONTRACTS.empty() if contracts is None else contracts
    at = terms_in_force(trips.assign(data=days), terms)
    pays = np.append(terms["paga_sem_boletim"].to_numpy(), False)[at]
    said = terms.assign(versao_tarifas=_versions(terms))[_SAID_OF_TRIPS].reset_index(drop=True)
    said = resolve(said.reindex(range(len(said) + 1)), rules)  # the last is for trips without terms
    of_trips = {str(name): said[name].array.take(at) for name in said}
    return trips.assign(paga_sem_boletim=pays, **of_trips)


def _versions(terms: pd.DataFrame) -> pd.Series:
    """A short digest of what each row says, wherever it stands and however long it is in force: a tariff that
    starts tomorrow leaves yesterday's as it was."""
    texts = _said(terms.drop(columns=["vigencia_inicio", "vigencia_fim"]))
    return pd.Series([_digest(text) for text in texts], index=terms.index, dtype="str")


def tariffs_version(contracts: pd.DataFrame) -> str:
    """A short digest of what the contracts say, in whatever order their rows stand."""
    return _digest("\n".join(sorted(_said(contracts))))


def _said(contracts: pd.DataFrame) -> list[str]:
    rows = contracts.drop(columns="contrato_linha").astype("str").fillna("")
    return ["|".join(row) for row in rows.itertuples(index=False)]


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=4).hexdigest()


def holes(rows_in_use: pd.DataFrame, contracts: pd.DataFrame) -> list[str]:
    """A sentence in Portuguese for each run of days on which a vehicle was in use without terms in force.

    It names the plate, the first and the last such day, and the rows of the contracts file before and after.

    Args:
        rows_in_use: as for `terms_in_force`, with plates; a vehicle and day may stand in many rows.
        contracts: under contract CONTRACTS.
    """
    used = rows_in_use[[*_VEHICLE, "data"]].drop_duplicates()
    without = used[terms_in_force(used, contracts) < 0]
    calendar = _Calendar(without, contracts)
    by_end = np.argsort(calendar.end, kind="stable")
    by_start = np.argsort(calendar.first, kind="stable")
    always = np.zeros(len(contracts), int)
    runs = without.assign(
        before=calendar.last(by_end, calendar.end, always + len(without)),
        after=calendar.last(by_start[::-1], always, calendar.first),
    ).groupby([*_VEHICLE, "before", "after"], dropna=False)["data"]
    return [_hole(contracts, *run) for run in runs.agg(["min", "max"]).reset_index().itertuples(index=False)]


def _hole(
    contracts: pd.DataFrame,
    placa: str,
    tipo: object,
    transportadora: object,
    operacao: object,
    before: int,
    after: int,
    first: str,
    last: str,
) -> str:
    when = f"em {_br_day(first)}" if first == last else f"de {_br_day(first)} a {_br_day(last)}"
    around = []
    if before >= 0:
        row = contracts.iloc[before]
        around.append(f"a linha {row['contrato_linha']} termina em {_br_day(row['vigencia_fim'])}")
    if after >= 0:
        row = contracts.iloc[after]
        around.append(f"a linha {row['contrato_linha']} só começa em {_br_day(row['vigencia_inicio'])}")
    if around:
        why = f"no arquivo de contratos, {' e '.join(around)}; complete a vigência"
    else:
        what = ", ".join(x for x in (tipo, transportadora, operacao) if isinstance(x, str)) or "sem tipo"
        why = f"nenhuma linha do arquivo de contratos serve para este veículo ({what}); inclua uma"
    return f"{placa} rodou {when} sem tarifa em vigor: {why}."


def clashes(contracts: pd.DataFrame) -> dict[int, int]:
    """Each position in `contracts` whose row shares a vehicle and a day with an earlier one -> that one.

    A row of a plate and one of its type do not clash: the plate's goes before.
    """
    of_type = _equal(contracts["tipo"], contracts["tipo"]) & _for_types(contracts)
    for name in ("transportadora", "operacao"):
        any_ = contracts[name].isna().to_numpy()
        of_type &= any_ | any_[:, None] | _equal(contracts[name], contracts[name])
    same = of_type & _for_types(contracts)[:, None] | _equal(contracts["placa"], contracts["placa"])
    first = contracts["vigencia_inicio"].to_numpy("datetime64[D]")
    last = contracts["vigencia_fim"].fillna("9999-12-31").to_numpy("datetime64[D]")
    row, earlier = np.nonzero(np.tril(same & (first[:, None] <= last) & (first <= last[:, None]), -1))
    return dict(zip(row[::-1].tolist(), earlier[::-1].tolist(), strict=True))


class _Calendar:
    """The different vehicles and days of `rows`, and which row of the contracts is for which of them."""

    def __init__(self, rows: pd.DataFrame, contracts: pd.DataFrame) -> None:
        self._vehicle = rows.groupby(_VEHICLE, dropna=False, sort=False).ngroup().to_numpy()
        vehicles = rows.loc[~pd.Series(self._vehicle, rows.index).duplicated(), _VEHICLE]
        self._day, self._days = pd.factorize(rows["data"], sort=True)
        self._fits = _fits(vehicles, contracts)
        # The place among the days of each row's first day, and of the one after its last.
        self.first = self._days.searchsorted(contracts["vigencia_inicio"], side="left")
        self.end = self._days.searchsorted(contracts["vigencia_fim"].fillna("9999"), side="right")

    def last(self, order: np.ndarray, begin: np.ndarray, end: np.ndarray) -> np.ndarray:
        """For each row its last one in `order` among the contracts that are for its vehicle and whose days,
        from `begin` to before `end`, hold its day; -1 where there is none."""
        found = np.full((len(self._fits), len(self._days)), -1)
        for term in order:
            found[self._fits[:, term], begin[term] : end[term]] = term
        return found[self._vehicle, self._day]


def _fits(vehicles: pd.DataFrame, contracts: pd.DataFrame) -> np.ndarray:
    """Whether each row of the contracts is for each vehicle, whatever the day: bool [vehicle, row]."""
    by_type = _equal(vehicles["tipo"], contracts["tipo"]) & _for_types(contracts)
    for name in ("transportadora", "operacao"):
        by_type &= contracts[name].isna().to_numpy() | _equal(vehicles[name], contracts[name])
    return by_type | _equal(vehicles["placa"], contracts["placa"])


def _for_types(contracts: pd.DataFrame) -> np.ndarray:
    return contracts["placa"].isna().to_numpy()


def _equal(left: pd.Series, right: pd.Series) -> np.ndarray:
    """Whether the texts are the same, bool [left, right]; what is missing equals nothing."""
    texts = by_distinct(pd.concat([left, right]), lambda different: different.map(plain_name))
    codes, _ = pd.factorize(texts)
    left_codes, right_codes = codes[: len(left), None], codes[len(left) :]
    return (left_codes == right_codes) & (left_codes >= 0)


def _br_day(iso: str) -> str:
    return f"{date.fromisoformat(iso):%d/%m/%Y}"
