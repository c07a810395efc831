import boto3
import pytest

from telemetria_pipeline.storage import Lake, StorageError, init_storage
from telemetria_pipeline.storage.buckets import RAW_DAYS, forget_versions

NOTHING = "Nothing changed: the storage is set up."
REFUSED = "<Error><Code>{}</Code><Message>no</Message></Error>"


@pytest.fixture
def new(s3):
    """Addresses of a lake and an inbox whose buckets do not exist yet, and a client to look at them with."""
    s3.lake, s3.inbox = f"{s3.bucket}-lago", f"{s3.bucket}-entrada"
    s3.addresses = {"TELEMETRIA_LAKE": f"s3://{s3.lake}/um/dois", "TELEMETRIA_INBOX": f"s3://{s3.inbox}"}
    return s3


def rules(s3, bucket: str) -> list[dict]:
    return s3.client.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]


class TestFolders:
    def test_they_are_made_once(self, tmp_path):
        addresses = {
            "TELEMETRIA_LAKE": f"file:{tmp_path}/data/lake",
            "TELEMETRIA_INBOX": f"file:{tmp_path}/data/inbox",
        }
        first = init_storage(addresses)
        assert len(first) == 2
        assert all(": changed: made the folder" in line for line in first)
        assert (tmp_path / "data/lake").is_dir()
        assert (tmp_path / "data/inbox").is_dir()
        second = init_storage(addresses)
        assert second[-1] == NOTHING
        assert all(": unchanged: " in line for line in second[:-1])

    def test_a_folder_that_cannot_be_made_is_told(self, tmp_path):
        (tmp_path / "data").write_text("")
        with pytest.raises(StorageError, match=r"data/lake cannot be made .* check the path"):
            init_storage({"TELEMETRIA_LAKE": f"file:{tmp_path}/data/lake"})

    def test_a_bad_address_is_told(self):
        with pytest.raises(StorageError, match="is not a storage address"):
            init_storage({"TELEMETRIA_LAKE": "/data/lake"})


