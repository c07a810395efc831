import re
from datetime import date, time
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from telemetria_pipeline.settings import Settings, SettingsError

README = Path(__file__).parents[1] / "README.md"


@pytest.fixture(autouse=True)
def bare(monkeypatch, tmp_path):
    """Nothing set, and no `.env` above."""
    for name in Settings.model_fields:
        monkeypatch.delenv(Settings.variable(name), raising=False)
    monkeypatch.chdir(tmp_path)


def test_an_empty_environment_gives_the_defaults(monkeypatch):
    settings = Settings.load()
    assert settings.lake == "file:./data/lake"
    assert settings.inbox == "file:./data/inbox"
    assert settings.timezone == ZoneInfo("America/Sao_Paulo")
    assert settings.start == date(2025, 1, 1)
    monkeypatch.setenv("TELEMETRIA_LAKE", " ")
    assert Settings.load() == settings


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("TELEMETRIA_TIMEZONE", "Brasilia", "IANA"),
        ("TELEMETRIA_LAKE", "data/lake", "s3://"),
        ("TELEMETRIA_API_URL", "carrier.example", "https://"),
        ("TELEMETRIA_START", "22/11/2026", "date"),
        ("TELEMETRIA_HOUR_RETRIES", "-1", "greater than or equal to 0"),
        ("TELEMETRIA_KM_TOLERANCE", "8", "less than or equal to 1"),
    ],
)
def test_a_wrong_value_is_named_with_its_variable(name, value, words, monkeypatch):
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as error:
        Settings.load()
    assert name in str(error.value)
    assert words in str(error.value)


@pytest.mark.parametrize("name", Settings.model_fields)
def test_what_is_given_by_name_goes_before_the_environment(name, monkeypatch):
    default = Settings.load()
    others = {
        "lake": "file:./other", "inbox": "file:./other", "sources": "other.yaml", "api_url": "https://o.example",
        "api_token": "hush", "api_profile": "motive", "timezone": ZoneInfo("America/Cuiaba"),
        "start": date(2026, 1, 1), "km_share": Decimal("0.05"), "km_minimum": Decimal("2"),
        "min_coverage": Decimal("0.5"), "pseudonym_key": "hush", "seal_key": "hush", "boletim_partial": True,
        "unknown_plate": "erro", "amendment_days": "2", "alerts": "json://o.example",
        "alerts_mail": "mailto://o.example", "senders": "other.yaml", "report_due": time(8),
        "broker_url": "redis://host", "worker_queue": "heavy",
    }  # fmt: skip
    monkeypatch.setenv(Settings.variable(name), str(getattr(default, name) or ""))
    changed = Settings.load(**{name: others.get(name, 7)})
    assert getattr(changed, name) != getattr(default, name)


def test_a_name_that_is_no_setting_is_refused():
    with pytest.raises(SettingsError, match=r"km_tolerence: there is no such setting; .*km_share"):
        Settings.load(km_tolerence="0.05")
    with pytest.raises(ValueError, match="km_tolerence"):
        Settings(km_tolerence="0.05")
    assert Settings(km_share="0.05").km_share == Decimal("0.05")


def test_a_secret_is_never_shown(monkeypatch):
    monkeypatch.setenv("TELEMETRIA_API_TOKEN", "hush")
    settings = Settings.load(pseudonym_key="hush", seal_key="hush")
    assert "hush" not in repr(settings) + str(settings)
    assert settings.pseudonyms == settings.seal_secret == "hush"


def test_a_dotenv_is_read_and_never_overrides_the_environment(tmp_path, monkeypatch):
    (tmp_path / ".env").write_text(
        "TELEMETRIA_LAKE=file:./from-dotenv\nTELEMETRIA_INBOX=file:./from-dotenv\nALFA_TOKEN=hush\n"
    )
    monkeypatch.setenv("TELEMETRIA_LAKE", "file:./from-environment")
    monkeypatch.setenv("TELEMETRIA_INBOX", "")  # so that monkeypatch takes it back out again
    monkeypatch.delenv("TELEMETRIA_INBOX")
    monkeypatch.setenv("ALFA_TOKEN", "")
    monkeypatch.delenv("ALFA_TOKEN")
    settings = Settings.load()
    assert settings.lake == "file:./from-environment"
    assert settings.inbox == "file:./from-dotenv"


def test_the_readme_lists_every_variable_with_its_default_and_meaning():
    text = README.read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(TELEMETRIA_\w+)` \| (.*) \|$", text, re.MULTILINE))
    assert set(rows) == {Settings.variable(name) for name in Settings.model_fields}
    for name, field in Settings.model_fields.items():
        default = "" if field.default is None else str(field.default)
        assert (
            rows[Settings.variable(name)] == (f"`{default}`" if default else "–") + f" | {field.description}"
        )
