"""Yesterday's report: what the day cost, where the sides differ, and what is missing to know better."""

from dataclasses import dataclass, field
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from functools import cached_property
from zoneinfo import ZoneInfo

import pandas as pd

from telemetria_pipeline.contracts.base import MONEY
from telemetria_pipeline.core.billing.franchise import after_franchise
from telemetria_pipeline.core.exact import PRICE_UNITS_A_CENT, decimals, half_up, units
from telemetria_pipeline.reports.pages import render
from telemetria_pipeline.reports.plots import (
    at_stake_by_carrier,
    data_uri,
    declared_and_measured,
    markdown_image,
)
from telemetria_pipeline.reports.text import (
    HEARD,
    brl,
    day_of,
    exact_sum,
    km,
    missing,
    number,
    place_in_boletim,
    word,
)
from telemetria_pipeline.reports.workbook import Column, Workbook, local

NO_CARRIER = "(sem transportadora)"
_SHOWN = 20
_FLAGS = {
    "sem_dados": "sem dados",
    "sem_telemetria": "sem telemetria",
    "sem_boletim": "sem boletim",
    "regressoes": "odômetro andou para trás",
    "viradas": "odômetro virou",
    "saltos": "odômetro saltou",
    "contradicoes": "odômetro e distância informada se contradizem",
    "unidades": "unidade do odômetro trocada",
    "ausentes": "odômetro ausente",
    "parados": "odômetro parado",
}


