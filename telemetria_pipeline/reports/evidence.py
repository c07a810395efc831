"""One divergence as a page for the carrier's desk: both sides, the day, the rule, the money, the proof."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd

from telemetria_pipeline.core.audit.tolerances import in_words
from telemetria_pipeline.reports.pages import render
from telemetria_pipeline.reports.text import (
    brl,
    clock,
    day_of,
    km,
    missing,
    percent,
    place_in_boletim,
    signed,
    tariff,
    word,
)
from telemetria_pipeline.reports.timeline import day_timeline

_BASES = {
    "acordo": "os dois lados concordam: vale o declarado",
    "medido": "vale o que a telemetria comprova",
    "boletim_substitui": "não há prova suficiente em contrário: vale o boletim",
    "telemetria_substitui": "não há boletim do veículo neste dia: vale a telemetria",
    "nao_comprovado": "a telemetria não mostra esta viagem",
    "nao_declarado": "a viagem não foi declarada",
}
_SIGNALS = {
    "presente": "o equipamento foi ouvido antes e depois da viagem",
    "perdido": "o odômetro andou {unseen} sem que o equipamento fosse ouvido",
    "desconhecido": "não há leituras seguras do odômetro antes e depois da viagem",
}

_ODOMETER_STOOD = "as leituras do odômetro antes e depois não mostram esse percurso"


@dataclass(frozen=True)
class Evidence:
    """All that a page shows of a divergence.

    Attributes:
        divergence: a row of DIVERGENCES.
        trips: VALIDATED_TRIPS of the vehicle on the day, the trip in question among them; `segments`:
            TRIP_SEGMENTS likewise.
        hours: `inicio_utc`, `fim_utc`, `estado` of the day's hours, as they are known of the vehicle.
        zone: the contract's, whose clocks the page shows; `declared_zone`: the one of the boletim's clocks.
        terms: the row of CONTRACTS that gave the price; None where there is none (any more).
        rules: today's tolerances, as AuditRules writes them; `rules_version`: their version.
    """

    divergence: pd.Series
    trips: pd.DataFrame
    segments: pd.DataFrame
    hours: pd.DataFrame
    terms: pd.Series | None
    rules: Mapping[str, Any]
    rules_version: str
    zone: ZoneInfo
    declared_zone: ZoneInfo

    @property
    def trip(self) -> pd.Series:
        """The trip in question."""
        return self.trips[self.trips["viagem_id"] == self.divergence["viagem_id"]].iloc[0]

    @property
    def own_segments(self) -> pd.DataFrame:
        """Its segments, in order of departure."""
        own = self.segments[self.segments["viagem_id"] == self.divergence["viagem_id"]]
        return own.sort_values("saida_utc")

    @property
    def readings_around(self) -> dict[str, pd.Series]:
        """The segments with the last good odometer before, and the first after, a trip without segments."""
        good = self.segments[self.segments["situacao_odometro"] == "ok"]
        if missing(self.trip["km_declarado"]) or len(self.own_segments):
            return {}
        before = good[good["saida_utc"] <= self.trip["saida_utc"]].nlargest(1, "saida_utc")
        after = good[good["chegada_utc"] >= self.trip["chegada_utc"]].nsmallest(1, "chegada_utc")
        return {when: found.iloc[0] for when, found in (("Antes", before), ("Depois", after)) if len(found)}


def evidence_page(evidence: Evidence) -> str:
    """The page, as HTML that stands alone; what senders wrote is escaped."""
    from markupsafe import Markup

    found, trip, zone = evidence.divergence, evidence.trip, evidence.zone
    timeline = day_timeline(evidence.trips, evidence.segments, evidence.hours, trip["viagem_id"], zone)
    pages = found["evidencia_telemetria"]
    return render(
        "evidence.html.j2",
        found=found,
        trip=trip,
        day=day_of(trip["saida_utc"].astimezone(zone)),
        timeline=Markup(timeline),
        declared=place_in_boletim(trip.to_frame().T)[0],
        zone=zone,
        **_clocks(trip, zone),
        in_boletim=None if evidence.declared_zone == zone else _clocks(trip, evidence.declared_zone),
        segments=[{**row, **_clocks(row, zone)} for row in evidence.own_segments.to_dict("records")],
        around=[
            {**row, **_clocks(row, zone), "when": when} for when, row in evidence.readings_around.items()
        ],
        steps=[_sentence(step) for step in _steps(evidence)],
        pages=[] if missing(pages) else pages.split("; "),
        basis=_BASES[trip["base_auditoria"]],
        other_rules="" if found["versao_regras"] == evidence.rules_version else evidence.rules_version,
        **_money(evidence),
    )


def _clocks(row: Mapping[Any, Any] | pd.Series, zone: ZoneInfo) -> dict[str, str]:
    return {"departure": clock(row["saida_utc"], zone), "arrival": clock(row["chegada_utc"], zone)}


def _steps(evidence: Evidence) -> list[str]:
    """How the verdict was reached, a sentence a step."""
    trip, rules, kind = evidence.trip, evidence.rules, evidence.divergence["tipo"]
    last = f"contam {km(trip['km_auditado'])} na medição: {_BASES[trip['base_auditoria']]}"
    if missing(trip["km_declarado"]):
        return [
            f"a telemetria mediu {km(trip['km_medido'])} e nenhuma viagem declarada do veículo fica a até "
            f"{rules['match_minutes']} min dela",
            last,
        ]
    count = int(trip["segmentos"])
    matched = {0: "nenhuma viagem medida", 1: "uma viagem medida"}.get(count, f"{count} viagens medidas")
    steps = [f"busca até {rules['match_minutes']} min em torno da viagem declarada: {matched} do veículo"]
    if not missing(trip["placa_declarada"]):
        steps.insert(
            0, f"o boletim a traz na placa {trip['placa_declarada']}; {trip['veiculo']} a substituiu"
        )
    if trip["aparelho_trocado"]:
        steps.append("a medição veio na placa de outro veículo: os aparelhos dos dois estavam trocados")
    if count:
        difference = trip["km_declarado"] - trip["km_medido"]
        inside = "dentro da" if trip["veredito"] == "ok" else "fora da"
        share = "" if missing(trip["divergencia"]) else f" ({_signed_percent(trip['divergencia'])})"
        steps.append(
            f"declarados {km(trip['km_declarado'])}, medidos {km(trip['km_medido'])} (fonte: "
            f"{word(trip['fonte_distancia']).lower()}): diferença de {signed(difference, 3)} km{share}, "
            f"{inside} {_tolerance(evidence)}"
        )
    steps += [
        f"{percent(trip['cobertura'])} da viagem declarada está em horas com telemetria recebida (mínimo de "
        f"{percent(float(rules['min_coverage']))}; abaixo disso não se conclui)",
        _ODOMETER_STOOD
        if trip["veredito"] == "divergente"
        and trip["sinal"] == "presente"
        and len(evidence.readings_around) == 2
        else _SIGNALS.get(trip["sinal"], "não há notícia do sinal").format(unseen=km(trip["km_sem_sinal"])),
    ]
    if kind == "horario_divergente":
        steps.append(
            f"a saída medida difere da declarada em {signed(trip['dif_saida_min'], 0)} min e a chegada em "
            f"{signed(trip['dif_chegada_min'], 0)} min; a tolerância é de {rules['match_minutes']} min"
        )
    if kind == "motorista_divergente":
        steps.append(
            f"o boletim traz o motorista {trip['motorista_declarado']}, e a telemetria identificou "
            f"{trip['motorista_medido']}"
        )
    if kind == "veiculo_desconhecido":
        steps.append(f"a placa {trip['veiculo']} não está no cadastro de veículos")
    return [*steps, last]


def _tolerance(evidence: Evidence) -> str:
    trip = evidence.trips[evidence.trips["viagem_id"] == evidence.divergence["viagem_id"]]
    said = in_words(trip["tolerancia_pct"], trip["tolerancia_km"]).iloc[0]
    return f"{said}, do contrato" if trip["tolerancia_do_contrato"].iloc[0] else said


def _money(evidence: Evidence) -> dict[str, Any]:
    """What the page says of tariff, kilometres and R$."""
    found, terms = evidence.divergence, evidence.terms
    about_km = found["tipo"] in ("km_divergente", "sem_telemetria", "nao_declarada")
    at_stake = abs(_or_zero(found["km_declarado"]) - _or_zero(found["km_medido"])) if about_km else None
    price = tariff(found["tarifa_brl_km"])
    if missing(found["tarifa_brl_km"]):
        calculation = "sem tarifa em vigor para o veículo, o valor não se calcula"
    elif about_km:
        calculation = f"{km(at_stake)} × {price} = {brl(found['valor_brl'])}"
    else:
        calculation = "esta divergência não muda o valor a pagar"
    if missing(found["contrato"]):
        clause = "nenhum contrato em vigor para o veículo neste dia"
    elif terms is None:
        clause = f"contrato {found['contrato']}; a tabela de contratos mudou depois desta conferência"
    else:
        end = terms["vigencia_fim"]
        until = "sem data de fim" if missing(end) else f"até {_day(end)}"
        clause = (
            f"contrato {terms['contrato']}, cláusula {terms['clausula']} (linha {terms['contrato_linha']} do "
            f"arquivo de contratos), em vigor desde {_day(terms['vigencia_inicio'])}, {until}"
        )
    allowance = terms["franquia_km"] if about_km and terms is not None else 0
    return {
        "price": price,
        "clause": clause,
        "at_stake_km": at_stake,
        "calculation": calculation,
        "allowance": allowance,
    }


def _or_zero(value: Any) -> Any:
    return 0 if missing(value) else value


def _day(text: str) -> str:
    return day_of(pd.Timestamp(text))


def _signed_percent(share: float) -> str:
    return f"{'+' if share > 0 else ''}{percent(share, 1)}"


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."
