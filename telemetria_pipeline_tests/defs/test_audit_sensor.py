"""The sensor on a real instance: a file is judged, and its days are audited, once."""

from datetime import UTC, date, datetime, timedelta

import dagster as dg
import pytest

from telemetria_pipeline.core.boletim.settings import Reference, RuleSettings
from telemetria_pipeline.definitions import build_definitions
from telemetria_pipeline.defs.audit.automation import stale_days_sensor
from telemetria_pipeline.defs.resources import PipelineResource
from telemetria_pipeline.defs.runs import MAX_TRIES
from telemetria_pipeline.settings import Settings
from telemetria_pipeline.steps.day_index import HourEntry, record_hour
from telemetria_pipeline.steps.intake import judge_file, landed_files, receive_file
from telemetria_pipeline.steps.staleness import read_state
from telemetria_pipeline.storage import Lake, ObjectStore
from telemetria_pipeline_tests.core.boletim.rows import csv_of, trip
from telemetria_pipeline_tests.one_source import hour_of

TODAY = datetime.now(UTC).astimezone(Settings.load().timezone).date()
YESTERDAY, LAST_WEEK = TODAY - timedelta(days=1), TODAY - timedelta(days=7)


class House:
    """A lake and an instance; ticks of the sensor and the runs that they ask for."""

    def __init__(self, address: str, instance: dg.DagsterInstance) -> None:
        self.lake, self.inbox = Lake.open(f"{address}/lake"), ObjectStore.open(f"{address}/inbox")
        self.instance = instance

    def declare(self, name: str, *days: date) -> None:
        self.inbox.put(name, csv_of(*[trip(DATA=f"{day:%d/%m/%Y}") for day in days]))
        self.judge(name)

    def judge(self, name: str) -> None:
        file = next(f.file_id for f in landed_files(self.inbox) if f.key == name)
        judge_file(self.lake, receive_file(self.lake, self.inbox, file), RuleSettings(), Reference())

    def publish(self, day: date, digest: str = "1") -> None:
        """An hour in the midst of the day, as its publication would say it."""
        entry = HourEntry(state="captured", digest=digest, rows=0, capture="c", until=None)
        record_hour(self.lake, hour_of(f"{day}-12:00"), entry, [], digest)

    def tick(self) -> dg.SensorResult:
        resources = {"pipeline": PipelineResource()}
        with dg.build_sensor_context(instance=self.instance, resources=resources) as context:
            return stale_days_sensor(context)

    def days(self) -> list[str | None]:
        return [request.partition_key for request in self.tick().run_requests or []]

    def run(self, day: date) -> None:
        job = build_definitions().resolve_job_def("audit_job")
        assert job.execute_in_process(instance=self.instance, partition_key=str(day)).success

    def record(self, request: dg.RunRequest, status: str) -> None:
        """A run of the request, as the daemon would launch it, that got so far."""
        job = build_definitions().resolve_job_def("audit_job")
        tags = {**request.tags, "dagster/partition": request.partition_key}
        run = self.instance.create_run_for_job(job, tags=tags, status=dg.DagsterRunStatus.STARTED)
        if status == "FAILURE":
            self.instance.report_run_failed(run)


@pytest.fixture
def house(address, monkeypatch):
    monkeypatch.setenv("TELEMETRIA_LAKE", f"{address}/lake")
    monkeypatch.setenv("TELEMETRIA_AUDIT_REST_S", "0")
    with dg.DagsterInstance.ephemeral() as instance:
        yield House(address, instance)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.setenv("TELEMETRIA_LAKE", f"file:{tmp_path}/lake")
    monkeypatch.setenv("TELEMETRIA_AUDIT_REST_S", "0")
    with dg.DagsterInstance.ephemeral() as instance:
        yield House(f"file:{tmp_path}", instance)


def test_from_an_accepted_file_to_its_audited_days(house):
    assert house.tick().skip_reason.skip_message == "No day is stale"
    house.declare("b.csv", LAST_WEEK, YESTERDAY)
    assert house.days() == [str(LAST_WEEK), str(YESTERDAY)]
    house.run(LAST_WEEK)
    assert house.days() == [str(YESTERDAY)]
    house.run(YESTERDAY)
    assert house.days() == []
    assert read_state(house.lake, LAST_WEEK).rows == 1
    house.declare("late.csv", LAST_WEEK + timedelta(days=1))
    # What nobody measured last week might have been this trip's double.
    assert house.days() == [str(LAST_WEEK), str(LAST_WEEK + timedelta(days=1))]


def test_a_tick_that_is_repeated_asks_with_the_same_key_and_a_further_change_with_another(here):
    here.declare("b.csv", YESTERDAY)
    first, again = here.tick().run_requests, here.tick().run_requests
    assert [r.run_key for r in first] == [r.run_key for r in again]
    here.publish(YESTERDAY)
    assert {r.run_key for r in here.tick().run_requests}.isdisjoint(r.run_key for r in first)


def test_a_day_on_its_way_is_not_started_again_and_one_that_failed_is_until_nobody_believes_in_it(here):
    here.declare("b.csv", YESTERDAY)
    keys = set()
    for _ in range(MAX_TRIES):
        (request,) = here.tick().run_requests
        keys.add(request.run_key)
        here.record(request, "FAILURE")
    assert len(keys) == MAX_TRIES
    assert "1 days given up" in here.tick().skip_reason.skip_message
    here.publish(YESTERDAY)  # what made it fail may be gone
    assert here.days() == [str(YESTERDAY)]


def test_a_day_on_its_way_is_not_started_twice(here):
    here.declare("b.csv", YESTERDAY)
    (request,) = here.tick().run_requests
    here.record(request, "STARTED")
    assert "1 days on their way" in here.tick().skip_reason.skip_message
    here.publish(YESTERDAY)
    assert here.days() == []


def test_changes_rest_before_they_are_run(here, monkeypatch):
    monkeypatch.setenv("TELEMETRIA_AUDIT_REST_S", "600")
    here.declare("b.csv", YESTERDAY)
    assert "1 days changed a moment ago" in here.tick().skip_reason.skip_message


def test_today_waits_until_it_is_over(here):
    here.publish(TODAY)
    assert here.tick().skip_reason.skip_message == "No day is stale"


def test_two_months_back_and_no_further(here):
    for back in (62, 63):
        here.publish(TODAY - timedelta(days=back))
    assert here.days() == [str(TODAY - timedelta(days=62))]


def test_yesterday_is_audited_before_its_report_is_due(here):
    zone = Settings.load().timezone
    repository = build_definitions().get_repository_def()
    schedule = repository.get_schedule_def("audit_daily")
    assert (schedule.cron_schedule, schedule.execution_timezone) == ("0 7 * * *", str(zone))
    assert schedule.default_status == dg.DefaultScheduleStatus.RUNNING
    with dg.build_schedule_context(
        instance=here.instance,
        scheduled_execution_time=datetime(2026, 3, 11, 7, tzinfo=zone),
        repository_def=repository,
    ) as context:
        requests = schedule.evaluate_tick(context).run_requests
    assert [r.partition_key for r in requests] == ["2026-03-10"]
