"""The medição of a cycle: the workbook that finance opens, one for each carrier, the totals for Dagster."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from functools import cached_property
from hashlib import sha256
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd

from telemetria_pipeline.contracts.closing import Closing
from telemetria_pipeline.contracts.reference import OPERATIONS
from telemetria_pipeline.core.billing.franchise import after_franchise, left_of_franchise
from telemetria_pipeline.core.billing.proof import PAID, UNPAID, by_proof
from telemetria_pipeline.core.names import plain_name
from telemetria_pipeline.reports.pages import SIGNING
from telemetria_pipeline.reports.plots import at_stake_by_carrier, cost_by_carrier, markdown_image
from telemetria_pipeline.reports.text import (
    brl,
    day_of,
    exact_sum,
    km,
    number,
    place_in_boletim,
    tariff,
    word,
)
from telemetria_pipeline.reports.workbook import Column, Formula, Kind, Table, Workbook, days, local

NO_OPERATION = "Sem operação"
_ANOTHERS = "(outro veículo)"
_TITLES = {
    "AGR": "Medição agrícola (AGR)",
    "IND": "Medição industrial e administrativa (IND)",
    NO_OPERATION: "Medição de veículos sem operação no cadastro",
}
NO_CARRIER = "Sem transportadora"
MOST_DIVERGENCES = 5_000
PROOFS = {
    "comprovado_brl": "Comprovado",
    "so_boletim_brl": "Só boletim",
    "so_telemetria_brl": "Só telemetria",
    "a_declarar_brl": "A declarar (retido)",
    "franquia_brl": "Na franquia",
}
"""What money rests on, as people read it: the first three are paid, the others are not."""
NOT_PAID = (
    "Não se pagam: o que se mediu e ninguém declarou fica retido até que se declare, e o que a franquia "
    "cobre já está na parcela fixa."
)


@dataclass(frozen=True)
class Measurement:
    """What a medição is made of.

    `divergences` are those of all the cycle's days; `closing` is None while it is open; `left_out` are
    sentences about what no line pays; `carrier` is the only one that it is about, None: all of them.
    """

    first: date
    last: date
    zone: ZoneInfo
    billing: pd.DataFrame
    priced: pd.DataFrame
    adjustments: pd.DataFrame
    divergences: pd.DataFrame
    patterns: pd.DataFrame
    closing: Closing | None = None
    left_out: Sequence[str] = ()
    carrier: str | None = None

    @cached_property
    def lines(self) -> pd.DataFrame:
        """BILLING by vehicle and first day, each line with its carrier, what its R$ rest on, and `porque`."""
        bill = self.billing.join(by_proof(self.billing, self.priced))
        bill = bill.assign(transportadora=self._carriers(bill))
        bill = bill.sort_values(["veiculo", "inicio"], ignore_index=True)
        rows = bill.groupby("veiculo")["veiculo"].transform("size")
        return bill.assign(
            porque=[_why(line, n) for line, n in zip(bill.to_dict("records"), rows, strict=True)]
        )

    @cached_property
    def at_stake(self) -> pd.DataFrame:
        """The divergences, dearest first by what a franchise leaves of their R$; see `after_franchise`."""
        found = after_franchise(self.divergences, left_of_franchise(self.billing, self.priced))
        register = found["tipo"] == "veiculo_desconhecido"  # one line a vehicle, however often it drove
        found = found[~(register & found.duplicated(["tipo", "veiculo"]))]
        return found.assign(transportadora=self._carriers(found)).sort_values(
            ["valor_brl", "posicao"], ascending=[False, True], na_position="last", ignore_index=True
        )

    @cached_property
    def carriers(self) -> list[str]:
        """Whom the medição is about, by name; `NO_CARRIER` only where nobody knows whose a vehicle is."""
        named = pd.concat([self.lines["transportadora"], self._carriers(self.adjustments)])
        return sorted(named.groupby(named.map(plain_name)).first())

    def of_carrier(self, carrier: str) -> "Measurement":
        """What of it is one carrier's, and nothing of another's: it can be sent to the carrier."""
        key = plain_name(carrier)

        def own(frame: pd.DataFrame) -> pd.DataFrame:
            return frame[self._carriers(frame).map(plain_name) == key].reset_index(drop=True)

        billing = own(self.billing)
        ours = {*billing["veiculo"], *own(self.priced)["veiculo"], *own(self.divergences)["veiculo"]}
        others = sorted({*self.billing["veiculo"], *self.priced["veiculo"]} - ours)

        def neutral(frame: pd.DataFrame) -> pd.DataFrame:
            """A substitution, or exchanged devices, may name another carrier's vehicle."""
            plates = "|".join(map(re.escape, others))
            hidden = frame["frase"].str.replace(plates, _ANOTHERS, regex=True) if plates else frame["frase"]
            return frame.assign(frase=hidden)

        return replace(
            self,
            carrier=carrier,
            billing=billing,
            priced=self.priced[self.priced["veiculo"].isin(billing["veiculo"])].reset_index(drop=True),
            adjustments=neutral(own(self.adjustments)),
            divergences=neutral(own(self.divergences)),
            patterns=self.patterns[:0],
            left_out=(),
        )

    def _carriers(self, rows: pd.DataFrame) -> pd.Series:
        """Whose each row is: as it says, else as the cycle's trips of its vehicle do."""
        declared = self.priced.dropna(subset="transportadora").drop_duplicates("veiculo")
        of_trips = declared.set_index("veiculo")["transportadora"].reindex(rows["veiculo"])
        return rows["transportadora"].fillna(of_trips.set_axis(rows.index)).fillna(NO_CARRIER)

    @property
    def seal(self) -> str:
        """What is printed above the signatures."""
        return self.closing.seal if self.closing else "em aberto"

    @property
    def period(self) -> str:
        """`16/10/2026 a 15/11/2026`."""
        return f"{day_of(self.first)} a {day_of(self.last)}"

    @property
    def state(self) -> str:
        """Whether the cycle is closed, since when, and under which hash and seal."""
        if not self.closing:
            return "Ciclo aberto: os valores ainda podem mudar"
        at = self.closing.closed_at.astimezone(self.zone)
        return (
            f"Ciclo fechado em {at:%d/%m/%Y às %H:%M} · hash {self.closing.hash} · selo {self.closing.seal}"
        )

    @property
    def versions(self) -> str:
        """Under which rules and tariffs it was made."""

        def named(column: str) -> str:
            return ", ".join(sorted(self.billing[column].dropna().unique())) or "–"

        return f"Regras {named('versao_regras')} · Tarifas {named('versao_tarifas')}"

    @property
    def operations(self) -> list[str]:
        """The groups that are billed apart; one carrier's, and `NO_OPERATION`, only where there is one."""
        there = {
            *self.billing["operacao"].fillna(NO_OPERATION),
            *self.adjustments["operacao"].fillna(NO_OPERATION),
        }
        always = () if self.carrier else OPERATIONS
        return [o for o in (*OPERATIONS, NO_OPERATION) if o in always or o in there]


