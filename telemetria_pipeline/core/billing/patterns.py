"""What no single row shows: habits of a vehicle, a driver or a carrier over a cycle.

A pattern accuses nobody and changes no bill: it says where to look. All of them look at declared trips, and
none at fewer than `MIN_TRIPS` of them, except breaks of the odometer and a second carrier.
"""

import numpy as np
import pandas as pd

from telemetria_pipeline.contracts.base import KM, MONEY
from telemetria_pipeline.contracts.billing import PATTERNS
from telemetria_pipeline.core.audit.phrases import km_text, money_text, percent_text
from telemetria_pipeline.core.audit.timeline import Axis, microseconds, sorting
from telemetria_pipeline.core.distinct import by_distinct
from telemetria_pipeline.core.exact import PRICE_UNITS_A_CENT, decimals, half_up, metres, units
from telemetria_pipeline.core.names import plain_name

MIN_TRIPS = 20
BIAS_PERCENT = 5  # strictly above: vendors call 2 to 10 % between odometer and tracker normal
ONE_SIDED_PERCENT = 80  # of the trips err to that side: noise errs to both
ROUND_M = 10_000
ROUND_PERCENT = 50
REPEATED_PERCENT = 50
ODOMETER_GAP_M = 1_000
MIN_ODOMETER_GAPS = 3

_LEVELS = {"veiculo": "veiculo", "motorista": "motorista_declarado", "transportadora": "transportadora_chave"}

_USED = [
    *("viagem_id", "veiculo", "transportadora", "empresa_declarada", "motorista_declarado", "saida_utc"),
    *("km_declarado", "km_medido", "km_saida", "km_chegada", "veredito", "cobertura", "sinal"),
    *("tarifa_brl_km", "tolerancia_pct", "tolerancia_km"),
]


def find_patterns(trips: pd.DataFrame) -> pd.DataFrame:
    """The patterns of a cycle, highest value first.

    Args:
        trips: the cycle's trips, under contract VALIDATED_TRIPS.

    Returns:
        A frame under contract PATTERNS.
    """
    declared = _declared(trips)
    found = [
        *(_bias(declared, level) for level in _LEVELS),
        *(_round_numbers(declared, level) for level in _LEVELS),
        _repeated_km(declared),
        _odometer_gaps(declared),
        _two_carriers(declared),
    ]
    groups = pd.concat([PATTERNS.empty(), *found], ignore_index=True)
    of_both = groups["com_dois_lados"] == groups["viagens"]
    declared_m, measured_m = (groups[name].to_numpy(np.int64) for name in ("declarado_m", "medido_m"))
    cents, priced = groups["centavos"].fillna(0).to_numpy(np.int64), groups["centavos"].notna().to_numpy()
    groups = groups.assign(
        km_declarado=decimals(declared_m, KM, groups.index),
        km_medido=decimals(measured_m, KM, groups.index),
        vies=((groups["declarado_m"] - groups["medido_m"]) / groups["medido_m"]).where(of_both),
        valor_brl=decimals(cents, MONEY, groups.index, missing=~priced),
        by_value=np.where(priced, -cents, 1),
    )
    order = groups.sort_values(["by_value", "padrao", "nivel", "chave"]).index
    dtypes = {column.name: column.pandas_dtype for column in PATTERNS.columns}
    return groups.loc[order, PATTERNS.names].astype(dtypes).reset_index(drop=True)


