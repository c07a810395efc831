"""A cycle from audited days to a closed bill: in a lake, in a folder and on S3, and on a real instance."""

import os
from contextlib import suppress
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import dagster as dg
import duckdb
import pandas as pd
import pytest

from telemetria_pipeline.business_calendar import Cycle
from telemetria_pipeline.contracts import Contract
from telemetria_pipeline.contracts.audit import DAILY_KM
from telemetria_pipeline.contracts.billing import ADJUSTMENTS, BILLING, PATTERNS, PRICED_TRIPS
from telemetria_pipeline.contracts.raw import FileManifest
from telemetria_pipeline.contracts.reference import CONTRACTS, VEHICLES
from telemetria_pipeline.core.billing.bill import totals
from telemetria_pipeline.core.billing.closing import FROZEN
from telemetria_pipeline.core.boletim.settings import Reference, RuleSettings
from telemetria_pipeline.definitions import build_definitions
from telemetria_pipeline.defs.billing.automation import cycle_daily
from telemetria_pipeline.defs.billing.checks import parts_sum_to_totals
from telemetria_pipeline.defs.resources import PipelineResource
from telemetria_pipeline.settings import Settings
from telemetria_pipeline.steps.boletim_files import write_file_manifest
from telemetria_pipeline.steps.closed_cycles import (
    CycleRefused,
    closing_key,
    entry_key,
    freeze,
    frozen_tables,
    look_into_log,
    read_log,
)
from telemetria_pipeline.steps.cycle import (
    TariffsMissing,
    bill_cycle,
    close_cycle,
    gaps_of,
    look_at,
    what_if,
)
from telemetria_pipeline.steps.day_index import HourEntry, record_hour
from telemetria_pipeline.steps.intake import judge_file, landed_files, receive_file
from telemetria_pipeline.steps.report_facts import measurement_of
from telemetria_pipeline.storage.lake import Lake
from telemetria_pipeline.storage.object_store import ObjectStore
from telemetria_pipeline_tests.core.audit.rows import ZONE, frame_of
from telemetria_pipeline_tests.core.billing.bills import CYCLE, DAYS, PLATES, on, terms, vehicle
from telemetria_pipeline_tests.core.boletim.rows import csv_of
from telemetria_pipeline_tests.core.boletim.rows import trip as declared
from telemetria_pipeline_tests.defs.cycles import (
    AFTER,
    LATER,
    SETTINGS,
    audited,
    closing_of,
    drove,
    filled,
    lose,
    put,
)
from telemetria_pipeline_tests.defs.test_day_index import PowerCut, before_write
from telemetria_pipeline_tests.one_source import hour_of
from telemetria_pipeline_tests.rounds import and_long


def table(lake: Lake, contract: Contract, cycle: Cycle = CYCLE) -> pd.DataFrame:
    return contract.frame(lake.read_table(contract.name, cycle.partition))


def everything(lake: Lake) -> dict[str, bytes]:
    return {info.key: lake.store.get(info.key) for info in lake.store.list()}


@pytest.fixture
def cycle_lake(tmp_path) -> Lake:
    return filled(Lake.open(f"file:{tmp_path / 'lake'}"))


def closed(lake: Lake, cycle: Cycle = CYCLE, now: datetime = AFTER):
    bill_cycle(lake, cycle, SETTINGS)
    return close_cycle(lake, cycle, SETTINGS, now)


def test_a_cycle_is_billed_from_its_audited_days_and_an_outsider_reads_it(cycle_lake):
    billed = bill_cycle(cycle_lake, CYCLE, SETTINGS)
    line = table(cycle_lake, BILLING).iloc[0]
    assert (line["variavel_brl"], line["fixo_brl"], line["viagens"]) == (Decimal("81.90"), 28_000, 2)
    assert billed.days_missing == []
    for contract in (BILLING, PRICED_TRIPS, ADJUSTMENTS, PATTERNS):
        stored = cycle_lake.read_table(contract.name, CYCLE.partition)
        assert stored.schema.equals(contract.arrow_schema)


def test_a_running_cycle_names_the_days_to_come(cycle_lake):
    for day in DAYS[20:]:
        lose(cycle_lake, day)
    assert bill_cycle(cycle_lake, CYCLE, SETTINGS).days_missing == CYCLE.days[20:]


