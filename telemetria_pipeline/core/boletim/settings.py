"""What the rules of boletins are told (limits, vehicles, drivers), and how their rows are counted."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from zoneinfo import ZoneInfo

import pandas as pd

from telemetria_pipeline.contracts.base import LONGEST_TRIP_HOURS
from telemetria_pipeline.contracts.boletim_problems import Severity
from telemetria_pipeline.settings import Settings

SAO_PAULO = ZoneInfo("America/Sao_Paulo")

# Codes whose row is typed all the same: whether they stop it is the operator's choice.
ADJUSTABLE = frozenset(
    {
        "DATA_FORA_DO_PERIODO",
        "DATA_LONGE_DO_RECEBIMENTO",
        "DATA_TALVEZ_TROCADA",
        "EQUIPAMENTO_DIVERGENTE",
        "EQUIPAMENTO_VARIA",
        "HORARIO_EM_NUMERO",
        "KM_ROTA_DIFERE",
        "KM_ZERO",
        "MOTORISTA_DESCONHECIDO",
        "ODOMETRO_SALTOU",
        "ODOMETRO_TALVEZ_SEM_MILHAR",
        "ODOMETRO_VIROU",
        "ODOMETRO_VOLTOU",
        "PLACA_DESCONHECIDA",
        "PLACA_FICTICIA",
        "VEICULO_EM_DOIS_ARQUIVOS",
        "VEICULO_EM_DOIS_LUGARES",
        "VELOCIDADE_BAIXA",
        "VELOCIDADE_IMPLAUSIVEL",
    }
)


EarlierTrips = Callable[[pd.DataFrame], pd.DataFrame]
"""Gives the accepted trips of other files (contract BOLETIM_TRIPS) that a file is judged against, without
those that it replaces; it is told the pairs of `placa` and `data` (YYYY-MM-DD) that the file speaks of."""

KnownReadings = Callable[[Sequence[str], date], pd.DataFrame]
"""Gives the last odometers that are known of these vehicles (canonical plates) from before a day: `placa`,
`instante_utc`, `odometro_km`, up to one row for each way of knowing; of a vehicle that nobody knows, none."""


@dataclass(frozen=True)
class RuleSettings:
    """The limits that the rules keep, and whether a file with errors is taken in part.

    `severities` turns a code of `ADJUSTABLE` into an error or a warning, e.g.
    `{"PLACA_DESCONHECIDA": "erro"}`. Raises ValueError for any other code.
    """

    timezone: ZoneInfo = SAO_PAULO
    max_trip_hours: float = LONGEST_TRIP_HOURS
    max_trip_km: float = 2_000
    max_speed_kmh: float = 110
    min_speed_kmh: float = 1
    min_speed_minutes: float = 15
    km_tolerance: float = 1
    overlap_tolerance_s: int = 60
    partial: bool = False
    severities: Mapping[str, Severity] = field(default_factory=dict)
    pseudonym_key: str = field(default="", repr=False)  # see `steps.people`

    @classmethod
    def of(cls, settings: Settings) -> "RuleSettings":
        """The rules as the environment sets them."""
        return cls(
            timezone=settings.timezone,
            partial=settings.boletim_partial,
            severities={"PLACA_DESCONHECIDA": settings.unknown_plate},
            pseudonym_key=settings.pseudonyms,
        )

    def __post_init__(self) -> None:
        wrong = sorted(
            f"{code}={severity}"
            for code, severity in self.severities.items()
            if code not in ADJUSTABLE or severity not in ("erro", "aviso")
        )
        if wrong:
            raise ValueError(
                f"severities: {', '.join(wrong)} cannot be set; "
                f"give 'erro' or 'aviso' to one of {', '.join(sorted(ADJUSTABLE))}"
            )


@dataclass(frozen=True)
class Reference:
    """What is known of vehicles (`placa`, optional `equipamento`, `fuso`) and of drivers (`motorista`)."""

    vehicles: pd.DataFrame | None = None
    drivers: pd.DataFrame | None = None


@dataclass(frozen=True)
class RowCounts:
    """The file's ledger, in rows: received = accepted + duplicate + rejected."""

    received: int = 0
    accepted: int = 0
    duplicate: int = 0
    rejected: int = 0