def _declared(trips: pd.DataFrame) -> pd.DataFrame:
    """The declared trips by vehicle and departure, their numbers exact, with the keys of `_LEVELS`."""
    rows = trips.loc[trips["fonte"] != "telemetria", _USED]
    departure, vehicle = microseconds(rows["saida_utc"]), pd.factorize(rows["veiculo"], sort=True)[0]
    order = sorting(Axis(departure).at(vehicle, departure), rows, ["viagem_id"])
    rows = rows.take(order).reset_index(drop=True)

    def plain(names: pd.Series) -> pd.Series:
        return by_distinct(names, lambda different: different.map(plain_name))

    return pd.DataFrame(
        {
            "veiculo": rows["veiculo"],
            "motorista_declarado": rows["motorista_declarado"],
            "transportadora_chave": plain(rows["transportadora"]),
            "transportadora": rows["transportadora"],
            "empresa": plain(rows["empresa_declarada"]),
            "declarado_m": units(rows["km_declarado"]),
            "medido_m": units(rows["km_medido"]),
            "com_dois_lados": rows["km_medido"].notna(),
            "ok": rows["veredito"] == "ok",
            "coberta": rows["cobertura"] >= 1,
            "ouvida": rows["sinal"] == "presente",
            "tarifa": units(rows["tarifa_brl_km"]),
            "tolerance_units": units(rows["tolerancia_pct"]),
            "tolerance_m": units(rows["tolerancia_km"]),
            "tem_tarifa": rows["tarifa_brl_km"].notna(),
            "saida_m": metres(rows["km_saida"]),
            "chegada_m": metres(rows["km_chegada"]),
        }
    )


def _groups(trips: pd.DataFrame, pattern: str, level: str, shows: pd.Series) -> pd.DataFrame:
    """How many trips each vehicle, driver or carrier has, how many of them show it, and their metres."""
    by = trips.assign(ocorrencias=shows, viagens=1).groupby(_LEVELS[level])
    groups = by[["viagens", "ocorrencias", "declarado_m", "medido_m", "com_dois_lados"]].sum()
    groups["transportadora"] = by["transportadora"].first()
    groups["chave"] = groups["transportadora"] if level == "transportadora" else groups.index.astype("str")
    return groups.assign(padrao=pattern, nivel=level, centavos=pd.Series(pd.NA, groups.index, dtype="Int64"))


def _bias(declared: pd.DataFrame, level: str) -> pd.DataFrame:
    """Declares a little too much, or too little, time and again, and never by enough to diverge."""
    accepted = declared["com_dois_lados"] & declared["ok"] & declared["coberta"] & (declared["medido_m"] > 0)
    trips = declared[accepted]
    apart = trips["declarado_m"] - trips["medido_m"]
    price = (apart.clip(lower=0) * trips["tarifa"]).groupby(trips[_LEVELS[level]]).sum()
    priced = trips["tem_tarifa"].groupby(trips[_LEVELS[level]]).any()
    sides = []
    for sign, word in ((1, "mais"), (-1, "menos")):
        groups = _groups(trips, "vies", level, sign * apart > 0)
        bias, whole = groups["declarado_m"] - groups["medido_m"], groups["medido_m"]
        one_sided = groups["ocorrencias"] * 100 >= ONE_SIDED_PERCENT * groups["viagens"]
        found = (groups["viagens"] >= MIN_TRIPS) & (sign * bias * 100 > BIAS_PERCENT * whole) & one_sided
        groups = groups[found]
        cents = half_up(price[groups.index].to_numpy(), PRICE_UNITS_A_CENT)
        costs = (priced[groups.index] & (sign > 0)).to_numpy()  # too little costs nobody money
        said = zip(
            percent_text(bias[found].to_numpy(), whole[found].to_numpy()),
            groups["viagens"],
            groups["ocorrencias"],
            np.where(costs, [f": {money} no ciclo" for money in money_text(cents)], ""),
            strict=True,
        )
        sides.append(
            groups.assign(
                centavos=pd.Series(cents, groups.index, dtype="Int64").where(costs),
                frase=[
                    f"{percent} entre declarado e medido em {trips} viagens, cada uma dentro da tolerância; "
                    f"{shown} delas a {word}{cost}."
                    for percent, trips, shown, cost in said
                ],
            )
        )
    return pd.concat(sides)


def _round_numbers(declared: pd.DataFrame, level: str) -> pd.DataFrame:
    """Declares whole tens of kilometres."""
    is_round = (declared["declarado_m"] % ROUND_M == 0) & (declared["declarado_m"] > 0)
    groups = _groups(declared, "numeros_redondos", level, is_round)
    groups = groups[
        (groups["viagens"] >= MIN_TRIPS) & (groups["ocorrencias"] * 100 > ROUND_PERCENT * groups["viagens"])
    ]
    said = zip(groups["ocorrencias"], groups["viagens"], strict=True)
    return groups.assign(
        frase=[f"Em {shown} de {trips} viagens, o km declarado é múltiplo de 10 km." for shown, trips in said]
    )