@dataclass(frozen=True)
class DailyFacts:
    """What the report of a day is made of.

    Attributes:
        day: the business day, in `zone`.
        trips: VALIDATED_TRIPS; `km`: DAILY_KM; `divergences`: DIVERGENCES, all of the day.
        hours: a row a source and hour of the day: `fonte`, `hora` (its clock), `estado`, `tentativas`, `erro`
            (the last one).
        boletins: a row a file that declares the day or came for it: `arquivo`, `veredito`, `recebido_utc`,
            `recebidas`, `aceitas`, `repetidas`, `rejeitadas` (rows).
        franchise: free metres that are left when a trip departs, by its id; see `left_of_franchise`.
    """

    day: date
    zone: ZoneInfo
    trips: pd.DataFrame
    km: pd.DataFrame
    divergences: pd.DataFrame
    hours: pd.DataFrame
    boletins: pd.DataFrame
    franchise: pd.Series = field(default_factory=lambda: pd.Series(dtype="int64"))

    @cached_property
    def at_stake(self) -> pd.DataFrame:
        """The divergences by what a franchise leaves of their R$ (`after_franchise`); none of the register's,
        which `register_gaps` tells once a vehicle. `em_jogo` is the verdict, or `retido` where nobody asked
        for what was measured."""
        found = after_franchise(self.divergences, self.franchise)
        found = found[found["tipo"] != "veiculo_desconhecido"].reset_index(drop=True)
        held = (found["tipo"] == "nao_declarada") & (found["km_auditado"] == 0)
        return found.assign(
            posicao=found.index.to_numpy() + 1, em_jogo=found["veredito"].mask(held, "retido")
        )

    @cached_property
    def register_gaps(self) -> pd.DataFrame:
        """A row a vehicle that the register or the contracts do not know: `falta` says what, and the sums."""
        unknown = self.divergences.loc[self.divergences["tipo"] == "veiculo_desconhecido", "veiculo"]
        ran = self.trips[(self.trips["km_declarado"] > 0) | (self.trips["km_medido"] > 0)]
        stranger, unpriced = ran["veiculo"].isin(unknown), ran["tarifa_brl_km"].isna()
        rows = ran.assign(cadastro=stranger, tarifa=unpriced)[stranger | unpriced].groupby("veiculo")
        found = rows.agg(
            transportadora=("transportadora", "first"),
            viagens=("viagem_id", "size"),
            km_declarado=("km_declarado", "sum"),
            km_medido=("km_medido", "sum"),
            cadastro=("cadastro", "any"),
            tarifa=("tarifa", "any"),
        ).reset_index()
        lacks = {"cadastro": "linha no cadastro de veículos", "tarifa": "tarifa em vigor"}
        return found.assign(
            falta=[
                " e ".join(said for name, said in lacks.items() if row[name])
                for row in found.to_dict("records")
            ]
        )

    @cached_property
    def carriers(self) -> pd.DataFrame:
        """A row a carrier, most expensive first: its vehicles' sums, the R$ at stake by `em_jogo`, and what
        those of its trips that agree declare beyond what was measured: `excesso_brl`, net; `a_mais` of
        `aceitas` trips."""

        def of(frame: pd.DataFrame) -> pd.Series:
            return frame["transportadora"].fillna(NO_CARRIER)

        sums = self.vehicles.groupby(of(self.vehicles))[
            ["viagens_declaradas", "viagens_medidas", "km_declarado", "km_medido", "km_auditado",
             "gasto_brl", "declarado_brl"]
        ].sum()  # fmt: skip
        found = self.at_stake
        for what in ("divergente", "inconclusivo", "retido"):
            some = found[found["em_jogo"] == what]
            sums = sums.join(some.groupby(of(some))["valor_brl"].sum().rename(f"{what}_brl"), how="outer")
        sums = sums.join(found.groupby(of(found)).size().rename("divergencias"), how="outer")
        tolerated = self.trips[
            (self.trips["veredito"] == "ok")
            & self.trips["km_declarado"].notna()
            & (self.trips["km_medido"] > 0)
        ]
        apart = units(tolerated["km_declarado"]) - units(tolerated["km_medido"])
        by = tolerated.assign(
            price=apart * units(tolerated["tarifa_brl_km"]), more=(apart > 0).astype(int), one=1
        ).groupby(of(tolerated))[["price", "more", "one"]]
        excess = by.sum()
        cents = half_up(excess["price"].to_numpy(), PRICE_UNITS_A_CENT)
        excess = excess.assign(price=decimals(cents, MONEY, excess.index))
        sums = sums.join(
            excess.rename(columns={"price": "excesso_brl", "more": "a_mais", "one": "aceitas"}), how="outer"
        )
        # A carrier without one of them has none; decimals stay decimals.
        whole = sums.astype(object).where(sums.notna(), 0)
        whole = whole.rename_axis("transportadora").reset_index()
        return whole.sort_values(["gasto_brl", "transportadora"], ascending=[False, True], ignore_index=True)

    @cached_property
    def vehicles(self) -> pd.DataFrame:
        """DAILY_KM with `gasto_brl`, `declarado_brl` and `observacoes`, most expensive first.

        R$ are rounded once a vehicle, as the bill does, before its franchise; the sums that people see are
        sums of these.
        """
        priced = self.km.assign(
            gasto_brl=self._price("km_auditado"),
            declarado_brl=self._price("km_declarado"),
            observacoes=[
                ", ".join(said for name, said in _FLAGS.items() if row[name])
                for row in self.km[list(_FLAGS)].to_dict("records")
            ],
        )
        return priced.sort_values(["gasto_brl", "veiculo"], ascending=[False, True], ignore_index=True)

    def _price(self, kilometres: str) -> pd.Series:
        """R$ of the vehicles' kilometres at the tariff of each trip, in the order of `km`."""
        of_vehicle = (
            (self.trips[kilometres] * self.trips["tarifa_brl_km"]).groupby(self.trips["veiculo"]).sum()
        )
        exact = of_vehicle.reindex(self.km["veiculo"])
        cents = [
            Decimal(0) if missing(v) else v.quantize(Decimal("0.01"), ROUND_HALF_UP) for v in exact.tolist()
        ]
        return pd.Series(cents, dtype=pd.ArrowDtype(MONEY), index=self.km.index)

    @property
    def spent(self) -> Decimal:
        """What the audited kilometres cost."""
        return exact_sum(self.vehicles["gasto_brl"])

    @property
    def declared(self) -> Decimal:
        """What the declared kilometres would have cost."""
        return exact_sum(self.vehicles["declarado_brl"])

    def at_stake_of(self, what: str) -> Decimal:
        """R$ at stake in divergences of a verdict, or `retido`."""
        return exact_sum(self.at_stake.loc[self.at_stake["em_jogo"] == what, "valor_brl"])

    @property
    def hours_missing(self) -> pd.DataFrame:
        """The hours of which nothing, or not all, is known."""
        return self.hours[~self.hours["estado"].isin(HEARD)]

    @property
    def asked_for(self) -> list[str]:
        """Whose boletins would stand in for missing hours, carrier by carrier; not those that came."""
        waiting = self.km[(self.km["horas_sem_telemetria"] > 0) & self.km["sem_boletim"]]
        waiting = waiting[~waiting["veiculo"].isin(self.trips["placa_declarada"])]  # another ran for it
        by_carrier = waiting.assign(transportadora=waiting["transportadora"].fillna(NO_CARRIER)).groupby(
            "transportadora"
        )
        return [
            f"{carrier}: envie os boletins de {day_of(self.day)} de {', '.join(sorted(vehicles))}."
            for carrier, vehicles in by_carrier["veiculo"]
        ]

    @property
    def unsent(self) -> pd.DataFrame:
        """DAILY_KM of the vehicles under contract that drove and of which no boletim came."""
        under = self.trips.loc[self.trips["contrato"].notna(), "veiculo"]
        drove = self.km["sem_boletim"] & (self.km["km_medido"] > 0) & self.km["veiculo"].isin(under)
        return self.km[drove].sort_values(["transportadora", "veiculo"])

    @property
    def boletins_due(self) -> list[str]:
        """What carriers owe of the day: boletins that were returned and not sent again, or never sent."""
        came = self.boletins.loc[self.boletins["veredito"] != "rejected", "arquivo"]
        returned = self.boletins[
            (self.boletins["veredito"] == "rejected") & ~self.boletins["arquivo"].isin(came)
        ]
        unsent = self.unsent
        told = pd.Series(
            [f"{v} ({km(d)})" for v, d in zip(unsent["veiculo"], unsent["km_medido"], strict=True)],
            index=unsent.index,
            dtype="str",
        )
        by_carrier = told.groupby(unsent["transportadora"].fillna(NO_CARRIER))
        return [
            *(f"{file}: devolvido, e ainda não voltou corrigido." for file in returned["arquivo"].unique()),
            *(
                f"{carrier}: rodaram e não têm boletim de {day_of(self.day)}: {', '.join(vehicles)}."
                for carrier, vehicles in by_carrier
            ),
        ]

    @property
    def rejected(self) -> int:
        """How many boletins were sent back."""
        return int((self.boletins["veredito"] == "rejected").sum())

    @property
    def without_tariff(self) -> int:
        """How many trips with audited kilometres have no price."""
        return int((self.trips["tarifa_brl_km"].isna() & (self.trips["km_auditado"] > 0)).sum())

    def headline(self) -> list[tuple[str, str]]:
        """The day in a few numbers: what, and how much."""
        km_sums = {side: exact_sum(self.km[f"km_{side}"]) for side in ("declarado", "medido", "auditado")}
        return [
            ("Gasto variável", brl(self.spent)),
            ("Pelos km declarados", brl(self.declared)),
            ("Viagens", number(len(self.trips), 0)),
            *((f"Km {side}s", km(total)) for side, total in km_sums.items()),
            ("Em jogo, divergente", brl(self.at_stake_of("divergente"))),
            ("Em jogo, inconclusivo", brl(self.at_stake_of("inconclusivo"))),
            ("A declarar, retido", brl(self.at_stake_of("retido"))),
            ("Horas incompletas ou sem resposta", number(len(self.hours_missing), 0)),
            ("Boletins devolvidos", f"{self.rejected} de {len(self.boletins)}"),
            ("Rodaram sem boletim", number(len(self.unsent), 0)),
        ]

    def remarks(self) -> list[str]:
        """What a reader of the numbers must know."""
        said = [
            "O gasto é o dos km auditados à tarifa do dia, antes da franquia do ciclo; "
            "em jogo é o que passa dela."
        ]
        if self.without_tariff:
            said.append(f"Viagens sem tarifa, fora do gasto: {number(self.without_tariff, 0)}.")
        if len(self.hours_missing):
            said.append("Onde falta telemetria, vale o boletim; ninguém é acusado pelo que não se mediu.")
        return said

    def plots(self) -> list[tuple[str, bytes]]:
        """What each picture of the day is about, and the picture; none of a day without trips."""
        if self.trips.empty:
            return []
        return [
            ("Quilômetros declarados e medidos", declared_and_measured(self.trips)),
            ("R$ em jogo por transportadora", at_stake_by_carrier(self.at_stake)),
        ]


