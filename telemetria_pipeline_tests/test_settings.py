import re
from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from telemetria_pipeline.settings import MissingSetting, Settings, SettingsError

README = Path(__file__).parents[1] / "README.md"


def test_an_empty_environment_gives_the_defaults():
    settings = Settings.from_env({})
    assert settings.lake == "file:./data/lake"
    assert settings.inbox == "file:./data/inbox"
    assert settings.timezone == ZoneInfo("America/Sao_Paulo")
    assert settings.start == date(2025, 1, 1)
    assert Settings.from_env({"TELEMETRIA_LAKE": " "}) == settings


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("TELEMETRIA_TIMEZONE", "Brasilia", "IANA"),
        ("TELEMETRIA_LAKE", "data/lake", "s3://"),
        ("TELEMETRIA_API_URL", "carrier.example", "https://"),
        ("TELEMETRIA_START", "22/11/2026", "date"),
        ("TELEMETRIA_HOUR_RETRIES", "-1", "greater than or equal to 0"),
    ],
)
def test_a_wrong_value_is_named_with_its_variable(name, value, words):
    with pytest.raises(SettingsError) as error:
        Settings.from_env({name: value})
    assert name in str(error.value)
    assert words in str(error.value)


def test_what_the_api_needs_is_named_and_the_token_is_never_shown():
    with pytest.raises(MissingSetting, match="TELEMETRIA_API_URL and TELEMETRIA_API_TOKEN"):
        Settings.from_env({}).api()
    settings = Settings.from_env({"TELEMETRIA_API_URL": "https://c.example", "TELEMETRIA_API_TOKEN": "hush"})
    assert settings.api() == ("https://c.example", "hush")
    assert "hush" not in repr(settings) + str(settings)


def test_a_dotenv_is_read_and_never_overrides_the_environment(tmp_path, monkeypatch):
    (tmp_path / ".env").write_text(
        "TELEMETRIA_LAKE=file:./from-dotenv\nTELEMETRIA_INBOX=file:./from-dotenv\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TELEMETRIA_LAKE", "file:./from-environment")
    monkeypatch.setenv("TELEMETRIA_INBOX", "")  # so that monkeypatch takes it back out again
    monkeypatch.delenv("TELEMETRIA_INBOX")
    settings = Settings.from_env()
    assert settings.lake == "file:./from-environment"
    assert settings.inbox == "file:./from-dotenv"


def test_the_readme_lists_every_variable_with_its_default_and_meaning():
    text = README.read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(TELEMETRIA_\w+)` \| (.*) \|$", text, re.MULTILINE))
    assert set(rows) == {field.alias for field in Settings.model_fields.values()}
    for field in Settings.model_fields.values():
        default = "" if field.default is None else str(field.default)
        assert rows[field.alias] == (f"`{default}`" if default else "–") + f" | {field.description}"
