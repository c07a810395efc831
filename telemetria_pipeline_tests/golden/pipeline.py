"""A golden month in a lake and an inbox: the steps behind the assets, as sensors and schedules call them."""

import shutil
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from functools import cached_property
from pathlib import Path

import dagster as dg
import yaml

from telemetria_pipeline.business_calendar import Cycle, Hour
from telemetria_pipeline.carriers.client import CarrierClient
from telemetria_pipeline.carriers.errors import TransientError
from telemetria_pipeline.carriers.sources import load_sources
from telemetria_pipeline.contracts.closing import Closing
from telemetria_pipeline.contracts.raw import FileManifest
from telemetria_pipeline.core.boletim.settings import RuleSettings
from telemetria_pipeline.core.telemetry.cleaning import CleanedHour
from telemetria_pipeline.defs.reference.assets import contracts, drivers, substitutions, vehicles
from telemetria_pipeline.defs.resources import PipelineResource
from telemetria_pipeline.settings import Settings
from telemetria_pipeline.simulator.golden import SOURCES, GoldenMonth
from telemetria_pipeline.steps.audit_day import audit_day
from telemetria_pipeline.steps.boletim_files import read_file_manifest
from telemetria_pipeline.steps.capture import capture_hour, read_capture
from telemetria_pipeline.steps.cycle import bill_cycle, close_cycle
from telemetria_pipeline.steps.hours import read_manifest
from telemetria_pipeline.steps.intake import archive_file, judge_file, landed_files, receive_file
from telemetria_pipeline.steps.people import KEY
from telemetria_pipeline.steps.publish import publish_hour
from telemetria_pipeline.steps.reference import FOLDER, read_reference
from telemetria_pipeline.steps.staleness import plan_days
from telemetria_pipeline.storage.lake import Lake
from telemetria_pipeline.storage.object_store import ObjectStore
from telemetria_pipeline_tests.golden.truth import GoldenTruth

TOKEN = "golden-token"
# What nothing can be made again without.
KEPT = ("raw_telemetry", "raw_boletins", "reference", "private", "closed_")
_NEVER_TOO_OLD = 100
_QUIET = {"loggers": {"console": {"config": {"log_level": "ERROR"}}}}

Arrival = Hour | str
"""What arrives: an hour of telemetry, or the file of this name."""