def daily_page(facts: DailyFacts) -> str:
    """The report as an HTML page that stands alone, with its plots inside."""
    highest = facts.at_stake.head(_SHOWN)
    return render(
        "daily.html.j2",
        day=day_of(facts.day),
        headline=facts.headline(),
        remarks=facts.remarks(),
        zone=facts.zone,
        plots=[(about, data_uri(picture)) for about, picture in facts.plots()],
        divergences=[
            {**row, "place": place}
            for row, place in zip(highest.to_dict("records"), place_in_boletim(highest), strict=True)
        ],
        more=len(facts.at_stake) - len(highest),
        carriers=facts.carriers.to_dict("records"),
        register_gaps=facts.register_gaps.to_dict("records"),
        boletins_due=facts.boletins_due,
        hours=facts.hours_missing.to_dict("records"),
        asked_for=facts.asked_for,
        boletins=[
            {**row, "received": f"{at:%d/%m %H:%M}"}
            for row, at in zip(
                facts.boletins.to_dict("records"),
                local(facts.boletins["recebido_utc"], facts.zone),
                strict=True,
            )
        ],
        vehicles=facts.vehicles.to_dict("records"),
        totals=facts.vehicles[["km_declarado", "km_medido", "km_auditado", "gasto_brl"]].sum(),
    )


