"""The bill: held against a plain Decimal reckoning, by example and for any fleet, contracts and trips."""

from datetime import date, time, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pandas as pd
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from telemetria_pipeline.contracts.billing import BILLING, PRICED_TRIPS
from telemetria_pipeline.core.billing.bill import NO_OPERATION, TOTAL, TOTALLED, Bill, left_out, totals
from telemetria_pipeline_tests.core.billing.bills import DAYS, PLATES, bill, on, terms, vehicle

METRE, CENT = Decimal("0.001"), Decimal("0.01")


def half_up(value: Decimal, unit: Decimal) -> Decimal:
    return value.quantize(unit, ROUND_HALF_UP)


def only_line(made: Bill) -> pd.Series:
    (line,) = made.billing.to_dict("records")
    return line


def test_kilometres_and_days_become_money():
    made = bill(
        [on("2026-02-16", km_auditado="100.001"), on("2026-03-15", km_auditado="0.005", turno="ADM")],
        [vehicle()],
        [terms()],
    )
    line = only_line(made)
    assert line["variavel_brl"] == Decimal("273.02")  # 100.006 x 2.73 = 273.01638, rounded once
    assert (line["fixo_brl"], line["total_brl"]) == (Decimal("28000.00"), Decimal("28273.02"))
    assert line["variavel_declarado_brl"] == Decimal("109.20")
    assert (line["dias"], line["dias_ciclo"], line["viagens"], line["turnos"]) == (28, 28, 2, "A, ADM")
    assert (line["inicio"], line["fim"]) == ("2026-02-16", "2026-03-15")
    assert made.priced["valor_brl"].tolist() == [Decimal("273.00"), Decimal("0.01")]
    assert made.holes == []


def test_half_a_cent_goes_up():
    line = only_line(bill([on(DAYS[0], km_auditado="0.5")], [vehicle()], [terms(tarifa_brl_km="0.01")]))
    assert line["variavel_brl"] == Decimal("0.01")


def test_a_tariff_that_changes_mid_cycle_makes_two_lines_and_goes_by_the_trips_day():
    made = bill(
        [on("2026-02-28", time(23, 59), km_auditado=10), on("2026-03-01", time(0), km_auditado=10)],
        [vehicle()],
        [terms(vigencia_fim="2026-02-28"), terms(3, tarifa_brl_km=3, vigencia_inicio="2026-03-01")],
    )
    lines = made.billing
    assert lines["variavel_brl"].tolist() == [Decimal("27.30"), Decimal("30.00")]
    assert lines["dias"].tolist() == [13, 15]
    assert lines["fixo_brl"].tolist() == [Decimal("13000.00"), Decimal("15000.00")]
    assert lines["contrato_linha"].tolist() == [2, 3]


def test_a_vehicle_that_comes_and_leaves_pays_its_days():
    line = only_line(bill([], [vehicle(entrada="2026-02-20", saida="2026-02-26")], [terms()]))
    assert (line["dias"], line["inicio"], line["fim"]) == (7, "2026-02-20", "2026-02-26")
    assert (line["fixo_brl"], line["viagens"]) == (Decimal("7000.00"), 0)


def test_the_first_trips_use_the_franchise_up():
    made = bill(
        [on(DAYS[1], km_auditado=8), on(DAYS[2], km_auditado=8), on(DAYS[0], km_auditado=8)],
        [vehicle()],
        [terms(franquia_km=10)],
    )
    assert made.priced["km_faturado"].tolist() == [0, 6, 8]
    line = only_line(made)
    assert (line["km_faturado"], line["franquia_km"]) == (14, 10)
    assert line["variavel_declarado_brl"] == Decimal("136.50")  # 60 km declared, 10 of them free


def test_a_plate_with_a_contract_of_its_own_is_billed_though_vehicles_does_not_know_it():
    own = terms(3, placa=PLATES[1], transportadora="OUTRA", operacao="IND", tarifa_brl_km=5)
    made = bill([on(DAYS[0], placa=PLATES[1], km_auditado=2)], [vehicle()], [terms(), own])
    assert made.billing["veiculo"].tolist() == [*PLATES[:2]]
    line = made.billing.iloc[1]
    assert (line["variavel_brl"], line["transportadora"], line["operacao"]) == (10, "OUTRA", "IND")


def test_a_stranger_is_listed_without_a_price():
    made = bill([on(DAYS[0], placa="XYZ9Z99")], [vehicle()], [terms()])
    (trip_,) = made.priced.to_dict("records")
    assert pd.isna(trip_["valor_brl"]) and pd.isna(trip_["tarifa_brl_km"]) and trip_["km_faturado"] == 0
    assert only_line(made)["km_auditado"] == 0
    assert made.holes == []


