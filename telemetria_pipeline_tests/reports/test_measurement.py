"""The medição workbook: read back, its sums computed, and held against the tables to the cent."""

import dataclasses
import re
from datetime import UTC, date, datetime
from decimal import Decimal
from io import BytesIO
from zipfile import ZipFile

import pandas as pd
import pytest
from hypothesis import Phase, given
from hypothesis import strategies as st

from telemetria_pipeline.contracts.billing import PRICED_TRIPS
from telemetria_pipeline.contracts.closing import Closing
from telemetria_pipeline.reports import measurement as reports
from telemetria_pipeline.reports.measurement import (
    Measurement,
    file_name,
    measurement_markdown,
    measurement_workbook,
)
from telemetria_pipeline.reports.measurement_page import measurement_page
from telemetria_pipeline_tests.core.audit.rows import DEPARTURE, ZONE, frame_of, trip_id
from telemetria_pipeline_tests.reports.html import assert_alone, text_of
from telemetria_pipeline_tests.reports.rows import (
    FORMULA,
    HOSTILE,
    adjustment,
    adjustments,
    bill,
    bill_line,
    divergence,
    divergences,
    pattern,
    patterns,
)
from telemetria_pipeline_tests.reports.sheets import Sheets
from telemetria_pipeline_tests.rounds import examples

# DOMAIN's medição, in its order, with what explains it.
COLUMNS = [
    "Período", "Placa", "Frota", "Rota", "Turnos atendidos", "Contrato", "Regime", "Contrato/spot",
    "Tipo do veículo", "Km rodado", "Km além da franquia", "Custo variável (R$/km)", "Total variável",
    "Custo fixo", "Parcela", "Total mensal a faturar", "Por que não é km × tarifa",
]  # fmt: skip
CLOSED = Closing(
    cycle="2026-10-16",
    closed_at=datetime(2026, 11, 17, 11, 12, tzinfo=UTC),
    hash="0123abcd" * 8,
    rules={},
    rules_version="1-abc123",
    tariffs_version="def456",
    totals=[],
    adjustments_brl="0.00",
    rows={},
    days={},
    reference="",
    seal="sha256:0a1b",
)


def medicao(**said) -> Measurement:
    frames = {
        "billing": bill(bill_line(), bill_line(veiculo="ABC1C34", operacao="IND", contrato_linha=3)),
        "priced": PRICED_TRIPS.empty(),
        "adjustments": adjustments(adjustment()),
        "divergences": divergences(divergence()),
        "patterns": patterns(pattern()),
    }
    return Measurement(date(2026, 10, 16), date(2026, 11, 15), ZONE, **frames | said)


def sheets_of(measurement: Measurement) -> Sheets:
    return Sheets(measurement_workbook(measurement))


def test_a_sheet_an_operation_with_the_columns_that_finance_knows():
    sheets = sheets_of(medicao())
    assert sheets.book.sheetnames == [
        *("AGR", "IND", "Comprovação", "Ajustes", "Totais", "Transportadoras", "Divergências", "Padrões")
    ]
    for operation in ("AGR", "IND"):
        assert list(sheets.table(operation)[0]) == COLUMNS
    assert sheets.column("AGR", "Placa") == ["GDP4J68"]
    assert sheets.column("IND", "Placa") == ["ABC1C34"]
    assert sheets.column("AGR", "Período") == ["16/10/2026 a 15/11/2026"]


def test_a_vehicle_with_two_contract_rows_has_two_lines():
    two = bill(
        bill_line(fim="2026-10-31", tarifa_brl_km="2.73"),
        bill_line(inicio="2026-11-01", tarifa_brl_km="2.90", contrato_linha=3),
    )
    sheets = sheets_of(medicao(billing=two))
    assert sheets.column("AGR", "Período") == ["16/10/2026 a 31/10/2026", "01/11/2026 a 15/11/2026"]
    assert sheets.column("AGR", "Custo variável (R$/km)") == [Decimal("2.73"), Decimal("2.90")]
    assert sheets.value("Totais", "B7") == 1  # one vehicle


