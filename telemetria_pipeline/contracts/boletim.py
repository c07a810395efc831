"""The boletim: the headers that a sender may write, and the tables that its rows become."""

from telemetria_pipeline.contracts.base import FLAG, INSTANT, INTEGER, NUMBER, TEXT, Column, Contract
from telemetria_pipeline.contracts.telemetry import PLACA_PATTERN

DATE_PATTERN = r"^\d{4}-\d{2}-\d{2}$"
CLOCK_PATTERN = r"^\d{2}:\d{2}:\d{2}$"


# The first name of each is the one that messages and the template use.
HEADER_NAMES: dict[str, tuple[str, ...]] = {
    "numero_ata": ("NUMERO ATA", "Nº ATA", "No ATA", "NUM ATA", "NRO ATA", "ATA", "NÚMERO DA ATA"),
    "placa": ("PLACA", "PLACA DO VEÍCULO", "PLACA VEÍCULO"),
    "equipamento": ("EQUIPAMENTO", "FROTA", "PREFIXO", "Nº FROTA", "NÚMERO FROTA"),
    "data": ("DATA", "DATA DA VIAGEM", "DATA VIAGEM", "DT VIAGEM"),
    "local_saida": ("LOCAL SAÍDA", "LOCAL DE SAÍDA", "LOCAL DA SAÍDA", "ORIGEM"),
    "horario_saida": (
        "HORÁRIO SAÍDA",
        "HORÁRIO DE SAÍDA",
        "HORÁRIO DA SAÍDA",
        "HORA SAÍDA",
        "HORA DE SAÍDA",
        "HORA DA SAÍDA",
        "HR SAÍDA",
        "HORÁRIO INICIAL",
        "HORA INICIAL",
        "HORA INÍCIO",
    ),
    "local_chegada": ("LOCAL CHEGADA", "LOCAL DE CHEGADA", "LOCAL DA CHEGADA", "DESTINO"),
    "horario_chegada": (
        "HORÁRIO CHEGADA",
        "HORÁRIO DE CHEGADA",
        "HORÁRIO DA CHEGADA",
        "HORA CHEGADA",
        "HORA DE CHEGADA",
        "HORA DA CHEGADA",
        "HR CHEGADA",
        "HORÁRIO FINAL",
        "HORA FINAL",
        "HORA FIM",
    ),
    "turno": ("TURNO",),
    "km_saida": (
        "KM SAÍDA",
        "KM DE SAÍDA",
        "KM INICIAL",
        "KM INÍCIO",
        "ODÔMETRO INICIAL",
        "HODÔMETRO INICIAL",
        "ODÔMETRO SAÍDA",
        "HODÔMETRO SAÍDA",
    ),
    "km_chegada": (
        "KM CHEGADA",
        "KM DE CHEGADA",
        "KM FINAL",
        "KM FIM",
        "ODÔMETRO FINAL",
        "HODÔMETRO FINAL",
        "ODÔMETRO CHEGADA",
        "HODÔMETRO CHEGADA",
    ),
    "km_rota": ("KM ROTA", "KM DA ROTA", "KM RODADO", "KM RODADOS", "KM TOTAL"),
    "qtde_pessoas": (
        "QTDE PESSOAS",
        "QTD PESSOAS",
        "QUANTIDADE DE PESSOAS",
        "QTDE PASSAGEIROS",
        "QTD PASSAGEIROS",
        "PASSAGEIROS",
        "PESSOAS",
    ),
    "motorista": ("MOTORISTA", "NOME DO MOTORISTA", "CONDUTOR"),
    "empresa": ("EMPRESA", "TRANSPORTADORA"),
    "placa_substituta": (
        "PLACA SUBSTITUTA",
        "PLACA DO SUBSTITUTO",
        "VEÍCULO SUBSTITUTO",
        "SUBSTITUTO",
        "SUBSTITUTA",
        "SUBSTITUÍDO POR",
        "SUBSTITUÍDA POR",
    ),
}

IGNORED_HEADERS = ("CÓDIGO", "CÓDIGO2", "TAXA LOTAÇÃO", "TAXA DE LOTAÇÃO")
"""Headers known to be noise in real sheets: neither read nor asked about."""

REQUIRED: tuple[str, ...] = (
    "placa",
    "data",
    "horario_saida",
    "horario_chegada",
    "km_saida",
    "km_chegada",
)

EXPLANATION_SHEET, SUMMARY_SHEET, ERRORS_SHEET = "Como preencher", "Resumo", "Erros"
TEMPLATE_SHEET = "Modelo"
OWN_SHEETS = frozenset({EXPLANATION_SHEET, SUMMARY_SHEET, ERRORS_SHEET, TEMPLATE_SHEET})
"""Sheets that the template and the answer add to a boletim; they come back with it."""