def test_trips_that_were_judged_by_other_rules_are_judged_again(cycle_lake):
    strict = SETTINGS.model_copy(update={"km_share": Decimal("0.05")})
    audited(cycle_lake, CYCLE, on(DAYS[0], viagem_id="x", km_declarado=108, km_medido=100))
    bills = [bill_cycle(cycle_lake, CYCLE, s).tables[BILLING].iloc[0] for s in (SETTINGS, strict)]
    assert [line["km_auditado"] for line in bills] == [108, 100]
    assert bills[0]["versao_regras"] != bills[1]["versao_regras"]


def test_a_hole_in_the_tariffs_leaves_the_earlier_bill(cycle_lake):
    bill_cycle(cycle_lake, CYCLE, SETTINGS)
    put(cycle_lake, CONTRACTS, terms(vigencia_inicio=DAYS[1]))
    before = everything(cycle_lake)
    with pytest.raises(TariffsMissing, match=f"{PLATES[0]} rodou em 16/02/2026"):
        bill_cycle(cycle_lake, CYCLE, SETTINGS)
    assert everything(cycle_lake) == before


def test_what_arrives_after_the_closing_never_changes_it_and_is_charged_in_the_next(lake):
    cycle_lake = filled(lake)  # in a folder and on S3
    closing = closed(cycle_lake)
    frozen = {c: table(cycle_lake, c) for c in (BILLING, PRICED_TRIPS, ADJUSTMENTS)}
    audited(cycle_lake, CYCLE, drove(DAYS[0], 10), drove(DAYS[5], 30, arquivo="atrasado.csv"))
    bill_cycle(cycle_lake, CYCLE, SETTINGS)
    for contract, before in frozen.items():
        pd.testing.assert_frame_equal(table(cycle_lake, contract), before)
    assert closing_of(cycle_lake) == closing

    audited(cycle_lake, CYCLE.after)
    bill_cycle(cycle_lake, CYCLE.after, SETTINGS)
    owed = table(cycle_lake, ADJUSTMENTS, CYCLE.after)
    assert dict(zip(owed["causa"], owed["ajuste_brl"], strict=True)) == {
        "viagem_nova": Decimal("81.90"),
        "viagem_retirada": Decimal("-54.60"),
    }
    assert set(owed["ciclo_origem"]) == {CYCLE.key}


def test_an_adjustment_is_charged_once_and_taken_back_where_it_was_wrong(cycle_lake):
    closed(cycle_lake)
    audited(cycle_lake, CYCLE, drove(DAYS[0], 10), drove(DAYS[9], 20), drove(DAYS[5], 30))
    audited(cycle_lake, CYCLE.after)
    second = closed(cycle_lake, CYCLE.after, LATER)
    assert second.adjustments_brl == "81.90"

    third = CYCLE.after.after
    audited(cycle_lake, third)
    assert bill_cycle(cycle_lake, third, SETTINGS).tables[ADJUSTMENTS].empty
    audited(cycle_lake, CYCLE, drove(DAYS[0], 10), drove(DAYS[9], 20))  # as it was when it was closed
    (row,) = bill_cycle(cycle_lake, third, SETTINGS).tables[ADJUSTMENTS].to_dict("records")
    assert (row["causa"], row["ajuste_brl"]) == ("viagem_retirada", Decimal("-81.90"))


def test_a_closed_cycle_is_judged_by_the_rules_that_it_was_closed_with(cycle_lake):
    audited(cycle_lake, CYCLE, on(DAYS[0], viagem_id="x", km_declarado=108, km_medido=100))
    closed(cycle_lake)
    strict = SETTINGS.model_copy(update={"km_share": Decimal("0.05")})
    audited(cycle_lake, CYCLE, on(DAYS[0], viagem_id="x", km_declarado=108, km_medido=100), drove(DAYS[1], 1))
    audited(cycle_lake, CYCLE.after)
    owed = bill_cycle(cycle_lake, CYCLE.after, strict).tables[ADJUSTMENTS]
    assert owed["causa"].tolist() == ["viagem_nova"]


def refusal(lake: Lake, cycle: Cycle = CYCLE, now: datetime = AFTER, **more: Any) -> str:
    with pytest.raises(CycleRefused) as raised:
        close_cycle(lake, cycle, SETTINGS, now, **more)
    return str(raised.value)


