"""What `agent.acquire.wire` must give out, written to be read: each unit on its own, each question asked anew.

It knows when each byte arrived and where the recorder cut, and works on lists of whole units instead of positions.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

from agent.acquire.key_picture import is_all_key, key_finder
from agent.acquire.span import JUMP_BACK_S_MAX, JUMP_FORWARD_S_MAX, KEY_SPAN_BYTES_MIN, SPAN_BYTES_MAX
from agent.acquire.stream import Track
from agent.acquire.wire_counts import WireCounts
from agent.acquire.wire_event import RtspMessage, SenderReport, Span, TimestampJump, WireEvent
from agent.clock import WallTime


@dataclass
class Unit:
    """A frame, a message or a byte of a blank line."""

    octets: bytes
    piece: int  # with which its last byte came
    is_kept: bool = False
    is_video: bool = False  # an RTP packet of the video
    picture: int = 0  # number of the picture it is of
    is_first: bool = False  # of its picture

    @property
    def rtp(self) -> int:
        """The RTP timestamp."""
        return int.from_bytes(self.octets[8:12])


@dataclass
class SlowWire:
    """Reads a whole stream. `piece_ends` says with which piece each byte came, `cuts` after which of them `cut` was."""

    tracks: tuple[Track, ...]
    events: list[WireEvent] = field(default_factory=list)
    span: list[Unit] = field(default_factory=list)
    videos: list[Unit] = field(default_factory=list)  # all so far
    is_waiting: bool = True
    undecided: int = 0  # number of the picture that has not told yet what it is
    key_pictures: set[int] = field(default_factory=set)
    sounds: int = 0

    def read(self, stream: bytes, piece_ends: Sequence[int], cuts: frozenset[int]) -> list[WireEvent]:
        """Return all events of a stream without errors; at its end the span that grew is cut."""
        units = split(stream, piece_ends)
        for piece in range(len(piece_ends)):
            for unit in units:
                if unit.piece == piece:
                    self.take(unit)
            if piece in cuts or piece == len(piece_ends) - 1:
                border = self.border()
                if any(unit.is_video for unit in self.span[:border]):
                    self.end(border)
        return self.events

    def take(self, unit: Unit) -> None:
        """Read the next unit."""
        is_frame, channel = unit.octets[:1] == b"$", unit.octets[1:2]
        video = self.tracks[0].channel
        unit.is_kept = is_frame and any(channel[0] - track.channel in (0, 1) for track in self.tracks)
        unit.is_video = unit.is_kept and channel[0] == video and len(unit.octets) >= 16
        self.keep_small(unit)
        if not unit.is_kept:
            self.span += [unit] if self.span else []
            if unit.octets[:1].isalpha():
                self.events.append(RtspMessage(unit.octets))
            return
        if unit.is_video:
            self.take_video(unit)
        else:
            self.span.append(unit)
            self.sounds += channel[0] != video and any(channel[0] == track.channel for track in self.tracks)
        if channel[0] == video + 1 and len(unit.octets) >= 32 and unit.octets[5] == 200:
            ntp64, rtp = struct.unpack(">QI", unit.octets[12:24])
            self.events.append(SenderReport(ntp64, rtp, self.videos[-1].rtp if self.videos else None))
        if self.is_waiting and not self.undecided:
            self.span = []

    def take_video(self, unit: Unit) -> None:
        """Read a video packet: of which picture it is, and whether it says that this one is key."""
        before = self.videos[-1] if self.videos else None
        unit.picture = before.picture if before else 0
        if before is None or before.octets[5] & 0x80 or before.rtp != unit.rtp:
            unit.is_first, unit.picture, self.undecided = True, unit.picture + 1, unit.picture + 1
            if self.is_waiting:
                self.span = []
            if before is not None:
                ticks = (unit.rtp - before.rtp + 2**31) % 2**32 - 2**31
                hertz = self.tracks[0].clock_rate_hz
                if not -JUMP_BACK_S_MAX * hertz <= ticks <= JUMP_FORWARD_S_MAX * hertz:
                    self.end(len(self.span))
                    self.events.append(TimestampJump())
        self.span.append(unit)
        self.videos.append(unit)
        if self.undecided:
            is_key = key_finder(self.tracks[0].encoding)(unit.octets, 4, len(unit.octets))
            if is_key is not None:
                self.undecided = 0
            if is_key:
                self.take_key_picture(unit.picture)

    def take_key_picture(self, picture: int) -> None:
        """Begin a span with this picture, unless the span it is in is key itself and short."""
        was_key = self.is_key(self.span)
        self.key_pictures.add(picture)
        self.is_waiting = False
        start = self.start_of(picture)
        has_video_before = any(unit.is_video for unit in self.span[:start])
        is_short = is_all_key(self.tracks[0].encoding) or size(self.span[:start]) < KEY_SPAN_BYTES_MIN
        if has_video_before and not (was_key and is_short):
            self.end(start)

    def keep_small(self, unit: Unit) -> None:
        """Make the span end where it would be too long with `unit`."""
        if size([*self.span, unit]) > SPAN_BYTES_MAX:
            if self.is_waiting:
                self.span, self.undecided = [], 0
                return
            self.end(self.border())
        if size([*self.span, unit]) > SPAN_BYTES_MAX:
            self.undecided = 0
            self.end(len(self.span))

    def border(self) -> int:
        """Say how many of the span's units may be cut off: not those of a picture that should stay whole."""
        newest = self.videos[-1] if self.videos else None
        grows = is_all_key(self.tracks[0].encoding) and newest is not None and not newest.octets[5] & 0x80
        if newest is None or not (self.undecided or grows):
            return len(self.span)
        return self.start_of(newest.picture)

    def start_of(self, picture: int) -> int:
        """Say where in the span a picture begins; the span's end if it does not."""
        starts = [n for n, unit in enumerate(self.span) if unit.is_first and unit.picture == picture]
        return starts[0] if starts else len(self.span)

    def is_key(self, units: list[Unit]) -> bool:
        """Say whether the first video packet is the first one of a picture that is known to be key."""
        videos = [unit for unit in units if unit.is_video]
        return bool(videos) and videos[0].is_first and videos[0].picture in self.key_pictures

    def end(self, border: int) -> None:
        """Give out so many of the span's units."""
        units, rest = self.span[:border], self.span[border:]
        kept = [unit for unit in units if unit.is_kept]
        if self.is_waiting or not kept:
            return
        self.span = rest
        newest = [unit.rtp for unit in self.videos if all(unit is not other for other in rest)][-1]
        rtps = [unit.rtp for unit in kept if unit.is_video] or [newest]
        self.events.append(
            Span(
                payload=b"".join(unit.octets for unit in kept),
                is_key=self.is_key(units),
                first_arrival=WallTime(kept[0].piece),
                last_arrival=WallTime(kept[-1].piece),
                first_rtp=rtps[0],
                last_rtp=rtps[-1],
            )
        )

    def counts(self) -> WireCounts:
        """Count what was read; of loss it knows nothing."""
        pictures = self.videos[-1].picture if self.videos else 0
        return WireCounts(len(self.videos), 0, pictures, len(self.key_pictures), self.sounds)


def size(units: Sequence[Unit]) -> int:
    """Return how many bytes units have, those that are not kept included."""
    return sum(len(unit.octets) for unit in units)


def split(stream: bytes, piece_ends: Sequence[int]) -> list[Unit]:
    """Split a stream without errors into its whole units."""
    units, at = [], 0
    while at < len(stream):
        if stream[at : at + 1] == b"$":
            end = at + 4 + int.from_bytes(stream[at + 2 : at + 4])
        elif stream[at : at + 1] in b"\r\n":
            end = at + 1
        else:
            head_end = stream.index(b"\r\n\r\n", at) + 4
            length = stream[at:head_end].partition(b"Content-Length: ")[2].partition(b"\r\n")[0]
            end = head_end + int(length or 0)
        if end > len(stream) or (stream[at : at + 1] == b"$" and at + 4 > len(stream)):
            break
        piece = next(number for number, piece_end in enumerate(piece_ends) if piece_end >= end)
        units.append(Unit(stream[at:end], piece))
        at = end
    return units
