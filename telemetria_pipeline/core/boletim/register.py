"""A boletim's rows against what is known outside of it: zones, vehicles, drivers, and the file's period."""

from datetime import date

import numpy as np
import pandas as pd

from telemetria_pipeline.core.boletim.cells import Cells
from telemetria_pipeline.core.boletim.findings import Findings
from telemetria_pipeline.core.boletim.period import period_of_days, period_of_name
from telemetria_pipeline.core.boletim.settings import Reference, RuleSettings
from telemetria_pipeline.core.boletim.swapped import FAR_DAYS
from telemetria_pipeline.core.boletim.values import NO_DAY, br_day, day_number
from telemetria_pipeline.core.names import plain_name

_DAY_S, _HOUR_S = 86_400, 3_600


def zones_of(cells: Cells, reference: Reference, settings: RuleSettings) -> tuple[list[str], np.ndarray]:
    """The zones that occur, and for each row which of them its clocks are read in."""
    default = str(settings.timezone)
    vehicles = reference.vehicles
    if vehicles is None or "fuso" not in vehicles or not len(vehicles):
        return [default], np.zeros(len(cells.plate), np.int32)
    known = vehicles.dropna(subset=["placa", "fuso"]).set_index("placa")["fuso"].to_dict()
    names = sorted({default, *known.values()})
    of_plates = np.array([names.index(known.get(p, default)) for p in cells.plates], np.int32)
    return names, np.append(of_plates, np.int32(names.index(default)))[cells.plate]


