"""Access units and a window become a plan: which pictures are copied, which re-encoded, which refused.

Rules of this file:
- A picture is delivered only if its time lies in the half-open window.
- Copying starts at an IDR picture inside the window and never reaches behind a picture outside, so that no copied
  picture refers to one that is not in the file.
- A picture is re-encoded only if everything from its decoding start to itself arrived whole: a decoder hides a loss by
  repeating what it saw before, which may lie outside the window.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from agent.clock import SECOND_NS, WallTime, Window
from agent.cut.clip import Gap
from agent.cut.depacketize import AccessUnit
from agent.cut.h264 import (
    NalType,
    ParameterSets,
    active_sps,
    is_recovery_point,
    nal_type,
    parameter_sets,
    parse_slice,
)
from agent.errors import BadInputError

GAP_NS_MIN: Final = SECOND_NS  # longer stretches without a picture are reported as gaps

WHY_LOST: Final = "packets were lost; pictures up to the next key picture cannot be shown as they were"
WHY_CLOCK: Final = "the clock was set back here; the newer pictures of this time were kept"
WHY_NOTHING: Final = "the camera sent no pictures"
WHY_UNDECODABLE: Final = "these pictures could not be decoded"


@dataclass(frozen=True, slots=True)
class Segment:
    """Pictures that follow each other in the clip and are treated alike."""

    is_copy: bool
    units: tuple[int, ...]  # indexes of access units in decode order; a copy begins with an IDR picture
    sets: ParameterSets  # in force for the first of them


@dataclass(frozen=True, slots=True)
class Tracing:
    """What depends on what, by index of access units."""

    sets_at: Sequence[ParameterSets]  # the parameter sets in force for each unit
    sequences: Sequence[tuple[int, int]]  # [IDR picture, end) of what may be copied
    decode_from: Mapping[int, int]  # where decoding must start for this unit; missing if it cannot be decoded


@dataclass(frozen=True, slots=True)
class PicturePlan:
    """What becomes of every picture of the window."""

    segments: tuple[Segment, ...]  # in presentation order
    refused: Mapping[int, str]  # why, by index of the access unit
    tracing: Tracing
    width: int  # of the clip's pictures, 0 if there are none
    height: int


def plan_pictures(units: Sequence[AccessUnit], window: Window, *, may_copy: bool = True) -> PicturePlan:
    """Plan the pictures with `window.start <= time < window.end`. `may_copy=False` re-encodes them all."""
    tracing = trace(units)
    sets_at, decode_from = tracing.sets_at, tracing.decode_from
    superseded = _superseded(units, decode_from)
    inside = [index for index, unit in enumerate(units) if unit.time in window]
    refused = {i: WHY_CLOCK if i in superseded else WHY_LOST for i in inside if i in superseded or i not in decode_from}
    wanted = [index for index in inside if index not in refused]
    if not wanted:
        return PicturePlan((), refused, tracing, 0, 0)
    first = min(wanted, key=lambda index: units[index].time)
    shape = active_sps(sets_at[first], units[first].slices[0])
    label: dict[int, int] = {}
    for number, (begin, end) in enumerate(tracing.sequences if may_copy else []):
        sps = active_sps(sets_at[begin], units[begin].slices[0])
        if sps.is_progressive and sps.shape == shape.shape:
            label |= dict.fromkeys(_copied(units, begin, end, set(wanted)), number)
    segments = _group(units, wanted, label, sets_at)
    return PicturePlan(segments, refused, tracing, shape.width, shape.height)


def _sets_in_force(units: Sequence[AccessUnit]) -> list[ParameterSets]:
    """Return for each unit the parameter sets known when it is decoded; equal ones are the same object."""
    sets: ParameterSets = {}
    at: list[ParameterSets] = []
    for unit in units:
        try:
            new = parameter_sets(unit.nals)
        except BadInputError:
            new = {}  # whatever needs the broken set is refused where it is used
        if any(sets.get(key) != nal for key, nal in new.items()):
            sets = {**sets, **new}
        at.append(sets)
    return at


def trace(units: Sequence[AccessUnit]) -> Tracing:
    """Find the coded sequences that may be copied, and where each decodable picture's decoding starts."""
    sets_at = _sets_in_force(units)
    sequences: list[tuple[int, int]] = []
    decode_from: dict[int, int] = {}
    starts: list[int] = []  # where decoding could begin, in the present stretch without a loss
    begin: int | None = None
    for index, unit in enumerate(units):
        is_whole = not unit.is_torn and _is_understood(unit, sets_at[index])
        is_new = is_whole and unit.is_key
        is_changed = begin is not None and sets_at[index] is not sets_at[begin]
        if begin is not None and (is_new or unit.is_gap or not is_whole or is_changed):
            sequences.append((begin, index))
            begin = None
        if is_new or unit.is_gap or not is_whole:
            starts = []
        if is_new:
            begin = index
        if is_new or (is_whole and _is_recovery_start(unit)):
            starts.append(index)
        start = next((start for start in reversed(starts) if units[start].time <= unit.time), None)
        if start is not None:
            decode_from[index] = start
    if begin is not None:
        sequences.append((begin, len(units)))
    return Tracing(sets_at, sequences, decode_from)


