"""Copied and re-encoded segments become one stream: ids that do not collide, one list of samples.

Rules of this file: the first copied segment keeps its ids; every other set of parameters gets ids of its own, the same
ones in every part of a clip. Slices under kept ids pass untouched.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from agent.clock import SECOND_NS, WallTime, Window
from agent.cut.codec import Codec, ParameterSets, Renumbering
from agent.cut.mp4 import TIMESCALE_HZ, Sample
from agent.errors import BadInputError

_ONE_PICTURE_TICKS: Final = 3600  # how long a picture alone in its clip stays: 40 ms


class CodedPicture(Struct, frozen=True):
    """One picture of the clip: which access unit it shows, and its NAL units."""

    unit: int
    is_sync: bool
    nals: tuple[bytes, ...]


class CodedSegment(Struct, frozen=True):
    """Pictures in decode order with the parameter sets they are coded under."""

    is_copy: bool
    pictures: tuple[CodedPicture, ...]
    sets: ParameterSets


def kept_nals(codec: Codec, nals: Sequence[bytes]) -> tuple[bytes, ...]:
    """Drop what a clip must not or need not hold: sets, delimiters, filler, user data, other layers."""
    return tuple(nal for nal in nals if codec.is_kept(nal))


def join_segments(
    segments: Sequence[CodedSegment], codec: Codec, camera: ParameterSets
) -> tuple[list[CodedPicture], ParameterSets]:
    """Give every segment ids of its own where their sets differ; return all pictures and all sets.

    If nothing is copied, ids of `camera` are left to the parts in which something is; empty if there is none.
    Raises BadInputError if the ids run out: then everything must be re-encoded.
    """
    form = codec.clip
    if form is None:
        raise BadInputError(f"{codec.name} cannot stand in a clip")
    kept = next((segment.sets for segment in segments if segment.is_copy), camera or segments[0].sets)
    union: dict[tuple[int, int], bytes] = {}
    known: dict[tuple[tuple[tuple[int, int], bytes], ...], Renumbering] = {_identity(kept): {}}
    pictures: list[CodedPicture] = []
    for segment in segments:
        identity = _identity(segment.sets)
        if identity not in known:
            known[identity] = form.fresh_ids({**kept, **union}, segment.sets)
        ids = known[identity]
        union |= codec.parameter_sets([form.renumber_set(nal, ids) if ids else nal for nal in segment.sets.values()])
        if ids:
            # SEI is left out here: a buffering period names the old SPS.
            pictures += [
                CodedPicture(p.unit, p.is_sync, tuple(form.renumber_slice(n, ids) for n in p.nals if codec.is_slice(n)))
                for p in segment.pictures
            ]
        else:
            pictures += segment.pictures
    if form.repeats_sets:
        every = tuple(nal for _, nal in sorted(union.items()))
        pictures = [CodedPicture(p.unit, p.is_sync, (*every, *p.nals) if p.is_sync else p.nals) for p in pictures]
    return pictures, union


def _identity(sets: ParameterSets) -> tuple[tuple[tuple[int, int], bytes], ...]:
    return tuple(sorted(sets.items()))


def samples_of(pictures: Sequence[CodedPicture], times: Sequence[WallTime], window: Window) -> tuple[list[Sample], int]:
    """Lay pictures on the movie's own time line, which begins at 0; return them and the last one's duration in ticks.

    `times` are the pictures' hub times. Equal ones are moved apart by one tick.
    """
    ticks: dict[int, int] = {}
    shown: list[int] = []
    first = min(times)
    for place in sorted(range(len(pictures)), key=lambda place: times[place]):
        exact = _ticks(times[place] - first)
        shown.append(max(exact, shown[-1] + 1) if shown else 0)
        ticks[place] = shown[-1]
    last = _ticks(window.end - max(times))
    before = shown[-1] - shown[-2] if len(shown) > 1 else _ONE_PICTURE_TICKS
    samples = [Sample(ticks[place], p.is_sync, _payload(p.nals)) for place, p in enumerate(pictures)]
    return samples, max(1, min(last, before))


def _ticks(span_ns: int) -> int:
    return (span_ns * TIMESCALE_HZ + SECOND_NS // 2) // SECOND_NS


def _payload(nals: Sequence[bytes]) -> bytes:
    return b"".join(len(nal).to_bytes(4, "big") + nal for nal in nals)
