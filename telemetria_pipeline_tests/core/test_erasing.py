"""One person out of text, JSON and workbooks, and nobody else."""

import json
from io import BytesIO

import openpyxl
import pytest

from telemetria_pipeline.core.erasing import Person, texts_of

WHO = "M-0123456789ABCDEF"
ID = "M-FEDCBA9876543210"
PERSON = Person({"JOSE DA SILVA": WHO}, {"17": ID}, others=["JOSE DA SILVA NETO", "ANA LIMA"])


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ("JOSE DA SILVA", WHO),
        ("motorista José  da\nSilva, turno A", f"motorista {WHO}, turno A"),
        ("Jose\u0301 da Silva", WHO),
        ("boletim_jose_da_silva.xlsx", f"boletim_{WHO}.xlsx"),
        ("José da Silva e José da Silva Neto", f"{WHO} e José da Silva Neto"),
        ("JOSÉ DA SILVAX", "JOSÉ DA SILVAX"),
        ("MARIA JOSE DASILVA", "MARIA JOSE DASILVA"),
        ("17", "17"),
    ],
)
def test_a_name_in_any_spelling_and_no_other(said, left):
    assert PERSON.text(said) == left


def test_json_loses_the_name_in_two_parts_and_the_id_where_a_driver_is_spoken_of():
    page = {
        "data": [
            {"id": 17, "speed": 17, "driver": {"id": 17, "first_name": "José", "last_name": "da Silva"}},
            {"vehicle": {"id": "17"}, "driverId": "17", "driver_name": "JOSÉ DA SILVA"},
            {"vehicle": {"id": "9"}, "driver": {"id": 9, "name": "Ana Lima"}, "note": "foi o josé da silva"},
            {"id": 17, "name": "José da Silva", "age": 17},
            {"vehicle_id": 17, "km": 17, "driver_name": "José da Silva", "driver_code": 17},
        ]
    }
    assert PERSON.json(page) == {
        "data": [
            {"id": 17, "speed": 17, "driver": {"id": ID, "first_name": WHO, "last_name": WHO}},
            {"vehicle": {"id": "17"}, "driverId": ID, "driver_name": WHO},
            {"vehicle": {"id": "9"}, "driver": {"id": 9, "name": "Ana Lima"}, "note": f"foi o {WHO}"},
            {"id": ID, "name": WHO, "age": 17},
            {"vehicle_id": 17, "km": 17, "driver_name": WHO, "driver_code": ID},
        ]
    }


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
def test_a_csv_keeps_its_encoding_and_everything_else(encoding):
    csv = "MOTORISTA;ID;LOCAL\r\nJosé da Silva;17;São Paulo\r\nAna Lima;170;17\r\n"
    erased = f"MOTORISTA;ID;LOCAL\r\n{WHO};{ID};São Paulo\r\nAna Lima;170;17\r\n"
    assert PERSON.body(csv.encode(encoding), register=True).decode(encoding) == erased
    boletim = PERSON.body(csv.encode(encoding)).decode(encoding)  # where 17 may be anything
    assert boletim == erased.replace(ID, "17")


def test_a_workbook_loses_cells_comments_and_author():
    book = openpyxl.Workbook()
    book.properties.creator = "José da Silva"
    book.active["A1"], book.active["B1"] = "José da Silva & filhos", "Ana Lima"
    book.active["A1"].comment = openpyxl.comments.Comment("É de José da Silva?", "JOSÉ DA SILVA")
    out = BytesIO()
    book.save(out)
    body = PERSON.body(out.getvalue())
    again = openpyxl.load_workbook(BytesIO(body))
    assert [again.active["A1"].value, again.active["B1"].value] == [f"{WHO} & filhos", "Ana Lima"]
    assert "SILVA" not in "".join(texts_of(body)).upper()
    assert PERSON.body(body) == body


def test_json_that_names_nobody_stays_byte_for_byte():
    body = json.dumps({"a": 1.10, "b": "\u00e9"}, indent=3).encode()
    assert PERSON.body(body) is body
