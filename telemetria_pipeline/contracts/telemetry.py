"""The tables of measured trips: what a carrier's record becomes, what is kept, and where the rest went."""

from telemetria_pipeline.contracts.base import FLAG, INSTANT, INTEGER, NUMBER, TEXT, Column, Contract

PLACA_PATTERN = r"^[A-Z]{3}\d[A-Z]\d{2}$"

_VEHICLE = (
    Column("transportadora", TEXT, "Carrier under contract that owns the telemetry", required=True),
    Column("veiculo_id", TEXT, "The carrier's id of the vehicle", required=True),
    Column("placa_recebida", TEXT, "Number plate as received"),
    Column("equipamento", TEXT, "Fleet number"),
    Column("descricao", TEXT, "The carrier's description of the vehicle"),
    Column("garagem", TEXT, "Garage"),
)
_DRIVER = (
    Column("motorista_id", TEXT, "The carrier's id of the driver", personal=True),
    Column("motorista", TEXT, "Driver's name", personal=True),
)
_MEASURED = (
    Column("distancia_telemetria_km", NUMBER, "Distance that the carrier reports, km", ge=0),
    Column("odometro_saida_km", NUMBER, "Odometer at departure, km"),
    Column("odometro_chegada_km", NUMBER, "Odometer at arrival, km"),
    Column("velocidade_maxima_kmh", NUMBER, "Highest speed, km/h", ge=0),
    Column("tempo_conducao_s", NUMBER, "Time driving, seconds", ge=0),
    Column("tempo_parado_s", NUMBER, "Time stopped until the next departure, seconds", ge=0),
)
_ORIGIN = (
    Column("id_origem", TEXT, "The carrier's id of the record; a re-issued record gets another"),
    Column("atualizado_utc", INSTANT, "When the carrier last changed the record"),
)
_LINE = (
    Column("pagina", INTEGER, "Page of the capture that holds the record, from 1", required=True, ge=1),
    Column("registro", INTEGER, "Record within the page, from 1", required=True, ge=1),
)

MAPPED_TRIPS = Contract(
    "mapped_trips",
    "A carrier's records under our names and units, before any rule: what the mapping hands to core.",
    (
        *_VEHICLE,
        *_DRIVER,
        Column("saida_utc", INSTANT, "Departure, UTC"),
        Column("chegada_utc", INSTANT, "Arrival, UTC; none while the trip is running"),
        Column("proxima_saida_utc", INSTANT, "Next departure, UTC"),
        Column("fuso", TEXT, "The vehicle's IANA time zone"),
        Column("local_saida", TEXT, "Place of departure"),
        Column("local_chegada", TEXT, "Place of arrival"),
        *_MEASURED,
        Column("em_andamento", FLAG, "The trip is still running", required=True),
        *_ORIGIN,
        Column("ilegivel", TEXT, "Columns whose value could not be read, as `column=value`, joined by `; `"),
        *_LINE,
    ),
)

TRIPS = Contract(
    "telemetry_trips",
    "Measured trips that depart in the hour: typed, cleaned, one row a trip.",
    (
        *_VEHICLE[:2],
        Column(
            "placa", TEXT, "Number plate in its Mercosul form; the key that plates are matched on",
            pattern=PLACA_PATTERN,
        ),
        *_VEHICLE[2:],
        *_DRIVER,
        Column("saida_utc", INSTANT, "Departure, UTC", required=True),
        Column("chegada_utc", INSTANT, "Arrival, UTC", required=True),
        Column("proxima_saida_utc", INSTANT, "Next departure, UTC"),
        Column("fuso", TEXT, "The vehicle's IANA time zone", required=True),
        Column("local_saida", TEXT, "Place of departure"),
        Column("local_chegada", TEXT, "Place of arrival"),
        Column("distancia_km", NUMBER, "Measured distance, km", required=True, ge=0),
        Column(
            "fonte_distancia", TEXT, "Where the measured distance comes from",
            required=True, isin=("odometro", "telemetria"),
        ),
        Column(
            "situacao_odometro", TEXT, "What the odometer readings are worth",
            required=True, isin=("ok", "ausente", "regressao", "virada", "salto", "unidade"),
        ),
        *_MEASURED,
        *_ORIGIN,
        Column("ilegivel", TEXT, "Optional columns whose value could not be read, as `column=value`"),
        Column("captura", TEXT, "Capture of the hour that the row comes from", required=True),
        *_LINE,
    ),
    key=("veiculo_id", "saida_utc"),
)
