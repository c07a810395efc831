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
from telemetria_pipeline.core.audit.ids import hexadecimal
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

OF_KM = ("km_divergente", "sem_telemetria", "nao_declarada")
"""The kinds that are about kilometres, and so about money."""

_LOOKED_AT = [
    *("viagem_id", "fonte", "veiculo", "veiculo_conhecido", "placa_declarada", "grupo", "aceita"),
    *("saida_utc", "chegada_utc", "saida_medida_utc", "chegada_medida_utc"),
    *("dif_saida_min", "dif_chegada_min", "data_ou_horario_a_corrigir", "medicao_de_outra", "cruza_dia"),
    *("km_declarado", "km_medido", "km_auditado", "km_sem_sinal", "km_outra_fonte", "tarifa_brl_km"),
    *("fonte_telemetria", "fonte_distancia", "fontes_discordam", "tolerancia_pct", "tolerancia_km"),
    *("cobertura", "cobertura_busca", "sinal", "sobreposicao", "veredito", "base_auditoria"),
    *("motorista_declarado", "motorista_medido", "motorista_confere"),
]
"""The columns of a trip that decide what is said of it; what else a divergence shows is copied at the end."""

_SUMMED = ("km_declarado", "km_medido", "km_auditado", "km_sem_sinal", "km_outra_fonte")

_ID_BYTES = 5
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
    hashes = b"".join([blake2b(name, digest_size=_ID_BYTES).digest() for name in names])
    severity = np.select([cents >= HIGH_CENTS, ~priced | (cents >= MEDIUM_CENTS)], [2, 1], default=0)
    rows = rows.assign(
        divergencia_id=f"{day:%Y%m%d}-" + pd.Series(hexadecimal(hashes, _ID_BYTES)),
        severidade=pd.array(["baixa", "media", "alta"], dtype="str").take(severity),
        valor_brl=decimals(cents, MONEY, rows.index, missing=~priced),
        confianca=sure / 100,
    )
    keys = pa.table({"weight": np.where(priced, cents * sure, -1), "id": pa.array(rows["divergencia_id"])})
    rank = pc.sort_indices(keys, [("weight", "descending"), ("id", "ascending")]).to_numpy()
    rows = rows.take(rank).reset_index(drop=True)
    heard = _HoursOfTrips(rows, sources, rules)
    rows["horas_ausentes"] = heard.missing(zone)
    copied = [name for name in DIVERGENCES.names if name in trips and name not in rows]
    trip = rows["linha_viagem"].to_numpy()
    with ThreadPoolExecutor(1) as other:  # Arrow works without the interpreter's lock
        pages = other.submit(_pages, rows, segments)
        copies = other.submit(lambda: {name: trips[name].array.take(trip) for name in copied})
        said = sentences(rows, rules, zone)
        evidence = pages.result()
        return rows.assign(
            posicao=rows.index.to_numpy() + 1,
            viagens=rows["viagens"].astype("Int64"),
            frase=said,
            motorista=rows["motorista_declarado"].fillna(rows["motorista_medido"]),
            evidencia_telemetria=evidence.fillna(heard.evidence(np.flatnonzero(evidence.isna()))),
            **copies.result(),
        )[DIVERGENCES.names]


def doubts(trips: pd.DataFrame, rules: AuditRules) -> np.ndarray:
    """Why a trip cannot be held against anybody: `horas`, `dia`, `leituras`, `sinal`, `fontes`, or empty.

    Hours are missing around it, a trip of another day shares its measured one, good readings do not enclose
    it, the odometer moved unseen in it, or two sources disagree. Each leaves its times and its driver open as
    well as its kilometres.
    """
    least = float(rules.min_coverage)
    return np.select(
        [
            (trips["cobertura"] < least) | (trips["cobertura_busca"] < least),
            trips["cruza_dia"],
            trips["sinal"] == "desconhecido",
            trips["sinal"] == "perdido",
            trips["fontes_discordam"],
        ],
        ["horas", "dia", "leituras", "sinal", "fontes"],
        default="",
    )


