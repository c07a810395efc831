"""A closed cycle and what it owes: exact, trip by trip, however often it changes after the closing."""

from datetime import time
from decimal import Decimal
from typing import Any

import pandas as pd
from hypothesis import Phase, given
from hypothesis import strategies as st

from telemetria_pipeline.contracts.billing import ADJUSTMENTS, BILLING, PRICED_TRIPS
from telemetria_pipeline.core.billing.bill import Bill
from telemetria_pipeline.core.billing.closing import content_hash, find_adjustments
from telemetria_pipeline_tests.core.billing.bills import CYCLE, DAYS, PLATES, bill, on, terms, vehicle
from telemetria_pipeline_tests.rounds import examples

NOTHING = ADJUSTMENTS.empty()


def owed(closed: Bill, now: Bill, since: pd.DataFrame = NOTHING) -> pd.DataFrame:
    found = find_adjustments(CYCLE, closed.billing, closed.priced, since, now)
    assert ADJUSTMENTS.broken_by(found) is None
    return found


def a_bill(*rows: dict[str, Any], **changed: Any) -> Bill:
    return bill(list(rows), changed.get("vehicles", [vehicle()]), changed.get("contracts", [terms()]))


def only(found: pd.DataFrame) -> dict[str, Any]:
    (row,) = found.to_dict("records")
    return row


TRIP = on(DAYS[3], viagem_id="a", km_auditado=10, arquivo="dia 19.xlsx")


def test_a_cycle_in_which_nothing_changed_owes_nothing():
    assert owed(a_bill(TRIP), a_bill(TRIP)).empty


def test_a_late_boletim_is_a_new_trip_with_its_file():
    row = only(owed(a_bill(), a_bill(TRIP)))
    assert (row["causa"], row["ajuste_brl"], row["km_antes"], row["km_depois"]) == (
        "viagem_nova",
        Decimal("27.30"),
        0,
        10,
    )
    assert row["frase"] == "A viagem do boletim dia 19.xlsx não constava no fechamento: 10,0 km, R$ 27,30."
    assert (row["ciclo_origem"], row["data"], row["veiculo"]) == (CYCLE.key, DAYS[3], PLATES[0])


def test_a_trip_that_another_vehicle_ran_is_taken_from_the_one_and_given_to_the_other():
    """A substitution keeps the id of the declared trip, and may give it to another carrier."""
    fleet = [vehicle(PLATES[0]), vehicle(PLATES[1], transportadora="VIAÇÃO OUTRA", operacao="IND")]
    contracts = [terms(operacao="AGR"), terms(3, operacao="IND", tarifa_brl_km="4.00")]
    theirs = on(
        DAYS[3], viagem_id="a", km_auditado=10, placa=PLATES[1], transportadora="VIAÇÃO OUTRA", operacao="IND"
    )
    closed, now = (a_bill(one, vehicles=fleet, contracts=contracts) for one in (TRIP, theirs))
    found = owed(closed, now)
    told = found[["veiculo", "transportadora", "operacao", "causa", "ajuste_brl"]].to_numpy().tolist()
    assert told == [
        [PLATES[0], "VIAÇÃO TESTE", "AGR", "viagem_retirada", Decimal("-27.30")],
        [PLATES[1], "VIAÇÃO OUTRA", "IND", "viagem_nova", Decimal("40.00")],
    ]
    assert owed(closed, now, found).empty
    assert owed(closed, closed, found)["ajuste_brl"].tolist() == [Decimal("27.30"), Decimal("-40.00")]


def test_a_vehicle_that_is_another_carriers_takes_its_fixed_cost_along():
    sold = vehicle(transportadora="VIAÇÃO OUTRA")
    moved = TRIP | {"transportadora": "VIAÇÃO OUTRA"}
    found = owed(a_bill(TRIP), a_bill(moved, vehicles=[sold]))
    by_carrier = found.groupby("transportadora")["ajuste_brl"].sum()
    assert by_carrier.to_dict() == {"VIAÇÃO TESTE": Decimal("-28027.30"), "VIAÇÃO OUTRA": Decimal("28027.30")}
    nobodys = [vehicle(operacao=None), vehicle(PLATES[1], operacao=None)]
    dearer = terms(custo_fixo_mensal_brl=30_000)
    trips = [row | {"operacao": None} for row in (TRIP, on(DAYS[4], viagem_id="b", placa=PLATES[1]))]
    found = owed(a_bill(*trips, vehicles=nobodys), a_bill(*trips, vehicles=nobodys, contracts=[dearer]))
    assert found["operacao"].isna().all()
    assert found["ajuste_brl"].tolist() == [Decimal("2000.00")] * 2


