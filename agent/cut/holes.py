"""Access units become the moments at which pictures may be missing of which nothing whole arrived.

The numbers of RTP packets say between which two pictures something was lost, in the order in which they were sent.

Rules of this file:
- Where pictures are shown as they are sent, one that is lost belongs between the two.
- Where they are not, it belongs where there is room for one among the pictures near it; without such, or if the camera
  does not keep to a rate, anywhere there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from statistics import median
from typing import Final

from agent.clock import WallTime, Window
from agent.cut.depacketize import AccessUnit

_NEAR: Final = 32  # pictures on either side among which order and distance are looked at
_STEADY: Final = 0.75  # of the usual distance: two steps that are never shorter leave room that is seen


def moments_of_holes(units: Sequence[AccessUnit], window: Window) -> list[WallTime]:
    """Return moments in the window: from each to the next picture that arrived, others may be missing."""
    found = set()
    for index in range(1, len(units)):
        if units[index].is_gap:
            found |= {max(start, window.start) for start, end in _stretches(units, index) if end > window.start}
    return sorted(moment for moment in found if moment < window.end)


def _stretches(units: Sequence[AccessUnit], hole: int) -> Iterator[tuple[WallTime, WallTime]]:
    """Yield where a picture may be missing that was sent just before the unit at `hole`."""
    before = [unit.time for unit in units[max(0, hole - _NEAR) : hole]]
    after = [unit.time for unit in units[hole : hole + _NEAR] if unit.run == units[hole].run]
    early, late = (max(count(before), count(after)) for count in (_overtaking, _overtaken))
    if not late:
        yield before[-1], after[0]
        return
    first, last = sorted(before)[-late - 1 :][0], sorted(after)[: early + 1][-1]
    near = sorted({*before, *after})
    inside = [(start, end) for start, end in pairwise(near) if first <= start and end <= last]
    steps = [end - start for start, end in pairwise(near)]
    usual = median(steps)
    if min(steps) < _STEADY * usual:  # room for one tells nothing
        yield from inside
        return
    roomy = [(start, end) for start, end in inside if end - start >= 2 * _STEADY * usual]
    is_known = units[hole].is_torn or units[hole - 1].is_torn  # then perhaps no other picture was hit
    yield from roomy or ([] if is_known else inside)


def _overtaken(times: Sequence[WallTime]) -> int:
    """Return how many pictures at most are sent before one that is shown earlier."""
    return max((sum(other > moment for other in times[:place]) for place, moment in enumerate(times)), default=0)


def _overtaking(times: Sequence[WallTime]) -> int:
    """Return how many pictures at most are sent after one that is shown later."""
    return max((sum(other < moment for other in times[place:]) for place, moment in enumerate(times)), default=0)