amounts = st.integers(0, 10**7)
bill_lines = st.builds(
    lambda n, metres, tariff, fixed, operation: bill_line(
        veiculo=f"V{n}",
        km_auditado=Decimal(metres) / 1000,
        tarifa_brl_km=Decimal(tariff) / 10_000,
        fixo_brl=Decimal(fixed) / 100,
        variavel_declarado_brl=Decimal(metres) / 100,
        operacao=operation,
    ),
    st.integers(1, 99), amounts, st.integers(0, 99_999), amounts, st.sampled_from(["AGR", "IND", None]),
)  # fmt: skip
changes = st.builds(
    lambda cents, operation: adjustment(ajuste_brl=Decimal(cents) / 100, operacao=operation),
    st.integers(-(10**6), 10**6),
    st.sampled_from(["AGR", "IND", None]),
)


@examples(15, phases=(Phase.generate,))
@given(
    st.lists(bill_lines, max_size=8, unique_by=lambda line: line["veiculo"]), st.lists(changes, max_size=4)
)
def test_every_sum_is_a_formula_that_agrees_to_the_cent(lines, changed):
    billing, adjusted = bill(*lines), adjustments(*changed)
    sheets = sheets_of(medicao(billing=billing, adjustments=adjusted))
    for sheet, cell in sheets.formulas():
        assert sheets.value(sheet, cell) == sheets.stored(sheet, cell), (sheet, cell)
    expected = {
        "Km rodado": billing["km_auditado"].sum(),
        "Total variável": billing["variavel_brl"].sum(),
        "Parcela": billing["fixo_brl"].sum(),
        "Ajustes": adjusted["ajuste_brl"].sum(),
        "Total a faturar": billing["total_brl"].sum() + adjusted["ajuste_brl"].sum(),
        "Economia no declarado": billing["economia_brl"].sum(),
        "Pago sem declaração": billing["variavel_brl"].sum()
        - billing["variavel_declarado_brl"].sum()
        + billing["economia_brl"].sum(),
    }
    assert {header: sheets.total("Totais", header) for header in expected} == expected
    for name in sheets.book.sheetnames[:2]:
        of = billing[billing["operacao"] == name]
        assert sheets.total(name, "Total mensal a faturar") == of["total_brl"].sum()
        assert sheets.column(name, "Total mensal a faturar") == (
            of.sort_values(["veiculo", "inicio"])["total_brl"].tolist() or [None]
        )


def test_what_has_no_operation_is_shown_apart_and_in_the_totals():
    sheets = sheets_of(medicao(billing=bill(bill_line(operacao=None))))
    assert "Sem operação" in sheets.book.sheetnames
    assert sheets.column("Totais", "Operação") == ["AGR", "IND", "Sem operação"]
    assert sheets.column("Totais", "Km rodado") == [0, 0, Decimal("1234.567")]


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"km_auditado": 1000, "tarifa_brl_km": "2.73"}, None),
        ({"km_auditado": "1234.567"}, "1.234,567 km × R$ 2,7300/km = R$ 3.370,36791, ao centavo"),
        (
            {"km_auditado": 1500, "franquia_km": 500},
            "Franquia: 500,000 km dos 1.500,000 km rodados não se pagam por km",
        ),
        ({"km_auditado": 1000, "dias": 12}, "Parcela de 12 dos 31 dias"),
    ],
)
def test_a_row_says_why_it_is_not_km_times_tariff(said, why):
    assert sheets_of(medicao(billing=bill(bill_line(**said)))).column("AGR", COLUMNS[-1]) == [why]


def test_several_contract_rows_of_a_vehicle_are_told_on_each():
    rows = [bill_line(km_auditado=0, contrato_linha=n, contrato="C-2", clausula="5") for n in (2, 3)]
    sheets = sheets_of(medicao(billing=bill(*rows)))
    assert sheets.column("AGR", COLUMNS[-1]) == ["O veículo tem 2 linhas de contrato no ciclo"] * 2
    assert sheets.column("AGR", "Contrato") == ["C-2, cláusula 5"] * 2


