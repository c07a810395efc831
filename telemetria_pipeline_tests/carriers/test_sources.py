"""`sources.yaml`: one document, checked on load; profiles and secrets are each source's own business."""

from datetime import date

import pytest

from telemetria_pipeline.carriers.sources import SourceError, load_sources
from telemetria_pipeline.settings import Settings

TWO = """
alfa:
  url: https://fleet.alfa.example/api
  profile: motive
  secrets: {token: ALFA_TOKEN}
  start: 2026-03-01
  carriers: [Viação Alfa]
  pacing: {requests_per_second: 2}
beta:
  url: https://beta.example
  profile: ./no_such.yaml
  secrets: {token: BETA_TOKEN}
  start: 2026-11-01
"""


@pytest.fixture
def load(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def load(text: str):
        (tmp_path / "sources.yaml").write_text(text, encoding="utf-8")
        return load_sources(Settings.load())

    return load


def test_a_source_says_how_it_is_asked(load):
    alfa = load(TWO)["alfa"]
    profile = alfa.load_profile()
    assert (alfa.name, alfa.url, alfa.start) == ("alfa", "https://fleet.alfa.example/api", date(2026, 3, 1))
    assert (profile.name, profile.carrier, profile.pacing.requests_per_second) == ("motive", "Viação Alfa", 2)


def test_a_broken_profile_or_a_secret_that_is_not_set_is_the_sources_own_problem(load, monkeypatch):
    monkeypatch.delenv("ALFA_TOKEN", raising=False)
    sources = load(TWO)
    assert "no such file" in sources["beta"].problem()
    assert "ALFA_TOKEN" in sources["alfa"].problem() and "alfa" in sources["alfa"].problem()
    monkeypatch.setenv("ALFA_TOKEN", "hush")
    assert sources["alfa"].problem() is None
    with sources["alfa"].client(sources["alfa"].load_profile()) as client:
        assert "hush" not in repr(vars(sources["alfa"]))
        assert client.profile.name == "motive"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "one key a source"),
        ("- alfa", "one key a source"),
        ("alfa: {", "not valid YAML"),
        (TWO + TWO, "'alfa' stands twice"),
        (TWO.replace("beta:", "Beta 2:"), "Beta 2"),
        (TWO.replace("profile: motive", "profil: motive"), "alfa.profil: unknown key"),
        (TWO.replace("  profile: motive\n", ""), "alfa.profile: this key is required"),
        (TWO.replace("https://beta", "beta"), "beta.url: write an address"),
        (TWO.replace("{token: BETA_TOKEN}", "{}"), "beta.secrets: name the variable"),
        (TWO.replace("{token: BETA_TOKEN}", "{start: BETA_TOKEN}"), "beta.secrets.start"),
        (TWO.replace("2026-03-01", "01/03/2026"), "alfa.start"),
        (TWO.replace("  start: 2026-11-01\n", ""), "beta.start: this key is required"),
        (TWO.replace("requests_per_second: 2", "requests_per_second: 0"), "alfa.pacing.requests_per_second"),
        (TWO.replace("2026-03-01", "2026-02-30"), "not valid YAML: day is out of range"),
        (TWO.replace("https://beta", "https://me:hush@beta"), "beta.url: write https://host"),
        (TWO + "  name: gama\n", "beta.name: unknown key"),
        ("alfa: 7", "alfa"),
    ],
)
def test_what_is_wrong_in_the_document_is_named_with_its_key(load, text, words):
    with pytest.raises(SourceError) as error:
        load(text)
    assert words in str(error.value) and "sources.yaml" in str(error.value)


def test_without_the_file_the_environment_describes_a_single_source(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, value in (("URL", "https://c.example"), ("TOKEN", "hush"), ("PROFILE", "traccar")):
        monkeypatch.setenv(f"TELEMETRIA_API_{name}", value)
    (main,) = load_sources(Settings.load()).values()
    assert (main.name, main.url, main.profile) == ("main", "https://c.example", "traccar")
    assert main.secret_values(main.load_profile()) == {"token": "hush"}
    monkeypatch.delenv("TELEMETRIA_API_URL")
    monkeypatch.delenv("TELEMETRIA_API_TOKEN")
    (main,) = load_sources(Settings.load()).values()
    with pytest.raises(SourceError, match="set TELEMETRIA_API_URL and TELEMETRIA_API_TOKEN"):
        main.secret_values(main.load_profile())


def test_a_file_that_is_named_and_not_there_is_no_single_source(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SourceError, match=r"TELEMETRIA_SOURCES: other\.yaml cannot be read"):
        load_sources(Settings.load(sources="other.yaml"))
