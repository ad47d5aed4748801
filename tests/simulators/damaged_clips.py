"""Clips with something in them that should not be there: what an exact cut must never make, and a proof must find."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from agent.cut.mp4 import Sample, VideoTrack, write_movie
from agent.opening.clip_boxes import BoxedSample, take_apart


def grown(clip: bytes, path: Sequence[str], more: bytes) -> bytes:
    """Append bytes to the box at `path`, and make it and all around it as long as they are then."""
    begin, end = 0, len(clip)
    heads = []
    for kind in path:
        at = begin
        while clip[at + 4 : at + 8] != kind.encode():
            at += _size(clip, at)
        heads.append(at)
        begin, end = at + (16 if clip[at + 3] == 1 and clip[at : at + 3] == b"\0\0\0" else 8), at + _size(clip, at)
    out = bytearray(clip)
    for at in heads:
        size = _size(clip, at) + len(more)
        if clip[at : at + 4] == b"\0\0\0\1":
            struct.pack_into(">Q", out, at + 8, size)
        else:
            struct.pack_into(">I", out, at, size)
    if path[0] == "moov":  # what lies behind it moves
        place = out.index(b"co64") + 12
        struct.pack_into(">Q", out, place, struct.unpack_from(">Q", out, place)[0] + len(more))
    return bytes(out[:end]) + more + bytes(out[end:])


def in_track(clip: bytes, box: bytes) -> bytes:
    """Put a box into the track."""
    return grown(clip, ("moov", "trak"), box)


def rewritten(clip: bytes, samples: Sequence[tuple[BoxedSample, bytes]]) -> bytes:
    """Write a clip anew with these samples, each with its bytes."""
    track = take_apart(clip).video
    width, height = struct.unpack_from(">HH", clip, clip.index(b"avc1\0\0\0\0\0\0") + 28)
    chosen = [Sample(sample.shown_at, sample.is_sync, content) for sample, content in samples]
    return b"".join(write_movie(VideoTrack(width, height, track.configuration, chosen, 3600)))


def samples_of(clip: bytes) -> list[tuple[BoxedSample, bytes]]:
    """Return a clip's samples with their bytes."""
    return [(sample, clip[sample.begin : sample.end]) for sample in take_apart(clip).video.samples]


def _size(clip: bytes, at: int) -> int:
    size = int.from_bytes(clip[at : at + 4], "big")
    return size if size != 1 else int.from_bytes(clip[at + 8 : at + 16], "big")