def file_name(cycle: str, carrier: str | None = None) -> str:
    """The name, without its ending, of a cycle's medição, or of one carrier's.

    Names that a file could not hold as they are, or that would meet there, are told apart by a digest.
    """
    if carrier is None:
        return f"medicao_{cycle}"
    name = plain_name(carrier)
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:60]
    exact = slug.replace("-", " ").upper() == name
    return f"medicao_{cycle}_{slug if exact else f'{slug}-{sha256(name.encode()).hexdigest()[:8]}'}"


def measurement_workbook(measurement: Measurement) -> bytes:
    """The medição as .xlsx: a sheet an operation, what it rests on, adjustments, totals, divergences; of all
    carriers also a line each, and the patterns; of one, where to sign.

    Each line's variable cost and fixed part are our numbers, rounded once; all sums are formulas.
    """
    book = Workbook()
    lines = {operation: _lines(book, measurement, operation) for operation in measurement.operations}
    _proofs(book, measurement)
    adjustments = _adjustments(book, measurement)
    _totals(book, measurement, lines, adjustments)
    if not measurement.carrier:
        _carriers(book, measurement)
    _divergences(book, measurement)
    if not measurement.carrier:
        _patterns(book, measurement)
    return book.save()


def measurement_markdown(measurement: Measurement) -> str:
    """The totals and the plots, for Dagster's metadata."""
    rows = [
        [
            operation,
            *(brl(exact_sum(_of(measurement.billing, operation)[name])) for name in _MONEY),
            brl(exact_sum(_of(measurement.adjustments, operation)["ajuste_brl"])),
        ]
        for operation in measurement.operations
    ]
    every = [brl(exact_sum(measurement.billing[name])) for name in _MONEY]
    rows.append(["**Total**", *every, brl(exact_sum(measurement.adjustments["ajuste_brl"]))])
    head = ["Operação", "Variável", "Parcela", "Total", "Pelos km declarados", "Ajustes"]
    table = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(
        [
            f"**Medição de {measurement.period}** · {measurement.state}",
            "",
            *(f"| {' | '.join(row)} |" for row in table),
            "",
            *measurement.left_out,
            "",
            *(
                f"- {row['Transportadora']}: {brl(row['Total a faturar'])}"
                for row in carrier_totals(measurement).to_dict("records")
            ),
            "",
            markdown_image(cost_by_carrier(measurement.billing), "Custo variável por transportadora"),
            markdown_image(at_stake_by_carrier(measurement.at_stake), "R$ em jogo por transportadora"),
        ]
    )


