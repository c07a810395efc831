"""Which declared trip a measured one (a segment) belongs to."""

import numpy as np

from telemetria_pipeline.core.audit.rules import AuditRules
from telemetria_pipeline.core.audit.sides import Side
from telemetria_pipeline.core.audit.timeline import Axis, Timeline
from telemetria_pipeline.core.audit.tolerances import alike


def match(declared: Side, segments: Side, rules: AuditRules) -> np.ndarray:
    """The position in `declared` (int64, -1: none) that each segment chooses.

    It chooses by itself, among the trips of its vehicle: the one with which it overlaps most, or from which
    it is the least time away, up to the tolerance; of equals the nearest departure, then the first in order.
    One that only is near leaves alone a trip which those that overlap it make complete, and chooses among the
    others. So the choice depends on nothing but the trips around the segment, whatever else is loaded.
    """
    said, seen = (side.times.capped(rules.max_trip_hours) for side in (declared, segments))
    chosen = _greatest_overlap(said, seen, 0)
    own, has_own = measured_of(declared, segments, chosen)
    alone = np.flatnonzero(chosen < 0)  # few, so that few look at all that the tolerance lets in
    complete = has_own & alike(declared.metres, own)
    near = _greatest_overlap(said, seen.take(alone), rules.match_minutes * 60_000_000)
    with_it = np.append(own, 0)[near] + segments.metres[alone]
    refused = np.append(complete, False)[near] & ~alike(np.append(declared.metres, 0)[near], with_it)
    chosen[alone] = near
    again, open_ = alone[refused], np.flatnonzero(~complete)
    other = _greatest_overlap(said.take(open_), seen.take(again), rules.match_minutes * 60_000_000)
    chosen[again] = np.append(open_, -1)[other]
    return chosen


def measured_of(declared: Side, segments: Side, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The metres of the segments that chose each declared trip, and whether some did."""
    own = np.flatnonzero(chosen >= 0)
    metres = np.zeros(len(declared), np.int64)
    np.add.at(metres, chosen[own], segments.metres[own])
    return metres, np.bincount(chosen[own], minlength=len(declared)) > 0


def overlapped(declared: Timeline, segments: Timeline) -> tuple[np.ndarray, np.ndarray]:
    """Each declared trip and segment that have time in common (two arrays of positions), of the segments that
    may have some with several trips."""
    first, after = _in_reach(declared, segments, 0)
    several = np.flatnonzero(after - first > 1)
    candidates = (after - first)[several]
    segment = np.repeat(several, candidates)
    of_segment = np.arange(len(segment)) - np.repeat(np.cumsum(candidates) - candidates, candidates)
    trip = first[segment] + of_segment
    meet = common(declared.take(trip), segments.take(segment)) > 0
    return trip[meet], segment[meet]


def common(one: Timeline, other: Timeline) -> np.ndarray:
    """How long each pair of trips lasts together, in microseconds; below 0, how far they are apart."""
    return np.minimum(one.end, other.end) - np.maximum(one.start, other.start)


def _in_reach(declared: Timeline, segments: Timeline, tolerance: int) -> tuple[np.ndarray, np.ndarray]:
    """For each segment where the declared trips begin and end that it may meet."""
    axis = Axis(declared.start, declared.end, segments.start, segments.end)
    # Trips may lie within each other: the greatest end so far tells where the search can begin.
    ends = np.maximum.accumulate(axis.at(declared.vehicle, declared.end))
    first = np.searchsorted(ends, axis.at(segments.vehicle, segments.start - tolerance))
    starts = axis.at(declared.vehicle, declared.start)
    after = np.searchsorted(starts, axis.at(segments.vehicle, segments.end + tolerance), side="right")
    return first, after


def _greatest_overlap(declared: Timeline, segments: Timeline, tolerance: int) -> np.ndarray:
    first, after = _in_reach(declared, segments, tolerance)
    chosen = np.full(len(segments), -1)
    overlap = np.full(len(segments), -tolerance - 1)
    distance = np.zeros(len(segments), np.int64)
    looking = np.flatnonzero(first < after)
    candidate = first[looking]
    while len(looking):  # once for each candidate that a segment has: rarely more than three times
        together = common(declared.take(candidate), segments.take(looking))
        away = np.abs(declared.start[candidate] - segments.start[looking])
        nearer = (together == overlap[looking]) & (away < distance[looking])
        better = (together > overlap[looking]) | nearer
        won = looking[better]
        chosen[won], overlap[won], distance[won] = candidate[better], together[better], away[better]
        candidate = candidate + 1
        more = candidate < after[looking]
        looking, candidate = looking[more], candidate[more]
    return chosen
