"""Wire chunks pass by on their way to the pictures, and leave their sound packets and sender reports here.

Rules of this file: a loss is what the packets' numbers say and nothing else; whatever the bytes are, only BadInputError
is raised (RFC 3550 5.1 and 6.4.1).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from msgspec import Struct, field
from msgspec.structs import replace

from agent.acquire.stream import StreamHeader, Track
from agent.acquire.timeline import Anchor
from agent.cut.clip import WireChunk
from agent.cut.rtp import interleaved_frames, parse_rtp

PACKETS_MAX: Final = 100_000  # of sound in one part: 4 minutes of the shortest that Opus knows
REPORTS_MAX: Final = 256  # of one track in one part; more are passed over

_SENDER_REPORT: Final = 200
_SENDER_REPORT_BYTES_MIN: Final = 28


class SenderReport(Struct, frozen=True):
    """At `ntp64` by the camera's clock its track stood at the timestamp `rtp`."""

    ntp64: int
    rtp: int


class SoundPacket(Struct, frozen=True):
    """One RTP packet of the sound track, in the order of arrival."""

    rtp: int
    payload: bytes
    is_marked: bool
    is_after_loss: bool  # something may be missing right before it
    anchor: Anchor  # the pictures' mapping when it came
    video_rtp: int | None  # of the newest picture when it came; None if none is known


class SoundRun(Struct):
    """What one run has of sound."""

    video: Track
    track: Track
    packets: list[SoundPacket] = field(default_factory=list)
    reports: list[SenderReport] = field(default_factory=list)  # of the sound
    video_reports: list[SenderReport] = field(default_factory=list)


class SoundTap:
    """Lets chunks pass and keeps their sound: `runs` are those with a sound track, in the order of arrival."""

    def __init__(self, headers: Sequence[StreamHeader]) -> None:
        self.runs: list[SoundRun] = []
        self.is_too_much = False  # more packets than `PACKETS_MAX`: none is kept any more
        self._headers = {header.run: header for header in headers}
        self._run: int | None = None
        self._sequence: int | None = None
        self._next_packet: int | None = None
        self._is_lost = False
        self._count = 0

    def passing(self, chunks: Iterable[WireChunk]) -> Iterator[WireChunk]:
        """Yield the chunks as they are, each after its sound was taken. Raises BadInputError for broken framing."""
        for chunk in chunks:
            self._take(chunk)
            yield chunk

    def _take(self, chunk: WireChunk) -> None:
        header = self._headers.get(chunk.run)
        if header is None or len(header.tracks) < 2 or self.is_too_much:  # noqa: PLR2004 - a video track and one of sound
            return
        if self._run != chunk.run:
            self.runs.append(SoundRun(header.video, header.tracks[1]))
            self._run, self._next_packet, self._is_lost = chunk.run, None, False
        elif chunk.sequence != (self._sequence or 0) + 1:
            self._is_lost = True
        self._sequence = chunk.sequence
        self._take_frames(self.runs[-1], chunk)

    def _take_frames(self, run: SoundRun, chunk: WireChunk) -> None:
        before, newest, first = len(run.packets), None, None
        for channel, frame in interleaved_frames(chunk.wire):
            if channel == run.track.channel:
                self._take_packet(run, chunk.anchor, frame, newest)
            elif channel == run.video.channel and (picture := parse_rtp(frame, run.video.payload_type)):
                newest = picture.timestamp
                first = newest if first is None else first
            elif channel == run.track.channel + 1:
                _take_reports(frame, run.reports)
            elif channel == run.video.channel + 1:
                _take_reports(frame, run.video_reports)
        for place in range(before, len(run.packets)):  # sound that came before the chunk's first picture
            if run.packets[place].video_rtp is not None:
                break
            run.packets[place] = replace(run.packets[place], video_rtp=first)

    def _take_packet(self, run: SoundRun, anchor: Anchor, frame: memoryview, newest: int | None) -> None:
        packet = parse_rtp(frame, run.track.payload_type)
        if packet is None:
            return
        if self._next_packet is not None:
            if packet.sequence == (self._next_packet - 1) % 65536:
                return  # sent twice
            self._is_lost |= packet.sequence != self._next_packet
        self._next_packet = (packet.sequence + 1) % 65536
        self._count += 1
        if self._count > PACKETS_MAX:
            self.is_too_much = True
            self.runs.clear()
            return
        run.packets.append(
            SoundPacket(packet.timestamp, packet.payload, packet.is_marked, self._is_lost, anchor, newest)
        )
        self._is_lost = False


def _take_reports(compound: memoryview, reports: list[SenderReport]) -> None:
    """Take the sender reports of one compound RTCP packet; what is not understood ends it."""
    position = 0
    while position + 4 <= len(compound) and compound[position] >> 6 == 2:  # noqa: PLR2004 - head, and version 2
        length = 4 + 4 * int.from_bytes(compound[position + 2 : position + 4], "big")
        part = compound[position : position + length]
        if part[1] == _SENDER_REPORT and len(part) >= _SENDER_REPORT_BYTES_MIN and len(reports) < REPORTS_MAX:
            ntp64, rtp = struct.unpack_from(">QI", part, 8)
            if ntp64:  # zero: the camera has no notion of time (RFC 3550 6.4.1)
                reports.append(SenderReport(ntp64, rtp))
        position += length