_MONEY = ("variavel_brl", "fixo_brl", "total_brl", "variavel_declarado_brl")


def _heading(measurement: Measurement, title: str) -> list[str]:
    whose = [f"Transportadora: {measurement.carrier}"] if measurement.carrier else []
    return [title, *whose, f"Período: {measurement.period}", measurement.state, measurement.versions]


def _of(frame: pd.DataFrame, operation: str) -> pd.DataFrame:
    return frame[frame["operacao"].fillna(NO_OPERATION) == operation]


def _why(line: Mapping[Any, Any], rows: int) -> str:
    """Why the line's kilometres times its tariff, or a month's fixed cost, are not what is paid."""
    billed, price = line["km_faturado"], line["tarifa_brl_km"]
    said = []
    if rows > 1:
        said.append(f"o veículo tem {rows} linhas de contrato no ciclo")
    if line["dias"] < line["dias_ciclo"]:
        said.append(f"parcela de {line['dias']} dos {line['dias_ciclo']} dias")
    if line["km_auditado"] > billed:
        spent = line["km_auditado"] - billed
        said.append(f"franquia: {km(spent)} dos {km(line['km_auditado'])} rodados não se pagam por km")
    exact = Decimal(billed * price).normalize()
    if exact != line["variavel_brl"]:
        places = max(-int(exact.as_tuple().exponent), 0)
        said.append(f"{km(billed)} × {tariff(price)} = R$ {number(exact, places)}, ao centavo")
    text = "; ".join(said)
    return f"{text[:1].upper()}{text[1:]}"


def contract_of(line: Mapping[Any, Any]) -> str:
    """`CT-0101, cláusula 4.1`."""
    return f"{line['contrato']}, cláusula {line['clausula']}"


