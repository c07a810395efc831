"""A folder and an S3-compatible server behind a real socket, so that each test runs on both."""

import os
import sqlite3
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from types import SimpleNamespace

import boto3
import pytest
from hypothesis import settings
from moto.server import DomainDispatcherApplication, create_backend_app
from sqlalchemy import Engine, event
from werkzeug.serving import WSGIRequestHandler, make_server

from telemetria_pipeline.storage import Lake, ObjectStore
from telemetria_pipeline_tests.rounds import MOST_EXAMPLES

# A busy machine is slow, not wrong: no example has to end within a time of the clock.
settings.register_profile("quick", deadline=None, max_examples=MOST_EXAMPLES // 5)
settings.register_profile("long", deadline=None, max_examples=MOST_EXAMPLES)
settings.load_profile("quick")


@event.listens_for(Engine, "connect")
def _waits_for_no_disk(connection: object, _: object) -> None:
    """Dagster keeps what a killed process wrote all the same; only the machine itself must not fail."""
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA synchronous = OFF")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A file's tests share a worker; the longest files begin first, or one would end alone.

    That S3 does what a folder does is the matter of `storage`; everything else goes over it in `make long`.
    """
    longest = ("test_demo.py", "test_golden.py", "test_file_intake.py", "test_billing.py", "test_audit.py")
    items.sort(key=lambda item: longest.index(item.path.name) if item.path.name in longest else len(longest))
    for item in items:
        parameters = getattr(item, "callspec", None)
        if parameters and parameters.params.get("address") == "s3" and item.path.parent.name != "storage":
            item.add_marker(pytest.mark.long)


SECRET = "segredo-que-nao-pode-aparecer"
REGION = "sa-east-1"


class _Quiet(WSGIRequestHandler):
    def log_request(self, *args: object) -> None:
        pass

    def handle(self) -> None:
        with suppress(OSError):  # where a test closed the line, the rest of what came is no request
            super().handle()

    def log_error(self, *args: object) -> None:
        pass


@dataclass
class S3Server:
    """moto behind a socket, with what the tests need to see and to spoil."""

    url: str = ""
    requests: list[dict] = field(default_factory=list)  # the WSGI environ of each request
    cut_uploads: int = 0  # moto answers 400 to a body that ends before its length
    upload_begun: threading.Event = field(default_factory=threading.Event)
    # Answers instead of moto when it returns (status, body).
    answer: Callable[[dict], tuple[str, str] | None] = lambda environ: None
    # Once, where it returns true: moto does what was asked, and the client is told of an error.
    lose_answer: Callable[[dict], bool] = lambda environ: False

    def calm(self) -> None:
        """Spoil nothing any more."""
        self.answer = lambda environ: None
        self.lose_answer = lambda environ: False

    def __post_init__(self) -> None:
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._one_at_a_time = threading.Lock()

    def __call__(self, environ: dict, start_response: Callable) -> object:
        self.requests.append(environ)
        if spoiled := self.answer(environ):
            start_response(spoiled[0], [("Content-Type", "application/xml")])
            return [spoiled[1].encode()]

        if environ["REQUEST_METHOD"] != "PUT":
            return self._moto(environ, start_response)
        self.upload_begun.set()

        def start(status: str, *args: object) -> object:
            self.cut_uploads += status.startswith("400")
            if self.lose_answer(environ):
                self.lose_answer = lambda environ: False
                status = "500 Internal Server Error"
            return start_response(status, *args)

        if not environ.keys() & {"HTTP_IF_MATCH", "HTTP_IF_NONE_MATCH"}:
            return self._moto(environ, start)
        with self._one_at_a_time:  # S3 compares and writes in one step, moto's threads in two
            return self._moto(environ, start)


@contextmanager
def s3_server() -> Iterator[S3Server]:
    """The server, while the block lasts."""
    app = S3Server()
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Quiet)
    app.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield app
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="session")
def _running() -> Iterator[S3Server]:
    with s3_server() as app:
        yield app


@pytest.fixture
def no_aws(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    """An environment that knows nothing of AWS, whatever the machine is set up for."""
    for name in [n for n in os.environ if n.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "aws-config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "aws-credentials"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def s3(_running: S3Server, no_aws: None, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A fresh bucket on the server, the `AWS_…` variables that reach it, and boto3 to look behind."""
    _running.calm()
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", _running.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDTESTE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_REGION", REGION)
    client = boto3.client("s3", region_name=REGION)
    bucket = f"teste-{uuid.uuid4().hex[:12]}"
    client.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    _running.requests.clear()
    _running.upload_begun.clear()
    _running.cut_uploads = 0
    return SimpleNamespace(
        server=_running, client=client, bucket=bucket, address=f"s3://{bucket}/lago/um", url=_running.url
    )


@pytest.fixture(params=["folder", "s3"])
def address(request: pytest.FixtureRequest, tmp_path) -> str:
    if request.param == "folder":
        return f"file:{tmp_path}/lago/um"
    return request.getfixturevalue("s3").address


@pytest.fixture
def store(address: str) -> ObjectStore:
    return ObjectStore.open(address)


@pytest.fixture
def lake(address: str) -> Lake:
    return Lake.open(address)
