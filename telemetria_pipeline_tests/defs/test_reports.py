"""What people open, made from a lake: the daily report, the medição, the page of a divergence."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from io import BytesIO

import dagster as dg
import openpyxl
import pytest
from click.testing import CliRunner

from telemetria_pipeline.business_calendar import Cycle
from telemetria_pipeline.cli import main
from telemetria_pipeline.contracts import Contract
from telemetria_pipeline.contracts.audit import DAILY_KM, DIVERGENCES, TRIP_SEGMENTS, VALIDATED_TRIPS
from telemetria_pipeline.contracts.billing import ADJUSTMENTS, BILLING, PATTERNS, PRICED_TRIPS
from telemetria_pipeline.contracts.raw import Failure, HourManifest
from telemetria_pipeline.contracts.reference import CONTRACTS
from telemetria_pipeline.contracts.telemetry import LEDGER
from telemetria_pipeline.core.audit.trips import HOUR_DAYS
from telemetria_pipeline.core.boletim.settings import Reference, RuleSettings
from telemetria_pipeline.definitions import build_definitions
from telemetria_pipeline.settings import Settings
from telemetria_pipeline.steps.hours import manifest_key
from telemetria_pipeline.steps.intake import judge_file, landed_files, receive_file
from telemetria_pipeline.steps.report_facts import (
    NothingToReport,
    UnknownDivergence,
    daily_facts,
    evidence_of,
    measurement_of,
)
from telemetria_pipeline.storage import Lake, ObjectStore
from telemetria_pipeline_tests.core.audit.rows import (
    DAY,
    DEPARTURE,
    PLATE,
    ZONE,
    frame_of,
    segment,
    segments,
    trip,
    trip_id,
    trips,
)
from telemetria_pipeline_tests.core.boletim.rows import csv_of
from telemetria_pipeline_tests.core.boletim.rows import trip as declared
from telemetria_pipeline_tests.one_source import hour_of
from telemetria_pipeline_tests.reports.html import assert_alone, text_of
from telemetria_pipeline_tests.reports.rows import (
    adjustment,
    adjustments,
    bill,
    bill_line,
    divergence,
    divergences,
    pattern,
    patterns,
    vehicle_day,
    vehicle_days,
)

CYCLE = Cycle.from_key("2026-02-16")  # DAY lies in it
SETTINGS = Settings.load()
INFLATED = {"km_declarado": 48, "km_medido": "31.2", "km_auditado": "31.2", "veredito": "divergente"}


def write(lake: Lake, contract: Contract, frame, **partition: str) -> None:
    assert contract.broken_by(frame) is None
    lake.write_table(contract.name, partition, contract.table(frame))


def write_day(lake: Lake, day: date = DAY) -> None:
    """A day on which a vehicle declared 48 km and drove 31.2."""
    tables = {
        VALIDATED_TRIPS: trips(trip(**INFLATED, base_auditoria="medido")),
        TRIP_SEGMENTS: segments(segment(km_medido="31.2")),
        DAILY_KM: vehicle_days(vehicle_day(km_declarado=48, km_medido="31.2", km_auditado="31.2")),
        DIVERGENCES: divergences(divergence()),
    }
    for contract, frame in tables.items():
        write(lake, contract, frame, data=str(day))


def write_cycle(lake: Lake) -> None:
    tables = {
        BILLING: bill(bill_line()),
        ADJUSTMENTS: adjustments(adjustment()),
        PATTERNS: patterns(pattern()),
        PRICED_TRIPS: frame_of(PRICED_TRIPS, []),
    }
    for contract, frame in tables.items():
        write(lake, contract, frame, ciclo=CYCLE.key)


def write_hour(lake: Lake, key: str, state: str) -> None:
    counts = {c.name: 0 for c in LEDGER.columns}
    row = counts | {"state": state, "capture": "c1", "profile": "p", "captured_at_utc": datetime.now(UTC)}
    write(lake, LEDGER, frame_of(LEDGER, [row]), **hour_of(key).partition)


@pytest.fixture
def folder_lake(tmp_path, monkeypatch) -> Lake:
    monkeypatch.setenv("TELEMETRIA_LAKE", f"file:{tmp_path / 'lake'}")
    monkeypatch.chdir(tmp_path)
    return Lake.open(f"file:{tmp_path / 'lake'}")


@pytest.fixture
def run(folder_lake):
    """Materialise one asset of the real job."""
    with dg.DagsterInstance.ephemeral() as instance:

        def materialise(job: str, asset: str, **where) -> dg.ExecuteInProcessResult:
            return (
                build_definitions()
                .resolve_job_def(job)
                .execute_in_process(
                    instance=instance, raise_on_error=False, asset_selection=[dg.AssetKey(asset)], **where
                )
            )

        materialise.instance = instance
        yield materialise


def metadata_of(result: dg.ExecuteInProcessResult) -> dict[str, object]:
    (event,) = result.get_asset_materialization_events()
    return {name: value.value for name, value in event.materialization.metadata.items()}


# --- the daily report ----------------------------------------------------------------------------------


def test_the_daily_report_lies_in_the_lake_and_its_plots_in_the_metadata(run, folder_lake):
    write_day(folder_lake)
    result = run("audit_job", "daily_report", partition_key=str(DAY))
    assert result.success
    said = metadata_of(result)
    stem = f"reports/daily/data={DAY}/relatorio_{DAY}"
    assert said["dagster/uri"] == folder_lake.store.uri(f"{stem}.xlsx")
    page = folder_lake.store.get(f"{stem}.html").decode()
    assert_alone(page)
    assert said["spent_brl"] == "85.18"
    assert "R$ 85,18" in text_of(page)
    assert said["report"].count("](data:image/png;base64,") == 2
    book = openpyxl.load_workbook(BytesIO(folder_lake.store.get(f"{stem}.xlsx")))
    assert book.sheetnames[0] == "Resumo"


def test_what_lies_in_a_franchise_is_told_by_the_cycles_trips_to_date(lake):
    """60 of 100 free km were used on the day before; what comes later in the cycle changes nothing."""
    day = {"km_declarado": 60, "km_medido": 60, "km_auditado": 60}
    ran = {
        DAY - timedelta(days=1): trip(viagem_id="a", saida_utc=DEPARTURE - timedelta(days=1), **day),
        DAY: trip(viagem_id="b", **day),
        DAY + timedelta(days=1): trip(viagem_id="c", saida_utc=DEPARTURE + timedelta(days=1), **day),
        CYCLE.first - timedelta(days=1): trip(viagem_id="d", **day),
    }
    write_day(lake)
    for when, row in ran.items():
        write(lake, VALIDATED_TRIPS, trips(row), data=str(when))
    assert daily_facts(lake, DAY, SETTINGS).franchise.empty
    terms = {
        "contrato": "C-1", "clausula": "4.1", "contrato_linha": 2, "modalidade": "contrato",
        "placa": PLATE, "tarifa_brl_km": "2.73", "custo_fixo_mensal_brl": 0, "franquia_km": 100,
        "vigencia_inicio": "2026-01-01",
    }  # fmt: skip
    write(lake, CONTRACTS, frame_of(CONTRACTS, [terms]))
    assert daily_facts(lake, DAY, SETTINGS).franchise.to_dict() == {"a": 100_000, "b": 40_000}


def test_a_range_of_days_is_reported_day_by_day_and_one_that_fails_costs_only_itself(run, folder_lake):
    write_day(folder_lake)
    write_day(folder_lake, DAY + timedelta(days=2))
    first, last = str(DAY), str(DAY + timedelta(days=2))
    result = run(
        "audit_job",
        "daily_report",
        tags={"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last},
    )
    assert not result.success
    reported = run.instance.get_materialized_partitions(dg.AssetKey("daily_report"))
    assert reported == {first, last}
    (failed,) = result.get_step_failure_events()
    assert "1 of 3 days failed" in failed.step_failure_data.error.message
    assert "materialise validated_trips for it first" in failed.step_failure_data.error.message


def test_hours_are_told_as_the_audit_saw_them_with_what_the_tries_met(lake):
    write_day(lake)
    write_hour(lake, f"{DAY}-06:00", "captured")
    write_hour(lake, f"{DAY}-07:00", "open")
    failure = Failure(run_id="r", attempts=4, error="503", at=datetime.now(UTC), permanent=False)
    hour = hour_of(f"{DAY}-08:00")
    lake.write_json(manifest_key(hour), HourManifest(hour=hour.key, failure=failure).model_dump(mode="json"))
    hours = daily_facts(lake, DAY, SETTINGS).hours.set_index("hora")
    assert len(hours) == 24
    assert hours["estado"]["06:00":"09:00"].tolist() == ["captured", "open", "missing", "missing"]
    assert hours.loc["08:00", ["tentativas", "erro"]].tolist() == [4, "503"]
    assert hours["tentativas"].sum() == 4


def test_boletins_of_the_day_are_those_that_declare_it_or_came_for_it(lake, address):
    inbox = ObjectStore.open(f"{address}/inbox")
    today = datetime.now(ZONE).date()
    yesterday = today - timedelta(days=1)

    def take(name: str, *rows: dict[str, str]) -> None:
        inbox.put(name, csv_of(*rows))
        file = next(f.file_id for f in landed_files(inbox) if f.key == name)
        judge_file(lake, receive_file(lake, inbox, file), RuleSettings(), Reference())

    take("ontem.csv", declared(DATA=f"{yesterday:%d/%m/%Y}"))
    take("hoje.csv", declared(DATA=f"{today:%d/%m/%Y}", HORÁRIO_SAÍDA="00:00", HORÁRIO_CHEGADA="00:01"))
    take("ruim.csv", declared(PLACA="???"))
    take("de novo.csv", declared(DATA=f"{yesterday:%d/%m/%Y}"))  # the same content as the first
    for day in (yesterday, today, yesterday - timedelta(days=1)):
        write_day(lake, day)

    def told(day: date) -> dict[str, str]:
        found = daily_facts(lake, day, SETTINGS).boletins
        return dict(zip(found["arquivo"], found["veredito"], strict=True))

    of_yesterday = {"ontem.csv": "accepted", "ruim.csv": "rejected", "de novo.csv": "duplicate"}
    assert told(yesterday) == of_yesterday
    assert told(today) == of_yesterday | {"hoje.csv": "accepted"}
    assert told(yesterday - timedelta(days=1)) == {}
    row = daily_facts(lake, yesterday, SETTINGS).boletins.set_index("arquivo").loc["ruim.csv"]
    assert row[["recebidas", "aceitas", "repetidas", "rejeitadas"]].tolist() == [1, 0, 0, 1]


# --- the medição ---------------------------------------------------------------------------------------


def test_the_medicao_lies_in_the_lake_and_its_totals_in_the_metadata(run, folder_lake):
    write_cycle(folder_lake)
    write_day(folder_lake)
    result = run("cycle_job", "measurement", partition_key=CYCLE.key)
    assert result.success
    said = metadata_of(result)
    assert said["total_brl"] == "43684.51"
    assert said["closed"] is False
    assert "R$ 43.684,51" in said["report"]
    key = f"reports/measurement/ciclo={CYCLE.key}/medicao_{CYCLE.key}.xlsx"
    assert said["dagster/uri"] == folder_lake.store.uri(key)
    book = openpyxl.load_workbook(BytesIO(folder_lake.store.get(key)))
    assert "Período: 16/02/2026 a 15/03/2026" in [c.value for c in book["AGR"]["A"]]


def test_each_carriers_medicao_lies_beside_it_and_one_that_counts_no_more_is_removed(run, folder_lake):
    write_cycle(folder_lake)
    folder = f"reports/measurement/ciclo={CYCLE.key}"
    folder_lake.store.put(f"{folder}/medicao_{CYCLE.key}_outra.html", b"of another day")
    result = run("cycle_job", "measurement", partition_key=CYCLE.key)
    stem = f"{folder}/medicao_{CYCLE.key}"
    files = [f"{stem}.xlsx", f"{stem}_viacao-teste.html", f"{stem}_viacao-teste.xlsx"]
    assert sorted(info.key for info in folder_lake.store.list(folder)) == files
    assert sorted(metadata_of(result)["of_carriers"]) == [folder_lake.store.uri(key) for key in files[1:]]
    page = folder_lake.store.get(files[1]).decode()
    assert_alone(page)
    assert "Medição · VIAÇÃO TESTE" in text_of(page)


BROWSER = """#!/bin/sh
for word in "$@"; do
  case "$word" in --print-to-pdf=*) out="${word#*=}";; file://*) page="${word#file://}";; esac