def _lines(book: Workbook, measurement: Measurement, operation: str) -> Table:
    bill = _of(measurement.lines, operation)
    begins, ends = (pd.to_datetime(bill[name]).dt.strftime("%d/%m/%Y") for name in ("inicio", "fim"))
    return book.add(
        operation,
        _heading(measurement, _TITLES[operation]),
        [
            Column("Período", (begins + " a " + ends).tolist(), "long", width=13),
            Column("Placa", bill["veiculo"].tolist(), width=10),
            Column("Frota", bill["equipamento"].tolist(), width=8),
            Column("Rota", bill["rota"].tolist(), "long", width=15),
            Column("Turnos atendidos", bill["turnos"].tolist(), "long", width=10),
            Column("Contrato", [contract_of(line) for line in bill.to_dict("records")], "long", width=14),
            Column("Regime", bill["regime"].map(word).tolist(), width=14),
            Column("Contrato/spot", bill["modalidade"].map(word).tolist(), width=10),
            Column("Tipo do veículo", bill["tipo"].tolist(), "long", width=10),
            Column("Km rodado", bill["km_auditado"].tolist(), "km", 11, summed=True),
            Column("Km além da franquia", bill["km_faturado"].tolist(), "km", 11, summed=True),
            Column("Custo variável (R$/km)", bill["tarifa_brl_km"].tolist(), "tariff", 10),
            Column("Total variável", bill["variavel_brl"].tolist(), "brl", 14, summed=True),
            Column("Custo fixo", bill["custo_fixo_mensal_brl"].tolist(), "brl", 13),
            Column("Parcela", bill["fixo_brl"].tolist(), "brl", 14, summed=True),
            Column(
                "Total mensal a faturar",
                [Formula("={Total variável}+{Parcela}", total) for total in bill["total_brl"]],
                "brl",
                16,
                summed=True,
            ),
            Column("Por que não é km × tarifa", bill["porque"].tolist(), "long", 28),
        ],
        frozen=2,
    )


def _proofs(book: Workbook, measurement: Measurement) -> None:
    bill = measurement.lines
    book.add(
        "Comprovação",
        _heading(measurement, "Em que o custo variável se apoia"),
        [
            Column("Placa", bill["veiculo"].tolist(), width=11),
            Column("Transportadora", bill["transportadora"].tolist(), width=26),
            Column("Operação", bill["operacao"].fillna(NO_OPERATION).tolist(), width=13),
            Column("Contrato", [contract_of(line) for line in bill.to_dict("records")], width=26),
            *(Column(PROOFS[name], bill[name].tolist(), "brl", 16, summed=True) for name in PAID),
            Column(
                "Total variável",
                [
                    Formula("=" + "+".join(f"{{{PROOFS[name]}}}" for name in PAID), total)
                    for total in bill["variavel_brl"]
                ],
                "brl",
                16,
                summed=True,
            ),
            *(Column(PROOFS[name], bill[name].tolist(), "brl", 16, summed=True) for name in UNPAID),
        ],
        footnotes=[NOT_PAID],
    )


def _adjustments(book: Workbook, measurement: Measurement) -> Table:
    changed = measurement.adjustments.sort_values(["ciclo_origem", "data", "veiculo"], ignore_index=True)
    return book.add(
        "Ajustes",
        _heading(measurement, "Ajustes de ciclos já fechados, cobrados neste ciclo"),
        [
            Column("Ciclo de origem", days(changed["ciclo_origem"]), "day", 11),
            Column("Data", days(changed["data"]), "day", 11),
            Column("Placa", changed["veiculo"].tolist(), width=11),
            Column("Transportadora", changed["transportadora"].tolist(), "long", width=16),
            Column("Operação", changed["operacao"].fillna(NO_OPERATION).tolist(), width=9),
            Column("Causa", changed["causa"].map(word).tolist(), "long", width=14),
            Column("Km antes", changed["km_antes"].tolist(), "km", 11, summed=True),
            Column("Km depois", changed["km_depois"].tolist(), "km", 11, summed=True),
            Column("Valor antes", changed["valor_antes_brl"].tolist(), "brl", 13, summed=True),
            Column("Valor depois", changed["valor_depois_brl"].tolist(), "brl", 13, summed=True),
            Column("Ajuste", changed["ajuste_brl"].tolist(), "brl", 13, summed=True),
            Column("Explicação", changed["frase"].tolist(), "long", 38),
            Column("Boletim", changed["arquivo"].tolist(), "long", width=18),
        ],
    )


