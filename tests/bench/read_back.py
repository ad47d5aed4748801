"""Is the footage whole? Reads all a ring has of a camera: every tag, every chunk, every RTP packet in its place."""

from __future__ import annotations

from typing import Final

import msgspec

from agent.acquire.stream import CameraId
from agent.clock import SECOND_NS, WallTime, Window
from agent.errors import UnavailableError
from agent.ports import ChunkSource

VIDEO_CHANNEL: Final = 0
_SIDE_NS: Final = 3600 * SECOND_NS


class ReadBack(msgspec.Struct, frozen=True):
    """What a ring has of one camera, and what is missing in it."""

    camera: str
    chunks: int
    bytes: int  # of the cameras' frames
    packets: int
    chunk_gaps: int  # numbers of chunks that do not follow one another
    packet_gaps: int  # RTP sequence numbers that do not follow one another
    unreadable: int  # chunks that are gone or whose tag does not hold

    @property
    def is_whole(self) -> bool:
        """Whether there is footage and nothing is missing between its ends."""
        return self.packets > 0 and not self.chunk_gaps + self.packet_gaps + self.unreadable


def read_back(ring: ChunkSource, camera: CameraId) -> ReadBack:
    """Read all that `ring` has of a camera. One run: a new one counts as a gap, for its packets do not follow."""
    newest = ring.footage(camera, Window(WallTime(0), WallTime(1))).newest_picture
    if newest is None:
        return ReadBack(camera, 0, 0, 0, 0, 0, 0)
    stored = ring.footage(camera, Window(WallTime(newest - _SIDE_NS), WallTime(newest + _SIDE_NS))).chunks
    octets = packets = chunk_gaps = packet_gaps = unreadable = 0
    number: int | None = None
    place: tuple[int, int] | None = None
    for chunk in stored:
        here = chunk.meta.run, chunk.meta.sequence
        chunk_gaps += place is not None and here != (place[0], place[1] + 1)
        place = here
        try:
            payload = ring.read(chunk)
        except UnavailableError:
            unreadable += 1
            continue
        octets += len(payload)
        for found in video_numbers(payload):
            packet_gaps += number is not None and found != (number + 1) % (1 << 16)
            number = found
            packets += 1
    return ReadBack(camera, len(stored), octets, packets, chunk_gaps, packet_gaps, unreadable)


def video_numbers(payload: bytes) -> list[int]:
    """Return the RTP sequence numbers of the video frames in a chunk, in order; a frame that is none counts as -1."""
    numbers: list[int] = []
    at = 0
    while at < len(payload):
        if payload[at] != ord("$"):
            return [*numbers, -1]
        if payload[at + 1] == VIDEO_CHANNEL:
            numbers.append(int.from_bytes(payload[at + 6 : at + 8], "big"))
        at += 4 + int.from_bytes(payload[at + 2 : at + 4], "big")
    return numbers if at == len(payload) else [*numbers, -1]
