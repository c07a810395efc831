import json
import socket
import subprocess
import sys
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from telemetria_pipeline.storage import (
    LockLost,
    ObjectExists,
    ObjectNotFound,
    ObjectStore,
    StorageError,
    object_store,
)
from telemetria_pipeline.storage.object_store import Bucket, parse_address

SECRET = "segredo-que-nao-pode-aparecer"


def told(error: BaseException) -> str:
    """All that a log or Dagster's UI would show of an error."""
    return "".join(traceback.format_exception(error))


class TestFolderAndS3:
    def test_what_is_put_is_got(self, store):
        body = bytes(range(256)) * 100
        info = store.put("viagens/data=2026-11-22/a.bin", body)
        assert store.get("viagens/data=2026-11-22/a.bin") == body
        assert (info.key, info.size) == ("viagens/data=2026-11-22/a.bin", len(body))

    def test_empty_objects_and_objects_above_a_multipart_chunk(self, store):
        large = b"0123456789abcdef" * 500_000
        store.put("vazio", b"")
        store.put("grande", large)
        assert store.get("vazio") == b""
        assert store.get("grande") == large

    def test_a_put_replaces_and_the_etag_tells(self, store):
        first = store.put("a", b"um")
        second = store.put("a", b"dois")
        assert store.get("a") == b"dois"
        assert first.etag != second.etag
        (listed,) = store.list()
        assert listed.etag == second.etag

    def test_put_new_never_replaces(self, store):
        store.put_new("cru/a", b"um")
        with pytest.raises(ObjectExists, match=r"lago/um/cru/a exists already"):
            store.put_new("cru/a", b"dois")
        assert store.get("cru/a") == b"um"

    def test_of_two_who_create_at_once_one_wins(self, store):
        def create(n: int) -> int | None:
            try:
                store.put_new("cru/disputado", str(n).encode() * 1000)
            except ObjectExists:
                return None
            return n

        with ThreadPoolExecutor(4) as pool:
            winners = [n for n in pool.map(create, range(4)) if n is not None]
        assert len(winners) == 1
        assert store.get("cru/disputado") == str(winners[0]).encode() * 1000

    def test_absent_objects(self, store):
        for _ in range(2):  # before anything was written, and after
            with pytest.raises(ObjectNotFound, match=r"lago/um/cru/nada does not exist"):
                store.get("cru/nada")
            assert not store.exists("cru/nada")
            store.delete("cru/nada")
            assert list(store.list("cru")) == []
            store.put("outro", b"x")

    def test_a_deleted_object_is_gone(self, store):
        store.put("a/b", b"x")
        assert store.exists("a/b")
        store.delete("a/b")
        assert not store.exists("a/b")
        assert list(store.list()) == []

    def test_a_folder_of_objects_is_not_an_object(self, store):
        store.put("a/b", b"x")
        assert not store.exists("a")
        with pytest.raises(ObjectNotFound):
            store.get("a")

    def test_the_list_is_sorted_and_cut_at_whole_segments(self, store):
        for key in ("b", "raw/2", "raw/10", "raw/1/x", "raw_boletins/1", "raw/ção e.json"):
            store.put(key, key.encode())
        assert [i.key for i in store.list("raw")] == ["raw/1/x", "raw/10", "raw/2", "raw/ção e.json"]
        assert [i.key for i in store.list("raw/")] == [i.key for i in store.list("raw")]
        everything = list(store.list())
        assert [i.key for i in everything] == sorted(i.key for i in everything)
        assert len(everything) == 6
        one = next(store.list("b"), None) or everything[0]
        assert one.size == 1
        assert abs(datetime.now(UTC) - one.modified) < timedelta(minutes=1)

    def test_a_folder_can_be_left_out_of_the_listing(self, store):
        for key in ("archive/old", "archive/x/old", "b", "depot/archive/c", "depot/d", "archive.csv"):
            store.put(key, b"1")
        assert [i.key for i in store.list(skip="archive")] == [
            "archive.csv",
            "b",
            "depot/archive/c",
            "depot/d",
        ]
        assert [i.key for i in store.list("depot", skip="archive")] == ["depot/d"]
        assert [i.key for i in store.list("nowhere", skip="archive")] == []

    def test_info_tells_what_the_listing_tells(self, store):
        store.put("a/b", b"123")
        assert store.info("a/b") == next(store.list("a"))
        with pytest.raises(ObjectNotFound):
            store.info("a/c")

    def test_more_objects_than_a_page_of_the_listing(self, store, address):
        n = 1_050 if address.startswith("s3:") else 100  # a page of S3 holds 1,000
        for i in range(n):
            store.put(f"muitos/{i}", b"x")
        assert len(list(store.list("muitos"))) == n

    @pytest.mark.parametrize("key", ["a/../../fora", "a//b", "../fora"])
    def test_a_key_cannot_leave_the_store(self, store, key):
        with pytest.raises(StorageError, match="cannot be a key"):
            store.put(key, b"x")

    def test_uris_can_be_pasted(self, store, address):
        expected = address.removeprefix("file:")
        assert store.uri() == expected
        assert store.uri("a/b.parquet") == f"{expected}/a/b.parquet"

    def test_two_prefixes_do_not_see_each_other(self, store, address):
        other = ObjectStore.open(address.replace("lago/um", "lago/umbral"))
        other.put("x", b"")
        assert list(store.list()) == []


