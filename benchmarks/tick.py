"""What a tick of the sensor for stale days asks of S3 and costs, and what the earlier design would.

    python benchmarks/tick.py [--sources 20] [--days 62] [--vehicles 50] [--boletins 5]

An S3 server of its own process (moto) holds the index of a fleet: for each day and source its 24 hours and
the vehicles heard, each day's boletins, the states of all audited days, and the reference tables. A tick is
`plan_days` as the sensor calls it; requests are counted by the server. It ends with 1 where a tick finds
other days stale than those that were changed.
"""

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import boto3
import pandas as pd
import yaml
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

from telemetria_pipeline.contracts import Contract
from telemetria_pipeline.contracts.reference import CONTRACTS, DRIVERS, VEHICLES
from telemetria_pipeline.core.audit.staleness import DayState, Reach
from telemetria_pipeline.settings import Settings
from telemetria_pipeline.steps import day_index
from telemetria_pipeline.steps.day_index import FILES, HOURS, FileDay, HourEntry, SourceDay, record_hour
from telemetria_pipeline.steps.lake import open_lake
from telemetria_pipeline.steps.staleness import HEARD_DAYS, Snapshot, plan_days, write_state
from telemetria_pipeline.storage.lake import Lake

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
COUNTS = "/-/counts"
QUIET_TICKS = 5
TICKS_A_MONTH = 30 * 24 * 60 * 2
LIST_USD, GET_USD = Decimal("0.005") / 1000, Decimal("0.0004") / 1000


class Tick(NamedTuple):
    """A tick: the requests that it made by kind, its seconds, and the days that it found stale."""

    name: str
    requests: Counter[str]
    wall_s: float
    cpu_s: float
    stale: set[date]


class Fleet(NamedTuple):
    """What the lake is to hold, and until when: `today` is the first day that is not over."""

    sources: list[str]
    vehicles: int
    boletins: int
    first: date
    today: date

    def plates(self, source: str) -> list[str]:
        """The plates that a source hears."""
        return [f"B{chr(65 + self.sources.index(source))}A0C{n:02d}" for n in range(self.vehicles)]


# ---------------------------------------------------------------- the server


def serve() -> None:
    """moto behind a socket; it counts what it is asked, and prints its address."""
    moto, counts = DomainDispatcherApplication(create_backend_app), Counter[str]()

    def app(environ: dict, start_response: Any) -> Any:
        if environ["PATH_INFO"] == COUNTS:
            said = json.dumps(counts).encode()
            counts.clear()
            start_response("200 OK", [("Content-Type", "application/json")])
            return [said]
        listing = "list-type=" in environ.get("QUERY_STRING", "")
        counts["LIST" if listing else environ["REQUEST_METHOD"]] += 1
        return moto(environ, start_response)

    class Quiet(WSGIRequestHandler):
        def log_request(self, *args: object) -> None:
            pass

    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Quiet)
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()


@contextmanager
def s3() -> Iterator[str]:
    """The address of a server of its own process; `AWS_…` reach it, and the lake is an empty bucket of it."""
    with subprocess.Popen(
        [sys.executable, __file__, "--serve"], stdout=subprocess.PIPE, text=True, stderr=subprocess.DEVNULL
    ) as server:
        try:
            assert server.stdout
            url = server.stdout.readline().strip()
            for name in [n for n in os.environ if n.startswith("AWS_")]:
                del os.environ[name]
            os.environ |= {
                "AWS_ENDPOINT_URL_S3": url,
                "AWS_ACCESS_KEY_ID": "bench",
                "AWS_SECRET_ACCESS_KEY": "bench",
                "AWS_REGION": "us-east-1",
                "AWS_EC2_METADATA_DISABLED": "true",
                "NO_PROXY": "127.0.0.1",
                "TELEMETRIA_LAKE": "s3://bench/lake",
            }
            boto3.client("s3", region_name="us-east-1").create_bucket(Bucket="bench")
            yield url
        finally:
            server.terminate()


def counted(url: str) -> Counter[str]:
    """The requests since this was last asked."""
    with urllib.request.urlopen(url + COUNTS) as answer:
        return Counter(json.load(answer))


# ---------------------------------------------------------------- the lake


def frame(contract: Contract, rows: list[dict[str, Any]]) -> pd.DataFrame:
    """The rows under the contract, what they do not say missing."""
    found = pd.DataFrame([{**dict.fromkeys(contract.names), **row} for row in rows])
    return found.astype({column.name: column.pandas_dtype for column in contract.columns})


