"""The bill of a cycle: audited kilometres and days under contract become money, to the cent.

All arithmetic is on int64 in the smallest units (see `core.exact`). The largest product is a line's metres
times its tariff: 100 million km at R$ 4,000 a km would still fit.
"""

from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from telemetria_pipeline.business_calendar import Cycle
from telemetria_pipeline.contracts import Contract
from telemetria_pipeline.contracts.base import KM, MONEY, TARIFF
from telemetria_pipeline.contracts.billing import BILLING, PRICED_TRIPS
from telemetria_pipeline.contracts.reference import CONTRACT_TERMS, CONTRACTS, VEHICLES
from telemetria_pipeline.core.audit.rules import AuditRules
from telemetria_pipeline.core.billing.tariffs import holes, tariffs_version, terms_in_force
from telemetria_pipeline.core.exact import PRICE_UNITS_A_CENT, apportioned, decimals, half_up, units

NO_OPERATION = "sem operação"
TOTAL = "total"
TOTALLED = {
    "km_declarado": KM,
    "km_medido": KM,
    "km_auditado": KM,
    "km_faturado": KM,
    "variavel_brl": MONEY,
    "fixo_brl": MONEY,
    "total_brl": MONEY,
    "variavel_declarado_brl": MONEY,
    "economia_brl": MONEY,
}
"""The columns of BILLING that `totals` adds up."""

_NAMED = 10
_BRAZILIAN = str.maketrans(",.", ".,")
_BILLED_BY = [
    *("viagem_id", "veiculo", "transportadora", "operacao", "data", "saida_utc", "chegada_utc"),
    *("saida_medida_utc", "chegada_medida_utc", "fonte", "arquivo", "turno", "veredito", "base_auditoria"),
    *("km_declarado", "km_medido", "km_auditado"),
]
_ROSTER = ["placa", "equipamento", "transportadora", "tipo", "operacao", "rota", "entrada", "saida"]


@dataclass(frozen=True)
class Bill:
    """A cycle's bill (contract BILLING), and its trips with their prices (contract PRICED_TRIPS).

    Where `holes` says that a vehicle was in use without terms, in Portuguese, the bill is not whole and
    must not be used.
    """

    billing: pd.DataFrame
    priced: pd.DataFrame
    holes: list[str]


