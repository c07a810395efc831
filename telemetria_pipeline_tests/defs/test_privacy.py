"""Drivers' names: in one look-up and in no other table, until the person is erased from all that is kept."""

import gzip
import json
import stat
import unicodedata
import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
import zstandard
from click.testing import CliRunner

from telemetria_pipeline.cli import main
from telemetria_pipeline.contracts.billing import BILLING
from telemetria_pipeline.contracts.boletim import BOLETIM_QUARANTINE, BOLETIM_TRIPS
from telemetria_pipeline.contracts.raw import FileManifest
from telemetria_pipeline.contracts.reference import DRIVERS
from telemetria_pipeline.contracts.telemetry import CHANGES, TRIPS
from telemetria_pipeline.core.reference import read_drivers
from telemetria_pipeline.settings import Settings
from telemetria_pipeline.steps.capture import read_capture
from telemetria_pipeline.steps.cycle import bill_cycle, close_cycle, verify
from telemetria_pipeline.steps.erase import NobodyNamed, erase
from telemetria_pipeline.steps.hours import manifest_key, read_manifest
from telemetria_pipeline.steps.mending import mended_manifest
from telemetria_pipeline.steps.people import KEY, PEOPLE, People
from telemetria_pipeline.steps.reference import read_reference, refresh_table
from telemetria_pipeline.storage import Lake, ObjectStore
from telemetria_pipeline_tests.carriers.conftest import make_profile
from telemetria_pipeline_tests.core.billing.bills import CYCLE
from telemetria_pipeline_tests.defs.cycles import AFTER
from telemetria_pipeline_tests.defs.payloads import FIELDS, SETTINGS, THURSDAY, Bus, World
from telemetria_pipeline_tests.one_source import CALENDAR

NAME, ID = "Zélia Prúcoli", "drv-7741"
SEALED = SETTINGS.model_copy(update={"seal_key": Settings(seal_key="segredo").seal_key})


def texts(path: Path) -> Iterator[str]:
    """All that a file says, whatever it is packed in."""
    body = path.read_bytes()
    if path.suffix == ".parquet":
        yield pq.read_table(path).to_pandas().to_csv()
        return
    if path.suffix == ".zst":
        body = zstandard.ZstdDecompressor().decompress(body)
    if zipfile.is_zipfile(BytesIO(body)):
        with zipfile.ZipFile(BytesIO(body)) as package:
            yield from (package.read(name).decode("utf-8", "replace") for name in package.namelist())
        return
    yield body.decode("utf-8", "replace")
    yield body.decode("latin-1")
    if path.suffix in (".json", ".zst"):
        yield json.dumps(json.loads(body), ensure_ascii=False)


def who_names(folder: Path, *words: str) -> list[str]:
    """The files that say one of these words, in any case and with or without accents."""

    def plain(text: str) -> str:
        return "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c)).upper()

    wanted = [plain(word) for word in words]
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return [
        str(path.relative_to(folder))
        for path in files
        if any(word in plain(text) for text in texts(path) for word in wanted)
    ]


def planted(folder: Path) -> World:
    """A bus whose driver is known to everybody: the carrier, the boletins, the register."""
    world = World(str(folder), ["ABC1C34"])
    world.profile = make_profile(fields={**FIELDS, "motorista_id": "driver_id"})
    bus = Bus("ABC1C34")
    for hour in (7, 9, 11):
        bus.drive(0, hour, 20)
    for record in bus.records:
        record |= {"d": NAME, "driver_id": ID, "note": f"condutor: {NAME.upper()}"}
    for row in bus.rows:
        row["MOTORISTA"] = NAME
    world.hear([bus], 0, 0)
    world.lake.store.put("reference/drivers.csv", f"MOTORISTA;MATRÍCULA\n{NAME};{ID}\nAna Lima;8\n".encode())
    refresh_table(world.lake, DRIVERS, read_drivers)
    assert world.take("dia.csv", bus.rows) == "accepted"
    bad = {**bus.rows[0], "PLACA": "???", "MOTORISTA": f"{NAME}\t"}
    assert world.take("ruim.csv", [bad, bus.rows[1]]) == "rejected"
    world.audit(-1, 1)
    bill_cycle(world.lake, CYCLE, SEALED)
    close_cycle(world.lake, CYCLE, SEALED, AFTER, despite="teste")
    return world


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> World:
    return planted(tmp_path_factory.mktemp("planted"))


