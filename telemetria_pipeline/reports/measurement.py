"""The medição of a cycle: the workbook that finance opens, and its totals for Dagster's metadata."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from zoneinfo import ZoneInfo

import pandas as pd

from telemetria_pipeline.contracts.closing import Closing
from telemetria_pipeline.contracts.reference import OPERATIONS
from telemetria_pipeline.reports.plots import at_stake_by_carrier, cost_by_carrier, markdown_image
from telemetria_pipeline.reports.text import brl, day_of, exact_sum, km, number, place_in_boletim, word
from telemetria_pipeline.reports.workbook import Column, Formula, Table, Workbook, days, local

NO_OPERATION = "Sem operação"
_TITLES = {
    "AGR": "Medição agrícola (AGR)",
    "IND": "Medição industrial e administrativa (IND)",
    NO_OPERATION: "Medição de veículos sem operação no cadastro",
}
MOST_DIVERGENCES = 5_000


@dataclass(frozen=True)
class Measurement:
    """What a medição is made of.

    `divergences` are those of all the cycle's days; `closing` is None while it is open; `left_out` are
    sentences about what no line pays.
    """

    first: date
    last: date
    zone: ZoneInfo
    billing: pd.DataFrame
    adjustments: pd.DataFrame
    divergences: pd.DataFrame
    patterns: pd.DataFrame
    closing: Closing | None = None
    left_out: Sequence[str] = ()

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
        """The groups that are billed apart; `NO_OPERATION` only where there is one."""
        without = self.billing["operacao"].isna().any() or self.adjustments["operacao"].isna().any()
        return [*OPERATIONS, *([NO_OPERATION] if without else [])]


def measurement_workbook(measurement: Measurement) -> bytes:
    """The medição as .xlsx: a sheet an operation, adjustments, totals, divergences, patterns.

    Each line's variable cost and fixed part are our numbers, rounded once; all sums are formulas.
    """
    book = Workbook()
    lines = {operation: _lines(book, measurement, operation) for operation in measurement.operations}
    adjustments = _adjustments(book, measurement)
    _totals(book, measurement, lines, adjustments)
    _divergences(book, measurement)
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
            markdown_image(cost_by_carrier(measurement.billing), "Custo variável por transportadora"),
            markdown_image(at_stake_by_carrier(measurement.divergences), "R$ em jogo por transportadora"),
        ]
    )


_MONEY = ("variavel_brl", "fixo_brl", "total_brl", "variavel_declarado_brl")


def _heading(measurement: Measurement, title: str) -> list[str]:
    return [title, f"Período: {measurement.period}", measurement.state, measurement.versions]


def _of(frame: pd.DataFrame, operation: str) -> pd.DataFrame:
    return frame[frame["operacao"].fillna(NO_OPERATION) == operation]


def _lines(book: Workbook, measurement: Measurement, operation: str) -> Table:
    bill = _of(measurement.billing, operation).sort_values(["veiculo", "inicio"], ignore_index=True)
    begins, ends = (pd.to_datetime(bill[name]).dt.strftime("%d/%m/%Y") for name in ("inicio", "fim"))
    notes = {
        (row, "Km rodado"): f"Franquia de {km(free)}: o total variável é de {km(billed)}"
        for row, (free, billed) in enumerate(zip(bill["franquia_km"], bill["km_faturado"], strict=True))
        if free
    }
    return book.add(
        operation,
        _heading(measurement, _TITLES[operation]),
        [
            Column("Período", (begins + " a " + ends).tolist(), width=24),
            Column("Placa", bill["veiculo"].tolist(), width=11),
            Column("Frota", bill["equipamento"].tolist(), width=9),
            Column("Rota", bill["rota"].tolist(), width=26),
            Column("Turnos atendidos", bill["turnos"].tolist(), width=11),
            Column("Regime", bill["regime"].map(word).tolist(), width=15),
            Column("Contrato/spot", bill["modalidade"].map(word).tolist(), width=11),
            Column("Tipo do veículo", bill["tipo"].tolist(), width=15),
            Column("Km rodado", bill["km_auditado"].tolist(), "km", 14, summed=True),
            Column("Custo variável (R$/km)", bill["tarifa_brl_km"].tolist(), "tariff", 13),
            Column("Total variável", bill["variavel_brl"].tolist(), "brl", 17, summed=True),
            Column("Custo fixo", bill["custo_fixo_mensal_brl"].tolist(), "brl", 17),
            Column("Parcela", bill["fixo_brl"].tolist(), "brl", 17, summed=True),
            Column(
                "Total mensal a faturar",
                [Formula("={Total variável}+{Parcela}", total) for total in bill["total_brl"]],
                "brl",
                19,
                summed=True,
            ),
        ],
        notes,
        frozen=2,
        footnotes=[
            f"{row['veiculo']}: franquia de {km(row['franquia_km'])}, dos {km(row['km_auditado'])} rodados "
            f"pagam-se {km(row['km_faturado'])}."
            for row in bill[bill["km_auditado"] > bill["km_faturado"]].to_dict("records")
        ],
    )


def _adjustments(book: Workbook, measurement: Measurement) -> Table:
    changed = measurement.adjustments.sort_values(["ciclo_origem", "data", "veiculo"], ignore_index=True)
    return book.add(
        "Ajustes",
        _heading(measurement, "Ajustes de ciclos já fechados, cobrados neste ciclo"),
        [
            Column("Ciclo de origem", days(changed["ciclo_origem"]), "day", 12),
            Column("Data", days(changed["data"]), "day", 12),
            Column("Placa", changed["veiculo"].tolist(), width=11),
            Column("Transportadora", changed["transportadora"].tolist(), width=24),
            Column("Operação", changed["operacao"].fillna(NO_OPERATION).tolist(), width=13),
            Column("Causa", changed["causa"].map(word).tolist(), width=22),
            Column("Km antes", changed["km_antes"].tolist(), "km", 12, summed=True),
            Column("Km depois", changed["km_depois"].tolist(), "km", 12, summed=True),
            Column("Valor antes", changed["valor_antes_brl"].tolist(), "brl", 15, summed=True),
            Column("Valor depois", changed["valor_depois_brl"].tolist(), "brl", 15, summed=True),
            Column("Ajuste", changed["ajuste_brl"].tolist(), "brl", 15, summed=True),
            Column("Explicação", changed["frase"].tolist(), "long", 60),
            Column("Boletim", changed["arquivo"].tolist(), width=30),
            Column("Viagem", changed["viagem_id"].tolist(), width=19),
        ],
    )


def _totals(book: Workbook, measurement: Measurement, lines: Mapping[str, Table], adjustments: Table) -> None:
    bills = {operation: _of(measurement.billing, operation) for operation in lines}
    owed = {o: exact_sum(_of(measurement.adjustments, o)["ajuste_brl"]) for o in lines}
    declared = {o: exact_sum(bill["variavel_declarado_brl"]) for o, bill in bills.items()}

    def sheets(header: str) -> list[Formula]:
        return [table.total(header) for table in lines.values()]

    by_operation = f"=SUMIF({adjustments.range('Operação')},{{Operação}},{adjustments.range('Ajuste')})"
    charged = {o: table.totals["Total mensal a faturar"] + owed[o] for o, table in lines.items()}
    saved = {o: declared[o] - table.totals["Total variável"] for o, table in lines.items()}
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
            Column("Variável pelos km declarados", list(declared.values()), "brl", 19, summed=True),
            Column(
                "Economia no variável",
                [Formula("={Variável pelos km declarados}-{Total variável}", saved[o]) for o in lines],
                "brl",
                19,
                summed=True,
            ),
        ],
        footnotes=measurement.left_out,
    )


def _divergences(book: Workbook, measurement: Measurement) -> None:
    every = measurement.divergences.sort_values(
        ["valor_brl", "confianca", "divergencia_id"], ascending=[False, False, True], na_position="last"
    )
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
        [*_heading(measurement, "Divergências, as mais caras primeiro"), at_stake + more],
        [
            Column("Data", [t.date() if t else None for t in departures], "day", 12),
            Column("Saída", [t.time() if t else None for t in departures], "clock", 8),
            Column("Tipo", shown["tipo"].map(word).tolist(), width=26),
            Column("Veredito", shown["veredito"].map(word).tolist(), width=13),
            Column("Severidade", shown["severidade"].map(word).tolist(), width=11),
            Column("R$ em jogo", shown["valor_brl"].tolist(), "brl", 15),
            Column("Confiança", shown["confianca"].tolist(), "share", 11),
            Column("Transportadora", shown["transportadora"].tolist(), width=24),
            Column("Placa", shown["veiculo"].tolist(), width=11),
            Column("Km declarado", shown["km_declarado"].tolist(), "km", 12),
            Column("Km medido", shown["km_medido"].tolist(), "km", 12),
            Column("Km auditado", shown["km_auditado"].tolist(), "km", 12),
            Column("Diferença", shown["divergencia"].tolist(), "share", 10),
            Column("Explicação", shown["frase"].tolist(), "long", 70),
            Column("Boletim", place_in_boletim(shown), width=44),
            Column("Divergência", shown["divergencia_id"].tolist(), width=22),
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
