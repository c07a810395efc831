"""Boletins as a depot of the simulated carrier would send them: the fleet's trips, typed into a sheet."""

import csv
import io
from collections.abc import Iterable
from zoneinfo import ZoneInfo

from openpyxl import Workbook

from telemetria_pipeline.simulator.fleet import Trip

HEADERS = (
    "NUMERO ATA", "PLACA", "FROTA", "DATA", "LOCAL SAÍDA", "HORÁRIO SAÍDA", "LOCAL CHEGADA",
    "HORÁRIO CHEGADA", "KM INICIAL", "KM FINAL", "MOTORISTA", "EMPRESA",
)  # fmt: skip


def declared(trips: Iterable[Trip], carrier: str) -> list[list[str | float]]:
    """A row a trip, as somebody types it: local clock, odometers to a tenth of a kilometre."""
    rows: list[list[str | float]] = []
    for number, trip in enumerate(sorted(trips, key=lambda t: (t.vehicle.plate, t.departure)), start=1):
        zone = ZoneInfo(trip.vehicle.timezone)
        left, arrived = trip.departure.astimezone(zone), trip.arrival.astimezone(zone)
        rows.append(
            [
                f"{number:04d}", trip.vehicle.plate, trip.vehicle.fleet_number, f"{left:%d/%m/%Y}",
                trip.origin, f"{left:%H:%M:%S}", trip.destination, f"{arrived:%H:%M:%S}",
                round(trip.odometer_departure_m / 1000, 1), round(trip.odometer_arrival_m / 1000, 1),
                trip.driver.name, carrier,
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
    book = Workbook()
    sheet = book.worksheets[0]
    sheet.title = "Boletim"
    sheet.append([title])
    sheet.append(list(HEADERS))
    total = 0.0
    for row in map(list, rows):
        sheet.append(row)
        total += float(row[9]) - float(row[8])
    sheet.append(["Total Geral", *[None] * 8, round(total, 1)])
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()
