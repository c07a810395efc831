"""A day is stale where something that it was made from is another by now, and nowhere else."""

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetria_pipeline.contracts.reference import ACCEPTANCES, CONTRACTS, DRIVERS, SUBSTITUTIONS, VEHICLES
from telemetria_pipeline.core.audit.staleness import (
    DayState,
    Fingerprint,
    Piece,
    Reach,
    Surroundings,
    fingerprint,
    touching,
)

ZONE = ZoneInfo("America/Sao_Paulo")
DAY = date(2026, 3, 10)
WINDOW = (datetime.combine(DAY, time(), ZONE), datetime.combine(DAY + timedelta(days=1), time(), ZONE))
HALF_AN_HOUR, KEY = timedelta(minutes=30), "secret"


def at(clock: str, day: int = 10) -> datetime:
    return datetime.fromisoformat(f"2026-03-{day:02d}T{clock}").replace(tzinfo=ZONE)


def hour(start: datetime, digest: str = "captured 1", until: datetime | None = None) -> Piece:
    end = max(start + timedelta(hours=1), until or start)
    return Piece(f"alfa {start:%d %H}", start, end, True, digest)


def declared(start: datetime, end: datetime, digest: str = "1") -> Piece:
    return Piece(f"{start:%d} b.csv", start, end, False, digest)


def table(contract, *rows: dict) -> pd.DataFrame:
    frame = pd.DataFrame([{**dict.fromkeys(contract.names), **row} for row in rows])
    return frame.astype({c.name: c.pandas_dtype for c in contract.columns})


VEHICLE = {"placa": "ABC1C34", "placa_recebida": "ABC1C34", "tipo": "ÔNIBUS", "operacao": "AGR"}
TERMS = {
    "contrato": "CT-1", "clausula": "1", "contrato_linha": 2, "modalidade": "contrato", "tipo": "ÔNIBUS",
    "tarifa_brl_km": Decimal("2.7300"), "custo_fixo_mensal_brl": Decimal("0.00"),
    "franquia_km": Decimal("0.000"), "vigencia_inicio": "2026-01-01",
}  # fmt: skip
DRIVER = {"motorista": "JOSÉ", "motorista_chave": "JOSE", "motorista_id": "7"}
AROUND = Surroundings(
    pieces=[hour(at("07:00")), declared(at("07:10"), at("08:00"))],
    taken_back={},
    heard={"ABC1C34": {"alfa"}},
    vehicles=table(VEHICLES, VEHICLE),
    drivers=table(DRIVERS, DRIVER),
    contracts=table(CONTRACTS, TERMS),
    substitutions=None,
    acceptances=None,
    versions={"vehicles": "1", "drivers": "1", "contracts": "1"},
    rules="1",
)


def reach(
    until: datetime = WINDOW[1], wide: bool = False, leans: bool = False, looked_up: str = "7"
) -> Reach:
    return Reach(
        until=until,
        wide=wide,
        leans=leans,
        vehicles=["ABC1C34"],
        terms=[("ABC1C34", "ÔNIBUS", "Viação Alfa", "AGR")],
        drivers=[looked_up],
        declared=[("ABC1C34", "2026-03-10"), ("GDP4J68", "2026-03-09")],
    )


def made_from(
    around: Surroundings, reached: Reach | None = None, known: DayState | None = None
) -> Fingerprint:
    return fingerprint(DAY, WINDOW, reached or reach(), around, HALF_AN_HOUR, known)


def changed(reached: Reach | None = None, **now) -> list[str]:
    """In what the day differs once the surroundings are these."""
    return made_from(AROUND, reached).differs_in(made_from(replace(AROUND, **now), reached))


def with_pieces(*more: Piece) -> dict:
    return {"pieces": [*AROUND.pieces, *more]}


def test_nothing_changed_and_nothing_is_stale_in_whatever_order_it_lies():
    assert changed() == []
    assert changed(pieces=AROUND.pieces[::-1]) == []


@pytest.mark.parametrize(
    ("piece", "kinds"),
    [
        (hour(at("23:00")), ["hours"]),
        (hour(at("23:00", 9)), ["hours"]),  # ends at midnight
        (hour(at("21:00", 9)), []),
        (hour(at("21:00", 9), until=at("00:10")), ["hours"]),
        (hour(at("00:00", 11)), ["hours"]),
        (hour(at("01:00", 11)), []),
        (declared(at("00:20", 11), at("05:00", 11)), ["files"]),
        (declared(at("00:40", 11), at("05:00", 11)), []),
        (declared(at("22:00", 9), at("23:40", 9)), ["files"]),
    ],
)
def test_a_piece_matters_where_it_reaches_into_the_day(piece, kinds):
    assert changed(**with_pieces(piece)) == kinds


