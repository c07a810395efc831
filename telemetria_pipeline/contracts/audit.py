"""The audit's daily tables: both sides of each trip, kilometres a vehicle, and where the sides differ."""

from telemetria_pipeline.contracts.base import (
    FLAG,
    INSTANT,
    INTEGER,
    KM,
    MONEY,
    NUMBER,
    PERCENT,
    TARIFF,
    TEXT,
    Column,
    Contract,
)
from telemetria_pipeline.contracts.reference import OPERATIONS
from telemetria_pipeline.contracts.telemetry import SITUATIONS

VERDICTS = ("ok", "divergente", "inconclusivo")
TO_CLARIFY = "a_esclarecer"  # of a divergence that is not about kilometres: it accuses nobody
KINDS = (
    "km_divergente",
    "sem_telemetria",
    "nao_declarada",
    "data_ou_horario_a_corrigir",
    "horario_divergente",
    "motorista_divergente",
    "veiculo_desconhecido",
    "aparelhos_trocados",
)
SOURCE_REASONS = ("unica", "cadastro", "odometro", "tempo", "nome")

VEHICLE = (
    Column("veiculo", TEXT, "The plate, or `source:id` where none is known", required=True),
    Column("placa", TEXT, "Number plate in its Mercosul form"),
    Column("equipamento", TEXT, "Fleet number"),
    Column("transportadora", TEXT, "Carrier, as `vehicles` names it, else as the boletim or the API does"),
    Column("tipo", TEXT, "Type of vehicle"),
    Column("operacao", TEXT, "Operation", isin=OPERATIONS),
    Column("rota", TEXT, "Route"),
    Column("garagem", TEXT, "Garage"),
)
SHEET = (
    Column("arquivo_id", TEXT, "Partition of `boletim_trips` that holds the declared row"),
    Column("arquivo", TEXT, "The sender's name for the boletim"),
    Column("aba", TEXT, "Excel sheet of the declared row; none for a CSV"),
    Column("linha", INTEGER, "Row of the declared trip, as the spreadsheet shows it"),
)
VERSIONS = (
    Column("versao_regras", TEXT, "The rules and tolerances that judged the row", required=True),
    Column("versao_tarifas", TEXT, "What the terms that priced it say, as a digest; none without terms"),
)