def test_a_trip_that_is_gone_is_paid_back():
    row = only(owed(a_bill(TRIP), a_bill()))
    assert (row["causa"], row["ajuste_brl"], row["km_depois"]) == ("viagem_retirada", Decimal("-27.30"), 0)
    assert (
        row["frase"] == "A viagem do boletim dia 19.xlsx constava no fechamento e deixou de existir: "
        "eram 10,0 km, R$ 27,30."
    )


MEASURED = on(DAYS[3], viagem_id="m", km_declarado=None, km_auditado=20)
LATE = on(
    DAYS[3],
    time(6, 40),
    viagem_id="b",
    km_auditado=18,
    arquivo="dia 19.xlsx",
    saida_medida_utc=MEASURED["saida_medida_utc"],
    chegada_medida_utc=MEASURED["chegada_medida_utc"],
)


def test_a_late_boletim_of_a_measured_trip_is_one_line():
    row = only(owed(a_bill(MEASURED), a_bill(LATE)))
    assert (row["causa"], row["viagem_id"], row["substitui"]) == ("viagem_substituida", "b", "m")
    assert (row["km_antes"], row["km_depois"], row["ajuste_brl"]) == (20, 18, Decimal("-5.46"))
    assert row["frase"] == (
        "A viagem que só a telemetria mediu deu lugar à do boletim dia 19.xlsx. "
        "De 20,0 para 18,0 km, de R$ 54,60 para R$ 49,14."
    )


def test_a_trip_that_was_held_and_is_declared_now_says_so_too():
    row = only(owed(a_bill(MEASURED | {"km_auditado": 0}), a_bill(LATE)))
    assert (row["causa"], row["valor_antes_brl"], row["ajuste_brl"]) == (
        "viagem_substituida",
        0,
        Decimal("49.14"),
    )


def test_one_trip_may_take_the_place_of_several():
    parts = [
        on(DAYS[3], time(7, minute), viagem_id=f"{minute}", km_declarado=None, km_auditado=9)
        for minute in (0, 20)
    ]
    row = only(owed(a_bill(*parts), a_bill(TRIP)))
    assert (row["substitui"], row["km_antes"], row["km_depois"]) == ("0;20", 18, 10)
    assert row["frase"].startswith("2 viagens deram lugar à do boletim dia 19.xlsx. De 18,0 para 10,0 km")


def test_a_trip_takes_the_place_of_what_it_overlaps_most_and_of_no_other_vehicles():
    news = [
        on(DAYS[3], time(6, 45), viagem_id="y", km_auditado=5, arquivo="x.csv"),
        on(DAYS[3], time(7, 5), viagem_id="x", km_auditado=5, arquivo="x.csv"),
        on(DAYS[3], viagem_id="z", km_auditado=5, arquivo="x.csv", placa=PLATES[1]),
        on(DAYS[3], time(9), viagem_id="w", km_auditado=5, arquivo="x.csv"),
    ]
    fleet = [vehicle(plate) for plate in PLATES[:2]]
    found = owed(a_bill(TRIP, vehicles=fleet), a_bill(*news, vehicles=fleet))
    found = found[found["viagem_id"].notna()].set_index("viagem_id")
    assert found["substitui"].dropna().to_dict() == {"x": "a"}
    assert found.loc[["y", "z", "w"], "causa"].tolist() == ["viagem_nova"] * 3


def test_a_trip_in_anothers_place_for_the_same_price_owes_nothing():
    assert owed(a_bill(TRIP), a_bill(TRIP | {"viagem_id": "other"})).empty


def test_a_trip_that_takes_its_place_back_is_one_line_again():
    closed, then = a_bill(MEASURED), a_bill(LATE)
    first = owed(closed, then)
    assert owed(closed, then, since=first).empty
    back = only(owed(closed, closed, since=first))
    assert (back["viagem_id"], back["substitui"], back["ajuste_brl"]) == ("m", "b", Decimal("5.46"))


