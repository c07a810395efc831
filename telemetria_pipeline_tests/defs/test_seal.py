"""Whatever is changed or removed after it was written is named, by `cycle verify` and by the next bill."""

import shutil
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import orjson
import pytest
from click.testing import CliRunner

from telemetria_pipeline.cli import main
from telemetria_pipeline.contracts.audit import VALIDATED_TRIPS
from telemetria_pipeline.contracts.billing import BILLING
from telemetria_pipeline.contracts.closing import Closing
from telemetria_pipeline.core.billing.seal import digest_of, parsed, sealed
from telemetria_pipeline.definitions import build_definitions
from telemetria_pipeline.settings import Settings
from telemetria_pipeline.steps.closed_cycles import (
    CycleRefused,
    closing_key,
    entry_key,
    look_into_log,
    read_log,
    reopen,
    reseal,
)
from telemetria_pipeline.steps.cycle import bill_cycle, close_cycle, look_at
from telemetria_pipeline.steps.report_facts import measurement_of
from telemetria_pipeline.storage.lake import Lake
from telemetria_pipeline_tests.core.billing.bills import CYCLE
from telemetria_pipeline_tests.defs.cycles import AFTER, LATER, SETTINGS, audited, closing_of, drove, filled
from telemetria_pipeline_tests.defs.test_day_index import PowerCut, before_write
from telemetria_pipeline_tests.rounds import and_long

NEXT = CYCLE.after
DAY = str(NEXT.first)
KEY = "segredo"
KEYED = SETTINGS.model_copy(update={"seal_key": Settings(seal_key=KEY).seal_key})
OTHER = SETTINGS.model_copy(update={"seal_key": Settings(seal_key="outra").seal_key})


def closed(lake: Lake, settings: Settings = SETTINGS) -> Lake:
    """A cycle that was closed, opened and closed again, and the next one, audited."""
    filled(lake)
    audited(lake, NEXT, drove(DAY, 10))
    bill_cycle(lake, CYCLE, settings)
    close_cycle(lake, CYCLE, settings, AFTER)
    reopen(lake, CYCLE, settings, "faltou um boletim", AFTER)
    close_cycle(lake, CYCLE, settings, LATER)
    return lake


