from datetime import timedelta
from decimal import Decimal

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from telemetria_pipeline.contracts.audit import DAILY_KM
from telemetria_pipeline.contracts.reference import VEHICLES
from telemetria_pipeline.core.audit.coverage import Sources
from telemetria_pipeline.core.audit.daily import daily_km
from telemetria_pipeline_tests.core.audit.rows import (
    DAY,
    ZONE,
    frame_of,
    hours,
    segment,
    segments,
    trip,
    trip_id,
    trips,
)
from telemetria_pipeline_tests.core.audit.strategies import audited_days
from telemetria_pipeline_tests.rounds import examples


def vehicles(*rows: dict) -> pd.DataFrame:
    return frame_of(VEHICLES, [{"placa_recebida": row["placa"], **row} for row in rows])


def test_a_vehicle_s_day_is_the_sum_of_its_trips_by_every_reading():
    day = daily_km(
        trips(
            trip(km_declarado="21.5", km_medido="20.25", segmentos=2, km_auditado="20.25"),
            trip(km_declarado=8, km_medido=None, km_auditado=0),
            trip(km_declarado=None, km_medido=3, km_auditado=0),
        ),
        segments(
            segment(km_medido="12.25", distancia_telemetria_km=12.1),
            segment(km_medido=8, distancia_telemetria_km=8.0, veiculo_id="v-2"),
            segment(
                km_medido=3,
                distancia_telemetria_km=3.0,
                fonte_distancia="telemetria",
                situacao_odometro="virada",
                veiculo_id="v-3",
                viagem_id=trip_id(3),
            ),
        ),
        Sources(hours(states={3: "missing", 4: "open", 24: "missing"})),
        DAY,
        ZONE,
    )
    assert DAILY_KM.broken_by(day) is None
    row = day.iloc[0].to_dict()
    exact = {name: str(row[name]) for name in row if name.startswith("km_")}
    assert exact == {
        "km_odometro": "20.250",
        "km_telemetria": "23.100",
        "km_medido": "23.250",
        "km_declarado": "29.500",
        "km_auditado": "20.250",
    }
    assert (row["viagens_declaradas"], row["viagens_medidas"]) == (2, 3)
    assert row["fonte_leitura"] == "mista"
    assert (row["viradas"], row["regressoes"], row["horas_sem_telemetria"]) == (1, 0, 2)
    assert not (row["sem_telemetria"] or row["sem_boletim"] or row["sem_dados"])


@pytest.mark.parametrize(
    ("said", "flags", "source"),
    [
        ({"km_medido": None}, (True, False, False), "nenhuma"),
        ({"km_declarado": None}, (False, True, False), "odometro"),
    ],
)
def test_a_side_that_is_missing_is_zero_and_flagged(said, flags, source):
    measured = "km_medido" not in said
    day = daily_km(
        trips(trip(**said)), segments(*([segment()] * measured)), Sources(hours()), DAY, ZONE
    ).iloc[0]
    assert (day["sem_telemetria"], day["sem_boletim"], day["sem_dados"]) == flags
    assert day["fonte_leitura"] == source
    assert day["km_declarado" if measured else "km_medido"] == 0


def test_a_vehicle_under_contract_without_data_has_zeros_and_says_so():
    fleet = vehicles(
        {"placa": "ABC1C34", "tipo": "VAN"},
        {"placa": "GDP4J68"},
        {"placa": "XXX0A01", "entrada": (DAY + timedelta(days=1)).isoformat()},
        {"placa": "XXX0A02", "saida": (DAY - timedelta(days=1)).isoformat()},
        {"placa": "ZZZ0A01", "entrada": DAY.isoformat(), "saida": DAY.isoformat()},
    )
    day = daily_km(trips(trip()), segments(segment()), Sources(hours(), fleet), DAY, ZONE)
    assert DAILY_KM.broken_by(day) is None
    assert day["veiculo"].tolist() == ["ABC1C34", "GDP4J68", "ZZZ0A01"]
    assert day["sem_dados"].tolist() == [True, False, True]
    assert day["tipo"].tolist()[:2] == ["VAN", "ONIBUS"]
    assert day["km_auditado"].tolist() == [Decimal(0), Decimal(20), Decimal(0)]


@examples(25)
@given(audited_days(), st.randoms(use_true_random=False))
def test_kilometres_are_conserved_in_whatever_order_the_rows_come(day, random):
    trips, segments = day
    daily = daily_km(trips, segments, Sources(hours()), DAY, ZONE)
    assert DAILY_KM.broken_by(daily) is None
    for name in ("km_medido", "km_declarado", "km_auditado"):
        assert sum(daily[name], Decimal(0)) == sum(trips[name].dropna(), Decimal(0))
    assert daily["viagens_medidas"].sum() == len(segments)

    def shuffled(frame):
        return frame.iloc[random.sample(range(len(frame)), len(frame))].reset_index(drop=True)

    again = daily_km(shuffled(trips), shuffled(segments), Sources(shuffled(hours())), DAY, ZONE)
    assert_frame_equal(again, daily)
