from collections.abc import Iterator

import pytest

from telemetria_pipeline_tests.alerts.listeners import MailServer, Webhook, running


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    with running(Webhook()) as server:
        yield server


@pytest.fixture
def other_webhook() -> Iterator[Webhook]:
    with running(Webhook()) as server:
        yield server


@pytest.fixture
def mail_server() -> Iterator[MailServer]:
    with running(MailServer()) as server:
        yield server