def make_bill(
    trips: pd.DataFrame,
    vehicles: pd.DataFrame | None,
    contracts: pd.DataFrame | None,
    cycle: Cycle,
    rules: AuditRules,
) -> Bill:
    """The bill of `cycle`; the order of the rows never matters.

    Args:
        trips: trips of the cycle's days, contract VALIDATED_TRIPS, and their day in `data` (YYYY-MM-DD).
        vehicles: contract VEHICLES; contracts: contract CONTRACTS; None where there is no such table.
        rules: what the trips were judged by.

    Returns:
        One line a vehicle and contract row, by plate and first day; trips by departure, whose prices add up
        to their line's. Trips of vehicles that neither table knows are listed without a price.
    """
    vehicles = VEHICLES.empty() if vehicles is None else vehicles
    contracts = CONTRACTS.empty() if contracts is None else contracts
    trips = _in_order(trips[_BILLED_BY])
    audited, declared = units(trips["km_auditado"]), units(trips["km_declarado"])
    grid = _Grid.of(_roster(vehicles, contracts), contracts, cycle)
    line_of_trip, used = grid.place(trips, in_use=(audited > 0) | (declared > 0))

    lines = _lines(grid, contracts, cycle)
    on = line_of_trip >= 0

    def per_line(values: np.ndarray) -> np.ndarray:
        return _sums(values[on], line_of_trip[on], len(lines))

    # A vehicle under one contract, however many of its rows were in force: one franchise, one fixed amount.
    pair = lines.groupby(["veiculo", "contrato"]).ngroup().to_numpy()
    days, of_days = lines["dias"].to_numpy(), len(cycle.days)
    free = half_up(_sums(units(lines["franquia_km"]) * days, pair, len(lines)), of_days)
    pair_of_trip = np.append(pair, -1)[line_of_trip]
    billed = _beyond(audited, pair_of_trip, free)
    # Like with like: what was never declared takes nothing of the franchise of what was.
    claimed = np.where(trips["km_declarado"].notna(), audited, 0)
    declared_beyond, claimed_beyond = (_beyond(m, pair_of_trip, free) for m in (declared, claimed))
    spent = per_line(audited - billed)
    last = ~pd.Series(pair).duplicated(keep="last").to_numpy()
    unspent = np.where(last, (free - _sums(spent, pair, len(lines)))[pair], 0)

    tariff = units(lines["tarifa_brl_km"])
    kilometres = {
        "km_declarado": per_line(declared),
        "km_medido": per_line(units(trips["km_medido"])),
        "km_auditado": per_line(audited),
        "franquia_km": spent + unspent,
        "km_faturado": per_line(billed),
    }
    money = {
        "variavel_brl": half_up(kilometres["km_faturado"] * tariff, PRICE_UNITS_A_CENT),
        "fixo_brl": apportioned(units(lines["custo_fixo_mensal_brl"]) * days, of_days, pair),
        "variavel_declarado_brl": half_up(per_line(declared_beyond) * tariff, PRICE_UNITS_A_CENT),
    }
    money["total_brl"] = money["variavel_brl"] + money["fixo_brl"]
    paid_of_claims = half_up(per_line(claimed_beyond) * tariff, PRICE_UNITS_A_CENT)
    money["economia_brl"] = money["variavel_declarado_brl"] - paid_of_claims
    billing = lines.assign(
        turnos=_shifts(trips["turno"], line_of_trip, lines.index),
        viagens=per_line(((audited > 0) | (declared > 0)).astype(np.int64)),
        **{name: decimals(whole, KM, lines.index) for name, whole in kilometres.items()},
        **{name: decimals(whole, MONEY, lines.index) for name, whole in money.items()},
        versao_regras=rules.version,
        versao_tarifas=tariffs_version(contracts),
    )
    return Bill(
        _under(BILLING, billing),
        _priced(trips, billed, contracts, lines["termos"].to_numpy(), line_of_trip),
        [*grid.uses_outside(used), *holes(grid.rows[used & grid.under & (grid.terms < 0)], contracts)],
    )


def totals(billing: pd.DataFrame) -> pd.DataFrame:
    """One row an operation, then one of all: `operacao`, `veiculos`, and the sums of `TOTALLED` (decimals).

    Vehicles without an operation are a group of their own, `NO_OPERATION`.
    """
    operation = billing["operacao"].fillna(NO_OPERATION)
    groups = [*sorted(operation.unique()), TOTAL]
    group = pd.Index(groups).get_indexer(operation)
    vehicles = billing.groupby(operation)["veiculo"].nunique()
    index = pd.RangeIndex(len(groups))
    found = pd.DataFrame({"operacao": pd.Series(groups, dtype="str")})
    found["veiculos"] = [*(int(vehicles[g]) for g in groups[:-1]), billing["veiculo"].nunique()]
    for name, type in TOTALLED.items():
        sums = _sums(units(billing[name]), group, len(groups))
        sums[-1] = sums.sum()
        found[name] = decimals(sums, type, index)
    return found


def left_out(priced: pd.DataFrame) -> list[str]:
    """At most one sentence in Portuguese: the trips with kilometres that no line of the bill pays.

    Args:
        priced: contract PRICED_TRIPS. Of vehicles that are known, a bill without holes has no such trip.
    """
    unpaid = priced["contrato"].isna() & (
        (units(priced["km_auditado"]) > 0) | (units(priced["km_declarado"]) > 0)
    )
    trips = priced[unpaid]
    if trips.empty:
        return []
    plates = sorted(trips["veiculo"].unique())
    km = f"{Decimal(int(units(trips['km_auditado']).sum())).scaleb(-3):,.3f}"
    more = f" e mais {len(plates) - _NAMED}" if len(plates) > _NAMED else ""
    return [
        f"Fora da conta: {_count(len(trips), 'viagem', 'viagens')} ({km.translate(_BRAZILIAN)} km) de "
        f"{_count(len(plates), 'veículo', 'veículos')} sem cadastro: {', '.join(plates[:_NAMED])}{more}."
    ]


