"""The tables of measured trips: what a carrier's record becomes, what is kept, and where the rest went."""

from telemetria_pipeline.contracts.base import FLAG, INSTANT, INTEGER, NUMBER, TEXT, Column, Contract

SITUATIONS = ("ok", "ausente", "regressao", "virada", "salto", "unidade", "parado", "contradicao")
"""What a trip's pair of odometer readings is worth; see `core.telemetry.odometer`."""

PLACA_PATTERN = r"^[A-Z]{3}\d[A-Z]\d{2}$"
HOUR_STATES = ("captured", "confirmed_empty", "open", "missing")
ANSWERED = HOUR_STATES[:2]
"""The states of an hour whose silence means something."""

_VEHICLE = (
    Column("transportadora", TEXT, "Carrier under contract that owns the telemetry", required=True),
    Column("veiculo_id", TEXT, "The carrier's id of the vehicle", required=True),
    Column("placa_recebida", TEXT, "Number plate as received"),
    Column("equipamento", TEXT, "Fleet number"),
    Column("descricao", TEXT, "The carrier's description of the vehicle"),
    Column("garagem", TEXT, "Garage"),
)
_DRIVER = (
    Column(
        "motorista_id",
        TEXT,
        "The carrier's id of the driver; a pseudonym when written",
        personal=True,
        person="id",
    ),
    Column("motorista", TEXT, "Driver's name; a pseudonym when written", personal=True, person="name"),
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
            "placa",
            TEXT,
            "Number plate in its Mercosul form; the key that plates are matched on",
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
            "fonte_distancia",
            TEXT,
            "Where the measured distance comes from",
            required=True,
            isin=("odometro", "telemetria"),
        ),
        Column(
            "situacao_odometro",
            TEXT,
            "What the odometer readings are worth",
            required=True,
            isin=SITUATIONS,
        ),
        *_MEASURED,
        *_ORIGIN,
        Column("ilegivel", TEXT, "Optional columns whose value could not be read, as `column=value`"),
        Column("captura", TEXT, "Capture of the hour that the row comes from", required=True),
        *_LINE,
    ),
    key=("veiculo_id", "saida_utc"),
)

QUARANTINE = Contract(
    "telemetry_trips_quarantine",
    "Every received row that is not a trip of the hour, with its reason and the place it came from.",
    (
        Column(
            "situacao",
            TEXT,
            "What became of the row",
            required=True,
            isin=("duplicada", "rejeitada", "fora_da_janela", "em_andamento"),
        ),
        Column("motivo", TEXT, "Reason, as a code", required=True),
        Column("ilegivel", TEXT, "Columns whose value could not be read, as `column=value`"),
        Column("veiculo_id", TEXT, "The carrier's id of the vehicle"),
        Column("saida_utc", INSTANT, "Departure, UTC"),
        Column("chegada_utc", INSTANT, "Arrival, UTC"),
        Column("id_origem", TEXT, "The carrier's id of the record"),
        Column("captura", TEXT, "Capture of the hour that the row comes from", required=True),
        *_LINE,
    ),
)

LEDGER = Contract(
    "telemetry_trips_ledger",
    "One row an hour: where every received row went, and what the capture cost.",
    (
        Column(
            "state",
            TEXT,
            "What is known of the hour",
            required=True,
            isin=HOUR_STATES,
        ),
        *(
            Column(name, INTEGER, description, required=True, ge=0)
            for name, description in (
                ("received", "Rows received"),
                ("accepted", "Rows that are trips of the hour"),
                ("duplicate", "Rows that repeat a trip, or that a later version replaced"),
                ("rejected", "Rows that cannot be a trip; the quarantine says why"),
                ("out_of_window", "Rows of another hour, received because the window is padded"),
                ("in_progress", "Trips still running; they keep the hour open"),
                ("requests", "Requests sent, every attempt counted"),
                ("retries", "Requests that repeated an earlier one"),
                ("raw_bytes", "Bytes received"),
                ("new", "Trips that an earlier capture did not have"),
                ("gone", "Trips that an earlier capture had"),
                ("altered", "Trips that an earlier capture had with other values"),
            )
        ),
        Column("capture", TEXT, "Capture that the hour's rows come from", required=True),
        Column("captured_at_utc", INSTANT, "When the capture was complete", required=True),
        Column("profile", TEXT, "Carrier profile that read it", required=True),
    ),
)

CHANGES = Contract(
    "telemetry_trips_changes",
    "What later captures of an hour changed, one row a changed value.",
    (
        Column("mudanca", TEXT, "Kind of change", required=True, isin=("nova", "sumida", "alterada")),
        Column("veiculo_id", TEXT, "The carrier's id of the vehicle", required=True),
        Column("saida_utc", INSTANT, "Departure, UTC", required=True),
        Column("coluna", TEXT, "Column that changed; none where the whole trip is new or gone"),
        Column("antes", TEXT, "Value before, as text", personal=True),
        Column("depois", TEXT, "Value after, as text", personal=True),
        Column("captura_anterior", TEXT, "Capture compared with", required=True),
        Column("captura", TEXT, "Capture that changed it", required=True),
    ),
)