def test_a_cycle_closes_only_once_and_only_when_it_is_over_and_its_turn(cycle_lake):
    assert "ainda não foi feita" in refusal(cycle_lake)
    bill_cycle(cycle_lake, CYCLE, SETTINGS)
    assert "vai até 15/03/2026 e ainda não terminou" in refusal(cycle_lake, now=AFTER - timedelta(days=2))
    audited(cycle_lake, CYCLE.after)
    bill_cycle(cycle_lake, CYCLE.after, SETTINGS)
    assert f"anterior, {CYCLE.key}, ainda está aberto" in refusal(cycle_lake, CYCLE.after, LATER)
    close_cycle(cycle_lake, CYCLE, SETTINGS, AFTER)
    assert "já foi fechado em 17/03/2026 às 09:00" in refusal(cycle_lake, despite="a carta do dia 17")


def test_what_was_looked_at_is_what_is_closed(cycle_lake):
    bill_cycle(cycle_lake, CYCLE, SETTINGS)
    audited(cycle_lake, CYCLE, drove(DAYS[0], 10))
    assert "mudou desde que foi feita" in refusal(cycle_lake)
    assert closing_of(cycle_lake) is None


def test_what_is_missing_is_named_and_accepted_only_on_purpose(cycle_lake):
    lose(cycle_lake, DAYS[3])
    row = {"veiculo": PLATES[0], "horas_sem_telemetria": 3, "fonte_leitura": "nenhuma"}
    zeros = {c.name: 0 for c in DAILY_KM.columns if c.ge == 0}
    flags = {c.name: False for c in DAILY_KM.columns if c.pandas_dtype == "bool"}
    km = frame_of(DAILY_KM, [zeros | flags | row])
    cycle_lake.write_table(DAILY_KM.name, {"data": DAYS[4]}, DAILY_KM.table(km))
    entry = HourEntry(state="captured", digest="1", rows=0, capture="c", until=None)
    record_hour(cycle_lake, hour_of("2026-02-25-12:00"), entry, [], None)
    bill_cycle(cycle_lake, CYCLE, SETTINGS)
    said = refusal(cycle_lake)
    assert "Dias sem conferência (materialize `validated_trips`): 19/02." in said
    assert "em falta (`telemetria hours DIA` mostra quais): 20/02 (3 h)." in said
    assert "ainda não foram conferidos de novo: 25/02." in said
    assert "--despite" in said
    closing = close_cycle(cycle_lake, CYCLE, SETTINGS, AFTER, despite="a carta do dia 17")
    assert closing.accepted == gaps_of(cycle_lake, CYCLE, SETTINGS)
    assert closing.reason == "a carta do dia 17"


def test_files_without_a_verdict_keep_a_cycle_open(cycle_lake, tmp_path):
    """Somebody dropped a boletim as it was closed: what it declares is not in the bill yet."""
    bill_cycle(cycle_lake, CYCLE, SETTINGS)
    (tmp_path / "inbox").mkdir()
    (tmp_path / "inbox" / "garagem 7.csv").write_text("PLACA")
    (tmp_path / "inbox" / ".lock").write_text("")
    read = Settings.load(inbox=f"file:{tmp_path / 'inbox'}")
    known = FileManifest(
        file="turno-b.csv-1", key="turno b.csv", etag="", size=1, landed_at=AFTER, received_at=AFTER,
        sha256="", original="raw_boletins/arquivo=turno-b.csv-1/original.csv",
    )  # fmt: skip
    cycle_lake.store.put(known.original, b"PLACA")
    os.utime(tmp_path / "lake" / known.original, (AFTER.timestamp(), AFTER.timestamp()))
    write_file_manifest(cycle_lake, known)
    with pytest.raises(CycleRefused) as error:
        close_cycle(cycle_lake, CYCLE, read, AFTER)
    assert "ainda não lidos: garagem 7.csv." in str(error.value)
    assert "ainda sem veredito (materialize a partição deles em `boletim_trips`): turno b.csv." in str(
        error.value
    )


