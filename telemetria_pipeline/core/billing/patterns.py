"""What no single row shows: habits of a vehicle, a driver or a carrier over a cycle, and biased devices.

A pattern accuses nobody and changes no bill: it says where to look. All of them look at declared trips, and
none at fewer than `MIN_TRIPS` of them, except breaks of the odometer, a second carrier, and kilometres that
were raised when a boletim was sent again.
"""

from math import comb

import numpy as np
import pandas as pd

from telemetria_pipeline.contracts.base import KM, MONEY
from telemetria_pipeline.contracts.billing import PATTERNS
from telemetria_pipeline.core.audit.phrases import km_text, money_text, percent_text
from telemetria_pipeline.core.audit.timeline import Axis, microseconds, sorting
from telemetria_pipeline.core.billing.devices import biased_devices, rests_on_odometer
from telemetria_pipeline.core.distinct import by_distinct
from telemetria_pipeline.core.exact import PRICE_UNITS_A_CENT, decimals, half_up, metres, units
from telemetria_pipeline.core.names import plain_name

MIN_TRIPS = 20
NOISE_M = 100  # both sides are typed to 100 m: what differs by no more errs to no side
BIAS_PERCENT = 5  # strictly above: vendors call 2 to 10 % between odometer and tracker normal
ONE_SIDED_PERCENT = 80  # of the trips err to that side: noise errs to both
BY_CHANCE_ONE_IN = 10_000  # a coin that errs to one side so often
SMALLEST_PERCENT = 1, 3  # of what odometers measured, and of what trackers alone did
CONSTANT_M = 300  # the smallest excess that may be one and the same on every trip
ROUND_M = 10_000
ROUND_PERCENT = 50
SAME_M = 500  # a route may be round: as far from what was measured as whole kilometres are
RAISED_M = 1_000  # in all trips of a vehicle
REPEATED_PERCENT = 50
ODOMETER_GAP_M = 1_000
MIN_ODOMETER_GAPS = 3

_LEVELS = {"veiculo": "veiculo", "motorista": "motorista_declarado", "transportadora": "transportadora_chave"}

_OVER_MEASURED = "; a mais do que se mediu nelas: {}"

_USED = [
    *("viagem_id", "veiculo", "transportadora", "empresa_declarada", "motorista_declarado", "saida_utc"),
    *("km_declarado", "km_medido", "km_saida", "km_chegada", "veredito", "cobertura", "sinal"),
    *("tarifa_brl_km", "tolerancia_pct", "tolerancia_km", "fonte_distancia"),
    *("saida_medida_utc", "data_ou_horario_a_corrigir"),
]


