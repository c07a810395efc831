"""Answers that would go wrong in silence, from payload to the hour's state and the verdict on who declared.

The hour of seven gets the answer in question, all others what the carrier knows. Two buses claim a trip at
seven: the honest one drove it, the silent one did not, and only an hour that is known is evidence against it.
"""

import json
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from telemetria_pipeline.business_calendar import Hour
from telemetria_pipeline.carriers.client import CarrierClient
from telemetria_pipeline.carriers.profile import load_profile
from telemetria_pipeline.carriers.sources import MAIN
from telemetria_pipeline.contracts.audit import VALIDATED_TRIPS
from telemetria_pipeline.contracts.telemetry import QUARANTINE, TRIPS
from telemetria_pipeline.defs.telemetry.assets import trips_key
from telemetria_pipeline.errors import PipelineError
from telemetria_pipeline.steps.audit_day import audit_day
from telemetria_pipeline.steps.capture import capture_hour
from telemetria_pipeline.steps.hours import read_manifest
from telemetria_pipeline.steps.ingest import ingest_hours
from telemetria_pipeline_tests.carriers.conftest import TOKEN, Answer, Server, make_profile, serve
from telemetria_pipeline_tests.defs.payloads import FIELDS, SETTINGS, THURSDAY, Bus, World, at
from telemetria_pipeline_tests.defs.test_hour_safety import bench, failure_of, job, trip
from telemetria_pipeline_tests.defs.test_unheard import HOURS, SEVEN
from telemetria_pipeline_tests.rounds import and_long

__all__ = ["bench", "job", "serve"]  # fixtures

SILENT, HONEST = "ABC1C34", "QWE1R23"
NOTHING_KNOWN = {SILENT: "inconclusivo", HONEST: "inconclusivo"}
HONEST_HEARD = {SILENT: "inconclusivo", HONEST: "ok"}
ALL_KNOWN = {SILENT: "divergente", HONEST: "ok"}


class OneHour(World):
    """All hours heard; `said`: what the hour of seven answers, made of its true records."""

    def __init__(self, folder: str, **profile: object) -> None:
        super().__init__(folder, [SILENT, HONEST])
        self.silent, self.honest = Bus(SILENT), Bus(HONEST)
        for bus in (self.silent, self.honest):
            bus.hear(-1, 20, 10)
            (bus.drive if bus is self.honest else bus.declare)(0, 7, 40)
            bus.hear(1, 5, 10)
        self.profile = make_profile(**{"fields": FIELDS, **profile})
        self.outcomes: dict[str, object] = {}

    def tell(self, said: Callable[[list[dict]], Answer]) -> "OneHour":
        records = [*self.silent.records, *self.honest.records]

        def respond(asked):
            first = datetime.fromisoformat(asked.query["from"])
            of_hour = [r for r in records if datetime.fromisoformat(r["s"]).replace(minute=0) == first]
            return said(of_hour) if first == at(0, 7) else Answer({"data": of_hour})

        server = Server(respond)
        with CarrierClient(self.profile, server.url, TOKEN, sleep=lambda s: None) as client:
            for outcome in ingest_hours(self.lake, self.profile, client, HOURS, "run", publish=True):
                self.outcomes[outcome.hour.key] = outcome
        server.close()
        self.take("a.csv", [*self.silent.rows, *self.honest.rows])
        audit_day(self.lake, THURSDAY, SETTINGS)
        return self

    @property
    def state(self) -> str:
        return read_manifest(self.lake, SEVEN).state

    @property
    def reason(self) -> str:
        failure = read_manifest(self.lake, SEVEN).failure
        return failure.error if failure else ""

    @property
    def failed_checks(self) -> dict[str, str]:
        return {name: said for name, said in self.outcomes[SEVEN.key].answers.items() if said}

    @property
    def verdicts(self) -> dict[str, str]:
        trips = VALIDATED_TRIPS.frame(self.lake.read_table(VALIDATED_TRIPS.name, {"data": str(THURSDAY)}))
        return dict(zip(trips["placa"], trips["veredito"], strict=True))

    def stored(self, contract, hour: Hour = SEVEN):
        return contract.frame(self.lake.read_table(contract.name, hour.partition))


def test_a_good_answer_is_evidence(tmp_path):
    world = OneHour(str(tmp_path)).tell(lambda records: Answer({"data": records}))
    assert (world.state, world.verdicts) == ("captured", ALL_KNOWN)
    assert "rows_as_asked" not in world.failed_checks


def test_a_good_answer_without_trips_is_evidence_too(tmp_path):
    world = OneHour(str(tmp_path)).tell(lambda records: Answer({"data": []}))
    assert (world.state, world.verdicts[SILENT]) == ("confirmed_empty", "divergente")


# ---------------------------------------------------------------- answers that are no good ones


