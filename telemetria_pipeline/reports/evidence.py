"""One divergence as a page for the carrier's desk: both sides, the day, the rule, the money, the proof."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd

from telemetria_pipeline.contracts.audit import TRIP_SEGMENTS, VALIDATED_TRIPS
from telemetria_pipeline.core.audit.divergences import OF_KM
from telemetria_pipeline.core.audit.tolerances import in_words
from telemetria_pipeline.reports.pages import SIGNING, render
from telemetria_pipeline.reports.text import (
    brl,
    clock,
    day_of,
    exact_sum,
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
    "telemetria_substitui": "a viagem não foi declarada; aceita, ou paga pelo contrato, vale a telemetria",
    "nao_comprovado": "a telemetria não mostra esta viagem",
    "a_declarar": "a viagem não foi declarada: espera que alguém a declare ou aceite",
    "odometro": "vale o que o odômetro andou entre as leituras antes e depois dela",
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
        around: TRIP_SEGMENTS of the vehicle on the nearest other days with good odometer readings, where the
            day itself has none before or after the trip; `between`: VALIDATED_TRIPS of the vehicle on the
            days from the one to the other.
        beyond: what a franchise leaves of the R$ at stake, and the rest; see `after_franchise`.
        boletim_sha256: of the boletim's bytes as received; None where there is none.
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
    around: pd.DataFrame = field(default_factory=TRIP_SEGMENTS.empty)
    between: pd.DataFrame = field(default_factory=VALIDATED_TRIPS.empty)
    beyond: tuple[Decimal | None, Decimal] = (None, Decimal(0))
    boletim_sha256: str | None = None

    @property
    def trip(self) -> pd.Series:
        """The trip in question; of trips that were judged together the first, with the sums of all."""
        trip = self.trips[self.trips["viagem_id"] == self.divergence["viagem_id"]].iloc[0]
        if self.divergence["viagens"] == 1:
            return trip
        sums = ["chegada_utc", "km_declarado", "km_medido", "km_auditado"]
        return pd.Series(
            {**trip, **self.divergence[sums], "segmentos": len(self.own_segments)}, index=trip.index
        )

    @property
    def own(self) -> set[str]:
        """The trips that the divergence is about."""
        return {self.divergence["viagem_id"], *self.judged_together["viagem_id"]}

    @property
    def whole_segments(self) -> pd.DataFrame:
        """The vehicle's measured trips, each once and whole, though several trips share it; by departure."""
        own_first = self.segments.assign(other=~self.segments["viagem_id"].isin(self.own)).sort_values(
            "other"
        )
        by_segment = own_first.groupby(["fonte", "veiculo_id", "saida_utc"], sort=False)
        km = by_segment["km_medido"].sum().reset_index(drop=True)
        whole = by_segment.head(1).reset_index(drop=True).assign(km_medido=km)
        return whole[TRIP_SEGMENTS.names].sort_values("saida_utc")

    @property
    def own_segments(self) -> pd.DataFrame:
        """Those of the trips that the divergence is about."""
        whole = self.whole_segments
        return whole[whole["viagem_id"].isin(self.own)]

    @property
    def judged_together(self) -> pd.DataFrame:
        """The trips that were judged as one, by departure; none where the divergence is about one alone."""
        if self.divergence["viagens"] == 1:
            return self.trips[:0]
        (group,) = self.trips.loc[self.trips["viagem_id"] == self.divergence["viagem_id"], "grupo"]
        return self.trips[self.trips["grupo"] == group].sort_values(["saida_utc", "viagem_id"])

    @property
    def readings_around(self) -> dict[str, pd.Series]:
        """The segments with the last good odometer before, and the first after, a declared trip that has no
        segments, or is paid by the odometer; none where what lies between is another trip's."""
        trip = self.trip
        by_odometer = trip["base_auditoria"] == "odometro"
        if (
            trip["medicao_de_outra"]
            or missing(trip["km_declarado"])
            or (len(self.own_segments) and not by_odometer)
        ):
            return {}
        others = pd.concat([self.around, self.segments[~self.segments["viagem_id"].isin(self.own)]])
        before, after = readings_around(others, trip)
        return {when: found.iloc[0] for when, found in (("Antes", before), ("Depois", after)) if len(found)}

    @property
    def odometer_account(self) -> str | None:
        """What the odometer moved between those two readings, and what was declared there, in a sentence."""
        readings = self.readings_around
        if len(readings) < 2 or readings["Antes"]["fonte"] != readings["Depois"]["fonte"]:
            return None
        before, after = readings["Antes"], readings["Depois"]
        moved = after["odometro_saida_km"] - before["odometro_chegada_km"]
        known = pd.concat([self.between, self.trips]).drop_duplicates("viagem_id")
        inside = known[
            (known["saida_utc"] >= before["chegada_utc"]) & (known["chegada_utc"] <= after["saida_utc"])
        ]
        declared = inside[inside["km_declarado"].notna()]
        trips = "1 viagem declarada" if len(declared) == 1 else f"{len(declared)} viagens declaradas"
        return (
            f"Da chegada de uma à saída da outra o odômetro andou {km(moved)}; nesse intervalo há {trips}, "
            f"de {km(exact_sum(declared['km_declarado']))} ao todo."
        )


def readings_around(segments: pd.DataFrame, trip: pd.Series) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The last segment with good odometers before a trip, and the first after it; each may be none."""
    good = segments[segments["situacao_odometro"] == "ok"]
    return (
        good[good["saida_utc"] <= trip["saida_utc"]].nlargest(1, "saida_utc"),
        good[good["chegada_utc"] >= trip["chegada_utc"]].nsmallest(1, "chegada_utc"),
    )


def evidence_page(evidence: Evidence) -> str:
    """The page, as HTML that stands alone; what senders wrote is escaped."""
    from markupsafe import Markup

    found, trip, zone = evidence.divergence, evidence.trip, evidence.zone
    timeline = day_timeline(evidence.trips, evidence.whole_segments, evidence.hours, evidence.own, zone)
    pages = found["evidencia_telemetria"]
    return render(
        "evidence.html.j2",
        found=found,
        trip=trip,
        day=day_of(trip["saida_utc"].astimezone(zone)),
        timeline=Markup(timeline),  # noqa: S704, a drawing of ours, whose texts are escaped
        declared=place_in_boletim(trip.to_frame().T)[0],
        zone=zone,
        **_clocks(trip, zone),
        in_boletim=None if evidence.declared_zone == zone else _clocks(trip, evidence.declared_zone),
        segments=[{**row, **_clocks(row, zone)} for row in evidence.own_segments.to_dict("records")],
        around=[
            {**row, **_clocks(row, zone), "when": when, "date": day_of(row["saida_utc"].astimezone(zone))}
            for when, row in evidence.readings_around.items()
        ],
        account=evidence.odometer_account,
        together=[
            {**row, **_clocks(row, zone), "place": place}
            for row, place in zip(
                evidence.judged_together.to_dict("records"),
                place_in_boletim(evidence.judged_together),
                strict=True,
            )
        ],
        boletim_sha256=evidence.boletim_sha256,
        signing=SIGNING,
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
    if trip["medicao_de_outra"]:
        matched = "nenhuma viagem medida, que já não corresponda a outra declarada,"
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
    about_km = found["tipo"] in OF_KM
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
        "beyond": evidence.beyond,
    }


def _or_zero(value: Any) -> Any:
    return 0 if missing(value) else value


def _day(text: str) -> str:
    return day_of(pd.Timestamp(text))


def _signed_percent(share: float) -> str:
    return f"{'+' if share > 0 else ''}{percent(share, 1)}"


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."
