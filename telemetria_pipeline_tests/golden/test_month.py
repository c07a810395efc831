"""The golden month: what was seeded is what its truth says, and nobody honest is accused."""

import csv
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache

import pytest

from telemetria_pipeline.core.boletim.settings import Reference
from telemetria_pipeline.core.boletim.validation import validate_file
from telemetria_pipeline.core.reference import read_contracts, read_drivers, read_vehicles
from telemetria_pipeline.simulator.dialects import DIALECTS
from telemetria_pipeline.simulator.golden import GoldenMonth
from telemetria_pipeline.simulator.golden.cast import (
    FABULA,
    GAPS,
    HEARD_TWICE,
    MIRAGEM,
    QUIMERA,
    RAISES,
    RESERVE_PLATE,
    SENDERS,
    SUBSTITUTIONS,
    SWAPS,
)
from telemetria_pipeline.simulator.golden.story import EVENTS, HOLES
from telemetria_pipeline.simulator.records import SECOND_CLOCK
from telemetria_pipeline_tests.golden.trips import TrueVerdict, plain
from telemetria_pipeline_tests.golden.truth import GoldenTruth, Truth
from telemetria_pipeline_tests.rounds import and_long

FIRST, LAST = date(2026, 3, 2), date(2026, 3, 22)
CYCLE, NEXT = date(2026, 2, 16), date(2026, 3, 16)


@pytest.fixture(scope="module")
def month() -> GoldenMonth:
    """Three weeks of twenty vehicles: every habit, across a cycle's end."""
    return GoldenMonth(7, 20, FIRST, LAST)


@cache
def truth_of(month: GoldenMonth) -> GoldenTruth:
    return GoldenTruth(month)


def truth(month: GoldenMonth, **options: bool) -> Truth:
    return truth_of(month).of(**options)


def plates(month: GoldenMonth, *habits: str) -> set[str]:
    return {m.vehicle.plate for m in month.cast if m.habit in habits and m.registered}


def plate(month: GoldenMonth, number: int) -> str:
    return month.cast[number - 1].vehicle.plate


def found(month: GoldenMonth) -> dict[tuple[str, datetime], Counter]:
    verdicts: dict[tuple[str, datetime], Counter] = {}
    for trip in truth(month).trips:
        key = trip.plate, trip.departure
        verdicts.setdefault(key, Counter())[trip.verdict, frozenset(trip.kinds.items())] += 1
    return verdicts


def assert_judged_as_intended(month: GoldenMonth) -> None:
    verdicts = found(month)
    for event in month.expected():
        assert verdicts[event.plate, event.departure] == {
            (event.verdict, frozenset(event.kinds.items())): 1
        }, event


@pytest.mark.parametrize("seed", and_long(8, 21))
def test_other_months_are_judged_as_intended_too(seed: int) -> None:
    assert_judged_as_intended(GoldenMonth(seed, 12, FIRST, LAST))


def test_every_seeded_event_is_judged_as_intended(month: GoldenMonth) -> None:
    assert_judged_as_intended(month)
    told = Counter(event.event for event in month.expected())
    assert told.keys() >= {
        *EVENTS, "not heard", "twice", "reserve", "odometer turns", "exact", "careless",
        "declared_twice", "wound_up", "invented", "overstates_9", "overstates_12", "driver_overstates_12",
        "restarts",
    }  # fmt: skip


def test_nobody_is_accused_but_those_who_were_seeded_to_be(month: GoldenMonth) -> None:
    seeded = {
        (e.plate, e.departure) for e in month.expected() if "divergente" in (e.verdict, *e.kinds.values())
    }
    habitual = plates(month, "overstates_12", "driver_overstates_12", "round_numbers", "same_km")
    accused = {
        (t.plate, t.departure)
        for t in truth(month).trips
        if "divergente" in (t.verdict, *t.kinds.values())
        and t.plate not in habitual | plates(month, "declared_twice")
    }
    assert accused <= seeded
    honest = [t for t in truth(month).trips if t.plate in plates(month, "exact", "restarts", "overstates_9")]
    assert {t.verdict for t in honest} == {"ok", "inconclusivo"}


def test_the_carrier_that_adds_nine_percent_is_seen_only_in_the_pattern(month: GoldenMonth) -> None:
    own = plates(month, "overstates_9")
    trips = [t for t in truth(month).trips if t.plate in own]
    assert not [t for t in trips if t.verdict == "divergente"]
    claimed, measured = (
        sum(getattr(t, side) for t in trips if t.segments) for side in ("declared_m", "measured_m")
    )
    assert claimed / measured == pytest.approx(1.09, abs=0.002)
    for cycle in (CYCLE, NEXT):
        biased = {(level, whose) for kind, level, whose in truth(month).patterns[cycle] if kind == "vies"}
        assert {whose for level, whose in biased if level == "transportadora"} == {plain(MIRAGEM)}
        assert {whose for level, whose in biased if level == "veiculo"} == own | plates(
            month, "overstates_12"
        )


