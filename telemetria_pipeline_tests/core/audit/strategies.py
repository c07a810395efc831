"""Days of audited trips for hypothesis: sides that agree, differ or are missing, in any order."""

from datetime import timedelta
from decimal import Decimal

import pandas as pd
from hypothesis import strategies as st

from telemetria_pipeline.contracts.telemetry import SITUATIONS
from telemetria_pipeline_tests.core.audit.rows import DEPARTURE, segment, segments, trip, trip_id, trips

KM = st.integers(0, 400_000).map(lambda m: Decimal(m) / 1_000)
ODOMETERS = st.sampled_from(SITUATIONS)


@st.composite
def audited_days(draw: st.DrawFn, max_trips: int = 12) -> tuple[pd.DataFrame, pd.DataFrame]:
    """(trips, segments): facts as an audit may find them; verdicts drawn, not judged."""
    trip_rows, segment_rows = [], []
    for number in range(1, draw(st.integers(0, max_trips)) + 1):
        plate = draw(st.sampled_from(["GDP4J68", "ABC1C34", "FEV7E99"]))
        departure = DEPARTURE + timedelta(minutes=draw(st.integers(-120, 600)))
        declared = draw(st.none() | KM)
        driven = draw(st.lists(st.tuples(KM, ODOMETERS), min_size=declared is None, max_size=3))
        for n, (km, situation) in enumerate(driven):
            segment_rows.append(
                segment(
                    viagem_id=trip_id(number),
                    veiculo=plate,
                    veiculo_id=plate.lower(),
                    saida_utc=departure + timedelta(minutes=10 * n, seconds=number),
                    km_medido=km,
                    situacao_odometro=situation,
                    fonte_distancia="odometro" if situation == "ok" else "telemetria",
                    pagina=draw(st.integers(1, 2)),
                    raw_key=draw(st.sampled_from(["pagina-1", "pagina-2"])),
                )
            )
        sources = {"odometro" if situation == "ok" else "telemetria" for _, situation in driven}
        unseen = {} if driven else {"km_medido": None}
        trip_rows.append(
            trip(
                viagem_id=trip_id(number),
                placa=plate,
                saida_utc=departure,
                km_declarado=declared,
                **({"km_medido": sum(km for km, _ in driven)} if driven else unseen),
                segmentos=len(driven),
                fonte_distancia="mista" if len(sources) > 1 else next(iter(sources), None),
                sobreposicao=draw(st.floats(0, 1)),
                dif_saida_min=draw(st.sampled_from([0.0, 30.0, -30.5])) if declared and driven else None,
                motorista_confere=draw(st.booleans()),
                veiculo_conhecido=draw(st.booleans()),
                cobertura=draw(st.sampled_from([1.0, 0.5])),
                sinal=draw(st.sampled_from(["presente", "perdido", "desconhecido"])),
                km_sem_sinal=draw(KM),
                km_auditado=draw(KM),
                veredito=draw(st.sampled_from(["ok", "divergente", "inconclusivo"])),
                tarifa_brl_km=draw(st.none() | st.integers(0, 99_999).map(lambda u: Decimal(u) / 10_000)),
            )
        )
    return trips(*trip_rows), segments(*segment_rows)