def test_what_strangers_drove_is_told_with_trips_kilometres_and_plates():
    drove = [
        on(DAYS[n], placa=p, km_auditado=k) for n, p, k in [(0, "XYZ9Z99", 1200), (1, "AAA1A11", "31.9")]
    ]
    stands = on(DAYS[2], placa="BBB1B11", km_auditado=0, km_declarado=None)
    refused = on(DAYS[3], placa="AAA1A11", km_auditado=0, km_declarado=5)
    assert left_out(bill([*drove, stands, refused, on(DAYS[4])], [vehicle()], [terms()]).priced) == [
        "Fora da conta: 3 viagens (1.231,900 km) de 2 veículos sem cadastro: AAA1A11, XYZ9Z99."
    ]
    assert left_out(bill([on(DAYS[4])], [vehicle()], [terms()]).priced) == []
    (many,) = left_out(bill([on(DAYS[0], placa=f"AAA1A{n}") for n in range(10, 22)], [], []).priced)
    assert many.endswith("AAA1A18, AAA1A19 e mais 2.")


def test_a_vehicle_without_operation_is_a_group_of_its_own():
    made = bill(
        [], [vehicle(operacao=None), vehicle(PLATES[1]), vehicle(PLATES[2], operacao="IND")], [terms()]
    )
    found = totals(made.billing)
    assert found["operacao"].tolist() == ["AGR", "IND", NO_OPERATION, TOTAL]
    assert found["veiculos"].tolist() == [1, 1, 1, 3]
    assert found["total_brl"].tolist() == [28_000, 28_000, 28_000, 84_000]


def test_days_in_use_without_terms_are_named():
    made = bill(
        [on("2026-03-01"), on("2026-03-02", km_auditado=0, km_declarado=5), on("2026-03-05")],
        [vehicle()],
        [terms(vigencia_fim="2026-02-28"), terms(7, vigencia_inicio="2026-03-03")],
    )
    (said,) = made.holes
    for part in (PLATES[0], "01/03/2026 a 02/03/2026", "linha 2", "linha 7"):
        assert part in said


def test_a_vehicle_that_only_stands_there_leaves_no_hole():
    rows = [on("2026-03-01", km_auditado=0, km_declarado=None)]
    assert bill(rows, [vehicle()], [terms(vigencia_fim="2026-02-28")]).holes == []


def test_a_vehicle_in_use_outside_its_period_is_named():
    made = bill([on("2026-02-19"), on("2026-02-20")], [vehicle(entrada="2026-02-20")], [terms()])
    (said,) = made.holes
    assert f"{PLATES[0]} rodou em 19/02/2026, fora do período" in said
    assert "entrada 20/02/2026, saída –" in said


@pytest.mark.parametrize("contracts", [None, []])
def test_without_contracts_every_vehicle_in_use_is_a_hole(contracts):
    made = bill([on(DAYS[0])], [vehicle()], contracts)
    assert made.billing.empty and len(made.holes) == 1


def test_nothing_at_all_is_an_empty_bill():
    made = bill([], None, None)
    assert (BILLING.broken_by(made.billing), PRICED_TRIPS.broken_by(made.priced)) == (None, None)
    assert totals(made.billing)["total_brl"].tolist() == [0]


# Any fleet, contracts and trips: the plain reckoning below and make_bill agree to the cent.

_metres = st.integers(0, 200_000).map(lambda m: m * METRE)
_day = st.sampled_from(DAYS)


@st.composite
def fleets(draw) -> list[dict]:
    def one(plate: str) -> dict:
        came, left = draw(st.none() | _day), draw(st.none() | _day)
        if came and left and left < came:
            came, left = left, came
        return vehicle(plate, entrada=came, saida=left, operacao=draw(st.sampled_from(["AGR", "IND", None])))

    return [one(plate) for plate in PLATES[: draw(st.integers(0, 3))]]


@st.composite
def contract_rows(draw) -> list[dict]:
    def following(start: int, **whose: Any) -> list[dict]:
        cuts = sorted(draw(st.sets(st.sampled_from(DAYS[1:]), max_size=2)))
        begins = ["2025-01-01", *cuts]
        ends = [(date.fromisoformat(cut) - timedelta(days=1)).isoformat() for cut in cuts] + [None]
        rows = [
            terms(
                start + n,
                vigencia_inicio=begin,
                vigencia_fim=end,
                tarifa_brl_km=draw(st.integers(0, 99_999)) * Decimal("0.0001"),
                custo_fixo_mensal_brl=draw(st.integers(0, 5_000_000)) * CENT,
                franquia_km=draw(st.sampled_from([Decimal(0), Decimal("33.333"), Decimal(500)])),
                **whose,
            )
            for n, (begin, end) in enumerate(zip(begins, ends, strict=True))
        ]
        return [row for row in rows if draw(st.integers(0, 5))]  # sometimes a hole

    return following(2) + (following(10, placa=PLATES[2]) if draw(st.booleans()) else [])


