from collections.abc import Callable
from datetime import timedelta
from decimal import ROUND_HALF_UP, Decimal

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from telemetria_pipeline.contracts.billing import PATTERNS
from telemetria_pipeline.core.billing.patterns import find_patterns
from telemetria_pipeline_tests.core.audit.rows import DEPARTURE, trip, trips
from telemetria_pipeline_tests.core.audit.strategies import audited_days


def cycle(count: int, said: Callable[[int], dict], **all_: object) -> list[dict]:
    """So many trips, an hour apart, whose odometers go on; the n-th as `said(n)`."""
    rows = []
    odometer = 1_000.0
    for n in range(count):
        facts = {"km_declarado": Decimal("20.3"), **all_, **said(n)}
        arrives = odometer + float(facts["km_declarado"])
        departure = DEPARTURE + timedelta(hours=n)
        rows.append(trip(**{"km_saida": odometer, "km_chegada": arrives, "saida_utc": departure} | facts))
        odometer = arrives
    return rows


def found(rows: list[dict]) -> dict[tuple[str, str, str], pd.Series]:
    """(pattern, level, key) → its row."""
    frame = find_patterns(trips(*rows))
    assert PATTERNS.broken_by(frame) is None
    return {(row["padrao"], row["nivel"], row["chave"]): row for _, row in frame.iterrows()}


def kinds(rows: list[dict]) -> set[str]:
    return {pattern for pattern, _, _ in found(rows)}


def test_who_always_declares_nine_percent_more_is_found_at_every_level_with_the_cost():
    patterns = found(cycle(20, lambda n: {"km_declarado": "21.805", "km_medido": 20}))
    assert set(patterns) == {
        ("vies", "veiculo", "GDP4J68"),
        ("vies", "motorista", "M-0a1b2c3d"),
        ("vies", "transportadora", "VIAÇÃO TESTE"),
    }
    row = patterns["vies", "veiculo", "GDP4J68"]
    assert (row["viagens"], row["ocorrencias"]) == (20, 20)
    assert (str(row["km_declarado"]), str(row["km_medido"])) == ("436.100", "400.000")
    assert row["vies"] == pytest.approx(0.09025)
    assert str(row["valor_brl"]) == "98.55"  # 36.1 km at 2.73, rounded once: trip by trip it would be 98.60
    assert row["frase"] == (
        "+9,0 % entre declarado e medido em 20 viagens, cada uma dentro da tolerância; "
        "20 delas a mais: R$ 98,55 no ciclo."
    )


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (19, lambda n: {"km_declarado": "21.8"}),
        (30, lambda n: {"km_declarado": 21, "km_saida": 0.0, "km_chegada": 0.0}),  # exactly 5 %
        (24, lambda n: {"km_declarado": "21.8" if n % 4 else "19.9"}),  # three of four: one-sided by 75 %
        (30, lambda n: {"km_declarado": "21.8" if n % 2 else "18.3"}),
        (30, lambda n: {"km_declarado": "21.8", "cobertura": 0.9}),
        (30, lambda n: {"km_declarado": "23.8", "veredito": "divergente"}),
        (30, lambda n: {"km_declarado": "21.8", "km_medido": None}),
        (30, lambda n: {"km_declarado": "0.8", "km_medido": 0}),
    ],
)
def test_a_bias_needs_enough_sound_trips_on_one_side(count, said):
    assert kinds(cycle(count, said)) == set()


def test_too_little_is_a_bias_without_a_price_and_so_is_one_without_a_tariff():
    too_little = found(cycle(20, lambda n: {"km_declarado": "18.7"}))["vies", "veiculo", "GDP4J68"]
    assert too_little["vies"] == pytest.approx(-0.065)
    assert too_little["valor_brl"] is pd.NA
    assert too_little["frase"].startswith("-6,5 %") and too_little["frase"].endswith("a menos.")
    unpriced = found(cycle(20, lambda n: {"km_declarado": "21.8", "tarifa_brl_km": None}))
    assert unpriced["vies", "veiculo", "GDP4J68"]["valor_brl"] is pd.NA


