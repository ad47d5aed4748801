"""Wire chunks become RTP packets: whole interleaved frames, of one track, without header and padding.

Rules of this file: whatever the bytes are, only BadInputError is raised (RFC 2326 10.12, RFC 3550 5.1).
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from agent.errors import BadInputError


def interleaved_frames(wire: bytes) -> Iterator[tuple[int, memoryview]]:
    """Yield (channel, packet) of whole interleaved frames: `$`, channel, 16-bit length, packet (RFC 2326 10.12)."""
    view, position = memoryview(wire), 0
    while position < len(wire):
        if len(wire) - position < 4 or wire[position] != 0x24:  # noqa: PLR2004 - "$" and the 4-byte frame header
            raise BadInputError("a chunk is not whole interleaved frames")
        channel, length = struct.unpack_from(">BH", wire, position + 1)
        packet = view[position + 4 : position + 4 + length]
        if len(packet) != length:
            raise BadInputError("a chunk ends within a frame")
        yield channel, packet
        position += 4 + length


def only_channels(wire: bytes, channels: Collection[int]) -> bytes:
    """Leave out the frames of all other channels. Raises BadInputError if the wire is not whole frames."""
    kept = [
        b"$" + channel.to_bytes(1) + len(packet).to_bytes(2, "big") + packet
        for channel, packet in interleaved_frames(wire)
        if channel in channels
    ]
    return b"".join(kept)


@dataclass(frozen=True, slots=True)
class Packet:
    """What an RTP packet says of its place, and what it carries."""

    sequence: int
    timestamp: int
    is_marked: bool  # the last packet of its picture, says the camera
    payload: bytes


def parse_rtp(packet: memoryview, payload_type: int) -> Packet | None:
    """Read an RTP packet of the track (RFC 3550 5.1); None for anything else on the channel."""
    if len(packet) < 12 or packet[0] >> 6 != 2 or packet[1] & 0x7F != payload_type:  # noqa: PLR2004 - fixed header
        return None
    sequence, timestamp = struct.unpack_from(">HI", packet, 2)
    begin, end = 12 + 4 * (packet[0] & 15), len(packet)
    if packet[0] & 0x10:
        if end < begin + 4:
            return None
        begin += 4 + 4 * int.from_bytes(packet[begin + 2 : begin + 4], "big")
    if packet[0] & 0x20 and end > begin:
        end -= packet[end - 1]
    if begin > end:
        return None
    return Packet(sequence, timestamp, packet[1] & 0x80 != 0, bytes(packet[begin:end]))
