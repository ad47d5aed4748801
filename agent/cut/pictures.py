"""Access units and a window become a plan: which pictures are copied, which re-encoded, which refused.

Rules of this file:
- A picture is delivered only if its time lies in the half-open window.
- Copying starts at a picture inside the window that refers to no other, and never reaches behind a picture outside, so
  that no copied picture refers to one that is not in the file. Pictures shown before the one with which copying starts
  may refer to what is before it, so they are re-encoded.
- A picture is re-encoded only if everything from its decoding start to itself arrived whole: a decoder hides a loss by
  repeating what it saw before, which may lie outside the window.
- If nothing can be copied for what the pictures are, all are re-encoded as H.264 of 4:2:0 and 8 bits, which plays
  everywhere, and the report says why.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from agent.clock import SECOND_NS, WallTime, Window
from agent.cut.clip import Gap
from agent.cut.codec import Codec, ParameterSets, PictureForm, PictureKind
from agent.cut.depacketize import AccessUnit
from agent.cut.known_codecs import H264
from agent.cut.tracing import Tracing, form_of, trace

GAP_NS_MIN: Final = SECOND_NS  # longer stretches without a picture are reported as gaps

WHY_LOST: Final = "packets were lost; pictures up to the next key picture cannot be shown as they were"
WHY_MISSING: Final = "packets were lost; perhaps all of a picture"
WHY_CLOCK: Final = "the clock was set back here; the newer pictures of this time were kept"
WHY_NOTHING: Final = "the camera sent no pictures"
WHY_UNDECODABLE: Final = "these pictures could not be decoded"
WHY_OTHER_SHAPE: Final = "pictures of another size or format"
WHY_OTHER_CODEC: Final = "pictures of another codec"


class Segment(Struct, frozen=True):
    """Pictures that follow each other in the clip and are treated alike."""

    is_copy: bool
    units: tuple[int, ...]  # indexes of access units in decode order; a copy begins with one that refers to no other
    sets: ParameterSets  # in force for the first of them


class PicturePlan(Struct, frozen=True):
    """What becomes of every picture of the window."""

    segments: tuple[Segment, ...]  # in presentation order
    refused: Mapping[int, str]  # why, by index of the access unit
    tracing: Tracing
    codec: Codec = H264  # of the clip; one that can stand in it
    form: PictureForm | None = None  # of the clip's pictures; None if there are none
    why_reencoded: str = ""  # why pictures that stand alone inside the window are not copied; empty if they are

    @property
    def width(self) -> int:
        """Pixels of the clip's pictures, 0 if there are none."""
        return self.form.width if self.form else 0

    @property
    def height(self) -> int:
        """Pixels of the clip's pictures, 0 if there are none."""
        return self.form.height if self.form else 0


def plan_pictures(units: Sequence[AccessUnit], window: Window, *, may_copy: bool = True) -> PicturePlan:
    """Plan the pictures with `window.start <= time < window.end`. `may_copy=False` re-encodes them all."""
    tracing = trace(units)
    decode_from = tracing.decode_from
    superseded = _superseded(units, decode_from)
    inside = [index for index, unit in enumerate(units) if unit.time in window]
    refused = {i: WHY_CLOCK if i in superseded else WHY_LOST for i in inside if i in superseded or i not in decode_from}
    wanted = [index for index in inside if index not in refused]
    if not wanted:
        return PicturePlan((), refused, tracing)
    first = min(wanted, key=lambda index: units[index].time)
    form = form_of(units[first], tracing.sets_at[first])
    runs, whys = _runs(units, tracing, set(wanted), first) if may_copy else ([], [])
    segments = _group(units, wanted, _joinable(runs, units), tracing.sets_at)
    why = "; ".join(dict.fromkeys(whys))
    codec = units[first].codec
    if form is not None and (codec.clip is None or not may_copy or (whys and not any(one.is_copy for one in segments))):
        codec, form = H264, _playable(form, is_same=codec is H264)
    return PicturePlan(segments, refused, tracing, codec, form, why)


def _playable(form: PictureForm, *, is_same: bool) -> PictureForm:
    """Choose what every player shows: even sides, 4:2:0, 8 bits; what the source says binds no other codec."""
    form = replace(form, width=max(form.width & ~1, 2), height=max(form.height & ~1, 2), chroma_format=1, bit_depth=8)
    if is_same and not form.why_not_copied:
        return form
    return replace(form, profile=0, level="", references_max=0)


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


