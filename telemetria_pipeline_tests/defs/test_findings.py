"""No check is dropped: one that has another name, or was not asked of a partition, stops the run."""

import dagster as dg
import pytest

from telemetria_pipeline.defs.findings import Findings

ASSET = dg.AssetKey("viagens")
BALANCES = dg.AssetCheckSpec("balances", asset=ASSET, blocking=True)
COVERAGE = dg.AssetCheckSpec("coverage", asset=ASSET)
DAYS = ["2026-03-10", "2026-03-11", "2026-03-12"]
ALL = {BALANCES.key, COVERAGE.key}
PASSED = {"balances": None, "coverage": None}


@pytest.fixture
def findings() -> Findings:
    return Findings([BALANCES, COVERAGE], "days", DAYS)


def test_one_result_a_check_names_the_partitions_with_a_problem(findings):
    findings.note(DAYS[0], PASSED)
    findings.note(DAYS[1], {"balances": "3 rows too many", "coverage": "2 hours are missing"})
    findings.note(DAYS[2], {**PASSED, "coverage": "1 hour is missing"})
    balances, coverage = findings.results(ALL)
    assert (balances.passed, balances.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert balances.description == "2026-03-11: 3 rows too many"
    assert (coverage.passed, coverage.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert coverage.description == "2026-03-11: 2 hours are missing; 2026-03-12: 1 hour is missing"
    assert coverage.metadata["days"].value == 3
    assert coverage.metadata["days_failed"].value == DAYS[1:]


def test_all_passed(findings):
    for day in DAYS:
        findings.note(day, PASSED)
    assert [(r.passed, r.description) for r in findings.results(ALL)] == [(True, None)] * 2


def test_a_long_list_is_cut():
    days = [f"2026-03-{n:02}" for n in range(1, 10)]
    findings = Findings([COVERAGE], "days", days)
    for day in days:
        findings.note(day, {"coverage": "no hour"})
    (result,) = findings.results(ALL)
    assert result.description.endswith("2026-03-05: no hour; and 4 days more")


def test_an_unknown_check_stops_the_run(findings):
    for take in (findings.note, findings.failed):
        with pytest.raises(ValueError, match="2026-03-10: no check is called coverrage; there are bal"):
            take(DAYS[0], {"balances": None, "coverrage": "2 hours are missing"})


def test_a_partition_that_is_not_of_the_run_stops_it(findings):
    with pytest.raises(ValueError, match="2026-03-20 is none of the run's days"):
        findings.note("2026-03-20", PASSED)


def test_a_check_that_was_not_asked_of_a_partition_stops_the_run(findings):
    findings.note(DAYS[0], PASSED)
    findings.note(DAYS[1], {"balances": None})
    with pytest.raises(ValueError, match="coverage was not asked of the days 2026-03-11; 2026-03-12"):
        list(findings.results({COVERAGE.key}))


def test_a_partition_that_was_forgotten_stops_the_run(findings):
    findings.note(DAYS[0], PASSED)
    findings.note(DAYS[1], PASSED)
    with pytest.raises(ValueError, match="balances was not asked of the days 2026-03-12"):
        list(findings.results(ALL))


def test_a_partition_that_failed_is_asked_what_it_can_be(findings):
    findings.note(DAYS[0], PASSED)
    findings.failed(DAYS[1], {})
    findings.failed(DAYS[2], {"balances": "3 rows too many"})
    balances, coverage = findings.results(ALL)
    assert (balances.passed, balances.metadata["days"].value) == (False, 2)
    assert (coverage.passed, coverage.metadata["days"].value) == (True, 1)


def test_a_check_that_no_partition_came_to_has_no_result(findings):
    for day in DAYS:
        findings.failed(day, {})
    assert list(findings.results(ALL)) == []


def test_a_check_that_is_not_selected_need_not_be_asked(findings):
    for day in DAYS:
        findings.note(day, {"balances": None})
    (result,) = findings.results({BALANCES.key})
    assert result.check_name == "balances"