def find_patterns(trips: pd.DataFrame, raised: pd.DataFrame | None = None) -> pd.DataFrame:
    """The patterns of a cycle, highest value first.

    Args:
        trips: the cycle's trips, under contract VALIDATED_TRIPS.
        raised: `viagem_id`, and in `antes_m` (int64 metres) what an earlier version of the boletim declared
            of it; None: no boletim was sent again.

    Returns:
        A frame under contract PATTERNS.
    """
    declared = _declared(trips)
    found = [
        *(_bias(declared, level) for level in _LEVELS),
        _constant_excess(declared),
        *(_round_numbers(declared, level) for level in _LEVELS),
        _repeated_km(declared),
        *([] if raised is None else [_raised_km(declared, raised)]),
        _biased_devices(trips),
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
    # One under a wrong date or hour stands where it was driven: its odometers belong there.
    driven = rows["saida_medida_utc"].where(rows["data_ou_horario_a_corrigir"], rows["saida_utc"])
    departure, vehicle = microseconds(driven), pd.factorize(rows["veiculo"], sort=True)[0]
    order = sorting(Axis(departure).at(vehicle, departure), rows, ["viagem_id"])
    rows = rows.take(order).reset_index(drop=True)

    def plain(names: pd.Series) -> pd.Series:
        return by_distinct(names, lambda different: different.map(plain_name))

    return pd.DataFrame(
        {
            "viagem_id": rows["viagem_id"],
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
            "por_odometro": rows["fonte_distancia"] == "odometro",
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


def _cents(trips: pd.DataFrame, level: str, over_m: pd.Series) -> pd.Series:
    """The price of metres (int64, none negative) by group, rounded once; missing where none has a tariff."""
    by = pd.DataFrame({"price": over_m * trips["tarifa"], "priced": trips["tem_tarifa"]}).groupby(
        trips[_LEVELS[level]]
    )
    price, priced = by["price"].sum(), by["priced"].any()
    return pd.Series(half_up(price.to_numpy(), PRICE_UNITS_A_CENT), price.index, "Int64").where(priced)


def _cost(cents: pd.Series, told: str) -> np.ndarray:
    """The words for each group's price; none where it has none."""
    money = money_text(cents.fillna(0).to_numpy(np.int64))
    return np.where(cents.notna(), [told.format(said) for said in money], "")


def _accepted(declared: pd.DataFrame) -> pd.DataFrame:
    """The trips whose sides agree, as far as a trip alone tells."""
    sound = declared["com_dois_lados"] & declared["ok"] & declared["coberta"] & (declared["medido_m"] > 0)
    return declared[sound]


def _bias(declared: pd.DataFrame, level: str) -> pd.DataFrame:
    """Declares a little too much, or too little, time and again, and never by enough to diverge."""
    trips = _accepted(declared)
    apart = trips["declarado_m"] - trips["medido_m"]
    cents = _cents(trips, level, apart.clip(lower=0))
    smallest = trips["medido_m"] * np.where(trips["por_odometro"], *SMALLEST_PERCENT)
    signs = pd.DataFrame({"smallest": smallest, "apart": apart.abs() > NOISE_M})
    sides = []
    for sign, word in ((1, "mais"), (-1, "menos")):
        groups = _groups(trips, "vies", level, sign * apart > 0)
        beyond = signs.assign(there=sign * apart > NOISE_M).groupby(trips[_LEVELS[level]]).sum()
        bias, whole = groups["declarado_m"] - groups["medido_m"], groups["medido_m"]
        one_sided = groups["ocorrencias"] * 100 >= ONE_SIDED_PERCENT * groups["viagens"]
        large = (sign * bias * 100 > BIAS_PERCENT * whole) & one_sided
        enough = groups["viagens"] >= MIN_TRIPS
        asked = enough & ~large & (sign * bias * 100 > beyond["smallest"])
        counts = beyond.loc[asked, ["there", "apart"]].itertuples()
        steady = groups.index.isin([group for group, there, of in counts if _no_chance(there, of)])
        found = enough & (large | steady)
        groups = groups[found]
        costs = cents[groups.index] if sign > 0 else groups["centavos"]  # too little costs nobody money
        said = zip(
            percent_text(bias[found].to_numpy(), whole[found].to_numpy()),
            groups["viagens"],
            groups["ocorrencias"],
            _cost(costs, ": {} no ciclo"),
            strict=True,
        )
        sides.append(
            groups.assign(
                centavos=costs,
                frase=[
                    f"{percent} entre declarado e medido em {trips} viagens, cada uma dentro da tolerância; "
                    f"{shown} delas a {word}{cost}."
                    for percent, trips, shown, cost in said
                ],
            )
        )
    return pd.concat(sides)


def _no_chance(shown: int, of: int) -> bool:
    """Whether a fair coin shows one side so often, or more, less than once in `BY_CHANCE_ONE_IN` tries."""
    term = tail = comb(of, shown)
    for n in range(shown, of):
        term = term * (of - n) // (n + 1)
        tail += term
    return tail * BY_CHANCE_ONE_IN < 1 << of


def _constant_excess(declared: pd.DataFrame) -> pd.DataFrame:
    """Declares the same kilometres too much on every trip, short or long."""
    trips = _accepted(declared)
    excess = trips["declarado_m"] - trips["medido_m"]
    usual = excess.groupby(trips["veiculo"]).quantile(interpolation="lower").astype("int64")
    shows = (excess - usual.reindex(trips["veiculo"]).to_numpy()).abs() <= NOISE_M
    groups = _groups(trips, "excesso_constante", "veiculo", shows)
    measured = trips.loc[shows, "medido_m"].groupby(trips["veiculo"])
    differ = (2 * measured.max() >= 3 * measured.min()).reindex(groups.index, fill_value=False)
    often = groups["ocorrencias"] * 100 >= ONE_SIDED_PERCENT * groups["viagens"]
    groups = groups[(groups["viagens"] >= MIN_TRIPS) & often & differ & (usual >= CONSTANT_M)]
    cents = _cents(trips, "veiculo", excess.where(shows, 0).clip(lower=0))[groups.index]
    said = zip(
        groups["ocorrencias"],
        groups["viagens"],
        km_text(usual[groups.index].to_numpy()),
        _cost(cents, ": {} no ciclo"),
        strict=True,
    )
    return groups.assign(
        centavos=cents,
        frase=[
            f"Em {shown} de {trips} viagens, curtas e longas, foram declarados {km} km a mais do que os "
            f"medidos (até 100 m de diferença){cost}."
            for shown, trips, km, cost in said
        ],
    )


def _round_numbers(declared: pd.DataFrame, level: str) -> pd.DataFrame:
    """Declares whole tens of kilometres where other ones, or none, were measured."""
    is_round = (declared["declarado_m"] % ROUND_M == 0) & (declared["declarado_m"] > 0)
    over = (declared["declarado_m"] - declared["medido_m"]).where(declared["com_dois_lados"], 0)
    is_round &= ~declared["com_dois_lados"] | (over.abs() > SAME_M)
    groups = _groups(declared, "numeros_redondos", level, is_round)
    groups = groups[
        (groups["viagens"] >= MIN_TRIPS) & (groups["ocorrencias"] * 100 > ROUND_PERCENT * groups["viagens"])
    ]
    told = declared[is_round & declared["com_dois_lados"]]
    cents = _cents(told, level, over[told.index].clip(lower=0)).reindex(groups.index)
    said = zip(groups["ocorrencias"], groups["viagens"], _cost(cents, _OVER_MEASURED), strict=True)
    return groups.assign(
        centavos=cents,
        frase=[
            f"Em {shown} de {trips} viagens, o km declarado é múltiplo de 10 km{cost}."
            for shown, trips, cost in said
        ],
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
    over = (trips["declarado_m"] - trips["medido_m"]).where(repeats, 0)
    cents = _cents(trips, "veiculo", over.clip(lower=0))[groups.index]
    said = zip(
        groups["ocorrencias"],
        groups["viagens"],
        *(km_text(usual[name].to_numpy()) for name in ("declarado_m", "min", "max")),
        _cost(cents, _OVER_MEASURED),
        strict=True,
    )
    return groups.assign(
        centavos=cents,
        frase=[
            f"Em {shown} de {trips} viagens foram declarados {km} km; "
            f"a telemetria mediu de {least} a {most} km{cost}."
            for shown, trips, km, least, most, cost in said
        ],
    )


def _raised_km(declared: pd.DataFrame, raised: pd.DataFrame) -> pd.DataFrame:
    """Asks for more than an earlier version of the boletim, and not for what was measured."""
    before = raised.groupby("viagem_id")["antes_m"].min()
    trips = declared.assign(antes_m=before.reindex(declared["viagem_id"]).to_numpy())
    trips = trips[trips["antes_m"].notna()]
    earlier = trips["antes_m"].astype("int64")
    over = trips["declarado_m"] - np.maximum(earlier, trips["medido_m"])
    shows = over > NOISE_M
    over = over.where(shows, 0)
    groups = _groups(trips, "km_aumentado", "veiculo", shows)
    by = trips.loc[shows, "veiculo"]
    was, is_, more = (m[shows].groupby(by).sum() for m in (earlier, trips["declarado_m"], over))
    groups = groups[groups.index.isin(more.index[more > RAISED_M])]
    cents = _cents(trips, "veiculo", over)[groups.index]
    said = zip(
        groups["ocorrencias"],
        *(km_text(sums[groups.index].to_numpy()) for sums in (was, is_, more)),
        _cost(cents, ": {} no ciclo"),
        strict=True,
    )
    return groups.assign(
        centavos=cents,
        frase=[
            f"O boletim foi mandado de novo com mais km em {shown} "
            f"{'viagem' if shown == 1 else 'viagens'}: de {was} para {now} km, {more} km além dos que se "
            f"mediram{cost}."
            for shown, was, now, more, cost in said
        ],
    )


def _biased_devices(trips: pd.DataFrame) -> pd.DataFrame:
    """Devices whose odometer and tracker differ; looks at all that they measured, declared or not."""
    devices = biased_devices(trips)
    rows = trips[rests_on_odometer(trips) & trips["aparelho"].isin(devices.index)]
    of = rows["aparelho"].to_numpy()
    apart = np.abs(units(rows["km_medido"]) - units(rows["km_telemetria"]))
    by = pd.DataFrame(
        {
            "price": apart * units(rows["tarifa_brl_km"]),
            "priced": rows["tarifa_brl_km"].notna().to_numpy(),
            "declarado_m": units(rows["km_declarado"]),
            "com_dois_lados": rows["km_declarado"].notna().to_numpy(),
            "transportadora": rows["transportadora"].to_numpy(),
        }
    ).groupby(of)
    sums = by[["price", "declarado_m", "com_dois_lados"]].sum()
    cents = pd.Series(half_up(sums["price"].to_numpy(np.int64), PRICE_UNITS_A_CENT), sums.index, "Int64")
    cents = cents.where(by["priced"].any())
    odometer, tracker = (devices[name].to_numpy() for name in ("odometro_m", "rastreador_m"))
    said = zip(
        km_text(odometer),
        km_text(tracker),
        devices["viagens"],
        percent_text(odometer - tracker, np.maximum(tracker, 1)),
        _cost(cents, ": {} separam os dois no ciclo"),
        strict=True,
    )
    return sums.assign(
        padrao="aparelho_desviado",
        nivel="aparelho",
        chave=devices.index.astype("str"),
        transportadora=by["transportadora"].first(),
        viagens=devices["viagens"],
        ocorrencias=devices["viagens"],
        medido_m=devices["odometro_m"],
        centavos=cents,
        frase=[
            f"O odômetro deste aparelho andou {odometer} km em {trips} viagens em que o rastreador informa "
            f"{tracker} km ({percent}){cost}. Não se sabe qual está certo: as viagens ficam sem prova."
            for odometer, tracker, trips, percent, cost in said
        ],
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
