"""Access units become frames, decoded from where decoding may begin.

Rules of this file: libav is touched here, in `encode` and in `splice` only. A frame counts only if the decoder had no
complaint about it or anything before it; error concealment would show what lay outside the window.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import groupby
from typing import Final, cast

import av
from av.error import FFmpegError
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from msgspec import Struct, field

from agent.cut.codec import PictureKind
from agent.cut.depacketize import AccessUnit
from agent.cut.tracing import Tracing, undecodable
from agent.errors import BadInputError

THREADS: Final = 2
_HELD_MAX: Final = 16  # frames that wait for one before them


def decode_units(
    units: Sequence[AccessUnit], tracing: Tracing, wanted: Iterable[int]
) -> Iterator[tuple[int, VideoFrame]]:
    """Yield (access unit, frame) of the wanted units in presentation order; what cannot be decoded is left out."""
    shown = sorted(wanted, key=lambda index: (units[index].time, index))
    for start, members in groupby(shown, key=tracing.decode_from.__getitem__):
        order = list(members)
        yield from _in_order(_decode_run(units, tracing, start, set(order)), order)


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
    units: Sequence[AccessUnit], tracing: Tracing, start: int, wanted: set[int]
) -> Iterator[tuple[int, VideoFrame]]:
    codec, end = units[start].codec, max(wanted) + 1
    decoder = cast(VideoCodecContext, av.CodecContext.create(codec.decoder, "r"))
    # Frame threads could not say which unit was bad; with slice threads nobody looks for macroblocks that never came.
    decoder.thread_type, decoder.thread_count = "SLICE", 1 if codec.proof else THREADS
    decoder.options = {"err_detect": "explode", "strict": "1"}  # strict: hold back as many frames as the level says
    judge = _Judge()
    for index, nals in _given(units, tracing, start, end):
        if not nals:
            continue
        packet = av.Packet(codec.stream([*(tracing.sets_at[start].values() if index == start else ()), *nals]))
        packet.pts = packet.dts = index
        if tracing.decode_from.get(index, -1) >= start:
            judge.due.append(index)
        try:
            frames = decoder.decode(packet)
        except FFmpegError:
            judge.broken_at = index
            break
        yield from _among(wanted, judge.hear(frames))
    with suppress(FFmpegError):
        yield from _among(wanted, judge.hear(decoder.decode(None)))
    yield from _among(wanted, judge.rest())


def _among(wanted: set[int], frames: Iterable[tuple[int, VideoFrame]]) -> Iterator[tuple[int, VideoFrame]]:
    return ((index, frame) for index, frame in frames if index in wanted)


class _Judge(Struct):
    """Holds frames back until all before them in decode order have come out without a complaint."""

    due: list[int] = field(default_factory=list)  # units that have not come out, in decode order
    waiting: dict[int, VideoFrame] = field(default_factory=dict)
    broken_at: int = sys.maxsize  # the first unit about which there was a complaint

    def hear(self, frames: Iterable[VideoFrame]) -> Iterator[tuple[int, VideoFrame]]:
        """Take frames as they come, in the order in which they are shown, and yield what may count."""
        for frame in frames:
            index = frame.pts
            if index is None or index not in self.due:
                continue
            self.due.remove(index)
            if frame.is_corrupt:
                self.broken_at = min(self.broken_at, index)
            self.waiting[index] = frame
            if len(self.waiting) > _HELD_MAX:
                del self.due[0]  # it will not come
            for unit in sorted(self.waiting):
                if self.due and self.due[0] < unit:
                    break
                held = self.waiting.pop(unit)
                if unit < self.broken_at:
                    yield unit, held

    def rest(self) -> Iterator[tuple[int, VideoFrame]]:
        """Yield what waits for frames that did not come."""
        return ((unit, held) for unit, held in sorted(self.waiting.items()) if unit < self.broken_at)


def _given(
    units: Sequence[AccessUnit], tracing: Tracing, start: int, end: int
) -> Iterator[tuple[int, Sequence[bytes]]]:
    """Yield what the decoder is given of `[start, end)`: nothing that it could not decode.

    After a recovery point others may stand in for such pictures, so that it holds references where the camera's does.
    """
    if (prove := units[start].codec.proof) and units[start].kind is PictureKind.RECOVERY:
        proof = prove()
        with suppress(BadInputError):
            for index in range(start, end):
                yield index, proof.adapt(units[index].nals, tracing.sets_at[index])
        return
    left_out = set(undecodable(units, start, end))
    yield from ((index, units[index].nals) for index in range(start, end) if index not in left_out)
