"""The services that production needs; without them these tests skip, or fail where they are required."""

import os

import boto3
import pytest

from telemetria_pipeline_tests.conftest import REGION, SECRET
from telemetria_pipeline_tests.workers.production import absent_services

REQUIRED = "TELEMETRIA_REQUIRE_SERVICES"


@pytest.fixture(scope="session")
def services() -> None:
    """PostgreSQL, RabbitMQ and Redis on this machine."""
    if absent := absent_services():
        said = f"needs {', '.join(absent)}"
        if os.environ.get(REQUIRED) == "1":
            pytest.fail(f"{said}; {REQUIRED}=1 makes that a failure")
        pytest.skip(said)


@pytest.fixture(scope="module")
def s3_logs(_running) -> dict[str, str]:
    """The environment that reaches a bucket for what runs print."""
    _running.answer = lambda environ: None
    keys = {"aws_access_key_id": "AKIDTESTE", "aws_secret_access_key": SECRET}
    client = boto3.client("s3", region_name=REGION, endpoint_url=_running.url, **keys)
    client.create_bucket(Bucket="logs", CreateBucketConfiguration={"LocationConstraint": REGION})
    return {
        "AWS_ENDPOINT_URL_S3": _running.url,
        "AWS_ACCESS_KEY_ID": "AKIDTESTE",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
        "DAGSTER_LOGS_BUCKET": "logs",
    }
