"""What the audit says in Portuguese: numbers as Brazil writes them, and a sentence for each divergence.

A sentence is put together from parts, each with the rows it is for; all of it works on whole columns.
"""

import re
from collections.abc import Callable
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from telemetria_pipeline.core.audit.rules import AuditRules
from telemetria_pipeline.core.audit.tolerances import in_words
from telemetria_pipeline.core.exact import half_up, metres, units

_OPENINGS = {
    "km_divergente": "Declarados {declarado} km {quando}; a telemetria mediu {medido} km "
    "({diferenca}{tolerancia}).",
    "sem_telemetria": "Declarados {declarado} km {quando}; nenhuma viagem da telemetria corresponde a eles "
    "(até {minutos} min de distância; {tolerancia}).",
    "nao_declarada": "A telemetria mediu {medido} km {quando}; nenhuma viagem declarada corresponde a eles "
    "({tolerancia}).",
    "data_ou_horario_a_corrigir": "Viagem de {declarado} km declarada em {dia} {quando}; a telemetria mediu "
    "{medido} km em {dia_medido} {quando_medido}: data ou hora a corrigir. Conta uma vez só.",
    "horario_divergente": "Viagem declarada {quando}; a telemetria a mediu {quando_medido} "
    "(tolerância de {minutos} min).",
    "motorista_divergente": "Na viagem {quando}, o boletim informa o motorista {declarado_por} e a "
    "telemetria identificou {medido_por}.",
    "veiculo_desconhecido": "O veículo {veiculo} ({viagens}, {metros} km em {dia}) não consta do cadastro; "
    "se a placa estiver certa, falta incluí-lo.",
    "aparelhos_trocados": "{troca}",
}
_OF_A_GROUP = (
    "Declarados {declarado} km em {viagens} {quando}, que a telemetria mediu juntas: {medido} km "
    "({diferenca}{tolerancia})."
)
_OF_ANOTHER = (
    "Declarados {declarado} km {quando}; a viagem que a telemetria mediu nesse horário corresponde a outra "
    "declarada ({tolerancia})."
)
_FOR_ANOTHER = " Foi declarada para a placa {placa_declarada}, que este veículo substituiu."
_BY_TELEMETRY = " A distância é a do rastreador, sem leitura boa do odômetro."
_PARTLY_BY_TELEMETRY = " Parte da distância é a do rastreador, sem leitura boa do odômetro."
_HOURS_MISSING = " Faltam horas de telemetria{horas}."
_ACROSS_MIDNIGHT = " A viagem medida cobre também uma de outro dia; as duas não se separam."
_NO_READINGS = " Faltam leituras boas do odômetro em volta desse intervalo."
_SIGNAL_LOST = " O odômetro avançou {sem_sinal} km sem sinal nesse intervalo."
_SOURCES_DISAGREE = " Dois rastreadores discordam: {fonte} mediu {medido} km; pelo outro, seriam {outra} km."
_UNSEEN_IS_LESS = " O odômetro avançou só {sem_sinal} km sem sinal nesse intervalo."
_ODOMETER_STOOD = " As leituras do odômetro antes e depois não mostram esse percurso."
_BOLETIM_STANDS = " Vale o boletim."
_PROVEN_COUNT = " Contam {auditado} km."
_TELEMETRY_STANDS = " Sem declaração, vale a telemetria."
_ACCEPTED = " Foi aceita sem declaração: vale a telemetria."
_NO_BOLETIM = " Não veio boletim do veículo nesse dia."
_TO_DECLARE = " A declarar: por ora não entra na medição."

_EXCHANGED = (
    "Os aparelhos de {one} e {other} parecem trocados em {day}: na placa {one} vieram leituras de {readings} "
    "km, e na placa {other}, de {others} km; {proof}. As viagens foram conferidas com eles destrocados; "
    "corrija o cadastro na fonte {source}{or_sheets}."
)
_PROOFS = {
    True: "o boletim as declara ao contrário",
    False: "na véspera ou no dia seguinte era o contrário",
}

_TEXT = pa.large_string()  # what a `str` array holds
_THOUSANDTHS = pd.array([f",{m:03d}".rstrip("0").ljust(2, "0") for m in range(1000)], dtype="str")
_HUNDREDTHS = pd.array([f",{c:02d}" for c in range(100)], dtype="str")
_CLOCK = pd.array([f"{minute // 60:02d}:{minute % 60:02d}" for minute in range(24 * 60)], dtype="str")


def km_text(metres: np.ndarray) -> pd.Series:
    """Whole metres as kilometres, to the metre where there are any: `1.234,567`, `48,0`."""
    km, rest = np.divmod(metres, 1000)
    return _grouped(km) + pd.Series(_THOUSANDTHS.take(rest))


def money_text(cents: np.ndarray) -> pd.Series:
    """Whole cents as `R$ 1.234,50`."""
    reais, rest = np.divmod(cents, 100)
    return "R$ " + _grouped(reais) + pd.Series(_HUNDREDTHS.take(rest))


