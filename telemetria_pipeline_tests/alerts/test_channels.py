import time

import pytest

from telemetria_pipeline.alerts import channels
from telemetria_pipeline.alerts.alert import Message
from telemetria_pipeline.alerts.channels import (
    SendersError,
    folder_of,
    general_channels,
    send_all,
    sender_channels,
)
from telemetria_pipeline.alerts.masking import masking
from telemetria_pipeline.settings import Settings

SAID = Message("Título", "corpo com acento\nem duas linhas")


def named(*addresses: str) -> list[str]:
    return [channel.name for channel in general_channels(Settings(alerts="\n".join(addresses)))]


def outcome(address: str) -> str | None:
    (channel,) = general_channels(Settings(alerts=address))
    return send_all({"one": (channel, SAID)})["one"]


def test_a_webhook_gets_title_and_body(webhook):
    assert outcome(webhook.address) is None
    assert [(m["title"], m["message"]) for m in webhook.messages] == [(SAID.title, SAID.body)]


def test_a_mail_arrives_with_its_accents(mail_server):
    assert outcome(f"{mail_server.address}&to=eng@example.com") is None
    ((recipients, mail),) = mail_server.mails
    assert recipients == ["eng@example.com"]
    assert mail["subject"] == SAID.title
    assert "corpo com acento" in mail.get_body(("plain", "html")).get_content()


def test_a_channel_that_answers_500_a_dead_one_and_one_that_is_none_say_why(webhook):
    webhook.status = 500
    assert "500" in outcome(webhook.address)
    assert "onnection error" in outcome("json://127.0.0.1:1")
    assert "no address that Apprise knows" in outcome("carrier-pigeon://home")


def test_a_slow_channel_holds_nobody_up(webhook, other_webhook, monkeypatch):
    monkeypatch.setattr(channels, "TIMEOUT_S", 0.5)
    webhook.wait_s = 3
    slow, quick = general_channels(Settings(alerts=f"{webhook.address} {other_webhook.address}"))
    began = time.monotonic()
    outcomes = send_all({"slow": (slow, SAID), "quick": (quick, SAID)})
    assert time.monotonic() - began < 2
    assert outcomes["quick"] is None
    assert "did not finish" in outcomes["slow"]


def test_a_channel_is_named_without_its_secrets(capfd):
    addresses = [
        "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ",
        "https://hooks.slack.com/services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ",
        "json://user:passw0rd@hooks.example:8080/p4th-t0ken?k3y=v4lue-of-it",  # not a secret
        "mailtos://ana:passw0rd@smtp.example?to=eng@example.com",  # not a secret
        "tgram://123456789:abcdefg_hijklmnop/12315544",
        "nonsense-with-a-t0ken",
    ]
    names = named(*addresses)
    assert names == [
        "slack",
        "slack (2)",
        "json://hooks.example:8080",
        "mailtos://smtp.example:587",
        "tgram",
        "address 6",
    ]
    said = capfd.readouterr()
    everything = " ".join([*names, said.out, said.err])
    everything += repr(general_channels(Settings(alerts=" ".join(addresses))))
    for secret in ("T1JJ3T3L2", "TIiaj", "passw0rd", "p4th", "v4lue", "eng@", "abcdefg", "with-a-t0ken"):
        assert secret not in everything


def test_every_configured_secret_is_masked(monkeypatch, tmp_path):
    (tmp_path / "sources.yaml").write_text(
        "alfa: {url: 'https://a.example', profile: traccar, secrets: {token: ALFA_API}, start: 2026-03-01}"
    )
    monkeypatch.setenv("ALFA_API", "alfas+own/secret")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "aws-own-secret")
    settings = Settings(
        sources=str(tmp_path / "sources.yaml"),
        api_token="carriers+token/1",
        seal_key="seal-secret",
        alerts="slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXr "
        "json://user:passw0rd@localhost:80/alerts?to=Ana9.Z",  # not a secret
        alerts_mail="mailto://ana:letmein%21@smtp.example",  # not a secret
    )
    secrets = (
        "alfas+own/secret aws-own-secret carriers+token/1 seal-secret T1JJ3T3L2 A1BRTD4JD TIiajkdnlazkcOXr "
        "passw0rd letmein%21 letmein! alfas%2Bown%2Fsecret"
    )
    text = masking(settings)(f"localhost alerts failed: {secrets}")
    assert text == "localhost alerts failed: " + " ".join(["***"] * 11)


def test_whose_a_folder_is(tmp_path, mail_server):
    file = tmp_path / "depots.yaml"
    file.write_text("depot 7: garagem7@example.com\ndepot 7/noite: noite@example.com\n")
    senders = sender_channels(Settings(senders=str(file), alerts_mail=mail_server.address))
    assert folder_of("Depot 7/novembro.csv", senders) == "depot 7"
    assert folder_of("depot 7/noite/b.csv", senders) == "depot 7/noite"
    assert folder_of("depot 70/b.csv", senders) is None
    assert folder_of("b.csv", senders) is None
    assert folder_of("elsewhere/b.csv", ["depot 7", "."]) == "."
    assert send_all({"one": (senders["depot 7"], SAID)}) == {"one": None}
    assert mail_server.mails[0][0] == ["garagem7@example.com"]
    without = sender_channels(Settings(senders=str(file)))["depot 7"]
    assert "TELEMETRIA_ALERTS_MAIL" in without.send(SAID)


@pytest.mark.parametrize("text", ["depot 7: no mail", "- depot 7", "depot 7: [a@b.c]", "a: b: c"])
def test_a_wrong_senders_file_says_what_to_write(text, tmp_path):
    (tmp_path / "depots.yaml").write_text(text)
    with pytest.raises(SendersError, match=r"depots\.yaml"):
        sender_channels(Settings(senders=str(tmp_path / "depots.yaml")))
