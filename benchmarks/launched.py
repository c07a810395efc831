"""What runs cost as the daemon launches them, a process each: an hour over an empty one, and a boletim.

`dagster dev` runs with two code locations, ours and `nothing.py`; runs of both are queued in turn. Then
boletins land in the inbox, one after another.
"""

import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

import psutil
import yaml
from boletins import trips, write_csv
from measure import ENVIRON, HERE, expect, rows_in, serving
from server import TOKEN, rows_of_hour

AIM_OVERHEAD, AIM_BOLETIM_S = 1.3, 12.0
START = datetime(2026, 3, 10, 3, tzinfo=UTC)  # 00:00 in São Paulo
_PATIENCE_S = 180
_BOLETIM_ROWS = 20


@dataclass(frozen=True)
class Launched:
    """Median seconds of a run from its launch to its end, and of them those after its start.

    `ours` has an hour of `rows` trips, `empty` does nothing. `boletim_s` is from a file's
    landing to its answer.
    """

    rows: int
    ours_s: float
    ours_work_s: float
    empty_s: float
    empty_work_s: float
    boletim_s: float

    @property
    def overhead(self) -> float:
        """Ours over the empty run, whole."""
        return self.ours_s / self.empty_s


def launched(folder: Path, rows_a_day: int, repeats: int) -> Launched:
    """Launch `repeats` runs of each, and as many boletins; raises where an hour or an answer is not there."""
    from dagster_graphql import DagsterGraphQLClient

    with serving(rows_a_day) as url, _dagster(folder, url) as port:
        client = DagsterGraphQLClient("127.0.0.1", port_number=port)
        found: dict[str, list[tuple[float, float]]] = {"ours": [], "nothing": []}
        for hour in range(repeats + 1):
            for place, job in (("ours", "telemetry_job_main"), ("nothing", "nothing_job")):
                tags = {"dagster/partition": f"{START:%Y-%m-%d}-{hour:02}:00"}
                run = client.submit_job_execution(job, repository_location_name=place, tags=tags)
                found[place].append(_times(folder / "home", run))
        boletins = [_boletim(folder / "inbox", number) for number in range(repeats)]
    served = [rows_of_hour(rows_a_day, START.hour + hour) for hour in range(repeats + 1)]
    written = rows_in(folder / f"lake/telemetry_trips/fonte=main/data={START:%Y-%m-%d}")
    expect("objects and rows of launched runs", written, (repeats + 1, sum(served)))
    # The first of each finds nothing in the page cache.
    middles = [median(took[i] for took in found[place][1:]) for place in ("ours", "nothing") for i in (0, 1)]
    return Launched(sum(served[1:]) // repeats, *middles, median(boletins))


def _boletim(inbox: Path, number: int) -> float:
    """Seconds from a boletim's landing to its answer."""
    inbox.mkdir(exist_ok=True)
    name, began = f"garagem-{number}", time.monotonic()
    write_csv(inbox / f"{name}.csv", trips(_BOLETIM_ROWS, first=_BOLETIM_ROWS * number))
    while not list((inbox / "archive/accepted").glob(f"{name}*_resposta.json")):
        if time.monotonic() - began > _PATIENCE_S:
            raise RuntimeError(f"{name} has no answer after {_PATIENCE_S} s")
        time.sleep(0.1)
    return time.monotonic() - began


def _times(home: Path, run_id: str) -> tuple[float, float]:
    """Seconds of a run when it has ended, from its launch and from its start, as Dagster notes them."""
    import dagster as dg

    with dg.DagsterInstance.from_config(str(home)) as instance:
        began = time.monotonic()
        while not (record := instance.get_run_record_by_id(run_id)) or not record.end_time:
            if time.monotonic() - began > _PATIENCE_S:
                raise RuntimeError(f"run {run_id} has not ended after {_PATIENCE_S} s")
            time.sleep(0.1)
        expect(f"status of {run_id}", record.dagster_run.status, dg.DagsterRunStatus.SUCCESS)
        [launch] = instance.all_logs(run_id, of_type=dg.DagsterEventType.PIPELINE_STARTING)
        assert record.start_time
        return record.end_time - launch.timestamp, record.end_time - record.start_time


@contextmanager
def _dagster(folder: Path, url: str) -> Iterator[int]:
    """Dagster's webserver, daemon and the two code servers; the webserver's port."""
    home = folder / "home"
    home.mkdir(parents=True)
    shutil.copy(HERE.parent / "dagster.yaml", home)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    ours = {"module_name": "telemetria_pipeline.definitions", "location_name": "ours"}
    empty = {"relative_path": str(HERE / "nothing.py"), "location_name": "nothing"}
    workspace = folder / "workspace.yaml"
    workspace.write_text(yaml.safe_dump({"load_from": [{"python_module": ours}, {"python_file": empty}]}))
    environment = ENVIRON | {
        "DAGSTER_HOME": str(home),
        "TELEMETRIA_LAKE": f"file:{(folder / 'lake').resolve()}",
        "TELEMETRIA_INBOX": f"file:{(folder / 'inbox').resolve()}",
        "TELEMETRIA_API_URL": url,
        "TELEMETRIA_API_TOKEN": TOKEN,
        "TELEMETRIA_API_PROFILE": "simulator",
        "TELEMETRIA_TIMEZONE": "America/Sao_Paulo",
        "TELEMETRIA_START": f"{START:%Y-%m-%d}",
        "TELEMETRIA_RECAPTURE_DAYS": "1",  # the sensors look as ever, and find little
    }
    command = [str(Path(sys.executable).parent / "dagster"), "dev", "-w", str(workspace),
               "-h", "127.0.0.1", "-p", str(port)]  # fmt: skip
    with (folder / "dagster.log").open("w") as log:
        process = subprocess.Popen(
            command, env=environment, stdout=log, stderr=log, cwd=folder, start_new_session=True
        )
        try:
            began = time.monotonic()
            while not _answers(port):
                if process.poll() is not None or time.monotonic() - began > _PATIENCE_S:
                    raise RuntimeError(
                        f"Dagster did not start:\n{(folder / 'dagster.log').read_text()[-3000:]}"
                    )
                time.sleep(0.2)
            yield port
        finally:
            every = [*psutil.Process(process.pid).children(recursive=True), process]
            process.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                process.wait(60)
            for left in every:  # a run outlives what launched it
                with suppress(psutil.NoSuchProcess):
                    left.kill()
            process.wait()


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def print_launched(found: Launched) -> None:
    """The table, and the ratio."""
    print(
        "\nA run as the daemon launches it, s:                 all    after its start"
        f"\n  an hour of {found.rows:6,} trips, as scheduled    {found.ours_s:10.2f}{found.ours_work_s:10.2f}"
        f"\n  an hour of an asset that does nothing      {found.empty_s:10.2f}{found.empty_work_s:10.2f}"
        f"\n  ratio                                      {found.overhead:10.2f}"
        f"\nA boletim of {_BOLETIM_ROWS} rows from its landing to its answer, with the sensor on"
        f" {found.boletim_s:.1f} s"
    )


def launched_aims(found: Launched) -> list[tuple[str, float, float, bool]]:
    """What is aimed at: what, the figure, the aim, and whether the aim is a maximum."""
    return [
        ("hourly run / empty run", found.overhead, AIM_OVERHEAD, True),
        ("seconds from a boletim's landing to its answer", found.boletim_s, AIM_BOLETIM_S, True),
    ]
