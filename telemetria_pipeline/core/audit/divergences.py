"""Where the two sides differ: kind, verdict, R$ at stake, how sure we are, the sentence and the evidence."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from hashlib import blake2b
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from telemetria_pipeline.contracts.audit import DIVERGENCES, TO_CLARIFY
from telemetria_pipeline.contracts.base import MONEY
from telemetria_pipeline.core.audit.coverage import Sources
from telemetria_pipeline.core.audit.phrases import exchange_in_words, joined, sentences
from telemetria_pipeline.core.audit.rules import AuditRules
from telemetria_pipeline.core.audit.timeline import instants, microseconds
from telemetria_pipeline.core.exact import PRICE_UNITS_A_CENT, decimals, half_up, units

# R$ at stake, in cents, from which a divergence is of that severity.
HIGH_CENTS = 100_00
MEDIUM_CENTS = 20_00

# How sure we are, in percent. An odometer cannot forget kilometres, a tracker's distance is an estimate; a
# driver's name is typed by hand; what is inconclusive accuses nobody.
SURE_BY_SOURCE = {"odometro": 95, "mista": 85, "telemetria": 75}
SURE_OF_PHANTOM = {True: 95, False: 70}  # whether the odometer was read around it that day
SURE_OF_TIME = 80
SURE_OF_DRIVER = 60
SURE_OF_VEHICLE = 100
SURE_IF_INCONCLUSIVE = 20

_OF_VEHICLES = ("veiculo_desconhecido", "aparelhos_trocados")  # not of a trip: once a day, without R$


def find_divergences(
    trips: pd.DataFrame,
    segments: pd.DataFrame,
    sources: Sources,
    rules: AuditRules,
    day: date,
    zone: ZoneInfo,
    swaps: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """One row for each trip and kind in which the sides differ, highest value and surest first; of a vehicle
    that nobody registered, and of two whose devices were exchanged, one row for all of their trips, the first
    one's.

    Args:
        trips: the day's trips, under contract VALIDATED_TRIPS.
        segments: their measured trips, under contract TRIP_SEGMENTS.
        sources: which hours around the day were answered, of which vehicle; and the register, where there is
            one: a plate may be missing from it.
        rules: the tolerances.
        day: the business day.
        zone: the contract's; the sentences show its clocks.
        swaps: the day's, see `swapped.Swaps`; None: no devices were exchanged.

    Returns:
        A frame under contract DIVERGENCES.
    """
    rows = _found(trips, rules, sources.vehicles is not None, swaps)
    rows["odometro_em_volta"] = _odometer_read_around(rows, segments)
    cents, priced = _at_stake(rows)
    sure = _confidence(rows)
    names = pa.array((rows["nome"] + "|" + rows["tipo"]).array).cast(pa.large_binary()).to_pylist()
    hashes = pd.Series([blake2b(name, digest_size=5).hexdigest() for name in names], dtype="str")
    severity = np.select([cents >= HIGH_CENTS, ~priced | (cents >= MEDIUM_CENTS)], [2, 1], default=0)
    rows = rows.assign(
        divergencia_id=f"{day:%Y%m%d}-" + hashes,
        severidade=pd.array(["baixa", "media", "alta"], dtype="str").take(severity),
        valor_brl=decimals(cents, MONEY, rows.index, missing=~priced),
        confianca=sure / 100,
    )
    keys = pa.table({"weight": np.where(priced, cents * sure, -1), "id": pa.array(rows["divergencia_id"])})
    rank = pc.sort_indices(keys, [("weight", "descending"), ("id", "ascending")]).to_numpy()
    rows = rows.take(rank).reset_index(drop=True)
    heard = _HoursOfTrips(rows, sources, rules)
    rows["horas_ausentes"] = heard.missing(zone)
    with ThreadPoolExecutor(1) as other:  # Arrow works without the interpreter's lock
        pages = other.submit(_pages, rows, segments)
        return rows.assign(
            posicao=rows.index.to_numpy() + 1,
            frase=sentences(rows, rules, zone),
            motorista=rows["motorista_declarado"].fillna(rows["motorista_medido"]),
            evidencia_telemetria=pages.result().fillna(heard.evidence()),
        )[DIVERGENCES.names]


def doubts(trips: pd.DataFrame, rules: AuditRules) -> np.ndarray:
    """Why a trip cannot be held against anybody: `horas`, `leituras`, `sinal`, `fontes`, or empty.

    Hours are missing around it, good readings do not enclose it, the odometer moved unseen
    in it, or two sources disagree. Each leaves its times and its driver open as well as its kilometres.
    """
    least = float(rules.min_coverage)
    return np.select(
        [
            (trips["cobertura"] < least) | (trips["cobertura_busca"] < least),
            trips["sinal"] == "desconhecido",
            trips["sinal"] == "perdido",
            trips["fontes_discordam"],
        ],
        ["horas", "leituras", "sinal", "fontes"],
        default="",
    )


def _found(
    trips: pd.DataFrame, rules: AuditRules, vehicles_known: bool, swaps: pd.DataFrame | None
) -> pd.DataFrame:
    """The trips' rows, one for each kind that they show, with `tipo`, `veredito` and `duvida`.

    A vehicle that is not in the register is found once; `viagens` and `metros` are of all its trips, and 0
    for other kinds. So are two whose devices were exchanged; `troca` is what is said of them. `nome` is what
    the divergence has of its own beside its kind.
    """
    judged = trips["veredito"] != "ok"
    late = np.fmax(trips["dif_saida_min"].abs(), trips["dif_chegada_min"].abs()) > rules.match_minutes
    kinds = {
        "km_divergente": judged & (trips["fonte"] == "ambos"),
        "sem_telemetria": judged & (trips["fonte"] == "boletim"),
        "nao_declarada": judged & (trips["fonte"] == "telemetria"),
        "horario_divergente": late & (trips["fonte"] == "ambos"),
        "motorista_divergente": ~trips["motorista_confere"],
    }
    strangers = _strangers(trips) if vehicles_known else _strangers(trips.iloc[:0])
    at = {kind: np.flatnonzero(where) for kind, where in kinds.items()}
    exchanged = _exchanged(trips, swaps)
    at |= {
        "veiculo_desconhecido": strangers["first"].to_numpy(),
        "aparelhos_trocados": exchanged["first"].to_numpy(),
    }
    rows = trips.iloc[np.concatenate(list(at.values()))].reset_index(drop=True)
    kind = pd.Series(np.repeat(list(at), [len(found) for found in at.values()]), dtype="str")
    doubt = doubts(rows, rules)
    of_segments = kind.isin(["horario_divergente", "motorista_divergente"])
    doubtful = of_segments & (doubt != "")
    clear = (of_segments & ~doubtful) | kind.isin(_OF_VEHICLES)
    verdict = rows["veredito"].mask(clear, TO_CLARIFY).mask(doubtful, "inconclusivo")
    of_vehicles = pd.concat([strangers.assign(nome=strangers.index), exchanged], ignore_index=True).set_axis(
        rows.index[len(rows) - len(strangers) - len(exchanged) :]
    )
    more = of_vehicles[["nome", "troca", "viagens", "metros"]].reindex(rows.index)
    return rows.assign(
        tipo=kind,
        veredito=verdict,
        duvida=doubt,
        nome=more["nome"].fillna(rows["viagem_id"]).astype("str"),
        troca=more["troca"].astype("str"),
        viagens=more["viagens"].fillna(0).astype(np.int64),
        metros=more["metros"].fillna(0).astype(np.int64),
    )


def _exchanged(trips: pd.DataFrame, swaps: pd.DataFrame | None) -> pd.DataFrame:
    """Of each two vehicles whose devices were exchanged: the position of their `first` trip, their `nome`,
    and `troca`, the sentence."""
    columns = ["first", "nome", "troca"]
    if swaps is None or swaps.empty:
        return pd.DataFrame(columns=columns)
    turned = swaps[["dia", "fonte", "veiculo", "de_km", "ate_km"]].rename(
        columns={"veiculo": "outro", "de_km": "de_outro_km", "ate_km": "ate_outro_km"}
    )
    pairs = swaps[swaps["veiculo"] < swaps["outro"]].merge(turned, on=["dia", "fonte", "outro"])
    pairs = pairs.drop_duplicates(["veiculo", "outro"]).reset_index(drop=True)
    places = trips[["veiculo", "saida_utc", "viagem_id"]].assign(first=np.arange(len(trips)))
    places = places.sort_values(["saida_utc", "viagem_id"])
    firsts = [
        places.loc[places["veiculo"].isin(pair), "first"] for pair in pairs[["veiculo", "outro"]].values
    ]
    rows = pd.DataFrame(
        {
            "first": [next(iter(first), -1) for first in firsts],
            "nome": pairs["veiculo"] + "|" + pairs["outro"],
            "troca": exchange_in_words(pairs),
        },
        columns=columns,
    )
    return rows[rows["first"] >= 0].astype({"first": np.int64})


def _strangers(trips: pd.DataFrame) -> pd.DataFrame:
    """Of each vehicle that is not in the register: the position of its `first` trip, how many `viagens` it
    has, and their `metros`, declared, else measured."""
    at = np.flatnonzero(~trips["veiculo_conhecido"])
    rows = trips[["veiculo", "saida_utc", "viagem_id"]].take(at)
    km = trips["km_declarado"].fillna(trips["km_medido"])
    rows = rows.assign(first=at, metros=units(km)[at]).sort_values(["saida_utc", "viagem_id"])
    by_vehicle = rows.groupby("veiculo")
    return by_vehicle.agg(first=("first", "first"), viagens=("first", "size"), metros=("metros", "sum"))


def _at_stake(rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """(whole cents, whether there is a price at all): the tariff times the kilometres that differ."""
    metres = np.abs(units(rows["km_declarado"]) - units(rows["km_medido"]))
    cents = half_up(metres * units(rows["tarifa_brl_km"]), PRICE_UNITS_A_CENT)
    of_km = rows["tipo"].isin(["km_divergente", "sem_telemetria", "nao_declarada"])
    priced = rows["tarifa_brl_km"].notna() & ~rows["tipo"].isin(_OF_VEHICLES)
    return np.where(of_km, cents, 0), priced.to_numpy()


def _confidence(rows: pd.DataFrame) -> np.ndarray:
    """How sure we are, in whole percent.

    As sure as the source of the measured side; half of it is lost as the segments fill less of the declared
    window, for they may be another trip's.
    """
    kind = rows["tipo"]
    by_source = rows["fonte_distancia"].map(SURE_BY_SOURCE).fillna(min(SURE_BY_SOURCE.values()))
    filled = (50 + 50 * rows["sobreposicao"].fillna(0)).round().astype(np.int64)
    return np.select(
        [
            rows["veredito"] == "inconclusivo",
            kind == "km_divergente",
            kind == "sem_telemetria",
            kind == "nao_declarada",
            kind == "horario_divergente",
            kind == "motorista_divergente",
        ],
        [
            SURE_IF_INCONCLUSIVE,
            by_source.astype(np.int64) * filled // 100,
            np.where(rows["odometro_em_volta"], SURE_OF_PHANTOM[True], SURE_OF_PHANTOM[False]),
            by_source.astype(np.int64),
            SURE_OF_TIME * filled // 100,
            SURE_OF_DRIVER,
        ],
        default=SURE_OF_VEHICLE,
    )


def _odometer_read_around(rows: pd.DataFrame, segments: pd.DataFrame) -> np.ndarray:
    """Whether the vehicle's odometer was read that day before the trip's departure and after its arrival."""
    good = segments[segments["situacao_odometro"] == "ok"].groupby("veiculo")
    vehicle, vehicles = pd.factorize(rows["veiculo"])
    first = microseconds(good["saida_utc"].min().reindex(vehicles))[vehicle]
    last = microseconds(good["chegada_utc"].max().reindex(vehicles))[vehicle]
    return (first <= microseconds(rows["saida_utc"])) & (last >= microseconds(rows["chegada_utc"]))


def _pages(rows: pd.DataFrame, segments: pd.DataFrame) -> pd.Series:
    """The pages of raw that hold each trip's segments, joined; missing for a trip without."""
    trip_of_row, trips = pd.factorize(rows["viagem_id"])
    trip = pc.index_in(pa.array(segments["viagem_id"].array), value_set=pa.array(trips.array))
    trip = trip.fill_null(-1).to_numpy()
    of_rows = segments[["raw_key", "raw_sha256"]][trip >= 0]
    page, pages = pd.factorize(of_rows["raw_key"] + " sha256=" + of_rows["raw_sha256"], sort=True)
    known = page >= 0
    pairs = np.unique(trip[trip >= 0][known] * len(pages) + page[known])
    trip, page = np.divmod(pairs, max(len(pages), 1))
    said = joined(trip, pd.Series(pages.array.take(page)), len(trips), "; ")
    return said.where(said != "").take(trip_of_row).set_axis(rows.index)


