"""A spare runs for a broken bus: the trip is the one's that ran."""

from decimal import Decimal

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetria_pipeline.contracts.audit import VALIDATED_TRIPS
from telemetria_pipeline.contracts.reference import CONTRACTS
from telemetria_pipeline_tests.core.audit.rows import PLATE, frame_of
from telemetria_pipeline_tests.core.audit.sides import (
    at,
    audit,
    declared,
    measured,
    one,
    parked,
    substitutions,
    vehicles,
)
from telemetria_pipeline_tests.core.audit.worlds import PLATES, said, seen
from telemetria_pipeline_tests.rounds import examples

SPARE = "ABC1C34"
MORNING = declared(at("07:00"), at("08:00"), 20, equipamento="38")
BY_SPARE = measured(at("07:00"), at("08:00"), 20, placa=SPARE, veiculo_id="v-2")
REGISTER = substitutions({"placa": PLATE, "substituta": SPARE})
IN_ROW = {**MORNING, "placa_substituta": SPARE}


@pytest.mark.parametrize(("row", "register"), [(MORNING, REGISTER), (IN_ROW, None), (IN_ROW, REGISTER)])
def test_the_trip_is_the_ones_that_ran(row, register):
    fleet = vehicles({"equipamento": "38", "tipo": "A"}, {"placa": SPARE, "equipamento": "99", "tipo": "B"})
    terms = {
        "contrato": "C", "clausula": "1", "modalidade": "contrato", "vigencia_inicio": "2026-01-01",
        "custo_fixo_mensal_brl": 0, "franquia_km": 0,
    }  # fmt: skip
    contracts = frame_of(
        CONTRACTS,
        [
            {**terms, "contrato_linha": 2, "tipo": "A", "tarifa_brl_km": 2},
            {**terms, "contrato_linha": 3, "tipo": "B", "tarifa_brl_km": 3},
        ],
    )
    trip = one([row], [BY_SPARE], substitutions=register, vehicles=fleet, contracts=contracts)
    assert (trip["veiculo"], trip["placa"], trip["placa_declarada"]) == (SPARE, SPARE, PLATE)
    assert (trip["fonte"], trip["veredito"], trip["base_auditoria"]) == ("ambos", "ok", "acordo")
    assert (trip["equipamento"], trip["tarifa_brl_km"]) == ("99", Decimal(3))
    without = audit([MORNING], [BY_SPARE], vehicles=fleet, contracts=contracts).trips
    assert without["fonte"].tolist() == ["boletim", "telemetria"]
    assert without["placa_declarada"].isna().all()
    assert trip["viagem_id"] in set(without["viagem_id"])  # closed cycles know it by this


def test_a_spare_that_nobody_registered_has_no_fleet_number_of_the_bus():
    trip = one([MORNING], [BY_SPARE], substitutions=REGISTER)
    assert pd.isna(trip["equipamento"])


@pytest.mark.parametrize(
    ("first", "last", "ran"),
    [
        ("2026-03-10", "2026-03-10", SPARE),
        ("2026-03-10", None, SPARE),
        ("2026-03-11", None, PLATE),
        ("2026-03-01", "2026-03-09", PLATE),
    ],
)
def test_it_counts_on_its_days_both_included(first, last, ran):
    register = substitutions({"placa": PLATE, "substituta": SPARE, "inicio": first, "fim": last})
    late = declared(at("23:50"), at("24:20"), 20)
    assert one([late], [], substitutions=register)["veiculo"] == ran


def test_the_row_of_the_boletim_says_more_than_the_register():
    trip = one([{**MORNING, "placa_substituta": "XYZ9J99"}], [], substitutions=REGISTER)
    assert trip["veiculo"] == "XYZ9J99"
    itself = one([{**MORNING, "placa_substituta": PLATE}], [], substitutions=REGISTER)
    assert (itself["veiculo"], pd.isna(itself["placa_declarada"])) == (PLATE, True)


