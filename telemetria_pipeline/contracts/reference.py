"""The reference tables: the vehicles and drivers that both sides are held against, and what is paid."""

from telemetria_pipeline.contracts.base import (
    FLAG,
    INTEGER,
    KM,
    MONEY,
    PERCENT,
    TARIFF,
    TEXT,
    Column,
    Contract,
)
from telemetria_pipeline.contracts.boletim import DATE_PATTERN
from telemetria_pipeline.contracts.telemetry import PLACA_PATTERN

OPERATIONS = ("AGR", "IND")
SOURCE_PATTERN = r"^[a-z][a-z0-9_]*$"

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
            "fonte",
            TEXT,
            "Telemetry source that hears it; none: those that heard it lately",
            pattern=SOURCE_PATTERN,
        ),
        Column(
            "operacao", TEXT, "Operation: agricultural, or industrial and administrative", isin=OPERATIONS
        ),
        Column("entrada", TEXT, "First day under contract; none: always was", pattern=DATE_PATTERN),
        Column("saida", TEXT, "Last day under contract; none: still is", pattern=DATE_PATTERN),
    ),
    key=("placa",),
)

DRIVERS = Contract(
    "drivers",
    "The drivers of the carriers, one row a driver; written with pseudonyms for names and ids.",
    (
        Column("motorista", TEXT, "Driver's name, upper case", required=True, personal=True, person="name"),
        Column(
            "motorista_chave",
            TEXT,
            "The name without accents; the key that names are matched on",
            required=True,
            personal=True,
            person="name",
        ),
        Column(
            "motorista_id",
            TEXT,
            "Driver's id, as the carrier or the company gives it",
            personal=True,
            person="id",
        ),
        Column("transportadora", TEXT, "Carrier that employs the driver"),
    ),
    # Two people of one name are two drivers where their ids or carriers differ.
    key=("motorista_chave", "motorista_id", "transportadora"),
)

CONTRACT_TERMS = (
    Column("contrato", TEXT, "Number of the contract", required=True),
    Column("clausula", TEXT, "Clause that the terms come from", required=True),
    Column("contrato_linha", INTEGER, "Row of the contracts file", required=True, ge=1),
    Column("regime", TEXT, "Municipal or intermunicipal", isin=("municipal", "intermunicipal")),
    Column("modalidade", TEXT, "Under contract, or spot", required=True, isin=("contrato", "spot")),
)

CONTRACTS = Contract(
    "contracts",
    "What is paid: tariff and fixed cost by vehicle, or by type of vehicle, carrier and operation, with the "
    "days on which they are in force.",
    (
        *CONTRACT_TERMS,
        Column("placa", TEXT, "The one vehicle it is for; none: all of the type", pattern=PLACA_PATTERN),
        Column("tipo", TEXT, "Type of vehicle"),
        Column("transportadora", TEXT, "Carrier; none: any"),
        Column("operacao", TEXT, "Operation; none: any", isin=OPERATIONS),
        Column("tarifa_brl_km", TARIFF, "Tariff, R$/km", required=True, ge=0),
        Column("custo_fixo_mensal_brl", MONEY, "Fixed cost of a month and vehicle, R$", required=True, ge=0),
        Column("franquia_km", KM, "Kilometres a month without tariff, km", required=True, ge=0),
        Column(
            "tolerancia_pct",
            PERCENT,
            "By how much declared and measured km may differ, % of the measured; none: the default",
            ge=0,
            le=100,
        ),
        Column("tolerancia_km", KM, "What may differ whatever the share, km; none: the default", ge=0),
        Column("paga_sem_boletim", FLAG, "Pays at once what was measured and nobody declared"),
        Column("vigencia_inicio", TEXT, "First day in force", required=True, pattern=DATE_PATTERN),
        Column("vigencia_fim", TEXT, "Last day in force; none: open", pattern=DATE_PATTERN),
    ),
    key=("contrato_linha",),
)

SUBSTITUTIONS = Contract(
    "substitutions",
    "Which vehicle ran in place of one under contract, and on which days.",
    (
        Column("placa", TEXT, "The vehicle that did not run", required=True, pattern=PLACA_PATTERN),
        Column("substituta", TEXT, "The vehicle that ran", required=True, pattern=PLACA_PATTERN),
        Column("inicio", TEXT, "First day", required=True, pattern=DATE_PATTERN),
        Column("fim", TEXT, "Last day; none: it still runs in its place", pattern=DATE_PATTERN),
        Column("motivo", TEXT, "Why", required=True),
    ),
    key=("placa", "inicio"),
)