def write_reference(lake: Lake, fleet: Fleet) -> None:
    """Each source is a carrier with vehicles of two types, three drivers a vehicle, a tariff a type."""
    vehicles, drivers = [], []
    for source in fleet.sources:
        for n, plate in enumerate(fleet.plates(source)):
            vehicles.append(
                {
                    "placa": plate, "placa_recebida": plate, "equipamento": plate[1:],
                    "transportadora": source, "tipo": ("ÔNIBUS", "MICRO")[n % 2],
                    "operacao": ("AGR", "IND")[n % 2],
                }
            )  # fmt: skip
            for turn in range(3):
                name = f"MOTORISTA {source} {n} {turn}".upper()
                drivers.append({"motorista": name, "motorista_chave": name, "motorista_id": name})
    for contract, rows in ((VEHICLES, vehicles), (DRIVERS, drivers)):
        lake.write_table(contract.name, {}, contract.table(frame(contract, rows)))
    write_tariffs(lake, fleet, Decimal("2.7300"), fleet.today)


def write_tariffs(lake: Lake, fleet: Fleet, tariff: Decimal, since: date) -> None:
    """The first carrier's buses cost `tariff` from `since` on, all else R$ 2.73."""
    rows = [
        {
            "contrato": f"CT-{source}", "clausula": "1", "modalidade": "contrato", "tipo": kind,
            "transportadora": source, "tarifa_brl_km": Decimal("2.7300"),
            "custo_fixo_mensal_brl": Decimal("40314.14"), "franquia_km": Decimal("0.000"),
            "vigencia_inicio": "2020-01-01",
        }
        for source in fleet.sources
        for kind in ("ÔNIBUS", "MICRO")
    ]  # fmt: skip
    rows = [
        rows[0] | {"vigencia_fim": str(since - DAY)},
        rows[0] | {"tarifa_brl_km": tariff, "vigencia_inicio": str(since)},
        *rows[1:],
    ]
    numbered = [row | {"contrato_linha": n} for n, row in enumerate(rows, start=2)]
    lake.write_table(CONTRACTS.name, {}, CONTRACTS.table(frame(CONTRACTS, numbered)))


def write_index(lake: Lake, fleet: Fleet, settings: Settings) -> int:
    """The index of all days that are looked at; how many objects it has."""
    entries: dict[str, Any] = {}
    for n in range((fleet.today - fleet.first).days + HEARD_DAYS):
        day = fleet.first + (n - HEARD_DAYS) * DAY
        start, end = settings.calendar.day(day)
        for source in fleet.sources:
            hours = {
                hour.name: HourEntry(
                    state="captured",
                    digest=f"{hour.key}{source}",
                    rows=50,
                    capture=f"{hour.start:%Y%m%dT%H%M%SZ}-abcdef",
                    until=hour.end + timedelta(minutes=40),
                )
                for hour in settings.calendar.hours_of(day, source)
            }
            heard = SourceDay(hours=hours, heard=fleet.plates(source))
            entries[f"{HOURS}/data={day}/fonte={source}.json"] = heard
        for file in range(fleet.boletins):
            entries[file_key(day, file)] = FileDay(
                digest=f"{day}{file}", start=start + 5 * HOUR, end=end - 5 * HOUR
            )
    with ThreadPoolExecutor(8) as writers:
        list(writers.map(lambda e: lake.write_json(e[0], e[1].model_dump(mode="json")), entries.items()))
    return len(entries)


def file_key(day: date, file: int) -> str:
    return f"{FILES}/data={day}/boletim-{file:02d}-{day:%Y%m%d}.json"


def write_states(lake: Lake, fleet: Fleet, settings: Settings, days: list[date]) -> None:
    """Each day as if it had been audited from what is there now, with trips of every vehicle."""
    snapshot = Snapshot.read(lake, days[0], days[-1], settings)
    vehicles = snapshot.reference.vehicles
    assert vehicles is not None
    terms = vehicles[["placa", "tipo", "transportadora", "operacao"]]
    for day in days:
        reach = Reach(
            until=settings.calendar.day(day)[1] + timedelta(minutes=40),
            wide=True,
            vehicles=sorted(vehicles["placa"]),
            terms=list(terms.itertuples(index=False, name=None)),
            drivers=[],
        )
        state = DayState(
            day=day,
            made_from=snapshot.fingerprint(day, reach),
            versions=dict(snapshot.versions),
            reach=reach,
            rows=50 * 24 * len(fleet.sources),
            digest="0",
            file="0",
            audited_at=datetime.now(UTC),
        )
        write_state(lake, state)


# ---------------------------------------------------------------- the ticks