def test_the_bus_that_ran_after_all_keeps_its_trip():
    """It broke down at noon: the register knows days, telemetry knows who drove the morning."""
    noon = declared(at("13:00"), at("14:00"), 20)
    itself = measured(at("07:05"), at("07:55"), 20)
    shunted = measured(at("13:10"), at("13:12"), 1)
    spare = {**BY_SPARE, "saida_utc": at("13:00"), "chegada_utc": at("14:00")}
    trips = audit([MORNING, noon], [itself, shunted, spare], substitutions=REGISTER).trips
    of_sheet = trips[trips["fonte"] != "telemetria"]
    assert of_sheet["veiculo"].tolist() == [PLATE, SPARE]
    assert of_sheet["placa_declarada"].isna().tolist() == [True, False]
    assert of_sheet["veredito"].tolist() == ["ok", "ok"]


def test_two_trackers_of_the_bus_do_not_weigh_twice():
    part = {"saida": at("07:00"), "chegada": at("07:25")}
    seen = [
        measured(**part, km=1),
        measured(**part, km=1, fonte="lua"),
        {**BY_SPARE, "chegada_utc": at("07:40")},
    ]
    trips = audit([MORNING], seen, substitutions=REGISTER).trips
    assert trips.loc[trips["fonte"] != "telemetria", "veiculo"].tolist() == [SPARE]  # 40 minutes, not 50


def test_the_same_trip_on_the_sheets_of_both_is_one():
    own = {**MORNING, "placa": SPARE, "arquivo": "other.csv"}
    trip = one([MORNING, own], [BY_SPARE], substitutions=REGISTER)
    assert trip["declaracoes"] == 2


def test_a_row_that_names_the_spare_says_it_for_the_same_row_in_another_file():
    again = {**IN_ROW, "arquivo": "z.csv"}
    trip = one([MORNING, again], [BY_SPARE])
    assert (trip["veiculo"], trip["declaracoes"]) == (SPARE, 2)


def test_a_phantom_of_the_spare_is_one_and_says_for_whom_it_was_declared():
    stood = [{**row, "placa": SPARE, "veiculo_id": "v-2"} for row in parked()]
    trip = one([MORNING], stood, substitutions=REGISTER)
    assert (trip["veiculo"], trip["veredito"], trip["km_auditado"]) == (SPARE, "divergente", 0)


@examples(30)
@given(said(), seen(), st.booleans(), st.lists(st.booleans(), min_size=28, max_size=28))
def test_day_by_day_gives_what_the_days_give_together_and_no_kilometre_is_lost(said, seen, register, rows):
    bus, spare = PLATES
    table = substitutions({"placa": bus, "substituta": spare, "inicio": "2026-03-10"}) if register else None
    for row, instead in zip(said, rows, strict=False):
        row["placa_substituta"] = spare if instead and row["placa"] == bus else None

    def loaded(day: int):
        near = [row for row in said if at("00:00", day - 4) <= row["saida_utc"] < at("00:00", day + 5)]
        return near, [row for row in seen if at("00:00", day - 3) <= row["saida_utc"] < at("00:00", day + 4)]

    together = audit(said, seen, days=(0, 3), substitutions=table)
    days = [audit(*loaded(day), days=(day, day + 1), substitutions=table) for day in range(3)]
    alone = pd.concat([day.trips for day in days], ignore_index=True)
    pd.testing.assert_frame_equal(alone, together.trips)
    assert VALIDATED_TRIPS.broken_by(together.trips) is None
    assert sum(len(day.segments) for day in days) == len(together.segments)
    moved = together.trips["placa_declarada"].notna()
    assert set(together.trips.loc[moved, "veiculo"]) <= {spare}
    everything = audit(said, seen, days=(-2, 5), substitutions=table)
    assert everything.trips["declaracoes"].sum() == len(said)
    assert len(everything.segments.drop_duplicates(["veiculo_id", "saida_utc"])) == len(seen)
