from datetime import date, datetime, time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetria_pipeline.contracts.boletim import BOLETIM_QUARANTINE, BOLETIM_TRIPS
from telemetria_pipeline.core.boletim.settings import RowCounts, RuleSettings
from telemetria_pipeline.core.boletim.validation import duplicate_of, validate_file
from telemetria_pipeline_tests.core.boletim.rows import RECEIVED, csv_of, trip, trips, xlsx_of
from telemetria_pipeline_tests.rounds import examples

TYPED = [
    "17",
    "GDP4J68",
    "3803",
    date(2026, 11, 22),
    "Usina",
    time(7, 30),
    "Frente",
    time(8, 10),
    "A",
    45123,
    45150.5,
]
TYPED += [27.5, 31, "José", "Viação"]


def validated(data: bytes, name: str = "boletim.csv", **more):
    return validate_file(data, name, received_on=RECEIVED, **more)


def test_a_csv_from_bytes_to_trips():
    verdict = validated(csv_of(*trips(5)))
    assert (verdict.verdict, verdict.rows) == ("accepted", RowCounts(5, 5, 0, 0))
    assert verdict.problems == []
    assert verdict.accepted["km_declarado"].tolist() == [10.0] * 5


def test_cp1252_semicolons_and_decimal_commas():
    text = csv_of(trip(KM_CHEGADA="45.150,5", KM_SAÍDA="45.123,0", KM_ROTA="27,5")).decode()
    verdict = validated(text.encode("cp1252"))
    assert verdict.accepted[["km_saida", "km_declarado", "local_saida"]].values.tolist() == [
        [45123, 27.5, "Usina"]
    ]
    assert verdict.accepted["motorista"].tolist() == ["JOSÉ DA SILVA"]


def test_an_excel_file_from_bytes_to_trips():
    verdict = validated(xlsx_of(TYPED), "boletim.xlsx")
    assert (verdict.verdict, verdict.warnings) == ("accepted", [])
    row = verdict.accepted.iloc[0]
    assert (row["aba"], row["linha"], row["km_chegada"]) == ("Boletim", 2, 45150.5)
    assert (row["data"], row["horario_saida"], row["equipamento"]) == ("2026-11-22", "07:30:00", "3803")


def test_a_plate_that_excel_turned_into_a_date():
    row = [*TYPED]
    row[1] = datetime(7499, 2, 1)
    found = validated(xlsx_of(row), "boletim.xlsx").problems
    assert [(p.code, p.cell) for p in found] == [("PLACA_VIROU_DATA", "B2")]
    assert "FEV7499" in found[0].suggestion


@pytest.mark.parametrize(
    "data", [b"", b"   ", b"PK\x03\x04broken", b"<html><table></table></html>", b"\x00" * 50]
)
def test_what_is_no_boletim_is_refused_with_a_way_out(data):
    verdict = validated(data)
    assert (verdict.verdict, verdict.rows) == ("rejected", RowCounts())
    assert verdict.problems
    assert all(p.suggestion and p.severity == "erro" for p in verdict.problems)
    assert BOLETIM_TRIPS.broken_by(verdict.accepted) is None
    assert BOLETIM_QUARANTINE.broken_by(verdict.rejected) is None


def test_one_bad_row_returns_the_file_unless_good_rows_are_taken():
    data = csv_of(*trips(3), trip(PLACA="X"))
    whole, part = validated(data), validated(data, settings=RuleSettings(partial=True))
    assert (whole.verdict, whole.rows, whole.rows_with_errors) == ("rejected", RowCounts(4, 0, 0, 4), 1)
    assert (part.verdict, part.rows) == ("accepted", RowCounts(4, 3, 0, 1))
    assert [p.code for p in part.problems] == ["PLACA_INVALIDA"]


def test_a_file_without_one_good_row_is_rejected_in_part_too():
    verdict = validated(csv_of(trip(PLACA="X")), settings=RuleSettings(partial=True))
    assert (verdict.verdict, verdict.rows) == ("rejected", RowCounts(1, 0, 0, 1))


def test_groups_name_no_value_of_a_cell():
    verdict = validated(csv_of(*[{**row, "PLACA": "SEGREDO1"} for row in trips(4)]))
    assert [str(g) for g in verdict.groups] == ["4 linhas: PLACA: Placa inválida (B2 a B5)"]


def test_a_duplicate_counts_nothing():
    verdict = duplicate_of("copia.csv", "boletim.csv", 7)
    assert (verdict.verdict, verdict.rows) == ("duplicate", RowCounts(7, 0, 7, 0))
    assert "boletim.csv" in verdict.warnings[0].message
    assert verdict.problems == []


def test_how_numbers_and_dates_were_read_is_told():
    csv = validated(csv_of(trip(KM_CHEGADA="45.150,5", KM_SAÍDA="45.123,0", KM_ROTA="27,5"), trip(PLACA="X")))
    assert (csv.number_style, csv.date_style) == ("vírgula decimal, ponto de milhar", "dd/mm/aaaa")
    excel = validated(xlsx_of(TYPED), "boletim.xlsx")
    assert (excel.number_style, excel.date_style) == ("números do Excel", "data do Excel")
    nothing = validated(b"")
    assert (nothing.number_style, nothing.date_style) == (None, None)


GOOD_FILES = [csv_of(*trips(3)), xlsx_of(TYPED, TYPED)]  # made once: a workbook holds its time


@examples(40)
@given(st.data())
def test_mutated_bytes_get_a_verdict(data):
    good = data.draw(st.sampled_from(GOOD_FILES))
    broken = bytearray(good)
    # Not bounded by the length: a workbook's differs with the second in which it was made.
    for at in data.draw(st.lists(st.integers(0, 100_000), min_size=1, max_size=8)):
        broken[at % len(good)] = data.draw(st.integers(0, 255))
    verdict = validated(bytes(broken), settings=RuleSettings(partial=True))
    rows = verdict.rows
    assert rows.received == rows.accepted + rows.duplicate + rows.rejected
    assert verdict.verdict == "accepted" or verdict.problems
