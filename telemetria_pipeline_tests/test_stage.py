"""The stage of the demo: three simulated carriers, described in a file that people may add to."""

import pytest
import yaml

from telemetria_pipeline.carriers.sources import load_sources
from telemetria_pipeline.demo.stage import SOURCES_FILE, real_sources, simulated_carriers, write_sources
from telemetria_pipeline.settings import Settings

MINE = """
# our own
sol:
  url: https://sol.example/api
  profile: motive
  secrets: {token: SOL_TOKEN}
  start: 2026-03-01
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TELEMETRIA_SOURCES", raising=False)
    return tmp_path


def test_the_process_points_at_the_simulated_carriers_while_they_run(folder):
    with simulated_carriers(as_of=None) as apis:
        sources = load_sources(Settings.load())
        assert {n: (s.url, s.profile, s.problem()) for n, s in sources.items()} == {
            name: (api.url, api.dialect, None) for name, api in apis.items()
        }
        assert sources["miragem"].carriers == ["Expresso Miragem"]
        assert real_sources(Settings.load()) is None
    assert Settings.load().sources != str(folder / SOURCES_FILE)


def test_what_a_person_added_to_the_sources_stays(folder):
    file = folder / SOURCES_FILE
    with simulated_carriers(as_of=None):
        file.write_text(file.read_text("utf-8") + MINE, "utf-8")
    with simulated_carriers(as_of=None) as apis:
        write_sources(file, apis)
        sources = load_sources(Settings.load())
    assert list(sources) == ["quimera", "miragem", "fabula", "sol"]
    assert sources["quimera"].url == apis["quimera"].url
    text = file.read_text("utf-8")
    assert text.endswith(MINE)
    assert len(yaml.safe_load(text)) == 4
    file.write_text(MINE, "utf-8")  # the simulated ones were deleted
    write_sources(file, apis)
    assert list(yaml.safe_load(file.read_text("utf-8"))) == ["quimera", "miragem", "fabula", "sol"]


def test_real_sources_are_seen(folder, monkeypatch):
    assert real_sources(Settings.load()) is None
    (folder / "sources.yaml").write_text(MINE, "utf-8")
    assert real_sources(Settings.load()) == "sources.yaml lists telemetry sources"
    monkeypatch.setenv("TELEMETRIA_API_URL", "https://sol.example/api")
    assert real_sources(Settings.load()) == "TELEMETRIA_API_URL is set"
