"""Declared trips that one measured trip covers are judged together, sums against sums.

    declared    d0 06:00-06:50 25 km   d1 07:00-07:50 25 km
    segments    s0 06:00-07:20 35 km        s1 07:22-07:50 15 km       the engine ran on at the turn

s0 chose d0, and runs into d1; neither agrees alone with what chose it. So they are a group: 50 km declared,
50 km measured. Each trip's share is that of its declared kilometres, cut off the measured ones in order:

    d0 25 km    s0 |-- 25 --|
    d1 25 km              s0 |- 10 -| s1 |-- 15 --|
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from telemetria_pipeline.core.audit.matching import common, measured_of, overlapped
from telemetria_pipeline.core.audit.rules import AuditRules
from telemetria_pipeline.core.audit.sides import Side
from telemetria_pipeline.core.audit.timeline import Timeline
from telemetria_pipeline.core.audit.tolerances import alike


@dataclass(frozen=True)
class Groups:
    """Who is judged with whom, each an array with a value for each declared trip.

    `first`: the position of the first trip of its group; its own, where it stands alone.
    `crosses_day`: it does not agree alone, and a segment over it covers a trip of another day too.
    `spoken_for`: no segment chose it, but one that chose another runs over it.
    """

    first: np.ndarray
    crosses_day: np.ndarray
    spoken_for: np.ndarray

    @cached_property
    def together(self) -> np.ndarray:
        """Whether each trip has others in its group."""
        return np.bincount(self.first, minlength=len(self.first))[self.first] > 1

    @property
    def opens(self) -> np.ndarray:
        """Whether each trip is the first of its group, or stands alone."""
        return self.first == np.arange(len(self.first))

    @property
    def closes(self) -> np.ndarray:
        """Whether each trip is the last of its group, or stands alone."""
        return self._of_group(np.maximum, np.arange(len(self.first))) == np.arange(len(self.first))

    def journeys(self, declared: Side) -> tuple[Timeline, np.ndarray]:
        """For each trip what its group claims together: from the first departure to the last arrival, and
        the metres."""
        times = declared.times
        start, end = self._of_group(np.minimum, times.start), self._of_group(np.maximum, times.end)
        return Timeline(times.vehicle, start, end), self._of_group(np.add, declared.metres)

    def parts(self, whole: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """What of its group's `whole` (the same for all of a group) is each trip's, by its weight."""
        members, group = self.members()
        parts = whole.copy()
        parts[members] = _divided(whole[members], weights[members], group)
        return parts

    def members(self) -> tuple[np.ndarray, np.ndarray]:
        """The trips that have others in their group, group by group, and the number of it."""
        members = np.flatnonzero(self.together)
        members = members[np.argsort(self.first[members], kind="stable")]
        return members, np.unique(self.first[members], return_inverse=True)[1]

    def _of_group(self, reduce: np.ufunc, values: np.ndarray) -> np.ndarray:
        """The trips' values, of those in a group reduced to one."""
        reduced = values.copy()
        others = np.flatnonzero(~self.opens)
        reduce.at(reduced, self.first[others], values[others])
        return reduced[self.first]


@dataclass(frozen=True)
class Shares:
    """What each trip has of each segment, in order of the declared trips; each an int64 array.

    `declared`: position in the declared side, -1 for a segment that nobody declared; `segment`: position in
    the segments' side; `metres`: those of the segment that are the trip's. The metres of a segment sum to
    what it measured.
    """

    declared: np.ndarray
    segment: np.ndarray
    metres: np.ndarray


def find_groups(
    declared: Side, segments: Side, chosen: np.ndarray, day: np.ndarray, rules: AuditRules
) -> Groups:
    """Which declared trips are judged together.

    A group lies within one business day, so that a day alone tells what a month does.

    Args:
        chosen: the position in `declared` that each segment chose, -1 none.
        day: the number of the business day on which each declared trip departs.
    """
    said, seen = (side.times.capped(rules.max_trip_hours) for side in (declared, segments))
    trip, segment = overlapped(said, seen)
    main = chosen[segment]
    other = trip != main
    trip, segment, main = trip[other], segment[other], main[other]

    own_m, has_own = measured_of(declared, segments, chosen)
    open_ = ~(has_own & alike(declared.metres, own_m))

    lengths = said.end - said.start
    rivals = 4 * common(said.take(trip), said.take(main)) >= np.minimum(lengths[trip], lengths[main])
    fills = 2 * common(said.take(trip), seen.take(segment)) >= lengths[trip]
    explained = alike(declared.metres[main], segments.metres[segment])
    same_day = day[trip] == day[main]

    joins = open_[trip] & ~rivals & same_day & (open_[main] | fills)
    crosses = ~rivals & ~same_day
    crosses_day, spoken_for = np.zeros((2, len(said)), bool)
    crosses_day[trip[crosses & open_[trip] & (fills | ~explained)]] = True
    crosses_day[main[crosses & open_[main] & ~explained]] = True
    spoken_for[trip] = True
    # Whoever joins has a group.
    spoken_for[trip[joins]] = False
    return Groups(_components(len(said), trip[joins], main[joins]), crosses_day, spoken_for & ~has_own)


