"""The reference tables: the vehicles and drivers that boletins and telemetry are held against."""

from telemetria_pipeline.contracts.base import TEXT, Column, Contract
from telemetria_pipeline.contracts.telemetry import PLACA_PATTERN

OPERATIONS = ("AGR", "IND")

VEHICLES = Contract(
    "vehicles",
    "The vehicles under contract, one row a vehicle.",
    (
        Column(
            "placa",
            TEXT,
            "Number plate in its Mercosul form; the key that plates are matched on",
            required=True,
            pattern=PLACA_PATTERN,
        ),
        Column("placa_recebida", TEXT, "Number plate as it stands in the file", required=True),
        Column("equipamento", TEXT, "Fleet number"),
        Column("fuso", TEXT, "IANA time zone in which its clocks are read; none: the contract's"),
        Column("transportadora", TEXT, "Carrier that owns the vehicle"),
        Column("tipo", TEXT, "Type of vehicle, as tariffs name it"),
        Column("garagem", TEXT, "Garage"),
        Column("rota", TEXT, "Route that the vehicle serves"),
        Column(
            "operacao", TEXT, "Operation: agricultural, or industrial and administrative", isin=OPERATIONS
        ),
    ),
    key=("placa",),
)

DRIVERS = Contract(
    "drivers",
    "The drivers of the carriers, one row a driver.",
    (
        Column("motorista", TEXT, "Driver's name, upper case", required=True, personal=True),
        Column(
            "motorista_chave",
            TEXT,
            "The name without accents; the key that names are matched on",
            required=True,
            personal=True,
        ),
        Column("motorista_id", TEXT, "Driver's id, as the carrier or the company gives it", personal=True),
        Column("transportadora", TEXT, "Carrier that employs the driver"),
    ),
    # Two people of one name are two drivers where their ids or carriers differ.
    key=("motorista_chave", "motorista_id", "transportadora"),
)

# The first name of each is the one that messages use.
VEHICLE_HEADERS: dict[str, tuple[str, ...]] = {
    "placa": ("PLACA", "PLACA DO VEÍCULO", "PLACA VEÍCULO"),
    "equipamento": ("EQUIPAMENTO", "FROTA", "PREFIXO", "Nº FROTA", "NÚMERO FROTA"),
    "fuso": ("FUSO", "FUSO HORÁRIO", "TIMEZONE"),
    "transportadora": ("TRANSPORTADORA", "EMPRESA"),
    "tipo": ("TIPO", "TIPO DO VEÍCULO", "TIPO DE VEÍCULO", "TIPO VEÍCULO"),
    "garagem": ("GARAGEM", "BASE"),
    "rota": ("ROTA", "LINHA"),
    "operacao": ("OPERAÇÃO", "TIPO DE OPERAÇÃO"),
}
DRIVER_HEADERS: dict[str, tuple[str, ...]] = {
    "motorista": ("MOTORISTA", "NOME", "NOME DO MOTORISTA", "CONDUTOR"),
    "motorista_id": ("MOTORISTA ID", "ID", "ID DO MOTORISTA", "MATRÍCULA", "REGISTRO"),
    "transportadora": ("TRANSPORTADORA", "EMPRESA"),
}
