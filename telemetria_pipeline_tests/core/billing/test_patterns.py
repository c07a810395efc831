from collections.abc import Callable
from datetime import timedelta
from decimal import ROUND_HALF_UP, Decimal
from math import comb

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from telemetria_pipeline.contracts.billing import PATTERNS
from telemetria_pipeline.core.billing.patterns import _no_chance, find_patterns
from telemetria_pipeline_tests.core.audit.rows import DEPARTURE, trip, trips
from telemetria_pipeline_tests.core.audit.strategies import audited_days
from telemetria_pipeline_tests.rounds import examples


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
        (30, lambda n: {"km_declarado": "20.2"}),  # exactly 1 % of what odometers measured
        (30, lambda n: {"km_declarado": "20.6", "fonte_distancia": "telemetria"}),  # 3 % of what trackers did
        (99, lambda n: {"km_declarado": "20.1", "km_medido": "20.0"}),  # as the sides are typed
        (24, lambda n: {"km_declarado": "21.8" if n % 4 else "19.8"}),  # 18 of 24: a coin does it in 88 tries
        (30, lambda n: {"km_declarado": "21.8" if n % 2 else "18.3"}),
        (30, lambda n: {"km_declarado": "21.8", "cobertura": 0.9}),
        (30, lambda n: {"km_declarado": "23.8", "veredito": "divergente"}),
        (30, lambda n: {"km_declarado": "21.8", "km_medido": None}),
        (30, lambda n: {"km_declarado": "0.8", "km_medido": 0}),
    ],
)
def test_a_bias_needs_enough_sound_trips_on_one_side(count, said):
    assert kinds(cycle(count, said)) == set()


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (123, lambda n: {"km_declarado": "20.98"}),  # +4.9 %
        (123, lambda n: {"km_declarado": "60.9", "km_medido": 60}),  # +0.9 km, of 1.5 %
        (60, lambda n: {"km_declarado": "21.98" if n % 4 else "20"}),  # +9.9 % on three of four
        (60, lambda n: {"km_declarado": "21.98" if n % 4 else "19.7"}),  # 45 of 60
        (30, lambda n: {"km_declarado": "20.7", "fonte_distancia": "telemetria"}),
    ],
)
def test_what_chance_does_not_explain_is_a_bias_however_small_each_trip_s_is(count, said):
    row = found(cycle(count, said))["vies", "veiculo", "GDP4J68"]
    assert row["viagens"] == count
    assert row["valor_brl"] > 0


@pytest.mark.parametrize(("shown", "of", "found"), [(14, 14, True), (13, 13, False), (42, 54, True)])
def test_the_test_of_signs_is_exact(shown, of, found):
    """Against the sum itself: at least so many of so many coins, in less than 1 of 10,000 tries."""
    assert (sum(comb(of, n) for n in range(shown, of + 1)) * 10_000 < 2**of) == found
    assert _no_chance(shown, of) == found


def test_the_same_kilometres_too_much_on_short_and_long_trips_are_found():
    def rows(count: int, extra: str = "0.9", longest: int = 40, honest: int = 0) -> list[dict]:
        def said(n: int) -> dict:
            km = Decimal(60 if n % 2 else longest)
            over = Decimal(0) if n < honest else Decimal(extra) + Decimal("0.05") * (n % 3)
            return {"km_medido": km, "km_declarado": km + over, "fonte_distancia": "telemetria"}

        return cycle(count, said)

    row = found(rows(20))["excesso_constante", "veiculo", "GDP4J68"]
    assert (row["viagens"], row["ocorrencias"]) == (20, 20)
    assert str(row["valor_brl"]) == "51.73"  # 18.95 km at 2.73
    assert row["frase"] == (
        "Em 20 de 20 viagens, curtas e longas, foram declarados 0,95 km a mais do que os medidos (até 100 m "
        "de diferença): R$ 51,73 no ciclo."
    )
    assert "excesso_constante" in kinds(rows(20, honest=4))
    for honest in (rows(19), rows(20, "0.2"), rows(20, longest=41), rows(20, honest=5)):
        assert "excesso_constante" not in kinds(honest)


