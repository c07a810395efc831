from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetria_pipeline.core.telemetry.odometer import measured_distance
from telemetria_pipeline_tests.core.conftest import START, mapped_frame


def judge(start, end, reported, hours=1.0):
    frame = mapped_frame(
        {
            "odometro_saida_km": start,
            "odometro_chegada_km": end,
            "distancia_telemetria_km": reported,
            "chegada_utc": START + timedelta(minutes=5, hours=hours),
        }
    )
    return measured_distance(frame).iloc[0]


@pytest.mark.parametrize(
    ("start", "end", "reported", "situation", "km"),
    [
        (1_000.0, 1_020.1, 20.0, "ok", 20.1),
        (1_000.0, 1_020.1, None, "ok", 20.1),
        (1_000.0, 1_000.0, 0.0, "ok", 0.0),
        (0.0, 1_020.0, 20.0, "ausente", 20.0),
        (None, 1_020.0, 20.0, "ausente", 20.0),
        (1_000.0, -5.0, 20.0, "ausente", 20.0),
        (1_000.0, 990.0, 20.0, "regressao", 20.0),
        (999_990.0, 10.0, 20.0, "virada", 20.0),
        (99_990.0, 10.0, 20.0, "virada", 20.0),
        (80_000.0, 10.0, 20.0, "regressao", 20.0),
        (1_000_000.0, 1_020_000.0, 20.0, "unidade", 20.0),
        (10_000.0, 10_200.0, 20.0, "unidade", 20.0),
        (1_000.0, 1_032.18, 20.0, "unidade", 20.0),
        (1_000.0, 1_012.43, 20.0, "unidade", 20.0),
        (1_000.0, 6_020.0, 20.0, "salto", 20.0),
        (1_000.0, 6_020.0, None, "salto", None),
        (1_000.0, 0.0, 20.0, "ausente", 20.0),
        # Ten times half a kilometre: too short to tell a wrong unit from a coarse odometer.
        (1_000.0, 1_005.0, 0.5, "ok", 5.0),
        (1_000.0, 1_010.0, 1.0, "unidade", 1.0),
        # The odometer stands still while the bus drives, or only its GPS trembles.
        (1_000.0, 1_000.0, 20.0, "parado", 20.0),
        (1_000.0, 1_000.0, 1.0, "parado", 1.0),
        (1_000.0, 1_000.0, 0.9, "ok", 0.0),
        # Faster than a bus, and the carrier reports less than half of it.
        (1_000.0, 2_500.0, 20.0, "salto", 20.0),
        (1_000.0, 1_166.0, 20.0, "salto", 20.0),
        (1_000.0, 1_165.0, 20.0, "contradicao", 165.0),
        # Less than half of it, or more than twice, and more than the 5 km of a coarse odometer.
        (1_000.0, 1_040.0, 20.0, "ok", 40.0),
        (1_000.0, 1_041.0, 20.0, "contradicao", 41.0),
        (1_000.0, 1_020.0, 40.0, "ok", 20.0),
        (1_000.0, 1_020.0, 41.0, "contradicao", 41.0),
        (1_000.0, 1_020.0, 0.4, "contradicao", 20.0),
        (1_000.0, 1_000.9, 20.0, "contradicao", 20.0),
        (1_000.0, 1_020.0, 165.0, "contradicao", 165.0),
        (1_000.0, 1_020.0, 165.1, "contradicao", 20.0),  # no bus drives that in an hour
        (1_000.0, 1_020.0, 1_009.0, "contradicao", 20.0),
        (1_000.0, 1_005.0, 0.0, "ok", 5.0),
        (1_000.0, 1_180.0, 90.0, "ok", 180.0),
        (1_000.0, 1_180.0, 89.0, "salto", 89.0),
    ],
)
def test_what_a_pair_of_readings_is_worth(start, end, reported, situation, km):
    got = judge(start, end, reported)
    assert got["situacao_odometro"] == situation
    by_odometer = end and start and km == pytest.approx(end - start) and situation in ("ok", "contradicao")
    assert got["fonte_distancia"] == ("odometro" if by_odometer else "telemetria")
    assert (
        got["distancia_km"] == pytest.approx(km, nan_ok=True)
        if km is not None
        else got.isna()["distancia_km"]
    )


def test_the_limit_of_a_jump_grows_with_the_days_of_the_trip():
    assert judge(1_000.0, 4_000.0, 2_900.0, hours=10)["situacao_odometro"] == "salto"
    assert judge(1_000.0, 4_000.0, 2_900.0, hours=30)["situacao_odometro"] == "ok"


@given(st.floats(1, 900_000), st.floats(0, 1_500), st.floats(-0.015, 0.015))
def test_good_readings_give_their_difference_however_the_gps_drifts(start, driven, drift):
    got = judge(start, start + driven, driven * (1 + drift), hours=20)
    assert got["situacao_odometro"] == "ok"
    assert got["distancia_km"] == pytest.approx(driven, abs=1e-5)
