"""Numbers, money and clocks as a Brazilian reader writes them; a dash where there is none."""

from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd

NONE = "–"
HEARD = ("captured", "confirmed_empty")
"""The states of an hour in which silence means that nothing was driven."""
WORDS = {
    "km_divergente": "Quilometragem divergente",
    "sem_telemetria": "Declarada sem telemetria",
    "nao_declarada": "Medida e não declarada",
    "data_ou_horario_a_corrigir": "Data ou horário a corrigir",
    "horario_divergente": "Horário divergente",
    "motorista_divergente": "Motorista divergente",
    "veiculo_desconhecido": "Veículo desconhecido",
    "aparelhos_trocados": "Aparelhos trocados",
    "ok": "De acordo",
    "divergente": "Divergente",
    "inconclusivo": "Inconclusivo",
    "a_esclarecer": "A esclarecer",
    "alta": "Alta",
    "media": "Média",
    "baixa": "Baixa",
    "vies": "Viés constante",
    "excesso_constante": "Excesso constante",
    "numeros_redondos": "Números redondos",
    "km_repetido": "Quilometragem repetida",
    "km_aumentado": "Quilometragem aumentada",
    "aparelho_desviado": "Aparelho desviado",
    "odometro_descontinuo": "Odômetro descontínuo",
    "duas_transportadoras": "Duas transportadoras",
    "veiculo": "Veículo",
    "motorista": "Motorista",
    "transportadora": "Transportadora",
    "aparelho": "Aparelho",
    "viagem_nova": "Viagem nova",
    "viagem_substituida": "Viagem substituída",
    "viagem_retirada": "Viagem retirada",
    "km_alterado": "Quilometragem alterada",
    "tarifa_alterada": "Tarifa alterada",
    "arredondamento": "Arredondamento",
    "fixo_alterado": "Custo fixo alterado",
    "odometro": "Odômetro",
    "telemetria": "Telemetria",
    "mista": "Odômetro e telemetria",
    "nenhuma": "Nenhuma",
    "contrato": "Contrato",
    "spot": "Spot",
    "municipal": "Municipal",
    "intermunicipal": "Intermunicipal",
    "accepted": "Aceito",
    "rejected": "Devolvido",
    "duplicate": "Já recebido",
    "replaced": "Substituído",
    "withdrawn": "Retirado",
    "captured": "Capturada",
    "confirmed_empty": "Sem viagens",
    "open": "Em aberto",
    "missing": "Sem resposta",
}
"""What the tables' codes are called."""
ODOMETER = {
    "ok": "Bom",
    "ausente": "Ausente",
    "regressao": "Andou para trás",
    "virada": "Virou",
    "salto": "Saltou",
    "contradicao": "Contradiz a distância informada",
    "unidade": "Unidade trocada",
    "parado": "Parado",
}
"""What an odometer's situation is called."""


def missing(value: Any) -> bool:
    """Whether there is no value: None, NaN, NaT or NA."""
    return bool(pd.isna(value))


def word(code: object) -> str:
    """What a code is called; the code itself where it has no name."""
    return NONE if missing(code) else WORDS.get(str(code), str(code))


def odometer(situation: object) -> str:
    """What an odometer's situation is called."""
    return ODOMETER.get(str(situation), NONE)


def number(value: Decimal | float | None, places: int = 1) -> str:
    """`1.234,5`."""
    if value is None or missing(value):
        return NONE
    return f"{half_up(value, places):,f}".translate(str.maketrans(",.", ".,"))


def signed(value: Decimal | float | None, places: int = 1) -> str:
    """`+1.234,5`, `-0,3`."""
    said = number(value, places)
    return f"+{said}" if said != NONE and value is not None and value > 0 else said


def km(value: Decimal | float | None) -> str:
    """`1.234,500 km`."""
    said = number(value, 3)
    return said if said == NONE else f"{said} km"


def brl(value: Decimal | None) -> str:
    """`R$ 1.234,56`, `-R$ 0,30`."""
    said = number(value, 2)
    if said == NONE:
        return said
    return f"-R$ {said[1:]}" if said.startswith("-") else f"R$ {said}"


def tariff(value: Decimal | None) -> str:
    """`R$ 2,7300/km`."""
    said = number(value, 4)
    return said if said == NONE else f"R$ {said}/km"


def percent(share: float | None, places: int = 0) -> str:
    """`97 %` of a share of 0.97."""
    if share is None or missing(share):
        return NONE
    return f"{number(Decimal(str(share)) * 100, places)} %"


def clock(instant: datetime, zone: ZoneInfo) -> str:
    """`07:10` by the clock of the zone."""
    return NONE if missing(instant) else f"{instant.astimezone(zone):%H:%M}"


def day_of(instant: datetime | date) -> str:
    """`10/03/2026`."""
    return f"{instant:%d/%m/%Y}"


def place_in_boletim(rows: pd.DataFrame) -> list[str | None]:
    """`boletim.xlsx, Plan1, linha 17`; None where nothing was declared."""
    return [
        None
        if missing(file)
        else ", ".join([file, *([] if missing(sheet) else [sheet]), *([] if missing(n) else [f"linha {n}"])])
        for file, sheet, n in zip(rows["arquivo"], rows["aba"], rows["linha"], strict=True)
    ]


def exact_sum(amounts: pd.Series) -> Decimal:
    """The sum of a decimal column; zero of nothing."""
    return Decimal(str(amounts.sum()))


def half_up(value: Decimal | float, places: int) -> Decimal:
    """The value to so many decimals, halves away from zero."""
    return Decimal(str(value)).quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)