def test_tables_audits_and_bills_name_nobody_and_the_look_up_does(world):
    folder = world.lake.store.folder
    known = who_names(folder, "Prúcoli", ID)
    assert {name.split("/")[0] for name in known} == {"raw_telemetry", "raw_boletins", "reference", "private"}
    assert [name for name in known if name.startswith("private")] == [PEOPLE]
    assert set(People(world.lake).names().values()) == {NAME.upper(), ID, "ANA LIMA", "8"}
    assert read_reference(world.lake).drivers["motorista"].tolist() == [NAME.upper(), "ANA LIMA"]


def test_a_person_is_erased_and_bill_audit_and_seal_stand(world):
    lake, inbox, people = world.lake, world.inbox, People(world.lake)
    root = lake.store.folder.parent
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    bill = world.table(BILLING)
    said = erase(lake, inbox, people, [NAME], [ID], "pedido", really=False)
    assert {path: path.read_bytes() for path in root.rglob("*") if path.is_file()} == before
    assert said.changed and not said.left and not said.removed and not said.opaque

    done = erase(lake, inbox, people, [NAME], [ID], f"pedido de {NAME}", really=True)
    assert done == said
    assert who_names(root, "Prúcoli", ID) == []
    assert who_names(root, "Ana Lima") == ["lake/private/people.json", "lake/reference/drivers.csv"]
    _, _, problems = verify(lake, SEALED)
    assert problems == []
    bill_cycle(lake, CYCLE, SEALED)
    assert world.table(BILLING).equals(bill)

    (entry,) = lake.read_json("private/erasures.json")
    assert entry["pseudonyms"] == done.pseudonyms and entry["changed"] == len(done.changed)
    assert erase(lake, inbox, people, [NAME], [ID], "pedido", really=True).changed == []
    # What is made again names nobody again, and days and bills are made as before.
    refresh_table(lake, DRIVERS, read_drivers)
    world.audit(-1, 1)
    assert who_names(root, "Prúcoli", ID) == []
    assert verify(lake, SEALED)[2] == []
    assert people.names() == {w: n for w, n in people.names().items() if n in ("ANA LIMA", "8")}
    people.hidden(BOLETIM_TRIPS, pd.DataFrame({"motorista": [NAME]}, dtype="str"))
    assert who_names(root, "Prúcoli") == []


def test_a_manifest_says_what_was_changed_in_what_was_received(tmp_path):
    world = planted(tmp_path)
    files = [i.key for i in world.lake.store.list("raw_boletins") if i.key.endswith("/manifest.json")]
    before = {key: FileManifest.model_validate(world.lake.read_json(key)) for key in files}
    erase(world.lake, world.inbox, People(world.lake), [NAME], [ID], f"pedido de {NAME}", really=True)
    for key in files:
        manifest = FileManifest.model_validate(world.lake.read_json(key))
        (note,) = manifest.redacted
        assert (note.sha256, note.removed) == (before[key].sha256, False)
        assert manifest.sha256 != note.sha256
        assert note.reason == f"pedido de {People(world.lake).pseudonym('name', NAME)}"
        assert len(world.lake.get_raw(manifest.original)) == manifest.size


def test_an_original_that_cannot_be_rewritten_is_removed_and_one_that_cannot_be_read_is_told(tmp_path):
    lake, inbox = Lake.open(f"file:{tmp_path}/lake"), ObjectStore.open(f"file:{tmp_path}/inbox")
    inbox.put("archive/rejected/velho.xls", b"\xd0\xcf\x11\xe0" + NAME.encode("utf-16-le"))
    inbox.put("archive/rejected/foto.pdf", b"%PDF-1.7 " + gzip.compress(NAME.encode()))
    lake.store.put("raw_telemetry/x.json.zst", b"damaged")
    inbox.put("espera.csv", f"MOTORISTA\n{NAME}\n".encode())
    done = erase(lake, inbox, People(lake), [NAME], [], "pedido", really=True)
    assert done.removed == [inbox.uri("archive/rejected/velho.xls")]
    assert done.left == [inbox.uri("espera.csv")]  # it is taken in first: then it is erased
    assert done.opaque == [
        inbox.uri("archive/rejected/foto.pdf"),
        inbox.uri("archive/rejected/velho.xls"),
        lake.store.uri("raw_telemetry/x.json.zst"),
    ]
    assert [info.key for info in inbox.list()] == ["archive/rejected/foto.pdf", "espera.csv"]