def _repeated_km(declared: pd.DataFrame) -> pd.DataFrame:
    """Declares one and the same distance while the measured ones spread by more than is tolerated."""
    trips = declared[declared["com_dois_lados"] & declared["coberta"] & declared["ouvida"]]
    by_km = trips.groupby(["veiculo", "declarado_m"]).agg(
        size=("medido_m", "size"),
        sum=("medido_m", "sum"),
        min=("medido_m", "min"),
        max=("medido_m", "max"),
        tolerance_units=("tolerance_units", "max"),
        tolerance_m=("tolerance_m", "max"),
    )
    by_km = by_km.reset_index("declarado_m")
    spread = by_km["max"] - by_km["min"]
    spreads = (spread > by_km["tolerance_m"]) & (
        spread * 10_000 * by_km["size"] > by_km["tolerance_units"] * by_km["sum"]
    )
    often = by_km["size"] * 100 > REPEATED_PERCENT * trips.groupby("veiculo").size().reindex(by_km.index)
    usual = by_km[often & spreads]
    repeats = trips["declarado_m"] == trips["veiculo"].map(usual["declarado_m"])
    groups = _groups(trips, "km_repetido", "veiculo", repeats)
    groups = groups[(groups["viagens"] >= MIN_TRIPS) & groups.index.isin(usual.index)]
    usual = usual.loc[groups.index]
    said = zip(
        groups["ocorrencias"],
        groups["viagens"],
        *(km_text(usual[name].to_numpy()) for name in ("declarado_m", "min", "max")),
        strict=True,
    )
    return groups.assign(
        frase=[
            f"Em {shown} de {trips} viagens foram declarados {km} km; "
            f"a telemetria mediu de {least} a {most} km."
            for shown, trips, km, least, most in said
        ]
    )


def _odometer_gaps(declared: pd.DataFrame) -> pd.DataFrame:
    """Declares initial odometers that do not continue the final one of the trip before."""
    gap = (declared["saida_m"] - declared["chegada_m"].shift(fill_value=0)).abs()
    breaks = (declared["veiculo"] == declared["veiculo"].shift()) & (gap > ODOMETER_GAP_M)
    groups = _groups(declared, "odometro_descontinuo", "veiculo", breaks)
    groups = groups[groups["ocorrencias"] >= MIN_ODOMETER_GAPS]
    lost = gap.where(breaks, 0).groupby(declared["veiculo"]).sum()[groups.index]
    said = zip(groups["ocorrencias"], groups["viagens"], km_text(lost.to_numpy()), strict=True)
    return groups.assign(
        frase=[
            f"Em {shown} de {trips} viagens, o odômetro de saída não continua o de chegada da anterior: "
            f"{km} km ao todo."
            for shown, trips, km in said
        ]
    )


def _two_carriers(declared: pd.DataFrame) -> pd.DataFrame:
    """One vehicle, declared by more than one carrier; the trips that show it are not the first one's."""
    trips = declared[declared["empresa"].notna()]
    by_name = trips.groupby(["veiculo", "empresa"]).size().rename("viagens").reset_index()
    by_name = by_name.sort_values(["veiculo", "viagens", "empresa"], ascending=[True, False, True])
    usual = by_name.drop_duplicates("veiculo").set_index("veiculo")["empresa"]
    groups = _groups(
        trips, "duas_transportadoras", "veiculo", trips["empresa"] != trips["veiculo"].map(usual)
    )
    groups = groups[groups["ocorrencias"] > 0]
    by_name["dito"] = by_name["empresa"] + " (" + by_name["viagens"].astype("str") + ")"
    names = by_name[by_name["veiculo"].isin(groups.index)].groupby("veiculo")["dito"].agg(", ".join)
    return groups.assign(
        frase="Viagens declaradas por mais de uma transportadora: " + names[groups.index] + "."
    )