def percent_text(part: np.ndarray, whole: np.ndarray) -> pd.Series:
    """`part / whole` as `+53,8 %`; `whole` is above 0."""
    tenths = half_up(part * 1_000, whole)
    return _by_distinct(tenths, lambda t: f"{'-' if t < 0 else '+'}{abs(t) // 10},{abs(t) % 10} %")


def window_text(start: pd.Series, end: pd.Series, zone: ZoneInfo) -> pd.Series:
    """Two instants as `das 07:10 às 08:05` by the clock of the zone; another day's arrival says which."""
    (from_day, from_clock), (to_day, to_clock) = _local(start, zone), _local(end, zone)
    later = np.where(from_day == to_day, np.datetime64("NaT"), to_day)
    said = _by_distinct(later, lambda day: f" de {day:%d/%m}" if day else "")
    return "das " + from_clock + " às " + to_clock + said


def joined(row: np.ndarray, texts: pd.Series, rows: int, separator: str) -> pd.Series:
    """For each of so many rows, the texts whose `row` it is, in their order; empty where there is none."""
    in_order = pa.array(texts.array.take(np.argsort(row, kind="stable")))
    ends = np.cumsum(np.bincount(row, minlength=rows))
    lists = pa.LargeListArray.from_arrays(np.append(0, ends), in_order)
    return pd.Series(pc.binary_join(lists, pa.scalar(separator, _TEXT)), dtype="str")


def _grouped(whole: np.ndarray) -> pd.Series:
    return _by_distinct(whole, lambda n: f"{n:,}".replace(",", "."))


def _by_distinct(values: np.ndarray, say: Callable[[Any], str]) -> pd.Series:
    """What is said of each value; of many values few are different."""
    place, different = pd.factorize(values, use_na_sentinel=False)
    texts = pd.array([say(value) for value in different.tolist()], dtype="str")
    return pd.Series(texts.take(place))


def _local(instants: pd.Series, zone: ZoneInfo) -> tuple[np.ndarray, pd.Series]:
    """The day and the clock of each instant."""
    local = instants.dt.tz_convert(zone).dt.tz_localize(None).to_numpy().astype("datetime64[m]")
    days = local.astype("datetime64[D]")
    return days, pd.Series(_CLOCK.take((local - days).astype(np.int64)))


def _day_text(instants: pd.Series, zone: ZoneInfo) -> pd.Series:
    """The day of each instant as `10/03`."""
    return _by_distinct(_local(instants, zone)[0], lambda day: f"{day:%d/%m}")


def sentences(rows: pd.DataFrame, rules: AuditRules, zone: ZoneInfo) -> pd.Series:
    """Why each row stands among the divergences.

    Args:
        rows: columns of VALIDATED_TRIPS with `tipo` and `veredito` of the divergence, `duvida` (see
            `divergences.doubts`), `horas_ausentes` (text), `odometro_em_volta` (flag), `viagens` and
            `metros` (of a vehicle that nobody registered), `troca` (`exchange_in_words`).
        rules: how far apart in time trips may be; the sentences show it.
        zone: whose clocks they show.
    """
    kind, doubt, source = rows["tipo"], rows["duvida"], rows["fonte_distancia"]
    unproven, proven = rows["veredito"] == "inconclusivo", rows["veredito"] == "divergente"
    phantom, undeclared = kind == "sem_telemetria", kind == "nao_declarada"
    claimed = phantom | (kind == "km_divergente")
    measured = undeclared | (kind == "km_divergente")
    unseen = claimed & proven & (units(rows["km_sem_sinal"]) > 0)
    held = undeclared & (rows["base_auditoria"] == "a_declarar")
    stands = undeclared & (rows["base_auditoria"] == "telemetria_substitui")
    of_group, of_another = rows["viagens"] > 1, phantom & rows["medicao_de_outra"]
    usual = ~(of_group & (kind == "km_divergente")) & ~of_another
    parts = [
        *((usual & (kind == one), opening) for one, opening in _OPENINGS.items()),
        (of_group & (kind == "km_divergente"), _OF_A_GROUP),
        (of_another, _OF_ANOTHER),
        (claimed & rows["placa_declarada"].notna(), _FOR_ANOTHER),
        (measured & (source == "telemetria"), _BY_TELEMETRY),
        (measured & (source == "mista"), _PARTLY_BY_TELEMETRY),
        (unproven & ~undeclared & (doubt == "horas"), _HOURS_MISSING),
        (unproven & ~undeclared & (doubt == "dia"), _ACROSS_MIDNIGHT),
        (unproven & ~undeclared & (doubt == "leituras"), _NO_READINGS),
        (unproven & ~undeclared & (doubt == "sinal"), _SIGNAL_LOST),
        (unproven & (kind == "km_divergente") & (doubt == "fontes"), _SOURCES_DISAGREE),
        (undeclared & rows["fontes_discordam"], _SOURCES_DISAGREE),
        (unseen, _UNSEEN_IS_LESS),
        (phantom & proven & ~unseen & ~of_another & rows["odometro_em_volta"], _ODOMETER_STOOD),
        (claimed & unproven, _BOLETIM_STANDS),
        (claimed & proven, _PROVEN_COUNT),
        (stands & ~rows["aceita"], _TELEMETRY_STANDS),
        (stands & rows["aceita"], _ACCEPTED),
        (held & unproven & ~rows["fontes_discordam"], _NO_BOLETIM),
        (held, _TO_DECLARE),
    ]
    told = [(np.flatnonzero(where), template) for where, template in parts if where.any()]
    texts = [_filled(template, rows, at, rules, zone) for at, template in told]
    row = np.concatenate([np.zeros(0, np.int64), *(at for at, _ in told)])
    return joined(row, pd.concat([pd.Series(dtype="str"), *texts]), len(rows), "")