class TestBuckets:
    def test_they_are_made_in_the_region_versioned_encrypted_and_private(self, new):
        lines = init_storage(new.addresses)
        for bucket in (new.lake, new.inbox):
            assert new.client.get_bucket_location(Bucket=bucket)["LocationConstraint"] == "sa-east-1"
            assert new.client.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
            encryption = new.client.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]
            assert encryption["Rules"][0]["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
            block = new.client.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
            assert set(block.values()) == {True}
            assert len(block) == 4
        assert sum(": changed: made the bucket in sa-east-1" in line for line in lines) == 2

    def test_the_lake_gets_a_lifecycle_for_raw_only(self, new):
        lines = init_storage(new.addresses)
        found = rules(new, new.lake)
        assert [r["Filter"] for r in found] == [
            {"Prefix": "um/dois/raw_telemetry/"},
            {"Prefix": "um/dois/raw_boletins/"},
        ]
        for rule in found:
            assert rule["Status"] == "Enabled"
            assert rule["Expiration"]["Days"] == RAW_DAYS == 731
            assert rule["NoncurrentVersionExpiration"]["NoncurrentDays"] == 30
            assert rule["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"] == 7
        assert sum("24 months" in line for line in lines) == 2
        with pytest.raises(new.client.exceptions.ClientError, match="NoSuchLifecycleConfiguration"):
            rules(new, new.inbox)

    def test_the_second_run_changes_nothing(self, new):
        assert NOTHING not in init_storage(new.addresses)
        new.server.requests.clear()
        second = init_storage(new.addresses)
        assert second[-1] == NOTHING
        assert all(": unchanged: " in line for line in second[:-1])
        assert {r["REQUEST_METHOD"] for r in new.server.requests} == {"GET", "HEAD"}

    def test_the_lake_can_be_used_at_once(self, new):
        init_storage(new.addresses)
        lake = Lake.open(new.addresses["TELEMETRIA_LAKE"])
        lake.write_json("raw_telemetry/manifest.json", {"estado": "aberta"})
        lake.write_json("raw_telemetry/manifest.json", {"estado": "capturada"})
        versions = new.client.list_object_versions(Bucket=new.lake)["Versions"]
        assert [v["Key"] for v in versions] == ["um/dois/raw_telemetry/manifest.json"] * 2

    def test_what_somebody_set_on_purpose_stays(self, s3):
        foreign = {
            "ID": "deles",
            "Status": "Enabled",
            "Filter": {"Prefix": "tmp/"},
            "Expiration": {"Days": 3},
        }
        longer = {
            "ID": "telemetria um/raw_telemetry/",
            "Status": "Enabled",
            "Filter": {"Prefix": "um/raw_telemetry/"},
            "Expiration": {"Days": 3650},
        }
        s3.client.put_bucket_lifecycle_configuration(
            Bucket=s3.bucket, LifecycleConfiguration={"Rules": [foreign, longer]}
        )
        kms = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "chave"}}
        s3.client.put_bucket_encryption(Bucket=s3.bucket, ServerSideEncryptionConfiguration={"Rules": [kms]})
        lines = init_storage({"TELEMETRIA_LAKE": f"s3://{s3.bucket}/um"})
        found = {rule["ID"]: rule for rule in rules(s3, s3.bucket)}
        assert found.keys() == {"deles", "telemetria um/raw_telemetry/", "telemetria um/raw_boletins/"}
        assert found["deles"]["Expiration"]["Days"] == 3
        assert found["telemetria um/raw_telemetry/"]["Expiration"]["Days"] == 3650
        assert any(
            "unchanged: um/raw_telemetry/ has its rule" in line and "3650 days" in line for line in lines
        )
        assert any("unchanged: encrypted with aws:kms" in line for line in lines)
        assert any("unchanged: the bucket exists" in line for line in lines)

    def test_two_lakes_in_a_bucket_and_one_at_its_top(self, s3):
        for prefix in ("/um", "/dois", ""):
            init_storage({"TELEMETRIA_LAKE": f"s3://{s3.bucket}{prefix}"})
        assert sorted(r["Filter"]["Prefix"] for r in rules(s3, s3.bucket)) == [
            "dois/raw_boletins/",
            "dois/raw_telemetry/",
            "raw_boletins/",
            "raw_telemetry/",
            "um/raw_boletins/",
            "um/raw_telemetry/",
        ]

    @pytest.mark.parametrize("region", ["us-east-1", None])
    def test_the_first_region_is_not_named(self, new, monkeypatch, region):
        monkeypatch.delenv("AWS_REGION")
        if region:
            monkeypatch.setenv("AWS_REGION", region)
        lines = init_storage(new.addresses)
        client = boto3.client("s3", region_name="us-east-1")
        assert client.get_bucket_location(Bucket=new.lake)["LocationConstraint"] is None
        assert any("made the bucket in us-east-1" in line for line in lines)

    def test_a_server_without_a_feature_is_told_and_passed_over(self, new):
        def lacks(environ: dict) -> tuple[str, str] | None:
            if environ["QUERY_STRING"] in ("publicAccessBlock", "encryption"):
                return "501 Not Implemented", REFUSED.format("NotImplemented")
            return None

        new.server.answer = lacks
        lines = init_storage(new.addresses)
        assert sum("this server does not offer GetPublicAccessBlock" in line for line in lines) == 2
        assert sum("this server does not offer GetBucketEncryption" in line for line in lines) == 2
        assert len(rules(new, new.lake)) == 2

    def test_what_is_refused_names_the_act_and_the_variables(self, new):
        new.server.answer = lambda environ: (
            ("403 Forbidden", REFUSED.format("AccessDenied"))
            if environ["QUERY_STRING"] == "versioning"
            else None
        )
        with pytest.raises(
            StorageError,
            match=r"s3://.*-lago: AccessDenied: no \(GetBucketVersioning\)\. Check AWS_ACCESS_KEY",
        ):
            init_storage(new.addresses)

    def test_a_bucket_of_somebody_else_is_told(self, new):
        new.server.answer = lambda environ: (
            ("409 Conflict", REFUSED.format("BucketAlreadyExists"))
            if environ["REQUEST_METHOD"] == "PUT"
            else None
        )
        with pytest.raises(StorageError, match=r"-lago: BucketAlreadyExists.* choose another bucket"):
            init_storage(new.addresses)

    def test_no_keys_names_the_variables(self, new, monkeypatch):
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
        with pytest.raises(StorageError, match=r"credentials.*Check AWS_ACCESS_KEY_ID"):
            init_storage(new.addresses)


def test_of_a_versioned_bucket_only_what_is_there_now_is_left(new):
    init_storage(new.addresses)
    store = Lake.open(new.addresses["TELEMETRIA_LAKE"]).store
    for key in ("a.json", "a.json.bak", "gone.json"):
        for body in (b"1", b"2", b"3"):
            store.put(key, body)
    store.delete("gone.json")
    assert forget_versions(["file:/x", "/folder/y", store.uri("a.json"), store.uri("gone.json")]) == 6
    found = new.client.list_object_versions(Bucket=new.lake)
    left = [v["Key"].removeprefix("um/dois/") for v in found["Versions"]]
    assert (left, found.get("DeleteMarkers")) == (["a.json", *["a.json.bak"] * 3], None)
    assert store.get("a.json") == b"3"
