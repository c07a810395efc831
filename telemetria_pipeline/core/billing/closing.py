"""What a closed cycle still owes, or is owed: trip by trip, from what was charged to what is right now.

A closed bill never changes. What it charged for a trip is its frozen price, or the last one that a later
cycle's adjustment put in its place.
"""

import hashlib
from collections.abc import Mapping, Sequence
from io import BytesIO

import numpy as np
import pandas as pd
import pyarrow.csv as pa_csv

from telemetria_pipeline.business_calendar import Cycle
from telemetria_pipeline.contracts import Contract
from telemetria_pipeline.contracts.base import KM, MONEY
from telemetria_pipeline.contracts.billing import ADJUSTMENTS, BILLING, ODOMETER_RECONCILIATION, PRICED_TRIPS
from telemetria_pipeline.core.audit.phrases import km_text, money_text
from telemetria_pipeline.core.billing.bill import Bill
from telemetria_pipeline.core.exact import PRICE_UNITS_A_CENT, decimals, units

FROZEN = (BILLING, PRICED_TRIPS, ADJUSTMENTS, ODOMETER_RECONCILIATION)
"""The tables that a closing freezes."""

_SENTENCES = {
    "viagem_nova": "{trip} não constava no fechamento: {after_km} km, {after}.",
    "viagem_substituida": "{olds} {place}. De {before_km} para {after_km} km, de {before} para {after}.",
    "viagem_retirada": "{trip} constava no fechamento e deixou de existir: eram {before_km} km, {before}.",
    "km_alterado": "{trip}: {why}. De {before_km} para {after_km} km, de {before} para {after}.",
    "tarifa_alterada": "{trip}: a tarifa passou a R$ {tariff} por km. De {before} para {after}.",
    "arredondamento": "{trip}: mudou a sua parte no arredondamento da linha. De {before} para {after}.",
    "fixo_alterado": "O custo fixo passou de {before} para {after}: mudou o contrato ou o cadastro.",
}
_TELEMETRY = "a telemetria do dia chegou ou mudou depois do fechamento"
_UNCLAIMED = "mudou o que se aceita, ou se paga, sem boletim"
_MEASURED_ONLY = "que só a telemetria mediu"
_FRANCHISE = "a franquia do ciclo passou a cobrir outras viagens"
_DAY = pd.Timedelta(days=1)
_ACCOUNT = ["veiculo", "transportadora", "operacao"]  # who is paid
_OF_TRIP = [
    *("viagem_id", "veiculo", "transportadora", "operacao", "data", "saida_utc", "chegada_utc"),
    *("saida_medida_utc", "chegada_medida_utc", "arquivo"),
]
_AMOUNTS = ["metres", "cents"]


def content_hash(
    tables: Mapping[Contract, pd.DataFrame], columns: Mapping[Contract, Sequence[str]] | None = None
) -> str:
    """SHA-256 of what the tables say, whatever the order of their rows and their bytes in Parquet are.

    `columns` are those that a table was written with, where an earlier version knew fewer; None: all.
    """
    digest = hashlib.sha256()
    for contract, frame in tables.items():
        sink = BytesIO()
        known = contract.names if columns is None else columns[contract]
        pa_csv.write_csv(contract.table(frame).select(known), sink)
        digest.update(b"\n".join([contract.name.encode(), *sorted(sink.getvalue().splitlines()), b""]))
    return digest.hexdigest()


def find_adjustments(
    cycle: Cycle, billing: pd.DataFrame, priced: pd.DataFrame, since: pd.DataFrame, now: Bill
) -> pd.DataFrame:
    """What the closed `cycle` would cost now, less what has been charged for it, line by line.

    Args:
        cycle: the closed cycle.
        billing: its frozen bill, contract BILLING; priced: its frozen trips, contract PRICED_TRIPS.
        since: adjustments of this cycle that later closed cycles charged, oldest first, contract ADJUSTMENTS.
        now: the cycle's bill as it would be made now, under the rules that it was closed with.

    Returns:
        Contract ADJUSTMENTS: one row a trip whose billed km or price differ, and one a vehicle whose fixed
        cost does. A trip that took the place of others is one row with them. A vehicle that neither was
        billed nor drove in the cycle owes nothing for it: one that is new in `vehicles` without a first day
        would owe the fixed cost of every month that ever was.
    """
    of_trip = since["viagem_id"].notna()
    found = pd.concat(
        [_trips(priced, since[of_trip], now.priced), _fixed(billing, since[~of_trip], now.billing)],
        ignore_index=True,
    )
    adjustments = found.assign(
        ciclo_origem=cycle.key,
        km_antes=decimals(found["metres_was"].to_numpy(), KM, found.index),
        km_depois=decimals(found["metres"].to_numpy(), KM, found.index),
        valor_antes_brl=decimals(found["cents_was"].to_numpy(), MONEY, found.index),
        valor_depois_brl=decimals(found["cents"].to_numpy(), MONEY, found.index),
        ajuste_brl=decimals((found["cents"] - found["cents_was"]).to_numpy(), MONEY, found.index),
        frase=_sentences(found),
    ).sort_values(["veiculo", "saida_utc", "viagem_id"], ignore_index=True)
    return adjustments[ADJUSTMENTS.names].astype({c.name: c.pandas_dtype for c in ADJUSTMENTS.columns})


