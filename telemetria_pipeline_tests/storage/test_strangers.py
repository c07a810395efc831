"""What strangers leave in the inbox: whatever a name is like, the files beside it are seen."""

import os
from pathlib import Path

import pytest

from telemetria_pipeline.storage import ObjectNotFound, ObjectStore, StorageError, strangers
from telemetria_pipeline.storage.object_store import ObjectChanged
from telemetria_pipeline.storage.strangers import look_into


@pytest.fixture
def folder(tmp_path) -> Path:
    (tmp_path / "archive").mkdir()
    (tmp_path / "archive" / "old.csv").write_text("old")
    (tmp_path / "depot").mkdir()
    (tmp_path / "depot" / "good.csv").write_text("good")
    return tmp_path


def seen(folder: Path) -> tuple[list[str], dict[str, str]]:
    found = look_into(ObjectStore.open(f"file:{folder}"), skip="archive")
    return [o.key for o in found.objects], found.unusable


@pytest.mark.parametrize(
    ("name", "escaped", "why"),
    [
        (b"a\nb.csv", r"a\nb.csv", "has a control character in its name"),
        (b"a\tb.csv", r"a\tb.csv", "has a control character in its name"),
        (b"a\rb.csv", r"a\rb.csv", "has a control character in its name"),
        (b"a\x7fb.csv", r"a\x7fb.csv", "has a control character in its name"),
        (b"mar\xe7o.csv", r"mar\xe7o.csv", "has a name that is not UTF-8"),
        ("março\n.csv".encode(), r"março\n.csv", "has a control character in its name"),
        (b"new\nfolder/a.csv", r"new\nfolder/a.csv", "has a control character in its name"),
    ],
)
def test_a_name_that_cannot_be_a_key_is_named_and_stops_nobody(folder, name, escaped, why):
    path = folder / os.fsdecode(name)
    path.parent.mkdir(exist_ok=True)
    path.touch()
    assert seen(folder) == (["depot/good.csv"], {escaped: why})


def test_no_link_is_followed(folder, tmp_path_factory):
    secret = tmp_path_factory.mktemp("elsewhere") / "secret.csv"
    secret.write_text("secret")
    (folder / "one.csv").symlink_to(secret)
    (folder / "elsewhere").symlink_to(secret.parent)
    (folder / "nowhere.csv").symlink_to(folder / "gone.csv")
    (folder / "depot" / "up").symlink_to(folder)
    (folder / "loop1").symlink_to(folder / "loop2")
    (folder / "loop2").symlink_to(folder / "loop1")
    os.mkfifo(folder / "pipe.csv")
    keys, unusable = seen(folder)
    assert keys == ["depot/good.csv"]
    links = ["one.csv", "elsewhere", "nowhere.csv", "depot/up", "loop1", "loop2"]
    assert unusable == {**dict.fromkeys(links, "is a symbolic link"), "pipe.csv": "is no file"}


def test_the_keys_etags_and_times_are_those_of_the_store(folder):
    (folder / "Boletim março [1].csv").write_text("x")
    store = ObjectStore.open(f"file:{folder}")
    listed = [o for o in store.list() if not o.key.startswith("archive/")]
    assert look_into(store, skip="archive").objects == listed


def test_a_folder_that_is_not_there_yet_is_empty(tmp_path):
    assert seen(tmp_path / "inbox") == ([], {})


@pytest.mark.parametrize(
    "odd", ["a\tb.csv", "a\x7fb.csv", "a//b.csv", "x/../b.csv", "//x.csv", "a/../../evil.csv"]
)
def test_on_s3(s3, odd):
    store = ObjectStore.open(f"{s3.address}/inbox")
    for key in ("depot/good.csv", "b.csv", "archive/old.csv"):
        store.put(key, key.encode())
    before = look_into(store, skip="archive")
    assert [o.key for o in before.objects] == ["b.csv", "depot/good.csv"]
    s3.client.put_object(Bucket=s3.bucket, Key=f"lago/um/inbox/{odd}", Body=b"x")
    after = look_into(store, skip="archive")
    assert after.objects == before.objects
    assert list(after.unusable) == [odd.encode("unicode_escape").decode()]


def test_on_s3_what_is_no_odd_name_is_still_an_error(s3):
    with pytest.raises(StorageError, match="storage init"):
        look_into(ObjectStore.open("s3://no-such-bucket-at-all/inbox"), skip="archive")


def test_a_name_of_half_written_files_is_named_in_a_folder(folder):
    (folder / "ata #12").write_text("x")
    assert seen(folder) == (["depot/good.csv"], {"ata #12": "has a name that ends in # and a number"})


def test_what_is_written_read_moved_and_removed(store):
    strangers.write(store, "depot/b.csv", b"one")
    strangers.write(store, "depot/b.csv", b"two")
    info = strangers.look_at(store, "depot/b.csv")
    assert (info, strangers.read(store, "depot/b.csv", info.etag)) == (store.info("depot/b.csv"), b"two")
    with pytest.raises(ObjectChanged):
        strangers.read(store, "depot/b.csv", '"another"')
    strangers.move(store, "depot/b.csv", "archive/um/b.csv")
    assert [(o.key, store.get(o.key)) for o in store.list()] == [("archive/um/b.csv", b"two")]
    for act in (strangers.look_at, strangers.read):
        with pytest.raises(ObjectNotFound):
            act(store, "depot/b.csv")
    with pytest.raises(ObjectNotFound):
        strangers.move(store, "depot/b.csv", "b.csv")
    strangers.remove(store, "archive/um/b.csv")
    strangers.remove(store, "archive/um/b.csv")
    assert list(store.list()) == []


@pytest.mark.parametrize("key", ["../b.csv", "depot/../../b.csv", "/etc/hostname", "depot//b.csv"])
def test_a_key_leads_nowhere_but_into_the_folder(folder, key):
    store = ObjectStore.open(f"file:{folder / 'depot'}")
    for act in (
        strangers.look_at,
        strangers.read,
        strangers.remove,
        lambda s, k: strangers.write(s, k, b"x"),
    ):
        with pytest.raises(StorageError, match="cannot be a key"):
            act(store, key)
