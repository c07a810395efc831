from decimal import Decimal
from typing import Any

import pandas as pd
import pytest

from telemetria_pipeline.contracts.audit import VALIDATED_TRIPS
from telemetria_pipeline.core.billing.devices import biased_devices, disbelieve
from telemetria_pipeline_tests.core.audit.rows import trip, trips


def driven(odometer: Any, tracker: Any, count: int = 20, **said: Any) -> list[dict]:
    facts = {"km_medido": odometer, "km_declarado": odometer, "km_telemetria": tracker, "aparelho": "sol:v-1"}
    return [trip(**{**facts, **said}) for _ in range(count)]


def named(rows: list[dict]) -> list[str]:
    return biased_devices(trips(*rows)).index.tolist()


def test_a_device_is_biased_where_odometer_and_tracker_differ_by_more_than_a_tenth():
    assert named(driven(23, 20)) == named(driven("22.001", 20)) == named(driven("17.9", 20)) == ["sol:v-1"]
    (found,) = biased_devices(trips(*driven(23, 20))).itertuples()
    assert (found.odometro_m, found.rastreador_m, found.viagens) == (460_000, 400_000, 20)
    for normal in (
        driven(22, 20),  # exactly 10 %
        driven(18, 20),
        driven(23, 20, count=19),
        driven("17.2", "14.9"),  # 298 km by the tracker
        driven(23, None),
        driven(23, 20, aparelho=None),
        driven(23, 20, fonte_distancia="mista"),
        driven(23, 20, situacao_odometro="contradicao"),
    ):
        assert named(normal) == []


def test_devices_are_apart_and_one_bad_trip_does_not_make_one_biased():
    other = driven(23, 20, aparelho="lua:v-1")
    assert named(driven(20, 20) + other) == ["lua:v-1"]
    assert named([*driven(20, 20), *driven(25, 20, count=1)]) == []


PROVEN = {"veredito": "divergente", "base_auditoria": "medido"}


@pytest.mark.parametrize(
    ("said", "verdict", "basis", "paid"),
    [
        # The odometer says 23 km, the tracker 20: of the device that is wound up.
        ({"km_declarado": 23}, "inconclusivo", "boletim_substitui", 23),
        ({"km_declarado": 20, **PROVEN, "km_auditado": 20}, "inconclusivo", "boletim_substitui", 20),
        ({"km_declarado": 40, **PROVEN, "km_auditado": 23}, "divergente", "medido", 23),
        # The tracker says 30: the declared 30 may be right.
        (
            {"km_declarado": 30, "km_telemetria": 30, **PROVEN, "km_auditado": 23},
            "inconclusivo",
            "boletim_substitui",
            30,
        ),
        ({"km_declarado": 40, "km_telemetria": 30, **PROVEN, "km_auditado": 23}, "divergente", "medido", 30),
        # These do not rest on it.
        (
            {"km_declarado": 40, **PROVEN, "km_auditado": 23, "aparelho": "sol:v-2"},
            "divergente",
            "medido",
            23,
        ),
        (
            {"km_declarado": None, "km_auditado": 0, "veredito": "divergente"},
            "divergente",
            "a_declarar",
            0,
        ),
        (
            {
                "km_medido": None,
                "km_auditado": 0,
                "veredito": "divergente",
                "base_auditoria": "nao_comprovado",
            },
            "divergente",
            "nao_comprovado",
            0,
        ),
    ],
)
def test_what_rests_on_a_biased_device_is_open_unless_both_instruments_say_less(said, verdict, basis, paid):
    facts = {"km_medido": 23, "km_telemetria": 20, "aparelho": "sol:v-1"}
    frame = trips(trip(**{**facts, **said}))
    devices = pd.DataFrame({"odometro_m": 1, "rastreador_m": 1, "viagens": 1}, index=["sol:v-1"])
    found = disbelieve(frame, devices)
    assert VALIDATED_TRIPS.broken_by(found) is None
    (row,) = found.to_dict("records")
    assert (row["veredito"], row["base_auditoria"], row["km_auditado"]) == (verdict, basis, Decimal(paid))