def _is_understood(unit: AccessUnit, sets: ParameterSets) -> bool:
    try:
        for nal in unit.slices:
            active_sps(sets, nal)
    except BadInputError:
        return False
    return all(nal_type(nal) in (NalType.SLICE, NalType.SLICE_IDR) for nal in unit.slices)


def _is_recovery_start(unit: AccessUnit) -> bool:
    """Say whether decoding may begin here without an IDR picture: open GOPs, to be re-encoded only."""
    promised = any(nal_type(nal) == NalType.SEI and is_recovery_point(nal) for nal in unit.nals)
    return promised and all(parse_slice(nal).is_intra for nal in unit.slices)


def _superseded(units: Sequence[AccessUnit], decode_from: Mapping[int, int]) -> set[int]:
    """Find pictures at whose time a later sequence begins anew: clocks that were set back tell a time twice."""
    earliest: int | None = None  # start of any later sequence
    superseded = set()
    for index in range(len(units) - 1, -1, -1):
        if earliest is not None and units[index].time >= earliest:
            superseded.add(index)
        elif decode_from.get(index) == index and (units[index].is_key or units[index].is_gap):
            earliest = units[index].time
    return superseded


def _copied(units: Sequence[AccessUnit], begin: int, end: int, wanted: set[int]) -> list[int]:
    """Choose the pictures of the sequence `[begin, end)` to copy: a run in decode order from its IDR picture."""
    if begin not in wanted:
        return []
    stop = next((index for index in range(begin, end) if index not in wanted), end)
    taken = list(range(begin, stop))
    while taken:  # what stays behind is re-encoded and must be shown after every copied picture
        rest = min((units[i].time for i in range(taken[-1] + 1, end) if i in wanted), default=None)
        late = next((k for k, i in enumerate(taken) if rest is not None and units[i].time > rest), None)
        if late is None:
            break
        taken = taken[:late]
    return taken


def _group(
    units: Sequence[AccessUnit], wanted: list[int], label: Mapping[int, int], sets_at: Sequence[ParameterSets]
) -> tuple[Segment, ...]:
    groups: list[tuple[int | None, list[int]]] = []
    for index in sorted(wanted, key=lambda index: (units[index].time, index)):
        if not groups or groups[-1][0] != label.get(index):
            groups.append((label.get(index), []))
        groups[-1][1].append(index)
    return tuple(Segment(kind is not None, tuple(sorted(members)), sets_at[min(members)]) for kind, members in groups)


def find_gaps(
    window: Window, delivered: Sequence[WallTime], refused: Sequence[tuple[WallTime, str]]
) -> tuple[Gap, ...]:
    """Name the stretches of the window without a picture: those with refused pictures, and those over GAP_NS_MIN."""
    borders = [window.start, *sorted(delivered), window.end]
    gaps = []
    for start, end in pairwise(borders):
        whys = sorted({why for moment, why in refused if start <= moment < end})
        if whys or end - start > GAP_NS_MIN:
            gaps.append(Gap(start, end, "; ".join(whys) or WHY_NOTHING))
    return tuple(gaps)