def _totals(book: Workbook, measurement: Measurement, lines: Mapping[str, Table], adjustments: Table) -> None:
    bills = {operation: _of(measurement.billing, operation) for operation in lines}
    owed = {o: exact_sum(_of(measurement.adjustments, o)["ajuste_brl"]) for o in lines}
    declared, saved = (
        {o: exact_sum(bill[name]) for o, bill in bills.items()}
        for name in ("variavel_declarado_brl", "economia_brl")
    )

    def sheets(header: str) -> list[Formula]:
        return [table.total(header) for table in lines.values()]

    by_operation = f"=SUMIF({adjustments.range('Operação')},{{Operação}},{adjustments.range('Ajuste')})"
    charged = {o: table.totals["Total mensal a faturar"] + owed[o] for o, table in lines.items()}
    undeclared = {o: t.totals["Total variável"] - declared[o] + saved[o] for o, t in lines.items()}
    book.add(
        "Totais",
        _heading(measurement, "Totais da medição"),
        [
            Column("Operação", list(lines), width=16),
            Column("Veículos", [bill["veiculo"].nunique() for bill in bills.values()], "count", 10, True),
            Column("Km rodado", sheets("Km rodado"), "km", 16, summed=True),
            Column("Total variável", sheets("Total variável"), "brl", 19, summed=True),
            Column("Parcela", sheets("Parcela"), "brl", 19, summed=True),
            Column("Ajustes", [Formula(by_operation, owed[o]) for o in lines], "brl", 17, summed=True),
            Column(
                "Total a faturar",
                [Formula("={Total variável}+{Parcela}+{Ajustes}", charged[o]) for o in lines],
                "brl",
                19,
                summed=True,
            ),
            Column("Variável pelos km declarados", list(declared.values()), "brl", 17, summed=True),
            Column("Economia no declarado", list(saved.values()), "brl", 17, summed=True),
            Column(
                "Pago sem declaração",
                [
                    Formula(
                        "={Total variável}-{Variável pelos km declarados}+{Economia no declarado}",
                        undeclared[o],
                    )
                    for o in lines
                ],
                "brl",
                17,
                summed=True,
            ),
        ],
        footnotes=[*measurement.left_out, *(_signatures(measurement) if measurement.carrier else [])],
    )


def _signatures(measurement: Measurement) -> list[str]:
    line = "_" * 42
    signed = [f"{who}: {line}   Nome e cargo: {line}   Data: ___/___/______" for who in SIGNING]
    return [f"Selo: {measurement.seal}", "", signed[0], "", signed[1]]


def carrier_totals(measurement: Measurement) -> pd.DataFrame:
    """One row a carrier, by what is charged: headers as people read them, decimals."""
    rows = []
    for carrier in measurement.carriers:
        own = measurement.of_carrier(carrier)
        verdict, value = own.at_stake["veredito"], own.at_stake["valor_brl"]
        adjusted, total = exact_sum(own.adjustments["ajuste_brl"]), exact_sum(own.billing["total_brl"])
        rows.append(
            {
                "Transportadora": carrier,
                "Veículos": own.billing["veiculo"].nunique(),
                "Km rodado": exact_sum(own.billing["km_auditado"]),
                **{PROOFS[name]: exact_sum(own.lines[name]) for name in PAID},
                "Total variável": exact_sum(own.billing["variavel_brl"]),
                "Parcela": exact_sum(own.billing["fixo_brl"]),
                "Ajustes": adjusted,
                "Total a faturar": total + adjusted,
                **{PROOFS[name]: exact_sum(own.lines[name]) for name in UNPAID},
                "Economia no declarado": exact_sum(own.billing["economia_brl"]),
                "Em jogo, divergente": exact_sum(value[verdict == "divergente"]),
                "Em jogo, inconclusivo": exact_sum(value[verdict == "inconclusivo"]),
            }
        )
    found = pd.DataFrame(rows, columns=_CARRIER_TOTALS, dtype=object)
    return found.sort_values(
        ["Total a faturar", "Transportadora"], ascending=[False, True], ignore_index=True
    )


_CARRIER_TOTALS = [
    *(
        "Transportadora",
        "Veículos",
        "Km rodado",
        *(PROOFS[name] for name in PAID),
        "Total variável",
        "Parcela",
    ),
    *("Ajustes", "Total a faturar", *(PROOFS[name] for name in UNPAID), "Economia no declarado"),
    *("Em jogo, divergente", "Em jogo, inconclusivo"),
]


