"""A clip's sound as MP4 tables: the sample entry of AAC, and the one edit that lets it begin after the picture.

Rules of this file: the only edit there is is an empty one, which shows nothing and so hides nothing (ISO/IEC 14496-12
8.6.6); a block is a sample and lasts as long as its table says (ISO/IEC 14496-14).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final

from msgspec import Struct

_ES, _DECODER, _DECODER_SPECIFIC, _SYNC_LAYER = 3, 4, 5, 6  # descriptor tags, ISO/IEC 14496-1 7.2.6
_MPEG4_AUDIO: Final = 0x40
_AUDIO_STREAM: Final = 0x15  # stream type 5, and the bit that is always set
_FOR_MP4: Final = 2  # the sync layer's predefined configuration


class SoundTrack(Struct, frozen=True):
    """A track of AAC blocks."""

    rate_hz: int
    channels: int
    configuration: bytes  # AudioSpecificConfig
    blocks: Sequence[bytes]  # at least one
    durations: Sequence[int]  # of the blocks, in samples
    start_ns: int  # of the first block, from the first picture on; negative: before it

    @property
    def total(self) -> int:
        """How long all blocks last, in samples."""
        return sum(self.durations)


def sample_entry(track: SoundTrack, sizes: Sequence[int]) -> bytes:
    """Build the content of an `mp4a` entry: AudioSampleEntry and its `esds` box. `sizes` are the blocks', in bytes."""
    biggest = max(sizes)
    bits = min(sum(sizes) * 8 * track.rate_hz // max(track.total, 1), 0xFFFFFFFF)
    specific = _descriptor(_DECODER_SPECIFIC, track.configuration)
    decoder = struct.pack(">BB3sII", _MPEG4_AUDIO, _AUDIO_STREAM, biggest.to_bytes(3, "big"), bits, bits) + specific
    es = struct.pack(">HB", 0, 0) + _descriptor(_DECODER, decoder) + _descriptor(_SYNC_LAYER, bytes([_FOR_MP4]))
    body = bytes(4) + _descriptor(_ES, es)
    esds = struct.pack(">I4s", len(body) + 8, b"esds") + body
    return struct.pack(">6xH8xHH4xI", 1, track.channels, 16, track.rate_hz << 16) + esds


def delay_edits(delay: int, duration: int) -> bytes:
    """Build the content of an `elst` box that shows nothing for `delay`, then all of the track; in movie ticks."""
    return struct.pack(">II", 0, 2) + struct.pack(">IiIIiI", delay, -1, 1 << 16, duration, 0, 1 << 16)


def interleaved(ends: Sequence[Sequence[float]], step: float) -> list[tuple[int, int, int]]:
    """Divide tracks into chunks of about `step` seconds that take turns: (track, first sample, end), in file order.

    `ends` has for each track when each of its samples is over, in seconds, rising.
    """
    chunks: list[tuple[int, int, int]] = []
    at = [0] * len(ends)
    until = step
    while any(begin < len(track) for begin, track in zip(at, ends, strict=True)):
        for number, track in enumerate(ends):
            stop = at[number]
            while stop < len(track) and track[stop] <= until:
                stop += 1
            if stop > at[number]:
                chunks.append((number, at[number], stop))
                at[number] = stop
        waiting = [track[begin] for begin, track in zip(at, ends, strict=True) if begin < len(track)]
        until = max(until + step, min(waiting, default=0.0))
    return chunks


def _descriptor(tag: int, content: bytes) -> bytes:
    return bytes([tag, len(content)]) + content  # all of ours are shorter than 128 bytes
