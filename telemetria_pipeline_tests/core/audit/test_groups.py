"""Trips that one measured trip covers are judged together; one journey under a wrong date is one finding."""

from datetime import timedelta
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetria_pipeline.core.audit.coverage import Sources
from telemetria_pipeline.core.audit.divergences import find_divergences
from telemetria_pipeline.core.audit.groups import _cut
from telemetria_pipeline_tests.core.audit import rows
from telemetria_pipeline_tests.core.audit.rows import DAY, ZONE
from telemetria_pipeline_tests.core.audit.sides import RULES, at, audit, declared, measured, parked, vehicles
from telemetria_pipeline_tests.core.audit.worlds import said, seen
from telemetria_pipeline_tests.rounds import examples

OUT = declared(at("06:00"), at("06:50"), 25, km_saida=1_000.0, km_chegada=1_025.0)
BACK = declared(at("07:00"), at("07:50"), 25, km_saida=1_025.0, km_chegada=1_050.0)
RUN = measured(at("06:00"), at("07:50"), 50)  # the engine ran on at the turn


def judged(trips: pd.DataFrame) -> list[tuple]:
    names = ["fonte", "km_medido", "veredito", "base_auditoria", "km_auditado"]
    declared_ones = trips[trips["km_declarado"].notna()]
    rows = declared_ones[names].fillna({"km_medido": Decimal(0)}).to_numpy()
    return [(row[0], float(row[1]), *row[2:4], float(row[4])) for row in rows]


def found(result, hours=None) -> pd.DataFrame:
    sources = Sources(rows.hours() if hours is None else hours)
    return find_divergences(result.trips, result.segments, sources, RULES, DAY, ZONE)


def test_two_declared_and_one_measured_are_judged_together():
    result = audit([OUT, BACK], [RUN, *parked(1_000, 1_050)])
    trips = result.trips
    assert judged(trips) == [("ambos", 25, "ok", "acordo", 25)] * 2
    assert trips["grupo"].tolist() == [trips["viagem_id"][0]] * 2
    assert found(result).empty
    shares = result.segments[["viagem_id", "km_medido", "saida_utc"]]
    assert shares["viagem_id"].tolist() == trips["viagem_id"].tolist()
    assert shares["km_medido"].tolist() == [Decimal("25.000")] * 2
    assert (shares["saida_utc"] == at("06:00")).all()


def test_what_is_declared_in_excess_is_one_finding_of_the_group():
    much = {**BACK, "km_declarado": 55, "km_chegada": 1_080.0}
    result = audit([OUT, much], [RUN, *parked(1_000, 1_050)])
    assert judged(result.trips) == [
        ("ambos", 15.625, "divergente", "medido", 15.625),
        ("ambos", 34.375, "divergente", "medido", 34.375),
    ]
    (finding,) = found(result).to_dict("records")
    assert (finding["tipo"], finding["veredito"], finding["viagens"]) == ("km_divergente", "divergente", 2)
    assert (finding["km_declarado"], finding["km_medido"], finding["km_auditado"]) == (80, 50, 50)
    assert (finding["saida_utc"], finding["chegada_utc"]) == (at("06:00"), at("07:50"))
    assert finding["frase"].startswith(
        "Declarados 80,0 km em 2 viagens das 06:00 às 07:50, que a telemetria mediu juntas: 50,0 km (+60,0 %;"
    )


def test_a_run_that_stops_on_the_way_back_leaves_the_trips_together():
    there, rest = (
        measured(at("06:00"), at("07:20"), 35),
        measured(at("07:22"), at("07:50"), 15, odometro=1_035),
    )
    result = audit([OUT, BACK], [there, rest, *parked(1_000, 1_050)])
    assert judged(result.trips) == [("ambos", 25, "ok", "acordo", 25)] * 2
    shares = result.segments.groupby("saida_utc")["km_medido"].agg(list).to_list()
    assert shares == [[Decimal(25), Decimal(10)], [Decimal(15)]]
    assert result.trips["segmentos"].tolist() == [1, 2]


def test_a_short_hop_within_the_tolerance_of_its_neighbour_is_not_accused():
    long = declared(at("06:00"), at("07:20"), 50)
    hop = declared(at("07:25"), at("07:45"), 4)
    result = audit([long, hop], [measured(at("06:00"), at("07:46"), 54), *parked(1_000, 1_054)])
    assert [verdict for _, _, verdict, *_ in judged(result.trips)] == ["ok", "ok"]


def test_a_trip_that_agrees_alone_lends_nothing_to_its_neighbour():
    whole = {**OUT, "km_declarado": 50, "km_chegada": 1_050.0}
    run = measured(at("06:00"), at("07:04"), 50)
    result = audit([whole, BACK], [run, *parked(1_000, 1_050)])
    assert judged(result.trips)[0] == ("ambos", 50, "ok", "acordo", 50)
    second = result.trips.iloc[1]
    assert (second["veredito"], second["base_auditoria"]) == ("divergente", "nao_comprovado")
    assert second["medicao_de_outra"]
    (finding,) = found(result).to_dict("records")
    assert "a viagem que a telemetria mediu nesse horário corresponde a outra declarada" in finding["frase"]
    assert "nenhuma viagem" not in finding["frase"]


