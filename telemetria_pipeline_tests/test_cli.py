import json

import openpyxl
import pytest
from click.testing import CliRunner

from telemetria_pipeline.cli import main
from telemetria_pipeline.simulator import Fleet, Simulator
from telemetria_pipeline_tests.core.boletim.rows import csv_of, trip, trips
from telemetria_pipeline_tests.defs.conftest import AFTER_THE_DAY, TOKEN

WINDOW = ("--from", "2026-03-10T06:00", "--to", "2026-03-10T07:00")


def telemetria(*words: str):
    return CliRunner().invoke(main, words)


@pytest.fixture
def carrier(monkeypatch):
    with Simulator(Fleet(11, vehicles=8), token=TOKEN, as_of=AFTER_THE_DAY) as simulator:
        monkeypatch.setenv("TELEMETRIA_API_URL", simulator.url)
        monkeypatch.setenv("TELEMETRIA_API_TOKEN", TOKEN)
        monkeypatch.setenv("TELEMETRIA_API_PROFILE", "simulator")
        yield simulator


def test_carrier_check_shows_value_by_value_what_would_be_mapped(carrier):
    done = telemetria("carrier", "check", *WINDOW)
    assert done.exit_code == 0, done.output
    assert "distancia_telemetria_km" in done.output
    assert "distance_m" in done.output
    assert len(carrier.requests) == 1
    assert TOKEN not in done.output


def test_carrier_check_as_json_is_one_object(carrier):
    said = json.loads(telemetria("carrier", "check", *WINDOW, "--json").stdout)
    assert said["from"] == "2026-03-10T09:00:00+00:00"
    values = {v["column"]: v for v in said["values"] if v["record"] == 1}
    assert values["distancia_telemetria_km"]["mapped"] == pytest.approx(
        values["distancia_telemetria_km"]["received"] / 1000
    )


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--from", "yesterday"), "write one like 2026-11-22T07:00"),
        (("--from", "2026-03-10T07:00Z", "--to", "2026-03-10T06:00Z"), "--to must be after --from"),
    ],
)
def test_a_window_that_is_none_is_explained(carrier, words, says):
    done = telemetria("carrier", "check", *words)
    assert done.exit_code != 0
    assert says in done.output


def test_without_settings_the_variables_are_named(monkeypatch):
    for name in ("TELEMETRIA_API_URL", "TELEMETRIA_API_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    done = telemetria("carrier", "check")
    assert done.exit_code == 1
    assert "TELEMETRIA_API_URL and TELEMETRIA_API_TOKEN" in done.output


def test_a_wrong_token_is_said_in_a_line(carrier, monkeypatch):
    monkeypatch.setenv("TELEMETRIA_API_TOKEN", "not-the-token")
    done = telemetria("carrier", "check", *WINDOW)
    assert done.exit_code == 1
    assert "TELEMETRIA_API_TOKEN" in done.output
    assert "Traceback" not in done.output


def test_storage_init_makes_the_folders_and_says_so(monkeypatch, tmp_path):
    monkeypatch.setenv("TELEMETRIA_LAKE", f"file:{tmp_path / 'lake'}")
    monkeypatch.setenv("TELEMETRIA_INBOX", f"file:{tmp_path / 'inbox'}")
    done = telemetria("storage", "init")
    assert done.exit_code == 0
    assert "changed" in done.output
    assert (tmp_path / "lake").is_dir()
    assert "Nothing changed" in telemetria("storage", "init").output


def test_hours_tells_a_missing_hour_from_nothing_at_all(monkeypatch, tmp_path):
    monkeypatch.setenv("TELEMETRIA_LAKE", f"file:{tmp_path / 'lake'}")
    done = telemetria("hours", "2026-03-10-06:00", "2026-03-10-07:00")
    assert done.output.count("missing") == 2
    assert "write a day (2026-03-10)" in telemetria("hours", "1999-01-01").output


def test_the_demo_refuses_to_mix_invented_trips_with_a_real_carriers(carrier):
    done = telemetria("demo")
    assert done.exit_code == 1
    assert "TELEMETRIA_API_URL is set" in done.output


@pytest.fixture
def boletins(tmp_path):
    (tmp_path / "good.csv").write_bytes(csv_of(*trips(3)))
    (tmp_path / "bad.csv").write_bytes(csv_of(trip(PLACA="ABCO234")))
    (tmp_path / "copy.csv").write_bytes(csv_of(*trips(3)))
    return tmp_path


def test_validate_says_in_portuguese_what_became_of_each_file(boletins):
    done = telemetria("validate", *(str(boletins / n) for n in ("good.csv", "bad.csv", "copy.csv")))
    assert done.exit_code == 1
    assert "good.csv: aceito. 3 linhas: 3 aceitas" in done.output
    assert "bad.csv: devolvido" in done.output
    assert "copy.csv: já recebido" in done.output
    assert "erro" in done.output
    assert telemetria("validate", str(boletins / "good.csv")).exit_code == 0


def test_validate_as_json_has_the_documented_shape(boletins):
    one = json.loads(telemetria("validate", "--json", str(boletins / "bad.csv")).stdout)
    assert set(one) == {"file", "verdict", "rows", "problems", "warnings"}
    assert one["rows"] == {"received": 1, "accepted": 0, "duplicate": 0, "rejected": 1}
    assert set(one["problems"][0]) == {
        "code", "severity", "sheet", "cell", "column", "value", "message", "suggestion",
    }  # fmt: skip
    several = telemetria("validate", "--json", str(boletins / "good.csv"), str(boletins / "bad.csv"))
    assert [v["verdict"] for v in json.loads(several.stdout)] == ["accepted", "rejected"]


def test_validate_writes_the_answers(boletins):
    telemetria("validate", "--answer", str(boletins / "answers"), str(boletins / "bad.csv"))
    assert (boletins / "answers" / "bad_resposta.xlsx").read_bytes()[:2] == b"PK"


def test_the_template_filled_in_is_accepted_and_never_overwritten(tmp_path):
    file = tmp_path / "modelo.xlsx"
    assert telemetria("template", str(file)).exit_code == 0
    book = openpyxl.load_workbook(file)
    sheet = next(s for s in book if any(c.value == "PLACA" for row in s.iter_rows() for c in row))
    header = next(row for row in sheet.iter_rows() if any(c.value == "PLACA" for c in row))
    for cell in header:
        sheet.cell(cell.row + 1, cell.column, trip().get(str(cell.value)))
    book.save(file)
    done = telemetria("validate", "--json", str(file))
    assert json.loads(done.stdout)["verdict"] == "accepted", done.output
    assert telemetria("template", str(file)).exit_code == 1