def find_shares(declared: Side, segments: Side, chosen: np.ndarray, groups: Groups) -> Shares:
    """What each declared trip has of the segments that chose it, or that chose one of its group."""
    shared = np.append(groups.together, False)[chosen]
    alone, parts = np.flatnonzero(~shared), np.flatnonzero(shared)
    parts = parts[np.argsort(groups.first[chosen[parts]], kind="stable")]
    members, of_member = groups.members()
    _, of_part = np.unique(groups.first[chosen[parts]], return_inverse=True)
    member, part, metres = _cut(declared.metres[members], of_member, segments.metres[parts], of_part)
    trip = np.append(chosen[alone], members[member])
    segment = np.append(alone, parts[part])
    order = np.lexsort((segment, trip))
    return Shares(trip[order], segment[order], np.append(segments.metres[alone], metres)[order])


def _divided(whole: np.ndarray, weights: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Each one's part of its group's whole, in proportion to its weight, as whole numbers that add up.

    Args:
        whole: of each one's group, int64, the same for all of a group.
        weights: int64, none negative; where all of a group are 0, all are the same.
        group: int64 from 0, in order.
    """
    ends = _ends(whole, weights, group)
    goes_on = np.diff(group, prepend=-1) == 0
    return ends - np.where(goes_on, np.append(0, ends)[: len(ends)], 0)


def _ends(whole: np.ndarray, weights: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Where each one's part of its group's whole ends, counted from the group's beginning."""
    nothing = np.bincount(group, weights) == 0
    weights = np.where(nothing[group], 1, weights)
    until = np.cumsum(weights)
    begins = np.flatnonzero(np.diff(group, prepend=-1))
    before = (until - weights)[begins][group]
    of_group = np.add.reduceat(weights, begins)[group] if len(begins) else weights
    return whole * (until - before) // of_group


def _cut(
    weights: np.ndarray, of_trip: np.ndarray, metres: np.ndarray, of_segment: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Trip, segment and metres of each piece, where the groups' segments are laid end to end and cut at the
    shares of their trips; a trip or a segment of no metres still has a piece."""
    groups = int(of_segment[-1]) + 1 if len(of_segment) else 0
    whole = np.zeros(groups, np.int64)
    np.add.at(whole, of_segment, metres)
    # A metre between the groups tells where one ends from where the next begins.
    origin = np.cumsum(whole + 1) - whole - 1
    trip_ends = origin[of_trip] + _ends(whole[of_trip], weights, of_trip)
    until = np.cumsum(metres)
    segment_ends = until + of_segment
    cuts = np.unique(np.concatenate([origin, trip_ends, segment_ends]))
    inside = ~np.isin(cuts, origin)
    ends, lengths = cuts[inside], np.diff(cuts, prepend=0)[inside]
    trip, segment = np.searchsorted(trip_ends, ends), np.searchsorted(segment_ends, ends)
    no_trip = np.setdiff1d(np.arange(len(trip_ends)), trip)
    no_segment = np.setdiff1d(np.arange(len(segment_ends)), segment)
    return (
        np.concatenate([trip, no_trip, np.searchsorted(trip_ends, segment_ends[no_segment])]),
        np.concatenate([segment, np.searchsorted(segment_ends, trip_ends[no_trip]), no_segment]),
        np.append(lengths, np.zeros(len(no_trip) + len(no_segment), np.int64)),
    )


def _components(size: int, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """The least position that each one is linked to, by whatever chain of links (pairs of positions)."""
    least = np.arange(size)
    while True:
        before = least.copy()
        both = np.minimum(least[left], least[right])
        np.minimum.at(least, left, both)
        np.minimum.at(least, right, both)
        if np.array_equal(before, least):
            return least