def test_late_telemetry_changes_the_kilometres():
    row = only(owed(a_bill(TRIP), a_bill(TRIP | {"km_auditado": Decimal("7.5")})))
    assert (row["causa"], row["ajuste_brl"]) == ("km_alterado", Decimal("-6.82"))  # 20,475 is 20,48
    assert "a telemetria do dia chegou ou mudou" in row["frase"]
    assert "De 10,0 para 7,5 km, de R$ 27,30 para R$ 20,48" in row["frase"]


def test_a_measured_trip_that_is_no_more_paid_without_a_boletim():
    measured = on(DAYS[3], viagem_id="m", km_declarado=None, km_auditado=20)
    row = only(owed(a_bill(measured), a_bill(measured | {"km_auditado": 0})))
    assert row["frase"].startswith("A viagem que só a telemetria mediu: mudou o que se aceita")


def test_another_tariff_is_told_apart_from_other_kilometres():
    row = only(owed(a_bill(TRIP), a_bill(TRIP, contracts=[terms(tarifa_brl_km="2.80")])))
    assert (row["causa"], row["ajuste_brl"]) == ("tarifa_alterada", Decimal("0.70"))
    assert "a tarifa passou a R$ 2,8000 por km. De R$ 27,30 para R$ 28,00" in row["frase"]


def test_a_stranger_that_is_known_now_has_a_tariff():
    found = owed(a_bill(TRIP, vehicles=[]), a_bill(TRIP))
    assert found["causa"].tolist() == ["tarifa_alterada", "fixo_alterado"]
    assert found["ajuste_brl"].tolist() == [Decimal("27.30"), Decimal("28000.00")]


def test_a_franchise_that_a_late_trip_uses_up_is_told_for_both_trips():
    contracts = [terms(franquia_km=10)]
    early = on(DAYS[1], viagem_id="b", km_auditado=6)
    found = owed(a_bill(TRIP, contracts=contracts), a_bill(early, TRIP, contracts=contracts))
    row = only(found)
    assert (row["viagem_id"], row["ajuste_brl"]) == ("a", Decimal("16.38"))
    assert "a franquia do ciclo passou a cobrir outras viagens" in row["frase"]


def test_a_fixed_cost_that_changed_is_a_line_of_its_vehicle():
    row = only(owed(a_bill(), a_bill(contracts=[terms(custo_fixo_mensal_brl=28_001)])))
    assert (row["causa"], row["ajuste_brl"], row["veiculo"]) == ("fixo_alterado", Decimal("1.00"), PLATES[0])
    assert pd.isna(row["viagem_id"]) and pd.isna(row["data"])
    assert "passou de R$ 28.000,00 para R$ 28.001,00" in row["frase"]


def test_a_new_vehicle_does_not_owe_the_fixed_cost_of_months_that_it_was_not_there():
    assert owed(a_bill(), a_bill(vehicles=[vehicle(), vehicle(PLATES[1])])).empty


def test_a_hash_that_an_earlier_version_wrote_is_of_the_columns_that_it_knew():
    made = a_bill(TRIP)
    fewer = [name for name in PRICED_TRIPS.names if name != "contrato_linha"]
    old = content_hash({PRICED_TRIPS: made.priced}, {PRICED_TRIPS: fewer})
    assert old == content_hash(
        {PRICED_TRIPS: made.priced.assign(contrato_linha=pd.NA)}, {PRICED_TRIPS: fewer}
    )
    assert old != content_hash({PRICED_TRIPS: made.priced})


def test_the_hash_is_of_what_the_rows_say_not_of_their_order():
    made = a_bill(TRIP, on(DAYS[1], viagem_id="b"))
    tables = {BILLING: made.billing, PRICED_TRIPS: made.priced}
    known = content_hash(tables)
    assert content_hash(tables | {PRICED_TRIPS: made.priced[::-1]}) == known
    assert content_hash(tables | {PRICED_TRIPS: made.priced.assign(arquivo="x")}) != known
    assert content_hash(tables | {PRICED_TRIPS: made.priced.head(1)}) != known