VALIDATED_TRIPS = Contract(
    "validated_trips",
    "Every trip of the day, declared, measured or both: the two sides, how sure we are, and what is paid.",
    (
        Column("viagem_id", TEXT, "Names the trip; the same however often it is computed", required=True),
        Column(
            "fonte", TEXT, "Which sides there are", required=True, isin=("ambos", "boletim", "telemetria")
        ),
        *VEHICLE,
        Column("veiculo_conhecido", FLAG, "The plate is in `vehicles`", required=True),
        Column("saida_utc", INSTANT, "Departure: declared, else measured, UTC", required=True),
        Column("chegada_utc", INSTANT, "Arrival: declared, else measured, UTC", required=True),
        # Declared
        Column("km_declarado", KM, "Declared distance, km; none where nothing was declared", ge=0),
        Column("placa_declarada", TEXT, "The plate as declared, where another vehicle ran in its place"),
        Column("km_saida", NUMBER, "Declared odometer at departure, km"),
        Column("km_chegada", NUMBER, "Declared odometer at arrival, km"),
        Column("turno", TEXT, "Shift, as declared"),
        Column("numero_ata", TEXT, "Number of the paper sheet"),
        Column("empresa_declarada", TEXT, "Carrier as the sender wrote it"),
        Column("motorista_declarado", TEXT, "Pseudonym of the declared driver"),
        Column("declaracoes", INTEGER, "How many boletim rows declare this same trip", required=True, ge=0),
        *SHEET,
        # Measured
        Column("segmentos", INTEGER, "Measured trips that it covers", required=True, ge=0),
        Column("aparelho_trocado", FLAG, "Some came under the plate of another vehicle"),
        Column("km_medido", KM, "Measured distance of its segments, km; none without segments", ge=0),
        Column("saida_medida_utc", INSTANT, "Departure of the first segment, UTC"),
        Column("chegada_medida_utc", INSTANT, "Arrival of the last segment, UTC"),
        Column(
            "fonte_distancia",
            TEXT,
            "Where the measured distance comes from",
            isin=("odometro", "telemetria", "mista"),
        ),
        Column("situacao_odometro", TEXT, "What the odometers are worth: `ok`, or the flags, joined by `;`"),
        Column("aparelho", TEXT, "Device that measured it, as `source:veiculo_id`; none where several did"),
        Column("leitura_saida_km", NUMBER, "Good odometer as the first segment departs, km"),
        Column("leitura_chegada_km", NUMBER, "Good odometer as the last segment arrives, km"),
        Column(
            "km_telemetria",
            KM,
            "What the carrier reports of its segments, km; none where it does not of one",
            ge=0,
        ),
        Column("fonte_telemetria", TEXT, "Telemetry source of its segments; several joined by `;`"),
        Column(
            "motivo_fonte",
            TEXT,
            "Why that source counts: nobody else heard it, the register says so, better odometers, longer "
            "heard, or first by name",
            isin=SOURCE_REASONS,
        ),
        Column(
            "km_outra_fonte",
            KM,
            "What the trip would measure by the source that was set aside, km; none where there is none",
            ge=0,
        ),
        Column("fontes_discordam", FLAG, "The two differ by more than the tolerance", required=True),
        Column("motorista_medido", TEXT, "Pseudonym of the first segment's driver"),
        Column("motorista_confere", FLAG, "False where both drivers are known and differ", required=True),
        # Who else belongs to it
        Column("grupo", TEXT, "The first of the trips that are judged together; none for a trip alone"),
        Column("cruza_dia", FLAG, "One measured trip covers it and a trip of another day: nobody can tell"),
        Column(
            "medicao_de_outra", FLAG, "Nothing of its own; what was measured at its time is another trip's"
        ),
        Column("data_ou_horario_a_corrigir", FLAG, "Its measured trip departs at another hour or date"),
        Column("aceita", FLAG, "Measured and not declared, and accepted by the contract's people"),
        # How sure we are
        Column("sobreposicao", NUMBER, "Share of the declared window that its segments fill", ge=0, le=1),
        Column("dif_saida_min", NUMBER, "Measured minus declared departure, minutes"),
        Column("dif_chegada_min", NUMBER, "Measured minus declared arrival, minutes"),
        Column(
            "cobertura",
            NUMBER,
            "Share of the declared window in hours that all sources which serve the vehicle answered",
            ge=0,
            le=1,
        ),
        Column(
            "cobertura_busca",
            NUMBER,
            "The same from the tolerance before departure on: where its segments may have departed",
            ge=0,
            le=1,
        ),
        Column(
            "sinal",
            TEXT,
            "Whether the device was heard: `perdido` where the odometer moved unseen, `desconhecido` where "
            "nothing of the vehicle is known before or after",
            isin=("presente", "perdido", "desconhecido"),
        ),
        Column("km_sem_sinal", KM, "Kilometres that the odometer moved unseen in the declared window", ge=0),
        # Audited
        Column("divergencia", NUMBER, "(declared - measured) / measured; none without a measured distance"),
        Column("veredito", TEXT, "Verdict on the kilometres", required=True, isin=VERDICTS),
        Column("km_auditado", KM, "Kilometres that count for the bill", required=True, ge=0),
        Column(
            "base_auditoria",
            TEXT,
            "Why they count: the sides agree, the measured ones, one side stands in for the other; or why "
            "none do: nothing proves them, or nobody has asked for them yet; in a "
            "bill also what the odometer moved",
            required=True,
            isin=(
                "acordo",
                "medido",
                "boletim_substitui",
                "telemetria_substitui",
                "nao_comprovado",
                "a_declarar",
                "odometro",
            ),
        ),
        Column("contrato", TEXT, "Contract whose tariff applies on the day of the trip"),
        Column("tarifa_brl_km", TARIFF, "Tariff in force on the day of the trip, R$/km", ge=0),
        Column(
            "tolerancia_pct", PERCENT, "By how much km may differ, % of the measured", required=True, ge=0
        ),
        Column("tolerancia_km", KM, "What may differ whatever the share, km", required=True, ge=0),
        Column(
            "tolerancia_do_contrato", FLAG, "The contract says them; else they are defaults", required=True
        ),
        Column("paga_sem_boletim", FLAG, "The contract pays what was measured and nobody declared"),
        *VERSIONS,
    ),
    key=("viagem_id",),
)

TRIP_SEGMENTS = Contract(
    "trip_segments",
    "Which measured trips each validated trip covers, and where each lies in raw: the evidence. Trips that "
    "are judged together share them.",
    (
        Column("viagem_id", TEXT, "The validated trip", required=True),
        Column("veiculo", TEXT, "The plate, or `source:id` where none is known", required=True),
        Column("fonte", TEXT, "Telemetry source that heard it", required=True),
        Column("veiculo_id", TEXT, "The source's id of the vehicle", required=True),
        Column("saida_utc", INSTANT, "Departure, UTC", required=True),
        Column("chegada_utc", INSTANT, "Arrival, UTC", required=True),
        Column(
            "km_medido", KM, "Measured distance; of a shared one, this trip's part, km", required=True, ge=0
        ),
        Column("distancia_telemetria_km", NUMBER, "Distance that the carrier reports, km", ge=0),
        Column("odometro_saida_km", NUMBER, "Odometer at departure, km"),
        Column("odometro_chegada_km", NUMBER, "Odometer at arrival, km"),
        Column("fonte_distancia", TEXT, "Where the distance comes from", isin=("odometro", "telemetria")),
        Column("situacao_odometro", TEXT, "What the odometer is worth", required=True, isin=SITUATIONS),
        Column("aparelho_trocado", FLAG, "It came under the plate of another vehicle"),
        Column("velocidade_maxima_kmh", NUMBER, "Highest speed, km/h", ge=0),
        Column("local_saida", TEXT, "Place of departure"),
        Column("local_chegada", TEXT, "Place of arrival"),
        Column("captura", TEXT, "Capture of the hour that the row comes from", required=True),
        Column("pagina", INTEGER, "Page of the capture, from 1", required=True, ge=1),
        Column("registro", INTEGER, "Record within the page, from 1", required=True, ge=1),
        Column("raw_key", TEXT, "Where the page lies in the lake"),
        Column("raw_sha256", TEXT, "Hash of the page as received"),
    ),
    key=("viagem_id", "fonte", "veiculo_id", "saida_utc"),
)

