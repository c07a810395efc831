"""The S3 server of the tests, for a program that is no test."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import boto3

from telemetria_pipeline_tests.conftest import REGION, SECRET, s3_server


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
