"""One day of a small fleet, and a client so plain that what it reads is what was served."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from telemetria_pipeline.simulator import FaultPlan, Fleet, Simulator

TOKEN = "segredo-de-teste"
DAY = datetime(2026, 3, 10, 3, tzinfo=UTC)  # midnight in São Paulo
HOUR = timedelta(hours=1)


def z(when: datetime) -> str:
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")


class Client:
    """GETs with the token; `trips` asks for a window, `all_trips` follows the cursors."""

    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.headers["Authorization"] = f"Bearer {TOKEN}"

    def get(self, path: str, **kwargs: Any) -> requests.Response:
        return self.session.get(self.simulator.url + path, timeout=5, allow_redirects=False, **kwargs)

    def trips(
        self, start: datetime = DAY, end: datetime = DAY + 24 * HOUR, **params: Any
    ) -> requests.Response:
        return self.get("/v1/trips", params={"from": z(start), "to": z(end), **params})

    def all_trips(
        self, start: datetime = DAY, end: datetime = DAY + 24 * HOUR, **params: Any
    ) -> list[dict[str, Any]]:
        records, cursor = [], {}
        while True:
            page = self.trips(start, end, **params, **cursor).json()
            records += page["data"]
            if not page["pagination"]["has_more"]:
                return records
            cursor = {"cursor": page["pagination"]["next_cursor"]}


@pytest.fixture
def serve() -> Iterator[Callable[..., Client]]:
    """Start a simulator of 12 vehicles, long after the day unless said otherwise, and a client of it."""
    running: list[Simulator] = []

    def start(faults: FaultPlan | None = None, **options: Any) -> Client:
        options = {"token": TOKEN, "as_of": DAY + 48 * HOUR, "fleet": Fleet(7, vehicles=12)} | options
        running.append(Simulator(faults=faults, **options))
        return Client(running[-1])

    yield start
    for simulator in running:
        simulator.close()