def as_1970(records):
    """Seconds that were read as milliseconds."""

    def misread(text: str) -> str:
        return datetime.fromtimestamp(datetime.fromisoformat(text).timestamp() / 1000, UTC).isoformat()

    return [{**r, "s": misread(r["s"]), "e": misread(r["e"])} for r in records]


def hours_off(records):
    return [{**r, **{n: r[n].replace("-03:00", "+00:00") for n in ("s", "e")}} for r in records]


@pytest.mark.parametrize(
    ("said", "reason"),
    and_long(
        (lambda r: Answer({"data": as_1970(r)}), "departs at 1970-01-21T"),
        (lambda r: Answer({"data": hours_off(r)}), "times.zone"),
        (lambda r: Answer({"success": False, "data": []}), "`success`"),
        (lambda r: Answer({"error": {"code": 4, "message": "session"}, "data": []}), "`error`"),
        (lambda r: Answer({"limit_exceeded": True, "data": []}), "`limit_exceeded`"),
        (lambda r: Answer(json.dumps({"data": r}).encode()[:-20]), "it was cut"),
        (lambda r: Answer({"data": None}), "trips.no_records: empty"),
        (lambda r: Answer(b"", 204), "trips.no_records: empty"),
        (lambda r: Answer(b'{"data": [{"v": 1, "v": 2}]}'), "'v' twice"),
        quick=4,
    ),
    ids=["1970", "another zone", "success", "error", "limit", "cut", "null", "204", "twice"],
)  # fmt: skip
def test_an_answer_that_is_no_good_one_leaves_the_hour_missing_and_accuses_nobody(tmp_path, said, reason):
    world = OneHour(str(tmp_path)).tell(said)
    assert world.state == "missing" and reason in world.reason
    assert world.verdicts == NOTHING_KNOWN
    assert isinstance(world.outcomes[SEVEN.key].error, PipelineError)


def test_the_page_in_question_is_named_with_what_was_asked(tmp_path):
    world = OneHour(str(tmp_path)).tell(lambda records: Answer({"data": as_1970(records)}))
    assert "all 1 rows of page 1" in world.reason and "times.format" in world.reason
    assert "2026-03-05T10:00Z to 2026-03-05T11:00Z" in world.reason


def test_a_row_of_another_time_beside_good_ones_fails_a_check(tmp_path):
    world = OneHour(str(tmp_path)).tell(lambda records: Answer({"data": [*records, *as_1970(records)]}))
    assert world.state == "captured" and "1 rows far from the window" in world.failed_checks["rows_as_asked"]
    assert world.stored(QUARANTINE)["motivo"].tolist() == ["fora_do_pedido"]
    assert world.verdicts == ALL_KNOWN  # the bus was heard as well as it should be


def test_a_bus_that_is_heard_in_another_time_only_is_not_heard(tmp_path):
    def said(records):
        lost = [{**r, "v": SILENT.lower(), "p": SILENT} for r in as_1970(records)]
        return Answer({"data": [*records, *lost]})

    world = OneHour(str(tmp_path)).tell(said)
    assert world.state == "captured" and "rows_as_asked" in world.failed_checks
    assert world.verdicts == HONEST_HEARD


def test_padding_is_no_row_of_another_time(tmp_path):
    padded = {"window": {"pad_before_min": 60, "pad_after_min": 60}}
    world = OneHour(str(tmp_path), **padded)
    neighbour = {**world.honest.records[0], "s": at(0, 6.1).isoformat(), "e": at(0, 6.4).isoformat()}
    server = Server([Answer({"data": [neighbour]})])
    with CarrierClient(world.profile, server.url, TOKEN) as client:
        manifest, cleaned = capture_hour(world.lake, client, world.profile, SEVEN, "run")
    server.close()
    assert manifest.state == "confirmed_empty" and cleaned.quarantine["motivo"].tolist() == [
        "saida_fora_da_hora"
    ]


def test_raw_read_again_with_a_profile_that_misreads_it_replaces_nothing(tmp_path):
    epochs = {"times": {"format": "epoch_s"}}

    def in_seconds(records):
        times = {n: [datetime.fromisoformat(r[n]).timestamp() for r in records] for n in ("s", "e")}
        return Answer(
            {"data": [{**r, "s": s, "e": e} for r, s, e in zip(records, *times.values(), strict=True)]}
        )

    world = OneHour(str(tmp_path), **epochs).tell(in_seconds)
    assert world.state == "captured"
    wrong = world.profile.model_copy(update={"times": make_profile(times={"format": "epoch_ms"}).times})
    (outcome,) = ingest_hours(world.lake, wrong, None, [SEVEN], "again", publish=True)
    assert "1970-01-21" in str(outcome.error) and len(world.stored(TRIPS)) == 1


# ---------------------------------------------------------------- values that read two ways


