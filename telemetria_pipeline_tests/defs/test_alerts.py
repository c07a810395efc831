"""The sensor on a real instance, a real lake and a real webhook: who is told what, once."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache

import dagster as dg
import pytest

from telemetria_pipeline.contracts.raw import Capture, Failure, HourManifest
from telemetria_pipeline.core.telemetry.recapture import MOST_REFUSALS, MOST_TRIES
from telemetria_pipeline.definitions import build_definitions
from telemetria_pipeline.defs.alerts import automation, runs
from telemetria_pipeline.defs.alerts.automation import alerts_sensor
from telemetria_pipeline.defs.audit.automation import VERSION_TAG
from telemetria_pipeline.defs.reports.assets import daily_stem
from telemetria_pipeline.defs.resources import PipelineResource
from telemetria_pipeline.defs.runs import FIRST_TAG, LAST_TAG, MAX_TRIES, PARTITION_TAG
from telemetria_pipeline.settings import Settings
from telemetria_pipeline.steps.audit_day import audit_day
from telemetria_pipeline.steps.day_index import HourEntry, record_hour
from telemetria_pipeline.steps.hours import manifest_key
from telemetria_pipeline.steps.intake import look_into_inbox
from telemetria_pipeline.storage import Lake, ObjectStore
from telemetria_pipeline_tests.alerts.listeners import MailServer, Webhook, running
from telemetria_pipeline_tests.core.boletim.rows import csv_of, trip
from telemetria_pipeline_tests.one_source import CALENDAR


@cache
def repository() -> dg.RepositoryDefinition:
    return build_definitions().get_repository_def()


class House:
    """Ticks of the sensor, and what came out of them."""

    def __init__(self, instance: dg.DagsterInstance, lake: Lake, webhook: Webhook) -> None:
        self.instance, self.lake, self.webhook, self.cursor = instance, lake, webhook, None

    def tick(self) -> list[str]:
        """What the channel is told by one more tick: titles."""
        before = len(self.webhook.messages)
        with dg.build_sensor_context(
            instance=self.instance,
            cursor=self.cursor,
            resources={"pipeline": PipelineResource()},
            repository_def=repository(),
        ) as context:
            data = alerts_sensor(context)
        self.cursor, self.said = data.cursor, data.skip_reason.skip_message
        return self.webhook.titles[before:]

    def failed(self, job: str, partition: str | None = None, **tags: str) -> None:
        """A run of the job failed."""
        definition = repository().get_job(job)
        tags = {**definition.tags, **tags, **({PARTITION_TAG: partition} if partition else {})}
        self.instance.report_run_failed(self.instance.create_run_for_job(definition, tags=tags))

    @property
    def text(self) -> str:
        return "\n".join(f"{m['title']}\n{m['message']}" for m in self.webhook.messages)


@pytest.fixture
def house(tmp_path, monkeypatch) -> Iterator[House]:
    monkeypatch.setenv("TELEMETRIA_LAKE", f"file:{tmp_path}/lake")
    monkeypatch.setenv("TELEMETRIA_INBOX", f"file:{tmp_path}/inbox")
    monkeypatch.setenv("TELEMETRIA_API_URL", "https://c.example")
    monkeypatch.setenv("TELEMETRIA_API_TOKEN", "hush-hush-1")
    monkeypatch.setenv("TELEMETRIA_REPORT_DUE", "23:59:59")
    monkeypatch.setattr(automation, "_SETTLED", timedelta())
    with dg.instance_for_test() as instance, running(Webhook()) as webhook:
        monkeypatch.setenv("TELEMETRIA_ALERTS", webhook.address)
        yield House(instance, Lake.open(f"file:{tmp_path}/lake"), webhook)


def test_nothing_to_say_is_nothing_said(house):
    assert house.tick() == []
    assert house.said == "Nothing new to say"


def test_a_run_that_failed_is_told_once_and_not_while_somebody_tries_again(house):
    house.failed("audit_job", "2026-03-09", **{"dagster/will_retry": "true"})
    house.failed(
        "telemetry_job_main", "2026-03-09-07:00", **{"dagster/schedule_name": "telemetry_hourly_main"}
    )
    house.failed("boletim_job", "a.csv")
    house.instance.add_dynamic_partitions("boletim_files", ["a.csv", "b.csv", "c.csv"])
    many = {FIRST_TAG: "a.csv", LAST_TAG: "b.csv", "dagster/sensor_name": "boletim_inbox_sensor"}
    house.failed("boletim_job", **many)
    for _ in range(MAX_TRIES - 1):
        house.failed("audit_job", "2026-03-09", **{VERSION_TAG: "v1"})
    assert house.tick() == []
    house.failed("audit_job", "2026-03-09", **{VERSION_TAG: "v1"})
    assert house.tick() == ["audit_job failed for 2026-03-09, given up after 5 tries"]
    for _ in range(MAX_TRIES - 2):
        house.failed("boletim_job", "a.csv")
    assert house.tick() == ["boletim_job failed for a.csv, given up after 5 tries"]
    house.failed("telemetry_job_main", "2026-03-09-07:00")  # a person's
    house.failed("cycle_job", "2026-02-16")
    assert house.tick() == ["2 runs failed: cycle_job, telemetry_job_main"]
    house.cursor = None  # lost, or another instance's
    assert house.tick() == []


def test_a_flood_of_runs_is_taken_in_turns(house, monkeypatch):
    monkeypatch.setattr(runs, "_AT_ONCE", 2)
    monkeypatch.setattr(automation, "_OVERLAP", timedelta())
    for cycle in ("2026-01-16", "2026-02-16", "2026-03-16"):
        house.failed("cycle_job", cycle)
    assert [house.tick(), house.tick(), house.tick()] == [
        ["2 runs failed: cycle_job (2)"],
        ["cycle_job failed for 2026-03-16"],
        [],
    ]


def test_why_a_run_failed_is_told_without_what_an_error_of_others_says(house):
    @dg.op
    def ours():
        raise dg.Failure("the lake is full of hush-hush-1", allow_retries=False)

    @dg.op
    def theirs():
        raise ValueError("JOSÉ DA SILVA is not a number")

    for op in (ours, theirs):
        dg.GraphDefinition(f"{op.name}_job", node_defs=[op]).to_job().execute_in_process(
            instance=house.instance, raise_on_error=False
        )
    house.tick()
    assert "the lake is full of ***" in house.text
    assert "ValueError: its log says more" in house.text
    assert "hush-hush" not in house.text
    assert "JOSÉ" not in house.text


def test_a_check_is_told_once_a_day_and_many_are_grouped(house):
    day = dg.DailyPartitionsDefinition("2026-03-01")

    def audited(name: str, key: str, severity: dg.AssetCheckSeverity) -> None:
        spec = dg.AssetCheckSpec(name, asset="trips")

        @dg.asset(name="trips", check_specs=[spec], partitions_def=day)
        def trips():
            check = dg.AssetCheckResult(
                passed=False, severity=severity, check_name=name, description=f"{key}!"
            )
            return dg.MaterializeResult(check_results=[check])

        dg.materialize([trips], instance=house.instance, partition_key=key)

    audited("coverage", "2026-03-09", dg.AssetCheckSeverity.WARN)
    assert house.tick() == ["coverage of trips warns"]
    assert house.webhook.messages[-1]["message"] == "2026-03-09!"
    audited("coverage", "2026-03-09", dg.AssetCheckSeverity.WARN)
    assert house.tick() == []
    for name in ("coverage", "contract_holds"):
        audited(name, "2026-03-10", dg.AssetCheckSeverity.ERROR)
    assert house.tick() == ["2 checks failed or warned in 2 runs: contract_holds, coverage"]


@pytest.fixture
def mail_server() -> Iterator[MailServer]:
    with running(MailServer()) as server:
        yield server


def test_a_returned_boletim_goes_to_its_sender_or_to_everybody(house, mail_server, tmp_path, monkeypatch):
    (tmp_path / "depots.yaml").write_text("depot 7: garagem7@example.com\n")
    monkeypatch.setenv("TELEMETRIA_SENDERS", str(tmp_path / "depots.yaml"))
    monkeypatch.setenv("TELEMETRIA_ALERTS_MAIL", mail_server.address)
    inbox = ObjectStore.open(Settings.load().inbox)
    job = repository().get_job("boletim_job")
    for key in ("depot 7/bad.csv", "other.csv"):
        inbox.put(key, csv_of(trip(PLACA="?", MOTORISTA="JOSÉ DA SILVA")))
    for landed in look_into_inbox(inbox)[0]:
        house.instance.add_dynamic_partitions("boletim_files", [landed.file_id])
        job.execute_in_process(instance=house.instance, partition_key=landed.file_id)
    assert house.tick() == ["Boletim devolvido: other.csv"]
    ((recipients, mail),) = mail_server.mails
    assert recipients == ["garagem7@example.com"]
    assert mail["subject"] == "Boletim devolvido: depot 7/bad.csv"
    text = mail.get_body(("plain", "html")).get_content()
    assert "PLACA" in text
    assert "_resposta.xlsx" in text
    assert "JOSÉ" not in house.text + text
    assert house.tick() == []


def answered(lake: Lake, hour, heard=()) -> None:
    capture = Capture(
        id="c",
        run_id="r",
        profile="p",
        captured_at=hour.end,
        requests=1,
        retries=0,
        bytes=1,
        fields=[],
        pages=[],
    )
    manifest = HourManifest(hour=hour.key, state="captured", captures=[capture], published="c")
    lake.write_json(manifest_key(hour), manifest.model_dump(mode="json"))
    entry = HourEntry(state="captured", digest=hour.key, rows=1, capture="c", until=None)
    record_hour(lake, hour, entry, heard, None)


def failed(lake: Lake, hour, error="timed out (hush-hush-1)", permanent=False, attempts=1) -> None:
    failure = Failure(run_id="r", attempts=attempts, error=error, at=hour.end, permanent=permanent)
    manifest = HourManifest(hour=hour.key, failure=failure)
    lake.write_json(manifest_key(hour), manifest.model_dump(mode="json"))


def test_a_source_that_is_down_says_what_to_send_and_that_it_is_back(house):
    now = datetime.now(UTC)
    hours = CALENDAR.hours(now - timedelta(hours=9), now - timedelta(minutes=45), "main")
    for hour in hours[:4]:
        answered(house.lake, hour, ["ABC1D23", "main:77", "#4711"])
    for hour in hours[4:-1]:
        failed(house.lake, hour)
    assert len(hours[4:]) >= 3
    assert house.tick() == [f"main: {len(hours[4:])} horas sem telemetria"]
    said = house.webhook.messages[-1]["message"]
    assert f"das {hours[4].start:%H:%M} às " in said
    assert "timed out (***)" in said
    assert "envie os boletins de" in said
    assert "dos veículos ABC1D23." in said
    assert house.tick() == []
    answered(house.lake, hours[-1])
    assert house.tick() == []  # it answers, and its hours are not filled yet
    for hour in hours[4:-1]:
        answered(house.lake, hour)
    assert house.tick() == ["main: a telemetria voltou"]


def test_hours_that_are_given_up_are_told(house):
    hours = [CALENDAR.hour(f"2026-03-09-{n:02d}:00", "main") for n in (7, 8, 9)]
    ours = {FIRST_TAG: hours[0].key, LAST_TAG: hours[-1].key, "dagster/sensor_name": "recapture"}
    failed(house.lake, hours[0], "the carrier answered 401", True, attempts=MOST_REFUSALS)
    failed(house.lake, hours[1], attempts=MOST_TRIES - 1)
    house.failed("telemetry_job_main", **ours)
    assert house.tick() == ["main: 2026-03-09-07:00 is given up"]
    assert "the carrier answered 401. Mend the cause" in house.text
    failed(house.lake, hours[1], attempts=MOST_TRIES)
    house.failed("telemetry_job_main", **ours)
    house.failed("telemetry_job_main", **ours)
    assert house.tick() == ["main: 2 hours from 2026-03-09-07:00 to 2026-03-09-08:00 are given up"]


def test_a_source_that_refuses_is_told_at_once(house):
    now = datetime.now(UTC)
    hours = CALENDAR.hours(now - timedelta(hours=9), now - timedelta(minutes=45), "main")
    for hour in hours[:-1]:
        answered(house.lake, hour)
    failed(house.lake, hours[-1], "the carrier answered 401: set ALFA_TOKEN", permanent=True)
    assert house.tick() == ["main: 1 hora sem telemetria"]
    assert "set ALFA_TOKEN" in house.text


def test_a_report_that_is_late_says_why_and_when_it_is_there(house, monkeypatch):
    monkeypatch.setenv("TELEMETRIA_REPORT_DUE", "00:00")
    yesterday = CALENDAR.day_of(datetime.now(UTC)) - timedelta(days=1)
    house.failed("audit_job", str(yesterday), **{"dagster/will_retry": "true"})
    assert house.tick() == [f"The daily report of {yesterday} is not there; it was due at 00:00"]
    said = house.webhook.messages[-1]["message"]
    assert "Its last run failed" in said
    assert "main lacks 24 hours" in said
    assert house.tick() == []
    audit_day(house.lake, yesterday, Settings.load())
    house.lake.store.put(f"{daily_stem(yesterday)}.html", b"")
    assert house.tick() == [f"The daily report of {yesterday} is there"]


def test_without_a_lake_it_is_said_once_and_again_when_it_is_back(house, monkeypatch, tmp_path):
    house.tick()
    (tmp_path / "a file").write_text("no folder")
    monkeypatch.setenv("TELEMETRIA_LAKE", f"file:{tmp_path}/a file/lake")
    assert [house.tick(), house.tick(), house.tick()] == [[], ["The lake cannot be reached"], []]
    monkeypatch.setenv("TELEMETRIA_LAKE", f"file:{tmp_path}/lake")
    assert [house.tick(), house.tick()] == [["The lake is there again"], []]


def test_the_job_looks_in_the_sensors_place_and_a_dead_channel_fails_no_run(house, monkeypatch):
    monkeypatch.setenv("TELEMETRIA_ALERTS", f"json://127.0.0.1:1 {house.webhook.address}")
    house.failed("cycle_job", "2026-02-16")
    done = repository().get_job("alerts_job").execute_in_process(instance=house.instance)
    assert done.success
    dead = "The alert channel json://127.0.0.1:1 is dead"
    assert house.webhook.titles == ["cycle_job failed for 2026-02-16", dead]
    assert house.tick() == []


def test_a_look_that_fails_is_told_and_stops_no_other(house, monkeypatch, tmp_path):
    (tmp_path / "sources.yaml").write_text("main: {profil: traccar}")
    house.failed("cycle_job", "2026-02-16")
    house.tick()
    monkeypatch.setenv("TELEMETRIA_SOURCES", str(tmp_path / "sources.yaml"))
    house.failed("cycle_job", "2026-01-16")
    (title,) = house.tick()
    assert "cycle_job failed for 2026-01-16" in title
    assert "main.profil: unknown key" in house.text
