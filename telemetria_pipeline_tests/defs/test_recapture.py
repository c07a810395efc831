"""The sensor that asks again: on a real instance, over a real lake, hours counted back from now."""

from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest
from dagster._core.remote_origin import (
    RegisteredCodeLocationOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)

from telemetria_pipeline.contracts.raw import Capture, Failure, HourManifest
from telemetria_pipeline.core.telemetry.recapture import MOST_HOURS, MOST_TRIES
from telemetria_pipeline.definitions import build_definitions
from telemetria_pipeline.defs.resources import PipelineResource
from telemetria_pipeline.defs.runs import FIRST_TAG, LAST_TAG
from telemetria_pipeline.defs.telemetry.automation import RECAPTURE_TAG
from telemetria_pipeline.steps.day_index import HOURS, HourEntry, record_hour
from telemetria_pipeline.steps.hours import manifest_key
from telemetria_pipeline_tests.one_source import CALENDAR, hour_of

NOW = datetime.now(UTC)
HOUR = timedelta(hours=1)


def key(ago: int) -> str:
    """The hour that ended so many whole hours ago; 0 is the newest that is over."""
    end = datetime.now(UTC) - ago * HOUR
    return CALENDAR.hours(end - 2 * HOUR, end, "main")[-1].key


def captured(ago: int, *, after_min: float = 10, settle_min: float | None = 720, **said) -> HourManifest:
    """An hour captured and published so many minutes after its end; `said` is said otherwise."""
    end = hour_of(key(ago)).end
    capture = Capture(
        id="c1", run_id="r1", profile="p", captured_at=end + timedelta(minutes=after_min), requests=1,
        retries=0, bytes=1, fields=[], pages=[],
        settles_at=None if settle_min is None else end + timedelta(minutes=settle_min),
    )  # fmt: skip
    known = {"hour": key(ago), "state": "captured", "published": "c1", "captures": [capture], **said}
    return HourManifest(**known)


def failed(
    ago: int, *, permanent: bool = False, attempts: int = 1, at: datetime | None = None
) -> HourManifest:
    at = at or NOW - 6 * HOUR
    failure = Failure(run_id="r", attempts=attempts, error="answered 401", at=at, permanent=permanent)
    return HourManifest(hour=key(ago), failure=failure)


class House:
    """A lake, an instance, and ticks of the sensor."""

    def __init__(self, address: str, instance: dg.DagsterInstance) -> None:
        self.pipeline = PipelineResource(settings={"lake": address})
        self.lake, self.instance = self.pipeline.lake(), instance

    def keep(self, *manifests: HourManifest) -> None:
        """What is known of hours; those that were published are in the index of days."""
        for manifest in manifests:
            hour = hour_of(manifest.hour)
            self.lake.write_json(manifest_key(hour), manifest.model_dump(mode="json"))
            if (capture := manifest.current) and manifest.published == capture.id:
                entry = HourEntry(
                    state=manifest.state, digest="d", rows=0, capture=capture.id, until=None,
                    captured_at=capture.captured_at, settles_at=capture.settles_at,
                )  # fmt: skip
                record_hour(self.lake, hour, entry, [], None)

    def tick(self) -> dg.RunRequest | dg.SkipReason:
        repository = build_definitions({"pipeline": self.pipeline}).get_repository_def()
        with dg.build_sensor_context(
            instance=self.instance, resources={"pipeline": self.pipeline}, repository_def=repository
        ) as context:
            return repository.get_sensor_def("telemetry_recapture_main")(context)

    def asked(self) -> list[str]:
        """The hours that a tick asks for, as `first last`; or why it does not."""
        found = self.tick()
        if isinstance(found, dg.SkipReason):
            return [found.skip_message]
        return [found.tags[FIRST_TAG], found.tags[LAST_TAG]]

    def add_run(
        self, status: str, job: str = "telemetry_job_main", assets: list | None = None, **tags: str
    ) -> str:
        repository = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("here"), "all")
        run = dg.DagsterRun(
            job_name=job,
            status=dg.DagsterRunStatus[status],
            tags=tags,
            asset_selection=frozenset(map(dg.AssetKey, assets)) if assets else None,
            remote_job_origin=RemoteJobOrigin(repository, job),  # no run is queued without one
        )
        return self.instance.add_run(run).run_id


@pytest.fixture
def house(address, monkeypatch):
    monkeypatch.setenv("TELEMETRIA_API_URL", "https://c.example")
    monkeypatch.setenv("TELEMETRIA_API_TOKEN", "hush")
    monkeypatch.setenv("TELEMETRIA_AMENDMENT_DAYS", "0")
    with dg.DagsterInstance.ephemeral() as instance:
        yield House(f"{address}/lake", instance)


