"""A profile proposed from one answer: held against the profiles that people wrote of the same carriers."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from telemetria_pipeline.carriers.client import CarrierClient
from telemetria_pipeline.carriers.mapping import map_pages
from telemetria_pipeline.carriers.profile import load_profile
from telemetria_pipeline.carriers.proposal import NoRecords, as_yaml, propose
from telemetria_pipeline.cli import main
from telemetria_pipeline.simulator.fleet import Fleet
from telemetria_pipeline.simulator.server import Simulator

SAMPLES = Path(__file__).parents[3] / "shared" / "samples" / "carriers"
HOUR = datetime(2026, 3, 10, 12, tzinfo=UTC)
NEEDED = ("veiculo_id", "saida_utc", "chegada_utc", "distancia_telemetria_km", "odometro_saida_km")


@pytest.fixture
def simulator():
    with Simulator(Fleet(7, 12), token="t", as_of=HOUR + timedelta(days=2)) as api:
        yield api


def test_what_the_simulator_answers_is_read_as_its_own_profile_reads_it(simulator, tmp_path, monkeypatch):
    monkeypatch.setenv("TELEMETRIA_API_TOKEN", "t")
    url = f"{simulator.url}/v1/trips?from=2026-03-10T12:00:00Z&to=2026-03-10T13:00:00Z&limit=100"
    file = tmp_path / "guessed.yaml"
    done = CliRunner().invoke(main, ["carrier", "new", "--url", url, "--carrier", "V", "--output", str(file)])
    assert done.exit_code == 0, done.output
    guessed, own = load_profile(file), load_profile("simulator")
    assert guessed.trips.params == {"from": "{start}", "to": "{end}", "limit": "100"}
    assert guessed.window.format == "iso_utc"
    with CarrierClient(own, simulator.url, "t") as client:
        pages = [p for p in client.pages(HOUR, HOUR + timedelta(hours=1)) if p.kind == "trips"]
    ours, theirs = map_pages(own, pages), map_pages(guessed, pages)
    assert len(ours) > 5
    for column in (*NEEDED, "odometro_chegada_km", "velocidade_maxima_kmh", "tempo_conducao_s", "id_origem"):
        assert theirs[column].equals(ours[column]), column
    again = CliRunner().invoke(main, ["carrier", "new", "--url", url, "--output", str(file)])
    assert "exists already" in again.output


@pytest.mark.skipif(not SAMPLES.exists(), reason="the shared samples are not there")
@pytest.mark.parametrize(
    ("sample", "own", "left"),
    [
        ("motive_driving_periods__driving_periods_page_1_response.json", "motive", set()),
        ("samsara_trips__trips_response.json", "samsara", {"veiculo_id"}),
    ],
)
def test_published_answers_are_read_as_their_shipped_profiles_read_them(sample, own, left):
    found, shipped = propose(json.loads((SAMPLES / sample).read_bytes())), load_profile(own)
    for column, field in shipped.fields.items():
        if column in left or column not in found.guesses:
            continue
        guess = found.guesses[column]
        assert (guess.paths, guess.unit or field.unit) == (field.paths, field.unit or guess.unit), column
    lacking = {c for c in shipped.fields if c not in found.guesses} - left
    assert not lacking & set(NEEDED)
    assert (found.records, found.unwrap) == (shipped.trips.records, shipped.trips.unwrap)
    assert found.times == shipped.times.format


def trip(n: int, **more: object) -> dict[str, object]:
    start = datetime(2026, 3, 10, 8 + n, tzinfo=UTC)
    return {
        "veiculo": {"codigo": f"v{n}", "placa": f"ABC1D2{n}"},
        "dataPartida": f"{start:%Y-%m-%d %H:%M:%S}",
        "dataChegada": f"{start + timedelta(minutes=30):%Y-%m-%d %H:%M:%S}", "kmPercorridos": 20 + n,
        "motorista": {"nome": "FULANA DE TAL", "matricula": f"{n}"}, **more,
    }  # fmt: skip


def test_portuguese_names_are_understood():
    found = propose({"sucesso": True, "dados": {"viagens": [trip(n) for n in range(5)]}})
    assert found.records == "dados.viagens"
    assert {c: g.path for c, g in found.guesses.items()} == {
        "veiculo_id": "veiculo.codigo", "placa_recebida": "veiculo.placa", "saida_utc": "dataPartida",
        "chegada_utc": "dataChegada", "distancia_telemetria_km": "kmPercorridos",
        "motorista": "motorista.nome", "motorista_id": "motorista.matricula",
    }  # fmt: skip
    assert found.times == "iso_utc"
    assert "FULANA" not in as_yaml(found, "x", "V"), "a profile is no place for people's names"


@pytest.mark.parametrize(
    ("value", "unit"), [(20, "km"), (20_000, "m"), ("20.4 mi", "text"), ("20,4 km", "text")]
)
def test_the_unit_is_the_one_that_makes_it_a_bus(value, unit):
    found = propose([trip(n, kmPercorridos=None, distance=value) for n in range(5)])
    guess = found.guesses["distancia_telemetria_km"]
    assert guess.unit == unit
    if isinstance(value, int):
        assert "40 km/h on average" in guess.evidence


def test_where_two_units_would_do_both_are_named():
    found = propose([trip(n, kmPercorridos=None, distance=20) for n in range(5)])
    assert "mi would do as well: look it up" in found.guesses["distancia_telemetria_km"].evidence


def test_what_is_missing_is_said():
    positions = [
        {"lat": -22.1, "lon": -48.2, "time": "2026-03-10T12:00:00Z", "deviceId": n} for n in range(9)
    ]
    found = propose(positions)
    assert "these look like positions, not trips: is there a list of trips?" in found.open
    assert any("saida_utc is needed" in said for said in found.open)


def test_a_word_and_a_number_are_no_plate():
    rows = [trip(n, veiculo={"codigo": f"v{n}", "nome": f"Van 102{n}"}) for n in range(5)]
    assert "placa_recebida" not in propose(rows).guesses
    named = [trip(n, veiculo={"codigo": f"v{n}", "placa": f"abc 102{n}"}) for n in range(5)]
    assert propose(named).guesses["placa_recebida"].path == "veiculo.placa"


def test_a_token_leaves_this_machine_by_tls_only(monkeypatch, tmp_path):
    monkeypatch.setenv("TELEMETRIA_API_TOKEN", "s3cr3t-t0ken")
    args = ["carrier", "new", "--url", "http://carrier.example/trips", "--output", str(tmp_path / "x.yaml")]
    done = CliRunner().invoke(main, args)
    assert done.exit_code == 1 and "--url is http://carrier.example: without TLS" in done.output
    assert "s3cr3t" not in done.output


def test_an_answer_without_a_list_is_refused_with_what_it_holds():
    with pytest.raises(NoRecords, match="keys error_message"):
        propose({"error_message": "no such range"})


def test_a_secret_in_the_address_stays_out_of_the_profile():
    text = as_yaml(propose([trip(1)]), "x", "V", "https://h/v2/track/list?hash=s3cr3t&from=2026-03-10")
    assert "s3cr3t" not in text
    assert "the parameter hash looks like a secret" in text