def _trips(priced: pd.DataFrame, since: pd.DataFrame, now: pd.DataFrame) -> pd.DataFrame:
    """The trips whose billed metres or cents differ, each with both, `causa`, and the words to say it."""
    frozen = priced.assign(metres=units(priced["km_faturado"]), cents=units(priced["valor_brl"]))
    both = _by_account(pd.concat([frozen.assign(causa=None), _charged_since(since)], ignore_index=True))
    charged = both[~both.index.duplicated(keep="last")]
    right = _by_account(now.assign(metres=units(now["km_faturado"]), cents=units(now["valor_brl"])))

    withdrawn = charged["causa"] == "viagem_retirada"
    gone = charged[~charged.index.isin(right.index) & ~withdrawn]
    new = right[~right.index.isin(charged.index[~withdrawn])]
    place = _successors(gone, new)
    taken = charged.index.to_series().replace(place.to_dict()).to_numpy()
    paid = charged[_AMOUNTS].groupby(taken).sum()

    trips = paid.index.union(right.index, sort=False)
    differ = paid.reindex(trips, fill_value=0) != right[_AMOUNTS].reindex(trips, fill_value=0)
    trips = trips[differ.any(axis=1)]
    was, is_ = charged.reindex(trips), right.reindex(trips)
    found = is_[_OF_TRIP].where(is_["veiculo"].notna(), was[_OF_TRIP])
    found[_AMOUNTS] = is_[_AMOUNTS].fillna(0).astype("int64")
    found[["metres_was", "cents_was"]] = paid.reindex(trips, fill_value=0)

    never_priced = was["causa"].isna() & was["valor_brl"].isna()
    same_km = found["metres"] == found["metres_was"]
    # Within a cent of what km and tariff make now: only the cent that makes the line add up has moved.
    exact = units(is_["tarifa_brl_km"]) * found["metres"]
    same_price = (found["cents_was"] * PRICE_UNITS_A_CENT - exact).abs() < PRICE_UNITS_A_CENT
    found["causa"] = np.select(
        [
            trips.isin(place),
            trips.isin(new.index),
            is_["veiculo"].isna(),
            never_priced,
            same_km & same_price,
            same_km,
        ],
        [
            "viagem_substituida",
            "viagem_nova",
            "viagem_retirada",
            "tarifa_alterada",
            "arredondamento",
            "tarifa_alterada",
        ],
        "km_alterado",
    )
    same_audited = was["causa"].isna() & (was["km_auditado"] == is_["km_auditado"])
    found["why"] = np.select(
        [same_audited.fillna(False), is_["fonte"] == "telemetria"], [_FRANCHISE, _UNCLAIMED], _TELEMETRY
    )
    found["trip"] = "A viagem " + _named(found["arquivo"])
    found["tariff"] = is_["tarifa_brl_km"].astype("str").str.replace(".", ",")
    found = found.join(_told(place, gone))
    found["place"] = "à " + _named(found["arquivo"])
    return found.reset_index(drop=True)


def _by_account(trips: pd.DataFrame) -> pd.DataFrame:
    """The trips by their id and by who is paid for them: one that a substitution gives to another vehicle is
    taken from the one and given to the other."""
    key = trips["viagem_id"].str.cat(trips[_ACCOUNT].fillna(""), sep="|")
    return trips.set_index(pd.Index(key, name="conta"))


def _charged_since(since: pd.DataFrame) -> pd.DataFrame:
    """What adjustments charged for each trip, in their order; those that gave place to another, nothing."""
    later = since.assign(metres=units(since["km_depois"]), cents=units(since["valor_depois_brl"]))
    later["viagem_id"] = (later["viagem_id"] + (";" + later["substitui"]).fillna("")).str.split(";")
    later = later.reset_index(drop=True).explode("viagem_id")
    replaced = later.index.duplicated()
    later.loc[replaced, _AMOUNTS] = 0
    later.loc[replaced, "causa"] = "viagem_retirada"
    return later