def only(ago: int) -> list[str]:
    return [key(ago), key(ago)]


def test_hours_that_nobody_ever_asked_for_are_found_newest_and_oldest_in_turn(house):
    """The daemon stood still for some days: no run was started, so none failed."""
    house.keep(captured(100, after_min=720), captured(0), captured(1))
    assert house.asked() == [key(2 + MOST_HOURS - 1), key(2)]
    house.add_run("SUCCESS", **{RECAPTURE_TAG: "newest"})
    assert house.asked() == [key(99), key(99 - MOST_HOURS + 1)]
    house.add_run("SUCCESS", **{RECAPTURE_TAG: "oldest"})
    assert house.asked()[1] == key(2)


def test_before_the_first_hour_that_was_ever_asked_for_nothing_is_owed(house):
    [said] = house.asked()
    assert "no hour was ever asked for: telemetry_hourly_main begins" in said
    house.keep(captured(0), captured(1), captured(2))
    assert house.asked() == ["every hour is captured or confirmed empty"]


def test_a_pipeline_that_stood_still_for_longer_than_it_looks_back_owes_all_that_it_looks_at(
    house, monkeypatch
):
    monkeypatch.setenv("TELEMETRIA_RECAPTURE_DAYS", "1")
    house.keep(captured(100, after_min=720))
    assert house.asked() == [key(22), key(0)]  # the last day has 23 whole hours, or 24


def test_an_hour_is_captured_once_more_when_all_its_trips_are_listed(house):
    """The carrier lists a trip when it has ended: a bus that departs at 7:50 may arrive in the evening."""
    house.keep(*map(captured, range(12)))
    assert house.asked() == ["every hour is captured or confirmed empty"]
    house.keep(captured(3, settle_min=120))
    assert house.asked() == only(3)
    house.keep(captured(3, settle_min=120, after_min=120))
    assert house.asked() == ["every hour is captured or confirmed empty"]


def test_an_hour_of_long_ago_that_the_index_calls_open_is_asked_for(house):
    house.keep(*(captured(ago, after_min=720) for ago in range(80)))
    assert house.asked() == ["every hour is captured or confirmed empty"]
    house.keep(captured(70, state="open", after_min=720))
    assert house.asked() == only(70)


def test_an_hour_that_its_night_did_not_capture_again_is_asked_for(house, monkeypatch):
    """The carrier was down in that night, or all stood still: amended trips would be seen days later."""
    house.keep(*(captured(ago, after_min=28 * 60, settle_min=5) for ago in range(60)))
    house.keep(captured(50, settle_min=5))
    assert house.asked() == ["every hour is captured or confirmed empty"]
    monkeypatch.setenv("TELEMETRIA_AMENDMENT_DAYS", "1 3")
    assert house.asked() == only(50)
    failing = Failure(run_id="r", attempts=3, error="answered 503", at=NOW, permanent=False)
    house.keep(captured(50, settle_min=5, failure=failing))
    assert "1 to be asked for from" in house.asked()[0]
    house.keep(captured(50, after_min=28 * 60, settle_min=5))
    assert house.asked() == ["every hour is captured or confirmed empty"]


@pytest.mark.parametrize(
    ("said", "standing"),
    [
        ({}, "captured"),
        ({"settle_min": 60, "state": "confirmed_empty"}, "open"),
        ({"settle_min": 60}, "open"),  # captured 10 minutes after its end, settled 50 minutes later
        ({"settle_min": 60, "after_min": 60}, "captured"),
        ({"settle_min": 61}, "captured"),  # not yet
        ({"settle_min": None}, "captured"),  # captured before there was such a thing
        ({"state": "open"}, "open"),
        ({"published": None}, "missing"),  # killed before its tables were written
        ({"published": "c0"}, "missing"),  # or with those of the capture before
        ({"published": None, "settle_min": 60}, "missing"),
        ({"captures": [], "published": None, "state": "missing"}, "missing"),
    ],
)
def test_what_an_hour_is_to_a_recapture(said, standing):
    assert captured(7, **said).standing(hour_of(key(7)).end + HOUR) == standing


def test_an_hour_whose_capture_never_reached_its_tables_is_captured_again(house):
    house.keep(captured(0), captured(1, published=None), captured(2))
    assert house.asked() == only(1)


def test_an_hour_whose_tables_are_refused_time_and_again_waits_longer_each_time(house):
    """The carrier answers, and what it says breaks the contract: it is not asked at every tick for ever."""
    refused = captured(1, published=None)
    again = refused.captures[0].model_copy(update={"captured_at": datetime.now(UTC) - timedelta(minutes=9)})
    house.keep(
        captured(0), captured(2), refused.model_copy(update={"captures": [refused.captures[0], again]})
    )
    assert house.asked()[0].startswith("hours: 1 to be asked for from")
    house.keep(refused.model_copy(update={"captures": [again] * MOST_TRIES}))
    assert f"1 given up, the first of them {key(1)}" in house.asked()[0]