def test_what_nobody_pays_stands_beneath_the_totals():
    told = "Fora da conta: 1 viagem (231,900 km) de 1 veículo sem cadastro: XYZ9Z99."
    found = medicao(left_out=[told])
    sheets = sheets_of(found)
    _, rows = sheets.table("Totais")
    assert sheets.book["Totais"].cell(rows[-1] + 3, 1).value == told
    assert told in measurement_markdown(found)


def test_numbers_are_numbers_and_dates_are_dates_in_brazilian_formats():
    sheets = sheets_of(medicao())
    (letters, rows), page = sheets.table("AGR"), sheets.book["AGR"]
    money = page[f"{letters['Total variável']}{rows[0]}"]
    assert (money.data_type, money.value) == ("n", 3370.37)
    assert money.number_format.startswith("[$R$-416] #,##0.00")
    (letters, rows), page = sheets.table("Divergências"), sheets.book["Divergências"]
    day, clock = (page[f"{letters[header]}{rows[0]}"] for header in ("Data", "Saída"))
    assert (day.value.date(), day.number_format) == (date(2026, 3, 10), "dd/mm/yyyy")
    assert clock.value.isoformat() == "07:00:00"  # the zone's clock, not UTC


def test_decimals_are_written_digit_by_digit():
    data = measurement_workbook(
        medicao(billing=bill(bill_line(km_auditado="999999999.999", tarifa_brl_km=0)))
    )
    assert b"<v>999999999.999</v>" in ZipFile(BytesIO(data)).read("xl/worksheets/sheet1.xml")


def test_each_sheet_is_ready_to_read_and_to_print():
    for page in sheets_of(medicao()).book.worksheets:
        assert {c.font.name for row in page.iter_rows() for c in row if c.value is not None} == {"Calibri"}
        assert page.freeze_panes
        assert page.auto_filter.ref
        assert page.page_setup.orientation == "landscape"
        assert page.print_title_rows


def test_the_heading_says_period_state_and_versions():
    text = sheets_of(medicao())
    heading = [text.book["Totais"].cell(row, 1).value for row in range(1, 5)]
    assert heading == [
        "Totais da medição",
        "Período: 16/10/2026 a 15/11/2026",
        "Ciclo aberto: os valores ainda podem mudar",
        "Regras 1-abc123 · Tarifas def456",
    ]
    closed = sheets_of(medicao(closing=CLOSED)).book["AGR"]["A3"].value
    assert closed == f"Ciclo fechado em 17/11/2026 às 08:12 · hash {CLOSED.hash} · selo sha256:0a1b"


@pytest.mark.parametrize("text", [FORMULA, "+1", "-1", "@SUM(A1)", HOSTILE])
def test_what_senders_wrote_never_becomes_a_formula(text):
    hostile = medicao(
        billing=bill(bill_line(rota=text, equipamento=text)),
        adjustments=adjustments(adjustment(arquivo=text)),
        divergences=divergences(divergence(arquivo=text, aba=None, linha=None)),
    )
    sheets = sheets_of(hostile)
    assert sheets.column("AGR", "Rota") == sheets.column("Ajustes", "Boletim") == [text]
    assert sheets.column("Divergências", "Boletim") == [text]
    letters, rows = sheets.table("AGR")
    cell = sheets.book["AGR"][f"{letters['Rota']}{rows[0]}"]
    assert (cell.data_type, cell.quotePrefix) == ("s", text[0] in "=+-@")


def test_divergences_come_dearest_first_and_the_rest_is_counted(monkeypatch):
    monkeypatch.setattr(reports, "MOST_DIVERGENCES", 2)
    some = divergences(*(divergence(valor_brl=v) for v in ("10", None, "300.50", "20")))
    sheets = sheets_of(medicao(divergences=some))
    assert sheets.column("Divergências", "R$ em jogo") == [Decimal("300.5"), Decimal("20")]
    assert "Divergente: 4, R$ 330,50" in sheets.book["Divergências"]["A5"].value
    assert "as outras 2 estão na tabela" in sheets.book["Divergências"]["A5"].value