_COUNTED = (
    ("regressoes", "Segments whose odometer ran backwards"),
    ("viradas", "Segments in which the odometer rolled over"),
    ("saltos", "Segments whose odometer leapt"),
    ("contradicoes", "Segments whose odometer and reported distance contradict each other"),
    ("unidades", "Segments whose odometer slipped by a unit"),
    ("ausentes", "Segments without a readable odometer"),
    ("parados", "Segments whose odometer stood still while the carrier reports a trip"),
)

DAILY_KM = Contract(
    "daily_km",
    "Kilometres a vehicle and day, by every reading; a vehicle without data has zero and is flagged.",
    (
        *VEHICLE,
        Column("viagens_declaradas", INTEGER, "Trips declared", required=True, ge=0),
        Column("viagens_medidas", INTEGER, "Measured trips (segments)", required=True, ge=0),
        Column("km_odometro", KM, "By good odometer readings of its segments, km", required=True, ge=0),
        Column("km_telemetria", KM, "By the distances that the carrier reports, km", required=True, ge=0),
        Column("km_medido", KM, "Measured: odometer where good, else telemetry, km", required=True, ge=0),
        Column("km_declarado", KM, "Declared, km", required=True, ge=0),
        Column("km_auditado", KM, "Audited, km", required=True, ge=0),
        Column(
            "fonte_leitura",
            TEXT,
            "Where the measured kilometres come from",
            required=True,
            isin=("odometro", "telemetria", "mista", "nenhuma"),
        ),
        Column("sem_telemetria", FLAG, "Nothing was measured", required=True),
        Column("sem_boletim", FLAG, "Nothing was declared", required=True),
        Column("sem_dados", FLAG, "Neither: its zeros mean nothing", required=True),
        *(Column(name, INTEGER, said, required=True, ge=0) for name, said in _COUNTED),
        Column(
            "horas_sem_telemetria",
            INTEGER,
            "Hours of the day that a source which serves the vehicle did not answer",
            required=True,
            ge=0,
        ),
    ),
    key=("veiculo",),
)

DIVERGENCES = Contract(
    "divergences",
    "Where the sides differ, ranked by money: why, how sure we are, and the evidence.",
    (
        Column("posicao", INTEGER, "Rank of the day, from 1: money times confidence", required=True, ge=1),
        Column(
            "divergencia_id",
            TEXT,
            "Names the divergence: day and kind and trip, or vehicles",
            required=True,
        ),
        Column("viagem_id", TEXT, "The validated trip; of several, the first", required=True),
        Column(
            "viagens",
            INTEGER,
            "How many trips it is about: those judged together, or all of an unknown vehicle",
            ge=1,
        ),
        Column("tipo", TEXT, "Kind", required=True, isin=KINDS),
        Column("veredito", TEXT, "Verdict", required=True, isin=(*VERDICTS[1:], TO_CLARIFY)),
        Column("severidade", TEXT, "Severity", required=True, isin=("alta", "media", "baixa")),
        Column("valor_brl", MONEY, "R$ at stake at the tariff in force; none where no tariff is", ge=0),
        Column("confianca", NUMBER, "How sure we are", required=True, ge=0, le=1),
        Column("frase", TEXT, "Why, in Portuguese, with the tolerances applied", required=True),
        *(c for c in VEHICLE if c.name != "tipo"),
        Column("motorista", TEXT, "Pseudonym of the declared driver, else of the measured one"),
        Column("saida_utc", INSTANT, "Departure, UTC", required=True),
        Column("chegada_utc", INSTANT, "Arrival, UTC", required=True),
        Column("km_declarado", KM, "Declared distance, km", ge=0),
        Column("km_medido", KM, "Measured distance, km", ge=0),
        Column("km_auditado", KM, "Kilometres that count for the bill", required=True, ge=0),
        Column("divergencia", NUMBER, "(declared - measured) / measured"),
        Column("cobertura", NUMBER, "Share of the declared window with captured hours", ge=0, le=1),
        Column("tarifa_brl_km", TARIFF, "Tariff in force, R$/km", ge=0),
        Column("contrato", TEXT, "Contract of the tariff"),
        *SHEET,
        Column(
            "evidencia_telemetria",
            TEXT,
            "Pages of raw that show it, or that show nothing, as `key sha256=…`, joined by `; `",
        ),
        *VERSIONS,
    ),
    key=("divergencia_id",),
)
