"""What is sent again: through the sensor, its runs and the archive, on a folder and on S3."""

import time
from io import BytesIO

import openpyxl
import orjson
import pytest
from click.testing import CliRunner

from telemetria_pipeline.cli import main
from telemetria_pipeline.contracts.boletim import BOLETIM_TRIPS, BOLETIM_VERSIONS
from telemetria_pipeline.contracts.raw import FileManifest
from telemetria_pipeline.steps.boletim_files import partition_of, read_file_manifest
from telemetria_pipeline.steps.day_index import files_declaring
from telemetria_pipeline.steps.people import People
from telemetria_pipeline_tests.core.boletim.rows import csv_of, trip, trips
from telemetria_pipeline_tests.defs.test_inbox_sensor import House, house
from telemetria_pipeline_tests.rounds import and_long

__all__ = ["house"]
Row = dict[str, str]


def on(day: int, count: int = 5, **said: str) -> list[Row]:
    """Trips of a day of November, whose odometers follow those of the day before."""
    more = 100 * day
    return [
        {**t, "DATA": f"{day:02d}/11/2026", "KM SAÍDA": str(int(t["KM SAÍDA"]) + more),
         "KM CHEGADA": str(int(t["KM CHEGADA"]) + more), **said}
        for t in trips(count)
    ]  # fmt: skip


def days(first: int, last: int, **more) -> list[Row]:
    return [row for day in range(first, last + 1) for row in on(day, **more)]


def send(house: House, key: str, data: bytes) -> FileManifest:
    """The file lands, the sensor sees it, and its run takes it to the archive."""
    house.inbox.put(key, data)
    while not (requests := house.tick().run_requests) or any(
        read_file_manifest(house.lake, r.partition_key) for r in requests
    ):  # S3 tells times to the second: the same content is another file in the next
        time.sleep(0.1)
        house.inbox.put(key, data)
    (request,) = requests
    assert house.run(request.partition_key).success
    found = read_file_manifest(house.lake, request.partition_key)
    assert found is not None
    return found


def counting(house: House, *files: FileManifest) -> dict[str, int]:
    """How many trips of each day count, of these files."""
    tables = house.lake.read_tables(BOLETIM_TRIPS.name, [partition_of(f.file) for f in files])
    found: dict[str, int] = {}
    for _, table in tables:
        for day in table["data"].to_pylist():
            found[day[-2:]] = found.get(day[-2:], 0) + 1
    return dict(sorted(found.items()))


def answer(house: House, manifest: FileManifest) -> tuple[dict, str]:
    """The answer as JSON, and all words of the workbook's summary."""
    said = orjson.loads(house.inbox.get(manifest.answer))
    book = openpyxl.load_workbook(BytesIO(house.inbox.get(manifest.answer.replace(".json", ".xlsx"))))
    return said, " ".join(str(c.value) for row in book["Resumo"].iter_rows() for c in row if c.value)


def telemetria(*words: str):
    return CliRunner().invoke(main, words)


def test_six_of_ten_days_sent_again_leave_the_other_four(house):
    first = send(house, "depot 7/novembro.csv", csv_of(*days(10, 19)))
    second = send(house, "depot 7/novembro.csv", csv_of(*days(10, 15, count=4)))
    assert counting(house, first) == {str(day): 5 for day in range(16, 20)}
    assert counting(house, second) == {str(day): 4 for day in range(10, 16)}
    expected = (
        "Substitui 30 viagens por 24 de 10 a 15/11 de GDP4J68; as 20 de 16 a 19/11, de envios anteriores, "
        "continuam valendo."
    )
    said, summary = answer(house, second)
    assert said["correction"].startswith(expected)
    assert expected in summary
    first = read_file_manifest(house.lake, first.file)
    assert (second.replaces, first.replaced_by, first.counted) == ([first.file], second.file, 20)
    of_day = [files_declaring(house.lake, [f"2026-11-{day}"]) for day in (12, 18)]
    assert of_day == [[second.file], [first.file]]


