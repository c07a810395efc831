"""The tables of a billing cycle: the bill, what later changes of closed cycles cost, and patterns."""

from telemetria_pipeline.contracts.audit import VEHICLE, VERDICTS, VERSIONS
from telemetria_pipeline.contracts.base import (
    INSTANT,
    INTEGER,
    KM,
    MONEY,
    NUMBER,
    TARIFF,
    TEXT,
    Column,
    Contract,
)
from telemetria_pipeline.contracts.boletim import DATE_PATTERN
from telemetria_pipeline.contracts.reference import CONTRACT_TERMS

_VEHICLE = tuple(c for c in VEHICLE if c.name != "garagem")
_UNTIL = (
    Column("chegada_utc", INSTANT, "Arrival, UTC"),
    Column("saida_medida_utc", INSTANT, "Departure of the first segment, UTC"),
    Column("chegada_medida_utc", INSTANT, "Arrival of the last segment, UTC"),
)

BILLING = Contract(
    "billing",
    "The bill of a cycle, one row a vehicle and contract row that was in force: parts sum to totals exactly.",
    (
        *_VEHICLE,
        Column("turnos", TEXT, "Shifts served, as declared, joined by `, `"),
        *CONTRACT_TERMS,
        Column("inicio", TEXT, "First day billed, YYYY-MM-DD", required=True, pattern=DATE_PATTERN),
        Column("fim", TEXT, "Last day billed, YYYY-MM-DD", required=True, pattern=DATE_PATTERN),
        Column("dias", INTEGER, "Days billed", required=True, ge=1),
        Column("dias_ciclo", INTEGER, "Days of the cycle", required=True, ge=1),
        Column("viagens", INTEGER, "Trips with audited or declared kilometres", required=True, ge=0),
        Column("km_declarado", KM, "Declared, km", required=True, ge=0),
        Column("km_medido", KM, "Measured, km", required=True, ge=0),
        Column("km_auditado", KM, "Audited, km", required=True, ge=0),
        Column(
            "franquia_km",
            KM,
            "The contract's free kilometres that these trips use up; on its last line also those left, km",
            required=True,
            ge=0,
        ),
        Column("km_faturado", KM, "Audited kilometres beyond them, km", required=True, ge=0),
        Column("tarifa_brl_km", TARIFF, "Tariff, R$/km", required=True, ge=0),
        Column("variavel_brl", MONEY, "Variable cost, R$", required=True, ge=0),
        Column("custo_fixo_mensal_brl", MONEY, "Fixed cost of a whole month, R$", required=True, ge=0),
        Column("fixo_brl", MONEY, "Fixed cost of the days billed, R$", required=True, ge=0),
        Column("total_brl", MONEY, "Variable and fixed, R$", required=True, ge=0),
        Column("variavel_declarado_brl", MONEY, "The price of the declared km, R$", required=True, ge=0),
        Column("economia_brl", MONEY, "By how much what is paid of declared trips is less, R$", ge=0),
        *VERSIONS,
    ),
    key=("veiculo", "contrato_linha", "inicio"),
)

PRICED_TRIPS = Contract(
    "priced_trips",
    "Every trip of a cycle with the kilometres and the price that the bill gives it.",
    (
        Column("viagem_id", TEXT, "The validated trip", required=True),
        Column("veiculo", TEXT, "The plate, or `source:id` where none is known", required=True),
        Column("transportadora", TEXT, "Carrier"),
        Column("operacao", TEXT, "Operation"),
        Column("data", TEXT, "Day of the trip, YYYY-MM-DD", required=True, pattern=DATE_PATTERN),
        Column("saida_utc", INSTANT, "Departure, UTC", required=True),
        *_UNTIL,
        Column("fonte", TEXT, "Which sides there are", required=True),
        Column("arquivo", TEXT, "The sender's name for the boletim"),
        Column("veredito", TEXT, "Verdict", required=True),
        Column("base_auditoria", TEXT, "Why its kilometres count"),
        Column("km_declarado", KM, "Declared, km"),
        Column("km_medido", KM, "Measured, km"),
        Column("km_auditado", KM, "Audited, km", required=True, ge=0),
        Column("km_faturado", KM, "Audited kilometres beyond the franchise, km", required=True, ge=0),
        Column("contrato", TEXT, "Contract of the tariff"),
        Column("contrato_linha", INTEGER, "Row of the contracts file: with the vehicle, the line", ge=1),
        Column("tarifa_brl_km", TARIFF, "Tariff, R$/km", ge=0),
        Column("valor_brl", MONEY, "Its part of the line's variable cost, R$", ge=0),
    ),
    key=("viagem_id",),
)

