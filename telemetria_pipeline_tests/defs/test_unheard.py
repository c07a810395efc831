"""A vehicle that the carrier would not answer for: its silence is evidence against nobody."""

from datetime import datetime, timedelta

import pytest

from telemetria_pipeline.carriers.client import CarrierClient
from telemetria_pipeline.contracts.audit import VALIDATED_TRIPS
from telemetria_pipeline.steps.audit_day import audit_day
from telemetria_pipeline.steps.capture import capture_hour, read_capture
from telemetria_pipeline.steps.day_index import DayIndex
from telemetria_pipeline.steps.hours import read_manifest
from telemetria_pipeline.steps.publish import publish_hour
from telemetria_pipeline.steps.staleness import stale_days
from telemetria_pipeline_tests.carriers.conftest import TOKEN, Answer, Server, make_profile
from telemetria_pipeline_tests.defs.payloads import FIELDS, SETTINGS, THURSDAY, Bus, World, at
from telemetria_pipeline_tests.one_source import CALENDAR

REFUSED, SILENT, HONEST = "RTY4E56", "ABC1C34", "QWE1R23"
HOURS = CALENDAR.hours(at(-1, 20), at(1, 6), "main")  # from the first trip that is heard to the last
SEVEN = HOURS[4 + 7]


class FanOut(World):
    """Asked vehicle by vehicle; `refused` devices answer 403 while the hour of `begins` is asked."""

    def __init__(self, folder: str, buses: list[Bus], named: bool = True) -> None:
        super().__init__(folder, [bus.plate for bus in buses])
        self.buses = {bus.plate.lower(): bus for bus in buses}
        self.refused: set[str] = set()
        stamp = {"veiculo_id": "id", **({"placa_recebida": "plate"} if named else {})}
        self.profile = make_profile(
            fields=FIELDS,
            vehicles={"path": "/vehicles", "id": "id", "stamp": stamp},
            trips={"params": {"v": "{vehicle}", "from": "{start}", "to": "{end}"}},
            errors=[{"status": 403, "means": "skip"}],
        )

    def respond(self, asked):
        if asked.path == "/vehicles":
            return Answer([{"id": key, "plate": bus.plate} for key, bus in self.buses.items()])
        device, first = asked.query["v"], datetime.fromisoformat(asked.query["from"])
        if device in self.refused and first == at(0, 7):
            return Answer("blocked", 403)
        within = (first, first + timedelta(hours=1))
        records = [
            r for r in self.buses[device].records if within[0] <= datetime.fromisoformat(r["s"]) < within[1]
        ]
        return Answer({"data": records})

    def hear_all(self, hours=HOURS):
        server = Server(self.respond)
        with CarrierClient(self.profile, server.url, TOKEN, sleep=lambda s: None) as client:
            for hour in hours:
                publish_hour(self.lake, hour, *capture_hour(self.lake, client, self.profile, hour, "run"))
        server.close()

    def live_and_audit(self, refused: frozenset[str] | set[str] = frozenset()):
        """Hear the days, take what is declared, and audit the Thursday."""
        self.refused = set(refused)
        self.hear_all()
        self.take("a.csv", [row for bus in self.buses.values() for row in bus.rows])
        audit_day(self.lake, THURSDAY, SETTINGS)

    def verdicts(self) -> dict[str, str]:
        table = self.lake.read_table(VALIDATED_TRIPS.name, {"data": str(THURSDAY)})
        trips = VALIDATED_TRIPS.frame(table)
        return dict(zip(trips["placa"], trips["veredito"], strict=True))


@pytest.fixture
def buses() -> list[Bus]:
    """Three that declare a trip at seven; only the honest one drove it, and all devices live."""
    made = [Bus(REFUSED), Bus(SILENT), Bus(HONEST)]
    for bus in made:
        bus.hear(-1, 20, 10)
        if bus.plate == HONEST:
            bus.drive(0, 7, 40)
        else:
            bus.declare(0, 7, 40)
        bus.hear(1, 5, 10)
    return made


def test_without_a_refusal_all_are_judged(tmp_path, buses):
    world = FanOut(str(tmp_path), buses)
    world.live_and_audit()
    assert world.verdicts() == {REFUSED: "divergente", SILENT: "divergente", HONEST: "ok"}


def test_a_refused_vehicle_is_inconclusive_and_the_others_are_judged(tmp_path, buses):
    world = FanOut(str(tmp_path), buses)
    world.live_and_audit(refused={REFUSED.lower()})
    assert world.verdicts() == {REFUSED: "inconclusivo", SILENT: "divergente", HONEST: "ok"}


def test_one_that_nobody_can_name_makes_no_silence_evidence(tmp_path, buses):
    buses[0].records.clear()  # it was never heard with its plate
    world = FanOut(str(tmp_path), buses, named=False)
    world.live_and_audit(refused={REFUSED.lower()})
    assert world.verdicts() == {REFUSED: "inconclusivo", SILENT: "inconclusivo", HONEST: "ok"}


def test_other_hours_tell_the_plate_of_one_that_the_list_does_not_name(tmp_path, buses):
    world = FanOut(str(tmp_path), buses, named=False)
    world.live_and_audit(refused={REFUSED.lower()})
    assert world.verdicts() == {REFUSED: "inconclusivo", SILENT: "divergente", HONEST: "ok"}


def test_a_refusal_that_passes_makes_the_day_stale(tmp_path, buses):
    world = FanOut(str(tmp_path), buses)
    world.live_and_audit(refused={REFUSED.lower()})
    assert DayIndex.read(world.lake, THURSDAY, THURSDAY).hour(SEVEN).unheard[0].placa == REFUSED

    manifest = read_manifest(world.lake, SEVEN)
    assert [v.id for v in manifest.current.skipped] == [REFUSED.lower()]
    again = read_capture(world.lake, world.profile, SEVEN, manifest.current)
    assert again.unheard["placa"].tolist() == [REFUSED]  # read again, it is still not heard

    world.refused = set()
    assert stale_days(world.lake, [THURSDAY], SETTINGS) == []
    world.hear_all([SEVEN])
    assert stale_days(world.lake, [THURSDAY], SETTINGS) == [THURSDAY]
    audit_day(world.lake, THURSDAY, SETTINGS)
    assert world.verdicts() == {REFUSED: "divergente", SILENT: "divergente", HONEST: "ok"}
