"""Alerts on their way over real sockets, remembered in a real lake."""

from datetime import UTC, datetime, timedelta

import pytest

from telemetria_pipeline.alerts.alert import Alert
from telemetria_pipeline.alerts.memory import KEY
from telemetria_pipeline.alerts.post import Post, read_state
from telemetria_pipeline.settings import Settings
from telemetria_pipeline.storage.lake import Lake

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
ALERT = Alert("run", "run 1", "audit_job failed", "the lake is full")
ANOTHER = Alert("run", "run 2", "cycle_job failed", "the lake is full")
DEAD = "json://127.0.0.1:1"


@pytest.fixture
def lake(tmp_path) -> Lake:
    return Lake.open(f"file:{tmp_path}")


def post(*addresses: str, **settings: str) -> Post:
    return Post.of(Settings(alerts=" ".join(addresses), **settings))


def test_all_channels_are_told_once_whoever_tells_it_again(lake, webhook, other_webhook):
    both = (webhook.address, other_webhook.address)
    assert post(*both).tell(lake, [ALERT], NOW).sent == 2
    assert post(*both).tell(lake, [ALERT], NOW).sent == 0  # a restart, or a second instance
    assert webhook.titles == other_webhook.titles == [ALERT.subject]


def test_a_quiet_look_writes_nothing(lake, webhook):
    post(webhook.address).tell(lake, [ALERT], NOW)
    before = lake.store.read(KEY)
    post(webhook.address).tell(lake, [ALERT], NOW + timedelta(days=30))
    assert lake.store.read(KEY) == before


def test_without_channels_it_is_still_said_once(lake):
    assert post().tell(lake, [ALERT], NOW).alerts == [ALERT]
    assert post().tell(lake, [ALERT], NOW).alerts == []


def test_a_dead_channel_is_told_of_by_the_others_tried_again_and_back(lake, webhook, other_webhook):
    webhook.status = 500
    told = post(webhook.address, other_webhook.address).tell(lake, [ALERT], NOW)
    assert list(told.failed) == [webhook.address]
    assert "500" in told.failed[webhook.address]
    assert other_webhook.titles == [ALERT.subject, f"The alert channel {webhook.address} is dead"]
    at_once = post(webhook.address, other_webhook.address).tell(lake, [], NOW)
    assert str(at_once) == "1 messages waiting to be tried again"  # its pause is not over
    webhook.status = 200
    later = NOW + timedelta(minutes=1)
    assert post(webhook.address, other_webhook.address).tell(lake, [], later).sent == 2
    assert webhook.titles == [ALERT.subject]
    assert other_webhook.titles[2:] == [f"The alert channel {webhook.address} works again"]
    assert read_state(lake).letters == {}


def test_a_channel_that_stays_dead_is_given_up_and_said_once(lake, webhook):
    there, given_up = post(DEAD, webhook.address), 0
    for minute in range(60):
        given_up += there.tell(lake, [ALERT], NOW + timedelta(minutes=minute)).given_up
    assert given_up == 1
    assert webhook.titles == [ALERT.subject, f"The alert channel {DEAD} is dead"]


def test_a_broken_senders_file_is_told(lake, webhook, tmp_path):
    (tmp_path / "depots.yaml").write_text("depot 7: nobody")
    there = post(webhook.address, senders=str(tmp_path / "depots.yaml"))
    there.tell(
        lake, [Alert("boletim", "b", "Boletim devolvido: b.csv", to=there.whose("depot 7/b.csv"))], NOW
    )
    assert "depots.yaml" in webhook.messages[0]["message"]
    assert "Boletim devolvido: b.csv" in webhook.messages[0]["message"]


def test_a_planted_secret_never_leaves(lake, webhook):
    webhook.status = 500
    said = Alert("run", "run 1", "failed with hush-hush-1", "GET https://c.example?token=hush-hush-1")
    there = post(webhook.address, DEAD, api_token="hush-hush-1")
    told = there.tell(lake, [said], NOW)
    assert "hush" not in f"{told} {told.alerts} {lake.store.read(KEY)}"
    webhook.status = 200
    there.tell(lake, [], NOW + timedelta(minutes=1))
    assert "***" in str(webhook.messages)
    assert "hush" not in str(webhook.messages)