ODOMETER_RECONCILIATION = Contract(
    "odometer_reconciliation",
    "What was asked without a proof, against what the odometer moved from one good reading to the next: one "
    "row an interval with such trips of the cycle, also before a vehicle's first reading and after its last.",
    (
        Column("veiculo", TEXT, "The plate, or `source:id` where none is known", required=True),
        Column("transportadora", TEXT, "Carrier"),
        Column("operacao", TEXT, "Operation"),
        Column(
            "aparelho", TEXT, "Device that was read before, as `source:veiculo_id`; none without readings"
        ),
        Column("leitura_inicial_utc", INSTANT, "When it was read before the trips, UTC; none: it was not"),
        Column("leitura_inicial_km", KM, "Odometer then, km"),
        Column("leitura_final_utc", INSTANT, "When it was read after them, UTC; none: it was not"),
        Column("leitura_final_km", KM, "Odometer then, km"),
        Column("dias", NUMBER, "Days between the two", ge=0),
        Column("km_andados", KM, "What it moved, km; none where that is not known", ge=0),
        Column("km_medidos", KM, "Measured of other trips of the interval, km", required=True, ge=0),
        Column("viagens", INTEGER, "Trips without a proof, also another cycle's", required=True, ge=1),
        Column("km_pedidos", KM, "Declared in them, km", required=True, ge=0),
        Column("km_que_cabem", KM, "What the odometer leaves for them, km; none where not known", ge=0),
        Column("viagens_do_ciclo", INTEGER, "Those of this cycle", required=True, ge=1),
        Column("km_pedidos_ciclo", KM, "Declared in those, km", required=True, ge=0),
        Column("km_pagos", KM, "Of it counts for the bill, km", required=True, ge=0),
        Column("km_excedentes", KM, "Of it does not, km", required=True, ge=0),
        Column(
            "valor_brl",
            MONEY,
            "This cycle's trips at their tariffs, R$: what exceeds where `divergente`, what is paid without "
            "a proof where `inconclusivo`, 0 where `ok`; none without a tariff",
            ge=0,
        ),
        Column("veredito", TEXT, "Whether what was asked fits", required=True, isin=VERDICTS),
        Column("frase", TEXT, "Why, in Portuguese", required=True),
    ),
)

ADJUSTMENTS = Contract(
    "adjustments",
    "What arrived after a cycle was closed, trip by trip: charged in the first cycle that is still open.",
    (
        Column("ciclo_origem", TEXT, "First day of the closed cycle", required=True, pattern=DATE_PATTERN),
        Column("viagem_id", TEXT, "The validated trip; none for a fixed cost"),
        Column("veiculo", TEXT, "The plate, or `source:id` where none is known", required=True),
        Column("transportadora", TEXT, "Carrier"),
        Column("operacao", TEXT, "Operation"),
        Column("data", TEXT, "Day of the trip, YYYY-MM-DD", pattern=DATE_PATTERN),
        Column("saida_utc", INSTANT, "Departure, UTC"),
        *_UNTIL,
        Column("arquivo", TEXT, "The sender's name for the boletim that declares it now, else that did"),
        Column(
            "substitui", TEXT, "The trips that gave place to it, joined by `;`; their price is the one before"
        ),
        Column("km_antes", KM, "Kilometres billed before", required=True),
        Column("km_depois", KM, "Kilometres that count now", required=True),
        Column("valor_antes_brl", MONEY, "Price before, R$", required=True),
        Column("valor_depois_brl", MONEY, "Price now, R$", required=True),
        Column("ajuste_brl", MONEY, "Price now minus price before, R$", required=True),
        Column(
            "causa",
            TEXT,
            "What changed",
            required=True,
            isin=(
                "viagem_nova",
                "viagem_substituida",
                "viagem_retirada",
                "km_alterado",
                "tarifa_alterada",
                "arredondamento",
                "fixo_alterado",
            ),
        ),
        Column("frase", TEXT, "Why, in Portuguese", required=True),
    ),
)

PATTERNS = Contract(
    "patterns",
    "What no single row shows: habits of a vehicle, a driver (by pseudonym), a carrier or a device over the "
    "cycle.",
    (
        Column(
            "padrao",
            TEXT,
            "Pattern",
            required=True,
            isin=(
                "vies",
                "excesso_constante",
                "numeros_redondos",
                "km_repetido",
                "km_aumentado",
                "aparelho_desviado",
                "odometro_descontinuo",
                "duas_transportadoras",
            ),
        ),
        Column(
            "nivel",
            TEXT,
            "Whose",
            required=True,
            isin=("veiculo", "motorista", "transportadora", "aparelho"),
        ),
        Column("chave", TEXT, "Plate, pseudonym, carrier, or a device's `source:veiculo_id`", required=True),
        Column("transportadora", TEXT, "Carrier"),
        Column("viagens", INTEGER, "Trips looked at", required=True, ge=0),
        Column("ocorrencias", INTEGER, "Trips that show it", required=True, ge=0),
        Column("km_declarado", KM, "Declared in the trips looked at, km", required=True, ge=0),
        Column("km_medido", KM, "Measured in them, km", required=True, ge=0),
        Column("vies", NUMBER, "(declared - measured) / measured over those trips"),
        Column("valor_brl", MONEY, "What it costs in the cycle, R$, where that can be said"),
        Column("frase", TEXT, "Why, in Portuguese", required=True),
    ),
    key=("padrao", "nivel", "chave"),
)
