"""The truth about every trip of the golden month, worked out the slow way: plain loops over plain values.

It follows the audit's rules, which stand beside the code by their numbers, and shares no line with the
pipeline: where the two differ, one of them is wrong. Distances are whole metres.
"""

import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from itertools import pairwise
from typing import TypeVar
from zoneinfo import ZoneInfo

from telemetria_pipeline.simulator.boletins import DeclaredTrip
from telemetria_pipeline.simulator.dialects import Dialect
from telemetria_pipeline.simulator.golden.cast import Member
from telemetria_pipeline.simulator.golden.reference import InPlace, Terms
from telemetria_pipeline.simulator.records import Carrier
from telemetria_pipeline.simulator.truth import odometer_status
from telemetria_pipeline_tests.golden.swapped import Pair, swapped
from telemetria_pipeline_tests.golden.together import judged_together, like, misplaced, pieces, shares

_Trip = TypeVar("_Trip")
_ByDay = dict[str, dict[date, list[_Trip]]]

MATCH = timedelta(minutes=30)
SHARE_PERCENT, LEAST_M = 10, 1_000
LONGEST = timedelta(hours=12)
NOISE_M = 1_000
FASTEST_KMH, SLACK_M = 160, 5_000
HOUR = timedelta(hours=1)
LATELY = 28  # days


@dataclass(frozen=True, slots=True)
class Segment:
    """A measured trip; `vehicle_id` is its source's, and `reported` what its tracker says. `odometer` has
    both readings where they are good."""

    source: str
    plate: str
    vehicle_id: str
    departure: datetime
    arrival: datetime
    metres: int
    driver: str | None
    odometer: tuple[int, int] | None
    reported: int = 0

    @property
    def device(self) -> str:
        """As devices are named."""
        return f"{self.source}:{self.vehicle_id}"


@dataclass(slots=True)
class TrueVerdict:
    """A validated trip as it must come out; `kinds` are its divergences with their verdicts, and the first
    trip of a day bears what is said of its vehicle.

    `vehicle_id` is the carrier's id, None where nothing was measured; `terms` the contract row of its day;
    `apart_m` how far the sides are apart, of trips judged together their sums; `opens` and `closes` the first
    and the last of these. `unseen_m` is what the odometer moved without a trip that was heard.
    """

    day: date
    plate: str
    vehicle_id: str | None
    departure: datetime
    arrival: datetime
    declared: DeclaredTrip | None
    segments: list[Segment]
    declared_m: int | None
    measured_m: int | None
    verdict: str
    audited_m: int
    basis: str
    covered: bool
    kinds: dict[str, str] = field(default_factory=dict)
    apart_m: int = 0
    terms: Terms | None = None
    unseen_m: int = 0
    opens: bool = True
    closes: bool = True

    @property
    def source(self) -> str:
        """Which sides there are."""
        if self.declared is None:
            return "telemetria"
        return "ambos" if self.segments else "boletim"

    @property
    def device(self) -> str | None:
        """The one device that measured it; None where several or none did."""
        devices = {segment.device for segment in self.segments}
        return devices.pop() if len(devices) == 1 else None

    @property
    def at_stake(self) -> Decimal | None:
        """R$ between the two sides at the tariff of the day; None where no tariff is."""
        if self.terms is None:
            return None
        return price(self.apart_m, self.terms.tariff)


@dataclass(frozen=True)
class Known:
    """What the audit knows: both sides, the hours captured, the vehicles registered, the contracts, who ran
    in place of whom."""

    declared: Sequence[DeclaredTrip]
    segments: Sequence[Segment]
    captured: Mapping[str, frozenset[datetime]]  # by source, the hours' first instants, UTC
    members: Mapping[str, Member]  # registered ones, by plate
    terms: Sequence[Terms]
    zone: ZoneInfo
    substitutions: Sequence[InPlace] = ()
    earlier: Sequence[DeclaredTrip] = ()  # as a boletim had them before it was sent again


def plain(name: str) -> str:
    """A name as names are compared: upper case, without accents."""
    folded = unicodedata.normalize("NFKD", name)
    return "".join(c for c in folded if not unicodedata.combining(c)).upper()


