import json
import os
from datetime import UTC, datetime, timedelta

import openpyxl
import pytest
import yaml
from click.testing import CliRunner

from telemetria_pipeline.carriers.sources import load_sources
from telemetria_pipeline.cli import main
from telemetria_pipeline.settings import Settings
from telemetria_pipeline.simulator import Fleet, Simulator
from telemetria_pipeline.steps.ingest import ingest_hours
from telemetria_pipeline.storage.lake import Lake
from telemetria_pipeline_tests.alerts.listeners import MailServer, Webhook, running
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


def test_storage_sweep_removes_what_was_cut_short_only_when_told_to(monkeypatch, tmp_path):
    monkeypatch.setenv("TELEMETRIA_LAKE", f"file:{tmp_path / 'lake'}")
    hour = tmp_path / "lake/raw_telemetry/fonte=main/data=2026-03-10/hora=07"
    for file in ("cut/pagina-00001.json.zst", "whole/pagina-00001.json.zst", "whole/profile.json"):
        (hour / file).parent.mkdir(parents=True, exist_ok=True)
        (hour / file).write_bytes(b"12345")
        os.utime(hour / file, (0, 0))
    said = telemetria("storage", "sweep").output
    assert "hora=07/cut: 1 objects, 5 bytes, cut short" in said
    assert "hora=07/whole: 2 objects, 10 bytes, whole, stays" in said
    assert "1 captures cut short: run it again with --yes to remove them, 1 whole ones" in said
    assert (hour / "cut/pagina-00001.json.zst").exists()
    assert "hora=07/cut: 1 objects, 5 bytes, removed" in telemetria("storage", "sweep", "--yes").output
    assert sorted(path.name for path in hour.rglob("*") if path.is_file()) == [
        "pagina-00001.json.zst",
        "profile.json",
    ]
    assert telemetria("storage", "sweep").output.splitlines()[-1].startswith("0 captures cut short, 1 whole")


def test_hours_tells_a_missing_hour_from_nothing_at_all(monkeypatch, tmp_path):
    monkeypatch.setenv("TELEMETRIA_LAKE", f"file:{tmp_path / 'lake'}")
    done = telemetria("hours", "2026-03-10-06:00", "2026-03-10-07:00")
    assert done.output.count("missing") == 2
    assert "write a day (2026-03-10)" in telemetria("hours", "1999-01-01").output
    later = f"{datetime.now(UTC) + timedelta(days=2):%Y-%m-%d}"
    assert "still to come" in telemetria("hours", later).output


@pytest.fixture
def two_sources(carrier, monkeypatch, tmp_path):
    """One that answered for an hour of this morning, and one whose profile is misspelt; `carrier` is both."""
    (tmp_path / "beta.yaml").write_text("feilds: {}", encoding="utf-8")
    secrets = {"token": "CARRIER_TOKEN"}
    described = {
        name: {"url": carrier.url, "profile": profile, "secrets": secrets, "start": "2026-01-01"}
        for name, profile in {"alfa": "simulator", "beta": str(tmp_path / "beta.yaml")}.items()
    }
    (tmp_path / "sources.yaml").write_text(yaml.safe_dump(described), encoding="utf-8")
    monkeypatch.setenv("TELEMETRIA_SOURCES", str(tmp_path / "sources.yaml"))
    monkeypatch.setenv("TELEMETRIA_LAKE", f"file:{tmp_path / 'lake'}")
    monkeypatch.setenv("CARRIER_TOKEN", TOKEN)
    carrier.as_of = None
    settings = Settings.load()
    source, now = load_sources(settings)["alfa"], datetime.now(UTC)
    hours = settings.calendar.hours(now - timedelta(hours=6), now, "alfa")
    profile, lake = source.load_profile(), Lake.open(settings.lake)
    with source.client(profile) as client:
        (captured,) = ingest_hours(lake, profile, client, hours[2:3], "r", publish=True)
    assert captured.error is None
    return [hour.key for hour in hours]