def test_a_vehicle_that_is_not_registered_is_one_line_of_the_cycle():
    strange = {"tipo": "veiculo_desconhecido", "valor_brl": None}
    rows = [
        divergence(**strange),
        divergence(**strange),
        divergence(**strange, veiculo="XYZ9J99"),
        divergence(),
    ]
    sheets = sheets_of(medicao(divergences=divergences(*rows, divergence())))
    assert sorted(sheets.column("Divergências", "Tipo")) == [
        *["Quilometragem divergente"] * 2,
        *["Veículo desconhecido"] * 2,
    ]


def test_an_empty_cycle_is_a_workbook_too():
    nothing = medicao(
        billing=bill(), adjustments=adjustments(), divergences=divergences(), patterns=patterns()
    )
    sheets = sheets_of(nothing)
    assert sheets.total("Totais", "Total a faturar") == 0
    assert "R$ 0,00" in measurement_markdown(nothing)


def test_markdown_says_the_totals_and_carries_both_plots():
    said = measurement_markdown(dataclasses.replace(medicao(), closing=CLOSED))
    assert "| **Total** | R$ 6.740,74 | R$ 80.628,28 | R$ 87.369,02 | R$ 7.098,00 | R$ 54,60 |" in said
    assert said.count("](data:image/png;base64,") == 2
    assert "Ciclo fechado em 17/11/2026" in said


OTHER = {"veiculo": "ABC1C34", "transportadora": "EXPRESSO OUTRO"}


def two_carriers() -> Measurement:
    return medicao(
        billing=bill(bill_line(), bill_line(**OTHER, tarifa_brl_km="3.1017", contrato="C-9", clausula="9")),
        priced=priced(
            {"viagem_id": trip_id(1), "base_auditoria": "boletim_substitui", "valor_brl": "100.00"},
            {"viagem_id": trip_id(2), "base_auditoria": "acordo", "valor_brl": "50.00"},
            {
                "viagem_id": trip_id(3),
                "km_declarado": None,
                "km_medido": 20,
                "km_auditado": 0,
                "km_faturado": 0,
                "valor_brl": 0,
                "base_auditoria": "a_declarar",
            },
        ),
        adjustments=adjustments(adjustment(), adjustment(**OTHER, ajuste_brl="-7.77")),
        divergences=divergences(
            divergence(), divergence(**OTHER, frase="do outro", valor_brl="88.88"), divergence(**OTHER)
        ),
    )


def priced(*rows: dict) -> pd.DataFrame:
    """Trips of the first line, of R$ 2.73 a km, under contract PRICED_TRIPS."""
    trip = {
        "veiculo": "GDP4J68", "contrato": "C-1", "contrato_linha": 2, "data": "2026-10-20", "fonte": "ambos",
        "saida_utc": DEPARTURE, "veredito": "ok", "km_declarado": 20, "km_auditado": 20, "km_faturado": 20,
        "tarifa_brl_km": "2.73",
    }  # fmt: skip
    return frame_of(PRICED_TRIPS, [trip | row for row in rows])


def test_a_carriers_files_hold_nothing_of_another():
    both = two_carriers()
    assert both.carriers == ["EXPRESSO OUTRO", "VIAÇÃO TESTE"]
    own = both.of_carrier("VIAÇÃO TESTE")
    sheets = sheets_of(own)
    assert sheets.book.sheetnames == ["AGR", "Comprovação", "Ajustes", "Totais", "Divergências"]
    texts = [text_of(measurement_page(own)), *(sheets.text(page) for page in sheets.book.worksheets)]
    said = "\n".join(texts)
    for foreign in (
        "OUTRO",
        "ABC1C34",
        "C-9",
        "3,1017",
        "3.1017",
        "7,77",
        "88,88",
        "-7.77",
        "88.88",
        "do outro",
    ):
        assert foreign not in said, foreign
    for ours in ("GDP4J68", "C-1, cláusula 4.1", "boletim atrasado.xlsx", "tolerância de 10 %"):
        assert ours in texts[0] and ours in said.removeprefix(texts[0]), ours
    assert sheets.total("Totais", "Total a faturar") == own.billing["total_brl"].sum() + Decimal("54.60")