def test_two_that_claim_the_same_time_are_rivals_and_no_group():
    again = declared(at("06:06"), at("06:56"), 25, km_saida=1_003.0, km_chegada=1_028.0)
    result = audit([OUT, again], [measured(at("06:00"), at("06:50"), 25), *parked(1_000, 1_025)])
    assert [verdict for _, _, verdict, *_ in judged(result.trips)] == ["ok", "divergente"]
    assert result.trips["grupo"].isna().all()


def test_what_crosses_midnight_cannot_be_told_apart_and_accuses_nobody():
    late = declared(at("23:10"), at("23:50"), 25)
    early = declared(at("00:00", 1), at("00:45", 1), 25, km_saida=1_025.0)
    run = measured(at("23:10"), at("00:45", 1), 50)
    beside = [
        measured(at("20:00"), at("20:10"), 5, odometro=995),
        measured(at("04:00", 1), at("04:10", 1), 5, odometro=1_050),
    ]
    for day, clock in ((0, "23:10"), (1, "00:00")):
        result = audit([late, early], [run, *beside], days=(day, day + 1))
        trip = result.trips[result.trips["saida_utc"] == at(clock, day)].iloc[0]
        assert (trip["veredito"], trip["km_auditado"], trip["cruza_dia"]) == ("inconclusivo", 25, True)
        said = "A viagem medida cobre também uma de outro dia; as duas não se separam. Vale o boletim."
        assert found(result)["frase"].str.contains(said, regex=False).sum() == 1


def test_missing_hours_leave_the_whole_group_open():
    much = {**BACK, "km_declarado": 55, "km_chegada": 1_080.0}
    missing = rows.hours(states={7: "missing"})
    result = audit([OUT, much], [RUN, *parked(1_000, 1_050)], hours=missing)
    assert [verdict for _, _, verdict, *_ in judged(result.trips)] == ["inconclusivo"] * 2
    assert len(found(result, missing)) == 1


def test_a_group_has_one_verdict_though_another_source_heard_a_part():
    long, rest = (
        measured(at("06:00"), at("07:20"), 28),
        measured(at("07:22"), at("07:50"), 12, odometro=1_028),
    )
    other = measured(at("06:00"), at("07:20"), 38, fonte="lua", veiculo_id="m-1", odometro=7_000)
    of_sol = vehicles({"fonte": "sol"})
    known = pd.concat([rows.hours(fonte=name) for name in ("sol", "lua")])
    result = audit([OUT, BACK], [long, rest, other, *parked(1_000, 1_040)], hours=known, vehicles=of_sol)
    trips = result.trips[result.trips["km_declarado"].notna()]
    assert trips["grupo"].nunique() == 1
    assert set(trips["veredito"]) == {"inconclusivo"}
    sentence = found(result, known)["frase"].iloc[0]
    assert "sol mediu 40,0 km; pelo outro, seriam 50,0 km" in sentence


def test_a_device_names_the_driver_of_the_first_trip_alone():
    other = {**BACK, "motorista": "ANA LIMA"}
    trips = audit([OUT, other], [RUN, *parked(1_000, 1_050)]).trips
    assert trips["motorista_confere"].all()
    trips = audit([{**OUT, "motorista": "ANA LIMA"}, BACK], [RUN, *parked(1_000, 1_050)]).trips
    assert trips["motorista_confere"].tolist() == [False, True]


def test_times_are_compared_at_the_ends_of_a_group_only():
    result = audit([OUT, BACK], [RUN, *parked(1_000, 1_050)])
    assert result.trips["dif_saida_min"].tolist()[0] == 0
    assert result.trips["dif_saida_min"].isna().tolist() == [False, True]
    assert result.trips["dif_chegada_min"].isna().tolist() == [True, False]


@examples(50)
@given(
    st.lists(
        st.tuples(
            st.lists(st.integers(0, 9), min_size=2, max_size=4),
            st.lists(st.integers(0, 9), min_size=1, max_size=4),
        )
    )
)
def test_shares_sum_to_the_metres_and_follow_the_weights(groups):
    weights, metres = [w for g, _ in groups for w in g], [m for _, g in groups for m in g]
    of_trip = np.array([n for n, (g, _) in enumerate(groups) for _ in g], np.int64)
    of_segment = np.array([n for n, (_, g) in enumerate(groups) for _ in g], np.int64)
    trip, segment, part = _cut(np.array(weights, np.int64), of_trip, np.array(metres, np.int64), of_segment)
    assert set(trip) == set(range(len(weights))) and set(segment) == set(range(len(metres)))
    assert (of_trip[trip] == of_segment[segment]).all()
    assert np.bincount(segment, part, len(metres)).tolist() == metres
    for number, (claims, parts) in enumerate(groups):
        own = np.bincount(trip, part, len(weights))[of_trip == number]
        shares = claims if sum(claims) else [1] * len(claims)
        assert all(abs(m - sum(parts) * w / sum(shares)) < 1 for m, w in zip(own, shares, strict=True))


