"""What an hour keeps when something goes wrong half-way: its raw, its tables, its manifest, its words.

The steps behind the assets run on a carrier of a few lines; the job runs where Dagster has a part in it.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import dagster as dg
import pandas as pd
import pytest

from telemetria_pipeline.business_calendar import Hour
from telemetria_pipeline.carriers.client import CarrierClient
from telemetria_pipeline.carriers.errors import CarrierError, PermanentError
from telemetria_pipeline.carriers.profile import Profile
from telemetria_pipeline.carriers.sources import MAIN
from telemetria_pipeline.contracts import Contract
from telemetria_pipeline.contracts.telemetry import CHANGES, LEDGER, QUARANTINE, TRIPS
from telemetria_pipeline.defs.telemetry.assets import trips_key
from telemetria_pipeline.steps import capture, publish
from telemetria_pipeline.steps.capture import capture_hour, read_capture
from telemetria_pipeline.steps.day_index import HOURS, hour_entry
from telemetria_pipeline.steps.hours import CAPTURE, PROFILE, manifest_key, raw_folder, read_manifest
from telemetria_pipeline.steps.hours_table import hours_table
from telemetria_pipeline.steps.ingest import HourOutcome, ingest_hours
from telemetria_pipeline.steps.mending import mended_manifest, orphans, sweep
from telemetria_pipeline.steps.people import People
from telemetria_pipeline.steps.publish import PublishedHour, TablesRefused, publish_hour
from telemetria_pipeline.storage.lake import Lake
from telemetria_pipeline.storage.object_store import ObjectDamaged, StorageError
from telemetria_pipeline_tests.carriers.conftest import Answer, Asked, make_profile, serve
from telemetria_pipeline_tests.defs.conftest import TOKEN, hour_key
from telemetria_pipeline_tests.defs.test_telemetry import failure_of
from telemetria_pipeline_tests.one_source import hour_of

__all__ = ["serve"]  # the carriers' fixture

HOUR = hour_of(hour_key(6))
DRIVER = "JOSE DA SILVA"
FIELDS = {
    "veiculo_id": "v", "saida_utc": "s", "chegada_utc": "e", "distancia_telemetria_km": "km",
    "motorista": "m", "id_origem": "i", "atualizado_utc": "u",
}  # fmt: skip


def trip(vehicle: str, *, minute: float = 5, of: Hour = HOUR, **said: object) -> dict:
    departure = of.start + timedelta(minutes=minute)
    arrival = departure + timedelta(minutes=20)
    return {"v": vehicle, "s": departure.isoformat(), "e": arrival.isoformat(), "km": 12, **said}


def small_profile(**changes) -> Profile:
    return make_profile(**{"fields": FIELDS, **changes})


@dataclass
class Bench:
    """A lake, and a carrier that answers each hour with the trips that it was told."""

    lake: Lake
    url: str = ""
    profile: Profile = field(default_factory=small_profile)
    trips: list[dict] = field(default_factory=list)
    answer: Callable[[Asked], Answer | None] = lambda asked: None  # in place of the trips, when it says one
    asked: list[Asked] = field(default_factory=list)

    def respond(self, asked: Asked) -> Answer:
        self.asked.append(asked)
        return self.answer(asked) or Answer({"data": self.trips})

    def capture(self, *trips: dict, hour: Hour = HOUR, run: str = "run"):
        self.trips = list(trips)
        with CarrierClient(self.profile, self.url, TOKEN, sleep=lambda s: None) as client:
            return capture_hour(self.lake, client, self.profile, hour, run)

    def ingest(self, *trips: dict, hour: Hour = HOUR) -> PublishedHour:
        return publish_hour(self.lake, hour, *self.capture(*trips, hour=hour))

    def stored(self, contract: Contract = TRIPS) -> pd.DataFrame:
        found = self.lake.read_table(contract.name, HOUR.partition)
        return People(self.lake).shown(contract, contract.frame(found) if found else contract.empty())

    def manifest(self):
        return read_manifest(self.lake, HOUR)


@pytest.fixture
def bench(tmp_path, serve) -> Bench:
    bench = Bench(Lake.open(f"file:{tmp_path / 'lake'}"))
    bench.url = serve(bench.respond).url
    return bench


@pytest.fixture
def no_place_for(tmp_path, bench):
    """Make a table's partition impossible to write: a folder lies where its object belongs."""

    def spoil(contract: Contract) -> Callable[[], None]:
        place = tmp_path / "lake" / bench.lake.table_key(contract.name, HOUR.partition)
        before = place.read_bytes() if place.exists() else None
        place.unlink(missing_ok=True)
        (place / "inside").mkdir(parents=True)

        def mend() -> None:
            (place / "inside").rmdir()
            place.rmdir()
            if before is not None:
                place.write_bytes(before)

        return mend

    return spoil