def _successors(gone: pd.DataFrame, new: pd.DataFrame) -> pd.Series:
    """For trips that are gone the new one that took their place, by their accounts; most have none.

    It is the one of the vehicle that they overlap most, in their hours or in those that were measured; among
    equals the one that departed first.
    """

    def keyed(trips: pd.DataFrame) -> pd.DataFrame:
        account = trips[_ACCOUNT].fillna("")
        return account.assign(dia=trips["saida_utc"].dt.floor("D"), at=np.arange(len(trips)))

    # What overlaps departs within a day of it: no vehicle's whole cycle is held against itself.
    of_day = keyed(new)
    near = pd.concat([of_day.assign(dia=of_day["dia"] + n * _DAY) for n in (-1, 0, 1)])
    pairs = keyed(gone).merge(near, on=[*_ACCOUNT, "dia"], suffixes=("_gone", "_new"))
    one, other = gone.iloc[pairs["at_gone"]], new.iloc[pairs["at_new"]]

    def overlap(start: str, end: str) -> np.ndarray:
        ends = np.minimum(*(side[end].to_numpy("datetime64[us]") for side in (one, other)))
        return ends - np.maximum(*(side[start].to_numpy("datetime64[us]") for side in (one, other)))

    most = np.fmax(overlap("saida_utc", "chegada_utc"), overlap("saida_medida_utc", "chegada_medida_utc"))
    pairs = pd.DataFrame(
        {"gone": one.index, "new": other.index, "most": most, "saida_utc": other["saida_utc"].to_numpy()}
    )
    pairs = pairs[pairs["most"] > pd.Timedelta(0)]
    best = pairs.sort_values(["most", "saida_utc", "new"], ascending=[False, True, True])
    return best.drop_duplicates("gone").set_index("gone")["new"]


def _told(place: pd.Series, gone: pd.DataFrame) -> pd.DataFrame:
    """By trip that took the place of others: their ids in `substitui`, and `olds`, who gave place."""
    olds = gone.loc[place.index].assign(new=place)
    by_new = olds.sort_values(["saida_utc", "viagem_id"]).groupby("new")
    one = "A viagem " + _named(by_new["arquivo"].first()) + " deu lugar"
    many = by_new.size().astype("str") + " viagens deram lugar"
    return pd.DataFrame(
        {"substitui": by_new["viagem_id"].agg(";".join), "olds": one.where(by_new.size() == 1, many)}
    )


def _named(files: pd.Series) -> pd.Series:
    return ("do boletim " + files).fillna(_MEASURED_ONLY)


def _fixed(billing: pd.DataFrame, since: pd.DataFrame, now: pd.DataFrame) -> pd.DataFrame:
    """The vehicles whose fixed cost differs, or is another carrier's now, with both amounts."""
    charged = _fixed_cents(billing, "fixo_brl")
    later = since.drop_duplicates(_ACCOUNT, keep="last")
    charged = _fixed_cents(later, "valor_depois_brl").combine_first(charged)
    right = _fixed_cents(now, "fixo_brl")
    known = {*billing["veiculo"], *since["veiculo"], *now.loc[now["viagens"] > 0, "veiculo"]}
    accounts = charged.index.union(right.index[right.index.isin(known, level="veiculo")], sort=False).unique()
    found = pd.DataFrame(
        {
            "cents_was": charged.reindex(accounts, fill_value=0).astype("int64"),
            "cents": right.reindex(accounts, fill_value=0),
        }
    )
    found = found[found["cents"] != found["cents_was"]].reset_index()
    found[_ACCOUNT] = found[_ACCOUNT].mask(found[_ACCOUNT] == "").astype("str")
    return found.assign(metres_was=0, metres=0, causa="fixo_alterado")


def _fixed_cents(billing: pd.DataFrame, amount: str) -> pd.Series:
    """Fixed cost in cents by account."""
    accounts = [billing[name].fillna("").to_numpy() for name in _ACCOUNT]
    return pd.Series(units(billing[amount])).groupby(accounts).sum().rename_axis(_ACCOUNT)


def _sentences(found: pd.DataFrame) -> list[str]:
    words = pd.DataFrame(
        {
            "before_km": km_text(found["metres_was"].to_numpy()),
            "after_km": km_text(found["metres"].to_numpy()),
            "before": money_text(found["cents_was"].to_numpy()),
            "after": money_text(found["cents"].to_numpy()),
        }
    )
    words = words.join(found.reindex(columns=["causa", "trip", "why", "tariff", "olds", "place"]))
    return [_SENTENCES[said["causa"]].format_map(said) for said in words.to_dict("records")]
