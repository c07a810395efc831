"""A profile proposed from one answer: held against the profiles that people wrote of the same carriers."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from telemetria_pipeline.carriers.captured import Request
from telemetria_pipeline.carriers.client import CarrierClient
from telemetria_pipeline.carriers.draft import as_yaml
from telemetria_pipeline.carriers.mapping import map_pages
from telemetria_pipeline.carriers.profile import Profile, load_profile
from telemetria_pipeline.carriers.proposal import NoRecords, propose
from telemetria_pipeline.cli import main
from telemetria_pipeline.simulator.fleet import Fleet
from telemetria_pipeline.simulator.server import Simulator
from telemetria_pipeline_tests.carriers.conftest import Answer
from telemetria_pipeline_tests.rounds import examples

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
    assert "FULANA" not in as_yaml(found, "x", "V", Request()), "a profile is no place for people's names"


def test_a_reading_at_the_end_alone_has_the_unit_that_its_name_says():
    metres = propose([trip(n, hodometroFinalMetros=90_000_000 + n) for n in range(5)])
    assert metres.guesses["odometro_chegada_km"].unit == "m"
    nameless = propose([trip(n, hodometroFinal=90_000 + n) for n in range(5)])
    assert nameless.guesses["odometro_chegada_km"].unit is None
    assert "odometro_chegada_km: of which unit? one reading a trip does not tell" in " ".join(nameless.open)


def test_brazilian_prefixes_decimals_and_dates_are_understood():
    rows = [
        {
            "cdVeiculo": n, "dsVeiculo": f"380{n} - GDP4J6{n}", "nmMotorista": "FULANA", "cdMotorista": 7,
            "dtHrInicio": f"26/11/2026 0{n}:10:00", "dtHrFim": f"26/11/2026 0{n}:38:00",
            "kmPercorrido": f"1{n},4", "velMax": "82", "odometroInicial": f"90{n}23,4",
            "odometroFinal": f"90{n}40,8", "enderecoInicio": "Usina", "enderecoFim": "Frente 7",
        }
        for n in range(6)
    ]  # fmt: skip
    asked = "https://h/viagens?chave=abc1&de=26/11/2026%2007:00:00&ate=26/11/2026%2008:00:00"
    text = as_yaml(propose(rows), "x", "V", Request(asked + "&k=9f8a7b6c5d4e3f2a1b0c9d8e"))
    profile = Profile.model_validate(yaml.safe_load(text))
    assert {name: field.paths[0] for name, field in profile.fields.items()} == {
        "veiculo_id": "cdVeiculo", "descricao": "dsVeiculo", "motorista": "nmMotorista",
        "motorista_id": "cdMotorista", "saida_utc": "dtHrInicio", "chegada_utc": "dtHrFim",
        "local_saida": "enderecoInicio", "local_chegada": "enderecoFim", "velocidade_maxima_kmh": "velMax",
        "distancia_telemetria_km": "kmPercorrido", "odometro_saida_km": "odometroInicial",
        "odometro_chegada_km": "odometroFinal",
    }  # fmt: skip
    assert {profile.fields[name].decimal for name in ("odometro_saida_km", "odometro_chegada_km")} == {","}
    assert "6 of 6 hold one plate" in text and profile.window.zone == "America/Sao_Paulo"
    assert "no unit makes" not in text and "abc1" not in text and "9f8a7b" not in text
    assert profile.secrets == ["chave", "k"]
    (mapped,) = map_pages(profile, [SimpleNamespace(number=1, records=rows[3:4], stamp={})]).to_dict(
        "records"
    )
    assert (mapped["placa_recebida"], mapped["odometro_saida_km"]) == ("GDP4J63", 90323.4)
    assert mapped["saida_utc"].isoformat() == "2026-11-26T06:10:00+00:00"


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


DEVICES = [{"code": f"v{n}", "label": f"Glória|380{n}|GDP-4J6{n}-DVR", "kind": n} for n in range(6)]


def anonymous(n: int) -> dict[str, object]:
    return {**trip(n), "veiculo": {"codigo": f"v{n}"}}


def test_a_second_answer_tells_the_plates_by_the_ids_that_both_hold():
    plates = [{"info": {"uid": f"v{n}", "tag": f"ABC1D2{n}"}, "name": f"Ônibus {n}"} for n in range(6)]
    people = {"people": [{"no": str(n), "firstName": "Fulana", "lastName": f"de Tal {n}"} for n in range(5)]}
    found = propose(
        [anonymous(n) | {"motorista": {"matricula": str(n)}} for n in range(5)],
        {"devices": {"items": plates}, "people": people, "routes": [{"id": "r1"}]},
    )
    text = as_yaml(found, "x", "V", Request())
    assert "routes: no column of it holds the ids" in text and "Fulana" not in text
    assert "5 of the 5 ids in the trips are there" in text
    profile = Profile.model_validate(yaml.safe_load(text))
    devices, drivers = profile.lookups["devices"], profile.lookups["people"]
    assert (devices.path, devices.records, devices.by, devices.id) == (
        "/devices", "items", "veiculo_id", "info.uid",
    )  # fmt: skip
    assert devices.stamp == {"placa_recebida": "info.tag", "descricao": "name"}
    assert (drivers.by, drivers.id, drivers.stamp) == (
        "motorista_id", "no", {"motorista": ["firstName", "lastName"]},
    )  # fmt: skip


def test_without_it_the_look_up_stands_as_a_comment():
    text = as_yaml(propose([anonymous(n) for n in range(5)]), "x", "V", Request())
    assert "# lookups:\n#   devices: {path: /devices, by: veiculo_id" in text
    assert not Profile.model_validate(yaml.safe_load(text)).lookups


def test_a_plate_among_other_words_is_looked_for_in_the_description():
    found = propose([anonymous(n) for n in range(5)], {"devices": DEVICES})
    text = as_yaml(found, "x", "V", Request())
    assert "6 of 6 hold one plate: GDP-4J60" in text
    profile = Profile.model_validate(yaml.safe_load(text))
    assert profile.description_pattern and profile.lookups["devices"].stamp == {"descricao": "label"}


def test_a_post_for_one_vehicle_becomes_a_fan_out_that_captures(serve, tmp_path, monkeypatch):
    """Asked live with a body and two secrets; the profile then captures from the same server, as it is."""
    monkeypatch.setenv("ALFA_SESSION", "s3ss1on-of-alfa")
    monkeypatch.setenv("ALFA_KEY", "k3y-of-alfa")
    rows = [{**trip(n), "veiculo": None} for n in range(5)]

    def respond(asked):
        wrong = asked.json["auth"] != {"session": "s3ss1on-of-alfa"} or asked.query["k"] != "k3y-of-alfa"
        if wrong or asked.method != "POST" or "Authorization" in asked.headers:
            return Answer("wrong", 401)
        if asked.path == "/devices":
            return Answer(DEVICES)
        assert asked.json["limit"] == 3
        window = (asked.json["from"], asked.json["to"])
        assert window == ("10/03/2026 12:00", "10/03/2026 13:00")
        return Answer({"rows": rows if asked.json["device"] == "v3" else []})

    server = serve(respond)
    body, devices, file = (tmp_path / name for name in ("body.json", "devices.json", "alfa.yaml"))
    body.write_text(json.dumps({
        "auth": {"session": "{session}"}, "device": "v3", "limit": 3,
        "from": "10/03/2026 12:00", "to": "10/03/2026 13:00",
    }))  # fmt: skip
    devices.write_text(json.dumps(DEVICES))
    done = CliRunner().invoke(main, [
        "carrier", "new", "--url", f"{server.url}/trips?k={{key}}", "--method", "POST", "--body", str(body),
        "--secret", "session=ALFA_SESSION", "--secret", "key=ALFA_KEY", "--lookup", str(devices),
        "--output", str(file),
    ])  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "no profile yet" not in done.output and "how devices are asked for" in done.output
    text = file.read_text()
    assert "a session ends: let `login` give {session}" in done.output
    assert "of-alfa" not in text + done.output and "the request asks for v3" in text
    assert text.startswith("# yaml-language-server: $schema=profile.schema.json\n")
    file.write_text(text.replace("path: /devices", 'path: /devices\n  params: {k: "{key}"}'))  # what is OPEN
    profile = load_profile(file)
    assert sorted(profile.secrets) == ["key", "session"] and not profile.sends_auth
    secrets = {"session": "s3ss1on-of-alfa", "key": "k3y-of-alfa"}
    with CarrierClient(profile, server.url, secrets) as client:
        pages = [p for p in client.pages(HOUR, HOUR + timedelta(hours=1)) if p.kind == "trips"]
    assert [len(page.records) for page in pages] == [0, 0, 0, 5, 0, 0]
    trips = map_pages(profile, pages)
    assert set(trips["veiculo_id"]) == {"v3"} and set(trips["placa_recebida"]) == {"GDP-4J63"}
    assert trips["distancia_telemetria_km"].tolist() == [20, 21, 22, 23, 24]
    keys = {"session": "ALFA_SESSION", "key": "ALFA_KEY"}
    source = {"url": server.url, "profile": str(file), "secrets": keys, "start": "2026-03-01"}
    (tmp_path / "sources.yaml").write_text(yaml.safe_dump({"alfa": source}))
    monkeypatch.setenv("TELEMETRIA_SOURCES", str(tmp_path / "sources.yaml"))
    window = ["--from", "2026-03-10T12:00Z", "--to", "2026-03-10T13:00Z"]
    done = CliRunner().invoke(main, ["carrier", "check", *window])
    assert "5 records on page 4 of the trips" in done.output, "it asks until a vehicle has trips"


def test_a_secret_without_its_variable_is_named(tmp_path):
    args = ["carrier", "new", "--url", "https://h/trips?k={key}", "--output", str(tmp_path / "x.yaml")]
    assert "--secret key=THE_VARIABLE" in CliRunner().invoke(main, args).output
    done = CliRunner().invoke(main, [*args, "--secret", "key=NOBODY_SET_THIS"])
    assert "--secret key=NOBODY_SET_THIS: set that variable" in done.output


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
    request = Request("https://h/v2/track/list?hash=s3cr3t&from=2026-03-10")
    text = as_yaml(propose([trip(1)]), "x", "V", request)
    assert "s3cr3t" not in text and "hash looks like a secret" in text
    profile = Profile.model_validate(yaml.safe_load(text))
    assert (profile.secrets, profile.sends_auth) == (["hash"], False)
    assert profile.trips.params == {"hash": "{hash}", "from": "{start}"}
    pasted = Request(
        "https://h/trips?c=acme", "POST", {"q": "c=acme&x", "n": 4711, "at": ["2026-03-10", "2026-03-10"]},
        secrets={"company": SecretStr("acme"), "pin": SecretStr("4711")},
    )  # fmt: skip
    text = as_yaml(propose([trip(1)]), "x", "V", pasted)
    profile = Profile.model_validate(yaml.safe_load(text))
    assert "acme" not in text and "4711" not in text and profile.secrets == ["company", "pin"]
    assert profile.trips.body == {"q": "c={company}&x", "n": "{pin}", "at": ["{start}", "{end}"]}


def test_a_secret_in_the_path_or_in_a_next_page_stays_out_too():
    request = Request("https://h/api/9f8a7b6c5d4e3f2a1b0c9d8e/2026-03-10/{unit}/trips?sign=s1gn-of-alfa")
    text = as_yaml(propose({"next": "/t?sign=s1gn-of-alfa&p=2", "rows": [trip(1)]}), "x", "V", request)
    assert "9f8a7b" not in text and "s1gn-of" not in text and "next: /t?sign=***&p=2" in text
    profile = Profile.model_validate(yaml.safe_load(text))
    assert profile.trips.path == "/api/{token}/{start}/{unit}/trips"
    assert profile.secrets == ["token", "unit", "sign"]


KEYS = st.sampled_from(
    ["id", "start", "endTime", "vehicle", "km", "plate", "a'b", 'x: "y"', "#h\u2028", "ação"]
)
LEAF = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6)
    | st.sampled_from(["31/31/2026 10:00", "9999-99-99T99:99:99Z", 1773136800000, "1,5", "ABC1D23", "PT5M"])
)  # fmt: skip
RECORDS = st.lists(st.dictionaries(KEYS, LEAF | st.dictionaries(KEYS, LEAF, max_size=2)), max_size=4)


@examples(50)
@given(RECORDS, RECORDS, st.dictionaries(KEYS, LEAF, max_size=3))
def test_whatever_an_answer_holds_what_is_proposed_is_yaml(answer, listed, body):
    lists = {"devices": listed} if any(listed) else {}
    try:
        found = propose({"data": answer}, lists, {"ABC1D23"})
    except NoRecords:
        return
    text = as_yaml(found, "x", "V", Request("https://h/x/1?from=2026-03-10", "POST", body))
    assert yaml.safe_load(text)["trips"]["records"] == found.records