ACCEPTANCES = Contract(
    "acceptances",
    "Measured trips that nobody declared and that the contract's people accept to pay.",
    (
        Column("placa", TEXT, "The vehicle that drove", required=True, pattern=PLACA_PATTERN),
        Column("data", TEXT, "Day of the measured departure", required=True, pattern=DATE_PATTERN),
        Column(
            "hora_saida",
            TEXT,
            "Clock of the measured departure, HH:MM; none: all that nobody declared of the vehicle that day",
            pattern=r"^\d{2}:\d{2}$",
        ),
        Column("motivo", TEXT, "Why", required=True),
    ),
    key=("placa", "data", "hora_saida"),
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
    "fonte": ("FONTE", "FONTE DE TELEMETRIA", "RASTREADOR"),
    "operacao": ("OPERAÇÃO", "TIPO DE OPERAÇÃO"),
    "entrada": ("ENTRADA", "DATA DE ENTRADA", "INÍCIO", "DESDE"),
    "saida": ("SAÍDA", "DATA DE SAÍDA", "FIM", "ATÉ"),
}
DRIVER_HEADERS: dict[str, tuple[str, ...]] = {
    "motorista": ("MOTORISTA", "NOME", "NOME DO MOTORISTA", "CONDUTOR"),
    "motorista_id": ("MOTORISTA ID", "ID", "ID DO MOTORISTA", "MATRÍCULA", "REGISTRO"),
    "transportadora": ("TRANSPORTADORA", "EMPRESA"),
}
CONTRACT_HEADERS: dict[str, tuple[str, ...]] = {
    "contrato": ("CONTRATO", "Nº CONTRATO", "NÚMERO DO CONTRATO"),
    "clausula": ("CLÁUSULA", "CLÁUSULA DO CONTRATO", "ADITIVO"),
    "regime": ("REGIME",),
    "modalidade": ("MODALIDADE", "CONTRATO/SPOT"),
    "placa": ("PLACA", "PLACA DO VEÍCULO", "PLACA VEÍCULO"),
    "tipo": ("TIPO", "TIPO DO VEÍCULO", "TIPO DE VEÍCULO", "TIPO VEÍCULO"),
    "transportadora": ("TRANSPORTADORA", "EMPRESA"),
    "operacao": ("OPERAÇÃO", "TIPO DE OPERAÇÃO"),
    "tarifa_brl_km": ("TARIFA", "TARIFA R$/KM", "CUSTO VARIÁVEL", "CUSTO VARIÁVEL R$/KM", "VALOR KM"),
    "custo_fixo_mensal_brl": (
        "CUSTO FIXO",
        "CUSTO FIXO R$",
        "CUSTO FIXO MENSAL",
        "CUSTO FIXO MENSAL R$",
        "FIXO MENSAL",
    ),
    "franquia_km": ("FRANQUIA", "FRANQUIA KM", "KM FRANQUIA"),
    "tolerancia_pct": ("TOLERÂNCIA", "TOLERÂNCIA PERCENTUAL"),
    "tolerancia_km": ("TOLERÂNCIA KM", "TOLERÂNCIA MÍNIMA KM"),
    "paga_sem_boletim": ("PAGA SEM BOLETIM", "PAGA NÃO DECLARADO"),
    "vigencia_inicio": ("VIGÊNCIA INÍCIO", "INÍCIO DA VIGÊNCIA", "VIGENTE DE", "DE"),
    "vigencia_fim": ("VIGÊNCIA FIM", "FIM DA VIGÊNCIA", "VIGENTE ATÉ", "ATÉ"),
}
SUBSTITUTION_HEADERS: dict[str, tuple[str, ...]] = {
    "placa": ("PLACA", "PLACA DO VEÍCULO", "PLACA VEÍCULO", "SUBSTITUÍDA", "PLACA SUBSTITUÍDA"),
    "substituta": (
        "SUBSTITUTA",
        "PLACA SUBSTITUTA",
        "VEÍCULO SUBSTITUTO",
        "SUBSTITUTO",
        "SUBSTITUÍDO POR",
        "SUBSTITUÍDA POR",
    ),
    "inicio": ("INÍCIO", "DATA DE INÍCIO", "DATA INÍCIO", "DE", "DESDE"),
    "fim": ("FIM", "DATA DE FIM", "DATA FIM", "ATÉ"),
    "motivo": ("MOTIVO", "JUSTIFICATIVA"),
}
ACCEPTANCE_HEADERS: dict[str, tuple[str, ...]] = {
    "placa": ("PLACA", "PLACA DO VEÍCULO", "PLACA VEÍCULO"),
    "data": ("DATA", "DATA DA VIAGEM", "DATA VIAGEM", "DIA"),
    "hora_saida": ("HORA SAÍDA", "HORA DE SAÍDA", "HORÁRIO SAÍDA", "HORÁRIO DE SAÍDA", "HORA", "HORÁRIO"),
    "motivo": ("MOTIVO", "JUSTIFICATIVA"),
}