@st.composite
def journeys(draw) -> list[dict]:
    def one(number: int) -> dict:
        audited = draw(_metres)
        return on(
            draw(_day),
            time(draw(st.integers(0, 23))),
            placa=draw(st.sampled_from([*PLATES, "XYZ9Z99"])),
            viagem_id=f"{number:016x}",
            km_auditado=audited,
            km_declarado=draw(st.none() | st.just(audited) | _metres),
        )

    return [one(number) for number in draw(st.permutations(range(draw(st.integers(0, 12)))))]


def plain_bill(rows: list[dict], vehicles: list[dict], contracts: list[dict]) -> dict[tuple, dict]:
    """The bill by plain loops over Decimals: (plate, contract row) -> money and km."""
    known = {v["placa"]: v for v in vehicles}
    known |= {c["placa"]: {} for c in contracts if c.get("placa") and c["placa"] not in known}

    def in_force(plate: str, day: str) -> dict | None:
        if not (known[plate].get("entrada") or "") <= day <= (known[plate].get("saida") or "9"):
            return None
        now = [c for c in contracts if c["vigencia_inicio"] <= day <= (c["vigencia_fim"] or "9")]
        own = [c for c in now if c.get("placa") == plate]
        typed = [c for c in now if c["tipo"] and c["tipo"] == known[plate].get("tipo")]
        return next(iter(own + typed), None)

    lines: dict[tuple, dict] = {}
    for plate in known:
        for day in DAYS:
            if row := in_force(plate, day):
                line = lines.setdefault((plate, row["contrato_linha"]), {"days": set(), "terms": row})
                line["days"].add(day)
    for (plate, _), line in lines.items():
        row = line["terms"]
        free = half_up(Decimal(row["franquia_km"]) * len(line["days"]) / len(DAYS), METRE)
        of = [r for r in rows if r["placa"] == plate and r["saida_utc"].date().isoformat() in line["days"]]
        of.sort(key=lambda r: (r["saida_utc"], r["viagem_id"]))
        line["trips"], left = {}, free
        for r in of:
            spared = min(left, r["km_auditado"])
            left -= spared
            line["trips"][r["viagem_id"]] = r["km_auditado"] - spared
        declared = max(sum((r["km_declarado"] or Decimal(0) for r in of), Decimal(0)) - free, Decimal(0))
        tariff = Decimal(row["tarifa_brl_km"])
        line["variavel_brl"] = half_up(sum(line["trips"].values(), Decimal(0)) * tariff, CENT)
        line["variavel_declarado_brl"] = half_up(declared * tariff, CENT)
        line["fixo_brl"] = half_up(
            Decimal(row["custo_fixo_mensal_brl"]) * len(line["days"]) / len(DAYS), CENT
        )
    return lines


@settings(max_examples=30, deadline=None, phases=(Phase.generate,))
@given(journeys(), fleets(), contract_rows(), st.randoms())
def test_any_bill_is_what_a_plain_reckoning_says(rows, vehicles, contracts, chance):
    made = bill(rows, vehicles, contracts)
    expected = plain_bill(rows, vehicles, contracts)
    lines = made.billing.set_index(["veiculo", "contrato_linha"])
    assert list(lines.index) == sorted(expected, key=lambda k: (k[0], min(expected[k]["days"])))
    for key, line in expected.items():
        for name in ("variavel_brl", "variavel_declarado_brl", "fixo_brl"):
            assert lines.loc[key, name] == line[name], (key, name)
    beyond = {id_: km for line in expected.values() for id_, km in line["trips"].items()}
    assert {r["viagem_id"]: r["km_faturado"] for r in made.priced.to_dict("records")} == {
        r["viagem_id"]: beyond.get(r["viagem_id"], 0) for r in rows
    }

    assert BILLING.broken_by(made.billing) is None  # names and dtypes too: decimals, no float
    assert PRICED_TRIPS.broken_by(made.priced) is None
    assert (made.billing["total_brl"] == made.billing["variavel_brl"] + made.billing["fixo_brl"]).all()
    found = totals(made.billing)
    for name in TOTALLED:
        assert found[name].iloc[-1] == sum(found[name].iloc[:-1]) == sum(made.billing[name])

    in_use = {(r["placa"], r["saida_utc"].date()) for r in rows if r["km_auditado"] or r["km_declarado"]}
    known = {v["placa"] for v in vehicles} | {c["placa"] for c in contracts if c.get("placa")}
    billed = {(plate, d) for (plate, _), line in expected.items() for d in line["days"]}
    holes = {(p, d) for p, d in in_use if p in known and (p, d.isoformat()) not in billed}
    assert bool(made.holes) == bool(holes)

    for shuffled in (rows, vehicles, contracts):
        chance.shuffle(shuffled)
    again = bill(rows, vehicles, contracts)
    pd.testing.assert_frame_equal(again.billing, made.billing)
    pd.testing.assert_frame_equal(again.priced, made.priced)