def _found(
    trips: pd.DataFrame, rules: AuditRules, vehicles_known: bool, swaps: pd.DataFrame | None
) -> pd.DataFrame:
    """The trips' rows, one for each kind that they show, with `tipo`, `veredito` and `duvida`.

    Trips that are judged together are found once, and so is a vehicle that is not in the register: `viagens`
    says how many they are, `metros` how far a stranger drove. Of two vehicles whose devices were exchanged
    `troca` is what is said of them. `nome` is what the divergence has of its own beside its kind, and
    `linha_viagem` the position of its trip, the first of several.
    """
    late = np.fmax(trips["dif_saida_min"].abs(), trips["dif_chegada_min"].abs()) > rules.match_minutes
    stranger = ~trips["veiculo_conhecido"] & vehicles_known
    some = (trips["veredito"] != "ok") | trips["data_ou_horario_a_corrigir"] | late | stranger
    some |= ~trips["motorista_confere"] | trips["grupo"].notna()
    if swaps is not None and len(swaps):
        some |= trips["veiculo"].isin(swaps["veiculo"])
    at = np.flatnonzero(some)  # few: only those are looked at more closely
    trips = trips[_LOOKED_AT].take(at).assign(viagens=1, metros=0, linha_viagem=at)
    late, stranger = late.take(at), stranger.take(at)
    journeys = _journeys(trips)
    judged = journeys["veredito"] != "ok"
    misplaced = trips["data_ou_horario_a_corrigir"]
    kinds = {
        "km_divergente": judged & (journeys["fonte"] == "ambos"),
        "sem_telemetria": judged & (journeys["fonte"] == "boletim"),
        "nao_declarada": judged & (journeys["fonte"] == "telemetria"),
        "data_ou_horario_a_corrigir": misplaced,
        "horario_divergente": late & (trips["fonte"] == "ambos") & ~misplaced,
        "motorista_divergente": ~trips["motorista_confere"],
    }
    found = {kind: (journeys if kind in OF_KM else trips)[where] for kind, where in kinds.items()}
    found = {kind: rows.assign(nome=rows["viagem_id"]) for kind, rows in found.items()}
    found["veiculo_desconhecido"] = _strangers(trips[stranger])
    found["aparelhos_trocados"] = _exchanged(trips, swaps)
    rows = pd.concat(found.values(), ignore_index=True)
    number = np.repeat(np.arange(len(found)), [len(of_kind) for of_kind in found.values()])
    kind = pd.Series(pd.array(list(found), dtype="str").take(number))
    doubt = doubts(rows, rules)
    of_segments = kind.isin(["horario_divergente", "motorista_divergente"])
    doubtful = of_segments & (doubt != "")
    clear = (of_segments & ~doubtful) | kind.isin(["data_ou_horario_a_corrigir", *_OF_VEHICLES])
    verdict = rows["veredito"].mask(clear, TO_CLARIFY).mask(doubtful, "inconclusivo")
    return rows.assign(tipo=kind, veredito=verdict, duvida=doubt)


def _exchanged(trips: pd.DataFrame, swaps: pd.DataFrame | None) -> pd.DataFrame:
    """The first trip of each two vehicles whose devices were exchanged, with `nome` and `troca`, what is said
    of them."""
    if swaps is None or swaps.empty:
        return trips.iloc[:0].assign(nome="", troca="").astype({"nome": "str", "troca": "str"})
    turned = swaps[["dia", "fonte", "veiculo", "de_km", "ate_km"]].rename(
        columns={"veiculo": "outro", "de_km": "de_outro_km", "ate_km": "ate_outro_km"}
    )
    pairs = swaps[swaps["veiculo"] < swaps["outro"]].merge(turned, on=["dia", "fonte", "outro"])
    pairs = pairs.drop_duplicates(["veiculo", "outro"]).reset_index(drop=True)
    pairs = pairs.assign(nome=pairs["veiculo"] + "|" + pairs["outro"], troca=exchange_in_words(pairs))
    either = pairs[["veiculo", "outro", "nome", "troca"]].melt(["nome", "troca"], value_name="de")
    rows = trips.merge(either, left_on="veiculo", right_on="de").sort_values(["saida_utc", "viagem_id"])
    return rows.drop_duplicates("nome")[[*trips, "nome", "troca"]]


