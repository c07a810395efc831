"""A carrier told record by record, and a boletim typed row by row: from raw payload to the bill."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

import pandas as pd

from telemetria_pipeline.business_calendar import Cycle
from telemetria_pipeline.carriers.client import CarrierClient
from telemetria_pipeline.carriers.profile import Profile
from telemetria_pipeline.contracts import Contract
from telemetria_pipeline.contracts.reference import CONTRACTS, VEHICLES
from telemetria_pipeline.core.boletim.settings import Reference, RuleSettings
from telemetria_pipeline.settings import Settings
from telemetria_pipeline.steps.audit_day import audit_day
from telemetria_pipeline.steps.boletim_files import read_file_manifest
from telemetria_pipeline.steps.capture import capture_hour
from telemetria_pipeline.steps.cycle import bill_cycle
from telemetria_pipeline.steps.intake import archive_file, judge_file, landed_files, receive_file
from telemetria_pipeline.steps.publish import publish_hour
from telemetria_pipeline.storage import Lake, ObjectStore
from telemetria_pipeline_tests.carriers.conftest import TOKEN, Answer, Server, make_profile
from telemetria_pipeline_tests.core.audit.rows import ZONE
from telemetria_pipeline_tests.core.billing.bills import CYCLE, terms, vehicle
from telemetria_pipeline_tests.core.boletim.rows import csv_of
from telemetria_pipeline_tests.defs.cycles import put
from telemetria_pipeline_tests.one_source import CALENDAR

SETTINGS = Settings.load()
THURSDAY = date(2026, 3, 5)
FIELDS = {
    "veiculo_id": "v", "placa_recebida": "p", "saida_utc": "s", "chegada_utc": "e", "motorista": "d",
    "distancia_telemetria_km": "km", "odometro_saida_km": "o", "odometro_chegada_km": "a",
}  # fmt: skip


@dataclass
class Bus:
    """What one vehicle's API and its drivers tell: its odometer goes on from trip to trip."""

    plate: str
    device: str = ""
    odometer: float = 52_000.0
    claimed: float = 1_000.0  # the odometer as the sheets have it
    records: list[dict] = field(default_factory=list)
    rows: list[dict] = field(default_factory=list)

    def drive(
        self, day: int, hour: int, km: float, said: float | None = None, tracker: float | None = None
    ) -> None:
        """Be heard driving, and declare it; `said` and `tracker`: where sheet and tracker have other km."""
        self.declare(day, hour, said or km)
        self.hear(day, hour, km, tracker=tracker or km)

    def hear(self, day: int, hour: float, km: float, minutes: int = 50, **said: object) -> None:
        """Be heard driving; `said` replaces fields of the record: `tracker`, `odometer` (False: none),
        `driver`."""
        departure = at(day, hour)
        record = {
            "v": self.device or self.plate.lower(),
            "p": self.plate,
            "s": departure.isoformat(),
            "e": (departure + timedelta(minutes=minutes)).isoformat(),
            "d": said.get("driver", "JOSE DA SILVA"),
            "km": said.get("tracker", km),
            "o": self.odometer,
            "a": self.odometer + km,
        }
        self.records.append(record | ({"o": None, "a": None} if said.get("odometer") is False else {}))
        self.odometer += km

    def declare(self, day: int, hour: float, km: float, minutes: int = 50, out: float | None = None) -> None:
        """Claim a trip; `out`: its first odometer, where the sheet's does not go on."""
        departure, first = at(day, hour), self.claimed if out is None else out
        self.rows.append(
            {
                "PLACA": self.plate,
                "DATA": f"{departure:%d/%m/%Y}",
                "HORÁRIO SAÍDA": f"{departure:%H:%M}",
                "HORÁRIO CHEGADA": f"{departure + timedelta(minutes=minutes):%H:%M}",
                "KM SAÍDA": f"{first:.1f}".replace(".", ","),
                "KM CHEGADA": f"{first + km:.1f}".replace(".", ","),
                "MOTORISTA": "JOSÉ DA SILVA",
                "EMPRESA": "Viação Teste",
            }
        )
        self.claimed = first + km


def at(day: int, hour: float) -> datetime:
    """So many days after Thursday, at an hour of the contract's clock: 7.5 is half past seven."""
    first = datetime(THURSDAY.year, THURSDAY.month, THURSDAY.day, tzinfo=ZONE)
    return first + timedelta(days=day, minutes=round(hour * 60))


class World:
    """A carrier on a socket, a lake, an inbox, and the steps from one to the other."""

    def __init__(self, folder: str, plates: Iterable[str]) -> None:
        self.lake, self.inbox = Lake.open(f"file:{folder}/lake"), ObjectStore.open(f"file:{folder}/inbox")
        self.profile: Profile = make_profile(fields=FIELDS)
        put(self.lake, VEHICLES, *(vehicle(plate) for plate in plates))
        put(self.lake, CONTRACTS, terms())

    def hear(self, buses: list[Bus], first: int, last: int, missing: tuple[datetime, ...] = ()) -> None:
        """Capture and publish every hour of these days, but those `missing`."""
        by_hour: dict[datetime, list[dict]] = {}
        for record in (r for bus in buses for r in bus.records):
            hour = datetime.fromisoformat(record["s"]).replace(minute=0)
            by_hour.setdefault(hour, []).append(record)
        told: list[dict] = []
        server = Server(lambda asked: Answer({"data": told}))
        with CarrierClient(self.profile, server.url, TOKEN, sleep=lambda s: None) as client:
            for day in range(first, last + 1):
                for hour in CALENDAR.hours_of(THURSDAY + timedelta(days=day), "main"):
                    told = by_hour.get(hour.start, [])
                    if hour.start not in missing:
                        capture = capture_hour(self.lake, client, self.profile, hour, "run")
                        publish_hour(self.lake, hour, *capture)
        server.close()

    def take(self, name: str, rows: list[dict]) -> str:
        """Take a boletim in; its verdict."""
        self.inbox.put(name, csv_of(*rows))
        file = next(f.file_id for f in landed_files(self.inbox) if f.key == name)
        received = receive_file(self.lake, self.inbox, file)
        judged = judge_file(self.lake, received, RuleSettings.of(SETTINGS), Reference())
        archive_file(self.lake, self.inbox, judged, received.data)
        manifest = read_file_manifest(self.lake, file)
        assert manifest
        return str(manifest.verdict)

    def audit(self, first: int, last: int) -> None:
        for day in range(first, last + 1):
            audit_day(self.lake, THURSDAY + timedelta(days=day), SETTINGS)

    def bill(self, cycle: Cycle = CYCLE) -> None:
        bill_cycle(self.lake, cycle, SETTINGS)

    def table(self, contract: Contract, cycle: Cycle = CYCLE) -> pd.DataFrame:
        return contract.frame(self.lake.read_table(contract.name, cycle.partition))

    def of(self, bus: Bus, contract: Contract, cycle: Cycle = CYCLE) -> list[dict]:
        found = self.table(contract, cycle)
        return found[found["veiculo"] == bus.plate].to_dict("records")