def tick(name: str, url: str) -> Tick:
    """One tick as the sensor makes it."""
    counted(url)
    wall, cpu = time.perf_counter(), time.process_time()
    settings = Settings.load()
    plan = plan_days(open_lake(settings), settings, datetime.now(UTC))
    took = time.perf_counter() - wall, time.process_time() - cpu
    return Tick(name, counted(url), *took, set(plan.due))


def line(done: Tick) -> str:
    counts = " ".join(f"{done.requests[kind]:>6}" for kind in ("LIST", "GET", "HEAD"))
    return f"{done.name:<26} {counts} {done.wall_s:>8.2f} {done.cpu_s:>8.2f} {len(done.stale):>6}"


def monthly(requests: Counter[str]) -> Decimal:
    """US$ a month for such a tick each 30 s; S3 prices a HEAD as a GET."""
    each = requests["LIST"] * LIST_USD + (requests["GET"] + requests["HEAD"]) * GET_USD
    return (TICKS_A_MONTH * each).quantize(Decimal("0.01"))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sources", type=int, default=20)
    parser.add_argument("--days", type=int, default=62)
    parser.add_argument("--vehicles", type=int, default=50, help="heard by each source")
    parser.add_argument("--boletins", type=int, default=5, help="a day")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve()
        return
    names = [f"fonte_{n:02d}" for n in range(options.sources)]
    with s3() as url, tempfile.TemporaryDirectory() as folder:
        sources = Path(folder) / "sources.yaml"
        secrets = {"token": "BENCH_TOKEN"}
        described = {"url": "http://127.0.0.1:9", "profile": "simulator", "secrets": secrets}
        described["start"] = "2020-01-01"
        sources.write_text(yaml.safe_dump(dict.fromkeys(names, described)), encoding="utf-8")
        os.environ |= {
            "TELEMETRIA_SOURCES": str(sources),
            "TELEMETRIA_AUDIT_DAYS": str(options.days),
            "TELEMETRIA_AUDIT_REST_S": "0",
        }
        ticks = run(url, options, names)
    print(f"{'tick':<26} {'LIST':>6} {'GET':>6} {'HEAD':>6} {'wall s':>8} {'CPU s':>8} {'stale':>6}")
    print("\n".join(map(line, ticks)))
    marks = Counter(LIST=1, GET=options.days + 2)
    print(
        f"\na tick each 30 s, US$ a month: the index {monthly(ticks[1].requests)}; marks "
        f"{monthly(Counter(LIST=1))} while nothing is pending,\n{monthly(marks)} "
        f"(1 LIST, {marks['GET']} GETs) while something is: the hours of a day that is not over always are"
    )


def run(url: str, options: argparse.Namespace, names: list[str]) -> list[Tick]:
    """Make the lake, change one thing after the other, and tick after each."""
    settings = Settings.load()
    lake, today = open_lake(settings), settings.calendar.day_of(datetime.now(UTC))
    days = [today - n * DAY for n in range(options.days, 0, -1)]
    fleet = Fleet(names, options.vehicles, options.boletins, days[0], today)
    write_reference(lake, fleet)
    objects = write_index(lake, fleet, settings)
    write_states(lake, fleet, settings, days)
    print(f"{len(names)} sources, {options.days} days: {objects} entries, {len(days)} states\n")
    day_index._read.clear()  # as in a process that has just started
    ticks = [tick("cold", url)]
    quiet = sorted((tick("quiet", url) for _ in range(QUIET_TICKS)), key=lambda t: t.cpu_s)
    ticks.append(quiet[QUIET_TICKS // 2])

    third, middle = len(days) // 3, len(days) // 2
    hour = settings.calendar.hour(f"{days[third]}-12:00", names[0])
    entry = HourEntry(state="captured", digest="new", rows=51, capture="c", until=None)
    record_hour(lake, hour, entry, [], None)
    ticks.append(tick("an hour more", url))

    key = file_key(days[middle], 0)
    lake.write_json(key, {**lake.read_json(key), "digest": "new"})
    ticks.append(tick("a boletim more", url))

    write_tariffs(lake, fleet, Decimal("2.9900"), days[-3])
    ticks.append(tick("a new contracts table", url))
    # Trips that are gone or altered touch the days beside theirs; a tariff, the days from its first on.
    changed = [set(), set(), set(days[third - 1 : third + 2]), {days[middle]}, set(days[-3:])]
    for done, expected in zip(ticks, itertools.accumulate(changed, set.union), strict=True):
        if done.stale != expected:
            sys.exit(
                f"{done.name}: {sorted(map(str, done.stale))} are stale, not {sorted(map(str, expected))}"
            )
    return ticks


if __name__ == "__main__":
    main()