def test_what_was_received_is_read_again_after_an_erasure(world):
    """Raw and manifests are held against their digests: the new ones, by now."""
    erase(world.lake, world.inbox, People(world.lake), [NAME], [ID], "pedido", really=True)
    of_day = CALENDAR.hours_of(THURSDAY, "main")
    hours = [hour for hour in of_day if read_manifest(world.lake, hour).current.rows]
    assert len(hours) == 3
    for hour in hours:
        world.lake.store.put(manifest_key(hour), b"{damaged")
        manifest = mended_manifest(world.lake, hour)
        assert [page.redacted[0].reason for page in manifest.current.pages]
        assert len(read_capture(world.lake, world.profile, hour, manifest.current).trips) == 1


def test_the_command_says_what_it_would_do_and_does_it_with_a_reason(tmp_path, monkeypatch):
    monkeypatch.setenv("TELEMETRIA_LAKE", f"file:{tmp_path}/lake")
    monkeypatch.setenv("TELEMETRIA_INBOX", f"file:{tmp_path}/inbox")
    people = People(Lake.open(f"file:{tmp_path}/lake"))
    people.note({people.pseudonym("name", n): n for n in (NAME, "ZÉLIA DE SOUZA PRÚCOLI")})
    who, run = people.pseudonym("name", NAME), CliRunner()
    assert run.invoke(main, ["privacy", "who", who.lower()]).output == f"{NAME}\n"
    said = run.invoke(main, ["privacy", "erase", "--name", NAME])
    assert "Nothing was written" in said.output and "ZELIA DE SOUZA PRUCOLI" in said.output
    assert run.invoke(main, ["privacy", "erase", "--name", NAME, "--yes"]).exit_code == 2
    assert run.invoke(main, ["privacy", "who", who]).exit_code == 0
    assert run.invoke(main, ["privacy", "erase", "--name", NAME, "--yes", "--reason", "x"]).exit_code == 0
    assert "erased" in run.invoke(main, ["privacy", "who", who]).output
    assert "one word" in run.invoke(main, ["privacy", "erase", "--name", "Zélia"]).output


def test_nobody_is_erased_without_a_name(tmp_path):
    lake, inbox = Lake.open(f"file:{tmp_path}/lake"), ObjectStore.open(f"file:{tmp_path}/inbox")
    with pytest.raises(NobodyNamed):
        erase(lake, inbox, People(lake), [" "], [], "", really=True)


def test_a_lake_makes_its_key_once_and_a_configured_one_goes_before_it(tmp_path):
    lake = Lake.open(f"file:{tmp_path}/lake")
    one, other = People(lake), People(lake)
    assert one.pseudonym("name", NAME) == other.pseudonym("name", NAME)
    assert len(lake.store.get(KEY)) == 64
    assert People(lake, "configurada").pseudonym("name", NAME) != one.pseudonym("name", NAME)
    assert People(Lake.open(f"file:{tmp_path}/b")).pseudonym("name", NAME) != one.pseudonym("name", NAME)


def test_names_in_tables_of_an_earlier_version_are_hidden_as_they_are_read(tmp_path):
    people = People(Lake.open(f"file:{tmp_path}"))
    old = pd.DataFrame(
        {"motorista": [NAME, "zelia prucoli", None], "motorista_id": [ID, None, None]}, dtype="str"
    )
    hidden = people.hidden(TRIPS, old)
    assert hidden["motorista"].nunique() == 1 and hidden.isna().equals(old.isna())
    assert people.hidden(TRIPS, hidden).equals(hidden)
    assert people.shown(TRIPS, hidden)["motorista"].dropna().unique().tolist() == [NAME]


def test_a_refused_row_and_a_change_say_no_name(world):
    quarantined = [BOLETIM_QUARANTINE.name, CHANGES.name]
    for name in quarantined:
        for partition in world.lake.partitions(name):
            assert "PRUCOLI" not in world.lake.read_table(name, partition).to_pandas().to_csv().upper()


def test_a_folder_that_is_made_is_closed_to_others(tmp_path):
    store = ObjectStore.open(f"file:{tmp_path}/lake")
    store.put("a/b.json", b"{}")
    assert stat.S_IMODE((tmp_path / "lake").stat().st_mode) == 0o700
    Lake.open(f"file:{tmp_path}/other").update_json("c.json", lambda found: {})
    assert stat.S_IMODE((tmp_path / "other").stat().st_mode) == 0o700