@dataclass(frozen=True)
class _Grid:
    """Every known vehicle on every day of the cycle: whether it is under contract, and by which terms.

    `rows` has a row a vehicle and day, vehicle by vehicle. With them go `under`, `terms` (the position in
    the contracts) and `line` (of the bill, counted from 0); -1 where there is none.
    """

    rows: pd.DataFrame
    days: list[str]
    under: np.ndarray
    terms: np.ndarray
    line: np.ndarray

    @classmethod
    def of(cls, roster: pd.DataFrame, contracts: pd.DataFrame, cycle: Cycle) -> "_Grid":
        days = [day.isoformat() for day in cycle.days]
        rows = roster.loc[roster.index.repeat(len(days))].reset_index(drop=True)
        rows["data"] = pd.Series(np.tile(np.array(days, object), len(roster)), dtype="str")
        came = rows["entrada"].isna() | (rows["entrada"] <= rows["data"])
        stays = rows["saida"].isna() | (rows["data"] <= rows["saida"])
        under = (came & stays).to_numpy(bool)
        terms = np.where(under, terms_in_force(rows, contracts), -1)
        vehicle = np.arange(len(rows)) // len(days)
        line = np.full(len(rows), -1)
        keys = vehicle * (len(contracts) + 1) + terms
        line[terms >= 0] = pd.factorize(keys[terms >= 0])[0]
        return cls(rows, days, under, terms, line)

    def place(self, trips: pd.DataFrame, in_use: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The line of each trip (-1 none), and the rows of the grid on which a vehicle is in use."""
        plates = pd.Index(self.rows["placa"].to_numpy()[:: len(self.days)])
        vehicle, day = _codes(trips["veiculo"], plates), _codes(trips["data"], pd.Index(self.days))
        row = np.where((vehicle >= 0) & (day >= 0), vehicle * len(self.days) + day, -1)
        used = np.zeros(len(self.rows) + 1, bool)  # the last one takes the trips of strangers
        used[row[in_use]] = True
        return np.append(self.line, -1)[row], used[:-1]

    def uses_outside(self, used: np.ndarray) -> list[str]:
        """Vehicles in use on days on which `vehicles` says that they are not under contract."""
        outside = self.rows[used & ~self.under]
        return [
            f"{plate} rodou em {_day(of['data'].min())}"
            + (f" e até {_day(of['data'].max())}" if of["data"].nunique() > 1 else "")
            + f", fora do período em que está sob contrato (entrada {_day(of['entrada'].iloc[0])}, saída "
            f"{_day(of['saida'].iloc[0])}); corrija o período em vehicles."
            for plate, of in outside.groupby("placa")
        ]


def _roster(vehicles: pd.DataFrame, contracts: pd.DataFrame) -> pd.DataFrame:
    """The known vehicles by plate: those of `vehicles`, and those that have a contract row of their own."""
    own = contracts[contracts["placa"].notna() & ~contracts["placa"].isin(vehicles["placa"])]
    newest = own.sort_values(["vigencia_inicio", "contrato_linha"]).drop_duplicates("placa", keep="last")
    known = pd.concat([vehicles, newest]).reindex(columns=_ROSTER)
    return known.astype("str").sort_values("placa", ignore_index=True)


def _lines(grid: _Grid, contracts: pd.DataFrame, cycle: Cycle) -> pd.DataFrame:
    """One row a vehicle and contract row in force, with both sides' columns and its days; `termos` says
    which contract row."""
    rows = grid.rows.assign(linha=grid.line, termos=grid.terms)
    by_line = rows[rows["linha"] >= 0].groupby("linha")
    lines = by_line.first().rename(columns={"data": "inicio"})
    lines["fim"], lines["dias"] = by_line["data"].last(), by_line.size()
    lines["dias_ciclo"] = len(cycle.days)
    terms = contracts.take(lines["termos"].to_numpy()).set_index(lines.index)
    names = [c.name for c in CONTRACT_TERMS]
    names += ["tarifa_brl_km", "custo_fixo_mensal_brl", "franquia_km"]
    return lines.assign(veiculo=lines["placa"], **{name: terms[name] for name in names}).reset_index(
        drop=True
    )


def _in_order(trips: pd.DataFrame) -> pd.DataFrame:
    """The trips by departure: the order in which they use up a franchise."""
    keys = pa.table({name: pa.array(trips[name]) for name in ("saida_utc", "viagem_id")})
    order = pc.sort_indices(keys, [(name, "ascending") for name in keys.column_names]).to_numpy()
    in_order = (order[1:] > order[:-1]).all()
    return (trips if in_order else trips.take(order)).reset_index(drop=True)


def _beyond(metres: np.ndarray, pair: np.ndarray, free: np.ndarray) -> np.ndarray:
    """What of each trip lies beyond its pair's free metres, which the first ones use up; 0 without a pair."""
    ran = pd.Series(metres).groupby(pair).cumsum().to_numpy()
    return np.where(pair >= 0, np.clip(ran - np.append(free, 0)[pair], 0, metres), 0)


def _priced(
    trips: pd.DataFrame, billed: np.ndarray, contracts: pd.DataFrame, terms: np.ndarray, line: np.ndarray
) -> pd.DataFrame:
    term = np.append(terms, -1)[line]
    unpriced = term < 0
    tariff = np.append(units(contracts["tarifa_brl_km"]), 0)[term]
    price = apportioned(billed * tariff, PRICE_UNITS_A_CENT, line)
    priced = trips.assign(
        km_faturado=decimals(billed, KM, trips.index),
        contrato=contracts["contrato"].array.take(term, allow_fill=True),
        contrato_linha=contracts["contrato_linha"].array.take(term, allow_fill=True),
        tarifa_brl_km=decimals(tariff, TARIFF, trips.index, unpriced),
        valor_brl=decimals(price, MONEY, trips.index, unpriced),
    )
    return _under(PRICED_TRIPS, priced)


def _shifts(shifts: pd.Series, line: np.ndarray, lines: pd.Index) -> pd.Series:
    """The distinct shifts of each line, joined; missing where none was declared."""
    codes, names = pd.factorize(shifts, sort=True)
    told = (codes >= 0) & (line >= 0)
    pairs = np.unique(line[told] * len(names) + codes[told])
    of, said = np.divmod(pairs, max(len(names), 1))
    return pd.Series(names.take(said), index=of, dtype="str").groupby(level=0).agg(", ".join).reindex(lines)


def _codes(values: pd.Series, known: pd.Index) -> np.ndarray:
    """The position in `known` of each value, -1 for strangers; each distinct value is looked up once."""
    codes, distinct = pd.factorize(values)
    return np.append(known.get_indexer(distinct), -1)[codes]


def _sums(values: np.ndarray, group: np.ndarray, groups: int) -> np.ndarray:
    found = np.zeros(groups, np.int64)
    np.add.at(found, group, values)
    return found


def _under(contract: Contract, frame: pd.DataFrame) -> pd.DataFrame:
    return frame[contract.names].astype({c.name: c.pandas_dtype for c in contract.columns})


def _count(n: int, one: str, many: str) -> str:
    return f"{n} {one if n == 1 else many}"


def _day(text: str) -> str:
    return "–" if pd.isna(text) else "/".join(reversed(text.split("-")))