class GoldenPipeline:
    """A month's lake and inbox in a folder. What arrives is audited only where it makes a day stale.

    The hours are captured once, by `capture_month`, and published as they arrive.
    """

    def __init__(self, month: GoldenMonth, folder: Path) -> None:
        self.month, self.folder = month, folder
        self.truth = GoldenTruth(month)
        folder.mkdir(parents=True, exist_ok=True)
        described = {
            s.slug: {
                "url": "http://127.0.0.1",
                "profile": s.dialect,
                "secrets": {"token": "GOLDEN_TOKEN"},
                "start": month.days[0],
                "carriers": [s.carrier],
            }
            for s in SOURCES
        }
        (folder / "sources.yaml").write_text(yaml.safe_dump(described), encoding="utf-8")
        self.settings = Settings.load(
            start=month.days[0],
            timezone=month.story.zone,
            sources=str(folder / "sources.yaml"),
            audit_days=_NEVER_TOO_OLD,
            audit_rest_s=0,
        )
        self.sources = load_sources(self.settings)
        self.profiles = {name: source.load_profile() for name, source in self.sources.items()}
        self.lake = Lake.open(f"file:{folder / 'lake'}")
        self.lake.store.put(KEY, b"golden")  # so that one driver has one pseudonym in all lakes
        self.inbox = ObjectStore.open(f"file:{folder / 'inbox'}")
        self.captured: dict[Hour, CleanedHour] = {}
        self.cycles = [Cycle.of(first) for first in self.truth.cycles]

    @property
    def hours(self) -> list[Hour]:
        """The month's hours, of every source."""
        calendar = self.settings.calendar
        return [h for name in self.sources for day in self.month.days for h in calendar.hours_of(day, name)]

    @cached_property
    def boletins(self) -> dict[str, bytes]:
        """All boletins, the late ones too."""
        return self.month.boletins() | self.month.late_boletins()

    @cached_property
    def earlier(self) -> dict[str, bytes]:
        """The first versions of those that are sent twice: they come first, whatever the order."""
        return self.month.earlier_boletins()

    def capture_month(self) -> None:
        """Ask each source, over its socket, for each hour, in vain where it is out."""
        with self.month.simulators(token=TOKEN) as apis, ExitStack() as open_clients:
            clients = {
                name: open_clients.enter_context(CarrierClient(self.profiles[name], api.url, TOKEN))
                for name, api in apis.items()
            }
            for hour in self.hours:
                profile, client = self.profiles[hour.source], clients[hour.source]
                with suppress(TransientError):
                    _, self.captured[hour] = capture_hour(self.lake, client, profile, hour, "golden")

    def take_captures_of(self, other: "GoldenPipeline") -> None:
        """Begin where another one was after `capture_month`."""
        shutil.copytree(other.folder / "lake" / "raw_telemetry", self.folder / "lake" / "raw_telemetry")
        self.captured = other.captured

    def read_reference_files(self) -> None:
        """Put the reference files where they belong, and make their tables."""
        for name, data in self.month.reference_files().items():
            self.lake.store.put(f"{FOLDER}/{name}", data)
        resources = {"pipeline": PipelineResource(settings={"lake": f"file:{self.folder / 'lake'}"})}
        assets = [vehicles, drivers, contracts, substitutions]
        assert dg.materialize(assets, resources=resources, run_config=_QUIET).success

    def arrive(self, batches: Iterable[Iterable[Arrival]]) -> None:
        """Take in each batch, then audit what it changed; at last bill all cycles."""
        for batch in batches:
            for what in batch:
                if isinstance(what, Hour):
                    self.publish(what, self.captured.get(what))
                else:
                    for version in (self.earlier, self.boletins):
                        if what in version:
                            self.inbox.put(what, version[what])
                            self.take_in(next(f.file_id for f in landed_files(self.inbox) if f.key == what))
            self.audit_what_changed()
        self.bill()

    def publish(self, hour: Hour, cleaned: CleanedHour | None = None) -> None:
        """Make the hour's tables from these rows, or from what was kept of its capture."""
        manifest = read_manifest(self.lake, hour)
        if manifest and manifest.current:
            cleaned = cleaned or read_capture(self.lake, self.profiles[hour.source], hour, manifest.current)
            publish_hour(self.lake, hour, manifest, cleaned)

    def take_in(self, file: str) -> None:
        """Receive, judge and archive a file of the inbox, or judge one again that is kept in the lake."""
        received = receive_file(self.lake, self.inbox, file)
        rules, reference = RuleSettings.of(self.settings), read_reference(self.lake)
        judged = judge_file(self.lake, received, rules, reference)
        archive_file(self.lake, self.inbox, judged, received.data)

    def audit_what_changed(self) -> None:
        """Audit the days that the sensor would request."""
        plan = plan_days(self.lake, self.settings, self.settings.calendar.day(self.month.days[-1])[1])
        for day in plan.due:
            audit_day(self.lake, day, self.settings)

    def bill(self) -> None:
        """Make the bills of all cycles."""
        for cycle in self.cycles:
            bill_cycle(self.lake, cycle, self.settings)

    def close(self, cycle: Cycle) -> Closing:
        """Close the cycle, whatever hours or days are missing of it."""
        return close_cycle(self.lake, cycle, self.settings, despite="a carta do dia 17")

    @property
    def files(self) -> list[FileManifest]:
        """What is known of all files that came, as they came."""
        keys = [i.key for i in self.lake.store.list("raw_boletins") if i.key.endswith("manifest.json")]
        found = [read_file_manifest(self.lake, key.split("/")[1].removeprefix("arquivo=")) for key in keys]
        return sorted((m for m in found if m), key=lambda m: m.received_at)

    def run_again(self) -> None:
        """Everything once more over what is there: each hour, file, day and cycle."""
        for hour in self.hours:
            self.publish(hour, self.captured.get(hour))
        for manifest in self.files:
            self.take_in(manifest.file)
        for day in self.month.days:
            audit_day(self.lake, day, self.settings)
        self.bill()

    def rebuild(self) -> None:
        """Delete all that can be made again, and make it from what cannot, with the API switched off."""
        for info in list(self.lake.store.list()):
            if not info.key.startswith(KEPT):
                self.lake.store.delete(info.key)
        self.read_reference_files()
        for hour in self.hours:
            self.publish(hour)
        for manifest in self.files:
            self.take_in(manifest.file)
        self.audit_what_changed()
        self.bill()

    def tables(self) -> dict[str, bytes]:
        """Every table's objects."""
        keys = [info.key for info in self.lake.store.list() if info.key.endswith(".parquet")]
        return {key: self.lake.store.get(key) for key in keys}