def test_each_habit_leaves_its_own_pattern_and_honesty_none(month: GoldenMonth) -> None:
    for cycle in (CYCLE, NEXT):
        by_pattern: dict[str, set[str]] = {}
        for kind, level, whose in truth(month).patterns[cycle]:
            if level == "veiculo":
                by_pattern.setdefault(kind, set()).add(whose)
        assert by_pattern["duas_transportadoras"] == plates(month, "declared_twice")
        assert by_pattern["numeros_redondos"] == plates(month, "round_numbers")
        assert by_pattern["km_repetido"] >= plates(month, "same_km")
        assert by_pattern["odometro_descontinuo"] >= plates(month, "restarts")
        honest = plates(month, "exact") | {RESERVE_PLATE}
        assert not honest & set().union(*by_pattern.values())


def test_an_outage_accuses_nobody_and_touches_only_the_vehicles_of_its_source(month: GoldenMonth) -> None:
    own = {m.vehicle.plate for m in month.cast if m.source.slug == "miragem"}
    outages = [o for o in month.story.outages["miragem"] if o[0] >= month.story.midnight(FIRST)]
    assert [(end - start) // timedelta(hours=1) for start, end in outages] == [1, 3]

    def in_vain(trips: list[TrueVerdict]) -> list[TrueVerdict]:
        return [
            t for t in trips if t.plate in own and any(start <= t.departure < end for start, end in outages)
        ]

    lost, mended = in_vain(truth(month).trips), in_vain(truth(month, outages=False).trips)
    assert len(lost) >= 12
    assert {(t.source, t.verdict, t.basis) for t in lost} == {
        ("boletim", "inconclusivo", "boletim_substitui")
    }
    assert all(t.audited_m == t.declared_m for t in lost)
    assert {(t.source, t.verdict) for t in mended} == {("ambos", "ok")}
    others, unchanged = (
        [t for t in truth(month, outages=o).trips if t.plate not in own] for o in (True, False)
    )
    assert others == unchanged


def test_devices_that_fall_silent_make_nobody_guilty(month: GoldenMonth) -> None:
    unheard = plates(month, "exact")
    days = {day for day, _, _ in HOLES} & set(month.days)
    alone = [t for t in truth(month).trips if t.plate in unheard and t.day in days and t.source == "boletim"]
    assert {t.day for t in alone} == days
    assert {(t.verdict, t.covered) for t in alone} == {("inconclusivo", True)}


def test_a_vehicle_with_two_trackers_is_counted_once(month: GoldenMonth) -> None:
    member = month.cast[HEARD_TWICE - 1]
    start, end = month.story.midnight(FIRST), month.story.midnight(LAST + timedelta(days=1))
    heard = {}
    with month.simulators() as apis:
        for slug in ("quimera", "fabula"):
            own = DIALECTS[apis[slug].dialect].vehicle_id(member.vehicle)
            heard[slug] = [t for t in apis[slug].truth(start, end) if t.veiculo_id == own]
    assert {t.veiculo_id for t in heard["quimera"]}.isdisjoint(t.veiculo_id for t in heard["fabula"])
    assert 0.5 < len(heard["fabula"]) / len(heard["quimera"]) < 0.8  # on two days of three
    ours = {t.saida_utc: t for t in heard["quimera"]}
    for theirs in heard["fabula"]:
        same = ours[theirs.saida_utc - SECOND_CLOCK]
        assert abs(theirs.distancia_km - same.distancia_km) < 0.05 * same.distancia_km
    assert [t.distancia_km for t in heard["fabula"]] != [t.distancia_km for t in heard["quimera"]]
    counted = [s for t in truth(month).trips if t.plate == member.vehicle.plate for s in t.segments]
    assert {s.source for s in counted} == {"quimera"}
    assert len(counted) == len(heard["quimera"])


def test_the_register_names_the_source_of_most_vehicles(month: GoldenMonth) -> None:
    rows = list(
        csv.DictReader(
            month.reference_files()["vehicles.csv"].decode("utf-8-sig").splitlines(), delimiter=";"
        )
    )
    written = Counter(row["FONTE"] for row in rows)
    assert written.keys() == {"quimera", "miragem", "fabula", ""}
    assert 2 <= written[""] <= len(rows) / 3


def test_a_night_trip_belongs_to_the_cycle_that_it_departs_in(month: GoldenMonth) -> None:
    end = month.story.midnight(NEXT)
    across = [t for t in truth(month).trips if t.departure < end < t.arrival]
    assert len(across) >= 5
    assert any(len(t.segments) == 2 for t in across)
    assert {t.day for t in across} == {date(2026, 3, 15)}
    billed = {(p.trip.plate, p.trip.departure) for p in truth(month).priced[CYCLE]}
    assert billed >= {(t.plate, t.departure) for t in across if t.terms}


def test_the_bill_by_hand(month: GoldenMonth) -> None:
    true = truth(month)
    lines = {(line.plate, line.terms.clause): line for line in true.bills[CYCLE]}
    entered, left = lines[plate(month, 8), "7.5"], lines[plate(month, 5), "2"]
    assert (entered.days, entered.fixed) == (7, Decimal("9780.00"))  # 39,120.01 x 7 / 28 = 9,780.0025
    assert (left.days, left.fixed) == (25, Decimal("20420.85"))  # 22,871.35 x 25 / 28 = 20,420.8482
    assert (left.free_m, left.billed_m) == (2_232_143, max(left.audited_m - 2_232_143, 0))  # 2,500 x 25 / 28
    before, after = lines[plate(month, 13), "2"], lines[plate(month, 16), "4.1-A"]
    assert (before.days, before.free_m, before.billed_m) == (28, 2_500_000, before.audited_m - 2_500_000)
    assert (after.days, after.fixed) == (7, Decimal("10301.27"))  # 41,205.07 x 7 / 28 = 10,301.2675
    earlier = lines[plate(month, 16), "4.1"]  # 40,314.14 x 21 / 28 = 30,235.605: together 40,536.8725
    assert (earlier.days, earlier.fixed) == (21, Decimal("30235.60"))
    spot = lines[plate(month, 4), "1"]
    assert (spot.days, spot.fixed, spot.terms.tariff) == (7, 0, Decimal("4.105"))
    reserve = lines[RESERVE_PLATE, "1"]
    assert (reserve.audited_m, reserve.variable) == (14 * 31_400, Decimal("1934.24"))  # 439.6 km x 4.40
    assert plate(month, 6) not in {line.plate for line in true.bills[CYCLE]}


def test_whoever_runs_in_place_of_another_is_judged_and_paid_as_itself(month: GoldenMonth) -> None:
    for rule in SUBSTITUTIONS:
        broken, ran = (plate(month, number) for number in (rule.broken, rule.ran))
        rows = [d.trip for d in month.declared(rule.day) if d.trip.plate == broken]
        assert {row.substitute for row in rows} == ({ran} if rule.in_rows else {""})
        trips = [t for t in truth(month).trips if t.day == rule.day and t.plate in (broken, ran)]
        assert {(t.source, t.verdict) for t in trips} == {("ambos", "ok")}
        morning = [t for t in trips if t.plate == broken]
        assert bool(morning) == bool(rule.hour)
        assert len(trips) == len(rows) > 8
        assert {t.terms.contract for t in trips if t.terms and t.plate == ran} == {"CT-0101"}


def test_devices_that_changed_places_are_seen_and_change_no_verdict(month: GoldenMonth) -> None:
    kinds = {"aparelhos_trocados": "a_esclarecer"}
    told = [(t.day, t.plate) for t in truth(month).trips if kinds.items() <= t.kinds.items()]
    days = [(s, s.first + timedelta(days=n)) for s in SWAPS for n in range((s.last - s.first).days + 1)]
    assert [day for day, _ in told] == [day for _, day in days]
    for swap, day in days:
        pair = [plate(month, swap.one), plate(month, swap.other)]
        trips = [t for t in truth(month).trips if t.day == day and t.plate in pair]
        assert [(d, p) for d, p in told if d == day] == [(day, trips[0].plate)]
        assert {t.verdict for t in trips} == {"ok"}
        ids = {p: {s.vehicle_id for t in trips if t.plate == p for s in t.segments} for p in pair}
        assert all(len(own) == 1 for own in ids.values())
        usual = {t.vehicle_id for t in truth(month).trips if t.plate == pair[0] and t.day != day}
        assert ids[pair[1]] <= usual


def test_a_boletim_that_comes_again_with_more_kilometres_is_a_pattern(month: GoldenMonth) -> None:
    ((day, number),) = RAISES.items()
    raised = {whose for kind, _, whose in truth(month).patterns[CYCLE] if kind == "km_aumentado"}
    assert raised == {plate(month, number)}
    ((name, first),) = month.earlier_boletins().items()
    before, after = first.splitlines(), month.boletins()[name].splitlines()
    assert str(day) in name
    assert len(before) == len(after)
    changed = [new for old, new in zip(before, after, strict=True) if old != new]
    assert len(changed) == len([t for t in truth(month).trips if t.day == day and t.plate in raised])


def test_an_odometer_that_runs_too_fast_is_named_and_proves_nothing(month: GoldenMonth) -> None:
    (wound,) = plates(month, "wound_up")
    own = [t for t in truth(month).trips if t.plate == wound and t.segments]
    assert {t.verdict for t in own} == {"ok"}  # each day for itself
    for cycle in (CYCLE, NEXT):
        named = {whose for kind, _, whose in truth(month).patterns[cycle] if kind == "aparelho_desviado"}
        assert named == {t.device for t in own}
        counted = [p.trip for p in truth(month).priced[cycle] if p.trip.plate == wound]
        assert {(t.verdict, t.basis) for t in counted} == {("inconclusivo", "boletim_substitui")}
        assert all(t.audited_m == t.declared_m for t in counted)


def test_days_that_were_invented_are_not_paid_and_those_without_a_device_are(month: GoldenMonth) -> None:
    (gap,) = GAPS
    true = truth(month)
    for cycle in (CYCLE, NEXT):
        (found,) = [i for i in true.intervals[cycle] if i.verdict == "divergente"]
        assert found.plate == plate(month, gap.number)
        assert found.moved_m == found.room_m != 0  # what it drove before it stood
        assert found.before and found.after and (found.after.at - found.before.at).days == 4
        assert sum(t.declared_m or 0 for t in found.asked) > 4 * (found.room_m or 0)
        assert found.own_asked_m > found.paid_m > 0
        fits = [i for i in true.intervals[cycle] if i.verdict == "ok"]
        assert all(i.own_asked_m == i.paid_m and i.value in (0, None) for i in fits)
    first, second = (
        next(i for i in true.intervals[cycle] if i.verdict == "divergente") for cycle in (CYCLE, NEXT)
    )
    assert first.paid_m + second.paid_m == first.room_m == second.room_m
    outages = [i for i in true.intervals[CYCLE] if any(t.day == date(2026, 3, 5) for t in i.own)]
    assert len(outages) >= 4
    assert {i.verdict for i in outages} <= {"ok", "inconclusivo"}


def test_an_odometer_that_passes_its_last_digit_counts_what_was_driven(month: GoldenMonth) -> None:
    own = [t for t in truth(month).trips if t.plate == RESERVE_PLATE and t.declared]
    turned = [t.declared for t in own if t.declared and t.declared.km_in_m < t.declared.km_out_m]
    assert [(t.km_out_m, t.km_in_m) for t in turned] == [(999_990_000, 21_400)]
    assert {(t.audited_m, t.basis) for t in own} == {(31_400, "boletim_substitui")}


def test_the_parts_of_the_bill_sum_to_its_totals(month: GoldenMonth) -> None:
    true = truth(month)
    for cycle in truth_of(month).cycles:
        lines, priced = true.bills[cycle], true.priced[cycle]
        assert sum(true.totals(cycle).values()) == sum(line.variable + line.fixed for line in lines)
        assert sum(line.billed_m for line in lines) == sum(p.billed_m for p in priced)
        assert sum(line.variable for line in lines) == sum(p.value for p in priced)
        assert sum(line.audited_m for line in lines) == sum(p.trip.audited_m for p in priced)
    assert set(true.totals(CYCLE)) == {"AGR", "IND", None}
    own = [t for t in true.trips if t.terms]
    assert sum(len(true.priced[cycle]) for cycle in truth_of(month).cycles) == len(own)


def test_every_measured_kilometre_belongs_to_one_trip(month: GoldenMonth) -> None:
    trips = truth(month).trips
    with month.simulators(outages=()) as apis:
        span = month.story.midnight(FIRST), month.story.midnight(LAST + timedelta(days=1))
        heard = {slug: api.truth(*span) for slug, api in apis.items()}
    for start, end in month.story.outages["miragem"]:
        heard["miragem"] = [t for t in heard["miragem"] if not start <= t.saida_utc < end]
    twice = DIALECTS["traccar"].vehicle_id(month.cast[HEARD_TWICE - 1].vehicle)
    heard["fabula"] = [t for t in heard["fabula"] if t.veiculo_id != twice]
    once = [t for found in heard.values() for t in found]
    shared = Counter((s.vehicle_id, s.departure) for t in trips for s in t.segments)
    assert shared.keys() == {(t.veiculo_id, t.saida_utc) for t in once}
    declared_in_two = [e for e in month.expected() if e.event == "split"]
    assert len([key for key, trips in shared.items() if trips > 1]) * 2 >= len(declared_in_two) > 0
    metres = sum(t.measured_m or 0 for t in trips)
    assert metres / 1000 == pytest.approx(sum(t.distancia_km for t in once), abs=0.0005 * len(once))


def test_a_late_boletim_changes_only_what_it_is_about(month: GoldenMonth) -> None:
    found = truth_of(month).adjustments(CYCLE)
    assert {a.trip.plate for a in found} == {plate(month, 1), plate(month, 4)}
    assert {a.cause for a in found} == {"viagem_substituida", "km_alterado", "arredondamento"}
    before, after = (sum(p.value for p in truth(month, late=late).priced[CYCLE]) for late in (False, True))
    assert sum(a.amount for a in found) == after - before != 0
    assert all(a.cycle == CYCLE for a in found)
    (late,) = month.late_boletins().values()
    assert late.count(b"\r\n") == 1 + len([t for t in truth(month, late=True).trips if t.declared]) - len(
        [t for t in truth(month).trips if t.declared]
    )


def test_the_demos_day_has_dear_divergences_of_many_kinds() -> None:
    month = GoldenMonth(7, first=date(2026, 3, 9), last=date(2026, 3, 11))
    day = [t for t in truth(month).trips if t.day == date(2026, 3, 10)]
    dearest = sorted((t for t in day if t.verdict != "ok"), key=lambda t: -(t.at_stake or 0))[:8]
    assert all((t.at_stake or 0) > 20 for t in dearest)
    kinds = {kind for t in day for kind in t.kinds}
    assert {kind for t in dearest for kind in t.kinds} >= {"km_divergente", "sem_telemetria", "nao_declarada"}
    assert kinds >= {"horario_divergente", "motorista_divergente", "veiculo_desconhecido"}


def test_a_day_is_the_same_in_every_month_that_holds_it(month: GoldenMonth) -> None:
    day = date(2026, 3, 10)
    alone = month.boletins_of(day)
    assert sorted(alone) == sorted(f"{s.name}_{day}.{'xlsx' if s.excel else 'csv'}" for s in SENDERS)
    texts = {name: data for name, data in alone.items() if name.endswith(".csv")}
    assert texts.items() <= month.boletins().items()
    assert texts.items() <= GoldenMonth(7, 20).boletins_of(day).items()
    assert texts != {n: d for n, d in GoldenMonth(8, 20).boletins_of(day).items() if n in texts}


def test_the_pipeline_takes_every_file() -> None:
    month = GoldenMonth(7, 20, date(2026, 3, 5), date(2026, 3, 8))
    files = month.reference_files()
    vehicles = read_vehicles(files["vehicles.csv"], "vehicles.csv")
    drivers = read_drivers(files["drivers.csv"], "drivers.csv")
    contracts = read_contracts(files["contracts.csv"], "contracts.csv")
    assert [vehicles.problems, drivers.problems, contracts.problems] == [[], [], []]
    assert len(vehicles.frame) == 19  # of twenty: one is unknown
    assert set(vehicles.frame["transportadora"]) == {QUIMERA, MIRAGEM, FABULA}
    assert [str(t) for t in contracts.frame["tarifa_brl_km"]][:2] == ["2.7300", "2.8941"]
    seen: dict[tuple, int] = {}
    for name, data in (month.boletins() | month.late_boletins()).items():
        said = validate_file(
            data, name, received_on=date(2026, 4, 1), reference=Reference(vehicles.frame, drivers.frame)
        )
        assert (said.verdict, said.rows.accepted) == ("accepted", said.rows.received), name
        for row in said.accepted.itertuples():
            key = row.placa, row.saida_utc.to_pydatetime(), row.chegada_utc.to_pydatetime()
            seen[key] = round(row.km_declarado * 1000)
    assert seen == {
        (t.plate, t.departure, t.arrival): t.declared_m for t in truth(month, late=True).trips if t.declared
    }


def test_a_month_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(ValueError, match="before it begins"):
        GoldenMonth(first=LAST, last=FIRST)


def test_the_whole_month_is_of_this_size() -> None:
    month = GoldenMonth()
    assert (len(month.cast), len(month.days), truth_of(month).cycles) == (
        40, 46, [date(2026, 1, 16), CYCLE, NEXT],
    )  # fmt: skip
    assert month.as_of > datetime(2026, 3, 29, tzinfo=UTC)