def test_a_day_whose_last_trip_arrives_later_reaches_further():
    late = hour(at("02:00", 11))
    assert changed(**with_pieces(late)) == []
    assert changed(reach(until=at("01:40", 11)), **with_pieces(late)) == ["hours"]


def test_a_day_that_rests_on_its_neighbours_asks_all_their_hours_and_no_more_boletins():
    wide = reach(wide=True)
    assert changed(wide, **with_pieces(hour(at("20:00", 11)))) == ["hours"]
    assert changed(wide, **with_pieces(hour(at("02:00", 9)))) == ["hours"]
    assert changed(wide, **with_pieces(declared(at("20:00", 11), at("21:00", 11)))) == []


def test_a_trip_of_one_side_may_find_the_other_days_away_or_lose_it_to_another():
    leans = reach(leans=True)
    assert changed(leans, **with_pieces(hour(at("20:00", 13)))) == ["hours"]
    assert changed(leans, **with_pieces(hour(at("02:00", 7)))) == ["hours"]
    assert changed(leans, **with_pieces(hour(at("02:00", 14)))) == []
    assert changed(leans, **with_pieces(declared(at("20:00", 14), at("21:00", 14)))) == ["files"]
    assert changed(leans, **with_pieces(declared(at("20:00", 15), at("21:00", 15)))) == []


def test_a_day_whose_devices_are_in_doubt_asks_hours_and_boletins_of_three_days_on_each_side():
    doubt = reach().model_copy(update={"devices_in_doubt": True})
    for at_day, kinds in ((7, ["hours"]), (13, ["hours"]), (6, []), (14, [])):
        assert changed(doubt, **with_pieces(hour(at("12:00", at_day)))) == kinds
    assert changed(doubt, **with_pieces(declared(at("12:00", 13), at("13:00", 13)))) == ["files"]
    assert changed(doubt, **with_pieces(declared(at("12:00", 14), at("13:00", 14)))) == []


def test_an_hour_that_says_another_thing_and_one_that_went():
    (seven, file) = AROUND.pieces
    assert changed(pieces=[replace(seven, digest="captured 2"), file]) == ["hours"]
    assert changed(pieces=[replace(seven, digest="open 1"), file]) == ["hours"]
    assert changed(pieces=[seven]) == ["files"]


def test_trips_taken_back_beside_the_day_and_another_tracker():
    assert changed(taken_back={1: {"2026-03-11 alfa": ""}}) == []
    assert changed(taken_back={1: {"2026-03-11 alfa": "a1"}}) == ["taken_back"]
    assert changed(taken_back={-2: {"2026-03-08 alfa": "a1"}}) == []
    assert changed(reach(leans=True), taken_back={-2: {"2026-03-08 alfa": "a1"}}) == ["taken_back"]
    assert changed(heard={"ABC1C34": {"alfa", "beta"}}) == ["heard"]
    assert changed(heard={**AROUND.heard, "XYZ9J99": {"beta"}}) == []
    assert changed(rules="2") == ["rules"]


OTHER = {"placa": "XYZ9J99", "placa_recebida": "XYZ9J99"}


@pytest.mark.parametrize(
    ("rows", "kinds"),
    [
        ([VEHICLE, {**OTHER, "entrada": "2026-03-11"}], []),
        ([VEHICLE, {**OTHER, "saida": "2026-03-09"}], []),
        ([VEHICLE, {**OTHER, "entrada": "2026-03-10"}], ["vehicles"]),
        ([{**VEHICLE, "garagem": "Glória"}], ["vehicles"]),
        ([{**VEHICLE, "saida": "2026-03-20"}], []),
        ([], ["vehicles"]),
    ],
)
def test_a_register_concerns_the_days_of_its_vehicles(rows, kinds):
    versions = {**AROUND.versions, "vehicles": "2"}
    vehicles = table(VEHICLES, *rows) if rows else VEHICLES.empty()
    assert changed(vehicles=vehicles, versions=versions) == kinds