def test_what_nobody_declared_is_missing_from_the_cycle(cycle_lake):
    silent = {"km_declarado": None, "km_medido": 20, "km_auditado": 0}
    audited(
        cycle_lake,
        CYCLE,
        *(on(day, viagem_id=f"m{day}", **silent) for day in DAYS[:3]),
        drove(DAYS[1], 10),  # what is declared beside it is a boletim of the day
        on(DAYS[3], viagem_id="stranger", placa="XYZ9Z99", **silent),
    )
    bill_cycle(cycle_lake, CYCLE, SETTINGS)
    said = f"Veículos sob contrato que rodaram em dias sem boletim: {PLATES[0]} (16/02, 18/02)."
    assert said in gaps_of(cycle_lake, CYCLE, SETTINGS)
    assert said in refusal(cycle_lake)
    waiting = f"retido até que se declare ou aceite: {PLATES[0]} (3 viagens, 60,0 km)."
    assert waiting in refusal(cycle_lake)
    audited(cycle_lake, CYCLE, *(on(day, viagem_id=f"m{day}", **silent) for day in DAYS[:6]))
    bill_cycle(cycle_lake, CYCLE, SETTINGS)
    assert f"rodaram em dias sem boletim: {PLATES[0]} (6 dias)." in refusal(cycle_lake)


def test_a_boletim_that_was_returned_and_did_not_come_again_is_missing_from_the_cycle(lake, address):
    inbox, now = ObjectStore.open(f"{address}/inbox"), datetime.now(ZONE)
    cycle = Cycle.of(now.date())

    def take(name: str, **said: str) -> None:
        inbox.put(name, csv_of(declared(DATA=f"{now - timedelta(days=1):%d/%m/%Y}", **said)))
        file = next(f.file_id for f in landed_files(inbox) if f.key == name)
        judge_file(lake, receive_file(lake, inbox, file), RuleSettings(), Reference())

    take("bom.csv")
    take("ruim.csv", PLACA="???")
    take("ruim.csv", PLACA="????")
    take("corrigido.csv", PLACA="??")
    told = "Boletins devolvidos que ainda não voltaram corrigidos: {}."
    both = told.format(f"ruim.csv ({now:%d/%m}), corrigido.csv ({now:%d/%m})")
    assert both in gaps_of(lake, cycle, SETTINGS)
    take("corrigido.csv", PLACA="GDP4J69")
    assert told.format(f"ruim.csv ({now:%d/%m})") in gaps_of(lake, cycle, SETTINGS)
    assert not any("devolvidos" in said for said in gaps_of(lake, cycle.before.before, SETTINGS))


def test_kilometres_that_nobody_pays_are_accepted_only_on_purpose(cycle_lake):
    audited(cycle_lake, CYCLE, drove(DAYS[0], 10), drove(DAYS[1], "231.9", placa="XYZ9Z99"))
    bill_cycle(cycle_lake, CYCLE, SETTINGS)
    said = "Fora da conta: 1 viagem (231,900 km) de 1 veículo sem cadastro: XYZ9Z99."
    assert look_at(cycle_lake, CYCLE, SETTINGS).missing == [said]
    assert measurement_of(cycle_lake, CYCLE, SETTINGS).left_out == [said]
    assert said in refusal(cycle_lake)
    assert close_cycle(cycle_lake, CYCLE, SETTINGS, AFTER, despite="a carta do dia 17").accepted == [said]


def test_a_bill_that_is_older_than_audit_or_contracts_is_told(cycle_lake):
    def pending() -> list[str]:
        return look_at(cycle_lake, CYCLE, SETTINGS).missing

    bill_cycle(cycle_lake, CYCLE, SETTINGS)
    assert pending() == []
    audited(cycle_lake, CYCLE, drove(DAYS[0], 10))
    changed = f"A conta do ciclo {CYCLE.key} mudou desde que foi feita pela última vez. "
    assert pending() == [f"{changed}Materialize `billing` de novo."]
    bill_cycle(cycle_lake, CYCLE, SETTINGS)
    put(cycle_lake, CONTRACTS, terms(tarifa_brl_km=3))
    stale = "Dias que mudaram e ainda não foram conferidos de novo: 16/02."
    assert pending() == [stale, f"{changed}Materialize `billing` de novo."]
    put(cycle_lake, CONTRACTS, terms(vigencia_inicio=DAYS[1]))
    *_, hole = pending()
    assert f"{PLATES[0]} rodou em 16/02/2026" in hole