# One journey under another hour or date


def test_an_hour_typed_wrong_is_one_finding_and_paid_once():
    wrong = declared(at("10:00"), at("10:50"), 25)
    result = audit([wrong], [measured(at("08:00"), at("08:50"), 25.4), *parked(1_000, 1_026)])
    assert judged(result.trips[:1]) == [("ambos", 25.4, "ok", "acordo", 25)]
    assert (result.trips["fonte"] == "telemetria").sum() == 0
    (finding,) = found(result).to_dict("records")
    assert (finding["tipo"], finding["veredito"]) == ("data_ou_horario_a_corrigir", "a_esclarecer")
    assert finding["frase"] == (
        "Viagem de 25,0 km declarada em 10/03 das 10:00 às 10:50; a telemetria mediu 25,4 km em 10/03 "
        "das 08:00 às 08:50: data ou hora a corrigir. Conta uma vez só."
    )


@pytest.mark.parametrize("off", [-1, 1])
def test_a_day_off_is_found_in_the_day_of_the_declared_and_gone_from_the_other(off):
    wrong = [
        declared(at("00:30", off), at("01:10", off), 25),
        declared(at("15:00", off), at("15:40", off), 31),
    ]
    driven = [measured(at("00:30"), at("01:10"), 25), measured(at("15:05"), at("15:45"), 31, odometro=1_025)]
    mistaken = audit(wrong, driven, days=(off, off + 1)).trips
    assert judged(mistaken) == [("ambos", 25, "ok", "acordo", 25), ("ambos", 31, "ok", "acordo", 31)]
    assert mistaken["data_ou_horario_a_corrigir"].all()
    assert audit(wrong, driven).trips.empty


def test_of_like_trips_each_finds_its_own_and_what_is_left_stays_left():
    wrong = declared(at("09:00", 1), at("09:50", 1), 25)
    driven = [
        measured(at("09:10"), at("10:00"), 25),
        measured(at("09:25", 2), at("10:15", 2), 25, odometro=1_030),
    ]
    days = audit([wrong], driven, days=(0, 3)).trips
    assert days["fonte"].tolist() == ["ambos", "telemetria"]
    assert days["saida_utc"].tolist() == [at("09:00", 1), at("09:25", 2)]
    odometers = {"km_saida": 1_030.2, "km_chegada": 1_055.1, "km_declarado": 24.9}
    named = audit([{**wrong, **odometers}], driven, days=(0, 3)).trips
    assert named["fonte"].tolist() == ["telemetria", "ambos"]


@pytest.mark.parametrize(
    ("saida", "km", "odometer"),
    [
        ("12:01", 25, 1_000),  # beyond three hours
        ("10:00", 28, 1_000),  # of other kilometres
        ("10:00", 0.9, 1_000),  # like any other of a kilometre
    ],
)
def test_what_is_not_alike_stays_apart(saida, km, odometer):
    wrong = declared(at(saida), at(saida) + timedelta(minutes=50), km, km_saida=9_000.0, km_chegada=9_025.0)
    driven = measured(at("08:00"), at("08:50"), 0.9 if km == 0.9 else 25, odometro=odometer)
    trips = audit([wrong], [driven, *parked(1_000, 1_025)]).trips
    assert "ambos" not in set(trips["fonte"])


def test_the_odometer_names_a_trip_at_any_hour_of_the_day():
    wrong = declared(at("19:00"), at("19:50"), 25, km_saida=1_000.3, km_chegada=1_025.3)
    trips = audit([wrong], [measured(at("07:00"), at("07:50"), 25), *parked(1_000, 1_025)]).trips
    assert judged(trips) == [("ambos", 25, "ok", "acordo", 25)]


@examples(60)
@given(said(), seen())
def test_no_measured_kilometre_proves_two_claims(said, seen):
    """What is paid because it was measured never exceeds what was."""
    trips = audit(said, seen, days=(-2, 5)).trips
    proven = trips[trips["base_auditoria"] == "medido"]
    most = proven["km_medido"].fillna(Decimal(0)) + proven["km_sem_sinal"].fillna(Decimal(0))
    assert (proven["km_auditado"] <= most).all()
    assert (trips.loc[trips["base_auditoria"] == "a_declarar", "km_auditado"] == 0).all()
    by_group = trips[trips["grupo"].notna()].groupby("grupo")
    assert (by_group["veredito"].nunique() == 1).all()
    assert (by_group.size() > 1).all()
    assert set(by_group.groups) <= set(trips["viagem_id"])