def daily_markdown(facts: DailyFacts) -> str:
    """The numbers, the five divergences of highest value and the plots, for Dagster's metadata."""
    highest = facts.at_stake.head(5)
    return "\n".join(
        [
            f"**{day_of(facts.day)}**",
            "",
            "| | |",
            "| --- | ---: |",
            *(f"| {what} | {how_much} |" for what, how_much in facts.headline()),
            "",
            *(
                f"{n}. {brl(value)}, {word(kind).lower()}, {vehicle}"
                for n, (value, kind, vehicle) in enumerate(
                    zip(highest["valor_brl"], highest["tipo"], highest["veiculo"], strict=True), start=1
                )
            ),
            "",
            *(markdown_image(picture, about) for about, picture in facts.plots()),
        ]
    )


def daily_workbook(facts: DailyFacts) -> bytes:
    """The report as .xlsx: summary by carrier, vehicles, divergences, hours, boletins."""
    book = Workbook()
    _summary(book, facts)
    _vehicles(book, facts)
    _divergences(book, facts)
    gaps = facts.register_gaps
    book.add(
        "Cadastro",
        [f"Cadastro a completar, por {day_of(facts.day)}", "Um veículo por linha, quantas viagens tenha"],
        [
            Column("Veículo", gaps["veiculo"].tolist(), width=14),
            Column("Transportadora", gaps["transportadora"].tolist(), width=26),
            Column("Falta", gaps["falta"].tolist(), width=40),
            Column("Viagens", gaps["viagens"].tolist(), "count", 10, summed=True),
            Column("Km declarado", gaps["km_declarado"].tolist(), "km", 14, summed=True),
            Column("Km medido", gaps["km_medido"].tolist(), "km", 14, summed=True),
        ],
    )
    book.add(
        "Horas",
        [f"Horas de {day_of(facts.day)}", "Numa hora incompleta ou sem resposta, vale o boletim"],
        [
            Column("Fonte", facts.hours["fonte"].tolist(), width=14),
            Column("Hora", facts.hours["hora"].tolist(), width=9),
            Column("Situação", facts.hours["estado"].map(word).tolist(), width=16),
            Column("Tentativas sem resposta", facts.hours["tentativas"].tolist(), "count", 14),
            Column("Último erro", facts.hours["erro"].tolist(), "long", 90),
        ],
    )
    book.add(
        "Boletins",
        [f"Boletins de {day_of(facts.day)}", "Os que declaram o dia, e os que chegaram nele ou no seguinte"],
        [
            Column("Arquivo", facts.boletins["arquivo"].tolist(), width=44),
            Column("Situação", facts.boletins["veredito"].map(word).tolist(), width=13),
            Column("Recebido em", local(facts.boletins["recebido_utc"], facts.zone), "instant", 17),
            *(
                Column(f"Linhas {name}", facts.boletins[name].tolist(), "count", 12, summed=True)
                for name in ("recebidas", "aceitas", "repetidas", "rejeitadas")
            ),
        ],
        footnotes=facts.boletins_due,
    )
    return book.save()