class _HoursOfTrips:
    """The hours in which each trip's segments could have run; windows repeat, so each is read once."""

    def __init__(self, rows: pd.DataFrame, sources: Sources, rules: AuditRules) -> None:
        self._index = rows.index
        vehicle, names = pd.factorize(rows["veiculo"])
        self._coverage = coverage = sources.coverage(pd.Series(names, dtype="str"))
        start = microseconds(rows["saida_utc"] - timedelta(minutes=rules.match_minutes))
        end = np.maximum(microseconds(rows["chegada_utc"]), start + 1)
        first = np.searchsorted(coverage.ends, start, side="right")
        beyond = np.searchsorted(coverage.begins, end, side="left")
        windows = np.stack([coverage.group[vehicle], first, beyond], axis=1)
        windows, self._window = np.unique(windows, axis=0, return_inverse=True)
        self._windows = [(group, slice(*hours)) for group, *hours in windows.tolist()]

    def missing(self, zone: ZoneInfo) -> pd.Series:
        """The hours that are not known, as ` (07h, 08h)`; empty where all are, or none is listed."""
        begins = instants(self._coverage.begins).tz_convert(zone).strftime("%Hh").to_numpy()
        unknown = np.where(self._coverage.known, "", begins)
        return self._of_rows(unknown.tolist(), ", ", " ({})").fillna("")

    def evidence(self) -> pd.Series:
        """Their pages of raw, joined; missing where there is none."""
        return self._of_rows(self._coverage.pages, "; ", "{}")

    def _of_rows(self, texts: Sequence[Sequence[str]], separator: str, around: str) -> pd.Series:
        """For each row, the texts ([group][hour]) of its hours, joined."""
        of_windows = [separator.join(filter(None, texts[group][hours])) for group, hours in self._windows]
        said = pd.array([around.format(some) if some else None for some in of_windows], dtype="str")
        return pd.Series(said.take(self._window), index=self._index)
