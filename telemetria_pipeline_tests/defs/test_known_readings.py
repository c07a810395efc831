"""The last known odometers of vehicles as witnesses, out of a real lake in a folder."""

from datetime import date, timedelta

import pandas as pd
import pytest

from telemetria_pipeline.contracts.audit import VALIDATED_TRIPS
from telemetria_pipeline.core.boletim.settings import Reference, RuleSettings
from telemetria_pipeline.steps.intake import archive_file, foresee, judge_file, landed_files, receive_file
from telemetria_pipeline.steps.readings import known_readings
from telemetria_pipeline.storage import Lake, ObjectStore
from telemetria_pipeline_tests.core.boletim.rows import csv_of, trip

DAY = date(2026, 11, 22)


@pytest.fixture
def lake(tmp_path) -> Lake:
    return Lake.open(f"file:{tmp_path}/lake")


@pytest.fixture
def inbox(tmp_path) -> ObjectStore:
    return ObjectStore.open(f"file:{tmp_path}/inbox")


def take(lake: Lake, inbox: ObjectStore, key: str, *rows: dict[str, str]):
    """A file lands and goes all the way; its manifest."""
    inbox.put(key, csv_of(*rows))
    file = next(f.file_id for f in landed_files(inbox) if f.key == key)
    received = receive_file(lake, inbox, file)
    judged = judge_file(lake, received, RuleSettings(), Reference())
    return archive_file(lake, inbox, judged, received.data)


def on(back: int, km: int, **said: str) -> dict[str, str]:
    """A trip so many days before the 22nd."""
    day = f"{DAY - timedelta(days=back):%d/%m/%Y}"
    return trip(**{"DATA": day, "KM_SAÍDA": str(km), "KM_CHEGADA": str(km + 27), **said})


def measure(lake: Lake, day: date, **odometers: float) -> None:
    """An audited day with good odometers of some vehicles, as much of it as is read here."""
    when = pd.Timestamp(f"{day} 15:00", tz="UTC").as_unit("us")
    names = ("placa", "chegada_medida_utc", "leitura_chegada_km")
    rows = pd.DataFrame([(plate, when, km) for plate, km in odometers.items()], columns=names)
    rows = pd.concat([rows, rows.assign(leitura_chegada_km=None, placa="GDP4J68")[:1]])  # no good odometer
    contract = VALIDATED_TRIPS.only(*names)
    rows = rows.astype({c.name: c.pandas_dtype for c in contract.columns})
    lake.write_table(VALIDATED_TRIPS.name, {"data": str(day)}, contract.table(rows))


def asked(lake: Lake, manifest, day: date = DAY, plates=("GDP4J68", "ABC1D23", "XYZ1A23")):
    found = known_readings(lake, manifest)(plates, day)
    assert list(found) == ["placa", "instante_utc", "odometro_km"]
    return sorted(zip(found["placa"], found["odometro_km"], strict=True))


def test_the_last_declared_and_the_last_measured_reading_of_each_vehicle_before_the_day(lake, inbox):
    take(lake, inbox, "a.csv", on(3, 44_000), on(2, 45_000), on(0, 45_900, PLACA="ABC1D23"))
    take(
        lake,
        inbox,
        "b.csv",
        on(9, 100, PLACA="ABC1D23") | {"SUBSTITUTO": ""},
        on(4, 70_000, PLACA="ABC1D23") | {"SUBSTITUTO": "XYZ1A23"},
    )
    later = take(lake, inbox, "c.csv", on(1, 99_000, PLACA="JKL1A23"))
    assert asked(lake, later) == [("ABC1D23", 127), ("GDP4J68", 45_027), ("XYZ1A23", 70_027)]
    measure(lake, DAY - timedelta(days=1), ABC1D23=46_100.5)
    measure(lake, DAY - timedelta(days=5), ABC1D23=1, XYZ1A23=70_001)
    known = [
        ("ABC1D23", 127),
        ("ABC1D23", 46_100.5),
        ("GDP4J68", 45_027),
        ("XYZ1A23", 70_001),
        ("XYZ1A23", 70_027),
    ]
    assert asked(lake, later) == known


def test_it_looks_ten_days_back_and_no_further_than_it_must(lake, inbox, monkeypatch):
    last = take(
        lake, inbox, "a.csv", on(11, 1_000, PLACA="XYZ1A23"), on(10, 2_000, PLACA="ABC1D23"), on(2, 45_000)
    )
    last = take(lake, inbox, "b.csv", on(1, 1, PLACA="JKL1A23"))
    assert asked(lake, last) == [("ABC1D23", 2_027), ("GDP4J68", 45_027)]
    listed = []
    list_keys = ObjectStore.list
    monkeypatch.setattr(ObjectStore, "list", lambda s, *a, **k: listed.append(a[0]) or list_keys(s, *a, **k))
    assert asked(lake, last, plates=["GDP4J68"]) == [("GDP4J68", 45_027)]
    assert listed == [f"boletim_declarations/dia=2026-11-{day}" for day in (21, 20)]


def test_what_came_after_the_file_tells_nothing_of_it(lake, inbox):
    first = take(lake, inbox, "a.csv", on(2, 45_000))
    take(lake, inbox, "b.csv", on(1, 45_500))
    assert asked(lake, first) == []  # its own trips are no witness either


def test_a_comma_is_settled_by_what_the_lake_knows(lake, inbox):
    eaten = on(0, 0, KM_SAÍDA="45,230", KM_CHEGADA="45,257", KM_ROTA="")
    alone = foresee(lake, "b.csv", csv_of(eaten), RuleSettings(), Reference())
    assert [p.code for p in alone.problems] == ["NUMERO_AMBIGUO"] * 2
    take(lake, inbox, "a.csv", on(1, 45_200))
    settled = foresee(lake, "b.csv", csv_of(eaten), RuleSettings(), Reference())
    assert [p.code for p in settled.warnings] == ["NUMERO_COM_PONTO_DE_MILHAR"] * 2
    assert settled.accepted[["km_saida", "km_chegada"]].values.tolist() == [[45_230, 45_257]]
    assert take(lake, inbox, "b.csv", eaten).verdict == "accepted"


def test_files_whose_numbers_are_plain_cost_no_look_up(lake, inbox, monkeypatch):
    monkeypatch.setattr("telemetria_pipeline.steps.readings.declared_on", None)
    assert take(lake, inbox, "a.csv", on(1, 45_200)).verdict == "accepted"