def _summary(book: Workbook, facts: DailyFacts) -> None:
    said = facts.headline()
    heading = [
        f"Relatório diário de {day_of(facts.day)}",
        *facts.remarks(),
        *(" · ".join(f"{what}: {how_much}" for what, how_much in part) for part in (said[:6], said[6:])),
    ]
    sums = facts.carriers

    def values(name: str) -> list[object]:
        return sums[name].tolist()

    book.add(
        "Resumo",
        heading,
        [
            Column("Transportadora", values("transportadora"), width=30),
            Column("Viagens declaradas", values("viagens_declaradas"), "count", 13, summed=True),
            Column("Viagens medidas", values("viagens_medidas"), "count", 13, summed=True),
            Column("Km declarado", values("km_declarado"), "km", 15, summed=True),
            Column("Km medido", values("km_medido"), "km", 15, summed=True),
            Column("Km auditado", values("km_auditado"), "km", 15, summed=True),
            Column("Gasto variável", values("gasto_brl"), "brl", 18, summed=True),
            Column("Pelos km declarados", values("declarado_brl"), "brl", 18, summed=True),
            Column("Divergências", values("divergencias"), "count", 13, summed=True),
            Column("Em jogo, divergente", values("divergente_brl"), "brl", 16, summed=True),
            Column("Em jogo, inconclusivo", values("inconclusivo_brl"), "brl", 16, summed=True),
            Column("A declarar, retido", values("retido_brl"), "brl", 16, summed=True),
            Column("A mais, dentro da tolerância", values("excesso_brl"), "brl", 16, summed=True),
            Column("Viagens dentro da tolerância", values("aceitas"), "count", 11, summed=True),
            Column("Delas, a mais", values("a_mais"), "count", 11, summed=True),
        ],
    )


def _vehicles(book: Workbook, facts: DailyFacts) -> None:
    rows = facts.vehicles
    book.add(
        "Veículos",
        [f"Veículos em {day_of(facts.day)}", "Um veículo sem dados tem zeros que nada dizem"],
        [
            Column("Veículo", rows["veiculo"].tolist(), width=12),
            Column("Frota", rows["equipamento"].tolist(), width=9),
            Column("Transportadora", rows["transportadora"].tolist(), width=26),
            Column("Operação", rows["operacao"].tolist(), width=10),
            Column("Viagens declaradas", rows["viagens_declaradas"].tolist(), "count", 12, summed=True),
            Column("Viagens medidas", rows["viagens_medidas"].tolist(), "count", 12, summed=True),
            Column("Km declarado", rows["km_declarado"].tolist(), "km", 13, summed=True),
            Column("Km por odômetro", rows["km_odometro"].tolist(), "km", 13, summed=True),
            Column("Km por telemetria", rows["km_telemetria"].tolist(), "km", 13, summed=True),
            Column("Km medido", rows["km_medido"].tolist(), "km", 13, summed=True),
            Column("Km auditado", rows["km_auditado"].tolist(), "km", 13, summed=True),
            Column("Gasto variável", rows["gasto_brl"].tolist(), "brl", 16, summed=True),
            Column("Observações", rows["observacoes"].tolist(), "long", 44),
        ],
        frozen=1,
    )


def _divergences(book: Workbook, facts: DailyFacts) -> None:
    rows = facts.at_stake
    book.add(
        "Divergências",
        [
            f"Divergências de {day_of(facts.day)}",
            "Na ordem do valor em jogo vezes a confiança; em jogo é o que passa da franquia do contrato",
        ],
        [
            Column("Posição", rows["posicao"].tolist(), "count", 9),
            Column("Tipo", rows["tipo"].map(word).tolist(), width=26),
            Column("Veredito", rows["veredito"].map(word).tolist(), width=13),
            Column("Severidade", rows["severidade"].map(word).tolist(), width=11),
            Column("R$ em jogo", rows["valor_brl"].tolist(), "brl", 14),
            Column("Na franquia", rows["franquia_brl"].tolist(), "brl", 14),
            Column("Confiança", rows["confianca"].tolist(), "share", 11),
            Column("Transportadora", rows["transportadora"].tolist(), width=24),
            Column("Veículo", rows["veiculo"].tolist(), width=11),
            Column("Saída", local(rows["saida_utc"], facts.zone), "clock", 8),
            Column("Km declarado", rows["km_declarado"].tolist(), "km", 12),
            Column("Km medido", rows["km_medido"].tolist(), "km", 12),
            Column("Explicação", rows["frase"].tolist(), "long", 70),
            Column("Boletim", place_in_boletim(rows), width=40),
            Column("Divergência", rows["divergencia_id"].tolist(), width=22),
        ],
    )
