"""Wire chunks become RTP packets: whole interleaved frames, of one track, without header and padding.

Rules of this file: whatever the bytes are, only BadInputError is raised (RFC 2326 10.12, RFC 3550 5.1).
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator
from typing import Final

import msgspec

from agent.errors import BadInputError

_FRAME: Final = struct.Struct(">BBH")  # "$", channel, bytes of the packet
_HEADER: Final = struct.Struct(">BBHI")  # of an RTP packet: flags, marker and type, sequence number, timestamp
_HEADER_BYTES: Final = 12
_PLAIN: Final = 0x80  # flags of version 2 with no padding, no extension and no further sources


def interleaved_frames(wire: bytes) -> Iterator[tuple[int, memoryview]]:
    """Yield (channel, packet) of whole interleaved frames: `$`, channel, 16-bit length, packet (RFC 2326 10.12)."""
    view, position, end = memoryview(wire), 0, len(wire)
    while position < end:
        begin = position + _FRAME.size
        if begin > end or wire[position] != 0x24:  # noqa: PLR2004 - every frame begins with "$"
            raise BadInputError("a chunk is not whole interleaved frames")
        _, channel, length = _FRAME.unpack_from(wire, position)
        position = begin + length
        if position > end:
            raise BadInputError("a chunk ends within a frame")
        yield channel, view[begin:position]


def only_channels(wire: bytes, channels: Collection[int]) -> bytes:
    """Leave out the frames of all other channels. Raises BadInputError if the wire is not whole frames."""
    kept = [
        b"$" + channel.to_bytes(1) + len(packet).to_bytes(2, "big") + packet
        for channel, packet in interleaved_frames(wire)
        if channel in channels
    ]
    return b"".join(kept)


class Packet(msgspec.Struct, frozen=True):
    """What an RTP packet says of its place, and what it carries."""

    sequence: int
    timestamp: int
    is_marked: bool  # the last packet of its picture, says the camera
    payload: bytes


def parse_rtp(packet: memoryview, payload_type: int) -> Packet | None:
    """Read an RTP packet of the track (RFC 3550 5.1); None for anything else on the channel."""
    begin, end = _HEADER_BYTES, len(packet)
    if end < begin:
        return None
    flags, kind, sequence, timestamp = _HEADER.unpack_from(packet)
    if flags >> 6 != 2 or kind & 0x7F != payload_type:  # noqa: PLR2004 - the version
        return None
    if flags != _PLAIN:
        begin += 4 * (flags & 15)
        if flags & 0x10:
            if end < begin + 4:
                return None
            begin += 4 + 4 * int.from_bytes(packet[begin + 2 : begin + 4], "big")
        if flags & 0x20 and end > begin:
            end -= packet[end - 1]
        if begin > end:
            return None
    return Packet(sequence, timestamp, kind & 0x80 != 0, bytes(packet[begin:end]))