def exchange_in_words(pairs: pd.DataFrame) -> pd.Series:
    """What is said of two vehicles whose devices were exchanged.

    Args:
        pairs: a row of `swapped.Swaps.pairs` each, with the other direction's `de_outro_km`, `ate_outro_km`.
    """
    km = {name: km_text(metres(pairs[name])) for name in ("de_km", "ate_km", "de_outro_km", "ate_outro_km")}
    said = [
        _EXCHANGED.format(
            one=pair["veiculo"],
            other=pair["outro"],
            day=f"{date.fromisoformat(pair['dia']):%d/%m}",
            readings=f"{km['de_km'][n]} a {km['ate_km'][n]}",
            others=f"{km['de_outro_km'][n]} a {km['ate_outro_km'][n]}",
            proof=_PROOFS[pair["pelo_boletim"]],
            source=pair["fonte"],
            or_sheets=", ou as placas no boletim" if pair["pelo_boletim"] else "",
        )
        for n, pair in enumerate(pairs.to_dict("records"))
    ]
    return pd.Series(said, pairs.index, dtype="str")


def _difference(declared: np.ndarray, measured: np.ndarray) -> pd.Series:
    """`+53,8 %; `, or nothing where there is no distance to compare with."""
    said = percent_text(declared - measured, np.maximum(measured, 1)) + "; "
    return said.where(measured > 0, "")


_Of = Callable[[str], pd.Series]  # a column, of the rows that a part is for
_WORDS: dict[str, Callable[[_Of, AuditRules, ZoneInfo], pd.Series | str]] = {
    "declarado": lambda of, *_: km_text(units(of("km_declarado"))),
    "medido": lambda of, *_: km_text(units(of("km_medido"))),
    "fonte": lambda of, *_: of("fonte_telemetria"),
    "outra": lambda of, *_: km_text(units(of("km_outra_fonte"))),
    "auditado": lambda of, *_: km_text(units(of("km_auditado"))),
    "sem_sinal": lambda of, *_: km_text(units(of("km_sem_sinal"))),
    "diferenca": lambda of, *_: _difference(units(of("km_declarado")), units(of("km_medido"))),
    "tolerancia": lambda of, *_: in_words(of("tolerancia_pct"), of("tolerancia_km")),
    "minutos": lambda _, rules, __: str(rules.match_minutes),
    "quando": lambda of, _, zone: window_text(of("saida_utc"), of("chegada_utc"), zone),
    "dia": lambda of, _, zone: _day_text(of("saida_utc"), zone),
    "dia_medido": lambda of, _, zone: _day_text(of("saida_medida_utc"), zone),
    "quando_medido": lambda of, _, zone: window_text(of("saida_medida_utc"), of("chegada_medida_utc"), zone),
    "declarado_por": lambda of, *_: of("motorista_declarado").fillna("outro"),
    "medido_por": lambda of, *_: of("motorista_medido").fillna("outro"),
    "veiculo": lambda of, *_: of("veiculo"),
    "troca": lambda of, *_: of("troca"),
    "placa_declarada": lambda of, *_: of("placa_declarada"),
    "viagens": lambda of, *_: _by_distinct(of("viagens"), lambda n: "1 viagem" if n == 1 else f"{n} viagens"),
    "metros": lambda of, *_: km_text(of("metros").to_numpy()),
    "horas": lambda of, *_: of("horas_ausentes"),
}


def _filled(
    template: str, rows: pd.DataFrame, at: np.ndarray, rules: AuditRules, zone: ZoneInfo
) -> pd.Series:
    """The template with the words of the rows at these positions."""
    first, *others = re.split(r"{(\w+)}", template)  # by turns a name and what follows it
    others[::2] = [_WORDS[name](lambda column: rows[column].take(at), rules, zone) for name in others[::2]]
    said = [pa.scalar(x, _TEXT) if isinstance(x, str) else pa.array(x) for x in [*others, ""]]
    filled = pc.binary_join_element_wise(pa.repeat(pa.scalar(first, _TEXT), len(at)), *said)
    return pd.Series(filled, dtype="str")