def test_sources_says_of_each_when_it_last_answered_and_what_is_wrong(two_sources):
    done = telemetria("sources", "--json")
    alfa, beta = json.loads(done.stdout)
    captured, state = two_sources[2], telemetria("hours", two_sources[2], "--source", "alfa").output
    assert (alfa["source"], alfa["profile"], alfa["last_hour"]) == ("alfa", "simulator", captured)
    assert abs(
        datetime.now() - datetime.strptime(alfa["last_answer"], "%Y-%m-%d %H:%M")  # the contract's clock
    ) < timedelta(days=1)
    # Before the first hour that was asked for nothing is owed.
    assert alfa["missing"] == len(two_sources) - 3
    assert alfa["open"] == state.count("open")
    assert alfa["oldest_gap"] == two_sources[3 - alfa["open"]]
    assert alfa["problem"] is None
    assert (beta["last_answer"], beta["last_hour"], beta["missing"]) == (None, None, 0)
    assert "beta.yaml: feilds: unknown key" in beta["problem"]
    assert TOKEN not in done.output


def test_sources_is_a_table_of_a_line_a_source(two_sources):
    head, alfa, beta = telemetria("sources").output.splitlines()
    for column in (
        "source",
        "profile",
        "last answer",
        "last hour",
        "missing",
        "open",
        "oldest gap",
        "problem",
    ):
        assert column in head
    assert alfa.split()[:2] == ["alfa", "simulator"]
    assert two_sources[2] in alfa
    assert "feilds: unknown key" in beta


@pytest.mark.parametrize("words", [("hours", "2026-03-10"), ("carrier", "check", *WINDOW)])
def test_of_several_sources_one_is_named(two_sources, words):
    done = telemetria(*words)
    assert done.exit_code == 1
    assert "say which source: --source with one of alfa, beta" in done.output
    unknown = telemetria(*words, "--source", "gama")
    assert unknown.exit_code == 1
    assert "there is no source gama: --source with one of alfa, beta" in unknown.output


def test_hours_are_those_of_the_source(two_sources):
    captured = two_sources[2]
    for source, missing in (("alfa", False), ("beta", True)):
        done = telemetria("hours", captured, "--source", source)
        assert done.exit_code == 0, done.output
        assert ("missing" in done.output) is missing


def test_carrier_check_asks_the_source(two_sources, carrier):
    asked = len(carrier.requests)
    said = json.loads(telemetria("carrier", "check", "--source", "alfa", *WINDOW, "--json").stdout)
    assert (said["source"], said["profile"]) == ("alfa", "simulator")
    assert said["records"] > 0
    assert len(carrier.requests) == asked + 1
    done = telemetria("carrier", "check", "--source", "beta", *WINDOW)
    assert done.exit_code == 1
    assert "beta.yaml: feilds: unknown key" in done.output
    assert len(carrier.requests) == asked + 1


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
    told = {"file", "verdict", "rows", "read", "correction", "problems", "warnings", "not_compared"}
    assert set(one) == told
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


def test_alert_test_says_of_each_channel_whether_it_works(monkeypatch):
    monkeypatch.delenv("TELEMETRIA_ALERTS", raising=False)
    assert "set TELEMETRIA_ALERTS" in telemetria("alert", "test").output
    with running(Webhook()) as webhook:
        monkeypatch.setenv(
            "TELEMETRIA_ALERTS",
            f"{webhook.address}/p4th-of-it json://me:passw0rd@127.0.0.1:1",  # not a secret
        )
        done = telemetria("alert", "test")
        assert done.exit_code == 1
        assert f"ok      {webhook.address}\n" in done.output
        assert "failed  json://127.0.0.1:1: " in done.output
        assert "p4th" not in done.output
        assert "passw0rd" not in done.output
        assert len(webhook.messages) == 1
        monkeypatch.setenv("TELEMETRIA_ALERTS", webhook.address)
        assert telemetria("alert", "test").exit_code == 0


def test_alert_test_writes_to_a_folders_sender(monkeypatch, tmp_path):
    (tmp_path / "depots.yaml").write_text("depot 7: garagem7@example.com\n")
    monkeypatch.setenv("TELEMETRIA_SENDERS", str(tmp_path / "depots.yaml"))
    assert "depots.yaml" in telemetria("alert", "test", "--folder", "depot 8").output
    with running(MailServer()) as server:
        monkeypatch.setenv("TELEMETRIA_ALERTS_MAIL", server.address)
        assert telemetria("alert", "test", "--folder", "depot 7").exit_code == 0
        assert server.mails[0][0] == ["garagem7@example.com"]