# ---------------------------------------------------------------- what came is kept


def test_an_answer_is_kept_whatever_the_rules_make_of_it(bench, monkeypatch):
    with monkeypatch.context() as broken:
        broken.setattr(capture, "clean_trips", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            bench.capture(trip("a"), trip("b"))
    manifest = bench.manifest()
    assert (manifest.state, manifest.current.rows, manifest.failure) == ("captured", 2, None)
    publish_hour(bench.lake, HOUR, manifest, read_capture(bench.lake, bench.profile, HOUR, manifest.current))
    assert bench.stored()["veiculo_id"].tolist() == ["a", "b"]
    assert len(bench.asked) == 1


def test_the_manifest_says_open_as_soon_as_the_hour_is_captured(bench):
    manifest, _ = bench.capture(trip("a"), trip("b", e=None))
    assert manifest.state == bench.manifest().state == "open"


def test_a_capture_says_from_when_on_it_would_be_the_last(bench):
    bench.profile = small_profile(window={"settle_min": 90})
    current = bench.capture(trip("a"))[0].current
    assert current.settles_at == HOUR.end + timedelta(minutes=90)
    assert bench.manifest().current == current


def test_a_failure_is_gone_once_the_carrier_answers(bench):
    bench.answer = lambda asked: Answer("gone", 404)
    for run, tries in (("first", 1), ("first", 1), ("second", 2)):  # a run that tries again is one run
        with pytest.raises(CarrierError):
            bench.capture(trip("a"), run=run)
        assert bench.manifest().failure.attempts == tries
    bench.answer = lambda asked: None
    bench.ingest(trip("a"))
    assert bench.manifest().failure is None


def test_a_page_that_could_not_be_kept_is_no_capture(s3, serve):
    """The only page, so the last: nothing comes after it that would notice."""
    bench = Bench(Lake.open(s3.address))
    bench.url = serve(bench.respond).url
    s3.server.answer = lambda environ: (
        ("403 Forbidden", "<Error><Code>AccessDenied</Code></Error>")
        if environ["REQUEST_METHOD"] == "PUT" and "pagina-" in environ["PATH_INFO"]
        else None
    )
    with pytest.raises(StorageError):
        bench.capture(trip("a"))
    manifest = bench.manifest()
    assert (manifest.state, manifest.current) == ("missing", None)
    assert "pagina-00001" in manifest.failure.error
    assert not manifest.failure.permanent


# ---------------------------------------------------------------- raw read again


@pytest.mark.parametrize("batch", [1, 2, 3, 4_000])
def test_a_fan_out_read_again_from_raw_is_the_same_wherever_its_batches_end(bench, monkeypatch, batch):
    monkeypatch.setattr(capture, "_BATCH_RECORDS", batch)
    bench.profile = small_profile(
        vehicles={"path": "/vehicles", "records": "data", "id": "id", "stamp": {"placa_recebida": "plate"}},
        trips={"path": "/vehicles/{vehicle}/trips"},
    )
    vehicles = [{"id": v, "plate": f"ABC1C3{n}"} for n, v in enumerate("xyz")]
    listed = {"x": [trip("x"), trip("x", minute=30)], "y": [trip("y")], "z": []}
    bench.answer = lambda asked: Answer(
        {"data": vehicles if asked.path == "/vehicles" else listed[asked.path.split("/")[2]]}
    )
    manifest, cleaned = bench.capture()
    assert [page.kind for page in manifest.current.pages] == ["vehicles", "trips", "trips", "trips"]
    assert cleaned.ledger.received == manifest.current.rows == 3
    trips = cleaned.trips[["veiculo_id", "placa"]].to_numpy().tolist()
    assert trips == [["x", "ABC1C30"], ["y", "ABC1C31"], ["x", "ABC1C30"]]
    again = read_capture(bench.lake, bench.profile, HOUR, bench.manifest().current)
    assert again.ledger == cleaned.ledger
    pd.testing.assert_frame_equal(again.trips, cleaned.trips)


def test_a_full_batch_of_records_is_not_lost(bench):
    _, cleaned = bench.capture(*(trip("a", minute=n / 100) for n in range(capture._BATCH_RECORDS)))
    assert cleaned.ledger.accepted == capture._BATCH_RECORDS


def test_raw_is_read_with_the_profile_that_it_was_asked_with(bench):
    manifest, cleaned = bench.capture(trip("a", m=DRIVER))
    other = make_profile(name="outra", fields={"veiculo_id": "car", "saida_utc": "x", "chegada_utc": "y"})
    again = read_capture(bench.lake, other, HOUR, manifest.current)
    assert cleaned.ledger.accepted == 1
    pd.testing.assert_frame_equal(again.trips, cleaned.trips)


@pytest.mark.parametrize("name", ["pagina-00001.json.zst", "profile.json"])
def test_raw_that_is_not_what_was_received_is_not_read(bench, name):
    """Sound by itself, as whoever would have fewer kilometres might leave it."""
    manifest, _ = bench.capture(trip("a"))
    key = f"{raw_folder(HOUR)}/{manifest.current.id}/{name}"
    kept = bench.lake.get_raw(key)
    bench.lake.store.delete(key)
    bench.lake.put_raw(key, kept.replace(b"12", b"11").replace(b"km", b"KM"))
    with pytest.raises(ObjectDamaged, match=rf"{name} cannot be read .*not those that were received"):
        read_capture(bench.lake, make_profile(name="outra"), HOUR, manifest.current)


def test_the_trips_of_one_carrier_are_not_replaced_by_those_of_another(bench):
    bench.ingest(trip("a"))
    before, asked = bench.stored(), len(bench.asked)
    bench.profile = small_profile(name="outra", carrier="Outra")
    with pytest.raises(PermanentError, match=r"holds trips of Pequena, .* of Outra: .*sources.yaml"):
        bench.ingest(trip("z"))
    assert len(bench.asked) == asked
    assert bench.stored().equals(before)
    assert len(bench.manifest().captures) == 1


# ---------------------------------------------------------------- nothing is replaced by what is not sound


def lost_trip(cleaned):
    return replace(cleaned, trips=cleaned.trips.iloc[1:].reset_index(drop=True))


def row_counted_twice(cleaned):
    return replace(cleaned, ledger=replace(cleaned.ledger, duplicate=cleaned.ledger.duplicate + 1))


def unknown_fate(cleaned):
    return replace(
        cleaned, quarantine=cleaned.quarantine.assign(situacao="sumiu").astype({"situacao": "str"})
    )


def lost_before_it_was_judged(cleaned):
    ledger = replace(cleaned.ledger, received=cleaned.ledger.received - 1, rejected=0)
    return replace(cleaned, ledger=ledger, quarantine=QUARANTINE.empty())


@pytest.mark.parametrize(
    ("spoil", "check", "words"),
    [
        (lost_trip, "ledger_balances", "1 trips and 1 rows in quarantine against"),
        (row_counted_twice, "ledger_balances", "-1 of 3 rows unaccounted for"),
        (lost_before_it_was_judged, "ledger_balances", "3 rows lie in raw, and 2 were judged"),
        (unknown_fate, "contract_holds", "telemetry_trips_quarantine: .*situacao"),
    ],
)
def test_an_hour_that_breaks_a_promise_is_refused_and_replaces_nothing(bench, spoil, check, words):
    bench.ingest(trip("a"))
    before = {contract: bench.stored(contract) for contract in (TRIPS, QUARANTINE, LEDGER, CHANGES)}
    manifest, cleaned = bench.capture(trip("a"), trip("b"), trip("c", v=None))
    with pytest.raises(TablesRefused, match=words) as refused:
        publish_hour(bench.lake, HOUR, manifest, spoil(cleaned))
    assert refused.value.check == check
    for contract, held in before.items():
        assert bench.stored(contract).equals(held)
    assert bench.manifest().published == manifest.captures[0].id
    publish_hour(bench.lake, HOUR, manifest, cleaned)  # unspoilt, it is taken
    assert len(bench.stored()) == 2


@pytest.mark.parametrize("contract", [QUARANTINE, LEDGER])
def test_readers_see_the_earlier_trips_until_everything_else_is_written(bench, no_place_for, contract):
    bench.ingest(trip("a"))
    before = bench.stored()
    mend = no_place_for(contract)
    with pytest.raises(StorageError):
        bench.ingest(trip("a"), trip("b"))
    assert bench.stored().equals(before)
    mend()
    assert bench.manifest().published == bench.manifest().captures[0].id


def test_a_sceptic_that_fails_leaves_the_tables_as_they_were(bench, monkeypatch):
    bench.ingest(trip("a"))
    before = bench.stored(), bench.stored(CHANGES)
    monkeypatch.setattr(publish.quality, "schema_drift", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        bench.ingest(trip("a"), trip("b"))
    assert all(a.equals(b) for a, b in zip(before, (bench.stored(), bench.stored(CHANGES)), strict=True))


# ---------------------------------------------------------------- changes


def told(bench) -> list[tuple[str, str]]:
    changes = bench.stored(CHANGES)
    return list(zip(changes["mudanca"], changes["veiculo_id"], strict=True))


def test_every_capture_adds_its_changes_to_those_before(bench):
    bench.ingest(trip("a"))
    bench.ingest(trip("a"), trip("b"))
    bench.ingest(trip("b"))
    assert told(bench) == [("nova", "b"), ("sumida", "a")]
    ids = [c.id for c in bench.manifest().captures]
    assert bench.stored(CHANGES)["captura_anterior"].tolist() == ids[:2]
    assert bench.stored(CHANGES)["captura"].tolist() == ids[1:]


def test_changes_that_a_killed_try_has_told_are_not_told_twice(bench, no_place_for):
    """Killed after the changes and before the trips; those that other rules made of one capture stay."""
    manifest, cleaned = bench.capture(trip("a"), trip("b"))
    publish_hour(bench.lake, HOUR, manifest, lost_and_accounted(cleaned))
    assert bench.stored()["veiculo_id"].tolist() == ["b"]
    publish_hour(bench.lake, HOUR, manifest, cleaned)
    assert told(bench) == [("nova", "a")]
    mend = no_place_for(LEDGER)
    with pytest.raises(StorageError):
        bench.ingest(trip("a"), trip("b"), trip("c"))
    assert told(bench) == [("nova", "a"), ("nova", "c")]
    mend()
    published = bench.ingest(trip("a"), trip("b"), trip("c"))
    assert told(bench) == [("nova", "a"), ("nova", "c")]
    assert published.changes["new"] == 1


def lost_and_accounted(cleaned):
    """As stricter rules would judge: the first trip rejected."""
    first = cleaned.trips.iloc[:1].assign(situacao="rejeitada", motivo="distancia_ausente")
    rejected = first.reindex(columns=QUARANTINE.names)
    return replace(
        lost_trip(cleaned),
        quarantine=rejected.astype({c.name: c.pandas_dtype for c in QUARANTINE.columns}),
        ledger=replace(cleaned.ledger, accepted=cleaned.ledger.accepted - 1, rejected=1),
    )


# ---------------------------------------------------------------- what was damaged


def damage_table(lake: Lake, contract: Contract, hour: Hour = HOUR) -> None:
    key = lake.table_key(contract.name, hour.partition)
    body = bytearray(lake.store.get(key))
    body[len(body) // 2] ^= 1
    lake.store.put(key, bytes(body))


@pytest.mark.parametrize("contract", [TRIPS, QUARANTINE, LEDGER])
def test_an_hour_whose_table_is_damaged_is_made_again(bench, contract):
    bench.ingest(trip("a"))
    damage_table(bench.lake, contract)
    published = bench.ingest(trip("a"), trip("b"))
    assert bench.stored()["veiculo_id"].tolist() == ["a", "b"]
    assert bench.stored(LEDGER)["accepted"].tolist() == [2]
    known = contract != TRIPS  # without the earlier trips nobody knows what changed
    assert (published.changes["new"], len(told(bench))) == ((1, 1) if known else (0, 0))
    assert [contract.name in said for said in published.damaged] == ([] if known else [True])


def test_damaged_changes_of_earlier_captures_do_not_hold_up_the_hour(bench):
    bench.ingest(trip("a"))
    bench.ingest(trip("a"), trip("b"))
    damage_table(bench.lake, CHANGES)
    assert [CHANGES.name in said for said in bench.ingest(trip("b")).damaged] == [True]
    assert told(bench) == [("sumida", "a")]


@pytest.mark.parametrize(
    "spoil", [damage_table, lambda lake, c: lake.store.delete(lake.table_key(c.name, HOUR.partition))]
)
def test_a_run_tried_again_makes_again_what_it_cannot_check(bench, spoil):
    def run() -> HourOutcome:
        with CarrierClient(bench.profile, bench.url, TOKEN, sleep=lambda s: None) as client:
            (outcome,) = ingest_hours(bench.lake, bench.profile, client, [HOUR], "run", publish=True)
        return outcome

    bench.trips = [trip("a")]
    run()
    assert run().published is None
    spoil(bench.lake, LEDGER)
    assert run().published
    assert len(bench.stored(LEDGER)) == len(bench.asked) == 1


@pytest.mark.parametrize("damage", [b"{", b'{"hour": 7}', None], ids=["torn", "foreign", "a bit"])
def test_a_damaged_manifest_is_made_again_of_what_its_captures_say(bench, damage):
    bench.ingest(trip("a"))
    bench.ingest(trip("a"), trip("b", e=None))
    before, key = bench.manifest(), manifest_key(HOUR)
    assert (before.state, before.accepted) == ("open", 1)
    body = bench.lake.store.get(key)
    damage = damage or body.replace(b'"open"', b'"oqen"')
    bench.lake.store.put(key, damage)
    assert mended_manifest(bench.lake, HOUR) == bench.manifest() == before
    (kept,) = [info.key for info in bench.lake.store.list(raw_folder(HOUR)) if "damaged" in info.key]
    assert bench.lake.store.get(kept) == damage


@pytest.mark.parametrize("damage", [b"{", b'{"hours": 7}', None], ids=["torn", "foreign", "gone"])
def test_the_entry_of_a_day_that_was_lost_is_written_again_by_the_next_run_that_finds_the_same(bench, damage):
    bench.ingest(trip("a"))
    before, [entry] = hour_entry(bench.lake, HOUR), [info.key for info in bench.lake.store.list(HOURS)]
    bench.lake.store.put(entry, damage) if damage else bench.lake.store.delete(entry)
    assert hour_entry(bench.lake, HOUR) is None
    bench.ingest(trip("a"))
    after = hour_entry(bench.lake, HOUR)
    assert (after.digest, after.rows, after.state) == (before.digest, before.rows, before.state)


def test_a_capture_that_only_confirmed_the_tables_does_so_in_a_mended_manifest_too(bench):
    bench.ingest(trip("a"))
    bench.ingest(trip("a"))
    before = bench.manifest()
    assert before.confirmed == before.current.id
    bench.lake.store.put(manifest_key(HOUR), b"")
    assert mended_manifest(bench.lake, HOUR) == before


def test_a_capture_that_was_never_published_is_current_in_a_mended_manifest(bench):
    bench.ingest(trip("a"))
    bench.capture(trip("a"), trip("b", e=None))
    before = bench.manifest()
    bench.lake.store.put(manifest_key(HOUR), b"")
    mended = mended_manifest(bench.lake, HOUR)
    assert (mended.captures, mended.published) == (before.captures, before.published)
    assert mended.standing(before.current.captured_at) == "missing"


def test_without_a_capture_that_says_of_itself_the_hour_is_asked_for_anew(bench):
    """Those of an earlier version said it in the manifest only."""
    bench.ingest(trip("a"))
    bench.lake.store.delete(f"{raw_folder(HOUR)}/{bench.manifest().current.id}/{CAPTURE}")
    bench.lake.store.put(manifest_key(HOUR), b"")
    mended = mended_manifest(bench.lake, HOUR)
    assert (mended.state, mended.current) == ("missing", None)
    bench.ingest(trip("a"))
    assert len(bench.manifest().captures) == 1


def test_what_nobody_can_read_now_is_not_taken_for_damaged(s3, serve):
    """A store that is out of order for a while."""
    bench = Bench(Lake.open(s3.address))
    bench.url = serve(bench.respond).url
    bench.ingest(trip("a"))
    s3.server.answer = lambda environ: (
        ("403 Forbidden", "<Error><Code>AccessDenied</Code></Error>")
        if environ["REQUEST_METHOD"] == "GET"
        else None
    )
    with pytest.raises(StorageError, match="AccessDenied"):
        bench.ingest(trip("b"))
    s3.server.answer = lambda environ: None
    assert len(bench.manifest().captures) == 1


def test_captures_that_were_cut_short_are_swept_and_whole_ones_only_named(bench):
    bench.ingest(trip("a"))
    tomorrow = datetime.now(UTC) + timedelta(days=1, minutes=1)
    assert orphans(bench.lake, tomorrow) == []
    folder = raw_folder(HOUR)
    bench.lake.put_raw(f"{folder}/cut/pagina-00001.json.zst", b"[]")
    bench.lake.put_raw(f"{folder}/whole/pagina-00001.json.zst", b"[]")
    bench.lake.put_raw(f"{folder}/whole/{PROFILE}", b"{}")
    assert orphans(bench.lake) == []  # somebody may be at it
    found = orphans(bench.lake, tomorrow)
    assert [(o.folder, o.complete, len(o.objects)) for o in found] == [
        (f"{folder}/cut", False, 1),
        (f"{folder}/whole", True, 2),
    ]
    sweep(bench.lake, found)
    assert [o.folder for o in orphans(bench.lake, tomorrow)] == [f"{folder}/whole"]
    bench.lake.store.put(manifest_key(HOUR), b"{")
    assert orphans(bench.lake, tomorrow) == []  # nobody knows which they are
    assert len(mended_manifest(bench.lake, HOUR).captures) == 1


# ---------------------------------------------------------------- compared with what was before


def test_an_hour_is_compared_with_the_seven_days_before(bench):
    for days in (8, 7, 6, 5):
        day = HOUR.days_before(days)
        bench.ingest(trip("a", of=day), trip("b", of=day), hour=day)
    assert bench.ingest().problems["volume_like_earlier_days"] == "0 trips where the last 3 days had 2"


def test_new_fields_are_noticed_against_the_capture_before_or_the_days_before(bench):
    day = HOUR.days_before(2)
    assert bench.ingest(trip("a", of=day), hour=day).problems["schema_drift"] is None
    assert bench.ingest(trip("a", tyre=1)).problems["schema_drift"] == "appeared: tyre"
    assert bench.ingest(trip("a", tyre=1)).problems["schema_drift"] is None
    assert bench.ingest(trip("a")).problems["schema_drift"] == "went: tyre"


@pytest.mark.parametrize("damage", [b"{", b'{"hour": 7}'])
def test_a_damaged_manifest_of_another_day_costs_this_hour_nothing(bench, damage):
    bench.lake.store.put(manifest_key(HOUR.days_before(1)), damage)
    assert bench.ingest(trip("a")).problems["volume_like_earlier_days"] is None
    assert bench.manifest().published


def test_an_hour_written_before_the_contract_got_a_column_is_compared_all_the_same(bench):
    bench.ingest(trip("a"))
    table = bench.lake.read_table(TRIPS.name, HOUR.partition)
    bench.lake.write_table(TRIPS.name, HOUR.partition, table.drop_columns(["garagem"]))
    assert bench.ingest(trip("a"), trip("b")).changes == {"new": 1, "gone": 0, "altered": 0}


def test_the_ledger_still_knows_an_hour_whose_raw_has_expired(bench):
    bench.ingest(trip("a"))
    for item in list(bench.lake.store.list("raw_telemetry")):
        bench.lake.store.delete(item.key)
    row = hours_table(bench.lake, [HOUR]).iloc[0]
    assert (row["state"], row["accepted"], row["requests"]) == ("captured", 1, 1)


# ---------------------------------------------------------------- names stay out of what is said


@pytest.mark.parametrize(
    "body",
    [
        json.dumps({"data": [trip("a", m=DRIVER)]}).encode()[:-9],
        json.dumps([trip("a", m=DRIVER)]).encode()[:-1],
        json.dumps({"erro": "1", "detalhe": DRIVER}).encode(),
    ],
    ids=["cut object", "cut array", "error without a message"],
)
def test_an_answer_that_cannot_be_read_is_not_repeated(bench, body):
    bench.profile = small_profile(errors=[{"when": "erro"}])
    bench.answer = lambda asked: Answer(body)
    with pytest.raises(CarrierError) as caught:
        bench.capture()
    assert "JOSE" not in str(caught.value) + bench.manifest().model_dump_json()


def test_an_error_flag_that_says_no_is_no_error(bench):
    bench.profile = small_profile(errors=[{"when": "erro"}])
    bench.answer = lambda asked: Answer({"erro": "false", "data": [trip("a")]})
    assert bench.capture()[1].ledger.accepted == 1


# ---------------------------------------------------------------- through the job


@pytest.fixture
def job(pipeline, bench, point_at, tmp_path):
    """The job on the bench's carrier, which is asked about any hour; `pipeline` and `bench` as they are."""
    profile = tmp_path / "pequena.yaml"
    profile.write_text(bench.profile.model_dump_json(exclude_unset=True))  # JSON is YAML
    point_at(bench.url, profile=str(profile))
    bench.answer = lambda asked: Answer({"data": [trip("a", of=hour_asked(asked))]})
    return pipeline


def hour_asked(asked: Asked) -> Hour:
    start = pd.Timestamp(asked.query["from"]).tz_convert(HOUR.start.tzinfo)
    return hour_of(f"{start:%Y-%m-%d-%H:%M}")


def failing(bench, answers: dict[str, list[Answer]]) -> None:
    """The hour's next answers, by its key; then its trips again."""
    good = bench.answer

    def answer(asked: Asked) -> Answer | None:
        waiting = answers.get(hour_asked(asked).key)
        return waiting.pop(0) if waiting else good(asked)

    bench.answer = answer


def asked_of(bench, key: str) -> int:
    return sum(hour_asked(a).key == key for a in bench.asked)


def said_by(pipeline, result) -> list[str]:
    return [str(e) for e in pipeline.instance.all_logs(result.run_id)]


@pytest.fixture
def retries(monkeypatch):
    monkeypatch.setenv("TELEMETRIA_HOUR_RETRIES", "2")
    monkeypatch.setenv("TELEMETRIA_HOUR_RETRY_WAIT_S", "0")


BUSY = [Answer("busy", 503, {"Retry-After": "0"})] * 3  # the client's attempts


def test_a_retry_of_the_step_neither_reports_an_hour_twice_nor_loses_its_changes(job, bench, retries):
    assert job.run(hour_key(6)).success
    more = Answer({"data": [trip("a"), trip("b")]})
    failing(bench, {hour_key(6): [more], hour_key(7): list(BUSY)})
    result = job.run(hour_key(6), hour_key(7))
    assert result.success
    told = [  # from the instance: the result holds the last try's events only
        (event.partition, event.materialization.metadata["changes/new"].value)
        for entry in job.instance.all_logs(result.run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION)
        if (event := entry.dagster_event).asset_key == trips_key(MAIN)
    ]
    assert told == [(hour_key(6), 1), (hour_key(7), 0)]
    assert job.table(LEDGER, hour_key(6))["new"].tolist() == [1]
    assert {e.metadata["hours"].value for e in result.get_asset_check_evaluations()} == {2}


def test_what_was_refused_for_good_is_not_asked_again_by_the_retry_of_another_hour(job, bench, retries):
    failing(bench, {hour_key(6): [Answer("no such thing", 404)], hour_key(7): list(BUSY)})
    result = job.run(hour_key(6), hour_key(7))
    assert asked_of(bench, hour_key(6)) == 1
    assert asked_of(bench, hour_key(7)) == len(BUSY) + 1
    assert job.materialized() == {hour_key(7)}
    assert "1 of 2 hours failed" in failure_of(result)
    assert "404" in failure_of(result)


def test_a_refused_token_ends_the_step_also_where_another_hour_would_be_tried_again(job, bench, retries):
    failing(bench, {hour_key(5): list(BUSY), hour_key(6): [Answer("who?", 401)]})
    result = job.run(hour_key(5), hour_key(8))
    assert not result.success
    assert len(bench.asked) == len(BUSY) + 1
    assert not job.instance.all_logs(result.run_id, of_type=dg.DagsterEventType.STEP_UP_FOR_RETRY)


def test_a_storage_that_fails_for_a_while_is_tried_again(job, bench, retries, s3, monkeypatch):
    monkeypatch.setenv("TELEMETRIA_LAKE", s3.address)
    refusals = [("403 Forbidden", "<Error><Code>AccessDenied</Code></Error>")]
    s3.server.answer = lambda environ: (
        refusals.pop() if refusals and environ["REQUEST_METHOD"] == "PUT" else None
    )
    result = job.run(hour_key(6))
    assert not refusals
    assert result.success
    assert job.materialized() == {hour_key(6)}


def test_damaged_hours_are_mended_by_their_next_run_which_says_so(job):
    assert job.run(hour_key(5), hour_key(8)).success
    for hour, damage in ((6, b"{"), (7, b'{"hour": 7}')):
        job.lake.store.put(manifest_key(hour_of(hour_key(hour))), damage)
    damage_table(job.lake, TRIPS, hour_of(hour_key(8)))
    result = job.run(hour_key(5), hour_key(8))
    assert result.success
    assert [len(job.manifest(hour_key(hour)).captures) for hour in range(5, 9)] == [2] * 4
    (said,) = [line for line in said_by(job, result) if "what changed is not known" in line]
    assert f"{hour_key(8)} was made again" in said


def test_an_error_of_our_own_says_where_it_was_and_no_values(job, monkeypatch):
    def fails(*_):
        raise ValueError(f"cannot read {DRIVER}")

    monkeypatch.setattr(capture, "map_pages", fails)
    result = job.run(hour_key(6))
    said = "\n".join([*said_by(job, result), failure_of(result)])
    assert "ValueError" in failure_of(result)
    assert "_map_in_batches" in said  # the traceback, without its last line
    assert "JOSE" not in said
    failure = job.manifest(hour_key(6)).failure
    assert (failure.error, failure.attempts, failure.permanent) == ("ValueError", 1, False)


def test_a_refused_hour_tells_of_the_check_that_refused_it_after_the_requests(job, monkeypatch):
    monkeypatch.setattr(
        "telemetria_pipeline.core.telemetry.cleaning.driver_names", lambda names: names.isna()
    )
    result = job.run(hour_key(6))
    assert job.checks(result) == {"contract_holds": False}  # and no other one, which nobody asked
    said = said_by(job, result)
    asked = next(n for n, line in enumerate(said) if "GET /trips" in line)
    failed = next(n for n, line in enumerate(said) if f"{hour_key(6)} failed" in line)
    assert asked < failed