class TestAddresses:
    @pytest.mark.parametrize(
        ("address", "place"),
        [
            ("file:/dados/lago", Path("/dados/lago")),
            ("file:///dados/lago", Path("/dados/lago")),
            ("s3://balde", Bucket("balde", "")),
            ("s3://balde/", Bucket("balde", "")),
            ("s3://balde/lago/um/", Bucket("balde", "lago/um")),
        ],
    )
    def test_absolute(self, address, place):
        assert parse_address(address) == place

    def test_relative_and_home(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("HOME", "/casa")
        assert parse_address("file:./data/lake") == tmp_path / "data/lake"
        assert parse_address("file:data") == tmp_path / "data"
        assert parse_address("file:~/lago") == Path("/casa/lago")

    @pytest.mark.parametrize(
        "address",
        ["", "/lago", "file:", "file://", "file://servidor/lago", "s3:", "s3://", "s3:///x", "gs://b"],
    )
    def test_anything_else_is_told_what_to_write(self, address):
        with pytest.raises(StorageError, match=r"write file:\./folder, .* or s3://bucket/prefix"):
            ObjectStore.open(address)


class TestFolder:
    def test_the_folder_is_made_by_the_first_write_only(self, tmp_path):
        store = ObjectStore.open(f"file:{tmp_path}/novo")
        assert not store.exists("a")
        list(store.list())
        store.delete("a")
        assert not (tmp_path / "novo").exists()
        store.put("a/b", b"x")
        assert (tmp_path / "novo/a/b").read_bytes() == b"x"

    def test_what_a_killed_write_left_is_not_listed_nor_in_the_way(self, tmp_path):
        store = ObjectStore.open(f"file:{tmp_path}")
        store.put("a/part-0.parquet", b"velho")
        (tmp_path / "a/part-0.parquet#1").write_bytes(b"met")
        assert [i.key for i in store.list()] == ["a/part-0.parquet"]
        store.put("a/part-0.parquet", b"novo")
        assert store.get("a/part-0.parquet") == b"novo"

    def test_a_folder_that_cannot_be_written_is_told(self, tmp_path):
        (tmp_path / "lago").write_text("a file where the folder should be")
        with pytest.raises(StorageError, match=r"lago.*Check the folder's owner"):
            ObjectStore.open(f"file:{tmp_path}/lago").put("a", b"x")


def refuse(status: str, code: str, message: str = "no", more: str = ""):
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{message}</Message>{more}</Error>"
    return lambda environ: (status, body)


class TestS3:
    def test_opening_asks_nobody(self, s3, monkeypatch):
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{s3.url}/papel")
        ObjectStore.open(s3.address)
        assert s3.server.requests == []

    def test_the_key_lies_under_the_prefix(self, s3):
        ObjectStore.open(s3.address).put("a/b", b"x")
        listed = s3.client.list_objects_v2(Bucket=s3.bucket)["Contents"]
        assert [o["Key"] for o in listed] == ["lago/um/a/b"]

    def test_a_bucket_without_prefix(self, s3):
        store = ObjectStore.open(f"s3://{s3.bucket}")
        store.put("a", b"x")
        assert store.uri("a") == f"s3://{s3.bucket}/a"
        assert [i.key for i in store.list()] == ["a"]

    def test_folders_made_in_the_console_are_not_listed_but_empty_files_are(self, s3):
        for key in ("lago/um/", "lago/um/2026/", "lago/um/2026/vazio.csv", "lago/um/vazio.csv"):
            s3.client.put_object(Bucket=s3.bucket, Key=key, Body=b"")
        found = [i.key for i in ObjectStore.open(s3.address).list()]
        assert found == ["2026/vazio.csv", "vazio.csv"]

    def test_a_key_of_others_that_is_no_path_is_told(self, s3):
        s3.client.put_object(Bucket=s3.bucket, Key="lago/um/a//b", Body=b"")
        with pytest.raises(StorageError, match=r"a//b.* rename or remove it"):
            list(ObjectStore.open(s3.address).list())

    @pytest.mark.parametrize(
        "use",
        [
            lambda store: store.get("a"),
            lambda store: store.put("a", b"x"),
            lambda store: store.put_new("a", b"x"),
            lambda store: store.delete("a"),
            lambda store: list(store.list()),
        ],
        ids=["get", "put", "put_new", "delete", "list"],
    )
    def test_a_missing_bucket_names_the_command(self, s3, use):
        with pytest.raises(
            StorageError, match=r"s3://nao-existe/lago.*NoSuchBucket.*telemetria storage init"
        ) as e:
            use(ObjectStore.open("s3://nao-existe/lago"))
        assert not isinstance(e.value, ObjectNotFound)

    @pytest.mark.parametrize("code", ["AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch"])
    def test_refused_keys_name_the_variables(self, s3, code):
        s3.server.answer = refuse("403 Forbidden", code)
        store = ObjectStore.open(s3.address)
        for use in (lambda: store.get("a"), lambda: store.put("a", b""), lambda: list(store.list())):
            with pytest.raises(
                StorageError, match=rf"{code}: no\. Check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS"
            ):
                use()

    def test_a_clock_that_is_wrong_is_said_to_be(self, s3):
        s3.server.answer = refuse("403 Forbidden", "RequestTimeTooSkewed")
        with pytest.raises(StorageError, match=r"RequestTimeTooSkewed: no\. This machine's clock is"):
            ObjectStore.open(s3.address).get("a")

    def test_a_refused_head_names_the_variables_too(self, s3):
        s3.server.answer = lambda environ: ("403 Forbidden", "")
        with pytest.raises(StorageError, match=r"403 Forbidden.*AWS_ACCESS_KEY_ID"):
            ObjectStore.open(s3.address).exists("a")

    def test_no_secret_in_what_is_told(self, s3, monkeypatch):
        monkeypatch.setenv("AWS_SESSION_TOKEN", "ficha-da-sessao")
        more = f"<Token-0>ficha-da-sessao</Token-0><StringToSign>{SECRET}</StringToSign>"
        s3.server.answer = refuse(
            "400 Bad Request", "ExpiredToken", f"expired: {SECRET} ficha-da-sessao", more
        )
        store = ObjectStore.open(s3.address)
        for use in (lambda: store.get("a"), lambda: store.put("a", b""), lambda: list(store.list())):
            with pytest.raises(StorageError) as caught:
                use()
            assert "ExpiredToken: expired: <AWS_SECRET_ACCESS_KEY> <AWS_SESSION_TOKEN>" in str(caught.value)
            assert SECRET not in told(caught.value)
            assert "ficha-da-sessao" not in told(caught.value)

    def test_an_answer_of_another_region_names_the_region(self, s3):
        s3.server.answer = refuse("400 Bad Request", "AuthorizationHeaderMalformed", "expecting 'eu-west-1'")
        with pytest.raises(StorageError, match=r"expecting 'eu-west-1'\. .*check AWS_REGION"):
            ObjectStore.open(s3.address).get("a")

    def test_nobody_there_is_told_in_seconds(self, s3, monkeypatch):
        assert object_store._PATIENCE_S[object_store._NOBODY_THERE] < 15
        sooner(monkeypatch)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{port}")
        begun = time.monotonic()
        with pytest.raises(StorageError, match="Check the network, AWS_ENDPOINT_URL_S3"):
            ObjectStore.open(s3.address).get("a")
        assert time.monotonic() - begun < 15

    @pytest.mark.parametrize("endpoint", ["localhost:9000", "127.0.0.1"])
    def test_an_endpoint_without_scheme_is_told(self, s3, monkeypatch, endpoint):
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", endpoint)
        with pytest.raises(StorageError, match=r"AWS_ENDPOINT_URL_S3.*http://"):
            ObjectStore.open(s3.address)

    def test_the_endpoint_of_s3_comes_before_the_general_one(self, s3, monkeypatch):
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
        ObjectStore.open(s3.address).put("a", b"x")
        monkeypatch.setenv("AWS_ENDPOINT_URL", s3.url)
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "")  # empty counts as not set
        assert ObjectStore.open(s3.address).get("a") == b"x"

    @pytest.mark.parametrize("variable", ["AWS_REGION", "AWS_DEFAULT_REGION"])
    def test_keys_and_region_of_the_environment_sign(self, s3, monkeypatch, variable):
        monkeypatch.delenv("AWS_REGION")
        monkeypatch.setenv(variable, "eu-west-3")
        monkeypatch.setenv("AWS_SESSION_TOKEN", "ficha")
        ObjectStore.open(s3.address).put("a", b"x")
        assert "Credential=AKIDTESTE/" in s3.server.requests[-1]["HTTP_AUTHORIZATION"]
        assert "/eu-west-3/s3/" in s3.server.requests[-1]["HTTP_AUTHORIZATION"]
        assert s3.server.requests[-1]["HTTP_X_AMZ_SECURITY_TOKEN"] == "ficha"

    def test_keys_and_region_of_a_profile_sign(self, s3, monkeypatch, tmp_path):
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"):
            monkeypatch.delenv(name)
        (tmp_path / "aws-config").write_text("[profile usina]\nregion = us-west-2\n")
        (tmp_path / "aws-credentials").write_text(
            "[usina]\naws_access_key_id = AKIDPERFIL\naws_secret_access_key = x\n"
        )
        monkeypatch.setenv("AWS_PROFILE", "usina")
        ObjectStore.open(s3.address).put("a", b"x")
        assert "Credential=AKIDPERFIL/" in s3.server.requests[-1]["HTTP_AUTHORIZATION"]
        assert "/us-west-2/s3/" in s3.server.requests[-1]["HTTP_AUTHORIZATION"]

    def test_keys_of_a_container_role_sign(self, s3, monkeypatch):
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.delenv(name)
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{s3.url}/papel")
        role = {
            "AccessKeyId": "AKIDPAPEL",
            "SecretAccessKey": "x",
            "Token": "ficha-do-papel",
            "Expiration": (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        s3.server.answer = lambda environ: (
            ("200 OK", json.dumps(role)) if environ["PATH_INFO"] == "/papel" else None
        )
        store = ObjectStore.open(s3.address)
        store.put("a", b"x")
        store.put("b", b"x")
        assert "Credential=AKIDPAPEL/" in s3.server.requests[-1]["HTTP_AUTHORIZATION"]
        assert s3.server.requests[-1]["HTTP_X_AMZ_SECURITY_TOKEN"] == "ficha-do-papel"
        assert [r["PATH_INFO"] for r in s3.server.requests].count("/papel") == 1

    def test_no_keys_at_all_names_the_variables(self, s3, monkeypatch):
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.delenv(name)
        with pytest.raises(StorageError, match=r"redentials.*Check AWS_ACCESS_KEY_ID.*AWS_PROFILE"):
            ObjectStore.open(s3.address).get("a")

    def test_a_profile_that_does_not_exist_is_told(self, s3, monkeypatch):
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        monkeypatch.setenv("AWS_PROFILE", "ninguem")
        with pytest.raises(StorageError, match=r"ninguem.*AWS_PROFILE"):
            ObjectStore.open(s3.address)


def sooner(monkeypatch) -> None:
    """All that S3 is waited for, in a hundredth of the time."""
    monkeypatch.setattr(
        object_store, "_PATIENCE_S", {what: s / 100 for what, s in object_store._PATIENCE_S.items()}
    )
    for pause in ("_FIRST_PAUSE_S", "_LONGEST_PAUSE_S"):
        monkeypatch.setattr(object_store, pause, getattr(object_store, pause) / 100)


def hang_up(environ: dict) -> None:
    """End the connection on which the request came without an answer, as a server does that dies."""
    environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
    raise ConnectionResetError


SLOW = refuse("503 Slow Down", "SlowDown", "Please reduce your request rate")
PASSING = {
    "slow down": SLOW,
    "no body": lambda environ: ("500 Internal Server Error", ""),
    "too many": lambda environ: ("429 Too Many Requests", ""),
    "timeout": refuse("400 Bad Request", "RequestTimeout"),
    "conflict": refuse("409 Conflict", "ConditionalRequestConflict"),
    "hung up": hang_up,
}
USES = {
    "get": lambda store: store.get("a"),
    "put": lambda store: store.put("b", b"x"),
    "put_new": lambda store: store.put_new("c", b"x"),
    "put_if": lambda store: store.put_if("a", b"y", store.read("a")[1]),
    "info": lambda store: store.info("a"),
    "delete": lambda store: store.delete("a"),
    "list": lambda store: list(store.list()),
    "folders": lambda store: store.folders(""),
}


class TestWhatPasses:
    """S3 is asked again while it is busy or the line breaks, and not where it says no."""

    @pytest.fixture(autouse=True)
    def _sooner(self, monkeypatch) -> None:
        sooner(monkeypatch)

    @pytest.mark.parametrize("fault", PASSING)
    def test_each_request_is_made_again(self, s3, fault):
        store = ObjectStore.open(s3.address)
        told_in_the_body = fault in ("timeout", "conflict")  # which the answer to a HEAD has not
        for name, use in USES.items():
            if told_in_the_body and name == "info":
                continue
            store.put("a", b"x")
            left = [PASSING[fault]] * 4
            s3.server.answer = lambda environ, left=left: left.pop()(environ) if left else None
            use(store)
            assert not left

    def test_it_is_asked_for_more_than_a_minute_with_growing_pauses(self, s3):
        assert 60 <= object_store._PATIENCE_S[object_store._PASSING] * 100 <= 90
        s3.server.answer, begun = SLOW, time.monotonic()
        with pytest.raises(StorageError, match=r"SlowDown: Please .*S3 was busy .* run it again later"):
            ObjectStore.open(s3.address).put("a", b"x")
        assert 0.5 < time.monotonic() - begun < 2
        assert 6 < len(s3.server.requests) < 20

    @pytest.mark.parametrize("use", [name for name in USES if name != "info"])
    @pytest.mark.parametrize(
        ("status", "code"),
        [("403 Forbidden", "InvalidAccessKeyId"), ("404 Not Found", "NoSuchBucket")],
    )
    def test_what_will_not_pass_is_told_at_once(self, s3, use, status, code):
        s3.server.answer = refuse(status, code)
        with pytest.raises(StorageError, match=code):
            USES[use](ObjectStore.open(s3.address))
        assert len(s3.server.requests) == 1

    def test_who_lost_the_lock_while_waiting_asks_no_more(self, s3):
        def check() -> None:
            if len(s3.server.requests) == 2:
                raise LockLost("lost")

        s3.server.answer = SLOW
        with pytest.raises(LockLost):
            ObjectStore.open(s3.address).guarded(check).put("a", b"x")
        assert len(s3.server.requests) == 2

    @pytest.mark.parametrize("how", [lambda environ: True, hang_up], ids=["500", "hung up"])
    def test_an_object_whose_answer_was_lost_is_our_own(self, s3, how):
        store = ObjectStore.open(s3.address)
        s3.server.lose_answer = once(how)
        assert store.put_new("cru/a", b"um") == store.info("cru/a")
        assert [r["REQUEST_METHOD"] for r in s3.server.requests[:3]] == ["PUT", "PUT", "GET"]
        s3.server.lose_answer = once(how)
        with pytest.raises(ObjectExists):
            store.put_new("cru/a", b"dois")
        assert store.get("cru/a") == b"um"

    def test_what_an_object_is_called_is_no_advice(self, s3):
        s3.server.answer = hang_up
        with pytest.raises(StorageError, match=r"/profile\.json: .*Check the network") as told:
            ObjectStore.open(s3.address).put_new("raw/AccessDenied/profile.json", b"x")
        assert "AWS_PROFILE" not in str(told.value)


def once(how):
    """What `how` does, at the first request only."""
    left = [how]
    return lambda environ: bool(left and left.pop()(environ))


def test_importing_the_storage_costs_no_heavy_library():
    code = (
        "import sys, telemetria_pipeline.storage\n"
        "print(*sorted({m.split('.')[0] for m in sys.modules}"
        " & {'boto3', 'botocore', 'dagster', 'dagster_aws', 'pandera', 'pandas'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