def test_what_some_trips_declare_too_little_pays_for_nothing():
    rows = cycle(20, lambda n: {"km_declarado": "21.8" if n % 5 else "19.5"})
    assert str(found(rows)["vies", "veiculo", "GDP4J68"]["valor_brl"]) == "78.62"  # 16 times 1.8 km


def test_one_vehicle_s_bias_is_not_its_carrier_s_when_the_others_are_honest():
    biased = cycle(20, lambda n: {"km_declarado": "21.8", "motorista_declarado": None})
    honest = cycle(80, lambda n: {"placa": "ABC1C34", "km_declarado": "20.2", "motorista_declarado": None})
    assert set(found(biased + honest)) == {("vies", "veiculo", "GDP4J68")}


def test_a_carrier_is_one_however_it_is_spelled():
    rows = cycle(
        20, lambda n: {"km_declarado": "21.8", "transportadora": "Viacao Teste" if n else "VIAÇÃO TESTE"}
    )
    assert ("vies", "transportadora", "VIAÇÃO TESTE") in found(rows)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(st.integers(2_000, 90_000), st.integers(-300, 300)), min_size=20, max_size=60))
def test_honest_noise_of_three_percent_is_never_a_bias(driven):
    def said(n: int) -> dict:
        metres, noise = driven[n]
        return {
            "km_medido": Decimal(metres) / 1_000,
            "km_declarado": Decimal(metres + metres * noise // 10_000) / 1_000,
        }

    assert "vies" not in kinds(cycle(len(driven), said))


@settings(max_examples=20, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(5_000, 90_000), st.integers(60, 99), st.none() | st.integers(1, 99_999)),
        min_size=20,
        max_size=40,
    )
)
def test_the_cost_of_a_bias_is_its_exact_sum(driven):
    def said(n: int) -> dict:
        metres, thousandths, tariff = driven[n]
        return {
            "km_medido": Decimal(metres) / 1_000,
            "km_declarado": Decimal(metres + metres * thousandths // 1_000) / 1_000,
            "tarifa_brl_km": tariff and Decimal(tariff) / 10_000,
        }

    rows = cycle(len(driven), said)
    cost = sum(
        (
            (row["km_declarado"] - row["km_medido"]) * row["tarifa_brl_km"]
            for row in rows
            if row["tarifa_brl_km"]
        ),
        Decimal(0),
    )
    value = found(rows)["vies", "veiculo", "GDP4J68"]["valor_brl"]
    if any(row["tarifa_brl_km"] for row in rows):
        assert value == cost.quantize(Decimal("0.01"), ROUND_HALF_UP)
    else:
        assert value is pd.NA


def test_round_numbers_are_more_than_half_of_the_trips():
    def rows(count: int, rounded: int, km: str = "30") -> list[dict]:
        return cycle(count, lambda n: {"km_declarado": km if n < rounded else "20.3", "km_medido": None})

    row = found(rows(20, 11))["numeros_redondos", "veiculo", "GDP4J68"]
    assert (row["viagens"], row["ocorrencias"]) == (20, 11)
    assert pd.isna(row["vies"])
    assert row["frase"] == "Em 11 de 20 viagens, o km declarado é múltiplo de 10 km."
    for honest in (rows(20, 10), rows(19, 19), rows(20, 20, "0"), rows(20, 20, "15")):
        assert kinds(honest) == set()


def test_one_distance_again_and_again_is_found_only_while_the_measured_ones_spread():
    def rows(count: int, same: int, spread: str, least: int = 20, **more: object) -> list[dict]:
        return cycle(
            count,
            lambda n: (
                {
                    "km_declarado": "20.3" if n < same else f"{20 + n / 1000:.3f}",
                    "km_medido": Decimal(least) + Decimal(spread) * (n % 2),
                }
                | more
            ),
        )

    row = found(rows(20, 11, "3"))["km_repetido", "veiculo", "GDP4J68"]
    assert (row["viagens"], row["ocorrencias"]) == (20, 11)
    assert row["frase"] == (
        "Em 11 de 20 viagens foram declarados 20,3 km; a telemetria mediu de 20,0 a 23,0 km."
    )
    for honest in (rows(20, 10, "3"), rows(19, 19, "3"), rows(20, 20, "0")):
        assert kinds(honest) == set()
    assert kinds(rows(20, 20, "2", least=19)) == set()  # exactly 10 % of their mean
    assert kinds(rows(20, 20, "1", least=2, veredito="divergente")) == set()  # far more, but exactly 1 km
    assert kinds(rows(20, 20, "3", cobertura=0.9)) == set()
    assert kinds(rows(20, 20, "3", sinal="perdido")) == set()


def test_odometers_that_do_not_go_on_are_counted_from_three_times_on():
    def rows(breaks: int, apart: float = 2.5) -> list[dict]:
        plate = {"placa": "ABC1C34", "km_saida": 500_000.0, "km_chegada": 500_000.0}  # beside: breaks nothing
        mine = cycle(8, lambda n: {})
        for row in mine[8 - breaks :]:
            row["km_saida"] += apart  # and the next one goes on where this one arrived
        return mine + cycle(8, lambda n: plate)

    row = found(rows(3))["odometro_descontinuo", "veiculo", "GDP4J68"]
    assert (row["viagens"], row["ocorrencias"]) == (8, 3)
    assert row["frase"] == (
        "Em 3 de 8 viagens, o odômetro de saída não continua o de chegada da anterior: 7,5 km ao todo."
    )
    assert kinds(rows(3, -2.5)) == {"odometro_descontinuo"}
    assert kinds(rows(2)) == kinds(rows(3, 1.0)) == set()


def test_a_vehicle_that_two_carriers_declare_is_found():
    names = {0: "Viação Teste", 1: "VIACAO  TESTE", 2: "Outra"}
    row = found(cycle(5, lambda n: {"empresa_declarada": names.get(n, "Viação Teste")}))[
        "duas_transportadoras", "veiculo", "GDP4J68"
    ]
    assert (row["viagens"], row["ocorrencias"]) == (5, 1)
    assert row["frase"] == ("Viagens declaradas por mais de uma transportadora: VIACAO TESTE (4), OUTRA (1).")
    assert kinds(cycle(5, lambda n: {"empresa_declarada": names[n % 2]})) == set()
    assert kinds(cycle(5, lambda n: {"empresa_declarada": "Outra" if n else None})) == set()


def test_what_costs_most_comes_first_and_measured_trips_alone_show_nothing():
    cheap = cycle(20, lambda n: {"km_declarado": "21.3", "placa": "ABC1C34", "motorista_declarado": None})
    costly = cycle(20, lambda n: {"km_declarado": "21.8", "motorista_declarado": None})
    ranked = find_patterns(trips(*cheap, *costly))
    assert ranked["chave"].tolist() == ["VIAÇÃO TESTE", "GDP4J68", "ABC1C34"]
    alone = [trip(km_declarado=None) for _ in range(30)]
    assert kinds(alone) == kinds([]) == set()


@settings(max_examples=15, deadline=None)
@given(audited_days(max_trips=25), st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_nothing(day, random):
    trips, _ = day
    trips = pd.concat(
        [trips.assign(viagem_id=trips["viagem_id"] + str(n)) for n in range(10)], ignore_index=True
    )
    patterns = find_patterns(trips)
    assert PATTERNS.broken_by(patterns) is None
    shuffled = trips.iloc[random.sample(range(len(trips)), len(trips))].reset_index(drop=True)
    assert_frame_equal(find_patterns(shuffled), patterns)
