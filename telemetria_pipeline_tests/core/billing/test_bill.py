"""The bill: held against a plain Decimal reckoning, by example and for any fleet, contracts and trips."""

from datetime import date, time, timedelta
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from math import floor
from typing import Any

import pandas as pd
import pytest
from hypothesis import Phase, given
from hypothesis import strategies as st

from telemetria_pipeline.contracts.billing import BILLING, PRICED_TRIPS
from telemetria_pipeline.core.billing.bill import NO_OPERATION, TOTAL, TOTALLED, Bill, left_out, totals
from telemetria_pipeline_tests.core.billing.bills import DAYS, PLATES, bill, on, terms, vehicle
from telemetria_pipeline_tests.rounds import examples

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
    assert made.priced["valor_brl"].tolist() == [Decimal("273.00"), Decimal("0.02")]  # 0.0137 lost most
    assert made.holes == []


def test_half_a_cent_goes_up():
    line = only_line(bill([on(DAYS[0], km_auditado="0.5")], [vehicle()], [terms(tarifa_brl_km="0.01")]))
    assert line["variavel_brl"] == Decimal("0.01")


def test_cents_that_are_left_go_to_the_trips_that_lost_most_the_first_among_equals():
    rows = [on(DAYS[n], viagem_id=f"{9 - n}", km_auditado="0.5") for n in range(3)]
    rows.append(on(DAYS[3], viagem_id="0", km_auditado="0.6"))
    made = bill(rows[::-1], [vehicle()], [terms(tarifa_brl_km="0.01")])
    assert only_line(made)["variavel_brl"] == Decimal("0.02")  # 0.021
    assert made.priced["valor_brl"].tolist() == [Decimal("0.01"), 0, 0, Decimal("0.01")]


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


def test_a_tariff_that_changes_mid_cycle_adds_no_cent_to_the_fixed_amount():
    fixed = {"custo_fixo_mensal_brl": "0.05"}
    cut = [
        terms(vigencia_fim=DAYS[13], **fixed),
        terms(3, tarifa_brl_km=3, vigencia_inicio=DAYS[14], **fixed),
    ]
    assert bill([], [vehicle()], cut).billing["fixo_brl"].tolist() == [Decimal("0.03"), Decimal("0.02")]


def test_a_fixed_amount_that_changes_mid_cycle_goes_by_days_and_is_rounded_once():
    cut = [
        terms(vigencia_fim=DAYS[20], custo_fixo_mensal_brl="40314.14"),
        terms(3, vigencia_inicio=DAYS[21], custo_fixo_mensal_brl="41205.07"),
    ]
    lines = bill([], [vehicle()], cut).billing  # 30,235.605 and 10,301.2675 are 40,536.8725
    assert lines["fixo_brl"].tolist() == [Decimal("30235.60"), Decimal("10301.27")]


def test_a_tariff_that_changes_mid_cycle_does_not_cut_the_franchise_in_two():
    cut = [
        terms(vigencia_fim=DAYS[13], franquia_km=28),
        terms(3, vigencia_inicio=DAYS[14], tarifa_brl_km=3, franquia_km=28),
    ]
    rows = [on(DAYS[0], km_auditado=20, km_declarado=25), on(DAYS[20], km_auditado=2, km_declarado=4)]
    lines = bill(rows, [vehicle()], cut).billing
    assert lines["km_faturado"].tolist() == [0, 0]
    assert lines["franquia_km"].tolist() == [20, 8]  # what is left is the last line's
    assert lines["variavel_declarado_brl"].tolist() == [0, 3]
    rows.append(on(DAYS[27], km_auditado=10))
    assert bill(rows, [vehicle()], cut).billing["km_faturado"].tolist() == [0, 4]


