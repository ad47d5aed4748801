"""A camera's bytes to spans of interleaved frames that make a chunk, without copying a payload.

Rules of this file: this is the hot path. It hops frames by their length and looks into the first packet or two of a
picture; frames of one picture and one length are hopped in one go. What comes out depends on the bytes alone, never on
how they were split on arrival, except where `cut` ends a span because it is time.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import Final

from agent.acquire.key_picture import KeyFinder, is_all_key, key_finder
from agent.acquire.receive_memory import ReceiveMemory
from agent.acquire.rtsp_message import BODY_BYTES_MAX, HEAD_BYTES_MAX, message_end
from agent.acquire.span import SPAN_BYTES_MAX, GrowingSpan
from agent.acquire.stream import Track
from agent.acquire.wire_counts import WireCounts, WireTally
from agent.acquire.wire_event import RtspMessage, SenderReport, Span, WireEvent
from agent.clock import WallTime

ROOM_BYTES_MIN: Final = 128 * 1024
MESSAGE_BYTES_MAX: Final = HEAD_BYTES_MAX + BODY_BYTES_MAX  # the longest unit: a frame has 65,539 bytes
BUFFER_BYTES: Final = SPAN_BYTES_MAX + MESSAGE_BYTES_MAX + ROOM_BYTES_MIN
EQUAL_LENGTHS_MAX: Final = 128  # most cameras have one; each costs 0.2 ms once

_FRAME_HEAD_BYTES: Final = 4  # "$", channel, 16-bit length (RFC 2326 section 10.12)
_RTP_BYTES_MIN: Final = 12
_SENDER_REPORT_BYTES_MIN: Final = 28
_SENDER_REPORT: Final = 200
_MARKER: Final = 0x80
_DOLLAR: Final = ord("$")
_BLANK_LINES: Final = re.compile(rb"[\r\n]+")
_NO_MESSAGE: Final = frozenset(b"$\r\n")
# Frame head and RTP header in one: "$", channel, length, marker and payload type, sequence number, timestamp.
_HEAD: Final = struct.Struct(">BBHxBHI")
_REPORT_TIMES: Final = struct.Struct(">QI")
_REPORT_TIMES_AT: Final = _FRAME_HEAD_BYTES + 8
# A frame (its head, marker and payload type, timestamp), and those after it in which all of these are the same.
_EQUAL_FRAMES: Final = rb"(\$...).(.)..(....).{%d}(?:\1.\2..\3.{%d})*+"
_FOREIGN, _VIDEO, _VIDEO_CONTROL, _SOUND, _SOUND_CONTROL = range(5)


def wire_memory() -> ReceiveMemory:
    """Make the memory that the buffers of one thread's cameras share."""
    return ReceiveMemory(BUFFER_BYTES, _HEAD.size)