def test_a_late_trip_that_takes_a_cent_of_another_says_so():
    half = [on(DAYS[n], viagem_id=f"{n}", km_auditado="0.5", arquivo="a.csv") for n in range(3)]
    contracts = [terms(tarifa_brl_km="0.01")]
    found = owed(a_bill(*half[1:2], contracts=contracts), a_bill(*half[:2], contracts=contracts))
    assert found["causa"].tolist() == ["viagem_nova", "arredondamento"]
    assert found["ajuste_brl"].tolist() == [Decimal("0.01"), Decimal("-0.01")]
    assert found["frase"].iloc[1] == (
        "A viagem do boletim a.csv: mudou a sua parte no arredondamento da linha. De R$ 0,01 para R$ 0,00."
    )


@st.composite
def bills(draw) -> Bill:
    """Any state of the cycle: which trips there are, what they are worth, and under which contracts."""
    rows = [
        on(
            DAYS[n],
            time(7, draw(st.sampled_from([0, 20]))),
            viagem_id=f"{n}{version}",
            placa=PLATES[n % 2],
            km_auditado=draw(st.integers(0, 50_000)) * Decimal("0.001"),
        )
        for n in sorted(draw(st.sets(st.integers(0, 5))))
        for version in draw(st.sampled_from(["a", "b", "ab", "cd"]))
    ]
    cut = draw(st.none() | st.integers(1, len(DAYS) - 1))
    spans = [(DAYS[0], None)] if cut is None else [(DAYS[0], DAYS[cut - 1]), (DAYS[cut], None)]
    contracts = [
        terms(
            row,
            vigencia_inicio=first,
            vigencia_fim=last,
            tarifa_brl_km=draw(st.integers(1, 50_000)) * Decimal("0.0001"),
            custo_fixo_mensal_brl=draw(st.sampled_from([100, Decimal("33.33")])),
            franquia_km=draw(st.sampled_from([0, 0, 40])),
        )
        for row, (first, last) in enumerate(spans, start=2)
    ]
    return bill(rows, [vehicle(plate) for plate in PLATES[: draw(st.integers(1, 2))]], contracts)


def prices(made: Bill) -> dict[str, Decimal]:
    """What the bill takes for each trip and, by plate, for each vehicle's fixed cost."""
    trips = made.priced.set_index("viagem_id")["valor_brl"].dropna()
    fixed = made.billing.groupby("veiculo")["fixo_brl"].sum()
    return {**trips.to_dict(), **fixed.to_dict()}


def charge(sums: dict[str, Decimal], found: pd.DataFrame) -> None:
    """Add the adjustments to what each trip was charged; those that gave place to another are its part."""
    for row in found.astype(object).where(found.notna(), None).to_dict("records"):
        olds = row["substitui"].split(";") if row["substitui"] else []
        what = row["viagem_id"] or row["veiculo"]
        before = sum((sums.pop(old, Decimal(0)) for old in [what, *olds]), Decimal(0))
        assert before == row["valor_antes_brl"] or not row["viagem_id"]
        sums[what] = before + row["ajuste_brl"]


@examples(20, phases=(Phase.generate,))
@given(bills(), bills(), bills())
def test_the_closed_bill_and_its_adjustments_are_the_bill_that_would_be_made_now(closed, then, now):
    first = owed(closed, then)
    second = owed(closed, now, since=first)
    both = pd.concat([first, second], ignore_index=True)
    sums = prices(closed)
    charge(sums, first)
    charge(sums, second)
    right = prices(now)
    drove = set(now.billing.loc[now.billing["viagens"] > 0, "veiculo"])
    replaced_alike = 0  # a trip that took another's place for the same price needs no line
    for what in sums.keys() | right.keys():
        if what in PLATES and (what in sums or what in drove):
            assert sums.get(what, 0) == right.get(what, 0), what
        elif what not in PLATES:
            replaced_alike += sums.get(what, 0) - right.get(what, 0)
    assert replaced_alike == 0
    assert (both["ajuste_brl"] == both["valor_depois_brl"] - both["valor_antes_brl"]).all()
    owing = now.billing[now.billing["veiculo"].isin([*closed.billing["veiculo"], *both["veiculo"]])]
    assert sum([*closed.billing["total_brl"], *both["ajuste_brl"]]) == sum(owing["total_brl"])
    assert owed(closed, now, since=both).empty