def test_two_contracts_of_a_vehicle_have_a_franchise_and_a_fixed_amount_each():
    said = {"franquia_km": 28, "custo_fixo_mensal_brl": "0.05"}
    two = [
        terms(vigencia_fim=DAYS[13], **said),
        terms(3, contrato="C-2", vigencia_inicio=DAYS[14], **said),
    ]
    lines = bill([on(DAYS[0], km_auditado=20)], [vehicle()], two).billing
    assert (lines["franquia_km"].tolist(), lines["km_faturado"].tolist()) == ([14, 14], [6, 0])
    assert lines["fixo_brl"].tolist() == [Decimal("0.03"), Decimal("0.03")]


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
                franquia_km=draw(st.just(Decimal(0)) | _metres),
                contrato=draw(st.sampled_from(["C-1", "C-1", "C-2"])),
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
            km_declarado=draw(st.none() | st.just(audited) | _metres.map(lambda more: audited + more)),
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
    pairs: dict[tuple, list[dict]] = {}  # a vehicle under a contract: its lines, by first day
    for plate in known:
        for day in DAYS:
            if row := in_force(plate, day):
                if (plate, row["contrato_linha"]) not in lines:
                    line = lines[plate, row["contrato_linha"]] = {"days": set(), "terms": row, "trips": {}}
                    line |= {"claimed": Decimal(0), "declared": Decimal(0), "franquia_km": Decimal(0)}
                    pairs.setdefault((plate, row["contrato"]), []).append(line)
                lines[plate, row["contrato_linha"]]["days"].add(day)

    def part(line: dict, name: str) -> Fraction:
        return Fraction(Decimal(line["terms"][name])) * len(line["days"]) / len(DAYS)

    for (plate, _), own in pairs.items():
        fixed = shares([part(line, "custo_fixo_mensal_brl") for line in own])
        free = rounded(sum(part(line, "franquia_km") for line in own) * 1000).scaleb(-3)
        left = left_declared = left_claimed = free
        for r in sorted(rows, key=lambda r: (r["saida_utc"], r["viagem_id"])):
            day = r["saida_utc"].date().isoformat()
            line = next((x for x in own if r["placa"] == plate and day in x["days"]), None)
            if line is None:
                continue
            spared = min(left, r["km_auditado"])
            spared_declared = min(left_declared, r["km_declarado"] or Decimal(0))
            claimed = Decimal(0) if r["km_declarado"] is None else r["km_auditado"]
            spared_claimed = min(left_claimed, claimed)
            left, left_declared = left - spared, left_declared - spared_declared
            left_claimed -= spared_claimed
            line["claimed"] += claimed - spared_claimed
            line["franquia_km"] += spared
            line["trips"][r["viagem_id"]] = r["km_auditado"] - spared
            line["declared"] += (r["km_declarado"] or Decimal(0)) - spared_declared
        own[-1]["franquia_km"] += left
        for line, amount in zip(own, fixed, strict=True):
            tariff = Decimal(line["terms"]["tarifa_brl_km"])
            prices = shares([Fraction(km * tariff) for km in line["trips"].values()])
            line["prices"] = dict(zip(line["trips"], prices, strict=True))
            line["fixo_brl"] = amount
            line["variavel_brl"] = half_up(sum(line["trips"].values(), Decimal(0)) * tariff, CENT)
            line["variavel_declarado_brl"] = half_up(line["declared"] * tariff, CENT)
            line["economia_brl"] = line["variavel_declarado_brl"] - half_up(line["claimed"] * tariff, CENT)
    return lines


def rounded(exact: Fraction | int) -> Decimal:
    """The nearest whole number, halves up."""
    return Decimal(floor(exact + Fraction(1, 2)))


def shares(exact: list[Fraction]) -> list[Decimal]:
    """Amounts to the cent that add up to the rounded sum: a cent more for those that are furthest short."""
    cents = [Decimal(floor(100 * amount)) for amount in exact]
    while sum(cents) < rounded(100 * sum(exact)):
        short = [100 * amount - Fraction(c) for amount, c in zip(exact, cents, strict=True)]
        cents[short.index(max(short))] += 1
    return [c.scaleb(-2) for c in cents]


@examples(30, phases=(Phase.generate,))
@given(journeys(), fleets(), contract_rows(), st.randoms())
def test_any_bill_is_what_a_plain_reckoning_says(rows, vehicles, contracts, chance):
    made = bill(rows, vehicles, contracts)
    expected = plain_bill(rows, vehicles, contracts)
    lines = made.billing.set_index(["veiculo", "contrato_linha"])
    assert list(lines.index) == sorted(expected, key=lambda k: (k[0], min(expected[k]["days"])))
    for key, line in expected.items():
        for name in ("variavel_brl", "variavel_declarado_brl", "economia_brl", "fixo_brl", "franquia_km"):
            assert lines.loc[key, name] == line[name], (key, name)
    beyond = {id_: km for line in expected.values() for id_, km in line["trips"].items()}
    assert {r["viagem_id"]: r["km_faturado"] for r in made.priced.to_dict("records")} == {
        r["viagem_id"]: beyond.get(r["viagem_id"], 0) for r in rows
    }

    prices = {id_: price for line in expected.values() for id_, price in line["prices"].items()}
    priced = made.priced[made.priced["contrato"].notna()].set_index("viagem_id")["valor_brl"]
    assert priced.to_dict() == prices
    for key, line in expected.items():
        assert sum(line["prices"].values()) == lines.loc[key, "variavel_brl"]

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


@examples(10, phases=(Phase.generate,))
@given(journeys(), fleets(), contract_rows(), st.sampled_from(DAYS[1:]))
def test_contract_rows_that_are_cut_in_two_change_no_fixed_amount_and_no_franchise(
    rows, vehicles, contracts, day
):
    eve = (date.fromisoformat(day) - timedelta(days=1)).isoformat()
    cut = [
        piece
        for c in contracts
        for piece in (
            [
                c | {"vigencia_fim": eve},
                c | {"vigencia_inicio": day, "contrato_linha": c["contrato_linha"] + 50},
            ]
            if c["vigencia_inicio"] < day <= (c["vigencia_fim"] or "9")
            else [c]
        )
    ]
    whole, pieces = (bill(rows, vehicles, given) for given in (contracts, cut))
    names = ["km_auditado", "franquia_km", "km_faturado", "fixo_brl"]
    sums = [made.billing.groupby(["veiculo", "contrato"])[names].sum() for made in (whole, pieces)]
    pd.testing.assert_frame_equal(*sums)
    km = [made.priced["km_faturado"].tolist() for made in (whole, pieces)]
    assert km[0] == km[1]
