"""What the audit says in Portuguese: numbers as Brazil writes them, and a sentence for each divergence.

A sentence is put together from parts, each with the rows it is for; all of it works on whole columns.
"""

import re
from collections.abc import Callable, Iterable
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from telemetria_pipeline.core.audit.rules import AuditRules
from telemetria_pipeline.core.exact import half_up, units

_OPENINGS = {
    "km_divergente": "Declarados {declarado} km {quando}; a telemetria mediu {medido} km "
    "({diferenca}{tolerancia}).",
    "sem_telemetria": "Declarados {declarado} km {quando}; nenhuma viagem da telemetria corresponde a eles "
    "(até {minutos} min de distância; {tolerancia}).",
    "nao_declarada": "A telemetria mediu {medido} km {quando}; nenhuma viagem declarada corresponde a eles "
    "({tolerancia}).",
    "horario_divergente": "Viagem declarada {quando}; a telemetria a mediu {quando_medido} "
    "(tolerância de {minutos} min).",
    "motorista_divergente": "Na viagem {quando}, o boletim informa o motorista {declarado_por} e a "
    "telemetria identificou {medido_por}.",
    "veiculo_desconhecido": "O veículo {veiculo} (viagem {quando}) não consta do cadastro; se a placa "
    "estiver certa, falta incluí-lo.",
}
_BY_TELEMETRY = " A distância é a do rastreador, sem leitura boa do odômetro."
_PARTLY_BY_TELEMETRY = " Parte da distância é a do rastreador, sem leitura boa do odômetro."
_HOURS_MISSING = " Faltam horas de telemetria{horas}."
_NO_NEWS = " Não há notícia do veículo antes ou depois da viagem."
_SIGNAL_LOST = " O odômetro avançou {sem_sinal} km sem sinal nesse intervalo."
_UNSEEN_IS_LESS = " O odômetro avançou só {sem_sinal} km sem sinal nesse intervalo."
_ODOMETER_STOOD = " As leituras do odômetro antes e depois não mostram esse percurso."
_BOLETIM_STANDS = " Vale o boletim."
_PROVEN_COUNT = " Contam {auditado} km."
_TELEMETRY_STANDS = " Não veio boletim do veículo nesse dia: vale a telemetria."
_NOT_CLAIMED = " Sem declaração, não entra na medição."

_THOUSANDTHS = [f",{m:03d}".rstrip("0").ljust(2, "0") for m in range(1000)]
_CLOCK = np.array([f"{minute // 60:02d}:{minute % 60:02d}" for minute in range(24 * 60)], dtype=object)


def km_text(metres: Iterable[int]) -> list[str]:
    """Whole metres as kilometres, to the metre where there are any: `1.234,567`, `48,0`."""
    return [f"{m // 1000:,}".replace(",", ".") + _THOUSANDTHS[m % 1000] for m in metres]


def money_text(cents: Iterable[int]) -> list[str]:
    """Whole cents as `R$ 1.234,50`."""
    return [f"R$ {c // 100:,}".replace(",", ".") + f",{c % 100:02d}" for c in cents]


def percent_text(part: np.ndarray, whole: np.ndarray) -> list[str]:
    """`part / whole` as `+53,8 %`; `whole` is above 0."""
    tenths = half_up(part * 1_000, whole).tolist()
    return [f"{'-' if t < 0 else '+'}{abs(t) // 10},{abs(t) % 10} %" for t in tenths]


def window_text(start: pd.Series, end: pd.Series, zone: ZoneInfo) -> list[str]:
    """Two instants as `das 07:10 às 08:05` by the clock of the zone; another day's arrival says which."""
    (from_day, from_clock), (to_day, to_clock) = _local(start, zone), _local(end, zone)
    said = "das " + from_clock + " às " + to_clock
    later = from_day != to_day
    said[later] += [f" de {day[8:10]}/{day[5:7]}" for day in to_day[later].astype(str)]
    return said.tolist()


def _local(instants: pd.Series, zone: ZoneInfo) -> tuple[np.ndarray, np.ndarray]:
    """The day and the clock of each instant."""
    local = instants.dt.tz_convert(zone).dt.tz_localize(None).to_numpy().astype("datetime64[m]")
    days = local.astype("datetime64[D]")
    return days, _CLOCK[(local - days).astype(np.int64)]


