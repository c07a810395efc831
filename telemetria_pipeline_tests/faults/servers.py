"""What tries share: the S3 server of the tests, and Dagster's processes, started when a fault first asks."""

import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace, TracebackType
from typing import Self

import boto3

from telemetria_pipeline_tests.conftest import REGION, SECRET, s3_server
from telemetria_pipeline_tests.faults.daemon import Daemon
from telemetria_pipeline_tests.faults.house import House


@contextmanager
def s3_with_bucket() -> Iterator[SimpleNamespace]:
    """A server with a bucket, and the environment that reaches it."""
    with s3_server() as app:
        os.environ |= {
            "AWS_ENDPOINT_URL_S3": app.url, "AWS_ACCESS_KEY_ID": "AKIDTESTE", "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_REGION": REGION, "AWS_EC2_METADATA_DISABLED": "true", "NO_PROXY": "127.0.0.1",
        }  # fmt: skip
        client, bucket = boto3.client("s3", region_name=REGION), f"faults-{uuid.uuid4().hex[:12]}"
        client.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
        yield SimpleNamespace(server=app, client=client, bucket=bucket)


class Shared:
    """What is started once for all tries, and ended with the block."""

    def __init__(self) -> None:
        self._closing = ExitStack()
        self._folder = Path(tempfile.mkdtemp(prefix="telemetria-faults-shared-"))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._closing.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def daemon(self) -> Daemon:
        """Dagster's daemon, a step at a time."""
        return self._daemon

    @cached_property
    def _daemon(self) -> Daemon:
        return self._closing.enter_context(Daemon(self._folder))

    def house(self) -> House:
        """Dagster's own processes."""
        return self._house

    @cached_property
    def _house(self) -> House:
        return self._closing.enter_context(House(self._folder / "house"))
