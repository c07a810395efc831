"""Both sides as a test writes them, by the clock of the zone: what matters said, the rest sound."""

from collections.abc import Sequence
from datetime import datetime, time, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pandas as pd

from telemetria_pipeline.contracts.base import TEXT, Column, Contract
from telemetria_pipeline.contracts.boletim import BOLETIM_TRIPS
from telemetria_pipeline.contracts.reference import ACCEPTANCES, DRIVERS, SUBSTITUTIONS, VEHICLES
from telemetria_pipeline.contracts.telemetry import TRIPS
from telemetria_pipeline.core.audit.rules import AuditRules
from telemetria_pipeline.core.audit.trips import AuditedTrips, AuditInputs, validate_trips
from telemetria_pipeline_tests.core.audit import rows
from telemetria_pipeline_tests.core.audit.rows import DAY, PLATE, ZONE, frame_of

DECLARED = Contract("declared", "", (*BOLETIM_TRIPS.columns, Column("arquivo_id", TEXT, "")))
MEASURED = Contract(
    "measured", "", (*TRIPS.columns, *(Column(name, TEXT, "") for name in ("fonte", "raw_key", "raw_sha256")))
)
RULES = AuditRules()


def at(clock: str, day: int = 0) -> datetime:
    """The instant at which clocks of the zone show `clock` (24:00 too), so many days after DAY."""
    hours, minutes = map(int, clock.split(":"))
    return datetime.combine(DAY, time(), ZONE) + timedelta(days=day, hours=hours, minutes=minutes)


def declared(saida: datetime, chegada: datetime, km: float, **said: Any) -> dict[str, Any]:
    return {
        "placa": PLATE,
        "placa_recebida": said.get("placa", PLATE),
        "data": f"{saida:%Y-%m-%d}",
        "horario_saida": "07:00:00",
        "horario_chegada": "08:00:00",
        "km_saida": 1_000.0,
        "km_chegada": 1_000.0 + km,
        "km_declarado": km,
        "motorista": "JOSÉ DA SILVA",
        "empresa": "Viação Teste",
        "turno": "A",
        "saida_utc": saida,
        "chegada_utc": chegada,
        "fuso": str(ZONE),
        "arquivo": "boletim.csv",
        "linha": 2,
        "arquivo_id": "arquivo-1",
        **said,
    }


def measured(saida: datetime, chegada: datetime, km: float, **said: Any) -> dict[str, Any]:
    """A segment by odometer; say `odometro` (km at departure) for one whose readings matter."""
    odometer = said.pop("odometro", 1_000.0)
    return {
        "fonte": rows.SOURCE,
        "transportadora": "API",
        "veiculo_id": "v-1",
        "placa": PLATE,
        "garagem": "Centro",
        "motorista": "JOSE SILVA",
        "saida_utc": saida,
        "chegada_utc": chegada,
        "fuso": str(ZONE),
        "distancia_km": km,
        "distancia_telemetria_km": km,
        "odometro_saida_km": odometer,
        "odometro_chegada_km": odometer + km,
        "fonte_distancia": "odometro",
        "situacao_odometro": "ok",
        "captura": "c1",
        "pagina": 1,
        "registro": 1,
        "raw_key": "raw/pagina-00001.json.zst",
        "raw_sha256": "ab" * 32,
        **said,
    }


def parked(odometer_before: float = 1_000.0, odometer_after: float = 1_000.0) -> list[dict[str, Any]]:
    """Two segments of the days around DAY: the device lives, and the odometer tells what lies between."""
    return [
        measured(at("20:00", -1), at("20:10", -1), 5, odometro=odometer_before - 5),
        measured(at("04:00", 1), at("04:10", 1), 5, odometro=odometer_after),
    ]


def frames(said: Sequence[dict[str, Any]], seen: Sequence[dict[str, Any]], **others: Any) -> AuditInputs:
    declared, segments = frame_of(DECLARED, said), frame_of(MEASURED, seen)
    known = [declared["motorista"], segments["motorista"]]
    known += [others["drivers"]["motorista"]] if others.get("drivers") is not None else []
    names = {name: name for name in pd.concat(known).dropna()}  # each stands for itself
    return AuditInputs(declared, segments, **({"hours": rows.hours(), "names": names} | others))


def audit(
    said: Sequence[dict[str, Any]],
    seen: Sequence[dict[str, Any]],
    rules: AuditRules = RULES,
    days: tuple[int, int] = (0, 1),
    **others: Any,
) -> AuditedTrips:
    """The trips that DAY owns; or from the one day to before the other, counted from DAY."""
    return validate_trips(
        frames(said, seen, **others), at("00:00", days[0]), at("00:00", days[1]), rules, ZONE
    )


def one(said: Sequence[dict[str, Any]], seen: Sequence[dict[str, Any]], **others: Any) -> pd.Series:
    """The only trip of DAY."""
    trips = audit(said, seen, **others).trips
    assert len(trips) == 1
    return trips.iloc[0]


def metres(km: float) -> int:
    """Half up, by decimal arithmetic."""
    return int(Decimal(f"{km * 1_000:.3f}").quantize(Decimal(1), ROUND_HALF_UP))


def vehicles(*said: dict[str, Any]) -> pd.DataFrame:
    plates = [{"placa": PLATE, "placa_recebida": PLATE, **row} for row in said]
    return frame_of(VEHICLES, plates)


def drivers(*said: dict[str, Any]) -> pd.DataFrame:
    return frame_of(DRIVERS, said)


def substitutions(*said: dict[str, Any]) -> pd.DataFrame:
    """One from the beginning of time on; else as said."""
    return frame_of(SUBSTITUTIONS, [{"inicio": "2026-01-01", "motivo": "quebrou", **row} for row in said])


def acceptances(*said: dict[str, Any]) -> pd.DataFrame:
    return frame_of(
        ACCEPTANCES, [{"placa": PLATE, "data": str(DAY), "motivo": "ata perdida", **row} for row in said]
    )