def test_a_corrected_driver_in_one_of_ten_days_is_taken(house):
    first = send(house, "b.csv", csv_of(*days(10, 19)))
    second = send(house, "b.csv", csv_of(*on(12, MOTORISTA="ANA LIMA")))
    assert (second.verdict, second.rows["accepted"]) == ("accepted", 5)
    table = house.lake.read_table(BOLETIM_TRIPS.name, partition_of(second.file))
    assert {People(house.lake).names()[who] for who in table["motorista"].to_pylist()} == {"ANA LIMA"}
    assert counting(house, first, second) == {str(day): 5 for day in range(10, 20)}


def test_a_corrected_vehicle_leaves_the_other_vehicles_of_its_day(house):
    other = on(10, PLACA="XYZ9J87")
    first = send(house, "b.csv", csv_of(*on(10), *other))
    second = send(house, "b.csv", csv_of(*on(10, count=4)))
    assert counting(house, first) == {"10": 5}
    assert "as 5 de 10/11 de XYZ9J87, de envios anteriores, continuam valendo" in answer(house, second)[1]


def test_every_version_takes_only_its_own_days(house):
    versions = [send(house, "b.csv", csv_of(*rows)) for rows in (days(10, 13), days(12, 15), days(11, 12))]
    assert [counting(house, v) for v in versions] == [
        {"10": 5}, {"13": 5, "14": 5, "15": 5}, {"11": 5, "12": 5},
    ]  # fmt: skip


@pytest.mark.parametrize("name", and_long("b.csv", "copy of b.csv"))
def test_a_rejected_file_sent_again_is_judged_again(house, monkeypatch, name):
    """Its plate was registered meanwhile: nothing in the file had to change."""
    monkeypatch.setenv("TELEMETRIA_UNKNOWN_PLATE", "erro")
    from telemetria_pipeline.contracts.reference import VEHICLES

    def register(*plates: str) -> None:
        rows = [{c.name: None for c in VEHICLES.columns} | {"placa": plate} for plate in plates]
        house.lake.write_table(VEHICLES.name, {}, VEHICLES.arrow_schema.empty_table().from_pylist(rows))

    register("XYZ9J87")
    data = csv_of(*on(10))
    first = send(house, "b.csv", data)
    assert first.verdict == "rejected"
    register("XYZ9J87", "GDP4J68")
    second = send(house, name, data)
    assert (second.verdict, second.rows["accepted"]) == ("accepted", 5)
    third = send(house, "again.csv", data)
    assert (third.verdict, third.duplicate_of) == ("duplicate", second.file)


def test_an_accepted_file_sent_again_is_a_duplicate_until_a_correction_took_some_of_it(house):
    data = csv_of(*days(10, 12))
    first = send(house, "b.csv", data)
    assert send(house, "copy.csv", data).duplicate_of == first.file
    second = send(house, "b.csv", csv_of(*on(10, count=3)))
    third = send(house, "b.csv", data)
    assert third.verdict == "accepted"
    assert counting(house, third) == {"10": 5, "11": 5, "12": 5}
    assert counting(house, first, second) == {}


def test_trips_are_taken_back_by_name_and_the_reason_is_kept(house):
    first = send(house, "depot/b.csv", csv_of(*days(10, 12)))
    second = send(house, "depot/b.csv", csv_of(*on(10, count=3)))
    done = telemetria("boletim", "withdraw", "depot/b.csv", "--reason", "sent by the wrong carrier")
    assert done.exit_code == 0, done.output
    assert f"{first.file}: 10 trips of 10 a 12/11 taken back" in done.output
    assert f"{second.file}: 3 trips of 10/11 taken back" in done.output
    assert counting(house, first, second) == {}
    assert files_declaring(house.lake, [f"2026-11-{day}" for day in (10, 11, 12)]) == []
    kept = read_file_manifest(house.lake, first.file)
    assert kept.withdrawn.reason == "sent by the wrong carrier"
    versions = [p for p in house.lake.partitions(BOLETIM_VERSIONS.name) if p["arquivo"] == first.file]
    assert house.lake.read_table(BOLETIM_VERSIONS.name, versions[0]).num_rows == 15
    again = telemetria("boletim", "withdraw", "depot/b.csv", "--reason", "once more")
    assert again.exit_code == 1
    assert "none of the trips of depot/b.csv counts" in again.output
    third = send(house, "depot/b.csv", csv_of(*days(10, 12)))
    assert third.verdict == "accepted"
    assert counting(house, third) == {"10": 5, "11": 5, "12": 5}