def test_a_closing_that_was_cut_short_leaves_the_cycle_open_and_is_made_again(cycle_lake, monkeypatch):
    bill_cycle(cycle_lake, CYCLE, SETTINGS)

    def cut() -> None:
        raise PowerCut

    def close() -> None:
        close_cycle(cycle_lake, CYCLE, SETTINGS, AFTER)

    for number in range(1, 6):  # four tables, and the entry of the log
        assert before_write(monkeypatch, number, cut, close)
        assert closing_of(cycle_lake) is None
        bill_cycle(cycle_lake, CYCLE, SETTINGS)
    assert before_write(monkeypatch, 6, cut, close)
    with pytest.raises(CycleRefused, match=rf"{closing_key(CYCLE)} .*`telemetria cycle close {CYCLE.key}`"):
        bill_cycle(cycle_lake, CYCLE, SETTINGS)
    assert "já foi fechado" in refusal(cycle_lake)
    assert set(frozen_tables(cycle_lake, closing_of(cycle_lake))) == set(FROZEN)
    assert bill_cycle(cycle_lake, CYCLE, SETTINGS).closing == closing_of(cycle_lake)


@pytest.mark.parametrize(("numbers", "least"), and_long(([3], 1), (range(1, 9), 7)), ids=["one", "all"])
def test_a_bill_made_while_the_cycle_is_closed_does_not_outlive_the_closing(
    cycle_lake, monkeypatch, numbers, least
):
    seen, other = [drove(DAYS[0], 10), drove(DAYS[9], 20)], [drove(DAYS[0], 10)]
    driven = [date.fromisoformat(DAYS[n]) for n in (0, 9)]

    def close() -> None:
        close_cycle(cycle_lake, CYCLE, SETTINGS, AFTER)

    def bill() -> None:
        bill_cycle(cycle_lake, CYCLE, SETTINGS)

    def bill_another() -> None:
        audited(cycle_lake, CYCLE, *other, days=driven)
        bill()

    def close_what_was_seen() -> None:
        audited(cycle_lake, CYCLE, *seen, days=driven)
        close()

    interleaved = 0
    for number in numbers:
        for before, work, meanwhile in ((seen, close, bill_another), (other, bill, close_what_was_seen)):
            audited(cycle_lake, CYCLE, *seen, days=driven)
            bill()
            audited(cycle_lake, CYCLE, *before, days=driven)
            with suppress(CycleRefused):  # one that finds the other's tables half written closes nothing
                interleaved += before_write(monkeypatch, number, meanwhile, work)
            closing = look_into_log(cycle_lake, "")[0].closing(CYCLE)
            for contract, frozen in frozen_tables(cycle_lake, closing).items() if closing else ():
                pd.testing.assert_frame_equal(table(cycle_lake, contract), frozen)
            for info in cycle_lake.store.list("closed_cycles"):
                cycle_lake.store.delete(info.key)
    assert interleaved >= least


def test_a_frozen_table_that_somebody_changed_is_noticed(cycle_lake):
    closing = closed(cycle_lake)
    changed = table(cycle_lake, BILLING).assign(rota="outra")
    cycle_lake.write_table("closed_billing", closing.partition, BILLING.table(changed))
    with pytest.raises(CycleRefused, match="não são as que foram fechadas"):
        frozen_tables(cycle_lake, closing)
    cycle_lake.store.delete(cycle_lake.table_key("closed_billing", closing.partition))
    with pytest.raises(CycleRefused, match="não são as que foram fechadas"):
        frozen_tables(cycle_lake, closing)


def test_nobody_is_paid_back_because_a_vehicle_or_a_day_was_lost(cycle_lake):
    closed(cycle_lake)
    audited(cycle_lake, CYCLE.after)
    put(cycle_lake, VEHICLES, vehicle(PLATES[1]))
    lose(cycle_lake, DAYS[9])
    with pytest.raises(CycleRefused) as raised:
        bill_cycle(cycle_lake, CYCLE.after, SETTINGS)
    said = str(raised.value)
    assert "Os dias 25/02/2026 do ciclo 2026-02-16, já fechado, não têm mais" in said
    assert f"O veículo {PLATES[0]} do ciclo 2026-02-16, já fechado, não consta mais de vehicles" in said


