"""`telemetria storage init`: the folders and buckets that the lake and the inbox need.

Run again it changes nothing, and it takes nothing back that somebody has set otherwise on purpose: an
encryption with a key of one's own stays, other people's lifecycle rules stay, a longer retention stays.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from telemetria_pipeline.storage.object_store import (
    Bucket,
    StorageError,
    drop_empty_aws_variables,
    explain,
    make_folder,
    parse_address,
)

LAKE = "TELEMETRIA_LAKE"
RAW_PREFIXES = ("raw_telemetry", "raw_boletins")
RAW_DAYS = 731  # 24 months, a leap day included
SUPERSEDED_DAYS = 30  # how long a raw object that was deleted or expired can still be brought back
UPLOAD_DAYS = 7

_PRIVATE = {
    "BlockPublicAcls": True,
    "IgnorePublicAcls": True,
    "BlockPublicPolicy": True,
    "RestrictPublicBuckets": True,
}
# What S3-compatible servers answer where they lack a feature.
_NOT_OFFERED = {"NotImplemented", "MethodNotAllowed", "XNotImplemented", "501", "405"}


def init_storage(addresses: Mapping[str, str]) -> list[str]:
    """Set up every address (variable -> `file:…` or `s3://…`); lines that say what it changed or found.

    A folder is made. A bucket is made if missing, versioned, encrypted and closed to the public; the
    lake's raw prefixes get a lifecycle of 24 months. Raises `StorageError` when one cannot be set up.
    """
    lines = []
    for variable, address in addresses.items():
        place = parse_address(address)
        steps = _folder(place) if isinstance(place, Path) else _bucket(place, is_lake=variable == LAKE)
        lines += [f"{variable} {address}: {line}" for line in steps]
    if not any(": changed: " in line for line in lines):
        lines.append("Nothing changed: the storage is set up.")
    return lines


def forget_versions(uris: Iterable[str]) -> int:
    """Delete what a versioned bucket keeps of these objects (`s3://bucket/key`) beside what is there now.

    How many versions were deleted; an object in a folder has none. Raises `StorageError`.
    """
    found = map(parse_address, (uri for uri in uris if uri.startswith("s3://")))
    places = [place for place in found if isinstance(place, Bucket)]
    if not places:
        return 0
    from botocore.exceptions import BotoCoreError, ClientError
    from dagster_aws.s3 import S3Resource

    drop_empty_aws_variables()
    s3, gone = S3Resource(region_name=os.environ.get("AWS_REGION")).get_client(), 0
    for bucket, key in places:
        try:
            pages = s3.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=key)
            kept = [
                v
                for page in pages
                for kind in ("Versions", "DeleteMarkers")
                for v in page.get(kind, [])
                if v["Key"] == key
            ]
            newest = next((v["VersionId"] for v in kept if v["IsLatest"] and "ETag" in v), None)
            for version in kept:
                if version["VersionId"] != newest:
                    s3.delete_object(Bucket=bucket, Key=key, VersionId=version["VersionId"])
                    gone += 1
        except (ClientError, BotoCoreError) as error:
            raise explain(f"s3://{bucket}/{key}", str(error)) from None
    return gone


def _folder(folder: Path) -> Iterator[str]:
    if folder.is_dir():
        yield f"unchanged: the folder {folder} exists"
        if folder.stat().st_mode & 0o077:
            yield (
                f"warning: others on this machine may enter {folder}, which holds names and trips of people: "
                f"unless it is shared on purpose, close it with chmod 700 {folder}"
            )
        return
    try:
        make_folder(folder)
    except OSError as error:
        raise StorageError(
            f"the folder {folder} cannot be made ({error.strerror}): check the path and who owns it"
        ) from error
    yield f"changed: made the folder {folder}"


def _bucket(bucket: Bucket, is_lake: bool) -> Iterator[str]:
    # boto3 and dagster-aws cost a second to import; only this command pays it.
    from botocore.exceptions import BotoCoreError, ClientError
    from dagster_aws.s3 import S3Resource

    drop_empty_aws_variables()
    try:
        s3 = S3Resource(region_name=os.environ.get("AWS_REGION")).get_client()
        yield _exists(s3, bucket.name)
        yield _versioned(s3, bucket.name)
        for step in (_encrypted, _private):
            try:
                yield step(s3, bucket.name)
            except ClientError as error:
                if _code(error) not in _NOT_OFFERED:
                    raise
                yield f"unchanged: this server does not offer {error.operation_name}"
        if is_lake:
            yield from _lifecycle(s3, bucket)
    except ClientError as error:
        cause = f"{_code(error)}: {error.response['Error'].get('Message', '')} ({error.operation_name})"
        raise explain(f"s3://{bucket.name}", cause) from None
    except (BotoCoreError, ValueError) as error:
        raise explain(f"s3://{bucket.name}", str(error)) from None


def _exists(s3: Any, name: str) -> str:
    region = s3.meta.region_name
    if (found := _ask(s3.head_bucket, name, "404")) is not None:
        return f"unchanged: the bucket exists in {found.get('BucketRegion', region)}"
    # us-east-1 is the one region that must not be named.
    where = {} if region in (None, "us-east-1", "aws-global") else {"LocationConstraint": region}
    s3.create_bucket(Bucket=name, **({"CreateBucketConfiguration": where} if where else {}))
    return f"changed: made the bucket in {region or 'us-east-1'}"


def _versioned(s3: Any, name: str) -> str:
    if s3.get_bucket_versioning(Bucket=name).get("Status") == "Enabled":
        return "unchanged: versioning is on"
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    return "changed: versioning on"


def _encrypted(s3: Any, name: str) -> str:
    found = _ask(s3.get_bucket_encryption, name, "ServerSideEncryptionConfigurationNotFoundError")
    if found is not None:
        rule = found["ServerSideEncryptionConfiguration"]["Rules"][0]
        return f"unchanged: encrypted with {rule['ApplyServerSideEncryptionByDefault']['SSEAlgorithm']}"
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    s3.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration={"Rules": [rule]})
    return "changed: encryption on (SSE-S3, AES256)"


def _private(s3: Any, name: str) -> str:
    found = _ask(s3.get_public_access_block, name, "NoSuchPublicAccessBlockConfiguration")
    if found is not None and found["PublicAccessBlockConfiguration"] == _PRIVATE:
        return "unchanged: closed to the public"
    s3.put_public_access_block(Bucket=name, PublicAccessBlockConfiguration=_PRIVATE)
    return "changed: closed to the public"


def _lifecycle(s3: Any, bucket: Bucket) -> Iterator[str]:
    found = _ask(s3.get_bucket_lifecycle_configuration, bucket.name, "NoSuchLifecycleConfiguration") or {}
    rules = found.get("Rules", [])
    by_id = {rule.get("ID"): rule for rule in rules}
    added = []
    for prefix in ("/".join(filter(None, (bucket.prefix, raw))) + "/" for raw in RAW_PREFIXES):
        rule = _raw_rule(prefix)
        if kept := by_id.get(rule["ID"]):
            days = kept.get("Expiration", {}).get("Days", "no")
            yield f"unchanged: {prefix} has its rule {kept['ID']} ({kept['Status']}, {days} days)"
        else:
            added.append(rule)
            yield (
                f"changed: {prefix} expires after {RAW_DAYS} days (24 months), its old versions "
                f"{SUPERSEDED_DAYS} days later"
            )
    if added:
        # The whole configuration is replaced by a put, this setting of it too.
        size = "TransitionDefaultMinimumObjectSize"
        s3.put_bucket_lifecycle_configuration(
            Bucket=bucket.name,
            LifecycleConfiguration={"Rules": [*rules, *added]},
            **({size: found[size]} if size in found else {}),
        )


def _raw_rule(prefix: str) -> dict[str, Any]:
    return {
        "ID": f"telemetria {prefix}",
        "Status": "Enabled",
        "Filter": {"Prefix": prefix},
        "Expiration": {"Days": RAW_DAYS},
        "NoncurrentVersionExpiration": {"NoncurrentDays": SUPERSEDED_DAYS},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": UPLOAD_DAYS},
    }


def _ask(call: Any, name: str, absent: str) -> dict[str, Any] | None:
    """The bucket's configuration; None when the server answers with the code that says there is none."""
    from botocore.exceptions import ClientError

    try:
        return call(Bucket=name)
    except ClientError as error:
        if _code(error) == absent:
            return None
        raise


def _code(error: Any) -> str:
    return str(error.response["Error"]["Code"])
