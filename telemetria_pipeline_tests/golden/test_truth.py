"""The truth's rules on trips made by hand: each edge that the golden month keeps away from."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest

from telemetria_pipeline.simulator.boletins import DeclaredTrip
from telemetria_pipeline.simulator.golden.reference import InPlace
from telemetria_pipeline_tests.golden.devices import biased_devices, disbelieved
from telemetria_pipeline_tests.golden.money import _beyond, _in_parts, cycle_of, days_of, price
from telemetria_pipeline_tests.golden.odometers import reconciled
from telemetria_pipeline_tests.golden.patterns import true_patterns
from telemetria_pipeline_tests.golden.trips import Known, Segment, TrueVerdict, true_verdicts

ZONE = ZoneInfo("America/Sao_Paulo")
DAY = datetime(2026, 3, 10, 3, tzinfo=UTC)  # midnight in São Paulo
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
PLATE = "ABC1D23"
DAYS = date(2026, 2, 16), date(2026, 3, 15)


def at(clock: str) -> datetime:
    hours, minutes = clock.split(":")
    return DAY + int(hours) * HOUR + int(minutes) * MINUTE


def said(left: str, arrived: str, km: float, driver: str = "", out: int = 100_000) -> DeclaredTrip:
    return DeclaredTrip(
        PLATE, PLATE, "1", str(ZONE), at(left), at(arrived), "", "", out, out + round(km * 1000), driver, "X"
    )


def heard(left: str, arrived: str, km: float, out: int | None = None, driver: str | None = None) -> Segment:
    metres = round(km * 1000)
    odometer = None if out is None else (out, out + metres)
    return Segment("sol", PLATE, "v-1", at(left), at(arrived), metres, driver, odometer)


def judge(*trips: DeclaredTrip | Segment, missing: tuple[str, ...] = ()) -> list[TrueVerdict]:
    hours = {DAY + n * HOUR for n in range(-24, 120)} - {at(clock) for clock in missing}
    return true_verdicts(
        Known(
            [t for t in trips if isinstance(t, DeclaredTrip)],
            [t for t in trips if isinstance(t, Segment)],
            {"sol": frozenset(hours)},
            {},
            [],
            ZONE,
        )
    )


def outcome(verdict: TrueVerdict) -> tuple[str, float, str]:
    return verdict.verdict, verdict.audited_m / 1000, verdict.basis


# Before and after, so that every trip between 06:00 and 22:00 is bracketed by good readings.
AROUND = (heard("05:00", "05:30", 20, 80_000), heard("22:00", "22:30", 20, 100_000))


@pytest.mark.parametrize(
    ("claimed", "measured", "found"),
    [
        (11.0, 10.0, ("ok", 11.0, "acordo")),  # exactly 1 km
        (22.0, 20.0, ("ok", 22.0, "acordo")),  # exactly 10 %
        (22.001, 20.0, ("divergente", 20.0, "medido")),
        (3.0, 2.0, ("ok", 3.0, "acordo")),  # 50 %, but only 1 km
        (3.001, 2.0, ("divergente", 2.0, "medido")),
        (9.0, 20.0, ("divergente", 9.0, "medido")),  # paid as declared
    ],
)
def test_both_tolerances_must_be_exceeded(claimed: float, measured: float, found: tuple) -> None:
    own = heard("10:00", "11:00", measured, 100_000)
    after = heard("22:00", "22:30", 20, 100_000 + own.metres)
    (trip,) = [t for t in judge(AROUND[0], own, after, said("10:00", "11:00", claimed)) if t.declared]
    assert outcome(trip) == found


@pytest.mark.parametrize(
    ("moved_km", "claimed", "found"),
    [
        (0, 18, ("divergente", 0, "nao_comprovado")),
        (1, 18, ("divergente", 0, "nao_comprovado")),  # noise of an odometer
        (8, 18, ("divergente", 8, "medido")),
        (17, 18, ("inconclusivo", 18, "boletim_substitui")),
        (40, 18, ("inconclusivo", 18, "boletim_substitui")),
        (2_600, 3_500, ("divergente", 2_600, "medido")),  # 160 km/h for 16 h 30 min, and 5 km, are 2,645 km
        (2_650, 3_500, ("inconclusivo", 3_500, "boletim_substitui")),
        (0, 1, ("divergente", 0, "nao_comprovado")),
        (0.2, 1, ("inconclusivo", 1, "boletim_substitui")),
    ],
)
def test_a_trip_that_nothing_shows_is_worth_what_the_odometer_moved(
    moved_km: float, claimed: float, found: tuple
) -> None:
    before, after = (
        heard("05:00", "05:30", 20, 80_000),
        heard("22:00", "22:30", 20, 100_000 + round(1000 * moved_km)),
    )
    (trip,) = [t for t in judge(before, after, said("10:00", "10:30", claimed)) if t.declared]
    assert outcome(trip) == found


def test_nobody_is_accused_on_silence() -> None:
    trip = said("10:00", "10:30", 18)
    inconclusive = ("inconclusivo", 18, "boletim_substitui")
    assert outcome(judge(trip)[0]) == inconclusive
    for lonely in AROUND:
        assert [outcome(t) for t in judge(trip, lonely) if t.declared] == [inconclusive]
    for hour in ("9:00", "10:00"):  # where it is, and where its segments may depart
        found = judge(trip, *AROUND, missing=(hour,))
        assert [outcome(t) for t in found if t.declared] == [inconclusive]
    assert [t.verdict for t in judge(trip, *AROUND, missing=("8:00", "11:00")) if t.declared] == [
        "divergente"
    ]
    unread = heard("05:00", "05:30", 20), heard("22:00", "22:30", 20)  # signs of life, but no odometer
    assert [outcome(t) for t in judge(trip, *unread) if t.declared] == [inconclusive]


def test_a_segment_goes_to_the_trip_that_it_overlaps_most() -> None:
    one, two = said("10:00", "10:30", 20), said("10:30", "11:30", 30, out=120_000)
    found = judge(one, two, heard("10:20", "10:55", 30))
    assert {t.declared: len(t.segments) for t in found} == {one: 0, two: 1}
    near = judge(one, heard("11:00", "11:20", 20))
    assert [len(t.segments) for t in near] == [1]  # exactly 30 minutes after
    assert [len(t.segments) for t in judge(one, heard("11:01", "11:20", 40))] == [0, 1]
    both = judge(said("10:00", "11:00", 40), heard("10:00", "10:20", 18), heard("10:30", "11:00", 22))
    assert [(len(t.segments), t.measured_m) for t in both] == [(2, 40_000)]


def test_trips_that_one_segment_covers_are_judged_together() -> None:
    one, two = said("10:00", "10:30", 20), said("10:35", "11:00", 30, out=120_000)
    whole = judge(one, two, heard("10:00", "11:00", 50))
    assert [(t.verdict, t.measured_m, len(t.segments)) for t in whole] == [
        ("ok", 20_000, 1),
        ("ok", 30_000, 1),
    ]
    short = judge(one, two, heard("10:00", "11:00", 40, out=100_000), *AROUND)
    claims = [t for t in short if t.declared]
    assert [outcome(t) for t in claims] == [("divergente", 16, "medido"), ("divergente", 24, "medido")]
    assert [t.kinds.get("km_divergente") for t in claims] == ["divergente", None]
    assert claims[0].apart_m == 10_000


def test_a_wrong_date_or_hour_is_one_journey() -> None:
    for left, arrived in (("13:00", "13:30"), ("34:00", "34:30"), ("-14:00", "-13:-30")):
        (trip,) = judge(said(left, arrived, 20), heard("10:00", "10:30", 21))
        assert outcome(trip) == ("ok", 20, "acordo")
        assert trip.kinds["data_ou_horario_a_corrigir"] == "a_esclarecer"
    assert len(judge(said("13:01", "13:30", 20), heard("10:00", "10:30", 21))) == 2
    assert len(judge(said("13:01", "13:30", 20), heard("10:00", "10:30", 20, out=100_500))) == 1


@pytest.mark.parametrize(
    ("moved_km", "found"),
    [
        (0, ("divergente", 0, "odometro")),
        (9, ("divergente", 9, "odometro")),
        (16.3, ("divergente", 16.3, "odometro")),  # 10 % of it are less than 1.7 km
        (16.4, ("inconclusivo", 18, "boletim_substitui")),
        (40, ("inconclusivo", 18, "boletim_substitui")),
        (-0.9, ("divergente", 0, "odometro")),  # noise of an odometer
        (-1.1, ("inconclusivo", 18, "boletim_substitui")),
        (15_600, ("inconclusivo", 18, "boletim_substitui")),  # no bus drives so far in four days
    ],
)
def test_what_days_without_a_device_ask_for_must_fit(moved_km: float, found: tuple) -> None:
    before = heard("05:00", "05:30", 20, 80_000)
    after = heard("101:00", "101:30", 20, 100_000 + round(1000 * moved_km))
    trips = judge(before, after, said("56:00", "56:40", 18))
    assert [outcome(t) for t in trips if t.declared] == [("inconclusivo", 18, "boletim_substitui")]
    counted, (interval,) = reconciled(trips, DAYS, {})
    assert [outcome(t) for t in counted if t.declared] == [found]
    assert interval.paid_m == 1000 * found[1]
    other = replace(after, vehicle_id="v-2")  # a new device, whose odometer is another one
    swapped, _ = reconciled(judge(before, other, said("56:00", "56:40", 18)), DAYS, {})
    assert [outcome(t) for t in swapped if t.declared] == [("inconclusivo", 18, "boletim_substitui")]


def test_what_fits_is_shared_by_those_that_ask_for_it() -> None:
    before, after = heard("05:00", "05:30", 20, 80_000), heard("101:00", "101:30", 20, 110_000)
    counted, _ = reconciled(
        judge(before, after, said("56:00", "56:40", 20), said("60:00", "60:40", 10)), DAYS, {}
    )
    assert [t.audited_m for t in counted if t.declared] == [6_667, 3_333]


def test_a_device_that_is_off_by_more_than_ten_percent_is_not_believed() -> None:
    def counted(reported: float, claimed: float) -> list[tuple[str, float, str]]:
        times = [(f"{n}:00", f"{n}:50") for n in range(-20, 100, 5)]
        own = [replace(heard(*t, 20, 100_000), reported=round(1000 * reported)) for t in times]
        trips = judge(*own, *(said(*t, claimed) for t in times))
        return sorted({outcome(t) for t in disbelieved(trips, biased_devices(trips))})

    assert counted(18.2, 20) == [("ok", 20, "acordo")]
    assert counted(18.1, 20) == [("inconclusivo", 20, "boletim_substitui")]
    assert counted(23, 23) == [("inconclusivo", 23, "boletim_substitui")]
    assert counted(23, 26) == [("divergente", 23, "medido")]


def test_a_trip_in_place_of_another_vehicle_is_the_one_that_ran() -> None:
    ran = "DEF1G23"
    by_row = judge(replace(said("10:00", "10:30", 20), substitute=ran))
    assert [t.plate for t in by_row] == [ran]

    def by_register(*segments: Segment) -> list[str]:
        rule = InPlace(PLATE, ran, date(2026, 3, 10), date(2026, 3, 10))
        trips = [said("10:00", "10:30", 20), said("34:00", "34:30", 20, out=120_000)]
        known = Known(trips, segments, {"sol": frozenset()}, {}, [], ZONE, [rule])
        return [t.plate for t in true_verdicts(known) if t.declared]

    assert by_register() == [ran, PLATE]  # of that day only
    own = heard("10:00", "10:25", 20)
    assert by_register(own) == [PLATE, PLATE]
    assert by_register(own, replace(heard("10:00", "10:30", 20), plate=ran, vehicle_id="v-2")) == [ran, PLATE]


def test_devices_that_changed_places_are_given_back() -> None:
    other = "DEF1G23"
    mine, theirs = said("10:00", "10:30", 20), replace(said("12:00", "12:40", 30, out=900_000), plate=other)
    seen = heard("12:00", "12:40", 30, 900_000), replace(heard("10:00", "10:30", 20, 100_000), plate=other)
    found = judge(mine, theirs, *seen)
    assert [(t.plate, t.verdict, t.measured_m) for t in found] == [
        (PLATE, "ok", 20_000),
        (other, "ok", 30_000),
    ]
    assert [t.kinds.get("aparelhos_trocados") for t in found] == ["a_esclarecer", None]
    near = replace(theirs, km_out_m=140_000, km_in_m=170_000)  # 50 km from its own readings at most
    assert not any("aparelhos_trocados" in t.kinds for t in judge(mine, near, *seen))


def test_the_same_row_in_two_files_is_one_trip() -> None:
    assert len(judge(said("10:00", "10:30", 20), said("10:00", "10:30", 20))) == 1


def test_what_was_not_declared() -> None:
    lonely = heard("10:00", "10:30", 20)
    assert [outcome(t) for t in judge(lonely)] == [("inconclusivo", 0, "a_declarar")]
    beside = judge(lonely, said("15:00", "15:30", 20))
    assert [outcome(t) for t in beside if not t.declared] == [("divergente", 0, "a_declarar")]
    (short,) = [t for t in judge(heard("10:00", "10:30", 1), said("15:00", "15:30", 20)) if not t.declared]
    assert (outcome(short), short.kinds) == (
        ("ok", 0, "a_declarar"),
        {"veiculo_desconhecido": "a_esclarecer"},
    )
    other_day = judge(lonely, said("24:10", "24:40", 20))
    assert [t.verdict for t in other_day if not t.declared] == ["inconclusivo"]


@pytest.mark.parametrize(("minutes", "kinds"), [(30, set()), (31, {"horario_divergente"})])
def test_clocks_may_be_half_an_hour_apart(minutes: int, kinds: set[str]) -> None:
    own = Segment(
        "sol",
        PLATE,
        "v-1",
        at("10:00") + minutes * MINUTE,
        at("11:00") + minutes * MINUTE,
        20_000,
        None,
        None,
    )
    (trip,) = judge(said("10:00", "11:00", 20), own)
    assert set(trip.kinds) - {"veiculo_desconhecido"} == kinds


@pytest.mark.parametrize(
    ("declared", "driver", "differ"),
    [
        ("José Leitão", "JOSE LEITAO", False),
        ("José Carlos Leitão", "José Leitão", False),
        ("Leitão", "José Leitão", False),
        ("José Leitão", "José Falcão", True),
        ("", "José Falcão", False),
        ("José Leitão", None, False),
    ],
)
def test_drivers_differ_only_where_both_are_known(declared: str, driver: str | None, differ: bool) -> None:
    (trip,) = judge(said("10:00", "11:00", 20, declared), heard("10:00", "11:00", 20, driver=driver))
    assert ("motorista_divergente" in trip.kinds) == differ


@pytest.mark.parametrize(
    ("trips", "measured", "claimed", "biased"),
    [(20, 20.0, 20.3, True), (20, 20.0, 20.2, False), (19, 20.0, 21.1, False), (20, 20.0, 18.9, True)],
)
def test_a_bias_needs_twenty_trips_and_more_than_one_percent(
    trips: int, measured: float, claimed: float, biased: bool
) -> None:
    days = [n * 24 * HOUR for n in range(trips)]
    one, own = said("10:00", "11:00", claimed), heard("10:00", "11:00", measured, out=100_000)
    hours = {DAY + n * HOUR for n in range(24 * trips)}
    known = Known(
        [replace(one, departure=one.departure + d, arrival=one.arrival + d) for d in days],
        [replace(own, departure=own.departure + d, arrival=own.arrival + d) for d in days],
        {"sol": frozenset(hours)},
        {},
        [],
        ZONE,
    )
    found = {level for pattern, level, _ in true_patterns(true_verdicts(known), known) if pattern == "vies"}
    assert found == ({"veiculo", "motorista", "transportadora"} if biased else set())


def test_money() -> None:
    assert price(1_000, Decimal("2.675")) == Decimal("2.68")  # half up, where a float would say 2.67
    assert _beyond([10, 20, 30], 25) == [0, 5, 30]
    assert _beyond([10], 0) == [10]
    assert [cycle_of(date(2026, m, d)) for m, d in ((1, 15), (1, 16), (3, 15))] == [
        date(2025, 12, 16), date(2026, 1, 16), date(2026, 2, 16),
    ]  # fmt: skip
    assert len(days_of(date(2026, 2, 16))) == 28


def test_parts_to_the_cent_add_up() -> None:
    halves = [Fraction(1, 200)] * 3  # 0.015 in all
    assert _in_parts(halves) == [Decimal("0.01"), Decimal("0.01"), 0]
    assert _in_parts([Fraction("30235.605"), Fraction("10301.2675")]) == [
        Decimal("30235.60"),
        Decimal("10301.27"),
    ]