def sentences(rows: pd.DataFrame, rules: AuditRules, zone: ZoneInfo) -> pd.Series:
    """Why each row stands among the divergences.

    Args:
        rows: columns of VALIDATED_TRIPS with `tipo` and `veredito` of the divergence, `duvida` (see
            `divergences.doubts`), `horas_ausentes` (text) and `odometro_em_volta` (flag).
        rules: the tolerances, which the sentences show.
        zone: whose clocks they show.
    """
    kind, doubt, source = rows["tipo"], rows["duvida"], rows["fonte_distancia"]
    unproven, proven = rows["veredito"] == "inconclusivo", rows["veredito"] == "divergente"
    phantom, undeclared = kind == "sem_telemetria", kind == "nao_declarada"
    claimed = phantom | (kind == "km_divergente")
    measured = undeclared | (kind == "km_divergente")
    unseen = claimed & proven & (units(rows["km_sem_sinal"]) > 0)
    facts, said = rows[_FACTS], np.full(len(rows), "", dtype=object)
    for where, template in (
        *((kind == one, opening) for one, opening in _OPENINGS.items()),
        (measured & (source == "telemetria"), _BY_TELEMETRY),
        (measured & (source == "mista"), _PARTLY_BY_TELEMETRY),
        (unproven & ~undeclared & (doubt == "horas"), _HOURS_MISSING),
        (unproven & ~undeclared & (doubt == "noticia"), _NO_NEWS),
        (unproven & ~undeclared & (doubt == "sinal"), _SIGNAL_LOST),
        (unseen, _UNSEEN_IS_LESS),
        (phantom & proven & ~unseen & rows["odometro_em_volta"], _ODOMETER_STOOD),
        (claimed & unproven, _BOLETIM_STANDS),
        (claimed & proven, _PROVEN_COUNT),
        (undeclared & unproven, _TELEMETRY_STANDS),
        (undeclared & proven, _NOT_CLAIMED),
    ):
        at = where.to_numpy()
        said[at] += np.array(_filled(template, facts[at], rules, zone), dtype=object)
    return pd.Series(said, index=rows.index, dtype="str")


def _difference(rows: pd.DataFrame) -> list[str]:
    """`+53,8 %; `, or nothing where there is no distance to compare with."""
    declared, measured = units(rows["km_declarado"]), units(rows["km_medido"])
    percents = percent_text(declared - measured, np.maximum(measured, 1))
    return [f"{percent}; " if km else "" for percent, km in zip(percents, measured.tolist(), strict=True)]


_WORDS: dict[str, Callable[[pd.DataFrame, AuditRules, ZoneInfo], Iterable[object]]] = {
    "declarado": lambda rows, *_: km_text(units(rows["km_declarado"]).tolist()),
    "medido": lambda rows, *_: km_text(units(rows["km_medido"]).tolist()),
    "auditado": lambda rows, *_: km_text(units(rows["km_auditado"]).tolist()),
    "sem_sinal": lambda rows, *_: km_text(units(rows["km_sem_sinal"]).tolist()),
    "diferenca": lambda rows, *_: _difference(rows),
    "tolerancia": lambda rows, rules, _: [rules.in_words] * len(rows),
    "minutos": lambda rows, rules, _: [rules.match_minutes] * len(rows),
    "quando": lambda rows, _, zone: window_text(rows["saida_utc"], rows["chegada_utc"], zone),
    "quando_medido": lambda rows, _, zone: window_text(
        rows["saida_medida_utc"], rows["chegada_medida_utc"], zone
    ),
    "declarado_por": lambda rows, *_: rows["motorista_declarado"].tolist(),
    "medido_por": lambda rows, *_: rows["motorista_medido"].fillna("outro").tolist(),
    "veiculo": lambda rows, *_: rows["veiculo"].tolist(),
    "horas": lambda rows, *_: rows["horas_ausentes"].tolist(),
}


_FACTS = [
    *("km_declarado", "km_medido", "km_auditado", "km_sem_sinal", "saida_utc", "chegada_utc"),
    *("saida_medida_utc", "chegada_medida_utc", "motorista_declarado", "motorista_medido"),
    *("veiculo", "horas_ausentes"),
]


def _filled(template: str, rows: pd.DataFrame, rules: AuditRules, zone: ZoneInfo) -> list[str]:
    """The template with each row's words."""
    names = re.findall(r"{(\w+)}", template)
    if not names:
        return [template] * len(rows)
    in_order = re.sub(r"{\w+}", "{}", template)
    return list(map(in_order.format, *(_WORDS[name](rows, rules, zone) for name in names)))