def test_a_boletim_sent_again_with_more_km_is_found_where_nobody_measured_them():
    rows = cycle(5, lambda n: {"km_declarado": 30, "km_medido": None if n else 24})
    ids = trips(*rows)["viagem_id"]

    def raised(*before: int) -> pd.DataFrame:
        return pd.DataFrame({"viagem_id": ids[: len(before)], "antes_m": before})

    frame = find_patterns(trips(*rows), raised(20_000, 25_000, 29_900, 31_000))
    assert PATTERNS.broken_by(frame) is None
    (row,) = frame.to_dict("records")
    assert (row["padrao"], row["chave"], row["ocorrencias"]) == ("km_aumentado", "GDP4J68", 2)
    assert str(row["valor_brl"]) == "30.03"  # 6 km more than measured, and 5 more than before
    assert row["frase"] == (
        "O boletim foi mandado de novo com mais km em 2 viagens: de 45,0 para 60,0 km, 11,0 km além dos que "
        "se mediram: R$ 30,03 no ciclo."
    )
    assert find_patterns(trips(*rows), raised(30_000, 29_000)).empty  # 1 km in all
    honest = cycle(5, lambda n: {"km_declarado": 30, "km_medido": 30})
    assert find_patterns(trips(*honest), raised(20_000, 20_000, 20_000)).empty


def test_a_device_whose_odometer_and_tracker_differ_is_named():
    def rows(count: int, odometer: str, km: int = 20) -> list[dict]:
        device = {"aparelho": "sol:v-1", "km_medido": odometer, "km_declarado": odometer}
        return cycle(count, lambda n: {**device, "km_telemetria": km})

    row = found(rows(20, "23"))["aparelho_desviado", "aparelho", "sol:v-1"]
    assert (row["viagens"], str(row["valor_brl"])) == (20, "163.80")  # 3 km of each at 2.73
    assert row["frase"] == (
        "O odômetro deste aparelho andou 460,0 km em 20 viagens em que o rastreador informa 400,0 km "
        "(+15,0 %): R$ 163,80 separam os dois no ciclo. Não se sabe qual está certo: as viagens ficam sem "
        "prova."
    )
    assert "aparelho_desviado" in kinds(rows(20, "17"))
    for normal in (rows(19, "23"), rows(20, "22"), rows(20, "18"), rows(20, "15", km=13)):
        assert "aparelho_desviado" not in kinds(normal)


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
    honest = cycle(
        80,
        lambda n: {
            "placa": "ABC1C34",
            "km_declarado": "20.2" if n % 2 else "19.8",
            "motorista_declarado": None,
        },
    )
    assert set(found(biased + honest)) == {("vies", "veiculo", "GDP4J68")}


def test_a_carrier_is_one_however_it_is_spelled():
    rows = cycle(
        20, lambda n: {"km_declarado": "21.8", "transportadora": "Viacao Teste" if n else "VIAÇÃO TESTE"}
    )
    assert ("vies", "transportadora", "VIAÇÃO TESTE") in found(rows)


@examples(20)
@given(st.lists(st.tuples(st.integers(2_000, 90_000), st.integers(0, 900)), min_size=10, max_size=30))
def test_noise_that_errs_to_both_sides_is_never_a_bias(driven):
    def said(n: int) -> dict:
        metres, noise = driven[n // 2]
        off = metres * noise // 10_000 * (1 if n % 2 else -1)
        return {"km_medido": Decimal(metres) / 1_000, "km_declarado": Decimal(metres + off) / 1_000}

    assert "vies" not in kinds(cycle(2 * len(driven), said))


@pytest.mark.parametrize("tracker", ["odometro", "telemetria"])
def test_a_dashboard_s_two_thousandths_are_no_pattern(tracker):
    said = {"fonte_distancia": tracker, "km_declarado": "90.180", "km_medido": 90}
    assert kinds(cycle(300, lambda n: said)) == set()


@examples(20)
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

    def measured(km: str) -> list[dict]:
        return cycle(20, lambda n: {"km_declarado": 30, "km_medido": km, "veredito": "inconclusivo"})

    assert kinds(measured("29.5")) == kinds(measured("30.5")) == set()  # the route is round
    row = found(measured("29.4"))["numeros_redondos", "veiculo", "GDP4J68"]
    assert str(row["valor_brl"]) == "32.76"  # 0.6 km of each at 2.73
    assert row["frase"].endswith("é múltiplo de 10 km; a mais do que se mediu nelas: R$ 32,76.")


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
        "Em 11 de 20 viagens foram declarados 20,3 km; a telemetria mediu de 20,0 a 23,0 km; "
        "a mais do que se mediu nelas: R$ 4,91."  # 0.3 km of six at 2.73
    )
    for honest in (rows(20, 10, "3"), rows(19, 19, "3"), rows(20, 20, "0")):
        assert "km_repetido" not in kinds(honest)
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


@examples(15)
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