done
printf '%%PDF of ' > "$out" && cat "$page" >> "$out"
"""


def print_cycle(tmp_path, monkeypatch, program: str | None) -> tuple[int, str]:
    """What `telemetria cycle print` says on a machine with this program, and no other, to print with."""
    folder = tmp_path / "bin"
    folder.mkdir()
    if program:
        (folder / "chromium").write_text(program)
        (folder / "chromium").chmod(0o755)
    (folder / "cat").symlink_to("/bin/cat")
    monkeypatch.setenv("PATH", str(folder))
    done = CliRunner().invoke(main, ["cycle", "print", CYCLE.key, "--output", "signed"])
    return done.exit_code, done.output


def test_a_cycle_is_printed_by_the_browser_that_is_there(folder_lake, tmp_path, monkeypatch):
    write_cycle(folder_lake)
    code, said = print_cycle(tmp_path, monkeypatch, BROWSER)
    assert code == 0, said
    stem = tmp_path / "signed" / f"medicao_{CYCLE.key}_viacao-teste"
    assert stem.with_suffix(".pdf").read_bytes() == b"%PDF of " + stem.with_suffix(".html").read_bytes()
    assert said.splitlines()[-1] == f"signed/{stem.name}.pdf"


def test_without_a_browser_it_says_how_to_print(folder_lake, tmp_path, monkeypatch):
    write_cycle(folder_lake)
    code, said = print_cycle(tmp_path, monkeypatch, None)
    assert code == 0
    assert "open the .html in any browser and print it as PDF" in said
    assert not list((tmp_path / "signed").glob("*.pdf"))


def test_a_browser_that_prints_nothing_is_told(folder_lake, tmp_path, monkeypatch):
    write_cycle(folder_lake)
    code, said = print_cycle(tmp_path, monkeypatch, "#!/bin/sh\necho no display >&2\n")
    assert (code, "did not print" in said, "no display" in said) == (1, True, True)


def test_the_medicao_takes_the_divergences_of_its_own_days(lake):
    write_cycle(lake)
    for day in (
        DAY,
        DAY + timedelta(days=1),
        CYCLE.first - timedelta(days=1),
        CYCLE.last + timedelta(days=1),
    ):
        write_day(lake, day)
    assert len(measurement_of(lake, CYCLE, SETTINGS).divergences) == 2


def test_without_a_bill_or_an_audit_the_error_says_what_to_materialise(run, folder_lake):
    result = run("cycle_job", "measurement", partition_key=CYCLE.key)
    (failed,) = result.get_step_failure_events()
    assert (
        f"billing has nothing of {CYCLE.key}: materialise billing" in failed.step_failure_data.error.message
    )
    with pytest.raises(NothingToReport, match="materialise validated_trips for it first"):
        daily_facts(folder_lake, DAY, SETTINGS)


# --- the evidence --------------------------------------------------------------------------------------


def terms(**said) -> dict[str, object]:
    return {
        "contrato": "C-1", "clausula": "7.2", "contrato_linha": 2, "modalidade": "contrato", "tipo": "ONIBUS",
        "tarifa_brl_km": "2.73", "custo_fixo_mensal_brl": 0, "franquia_km": 0,
        "vigencia_inicio": "2026-01-01", **said,
    }  # fmt: skip


def test_evidence_has_both_sides_the_hours_and_the_clause_that_priced_it(lake):
    write_day(lake)
    write(lake, CONTRACTS, frame_of(CONTRACTS, [terms()]))
    found = evidence_of(lake, "20260310-0000000001", SETTINGS)
    assert (len(found.trips), len(found.segments)) == (1, 1)
    assert found.terms["clausula"] == "7.2"
    assert len(found.hours) == 24 * (2 * HOUR_DAYS + 1)  # a date may be typed wrong


def test_evidence_takes_readings_of_other_days_and_what_lies_beyond_the_franchise(lake):
    write_day(lake)
    write(lake, TRIP_SEGMENTS, segments(), data=str(DAY))
    write(lake, CONTRACTS, frame_of(CONTRACTS, [terms(placa=PLATE, tipo=None, franquia_km=40)]))
    for days in (-5, -3, 9, 40):
        far = timedelta(days=days)
        read = segment(viagem_id=f"{days}", saida_utc=DEPARTURE + far, chegada_utc=DEPARTURE + far)
        write(lake, TRIP_SEGMENTS, segments(read), data=str(DAY + far))
        write(
            lake,
            VALIDATED_TRIPS,
            trips(trip(viagem_id=f"{days}", saida_utc=DEPARTURE + far)),
            data=str(DAY + far),
        )
    write(
        lake, TRIP_SEGMENTS, segments(segment(situacao_odometro="salto")), data=str(DAY - timedelta(days=1))
    )
    found = evidence_of(lake, "20260310-0000000001", SETTINGS)
    assert found.around["viagem_id"].tolist() == ["-3", "9"]
    assert set(found.between["viagem_id"]) == {"-3", trip_id(1), "9"}
    # 40 km were used on two days before, by 20 each: nothing is left of the franchise.
    assert found.beyond == (Decimal("45.86"), 0)


def test_evidence_names_the_bytes_of_the_boletim(lake, address):
    inbox = ObjectStore.open(f"{address}/inbox")
    data = csv_of(declared(DATA="10/03/2026"))
    inbox.put("bom.csv", data)
    (landed,) = landed_files(inbox)
    judge_file(lake, receive_file(lake, inbox, landed.file_id), RuleSettings(), Reference())
    write_day(lake)
    write(lake, DIVERGENCES, divergences(divergence(arquivo_id=landed.file_id)), data=str(DAY))
    assert evidence_of(lake, "20260310-0000000001", SETTINGS).boletim_sha256 == sha256(data).hexdigest()


@pytest.mark.parametrize(
    "now", [[], [terms(tarifa_brl_km="2.90")], [terms(contrato="C-2")], [terms(tipo="VAN")]]
)
def test_a_clause_that_reads_otherwise_by_now_is_not_shown_as_the_one_that_priced(lake, now):
    write_day(lake)
    write(lake, CONTRACTS, frame_of(CONTRACTS, now))
    assert evidence_of(lake, "20260310-0000000001", SETTINGS).terms is None


def test_other_vehicles_of_the_day_stay_out(lake):
    write_day(lake)
    both = trips(trip(**INFLATED), trip(placa="ABC1C34"))
    write(lake, VALIDATED_TRIPS, both, data=str(DAY))
    assert evidence_of(lake, "20260310-0000000001", SETTINGS).trips["placa"].tolist() == ["GDP4J68"]


def test_the_command_writes_the_page_and_says_where(folder_lake, tmp_path):
    write_day(folder_lake)
    done = CliRunner().invoke(main, ["evidence", "20260310-0000000001"])
    assert (done.exit_code, done.output) == (0, "Página gravada em evidencia_20260310-0000000001.html\n")
    page = (tmp_path / "evidencia_20260310-0000000001.html").read_text(encoding="utf-8")
    assert_alone(page)
    assert "Quilometragem divergente" in text_of(page)
    done = CliRunner().invoke(main, ["evidence", "20260310-0000000001", "--output", "minha.html"])
    assert (tmp_path / "minha.html").read_text(encoding="utf-8") == page


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ("20260310-ffffffffff", "As mais caras de 10/03/2026:\n  20260310-0000000001"),
        ("20260311-ffffffffff", "O dia 11/03/2026 ainda não foi auditado"),
        ("20261399-ffffffffff", "escreva um como 20261122-0a1b2c3d4e"),
        ("../../etc", "não é o número de uma divergência"),
    ],
)
def test_an_unknown_divergence_is_told_kindly(folder_lake, tmp_path, asked, says):
    write_day(folder_lake)
    done = CliRunner().invoke(main, ["evidence", asked])
    assert done.exit_code == 1
    assert says in done.output
    assert not list(tmp_path.glob("*.html"))
    with pytest.raises(UnknownDivergence):
        evidence_of(folder_lake, asked, SETTINGS)