@pytest.fixture(scope="module")
def _closed(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("closed")
    closed(Lake.open(f"file:{folder}"))
    return folder


@pytest.fixture
def sound(_closed, tmp_path, monkeypatch) -> Lake:
    """That lake, as the command line finds it."""
    shutil.copytree(_closed, tmp_path / "lake")
    monkeypatch.setenv("TELEMETRIA_LAKE", f"file:{tmp_path / 'lake'}")
    return Lake.open(f"file:{tmp_path / 'lake'}")


def cycle(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(main, ["cycle", *words])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.output


def everything(lake: Lake) -> dict[str, bytes]:
    return {info.key: lake.store.get(info.key) for info in lake.store.list()}


def edited(lake: Lake, key: str, **said: object) -> None:
    lake.store.put(key, orjson.dumps(orjson.loads(lake.store.get(key)) | said, option=orjson.OPT_INDENT_2))


def rules_changed(lake: Lake, *keys: str) -> None:
    for key in keys:
        rules = orjson.loads(lake.store.get(key))["rules"]
        edited(lake, key, rules=rules | {"km_share": "0.5"})


def frozen_changed(lake: Lake) -> None:
    closing = closing_of(lake)
    table = lake.read_table("closed_billing", closing.partition)
    frame = BILLING.frame(table).assign(rota="outra")
    lake.write_table("closed_billing", closing.partition, BILLING.table(frame))


def trips_changed(lake: Lake) -> None:
    partition = {"data": DAY}
    trips = VALIDATED_TRIPS.frame(lake.read_table(VALIDATED_TRIPS.name, partition))
    trips["km_auditado"] = trips["km_auditado"] * 2
    lake.write_table(VALIDATED_TRIPS.name, partition, VALIDATED_TRIPS.table(trips))


def removed(key: str) -> Callable[[Lake], None]:
    return lambda lake: lake.store.delete(key)


COPY, ENTRY, TRIPS = closing_key(CYCLE), entry_key(3), f"validated_trips/data={DAY}/part-0.parquet"
TAMPERINGS: dict[str, tuple[Callable[[Lake], object], str]] = {
    "trips of an open day": (trips_changed, TRIPS),
    "trips removed": (removed(TRIPS), TRIPS),
    "a day's state removed": (removed(f"audited_days/data={DAY}.json"), f"audited_days/data={DAY}.json"),
    "frozen bill": (frozen_changed, "closed_billing/ciclo="),
    "frozen trips removed": (
        lambda lake: lake.store.delete(lake.table_key("closed_trips", closing_of(lake).partition)),
        "closed_trips/ciclo=",
    ),
    "closing.json removed": (removed(COPY), COPY),
    "rules": (lambda lake: rules_changed(lake, COPY), COPY),
    "date": (lambda lake: edited(lake, COPY, closed_at="2026-03-18T12:00:00Z"), COPY),
    "digests of days": (lambda lake: edited(lake, COPY, days={}), COPY),
    "rules in both": (lambda lake: rules_changed(lake, COPY, ENTRY), ENTRY),
    "entry removed": (removed(ENTRY), COPY),
    "reason of a reopening": (lambda lake: edited(lake, entry_key(2), reason="erro de soma"), entry_key(2)),
    "reopening removed": (removed(entry_key(2)), entry_key(2)),
    "first closing removed": (removed(entry_key(1)), entry_key(1)),
    "another cycle": (lambda lake: edited(lake, ENTRY, cycle="nenhum", files={"../x": ""}), ENTRY),
    "entry damaged": (lambda lake: lake.store.put(ENTRY, b"{"), ENTRY),
    "closing of an earlier version": (
        lambda lake: lake.store.put(closing_key(NEXT), b'{"cycle": "2026-03-16"}'),
        closing_key(NEXT),
    ),
}


@pytest.mark.parametrize("what", and_long(*TAMPERINGS, quick=6))
def test_tampering_is_named_by_verify_and_by_the_next_bill_which_writes_nothing(sound, what):
    tamper, named = TAMPERINGS[what]
    tamper(sound)
    before = everything(sound)
    code, said = cycle("verify")
    assert (code, "não é" in said, "Tudo é o que foi escrito" in said) == (1, True, False)
    assert named in said
    with pytest.raises(CycleRefused) as refused:
        bill_cycle(sound, NEXT, SETTINGS)
    assert named in str(refused.value)
    assert everything(sound) == before


def test_what_nobody_touched_is_verified_with_its_seal(sound):
    code, said = cycle("verify")
    assert code == 0, said
    days = len(CYCLE.days) + len(NEXT.days)
    seal = closing_of(sound).seal
    assert said.splitlines() == [
        f"Conferidos: ciclos fechados {CYCLE.key}; dias auditados: {days}.",
        f"Último selo: {seal}",
        "Tudo é o que foi escrito.",
    ]
    bill_cycle(sound, NEXT, SETTINGS)
    assert cycle("verify")[1] == said


def test_a_closed_cycle_is_shown_as_verified_only_where_it_is(sound):
    bill_cycle(sound, CYCLE, SETTINGS)
    rules_changed(sound, COPY)
    for show in (look_at, measurement_of):
        with pytest.raises(CycleRefused, match=COPY):
            show(sound, CYCLE, SETTINGS)
    code, said = cycle("show", CYCLE.key)
    assert (code, "conferido" in said) == (1, False)
    assert "já foi fechado" in cycle("close", CYCLE.key)[1]  # and writes it again
    assert cycle("verify")[0] == cycle("show", CYCLE.key)[0] == 0


def test_frozen_rows_that_are_not_what_was_signed_are_noticed_whatever_the_files_digests_say(sound):
    closing = closing_of(sound)
    frozen_changed(sound)
    with pytest.raises(CycleRefused, match="closed_billing"):
        reseal(sound, SETTINGS, "chave nova")
    digests = dict(closing.files)
    for key in digests:
        digests[key] = digest_of(sound.store.get(key))
    forged = sealed(closing.model_copy(update={"files": digests}), "")
    for key in (COPY, ENTRY):
        sound.store.put(key, forged)
    code, said = cycle("verify")
    assert (code, "não são as que foram fechadas (hash" in said) == (1, True)


def test_a_run_fails_with_the_name_of_the_file(sound, tmp_path):
    trips_changed(sound)
    with dg.DagsterInstance.ephemeral(tempdir=str(tmp_path)) as instance:
        job = build_definitions().resolve_job_def("cycle_job")
        result = job.execute_in_process(instance=instance, partition_key=NEXT.key, raise_on_error=False)
    assert not result.success
    (failure,) = [e for e in result.all_events if e.is_step_failure]
    assert f"{TRIPS} não é o que a auditoria escreveu" in failure.step_failure_data.error.message


def test_without_the_key_nobody_forges_a_closing(tmp_path):
    lake = closed(Lake.open(f"file:{tmp_path / 'lake'}"), KEYED)
    assert closing_of_with(lake, KEYED).seal.startswith("hmac-sha256:")
    assert KEY not in repr(KEYED) + str(everything(lake))
    for forger in ("", "outra"):
        entry = parsed(lake.store.get(ENTRY))
        forged = sealed(entry.model_copy(update={"adjustments_brl": "-1000.00"}), forger)
        for key in (COPY, ENTRY):
            lake.store.put(key, forged)
        with pytest.raises(CycleRefused, match=f"{ENTRY} não .*TELEMETRIA_SEAL_KEY"):
            bill_cycle(lake, NEXT, KEYED)


def closing_of_with(lake: Lake, settings: Settings) -> Closing | None:
    return read_log(lake, settings).closing(CYCLE)


def test_a_key_that_is_new_changed_or_gone_stops_the_bills_until_somebody_seals_again(sound):
    number = 3
    for settings, others in ((KEYED, SETTINGS), (OTHER, KEYED), (SETTINGS, OTHER)):
        with pytest.raises(CycleRefused, match="TELEMETRIA_SEAL_KEY"):
            bill_cycle(sound, NEXT, settings)
        log = reseal(sound, settings, "a chave mudou")
        number += 1
        assert list(log.bodies)[-1] == entry_key(number)
        assert log.closing(CYCLE) == parsed(sound.store.get(COPY))
        bill_cycle(sound, NEXT, settings)
        with pytest.raises(CycleRefused, match="TELEMETRIA_SEAL_KEY"):
            bill_cycle(sound, NEXT, others)


def test_reopening_is_for_the_last_closed_cycle_and_its_reason_stays(sound):
    bill_cycle(sound, NEXT, SETTINGS)
    close_cycle(sound, NEXT, SETTINGS, LATER)
    code, said = cycle("reopen", CYCLE.key, "--reason", "erro")
    assert (code, f"Só o último ciclo fechado pode ser reaberto: reabra antes o {NEXT.key}" in said) == (
        1,
        True,
    )
    assert cycle("reopen", NEXT.key)[0] == 2
    assert "Diga o motivo" in cycle("reopen", NEXT.key, "--reason", " ")[1]
    code, said = cycle("reopen", NEXT.key, "--reason", "a tarifa estava errada")
    assert code == 0, said
    assert "está aberto de novo" in said
    assert "não está fechado" in cycle("reopen", NEXT.key, "--reason", "de novo")[1]
    kept = [orjson.loads(sound.store.get(entry_key(number))) for number in (4, 5)]
    assert (kept[0]["what"], kept[0]["cycle"]) == ("closed", NEXT.key)
    assert (kept[1]["what"], kept[1]["reason"]) == ("reopened", "a tarifa estava errada")
    assert cycle("verify")[0] == 0
    audited(sound, NEXT, drove(DAY, 11))
    assert bill_cycle(sound, NEXT, SETTINGS).closing is None
    close_cycle(sound, NEXT, SETTINGS, LATER)
    assert cycle("verify")[0] == 0


def test_a_reopening_that_was_cut_short_is_finished_by_the_next_one(sound, monkeypatch):
    def cut() -> None:
        raise PowerCut

    def again() -> None:
        reopen(sound, CYCLE, SETTINGS, "faltou um boletim", LATER)

    assert before_write(monkeypatch, 1, cut, again)
    assert closing_of(sound) is not None
    assert before_write(monkeypatch, 2, cut, again)
    with pytest.raises(CycleRefused, match=f"{COPY} não é o que está no registro"):
        bill_cycle(sound, NEXT, SETTINGS)
    with pytest.raises(CycleRefused, match="não está fechado"):
        again()
    assert closing_of(sound) is None
    assert bill_cycle(sound, CYCLE, SETTINGS).closing is None


def test_a_closing_json_that_the_log_does_not_know_is_never_removed_by_itself(sound):
    sound.store.delete(ENTRY)  # the newest entry: only its copy still tells of it
    copy = sound.store.get(COPY)
    for words in (("close", CYCLE.key), ("reopen", CYCLE.key, "--reason", "x")):
        code, said = cycle(*words)
        assert (code, COPY in said) == (1, True)
    assert sound.store.get(COPY) == copy


def test_a_day_that_is_audited_while_it_is_read_is_not_refused(sound, monkeypatch):
    def meanwhile(read: Callable[..., object] = Lake.read_written) -> Callable[..., object]:
        left = [1]

        def reading(self: Lake, name: str, partition: dict[str, str], *more: object) -> object:
            if partition == {"data": DAY} and left:
                left.pop()
                audited(sound, NEXT, drove(DAY, 77), days=[NEXT.first])
            return read(self, name, partition, *more)

        return reading

    monkeypatch.setattr(Lake, "read_written", meanwhile())
    billed = bill_cycle(sound, NEXT, SETTINGS)
    assert billed.tables[BILLING]["km_auditado"].iloc[0] == 77


def test_the_seal_holds_on_s3_too(lake):
    closed(lake)  # in a folder and on S3
    assert look_into_log(lake, "")[1] == []
    lake.store.delete(COPY)
    with pytest.raises(CycleRefused, match=COPY):
        bill_cycle(lake, NEXT, SETTINGS)
    with pytest.raises(CycleRefused, match="já foi fechado"):
        close_cycle(lake, CYCLE, SETTINGS, LATER)
    frozen_changed(lake)
    trips_changed(lake)
    with pytest.raises(CycleRefused, match="closed_billing"):
        bill_cycle(lake, NEXT, SETTINGS)


def test_a_closing_whose_answer_s3_lost_is_closed(s3):
    lake = filled(Lake.open(s3.address))
    bill_cycle(lake, CYCLE, SETTINGS)
    s3.server.lose_answer = lambda environ: "/log/" in environ["PATH_INFO"]
    closing = close_cycle(lake, CYCLE, SETTINGS, AFTER)
    assert closing == closing_of(lake)
