"""A tariff, a register, a tolerance or a driver that changes: exactly the days concerned, with no hand.

Real files through the real steps and the real sensor; the runs that it asks for are run.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from telemetria_pipeline.contracts.audit import VALIDATED_TRIPS
from telemetria_pipeline.contracts.reference import CONTRACTS, SUBSTITUTIONS, VEHICLES
from telemetria_pipeline.core.reference import read_contracts, read_substitutions, read_vehicles
from telemetria_pipeline.settings import Settings
from telemetria_pipeline.steps.audit_day import audit_day
from telemetria_pipeline.steps.reference import FOLDER, refresh_table
from telemetria_pipeline_tests.core.boletim.rows import csv_of, trip
from telemetria_pipeline_tests.defs.test_audit_sensor import House

TODAY = datetime.now(UTC).astimezone(Settings.load().timezone).date()
DAYS = [TODAY - timedelta(days=back) for back in range(6, 0, -1)]
BUS, VAN = "ABC1C34", "XYZ9J99"  # the bus drives every day, the van on the first and the last

_VEHICLES = "PLACA;FROTA;TIPO;TRANSPORTADORA;OPERAÇÃO;GARAGEM;ENTRADA\n"
_CONTRACTS = (
    "CONTRATO;CLÁUSULA;REGIME;MODALIDADE;PLACA;TIPO;TARIFA;CUSTO FIXO;VIGÊNCIA INÍCIO;VIGÊNCIA FIM;"
    "TOLERÂNCIA %;TOLERÂNCIA KM\n"
)
BUS_ROW = f"{BUS};12;ÔNIBUS;Viação Alfa;AGR;Glória;\n"
VAN_ROW = f"{VAN};13;VAN;Viação Alfa;AGR;Glória;\n"


def terms(kind: str, tariff: str, first: str = "01/01/2025", last: str = "", tolerance: str = ";") -> str:
    return f"CT-1;1;MUNICIPAL;CONTRATO;;{kind};{tariff};0;{first};{last};{tolerance}\n"


def br(day: date) -> str:
    return f"{day:%d/%m/%Y}"


class Group(House):
    """A house whose reference files somebody keeps."""

    def keep(self, contract, read, text: str) -> None:
        self.lake.store.put(f"{FOLDER}/{contract.name}.csv", text.encode())
        refresh_table(self.lake, contract, read)

    def register(self, *rows: str) -> None:
        self.keep(VEHICLES, read_vehicles, _VEHICLES + "".join(rows))

    def contract(self, *rows: str) -> None:
        self.keep(CONTRACTS, read_contracts, _CONTRACTS + "".join(rows))

    def replace(self, *rows: str) -> None:
        text = "PLACA;SUBSTITUTA;INÍCIO;FIM;MOTIVO\n" + "".join(f"{row};quebrou\n" for row in rows)
        self.keep(SUBSTITUTIONS, read_substitutions, text)

    def audit_due(self) -> list[date]:
        """Audit what the sensor asks for; which days these were. Then it asks for none."""
        days = [date.fromisoformat(key) for key in self.days()]
        for day in days:
            audit_day(self.lake, day, Settings.load())
        assert self.days() == []
        return days

    def tariffs(self, day: date) -> dict[str, str]:
        trips = self.lake.read_table(VALIDATED_TRIPS.name, {"data": str(day)}).to_pylist()
        return {row["placa"]: str(row["tarifa_brl_km"]) for row in trips}


@contextmanager
def living(folder: Path) -> Iterator[Group]:
    with pytest.MonkeyPatch.context() as patch, dg.DagsterInstance.ephemeral() as instance:
        patch.setenv("TELEMETRIA_LAKE", f"file:{folder}/lake")
        patch.setenv("TELEMETRIA_AUDIT_REST_S", "0")
        yield Group(f"file:{folder}", instance)


@pytest.fixture(scope="module")
def audited(tmp_path_factory) -> Path:
    """The folder of a group whose days are audited, for each test to copy."""
    folder = tmp_path_factory.mktemp("group")
    with living(folder) as group:
        group.register(BUS_ROW, VAN_ROW)
        group.contract(terms("ÔNIBUS", "2,73"), terms("VAN", "1,98"))
        rows = [trip(DATA=br(day), PLACA=BUS) for day in DAYS]
        rows += [trip(DATA=br(day), PLACA=VAN, EQUIPAMENTO="13") for day in (DAYS[0], DAYS[-1])]
        group.inbox.put("b.csv", csv_of(*rows))
        group.judge("b.csv")
        assert group.audit_due() == DAYS
    return folder


@pytest.fixture
def group(audited, tmp_path) -> Iterator[Group]:
    with living(shutil.copytree(audited, tmp_path / "group")) as group:
        yield group


def test_a_new_tariff_concerns_the_days_on_which_it_is_in_force_for_a_vehicle_that_drove(group):
    change, before = DAYS[3], DAYS[3] - timedelta(days=1)
    group.contract(
        terms("ÔNIBUS", "2,73", last=br(before)),
        terms("ÔNIBUS", "2,90", first=br(change)),
        terms("VAN", "1,98"),
    )
    assert group.audit_due() == DAYS[3:]
    assert [group.tariffs(day)[BUS] for day in DAYS] == ["2.7300"] * 3 + ["2.9000"] * 3
    group.contract(
        terms("VAN", "2,05"),
        terms("ÔNIBUS", "2,73", last=br(before)),
        terms("ÔNIBUS", "2,90", first=br(change)),
    )
    assert group.audit_due() == [DAYS[0], DAYS[-1]]


def test_a_row_of_the_register_concerns_the_days_of_its_vehicle(group):
    group.register(BUS_ROW, VAN_ROW, f"NEW1A23;14;VAN;Viação Alfa;AGR;Glória;{br(DAYS[4])}\n")
    assert group.audit_due() == DAYS[4:]
    group.register(BUS_ROW, VAN_ROW)
    assert group.audit_due() == DAYS[4:]
    group.register(VAN_ROW, BUS_ROW)  # the same in another order
    assert group.audit_due() == []


def test_a_substitution_concerns_the_days_on_which_its_plate_is_declared(group):
    def vehicles(day: date) -> set[str]:
        rows = group.lake.read_table(VALIDATED_TRIPS.name, {"data": str(day)}).to_pylist()
        return {(row["veiculo"], row["placa_declarada"]) for row in rows}

    group.replace()
    assert group.audit_due() == []
    group.replace(f"{VAN};NEW1A23;{br(DAYS[1])};")
    # Nothing was measured: whoever claims a trip of any of these days might claim it of another.
    assert DAYS[-1] in group.audit_due()
    assert vehicles(DAYS[-1]) == {(BUS, None), ("NEW1A23", VAN)}
    group.replace(f"{VAN};NEW1A23;{br(DAYS[1])};", f"{BUS};NEW1A23;{br(DAYS[1])};{br(DAYS[2])}")
    assert {*group.audit_due()} >= {*DAYS[1:3]}
    group.lake.store.delete(f"{FOLDER}/{SUBSTITUTIONS.name}.csv")
    refresh_table(group.lake, SUBSTITUTIONS, read_substitutions)
    assert {*group.audit_due()} >= {*DAYS[1:3], DAYS[-1]}
    assert vehicles(DAYS[-1]) == {(BUS, None), (VAN, None)}


def test_a_tolerance_of_a_contract_concerns_its_vehicles_and_the_default_all(group, monkeypatch):
    group.contract(terms("ÔNIBUS", "2,73"), terms("VAN", "1,98", tolerance="5;1"))
    assert group.audit_due() == [DAYS[0], DAYS[-1]]
    monkeypatch.setenv("TELEMETRIA_KM_TOLERANCE", "0.08")
    assert group.audit_due() == DAYS


def test_what_is_made_again_and_says_the_same_concerns_no_day(group):
    group.register(BUS_ROW, VAN_ROW)
    group.contract(terms("ÔNIBUS", "2,73"), terms("VAN", "1,98"))
    assert group.days() == []


def test_the_run_says_why_its_day_was_stale(group):
    group.contract(terms("ÔNIBUS", "2,73"), terms("VAN", "2,05"))
    assert {r.tags["telemetria/stale"] for r in group.tick().run_requests} == {"contracts"}


def test_a_setting_that_is_changed_back_and_forth_is_asked_for_each_time(group, monkeypatch):
    """Dagster drops a run key that it has seen."""
    keys: list[str] = []
    for share in ("0.08", "0.10", "0.08"):
        monkeypatch.setenv("TELEMETRIA_KM_TOLERANCE", share)
        requests = group.tick().run_requests
        assert [r.partition_key for r in requests] == [str(day) for day in DAYS]
        keys += [r.run_key for r in requests]
        for request in requests:
            group.record(request, "STARTED")
            group.instance.report_run_canceled(next(iter(group.instance.get_runs(limit=1))))
            audit_day(group.lake, date.fromisoformat(request.partition_key), Settings.load())
    assert len(set(keys)) == len(keys)
