"""What a perfect ingest of some hours holds, as of an instant: one row a trip, under the canonical names."""

import json
import math
from collections import Counter
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path

from telemetria_pipeline.simulator.dialects import Dialect
from telemetria_pipeline.simulator.records import Carrier, instant

UNIT_FACTORS = tuple(f for slip in (1000, 10, 1.609) for f in (slip, 1 / slip))


@dataclass(frozen=True, slots=True)
class TrueTrip:
    """A finished trip as it should stand in `telemetry_trips`; instants in UTC, None what the API hides."""

    veiculo_id: str
    placa: str | None
    equipamento: str | None
    garagem: str | None
    motorista_id: str | None
    saida_utc: datetime
    chegada_utc: datetime
    distancia_km: float
    fonte_distancia: str
    situacao_odometro: str
    distancia_telemetria_km: float
    id_origem: str | None


def true_trips(
    dialect: Dialect, carrier: Carrier, start: datetime, end: datetime, as_of: datetime
) -> list[TrueTrip]:
    """The trips that depart in [start, end) and are shown as finished, in their last version."""

    def shown(column: str, value: str) -> str | None:
        return None if column in dialect.hides else value

    rows = []
    for trip in carrier.trips(start, end):
        story = carrier.story(trip)
        for record_id, _, reading in dialect.versions(story, as_of)[-1:]:
            left, arrived = reading.odometer_departure_m, reading.odometer_arrival_m
            telemetry_km = dialect.reported_km(reading.distance_m)
            status = odometer_status(left, arrived, telemetry_km, reading.arrival - trip.departure)
            odometer_km = (arrived - left) / 1000 if left and arrived and status == "ok" else None
            rows.append(
                TrueTrip(
                    veiculo_id=dialect.vehicle_id(trip.vehicle),
                    placa=shown("placa", trip.vehicle.plate),
                    equipamento=shown("equipamento", trip.vehicle.fleet_number),
                    garagem=shown("garagem", trip.vehicle.garage),
                    motorista_id=None if "null_driver" in story.faults else dialect.driver_id(trip.driver),
                    saida_utc=trip.departure,
                    chegada_utc=reading.arrival,
                    distancia_km=telemetry_km if odometer_km is None else odometer_km,
                    fonte_distancia="telemetria" if odometer_km is None else "odometro",
                    situacao_odometro=status,
                    distancia_telemetria_km=telemetry_km,
                    id_origem=shown("id_origem", dialect.record_id(record_id)),
                )
            )
    return rows


def running_per_hour(
    dialect: Dialect, carrier: Carrier, start: datetime, end: datetime, as_of: datetime
) -> dict[datetime, int]:
    """How many trips of each hour (by departure; hours without any are left out) show as running."""
    return dict(
        Counter(
            trip.departure.replace(minute=0, second=0)
            for trip in carrier.trips(start, end)
            if dialect.is_running(carrier.story(trip), as_of)
        )
    )


def odometer_status(
    departure_m: int | None, arrival_m: int | None, telemetry_km: float, duration: timedelta
) -> str:
    """What two odometer readings (metres) are worth: ausente, virada, regressao, unidade, salto or ok."""
    if not departure_m or not arrival_m:
        return "ausente"
    left, arrived = departure_m / 1000, arrival_m / 1000
    if arrived < left:
        wraps = any(0.95 * wrap <= left <= wrap and arrived <= 0.05 * wrap for wrap in (1e5, 1e6))
        return "virada" if wraps else "regressao"
    driven = arrived - left
    if telemetry_km >= 1 and any(abs(driven / telemetry_km / f - 1) <= 0.02 for f in UNIT_FACTORS):
        return "unidade"
    days = max(math.ceil(duration / timedelta(days=1)), 1)
    return "salto" if driven > 2000 * days else "ok"


def write_truth(path: Path, trips: list[TrueTrip]) -> None:
    """The rows as JSON Lines, instants as `2026-03-10T07:03:12Z`; an existing file is replaced whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = (
        json.dumps({k: instant(v) if isinstance(v, datetime) else v for k, v in asdict(trip).items()},
                   ensure_ascii=False)
        for trip in trips
    )  # fmt: skip
    unfinished = path.with_name(path.name + ".part")
    unfinished.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    unfinished.replace(path)
