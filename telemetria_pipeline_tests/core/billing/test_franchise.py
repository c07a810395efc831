"""A franchise takes what lies in it out of what is at stake, in the order of departures."""

from datetime import time
from decimal import Decimal

from hypothesis import Phase, given
from hypothesis import strategies as st

from telemetria_pipeline.core.billing.bill import Bill
from telemetria_pipeline.core.billing.franchise import after_franchise, left_of_franchise
from telemetria_pipeline.core.billing.proof import PAID, by_proof
from telemetria_pipeline.core.exact import units
from telemetria_pipeline_tests.core.billing.bills import DAYS, PLATES, bill, on, terms, vehicle
from telemetria_pipeline_tests.reports.rows import divergence, divergences
from telemetria_pipeline_tests.rounds import examples

HUNDRED = [terms(franquia_km=100)]


def ran(*kilometres: int, contracts: list[dict] = HUNDRED) -> Bill:
    """A vehicle's trips of these km, one a day: `0`, `1` ..."""
    rows = [on(DAYS[n], viagem_id=f"{n}", km_auditado=km, km_declarado=km) for n, km in enumerate(kilometres)]
    return bill(rows, [vehicle()], contracts)


def at_stake(made: Bill, trip: str, declared: int | None, measured: int | None, value: str) -> list[tuple]:
    rows = divergences(
        divergence(viagem_id=trip, km_declarado=declared, km_medido=measured, valor_brl=value, confianca=0.9)
    )
    found = after_franchise(rows, left_of_franchise(made.billing, made.priced))
    return list(zip(found["valor_brl"], found["franquia_brl"], strict=True))


def test_what_is_left_is_what_earlier_trips_did_not_use():
    made = ran(60, 30, 40, 5)
    assert left_of_franchise(made.billing, made.priced).to_dict() == {
        "0": 100_000,
        "1": 40_000,
        "2": 10_000,
        "3": 0,
    }
    without = ran(60, contracts=[terms()])
    assert left_of_franchise(without.billing, without.priced).to_dict() == {"0": 0}


def test_a_divergence_within_the_franchise_costs_nothing_and_beyond_it_all():
    made = ran(60, 30, 40, 5)
    assert at_stake(made, "0", 60, None, "163.80") == [(0, Decimal("163.80"))]
    assert at_stake(made, "3", 25, 5, "54.60") == [(Decimal("54.60"), 0)]
    assert at_stake(made, "2", 40, 20, "54.60") == [(Decimal("54.60"), 0)]  # the last 20 of 40; 10 were free
    assert at_stake(made, "2", 40, None, "109.20") == [(Decimal("81.90"), Decimal("27.30"))]
    assert at_stake(made, "2", None, 40, "109.20") == [(Decimal("81.90"), Decimal("27.30"))]
    assert at_stake(made, "unknown", 40, None, "109.20") == [(Decimal("109.20"), 0)]


def test_what_the_franchise_covers_is_ranked_after_what_costs_something():
    made = ran(60, 30, 40, 5)
    rows = divergences(
        divergence(viagem_id="0", km_declarado=60, km_medido=None, valor_brl="163.80", frase="free"),
        divergence(viagem_id="3", km_declarado=25, km_medido=5, valor_brl="54.60", frase="dear"),
        divergence(viagem_id="3", tipo="horario_divergente", valor_brl=0, frase="late"),
        divergence(viagem_id="1", valor_brl=None, tarifa_brl_km=None, frase="no tariff"),
    )
    found = after_franchise(rows, left_of_franchise(made.billing, made.priced))
    assert found["frase"].tolist() == ["dear", "free", "late", "no tariff"]
    assert found["posicao"].tolist() == [1, 2, 3, 4]
    assert found["valor_brl"].isna().tolist() == [False, False, False, True]