def _strangers(strangers: pd.DataFrame) -> pd.DataFrame:
    """The first of these trips of each vehicle, with `nome`, how many `viagens` it has, and their `metros`,
    declared, else measured."""
    rows = strangers.sort_values(["saida_utc", "viagem_id"])
    by_vehicle = rows.assign(metros=units(rows["km_declarado"].fillna(rows["km_medido"]))).groupby("veiculo")
    first = rows.drop_duplicates("veiculo").set_index("veiculo", drop=False)
    return first.assign(nome=first["veiculo"], viagens=by_vehicle.size(), metros=by_vehicle["metros"].sum())


def _journeys(trips: pd.DataFrame) -> pd.DataFrame:
    """The trips, of which those judged together are one, the first of them, with their sums and `viagens`."""
    grouped = trips["grupo"].notna()
    if not grouped.any():
        return trips
    members = trips[grouped].sort_values(["grupo", "saida_utc", "viagem_id"])
    twice = members["km_outra_fonte"].notna().groupby(members["grupo"]).transform("any")
    own = members["km_medido"].where(twice)  # what the other source did not hear
    members = members.assign(km_outra_fonte=members["km_outra_fonte"].fillna(own))
    by_group = members.groupby("grupo")
    whole = members.drop_duplicates("grupo").set_index("grupo", drop=False)
    whole = whole.assign(
        viagens=by_group.size(),
        chegada_utc=by_group["chegada_utc"].max(),
        fonte="ambos",  # some segment covers them
        **{name: by_group[name].sum(min_count=1) for name in _SUMMED},
    )
    return pd.concat([trips[~grouped], whole.astype(trips.dtypes)], ignore_index=True)


def _at_stake(rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """(whole cents, whether there is a price at all): the tariff times the kilometres that differ."""
    metres = np.abs(units(rows["km_declarado"]) - units(rows["km_medido"]))
    cents = half_up(metres * units(rows["tarifa_brl_km"]), PRICE_UNITS_A_CENT)
    of_km = rows["tipo"].isin(OF_KM)
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
            kind == "data_ou_horario_a_corrigir",
            kind == "horario_divergente",
            kind == "motorista_divergente",
        ],
        [
            SURE_IF_INCONCLUSIVE,
            by_source.astype(np.int64) * filled // 100,
            np.where(rows["odometro_em_volta"], SURE_OF_PHANTOM[True], SURE_OF_PHANTOM[False]),
            by_source.astype(np.int64),
            SURE_OF_TIME,
            SURE_OF_TIME * filled // 100,
            SURE_OF_DRIVER,
        ],
        default=SURE_OF_VEHICLE,
    )


def _odometer_read_around(rows: pd.DataFrame, segments: pd.DataFrame) -> np.ndarray:
    """Whether the vehicle's odometer was read that day before the trip's departure and after its arrival."""
    read = segments[["veiculo", "saida_utc", "chegada_utc"]][segments["situacao_odometro"] == "ok"]
    good = read.groupby("veiculo")
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
        group, hours = coverage.group[vehicle], len(coverage.begins) + 1
        self._window, windows = pd.factorize((group * hours + first) * hours + beyond)
        self._windows = [
            (window // hours**2, slice(window // hours % hours, window % hours))
            for window in windows.tolist()
        ]

    def missing(self, zone: ZoneInfo) -> pd.Series:
        """The hours that are not known, as ` (07h, 08h)`; empty where all are, or none is listed."""
        begins = instants(self._coverage.begins).tz_convert(zone).strftime("%Hh").to_numpy()
        unknown = np.where(self._coverage.known, "", begins)
        every = np.arange(len(self._index))
        return self._of_rows(every, unknown.tolist(), ", ", " ({})").fillna("")

    def evidence(self, rows: np.ndarray) -> pd.Series:
        """Their pages of raw, joined, of the rows at these positions; missing where there is none."""
        return self._of_rows(rows, self._coverage.pages, "; ", "{}")

    def _of_rows(
        self, rows: np.ndarray, texts: Sequence[Sequence[str]], separator: str, around: str
    ) -> pd.Series:
        """For each row, the texts ([group][hour]) of its hours, joined."""
        of_windows = [separator.join(filter(None, texts[group][hours])) for group, hours in self._windows]
        said = pd.array([around.format(some) if some else None for some in of_windows], dtype="str")
        return pd.Series(said.take(self._window[rows]), index=self._index[rows])
