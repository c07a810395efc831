"""Which declared trip a measured one (a segment) belongs to."""

import numpy as np

from telemetria_pipeline.core.audit.rules import AuditRules
from telemetria_pipeline.core.audit.timeline import Axis, Timeline


def match(declared: Timeline, segments: Timeline, rules: AuditRules) -> np.ndarray:
    """The position in `declared` (int64, -1: none) that each segment chooses.

    It chooses by itself, among the trips of its vehicle: the one with which it overlaps most, or from which
    it is the least time away, up to the tolerance; of equals the nearest departure, then the first in order.
    So the choice depends on nothing but the declared trips around the segment, whatever else is loaded.
    """
    declared, segments = declared.capped(rules.max_trip_hours), segments.capped(rules.max_trip_hours)
    chosen = _greatest_overlap(declared, segments, 0)
    alone = np.flatnonzero(chosen < 0)  # few, so that few look at all that the tolerance lets in
    chosen[alone] = _greatest_overlap(declared, segments.take(alone), rules.match_minutes * 60_000_000)
    return chosen


def _greatest_overlap(declared: Timeline, segments: Timeline, tolerance: int) -> np.ndarray:
    axis = Axis(declared.start, declared.end, segments.start, segments.end)
    # Trips may lie within each other: the greatest end so far tells where the search can begin.
    ends = np.maximum.accumulate(axis.at(declared.vehicle, declared.end))
    first = np.searchsorted(ends, axis.at(segments.vehicle, segments.start - tolerance))
    starts = axis.at(declared.vehicle, declared.start)
    after = np.searchsorted(starts, axis.at(segments.vehicle, segments.end + tolerance), side="right")

    chosen = np.full(len(segments), -1)
    overlap = np.full(len(segments), -tolerance - 1)
    distance = np.zeros(len(segments), np.int64)
    looking = np.flatnonzero(first < after)
    candidate = first[looking]
    while len(looking):  # once for each candidate that a segment has: rarely more than three times
        start, end = declared.start[candidate], declared.end[candidate]
        common = np.minimum(end, segments.end[looking]) - np.maximum(start, segments.start[looking])
        away = np.abs(start - segments.start[looking])
        nearer = (common == overlap[looking]) & (away < distance[looking])
        better = (common > overlap[looking]) | nearer
        won = looking[better]
        chosen[won], overlap[won], distance[won] = candidate[better], common[better], away[better]
        candidate = candidate + 1
        more = candidate < after[looking]
        looking, candidate = looking[more], candidate[more]
    return chosen
