"""The S3 server of the tests, for a program that is no test."""

import os
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import boto3
from werkzeug.serving import make_server

from telemetria_pipeline_tests.conftest import REGION, SECRET, S3Server, _Quiet


@contextmanager
def s3_server() -> Iterator[SimpleNamespace]:
    """A server with a bucket, and the environment that reaches it."""
    app = S3Server()
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Quiet)
    app.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    os.environ |= {
        "AWS_ENDPOINT_URL_S3": app.url, "AWS_ACCESS_KEY_ID": "AKIDTESTE", "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_REGION": REGION, "AWS_EC2_METADATA_DISABLED": "true", "NO_PROXY": "127.0.0.1",
    }  # fmt: skip
    client, bucket = boto3.client("s3", region_name=REGION), f"faults-{uuid.uuid4().hex[:12]}"
    client.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    yield SimpleNamespace(server=app, client=client, bucket=bucket)
    server.shutdown()