@pytest.mark.parametrize(
    ("rows", "kinds"),
    [
        ([TERMS, {**TERMS, "tipo": "VAN"}], []),
        ([{**TERMS, "contrato_linha": 9}], []),
        ([{**TERMS, "vigencia_fim": "2026-03-10"}, {**TERMS, "vigencia_inicio": "2026-03-11"}], []),
        ([{**TERMS, "vigencia_fim": "2026-03-09"}], ["contracts"]),
        ([TERMS, {**TERMS, "placa": "XYZ9J99", "tipo": None}], []),
        ([TERMS, {**TERMS, "placa": "ABC1C34", "tipo": None}], ["contracts"]),
        ([{**TERMS, "tarifa_brl_km": Decimal("2.7400")}], ["contracts"]),
        ([TERMS, {**TERMS, "vigencia_inicio": "2026-03-11", "tarifa_brl_km": Decimal("3.0000")}], []),
    ],
)
def test_a_tariff_concerns_the_days_on_which_it_is_in_force_for_a_vehicle_of_theirs(rows, kinds):
    assert changed(contracts=table(CONTRACTS, *rows), versions={**AROUND.versions, "contracts": "2"}) == kinds


def test_a_driver_concerns_the_days_that_looked_the_id_up():
    other = {"motorista": "ANA", "motorista_chave": "ANA", "motorista_id": "8"}
    for rows, kinds in (([DRIVER, other], []), ([{**DRIVER, "motorista": "JOÃO"}], ["drivers"])):
        assert changed(drivers=table(DRIVERS, *rows), versions={**AROUND.versions, "drivers": "2"}) == kinds


@pytest.mark.parametrize(
    ("row", "kinds"),
    [
        ({"placa": "ABC1C34", "inicio": "2026-03-10"}, ["substitutions"]),
        ({"placa": "ABC1C34", "inicio": "2026-03-01", "fim": "2026-03-10"}, ["substitutions"]),
        ({"placa": "ABC1C34", "inicio": "2026-03-11"}, []),
        ({"placa": "ABC1C34", "inicio": "2026-03-01", "fim": "2026-03-09"}, []),
        ({"placa": "GDP4J68", "inicio": "2026-03-01", "fim": "2026-03-09"}, ["substitutions"]),
        ({"placa": "GDP4J68", "inicio": "2026-03-10"}, []),
        ({"placa": "FEV7E99", "inicio": "2026-03-01"}, []),
    ],
)
def test_a_substitution_concerns_the_days_of_trips_that_are_declared_for_the_plate(row, kinds):
    now = table(SUBSTITUTIONS, {"substituta": "XYZ9J99", "motivo": "quebrou", **row})
    assert changed(substitutions=now, versions={**AROUND.versions, "substitutions": "1"}) == kinds
    nothing = {"substitutions": SUBSTITUTIONS.empty(), "versions": {**AROUND.versions, "substitutions": "1"}}
    assert changed(**nothing) == []


@pytest.mark.parametrize(
    ("row", "kinds"),
    [
        ({}, ["acceptances"]),
        ({"hora_saida": "07:10"}, ["acceptances"]),
        ({"data": "2026-03-11"}, []),
        ({"placa": "FEV7E99"}, []),
    ],
)
def test_an_acceptance_concerns_its_day_where_the_vehicle_drove(row, kinds):
    now = table(ACCEPTANCES, {"placa": "ABC1C34", "data": "2026-03-10", "motivo": "ata perdida", **row})
    assert changed(acceptances=now, versions={**AROUND.versions, "acceptances": "1"}) == kinds
    nothing = {"acceptances": ACCEPTANCES.empty(), "versions": {**AROUND.versions, "acceptances": "1"}}
    assert changed(**nothing) == []


def test_a_table_that_is_the_same_as_a_whole_is_not_compared():
    state = DayState(
        day=DAY, made_from=made_from(AROUND), versions=dict(AROUND.versions), reach=reach(), rows=1,
        digest="", file="", audited_at=datetime.now(UTC),
    )  # fmt: skip
    unread = replace(AROUND, vehicles=None, drivers=None, contracts=None)
    assert state.made_from.differs_in(made_from(unread, known=state)) == []
    assert DayState.model_validate_json(state.model_dump_json()) == state


@given(
    st.datetimes(datetime(2026, 3, 7), datetime(2026, 3, 14), timezones=st.just(UTC)),
    st.timedeltas(timedelta(), timedelta(hours=20)),
    st.booleans(),
    st.booleans(),
)
def test_whatever_overlaps_the_day_matters_and_a_wider_reach_never_less(start, lasts, telemetry, wide):
    piece = Piece("x", start, start + lasts, telemetry, "1")
    overlaps = piece.start < WINDOW[1] and piece.end > WINDOW[0]
    plain = touching([piece], WINDOW, None, HALF_AN_HOUR)
    assert plain or not overlaps
    assert touching([piece], WINDOW, reach(wide=wide), HALF_AN_HOUR) or not plain