class WireBuffer:
    """One camera's received bytes and the place reached in them; `scan` raises BadInputError for what is no RTSP.

    They lie in `memory` while they are read, and what is not read yet beside it while another camera has that.
    """

    def __init__(self, memory: ReceiveMemory) -> None:
        self._memory, self._buffer, self._view = memory, memory.octets, memory.view
        self._aside = b""  # all there is, while another has the memory
        self._stop = 0  # end of what was received
        self._next = 0  # end of the last whole frame or message: what is before it was read
        self._growing = GrowingSpan(self._view)
        self._tally = WireTally()
        self._equal_frames: dict[int, re.Pattern[bytes]] = {}
        self._kinds = bytes(256)  # of the channels
        self._is_key: KeyFinder = key_finder("")

    @property
    def newest_rtp(self) -> int | None:
        """RTP timestamp of the newest video packet, None before the first."""
        return self._growing.rtp

    @property
    def counts(self) -> WireCounts:
        """What came so far."""
        return self._tally.counts()

    def follow(self, tracks: tuple[Track, ...]) -> None:
        """Keep the frames of these tracks, the video first, and of their RTCP; all other channels are dropped."""
        video, *sounds = tracks
        kinds = bytearray(256)
        for sound in sounds:
            kinds[sound.channel : sound.channel + 2] = (_SOUND, _SOUND_CONTROL)
        kinds[video.channel : video.channel + 2] = (_VIDEO, _VIDEO_CONTROL)
        self._kinds = bytes(kinds)
        self._is_key = key_finder(video.encoding)
        self._growing.expect(video.clock_rate_hz, is_all_key=is_all_key(video.encoding))

    def wait_for_key(self) -> None:
        """Forget what is growing; the next span begins with a key picture."""
        self._growing.forget(self._next)

    def room(self) -> memoryview:
        """Return where received bytes may be written, at least `ROOM_BYTES_MIN`.

        Ends the life of all spans given out, also of other cameras' in the same memory.
        """
        self._take_back()
        distance = self._growing.start
        if distance:  # at once, while little is left: what comes touches no more memory than a span and a read
            self._buffer.move(0, distance, self._stop - distance)
            self._move(distance)
        return self._view[self._stop :]

    def put_aside(self) -> None:
        """Copy what is not given out yet, which is little if this is asked for after a `cut`."""
        distance = self._growing.start
        self._aside = self._buffer[distance : self._stop]
        self._move(distance)

    def received(self, count: int) -> None:
        """Take `count` bytes that were written to the beginning of `room`."""
        self._stop += count

    def scan(self, now: WallTime) -> Iterator[WireEvent]:
        """Read what was received, which arrived at `now`; act on each event before asking for the next."""
        events = self._growing.events
        while self._read(now):
            while events:
                yield events.popleft()

    def cut(self, bytes_min: int = 0) -> Span | None:
        """End the growing span at a packet border, before a picture that may yet prove key.

        None without video, or if less than `bytes_min` has grown. The next `room` in this memory ends its life.
        """
        if self._next - self._growing.start < bytes_min:
            return None
        self._take_back()
        return self._growing.cut(self._next)

    def _take_back(self) -> None:
        """Have the memory, and in it what was put aside."""
        if self._memory.lend(self):
            self._buffer[: len(self._aside)], self._aside = self._aside, b""

    def _move(self, distance: int) -> None:
        """Follow the bytes, which moved towards the memory's beginning."""
        self._growing.move(distance)
        self._stop -= distance
        self._next -= distance

    def _read(self, now: WallTime) -> bool:
        """Read whole frames and messages until one brings events; False if none did."""
        growing, buffer, kinds, stop = self._growing, self._buffer, self._kinds, self._stop
        read_head, events = _HEAD.unpack_from, growing.events
        while (at := self._next) < stop and not events:
            first, channel, length, flags, sequence, rtp = read_head(buffer, at)
            is_frame = first == _DOLLAR
            end = at + _FRAME_HEAD_BYTES + length if is_frame else self._message_end(at)
            if not at < end <= stop:
                break  # it is not whole yet
            kind = kinds[channel] if is_frame else _FOREIGN
            if kind == _FOREIGN:
                self._leave_out(at, end)
                continue
            if end - growing.start > SPAN_BYTES_MAX:
                growing.keep_small(at, end)
            if kind == _VIDEO and length >= _RTP_BYTES_MIN:
                end = self._read_video(at, end, flags, sequence, rtp, now)
            elif kind == _SOUND:
                self._tally.sound_packets += 1
            elif kind == _VIDEO_CONTROL and flags == _SENDER_REPORT and length >= _SENDER_REPORT_BYTES_MIN:
                ntp64, reported_rtp = _REPORT_TIMES.unpack_from(buffer, at + _REPORT_TIMES_AT)
                events.append(SenderReport(ntp64, reported_rtp, growing.rtp))
            growing.arrival = now
            if growing.is_waiting and not growing.is_undecided:
                growing.begin(end)
            elif growing.first_arrival is None:
                growing.first_arrival = now
            self._next = end
        return bool(events)

    def _read_video(self, at: int, end: int, flags: int, sequence: int, rtp: int, now: WallTime) -> int:
        """Read one video packet, hop the ones like it, and return where they end."""
        growing, tally = self._growing, self._tally
        if growing.is_whole or rtp != growing.rtp:
            growing.begin_picture(at, rtp, now)
            tally.begin_picture(sequence)
        if growing.first_rtp is None:
            growing.first_rtp = rtp
        tally.video_packets += 1
        growing.is_whole = flags >= _MARKER
        if growing.is_undecided:
            is_key = self._is_key(self._buffer, at + _FRAME_HEAD_BYTES, end)
            if is_key is not None:
                tally.key_pictures += is_key
                growing.decide(is_key=is_key)
        return end if growing.is_whole or growing.is_undecided else self._hop_equal(at, end)

    def _hop_equal(self, at: int, end: int) -> int:
        """Return where the frames end that follow the one from `at` to `end` and are of its picture and length."""
        equal = self._equal_frames.get(end - at) or self._learn_equal(at, end)
        match = equal.match(self._buffer, at, min(self._stop, self._growing.start + SPAN_BYTES_MAX)) if equal else None
        if match is None:
            return end
        self._tally.video_packets += (match.end() - end) // (end - at)
        return match.end()

    def _learn_equal(self, at: int, end: int) -> re.Pattern[bytes] | None:
        """Return the pattern for frames as long as the one from `at` to `end`, if the next one is and few were made."""
        lengths = self._buffer[at + 2 : at + 4], self._buffer[end + 2 : end + 4]
        if len(self._equal_frames) == EQUAL_LENGTHS_MAX or lengths[0] != lengths[1]:
            return None
        rest = end - at - _HEAD.size
        pattern = self._equal_frames[end - at] = re.compile(_EQUAL_FRAMES % (rest, rest), re.DOTALL)
        return pattern

    def _leave_out(self, at: int, end: int) -> None:
        """Take what is no frame of ours out of the span; if it is a message, give it out."""
        self._growing.hole(at, end)
        if self._buffer[at] not in _NO_MESSAGE:
            self._growing.events.append(RtspMessage(bytes(self._view[at:end])))
        self._next = end

    def _message_end(self, at: int) -> int:
        """Return where the message at `at` ends, or the blank lines (some cameras send one too many); 0: not whole."""
        if blank := _BLANK_LINES.match(self._buffer, at, self._stop):
            return blank.end()
        octets = bytearray(self._view[at : min(self._stop, at + MESSAGE_BYTES_MAX)])
        end = message_end(octets, 0, len(octets))
        return at + end if end else 0
