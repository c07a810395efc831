"""Boletins as a depot of the simulated carrier would send them: trips, typed into a sheet."""

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from xlsxwriter import Workbook

from telemetria_pipeline.simulator.fleet import Trip

HEADERS = (
    "NUMERO ATA", "PLACA", "FROTA", "DATA", "LOCAL SAÍDA", "HORÁRIO SAÍDA", "LOCAL CHEGADA",
    "HORÁRIO CHEGADA", "KM INICIAL", "KM FINAL", "MOTORISTA", "EMPRESA", "TURNO",
    "PLACA SUBSTITUTA",
)  # fmt: skip

TURNS_M = 1_000_000_000
"""An odometer of six digits begins anew after 999,999 km."""

Row = list[str | float]


@dataclass(frozen=True, slots=True)
class DeclaredTrip:
    """A row of a boletim before it is typed: instants in UTC, read on the clocks of `timezone`; metres.

    `typed_plate` is how the plate is written; `plate` its Mercosul form. `substitute` is the plate that ran
    in its place, where the row says so.
    """

    plate: str
    typed_plate: str
    fleet_number: str
    timezone: str
    departure: datetime
    arrival: datetime
    origin: str
    destination: str
    km_out_m: int
    km_in_m: int
    driver: str
    company: str
    shift: str = ""
    substitute: str = ""

    @property
    def distance_m(self) -> int:
        """What it claims; the odometer may have passed its last digit."""
        return (self.km_in_m - self.km_out_m) % TURNS_M


def honest(trip: Trip, company: str) -> DeclaredTrip:
    """The trip as it was, with odometers to a tenth of a kilometre."""
    return DeclaredTrip(
        plate=trip.vehicle.plate,
        typed_plate=trip.vehicle.plate,
        fleet_number=trip.vehicle.fleet_number,
        timezone=trip.vehicle.timezone,
        departure=trip.departure,
        arrival=trip.arrival,
        origin=trip.origin,
        destination=trip.destination,
        km_out_m=round(trip.odometer_departure_m, -2),
        km_in_m=round(trip.odometer_arrival_m, -2),
        driver=trip.driver.name,
        company=company,
    )


def declared(trips: Iterable[Trip], carrier: str) -> list[Row]:
    """A row a trip, without any invention."""
    return typed(honest(trip, carrier) for trip in trips)


def typed(trips: Iterable[DeclaredTrip]) -> list[Row]:
    """A row a trip, by plate and departure, as somebody types it: local clocks, odometers in km."""
    rows: list[Row] = []
    for number, trip in enumerate(sorted(trips, key=lambda t: (t.plate, t.departure)), start=1):
        zone = ZoneInfo(trip.timezone)
        left, arrived = trip.departure.astimezone(zone), trip.arrival.astimezone(zone)
        rows.append(
            [
                f"{number:04d}", trip.typed_plate, trip.fleet_number, f"{left:%d/%m/%Y}", trip.origin,
                _clock(left), trip.destination, _clock(arrived), trip.km_out_m / 1000, trip.km_in_m / 1000,
                trip.driver, trip.company, trip.shift, trip.substitute,
            ]
        )  # fmt: skip
    return rows


def as_csv(rows: Iterable[Iterable[str | float]]) -> bytes:
    """As Brazilian Excel saves it: semicolons, decimal commas, Windows-1252."""
    out = io.StringIO()
    writer = csv.writer(out, delimiter=";", lineterminator="\r\n")
    writer.writerow(HEADERS)
    writer.writerows([str(v).replace(".", ",") if isinstance(v, float) else v for v in row] for row in rows)
    return out.getvalue().encode("cp1252")


def as_xlsx(rows: Iterable[Iterable[str | float]], title: str) -> bytes:
    """As a depot keeps it: a title above the header, and a total below the rows."""
    trips = [list(row) for row in rows]
    total = sum(float(row[9]) - float(row[8]) for row in trips)
    out = io.BytesIO()
    with Workbook(out, {"in_memory": True, "strings_to_formulas": False}) as book:
        sheet = book.add_worksheet("Boletim")
        for number, row in enumerate([[title], list(HEADERS), *trips]):
            sheet.write_row(number, 0, row)
        sheet.write_row(len(trips) + 2, 0, ["Total Geral", *[None] * 8, round(total, 1)])
    return out.getvalue()


def _clock(when: datetime) -> str:
    return f"{when:%H:%M}" if when.second == 0 else f"{when:%H:%M:%S}"