@pytest.mark.parametrize("text", ["0,850", "1,234 km", "40,000"])
def test_a_distance_that_reads_two_ways_accuses_nobody(tmp_path, text):
    def said(records):
        unread = [{**r, "v": SILENT.lower(), "p": SILENT, "km": text, "o": None, "a": None} for r in records]
        return Answer({"data": [*records, *unread]})

    world = OneHour(str(tmp_path)).tell(said)
    assert (world.state, world.stored(QUARANTINE)["motivo"].tolist()) == ("captured", ["distancia_ausente"])
    assert world.stored(QUARANTINE)["ilegivel"].tolist() == [f"distancia_telemetria_km={text}"]
    assert world.verdicts == HONEST_HEARD


def test_an_hour_of_such_distances_only_fails_a_check(tmp_path):
    world = OneHour(str(tmp_path)).tell(
        lambda records: Answer({"data": [{**r, "km": "0,850", "o": None, "a": None} for r in records]})
    )
    assert "1 of 1 rows rejected" in world.failed_checks["nulls_and_formats"]
    assert world.verdicts[HONEST] == "inconclusivo"


def test_the_mark_that_the_profile_names_decides(tmp_path):
    fields = {**FIELDS, "distancia_telemetria_km": {"path": "km", "decimal": ","}}
    world = OneHour(str(tmp_path), fields=fields).tell(
        lambda records: Answer({"data": [{**r, "km": "40,000", "o": None, "a": None} for r in records]})
    )
    assert world.stored(TRIPS)["distancia_km"].tolist() == [40.0] and world.verdicts == ALL_KNOWN


@pytest.mark.parametrize("neighbours", [True, False])
def test_a_date_without_a_time_is_no_departure_whatever_stands_beside_it(tmp_path, neighbours):
    def said(records):
        bare = [{**r, "v": SILENT.lower(), "p": SILENT, "s": "2026-03-05"} for r in records]
        return Answer({"data": [*records, *bare, *([] if neighbours else [{"s": "garbage"}])]})

    world = OneHour(str(tmp_path)).tell(said)
    assert "saida_ausente" in world.stored(QUARANTINE)["motivo"].tolist()
    assert "saida_utc=2026-03-05" in world.stored(QUARANTINE)["ilegivel"].tolist()
    assert world.verdicts == HONEST_HEARD


# ---------------------------------------------------------------- plates


@pytest.mark.parametrize(
    ("name", "plate", "warned"),
    and_long(
        ("Onibus 3803 GDP-4J68", "GDP4J68", None),
        ("Frota 4512 QWE1R23", "QWE1R23", None),
        ("Van 1020", None, "placa_recebida=Van 1020"),
        ("Van1020", None, "placa_recebida=Van1020"),
        ("Van 1020 qwe-1r23", "QWE1R23", None),
        ("ABC-1234 QWE1R23", None, "placa_recebida=ABC-1234 or QWE1R23"),
        ("Reserva", None, None),
        quick=3,
    ),
)
def test_a_plate_is_never_guessed_from_a_devices_name(tmp_path, name, plate, warned):
    shipped = load_profile("traccar")
    world = OneHour(
        str(tmp_path),
        fields={n: p for n, p in FIELDS.items() if n != "placa_recebida"} | {"descricao": "p"},
        description_pattern=shipped.description_pattern,
    ).tell(lambda records: Answer({"data": [{**r, "p": name} for r in records]}))
    (trip_,) = world.stored(TRIPS).to_dict("records")
    assert (trip_["placa"] if isinstance(trip_["placa"], str) else None) == plate
    assert (trip_["ilegivel"] if isinstance(trip_["ilegivel"], str) else None) == warned
    assert ("could not be read" in world.failed_checks.get("nulls_and_formats", "")) == bool(warned)
    if plate == HONEST:
        assert world.verdicts[HONEST] == "ok"


# ---------------------------------------------------------------- through Dagster


def test_dagster_leaves_such_an_hour_missing_and_says_why(job, bench):
    key = SEVEN_OF_BENCH
    assert job.run(key).success
    bench.answer = lambda asked: Answer({"success": False, "data": []})
    later = "2026-03-10-08:00"
    result = job.run(later)
    assert not result.success and "`success` calls it an error" in failure_of(result)
    assert job.manifest(later).state == "missing" and later not in job.materialized()
    far = trip("a")
    bench.answer = lambda asked: Answer(
        {"data": [{**far, "s": "1970-01-21T12:00:00Z", "e": "1970-01-21T12:20:00Z"}]}
    )
    result = job.run(later)
    assert "1970-01-21T12:00Z" in failure_of(result) and job.manifest(later).state == "missing"
    bench.answer = lambda asked: Answer({"data": []})
    result = job.run(later)
    assert job.manifest(later).state == "confirmed_empty" and all(job.checks(result).values())
    assert trips_key(MAIN) in {e.asset_key for e in result.get_asset_check_evaluations()}


SEVEN_OF_BENCH = "2026-03-10-06:00"