def test_what_if_prices_again_and_touches_nothing(cycle_lake):
    audited(cycle_lake, CYCLE, on(DAYS[0], viagem_id="x", km_declarado=109, km_medido=100))
    bill_cycle(cycle_lake, CYCLE, SETTINGS)
    before = everything(cycle_lake)
    dearer = frame_of(CONTRACTS, [terms(tarifa_brl_km=3)])
    found = what_if(cycle_lake, CYCLE, SETTINGS, {"km_share": Decimal("0.08")}, dearer)
    assert (found.now.billing["variavel_brl"].tolist(), found.then.billing["variavel_brl"].tolist()) == (
        [Decimal("297.57")],
        [Decimal("300.00")],
    )
    assert everything(cycle_lake) == before


def test_what_if_takes_the_tolerances_of_other_contracts_unless_told_one_for_all(cycle_lake):
    audited(cycle_lake, CYCLE, on(DAYS[0], viagem_id="x", km_declarado=109, km_medido=100))
    bill_cycle(cycle_lake, CYCLE, SETTINGS)
    strict = frame_of(CONTRACTS, [terms(tolerancia_pct=5, tolerancia_km=1)])

    def billed(changed: dict[str, Decimal]) -> Decimal:
        then = what_if(cycle_lake, CYCLE, SETTINGS, changed, strict).then
        return then.billing["km_auditado"].iloc[0]

    assert (billed({}), billed({"km_share": Decimal("0.10")})) == (100, 109)


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs of the real job on a lake in a folder."""
    monkeypatch.setenv("TELEMETRIA_LAKE", f"file:{tmp_path / 'lake'}")
    with dg.DagsterInstance.ephemeral(tempdir=str(tmp_path)) as instance:

        def bill() -> dg.ExecuteInProcessResult:
            job = build_definitions().resolve_job_def("cycle_job")
            return job.execute_in_process(
                instance=instance,
                partition_key=CYCLE.key,
                raise_on_error=False,
            )

        bill.lake = Lake.open(f"file:{tmp_path / 'lake'}")
        yield bill


def test_the_asset_says_what_it_billed(run):
    put(run.lake, VEHICLES, vehicle(), vehicle(PLATES[1], operacao="IND"))
    put(run.lake, CONTRACTS, terms())
    audited(run.lake, CYCLE, drove(DAYS[0], "1000.5"), days=CYCLE.days[:5])
    result = run()
    assert result.success
    assert {e.check_name: e.passed for e in result.get_asset_check_evaluations()} == {
        "tariffs_cover_trips": True,
        "parts_sum_to_totals": True,
    }
    (made,) = result.asset_materializations_for_node("billing")
    said = {name: value.value for name, value in made.metadata.items()}
    assert (said["dagster/row_count"], said["state"]) == (2, "open")
    assert (said["total/AGR"], said["total/total"]) == ("R$ 30.731,37", "R$ 58.731,37")
    assert said["days_missing"] == DAYS[5:]
    assert "| AGR | 1 | 1.000,500 | R$ 2.731,37 | R$ 28.000,00 | R$ 30.731,37 |" in said["totals"]
    found = duckdb.sql(f"FROM read_parquet('{run.lake.glob('billing')}', hive_partitioning=true)")
    assert found.aggregate("sum(total_brl)").fetchall() == [(Decimal("58731.37"),)]


def test_a_hole_fails_the_run_and_the_check_with_a_sentence(run):
    put(run.lake, VEHICLES, vehicle())
    audited(run.lake, CYCLE, drove(DAYS[0], 10))
    result = run()
    assert not result.success
    (check,) = result.get_asset_check_evaluations()
    assert (check.check_name, check.passed) == ("tariffs_cover_trips", False)
    assert f"{PLATES[0]} rodou em 16/02/2026 sem tarifa em vigor" in check.description
    assert run.lake.partitions("billing") == []


def test_the_check_of_the_parts_reckons_by_itself(cycle_lake):
    made = bill_cycle(cycle_lake, CYCLE, SETTINGS)
    bill, priced = made.tables[BILLING], made.tables[PRICED_TRIPS]
    sums = totals(bill)

    def result(billing=bill, trips=priced, told=sums) -> dg.AssetCheckResult:
        return parts_sum_to_totals(BILLING.table(billing), PRICED_TRIPS.table(trips), told)

    assert result().passed
    cent = Decimal("0.01")
    for name in ("variavel_brl", "fixo_brl", "total_brl"):
        assert f"{name} of" in result(billing=bill.assign(**{name: bill[name] + cent})).description
    assert "is not the sum of its trips" in result(trips=priced.head(1)).description
    dearer = priced.assign(valor_brl=priced["valor_brl"] + cent)
    assert f"variavel_brl of {PLATES[0]} under C-1 is not the sum" in result(trips=dearer).description
    assert (
        "of total is not the sum" in result(told=sums.assign(total_brl=sums["total_brl"] + cent)).description
    )


def test_the_check_of_the_parts_knows_one_fixed_amount_and_one_franchise_of_two_lines(cycle_lake):
    said = {"custo_fixo_mensal_brl": "0.05", "franquia_km": 15}
    after = terms(3, vigencia_inicio=DAYS[14], tarifa_brl_km="2.8101", **said)
    put(cycle_lake, CONTRACTS, terms(vigencia_fim=DAYS[13], **said), after)
    tables = bill_cycle(cycle_lake, CYCLE, SETTINGS).tables

    def result(bill: pd.DataFrame) -> dg.AssetCheckResult:
        return parts_sum_to_totals(
            BILLING.table(bill), PRICED_TRIPS.table(tables[PRICED_TRIPS]), totals(bill)
        )

    bill = tables[BILLING]
    assert bill["fixo_brl"].tolist() == [Decimal("0.03"), Decimal("0.02")]
    assert result(bill).passed
    for fixed in (
        ["0.03", "0.03"],
        ["0.04", "0.01"],
    ):  # a cent too much, and none, but too far from their days
        moved = bill.assign(fixo_brl=pd.Series(map(Decimal, fixed), dtype=bill["fixo_brl"].dtype))
        assert (
            "fixo_brl of"
            in result(moved.assign(total_brl=moved["variavel_brl"] + moved["fixo_brl"])).description
        )


def test_the_schedule_asks_for_the_cycle_before_until_it_is_closed(cycle_lake, monkeypatch):
    monkeypatch.setattr(PipelineResource, "lake", lambda self: cycle_lake)
    with dg.DagsterInstance.ephemeral() as instance:

        def due(day: date) -> list[str]:
            with dg.build_schedule_context(
                instance,
                scheduled_execution_time=datetime(day.year, day.month, day.day, 7, 30, tzinfo=ZONE),
                resources={"pipeline": PipelineResource()},
            ) as context:
                return [request.partition_key for request in cycle_daily(context)]

        assert due(date(2026, 3, 16)) == ["2026-01-16", "2026-02-16"]  # yesterday was the cycle's last day
        assert due(date(2026, 3, 17)) == ["2026-02-16", "2026-03-16"]
        closed(cycle_lake)
        assert due(date(2026, 3, 17)) == ["2026-03-16"]


def test_the_closing_lies_where_others_look_for_it(cycle_lake):
    closing = closed(cycle_lake)
    said = cycle_lake.read_json(closing_key(CYCLE))
    assert said["hash"] == closing.hash
    assert said["totals"][-1]["total_brl"] == "28081.90"
    tables = {"billing": 1, "priced_trips": 2, "adjustments": 0, "odometer_reconciliation": 0}
    assert said["rows"] == tables


def test_the_job_bills_and_writes_the_medicao(run):
    filled(run.lake)
    result = run()
    assert result.success
    assert run.lake.store.exists(f"reports/measurement/ciclo={CYCLE.key}/medicao_{CYCLE.key}.xlsx")


def test_two_that_close_at_once_close_it_once(lake):
    cycle_lake = filled(lake)  # in a folder and on S3
    read_before = read_log(cycle_lake, SETTINGS)
    closing = closed(cycle_lake)
    before = everything(cycle_lake)
    late = closing.model_copy(update={"hash": "f" * 64})
    with pytest.raises(CycleRefused, match="ao mesmo tempo"):
        freeze(cycle_lake, read_before, late, {BILLING: BILLING.empty()}, SETTINGS)
    after = everything(cycle_lake)
    assert {key: after[key] for key in before} == before
    assert not cycle_lake.store.exists(entry_key(2))
