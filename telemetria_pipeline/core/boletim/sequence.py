"""Rules between rows: the same trip twice, one vehicle in two places, an odometer that does not continue.

Trips of earlier files take part on equal terms, so that a file is also judged against what came before it.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from telemetria_pipeline.contracts.boletim import BOLETIM_TRIPS
from telemetria_pipeline.core.boletim.cells import Cells
from telemetria_pipeline.core.boletim.findings import Findings
from telemetria_pipeline.core.boletim.kilometres import km_text
from telemetria_pipeline.core.boletim.settings import EarlierTrips, RuleSettings
from telemetria_pipeline.core.boletim.values import br_day, clock_text, iso_day
from telemetria_pipeline.core.sheets.text import SheetText
from telemetria_pipeline.core.telemetry.odometer import MAX_KM_A_DAY, rolled_over

_DAY_S = 86_400
# Seconds since 1970 stay below 2**33 until the year 2242: plate and instant fit one sortable integer.
_INSTANT_BITS = 34


@dataclass(frozen=True)
class Trips:
    """Trips as arrays of one length: plate as a small integer, instants in UTC seconds, odometers in km."""

    plate: np.ndarray
    departure: np.ndarray
    arrival: np.ndarray
    km_out: np.ndarray
    km_in: np.ndarray

    def take(self, at: np.ndarray) -> "Trips":
        """The trips at these places, in this order."""
        return Trips(self.plate[at], self.departure[at], self.arrival[at], self.km_out[at], self.km_in[at])

    def then(self, other: "Trips") -> "Trips":
        """These trips, followed by others."""
        return Trips(
            *(
                np.concatenate([getattr(self, f), getattr(other, f)])
                for f in ("plate", "departure", "arrival", "km_out", "km_in")
            )
        )

    def by_departure(self) -> np.ndarray:
        """The places of the trips, sorted by plate and departure; equals stay in their order."""
        return np.argsort((self.plate.astype(np.int64) << _INSTANT_BITS) | self.departure, kind="stable")


@dataclass(frozen=True)
class Pairs:
    """Places of trips, and beside each the place of the other trip that it is about."""

    at: np.ndarray
    other: np.ndarray


def repeated(trips: Trips, order: np.ndarray) -> Pairs:
    """Trips that repeat one that stands before them: same plate, departure, arrival and odometers."""
    plate, departure = trips.plate[order], trips.departure[order]
    twin = (plate[1:] == plate[:-1]) & (departure[1:] == departure[:-1])
    # Only trips that share plate and departure can repeat one another: few, so the exact look is cheap.
    close = np.unique(np.concatenate([order[1:][twin], order[:-1][twin]]))
    keys = pd.DataFrame(vars(trips.take(close)))
    group = keys.groupby(list(keys.columns), sort=False).ngroup().to_numpy()
    _, first = np.unique(group, return_index=True)
    original = close[first[group]] if len(close) else close
    again = original != close
    return Pairs(close[again], original[again])


def overlapping(trips: Trips, order: np.ndarray, tolerance_s: int) -> Pairs:
    """Trips that depart while the same vehicle is still under way, beside the trip that it is on."""
    if len(order) < 2:
        return Pairs(order[:0], order[:0])
    plate = trips.plate[order].astype(np.int64)
    until = (plate << _INSTANT_BITS) | trips.arrival[order]
    latest = np.maximum.accumulate(until)
    holder = np.maximum.accumulate(np.where(until == latest, np.arange(len(order)), 0))
    before = holder[:-1]
    same = plate[before] == plate[1:]
    under_way = trips.arrival[order][before] - trips.departure[order][1:] > tolerance_s
    found = np.flatnonzero(same & under_way)
    return Pairs(order[found + 1], order[before[found]])


def discontinued(trips: Trips, order: np.ndarray, tolerance_km: float) -> tuple[Pairs, Pairs]:
    """Odometers that went back, and that jumped, since the same vehicle's trip before.

    A jump is more than 2,000 km for each day begun between the two; an odometer that rolled over within that
    did neither. Trips that overlap have no order, and are left out.
    """
    a, b = order[:-1], order[1:]
    comparable = (trips.plate[a] == trips.plate[b]) & (trips.departure[b] >= trips.arrival[a])
    a, b = a[comparable], b[comparable]
    days = np.maximum(1, np.ceil((trips.departure[b] - trips.arrival[a]) / _DAY_S))
    before, after, most = trips.km_in[a], trips.km_out[b], MAX_KM_A_DAY * days
    gap = after - before
    back, jump = (gap < -tolerance_km) & (rolled_over(before, after, most) == 0), gap > most
    return Pairs(b[back], a[back]), Pairs(b[jump], a[jump])


def judge_between_rows(
    cells: Cells,
    sheet: SheetText,
    departure: np.ndarray,
    arrival: np.ndarray,
    earlier: EarlierTrips | None,
    settings: RuleSettings,
    findings: Findings,
) -> np.ndarray:
    """Find duplicates, overlaps and odometers that do not continue; returns the mask of duplicates."""
    rows, letters = sheet.cells.index.to_numpy(), cells.letters
    sound = np.flatnonzero(~findings.bad)
    ours = Trips(cells.ran, departure, arrival, cells.km_out, cells.km_in).take(sound)
    before, known_trips = _earlier_trips(cells, sound, ours, earlier)
    trips, first = before.then(ours), len(before.plate)

    def place(of: int, letter: str | None = None) -> str:
        """Where a trip stands, as a message says it."""
        if of >= first:
            row = rows[sound[of - first]]
            return f"célula {letter}{row}" if letter else f"linha {row}"
        row, name = int(known_trips["linha"].to_numpy()[of]), known_trips["arquivo"].iat[of]
        return f"linha {row} do arquivo {name}"

    def local(at: np.ndarray) -> np.ndarray:
        return sound[at - first]

    order = trips.by_departure()
    again = repeated(trips, order)
    mine = again.at >= first
    original = dict(zip(local(again.at[mine]).tolist(), again.other[mine].tolist(), strict=True))
    known = again.other[mine] < first
    repeats = local(again.at[mine])
    findings.add(
        "LINHA_REPETIDA", None, repeats[~known], lambda i: {"other": str(rows[sound[original[i] - first]])}
    )
    findings.add("LINHA_JA_ENVIADA", None, repeats[known], lambda i: {"other": place(original[i])})
    if len(again.at):
        order = order[~np.isin(order, again.at)]

    clash = overlapping(trips, order, settings.overlap_tolerance_s)
    other = np.full(len(rows), -1)
    # Where another file's trip departs during one of ours, ours is asked about: theirs has had its answer.
    theirs = (clash.at < first) & (clash.other >= first)
    other[local(clash.other[theirs])] = clash.at[theirs]
    mine = clash.at >= first
    other[local(clash.at[mine])] = clash.other[mine]

    def clock_of(i: int, instants: np.ndarray) -> str:
        # Said on the clock of this row, whose offset is the same for both ends of the overlap.
        offset = int(cells.day[i]) * _DAY_S + int(cells.departure_s[i]) - int(departure[i])
        second = int(instants[other[i]]) + offset
        return f"{clock_text(second % _DAY_S)[:5]} de {br_day(second // _DAY_S)}"

    def until(i: int) -> dict[str, object]:
        return {"other": place(int(other[i])), "until": clock_of(i, trips.arrival)}

    at = letters["horario_saida"]
    findings.add("VEICULO_EM_DOIS_LUGARES", at, other >= first, until)
    findings.add(
        "VEICULO_EM_DOIS_ARQUIVOS",
        at,
        (other >= 0) & (other < first),
        lambda i: {**until(i), "since": clock_of(i, trips.departure)},
    )

    back, jump = discontinued(trips, order, settings.km_tolerance)
    for code, pairs in (("ODOMETRO_VOLTOU", back), ("ODOMETRO_SALTOU", jump)):
        mine = pairs.at >= first
        previous = dict(zip(local(pairs.at[mine]).tolist(), pairs.other[mine].tolist(), strict=True))

        def words(i: int, previous: dict[int, int] = previous) -> dict[str, object]:
            reading = float(trips.km_in[previous[i]])
            return {
                "before": km_text(reading),
                "other": place(previous[i], letters["km_chegada"]),
                "said": km_text(float(cells.km_out[i]) - reading),
            }

        findings.add(code, letters["km_saida"], local(pairs.at[mine]), words)
    mask = np.zeros(len(rows), bool)
    mask[repeats] = True
    return mask


def _earlier_trips(
    cells: Cells, sound: np.ndarray, ours: Trips, earlier: EarlierTrips | None
) -> tuple[Trips, pd.DataFrame]:
    """Earlier trips of this file's vehicles, up to its last arrival: as arrays, and the frame's rows."""
    if earlier is None or not len(sound):
        return Trips(*(values[:0] for values in vars(ours).values())), BOLETIM_TRIPS.empty()
    spoken = np.unique(np.stack([cells.plate[sound], cells.day[sound]]), axis=1)
    said = [(cells.plates[plate], iso_day(day)) for plate, day in spoken.T]
    trips = earlier(pd.DataFrame(said, columns=["placa", "data"], dtype="str"))
    code = {plate: number for number, plate in enumerate(cells.plates) if plate}
    plate = trips["placa_substituta"].fillna(trips["placa"]).map(code).to_numpy(dtype=float, na_value=np.nan)
    seconds = {
        name: trips[name].dt.tz_localize(None).to_numpy().astype("datetime64[s]").view(np.int64)
        for name in ("saida_utc", "chegada_utc")
    }
    use = np.flatnonzero(~np.isnan(plate) & (seconds["saida_utc"] <= ours.arrival.max()))
    found = Trips(
        plate[use].astype(cells.ran.dtype),
        seconds["saida_utc"][use],
        seconds["chegada_utc"][use],
        trips["km_saida"].to_numpy()[use],
        trips["km_chegada"].to_numpy()[use],
    )
    return found, trips.iloc[use]