def test_an_hour_that_was_captured_open_a_moment_ago_waits_one_that_was_not_published_does_not(house):
    house.keep(captured(1), captured(0, state="open", after_min=0))
    assert house.asked()[0].startswith("hours: 1 to be asked for from")
    house.keep(captured(1, published=None))
    assert house.asked() == only(1)


def test_nobody_insists_on_a_refusal(house):
    """The token has expired: the hourly run still asks once an hour, and opens the way when it succeeds."""
    house.keep(captured(2), failed(1, permanent=True), failed(0, permanent=True))
    assert house.asked() == ["the carrier refuses: answered 401"]
    house.keep(captured(0))
    assert house.asked() == only(1)


def test_an_hour_that_failed_a_moment_ago_waits_and_one_that_failed_too_often_is_given_up(house):
    house.keep(captured(3), captured(0), failed(1, at=datetime.now(UTC)), failed(2, attempts=MOST_TRIES))
    (said,) = house.asked()
    assert "1 to be asked for from" in said
    assert f"1 given up, the first of them {key(2)}" in said
    # A person's run begins to count anew: its failure is the first.
    house.keep(failed(2))
    assert house.asked() == only(2)


@pytest.mark.parametrize(
    ("status", "asked"),
    [
        ("NOT_STARTED", False),
        ("QUEUED", False),
        ("STARTING", False),
        ("STARTED", False),
        ("SUCCESS", True),
        ("FAILURE", True),
    ],
)
@pytest.mark.parametrize("by", ["the job", "a range of the job", "the UI"])
def test_hours_that_a_run_waits_for_are_not_asked_for_twice(house, status, asked, by):
    house.keep(captured(2), failed(1), failed(0))
    if by == "the job":
        house.add_run(status, **{"dagster/partition": key(1)})
    elif by == "the UI":
        assets = [["main", "raw_telemetry"], ["main", "telemetry_trips"]]
        house.add_run(status, "__ASSET_JOB", assets, **{"dagster/partition": key(1)})
    else:
        house.add_run(status, **{FIRST_TAG: key(4), LAST_TAG: key(1)})
    assert house.asked() == ([key(1), key(0)] if asked else only(0))


def test_one_recapture_at_a_time_and_failures_of_whole_runs_make_it_wait(house):
    """A run that dies before it notes anything would else be started at every tick."""
    house.keep(captured(2), failed(1), failed(0))
    run = house.add_run("STARTED", **{RECAPTURE_TAG: "newest"})
    assert house.asked() == ["the last recapture is on its way"]
    house.instance.report_run_failed(house.instance.get_run_by_id(run), "killed")
    (said,) = house.asked()
    assert said.startswith("the last recaptures failed: the next one is at")


def test_a_repeated_tick_asks_for_the_same_run_and_a_later_one_for_another(house):
    house.keep(captured(2), failed(1), failed(0))
    first, again = house.tick(), house.tick()
    assert first.run_key == again.run_key
    assert (first.tags["dagster/priority"], first.tags["dagster/max_runtime"]) == ("-1", "3000")
    house.add_run("SUCCESS", **{RECAPTURE_TAG: "newest"})
    assert house.tick().run_key != first.run_key


def test_a_source_that_cannot_be_asked_is_not(house, monkeypatch):
    monkeypatch.delenv("TELEMETRIA_API_TOKEN")
    house.keep(captured(1), failed(0))
    assert "TELEMETRIA_API_TOKEN" in house.asked()[0]


@pytest.mark.parametrize("damage", [b"{", b'{"hour": 7}'])
def test_a_damaged_manifest_is_asked_for_again_and_holds_up_no_other_hour(house, damage):
    house.keep(captured(3), failed(2), captured(0))
    house.lake.store.put(manifest_key(hour_of(key(1))), damage)
    assert house.asked() == only(1)
    house.add_run("SUCCESS", **{RECAPTURE_TAG: "newest"})
    assert house.asked() == [key(2), key(1)]


@pytest.mark.parametrize("damage", [b"{", b'{"hours": 7}', None], ids=["torn", "foreign", "gone"])
def test_hours_that_the_index_of_days_lost_are_asked_for_though_their_manifests_call_them_published(
    house, damage
):
    house.keep(*(captured(ago, after_min=720) for ago in range(80)))
    lost = hour_of(key(60)).day
    entry = f"{HOURS}/data={lost}/fonte=main.json"
    house.lake.store.put(entry, damage) if damage else house.lake.store.delete(entry)
    asked = [hour_of(each).day for each in house.asked()]
    assert asked == [lost, lost]
