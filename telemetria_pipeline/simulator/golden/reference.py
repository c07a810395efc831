"""The reference files of the golden month, as somebody keeps them, and the contracts that they hold."""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal

from telemetria_pipeline.simulator.fleet import as_typed
from telemetria_pipeline.simulator.golden.cast import (
    FABULA,
    FULL_SIZE,
    MIRAGEM,
    QUIMERA,
    RESERVE_PLATE,
    SMALL,
    SPOT,
    TARIFFS_CHANGE,
    Member,
    Substitution,
)

FIRST_ROW = 2  # below the titles
SINCE = date(2025, 1, 1)


@dataclass(frozen=True, slots=True)
class Terms:
    """A row of the contracts file: `row` as a spreadsheet counts, money in R$, validity with both ends."""

    row: int
    contract: str
    clause: str
    regime: str
    mode: str
    plate: str | None
    type: str | None
    carrier: str | None
    operation: str | None
    tariff: Decimal
    fixed: Decimal
    free_km: int
    begins: date
    ends: date | None

    def in_force(self, day: date) -> bool:
        """Whether it is in force that day."""
        return self.begins <= day and (self.ends is None or day <= self.ends)

    def is_for(self, member: Member) -> bool:
        """Whether it is for vehicles of this type, carrier and operation."""
        return (
            self.type == member.type
            and self.carrier in (None, member.carrier)
            and self.operation in (None, member.operation)
        )


@dataclass(frozen=True, slots=True)
class InPlace:
    """A row of the register of substitutions: which plate ran in place of which, validity with both ends."""

    plate: str
    substitute: str
    begins: date
    ends: date


def registered_substitutions(cast: Sequence[Member], known: Iterable[Substitution]) -> list[InPlace]:
    """The rows of the register: those that no boletim tells."""
    plates = {m.number: m.vehicle.plate for m in cast}
    return [InPlace(plates[s.broken], plates[s.ran], s.day, s.day) for s in known if not s.in_rows]


def contract_terms(cast: Sequence[Member]) -> list[Terms]:
    """All rows of the contracts file."""
    old, new = TARIFFS_CHANGE - timedelta(days=1), TARIFFS_CHANGE
    city, country = "municipal", "intermunicipal"
    rows = [
        _by_type("CT-0101", "4.1", city, FULL_SIZE, QUIMERA, "AGR", "2.73", "40314.14", ends=old),
        _by_type("CT-0101", "4.1-A", city, FULL_SIZE, QUIMERA, "AGR", "2.8941", "41205.07", begins=new),
        _by_type("CT-0101", "4.2", city, FULL_SIZE, QUIMERA, "IND", "2.9518", "38990.50"),
        _by_type("CT-0202", "3", country, FULL_SIZE, MIRAGEM, None, "3.1017", "36775.33"),
        _by_type("CT-0303", "7.5", country, FULL_SIZE, FABULA, None, "2.6645", "39120.01"),
        _by_type("CT-0404", "2", city, SMALL, None, None, "1.9873", "22871.35", free_km=2_500),
        _spot("SP-0007", RESERVE_PLATE, "4.4", SINCE),
        *(_spot("SP-0008", m.vehicle.plate, "4.105", new) for m in cast if m.number == SPOT),
    ]
    return [replace(terms, row=row) for row, terms in enumerate(rows, start=FIRST_ROW)]


def _by_type(
    contract: str,
    clause: str,
    regime: str,
    type: str,
    carrier: str | None,
    operation: str | None,
    tariff: str,
    fixed: str,
    free_km: int = 0,
    begins: date = SINCE,
    ends: date | None = None,
) -> Terms:
    return Terms(
        0, contract, clause, regime, "contrato", None, type, carrier, operation, Decimal(tariff),
        Decimal(fixed), free_km, begins, ends,
    )  # fmt: skip


def _spot(contract: str, plate: str, tariff: str, begins: date) -> Terms:
    return Terms(
        0, contract, "1", "municipal", "spot", plate, None, None, None, Decimal(tariff), Decimal(0), 0,
        begins, None,
    )  # fmt: skip


def vehicles_file(cast: Sequence[Member]) -> bytes:
    """`vehicles.csv`."""
    titles = (
        "PLACA", "FROTA", "FUSO", "TRANSPORTADORA", "TIPO", "GARAGEM", "ROTA", "OPERAÇÃO", "FONTE", "ENTRADA",
        "SAÍDA",
    )  # fmt: skip
    rows = (
        (
            as_typed(m.vehicle.plate, "vehicles", m.number), m.vehicle.fleet_number, m.vehicle.timezone,
            m.carrier, m.type, m.vehicle.garage, f"Rota {m.number % 7 + 1}", m.operation,
            m.registered_source or "", _day(m.enters), _day(m.leaves),
        )
        for m in cast if m.registered
    )  # fmt: skip
    return _csv(titles, rows)


def drivers_file(cast: Sequence[Member]) -> bytes:
    """`drivers.csv`."""
    rows = ((driver.name, driver.id, m.carrier) for m in cast for driver in m.vehicle.crew)
    return _csv(("MOTORISTA", "MATRÍCULA", "TRANSPORTADORA"), rows)


def contracts_file(cast: Sequence[Member]) -> bytes:
    """`contracts.csv`."""
    titles = (
        "CONTRATO", "CLÁUSULA", "REGIME", "MODALIDADE", "PLACA", "TIPO", "TRANSPORTADORA", "OPERAÇÃO",
        "TARIFA R$/KM", "CUSTO FIXO MENSAL", "FRANQUIA KM", "VIGÊNCIA INÍCIO", "VIGÊNCIA FIM",
    )  # fmt: skip
    rows = (
        (
            t.contract, t.clause, t.regime, t.mode, t.plate or "", t.type or "", (t.carrier or "").upper(),
            t.operation or "", _number(t.tariff), _number(t.fixed), t.free_km, _day(t.begins), _day(t.ends),
        )
        for t in contract_terms(cast)
    )  # fmt: skip
    return _csv(titles, rows)


def substitutions_file(rows: Iterable[InPlace]) -> bytes:
    """`substitutions.csv`."""
    titles = ("PLACA", "SUBSTITUTA", "INÍCIO", "FIM", "MOTIVO")
    return _csv(titles, ((r.plate, r.substitute, _day(r.begins), _day(r.ends), "quebrou") for r in rows))


def _csv(titles: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=";", lineterminator="\r\n")
    writer.writerow(titles)
    writer.writerows(rows)
    return out.getvalue().encode("utf-8-sig")


def _day(day: date | None) -> str:
    return f"{day:%d/%m/%Y}" if day else ""


def _number(value: Decimal) -> str:
    return str(value).replace(".", ",")