def price(metres: int, tariff: Decimal) -> Decimal:
    """Metres at R$/km, half up to the cent."""
    return (tariff * metres / 1000).quantize(Decimal("0.01"), ROUND_HALF_UP)


def terms_of(known: Known, plate: str, day: date) -> Terms | None:
    """Rule 10: the contract row for a vehicle and day; one for its plate goes before one for its type."""
    found = [t for t in known.terms if t.plate == plate and t.in_force(day)]
    member = known.members.get(plate)
    if not found and member:
        found = [t for t in known.terms if t.plate is None and t.is_for(member) and t.in_force(day)]
    return found[0] if found else None


def segments_of(
    source: str,
    dialect: Dialect,
    carrier: Carrier,
    start: datetime,
    end: datetime,
    as_of: datetime,
    captured: frozenset[datetime],
) -> list[Segment]:
    """What a source measured of the trips that depart in its captured hours of [start, end), at last."""
    found = []
    for trip in carrier.trips(start, end):
        story = carrier.story(trip)
        hour = trip.departure.replace(minute=0, second=0)
        for _, _, reading in dialect.versions(story, as_of)[-1:] if hour in captured else []:
            out, arrived = reading.odometer_departure_m, reading.odometer_arrival_m
            duration, reported_km = reading.arrival - trip.departure, dialect.reported_km(reading.distance_m)
            good = None
            if out and arrived and odometer_status(out, arrived, reported_km, duration) == "ok":
                good = out, arrived
            reported = (1000 * Decimal(str(reported_km))).quantize(Decimal(1), ROUND_HALF_UP)
            found.append(
                Segment(
                    source=source,
                    plate=trip.vehicle.plate,
                    vehicle_id=dialect.vehicle_id(trip.vehicle),
                    departure=trip.departure,
                    arrival=reading.arrival,
                    metres=good[1] - good[0] if good else int(reported),
                    driver=None if "null_driver" in story.faults else trip.driver.name,
                    odometer=good,
                    reported=int(reported),
                )
            )
    return found


def true_verdicts(known: Known) -> list[TrueVerdict]:
    """Every validated trip, by departure and plate."""
    audit = _Audit(known)
    verdicts = sorted(audit.verdicts(), key=lambda v: (v.departure, v.plate, v.arrival))
    met: set[tuple] = set()
    for verdict in verdicts:
        if verdict.plate not in known.members and (verdict.plate, verdict.day) not in met:
            met.add((verdict.plate, verdict.day))
            verdict.kinds["veiculo_desconhecido"] = "a_esclarecer"
        for pair in audit.swapped:
            day, _, *plates = pair
            if verdict.plate in plates and verdict.day == day and pair not in met:
                met.add(pair)
                verdict.kinds["aparelhos_trocados"] = "a_esclarecer"
    return verdicts