def _carriers(book: Workbook, measurement: Measurement) -> None:
    found = carrier_totals(measurement)
    charged = "={Total variável}+{Parcela}+{Ajustes}"
    values: dict[str, list[Any]] = {str(name): found[name].tolist() for name in found}
    values["Total a faturar"] = [Formula(charged, total) for total in values["Total a faturar"]]
    kinds: dict[str, tuple[Kind, int]] = {
        "Transportadora": ("text", 22),
        "Veículos": ("count", 9),
        "Km rodado": ("km", 12),
    }
    book.add(
        "Transportadoras",
        _heading(measurement, "Resumo por transportadora"),
        [
            Column(name, column, *kinds.get(name, ("brl", 14)), summed=name != "Transportadora")
            for name, column in values.items()
        ],
        frozen=1,
        footnotes=[NOT_PAID],
    )


def _divergences(book: Workbook, measurement: Measurement) -> None:
    every = measurement.at_stake
    shown = every.head(MOST_DIVERGENCES)
    at_stake = " · ".join(
        f"{word(verdict)}: {number((every['veredito'] == verdict).sum(), 0)}, "
        f"{brl(exact_sum(every.loc[every['veredito'] == verdict, 'valor_brl']))}"
        for verdict in ("divergente", "inconclusivo")
    )
    left = len(every) - len(shown)
    more = f" · as outras {number(left, 0)} estão na tabela `divergences`" if left else ""
    departures = local(shown["saida_utc"], measurement.zone)
    book.add(
        "Divergências",
        [
            *_heading(measurement, "Divergências, as mais caras primeiro"),
            at_stake + more,
            "Em jogo é o que passa da franquia do contrato, na ordem das partidas do ciclo.",
        ],
        [
            Column("Data", [t.date() if t else None for t in departures], "day", 11),
            Column("Saída", [t.time() if t else None for t in departures], "clock", 7),
            Column("Tipo", shown["tipo"].map(word).tolist(), "long", width=14),
            Column("Veredito", shown["veredito"].map(word).tolist(), width=12),
            Column("R$ em jogo", shown["valor_brl"].tolist(), "brl", 11),
            Column("Na franquia", shown["franquia_brl"].tolist(), "brl", 11),
            Column("Confiança", shown["confianca"].tolist(), "share", 8),
            Column("Transportadora", shown["transportadora"].tolist(), "long", width=13),
            Column("Placa", shown["veiculo"].tolist(), "long", width=9),
            Column("Km declarado", shown["km_declarado"].tolist(), "km", 9),
            Column("Km medido", shown["km_medido"].tolist(), "km", 9),
            Column("Km auditado", shown["km_auditado"].tolist(), "km", 9),
            Column("Explicação", shown["frase"].tolist(), "long", 36),
            Column("Boletim", place_in_boletim(shown), "long", width=17),
            Column("Divergência", shown["divergencia_id"].tolist(), "long", width=12),
        ],
    )


def _patterns(book: Workbook, measurement: Measurement) -> None:
    found = measurement.patterns.sort_values("valor_brl", ascending=False, na_position="last")
    book.add(
        "Padrões",
        _heading(measurement, "Padrões do ciclo, que nenhuma viagem mostra sozinha"),
        [
            Column("Padrão", found["padrao"].map(word).tolist(), width=24),
            Column("De quem", found["nivel"].map(word).tolist(), width=15),
            Column("Qual", found["chave"].tolist(), width=24),
            Column("Transportadora", found["transportadora"].tolist(), width=24),
            Column("Viagens", found["viagens"].tolist(), "count", 9),
            Column("Ocorrências", found["ocorrencias"].tolist(), "count", 12),
            Column("Km declarado", found["km_declarado"].tolist(), "km", 14),
            Column("Km medido", found["km_medido"].tolist(), "km", 14),
            Column("Viés", found["vies"].tolist(), "share", 9),
            Column("R$ no ciclo", found["valor_brl"].tolist(), "brl", 15),
            Column("Explicação", found["frase"].tolist(), "long", 70),
        ],
    )