def test_the_money_of_a_line_is_split_by_what_it_rests_on():
    rows = [
        on(DAYS[0], viagem_id="a", km_auditado=10),
        on(DAYS[1], viagem_id="b", km_auditado=20, base_auditoria="odometro"),
        on(DAYS[2], viagem_id="c", km_auditado=30, base_auditoria="boletim_substitui"),
        on(DAYS[3], viagem_id="d", km_declarado=None, km_auditado=40, base_auditoria="telemetria_substitui"),
        on(
            DAYS[4],
            viagem_id="e",
            km_declarado=None,
            km_medido=50,
            km_auditado=0,
            base_auditoria="a_declarar",
        ),
        on(
            DAYS[5],
            viagem_id="f",
            km_declarado=9,
            km_medido=None,
            km_auditado=0,
            base_auditoria="nao_comprovado",
        ),
    ]
    made = bill(rows, [vehicle()], [terms(franquia_km=5)])
    assert by_proof(made.billing, made.priced).to_dict("records") == [
        {
            "comprovado_brl": Decimal("68.25"),
            "so_boletim_brl": Decimal("81.90"),
            "so_telemetria_brl": Decimal("109.20"),
            "a_declarar_brl": Decimal("136.50"),
            "franquia_brl": Decimal("13.65"),
        }
    ]
    inside = bill(rows, [vehicle()], [terms(franquia_km=10_000)])
    assert by_proof(inside.billing, inside.priced)["a_declarar_brl"].tolist() == [0]


def test_what_is_held_would_use_up_the_franchise_trip_by_trip():
    """Of three held trips of 8 km the first 10 km are free; and what is audited after them is so no more."""
    held = [
        on(
            DAYS[n],
            viagem_id=f"h{n}",
            km_declarado=None,
            km_medido=8,
            km_auditado=0,
            base_auditoria="a_declarar",
        )
        for n in range(3)
    ]
    free = [terms(franquia_km=10, tarifa_brl_km="2.00")]
    made = bill(held, [vehicle()], free)
    assert by_proof(made.billing, made.priced)["a_declarar_brl"].tolist() == [Decimal("28.00")]
    made = bill([*held, on(DAYS[5], viagem_id="x", km_auditado=6)], [vehicle()], free)
    assert by_proof(made.billing, made.priced)["a_declarar_brl"].tolist() == [Decimal("40.00")]


def test_a_bill_that_was_closed_before_trips_said_their_basis_claims_no_proof():
    made = ran(60, 70)
    found = by_proof(made.billing, made.priced.assign(base_auditoria=None))
    assert (found["comprovado_brl"].tolist(), found["so_boletim_brl"].tolist()) == ([0], [Decimal("81.90")])


@examples(15, phases=(Phase.generate,))
@given(
    st.lists(
        st.tuples(
            st.sampled_from(DAYS),
            st.sampled_from(PLATES[:2]),
            st.integers(0, 90_000),
            st.sampled_from(["acordo", "medido", "boletim_substitui", "telemetria_substitui"]),
        ),
        max_size=10,
    ),
    st.integers(0, 99_999),
    st.sampled_from([0, 50]),
)
def test_the_parts_add_up_to_the_line(rows, tariff, free):
    row = {"franquia_km": free, "tarifa_brl_km": tariff * Decimal("0.0001")}
    spans = [terms(2, vigencia_fim=DAYS[9], **row), terms(3, vigencia_inicio=DAYS[10], **row)]
    trips = [
        on(
            day,
            time(n),
            placa=plate,
            viagem_id=f"{n}",
            km_auditado=m * Decimal("0.001"),
            base_auditoria=basis,
        )
        for n, (day, plate, m, basis) in enumerate(rows)
    ]
    made = bill(trips, [vehicle(plate) for plate in PLATES[:2]], spans)
    parts = by_proof(made.billing, made.priced)
    assert (sum(units(parts[name]) for name in PAID) == units(made.billing["variavel_brl"])).all()
    assert (units(parts["so_boletim_brl"]) >= 0).all()