def instants(cells: Cells, zones: tuple[list[str], np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Departure and arrival in UTC seconds since 1970 (0 where unknown)."""
    names, zone = zones
    known = (cells.day != NO_DAY) & (cells.arrival_s >= 0) & (cells.departure_s >= 0)
    midnight = np.where(known, cells.day, 0).astype(np.int64) * _DAY_S
    departure = midnight + np.where(known, cells.departure_s, 0)
    arrival = midnight + np.where(known, cells.arrival_s, 0)
    if not known.any():
        return departure * 0, arrival * 0
    first = int(departure[known].min()) // _HOUR_S
    hours = np.arange(first, int(arrival[known].max()) // _HOUR_S + 1)
    offsets = np.stack([_utc_offsets(hours, name) for name in names])

    def utc(local: np.ndarray) -> np.ndarray:
        hour = np.where(known, local // _HOUR_S - first, 0)
        return np.where(known, local - offsets[zone, hour], 0)

    return utc(departure), utc(arrival)


def _utc_offsets(hours: np.ndarray, zone: str) -> np.ndarray:
    """Seconds that the zone is ahead of UTC in each local hour (hours since 1970).

    Clocks change at whole hours. In an hour that is there twice, the later one counts; one that was skipped
    is read on the clock as it was before.
    """
    local = hours * _HOUR_S
    stamps = pd.DatetimeIndex(local.astype("datetime64[s]")).tz_localize(
        zone, ambiguous=np.zeros(len(hours), bool), nonexistent=pd.Timedelta(hours=1)
    )
    utc = stamps.tz_convert("UTC").tz_localize(None).to_numpy().astype("datetime64[s]").view(np.int64)
    return local - utc


def _bare_equipment(text: str) -> str:
    return text.strip().upper().removesuffix(".0").lstrip("0")


def judge_against_reference(cells: Cells, reference: Reference, findings: Findings) -> None:
    """Note plates, fleet numbers and drivers that the reference tables do not know, or know otherwise."""
    vehicles, drivers, letters = reference.vehicles, reference.drivers, cells.letters
    registered: dict[str, str] = {}
    if vehicles is not None and len(vehicles):
        known = set(vehicles["placa"].dropna())
        strange = np.append(np.array([bool(p) and p not in known for p in cells.plates], bool), False)
        findings.add("PLACA_DESCONHECIDA", letters["placa"], strange[cells.plate])
        if "placa_substituta" in letters:
            substitute = strange[cells.ran] & (cells.ran != cells.plate)
            findings.add("PLACA_DESCONHECIDA", letters["placa_substituta"], substitute)
        if "equipamento" in vehicles:
            registered = dict(
                vehicles.dropna(subset=["placa", "equipamento"])[["placa", "equipamento"]].values
            )
    if cells.equipment is not None:
        _equipment(cells, registered, findings)
    if drivers is not None and len(drivers) and cells.driver is not None:
        names = {plain_name(n) for n in drivers["motorista"].dropna()}
        strange = np.array([plain_name(n) not in names for n in cells.driver.texts], bool)
        findings.add("MOTORISTA_DESCONHECIDO", letters["motorista"], cells.driver.rows(strange, False))


def _equipment(cells: Cells, registered: dict[str, str], findings: Findings) -> None:
    """The fleet number must be the registered one; without a register, the one that the plate mostly has.

    Where another vehicle ran it may be that one's, and is not asked about.
    """
    assert cells.equipment is not None
    bare = [_bare_equipment(t) for t in cells.equipment.texts]
    both = (cells.plate >= 0) & (cells.equipment.codes >= 0) & (cells.ran == cells.plate)
    back, pairs = pd.factorize(cells.plate[both].astype(np.int64) * len(bare) + cells.equipment.codes[both])
    counts = np.bincount(back, minlength=len(pairs))
    usual: dict[str, tuple[int, str]] = {}
    said = [(cells.plates[p // len(bare)], bare[p % len(bare)]) for p in pairs.tolist()]
    for (plate, equipment), count in zip(said, counts.tolist(), strict=True):
        usual[plate] = max(usual.get(plate, (0, "")), (count, equipment))
    at = np.flatnonzero(both)
    wrong = np.array([p in registered and _bare_equipment(registered[p]) != e for p, e in said], bool)
    varies = np.array([p not in registered and usual[p][1] != e for p, e in said], bool)
    findings.add(
        "EQUIPAMENTO_DIVERGENTE",
        cells.letters["equipamento"],
        at[wrong[back]],
        lambda i: {
            "plate": cells.plates[cells.plate[i]],
            "registered": registered[cells.plates[cells.plate[i]]],
        },
    )
    findings.add(
        "EQUIPAMENTO_VARIA",
        cells.letters["equipamento"],
        at[varies[back]],
        lambda i: {"plate": cells.plates[cells.plate[i]], "usual": usual[cells.plates[cells.plate[i]]][1]},
    )


def judge_period(cells: Cells, file_name: str, received_on: date, findings: Findings) -> None:
    """Note dates that may have day and month exchanged, that lie outside the period of the file (as its name
    says or, without one, most rows show), or long before the file came; of each the first that holds."""
    letter, day = cells.letters["data"], cells.day
    today = day_number(received_on)
    asked = (day != NO_DAY) & (day <= today)  # of one in the future the sender has been told
    exchanged = asked & (cells.maybe_day != NO_DAY)
    findings.add(
        "DATA_TALVEZ_TROCADA",
        letter,
        exchanged,
        lambda i: {"said": br_day(day[i]), "fixed": br_day(cells.maybe_day[i])},
    )
    asked &= ~exchanged
    if period := period_of_name(file_name) or period_of_days(day[day != NO_DAY]):
        first, last = period
        outside = asked & ((day < first) | (day > last))
        findings.add(
            "DATA_FORA_DO_PERIODO",
            letter,
            outside,
            lambda i: {"said": br_day(day[i]), "period": f"{br_day(first)} a {br_day(last)}"},
        )
        asked &= ~outside
    findings.add(
        "DATA_LONGE_DO_RECEBIMENTO",
        letter,
        asked & (day < today - FAR_DAYS),
        lambda i: {"said": br_day(day[i]), "days": today - int(day[i]), "received": br_day(today)},
    )
