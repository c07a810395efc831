"""Planted secrets, whatever fails and whoever echoes them: in nothing that is stored, logged or shown."""

import base64
import html
import json
import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from urllib.parse import quote, quote_plus

import dagster as dg
import pytest
import zstandard
from click.testing import CliRunner

from telemetria_pipeline.cli import main
from telemetria_pipeline.contracts.reference import CONTRACTS, VEHICLES
from telemetria_pipeline.definitions import build_definitions
from telemetria_pipeline.settings import Settings
from telemetria_pipeline.simulator import Fleet, Simulator
from telemetria_pipeline.steps.cycle import bill_cycle, close_cycle
from telemetria_pipeline.steps.intake import landed_files
from telemetria_pipeline.steps.people import KEY, PEOPLE
from telemetria_pipeline.storage import Lake, ObjectStore
from telemetria_pipeline_tests.carriers.conftest import Answer, Server
from telemetria_pipeline_tests.core.billing.bills import CYCLE, terms, vehicle
from telemetria_pipeline_tests.core.boletim.rows import csv_of, trip
from telemetria_pipeline_tests.defs.conftest import AFTER_THE_DAY, DAY, Pipeline, hour_key
from telemetria_pipeline_tests.defs.cycles import AFTER, put

SECRETS = {
    "TELEMETRIA_API_TOKEN": 'tok3n"/+&=<1>',
    "TELEMETRIA_PSEUDONYM_KEY": "pseud0nimo:ção/+=\\",
    "TELEMETRIA_SEAL_KEY": "sel0'&é%41/+=",
    "AWS_ACCESS_KEY_ID": "AKIDplantadoAQUI",
    "AWS_SECRET_ACCESS_KEY": "s3creto/da+nuvem==",  # not a secret
    "AWS_SESSION_TOKEN": "sess4o/+plantada==",
}
FAULTS = ("echo_token", "error_in_200", "redirect")


def forms(secret: str) -> set[str]:
    """A secret as it is, and as others write it down."""
    escaped = json.dumps(secret)[1:-1]
    return {
        *(secret, quote(secret), quote(secret, safe=""), quote_plus(secret), html.escape(secret)),
        *(escaped, escaped.replace("/", "\\/"), json.dumps(secret, ensure_ascii=False)[1:-1]),
        base64.b64encode(secret.encode()).decode().rstrip("="),
    }


def bodies(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Every file, unpacked."""
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        body = path.read_bytes()
        if path.suffix == ".zst":
            body = zstandard.ZstdDecompressor().decompress(body)
        if zipfile.is_zipfile(BytesIO(body)):
            with zipfile.ZipFile(BytesIO(body)) as package:
                yield from ((f"{path}!{name}", package.read(name)) for name in package.namelist())
        yield str(path), body


@pytest.fixture
def home(tmp_path, monkeypatch) -> Iterator[Pipeline]:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_REGION", "sa-east-1")
    monkeypatch.setenv("TELEMETRIA_LAKE", f"file:{tmp_path / 'lake'}")
    monkeypatch.setenv("TELEMETRIA_INBOX", f"file:{tmp_path / 'inbox'}")
    monkeypatch.setenv("TELEMETRIA_HOUR_RETRIES", "0")
    (tmp_path / "home").mkdir()
    with dg.DagsterInstance.local_temp(str(tmp_path / "home")) as instance:
        yield Pipeline(instance, Lake.open(f"file:{tmp_path / 'lake'}"), tmp_path)


def run(home: Pipeline, job: str, **where: object) -> bool:
    found = build_definitions().resolve_job_def(job)
    return found.execute_in_process(instance=home.instance, raise_on_error=False, **where).success


def take_in(home: Pipeline, inbox: ObjectStore, name: str, body: bytes) -> str:
    inbox.put(name, body)
    file = next(f.file_id for f in landed_files(inbox) if f.key == name)
    home.instance.add_dynamic_partitions("boletim_files", [file])
    return file


def test_no_planted_secret_is_in_anything_that_is_left(home, monkeypatch, caplog, capfd):
    token = SECRETS["TELEMETRIA_API_TOKEN"]
    for fault in (*FAULTS, None):
        with Simulator(Fleet(11, vehicles=3), token=token, as_of=AFTER_THE_DAY) as carrier:
            monkeypatch.setenv("TELEMETRIA_API_URL", carrier.url)
            carrier.inject(*[fault] * 12)
            assert home.run(hour_key(6)).success == (fault is None)
    said = [form for name, value in SECRETS.items() if name.startswith("AWS_") for form in forms(value)]
    echo = f"<Error><Code>AccessDenied</Code><Message>{' '.join(said)}</Message></Error>"
    cloud = Server(lambda asked: Answer(echo.encode(), 403))
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", cloud.url)
    inbox = ObjectStore.open(f"file:{home.folder}/inbox")
    good = take_in(home, inbox, "bom.csv", csv_of(trip(DATA="10/03/2026")))
    bad = take_in(home, inbox, "ruim.csv", csv_of(trip(PLACA="???")))
    monkeypatch.setenv("TELEMETRIA_INBOX", "s3://balde/entrada")
    assert not run(home, "boletim_job", partition_key=good)
    shown = CliRunner().invoke(main, ["storage", "init"])
    assert shown.exit_code == 1
    monkeypatch.setenv("TELEMETRIA_INBOX", f"file:{home.folder}/inbox")
    assert run(home, "boletim_job", partition_key=good)
    run(home, "boletim_job", partition_key=bad)
    cloud.close()
    assert run(home, "audit_job", partition_key=DAY)
    put(home.lake, VEHICLES, vehicle())
    put(home.lake, CONTRACTS, terms())
    settings = Settings.load()
    bill_cycle(home.lake, CYCLE, settings)
    close_cycle(home.lake, CYCLE, settings, AFTER, despite="teste")

    texts = list(bodies(home.folder))
    names = "\n".join(name for name, _ in texts)
    for kind in (".db", ".parquet", ".zst", "_resposta.xlsx", "closing.json", PEOPLE, "reports/"):
        assert kind in names, kind
    assert KEY not in names  # it is configured, and so stored nowhere
    out = capfd.readouterr()
    texts += [("log", caplog.text.encode()), ("output", (out.out + out.err + shown.output).encode())]
    texts += [("settings", repr(settings).encode())]
    found = {
        (name, variable)
        for name, body in texts
        for variable, secret in SECRETS.items()
        if any(form.encode() in body for form in forms(secret))
    }
    assert not found
    assert any(hour_key(6).encode() in body for _, body in texts)
