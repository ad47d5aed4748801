"""Access units become frames, decoded from where decoding may begin.

Rules of this file: libav is touched here, in `encode` and in `splice` only. A frame counts only if the decoder had no
complaint about it or anything before it; error concealment would show what lay outside the window.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Final, cast

import av
from av.error import FFmpegError
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from agent.cut.codec import ParameterSets
from agent.cut.depacketize import AccessUnit
from agent.cut.tracing import Tracing, undecodable

THREADS: Final = 2
_HELD_MAX: Final = 8  # frames that wait for one before them


def decode_units(
    units: Sequence[AccessUnit], tracing: Tracing, wanted: Iterable[int]
) -> Iterator[tuple[int, VideoFrame]]:
    """Yield (access unit, frame) of the wanted units in presentation order; what cannot be decoded is left out."""
    shown = sorted(wanted, key=lambda index: (units[index].time, index))
    for start, members in groupby(shown, key=tracing.decode_from.__getitem__):
        order = list(members)
        yield from _in_order(_decode_run(units, tracing.sets_at[start], start, set(order)), order)


def _in_order(frames: Iterable[tuple[int, VideoFrame]], order: Sequence[int]) -> Iterator[tuple[int, VideoFrame]]:
    """Sort frames that come too early: a decoder believes what the stream says about its own reordering."""
    place = {index: number for number, index in enumerate(order)}
    held: dict[int, tuple[int, VideoFrame]] = {}
    following = 0
    for index, frame in frames:
        held[place[index]] = index, frame
        if len(held) > _HELD_MAX:
            following = min(held)  # the one waited for will not come
        while following in held:
            yield held.pop(following)
            following += 1
    for number in sorted(held):
        yield held[number]


def _decode_run(
    units: Sequence[AccessUnit], sets: ParameterSets, start: int, wanted: set[int]
) -> Iterator[tuple[int, VideoFrame]]:
    codec, end = units[start].codec, max(wanted) + 1
    decoder = cast(VideoCodecContext, av.CodecContext.create(codec.decoder, "r"))
    decoder.thread_type, decoder.thread_count = "SLICE", THREADS  # frame threads could not say which unit was bad
    decoder.options = {"err_detect": "explode", "strict": "1"}  # strict: hold back as many frames as the level says
    broken_at, left_out = len(units), set(undecodable(units, start, end))
    for index in range(start, end):
        if index in left_out:
            continue
        packet = av.Packet(codec.stream([*(sets.values() if index == start else ()), *units[index].nals]))
        packet.pts = packet.dts = index
        try:
            yield from _usable(decoder.decode(packet), wanted, broken_at)
        except FFmpegError:
            broken_at = index
            break
    try:
        frames = decoder.decode(None)
    except FFmpegError:
        return
    yield from _usable(frames, wanted, broken_at)


def _usable(frames: Iterable[VideoFrame], wanted: set[int], broken_at: int) -> Iterator[tuple[int, VideoFrame]]:
    for frame in frames:
        index = frame.pts
        if index is not None and index in wanted and index < broken_at and not frame.is_corrupt:
            yield index, frame