class _Audit:
    def __init__(self, known: Known) -> None:
        self.known = known
        declared = _without_repeats(known.declared)
        self.swapped = self._find_swapped(declared)
        segments = [self._really(s) for s in known.segments]
        self.declared: _ByDay[DeclaredTrip] = defaultdict(lambda: defaultdict(list))
        for trip in declared:
            ran = replace(trip, plate=self._who_ran(trip, segments))
            self.declared[ran.plate][self._day(trip.departure)].append(ran)
        self.segments: _ByDay[Segment] = defaultdict(lambda: defaultdict(list))
        for segment in sorted(_heard_once(known, segments), key=lambda s: s.departure):
            self.segments[segment.plate][self._day(segment.departure)].append(segment)

    def verdicts(self) -> Iterable[TrueVerdict]:
        for plate in sorted({*self.declared, *self.segments}):
            covered: dict[DeclaredTrip, list[Segment]] = {
                trip: [] for trips in self.declared[plate].values() for trip in trips
            }
            alone: list[Segment] = []
            near: list[tuple[DeclaredTrip, Segment]] = []
            for segment in [s for found in self.segments[plate].values() for s in found]:
                trip = _chosen(segment, _around(self.declared[plate], self._day(segment.departure)))
                if trip is None:
                    alone.append(segment)
                elif _overlap(segment, trip) >= timedelta(0):
                    covered[trip].append(segment)
                else:
                    near.append((trip, segment))
            over = {trip: sum(s.metres for s in own) for trip, own in covered.items() if own}
            complete = {trip for trip, metres in over.items() if like(trip.distance_m, metres)}
            for nearest, segment in near:
                trip = nearest
                if trip in complete and not like(trip.distance_m, over[trip] + segment.metres):
                    around = _around(self.declared[plate], self._day(segment.departure))
                    trip = _chosen(segment, [t for t in around if t not in complete])
                if trip is None:
                    alone.append(segment)
                else:
                    covered[trip].append(segment)
            alone.sort(key=lambda s: (s.departure, s.source, s.vehicle_id))
            together = judged_together(covered, self._day)
            grouped = {trip for group in together.groups if len(group) > 1 for trip in group}
            left = [
                trip
                for trip, own in covered.items()
                if not any(self._day(s.departure) == self._day(trip.departure) for s in own)
            ]
            left.sort(key=lambda t: (t.departure, t.arrival, t.km_out_m, t.km_in_m))
            moved = misplaced(left, alone, self._day, lambda t, c=covered, g=grouped: bool(c[t]) or t in g)
            for trip, segment in moved:
                covered[trip].append(segment)
                alone.remove(segment)
            for segment in alone:
                yield self._told(self._measured_only(segment))
            for group in together.groups:
                own = sorted((s for trip in group for s in covered[trip]), key=lambda s: s.departure)
                across = any(trip in together.across for trip in group)
                for verdict in self._declared(group, own, across, group[0] in dict(moved)):
                    yield self._told(verdict)

    def _find_swapped(self, declared: Iterable[DeclaredTrip]) -> set[Pair]:
        said: dict[tuple[str, date], list[DeclaredTrip]] = defaultdict(list)
        for trip in declared:
            said[self._said_to_run(trip), self._day(trip.departure)].append(trip)
        return swapped(said, self.known.segments, self._day, _overlap)

    def _really(self, segment: Segment) -> Segment:
        """The segment, of the vehicle that it was."""
        for day, source, one, other in self.swapped:
            if (day, source) == (self._day(segment.departure), segment.source):
                plate = {one: other, other: one}.get(segment.plate, segment.plate)
                segment = replace(segment, plate=plate)
        return segment

    def _said_to_run(self, trip: DeclaredTrip) -> str:
        """The substitute that the row names, else that of the register, else the declared vehicle."""
        day = self._day(trip.departure)
        found = [s for s in self.known.substitutions if s.plate == trip.plate and s.begins <= day <= s.ends]
        return trip.substitute or (found[0].substitute if found else trip.plate)

    def _who_ran(self, trip: DeclaredTrip, segments: Sequence[Segment]) -> str:
        """Whose a trip is: of the two, where only the register names another, the declared vehicle's if it
        was heard for more of it."""
        ran = self._said_to_run(trip)
        if ran in (trip.plate, trip.substitute):
            return ran

        def heard(plate: str) -> timedelta:
            by_source: dict[str, timedelta] = defaultdict(timedelta)
            for segment in segments:
                if segment.plate == plate:
                    by_source[segment.source] += max(_overlap(segment, trip), timedelta(0))
            return max(by_source.values(), default=timedelta(0))

        return trip.plate if heard(trip.plate) > heard(ran) else ran

    def _day(self, when: datetime) -> date:
        return when.astimezone(self.known.zone).date()

    def _declared(
        self, group: list[DeclaredTrip], own: list[Segment], across: bool, moved: bool
    ) -> list[TrueVerdict]:
        """Rules 2 to 6, of one trip or of those that are judged together."""
        journey = replace(
            group[0],
            arrival=max(t.arrival for t in group),
            km_in_m=group[0].km_out_m + sum(t.distance_m for t in group),
        )
        claimed, measured = journey.distance_m, sum(s.metres for s in own)
        covered = self._is_covered(journey, journey.departure - MATCH)
        signal, unseen = self._signal(journey, own)
        unsure = not covered or across or signal == "desconhecido"
        of_segments = "inconclusivo" if unsure or signal == "perdido" else "a_esclarecer"
        agrees = agree(claimed, measured) if own else claimed == 0
        proven = measured + unseen
        word, basis, kinds = "ok", "acordo", {}
        if not agrees:
            if unsure or (unseen > 0 and (claimed <= proven or agree(claimed, proven))):
                word, basis = "inconclusivo", "boletim_substitui"
            else:
                word, basis = "divergente", "medido" if own or proven > 0 else "nao_comprovado"
            kinds["km_divergente" if own else "sem_telemetria"] = word
        claims = [t.distance_m for t in group]
        of_each, unseen_of_each = shares(claims, measured), shares(claims, unseen)
        made = pieces(of_each, [s.metres for s in own]) if own else [set()]
        verdicts = []
        for n, trip in enumerate(group):
            paid = trip.distance_m
            verdict = TrueVerdict(
                day=self._day(trip.departure),
                plate=trip.plate,
                vehicle_id=own[0].vehicle_id if own else None,
                departure=trip.departure,
                arrival=trip.arrival,
                declared=trip,
                segments=[own[s] for s in sorted(made[n])],
                declared_m=paid,
                measured_m=of_each[n] if own else None,
                verdict=word,
                audited_m=min(paid, of_each[n] + unseen_of_each[n]) if word == "divergente" else paid,
                basis=basis,
                covered=self._is_covered(trip, trip.departure),
                kinds=dict(kinds) if n == 0 else {},
                apart_m=abs(claimed - measured),
                unseen_m=unseen_of_each[n],
                opens=n == 0,
                closes=n == len(group) - 1,
            )
            if verdict.segments:
                first, last = verdict.segments[0], verdict.segments[-1]
                late = [timedelta(0)]
                late += [abs(first.departure - trip.departure)] if n == 0 else []
                late += [abs(last.arrival - trip.arrival)] if n == len(group) - 1 else []
                if moved:
                    verdict.kinds["data_ou_horario_a_corrigir"] = "a_esclarecer"
                elif max(late) > MATCH:
                    verdict.kinds["horario_divergente"] = of_segments
                if n == 0 and not _drivers_mayagree(trip.driver, [s.driver for s in verdict.segments]):
                    verdict.kinds["motorista_divergente"] = of_segments
            verdicts.append(verdict)
        return verdicts

    def _measured_only(self, segment: Segment) -> TrueVerdict:
        """Rule 7."""
        day = self._day(segment.departure)
        claimed_others = day in self.declared[segment.plate]
        short = segment.metres <= LEAST_M
        verdict = "ok" if short else "divergente" if claimed_others else "inconclusivo"
        return TrueVerdict(
            day=day,
            plate=segment.plate,
            vehicle_id=segment.vehicle_id,
            departure=segment.departure,
            arrival=segment.arrival,
            declared=None,
            segments=[segment],
            declared_m=None,
            measured_m=segment.metres,
            verdict=verdict,
            audited_m=0,
            basis="a_declarar",
            covered=True,
            kinds={} if short else {"nao_declarada": verdict},
            apart_m=segment.metres,
        )

    def _told(self, verdict: TrueVerdict) -> TrueVerdict:
        verdict.terms = terms_of(self.known, verdict.plate, verdict.day)
        return verdict

    def _is_covered(self, trip: DeclaredTrip, since: datetime) -> bool:
        """Rule 4, where all hours are asked for: whether all sources that serve the vehicle gave each hour
        from `since` to the arrival."""
        serving = self._serving(trip.plate, self._day(trip.departure))
        hour = since.replace(minute=0, second=0)
        while hour < trip.arrival or hour == since:
            if not all(hour in self.known.captured[source] for source in serving):
                return False
            hour += HOUR
        return True

    def _serving(self, plate: str, day: date) -> set[str]:
        """The source in the register, else those that heard the vehicle lately, else all."""
        member = self.known.members.get(plate)
        if member and member.registered_source:
            return {member.registered_source}
        lately = [day - timedelta(days=n) for n in range(LATELY)]
        heard = {s.source for d in lately for s in self.segments[plate].get(d, ())}
        return heard or set(self.known.captured)

    def _signal(self, trip: DeclaredTrip, own: Sequence[Segment]) -> tuple[str, int]:
        """Rule 5: the signal, and the metres that the odometer moved unseen in the trip's window."""
        filling = own[0] if len(own) == 1 and own[0].odometer else None
        if filling and filling.departure <= trip.departure and filling.arrival >= trip.arrival:
            return "presente", 0
        loaded = _around(self.segments[trip.plate], self._day(trip.departure))
        good = [s for s in loaded if s.odometer]
        unseen = 0
        for before, after in pairwise(good):
            if max(before.arrival, trip.departure) >= min(after.departure, trip.arrival):
                continue
            assert before.odometer and after.odometer
            between = [s for s in loaded if before.departure < s.departure < after.departure]
            ran = after.odometer[0] - before.odometer[1]
            moved = ran - sum(s.metres for s in between)
            hours = Decimal((after.departure - before.arrival) // timedelta(seconds=1)) / 3600
            if ran < -NOISE_M or moved > FASTEST_KMH * 1000 * hours + SLACK_M:
                return "desconhecido", 0
            if moved > NOISE_M or trip.distance_m <= NOISE_M:
                unseen += max(moved, 0)
        bracketed = good and good[0].departure <= trip.departure and good[-1].arrival >= trip.arrival
        if not bracketed:
            return "desconhecido", unseen
        return ("perdido" if unseen else "presente"), unseen


def _heard_once(known: Known, segments: Sequence[Segment]) -> Iterable[Segment]:
    """Of what two sources heard at once, that of the source in the register."""
    first: dict[str, list[Segment]] = defaultdict(list)
    for segment in segments:
        member = known.members.get(segment.plate)
        if member and segment.source == member.registered_source:
            first[segment.plate].append(segment)
    for segment in segments:
        others = [s for s in first[segment.plate] if s.source != segment.source]
        if not any(_is_the_same(segment, other) for other in others):
            yield segment


def _is_the_same(one: Segment, other: Segment) -> bool:
    shorter = min(one.arrival - one.departure, other.arrival - other.departure)
    return 2 * _overlap(one, other) >= shorter


def _around(by_day: Mapping[date, list[_Trip]], day: date) -> list[_Trip]:
    """What departs from the day before to the day after; by departure, if each day is."""
    return [t for n in (-1, 0, 1) for t in by_day.get(day + timedelta(days=n), ())]


def _without_repeats(declared: Iterable[DeclaredTrip]) -> list[DeclaredTrip]:
    """Rule 0; a row that names a substitute speaks for those that do not."""
    rows = sorted(declared, key=lambda t: bool(t.substitute))
    first = {(t.plate, t.departure, t.arrival, t.km_out_m, t.km_in_m): t for t in rows}
    return list(first.values())


def _chosen(segment: Segment, trips: Iterable[DeclaredTrip]) -> DeclaredTrip | None:
    """Rule 1: the declared trip that the segment overlaps most."""

    def rank(trip: DeclaredTrip) -> tuple:
        apart = abs(trip.departure - segment.departure)
        return -_overlap(segment, trip), apart, trip.departure, trip.arrival, trip.km_out_m, trip.km_in_m

    return min((t for t in trips if _overlap(segment, t) >= -MATCH), key=rank, default=None)


def _overlap(one: Segment | DeclaredTrip, other: Segment | DeclaredTrip) -> timedelta:
    ends = (min(t.arrival, t.departure + LONGEST) for t in (one, other))
    return min(ends) - max(one.departure, other.departure)


def agree(claimed: int, measured: int) -> bool:
    """Rule 3."""
    off = abs(claimed - measured)
    return not (100 * off > SHARE_PERCENT * measured and off > LEAST_M)


def _drivers_mayagree(said: str, heard: Sequence[str | None]) -> bool:
    """Rule 11."""
    words = set(plain(said).split())
    others = [set(plain(name).split()) for name in heard if name]
    return not words or not others or any(words <= o or o <= words for o in others)