def _runs(
    units: Sequence[AccessUnit], tracing: Tracing, wanted: set[int], first: int
) -> tuple[list[list[int]], list[str]]:
    """Choose the runs to copy, in decode order, and say why others are not."""
    runs: list[list[int]] = []
    whys: list[str] = []
    is_open = False  # the last run reaches to the end of its sequence, so that the next one may go on with it
    for sequence in tracing.sequences:
        why = _why_not(units, tracing.sets_at, sequence.begin, first)
        whys += [why] if why and sequence.begin in wanted else []
        goes_on = is_open and sequence.is_joined
        is_open = False
        if why or sequence.begin not in wanted:
            continue
        members = [i for i in range(sequence.begin, sequence.end) if goes_on or i not in sequence.leading]
        taken = _before(members, wanted)
        if goes_on:
            runs[-1] += taken
        else:
            runs.append(taken)
        is_open = taken == members
    return [_shown_first(units, run, wanted) for run in runs], whys


def _why_not(units: Sequence[AccessUnit], sets_at: Sequence[ParameterSets], begin: int, first: int) -> str:
    """Say why pictures may not be copied beside the clip's first one; empty if they may."""
    form, clip = form_of(units[begin], sets_at[begin]), form_of(units[first], sets_at[first])
    if form is None or clip is None or form.why_not_copied:
        return form.why_not_copied if form else WHY_UNDECODABLE
    if clip.why_not_copied or units[begin].codec is not units[first].codec:
        return clip.why_not_copied or WHY_OTHER_CODEC
    return WHY_OTHER_SHAPE if form.shape != clip.shape else ""


def _before(members: Sequence[int], wanted: set[int]) -> list[int]:
    """Take what is inside up to the first picture outside: those behind it may refer to it."""
    stop = next((place for place, index in enumerate(members) if index not in wanted), len(members))
    return list(members[:stop])


def _shown_first(units: Sequence[AccessUnit], run: list[int], wanted: set[int]) -> list[int]:
    """Shorten a run until all that stays behind, to be re-encoded, is shown after every picture of it."""
    times = sorted((units[index].time, index) for index in wanted)
    while run:
        members = set(run)
        rest = min((time for time, index in times if index > run[-1] and index not in members), default=None)
        late = next((place for place, i in enumerate(run) if rest is not None and units[i].time > rest), None)
        if late is None:
            break
        run = run[:late]
    return run


def _joinable(runs: Sequence[list[int]], units: Sequence[AccessUnit]) -> list[list[int]]:
    """Leave out runs of one CRA picture: libav 8 takes an IDR picture right behind it for one that it missed."""
    return [run for run in runs if len(run) > 1 or (run and units[run[0]].kind is PictureKind.CLOSED)]


def _group(
    units: Sequence[AccessUnit], wanted: list[int], runs: Sequence[list[int]], sets_at: Sequence[ParameterSets]
) -> tuple[Segment, ...]:
    """Put pictures that are treated alike together, in the order in which they are shown."""
    label = {index: number for number, run in enumerate(runs) for index in run}
    shown = sorted(wanted, key=lambda index: (units[index].time, index))
    while True:
        groups = list(_alike(shown, label))
        numbers = [number for number, _ in groups if number is not None]
        torn = {number for number in numbers if numbers.count(number) > 1}
        if not torn:
            break  # else others are shown between pictures of one run, whatever their kinds say: not copied
        label = {index: number for index, number in label.items() if number not in torn}
    return tuple(Segment(kind is not None, tuple(sorted(members)), sets_at[min(members)]) for kind, members in groups)


def _alike(shown: Sequence[int], label: Mapping[int, int]) -> Iterator[tuple[int | None, list[int]]]:
    members: list[int] = []
    for index in shown:
        if members and label.get(members[-1]) != label.get(index):
            yield label.get(members[-1]), members
            members = []
        members.append(index)
    if members:
        yield label.get(members[-1]), members


def find_gaps(
    window: Window, delivered: Sequence[WallTime], refused: Sequence[tuple[WallTime, str]]
) -> tuple[Gap, ...]:
    """Name the stretches of the window without a picture: with refused or lost ones, or longer than GAP_NS_MIN."""
    borders = [window.start, *sorted(delivered), window.end]
    gaps = []
    for start, end in pairwise(borders):
        whys = sorted({why for moment, why in refused if start <= moment < end})
        if whys or end - start > GAP_NS_MIN:
            gaps.append(Gap(start, end, "; ".join(whys) or WHY_NOTHING))
    return tuple(gaps)