def test_one_version_can_be_taken_back_alone_and_what_it_replaced_stays_replaced(house):
    first = send(house, "b.csv", csv_of(*days(10, 11)))
    second = send(house, "b.csv", csv_of(*on(10, count=3)))
    assert telemetria("boletim", "withdraw", second.file, "--reason", "never driven").exit_code == 0
    assert counting(house, first, second) == {"11": 5}


def test_what_another_file_declared_as_well_stays_its_own_when_the_first_is_taken_back(house):
    first = send(house, "monday.csv", csv_of(*on(10)))
    week = send(house, "week.csv", csv_of(*days(10, 12)))
    assert (week.rows["accepted"], week.rows["duplicate"]) == (10, 5)
    assert telemetria("boletim", "withdraw", "monday.csv", "--reason", "not theirs").exit_code == 0
    assert counting(house, first) == {}
    assert counting(house, week) == {"10": 5, "11": 5, "12": 5}


def test_a_file_that_nobody_sent_cannot_be_taken_back(house):
    done = telemetria("boletim", "withdraw", "b.csv", "--reason", "x")
    assert done.exit_code == 1
    assert "b.csv was never received" in done.output
    assert telemetria("boletim", "withdraw", "b.csv").exit_code == 2, "a reason is asked for"


def test_validate_says_before_what_a_correction_would_replace(house, tmp_path):
    send(house, "depot 7/b.csv", csv_of(*days(10, 11)))
    (tmp_path / "b.csv").write_bytes(csv_of(*on(10, count=3)))
    (tmp_path / "same.csv").write_bytes(csv_of(*days(10, 11)))
    said = telemetria("validate", str(tmp_path / "b.csv"), "--folder", "depot 7").output
    assert "Substitui 5 viagens por 3 de 10/11 de GDP4J68" in said
    assert "não tem cadastro de veículos nem de motoristas" in said
    elsewhere = telemetria("validate", str(tmp_path / "b.csv"))
    assert "0 aceitas, 3 repetidas" in elsewhere.output
    assert "já recebido" in telemetria("validate", str(tmp_path / "same.csv")).output
    assert counting(house) == {}


def test_validate_without_a_lake_says_what_it_did_not_consult(house, tmp_path, monkeypatch):
    (tmp_path / "b.csv").write_bytes(csv_of(trip()))
    monkeypatch.setenv("TELEMETRIA_LAKE", "s3://nowhere-at-all/lake")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "k")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    monkeypatch.setenv("AWS_REGION", "sa-east-1")
    done = telemetria("validate", str(tmp_path / "b.csv"), "--json")
    assert done.exit_code == 0
    assert "anteriores não foram consultados" in orjson.loads(done.stdout)["not_compared"]


def test_a_name_that_cannot_be_taken_is_named_in_the_tick_and_stops_nobody(house):
    if house.inbox.folder is None:
        pytest.skip("S3's odd keys: test_strangers.py")
    house.inbox.put("good.csv", csv_of(*on(10)))
    (house.inbox.folder / "odd\nname.csv").write_bytes(b"x")
    (house.inbox.folder / "março.csv".encode("latin-1").decode("utf-8", "surrogateescape")).write_bytes(b"x")
    (house.inbox.folder / "link.csv").symlink_to("/etc/hostname")
    (request,) = house.tick().run_requests
    assert house.run(request.partition_key).success
    said = house.tick().skip_reason.skip_message
    assert r"3 with names that cannot be taken (link.csv, mar\xe7o.csv, odd\nname.csv)" in said
