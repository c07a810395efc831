"""Small worlds for property tests: two vehicles over five days, dense enough for trips to collide."""

from datetime import timedelta
from typing import Any

from hypothesis import strategies as st

from telemetria_pipeline_tests.core.audit.sides import at, declared, measured

PLATES = ("GDP4J68", "ABC1C34")
_MINUTES_A_DAY = 1_440
_lengths = st.one_of(st.integers(0, 90), st.integers(0, 14 * 60))


@st.composite
def said(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Declared rows of all five days; some are the same trip in another file."""
    rows = []
    for linha in range(draw(st.integers(0, 14))):
        departure = at("00:00", -1) + timedelta(minutes=draw(st.integers(0, 5 * _MINUTES_A_DAY)))
        rows.append(
            declared(
                departure,
                departure + timedelta(minutes=draw(_lengths)),
                draw(st.sampled_from([0.4, 1.0, 10.0, 11.0, 11.1, 30.0])),
                placa=draw(st.sampled_from(PLATES)),
                linha=linha,
                arquivo=draw(st.sampled_from(["a.csv", "b.csv"])),
                motorista=draw(st.sampled_from(["JOSÉ DA SILVA", "ANA LIMA", None])),
            )
        )
    again = [row for row in rows if draw(st.integers(0, 4)) == 0]
    return rows + [{**row, "arquivo": "c.csv", "arquivo_id": "arquivo-3"} for row in again]


@st.composite
def seen(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Segments of all five days; odometers run on, and between two trips they may move unseen, or break."""
    rows = []
    for number, plate in enumerate(PLATES):
        now, odometer = at("00:00", -1), 1_000.0
        for registro in range(1, draw(st.integers(0, 12)) + 1):
            now += timedelta(minutes=draw(st.integers(1, 10 * 60)))
            length, km = draw(st.integers(0, 120)), draw(st.sampled_from([0.3, 5.0, 10.0, 20.0005]))
            odometer += draw(st.sampled_from([0.0, 0.0, 0.0, 0.8, 7.0, 3_000.0, -50.0]))
            good = draw(st.integers(0, 3)) > 0
            rows.append(
                measured(
                    now,
                    now + timedelta(minutes=length),
                    km,
                    odometro=odometer,
                    placa=plate,
                    veiculo_id=f"v-{number}",
                    registro=registro,
                    motorista=draw(st.sampled_from(["JOSE SILVA", None])),
                    situacao_odometro="ok" if good else "ausente",
                    fonte_distancia="odometro" if good else "telemetria",
                )
            )
            odometer += km
            now += timedelta(minutes=draw(st.integers(0, length)))  # a clock that is off: the next overlaps
    return rows