def test_the_carriers_add_up_to_the_cycle():
    both = two_carriers()
    sheets = sheets_of(both)
    assert sheets.column("Transportadoras", "Transportadora") == ["EXPRESSO OUTRO", "VIAÇÃO TESTE"]
    for header in ("Total variável", "Parcela", "Ajustes", "Total a faturar", "Km rodado"):
        assert sheets.total("Transportadoras", header) == sheets.total("Totais", header), header
    assert sheets.total("Comprovação", "Total variável") == both.billing["variavel_brl"].sum()
    line = [sheets.column("Comprovação", name)[1] for name in ("Só boletim", "A declarar (retido)")]
    assert line == [both.billing["variavel_brl"].iloc[0] - 50, Decimal("54.60")]
    assert all(sheets.value(s, c) == sheets.stored(s, c) for s, c in sheets.formulas())


def test_the_page_is_signed_under_the_seal():
    open_, closed = (
        text_of(measurement_page(medicao(closing=c).of_carrier("VIAÇÃO TESTE"))) for c in (None, CLOSED)
    )
    assert "Selo: em aberto" in open_
    assert "Ciclo em aberto: os valores ainda podem mudar" in open_
    assert f"Selo: {CLOSED.seal}" in closed
    assert f"hash {CLOSED.hash}" in closed
    assert (
        "Medição de VIAÇÃO TESTE , 16/10/2026 a 15/11/2026: total a faturar de R$ 87.423,62" in closed
    )  # what is signed stands beside the signatures
    assert "Pela transportadora Nome e cargo: Data: Pela contratante Nome e cargo: Data:" in closed
    totals = sheets_of(medicao(closing=CLOSED).of_carrier("VIAÇÃO TESTE"))
    assert "Pela contratante: ____" in totals.text(totals.book["Totais"])
    assert f"Selo: {CLOSED.seal}" in totals.text(totals.book["Totais"])


@pytest.mark.parametrize("hostile", [HOSTILE, FORMULA, "{{ 7 * 7 }}", "</td></table>"])
def test_what_senders_wrote_is_text_on_the_page(hostile):
    page = measurement_page(
        medicao(
            billing=bill(bill_line(equipamento=hostile, transportadora=hostile)),
            adjustments=adjustments(adjustment(frase=hostile, transportadora=hostile)),
            divergences=divergences(divergence(arquivo=hostile, transportadora=hostile)),
        ).of_carrier(hostile)
    )
    assert_alone(page)
    assert text_of(page).count(hostile) == 5  # no row of another spelling, all of this one


def test_a_vehicle_without_a_carrier_goes_by_what_its_trips_say():
    nobody = medicao(billing=bill(bill_line(transportadora=None)), adjustments=adjustments())
    assert nobody.carriers == ["Sem transportadora"]
    said = dataclasses.replace(nobody, priced=priced({"viagem_id": "a", "transportadora": "Viação Teste"}))
    assert said.carriers == ["Viação Teste"]


def test_file_names_are_safe_and_never_meet():
    names = ["Viação Teste", "A/B", "A-B", "A B", "../../etc", "Fulano & Cia. Ltda", "ÇÇ", "日本", "x" * 300]
    made = [file_name("2026-10-16", name) for name in names]
    assert made[0] == file_name("2026-10-16", "VIACAO  TESTE") == "medicao_2026-10-16_viacao-teste"
    assert made[3] == "medicao_2026-10-16_a-b"
    assert len(set(made)) == len(made)
    assert all(re.fullmatch(r"[a-z0-9_-]{1,100}", name) for name in made)
    assert file_name("2026-10-16") == "medicao_2026-10-16"


def test_each_sheet_prints_in_a_size_that_can_be_read():
    book = sheets_of(two_carriers()).book
    for name, most in {"Divergências": 200, "Ajustes": 200, "Comprovação": 200, "AGR": 235}.items():
        page = book[name]
        assert sum(d.width * (d.max - d.min + 1) for d in page.column_dimensions.values()) <= most, name
