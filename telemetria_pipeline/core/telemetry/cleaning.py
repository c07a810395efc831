"""From a carrier's mapped records to the trips that an hour owns; every row meets exactly one fate."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import pandas as pd

from telemetria_pipeline.contracts.telemetry import QUARANTINE, TRIPS
from telemetria_pipeline.core.distinct import by_distinct
from telemetria_pipeline.core.plates import canonical_plates
from telemetria_pipeline.core.telemetry.ledger import Ledger
from telemetria_pipeline.core.telemetry.odometer import MAX_KM_A_DAY, measured_distance, started_days
from telemetria_pipeline.core.telemetry.window import outside_window

FUTURE_TOLERANCE = timedelta(minutes=5)
# What tells a version from a copy.
_VERSION = ("id_origem", "atualizado_utc", "em_andamento", "chegada_utc", "distancia_km")


NOT_ASKED = "fora_do_pedido"
"""Why a row of another time than was asked for is no trip of the hour."""
_NAMES = ["placa", "equipamento", "veiculo_id"]


@dataclass(frozen=True)
class CleanedHour:
    """The hour's trips (contract `TRIPS`), all other rows (contract `QUARANTINE`), and the count.

    `unheard`: the vehicles that the hour says nothing of, not even that they stood (see `unheard_vehicles`).
    """

    trips: pd.DataFrame
    quarantine: pd.DataFrame
    ledger: Ledger
    unheard: pd.DataFrame | None = None


def unheard_vehicles(mapped: pd.DataFrame) -> pd.DataFrame:
    """`placa`, `equipamento`, `veiculo_id` of vehicles, one row each, from what their trips would say.

    Args:
        mapped: under contract `MAPPED_TRIPS`.
    """
    named = mapped.assign(
        placa=canonical_plates(mapped["placa_recebida"]), veiculo_id=mapped["veiculo_id"].fillna("")
    )
    return named[_NAMES].drop_duplicates()


def clean_trips(
    mapped: pd.DataFrame,
    *,
    start: datetime,
    end: datetime,
    captured_at: datetime,
    capture: str,
    asked: tuple[datetime, datetime] | None = None,
    natural_key: Sequence[str] = TRIPS.key,
) -> CleanedHour:
    """Judge each received row and type the accepted ones.

    An hour owns the trips that depart in it. Rows with the same natural key are versions of one trip, and
    so are rows of the same vehicle and departure: of several versions a finished one beats a running one,
    then the last updated, then the last received.

    Args:
        mapped: records under contract `MAPPED_TRIPS`, one row a record.
        start: first instant of the hour; `end`: first instant after it (both aware).
        captured_at: when the carrier answered; what lies more than 5 minutes after it is the future.
        capture: the capture's id, kept with each row.
        asked: the window that the carrier was asked for (None: the hour), see `outside_window`.
        natural_key: columns that name a trip when the carrier issues it again.
    """
    if mapped.empty:
        return CleanedHour(TRIPS.empty(), QUARANTINE.empty(), Ledger(0, 0, 0, 0, 0, 0))
    rows = _within_bounds(mapped)
    rows = rows.assign(captura=capture, **measured_distance(rows))
    fate, reason = _fates(rows, pd.Timestamp(start), pd.Timestamp(end), pd.Timestamp(captured_at))
    astray = outside_window(rows, *(asked or (start, end)))
    reason[astray & (fate == "fora_da_janela")] = NOT_ASKED
    for key in dict.fromkeys((tuple(natural_key), TRIPS.key)):
        _set_older_versions_aside(rows, fate, reason, list(key))
    running = (fate == "aceita") & rows["em_andamento"].to_numpy()
    fate[running], reason[running] = "em_andamento", "sem_chegada"
    counts = pd.Series(fate).value_counts()
    ledger = Ledger(
        received=len(mapped),
        accepted=int(counts.get("aceita", 0)),
        duplicate=int(counts.get("duplicada", 0)),
        rejected=int(counts.get("rejeitada", 0)),
        out_of_window=int(counts.get("fora_da_janela", 0)),
        in_progress=int(counts.get("em_andamento", 0)),
    )
    rest = fate != "aceita"
    accepted = rows[~rest]
    trips = accepted.assign(
        placa=canonical_plates(accepted["placa_recebida"]), motorista=driver_names(accepted["motorista"])
    ).sort_values(["saida_utc", "veiculo_id"], kind="stable")
    return CleanedHour(
        trips[TRIPS.names].reset_index(drop=True),
        _quarantine(rows[rest], fate[rest], reason[rest]),
        ledger,
        unheard_vehicles(rows[_unheard(rows, fate, astray)]),
    )


def _unheard(rows: pd.DataFrame, fate: np.ndarray, astray: np.ndarray) -> np.ndarray:
    """The rows (bool) of vehicles that the hour says nothing of.

    A trip of theirs could not be read, and none that could was under way at the time; or all their trips are
    of another time than was asked for.
    """
    unread = (fate == "rejeitada") & rows["ilegivel"].notna().to_numpy()
    span = ["veiculo_id", "saida_utc", "chegada_utc"]
    both = (
        rows[unread].reset_index()[["index", *span[:2]]].merge(rows.loc[fate == "aceita", span], on=span[0])
    )
    twin = both["saida_utc_x"].between(both["saida_utc_y"], both["chegada_utc"])
    unread[both.loc[twin, "index"].unique()] = False
    dated = rows["saida_utc"].notna().to_numpy()
    ids = rows["veiculo_id"].fillna("")
    elsewhere = pd.Series(astray | ~dated).groupby(ids.to_numpy()).transform("all").to_numpy()
    return unread | (astray & elsewhere)


def _quarantine(rows: pd.DataFrame, fate: np.ndarray, reason: np.ndarray) -> pd.DataFrame:
    if rows.empty:
        return QUARANTINE.empty()
    said = {"situacao": fate, "motivo": reason}
    told = rows.assign(**{n: pd.Series(v, index=rows.index, dtype="str") for n, v in said.items()})
    return told[QUARANTINE.names].reset_index(drop=True)


def _fates(
    rows: pd.DataFrame, start: pd.Timestamp, end: pd.Timestamp, captured_at: pd.Timestamp
) -> tuple[np.ndarray, np.ndarray]:
    """What becomes of each row, and why; the first rule that applies decides."""
    departure, arrival, distance = rows["saida_utc"], rows["chegada_utc"], rows["distancia_km"]
    running = rows["em_andamento"]
    latest = captured_at + FUTURE_TOLERANCE
    future = (departure > latest) | (arrival > latest)  # no hour of its own will ever ask for it
    outside = (departure < start) | (departure >= end)
    rules = [
        # First, so that of a carrier that lists whole days each row is judged in its own hour only.
        ("fora_da_janela", "saida_fora_da_hora", outside & ~future),
        ("rejeitada", "veiculo_ausente", rows["veiculo_id"].isna()),
        ("rejeitada", "saida_ausente", departure.isna()),
        ("rejeitada", "no_futuro", future),
        ("rejeitada", "chegada_ausente", arrival.isna() & ~running),
        ("rejeitada", "chegada_antes_da_saida", (arrival < departure) & ~running),
        ("rejeitada", "distancia_ausente", distance.isna() & ~running),
        ("rejeitada", "distancia_implausivel", (distance > MAX_KM_A_DAY * started_days(rows)) & ~running),
    ]
    masks = [mask.to_numpy() for _, _, mask in rules]
    fate = np.select(masks, [f for f, _, _ in rules], default="aceita").astype(object)
    reason = np.select(masks, [r for _, r, _ in rules], default="").astype(object)

    return fate, reason


def _set_older_versions_aside(
    rows: pd.DataFrame, fate: np.ndarray, reason: np.ndarray, key: list[str]
) -> None:
    """Of the rows still accepted, mark all but the last version of each key (a missing key names nothing)."""
    # A version that departs in another hour counts as well: there, too, only one of them is a trip.
    valid = rows[(fate == "aceita") | (fate == "fora_da_janela")].dropna(subset=key)
    valid = valid[valid.duplicated(key, keep=False)]
    if valid.empty:
        return
    order = valid.assign(_finished=~valid["em_andamento"]).sort_values(
        ["_finished", "atualizado_utc", "pagina", "registro"], kind="stable", na_position="first"
    )
    older = order[order.duplicated(key, keep="last")]
    older = older[fate[rows.index.get_indexer(older.index)] == "aceita"]
    if older.empty:
        return
    last = order.drop_duplicates(key, keep="last")
    kept = older[key].merge(last, on=key, how="left", validate="many_to_one")
    same = np.all(
        [_equal(older[c].reset_index(drop=True), kept[c]) for c in _VERSION if c not in key], axis=0
    )
    at = rows.index.get_indexer(older.index)
    fate[at], reason[at] = "duplicada", np.where(same, "copia", "versao_anterior")


def _equal(left: pd.Series, right: pd.Series) -> np.ndarray:
    return ((left == right) | (left.isna() & right.isna())).to_numpy(dtype=bool)


def _within_bounds(mapped: pd.DataFrame) -> pd.DataFrame:
    """Measured values outside the contract's bounds become missing and are named in `ilegivel`."""
    rows = mapped.reset_index(drop=True)
    for column in TRIPS.columns:
        if column.ge is None or column.name not in rows or column.required:
            continue
        values = rows[column.name]
        bad = values < column.ge
        if bad.any():
            said = values[bad].map(lambda v, name=column.name: f"{name}={v:g}")
            before = rows.loc[bad, "ilegivel"]
            rows.loc[bad, "ilegivel"] = (before + "; " + said).where(before.notna(), said)
            rows.loc[bad, column.name] = np.nan
    return rows


def driver_names(names: pd.Series) -> pd.Series:
    """Drivers' names in one form: NFC, single spaces, upper case, accents kept."""
    return by_distinct(names, lambda n: n.str.normalize("NFC").str.split().str.join(" ").str.upper())