_LINEAGE = (
    Column("arquivo", TEXT, "The sender's name for the file", required=True),
    Column("aba", TEXT, "Excel sheet that the row comes from; none for a CSV"),
    Column("linha", INTEGER, "Row as the spreadsheet shows it, from 1", required=True, ge=1),
)

BOLETIM_TRIPS = Contract(
    "boletim_trips",
    "Declared trips: the accepted rows of a boletim, typed, one row a trip.",
    (
        Column("numero_ata", TEXT, "Number of the paper sheet that the row was typed from"),
        Column(
            "placa",
            TEXT,
            "Number plate in its Mercosul form; the key that plates are matched on",
            required=True,
            pattern=PLACA_PATTERN,
        ),
        Column("placa_recebida", TEXT, "Number plate as received", required=True),
        Column(
            "placa_substituta",
            TEXT,
            "Plate, in its Mercosul form, of the vehicle that ran in its place",
            pattern=PLACA_PATTERN,
        ),
        Column("equipamento", TEXT, "Fleet number"),
        Column("data", TEXT, "Day of the trip as declared, YYYY-MM-DD", required=True, pattern=DATE_PATTERN),
        Column("local_saida", TEXT, "Place of departure"),
        Column(
            "horario_saida",
            TEXT,
            "Clock at departure, HH:MM:SS (24:00:00 is the end of the day)",
            required=True,
            pattern=CLOCK_PATTERN,
        ),
        Column("local_chegada", TEXT, "Place of arrival"),
        Column(
            "horario_chegada",
            TEXT,
            "Clock at arrival, HH:MM:SS; earlier than departure means the next day",
            required=True,
            pattern=CLOCK_PATTERN,
        ),
        Column("turno", TEXT, "Shift"),
        Column("km_saida", NUMBER, "Odometer at departure, km", required=True, ge=0),
        Column("km_chegada", NUMBER, "Odometer at arrival, km", required=True, ge=0),
        Column("km_rota", NUMBER, "Distance as the sender computed it, km", ge=0),
        Column("qtde_pessoas", NUMBER, "People carried", ge=0),
        Column("motorista", TEXT, "Driver's name; a pseudonym when written", personal=True, person="name"),
        Column("empresa", TEXT, "Carrier as the sender wrote it"),
        Column("saida_utc", INSTANT, "Departure, UTC", required=True),
        Column("chegada_utc", INSTANT, "Arrival, UTC", required=True),
        Column("fuso", TEXT, "IANA time zone in which the clocks were read", required=True),
        Column(
            "km_declarado",
            NUMBER,
            "Declared distance: odometer difference, rolled over or not, km",
            required=True,
            ge=0,
        ),
        *_LINEAGE,
    ),
    key=("placa", "saida_utc", "chegada_utc", "km_saida", "km_chegada"),
)

BOLETIM_DECLARATIONS = Contract(
    "boletim_declarations",
    "What each accepted file declares, whatever has become of it since: the trips that count follow from it.",
    (
        *BOLETIM_TRIPS.columns,
        Column("nome", TEXT, "Name in the inbox; files of one name correct each other", required=True),
        Column("recebido_utc", INSTANT, "When the file was received, UTC", required=True),
        Column("retirada", FLAG, "Whether the file was withdrawn", required=True),
    ),
)

BOLETIM_VERSIONS = Contract(
    "boletim_versions",
    "What versions of a boletim declared that do not count: sent back, or replaced by a later one.",
    (
        *BOLETIM_TRIPS.only("placa", "saida_utc", "chegada_utc", "km_declarado").columns,
        *_LINEAGE,
        Column("recebido_utc", INSTANT, "When the version was received, UTC", required=True),
    ),
)
"""Without what is personal: only kilometres are compared."""

BOLETIM_QUARANTINE = Contract(
    "boletim_trips_quarantine",
    "Every row of a boletim that became no trip: one record for each problem of the row.",
    (
        Column("situacao", TEXT, "What became of the row", required=True, isin=("duplicada", "rejeitada")),
        Column("codigo", TEXT, "Code of the problem", required=True),
        Column("coluna", TEXT, "Header of the column, as in the sheet"),
        Column("celula", TEXT, "Excel address of the cell"),
        Column("valor", TEXT, "Value as received", personal=True),
        Column("mensagem", TEXT, "What is wrong, for the sender", required=True, personal=True),
        Column("sugestao", TEXT, "How to fix it, for the sender", required=True, personal=True),
        *_LINEAGE,
    ),
)
